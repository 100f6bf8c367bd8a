#!/usr/bin/perl
#
# Where the instructions go, by function and by library:
#
#     profile.pl LINES FEW MANY COUNT [FEW MANY COUNT]
#
# FEW and MANY are what callgrind wrote of two runs, of which the second had
# COUNT requests more.  What is printed is their difference for one request
# and, with a second pair, what the first pair has more than that.

use strict;
use warnings;

sub profile {
    my ($file) = @_;

    my (%name, %cost, $object, $function, $called);

    open my $in, '<', $file or die "$file: $!\n";

    my $resolve = sub {
        my ($kind, $id, $text) = @_;

        $name{$kind}{$id} = $text if defined $text;
        return $name{$kind}{$id} // '?';
    };

    while (<$in>) {

        if (/^calls=/) {
            $called = 1;                 # the next line is the callee's

        } elsif (/^(ob|fn)=\((\d+)\)(?: (.*))?$/) {

            if ($1 eq 'ob') {
                $object = $resolve->('ob', $2, $3);
            } else {
                $function = $resolve->('fn', $2, $3);
            }

        } elsif (/^c(ob|fn)=\((\d+)\)(?: (.*))?$/) {
            $resolve->($1, $2, $3);

        } elsif (/^[-+*\d]\S* (\d+)/) {
            $cost{"$object\t$function"} += $1 if !$called;
            $called = 0;
        }
    }

    return \%cost;
}

sub for_one {
    my ($few, $many, $count) = @_;

    my ($one, $two) = (profile($few), profile($many));

    return { map { $_ => (($two->{$_} // 0) - ($one->{$_} // 0)) / $count }
             keys %$two };
}

my $lines = shift;
my $cost = for_one(splice @ARGV, 0, 3);

if (@ARGV) {
    my $base = for_one(@ARGV);

    $cost->{$_} = ($cost->{$_} // 0) - $base->{$_} for keys %$base;
}

my ($total, %object) = 0;

for (keys %$cost) {
    my ($object) = split /\t/;

    $total += $cost->{$_};
    $object{$object =~ s/.*\///r} += $cost->{$_};
}

printf "%9.0f  in all\n\n", $total;

printf "%9.0f  %5.1f %%  %s\n", $object{$_}, 100 * $object{$_} / $total, $_
    for grep { abs $object{$_} >= 1 }
        sort { $object{$b} <=> $object{$a} } keys %object;

print "\n";

for (sort { $cost->{$b} <=> $cost->{$a} } keys %$cost) {
    last if $lines-- <= 0;

    my ($object, $function) = split /\t/;

    printf "%9.0f  %5.1f %%  %-34s  %s\n", $cost->{$_},
           100 * $cost->{$_} / $total, $function, $object =~ s/.*\///r;
}
