# A backlog is drained at constant memory; a room that fails for ever holds up no
# other.
#
# JELOU_HOLD=full is a backlog of 200,000, and says how many events a second are
# accepted while nothing, and while the backlog, is delivered.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Faults;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $full    = ($ENV{JELOU_HOLD} // '') eq 'full';
my $backlog = $full ? 200_000 : 12_000;

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $state = 'jelou-deliver:{events}:app';

my $app = Jelou::Server->start(name => 'app', http => <<"END");
server {
    listen  127.0.0.1:$Jelou::Port{APP};
    location / { return 204; }
}
END

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1}; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP}; keepalive 32; }

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    location = /in {
        jelou_endpoint      incoming_message;
        jelou_secret        "$Jelou::Secret";
        jelou_redis_pass    queue;
        jelou_redis_stream  "in";
    }

    location \@app {
        jelou_deliver          queue  stream=events  group=app;
        jelou_deliver_parallel 32;
        proxy_pass             http://app;
        proxy_http_version     1.1;
        proxy_set_header       Connection "";
    }
}
END

sub left { return $redis->command('XLEN', 'events') }

# memory(): what the worker has that is not a file's, in KB

sub memory {
    my ($pid) = $nginx->workers;
    my ($kb)  = Jelou::Server::slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB$/m;
    return $kb;
}

my $fill = <<'LUA';
for n = 1, ARGV[1] do
  local room = 'r-' .. (n % 1000)
  redis.call('XADD', 'events', '*', 'room_id', room, 'event',
             '{"room":"' .. room .. '","text":"' .. string.rep('x', 300) .. '"}')
end
return 'OK'
LUA

# rate(NAME): events that are accepted in a second

sub rate {
    my $name  = shift;
    my $raw   = post(event(), path => '/in');
    my $until = time + 5;
    my $n     = 0;

    Jelou::Load::run(port => $Jelou::Port{SERVER}, connections => 16,
                     next => sub { time < $until ? { raw => $raw } : undef },
                     done => sub { $n++ if $_[1] && $_[1]{status} == 200 });

    diag(sprintf '%s: %.0f events a second are accepted', $name, $n / 5);

    return $n / 5;
}

$nginx->wait_for('the group is there', sub { $redis->command('EXISTS', $state) });

$redis->command('HSET', $state, 'paused', 1);
sleep 3;
$redis->command('EVAL', $fill, 0, $backlog / 10) for 1 .. 10;

is(left(), $backlog, 'there is a backlog');

rate('paused') if $full;

my $begun = time;
my ($first, $most) = (0, 0);

$redis->command('HDEL', $state, 'paused');
$nginx->wait_for('some are delivered', sub { left() < $backlog - 3000 }, 60);
$first = memory();

rate('meanwhile') if $full;

$nginx->wait_for('all are delivered', sub {
    my $now = memory();
    $most = $now if $now > $most;
    return left() == 0;
}, $full ? 600 : 120);

SKIP: {
    skip 'a sanitizer keeps what was freed', 1 if Jelou::Faults::binary() =~ /__asan_init/;

    cmp_ok($most - $first, '<', 6 * 1024, 'the memory is constant');
}

diag(sprintf '%d events in %.0f s, %d KB, and %d KB at the most', $backlog, time - $begun,
     $first, $most) if $full || $ENV{TEST_VERBOSE};

is(scalar @{ $redis->command('XRANGE', '{events}:dead', '-', '+') }, 0, 'no dead letter');


# A room among a thousand that fails for ever: the others are as fast

sub drain {
    my ($poison, $n) = @_;

    $redis->command('HSET', $state, 'paused', 1);
    sleep 3;
    $redis->command('XADD', 'events', '*', 'room_id', 'poison', 'event', '{"no":1}') if $poison;
    $redis->command('EVAL', $fill, 0, $n);

    $redis->command('HDEL', $state, 'paused');
    $nginx->wait_for('the first is delivered', sub { left() < $n + $poison }, 30);

    my $since = time;

    $nginx->wait_for('all others are delivered', sub { left() <= $poison }, 120);

    return time - $since;
}

# what it cannot take is known by its length

$app->write(http => <<"END");
map \$http_content_length \$refused {
    8        1;
    default  0;
}

server {
    listen  127.0.0.1:$Jelou::Port{APP};

    location / {
        if (\$refused) { return 500; }
        return 204;
    }
}
END
$app->reload;

my $some   = $full ? $backlog : 2_000;
my $alone  = drain(0, $some);
my $beside = drain(1, $some);

is(left(), 1, 'the one that fails is still there');
cmp_ok($beside, '<', 2 * $alone + 4, 'the others do not wait for it');
diag(sprintf '%d events of 1,000 rooms: %.1f s, with one that fails %.1f s', $some, $alone,
     $beside) if $full || $ENV{TEST_VERBOSE};

$nginx->stop;
$app->stop;
$redis->stop;
