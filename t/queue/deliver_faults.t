# What is in the way of a delivery: Redis that is not there or has something
# else, an nginx that has to exit, a backlog.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $app = Jelou::Delivery->start(port => $Jelou::Port{APP});

sub http {
    my %o = @_;

    return <<"END";
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1} max_fails=0; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP} max_fails=0; keepalive 8; }

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    location \@app {
        jelou_deliver          queue  stream=events  group=app;
        jelou_deliver_retry    50ms  max=200ms  attempts=1000;
        jelou_deliver_parallel @{[ $o{parallel} // 4 ]};
        jelou_deliver_window   @{[ $o{window} // 10000 ]};
        proxy_pass             http://@{[ $o{to} // 'app' ]};
        proxy_http_version     1.1;
        proxy_set_header       Connection "";
        @{[ $o{more} // '' ]}
    }
    location /pid { return 200 \$pid; }
}
END
}

my $nginx = Jelou::Server->start(name => 'front', http => http(),
                                 main => 'worker_shutdown_timeout 2s;');

# Redis is not there, and then has something else, and then has lost all

sleep 1;
my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');

$redis->command('SET', 'events', 'a text');

my $until = time + 4;
$app->tick while time < $until;

is(scalar(() = $nginx->log =~ /\[error\] \S+ jelou: redis refused to deliver: WRONGTYPE, stream: "events", group: "app"/g),
   1, 'a stream that is none is logged once');

$redis->command('DEL', 'events');

sub add { return $redis->command('XADD', 'events', '*', 'event', @_) }

add('{"n":1}');
is(($app->wait(1))[0]{body}, '{"n":1}', 'then it is one');

$redis->command('FLUSHALL');
$redis->command('SCRIPT', 'FLUSH');
add('{"n":2}');
is(($app->wait(1, 30))[0]{body}, '{"n":2}', 'a group that has gone is made again');


# An application that is not there, for a while

$app->stop;
add(qq({"n":$_}), room_id => "r$_") for 1 .. 100;
sleep 1;
$app = Jelou::Delivery->start(port => $Jelou::Port{APP});
is(scalar(my @all = $app->wait(100)), 100, 'an application that comes back gets all');
$app->run('acknowledged', sub { $redis->command('XLEN', 'events') == 0 });
cmp_ok($all[0]{head}{'x-jelou-delivery-attempt'}, '>', 1, 'what has failed was counted');


# An exit waits for what is on its way, and not longer than it may

$app->behave(sub { return { status => 200, after => 1 } });
add('{"slow":1}', room_id => 'slow');
add('{"slow":2}', room_id => 'slow');
$app->run('the first one is there', sub { @{ $app->{seen} } == 1 });

my @old = $nginx->reload(0);

$app->run('the second one', sub { @{ $app->{seen} } == 2 });
$app->run('acknowledged', sub { $redis->command('XLEN', 'events') == 0 });
is(join(' ', map { $_->{body} } $app->wait(2)), '{"slow":1} {"slow":2}',
   'a reload repeats nothing');

$app->behave(sub { return { status => 200, after => 8 } });
add('{"long":1}');
$app->run('it is there', sub { @{ $app->{seen} } == 1 });
@old = $nginx->reload(0);
my $began = time;
$app->run('the old worker has gone', sub { $nginx->reloaded(@old) });
cmp_ok(time - $began, '<', 5, 'worker_shutdown_timeout is the most');
$app->behave(sub { return { status => 200 } });
$app->{later} = [];
@all = $app->wait(2);
is("$all[1]{body} $all[1]{head}{'x-jelou-delivery-attempt'}", '{"long":1} 2',
   'what was broken off is delivered again, and counted');
$app->run('acknowledged', sub { $redis->command('XLEN', 'events') == 0 });


# A backlog of one room that fails, and others: the window holds

$app->behave(sub { my $r = shift; return { status => $r->{body} =~ /bad/ ? 500 : 200 } });

add('{"bad":1}', room_id => 'bad');
add(qq({"behind":$_}), room_id => 'bad') for 1 .. 500;
add(qq({"other":$_}), room_id => "o$_") for 1 .. 100;

my $others = 0;
$began = time;
$app->run('the others', sub {
    (scalar grep { $_->{body} =~ /other/ } @{ $app->{seen} }) == 100 });
is(scalar(grep { $_->{body} =~ /behind/ } @{ $app->{seen} }), 0,
   'what is behind a failure waits, and nothing else does');

$app->behave(sub { return { status => 200 } });
$app->run('all', sub { $redis->command('XLEN', 'events') == 0 });
is(join(' ', map { $_->{body} =~ /"behind":(\d+)/ } @{ $app->{seen} }), join(' ', 1 .. 500),
   'and comes in order');
$app->wait(0);


# A large backlog of large events

my $large = 'x' x 60_000;

add(qq({"large":$_,"x":"$large"}), room_id => 'l' . $_ % 7) for 1 .. 400;

@all = $app->wait(400, 40);
is(join(' ', map { /"large":(\d+)/ } map { $_->{body} } grep { $_->{body} =~ /"large":\d*[05],/ } @all) ? 1 : 0, 1,
   'they are there');
$app->run('acknowledged', sub { $redis->command('XLEN', 'events') == 0 });

my ($pid) = $nginx->workers;
my ($peak) = Jelou::Server::slurp("/proc/$pid/status") =~ /VmHWM:\s+(\d+)/;
cmp_ok($peak, '<', 60_000, 'in little memory') if !$ENV{JELOU_VALGRIND}
    && $ENV{TEST_NGINX_BINARY} !~ /asan/;

$nginx->stop;
$app->stop;
$redis->stop;
