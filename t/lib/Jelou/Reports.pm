package Jelou::Reports;

# What a sanitizer or valgrind has to say of an nginx: each process writes it
# to a file of its own, also one that "nginx -t" or must_die started, whose
# error log nobody reads.
#
#     Jelou::Reports::collect(DIRECTORY);     # for all that is started from now on
#     Jelou::Reports::check(NAME, LOG);       # fails for each one, and adds it
#                                             # to this error log
#
#     Jelou::Reports::leaks(FLAG);            # whether they are reported
#     Jelou::Reports::without_leaks(COMMAND)  # the command that does not
#
# A server frees all it has when it exits.  "nginx -t" does not, nor does one that
# refuses its configuration: nginx itself forgets a pool then.

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use Test::More ();

my $dir;

# Workers, which are not root, write there as well.

sub collect {
    $dir = shift;

    remove_tree($dir);
    make_path($dir);
    chmod 01777, $dir;

    $ENV{JELOU_REPORTS} = $dir;

    for my $name (qw(ASAN UBSAN)) {
        $ENV{"${name}_OPTIONS"} = join ':', $ENV{"${name}_OPTIONS"} // (),
            "log_path=$dir/\L$name\E", 'print_stacktrace=1';
    }
}

sub leaks { $ENV{LSAN_OPTIONS} = 'detect_leaks=' . ($_[0] ? 1 : 0) }

sub without_leaks { return "LSAN_OPTIONS=detect_leaks=0 $_[0]" }


sub check {
    my ($name, $log) = @_;

    for my $file (grep { -s } glob "$dir/*") {
        open my $in, '<', $file or die "$file: $!\n";
        my $report = do { local $/; <$in> };

        open my $out, '>>', $log or die "$log: $!\n";
        print $out "\n=== $name\n$report";

        Test::More::fail("$name - report of a sanitizer or of valgrind");
        Test::More::diag($report);
    }

    unlink glob "$dir/*";
}


1;
