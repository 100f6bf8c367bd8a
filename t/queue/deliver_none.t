# With "order none", all workers of all nginx share a stream.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $app   = Jelou::Delivery->start(port => $Jelou::Port{APP});

my @front = map {
    Jelou::Server->start(name => "front-$_->[0]", meanwhile => sub { $app->tick },
                         orphan => 1, main => 'worker_processes 2;',
                         allow => qr/exited on signal 9/, http => <<"END");
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1}; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP} max_fails=0; keepalive 8; }

server {
    listen  127.0.0.1:$_->[1];

    location /deliver/ {
        internal;
        jelou_deliver          queue  stream=events  group=app;
        jelou_deliver_order    none;
        jelou_deliver_retry    50ms  max=200ms  attempts=3;
        jelou_deliver_parallel 2;
        jelou_deliver_dead     buried;
        jelou_deliver_delete   off;
        proxy_pass             http://app/webhook/;
        proxy_set_header       X-Pid \$pid;
    }
}
END
} [1, $Jelou::Port{SERVER}], [2, $Jelou::Port{PORT_2}];

sub add {
    my ($event, @more) = @_;
    return $redis->command('XADD', 'events', '*', 'event', $event, @more);
}

sub pending { return $redis->command('XPENDING', 'events', 'app')->[0] }


$app->behave(sub { return { status => 200, after => 0.02 } });

$front[0]->wait_for('the group is there', sub {
    $redis->error('XPENDING', 'events', 'app') eq '' });

add(qq({"n":$_}), room_id => 'one') for 1 .. 60;

my @all = $app->wait(60);
my %pid = map { $_->{head}{'x-pid'} => 1 } @all;

is(scalar keys %pid, 4, 'all workers take part');
is($app->{most}, 8, 'each with its own number');
is($all[0]{line}, 'POST /webhook/ HTTP/1.0', 'the URI is that of the location');
is(scalar(keys %{ { map { $_->{body} => 1 } @all } }), 60, 'each event once');

$app->run('all is acknowledged', sub { pending() == 0 });
is($redis->command('XLEN', 'events'), 60, 'and is still in the stream');


# Reloads and another binary, while events are on their way and others wait: no
# event comes more often than it has to

sub consumers {
    return map { $_->[1] } @{ $redis->command('XINFO', 'CONSUMERS', 'events', 'app') };
}

# load(WHAT, NAME): 400 events, and at each hundredth, WHAT of a number

sub load {
    my ($what, $name) = @_;

    my %times;

    $app->behave(sub {
        my $request = shift;
        my $n = ++$times{ $request->{body} };

        return { status => $n == 1 && $request->{body} =~ /7/ ? 500 : 200, after => 0.02 };
    });

    for my $n (1 .. 400) {
        add(qq({"$name":$n}));
        $what->($n / 100) if $n % 100 == 0;
        $app->tick(0.005);
    }

    $app->run("$name: all are there", sub { keys %times == 400 }, 30);
    $app->run("$name: all is acknowledged", sub { pending() == 0 }, 30);
    $app->run("$name: old workers leave", sub { consumers() <= 5 });
    $app->wait(0);

    return is(join(' ', grep { $times{$_} != (/7/ ? 2 : 1) } sort keys %times), '',
              "$name: nothing is repeated");
}

load(sub { $front[$_[0] % 2]->reload(0) }, 'reload');
load(sub { $front[0]->reload(0); $front[1]->reload(0) }, 'reload both');

load(sub { $front[$_[0]]->upgrade if $_[0] < 2 }, 'another binary');

my %living = map { $_ => 1 } map { $_->workers } @front;

is(join(' ', grep { $_ ne 'nginx' && !(/^nginx:.*:(\d+):[0-9a-f]{16}$/ && $living{$1}) }
        consumers()), '', 'each consumer is a worker that is there');


# What a dead worker had is claimed: here it was another consumer's, for long

$app->wait(0);
$app->behave(sub { return { status => 200 } });

my $id = add('{"dead":1}');

$redis->command('XGROUP', 'CREATE', 'events', 'other', '$');
$app->wait(1);
$app->run('it is acknowledged', sub { pending() == 0 });

$redis->command('XCLAIM', 'events', 'app', 'somebody', 0, $id, 'FORCE', 'IDLE', 100_000);
@all = $app->wait(1);
is($all[0]{body}, '{"dead":1}', 'what nobody has renewed is claimed');

$app->run('acknowledged', sub { pending() == 0 });

is(scalar(grep { $_ ne 'nginx' } consumers()), 5, 'its consumer is left to others')
    or diag(join ' ', consumers());


# Dead letters

$app->behave(sub { return { status => 400 } });
add('{"no":1}');
$app->wait(1);
$app->run('a dead letter', sub { $redis->command('XLEN', 'buried') == 1 });
$app->run('acknowledged', sub { pending() == 0 });

my ($dead) = $redis->entries('buried');
is("$dead->{dead_reason} $dead->{dead_status} $dead->{event}",
   'rejected 400 {"no":1}', 'a dead letter');


# A pause

$redis->command('HSET', 'jelou-deliver:{events}:app', 'paused', 1);
$app->behave(sub { return { status => 200 } });

my $until = time + 6;
$app->tick while time < $until;

add('{"paused":1}');
$until = time + 1;
$app->tick while time < $until;
is(scalar @{ $app->{seen} }, 0, 'while it is paused, nothing is delivered');

$redis->command('HDEL', 'jelou-deliver:{events}:app', 'paused');
@all = $app->wait(1);
is($all[0]{body}, '{"paused":1}', 'and then it is');


# An event that is on its way stays with the worker that leaves

$app->wait(0);
$app->behave(sub { return { status => 200, after => 3 } });

add(qq({"slow":$_})) for 1 .. 4;
$app->run('all are on their way', sub { @{ $app->{seen} } == 4 });
$_->reload(0) for @front;
$app->run('all is acknowledged', sub { pending() == 0 }, 20);

is(scalar(my @slow = $app->wait(4)), 4, 'a slow event is delivered once');

$_->stop for @front;
$app->stop;
$redis->stop;
