# util/jelou-queue: what it says, and what it does.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Redis;
use Jelou::Server;

use JSON::PP qw(decode_json);

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue',
                                config => ['requirepass a-password']);
my $app   = Jelou::Delivery->start(port => $Jelou::Port{APP});
my $auth  = Jelou::Server::spew("$Jelou::Dir/$Jelou::Name.auth", "# comment\na-password\n");

$redis->command('AUTH', 'a-password');

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    location \@app {
        jelou_deliver          127.0.0.1:$Jelou::Port{PORT_1}
                               "stream=jelou:{p-1}"  stream=other  group=app;
        jelou_redis_auth_file  $auth;
        jelou_deliver_dead     buried;
        proxy_pass             http://127.0.0.1:$Jelou::Port{APP};
    }
}
END

# queue(ARGUMENTS): the exit status, and what it has printed; it is run while the
# application is

sub queue {
    my @words = @_;

    my $out = "$Jelou::Dir/$Jelou::Name.out";
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDOUT, '>', $out;
        open STDERR, '>&', \*STDOUT;
        exec 'perl', 'util/jelou-queue', '--port', $Jelou::Port{PORT_1},
             '--auth-file', $auth, @words or POSIX::_exit(127);
    }

    waitpid $pid, 0;

    return ($? >> 8, Jelou::Server::slurp($out));
}

sub says {
    my ($code, $pattern, @words) = @_;

    my ($is, $said) = queue(@words);

    is($is, $code, "@words: exit status");
    like($said, $pattern, "@words: says");
}

sub add { return $redis->command('XADD', 'jelou:{p-1}', '*', 'event', @_) }

$nginx->wait_for('the hash', sub {
    $redis->command('EXISTS', 'jelou-deliver:{other}:app')
    && $redis->command('EXISTS', 'jelou-deliver:jelou:{p-1}:app') });

$app->behave(sub { return { status => 422 } });

my @ids = map { add(qq({"n":$_}), room_id => 'r') } 1 .. 3;

$app->run('dead letters', sub { $redis->command('XLEN', 'buried') == 3 });
$app->wait(3);
$app->behave(sub { return { status => 200 } });

my @dead = map { $_->{id} } $redis->entries('buried');

says(0, qr/^STREAM  GROUP .*\njelou:\{p-1\}  app  0  0  0  -  3  running  \S+:\d+:\w+\nother  app  0/,
     'list');

my (undef, $list) = queue('--json', 'list');
my ($row) = map { decode_json($_) } split /\n/, $list;
is("$row->{stream} $row->{entries} $row->{dead} $row->{state}", 'jelou:{p-1} 0 3 running',
   'list as JSON');

says(0, qr/^ID .*\n\Q$dead[0]\E  rejected  422  1  \Q$ids[0]\E  \{"n":1\}\n(?:.*\n){2}\z/,
     'dead', 'jelou:{p-1}', 'app');
says(0, qr/^ID .*\n.*\n\z/, '--count', 1, 'dead', 'jelou:{p-1}', 'app');
says(0, qr/^ID .*\n\z/, '--reason', 'attempts', 'dead', 'jelou:{p-1}', 'app');
says(0, qr/^ID .*\n\z/, 'dead', 'other', 'app');
says(1, qr/^jelou-queue: nginx delivers no stream "what" with group "app"$/,
     'dead', 'what', 'app');

says(0, qr/^id  \Q$dead[0]\E\n.*^dead_id  \Q$ids[0]\E\n/ms, 'show', 'buried', $dead[0]);
says(1, qr/^jelou-queue: no entry 1-1 in stream "buried"$/, 'show', 'buried', '1-1');

says(0, qr/^\Q$dead[1]\E  \d+-0$/, 'replay', 'jelou:{p-1}', 'app', $dead[1]);
my ($again) = $app->wait(1);
is($again->{body}, '{"n":2}', 'one is delivered again');
is($again->{head}{'x-jelou-delivery-attempt'}, 1, 'as a new one');
is($redis->command('XLEN', 'buried'), 2, 'and is no dead letter any more');

says(1, qr/^jelou-queue: no dead letter \Q$dead[1]\E of stream/, 'replay', 'jelou:{p-1}', 'app',
     $dead[1]);
says(0, qr/^\Q$dead[0]\E$/, 'drop', 'jelou:{p-1}', 'app', $dead[0]);
is($redis->command('XLEN', 'buried'), 1, 'it is gone');

says(0, qr/^\z/, 'pause', 'jelou:{p-1}', 'app');
says(0, qr/^jelou:\{p-1\} .* paused /m, 'list');

my $until = time + 4;
$app->tick while time < $until;

says(0, qr/^\Q$dead[2]\E  \d+-0$/, 'replay', 'jelou:{p-1}', 'app', 'all');
$until = time + 1;
$app->tick while time < $until;
is(scalar @{ $app->{seen} }, 0, 'paused: nothing is delivered');
says(0, qr/\A(?!.*numeric).*^jelou:\{p-1\}  app  1  .*  \d+ s  .*paused/ms, 'list');

says(0, qr/^\z/, 'resume', 'jelou:{p-1}', 'app');
is(($app->wait(1))[0]{body}, '{"n":3}', 'resumed: it is');

says(0, qr/^Usage: jelou-queue /, '--help');

my $text  = Jelou::Server::slurp('util/jelou-queue');
my ($all) = $text =~ /GetOptionsFromArray\(\\\@ARGV, \\%option, qw\((.*?)\)/s;
my @all   = sort map { '--' . s/=.*//r } split ' ', $all;

for (['the help', $text =~ /<<"END";(.*?)^END$/ms],
     ['the manual page', Jelou::Server::slurp('debian/jelou-queue.1') =~ s/\\-/-/gr])
{
    my %told = map { $_ => 1 } $_->[1] =~ /(--[a-z][a-z-]*)/g;
    is(join(' ', sort keys %told), "@all", "$_->[0] has all options");
}

my ($version) = Jelou::Server::slurp('ngx_http_jelou_module/ngx_http_jelou_ctx.h')
                =~ /NGX_HTTP_JELOU_VERSION +"(.+)"/;

says(0, qr/^jelou-queue \Q$version\E$/, '--version');
says(2, qr/^jelou-queue: unknown option: what$/m, '--what', 'list');
says(2, qr/^jelou-queue: no such command: what$/m, 'what');
says(2, qr/^jelou-queue: no command$/m);
says(2, qr/^jelou-queue: pause takes other arguments$/m, 'pause', 'one');
says(1, qr/^jelou-queue: no Redis at 127\.0\.0\.1:1: /, '--port', 1, 'list');

$nginx->stop;
$app->stop;
$redis->stop;
