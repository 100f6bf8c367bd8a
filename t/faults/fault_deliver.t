# Of a delivery in order, each call of nginx's that the module makes and that can fail, and
# each call of OpenSSL, fails once: the event is delivered all the same,
# acknowledged, and the worker lives.

use strict;
use warnings;

use lib 't/lib';
use Jelou;
use Jelou::Delivery;
use Jelou::Faults;
use Jelou::Redis;
use Jelou::Server;
use Test::More;

use Time::HiRes qw(sleep time);

my $why = Jelou::Faults->unusable;
plan $why ? (skip_all => $why) : 'no_plan';

my $redis  = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $app    = Jelou::Delivery->start(port => $Jelou::Port{APP});
my $faults = Jelou::Faults->new;

my $nginx = Jelou::Server->start(name => 'front', env => $faults->env, allow => qr/./,
                                 meanwhile => sub { $app->tick(0.01) }, http => <<"END");
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1} max_fails=0; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP} max_fails=0; }

map \$jelou_delivery_project \$key {
    default  the-secret-of-the-upstream;
}

jelou_upstream_secret  \$key;
jelou_deliver_retry    20ms  max=50ms  attempts=1000;

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    location /room {
        internal;
        jelou_deliver  queue  stream=room  group=app;
        proxy_pass     http://app;
    }
}
END

my ($pid) = $nginx->workers;

# Each attempt but the first one is answered, so that a failure is kept as well

$app->behave(sub {
    my $request = shift;
    return { status => $request->{head}{'x-jelou-delivery-attempt'} == 1 ? 503 : 200 };
});

for my $stream (qw(room)) {
    $nginx->wait_for('the group is there', sub {
        $redis->error('XPENDING', $stream, 'app') eq '' });

    for my $kind (qw(module crypto)) {
        my ($n, $lost, $unsigned, $result) = (0, 0, 0);

        for $n (1 .. 120) {
            my $body = qq({"$kind":$n,"room":1});
            my $there;

            $faults->fail($pid, $kind, $n);
            $redis->command('XADD', $stream, '*', 'event', $body, 'room_id', 'r');

            my $until = time + 20;

            until ($redis->command('XLEN', $stream) == 0) {
                last if time > $until;
                $app->tick(0.005);
            }

            $result = $faults->seen;
            $faults->none($pid);

            for (splice @{ $app->{seen} }) {
                $there = 1 if $_->{body} eq $body;
                $unsigned++ if ($_->{head}{'x-jelou-signature'} // '')
                               ne Jelou::sign($_->{body}, 'the-secret-of-the-upstream');
            }

            if (!$there || time > $until) {
                $lost++;
                diag("$stream, $kind, call $n, $result->{name}: in vain");
            }

            last if !$result->{failed} || $lost;
        }

        is($lost, 0, "$stream, $kind: each event is delivered");
        is($unsigned, 0, "$stream, $kind: and signed");
        is($result->{failed}, 0, "$stream, $kind: each call has failed once");
    }
}

is(join(' ', $nginx->workers), $pid, 'the worker lives');

$nginx->stop;
$app->stop;
$redis->stop;
