# Three Sentinels and three servers: the one that they name takes the events, and
# no other one does, whatever it says of itself.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};
my @port = map { 12100 + ($$ % 150) * 10 + $_ } 0 .. 5;

my @common = ('appendonly yes', 'appendfsync always', 'repl-diskless-sync-delay 0',
              'min-replicas-to-write 1', 'min-replicas-max-lag 1', 'repl-ping-replica-period 1');

my @redis = map {
    Jelou::Redis->start(port => $port[$_], name => "redis-$_", config => [
        @common, $_ ? "replicaof 127.0.0.1 $port[0]" : ()])
} 0 .. 2;

my @sentinel = map {
    Jelou::Redis->start(port => $port[3 + $_], name => "sentinel-$_", args => ['--sentinel'],
                        config => ["sentinel monitor the-queue 127.0.0.1 $port[0] 2",
                                   'sentinel down-after-milliseconds the-queue 500',
                                   'sentinel failover-timeout the-queue 3000'])
} 0 .. 2;

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
upstream sentinels {
    server  127.0.0.1:$Jelou::Port{DOWN}  max_fails=0;
    server  127.0.0.1:$port[3]  max_fails=0;
    server  127.0.0.1:$port[4]  max_fails=0;
    server  127.0.0.1:$port[5]  max_fails=0;
}

server {
    listen  127.0.0.1:$port;

    jelou_secret                 "$Jelou::Secret";
    jelou_redis_stream           events;
    jelou_redis_dedup            1h;
    jelou_redis_connect_timeout  500ms;
    jelou_redis_read_timeout     1s;

    location = /queue {
        jelou_endpoint        incoming_message;
        jelou_redis_pass      sentinels;
        jelou_redis_sentinel  the-queue;
    }
    location = /unknown {
        jelou_endpoint        incoming_message;
        jelou_redis_pass      sentinels;
        jelou_redis_sentinel  nobody;
    }
}
END

sub named {
    my $reply = eval { $sentinel[0]->command(qw(SENTINEL GET-MASTER-ADDR-BY-NAME the-queue)) };

    return $reply ? $reply->[1] : 0;
}

$nginx->wait_for('the replicas are in step', sub {
    $redis[0]->command(qw(INFO replication)) =~ /^connected_slaves:2/m
    && !grep { $_->command(qw(INFO replication)) !~ /^master_link_status:up/m } @redis[1, 2]
}, 20);

$nginx->wait_for('the sentinels know each other', sub {
    !grep {
        my %is = @{ $_->command(qw(SENTINEL MASTER the-queue)) };
        $is{'num-other-sentinels'} != 2 || $is{'num-slaves'} != 2
    } @sentinel
}, 20);

my $n = 0;

sub ask {
    my ($path, $id) = @_;

    return Jelou::Load::ask($port, post(event(id => qq("$id")), path => "/$path"));
}

is(ask('queue', "m-$_")->{status}, 200, "m-$_ is accepted") for 1 .. 5;
is($redis[0]->command(qw(XLEN events)), 5, 'by the one that is named');
is(ask('unknown', 'm-1')->{status}, 500, 'a name that they do not know');
like($nginx->log, qr/jelou: the sentinels name no server/, 'says so');

# Events all the time, while the primary is killed, another one is promoted, and
# the old one comes back as a primary.

my (%accepted, @again);
my $old = $port[0];
my ($killed, $back) = (0, 0);
my $until = time + 30;

until ($n > 300 && $back && time > $back + 3 || time > $until) {
    my $id = "e-" . ++$n;

    ask('queue', $id)->{status} == 200 ? $accepted{$id}++ : push @again, $id;

    if ($n == 100) {
        $redis[0]->crash;
        $killed = time;
    }

    if ($killed && !$back && named() != $old) {
        $redis[0]->{config} = [@common[0, 1, 2]];        # and would take all
        $redis[0]->start;
        $back = time;
    }

    sleep 0.01;
}

cmp_ok($back, '>', 0, 'another one was promoted');
cmp_ok($back - $killed, '<', 20, 'in time');
is(named() == $old ? 1 : 0, 0, 'and is named');

# What was refused, also for want of a replica, is accepted in the end.

$until = time + 20;

while (@again && time < $until) {
    my $id = shift @again;

    ask('queue', $id)->{status} == 200 ? $accepted{$id}++ : push @again, $id;
    sleep 0.01;
}

is("@again", '', 'all are accepted in the end');

# Sentinel closes all connections to a server that gets another role.

delete @$_{qw(socket buffer)} for @redis;

my ($primary) = grep { $_->{port} == named() } @redis;
my %times;

$times{ $_->{message_id} }++ for $primary->entries('events');

is(scalar(grep { !$times{$_} } keys %accepted), 0, 'nothing that was accepted is lost');
is(scalar(grep { $_ != 1 } values %times), 0, 'nothing is there twice');

# A failover that is asked for is followed though nobody says anything

$sentinel[0]->error(qw(SENTINEL FAILOVER the-queue));
my $before = $primary->{port};

$nginx->wait_for('another one is named', sub { named() != $before }, 20);
sleep 2.5;
$nginx->wait_for('the next event is accepted', sub { ask('queue', 'last')->{status} == 200 });
delete @$_{qw(socket buffer)} for @redis;
($primary) = grep { $_->{port} == named() } @redis;
is(scalar(grep { $_->{message_id} eq 'last' } $primary->entries('events')), 1,
   'by the one that is named');

$nginx->stop;
$_->stop for @sentinel, @redis;
