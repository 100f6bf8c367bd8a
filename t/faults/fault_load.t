# Under load, workers are killed, the configuration is loaded again, and the
# binary is replaced, and put back: each 200 that a sender saw has its record at
# the application, and what was not answered is delivered when it is sent again.

use strict;
use warnings;

use lib 't/lib';

use Jelou;
use Jelou::Application;
use Jelou::Faults;
use Jelou::Load;
use Jelou::Messages;
use Jelou::Reports;
use Jelou::Server;
use Test::More;
use Time::HiRes qw(sleep time);

plan(Jelou::Faults->wrapped
    ? (skip_all => 'a master starts another one without its wrapper') : 'no_plan');

my $port = $Jelou::Port{SERVER};
my $app  = Jelou::Application->start;

# Only a daemon ends its workers for another master (SIGWINCH).

my $nginx = Jelou::Server->new(
    name  => 'front', level => 'notice',
    main  => "worker_processes 3;\nworker_shutdown_timeout 10s;",
    allow => qr/worker process \d+ exited on signal 9|zone "seen" was locked by/,
    http  => <<"END");
jelou_dedup_zone  zone=seen:16m;

upstream app {
    server     127.0.0.1:$Jelou::Port{APP} max_fails=0;
    keepalive  32;
}

server {
    listen  127.0.0.1:$port;

    proxy_http_version  1.1;
    proxy_set_header    Connection "";
    set                 \$to http://app/;

    location /signed {
        jelou_endpoint  message;
        jelou_secret    "$Jelou::Secret";
        jelou_dedup     zone=seen;
        proxy_pass      \$to;
    }
    location /open {
        jelou_endpoint  room_message;
        jelou_dedup     zone=seen;
        proxy_pass      \$to;
    }
}
END

my $dir = $nginx->{dir};


# A daemon is not a child of this process.

my %master;

sub pid_in {
    my $file = shift;

    return -s $file ? Jelou::Server::slurp($file) =~ s/\D//gr || 0 : 0;
}

sub alive {
    my $pid = shift;

    open my $in, '<', "/proc/$pid/stat" or return 0;
    return <$in> !~ /^\d+ \(.*\) Z /s;
}

sub master {
    my $pid = shift;

    $master{$pid} = 1;

    return bless { %$nginx, pid => $pid }, 'Jelou::Server';
}

END {
    local $?;

    delete $nginx->{pid};

    for my $pid (grep { alive($_) } keys %master) {
        kill TERM => $pid;
        for (1 .. 200) { last if !alive($pid); sleep 0.01 }
        kill KILL => $pid if alive($pid);
    }
}

system($ENV{TEST_NGINX_BINARY}, '-e', "$dir/error.log", '-c',
       "$dir/nginx.conf") == 0 or die 'nginx does not start: ' . $nginx->log;

$nginx->wait_for('nginx starts', sub { pid_in("$dir/nginx.pid") });

my $now = master(pid_in("$dir/nginx.pid"));
my $other;

$now->wait_for('the workers start', sub { $now->workers == 3 });


# What happens, one after the other: what is done, and when it is over

my $since;
my $for  = sub { my $seconds = shift; sub { time - $since > $seconds } };
my @old;

my $kill = sub {
    my ($worker) = $now->workers;

    @old = $worker // ();
    kill KILL => $worker if $worker;
};

my $reload = sub { @old = $now->reload(0) };

my $reborn = sub {
    my %is = map { $_ => 1 } $now->workers(1);

    return 3 == keys %is && !grep { $is{$_} } @old;
};

my $to_new_binary = sub { kill USR2 => $now->{pid} };

my $new_binary = sub {
    my $pid = pid_in("$dir/nginx.pid");

    return 0 if !$pid || $pid == $now->{pid} || !-s "$dir/nginx.pid.oldbin";

    $other = master($pid);
    return $other->workers == 3;
};

my $no_workers = sub { my $of = shift; sub { !$$of->workers(1) } };

my @steps = (
    ['load', sub { }, $for->(0.5)],

    (map { (['a worker is killed', $kill, $reborn], ['load', sub { }, $for->(0.1)]) }
         1 .. 8),
    ['all workers are killed', sub { @old = $now->workers; kill KILL => @old },
     $reborn],
    (map { (['a reload', $reload, $reborn], ['load', sub { }, $for->(0.1)]) } 1 .. 4),

    ['another binary', $to_new_binary, $new_binary],
    ['both take requests', sub { }, $for->(0.3)],
    ['the old workers end', sub { kill WINCH => $now->{pid} }, $no_workers->(\$now)],
    ['a worker of the new ones is killed', sub { kill KILL => ($other->workers)[0] },
     $for->(0.3)],
    ['the old master ends',
     sub { @old = ($now->{pid}, $other); kill QUIT => $now->{pid} },
     sub { !alive($old[0]) && !-e "$dir/nginx.pid.oldbin" && ($now = $old[1]) }],
    ['load', sub { }, $for->(0.3)],

    ['another binary again', $to_new_binary, $new_binary],
    ['the old workers end again', sub { kill WINCH => $now->{pid} },
     $no_workers->(\$now)],
    ['the old workers come back', sub { @old = (); kill HUP => $now->{pid} },
     sub { $now->workers == 3 }],
    ['the new master ends', sub { kill QUIT => $other->{pid} },
     sub { !alive($other->{pid}) && pid_in("$dir/nginx.pid") == $now->{pid} }],
    ['load', sub { }, $for->(0.3)],
);

my ($n, $step, $begun, $looked, $over) = (0, 0, 0, 0, 0);
my (%status, %answered, %pending, @again, @during);

sub raw_of {
    my $id = shift;

    my @how = $id % 3 ? ('message', $id, '/signed') : ('room_message', $id, '/open');

    return request(@how, keepalive => $id % 2);
}

Jelou::Load::run(
    port => $port, connections => 24, seconds => 35,

    next => sub {
        return undef if $over;

        my $id = shift @again // ++$n;

        $pending{$id}++;

        return { id => $id, raw => raw_of($id) };
    },

    done => sub {
        my ($request, $answer) = @_;

        my $id     = $request->{id};
        my $status = $answer ? $answer->{status} : 'none';

        $status{$status}++;
        $during[$step]{$status}++;

        if ($status eq '200') {
            $answered{$id}++;
            delete $pending{$id};

        } else {
            push @again, $id;
        }
    },

    tick => sub {
        return if $over || time - $looked < 0.02;
        $looked = time;

        if (!$begun) {
            $since = time;
            $begun = 1;
            $steps[$step][1]->();
            return;
        }

        return if !$steps[$step][2]->();

        diag(sprintf '%.2f s: %s: %s', time - $since, $steps[$step][0],
             join ', ', map { "$during[$step]{$_} with $_" }
                        sort keys %{ $during[$step] // {} }) if $ENV{TEST_VERBOSE};

        $begun = 0;
        $over  = ++$step == @steps;
    },
);

is($step, scalar @steps, 'all of it has happened');

my @strange = grep { !/^(?:200|none)$/ } keys %status;

is("@strange", '', 'an event is accepted, or not answered');
cmp_ok($status{200}, '>=', 100, "$status{200} were accepted");
cmp_ok($status{none} // 0, '>=', 1, 'some were not answered');

# What was not answered is sent again: at once, for nobody else has it.

my @lost = sort { $a <=> $b } keys %pending;

for my $id (@lost) {
    my $answer = Jelou::Load::ask($port, raw_of($id) =~ s/keep-alive/close/r);

    is($answer ? $answer->{status} : 'none', 200, "event $id is delivered when it is sent again");
    $answered{$id}++;
}


kill QUIT => $now->{pid};
$now->wait_for('nginx exits', sub { !alive($now->{pid}) });

my @bad = grep { /\[(?:alert|emerg|crit)\]/ && $_ !~ $nginx->{allow} }
          split /\n/, $nginx->log;

is("@bad", '', 'the error log');

Jelou::Reports::check('front', "$Jelou::Dir/$Jelou::Name.error.log");

my %times;

$times{number($_)}++ for $app->arrived;

is(scalar keys %answered, $n, 'each event was accepted in the end');

my @missing = grep { !$times{$_} } keys %answered;

is("@missing", '', 'each 200 has a record at the application');
is(scalar(grep { $_ eq 'none' || $_ < 1 || $_ > $n } keys %times), 0,
   'and nothing else is there');
