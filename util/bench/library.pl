#!/usr/bin/perl
#
# What callgrind has counted, and how much of it in the functions of a library
# themselves:
#
#     library.pl NAME FILE

use strict;
use warnings;

my ($library, $file) = @ARGV;

my (%object, $mine, $called);
my ($all, $own) = (0, 0);

open my $in, '<', $file or die "$file: $!\n";

while (<$in>) {

    if (/^calls=/) {
        $called = 1;                 # the next line is the callee's

    } elsif (/^(c?)ob=\((\d+)\)(?: (.*))?$/) {
        $object{$2} = $3 if defined $3;
        $mine = $object{$2} =~ /\Q$library\E/ if !$1;

    } elsif (/^[-+*\d]\S* (\d+)/) {
        $all += $1 if !$called;
        $own += $1 if !$called && $mine;
        $called = 0;
    }
}

print "$all $own\n";
