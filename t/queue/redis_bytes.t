# Each command that goes to Redis, byte for byte: what hiredis' own formatter
# makes of the same words is what is sent.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;
use Jelou::Tap;

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(sleep);

my $port = $Jelou::Port{SERVER};
my ($redis_port, $sentinel_port, $tap_port, $tap_sentinel, $moving) =
    map { 12100 + ($$ % 150) * 10 + $_ } 0 .. 4;

my $redis = Jelou::Redis->start(port => $redis_port);
my $sentinel = Jelou::Redis->start(
    port => $sentinel_port, name => 'sentinel', args => ['--sentinel'],
    config => ["sentinel monitor the-queue 127.0.0.1 $redis_port 1",
               'requirepass a-password']);

$redis->command(qw(ACL SETUSER a-user on >a-password ~* +@all));

my $tap = Jelou::Tap->start($tap_port, $redis_port);
my $of_sentinel = Jelou::Tap->start($tap_sentinel, $sentinel_port);

my $program = "$Jelou::Dir/$Jelou::Name.resp";

is(system(qw(gcc -O2 -Wall -Wextra -Werror -o), $program, 't/lib/Jelou/resp.c', '-lhiredis'), 0,
   'the program that compares');

my %file = (password => "a-password\n", user => "a-user a-password\n");

for my $name (keys %file) {
    my $text = $file{$name};

    $file{$name} = "$Jelou::Dir/$Jelou::Name.$name";
    Jelou::Server::spew($file{$name}, $text);
}

# A server whose slots are on their way to the other one

my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $moving,
                                   Proto => 'tcp', Listen => 16, ReuseAddr => 1)
    // die "port $moving: $!\n";

my $mover = fork // die "fork: $!\n";

if ($mover == 0) {
    my $c = $listen->accept;
    my $n = 0;

    while (sysread $c, my $data, 65536) {
        my $reply = $n++ ? "-ASK 1 127.0.0.1:$tap_port\r\n" : '$40' . "\r\n" . 'a' x 40 . "\r\n";

        POSIX::_exit(1) if $n > 2;                  # it has said where to ask
        syswrite $c, $reply;
    }

    POSIX::_exit(0);
}

END { local $?; kill KILL => $mover if $mover }

my %location = (
    plain   => '',
    key     => 'jelou_redis_dedup 1h;',
    long    => "jelou_redis_dedup 1h; jelou_redis_db 10;",
    limited => 'jelou_redis_stream limited limit=1000;',
    both    => 'jelou_redis_stream both limit=100000; jelou_redis_dedup 24h;',
    trimmed => 'jelou_redis_stream trimmed maxlen=12345;',
    cloud   => 'jelou_format cloudevents; jelou_redis_dedup 1h;',
    user    => "jelou_redis_auth_file $file{user}; jelou_redis_db 1;",
    named   => "jelou_redis_pass sentinel; jelou_redis_sentinel the-queue;"
               . "jelou_redis_sentinel_auth_file $file{password};",
    asks    => "jelou_redis_pass 127.0.0.1:$moving; jelou_redis_dedup 1h;",
);

my $locations = join '', map {
    my $text = $location{$_};

    "location = /$_ {\njelou_endpoint incoming_message;\n$text\n"
    . ($text =~ /redis_pass/ ? '' : "jelou_redis_pass queue;\n")
    . ($text =~ /redis_stream/ ? '' : "jelou_redis_stream \"jelou:{\$jelou_project_id}\";\n")
    . "}\n"
} sort keys %location;

my $app = Jelou::Delivery->start(port => $Jelou::Port{APP});

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
upstream queue    { server 127.0.0.1:$tap_port; }
upstream sentinel { server 127.0.0.1:$tap_sentinel; }
upstream app      { server 127.0.0.1:$Jelou::Port{APP}; }

server {
    listen  127.0.0.1:$port;

    jelou_secret          "$Jelou::Secret";
    client_max_body_size  8m;

    $locations

    location = /v1/bots/b-1/messages {
        jelou_endpoint      bot_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  bots;
        jelou_redis_dedup   1h  key=\$http_x_key;
    }

    location \@rooms {
        jelou_deliver        queue  "stream=jelou:{p-1}"  group=app;
        jelou_deliver_retry  100ms  max=200ms  attempts=3;
        jelou_deliver_dead   "jelou:{p-1}:dead";
        proxy_pass           http://app;
    }

    location \@any {
        jelou_deliver        queue  stream=limited  group=app;
        jelou_deliver_order  none;
        proxy_pass           http://app;
    }
}
END

$app->behave(sub { return { status => $_[0]{body} =~ /refuse/ ? 422
                                      : $_[0]{body} =~ /again/ ? 500 : 200 } });

my $n = 0;

sub ask {
    my ($path, %o) = @_;

    return Jelou::Load::ask($port, post(event(id => '"m-' . ++$n . '"', %o), path => "/$path"));
}

for my $path (sort keys %location) {
    is(ask($path)->{status}, 200, $path);
}

# Words of any length and any bytes

is(ask('plain', content => '{"body":"' . 'x' x $_ . '"}')->{status}, 200, "a text of $_")
    for 0, 9, 10, 99, 100, 999, 1000, 9999, 10_000, 99_999, 100_000, 1_500_000;
is(ask('key', project_id => '"' . 'p' x $_ . '"')->{status}, 200, "a project of $_")
    for 1, 9, 10, 99, 100, 256;
is(ask('key', room_id => '"\u00e9\ud83d\ude00 {}$*"', content => '{"body":"\u0000\r\n"}')->{status},
   200, 'odd ones');

# A message whose id is nginx's own

is(Jelou::Load::ask($port, post('{"type":"text","userId":"u-1","text":"Hello"}',
                                path => '/v1/bots/b-1/messages', headers => ['X-Key: k-1']))
   ->{status}, 200, 'a bot\'s');

# The script, and the script itself when Redis has forgotten it

for my $path (qw(limited key)) {
    $redis->command(qw(SCRIPT FLUSH));
    is(ask($path)->{status}, 200, "$path: a script that is forgotten");
}

# One that is repeated, and one that is given up

ask('plain', content => '{"body":"again"}');
ask('plain', content => '{"body":"refuse"}');

$app->run('all is delivered', sub {
    ($redis->command('XLEN', 'jelou:{p-1}:dead') // 0) >= 2
        && !$redis->command('XLEN', 'jelou:{p-1}') && !$redis->command('XLEN', 'limited')
}, 30);

$app->run('a while', do { my $until = time + 2; sub { time >= $until } });
$nginx->stop;
$app->stop;


# What was sent

my (%seen, @bad);

for my $bytes ($tap->sent, $of_sentinel->sent) {
    my $file = "$Jelou::Dir/$Jelou::Name.bytes";

    Jelou::Server::spew($file, $bytes);

    my $lines = `$program <$file 2>$file.err`;

    is($? >> 8, 0, 'a connection') or push @bad, Jelou::Server::slurp("$file.err");

    for my $line (split /\n/, $lines) {
        my @words = split / /, $line, -1;
        my $kind  = $words[0];

        $kind .= " $words[2]" if $kind =~ /^EVAL/ && $words[2] == 1;
        $kind .= " $words[1]" if $kind =~ /^(?:SCRIPT|SENTINEL)$/;
        $kind .= ' ' . @words if $kind =~ /^AUTH$/;

        # the deliverer's have an operation behind the keys, ours a value

        if ($kind =~ /^EVAL/ && $words[2] > 1) {
            my $next = $words[3 + $words[2]];

            $kind .= $next =~ /^[0-9a-f]{64}(?:%20[0-9a-f]{32})?$/ ? " 2" : " $next";
        }

        $seen{$kind}++;
    }
}

is("@bad", '', 'all as hiredis has them');

ok($seen{$_}, "among them: $_") for
    'AUTH 2', 'AUTH 3', 'SELECT', 'SCRIPT LOAD', 'PING',
    'SENTINEL GET-MASTER-ADDR-BY-NAME', 'XADD', 'ASKING', 'EVALSHA 1', 'EVALSHA 2', 'EVAL 1',
    'EVAL 2', (map { "EVALSHA $_" } qw(own join read claim done fail dead release)),
    'XREAD', 'XREADGROUP';

diag(join ', ', map { "$_: $seen{$_}" } sort keys %seen) if $ENV{TEST_VERBOSE};

$_->stop for $sentinel, $redis;
