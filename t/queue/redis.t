# Events in a stream of Redis: what an entry has, for all endpoints and formats,
# what the sender is told, and what a key is made of.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;
use Jelou::Upstream;

use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use Time::HiRes qw(sleep time);

my $port  = $Jelou::Port{SERVER};
my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1});
my $app   = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                   http => $Jelou::Port{APP});

my %path = (
    incoming_message => '/in', message => '/message',
    room_message => '/rooms/r-7/message', bot_message => '/bots/b-7/messages',
);

my %place = (
    room_message => '^/rooms/[^/]+/message$', bot_message => '^/bots/[^/]+/messages$',
);

# Of each format two servers: one passes to the queue, one to the application.

my $servers = '';

for my $format (qw(event cloudevents raw)) {
    for my $next ('jelou_redis_pass queue', 'proxy_pass http://app') {
        $servers .= "server {\nlisten 127.0.0.1:$port;\n"
            . "server_name $format" . ($next =~ /redis/ ? '' : '.app') . ";\n"
            . "jelou_format $format;\njelou_redis_stream \"$format:{x}\";\n"
            . ($format eq 'raw' ? "jelou_redis_dedup 1h key=\$request_id;\n" : '')
            . "add_header X-Request \$request_id;\n"
            . join('', map {
                  'location ' . ($place{$_} ? "~ $place{$_}" : "= $path{$_}")
                  . " {\njelou_endpoint $_;\n$next;\n}\n"
              } sort keys %path)
            . "}\n";
    }
}

# Locations that differ in one directive

my %location = (
    plain   => 'jelou_redis_stream plain;',
    dedup   => 'jelou_redis_stream "dedup:{$jelou_project_id}";
                jelou_redis_dedup 1h;',
    whole   => 'jelou_redis_stream $jelou_project_id; jelou_redis_dedup 1h;',
    short   => 'jelou_redis_stream short; jelou_redis_dedup 1s;',
    trimmed => 'jelou_redis_stream trimmed maxlen=100;',
    limited => 'jelou_redis_stream limited limit=2; jelou_redis_dedup 1h;',
    bounded => 'jelou_redis_stream bounded limit=2;',
    empty   => 'jelou_redis_stream $arg_stream;',
    second  => 'jelou_redis_stream dedup:{p-1}; jelou_redis_db 2;
                jelou_redis_dedup 1h;',
    answers => 'jelou_redis_stream answers; jelou_reply upstream;
                jelou_redis_dedup 1h; error_page 422 /page;',
    both    => 'jelou_redis_stream both; jelou_redis_dedup 1h;
                jelou_dedup zone=seen;',
);

$location{second} =~ s/(dedup:\{p-1\})/"$1"/;

$servers .= "server {\nlisten 127.0.0.1:$port default_server;\n"
    . "access_log $Jelou::Dir/$Jelou::Name.access result;\n"
    . "location = /page {\nreturn 418;\n}\n"
    . "location = /metrics {\njelou_status prometheus;\n}\n"
    . join('', map { "location = /$_ {\njelou_endpoint incoming_message;\n"
                     . "jelou_redis_pass queue;\n$location{$_}\n}\n" }
               sort keys %location)
    . <<'END';
location ~ ^/keyed/bots/[^/]+/messages$ {
    jelou_endpoint      bot_message;
    jelou_redis_pass    queue;
    jelou_redis_stream  keyed;
    jelou_redis_dedup   1h key=$http_idempotency_key;
}

# an application, and the queue if it fails

location = /fallback {
    jelou_endpoint      incoming_message;
    client_body_in_file_only  clean;
    error_page 502    = /fallback/queue;
    proxy_pass          http://down;
}
location = /moved {
    jelou_endpoint      incoming_message;
    jelou_redis_pass    queue;
    jelou_redis_stream  moved;
    jelou_redis_dedup   1h;
    error_page 422    = /moved/app;
}
location = /moved/app {
    internal;
    jelou_endpoint      incoming_message;
    proxy_pass          http://app;
}
location = /fallback/queue {
    internal;
    jelou_endpoint      incoming_message;
    jelou_redis_pass    queue;
    jelou_redis_stream  fallback;
    jelou_redis_dedup   1h;
}
}
END

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
log_format  result  '\$uri \$status \$upstream_status \$jelou_result';
jelou_secret       "$Jelou::Secret";
jelou_dedup_zone   zone=seen:1m;
jelou_status_zone  zone=status:64k;

upstream app {
    server  127.0.0.1:$Jelou::Port{APP};
}
upstream down {
    server  127.0.0.1:$Jelou::Port{DOWN};
}
upstream queue {
    server     127.0.0.1:$Jelou::Port{PORT_1};
    keepalive  4;
}
$servers
END

my $json = JSON::PP->new->canonical;

my %told;

sub ask {
    my ($body, %o) = @_;

    my $answer = Jelou::Load::ask($port, post($body, %o));

    $told{ $answer->{status} != 200 ? 'upstream_failed'
           : replayed($answer) ? 'duplicate' : 'accepted' }++
        if $body =~ /"incoming_message"/ && $answer->{status} !~ /^4/;

    return $answer;
}

sub replayed { return $_[0]{head} =~ /^Idempotent-Replayed: true\r$/mi ? 1 : 0 }


# All endpoints, all formats

my $uuid = '0b6a1d8e-5c3f-4f6b-9a53-6d1f0f3a7c21';
my $next = 'f2d7c6aa-93e4-4b0d-8f57-2f4a1be0c9d8';

my @case = (

    [incoming_message => event(id => '"m-\u00e9"'),
     'incoming_message', "m-\xc3\xa9", 'r-1'],

    [message => '{"field":"messages", "object":"message_event",'
        . '"event_type":"message","timestamp":1776134352163,"project_id":"p",'
        . '"room_id":"r-1","contact":{"id":"c"},"conversation":{"id":"v"},'
        . '"bot":{"id":"b"},"value":{"id":"m,1","type":"text",'
        . '"content":{"body":"line\r\n*2\r\n\u0000\ud800"}}}', 'message', 'm,1', 'r-1'],

    [message => '{"event":"conversation.start","timestamp":1776134278574,'
        . '"project_id":"p", "more":{"is":["known"]}}',
     'conversation.start', '', ''],

    [room_message => qq({"senderId":"s","messages":[{"id":"$uuid",)
        . qq("type":"TEXT","text":"Hola"},{"id":"$next","type":"IMAGE",)
        . '"mediaUrl":"https://a/b.jpg"}]}',
     'room_message', "$uuid,$next", 'r-7'],

    [bot_message => '{"type":"text","userId":"u","text":"Hi"}',
     'bot_message', 'msg_*', ''],
);

for my $format (qw(event cloudevents raw)) {
    for my $case (@case) {
        my ($endpoint, $body, $type, $id, $room) = @$case;

        my $name = "$type, $format";

        $app->expect;
        $redis->command('DEL', "$format:{x}");

        my $began  = int(time * 1000);
        my $want   = ask($body, path => $path{$endpoint}, host => "$format.app");
        my $got    = ask($body, path => $path{$endpoint}, host => $format);
        my ($sent) = map { $_->{body} } $app->requests(1);

        my @entries = $redis->entries("$format:{x}");

        is(scalar @entries, 1, "$name: one entry");

        my $entry = $entries[0];

        # what the module makes is another one each time

        my ($made) = $got->{body} =~ /"(msg_[0-9a-f]{32})"/;

        s/msg_[0-9a-f]{32}/msg_*/g for $want->{body}, $got->{body}, $sent;
        s/"time":"20[^"]*"/"time":"*"/ for $sent, $entry->{event};

        if ($id eq 'msg_*') {
            is($entry->{message_id}, $made, "$name: the id that is answered");
            is(scalar($entry->{event} =~ s/\Q$made\E/msg_*/g),
               $format eq 'raw' ? '' : $format eq 'event' ? 1 : 2,
               "$name: and the one in the event");

        } else {
            is($entry->{message_id}, $id, "$name: the message id");
        }

        is($got->{status}, 200, "$name: accepted");
        is($got->{body}, $want->{body}, "$name: as by an application");
        is($entry->{event}, $sent, "$name: the event");
        is($entry->{event_type}, $type, "$name: the event type");
        is($entry->{room_id}, $room, "$name: the room");

        cmp_ok($entry->{received_at}, '>=', $began - 50, "$name: not before");
        cmp_ok($entry->{received_at}, '<=', time * 1000 + 50, "$name: nor after");

        is($entry->{project_id}, $body =~ /"project_id":"(.*?)"/ ? $1 : '',
           "$name: the project");
        is($entry->{endpoint}, $endpoint, "$name: the endpoint");
        is($entry->{format}, $format, "$name: the format");
        is($entry->{request_id}, $got->{head} =~ /^X-Request: (\w{32})\r$/m && $1,
           "$name: the request's id");

        my @fields = @{ $redis->command('XRANGE', "$format:{x}", '-', '+')->[0][1] };

        is(join(' ', @fields[map { 2 * $_ } 0 .. $#fields / 2]),
           'event event_type message_id room_id project_id request_id received_at '
           . 'endpoint format', "$name: these fields, in this order");
    }
}


# Without jelou_redis_dedup each copy is an entry

is(ask(event(), path => '/plain')->{status}, 200, "plain: copy $_") for 1 .. 3;
is(scalar $redis->entries('plain'), 3, 'plain: three entries');


# With it, one is

my $first = ask(event(), path => '/dedup');
my $copy  = ask(event(), path => '/dedup');
my $other = ask(event(content => '{"body":"Other"}'), path => '/dedup');

is($first->{status}, 200, 'the first one is accepted');
is(replayed($first), 0, 'and is no replay');
is($copy->{status}, 200, 'so is a copy');
is($copy->{body}, $first->{body}, 'with the same answer');
is(replayed($copy), 1, 'which is a replay');
is(Jelou::refusal_error($other->{body}, 422, 'MESSAGE_ID_REUSED'), '',
   'another body is refused');
is($other->{status}, 422, 'with 422');

my @entries = $redis->entries('dedup:{p-1}');

is(scalar @entries, 1, 'there is one entry');

# The key is what docs/redis.md says.

my $known = join '', map { pack('L/a*', $_) } qw(incoming_message p-1 r-1 m-1);
my $key   = 'jelou-id:dedup:{p-1}:' . sha256_hex($known);

is($redis->command('GET', $key), sha256_hex(event()), 'the key has the body');
cmp_ok(abs($redis->command('TTL', $key) - 3600), '<=', 5, 'for an hour');

is(ask(event(project_id => '"p-2"'), path => '/dedup')->{status}, 200,
   'another project is another stream');
is(scalar $redis->entries('dedup:{p-2}'), 1, 'with its own entry');

is(replayed(ask(event(), path => '/second')), 0, 'another database is another queue');
is(replayed(ask(event(), path => '/second')), 1, 'which knows its own');
is(replayed(ask(event(), path => '/dedup')), 1,
   'a connection that was there before is given its database back');
is(scalar $redis->entries('dedup:{p-1}'), 1, 'nothing has gone astray');

# A key that has run out

ask(event(), path => '/short') for 1 .. 2;
is(scalar $redis->entries('short'), 1, 'known for a second');
sleep 1.2;
is(replayed(ask(event(), path => '/short')), 0, 'not for two');
is(scalar $redis->entries('short'), 2, 'then it is appended again');


# jelou_reply upstream: the queue has no answer of its own; error_page wins

is(ask(event(), path => '/answers')->{body}, $first->{body},
   'the answer is the contract\'s in any case');
is(ask(event(content => '{"body":"x"}'), path => '/answers')->{status}, 418,
   'a page for 422 is taken');


# What the queue has refused goes nowhere else

my $delivered = $app->requests(0);

is(ask(event(), path => '/moved')->{status}, 200, 'moved: accepted');
is(Jelou::refusal_error(ask(event() . ' ', path => '/moved')->{body}, 422,
                        'MESSAGE_ID_REUSED'), '',
   'moved: another endpoint does not accept what is refused');
is(scalar $app->requests(0), $delivered, 'moved: nothing is at the application');


# Both, the zone and the queue: the zone knows first

is(replayed(ask(event(), path => '/both')), $_, "both: copy $_") for 0, 1;
is(scalar $redis->entries('both'), 1, 'both: one entry');


# bot_message with a key

my %bot = (path => '/keyed/bots/b-7/messages', headers => ['Idempotency-Key: k-1']);

my @answer = map { ask($case[4][1], %bot) } 1 .. 2;

is($answer[1]{body}, $answer[0]{body}, 'the replay names the id of the first one');
is(replayed($answer[1]), 1, 'and is one');
like($redis->command('GET', 'jelou-id:{keyed}:' . sha256_hex('k-1')),
     qr/^[0-9a-f]{64} [0-9a-f]{32}$/, 'which the key has');

# An older version has had the entry's id in the key.

$redis->command('SET', 'jelou-id:{keyed}:' . sha256_hex('k-2'),
                sha256_hex($case[4][1]) . ' 1-0 ' . '0a' x 16);
like(ask($case[4][1], %bot, headers => ['Idempotency-Key: k-2'])->{body},
     qr/"msg_(?:0a){16}"/, 'a key of an older version');

ask($case[4][1], path => $bot{path}) for 1 .. 2;
is(scalar $redis->entries('keyed'), 3, 'without a key, nothing is looked for');


# The queue in the place of an application that is down, with the body in a file,
# of which the large one is read once more

for my $size (10, 300_000) {
    my %message = (id => qq("m-$size"),
                   content => '{"body":"' . 'x' x $size . '"}');

    for my $n (0, 1) {
        my $answer = ask(event(%message), path => '/fallback');

        is($answer->{status}, 200, "fallback, $size: accepted, $n");
        is(replayed($answer), $n, "fallback, $size: a replay: $n");
    }

    is(ask(event(%message) . ' ', path => '/fallback')->{status}, 422,
       "fallback, $size: another body");
}

is(scalar $redis->entries('fallback'), 2, 'fallback: one entry each');


# Names of streams: the key is in the slot of the stream, or there is none

for (['p', 200], ['{p}', 200], ['a{p}b', 200], ['a{b', 200], ['{{a}}', 200],
     ['{a}{b}', 200], ['a{}', 500], ['}{', 500], ['a}', 500], ['{}a{b}', 500],
     ['}{a}', 200])
{
    my ($name, $status) = @$_;

    my $answer = ask(event(project_id => qq("$name")), path => '/whole');

    is($answer->{status}, $status, "a stream named $name");

    if ($status == 200) {
        is($redis->command('XLEN', $name), 1, "$name: is there");

        my ($key) = grep { /^jelou-id:\{?\Q$name\E\}?:[0-9a-f]{64}$/ }
                    @{ $redis->command('KEYS', '*') };

        ok(defined $key, "$name: and has a key") or next;
        is(slot($key), slot($name), "$name: in the same slot");

    } else {
        is(Jelou::refusal_error($answer->{body}, 500, 'UPSTREAM_FAILED'), '',
           "$name: refused");
    }
}

# slot(KEY): the hash slot as the cluster's specification has it, CRC16 of the
# hash tag or of all

sub slot {
    my $key = shift;

    $key = $1 if $key =~ /\A[^{]*\{([^}]+)\}/;

    my $crc = 0;

    for my $byte (unpack 'C*', $key) {
        $crc ^= $byte << 8;
        $crc = ($crc << 1 ^ ($crc & 0x8000 ? 0x1021 : 0)) & 0xffff for 1 .. 8;
    }

    return $crc % 16384;
}

is(slot('123456789'), 0x31c3, 'the slot is that of the specification');

is(ask(event(), path => '/empty')->{status}, 500, 'an empty name is refused');


# What is long: trimming, and an event of a megabyte

ask(event(id => qq("m-$_")), path => '/trimmed', keepalive => 0) for 1 .. 300;
cmp_ok($redis->command('XLEN', 'trimmed'), '<', 300, 'maxlen trims');
cmp_ok($redis->command('XLEN', 'trimmed'), '>=', 100, 'not more than it says');

# A limit: what is there stays, what is refused is forgotten, and a copy of what
# was accepted is a replay all the same.

for my $path (qw(limited bounded)) {
    is(ask(event(id => qq("m-$_")), path => "/$path")->{status}, 200, "$path: $_")
        for 1, 2;

    for (1, 2) {
        my $full = ask(event(id => '"m-3"'), path => "/$path");

        is($full->{status}, 500, "$path: full");
        is(Jelou::refusal_error($full->{body}, 500, 'UPSTREAM_FAILED'), '',
           "$path: full, the answer");
        like($full->{head}, qr/^Retry-After: 10\r$/m, "$path: full, later");
    }

    is(replayed(ask(event(id => '"m-2"'), path => "/$path")), 1, "$path: a replay")
        if $path eq 'limited';
    is($redis->command('XLEN', $path), 2, "$path: nothing is added");

    $redis->command(qw(XTRIM), $path, qw(MAXLEN 1));
    is(ask(event(id => '"m-3"'), path => "/$path")->{status}, 200,
       "$path: there is room again");
    is(join(' ', map { $_->{message_id} } $redis->entries($path)), 'm-2 m-3',
       "$path: what is there");
}


my $long = event(id => '"m-long"', content => '{"body":"' . 'x' x 1_000_000 . '"}');

is(ask($long, path => '/dedup')->{status}, 200, 'a megabyte is accepted');
is(replayed(ask($long, path => '/dedup')), 1, 'once');
is(($redis->entries('dedup:{p-1}'))[-1]{event}, $long, 'as it was sent');


# Scripts that are flushed: the script follows, the small and the long one

$redis->command(qw(SCRIPT FLUSH));
is(ask(event(id => '"m-2"'), path => '/dedup')->{status}, 200,
   'a server without the script is given it');
is(replayed(ask(event(id => '"m-2"'), path => '/dedup')), 1,
   'and has done its work');

$redis->command(qw(SCRIPT FLUSH));
is(ask($long =~ s/m-long/m-longer/r, path => '/dedup')->{status}, 200,
   'with a long event, too');
is($redis->command(qw(XLEN dedup:{p-1})), 4, 'each is there');


# The counters say what became of all requests, as the senders were told

my $metrics = Jelou::Load::ask($port, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
my $name    = 'nginx_jelou_requests_total\{endpoint="incoming_message"';
my %counted = $metrics->{body} =~ /^$name,result="(\w+)"} (\d+)$/mg;

is_deeply({ map { $_ => $counted{$_} } grep { $counted{$_} } keys %counted },
          { %told, message_id_reused => 5 }, 'the counters');


# Keepalive: all this has taken few connections

my ($connections) = $redis->command('INFO', 'stats')
                    =~ /^total_connections_received:(\d+)/m;

# ours, with the attempts to start, and one for each database

my $ours = $redis->{attempts} // 1;

is($connections, $ours + 2, 'one connection for all events of a database');


# The logs

my @lines = split /\n/, Jelou::Server::slurp("$Jelou::Dir/$Jelou::Name.access");

is((grep { m{^/dedup } } @lines)[$_->[0]], $_->[1], "log: $_->[1]")
    for [0, '/dedup 200 200 accepted'], [1, '/dedup 200 200 duplicate'],
        [2, '/dedup 422 422 message_id_reused'];
is((grep { m{^/page } } @lines)[0], '/page 418 422 message_id_reused',
   'log: with a page, too');

is_deeply([$nginx->jelou_log], [
    ('[info] jelou refused a request: MESSAGE_ID_REUSED') x 5,
    ('[error] jelou: the name of the stream has braces that leave it without '
     . 'a hash tag') x 4,
    '[error] jelou: the name of the stream is empty',
    '[error] jelou: the stream is full',
], 'the error log');

$nginx->stop;
$app->stop;
$redis->stop;
