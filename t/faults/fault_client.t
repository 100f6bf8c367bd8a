# Clients that go away after each byte of a request, send it byte by byte, or
# stall: nothing of what is not whole gets to the upstream, nothing stays in
# flight or open, and the whole event is delivered when it is sent again.

use strict;
use warnings;

use lib 't/lib';

use Jelou 'no_plan';
use Jelou::Faults;
use Jelou::Load;
use Jelou::Messages;
use Jelou::Server;
use Jelou::Upstream;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

my $port     = $Jelou::Port{SERVER};
my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});

# Where it can be, what is allocated is counted.

my $faults = Jelou::Faults->unusable ? undef : Jelou::Faults->new;

my %dedup = map { $_ => 'jelou_dedup zone=seen;' } @Jelou::Messages::Endpoints;

$dedup{bot_message} = 'jelou_dedup zone=seen key=$http_idempotency_key;';

sub locations {
    my ($how, $more) = @_;

    return join '', map {
        my $endpoint = $_ =~ s/conversation/message/r;
        my $secret = /room|bot/ ? '' : qq(jelou_secret "$Jelou::Secret";);

        <<"END";
    location /$how/$_ {
        jelou_endpoint  $endpoint;
        $secret
        $dedup{$_}
        $more
        proxy_pass      http://app;
    }
END
    } @Jelou::Messages::Endpoints;
}

my $locations = locations('memory', '')
              . locations('file', 'client_body_buffer_size 100;')
              . locations('slow', 'client_body_timeout 600ms;');

my $nginx = Jelou::Server->start(
    name => 'front', level => 'error', env => $faults ? $faults->env : {},
    http => <<"END");
jelou_dedup_zone  zone=seen:1m;

upstream app {
    server  127.0.0.1:$Jelou::Port{APP} max_fails=0;
}

server {
    listen  127.0.0.1:$port;

    client_header_timeout  2s;
    proxy_http_version     1.0;

$locations
}
END

my ($worker) = $nginx->workers;

$faults->none($worker) if $faults;

sub left      { return Jelou::Faults::left($faults, $worker) }
sub left_more { return Jelou::Faults::left_more($faults, $worker, @_) }

my $number = 0;

# once(RAW, NAME): the whole request is delivered, once, and all others were not

sub once {
    my ($raw, $want, $name) = @_;

    my $said = verdict(ask($port, $raw));

    is($said, $want, "$name: then the whole request");

    my @arrived = map { number($_->{body}) } $upstream->requests(1);

    is("@arrived", "$number", "$name: the upstream got this one alone");
    is(verdict(ask($port, $raw)), '200 replayed', "$name: it was delivered");
}


# After each byte, by the connection's end or its reset.  What went before has
# been seen when a later connection has been answered, for there is one worker.

sub cut {
    my ($raw, $at, $reset) = @_;

    my $socket = Jelou::Load::connect_to($port);

    Jelou::Load::send_all($socket, substr $raw, 0, $at);
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $reset;
    close $socket;
}

for my $endpoint (@Jelou::Messages::Endpoints) {
    for my $how ('memory', 'file') {
        my $name = "$endpoint, the body in $how";
        my $raw  = request($endpoint, ++$number, "/$how/$endpoint",
                           $how eq 'file' ? (chunked => 60) : ());

        # what a first request keeps for good

        my $first = request($endpoint, ++$number, "/$how/$endpoint");
        is(verdict(ask($port, $first)), 200, "$name: a first one");

        $upstream->expect(200);
        $number--;

        my $left = left();

        cut($raw, $_, $_ % 2) for 0 .. length($raw) - 1;

        is(left_more($left), '',
           "$name: nothing is left of " . length($raw) . ' pieces');
        is(scalar($upstream->requests(0)), 0, "$name: nothing was delivered");
        once($raw, 200, $name);
        $number++;
    }
}


# Gone when all was sent: seen or not, it is delivered when it is sent again, and is
# delivered once.

for my $reset (0, 1) {
    for my $endpoint (@Jelou::Messages::Endpoints) {
        my $name = "$endpoint, gone behind the last byte" . ($reset ? ', reset' : '');
        my $raw  = request($endpoint, ++$number, "/memory/$endpoint");

        $upstream->expect(200);

        cut($raw, length $raw, $reset);

        like(verdict(ask($port, $raw)), qr/^200/, "$name: then again");

        my @arrived = map { number($_->{body}) } $upstream->requests(1);

        is("@arrived", $number, "$name: it is delivered, once");
    }
}


# Byte by byte

for my $endpoint (@Jelou::Messages::Endpoints) {
    for my $how ('memory', 'file') {
        my $name = "$endpoint, byte by byte, the body in $how";
        my $raw  = request($endpoint, ++$number, "/$how/$endpoint",
                           $how eq 'file' ? (chunked => 60) : ());

        $upstream->expect(200);

        my $socket = Jelou::Load::connect_to($port);

        for my $byte (split //, $raw) {
            syswrite $socket, $byte;
            select undef, undef, undef, 0.0001;
        }

        is(verdict(read_all($socket)), 200, $name);

        my @arrived = $upstream->requests(1);
        is(join(' ', map { number($_->{body}) } @arrived), $number,
           "$name: the upstream got it");
        my ($length) = $arrived[0]{head} =~ /^Content-Length: (\d+)\r$/m;
        is($length, length $arrived[0]{body}, "$name: with its length");
    }
}


# Stalled: nginx gives up, says nothing, and has forgotten it.  The places are
# a part of the whole request.

for my $endpoint (@Jelou::Messages::Endpoints) {
    my $raw  = request($endpoint, ++$number, "/slow/$endpoint");
    my $body = index($raw, "\r\n\r\n") + 4;
    my $left = left();

    $upstream->expect(200);

    my @stalled = map { Jelou::Load::send_to($port, substr $raw, 0, $_) }
                  4, $body - 40, $body, $body + 1, length($raw) - 1;
    my $began = time;

    is(join('|', map { read_all($_, 5) } @stalled), '||||',
       "$endpoint: a client that stalls is not answered");
    cmp_ok(time - $began, '>=', 0.55, "$endpoint: it has its time");
    cmp_ok(time - $began, '<', 4, "$endpoint: and not more");

    close $_ for @stalled;
    is(left_more($left), '', "$endpoint: nothing is left of it");
    once($raw, 200, "$endpoint, after a client that stalls");
}

# but it may take its time

{
    local $SIG{PIPE} = 'IGNORE';

    my $raw    = request('message', ++$number, '/slow/message');
    my $socket = Jelou::Load::connect_to($port);
    my $size   = 1 + int length($raw) / 8;

    $upstream->expect(200);

    for my $piece (pieces($raw, $size)) {
        syswrite $socket, $piece;
        sleep 0.1;
    }

    is(verdict(read_all($socket)), 200, 'a slow client is served');
}


is_deeply([$nginx->workers], [$worker], 'the worker goes on');

$nginx->stop;
$upstream->stop;
