# Two nginx with four workers each deliver two streams, while workers and whole
# nginx are killed, Redis is killed and comes back, nginx is reloaded, and the
# application fails: each event is delivered, in the order of its room, and
# without a crash once.
#
# JELOU_EVENTS is the number of events of each part.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $events = $ENV{JELOU_EVENTS} // 1500;
my $rooms  = 50;

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue',
                                config => ['appendonly yes', 'appendfsync always']);
my $app   = Jelou::Delivery->start(port => $Jelou::Port{APP});

my @front = map {
    Jelou::Server->start(name => "front-$_->[0]", main => 'worker_processes 4;',
                         allow => qr/exited on signal 9/, http => <<"END");
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1} max_fails=0; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP} max_fails=0; keepalive 8; }

server {
    listen  127.0.0.1:$_->[1];

    location \@app {
        jelou_deliver          queue  stream=lane:0 stream=lane:1  group=app;
        jelou_deliver_order    $_->[2];
        jelou_deliver_retry    20ms  max=200ms  attempts=1000;
        jelou_deliver_parallel 8;
        proxy_pass             http://app;
        proxy_http_version     1.1;
        proxy_set_header       Connection "";
    }
}
END
} [1, $Jelou::Port{SERVER}, 'room'], [2, $Jelou::Port{PORT_2}, 'room'];


# part(NAME, TWICE, STEPS): events of many rooms, and meanwhile the steps, one
# after the other; TWICE: an event may come more than once

my $part = 0;

sub part {
    my ($name, $twice, @steps) = @_;

    my (%sent, %taken, %first, %after, $disorder, $repeated, $answers);

    $part++;
    $disorder = $repeated = $answers = 0;

    $app->behave(sub {
        my $request = shift;

        my ($p, $room, $n) = $request->{body} =~ /"part":(\d+),"room":(\d+),"n":(\d+)/;
        return { status => 200 } if $p != $part;

        # what comes for the first time comes after the one before was taken

        my $key = "$room-$n";

        $disorder++ if !$first{$key}++ && $n > 1 && !$taken{"$room-" . ($n - 1)};
        $repeated++ if $taken{$key};
        $answers++;

        my $luck = rand;

        return { status => 503 } if $luck < 0.06;
        return { status => 'close' } if $luck < 0.10;

        $taken{$key}++;
        return { status => 200, after => rand() < 0.02 ? 0.1 : 0.001 };
    });

    my (%n, @sent);
    my $step = 0;
    my $until = time + 120;

    while (keys %taken < $events) {
        die "in vain: " . keys(%taken) . " of $events events\n" if time > $until;

        if (@sent < $events) {
            for (1 .. 20) {
                last if @sent == $events;

                my $room = 1 + int rand $rooms;
                my $n    = ($n{$room} // 0) + 1;

                eval {
                    $redis->command('XADD', 'lane:' . $room % 2, '*', 'room_id', $room,
                        'event', qq({"part":$part,"room":$room,"n":$n}));
                    $n{$room} = $n;
                    push @sent, "$room-$n";
                } or last;
            }
        }

        if (@steps && keys %taken > $events * ($step + 1) / (@steps + $step + 1.5)) {
            $step++;
            (shift @steps)->();
        }

        $app->tick(0.005);
    }

    is(scalar(grep { !$taken{$_} } @sent), 0, "$name: each event is delivered");
    is($disorder, 0, "$name: in the order of its room");
    is($repeated, 0, "$name: once") if !$twice;
    is(scalar @steps, 0, "$name: all has happened");

    diag("$name: $answers requests, $repeated more than once") if $ENV{TEST_VERBOSE};

    $app->run("$name: all is acknowledged", sub {
        !grep { $redis->command('XLEN', "lane:$_") } 0, 1 });
    is(scalar(grep { $redis->command('EXISTS', "{lane:$_}:dead") } 0, 1), 0,
       "$name: there is no dead letter");

    return;
}

sub owners {
    return map { $redis->command('HGET', "jelou-deliver:{lane:$_}:app", 'owner') // '' }
           0, 1;
}

# kills the worker that has a stream

sub kill_owner {
    my ($pid) = (owners())[shift] =~ /:(\d+):/ or return;
    kill KILL => $pid;
}

# reload() waits for the old workers, which wait for the application

sub reload { my $nginx = shift; $nginx->reload(0) }

part('calm', 0);

part('reloads', 0,
     sub { reload($front[0]) }, sub { reload($front[1]) },
     sub { reload($_) for @front });

part('killed workers', 1, sub { kill_owner(0) }, sub { kill_owner(1) });

part('killed nginx', 1, sub {
    my $nginx = $front[0];
    my $pid   = $nginx->{pid};

    kill KILL => $pid, $nginx->workers(1);
    Jelou::Server::reap($pid, 5);
    $nginx->start;
});

part('killed Redis', 1, sub { $redis->crash; $redis->start },
     sub { $redis->crash; $redis->start });

part('all at once', 1,
     sub { kill_owner(0); reload($front[1]) },
     sub { $redis->crash; $redis->start; reload($front[0]) },
     sub { kill_owner(1); kill_owner(0) });

for my $lane (0, 1) {
    is_deeply([map { $_->[1] } @{ $redis->command('XINFO', 'CONSUMERS', "lane:$lane", 'app') }],
              ['nginx'], "lane $lane has one consumer");
}

$_->stop for @front;
$app->stop;
$redis->stop;
