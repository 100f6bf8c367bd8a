# jelou_dedup_wait: a repetition that comes while the first try is in progress
# has the answer of the first, and a sender that gives up does not make the
# application run again.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Faults;
use Jelou::Http2;
use Jelou::Load;
use Jelou::Messages qw(read_all verdict);
use Jelou::Preload;
use Jelou::Server;
use Jelou::Upstream;
use JSON::PP ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);

my $port     = $Jelou::Port{SERVER};
my $two      = $Jelou::Port{PORT_2};
my $preload  = Jelou::Preload->new;
my $upstream = Jelou::Upstream->start(
    "$Jelou::Dir/$Jelou::Name.upstream", http => $Jelou::Port{APP},
    map { $_ => $Jelou::Port{uc $_} } qw(fastcgi scgi uwsgi));

my @protocols = qw(proxy fastcgi scgi uwsgi grpc);

# what hands the event over by each protocol

my %pass = (
    proxy   => 'proxy_pass    http://app;',
    fastcgi => "fastcgi_pass  127.0.0.1:$Jelou::Port{FASTCGI};",
    scgi    => "scgi_pass     127.0.0.1:$Jelou::Port{SCGI};",
    uwsgi   => "uwsgi_pass    127.0.0.1:$Jelou::Port{UWSGI};",
    grpc    => "grpc_pass     grpc://127.0.0.1:$Jelou::Port{PORT_1};",
);

$pass{$_} .= <<"END_OF_PARAMETERS" for qw(fastcgi scgi uwsgi);

        ${_}_param     CONTENT_TYPE    \$content_type;
        ${_}_param     CONTENT_LENGTH  \$content_length;
END_OF_PARAMETERS

# a location, its lines and whom it passes to

sub endpoint {
    my ($path, $lines, $protocol) = @_;

    $protocol //= 'proxy';

    return <<"END_OF_LOCATION";
    location $path {
        jelou_endpoint  incoming_message;
        $lines
        $pass{$protocol}
    }
END_OF_LOCATION
}

sub http {
    my ($zone, $server) = @_;

    my $listen     = listen_http2($two);
    my $grpc       = listen_http2($Jelou::Port{PORT_1});
    my $log        = "$Jelou::Dir/$Jelou::Name.front/events.log";
    my $endpoints  = join '', map { endpoint("/$_", '', $_) } @protocols;
    my $locations  = endpoint('/short', 'jelou_dedup_wait 800ms;')
                   . endpoint('/at-once', 'jelou_dedup_wait 0;')
                   . endpoint('/upstream', 'jelou_reply upstream;')
                   . endpoint('/time-out', 'proxy_read_timeout 300ms;');

    $server //= '';

    return <<"END_OF_HTTP";
jelou_status_zone  zone=counters:64k;
jelou_dedup_zone   zone=seen:$zone;
log_format         result '\$http_x_event \$status \$jelou_result';

upstream app {
    server 127.0.0.1:$Jelou::Port{APP};
}

server {
    listen 127.0.0.1:$port reuseport;
    $listen

    access_log    $log result;
    add_header    X-Pid \$pid always;
    jelou_secret  "$Jelou::Secret";
    jelou_dedup   zone=seen;
    $server

    # a request has ended, and is in the log, when its answer has gone

    lingering_close  off;

    # the default before nginx 1.29.7

    proxy_http_version  1.0;
    proxy_set_header    Connection close;

$endpoints
$locations
    location = /status {
        access_log    off;
        jelou_status  json;
    }
}

# a server of gRPC

server {
    $grpc
    access_log  off;

    location / {
        proxy_pass  http://app;
    }
}
END_OF_HTTP
}

my $nginx = Jelou::Server->new(
    name  => 'front', main => 'worker_processes 2;', http => http('1m'),
    env   => $preload->env,
    allow => qr/worker process \d+ exited on signal 9/,
);

$nginx->start;


my $number = 0;
my $event;

sub next_event { return $event = event(id => '"w-' . ++$number . '"') }

# its id, which the access log has from a header: of what was refused there is no
# $jelou_message_id

sub id { return $_[0] =~ /"id":"([^"]+)"/ ? $1 : die }

sub raw {
    my ($path, %o) = @_;

    my $body = delete $o{body} // $event;

    return post($body, path => $path // '/proxy', headers => ['X-Event: ' . id($body)],
                %o);
}

# begin(PATH): sends the event, and returns the socket

sub begin { return Jelou::Load::send_to($port, raw(@_)) }

# first(PATH): the same, when the application has it

sub first { return first_on(Jelou::Load::connect_to($port), @_) }

# said(SOCKET): what the answer on it is

sub said { return verdict(read_all($_[0])) }

# replay_of(ANSWER): its status, and whether it is a replay

sub replay_of {
    my $answer = shift;

    return $answer->{status}
           . ($answer->{head} =~ /^Idempotent-Replayed: true\r$/m ? ' replayed' : '');
}

# arrived(COUNT, NAME): that the application ran so often, for this event

sub arrived {
    my ($count, $name) = @_;

    is_deeply([map { $_->{body} } $upstream->requests($count)],
              [($event) x $count],
              "$name: the application ran " . ($count == 1 ? 'once' : "$count times"));
}

# results_are(WANT, NAME): the lines of the access log that the event has, by now
# or in a moment, sorted

sub results_are {
    my ($want, $name) = @_;

    my $id    = id($event);
    my $count = 1 + ($want =~ tr/,//);
    my @lines;

    for (1 .. 200) {
        @lines = Jelou::Server::slurp("$nginx->{dir}/events.log") =~ /^\Q$id\E (.+)/mg;
        last if @lines >= $count;
        sleep 0.01;
    }

    is(join(', ', sort @lines), $want, "$name: the access log");
}

sub page {
    my $answer = Jelou::Load::ask($port, "GET /status HTTP/1.1\r\nHost: h\r\n"
                                         . "Connection: close\r\n\r\n");

    return JSON::PP->new->decode($answer->{body});
}

# connections(PID, COUNT): as many to this worker, open

sub connections {
    my ($pid, $count) = @_;

    my @connections;

    for (1 .. 20 * $count + 100) {
        last if @connections == $count;

        my $socket = Jelou::Load::connect_to($port);

        Jelou::Load::send_all($socket, post('', path => '/proxy', keepalive => 1));
        my $answer = Jelou::Load::answer($socket);

        push @connections, $socket if $answer->{head} =~ /^X-Pid: $pid\r$/m;
    }

    die "no connections to worker $pid\n" if @connections < $count;

    return @connections;
}

# first_on(SOCKET, PATH, ...): sends the event, until the application has it

sub first_on {
    my ($socket, @raw) = @_;

    my $before = () = $upstream->requests(0);

    Jelou::Load::send_all($socket, raw(@raw));
    $nginx->wait_for('the application has it',
                     sub { $upstream->requests(0) > $before });

    return $socket;
}


# The sender gives up after a second, and the application takes longer.

{
    my %event = map { $_ => next_event() } @protocols, 'upstream';

    $upstream->expect('delay 1.5');

    my $try = sub {
        return map { $_ => begin("/$_", body => $event{$_}) } keys %event;
    };

    my %socket = $try->();

    sleep 1;
    is(scalar $upstream->requests(6), 6, 'impatient: all are in progress');
    close $_ for values %socket;

    my $began = time;

    %socket = $try->();

    is(said($socket{$_}), '200 replayed', "impatient, $_: the repetition")
        for sort keys %socket;

    cmp_ok(time - $began, '<', 3, 'impatient: it has not waited for long');

    sleep 0.2;

    is(join("\n", sort map { $_->{body} } $upstream->requests(6)),
       join("\n", sort values %event), 'impatient: the application ran once for each');

    for (sort keys %event) {
        $event = $event{$_};
        results_are('200 accepted, 200 duplicate', "impatient, $_");
    }
}

# It repeats five times a second, and resets its connection.

{
    next_event();
    $upstream->expect('delay 1.5');

    my ($tries, $said) = (0, '');

    while (++$tries < 30) {
        my $socket = begin();
        my $r      = '';

        vec($r, fileno $socket, 1) = 1;

        if (select $r, undef, undef, 0.2) {
            $said = said($socket);
            last;
        }

        setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
        close $socket;
    }

    is($said, '200 replayed', 'very impatient: it has its answer');
    cmp_ok($tries, '>=', 4, "very impatient: after $tries tries");
    arrived(1, 'very impatient');
    is(page()->{dedup}{seen}{in_flight}, 0, 'very impatient: nothing is in flight');

    my %lines = map { $_ => 1 } Jelou::Server::slurp("$nginx->{dir}/events.log")
                                =~ /^w-$number (.+)/mg;

    is(join(', ', sort keys %lines), '200 accepted, 200 duplicate, 499 client_closed',
       'very impatient: the access log');
}


# A patient one

{
    next_event();
    $upstream->expect('delay 0.6');

    my $began  = time;
    my $first  = first();
    my $second = begin();

    is(said(begin('/proxy', body => event(id => qq("w-$number"), room_id => '"r-2"'))),
       '200', 'waiting: another event does not');

    my $other = event(id => qq("w-$number"), content => '{"body":"Other"}');

    is(said(begin('/proxy', body => $other)), '422 MESSAGE_ID_REUSED',
       'waiting: nor does another body');

    is(said($first), '200', 'waiting: the first one');
    is(said($second), '200 replayed', 'waiting: the second one');
    cmp_ok(time - $began, '>=', 0.6, 'waiting: it has waited');
    cmp_ok(time - $began, '<', 4, 'waiting: and not for long');
    results_are('200 accepted, 200 accepted, 200 duplicate, 422 message_id_reused',
                'waiting');
}

# Its body comes late, in pieces, behind another event and with requests behind it: the
# connection goes on as ever.

for my $pieces (1, 3) {
    my $name   = "pipelined, in $pieces pieces";
    my $socket = Jelou::Load::connect_to($port);

    next_event();
    $upstream->expect(200);

    Jelou::Load::send_all($socket, raw('/proxy', keepalive => 1));
    is(replay_of(Jelou::Load::answer($socket)), '200', "$name: an event before");

    next_event();
    $upstream->expect('delay 0.6');

    my $first = first();
    my $raw   = raw('/proxy', keepalive => 1) . raw('/proxy', keepalive => 1)
              . raw('/proxy');

    for my $piece (pieces($raw, 1 + int length($raw) / 2 / $pieces)) {
        Jelou::Load::send_all($socket, $piece);
        sleep 0.03;
    }

    my $all = read_all($socket);
    my @said;

    while (my $answer = Jelou::Load::parse(\$all)) {
        push @said, replay_of($answer);
    }

    is("@said", '200 replayed 200 replayed 200 replayed', "$name: all are answered");
    is(said($first), '200', "$name: the first one");
    arrived(1, $name);
    results_are('200 accepted, 200 duplicate, 200 duplicate, 200 duplicate', $name);
}


# The first one fails: the one that waits is a try of its own.

for my $case (
    ['500', 'delay 0.5 500', '500 UPSTREAM_FAILED'],
    ['404', 'delay 0.5 404', '404 UPSTREAM_REJECTED'],
    ['closed', 'delay 0.5 close', '500 UPSTREAM_FAILED'],
    ['a time-out', 'hang', '500 UPSTREAM_FAILED', '/time-out'],
) {
    my ($how, $answer, $want, $path) = @$case;

    next_event();
    $upstream->expect($answer, 200);

    my $first  = first($path);
    my $second = begin();

    is(said($first), $want, "$how: the first one");
    is(said($second), '200', "$how: the second one delivers it");
    is(said(begin()), '200 replayed', "$how: the third one is a repetition");
    arrived(2, $how);

    my ($status, $key) = split ' ', lc $want;

    results_are(join(', ', sort '200 accepted', '200 duplicate', "$status $key"), $how);
}

{
    next_event();
    $upstream->expect('delay 0.4 500', '429', 200);

    my ($first, $second) = (first(), begin());

    is(said($first), '500 UPSTREAM_FAILED', 'both fail: the first one');
    is(said($second), '429 UPSTREAM_REJECTED', 'both fail: the second one');
    is(said(begin()), '200', 'both fail: the third one');
    arrived(3, 'both fail');
}

# The wait is neither the module's time nor the application's.

{
    next_event();
    $upstream->expect('delay 1 500', 200);

    my $before = page()->{endpoints}{incoming_message};
    my ($first, $second) = (first(), begin());

    is(said($first), '500 UPSTREAM_FAILED', 'times: the first one');
    is(said($second), '200', 'times: the second one');

    my ($after, %more);

    $nginx->wait_for('both are counted', sub {
        $after = page()->{endpoints}{incoming_message};
        $after->{requests} == $before->{requests} + 2
    });

    $more{$_} = $after->{$_}{sum} - $before->{$_}{sum} for qw(processing upstream);

    cmp_ok($more{processing}, '<', 0.5, 'times: the module\'s own');
    cmp_ok($more{upstream}, '>=', 0.95, 'times: the application\'s');
    cmp_ok($more{upstream}, '<', 1.8, 'times: without the wait');
}


# Many wait for one.

{
    next_event();
    $upstream->expect('delay 0.6');

    my $first = first();
    my @many  = map { begin() } 1 .. 60;

    is(said($first), '200', 'many: the first one');
    is(scalar(grep { said($_) eq '200 replayed' } @many), 60, 'many: all others');
    arrived(1, 'many');

    next_event();
    $upstream->expect('delay 0.4 500', 'delay 0.4');

    $first = first();
    @many  = map { begin() } 1 .. 60;

    is(said($first), '500 UPSTREAM_FAILED', 'many, and the first one fails');

    my %said;

    $said{said($_)}++ for @many;
    is_deeply(\%said, { 200 => 1, '200 replayed' => 59 },
              'many, and the first one fails: one of them delivers it');
    arrived(2, 'many, and the first one fails');
}


# The end of the wait

{
    next_event();
    $upstream->expect('delay 3');

    my $first  = first();
    my $before = () = $nginx->jelou_log;
    my $began  = time;
    my $answer = Jelou::Load::ask($port, raw('/short'));
    my $took   = time - $began;

    is(Jelou::refusal_error($answer->{body}, 500, 'DUPLICATE_IN_FLIGHT'), '',
       'the end of the wait: the answer');
    is($answer->{status}, 500, 'the end of the wait: its status');
    like($answer->{head}, qr/^Retry-After: 1\r$/m, 'the end of the wait: Retry-After');
    unlike($answer->{head}, qr/^Idempotent-Replayed/m, 'the end of the wait: no replay');
    cmp_ok($took, '>=', 0.79, 'the end of the wait: not before');
    cmp_ok($took, '<', 2, 'the end of the wait: nor long after');

    my @log = $nginx->jelou_log;

    is_deeply([@log[$before .. $#log]],
              ['[info] jelou refused a request: DUPLICATE_IN_FLIGHT'],
              'the end of the wait: the log');

    # and where nobody waits

    $began = time;

    is(said(begin('/at-once')), '500 DUPLICATE_IN_FLIGHT', 'no wait: the answer');
    cmp_ok(time - $began, '<', 0.7, 'no wait: at once');

    is(said($first), '200', 'the end of the wait: the first one');
    is(said(begin('/short')), '200 replayed', 'the end of the wait: then');
    arrived(1, 'the end of the wait');
    results_are('200 accepted, 200 duplicate, 500 duplicate_in_flight, '
                . '500 duplicate_in_flight', 'the end of the wait');
}


# Two workers

for my $kill (0, 1) {
    my ($pid, $other) = $nginx->workers;
    my ($one, $two)   = map { connections($_, 1) } $pid, $other;

    next_event();
    $upstream->expect($kill ? ('hang', 200) : 'delay 0.5');

    my $name = $kill ? 'a worker is killed' : 'two workers';

    first_on($one);
    Jelou::Load::send_all($two, raw());

    if (!$kill) {
        is(said($one), '200', "$name: the first one");
        is(said($two), '200 replayed', "$name: the other one");
        arrived(1, $name);
        results_are('200 accepted, 200 duplicate', $name);
        next;
    }

    sleep 0.1;
    kill KILL => $pid;

    my $began = time;

    is(said($two), '200', "$name: the one that waits delivers it");
    cmp_ok(time - $began, '<', 4, "$name: soon");
    arrived(2, $name);
    results_are('200 accepted', $name);

    $nginx->wait_for('a new worker', sub { $nginx->workers == 2 });
    is(said(begin()), '200 replayed', "$name: it was delivered");
}


# A reload: who waits goes on waiting, and who comes waits for an old worker's.

{
    next_event();
    $upstream->expect('delay 1.5');

    my ($first, $second) = (first(), begin());

    sleep 0.1;

    my @old = $nginx->reload(0);

    $nginx->wait_for('new workers', sub {
        my %old = map { $_ => 1 } @old;
        2 == grep { !$old{$_} } $nginx->workers;
    });

    my $third = begin();

    is(said($first), '200', 'a reload: the first one');
    is(said($second), '200 replayed', 'a reload: the second one');
    is(said($third), '200 replayed', 'a reload: the third one, in a new worker');
    arrived(1, 'a reload');
    results_are('200 accepted, 200 duplicate, 200 duplicate', 'a reload');

    close $_ for $first, $second, $third;
    ok($nginx->wait_for('the old workers end', sub { $nginx->reloaded(@old) }),
       'a reload: the old workers end');
}


# HTTP/2: what waits, and who leaves, is a stream.

{
    next_event();
    $upstream->expect('delay 1');

    my $socket = Jelou::Load::send_to($two, preface() . step(post => 1, raw()));
    my ($buffer, %streams) = '';

    my $status = sub {
        my $stream = read_stream($socket, \$buffer, \%streams, shift) or return 'none';
        return $stream->{end} eq 'reset' ? 'reset' : status_of($stream->{headers});
    };

    is(scalar $upstream->requests(1), 1, 'HTTP/2: the first stream is in progress');

    Jelou::Load::send_all($socket, join '', map { step(post => $_, raw()) } 3, 5, 7);
    sleep 0.1;
    Jelou::Load::send_all($socket, step(reset => 5));

    is(join(' ', map { $status->($_) } 1, 3, 7), '200 200 200',
       'HTTP/2: a stream that waits');
    arrived(1, 'HTTP/2');
    results_are('200 accepted, 200 duplicate, 200 duplicate, 499 client_closed',
                'HTTP/2');

    # the stream that delivers is reset, and then the connection of one ends

    for my $how ('reset', 'closed') {
        next_event();
        $upstream->expect('delay 0.6');

        $socket = Jelou::Load::send_to($two, preface() . step(post => 1, raw()));
        is(scalar $upstream->requests(1), 1, "HTTP/2, $how: it is in progress");

        $how eq 'closed' ? close $socket
                         : Jelou::Load::send_all($socket, step(reset => 1));

        is(said(begin()), '200 replayed', "HTTP/2, $how: the repetition");
        arrived(1, "HTTP/2, $how");
        results_are('200 accepted, 200 duplicate', "HTTP/2, $how");
    }
}

is(page()->{dedup}{seen}{in_flight}, 0, 'nothing is in flight');


# How many may wait: a quarter of the connections.  Whoever does not wait any more,
# for whatever reason, does not count.

{
    $nginx->stop;
    $nginx->write(main => 'worker_processes 1;');

    my $file = "$nginx->{dir}/nginx.conf";
    my $conf = Jelou::Server::slurp($file);

    $conf =~ s/(worker_connections)  \d+/$1 48/ or die;
    Jelou::Server::spew($file, $conf);
    $nginx->start;

    my ($worker) = $nginx->workers;

    # twelve that wait for the event that the application has, and one too many

    my $fill = sub {
        my ($name, $path) = @_;

        my @waiting = map { begin($path, keepalive => 1) } 1 .. 12;
        my $began   = time;

        sleep 0.1;

        is(said(begin()), '500 DUPLICATE_IN_FLIGHT', "$name: one too many");
        cmp_ok(time - $began, '<', 0.7, "$name: it is answered at once");

        return @waiting;
    };

    # (keep-alive: the answer ends, and the connection does not)

    my $all_say = sub {
        my ($want, $name, @sockets) = @_;

        my @said = map { replay_of(Jelou::Load::answer($_)) } @sockets;

        is(scalar(grep { $_ eq $want } @said), scalar @sockets, "$name: all others");
    };

    # a first request opens what is open for good

    next_event();
    $upstream->expect(200);
    is(said(begin()), '200', 'a bound: before');

    my $left = Jelou::Faults::left(undef, $worker);

    next_event();
    $upstream->expect('delay 2.5');

    my $first   = first();
    my @waiting = $fill->('a bound');


    # they leave

    close $_ for @waiting;
    results_are(join(', ', ('499 client_closed') x 12, '500 duplicate_in_flight'),
                'senders that wait leave');

    @waiting = $fill->('others come');

    is(said($first), '200', 'a bound: the first one');
    $all_say->('200 replayed', 'a bound', @waiting);
    arrived(1, 'a bound');

    # their connections stay, and they wait for another one

    next_event();
    $upstream->expect('delay 1.5');
    $first = first();
    Jelou::Load::send_all($_, raw('/proxy', keepalive => 1)) for @waiting;
    sleep 0.1;
    is(said(begin()), '500 DUPLICATE_IN_FLIGHT', 'once more: one too many');
    is(said($first), '200', 'once more: the first one');
    $all_say->('200 replayed', 'once more', @waiting);
    close $_ for @waiting;

    # their time ends

    next_event();
    $upstream->expect('delay 3');
    $first   = first();
    @waiting = $fill->('their time ends', '/short');
    $all_say->('500', 'their time ends', @waiting);
    close $_ for @waiting;

    @waiting = $fill->('their time has ended');
    is(said($first), '200', 'their time has ended: the first one');
    $all_say->('200 replayed', 'their time has ended', @waiting);
    close $_ for @waiting;

    # one of them delivers the event, and does not wait then

    next_event();
    $upstream->expect('delay 0.5 500', 'delay 2');
    $first = first();

    my $second = begin();

    is(said($first), '500 UPSTREAM_FAILED', 'one delivers: the first one failed');
    is(scalar $upstream->requests(2), 2, 'one delivers: the second one is in progress');
    @waiting = $fill->('one delivers');
    is(said($second), '200', 'one delivers: the second one');
    $all_say->('200 replayed', 'one delivers', @waiting);
    close $_ for @waiting;

    close $_ for $first, $second;

    is(Jelou::Faults::left_more(undef, $worker, $left), '', 'a bound: nothing is left open');
    is(page()->{dedup}{seen}{in_flight}, 0, 'a bound: nothing is in flight');

    $nginx->stop;
}


# What workers that were killed had in flight is given back: all of it when the page
# is asked for, two at a time when an event comes.  A 32k zone has room for 223.

for my $how ('events come', 'the page is asked for') {
    $nginx->write(main => "worker_processes 2;\nworker_rlimit_nofile 4096;",
                  http => http('32k'));
    $nginx->start;
    $upstream->expect(200);

    my $new = sub { map { next_event() } 1 .. shift };
    my $put = sub { scalar grep { said(begin('/at-once', body => $_)) eq '200' } @_ };

    is($put->($new->(223)), 223, "$how: the zone is full of what was delivered");

    # the oldest that is in flight has a worker that lives

    my ($killed, $spared) = $nginx->workers;
    my ($alive, @held)    = $new->(151);

    $upstream->expect('hang');

    my @sockets = (connections($spared, 1), connections($killed, 150));
    my @on      = @sockets;

    first_on(shift @on, '/at-once', body => $_, keepalive => 1) for $alive, @held;

    is(page()->{dedup}{seen}{in_flight}, 151, "$how: 151 are in flight");

    kill KILL => $killed;
    $nginx->wait_for('a new worker', sub {
        my @now = $nginx->workers;
        @now == 2 && !grep { $_ == $killed } @now
    });

    # they are looked at when they are older than two seconds

    $preload->fast(4);
    $upstream->expect(200);

    if ($how eq 'the page is asked for') {
        sleep 0.01;

        my $zone = page()->{dedup}{seen};

        is($zone->{in_flight}, 1, "$how: one is in flight");
        is($zone->{entries}, 73, "$how: 72 that were delivered are there, too");
        is($put->($new->(150)), 150, "$how: 150 more are delivered");
        is(page()->{dedup}{seen}{entries}, 223, "$how: nothing had to go for them");

    } else {
        my @after = $new->(222);

        is($put->(@after), 222, "$how: 222 more are delivered");
        is(scalar(grep { said(begin('/at-once', body => $_)) eq '200 replayed' } @after),
           222, "$how: each has a place");
    }

    is(said(begin('/at-once', body => $alive)), '500 DUPLICATE_IN_FLIGHT',
       "$how: what is in flight in a worker that lives stays so");

    $preload->fast(0);
    $upstream->hang_up;
    is(Jelou::Load::answer($sockets[0])->{status}, 500, "$how: and ends as it does");
    close $_ for @sockets;
    $nginx->stop;
}


# What nginx says of the directive, and where it holds

my $check = Jelou::Server->new(name => 'check', allow => qr/(?!)/);

sub with {
    my ($server, $location) = @_;

    return <<"END_OF_HTTP";
jelou_dedup_zone  zone=seen:1m;

server {
    listen           127.0.0.1:$port;
    lingering_close  off;
    $server
    location / {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        jelou_dedup     zone=seen;
        $location
        proxy_pass      http://127.0.0.1:$Jelou::Port{APP};
    }
}
END_OF_HTTP
}

my $directive = '"jelou_dedup_wait" directive';

for my $case (
    ['0', ''], ['5s', ''], ['300ms', ''], ['60s', ''], ['1m', ''], ['60000ms', ''],
    ['60001ms', "[emerg] $directive is longer than 60 seconds in WHERE"],
    ['61s', "[emerg] $directive is longer than 60 seconds in WHERE"],
    ['1h', "[emerg] $directive is longer than 60 seconds in WHERE"],
    ['-1', "[emerg] $directive invalid value in WHERE"],
    ['off', "[emerg] $directive invalid value in WHERE"],
    ['1x', "[emerg] $directive invalid value in WHERE"],
    ['""', "[emerg] $directive invalid value in WHERE"],
    ['99999999999999999999s', "[emerg] $directive invalid value in WHERE"],
    ['', "[emerg] invalid number of arguments in $directive in WHERE"],
    ['1s 2s', "[emerg] invalid number of arguments in $directive in WHERE"],
    ["1s;\njelou_dedup_wait 1s", "[emerg] $directive is duplicate in WHERE"],
) {
    my ($value, $want) = @$case;

    $check->says(with('', "jelou_dedup_wait $value; # WHERE"), $want && "$want\n",
                 "jelou_dedup_wait $value");
}

for my $case (
    ['nowhere', '', '', '', 1],
    ['in http', 'jelou_dedup_wait 0;', '', '', 0],
    ['in the server', '', 'jelou_dedup_wait 0;', '', 0],
    ['in the location', '', '', 'jelou_dedup_wait 0;', 0],
    ['and again in the location', '', 'jelou_dedup_wait 0;', 'jelou_dedup_wait 5s;', 1],
) {
    my ($where, $http, $server, $location, $waits) = @$case;

    $check->write(http => "$http\n" . with($server, $location));
    $check->start;

    next_event();
    $upstream->expect('delay 0.8');

    my $first = first();

    is(said(begin()), $waits ? '200 replayed' : '500 DUPLICATE_IN_FLIGHT',
       "the directive is $where");
    is(said($first), '200', "the directive is $where: the first one");
    arrived(1, "the directive is $where");

    $check->stop;
}

$upstream->stop;
