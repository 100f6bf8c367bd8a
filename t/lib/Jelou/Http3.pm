package Jelou::Http3;

# http3.c, compiled: a client of HTTP/3.
#
#     my $why = Jelou::Http3->unusable;
#     plan $why ? (skip_all => $why) : 'no_plan';
#
#     my $client = Jelou::Http3->new;
#     my $listen = $client->listen($port);    # the directives for it
#     my $answer = $client->ask($port, $raw, $seconds);
#
# What is asked is a request of HTTP/1.  An answer is { heads, body, end }: all
# headers as HTTP/1 has them, that of a 103 as well; end is "end", or "reset CODE", or
# "none REASON".  The connection is there as long as the answer is.
#
# It takes libngtcp2-dev, libngtcp2-crypto-gnutls-dev and libnghttp3-dev, and
# libgnutls28-dev, which are in Debian 12 and 13.

use strict;
use warnings;

use File::Basename qw(dirname);
use IPC::Open2 qw(open2);
use Jelou ();


# unusable(): why there is no HTTP/3, or undef

sub unusable {
    return `$ENV{TEST_NGINX_BINARY} -V 2>&1` =~ /--with-http_v3_module/
           ? undef : 'this nginx has no HTTP/3';
}


sub new {
    my $class = shift;

    my $self = bless { client => "$Jelou::Dir/$Jelou::Name.http3",
                       pem    => "$Jelou::Dir/$Jelou::Name.http3.pem" }, $class;

    my $source = dirname(__FILE__) . '/http3.c';

    system(qw(gcc -O2 -Wall -Wextra -Werror -o), $self->{client}, $source,
           qw(-lngtcp2_crypto_gnutls -lngtcp2 -lnghttp3 -lgnutls)) == 0
        or die "gcc: $?\n";

    system('openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
           . " -days 2 -subj /CN=localhost -keyout - >$self->{pem} 2>/dev/null")
        == 0 or die "openssl: $?\n";

    return $self;
}

sub listen {
    my ($self, $port) = @_;

    return "listen 127.0.0.1:$port quic;"
           . " ssl_certificate $self->{pem}; ssl_certificate_key $self->{pem};";
}


sub ask {
    my ($self, $port, $raw, $seconds) = @_;

    my $pid = open2(my $out, my $in, $self->{client}, $port, $seconds // 10);

    local $SIG{PIPE} = 'IGNORE';

    binmode $_ for $in, $out;
    syswrite $in, length($raw) . "\n$raw";

    my $answer = bless { pid => $pid, in => $in, heads => [], body => '' },
                       'Jelou::Http3::Answer';

    while (my $line = <$out>) {
        my ($what, $more) = $line =~ /^(\w+) ?(.*)\n/;

        if ($what !~ /^(?:head|data)$/) {
            $answer->{end} = $line =~ s/\n//r;
            return $answer;
        }

        read $out, my $bytes, $more if $more;

        push @{ $answer->{heads} }, $bytes if $what eq 'head';
        $answer->{body} .= $bytes if $what eq 'data' && $more;
    }

    $answer->{end} = 'none the client has ended';

    return $answer;
}


package Jelou::Http3::Answer;

sub DESTROY {
    my $self = shift;

    local $?;

    close $self->{in};
    waitpid $self->{pid}, 0;

    return;
}


1;
