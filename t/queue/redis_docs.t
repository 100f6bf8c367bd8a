# The commands of docs/redis.md, run one after the other on a queue that has
# the document's own configuration, and what they answer.

use strict;
use warnings;

use Test::More;

use lib 't/lib';
use Jelou::Config qw($Root slurp spew fences);
use Jelou::Redis;

my $nginx = Jelou::Config->new('redis_docs');
my $dir   = $nginx->dir;
my $port  = $nginx->free_port;
my $redis = Jelou::Redis->start(port => $port, dir => "$dir/redis");
my $text  = slurp("$Root/docs/redis.md");

my ($first, $lanes) = grep { /^server \{/m } fences($text, 'nginx');
my %event = (room => 'r-1', id => 'm-1');

sub send_one {
    my ($listen, %o) = (@_);

    %o = (%event, %o);

    my $body = '{"field":"messages","object":"message_event",'
        . '"event_type":"incoming_message","project_id":"p-1",'
        . qq("room_id":"$o{room}","bot_id":"b-1","user_id":"u-1",)
        . qq("value":{"id":"$o{id}","type":"text","content":{"body":"Hello"}}});

    my ($head) = $nginx->send('http://127.0.0.1:' . $nginx->port($listen)
                              . '/v1/external-support/webhook', $body,
                              secret => 'replace-with-the-signing-secret');

    like($head, qr{^HTTP/1\.1 200 }, "$o{id} is accepted");

    return $head;
}

$nginx->replace('127.0.0.1:6379', $port);
$nginx->start(join '', "load_module ngx_http_jelou_module.so;\nevents {\n}\nhttp {\n",
              $first =~ s/^server \{\n/server {\n    listen first;\n/mr,
              $lanes =~ s/^server \{\n/server {\n    listen lanes;\n/mr, "}\n");


# The commands as they stand, but for the port, and for ids and times

chomp(my $cli = `sh -c 'command -v redis-cli'`);

mkdir "$dir/bin" or die "$dir/bin: $!\n";
chmod 0755, spew("$dir/bin/redis-cli", "#!/bin/sh\nexec $cli -p $port \"\$\@\"\n");

$ENV{PATH} = "$dir/bin:$ENV{PATH}";

sub run {
    my ($command, %is) = @_;

    $command =~ s/\b1795243374852-0\b/$is{id}/ if $is{id};
    $command =~ s/\b60000 0\b/0 0/;
    my $script = spew("$dir/command.sh", $command);
    my $said   = `sh $script 2>&1`;

    is($?, 0, 'exit status of ' . (split /\n/, $command)[0]);

    return $said;
}

my ($create, $read, $ack, $claim, $pending, $trim, $acl, $save, $info)
    = fences($text, 'sh');

ok($info && $info =~ /XINFO/, 'the commands are found');

is(run($create), "OK\n", 'the group');

my $head = send_one('first');
send_one('first', id => 'm-2');
unlike($head, qr/Idempotent-Replayed/i, 'the event is new');
like(send_one('first'), qr/^Idempotent-Replayed: true\r?$/mi, 'and then it is not');

my ($want) = grep { /^received_at$/m } fences($text, 'text');
my $got    = run($read);

my ($id) = $got =~ /^(\d{13}-\d+)$/m;

s/^\d{13}(?:-\d+)?$/N/mg, s/^[0-9a-f]{32}$/ID/mg for $want, $got;
is($got, $want, 'the first entry, as the document has it');

is(run($ack, id => $id), "1\n", 'it is acknowledged');

like(run($read), qr/^m-2$/m, 'the second one');
like(run($claim), qr/\A0-0\n.*^m-2$/ms, 'another worker takes it over');
like(run($pending), qr/^worker-2$/m, 'and has it');
like(run($info), qr/^lag\n0$/m, 'nothing is left');
is(run($trim, id => $id), "0\n", 'trimming drops whole nodes');

my @shown = grep { /^jelou-id:/ } fences($text, 'text');

is(scalar @shown, 1, 'the key of the document');
is(scalar(grep { "$_\n" eq $shown[0] } @{ $redis->command('KEYS', '*') }), 1,
   'is the one in Redis');


# Lanes: a room has one, and all rooms together have all

for my $n (1 .. 40) {
    send_one('lanes', room => "room-$n", id => "m-$n-$_") for 1, 2;
}

my (%lane, %lanes);

for my $stream (grep { /^jelou:\{p-1\}:\d$/ } @{ $redis->command('KEYS', '*') }) {
    $lanes{$stream}++;
    $lane{ $_->{room_id} }{$stream}++ for $redis->entries($stream);
}

is(join(' ', sort keys %lanes), join(' ', map { "jelou:{p-1}:$_" } 0 .. 3), 'four lanes');
is(scalar(grep { keys %$_ != 1 } values %lane), 0, 'a room has one of them');


# The user has the rights that nginx needs.

is(run($acl), "OK\n", 'the user');
like(join("\n", @{ $redis->command(qw(ACL LIST)) }),
     qr/^user nginx on .* ~jelou:\* ~jelou-id:\* /m, 'and its keys');


# It is there after a restart, once it is saved.

is(run($save), "OK\n", 'the user is saved');

my @users = grep { /^user / } split /\n/, slurp("$dir/redis/redis.conf");

$redis->stop;
$redis->{config} = \@users;
$redis->start;

like(join("\n", @{ $redis->command(qw(ACL LIST)) }),
     qr/^user nginx on .* ~jelou:\* ~jelou-id:\* /m, 'and is there after a restart');

$nginx->stop;
$redis->stop;

done_testing();
