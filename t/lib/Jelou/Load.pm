package Jelou::Load;

# A client for many requests at once: one process, many connections.
#
#     my $socket = Jelou::Load::send_to(PORT, RAW);   # answered some day
#     my $answer = Jelou::Load::answer($socket);
#     my $answer = Jelou::Load::ask(PORT, RAW);       # both
#
#     Jelou::Load::run(
#         port        => PORT,         # or several, [PORT, ...], in turn
#         connections => 64,
#         next        => sub { ... },  # a request, { raw => ..., ... };
#                                      # undef: no more
#         done        => sub { my ($request, $answer) = @_; ... },
#         tick        => sub { ... },  # now and then
#         seconds     => 30,           # dies if it takes longer
#         retry       => 1,            # a request again that a connection was
#                                      # closed on before it was answered
#     );
#
# An answer is { status, head, body, seconds }, or undef: the connection ended
# before the answer did.

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);


sub connect_to {
    my $port = shift;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $port, Proto => 'tcp')
        or die "port $port: $!\n";

    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;

    return $socket;
}


sub send_to {
    my ($port, $raw) = @_;

    my $socket = connect_to($port);

    send_all($socket, $raw);

    return $socket;
}

# The other end may have closed already: then there will be no answer.

sub send_all {
    my ($socket, $raw) = @_;

    local $SIG{PIPE} = 'IGNORE';

    for (my $at = 0; $at < length $raw; ) {
        my $n = syswrite $socket, $raw, length($raw) - $at, $at;
        return if !defined $n;
        $at += $n;
    }
}


sub answer {
    my ($socket, $seconds) = @_;

    my $buf   = '';
    my $until = time + ($seconds // 15);

    while (1) {
        my $answer = parse(\$buf);
        return $answer if $answer;

        my $r = '';
        vec($r, fileno $socket, 1) = 1;

        my $wait = $until - time;
        die "no answer in time\n" if $wait <= 0 || !select $r, undef, undef, $wait;

        return undef if !sysread $socket, $buf, 65536, length $buf;
    }
}

sub ask {
    my ($port, $raw) = @_;

    return answer(send_to($port, $raw));
}


# parse(\BUFFER): takes one whole answer from it

sub parse {
    my $buf = shift;

    my $end = index $$buf, "\r\n\r\n";
    return if $end < 0;

    my $head = substr $$buf, 0, $end + 2;
    my ($status) = $head =~ m{^HTTP/1\.1 (\d+)} or die "not HTTP: $head\n";
    my $length = $head =~ /^Content-Length: (\d+)\r$/mi ? $1
               : $status == 204 ? 0 : die "no length: $head\n";

    return if length $$buf < $end + 4 + $length;

    my $body = substr $$buf, $end + 4, $length;
    substr $$buf, 0, $end + 4 + $length, '';

    return { status => $status, head => $head, body => $body };
}


sub run {
    my %o = (connections => 1, seconds => 30, done => sub { }, tick => sub { },
             @_);

    my $until = time + $o{seconds};
    my @ports = ref $o{port} ? @{ $o{port} } : $o{port};
    my (%client, @again, $over);

    my $vec = '';

    my $begin = sub {
        my $c = shift // {};

        my $request = shift @again // ($over ? undef : $o{next}->());

        if (!defined $request) {
            $over = 1;
            return;
        }

        if (!$c->{socket}) {
            push @ports, shift @ports;
            $c->{socket} = connect_to($ports[-1]);
        }

        $c->{request} = $request;
        $c->{buf} = '';
        $c->{began} = time;

        my $n = fileno $c->{socket};

        $client{$n} = $c;
        vec($vec, $n, 1) = 1;

        send_all($c->{socket}, $request->{raw});
    };

    my $end = sub {
        my ($c, $answer) = @_;

        my $n = fileno $c->{socket};

        delete $client{$n};
        vec($vec, $n, 1) = 0;

        if (!$answer || $answer->{head} =~ /^Connection: close\r$/mi) {
            close delete $c->{socket};
        }

        if (!$answer && $o{retry} && $c->{buf} eq '') {
            push @again, $c->{request};

        } else {
            $answer->{seconds} = time - $c->{began} if $answer;
            $o{done}->($c->{request}, $answer);
        }

        $begin->($c);
    };

    $begin->() for 1 .. $o{connections};

    while (%client) {
        die "the load takes too long\n" if time > $until;

        my $r = $vec;
        my $found = select $r, undef, undef, 0.05;

        $o{tick}->();

        next if $found <= 0;

        for my $n (keys %client) {
            next unless vec $r, $n, 1;

            my $c = $client{$n} or next;
            my $got = sysread $c->{socket}, $c->{buf}, 65536, length $c->{buf};

            my $answer = $got ? parse(\$c->{buf}) : undef;

            $end->($c, $answer) if $answer || !$got;
        }
    }

    return;
}


1;
