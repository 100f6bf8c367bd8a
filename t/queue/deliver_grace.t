# With "order none", nothing is claimed for 15 s after an error: other workers could
# not renew what they have in hand.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(time);

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $app   = Jelou::Delivery->start(port => $Jelou::Port{APP});

my $nginx = Jelou::Server->start(name => 'front', meanwhile => sub { $app->tick },
                                 http => <<"END");
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1} max_fails=0; }

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    location \@app {
        jelou_deliver         queue  stream=events  group=app;
        jelou_deliver_order   none;
        jelou_deliver_delete  off;
        proxy_pass            http://127.0.0.1:$Jelou::Port{APP};
    }
}
END

$nginx->wait_for('the group is there', sub {
    $redis->error('XPENDING', 'events', 'app') eq '' });

sub pending { return $redis->command('XPENDING', 'events', 'app')->[0] }

# left(ID): another consumer has it, and has not renewed it

sub left {
    $redis->command('XCLAIM', 'events', 'app', 'somebody', 0, $_[0], 'FORCE', 'IDLE', 100_000);
}

my $id = $redis->command('XADD', 'events', '*', 'event', '{"n":1}');

$app->wait(1);
$app->run('it is acknowledged', sub { pending() == 0 });

my $began = time;

left($id);
$app->wait(1);
cmp_ok(time - $began, '<', 8, 'what another one has left is claimed');
$app->run('it is acknowledged', sub { pending() == 0 });


# An error: the connection on which the worker waits is closed

$began = time;
is($redis->command(qw(CLIENT KILL TYPE normal)) > 0, 1, 'connections are closed');

left($id);

# what is new comes meanwhile, as soon as there is another connection

$redis->command('XADD', 'events', '*', 'event', '{"n":2}');
is(($app->wait(1))[0]{body}, '{"n":2}', 'what is new is delivered');
cmp_ok(time - $began, '<', 6, 'soon');

is(($app->wait(1, 30))[0]{body}, '{"n":1}', 'what is left is claimed as well');

my $took = time - $began;

cmp_ok($took, '>=', 15, 'not within 15 s');
cmp_ok($took, '<', 25, 'but then');
$app->run('it is acknowledged', sub { pending() == 0 });

$nginx->stop;
$app->stop;
$redis->stop;
