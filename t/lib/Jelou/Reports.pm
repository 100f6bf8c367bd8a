package Jelou::Reports;

# What a sanitizer or valgrind has to say of an nginx: each process writes it
# to a file of its own, also one that "nginx -t" or must_die started, whose
# error log nobody reads.
#
#     Jelou::Reports::collect(DIRECTORY);     # for all that is started from now on
#     Jelou::Reports::check(NAME, LOG);       # fails for each one, and adds it
#                                             # to this error log
#
#     my @lines = Jelou::Reports::alerts(TEXT, ALLOWED);  # of an error log
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

    # AddressSanitizer reads LSAN_OPTIONS as well, and Test::Nginx would change
    # ASAN_OPTIONS for each block.

    $ENV{LSAN_OPTIONS}  = "log_path=$dir/asan";
    $ENV{UBSAN_OPTIONS} = "log_path=$dir/ubsan:print_stacktrace=1";
}

sub leaks {
    $ENV{LSAN_OPTIONS} = "log_path=$dir/asan:detect_leaks=" . ($_[0] ? 1 : 0);
}

sub without_leaks {
    return "LSAN_OPTIONS=log_path=$dir/asan:detect_leaks=0 $_[0]";
}


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


# The alerts and emergencies in a log, but for those that a pattern allows.  Nor is
# it nginx's fault that valgrind keeps the limit of files to itself.

sub alerts {
    my ($text, $allowed) = @_;

    my $valgrind = ($ENV{TEST_NGINX_BINARY} // '') =~ /valgrind-nginx$/
                   ? qr/setrlimit\(RLIMIT_NOFILE, \d+\) failed/ : qr/(?!)/;

    return grep { /\[(?:alert|emerg)\]/ && $_ !~ $valgrind
                  && (!$allowed || $_ !~ $allowed) } split /\n/, $text;
}


1;
