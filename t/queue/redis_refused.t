# One project among a hundred whose stream is a key of another kind, at full load:
# it is refused, and nobody else notices.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(time);

my $port = $Jelou::Port{SERVER};

my $redis   = Jelou::Redis->start(port => $Jelou::Port{PORT_1});
my $replica = Jelou::Redis->start(port => $Jelou::Port{PORT_2}, name => 'replica',
                                  config => ["replicaof 127.0.0.1 $Jelou::Port{PORT_1}"]);

# a group as many have it, whose default is to leave a server out that has failed once

my $nginx = Jelou::Server->start(name => 'front', main => 'worker_processes 2;',
                                 http => <<"END");
upstream queue {
    server  127.0.0.1:$Jelou::Port{PORT_1};
    server  127.0.0.1:$Jelou::Port{PORT_2}  backup;
}

server {
    listen  127.0.0.1:$port reuseport;

    jelou_secret        "$Jelou::Secret";
    jelou_redis_stream  "jelou:{\$jelou_project_id}";

    location = /once {
        jelou_endpoint     incoming_message;
        jelou_redis_dedup  1h;
        jelou_redis_pass   queue;
    }
    location = /plain {
        jelou_endpoint     incoming_message;
        jelou_redis_pass   queue;
    }
}
END

my @projects = map { "p-$_" } 1 .. 100;
my $bad = 'p-37';

$redis->command('SET', "jelou:{$bad}", 'x');

for my $path (qw(once plain)) {
    my ($n, $began) = (0, time);
    my (%status, %accepted);

    my $left = 20_000;

    Jelou::Load::run(
        port => [$port], connections => 64, seconds => 30,
        next => sub {
            return if !$left--;

            # every tenth event is the bad one's

            my $project = ++$n % 10 ? $projects[($n + int $n / 100) % 100] : $bad;

            return { project => $project,
                     raw => post(event(project_id => qq("$project"), id => qq("$path-$n")),
                                 path => "/$path", keepalive => 1) };
        },
        done => sub {
            my ($request, $answer) = @_;
            my $status  = $answer ? $answer->{status} : 'none';
            my $project = $request->{project};

            $status{ $project eq $bad ? 'bad' : 'others' }{$status}++;
            $accepted{$project}++ if $status eq '200';
        },
    );

    diag(sprintf '%s: %d events in %.1f s', $path, $n - 1, time - $began) if $ENV{TEST_VERBOSE};

    is(join(' ', sort keys %{ $status{others} }), '200', "$path: the others are accepted");
    is(join(' ', sort keys %{ $status{bad} }), '500', "$path: it is refused");
    cmp_ok($status{bad}{500}, '>=', 2000, "$path: again and again");

    my @wrong = grep {
        $_ ne $bad && $redis->command('XLEN', "jelou:{$_}") != $accepted{$_}
    } @projects;

    is("@wrong", '', "$path: each event of the others is there, once");
    $redis->command('DEL', "jelou:{$_}") for grep { $_ ne $bad } @projects;
}

# The log: a line a second and cause, of each worker

my @lines = grep { /jelou:/ } split /\n/, $nginx->log;
my %cause;
my %second;

for (@lines) {
    my ($second, $pid, $text) = /^(\S+ \S+) \[error\] (\d+)#\S+ \S+ jelou: ([^,]+)/ or next;

    $cause{$text}++;
    $second{"$second $pid $text"}++;
}

is_deeply([sort keys %cause],
          ['redis refused XADD: WRONGTYPE', 'redis refused the script: WRONGTYPE'], 'the causes');
is(scalar(grep { $_ > 1 } values %second), 0, 'each once a second');

$nginx->stop;
$_->stop for $replica, $redis;
