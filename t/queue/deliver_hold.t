# Everything at once: clients send to two nginx, which queue the events and
# deliver them, while the application, workers, whole nginx and Redis are killed
# and started, and nginx is reloaded.  What got 200 is delivered at least once, of
# each room in the stream's order; dead letters are those that should be; and
# without a crash nothing comes twice.
#
# JELOU_HOLD=full is 20,000 events of 500 rooms from 200 clients, to two nginx of
# four workers; docs/testing.md has what that took.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Redis;
use Jelou::Server;

use IO::Select;
use IO::Socket::INET;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

my $full    = ($ENV{JELOU_HOLD} // '') eq 'full';
my $events  = $full ? 20_000 : 1200;
my $rooms   = $full ? 500 : 60;
my $clients = $full ? 200 : 20;
my $workers = $full ? 4 : 2;
my $begun   = time;

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue',
                                config => ['appendonly yes', 'appendfsync always']);
my $app   = Jelou::Delivery->start(port => $Jelou::Port{APP});
my @ports = ($Jelou::Port{SERVER}, $Jelou::Port{PORT_2});

my @front = map {
    Jelou::Server->start(name => "front-$_", main => "worker_processes $workers;",
                         meanwhile => sub { $app->tick(0.005) },
                         allow => qr/exited on signal 9/, http => <<"END");
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1} max_fails=0; keepalive 8; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP} max_fails=0; keepalive 8; }

split_clients \$jelou_room_id \$lane {
    50%  0;
    *    1;
}

server {
    listen  127.0.0.1:$ports[$_];

    location = /in {
        jelou_endpoint      incoming_message;
        jelou_secret        "$Jelou::Secret";
        jelou_redis_pass    queue;
        jelou_redis_stream  "lane:\$lane";
        jelou_redis_dedup   1h;
    }

    location \@app {
        jelou_deliver          queue  stream=lane:0 stream=lane:1  group=app;
        jelou_deliver_retry    20ms  max=200ms  attempts=100000;
        jelou_deliver_parallel 16;
        proxy_pass             http://app;
        proxy_http_version     1.1;
        proxy_set_header       Connection "";
    }
}
END
} 0, 1;


# send_all(PART): all events of a part, each again until it has got 200.  What the
# clients have done is in a process of its own.

sub request {
    my ($part, $n) = @_;

    my $poison = $n % 100 == 50 ? 'poison' : 'good';

    return post(event(id => qq("m-$part-$n"), room_id => '"r-' . $n % $rooms . '"',
                      content => qq({"body":"$poison"})), path => '/in');
}

sub send_all {
    my $part = shift;
    my $pid  = fork // die "fork: $!\n";

    return $pid if $pid;

    close $app->{listen};
    local $SIG{PIPE} = 'IGNORE';

    my ($next, $done, $again, %of) = (0, 0, 0);
    my $select = IO::Select->new;
    my @todo   = (undef) x $clients;           # of each idle client its request

    while ($done < $events) {
        my @later;

        for my $n (splice @todo) {
            $n //= $next < $events ? ++$next : next;

            my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', Proto => 'tcp',
                                               PeerPort => $ports[$again++ % 2]);

            if (!$socket || !defined syswrite $socket, request($part, $n)) {
                push @later, $n;
                next;
            }

            $of{ fileno $socket } = $n;
            $select->add($socket);
        }

        for my $socket ($select->can_read(0.05)) {
            my $n  = delete $of{ fileno $socket };
            my $answer;
            my $ok = (sysread($socket, $answer, 4096) // 0)
                     && $answer =~ m{^HTTP/1\.1 200 };

            $select->remove($socket);
            close $socket;

            $done++ if $ok;
            push @todo, $ok ? undef : $n;
        }

        sleep 0.05 if @later;
        push @todo, @later;
    }

    POSIX::_exit(0);
}


# part(NAME, TWICE, STEPS): events, and meanwhile the steps

my $part = 0;
my $sender;

END { kill KILL => $sender if $sender }

sub part {
    my ($name, $twice, @steps) = @_;

    my (%final, %seen, %last, $behave);
    my ($disorder, $repeated, $requests, $taken) = (0, 0, 0, 0);

    $part++;

    $app->behave($behave = sub {
        my $request = shift;

        my ($room, $id, $text) =
            $request->{body} =~ /"room_id":"(r-\d+)".*"id":"(m-\d+-\d+)".*"body":"(\w+)"/;
        my $entry = $request->{head}{'x-jelou-delivery-id'} =~ s/-/ /r;

        if (!$seen{$id}++) {
            my $before = $last{$room};

            $disorder++ if $before && (!$final{ $before->[0] }
                                       || !later($entry, $before->[1]));
            $last{$room} = [$id, $entry];
        }

        $requests++;
        $repeated++ if $final{$id};

        if ($text eq 'poison') {
            $taken++ if !$final{$id}++;
            return { status => 422 };
        }

        my $luck = rand;

        return { status => 503 } if $luck < 0.06;
        return { status => 'close' } if $luck < 0.10;

        $taken++ if !$final{$id}++;
        return { status => 200 };
    });

    my $all   = @steps;
    my $until = time + ($full ? 900 : 90);

    $sender = send_all($part);

    until ($taken >= $events && !$sender) {
        die "in vain: $taken of $events events\n" if time > $until;
        undef $sender if $sender && waitpid($sender, WNOHANG);

        if (@steps && $taken > $events * ($all - @steps + 1) / ($all + 1.5)) {
            (shift @steps)->($behave);
        }

        @{ $app->{seen} } = ();
        $app->tick(0.005);
    }

    is(scalar(keys %final), $events, "$name: each event is delivered");
    is($disorder, 0, "$name: in the order of the stream");
    is($repeated, 0, "$name: once") if !$twice;
    is(scalar @steps, 0, "$name: all has happened");

    $app->run("$name: all is acknowledged", sub {
        !grep { $redis->command('XLEN', "lane:$_") } 0, 1 });

    my %dead;

    for ($redis->entries('{lane:0}:dead'), $redis->entries('{lane:1}:dead')) {
        $dead{$1}++ if $_->{event} =~ /"id":"m-$part-(\d+)"/;
        $dead{wrong}++ if $_->{dead_reason} ne 'rejected';
    }

    is(join(' ', map { "$_:$dead{$_}" } sort { $a <=> $b } keys %dead),
       join(' ', map { $_ * 100 + 50 . ':1' } 0 .. $events / 100 - 1),
       "$name: dead letters are those that should be");

    diag(sprintf '%s: %d requests, %d of them repeated, %.0f s', $name, $requests,
         $repeated, time - $begun) if $full || $ENV{TEST_VERBOSE};
    $begun = time;

    return;
}

# later(ENTRY, OTHER): by their ids, "ms seq"

sub later {
    my ($one, $two) = map { [split ' '] } @_;

    return $one->[0] > $two->[0] || ($one->[0] == $two->[0] && $one->[1] > $two->[1]);
}


# What happens

sub worker_killed {
    my ($pid) = ($redis->command('HGET', 'jelou-deliver:{lane:0}:app', 'owner') // '')
                =~ /:(\d+):/ or return;
    kill KILL => $pid;
}

sub nginx_killed {
    my $nginx = $front[shift];
    my $pid   = $nginx->{pid};

    kill KILL => $pid, $nginx->workers(1);
    Jelou::Server::reap($pid, 5);
    $nginx->start;
}

sub redis_killed { $redis->crash; $redis->start }

sub app_killed {
    my $behave = shift;

    $app->stop;
    sleep 0.3;
    $app = Jelou::Delivery->start(port => $Jelou::Port{APP});
    $app->behave($behave);
}

part('reloads', 0, map { my $n = $_; sub { $front[$n % 2]->reload(0) } } 1 .. 3);

part('all at once', 1,
     \&app_killed,
     \&worker_killed,
     sub { $front[0]->reload(0); redis_killed() },
     sub { nginx_killed(1); $front[0]->reload(0) },
     sub { worker_killed(); app_killed(@_) },
     sub { redis_killed(); nginx_killed(0) });

$_->stop for @front;
$app->stop;
$redis->stop;
