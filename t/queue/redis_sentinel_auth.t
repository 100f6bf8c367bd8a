# Sentinels that want a password, which is not that of the servers.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep);

my $port = $Jelou::Port{SERVER};
my ($redis_port, @port) = map { 12100 + ($$ % 150) * 10 + $_ } 6 .. 9;

my $redis = Jelou::Redis->start(port => $redis_port,
                                config => ['requirepass a-server-password']);

sub sentinel {
    my ($i, @config) = @_;

    return Jelou::Redis->start(
        port => $port[$i], name => "sentinel-$i", args => ['--sentinel'],
        config => ["sentinel monitor the-queue 127.0.0.1 $redis_port 2",
                   'sentinel auth-pass the-queue a-server-password', @config]);
}

my @sentinel = (sentinel(0, 'requirepass a-sentinel-password'),
                sentinel(1, 'user default off',
                         'user nginx on >a-user-password +auth +ping '
                         . '+sentinel|get-master-addr-by-name'),
                sentinel(2));

my %file = (server => "a-server-password\n", sentinel => "# theirs\na-sentinel-password\n",
            user => "nginx a-user-password\n", wrong => "another-password\n");

for my $name (keys %file) {
    my $text = $file{$name};

    $file{$name} = "$Jelou::Dir/$Jelou::Name.$name";
    Jelou::Server::spew($file{$name}, $text);
}

# which Sentinel, and whose file

my %location = (
    password => [0, "jelou_redis_sentinel_auth_file $file{sentinel};"],
    user     => [1, "jelou_redis_sentinel_auth_file $file{user};"],
    free     => [2, ''],
    none     => [0, ''],
    off      => [0, 'jelou_redis_sentinel_auth_file off;'],
    wrong    => [0, "jelou_redis_sentinel_auth_file $file{wrong};"],
    nobody   => [2, "jelou_redis_sentinel_auth_file $file{sentinel};"],
);

my $locations = join '', map {
    "location = /$_ {\njelou_endpoint incoming_message;\n"
    . "jelou_redis_pass sentinel-$location{$_}[0];\n$location{$_}[1]\n}\n"
} sort keys %location;

my $groups = join '', map {
    "upstream sentinel-$_ {\nserver 127.0.0.1:$port[$_] max_fails=0;\n}\n"
} 0 .. 2;

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
$groups
server {
    listen  127.0.0.1:$port;

    jelou_secret           "$Jelou::Secret";
    jelou_redis_stream     events;
    jelou_redis_dedup      1h;
    jelou_redis_sentinel   the-queue;
    jelou_redis_auth_file  $file{server};

    $locations

    location /inherits/ {
        jelou_redis_sentinel_auth_file  $file{sentinel};

        location = /inherits/it {
            jelou_endpoint    incoming_message;
            jelou_redis_pass  sentinel-0;
        }
    }
}
END

my ($n, $logged) = (0, 0);

sub ask { return Jelou::Load::ask($port, post(event(id => '"m-' . ++$n . '"'), path => "/$_[0]")) }

sub log_lines {
    my @lines = $nginx->jelou_log;
    my @new   = @lines[$logged .. $#lines];

    $logged = @lines;

    return @new;
}

for my $path (qw(password user free inherits/it)) {
    is(ask($path)->{status}, 200, "$path: accepted");
    is_deeply([log_lines()], [], "$path: nothing to complain of");
}

for (['none', 'PING: NOAUTH'], ['off', 'PING: NOAUTH'], ['wrong', 'AUTH: WRONGPASS'],
     ['nobody', 'AUTH: ERR'])
{
    my ($path, $cause) = @$_;

    sleep 1.1 if $path eq 'off';               # a cause is logged once a second

    my $answer = ask($path);

    is($answer->{status}, 500, "$path: refused");
    is(Jelou::refusal_error($answer->{body}, 500, 'UPSTREAM_FAILED'), '', "$path: the answer");
    is_deeply([log_lines()], ["[error] jelou: redis refused $cause"], "$path: the log");
}

$redis->command(qw(AUTH a-server-password));
is($redis->command(qw(XLEN events)), 4, 'those that were accepted are there');
unlike($nginx->log, qr/-password/, 'no password in the log');

$nginx->stop;
$_->stop for @sentinel, $redis;
