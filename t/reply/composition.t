# What nginx can put around an endpoint, in all its compositions, and one rule: see
# docs/testing.md.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Getopt::Long qw(GetOptionsFromArray);
use Jelou::Composition;
use Jelou::Composition::Run;

my @arguments = (split(' ', $ENV{JELOU_COMPOSITION} // ''), @ARGV);

GetOptionsFromArray(\@arguments, \my %o, qw(only=s@ seed=i count=i all list
                                            fixed order=s))
    or die "composition.t: no such option\n";

die "composition.t: @arguments?\n" if @arguments;

Jelou::Composition::Run::run(%o);
