# What a redis-server itself refuses: a wrong password, missing rights, full
# memory, keys in two slots; and what it takes.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};

my $redis   = Jelou::Redis->start(port => $Jelou::Port{PORT_1});
my $cluster = Jelou::Redis->start(port => $Jelou::Port{PORT_2}, name => 'cluster',
                                  config => ['cluster-enabled yes',
                                             'cluster-require-full-coverage no']);

# Users, and the file of each.  The rights are those that docs/redis.md names.

my %user = (
    right => ['a-password', '~jelou*', '+evalsha', '+eval', '+get', '+set', '+xadd'],
    wrong => ['another-password', '~*', '+@all'],
    noget => ['a-password', '~*', '+@all', '-get'],
    noset => ['a-password', '~*', '+@all', '-set'],
    noadd => ['a-password', '~*', '+@all', '-xadd'],
    nokey => ['a-password', '~jelou:*', '+@all'],
    noeval => ['a-password', '~*', '+@all', '-evalsha'],
);

my ($groups, $locations) = ('', '');

for my $name (sort keys %user) {
    my ($password, @rights) = @{ $user{$name} };
    my $file = "$Jelou::Dir/$Jelou::Name.$name";

    $redis->command('ACL', 'SETUSER', $name, 'on', ">$password", @rights);
    Jelou::Server::spew($file, "$name a-password\n");

    $groups .= "upstream $name {\nserver 127.0.0.1:$Jelou::Port{PORT_1};\n"
               . "keepalive 2;\n}\n";
    $locations .= "location = /$name {\njelou_endpoint incoming_message;\n"
        . "jelou_redis_pass $name;\njelou_redis_stream jelou:$name;\n"
        . "jelou_redis_dedup 1h;\njelou_redis_auth_file $file;\n}\n";
}

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
$groups

upstream cluster {
    server     127.0.0.1:$Jelou::Port{PORT_2};
    keepalive  2;
}

server {
    listen  127.0.0.1:$port;

    jelou_secret  "$Jelou::Secret";

    $locations

    location = /full {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    127.0.0.1:$Jelou::Port{PORT_1};
        jelou_redis_stream  full;
        jelou_redis_dedup   1h;
    }
    location = /bounded {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    127.0.0.1:$Jelou::Port{PORT_1};
        jelou_redis_stream  bounded  limit=2;
        jelou_redis_dedup   1h;
    }
    location = /cluster {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    cluster;
        jelou_redis_stream  \$jelou_project_id;
        jelou_redis_dedup   1h;
    }
}
END

sub ask {
    my ($path, %o) = @_;

    return Jelou::Load::ask($port, post(event(%o), path => "/$path"));
}

sub replayed { return $_[0]{head} =~ /^Idempotent-Replayed: true\r$/mi ? 1 : 0 }

my $logged = 0;

sub log_lines {
    my @lines = $nginx->jelou_log;
    my @new   = @lines[$logged .. $#lines];

    $logged = @lines;

    return @new;
}

# A cause is logged once a second.

my %logged;

sub refused {
    my ($name, $log, %o) = @_;

    my $since = time - ($logged{$log} // 0);

    sleep 1.1 - $since if $since < 1.1;

    my $answer = ask($name, %o);

    $logged{$log} = time;

    is($answer->{status}, 500, "$name: refused");
    is(Jelou::refusal_error($answer->{body}, 500, 'UPSTREAM_FAILED'), '',
       "$name: the answer");
    is_deeply([log_lines()], [$log =~ /^takes/ ? "[error] jelou: redis $log"
                                               : "[error] jelou: redis refused $log"],
              "$name: the log");
}


# Users

for (0, 1) {
    my $answer = ask('right');

    is($answer->{status}, 200, 'the rights are enough');
    is(replayed($answer), $_, "a replay: $_");
}

refused(wrong  => 'AUTH: WRONGPASS');
is($redis->command('EXISTS', 'jelou:wrong'), 0,
   'nothing is sent before AUTH is answered, for nobody else to execute it');

# A right that a script lacks is ERR or NOPERM, depending on the server and its
# version.

$redis->command(qw(ACL SETUSER default -get));
my ($cause) = $redis->error('EVAL', 'return redis.pcall("GET", KEYS[1])', 1, 'a') =~ /^(\w+)/;
$redis->command(qw(ACL SETUSER default +get));

like($cause, qr/^(?:ERR|NOPERM)$/, 'a right that a script lacks');

my $denied = "the script: $cause";

is(ask('noget')->{status}, 200, 'noget: a new event');
refused(noget  => $denied);
refused(noadd  => $denied);
refused(nokey  => 'the script: NOPERM');
refused(noeval => 'the script: NOPERM');

refused(noset => $denied) for 1 .. 2;

is($redis->command('XLEN', "jelou:$_") + 0, 0, "nothing was appended by $_")
    for qw(noset noadd nokey noeval);
is($redis->command('XLEN', 'jelou:noget'), 1, 'noget: one entry');

# Rights that are given later count at once.

$redis->command(qw(ACL SETUSER noset +set));
is(ask('noset')->{status}, 200, 'then it is accepted');
is($redis->command('XLEN', 'jelou:noset'), 1, 'and there');

# A key of another kind

my ($key) = grep { /^jelou-id:jelou:right:|^jelou-id:\{jelou:right\}:/ }
            @{ $redis->command('KEYS', '*') };

$redis->command('DEL', $key);
$redis->command('SADD', $key, 1);
refused(right => 'the script: WRONGTYPE');
$redis->command('DEL', $key, 'jelou:right');
$redis->command('SADD', 'jelou:right', 1);
refused(right => 'the script: WRONGTYPE');
$nginx->wait_for('no key without an entry', sub { !$redis->command('EXISTS', $key) });


# Full memory: what is refused is accepted as soon as there is room, and once

$redis->command(qw(CONFIG SET maxmemory-policy noeviction));
$redis->command(qw(CONFIG SET maxmemory 1));

refused(full => 'the script: OOM') for 1 .. 2;
is($redis->command('EXISTS', 'full'), 0, 'nothing is there');

$redis->command(qw(CONFIG SET maxmemory 0));

is(replayed(ask('full')), $_, "room again, a replay: $_") for 0, 1;
is($redis->command('XLEN', 'full'), 1, 'one entry');


# A stream with a limit, whose consumer deletes what it has acknowledged: there is
# room for as many as it has finished, and not for those that it has only read.

$redis->command(qw(XGROUP CREATE bounded app 0 MKSTREAM));
is(ask('bounded', id => qq("b-$_"))->{status}, $_ < 3 ? 200 : 500, "limit: b-$_") for 1 .. 3;

my $read = $redis->command(qw(XREADGROUP GROUP app one COUNT 1 STREAMS bounded >));
my $first = $read->[0][1][0][0];

is(ask('bounded', id => '"b-3"')->{status}, 500, 'limit: what is read is not finished');
$redis->command(qw(XACK bounded app), $first);
$redis->command(qw(XDEL bounded), $first);
is(ask('bounded', id => '"b-3"')->{status}, 200, 'limit: what is deleted makes room');
is(ask('bounded', id => '"b-4"')->{status}, 500, 'limit: for one');
is(replayed(ask('bounded', id => '"b-1"')), 1, 'limit: and is remembered');
log_lines();


# A server that cannot write to its disk, and one that is a replica

$redis->command(qw(CONFIG SET min-replicas-to-write 1));
refused(full => 'takes no commands: NOREPLICAS', id => '"m-2"');
$redis->command(qw(CONFIG SET min-replicas-to-write 0));

$redis->command('REPLICAOF', '127.0.0.1', $Jelou::Port{DOWN});
is((ask('full', id => '"m-2"'))->{status}, 500, 'a replica');
is_deeply([log_lines()], ['[error] jelou: redis takes no commands: READONLY'],
          'says that it is one');
$redis->command(qw(REPLICAOF NO ONE));
is((ask('full', id => '"m-2"'))->{status}, 200, 'no longer');


# A cluster refuses a script whose keys are in two slots.

$cluster->command(qw(CLUSTER ADDSLOTSRANGE 0 16383));

$nginx->wait_for('the cluster is ready', sub {
    $cluster->command(qw(CLUSTER INFO)) =~ /^cluster_state:ok/m;
});

like($cluster->error(qw(EVAL), 'return 1', 2, 'a', 'b'), qr/^CROSSSLOT/,
     'it does so');

for my $name ('jelou', '{jelou}', 'jelou:{p-1}:x', 'a{b', '}{a}', '{{a}}', '{a}{b}') {
    my $answer = ask('cluster', project_id => qq("$name"));

    is($answer->{status}, 200, "a cluster: a stream named $name");
    is(replayed(ask('cluster', project_id => qq("$name"))), 1, "$name: a replay");
    is($cluster->command('XLEN', $name), 1, "$name: one entry");
}

is_deeply([log_lines()], [], 'nothing to complain of');

# A slot that is elsewhere

$cluster->command(qw(CLUSTER DELSLOTS), $cluster->command(qw(CLUSTER KEYSLOT jelou)));
refused_in_cluster('CLUSTERDOWN');

sub refused_in_cluster {
    my $word = shift;

    is(ask('cluster', project_id => '"jelou"', id => '"m-9"')->{status}, 500,
       "a cluster: $word");
    is_deeply([log_lines()], ["[error] jelou: redis takes no commands: $word"],
              "$word: the log");
}

unlike($nginx->log, qr/a-password/, 'no password in the log');

$nginx->stop;
$redis->stop;
$cluster->stop;
