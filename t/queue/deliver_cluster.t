# Delivery out of a cluster, where another server than the first one has the
# stream, and goes on when its slot has moved; and over TLS.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Redis;
use Jelou::Server;

my $app = Jelou::Delivery->start(port => $Jelou::Port{APP});

# Three servers, which speak to each other on the port that is 10000 above

my @ports = map { 10100 + ($$ % 150) * 10 + $_ } 0 .. 2;

my @redis = map {
    Jelou::Redis->start(port => $ports[$_], name => "node-$_", config => [
        'cluster-enabled yes', 'cluster-node-timeout 2000'])
} 0 .. 2;

my @range = ([0, 5460], [5461, 10922], [10923, 16383]);

$redis[$_]->command(qw(CLUSTER ADDSLOTSRANGE), @{ $range[$_] }) for 0 .. 2;
$redis[$_]->command(qw(CLUSTER SET-CONFIG-EPOCH), $_ + 1) for 0 .. 2;
$redis[0]->command(qw(CLUSTER MEET 127.0.0.1), $ports[$_]) for 1, 2;

# Both in the slots of the last two servers

my %at = (map { my $name = $_;
                my $slot = $redis[0]->command(qw(CLUSTER KEYSLOT), $name);
                ($name => (grep { $slot <= $range[$_][1] } 0 .. 2)[0]) } map { "s$_" } 1 .. 50);
my ($room) = grep { $at{$_} == 1 } sort keys %at;
my ($none) = grep { $at{$_} == 2 } sort keys %at;

my $nginx = Jelou::Server->start(name => 'front', meanwhile => sub { $app->tick(0.01) },
                                 http => <<"END");
upstream queue {
    server  127.0.0.1:$ports[0]  max_fails=0;
    server  127.0.0.1:$ports[1]  max_fails=0;
    server  127.0.0.1:$ports[2]  max_fails=0;
}

jelou_deliver_retry  50ms  max=100ms;

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    location /room {
        internal;
        jelou_deliver  queue  stream=$room  group=app;
        proxy_pass     http://127.0.0.1:$Jelou::Port{APP};
    }

    location /none {
        internal;
        jelou_deliver        queue  stream=$none  group=app;
        jelou_deliver_order  none;
        proxy_pass           http://127.0.0.1:$Jelou::Port{APP};
    }
}
END

$nginx->wait_for('the cluster is ready', sub {
    !grep { $_->command(qw(CLUSTER INFO)) !~ /^cluster_state:ok.*^cluster_known_nodes:3\r$/ms } @redis
}, 30);

sub add {
    my ($at, $stream, $event) = @_;
    return $redis[$at]->command('XADD', $stream, '*', 'event', $event, 'room_id', 'r');
}

for my $case (['/room', $room], ['/none', $none]) {
    my ($path, $stream) = @$case;
    my $at = $at{$stream};

    $app->behave(sub {
        my $request = shift;
        return { status => $request->{body} =~ /bad/ ? 400
                           : $request->{head}{'x-jelou-delivery-attempt'} == 1 ? 503 : 200 } });

    $nginx->wait_for("$path: the group is there", sub {
        $redis[$at]->error('XPENDING', $stream, 'app') eq '' }, 30);

    add($at, $stream, '{"n":1}');
    add($at, $stream, '{"bad":1}');

    my @got = sort { $a->{body} cmp $b->{body} } $app->wait(3);

    is(join(' ', map { $_->{body} } @got), '{"bad":1} {"n":1} {"n":1}', "$path: delivered");
    like($got[0]{line}, qr/^POST $path /, "$path: by its location");

    $app->run("$path: all is acknowledged", sub { !$redis[$at]->command('XLEN', $stream) });
    is($redis[$at]->command('XLEN', "{$stream}:dead"), 1, "$path: a dead letter, in the same slot");
}


# The slot moves to the first server

my $slot = $redis[0]->command(qw(CLUSTER KEYSLOT), $room);
my @id   = map { $_->command(qw(CLUSTER MYID)) } @redis;

$redis[0]->command('CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $id[1]);
$redis[1]->command('CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $id[0]);

my @keys = @{ $redis[1]->command('CLUSTER', 'GETKEYSINSLOT', $slot, 100) };

$redis[1]->command('MIGRATE', '127.0.0.1', $ports[0], '', 0, 5000, 'KEYS', @keys);
$redis[$_]->command('CLUSTER', 'SETSLOT', $slot, 'NODE', $id[0]) for 0, 1, 2;

$app->behave(sub { return { status => 200 } });
add(0, $room, '{"moved":1}');

my ($got) = $app->wait(1, 30);
is($got->{body}, '{"moved":1}', 'delivered from where the slot has moved to');
$app->run('acknowledged there', sub { !$redis[0]->command('XLEN', $room) });

$nginx->stop;
$_->stop for @redis;


# TLS

my $dir = "$Jelou::Dir/$Jelou::Name.tls";

mkdir $dir;
chmod 0755, $dir;
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
       . "-subj /CN=queue -addext subjectAltName=DNS:queue "
       . "-keyout $dir/queue.key -out $dir/queue.crt 2>$dir/openssl.log") == 0
    or die Jelou::Server::slurp("$dir/openssl.log");

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'far', config => [
    "tls-port $Jelou::Port{PORT_2}", "tls-cert-file $dir/queue.crt",
    "tls-key-file $dir/queue.key", "tls-ca-cert-file $dir/queue.crt", 'tls-auth-clients no']);

$nginx = Jelou::Server->start(name => 'tls-front', meanwhile => sub { $app->tick(0.01) },
                              http => <<"END");
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_2}; }

jelou_redis_ssl                      on;
jelou_redis_ssl_trusted_certificate  $dir/queue.crt;

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    location /room {
        internal;
        jelou_deliver  queue  stream=room  group=app;
        proxy_pass     http://127.0.0.1:$Jelou::Port{APP};
    }

    location /none {
        internal;
        jelou_deliver        queue  stream=none  group=app;
        jelou_deliver_order  none;
        proxy_pass           http://127.0.0.1:$Jelou::Port{APP};
    }
}
END

for my $stream (qw(room none)) {
    $redis->command('XADD', $stream, '*', 'event', qq({"$stream":1}));
    ($got) = $app->wait(1);
    is($got->{body}, qq({"$stream":1}), "$stream: delivered over TLS");
    $app->run('acknowledged', sub { !$redis->command('XLEN', $stream) });
}

# what waits for an entry does so over TLS as well

my ($clients) = $redis->command('CLIENT', 'LIST');
like($clients, qr/laddr=127\.0\.0\.1:$Jelou::Port{PORT_2}\b.*cmd=xread/, 'TLS for all connections');
unlike($clients, qr/laddr=127\.0\.0\.1:$Jelou::Port{PORT_1}\b.*cmd=(?!client)/, 'and nothing else');

$nginx->stop;
$redis->stop;
$app->stop;
