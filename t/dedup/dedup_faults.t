# Messages that meet, deliveries that fail in every way, a zone that is full:
# what has not been delivered is delivered when it is sent again.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Preload;
use Jelou::Server;
use Jelou::Upstream;
use Time::HiRes qw(sleep time);

my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});
my $preload  = Jelou::Preload->new;

my $port = $Jelou::Port{SERVER};

# Each connection is some worker's, which says so: X-Pid.

sub config {
    my $zone = shift;

    return <<"END";
jelou_dedup_zone  zone=seen:$zone;

upstream app {
    server 127.0.0.1:$Jelou::Port{APP};
}

server {
    listen 127.0.0.1:$port;

    jelou_secret        "$Jelou::Secret";
    jelou_dedup         zone=seen;
    jelou_dedup_wait    0;
    add_header          X-Pid \$pid always;
    proxy_read_timeout  30s;

    # the default before nginx 1.29.7: a connection each, to an application that
    # comes and goes

    proxy_http_version  1.0;
    proxy_set_header    Connection close;

    location / {
        jelou_endpoint  incoming_message;
        proxy_pass      http://app;
    }
    location /short {
        jelou_endpoint      incoming_message;
        proxy_pass          http://app;
        proxy_read_timeout  300ms;
    }
    location /ignore {
        jelou_endpoint             incoming_message;
        proxy_pass                 http://app;
        proxy_ignore_client_abort  on;
    }
    location /upstream {
        jelou_endpoint  incoming_message;
        jelou_reply     upstream;
        proxy_pass      http://app;
    }
    location /unbuffered {
        jelou_endpoint   incoming_message;
        jelou_reply      upstream;
        proxy_buffering  off;
        proxy_pass       http://app;
    }
}
END
}

my $nginx = Jelou::Server->new(
    name  => 'front',
    main  => "worker_processes 2;\nworker_rlimit_nofile 4096;",
    http  => config('1m'),
    env   => $preload->env,
    allow => qr/worker process \d+ exited on signal 9/,
);

$nginx->start;


# A new event for each test, and another body for its id

my $count = 0;
my ($event, $other);

sub next_event {
    my $id = 'f-' . ++$count;

    ($event, $other) = map { event(id => qq("$id"), content => qq({"body":"$_"})) }
                       'Hello', 'Other';
}

# said(ANSWER): its status, and whether it is a replay; and it is the contract's.
# Nobody waits here for another try (dedup_wait.t does): "in flight".

sub said {
    my $answer = shift // return 'none';

    my ($status, $head, $body) = @$answer{qw(status head body)};

    if ($body =~ /"key":"DUPLICATE_IN_FLIGHT"/) {
        return Jelou::refusal_error($body, 500, 'DUPLICATE_IN_FLIGHT')
               || $status != 500 || $head !~ /^Retry-After: 1\r$/m
               ? 'in flight, malformed' : 'in flight';

    } elsif ($status != 200) {
        return "$status " . ($body =~ /"key":"(\w+)"/ ? $1 : 'malformed');
    }

    return $status
           . ($head =~ /^Idempotent-Replayed: true\r$/m ? ' replayed' : '');
}

sub ask {
    my ($body, $path) = @_;

    return said(Jelou::Load::ask($port, post($body, path => $path // '/')));
}

# start_of(BODY): its delivery has begun: the socket that waits for the answer

sub start_of {
    my ($body, $path) = @_;

    my $before = () = $upstream->requests(0);
    my $socket = Jelou::Load::send_to($port, post($body, path => $path // '/'));

    $nginx->wait_for('the upstream has it',
                     sub { $upstream->requests(0) > $before });

    return $socket;
}

# until_not(WHAT, SUB): what is said when it is not that any more

sub until_not {
    my ($not, $ask) = @_;

    my $said;

    $nginx->wait_for("not $not", sub { ($said = $ask->()) !~ /^$not/ }, 3);

    return $said;
}

sub arrived {
    my ($count, $name) = @_;

    my @got = $upstream->requests($count);

    is_deeply([map { $_->{body} } @got], [($event) x $count], $name);
}


# Every way to fail, and then again

my $half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";

for my $case (
    ['500', 500, '500 UPSTREAM_FAILED'],
    ['503', 503, '500 UPSTREAM_FAILED'],
    ['404', 404, '404 UPSTREAM_REJECTED'],
    ['409', 409, '409 UPSTREAM_REJECTED'],
    ['422', 422, '422 UPSTREAM_REJECTED'],
    ['301', "301\nLocation: http://127.0.0.1/", '500 UPSTREAM_FAILED'],
    ['refused', 'refuse', '500 UPSTREAM_FAILED'],
    ['closed before the answer', 'close', '500 UPSTREAM_FAILED'],
    ['reset before the answer', 'reset', '500 UPSTREAM_FAILED'],
    ['closed within the header', "HTTP/1.1 200 OK\r\nX: ", '500 UPSTREAM_FAILED'],
    ['closed half-way through the answer', $half, '500 UPSTREAM_FAILED'],
    ['not HTTP', "HTTP/x\r\n\r\n", '500 UPSTREAM_FAILED'],
    ['a time-out', 'hang', '500 UPSTREAM_FAILED', '/short'],
    ['late', 'delay 1', '500 UPSTREAM_FAILED', '/short'],
    ['500, with its answer passed on', 500, '500 UPSTREAM_FAILED', '/upstream'],
    ['404, with its answer passed on', 404, '404 UPSTREAM_REJECTED', '/upstream'],
) {
    my ($name, $answer, $want, $path) = @$case;

    next_event();
    $upstream->expect($answer, 200);

    # The connection stays open, and nginx with it: the answer alone ends the
    # flight.

    my $socket = Jelou::Load::send_to($port, post($event, path => $path // '/'));
    my $said   = Jelou::Load::answer($socket);
    my ($key)  = $said->{body} =~ /"key":"(\w+)"/;

    is("$said->{status} $key", $want, "$name: the first time");
    is(ask($event), '200', "$name: again, it is delivered");
    is(ask($event), '200 replayed', "$name: and only now it was");

    my $arrived = $answer eq 'refuse' ? 1 : 2;
    arrived($arrived, "$name: what the upstream got");
}

# What cannot be taken back, since the answer has begun, is not remembered.

for my $path ('/upstream', '/unbuffered') {
    next_event();
    $upstream->expect($half, "200\n\nyes");

    my $socket = Jelou::Load::send_to($port, post($event, path => $path));
    my $answer = Jelou::Load::answer($socket);

    is($answer, undef, "cut off, $path: no whole answer");
    is(ask($event, $path), '200', "cut off, $path: again, it is delivered");
    is(until_not('in flight', sub { ask($event, $path) }), '200 replayed',
       "cut off, $path: and only now it was");
    arrived(2, "cut off, $path: what the upstream got");

    # A 204 has no body to wait for.

    next_event();
    $upstream->expect(204);

    $answer = Jelou::Load::ask($port, post($event, path => $path));

    is($answer->{status}, 204, "204, $path: the first time");
    is(until_not('in flight', sub { ask($event, $path) }), '200 replayed',
       "204, $path: again");
    arrived(1, "204, $path: what the upstream got");
}


# Two at once

{
    next_event();
    $upstream->expect('delay 0.5', 200);

    my $first = start_of($event);

    is(ask($event), 'in flight', 'in flight, the same body');
    is(ask($other), '422 MESSAGE_ID_REUSED', 'in flight, another body');
    is(ask($event), 'in flight', 'in flight, the same body again');

    is(said(Jelou::Load::answer($first)), '200', 'and then it was a success');
    is(ask($event), '200 replayed', 'done, the same body');
    is(ask($other), '422 MESSAGE_ID_REUSED', 'done, another body');
    arrived(1, 'what the upstream got');

    # The flight fails: the next one is a flight of its own.

    next_event();
    $upstream->expect('delay 0.3 500', 200);

    $first = start_of($event);

    is(ask($event), 'in flight', 'in flight, before it fails');
    is(said(Jelou::Load::answer($first)), '500 UPSTREAM_FAILED', 'it fails');
    is(ask($other), '200', 'then another body has the id');
    is(ask($event), '422 MESSAGE_ID_REUSED', 'and the first one has not');
}


# The client goes away: the application runs to its end, once, and that counts.

for my $case (
    ['before the answer', '/'],
    ['before the answer, which passes', '/upstream'],
    ['before the answer, which passes unbuffered', '/unbuffered'],
) {
    my ($name, $path) = @$case;

    next_event();
    $upstream->expect("delay 0.5 200\n\nyes");

    my $socket = start_of($event, $path);

    is(ask($event, $path), 'in flight', "the client is there, $name: in flight");
    close $socket;
    sleep 0.1;

    is(ask($event, $path), 'in flight', "the client has gone, $name: still in flight");
    is(until_not('in flight', sub { ask($event, $path) }), '200 replayed',
       "the client has gone, $name: it was delivered");
    arrived(1, "the client has gone, $name: what the upstream got");
}

# Or it fails, and then it is delivered again.

for my $answer ('500', 'close', $half) {
    next_event();
    $upstream->expect("delay 0.4 $answer", 200);

    close start_of($event);
    sleep 0.1;

    is(ask($event), 'in flight', 'the client has gone: in flight, before it fails');
    is(until_not('in flight', sub { ask($event) }), '200',
       'the client has gone, and it fails: again, it is delivered');
    arrived(2, 'the client has gone, and it fails: what the upstream got');
}

# An answer that passes, and that the client does not take whole, is none.

{
    next_event();
    $upstream->expect("200\n\n" . 'x' x 10_000_000, "200\n\nyes");

    my $socket = start_of($event, '/unbuffered');

    is(ask($event), 'in flight', 'the client is there, within the answer');
    close $socket;

    is(until_not('in flight', sub { ask($event) }), '200',
       'the client has gone within the answer: again, it is delivered');
    is(ask($event), '200 replayed', 'the client has gone within the answer: it was');
    arrived(2, 'the client has gone within the answer: what the upstream got');
}

# That nginx may be told to go on without it makes no difference.

{
    next_event();
    $upstream->expect('delay 0.5', 200);

    close start_of($event, '/ignore');
    sleep 0.1;

    is(ask($event, '/ignore'), 'in flight', 'proxy_ignore_client_abort: in flight');
    is(until_not('in flight', sub { ask($event, '/ignore') }), '200 replayed',
       'proxy_ignore_client_abort: it was delivered');
    arrived(1, 'proxy_ignore_client_abort: what the upstream got');
}


# A worker is killed: only what it had in flight is free again.

{
    # a connection to each worker

    my %socket;

    for (1 .. 200) {
        my $socket = Jelou::Load::connect_to($port);

        Jelou::Load::send_all($socket, post('', keepalive => 1));
        my $answer = Jelou::Load::answer($socket);

        $socket{$1} //= $socket if $answer->{head} =~ /^X-Pid: (\d+)\r$/m;
        last if keys %socket == 2;
    }

    SKIP: {
        skip 'one worker had all connections', 1 if keys %socket < 2;

        my ($killed, $spared) = sort keys %socket;

        next_event();
        $upstream->expect(200, 'hang', 'hang', 200);

        my @events = map { event(id => qq("k-$_")) } 1 .. 3;

        is(ask($events[0]), '200', 'a worker is killed: something was done before');

        for ([$killed, $events[1]], [$spared, $events[2]]) {
            my ($pid, $body) = @$_;

            my $before = () = $upstream->requests(0);
            Jelou::Load::send_all($socket{$pid},
                                  post($body, path => '/', keepalive => 1));
            $nginx->wait_for('the upstream has it',
                             sub { $upstream->requests(0) > $before });
        }

        is(ask($events[1]), 'in flight', 'a worker is killed: in flight before');

        kill KILL => $killed;
        $nginx->wait_for('a new worker', sub {
            my @now = $nginx->workers;
            @now == 2 && !grep { $_ == $killed } @now
        });

        is(ask($events[1]), '200', 'a worker is killed: it is delivered again');
        is(ask($events[1]), '200 replayed', 'a worker is killed: it was');
        is(ask($events[0]), '200 replayed',
           'a worker is killed: what was done stays done');
        is(ask($events[2]), 'in flight',
           'a worker is killed: the other one has its own in flight');

        is_deeply([map { $_->{body} } $upstream->requests(4)],
                  [@events, $events[1]],
                  'a worker is killed: what the upstream got');

        $upstream->hang_up;
        is(Jelou::Load::answer($socket{$spared})->{status}, 500,
           'a worker is killed: the other one goes on');
    }
}


# A reload: who is in flight lands, and what was done stays so.

{
    next_event();
    $upstream->expect('delay 1', 200);

    my $first = start_of($event);
    my @old   = $nginx->reload(0);

    $nginx->wait_for('new workers', sub {
        my %old = map { $_ => 1 } @old;
        2 == grep { !$old{$_} } $nginx->workers;
    });

    is(ask($event), 'in flight', 'a reload: in flight in an old worker');
    is(said(Jelou::Load::answer($first)), '200', 'a reload: the old worker ends it');
    close $first;
    is(ask($event), '200 replayed', 'a reload: it was');
    arrived(1, 'a reload: what the upstream got');

    # with another ttl, too

    $nginx->write(http => config('1m ttl=1h'));
    $nginx->reload;
    is(ask($event), '200 replayed', 'a reload with another ttl: it was');

    # but a zone of another size is another zone

    $nginx->write(http => config('2m'));
    $nginx->reload;
    is(ask($event), '200', 'a reload with another size: nothing is known');
}

# A restart knows nothing.

{
    is(ask($event), '200 replayed', 'before a restart');
    $nginx->stop;
    $nginx->start;
    is(ask($event), '200', 'after a restart');
}


# Time.  The clock is nginx's: seconds that it is fast.

{
    $nginx->stop;
    $nginx->write(http => config('1m'));     # the default ttl, 24h
    $nginx->start;

    next_event();
    $upstream->expect(200);

    my $hour = 3600;

    is(ask($event), '200', '24h: the first time');
    $preload->fast(24 * $hour - 10);
    is(ask($event), '200 replayed', '24h: ten seconds before their end');
    is(ask($other), '422 MESSAGE_ID_REUSED', '24h: another body');
    $preload->fast(24 * $hour + 10);
    is(ask($other), '200', '24h: ten seconds after their end, another body');
    $preload->fast(48 * $hour);
    is(ask($other), '200 replayed', '24h: they begin with the last delivery');

    # other times

    for my $case (['3s', 0, 4], ['90', 80, 91], ['2m', 110, 121],
                  ['1h30m', 5390, 5401], ['365d', 364 * 24 * $hour, 366 * 24 * $hour])
    {
        my ($ttl, $within, $after) = @$case;

        $preload->fast(0);
        $nginx->write(http => config("1m ttl=$ttl"));
        $nginx->reload;

        next_event();
        is(ask($event), '200', "ttl=$ttl: the first time");
        $preload->fast($within);
        is(ask($event), '200 replayed', "ttl=$ttl: within it");

        $preload->fast($after);
        is(ask($event), '200', "ttl=$ttl: after it");
    }

    $preload->fast(0);
    $nginx->stop;
    $nginx->write(http => config('1m'));
    $nginx->start;

    # An entry in flight that nobody ends is free after ten minutes.  That its
    # own end comes later harms nobody.

    next_event();
    $upstream->expect('delay 3', 200);
    $preload->fast(50 * $hour);

    my $first = start_of($event);

    $preload->fast(50 * $hour + 590);
    is(ask($event), 'in flight', '590 s: in flight');
    $preload->fast(50 * $hour + 601);
    is(ask($event), '200', '601 s: it is delivered again');
    is(ask($event), '200 replayed', '601 s: it was');
    is(said(Jelou::Load::answer($first)), '200', '601 s: the first one ends');
    is(ask($event), '200 replayed', '601 s: and it still was');
    arrived(2, '601 s: what the upstream got');

    # the late end of a flight is not that of the next one, either

    next_event();
    $upstream->expect('delay 1', 'hang', 200);

    $first = start_of($event);
    $preload->fast(50 * $hour + 1202);
    my $second = start_of($event);
    is(said(Jelou::Load::answer($first)), '200', 'a late end');
    is(ask($event), 'in flight', 'a late end: the second one is in flight');
    $upstream->hang_up;
    is(said(Jelou::Load::answer($second)), '500 UPSTREAM_FAILED',
       'a late end: the second one fails');
    is(ask($event), '200', 'a late end: and is delivered again');
    $preload->fast(0);
}


# A zone of the least size

{
    $nginx->stop;
    $nginx->write(main => "worker_processes 1;\nworker_rlimit_nofile 4096;",
                  http => config('32k'));
    $nginx->start;
    $upstream->expect(200);

    my $number = 0;
    my $new    = sub { event(id => '"z-' . ++$number . '"') };

    # how many are remembered, from the latest back

    my @done = map { $new->() } 1 .. 400;
    my @wrong = grep { $_ ne '200' } map { ask($_) } @done;

    is("@wrong", '', 'full: each of 400 is delivered');

    my $room = 0;
    $room++ while $room < 400 && ask($done[-1 - $room]) eq '200 replayed';

    cmp_ok($room, '>=', 100, "full: $room are remembered");
    cmp_ok($room, '<', 400, 'full: and not all');

    # The look for one too many has put that one there, as the latest: the
    # oldest is now the last but one that was found.

    my @known = ((reverse map { $done[-1 - $_] } 0 .. $room - 2),
                 $done[-1 - $room]);

    # In flight: each takes the place of the oldest that is done.

    my (@flying, @sockets);

    $upstream->expect('hang');

    for my $n (1 .. $room) {
        push @flying, $new->();
        push @sockets, start_of($flying[-1]);

        shift @known;

        # none but the oldest has gone: they are asked from the latest on, for
        # one that is not found takes another one's place

        if ($n % 40 == 0) {
            my @lost = grep { ask($_) ne '200 replayed' } reverse @known;

            is(scalar @lost, 0, "full: $n in flight, and the latest "
                                . @known . ' done are known');
        }
    }

    is(scalar @known, 0, 'full: nothing but what is in flight');

    my $logged = () = $nginx->log =~ /zone "seen" is full of messages in flight/g;
    is($logged, 0, 'full: nothing is logged before there is no room');

    # No room: 500, and it is logged, but not each time.

    my $began = time;
    my @said  = map { ask($new->()) } 1 .. 200;
    my $took  = time - $began;

    is(scalar(grep { $_ ne '500 INTERNAL_ERROR' } @said), 0,
       'full of those in flight: 500');

    my @lines = grep { /jelou/ } split /\n/, $nginx->log;
    my @full  = grep { /\[error\] .* jelou: the zone "seen" is full of messages in flight, client: /
                     } @lines;

    cmp_ok(scalar @full, '>=', 1, 'full of those in flight: it is logged');
    cmp_ok(scalar @full, '<=', 2 + int $took,
           'full of those in flight: a line a second at most');
    is(scalar(grep { /INTERNAL_ERROR/ } @lines), 0,
       'full of those in flight: and no other line');
    is(scalar($upstream->requests(0)), $room,
       'full of those in flight: nothing is forwarded');

    # None of them has lost its place.

    my @lost = grep { ask($_) ne 'in flight' } @flying;
    is(scalar @lost, 0, 'full of those in flight: each is known');

    # One ends, and there is room for one.

    $upstream->expect(200);

    $upstream->hang_up(1);
    is(said(Jelou::Load::answer(shift @sockets)), '500 UPSTREAM_FAILED',
       'one less in flight: it failed');
    is(ask($new->()), '200', 'one less in flight: room');
    is(ask($flying[0]), '200', 'one less in flight: it is delivered again');
    is(ask($flying[1]), 'in flight', 'one less in flight: the others are there');

    # A done one gives way to the next, and then there is no room again.

    is(ask($new->()), '200', 'one less in flight: the one that is done goes');

    # All end.

    $upstream->hang_up;
    is(scalar(grep { said(Jelou::Load::answer($_)) eq '500 UPSTREAM_FAILED' } @sockets),
       scalar @sockets, 'all fail');
    is(ask($flying[-1]), '200', 'all have failed: room');

    @wrong = grep { $_ ne '200' } map { ask($_) } map { $new->() } 1 .. 400;
    is("@wrong", '', 'all have failed: as in the beginning');

    # Full of those that have been in flight for more than ten minutes: the two
    # oldest give their places up.

    $upstream->expect('hang');

    @flying  = map { $new->() } 1 .. $room;
    @sockets = map { start_of($_) } @flying;

    $upstream->expect(200);

    is(ask($new->()), '500 INTERNAL_ERROR', 'full again: 500');
    $preload->fast(601);
    is(ask($new->()), '200', '601 s later: room');
    $preload->fast(0);
    is(ask($flying[2]), 'in flight', '601 s later: but not the place of the third');
    is(ask($flying[$_]), '200', '601 s later: two have given their places up')
        for 0, 1;

    $upstream->hang_up;
    Jelou::Load::answer($_) for @sockets;
}

$nginx->stop;
$upstream->stop;
