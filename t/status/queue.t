# The counters of the queue, over a redis-server: each one moves by what has
# happened, and both pages say the same.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use JSON::PP ();
use Time::HiRes qw(sleep time);

my $port  = $Jelou::Port{SERVER};
my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $nginx = Jelou::Server->new(name => 'front', main => 'worker_processes 2;');

sub config {
    my $more = shift // '';

    return <<"END";
jelou_status_zone  zone=counters:64k;

upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1} max_fails=0; }
upstream down  { server 127.0.0.1:$Jelou::Port{DOWN} max_fails=0; }

server {
    listen  127.0.0.1:$port;

    jelou_secret                 "$Jelou::Secret";
    jelou_redis_connect_timeout  500ms;
    jelou_redis_read_timeout     1s;

    location = /plain {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  plain;
        jelou_redis_dedup   1h;
    }
    location = /full {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  full limit=1;
    }
    location = /trim {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  trim maxlen=1;
    }
    location = /denied {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  denied;
    }
    location = /varies {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  "v:\$http_x_stream";
    }
    location = /down {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    down;
        jelou_redis_stream  plain;
    }
    location = /json {
        jelou_status  json;
    }
    location = /metrics {
        jelou_status  prometheus;
    }
}
$more
END
}

$redis->command(qw(SET denied x));
$nginx->write(http => config())->start;

sub get {
    return Jelou::Load::ask($port, "GET $_[0] HTTP/1.1\r\nHost: x\r\n"
                                   . "Connection: close\r\n\r\n")->{body};
}

sub page { return JSON::PP->new->utf8->decode(get('/json')) }
sub queue { return page()->{queue} }

# stream(NAME [, QUEUE]): how long it is; undef: not known

sub stream {
    my ($name, $queue) = @_;

    my ($row) = grep { $_->{stream} eq $name && $_->{queue} eq ($queue // 'queue') }
        @{ page()->{streams} };

    return $row->{entries};
}

my $n = 0;

sub ask {
    my ($path, %o) = @_;

    my $headers = delete $o{headers};

    $o{id} //= '"m-' . ++$n . '"';

    return Jelou::Load::ask($port, post(event(%o), path => "/$path",
                                        headers => $headers // []))->{status};
}

# moved(WHAT, WANT, CODE): what the members of the queue have grown by

sub moved {
    my ($what, $want, $code) = @_;

    my $flat = sub {
        my $q = queue();
        my %flat = (dropped => $q->{dropped}, unlisted => $q->{unlisted},
                    reply => $q->{reply}{count}, in_flight => $q->{in_flight});

        for my $of (qw(events redirections retries)) {
            $flat{"$of.$_"} = $q->{$of}{$_} for keys %{ $q->{$of} };
        }

        return %flat;
    };

    my %before = $flat->();

    $code->();

    my %after = $flat->();
    my %grown = map { $after{$_} != $before{$_} ? ($_ => $after{$_} - $before{$_}) : () }
        keys %after;

    is_deeply(\%grown, $want, $what);
}


# Nothing so far, and nobody asks

my $page = page();

is_deeply([sort keys %{ $page->{queue} }],
          [sort qw(connections in_flight events reply redirections retries connects
                   dropped unlisted)], 'members of the queue');
is_deeply([sort map { "$_->{queue} $_->{stream}" } @{ $page->{streams} }],
          ['down plain', map { "queue $_" } qw(denied full plain trim)],
          'the streams of the configuration are there');
is_deeply([grep { defined $_->{entries} } @{ $page->{streams} }], [],
          'how long they are is not known yet');
is_deeply([@$page{qw(groups deliveries)}], [[], []], 'no group, no delivery');


# Each outcome

moved('an accepted event', { 'events.appended' => 1, reply => 1 }, sub {
    is(ask('plain', id => '"one"'), 200, 'accepted') });

moved('a repetition', { 'events.repeated' => 1, reply => 1 }, sub {
    is(ask('plain', id => '"one"'), 200, 'repeated') });

moved('another body', { 'events.reused' => 1, reply => 1 }, sub {
    is(ask('plain', id => '"one"', content => '{"body":"other"}'), 422, 'reused') });

moved('a full stream', { 'events.appended' => 1, 'events.full' => 1, reply => 2 }, sub {
    is(ask('full'), 200, 'one');
    is(ask('full'), 500, 'full') });

moved('a refused command', { 'events.denied' => 1, reply => 1 }, sub {
    is(ask('denied'), 500, 'denied') });

moved('a server that is not there', { 'events.unreachable' => 1 }, sub {
    is(ask('down'), 500, 'unreachable') });

cmp_ok(queue()->{connects}{failed}, '>=', 1, 'a connection that was not opened');

$redis->command(qw(CONFIG SET stream-node-max-entries 1));

my $before = queue()->{dropped};
ask('trim') for 1 .. 80;
is(queue()->{dropped} - $before, 80 - $redis->command('XLEN', 'trim'),
   'what maxlen has dropped is counted');
cmp_ok(queue()->{dropped}, '>', 0, 'it has dropped some');

# A reply that does not come, and a sender that does not wait for one

kill STOP => $redis->{pid};
moved('no reply in time', { 'events.timed_out' => 1 }, sub {
    is(ask('denied'), 500, 'timed out') });
kill CONT => $redis->{pid};

kill STOP => $redis->{pid};

my $gone = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);

$before = queue()->{events};
print $gone post(event(id => '"gone"'), path => '/full');
$gone->flush;

$nginx->wait_for('the event is in flight', sub { queue()->{in_flight} == 1 }, 5);
close $gone;
$nginx->wait_for('the sender has gone', sub { queue()->{in_flight} == 0 }, 5);

my $events = queue()->{events};

is($events->{abandoned} + $events->{timed_out}
   - $before->{abandoned} - $before->{timed_out}, 1, 'and is counted');
kill CONT => $redis->{pid};

# Connections

$nginx->wait_for('connections', sub { queue()->{connections} >= 1 }, 5);
cmp_ok(queue()->{connects}{ready}, '>=', queue()->{connections},
       'no more than were opened');


# What Redis says: it is asked while the page is read

$nginx->wait_for('Redis was asked', sub { (stream('plain') // 0) == 1 }, 15);

is(stream('full'), $redis->command('XLEN', 'full'), 'of another one');
is(stream('denied'), undef, 'what is no stream has no length');
is(stream('plain', 'down'), undef, 'nor has one that is not there');

$redis->command(qw(XGROUP CREATE plain readers 0));
$redis->command(qw(XREADGROUP GROUP readers me COUNT 1 STREAMS plain >));
ask('plain');

sub group {
    my ($row) = grep { $_->{group} eq 'readers' } @{ page()->{groups} };
    return $row;
}

$nginx->wait_for('a group', sub { my $g = group(); $g && ($g->{lag} // 1) == 1 }, 15);

my $group = group();

is("$group->{queue} $group->{stream} $group->{pending}", 'queue plain 1',
   'a group: what is pending');
cmp_ok($group->{oldest}, '>', 0, 'the age of the oldest one');
cmp_ok($group->{oldest}, '<', 60, 'in seconds');

# Asked often, Redis is asked now and then only

sub commands { return ($redis->command(qw(INFO stats)) =~ /total_commands_processed:(\d+)/)[0] }

my $commands = commands();
page() for 1 .. 60;
cmp_ok(commands() - $commands, '<', 40, 'many pages, few questions');


# Streams of variables: those that had events, 64 of all

moved('streams of variables', { 'events.appended' => 70, reply => 70, unlisted => 11 },
      sub { ask('varies', headers => ["X-Stream: $_"]) for 1 .. 70 });

is(scalar @{ page()->{streams} }, 64, 'there are 64 rows');
moved('one that has its row', { 'events.appended' => 1, reply => 1 }, sub {
    ask('varies', headers => ['X-Stream: 1']) });
$nginx->wait_for('its length', sub { (stream('v:1') // 0) == 2 }, 15);


# Both pages agree

sub samples {
    my %samples;

    for (grep { !/^#/ } split /\n/, get('/metrics')) {
        my ($name, $value) = /^(\w+(?:\{.*\})?) ([\d.]+)$/
            or fail("a sample: $_"), next;

        fail("twice: $name") if exists $samples{$name};
        $samples{$name} = $value;
    }

    return %samples;
}

my %sample = samples();
my $queue  = queue();

is($sample{qq(nginx_jelou_queue_events_total{result="$_"})}, $queue->{events}{$_},
   "both pages: $_") for sort keys %{ $queue->{events} };
is($sample{qq(nginx_jelou_queue_redirections_total{kind="$_"})},
   $queue->{redirections}{$_}, "both pages: $_") for sort keys %{ $queue->{redirections} };
is($sample{qq(nginx_jelou_queue_retries_total{reason="$_"})}, $queue->{retries}{$_},
   "both pages: $_") for sort keys %{ $queue->{retries} };
is($sample{qq(nginx_jelou_queue_connects_total{result="$_"})}, $queue->{connects}{$_},
   "both pages: $_") for sort keys %{ $queue->{connects} };
is($sample{nginx_jelou_queue_dropped_entries_total}, $queue->{dropped}, 'dropped');
is($sample{nginx_jelou_queue_unlisted_events_total}, $queue->{unlisted}, 'unlisted');
is($sample{nginx_jelou_queue_in_flight}, 0, 'in flight');
is($sample{nginx_jelou_queue_reply_seconds_count}, $queue->{reply}{count}, 'replies');
is($sample{'nginx_jelou_queue_reply_seconds_bucket{le="+Inf"}'},
   $queue->{reply}{count}, 'in the last bucket');
is($sample{'nginx_jelou_queue_connections{tls="off"}'}, $queue->{connections},
   'connections without TLS');
is($sample{'nginx_jelou_queue_connections{tls="on"}'}, 0, 'with TLS');
is($sample{'nginx_jelou_stream_entries{queue="queue",stream="plain"}'}, 2,
   'entries of a stream');
ok(!exists $sample{'nginx_jelou_stream_entries{queue="queue",stream="denied"}'},
   'what is not known has no sample');
is($sample{'nginx_jelou_group_pending{queue="queue",stream="plain",group="readers"}'}, 1,
   'pending');

SKIP: {
    my $said = eval { `promtool --version 2>&1` } // '';

    skip 'no promtool', 1 if $? != 0;

    my $file = Jelou::Server::spew("$Jelou::Dir/$Jelou::Name.metrics", get('/metrics'));

    $said = `promtool check metrics <$file 2>&1`;
    is("$? $said", '0 ', 'promtool has nothing to say');
}


# A reload keeps the counters; a worker that is killed takes its gauges along

$nginx->write(http => config('server { listen unix:' . "$nginx->{dir}/x; }"))->reload;
is_deeply(queue()->{events}, $queue->{events}, 'a reload keeps the counters');

$nginx->wait_for('the old workers have gone', sub { queue()->{connections} <= 2 }, 15);

# Redis is down: the page answers at once, and says what is not known

$redis->crash;

my $began = time;
page();
cmp_ok(time - $began, '<', 0.5, 'a page at once');
$nginx->wait_for('nothing is known', sub { !defined stream('plain') }, 20);
is(queue()->{connections}, 0, 'no connection');

$nginx->stop;

# Without a queue, the pages have nothing of one

$nginx->write(http => <<"END")->start;
jelou_status_zone  zone=counters:64k;
server {
    listen  127.0.0.1:$port;
    location = /json { jelou_status json; }
    location = /metrics { jelou_status prometheus; }
}
END

is_deeply([grep { exists page()->{$_} } qw(queue streams groups deliveries)], [],
          'no queue, no member');
unlike(get('/metrics'), qr/nginx_jelou_(?:queue|stream|group|deliver|dead)/, 'no metric');

# A reload brings one, and takes it away

$redis->start;
$nginx->write(http => config())->reload;
is(ask('plain'), 200, 'accepted');
is(queue()->{events}{appended}, 1, 'a queue that a reload has brought is counted');
$redis->stop;

$nginx->stop;
