# Called by coverage.sh: prints a table of the lines and branches that gcov has
# counted, and the lines that were never run and are not explained.
#
#     perl util/coverage.pl coverage.json ROOT SOME
#
# Fails if too few were run, or some were not and have no reason, unless SOME, the
# number of test files that were chosen, is not 0.

use strict;
use warnings;

use JSON::PP qw(decode_json);

my ($json, $root, $some) = @ARGV;

my %least = (lines => 95, branches => 85);
my (%file, %unrun, %all, @wrong);

sub slurp {
    my $path = shift;

    open my $in, '<', $path or die "$path: $!\n";
    local $/;
    return scalar <$in>;
}

sub percent {
    my ($run, $of) = @_;

    return $of ? 100 * $run / $of : 100;
}

sub row {
    my ($name, $count) = @_;

    printf "%-32s %5d of %5d lines %6.2f %%  %5d of %5d branches %6.2f %%\n",
           $name, map { (@$_, percent(@$_)) }
               map { [@$_{qw(run of)}] } @$count{qw(lines branches)};
}

for (split /\n/, slurp($json)) {
    for my $source (@{ decode_json($_)->{files} }) {
        my ($name) = $source->{file} =~ m{/ngx_http_jelou_(\w+\.c)\z} or next;

        for my $line (@{ $source->{lines} }) {
            my $count = $file{$name} //= {};

            $count->{lines}{of}++;
            $count->{lines}{run} += $line->{count} > 0;
            $count->{branches}{of}  += @{ $line->{branches} };
            $count->{branches}{run} += grep { $_->{count} > 0 }
                                       @{ $line->{branches} };

            my $function = $line->{function_name} =~ s/^ngx_http_jelou_//r;

            push @{ $unrun{"$name $function"} }, $line->{line_number}
                unless $line->{count};
        }
    }
}

for my $name (sort keys %file) {
    for my $what (qw(lines branches)) {
        $file{$name}{$what}{$_} //= 0 for qw(run of);
        $all{$what}{$_} += $file{$name}{$what}{$_} for qw(run of);
    }

    row($name, $file{$name});
}

row('all', \%all);

for my $what (sort keys %least) {
    my $is = percent(@{ $all{$what} }{qw(run of)});

    push @wrong, "fewer than $least{$what} % of the $what" if $is < $least{$what};
}

# A line of the list: file, function, how many of its lines, and why

for (grep { !/^(#|$)/ } split /\n/, slurp("$root/util/uncovered")) {
    my ($name, $function, $most, $why) = /^(\S+)\s+(\S+)\s+(\d+)\s+(\S.*)$/
        or die "util/uncovered: what is \"$_\"?\n";

    my $lines = $unrun{"$name $function"} // [];

    push @wrong, "$name: $function() is in util/uncovered with $most lines, "
                 . 'of which ' . ($most - @$lines) . ' were run'
        if @$lines < $most;

    delete $unrun{"$name $function"} if @$lines <= $most;
}

for my $where (sort keys %unrun) {
    my ($name, $function) = split ' ', $where;
    my @source = split /\n/,
                 slurp(grep { -e }
                       <$root/ngx_http_jelou_module/{,*/}ngx_http_jelou_$name>);

    push @wrong, "not run, and not explained:",
                 map { "  $name:$_ $function(): "
                       . $source[$_ - 1] =~ s/^\s+//r } @{ $unrun{$where} };
}

exit if $some;

print "$_\n" for @wrong;
exit(@wrong > 0);
