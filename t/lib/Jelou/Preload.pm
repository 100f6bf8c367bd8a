package Jelou::Preload;

# preload.c, compiled, for an nginx of a Jelou::Server:
#
#     my $preload = Jelou::Preload->new;
#     my $nginx   = Jelou::Server->start(env => $preload->env, ...);
#
#     $preload->fast(600);        # nginx's clock is ten minutes fast from now on
#
#     env => $preload->env(JELOU_OLD_OPENSSL => 1)   # see preload.c
#
#     $preload->forget;
#     ...
#     my ($macs, $bytes, $compares) = $preload->counted;

use strict;
use warnings;

use File::Basename qw(dirname);

sub new {
    my $class = shift;

    my $self = bless { so   => "$Jelou::Dir/$Jelou::Name.preload.so",
                       file => "$Jelou::Dir/$Jelou::Name.preload" }, $class;

    my $source = dirname(__FILE__) . '/preload.c';

    system(qw(gcc -O2 -Wall -Werror -shared -fPIC -o), $self->{so}, $source,
           '-ldl') == 0 or die "gcc: $?\n";

    $self->put(0, 0, 0, 0);

    return $self;
}

# A sanitizer's runtime must stay the first.

sub env {
    my ($self, @more) = @_;

    return { @more, JELOU_PRELOAD => $self->{file},
             LD_PRELOAD    => join ' ', $ENV{LD_PRELOAD} // (), $self->{so} };
}

sub fast {
    my ($self, $seconds) = @_;

    my (undef, @counted) = $self->get;

    $self->put($seconds, @counted);
}

sub forget {
    my $self = shift;

    my ($seconds) = $self->get;

    $self->put($seconds, 0, 0, 0);
}

sub counted {
    my $self = shift;

    my (undef, @counted) = $self->get;

    return @counted;
}

sub get {
    my $self = shift;

    open my $in, '<:raw', $self->{file} or die "$self->{file}: $!\n";
    read $in, my $data, 32;

    return unpack 'q4', $data;
}

# The file stays the same one, for it is mapped.

sub put {
    my ($self, @values) = @_;

    open my $out, -e $self->{file} ? '+<:raw' : '>:raw', $self->{file}
        or die "$self->{file}: $!\n";
    print $out pack 'q4', @values;
    close $out or die "$self->{file}: $!\n";
}


1;
