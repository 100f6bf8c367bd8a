# What a worker keeps for the next body has nothing of the last one: the text of a
# large message is in its memory while it is forwarded, and not afterwards.

use strict;
use warnings;

use lib 't/lib';

use IO::Socket::INET;
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Messages;
use Jelou::Server;
use Test::More;
use Time::HiRes qw(sleep);

my ($port, $app) = @Jelou::Port{qw(SERVER APP)};

# The application is slow: it answers when this test says so.

my $listen = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$app",
                                   Listen => 8, ReuseAddr => 1)
    or die "port $app: $!";

# nginx itself reads the body in pieces of 8 KB, one over the other, into a file,
# and writes the event from the module's memory.

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
server {
    listen  127.0.0.1:$port;

    client_max_body_size     4m;
    client_body_buffer_size  8k;
    lingering_close          off;

    location / {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        proxy_pass      http://127.0.0.1:$app;
    }
}
END

my ($worker) = $nginx->workers;

# The text stands in the middle, where no buffer of nginx's own has it at the end.

sub text { return "a-personal-text-" . ('of-' x 10) . shift }

sub message {
    my $filler = 'x' x 400_000;

    # an escape: the parser decodes a copy

    return event(content => '{"body":"\\n' . $filler . text(shift) . $filler
                 . '"}');
}


# holds(TEXT): how often the worker's writable memory has it, or undef if that
# cannot be read

sub holds {
    my $what = shift;

    no warnings 'portable';

    my $found = 0;

    open my $maps, '<', "/proc/$worker/maps" or return;
    open my $mem, '<:raw', "/proc/$worker/mem" or return;

    for (<$maps>) {
        my ($from, $to) = map { hex } /^([0-9a-f]+)-([0-9a-f]+) rw.. / or next;

        next if $to - $from > 2 ** 32;      # a sanitizer's own

        sysseek $mem, $from, 0 or next;
        sysread($mem, my $bytes, $to - $from) or next;

        $found++ while $bytes =~ /\Q$what\E/g;
    }

    return $found;
}


# Reads a request from the application's side, to its end.

sub take {
    my $client = $listen->accept or die "accept: $!";
    my $all = '';

    local $SIG{ALRM} = sub { die "no request\n" };
    alarm 30;

    while (1) {
        my ($length) = $all =~ /^Content-Length: (\d+)/mi;
        my $end = index $all, "\r\n\r\n";

        last if defined $length && $end >= 0 && length $all >= $end + 4 + $length;
        sysread $client, $all, 65536, length $all or last;
    }

    alarm 0;

    return ($client, $all);
}

SKIP: {
    skip 'the memory of a worker cannot be read', 12 if !defined holds('x');

    for my $n (1 .. 3) {
        my $socket = Jelou::Load::send_to($port, post(message($n)));
        my ($client, $got) = take();

        like($got, qr/\Q${\ text($n)}\E/, "message $n is forwarded");
        cmp_ok(holds(text($n)), '>', 0,
               "message $n: the worker has it while it is forwarded");

        syswrite $client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                          . "Connection: close\r\n\r\n";
        close $client;

        is(verdict(read_all($socket)), 200, "message $n is accepted");

        # A moment for the end of the request: blocks that no body has used for
        # a second are given back, which is not what this is about.

        sleep 0.1;
        is(holds(text($n)), 0, "message $n: afterwards it has it nowhere");
    }
}

$nginx->stop;
