# Groups of servers, with servers of Redis' own: what one event meets is not the
# server's fault, a replica takes nothing, a promotion is found, and a queue that
# is down says so once.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};
my $auth = "$Jelou::Dir/$Jelou::Name.auth";

Jelou::Server::spew($auth, "a-password\n");

my @redis = map {
    Jelou::Redis->start(port => $Jelou::Port{"PORT_$_"}, name => "redis-$_",
                        config => ['repl-diskless-sync-delay 0', 'appendonly yes',
                                   'appendfsync always'])
} 1, 2;

my ($first, $second) = @redis;

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
upstream queue {
    zone       queue  64k;
    server     127.0.0.1:$Jelou::Port{PORT_1}  max_fails=1 fail_timeout=60s;
    server     127.0.0.1:$Jelou::Port{PORT_2}  max_fails=1 fail_timeout=60s;
    keepalive  16;
}

upstream other {
    server     127.0.0.1:$Jelou::Port{PORT_2}  max_fails=0;
}

upstream single {
    server     127.0.0.1:$Jelou::Port{PORT_1}  max_fails=0;
}

upstream both {
    server     127.0.0.1:$Jelou::Port{PORT_1}  max_fails=1 fail_timeout=60s;
    server     127.0.0.1:$Jelou::Port{PORT_2}  max_fails=1 fail_timeout=60s;
}

map \$http_x_to  \$to {
    default  \$http_x_to;
    one      queue;
    two      other;
}

server {
    listen  127.0.0.1:$port;

    jelou_secret       "$Jelou::Secret";

    jelou_redis_dedup  1h;

    jelou_redis_stream           "jelou:{\$jelou_project_id}";
    jelou_redis_connect_timeout  500ms;
    jelou_redis_read_timeout     500ms;

    location = /queue   { jelou_endpoint incoming_message; jelou_redis_pass queue; }
    location = /single  { jelou_endpoint incoming_message; jelou_redis_pass single; }
    location = /varies  { jelou_endpoint incoming_message; jelou_redis_pass \$to; }

    location = /both {
        jelou_endpoint         incoming_message;
        jelou_redis_pass       both;
        jelou_redis_stream     both;
        jelou_redis_auth_file  $auth;
    }
    location = /password {
        jelou_endpoint         incoming_message;
        jelou_redis_pass       single;
        jelou_redis_stream     password;
        jelou_redis_auth_file  $auth;
    }
}
END

my $n = 0;

sub ask {
    my ($path, %o) = @_;

    my $headers = delete $o{headers};

    $o{id} //= '"m-' . ++$n . '"';

    return Jelou::Load::ask($port, post(event(%o), path => "/$path",
                                        headers => $headers // []));
}

sub replayed { return $_[0]{head} =~ /^Idempotent-Replayed: true\r$/mi ? 1 : 0 }

my $logged = 0;

sub log_lines {
    my @lines = grep { /^\[(?:warn|error)\]/ } $nginx->jelou_log;
    my @new   = @lines[$logged .. $#lines];

    $logged = @lines;

    return @new;
}

sub next_second { my $now = int time; sleep 0.01 while int time == $now }


# One project has a key of another kind: the others lose nothing.

$second->command('REPLICAOF', '127.0.0.1', $Jelou::Port{PORT_1});

$nginx->wait_for('the replica is in step', sub {
    $second->command(qw(INFO replication)) =~ /^master_link_status:up/m
});

$first->command('SET', 'jelou:{p-bad}', 'x');

is(ask('queue')->{status}, 200, 'before');

for (1 .. 20) {
    is(ask('queue', project_id => '"p-bad"')->{status}, 500, 'a stream that is none');
    is(ask('queue', project_id => qq("p-$_"))->{status}, 200, "p-$_ is accepted");
}

is_deeply([grep { !/READONLY/ && !/WRONGTYPE/ } log_lines()], [], 'the log');

# Nor does a right hurt others that one key lacks.

$first->command(qw(ACL SETUSER default resetkeys ~jelou:{p-1} ~jelou-id:jelou:{p-1}*));

for (1 .. 3) {
    is(ask('queue', project_id => '"p-2"')->{status}, 500, 'a key that is not allowed');
    is(ask('queue')->{status}, 200, 'one that is');
}

$first->command(qw(ACL SETUSER default allkeys));
log_lines();


# A replica that is left behind knows an event, and takes nothing all the same.

my @known = map { qq("known-$_") } 1 .. 4;

is(ask('queue', id => $_)->{status}, 200, "$_ is accepted") for @known;

$nginx->wait_for('the replica has them', sub {
    $second->command('XLEN', 'jelou:{p-1}') == $first->command('XLEN', 'jelou:{p-1}')
});

$first->crash;
log_lines();

for (@known) {
    my $answer = ask('queue', id => $_);

    is($answer->{status}, 500, "$_: a stale replica does not confirm it");
    like($answer->{head}, qr/^Retry-After: 1\r$/m, 'later');
}

like(join("\n", log_lines()), qr/redis takes no commands: READONLY/, 'it says why');

# It becomes the primary: the next event is accepted, whatever fail_timeout says.

$second->command(qw(REPLICAOF NO ONE));

my $answer = ask('queue', id => $known[0]);

is($answer->{status}, 200, 'a promotion: the next event is accepted');
is(replayed($answer), 1, 'and known');
is(ask('queue')->{status}, 200, 'and the next one') for 1 .. 3;

# The old one comes back as a replica of the new one.

$first->{config} = [@{ $first->{config} }, "replicaof 127.0.0.1 $Jelou::Port{PORT_2}"];
$first->start;

is(ask('queue')->{status}, 200, 'the old one is back: nothing changes') for 1 .. 3;


# By a variable: the name of a group, an address, neither

for (['one', 200], ['two', 200], ["127.0.0.1:$Jelou::Port{PORT_2}", 200],
     ['OTHER', 200], ['nothing', 500], ['', 500], ['127.0.0.1:x', 500],
     ["127.0.0.1:$Jelou::Port{DOWN}", 500])
{
    my ($to, $status) = @$_;

    for (1, 2) {
        is(ask('varies', headers => ["X-To: $to"])->{status}, $status, "to $to");
    }
}

my @lines = log_lines();

like("@lines", qr/"jelou_redis_pass" has become "nothing", which is no upstream and no address/,
     'to nothing: the log');

# So many addresses at most, and those that are there go on

ask('varies', headers => ["X-To: 127.0.0.1:" . (20000 + $_)]) for 1 .. 260;
is(ask('varies', headers => ["X-To: 127.0.0.1:20280"])->{status}, 500, 'too many');
is(ask('varies', headers => ["X-To: 127.0.0.1:$Jelou::Port{PORT_2}"])->{status}, 200,
   'one that was there');
log_lines();


# A password for a server that has none: nothing is executed.

$first->command(qw(REPLICAOF NO ONE));

for (1 .. 3) {
    is(ask('password', id => '"m-1"')->{status}, 500, 'a password that nobody asks for');
}

is($first->command(qw(XLEN password)), 0, 'no entry');
next_second();
log_lines();
ask('password');
like(join("\n", log_lines()), qr/\A\[error\] jelou: redis refused AUTH: ERR, \d more before\z/,
     'the log');

is(ask('both')->{status}, 500, 'nor has another one of the group');
$first->command(qw(CONFIG SET requirepass a-password));
delete @$first{qw(socket buffer)};
is(ask('password', id => '"m-1"')->{status}, 200, 'it has one now');
is(ask('both')->{status}, 200, 'a refused password does not count against a server');
$first->command(qw(AUTH a-password));
$first->command(qw(CONFIG SET requirepass), '');


# A queue that is down: one line a second, and each sender is told to come again

$first->crash;
next_second();
log_lines();

my %status;
my $began = time;

for (1 .. 100) {
    my $answer = ask('single');

    $status{ $answer->{status} }++;
    like($answer->{head}, qr/^Retry-After: 1\r$/m, 'down: later') if $_ == 1;
}

@lines = log_lines();

is_deeply(\%status, { 500 => 100 }, 'down: all are refused');
cmp_ok(scalar @lines, '<=', 2 + int(time - $began), 'down: one line a second');
like($lines[0], qr/^\[error\] jelou: connect\(\) to redis failed \(111: /, 'down: why')
    or diag("@lines");

$first->{config} = ['appendonly yes', 'appendfsync always'];
$first->start;

is(ask('single')->{status}, 200, 'back again');

# One that is frozen: as long as it may take, and no longer

kill STOP => $first->{pid};
next_second();
log_lines();
$began = time;

my @sockets = map { Jelou::Load::send_to($port, post(event(id => qq("frozen-$_")),
                                                     path => '/single')) } 1 .. 20;

is(Jelou::Load::answer($_)->{status}, 500, 'frozen: refused') for @sockets;
cmp_ok(time - $began, '<', 3, 'frozen: in time');
cmp_ok(scalar(log_lines()), '<=', 5, 'frozen: few lines');

kill CONT => $first->{pid};

is(ask('single', id => '"frozen-1"')->{status}, 200, 'it goes on');

my %times;

$times{ $_->{message_id} }++ for $first->entries('jelou:{p-1}');
is(scalar(grep { $_ > 1 } values %times), 0, 'frozen: nothing is there twice');

$nginx->stop;
$_->stop for @redis;
