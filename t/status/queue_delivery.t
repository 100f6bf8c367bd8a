# The counters of deliveries, and those of a cluster's redirections.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use JSON::PP ();
use Time::HiRes qw(sleep time);

my $port  = $Jelou::Port{SERVER};
my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $app   = Jelou::Delivery->start(port => $Jelou::Port{APP});

my $nginx = Jelou::Server->new(name => 'front', level => 'warn',
                               main => 'worker_processes 2;');

$nginx->write(http => <<"END")->start;
jelou_status_zone  zone=counters:64k;

upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1}; }

server {
    listen  127.0.0.1:$port;

    location = /in {
        jelou_endpoint      incoming_message;
        jelou_secret        "$Jelou::Secret";
        jelou_redis_pass    queue;
        jelou_redis_stream  events;
    }
    location \@app {
        jelou_deliver          queue  stream=events  group=app;
        jelou_deliver_retry    100ms  max=200ms  attempts=3;
        proxy_pass             http://127.0.0.1:$Jelou::Port{APP};
    }
    location \@none {
        jelou_deliver          queue  stream=others  group=app;
        jelou_deliver_order    none;
        proxy_pass             http://127.0.0.1:$Jelou::Port{APP};
    }
    location = /json {
        jelou_status  json;
    }
    location = /metrics {
        jelou_status  prometheus;
    }
}
END

sub get {
    return Jelou::Load::ask($_[1] // $port, "GET $_[0] HTTP/1.1\r\nHost: x\r\n"
                                   . "Connection: close\r\n\r\n")->{body};
}

sub page { return JSON::PP->new->utf8->decode(get('/json', @_)) }

sub delivery {
    my ($row) = grep { $_->{stream} eq ($_[0] // 'events') } @{ page()->{deliveries} };
    return $row;
}

sub group {
    my ($row) = grep { $_->{stream} eq 'events' } @{ page()->{groups} };
    return $row;
}

sub add { return $redis->command('XADD', 'events', '*', @_) }

is_deeply([map { "$_->{queue} $_->{stream} $_->{group}" } @{ page()->{deliveries} }],
          ['queue events app', 'queue others app'], 'deliveries are there');


# Who has it

$app->run('somebody has the stream', sub { delivery()->{owned} });
like(delivery()->{owner}, qr/^[^:]+:\d+$/, 'the owner is a host and a process');
is($redis->command(qw(HGET jelou-deliver:{events}:app owner)) =~ s/:[^:]+\z//r,
   delivery()->{owner}, 'which is that of the lease');
is(delivery('others')->{owned}, undef, 'without order, nobody owns the stream');
ok(!delivery()->{paused}, 'it is not paused');


# One event, and its time

is(Jelou::Load::ask($port, post(event(), path => '/in'))->{status}, 200, 'accepted');
$app->wait(1);
$app->run('delivered', sub { delivery()->{delivered} == 1 });

my $d = delivery();

is($d->{times}{count}, 1, 'a time');
cmp_ok($d->{times}{sum}, '<', 5, 'in seconds');
is($d->{retried}, 0, 'not once more');
is_deeply($d->{dead}, { map { $_ => 0 } qw(no_event too_large not_json rejected attempts) },
          'no dead letter');

# An event that was received an hour ago

add(event => '{"old":1}', received_at => int(1000 * (time - 3600)));
$app->wait(1);
$app->run('delivered', sub { delivery()->{delivered} == 2 });
cmp_ok(delivery()->{times}{sum}, '>', 3599, 'the time is counted from the receipt');
is(delivery()->{times}{buckets}{1800}, 1, 'an hour is no half an hour');
is(delivery()->{times}{buckets}{7200}, 2, 'and less than two');


# Again, and dead letters by their reason

$app->behave(sub {
    my $request = shift;

    return { status => $request->{body} =~ /"refuse"/ ? 400
                     : $request->{body} =~ /"fail"/ ? 503
                     : $request->{body} =~ /"once"/
                       && $request->{head}{'x-jelou-delivery-attempt'} == 1 ? 503 : 200 };
});

add(event => '{"once":1}');
$app->run('delivered at last', sub { delivery()->{delivered} == 3 });
is(delivery()->{retried}, 1, 'tried again once');

add(event => '{"refuse":1}');
add(event => '{"fail":1}');
add(nothing => 'x');
add(event => 'no json');

$app->run('dead letters', sub {
    my $dead = delivery()->{dead};
    $dead->{rejected} + $dead->{attempts} + $dead->{no_event} + $dead->{not_json} == 4
});

is_deeply(delivery()->{dead}, { rejected => 1, attempts => 1, no_event => 1,
                                not_json => 1, too_large => 0 }, 'by their reason');
is(delivery()->{retried}, 3, 'the last attempt is not followed by another one');
is(delivery()->{delivered}, 3, 'they are not delivered');
is($redis->command('XLEN', '{events}:dead'), 4, 'as many as Redis has');


# A backlog

$app->behave(sub { return { status => 200, after => 8 } });
add(event => '{"wait":1}', room_id => 'r');
add(event => '{"wait":2}', room_id => 'r');

$app->run('a backlog', sub { my $g = group(); $g && $g->{pending} == 2 });
cmp_ok(group()->{oldest}, '>', 0, 'has an age');

$redis->command(qw(HSET jelou-deliver:{events}:app paused 1));
$app->run('a pause', sub { delivery()->{paused} });
$redis->command(qw(HDEL jelou-deliver:{events}:app paused));


# Both pages agree

$app->behave(sub { return { status => 200 } });
$app->run('all is delivered', sub { my $g = group(); $g && $g->{pending} == 0 });

my %sample;

for (grep { !/^#/ } split /\n/, get('/metrics')) {
    my ($name, $value) = /^(\w+(?:\{.*\})?) ([\d.]+)$/;
    $sample{$name} = $value;
}

$d = delivery();
my $of = 'queue="queue",stream="events",group="app"';

is($sample{"nginx_jelou_delivered_events_total{$of}"}, $d->{delivered}, 'delivered');
is($sample{"nginx_jelou_delivery_retries_total{$of}"}, $d->{retried}, 'retried');
is($sample{qq(nginx_jelou_dead_letters_total{$of,reason="$_"})}, $d->{dead}{$_}, $_)
    for sort keys %{ $d->{dead} };
is($sample{"nginx_jelou_delivery_seconds_count{$of}"}, $d->{times}{count}, 'times');
is($sample{"nginx_jelou_delivery_owned{$of}"}, 1, 'owned');
ok(!exists $sample{'nginx_jelou_delivery_owned{queue="queue",stream="others",group="app"}'},
   'not without order');
is($sample{"nginx_jelou_delivery_paused{$of}"}, 0, 'paused');
is($sample{"nginx_jelou_group_oldest_seconds{$of}"} + 0, 0, 'nothing is old');

my $said = `promtool --version 2>&1`;

SKIP: {
    skip 'no promtool', 1 if $? != 0;

    my $file = Jelou::Server::spew("$Jelou::Dir/$Jelou::Name.metrics", get('/metrics'));

    $said = `promtool check metrics <$file 2>&1`;
    is("$? $said", '0 ', 'promtool has nothing to say');
}


# An idle nginx asks nothing of this

my $calls = sub { return ($redis->command(qw(INFO commandstats)) =~ /cmdstat_eval:calls=(\d+)/)[0] };

page();
my $asked = $calls->();
$app->run('it is asked while pages are read', sub { page(); $calls->() > $asked }, 12);

# Nobody has the stream when nginx has gone

$nginx->stop;
is($redis->command(qw(EXISTS jelou-deliver:{events}:app)), 1, 'the hash is there');
is($redis->command(qw(HEXISTS jelou-deliver:{events}:app owner)), 0, 'and has no owner');
$app->stop;
$redis->stop;


# A cluster: what its redirections are

my @ports = map { 10100 + ($$ % 150) * 10 + $_ } 0, 1;

my @redis = map {
    Jelou::Redis->start(port => $ports[$_], name => "node-$_", config => [
        'cluster-enabled yes', 'cluster-require-full-coverage no'])
} 0, 1;

$redis[0]->command(qw(CLUSTER ADDSLOTSRANGE 0 8191));
$redis[1]->command(qw(CLUSTER ADDSLOTSRANGE 8192 16383));
$redis[$_]->command(qw(CLUSTER SET-CONFIG-EPOCH), $_ + 1) for 0, 1;
$redis[0]->command(qw(CLUSTER MEET 127.0.0.1), $ports[1]);

$nginx->wait_for('the cluster is ready', sub {
    !grep { $_->command(qw(CLUSTER INFO)) !~ /^cluster_state:ok.*^cluster_known_nodes:2\r$/ms
            || $_->command(qw(CLUSTER NODES)) =~ /handshake|fail/ } @redis
}, 30);

$nginx->write(main => 'worker_processes 1;', http => <<"END")->start;
jelou_status_zone  zone=counters:64k;

upstream cluster { server 127.0.0.1:$ports[0]; }

server {
    listen  127.0.0.1:$port;

    location = /in {
        jelou_endpoint      incoming_message;
        jelou_secret        "$Jelou::Secret";
        jelou_redis_pass    cluster;
        jelou_redis_stream  "jelou:{\$http_x_stream}";
        jelou_redis_dedup   1h;
        jelou_redis_read_timeout  500ms;
    }
    location = /json {
        jelou_status  json;
    }
}
END

# One that the second server has

my ($there) = grep { $redis[0]->error('XLEN', "jelou:{$_}") =~ /^MOVED/ } 'a' .. 'z';

for my $n (1, 2) {
    is(Jelou::Load::ask($port, post(event(id => qq("m-$n")), path => '/in',
                                    headers => ["X-Stream: $there"]))->{status},
       200, "event $n is accepted");
}

is_deeply(page()->{queue}{redirections}, { moved => 1, ask => 0, tryagain => 0 },
          'one redirection, which is remembered');
is(page()->{queue}{events}{appended}, 2, 'two events');
is($redis[1]->command('XLEN', "jelou:{$there}"), 2, 'are there');

$nginx->wait_for('its length is known', sub {
    (page()->{streams}[0]{entries} // 0) == 2 }, 15);


# Its slot moves to the first server, and the stream is there already, the keys of
# events are not: no server has both

my $slot = $redis[1]->command(qw(CLUSTER KEYSLOT), "jelou:{$there}");
my @ids  = map { $_->command(qw(CLUSTER MYID)) } @redis;

$redis[0]->command(qw(CLUSTER SETSLOT), $slot, 'IMPORTING', $ids[1]);
$redis[1]->command(qw(CLUSTER SETSLOT), $slot, 'MIGRATING', $ids[0]);
$redis[1]->command('MIGRATE', '127.0.0.1', $ports[0], "jelou:{$there}", 0, 5000);

sub raw { return post(event(id => qq("$_[0]")), path => '/in', headers => ["X-Stream: $there"]) }

my $began  = time;
my %before = %{ page()->{queue}{redirections} };

is(Jelou::Load::ask($port, raw('m-3'))->{status}, 500, 'it moves for too long: refused');
cmp_ok(time - $began, '>=', 0.5, 'not before the time-out');
cmp_ok(time - $began, '<', 5, 'but then');

my %after = %{ page()->{queue}{redirections} };

cmp_ok($after{tryagain} - $before{tryagain}, '>=', 3, 'it was tried again');
is($after{ask} - $before{ask}, $after{tryagain} - $before{tryagain} + 1,
   'each time, where its slot goes to was asked');
is(page()->{queue}{events}{denied}, 1, 'it is counted once');

# One that waits for the end of it, and one that was there

my @waiting = map { Jelou::Load::send_to($port, raw($_)) } qw(m-3 m-1);

sleep 0.15;
$redis[1]->command('MIGRATE', '127.0.0.1', $ports[0], '', 0, 5000, 'KEYS', $_)
    for @{ $redis[1]->command('CLUSTER', 'GETKEYSINSLOT', $slot, 100) };
$redis[$_]->command(qw(CLUSTER SETSLOT), $slot, 'NODE', $ids[0]) for 0, 1;

my @answers = map { Jelou::Load::answer($_) } @waiting;

is(join(' ', map { $_->{status} } @answers), '200 200', 'both are accepted');
is(join(' ', map { $_->{head} =~ /^Idempotent-Replayed: true\r$/m ? 1 : 0 } @answers), '0 1',
   'the second one had been before');
is(join(' ', map { $_->{message_id} } $redis[0]->entries("jelou:{$there}")), 'm-1 m-2 m-3',
   'each is there once');

$nginx->stop;
$_->stop for @redis;
