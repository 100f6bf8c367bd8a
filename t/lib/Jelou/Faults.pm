package Jelou::Faults;

# faults.c, compiled, for an nginx of a Jelou::Server, in which calls fail:
#
#     my $why = Jelou::Faults->unusable;
#     plan $why ? (skip_all => $why) : 'no_plan';
#
#     my $faults = Jelou::Faults->new;
#     my $nginx  = Jelou::Server->start(env => $faults->env, ...);
#
#     $faults->fail($pid, 'module', 3);      # the third call of the worker's
#     $faults->fail($pid, 'memory', 3, 100)  # ... and the 99 behind it
#     my $result = $faults->seen;            # of { seen, failed, name, ... }
#     $faults->none($pid);                   # only counts what is allocated
#
# Kinds are memory, module, crypto, system, conf and pages, or several, separated
# by blanks.
# Most is named in faults.c.

use strict;
use warnings;

use File::Basename qw(dirname);
use Time::HiRes qw(sleep time);

my %kinds  = (memory => 1, module => 2, crypto => 4, system => 8, conf => 16,
              pages => 32);
my @fields = qw(pid kinds first times seen failed live redirected);
my $size   = 8 * @fields + 32;


# unusable(): why these tests cannot be run with this nginx, or undef

sub unusable {
    my $class = shift;

    return 'this nginx is started by a program' if $class->wrapped;
    return 'a sanitizer has taken the place of the C library\'s functions'
        if binary() =~ /__[a-z]+san_init/;
    return 'the module is in nginx\'s binary'
        if !$ENV{TEST_NGINX_LOAD_MODULES};
    return undef;
}

# wrapped(): whether what starts nginx is not nginx itself

sub wrapped { return binary() !~ /^\x7fELF/ }

sub binary {
    my $nginx = $ENV{TEST_NGINX_BINARY};

    open my $in, '<:raw', $nginx or die "$nginx: $!\n";
    local $/;
    return scalar <$in>;
}


sub new {
    my $class = shift;

    my $self = bless { so   => "$Jelou::Dir/$Jelou::Name.faults.so",
                       file => "$Jelou::Dir/$Jelou::Name.faults" }, $class;

    my $source = dirname(__FILE__) . '/faults.c';

    system(qw(gcc -O2 -Wall -Werror -shared -fPIC -o), $self->{so}, $source,
           '-ldl') == 0 or die "gcc: $?\n";

    open my $out, '>:raw', $self->{file} or die "$self->{file}: $!\n";
    print $out "\0" x $size;
    close $out or die "$self->{file}: $!\n";

    return $self;
}

sub env {
    my $self = shift;

    return { JELOU_FAULTS => $self->{file}, LD_PRELOAD => $self->{so} };
}


sub fail {
    my ($self, $pid, $kinds, $first, $times) = @_;

    my $mask = 0;
    $mask |= $kinds{$_} // die "no such kind: $_\n" for split ' ', $kinds;

    # the file stays the same one, for it is mapped; what the worker counts all
    # the time, live and redirected, is its own

    open my $out, '+<:raw', $self->{file} or die "$self->{file}: $!\n";
    print $out pack 'q6', $pid, $mask, $first, $times // 1, 0, 0;
    seek $out, 8 * @fields, 0;
    print $out "\0" x 32;
    close $out or die "$self->{file}: $!\n";
}

sub none {
    my ($self, $pid) = @_;

    $self->fail($pid, '', 0);
}


sub seen {
    my $self = shift;

    open my $in, '<:raw', $self->{file} or die "$self->{file}: $!\n";
    read($in, my $data, $size) == $size or die "$self->{file}: too short\n";

    my %result;
    @result{@fields, 'name'} = unpack 'q8 Z32', $data;

    return \%result;
}

# left(FAULTS, PID): how many blocks of memory and files there are, when it does
# not change any more: "12 blocks, 9 files".  Blocks are counted from the first
# fail() or none() on; without FAULTS, files alone.

sub left {
    my ($self, $pid) = @_;

    my ($left, $same, $until) = ('', 0, time + 1);

    while ($same < 3 && time < $until) {
        my @files = glob "/proc/$pid/fd/*";
        my $now   = ($self ? $self->seen->{live} . ' blocks, ' : '')
                    . @files . ' files';

        $same = $now eq $left ? $same + 1 : 0;
        $left = $now;
        sleep 0.001;
    }

    return $left;
}

# left_more(FAULTS, PID, BEFORE): what is left, if it is more than it was before,
# at once and for three seconds; '' if it is not

sub left_more {
    my ($self, $pid, $before) = @_;

    my $until = time + 3;

    while (1) {
        my $now = left($self, $pid);

        return '' if !more($now, $before);
        return "$now, and $before before" if time > $until;
    }
}

# more(NOW, BEFORE): whether one number is larger

sub more {
    my @now    = $_[0] =~ /(-?\d+)/g;
    my @before = $_[1] =~ /(-?\d+)/g;

    return scalar grep { $now[$_] > $before[$_] } 0 .. $#now;
}


1;
