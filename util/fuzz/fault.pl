#
# perl util/fuzz/fault.pl LIST SOURCES count
# perl util/fuzz/fault.pl LIST SOURCES N COPY
#
# prints how many faults there are in LIST; or plants the N-th: COPY gets the
# module's file with it, and what is printed is the file's name and the targets
# one of which has to find it.

use strict;
use warnings;

my ($list, $sources, $n, $copy) = @ARGV;

sub slurp { local (@ARGV, $/) = @_; return scalar <> }

my @faults = grep { /\S/ } map { s/^#.*\n?//mgr } split /\n{2,}/, slurp($list);

if ($n eq 'count') {
    print scalar @faults, "\n";
    exit;
}

my ($name, @lines) = split /\n/, $faults[$n - 1];
my %part = ('-' => [], '+' => [], '=' => []);

for (@lines) {
    /^([-+=])(?: (.*))?$/ or die "fault $n: what is \"$_\"?\n";
    push @{ $part{$1} }, $2 // '';
}

my ($old, $new, $targets) = map { join "\n", @{ $part{$_} } } '-', '+', '=';

my @files = grep { -e } glob "$sources/{,*/}ngx_http_jelou_$name.c";
@files == 1 or die "fault $n: no file $name\n";

my $text = slurp($files[0]);

my $found = () = $text =~ /\Q$old\E/g;

$found == 1
    or die "fault $n: found $found times in $name: $old\n";

$text =~ s/\Q$old\E/$new/;

open my $out, '>', $copy or die "$copy: $!\n";
print $out $text;
close $out or die "$copy: $!\n";

print "$name $targets\n";
