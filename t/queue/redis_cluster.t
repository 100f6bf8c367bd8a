# A cluster of three primaries and replicas: redirections are followed and
# remembered, a slot moves and a primary dies under load, and each event that was
# accepted has its entry, once.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};

# The servers of a cluster speak to each other on the port that is 10000 above:
# both are below those that the system gives to connections.

my @ports = map { 10100 + ($$ % 150) * 10 + $_ } 0 .. 6;

sub start {
    my $i = shift;

    return Jelou::Redis->start(port => $ports[$i], name => "node-$i", config => [
        'cluster-enabled yes', 'cluster-node-timeout 1000', 'appendonly yes',
        'appendfsync always', 'cluster-require-full-coverage no',
        'repl-diskless-sync-delay 0', 'cluster-replica-validity-factor 0']);
}

my @redis = map { start($_) } 0 .. 5;

my @range = ([0, 5460], [5461, 10922], [10923, 16383]);

$redis[$_]->command(qw(CLUSTER ADDSLOTSRANGE), @{ $range[$_] }) for 0 .. 2;
$redis[$_]->command(qw(CLUSTER SET-CONFIG-EPOCH), $_ + 1) for 0 .. 5;
$redis[0]->command(qw(CLUSTER MEET 127.0.0.1), $ports[$_]) for 1 .. 5;

my $nginx = Jelou::Server->start(name => 'front', main => 'worker_processes 2;',
                                 http => <<"END");
upstream queue {
    server  127.0.0.1:$ports[0]  max_fails=0;
    server  127.0.0.1:$ports[1]  max_fails=0;
    server  127.0.0.1:$ports[2]  max_fails=0;
}

server {
    listen  127.0.0.1:$port reuseport;

    jelou_secret                 "$Jelou::Secret";
    jelou_redis_stream           "jelou:{\$jelou_project_id}";
    jelou_redis_dedup            1h;
    jelou_redis_connect_timeout  500ms;
    jelou_redis_read_timeout     1s;

    location / {
        jelou_endpoint    incoming_message;
        jelou_redis_pass  queue;
    }
}
END

sub node { return $redis[$_[0]]->command(qw(CLUSTER MYID)) }

sub ok_everywhere {
    return !grep { $_->command(qw(CLUSTER INFO)) !~ /^cluster_state:ok.*^cluster_known_nodes:6\r$/ms } @redis;
}

$nginx->wait_for('the cluster is ready', \&ok_everywhere, 30);

for my $i (0 .. 2) {
    my $id = node($i);
    $nginx->wait_for('it is a replica', sub {
        $redis[3 + $i]->error(qw(CLUSTER REPLICATE), $id) eq ''
    }, 20);
}

$nginx->wait_for('the replicas are in step', sub {
    !grep { $redis[$_]->command(qw(INFO replication)) !~ /^master_link_status:up/m } 3 .. 5
}, 20);

my $n = 0;

sub raw {
    my ($project, $id) = @_;

    return post(event(project_id => qq("$project"), id => qq("$id")), path => '/',
                keepalive => 1);
}

sub ask { return Jelou::Load::ask($port, raw(@_)) }

# Each project has its server, whichever is asked first.

for (1 .. 30) {
    is(ask("p-$_", "m-$_")->{status}, 200, "p-$_ is accepted");
}

for (1 .. 30) {
    like(ask("p-$_", "m-$_")->{head}, qr/^Idempotent-Replayed: true\r$/m, "p-$_ is known");
}

my @kept = map { $_->command(qw(INFO stats)) =~ /^total_connections_received:(\d+)/m } @redis;

is(ask('p-' . (1 + $_ % 30), "n-$_")->{status}, 200, "n-$_ is accepted") for 1 .. 60;

my @now = map { $_->command(qw(INFO stats)) =~ /^total_connections_received:(\d+)/m } @redis;

cmp_ok($now[0] + $now[1] + $now[2] - $kept[0] - $kept[1] - $kept[2], '<=', 6,
       'connections are kept');


# entries(PREFIX): how often each event is in the streams of all primaries

sub entries {
    my $prefix = shift;

    my %times;

    for my $redis (grep { eval { $_->command('ROLE')->[0] } // '' eq 'master' } @redis) {
        next if $redis->command('ROLE')->[0] ne 'master';

        for my $key (grep { /^jelou:/ } @{ $redis->command('KEYS', 'jelou:*') }) {
            for my $entry (eval { $redis->entries($key) }) {
                $times{ $entry->{message_id} }++
                    if $entry->{message_id} =~ /^$prefix-/;
            }
        }
    }

    return \%times;
}

# load(PREFIX, EVENTS, TICK, MORE): each event twice, until it is accepted; so many
# events, and on as long as MORE says so

sub load {
    my ($prefix, $events, $tick, $more) = @_;

    my (%accepted, %status, @again);
    my ($sent, $answers) = (0, 0);

    Jelou::Load::run(
        port => [$port], connections => 16, seconds => 60,
        tick => sub { $tick->($answers) },
        next => sub {
            return shift @again if @again && rand() < 0.3;
            return shift @again
                if $sent >= 2 * $events && $sent % 2 == 0 && !($more && $more->());

            my $id = "$prefix-" . int(++$sent / 2 + 0.5);
            my ($number) = $id =~ /(\d+)$/;

            return { id => $id, raw => raw('p-' . $number % 30, $id) };
        },
        done => sub {
            my ($request, $answer) = @_;
            my $status = $answer ? $answer->{status} : 'none';

            $answers++;
            $status{$status}++;

            if ($status eq '200') {
                $accepted{ $request->{id} }++;
            } else {
                select undef, undef, undef, 0.005;
                push @again, $request;
            }
        },
    );

    while (my $request = shift @again) {
        my $answer = Jelou::Load::ask($port, $request->{raw});

        $answer->{status} == 200 ? $accepted{ $request->{id} }++
                                 : push @again, $request;
        sleep 0.02;
    }

    my $times = entries($prefix);

    is(scalar(keys %accepted), int($sent / 2), "$prefix: all are accepted");
    is(scalar(grep { !$times->{$_} } keys %accepted), 0, "$prefix: all are there");
    is(scalar(grep { $_ != 1 } values %$times), 0, "$prefix: once");

    return \%status;
}


# The slot of a project moves from one server to the next, and back.

my $slot = $redis[0]->command(qw(CLUSTER KEYSLOT p-7));
my ($from) = grep { $range[$_][0] <= $slot && $slot <= $range[$_][1] } 0 .. 2;
my $to = ($from + 1) % 3;
my $moves = 0;

sub move {
    my ($slot, $from, $to) = @_;

    $redis[$to]->command(qw(CLUSTER SETSLOT), $slot, 'IMPORTING', node($from));
    $redis[$from]->command(qw(CLUSTER SETSLOT), $slot, 'MIGRATING', node($to));

    while (my @keys = @{ $redis[$from]->command(qw(CLUSTER GETKEYSINSLOT), $slot, 3) }) {
        $redis[$from]->command('MIGRATE', '127.0.0.1', $ports[$to], '', 0, 5000, 'KEYS',
                               @keys);
    }

    $redis[$_]->command(qw(CLUSTER SETSLOT), $slot, 'NODE', node($to)) for $to, $from;
}

my $status = load('moved', 1500, sub {
    my $answers = shift;

    move($slot, $moves % 2 ? ($to, $from) : ($from, $to)), $moves++
        if $moves < 4 && $answers > 300 + 500 * $moves;
});

is($moves, 4, 'moved: four times');
is(join(' ', sort keys %$status), '200', 'moved: nobody was refused');


# A node is added, and takes the slots of some projects, which come from all others.

my @slots = map { $redis[0]->command(qw(CLUSTER KEYSLOT), "p-$_") } 1 .. 6;
my $added = 0;

$status = load('added', 1500, sub {
    my $answers = shift;

    if ($answers > 300 && !$added) {
        push @redis, start(6);
        $redis[6]->command(qw(CLUSTER SET-CONFIG-EPOCH 7));
        $redis[6]->command(qw(CLUSTER MEET 127.0.0.1), $ports[0]);
        $added = 1;
    }

    if ($answers > 1200 && $added && $added <= @slots
        && $redis[6]->command(qw(CLUSTER INFO)) =~ /^cluster_state:ok.*^cluster_known_nodes:7\r$/ms
        && !grep { $_->command(qw(CLUSTER NODES)) !~ /:$ports[6]\@/ } @redis[0 .. 2])
    {
        my $slot   = $slots[$added++ - 1];
        my ($from) = grep { $range[$_][0] <= $slot && $slot <= $range[$_][1] } 0 .. 2;

        move($slot, $from, 6);
    }
}, sub { $added <= @slots });

is($added, 1 + @slots, 'added: it has all slots that were meant for it');
is(scalar(grep { !$redis[6]->command('XLEN', "jelou:{p-$_}") } 1 .. 6), 0,
   'added: and their streams');
is(join(' ', sort keys %$status), '200', 'added: nobody was refused');


# A primary dies: refused is what belongs to it, until its replica takes over.

my $killed = 0;

$status = load('failed', 1500, sub {
    my $answers = shift;

    # what it has said OK to is at its replica

    if ($answers > 500 && !$killed++) {
        $redis[1]->command(qw(CLIENT PAUSE 5000 WRITE));
        sleep 0.2;
        $redis[1]->crash;
    }
});

is($killed > 0, 1, 'failed: it was killed');
diag(join ', ', map { "$status->{$_} with $_" } sort keys %$status) if $ENV{TEST_VERBOSE};

$nginx->stop;
$_->stop for @redis;
