# Servers that have a host name: one that a variable gives, one that a cluster
# names, one that a Sentinel names.  nginx's resolver is asked, and where there
# is none, the log says so.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Dns;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};
my ($dns_port, $redis_port, $sentinel_port, @node) = map { 10100 + ($$ % 150) * 10 + $_ } 4 .. 8;

my $dns = Jelou::Dns->start($dns_port,
    'single.queue.test' => ['127.0.0.1'],
    'several.queue.test' => ['127.0.0.9', '127.0.0.1'],
    'moves.queue.test'  => ['127.0.0.9'],
    'empty.queue.test'  => [],
    'one.queue.test'    => ['127.0.0.1'],
    'two.queue.test'    => ['127.0.0.1'],
    'localhost'         => ['127.0.0.1']);

my $redis = Jelou::Redis->start(port => $redis_port);

my $sentinel = Jelou::Redis->start(
    port => $sentinel_port, name => 'sentinel', args => ['--sentinel'],
    config => ['sentinel resolve-hostnames yes', 'sentinel announce-hostnames yes',
               "sentinel monitor the-queue localhost $redis_port 1"]);

my @cluster = map {
    Jelou::Redis->start(port => $node[$_], name => "node-$_", config => [
        'cluster-enabled yes', 'cluster-node-timeout 2000',
        'cluster-announce-hostname ' . (qw(one two)[$_]) . '.queue.test',
        'cluster-preferred-endpoint-type hostname'])
} 0, 1;

my $locations = '';

for my $name (qw(varies cluster sentinel)) {
    my $to = { varies => '$http_x_to', cluster => 'cluster', sentinel => 'sentinel' }->{$name};
    my $more = $name eq 'sentinel' ? 'jelou_redis_sentinel the-queue;' : '';

    for my $resolver ("resolver 127.0.0.1:$dns_port valid=1s ipv6=off;", '') {
        my $path = $resolver eq '' ? "$name-none" : $name;

        $locations .= "location = /$path {\njelou_endpoint incoming_message;\n"
                      . "jelou_redis_pass $to;\n$more\n$resolver\n}\n";
    }
}

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
upstream cluster {
    server  127.0.0.1:$node[0]  max_fails=0;
}
upstream sentinel {
    server  127.0.0.1:$sentinel_port  max_fails=0;
}

server {
    listen  127.0.0.1:$port;

    jelou_secret                 "$Jelou::Secret";
    jelou_redis_stream           "jelou:{\$jelou_project_id}";
    jelou_redis_dedup            1h;
    jelou_redis_connect_timeout  1s;

    $locations
}
END

my $n = 0;

sub ask {
    my ($path, %o) = @_;
    my $to = delete $o{to};

    return Jelou::Load::ask($port, post(event(id => '"m-' . ++$n . '"', %o), path => "/$path",
                                        $to ? (headers => ["X-To: $to"]) : ()));
}

my $logged = 0;

sub log_lines {
    my @lines = $nginx->jelou_log;
    my @new   = @lines[$logged .. $#lines];

    $logged = @lines;

    return @new;
}


# A variable

is(ask('varies', to => "single.queue.test:$redis_port")->{status}, 200, 'a name');
is(ask('varies', to => "single.queue.test:$redis_port")->{status}, 200, 'again');
is($dns->asked('single.queue.test'), 1, 'asked for once: the connection is kept');
is($redis->command(qw(XLEN jelou:{p-1})), 2, 'both are there');

is(ask('varies', to => "several.queue.test:$redis_port")->{status}, 200,
   'the next one of its addresses, if one takes no connection');
like(join("\n", log_lines()), qr/\A\[error\] jelou: connect\(\) to redis failed[^\n]*\z/,
     'the log');

is(ask('varies', to => "moves.queue.test:$redis_port")->{status}, 500, 'another address');
log_lines();
$dns->set('moves.queue.test' => ['127.0.0.1']);
$nginx->wait_for('it is asked for again', sub {
    ask('varies', to => "moves.queue.test:$redis_port")->{status} == 200
});
log_lines();

for my $name (qw(none.queue.test empty.queue.test)) {
    my $answer = ask('varies', to => "$name:$redis_port");

    is($answer->{status}, 500, $name);
    is(Jelou::refusal_error($answer->{body}, 500, 'UPSTREAM_FAILED'), '', "$name: the answer");
    like($answer->{head}, qr/^Retry-After: 1\r$/m, "$name: later");
    is_deeply([log_lines()],
              ["[error] jelou: the name of a redis server is not resolved: $name"],
              "$name: the log");
}

is(ask('varies-none', to => "single.queue.test:$redis_port")->{status}, 500, 'no resolver');
like(join("\n", log_lines()),
     qr/\A\[error\] jelou: "jelou_redis_pass" has become "single\.queue\.test:\d+", which is no upstream and no address, nor a name that a "resolver" is there for\z/,
     'no resolver: the log');

# Many at once ask once, and those that do not wait do not disturb

$dns->set('one.queue.test' => ['127.0.0.1']);
my @sockets = map {
    Jelou::Load::send_to($port, post(event(id => qq("many-$_")), path => '/varies',
                                     headers => ["X-To: one.queue.test:$redis_port"]))
} 1 .. 20;

close shift @sockets;
is(Jelou::Load::answer($_)->{status}, 200, 'many at once') for @sockets;


# A cluster that names its servers

$cluster[0]->command(qw(CLUSTER ADDSLOTSRANGE 0 8191));
$cluster[1]->command(qw(CLUSTER ADDSLOTSRANGE 8192 16383));
$cluster[$_]->command(qw(CLUSTER SET-CONFIG-EPOCH), $_ + 1) for 0, 1;
$cluster[0]->command(qw(CLUSTER MEET 127.0.0.1), $node[1]);

$nginx->wait_for('the cluster is ready', sub {
    !grep { $_->command(qw(CLUSTER INFO)) !~ /^cluster_state:ok.*^cluster_known_nodes:2\r$/ms }
    @cluster
}, 20);

my ($there) = grep { $cluster[0]->command(qw(CLUSTER KEYSLOT), "p-$_") >= 8192 } 1 .. 100;

$nginx->wait_for('it names its servers', sub {
    $cluster[0]->error(qw(GET), "{p-$there}") =~ /^MOVED \d+ two\.queue\.test:$node[1]$/
}, 20);

is(ask('cluster', project_id => qq("p-$there"))->{status}, 200, 'the server that is named')
    for 1 .. 3;
is($cluster[1]->command('XLEN', "jelou:{p-$there}"), 3, 'has them');
sleep 1.2;                              # longer than the name is valid
is(ask('cluster', project_id => qq("p-$there"))->{status}, 200, 'and once more');
is($dns->asked('two.queue.test'), 1, 'asked for once');

is_deeply([log_lines()], [], 'nothing to complain of');

my $answer = ask('cluster-none', project_id => qq("p-$there"));

is($answer->{status}, 500, 'a cluster, no resolver');
is_deeply([log_lines()], ['[error] jelou: there is no "resolver" for the name of a redis '
                          . 'server: two.queue.test'], 'a cluster, no resolver: the log');

my ($here) = grep { $cluster[0]->command(qw(CLUSTER KEYSLOT), "p-$_") < 8192 } 1 .. 100;

is(ask('cluster-none', project_id => qq("p-$here"))->{status}, 200, 'the others go on');

# A name that is gone: the connection is kept, and another one is not possible

$dns->set('two.queue.test' => []);
is(ask('cluster', project_id => qq("p-$there"))->{status}, 200, 'a connection needs no name');
$cluster[1]->command(qw(CLIENT KILL TYPE normal SKIPME yes));
sleep 2.1;
is(ask('cluster', project_id => qq("p-$there"))->{status}, 500, 'a new one does');
is_deeply([log_lines()],
          ['[error] jelou: the name of a redis server is not resolved: two.queue.test'],
          'the log');
$dns->set('two.queue.test' => ['127.0.0.1']);
$nginx->wait_for('it is back', sub {
    ask('cluster', project_id => qq("p-$there"))->{status} == 200
});
log_lines();


# A Sentinel

is(ask('sentinel')->{status}, 200, 'a Sentinel names a host') for 1, 2;
is_deeply([log_lines()], [], 'nothing to complain of');
is(ask('sentinel-none')->{status}, 500, 'a Sentinel, no resolver');
is_deeply([log_lines()], ['[error] jelou: there is no "resolver" for the name of a redis '
                          . 'server: localhost'], 'a Sentinel, no resolver: the log');

$nginx->stop;
$_->stop for $sentinel, $redis, @cluster;
