# Two nginx, each with four workers, 64 connections and one queue: each event is
# in the stream exactly once, also if the server dies and comes back, or hands
# over to its replica, and everybody who sends it is told the truth.  JELOU_LOAD=10
# takes ten times as many events, and kills the server ten times as often.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my @front = map {
    my $name = $_->[0];

    Jelou::Server->start(name => $name, level => 'warn', main => 'worker_processes 4;',
                         http => <<"END");
upstream queue {
    server     127.0.0.1:$Jelou::Port{PORT_1}  max_fails=0;
    server     127.0.0.1:$Jelou::Port{PORT_2}  max_fails=0 backup;
    keepalive  16;
}

server {
    listen  127.0.0.1:$_->[1] reuseport;

    jelou_secret       "$Jelou::Secret";
    jelou_redis_dedup  1h;

    location / {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  events;
        add_header          X-Pid \$pid always;
    }
}
END
} [first => $Jelou::Port{SERVER}], [second => $Jelou::Port{APP}];

my @ports = @Jelou::Port{qw(SERVER APP)};
my $times = $ENV{JELOU_LOAD} || 1;


# load(EVENTS, COPIES, PREFIX, TICK): sends each event so many times, one copy
# behind the other, and a copy that was refused once more, as senders do, until
# it is accepted.  TICK is called with the number of answers now and then.
# Returns what has happened.

sub load {
    my ($events, $copies, $prefix, $tick) = @_;

    my (%status, %first, %accepted, %worker, @odd, @again);
    my ($n, $copy, $raw, $id) = (0, $copies);
    my $answers = 0;

    Jelou::Load::run(
        port => \@ports, connections => 64, seconds => 60 * $times,
        tick => sub { $tick->($answers) if $tick },

        next => sub {
            return shift @again if @again && rand() < 0.5;

            if ($copy++ == $copies) {
                return shift @again if $n == $events;

                $copy = 1;
                $id   = "$prefix-" . ++$n;
                $raw  = post(event(id => qq("$id")), path => '/', keepalive => 1);
            }

            return { raw => $raw, id => $id };
        },

        done => sub {
            my ($request, $answer) = @_;

            my $status = $answer ? $answer->{status} : 'none';

            $status{$status}++;
            $answers++;

            if ($status ne '200') {
                select undef, undef, undef, 0.002;
                push @again, $request;
                return;
            }

            $worker{$1}++ if $answer->{head} =~ /^X-Pid: (\d+)\r$/m;

            push @odd, $answer->{body} if $answer->{body}
                ne qq({"success":true,"messageId":"$request->{id}"});

            $accepted{ $request->{id} }++;
            $first{ $request->{id} }++
                unless $answer->{head} =~ /^Idempotent-Replayed: true\r$/m;
        },
    );

    # what was refused when nothing else was left to send

    while (my $request = shift @again) {
        my $answer = Jelou::Load::ask($ports[0], $request->{raw});

        $answer && $answer->{status} == 200 ? $accepted{ $request->{id} }++
                                            : push @again, $request;
        sleep 0.01;
    }

    diag("$prefix: ", join ', ', map { "$status{$_} with $_" } sort keys %status)
        if $ENV{TEST_VERBOSE};

    return { status => \%status, first => \%first, accepted => \%accepted,
             worker => \%worker, odd => \@odd };
}

# stream(REDIS, PREFIX, LOAD): each event that was accepted is there, once

sub stream {
    my ($redis, $prefix, $load) = @_;

    my (%times, @unlike);

    for my $entry ($redis->entries('events')) {
        my $id = $entry->{message_id};

        next if $id !~ /^$prefix-/;

        $times{$id}++;
        push @unlike, $entry if $entry->{event} ne event(id => qq("$id"));
    }

    is(scalar(grep { !$times{$_} } keys %{ $load->{accepted} }), 0,
       "$prefix: each event that was accepted is in the stream");
    is(scalar(grep { $_ != 1 } values %times), 0, "$prefix: once");
    is(scalar @unlike, 0, "$prefix: as it was sent");
    is(scalar @{ $load->{odd} }, 0, "$prefix: the answers");

    return scalar keys %times;
}


# Copies, to both

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue',
                                config => ['appendonly yes', 'appendfsync always']);

my $load = load(2000 * $times, 4, 'copies');

is(stream($redis, 'copies', $load), 2000 * $times, 'copies: all events');
is($load->{status}{200}, 8000 * $times, 'copies: all are accepted');
is(scalar keys %{ $load->{worker} }, 8, 'copies: by all workers of both');
is(scalar keys %{ $load->{first} }, 2000 * $times, 'copies: each event has a first one');
is(scalar(grep { $_ != 1 } values %{ $load->{first} }), 0, 'copies: and only one');


# A server that is killed, and comes back with what it has on its disk

my $killed = 0;

my $before = $load = load(3000 * $times, 2, 'killed', sub {
    my $answers = shift;

    return if $killed == 3 * $times || $answers < 1000 + 1500 * $killed;

    $redis->crash;
    $redis->start;
    $killed++;
});

is($killed, 3 * $times, 'killed: again and again');
cmp_ok($load->{status}{500}, '>', 0, 'killed: that was noticed');
is(stream($redis, 'killed', $load), 3000 * $times, 'killed: all events');
is(scalar keys %{ $load->{accepted} }, 3000 * $times, 'killed: and all were accepted');


# A primary that hands over, and then dies: the group has both

my $replica = Jelou::Redis->start(
    port => $Jelou::Port{PORT_2}, name => 'replica',
    config => ["replicaof 127.0.0.1 $Jelou::Port{PORT_1}", 'appendonly yes',
               'appendfsync always']);

$redis->command(qw(CONFIG SET repl-diskless-sync-delay 0));

sub in_step {
    my ($from, $to) = @_;

    return $to->command(qw(INFO replication)) =~ /^master_link_status:up/m
           && $from->command(qw(INFO replication)) =~ /state=online/;
}

$front[0]->wait_for('the replica is in step', sub { in_step($redis, $replica) });

my $asked = $killed = 0;

$load = load(3000, 2, 'handed', sub {
    my $answers = shift;

    if ($answers >= 1000 && !$asked++) {
        $redis->command('FAILOVER', 'TO', '127.0.0.1', $Jelou::Port{PORT_2});
    }

    if ($answers >= 3000 && !$killed
        && $replica->command('ROLE')->[0] eq 'master'
        && $redis->command('ROLE')->[0] eq 'slave')
    {
        $redis->crash;
        $killed = 1;
    }
});

is($killed, 1, 'handed over: the old primary is gone');
is(stream($replica, 'handed', $load), 3000, 'handed over: all events');
is(stream($replica, 'killed', $before), 3000 * $times, 'handed over: those of before, too');

my $copy = Jelou::Load::ask($ports[1], post(event(id => '"copies-1"'), path => '/'));

like($copy->{head}, qr/^Idempotent-Replayed: true\r$/m,
     'handed over: what the old one knew is known');

# Each refusal was logged with its cause.

my %cause;

for my $line (map { split /\n/, $_->log } @front) {
    $cause{$1}++ if $line =~ /jelou: redis (?:refused the script|takes no commands): (\w+)/;
}

is(join(' ', sort grep { !/^(?:LOADING|UNBLOCKED)$/ } keys %cause), 'READONLY', 'the log');

$_->stop for @front, $replica;
