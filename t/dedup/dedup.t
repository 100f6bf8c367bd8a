# jelou_dedup: what is the same message, what a duplicate sees, and that no two
# messages are taken for one.  Requests of a block come one after the other:
# those that meet are in dedup_faults.t.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Sections;
use Jelou::Server;

our $Event = event();
our $Other = event(content => '{"body":"Other"}');

our $Reused = "[info] jelou refused a request: MESSAGE_ID_REUSED\n";
our $Zone   = 'jelou_dedup_zone  zone=seen:1m;';


# on_one([BODY, OPTIONS], ...): on one connection

sub on_one {
    my @list = map { ref ? $_ : [$_] } @_;

    return [map { my ($body, @options) = @{ $list[$_] };
                  post($body, keepalive => $_ < $#list, @options)
            } 0 .. $#list];
}

# replayed(LIST): which answers say that they are one of an earlier delivery,
# and the others must not

sub replayed {
    return [map { $_ ? 'Idempotent-Replayed: true' : '!Idempotent-Replayed' } @_];
}

# "ids": the message id of each answer, as the number that it has among those of
# the block; a "-" for an answer that has none.

my @ids;

add_response_body_check(sub {
    my ($block, $body) = @_;

    push @ids, $body =~ /\A\{"success":true,"messageId":"(msg_[0-9a-f]{32})"\}\z/
               ? $1 : '-' if defined $block->ids;
});

add_test_cleanup_handler(sub {
    my $block = shift;

    my $want = $block->ids // return;

    my (%number, $next);
    my $got = join ' ', map { $_ eq '-' ? $_ : $number{$_} //= $next++ || 0 } @ids;

    is("$got\n", $want, $block->name . ' - ids');

    # each id that was made is one that the upstream got

    my %seen = map { $_->{body} =~ /"id":"(msg_\w+)"/ ? ($1 => 1) : () }
               $Jelou::Upstream->requests($next // 0);

    is_deeply([sort keys %seen], [sort keys %number],
              $block->name . ' - ids at the upstream');

    @ids = ();
});

# The room_message of these ids, and its event

sub uuid { return sprintf '7c9e6679-7425-40de-944b-%012d', shift }

sub room_message {
    return '{"senderId":"s-1","messages":['
           . join(',', map { qq({"id":"$_","type":"TEXT","text":"t"}) } @_) . ']}';
}

sub room_event {
    my ($room, @ids) = @_;

    return '{"field":"messages","object":"message_event",'
           . qq("event_type":"room_message","room_id":"$room",)
           . '"sender_id":"s-1","values":['
           . join(',', map { qq({"id":"$_","type":"text","content":{"body":"t"}}) } @ids)
           . ']}';
}

sub message {
    my ($project, $room, $id) = @_;

    return '{"field":"messages","object":"message_event","event_type":"message",'
           . qq("timestamp":1718000000000,"project_id":"$project",)
           . qq("room_id":"$room","contact":{"id":"u-1"},)
           . '"conversation":{"id":"c-1"},"bot":{"id":"b-1"},'
           . qq("value":{"id":"$id","type":"text","content":{"body":"Hello"}}});
}


# Project, room and message id, as JSON, of messages that are different ones, however alike
# what they are joined to may be.  None may be a duplicate of another one: the
# same body would be 200, any other 422.

our @Different = (
    ['a', 'b', 'c'], ['a', 'c', 'b'], ['b', 'a', 'c'], ['b', 'c', 'a'],
    ['c', 'a', 'b'], ['c', 'b', 'a'], ['a', 'a', 'a'], ['a', 'a', 'b'],
    ['a', 'b', 'a'], ['b', 'a', 'a'],

    ['ab', 'c', 'd'], ['a', 'bc', 'd'], ['a', 'b', 'cd'],
    ['a', 'b', 'c '], ['a', 'b', ' c'], ['a', 'b ', 'c'], ['a', ' b', 'c'],

    (map { my $d = $_;
           ["a${d}b", 'c', 'd'], ['a', "b${d}c", 'd'], ['a', 'b', "c${d}d"],
           ["a$d", 'b', 'c'], ['a', "${d}b", 'c'], ['a', "b$d", 'c'],
           ['a', 'b', "${d}c"], ['a', $d, 'c'], [$d, 'a', 'c'], ['a', 'c', $d],
     } '|', ':', ',', '/', '-', '\\\\', '\"', '%00', "\xc3\xa9", '\u00ff'),

    ['a', 'b', 'A'], ['a', 'B', 'c'], ['A', 'b', 'c'],
    ['a', 'b', 'x' x 256], ['a', 'b', 'x' x 255], ['a', 'x' x 256, 'c'],
    ['x' x 256, 'b', 'c'],

    # a length that could be taken for a part, and the digits of one
    ['1', 'b', 'c'], ['a', '1', 'c'], ['a', '1b1', 'c'], ['1a1b1c', '1', 'c'],
);


# Configurations: http, and what nginx says of it

my $nginx = Jelou::Server->new(name => 'check', allow => qr/(?!)/);

sub endpoint {
    my ($lines, $name) = @_;

    $name //= 'incoming_message';

    return <<"END";
server {
    listen  127.0.0.1:$Jelou::Port{SERVER};
    location / {
        jelou_endpoint  $name;
        jelou_secret    "$Jelou::Secret";
        $lines
    }
}
END
}

my $bad  = '[emerg] invalid parameter';
my $zone = 'in "jelou_dedup_zone" directive in WHERE';
my $use  = 'in "jelou_dedup" directive in WHERE';
my $size = 32768;

# What the zone forgets while the tolerance takes it

sub forgets {
    my ($ttl, $window) = @_;

    return qq([warn] zone "seen" of "jelou_dedup" forgets after $ttl s what )
           . qq("jelou_timestamp_tolerance" takes for $window s, in WHERE\n);
}

for my $case (
    ['message', '24h', '12h', ''],
    ['message', '24h', '12h1ms', forgets(86400, 86401)],
    ['message', '5s', '4s', forgets(5, 8)],
    ['message', '24h', '24h', forgets(86400, 172800)],
    ['message', '24h', '23h future=1h', ''],
    ['message', '24h', '23h future=61m', forgets(86400, 86460)],
    ['message', '24h', '24h future=0', ''],
    ['message', '1s', '0', ''],
    ['incoming_message', '1s', '1h', ''],
) {
    my ($name, $ttl, $tolerance, $want) = @$case;
    my $lines = "ttl=$ttl, $tolerance, $name";

    $nginx->says("jelou_dedup_zone zone=seen:1m ttl=$ttl;\n"
                 . endpoint("jelou_timestamp_tolerance $tolerance;\n"
                            . "jelou_dedup zone=seen; # WHERE\n"
                            . "if (\$arg_x) { set \$y 1; }", $name),
                 $want, "a ttl that is too short: $lines");
}

my $long = '[emerg] "jelou_dedup_zone" directive takes no time of more than '
           . '365 days';

my $large = 'in "jelou_dedup_zone" directive is too large in WHERE';
my $small = 'in "jelou_dedup_zone" directive is too small in WHERE';

for my $case (
    ['zone=seen:1m', ''],
    ["zone=seen:$size", ''],
    ['zone=seen:32k ttl=1s', ''],
    ['ttl=1d zone=seen:1m', ''],
    ['zone=seen:1m ttl=1h30m', ''],
    ['zone=seen:' . ($size - 1), qq([emerg] zone "seen" $small)],
    ['zone=seen:0', qq([emerg] zone "seen" $small)],
    ['zone=seen', qq([emerg] invalid zone "seen" $zone)],
    ['zone=seen:', qq([emerg] invalid zone "seen:" $zone)],
    ['zone=seen:x', qq([emerg] invalid zone "seen:x" $zone)],
    ['zone=seen:1x', qq([emerg] invalid zone "seen:1x" $zone)],
    ['zone=seen:-1m', qq([emerg] invalid zone "seen:-1m" $zone)],
    ['zone=:1m', qq([emerg] invalid zone ":1m" $zone)],
    ['zone=', qq([emerg] invalid zone "" $zone)],
    ['seen:1m', qq($bad "seen:1m" $zone)],
    ['zone=seen:1m ttl=', qq($bad "ttl=" $zone)],
    ['zone=seen:1m ttl=0', qq($bad "ttl=0" $zone)],
    ['zone=seen:1m ttl=0s', qq($bad "ttl=0s" $zone)],
    ['zone=seen:1m ttl=-1', qq($bad "ttl=-1" $zone)],
    ['zone=seen:1m ttl=1x', qq($bad "ttl=1x" $zone)],
    ['zone=seen:1m ttl=500ms', qq($bad "ttl=500ms" $zone)],
    ['zone=seen:1m ttl=365d', ''],
    ['zone=seen:1m ttl=31536001s', qq($long in WHERE)],
    ['zone=seen:1m ttl=9223372036854775807s', qq($long in WHERE)],
    ['zone=seen:1m ttl=9223372036854775808s',
     qq($bad "ttl=9223372036854775808s" $zone)],
    ['zone=seen:65537m', qq([emerg] zone "seen" $large)],
    ['zone=seen:9223372036854775807', qq([emerg] zone "seen" $large)],
    ['zone=seen:1m 1h', qq($bad "1h" $zone)],
    ['zone=seen:1m zone=other:1m', qq($bad "zone=other:1m" $zone)],
    ['ttl=1h',
     '[emerg] "jelou_dedup_zone" must have "zone" parameter in WHERE'],
    ['ttl=1h ttl=2h', qq([emerg] invalid parameter "ttl=2h" $zone)],
    ['', qq([emerg] invalid number of arguments $zone)],
    ['zone=seen:1m ttl=1h ttl=1h', qq([emerg] invalid number of arguments $zone)],
    ["zone=seen:1m; # WHERE\njelou_dedup_zone zone=seen:1m",
     '[emerg] zone "seen" in "jelou_dedup_zone" directive is declared twice '
     . 'in OTHER', 'OTHER'],
    ["zone=seen:1m; # WHERE\njelou_dedup_zone zone=seen:2m",
     '[emerg] the size 2097152 of shared memory zone "seen" conflicts with '
     . 'already declared size 1048576 in OTHER', 'OTHER'],
    ["zone=seen:1m; # WHERE\nlimit_req_zone \$uri zone=seen:1m rate=1r/s",
     '[emerg] the shared memory zone "seen" is already declared for a different '
     . 'use in OTHER', 'OTHER'],
) {
    my ($parameters, $want, $mark) = @$case;

    $mark //= 'WHERE';

    $nginx->says("jelou_dedup_zone $parameters; # $mark\n"
                 . endpoint($want eq '' ? 'jelou_dedup zone=seen;' : ''),
                 $want && "$want\n", "jelou_dedup_zone $parameters");
}

for my $case (
    ['jelou_dedup zone=seen; # WHERE', ''],
    ['jelou_dedup off; # WHERE', ''],
    ['jelou_dedup zone=seen key=$jelou_message_id; # WHERE', ''],
    ['jelou_dedup key=$jelou_message_id zone=seen; # WHERE', ''],
    ['jelou_dedup zone=other; # WHERE', '[emerg] zone "other" of "jelou_dedup" '
     . 'is not declared with "jelou_dedup_zone" in WHERE'],
    ['jelou_dedup zone=limit; # WHERE', '[emerg] the shared memory zone "limit" '
     . 'is already declared for a different use in WHERE'],
    ['jelou_dedup zone=; # WHERE', qq($bad "zone=" $use)],
    ['jelou_dedup seen; # WHERE', qq($bad "seen" $use)],
    ['jelou_dedup on; # WHERE', qq($bad "on" $use)],
    ['jelou_dedup zone=seen off; # WHERE', qq($bad "off" $use)],
    ['jelou_dedup zone=seen zone=seen; # WHERE', qq($bad "zone=seen" $use)],
    ['jelou_dedup zone=seen key=; # WHERE', qq($bad "key=" $use)],
    ['jelou_dedup key=a key=b; # WHERE', qq($bad "key=b" $use)],
    ['jelou_dedup key=a; # WHERE',
     '[emerg] "jelou_dedup" must have "zone" parameter in WHERE'],
    ['jelou_dedup zone=seen key=$no_such_variable; # WHERE',
     '[emerg] unknown "no_such_variable" variable'],
    ['jelou_dedup; # WHERE', "[emerg] invalid number of arguments $use"],
    ['jelou_dedup zone=seen key=a key=b; # WHERE',
     "[emerg] invalid number of arguments $use"],
    ["jelou_dedup zone=seen;\njelou_dedup zone=seen; # WHERE",
     '[emerg] "jelou_dedup" directive is duplicate in WHERE'],
    ["jelou_dedup off;\njelou_dedup zone=seen; # WHERE",
     '[emerg] "jelou_dedup" directive is duplicate in WHERE'],
    ["jelou_dedup zone=seen;\njelou_dedup off; # WHERE",
     '[emerg] "jelou_dedup" directive is duplicate in WHERE'],
    ['jelou_dedup zone=seen; # WHERE', '[emerg] "jelou_dedup" needs a "key" '
     . 'parameter for "jelou_endpoint bot_message", whose messages have no id, '
     . 'in WHERE', 'bot_message'],
    ['jelou_dedup zone=seen key=$http_x; # WHERE', '', 'bot_message'],
    ['jelou_dedup off; # WHERE', '', 'bot_message'],
    ['jelou_dedup zone=seen; # WHERE', '', 'room_message'],
    ['jelou_dedup zone=seen; # WHERE', '', 'message'],
) {
    my ($line, $want, $name) = @$case;

    $nginx->says("jelou_dedup_zone zone=seen:1m;\n"
                 . "limit_req_zone \$uri zone=limit:1m rate=1r/s;\n"
                 . endpoint($line, $name),
                 $want && "$want\n", $line . ($name ? " of $name" : ''));
}

# The zone may stand behind its use, and the use around the endpoint.

$nginx->says(endpoint('jelou_dedup zone=seen;')
             . "jelou_dedup_zone zone=seen:1m;\n", '', 'a zone that comes later');

$nginx->says("jelou_dedup_zone zone=seen:1m;\njelou_dedup zone=seen; # WHERE\n"
             . endpoint('', 'bot_message'), '[emerg] "jelou_dedup" needs a "key" '
             . 'parameter for "jelou_endpoint bot_message", whose messages have '
             . "no id, in WHERE\n", 'a bot_message that inherits it');


# Blocks send all requests of a connection at once, which is slow with hundreds
# of them.  ask(): the status, and whether it is a replay

my $socket;

sub ask {
    my ($body) = @_;

    $socket //= Jelou::Load::connect_to($Jelou::Port{SERVER});

    Jelou::Load::send_all($socket, post($body, keepalive => 1));
    my $answer = Jelou::Load::answer($socket);

    return "$answer->{status}"
           . ($answer->{head} =~ /^Idempotent-Replayed: true\r$/m ? ' replayed' : '');
}

sub serve {
    my $zone = shift;

    undef $socket;
    $nginx->stop if $nginx->{pid};
    $nginx->write(http => "jelou_dedup_zone zone=seen:$zone;\n"
                          . endpoint('jelou_dedup zone=seen;'));
    $nginx->start;
}

serve('1m');

my @different = map { my ($project, $room, $id) = @$_;
                      event(project_id => qq("$project"), room_id => qq("$room"),
                            id => qq("$id")) } @Different;

is_deeply([map { ask($_) } @different], [('200') x @different],
          'different messages never collide');
is_deeply([map { ask($_) } @different], [('200 replayed') x @different],
          'and each is the same as itself');


# A zone of the least size remembers the latest.

serve('32k');

is_deeply([map { ask(event(id => qq("m-$_"))) } 1 .. 1000], [('200') x 1000],
          'a zone that is full takes more');
is_deeply([map { ask(event(id => qq("m-$_"))) } reverse 901 .. 1000],
          [('200 replayed') x 100], 'and has the latest');
is(ask(event(id => '"m-1"')), '200', 'but not the oldest');


$nginx->stop;


run_tests();

__DATA__

=== nothing is found: forward; the same, done: replay; another body: refuse
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen;
--- requests eval
on_one($::Event, $::Event, $::Other, $::Event, event(id => '"m-2"'), $::Other,
       event(id => '"m-2"'))
--- reply
accepted m-1
accepted m-1
422 MESSAGE_ID_REUSED
accepted m-1
accepted m-2
422 MESSAGE_ID_REUSED
accepted m-2
--- response_headers eval: replayed(0, 1, 0, 1, 0, 0, 1)
--- upstream eval
[$::Event, event(id => '"m-2"')]
--- access
200 accepted 1
200 duplicate 1
422 message_id_reused 1
200 duplicate 1
200 accepted 1
422 message_id_reused 1
200 duplicate 1
--- log eval: $::Reused x 2


=== without the directive all are forwarded
--- requests eval
on_one($::Event, $::Event, $::Other)
--- reply
accepted m-1
accepted m-1
accepted m-1
--- response_headers eval: replayed(0, 0, 0)
--- upstream eval
[$::Event, $::Event, $::Other]
--- access eval
"200 accepted 1\n" x 3


=== off, within a server that has it
--- http_config eval: "$::Zone jelou_dedup zone=seen;"
--- directives
    jelou_dedup  off;
--- requests eval
on_one($::Event, $::Event)
--- reply
accepted m-1
accepted m-1
--- response_headers eval: replayed(0, 0)
--- upstream eval
[$::Event, $::Event]


=== inherited
--- http_config eval: "jelou_dedup zone=seen; $::Zone"
--- requests eval
on_one($::Event, $::Event)
--- reply
accepted m-1
accepted m-1
--- response_headers eval: replayed(0, 1)
--- upstream eval
[$::Event]


=== a location's own zone, within a server that has another one
--- http_config
jelou_dedup_zone  zone=seen:1m;
jelou_dedup_zone  zone=other:1m;
jelou_dedup       zone=seen  key=always-the-same;
--- config
jelou_secret  "$TEST_NGINX_SECRET";
location = /one {
    jelou_endpoint  incoming_message;
    jelou_dedup     zone=other;
    proxy_pass      http://app;
}
location = /two {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}
location = /three {
    jelou_endpoint  incoming_message;
    jelou_dedup     zone=seen;
    proxy_pass      http://app;
}
--- requests eval
on_one((map { [$::Event, path => $_] } qw(/one /two /three)),
       [event(id => '"m-2"'), path => '/one'],
       [event(id => '"m-2"'), path => '/two'])
--- reply
accepted m-1
accepted m-1
accepted m-1
accepted m-2
422 MESSAGE_ID_REUSED
--- response_headers eval: replayed(0, 0, 0, 0, 0)
--- upstream eval
[($::Event) x 3, event(id => '"m-2"')]
--- log eval: $::Reused


=== locations that share a zone share what was seen
--- http_config eval: $::Zone
--- config
jelou_secret  "$TEST_NGINX_SECRET";
jelou_dedup   zone=seen;
location = /one {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}
location = /two {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}
--- requests eval
on_one([$::Event, path => '/one'], [$::Event, path => '/two'])
--- reply
accepted m-1
accepted m-1
--- response_headers eval: replayed(0, 1)
--- upstream eval
[$::Event]


=== an id is what it means, a body is its bytes
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen;
--- requests eval
on_one($::Event, event(id => '"\u006d-1"'), $::Event . ' ', $::Event . "\n",
       $::Event =~ s/,/, /r, event(bot_id => '"b-2"'), event(user_id => '"u-2"'),
       event(project_id => '"p-\u0031"'), event(room_id => '"r-\u0031"'))
--- reply eval
"accepted m-1\n" . "422 MESSAGE_ID_REUSED\n" x 8
--- upstream eval
[$::Event]
--- log eval: $::Reused x 8


=== equal ids in other rooms and projects are other messages
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen;
--- requests eval
on_one($::Event, event(room_id => '"r-2"'), event(project_id => '"p-2"'),
       event(room_id => '"r-2"', project_id => '"p-2"'),
       $::Event, event(room_id => '"r-2"'), event(project_id => '"p-2"'),
       event(room_id => '"r-2"', project_id => '"p-2"'))
--- reply eval
"accepted m-1\n" x 8
--- response_headers eval: replayed((0) x 4, (1) x 4)
--- upstream eval
[$::Event, event(room_id => '"r-2"'), event(project_id => '"p-2"'),
 event(room_id => '"r-2"', project_id => '"p-2"')]


=== equal ids of different endpoints are other messages
--- http_config eval: $::Zone
--- config
jelou_dedup  zone=seen;
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    proxy_pass      http://app;
}
location = /message {
    jelou_endpoint  message;
    jelou_secret    "$TEST_NGINX_SECRET";
    proxy_pass      http://app;
}
location /rooms/ {
    jelou_endpoint  room_message;
    proxy_pass      http://app;
}
--- requests eval
our $id = uuid(1);
our @list = ([event(id => qq("$::id"))],
             [message('p-1', 'r-1', $::id), path => '/message'],
             [room_message($::id), path => '/rooms/r-1/message']);
on_one(@::list, @::list)
--- reply eval
"accepted $::id\naccepted $::id\naccepted-list $::id\n" x 2
--- response_headers eval: replayed(0, 0, 0, 1, 1, 1)
--- upstream eval
[event(id => qq("$::id")),
 message('p-1', 'r-1', $::id)
     =~ s/"contact".*(?="value")/"conversation_id":"c-1","bot_id":"b-1","user_id":"u-1",/r,
 room_event('r-1', $::id)]


=== room_message: all ids of a request are its identity
--- http_config eval: $::Zone
--- config
location / {
    jelou_endpoint  room_message;
    jelou_dedup     zone=seen;
    proxy_pass      http://app;
}
--- requests eval
our ($a, $b, $c) = map { uuid($_) } 1 .. 3;
our @rooms = (['r-1', $::a, $::b], ['r-1', $::b, $::a], ['r-1', $::a],
              ['r-1', $::b], ['r-1', $::a, $::b, $::c], ['r-2', $::a, $::b]);
our $bodies = sub { map { my ($room, @ids) = @$_;
                          [room_message(@ids), path => "/rooms/$room/message"] } @_ };
on_one($::bodies->(@::rooms, @::rooms),
       [room_message($::a, $::b) . ' ', path => '/rooms/r-1/message'],
       [room_message($::a, $::b) =~ s/7c9e/\\u0037c9e/r,
        path => '/rooms/r-1/message'],
       [room_message($::a, $::b), path => '/rooms/%72-1/message'])
--- reply eval
(join '', map { my ($room, @ids) = @$_; 'accepted-list ' . join(',', @ids) . "\n" }
 @::rooms, @::rooms)
. "422 MESSAGE_ID_REUSED\n422 MESSAGE_ID_REUSED\naccepted-list $::a,$::b\n"
--- response_headers eval: replayed((0) x 6, (1) x 6, 0, 0, 1)
--- upstream eval
[map { room_event(@$_) } @::rooms]
--- log eval: $::Reused x 2


=== conversation events have no id: the body is their identity
--- http_config eval: $::Zone
--- config
location / {
    jelou_endpoint  message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_dedup     zone=seen;
    proxy_pass      http://app;
}
--- requests eval
our $turn  = '{"event":"conversation.start","timestamp":1776134278571,"project_id":"p-1"}';
our $later = $::turn =~ s/1/2/r;
our $close = $::turn =~ s/start/close/r;
our $p2    = $::turn =~ s/p-1/p-2/r;
on_one($::turn, $::later, $::close, $::p2, "$::turn ",
       $::turn, $::later, $::close, $::p2, "$::turn ")
--- reply eval
"accepted\n" x 10
--- response_headers eval: replayed((0) x 5, (1) x 5)
--- upstream eval
[map {
    my ($event, $timestamp, $project) = /"([cp][^"]*)",.*:(\d+),.*"(p-\d)"/;
    qq({"field":"messages","object":"message_event","event_type":"$event",)
    . qq("timestamp":$timestamp,"project_id":"$project","data":) . s/ \z//r . '}'
 } $::turn, $::later, $::close, $::p2, "$::turn "]
--- access eval
"200 accepted 1\n" x 5 . "200 duplicate 1\n" x 5


=== a conversation event in CloudEvents form has its id, the first time
--- http_config eval: $::Zone
--- config
location / {
    jelou_endpoint  message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_dedup     zone=seen;
    jelou_format    cloudevents;
    proxy_pass      http://app;
}
--- requests eval
our $turn = '{"event":"conversation.start","timestamp":1776134278571,"project_id":"p-1"}';
on_one($::turn, $::turn)
--- reply
accepted
accepted
--- response_headers eval: replayed(0, 1)
--- upstream eval
use Digest::SHA 'sha256_hex';
'{"specversion":"1.0","id":"' . sha256_hex($::turn) . '",'
. '"source":"/projects/p-1","type":"ai.jelou.conversation.start",'
. '"time":"2026-04-14T02:37:58.571Z","partitionkey":"p-1",'
. '"datacontenttype":"application/json","data":{"field":"messages",'
. '"object":"message_event","event_type":"conversation.start","timestamp":1776134278571,'
. qq("project_id":"p-1","data":$::turn}})


=== bot_message: the key says what is the same, and the replay names its id
--- http_config eval: $::Zone
--- config
location / {
    jelou_endpoint  bot_message;
    jelou_dedup     zone=seen  key=$http_idempotency_key;
    proxy_pass      http://app;
}
--- requests eval
our $body = '{"type":"text","userId":"u-1","text":"Hello"}';
our @to = (path => '/bots/b-1/messages', 'headers');
on_one([$::body, @::to, ['Idempotency-Key: one']],
       [$::body, @::to, ['Idempotency-Key: one']],
       [$::body, @::to, ['Idempotency-Key: two']],
       ["$::body ", @::to, ['Idempotency-Key: two']],
       [$::body, @::to, ['Idempotency-Key: two']],
       [$::body, @::to, ['Idempotency-Key: one']],
       [$::body, @::to, []], [$::body, @::to, []])
--- error_code eval: [200, 200, 200, 422, 200, 200, 200, 200]
--- response_headers eval: replayed(0, 1, 0, 0, 1, 1, 0, 0)
--- ids
0 0 1 - 1 0 2 3
--- access
200 accepted -
200 duplicate -
200 accepted -
422 message_id_reused -
200 duplicate -
200 duplicate -
200 accepted -
200 accepted -
--- log eval: $::Reused


=== a key of the event's own variables
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen  key=$jelou_user_id/$jelou_message_id;
--- requests eval
on_one($::Event, event(room_id => '"r-2"'), event(user_id => '"u-2"'),
       event(id => '"m-2"'), $::Event)
--- reply
accepted m-1
422 MESSAGE_ID_REUSED
accepted m-1
accepted m-2
accepted m-1
--- response_headers eval: replayed(0, 0, 0, 0, 1)
--- upstream eval
[$::Event, event(user_id => '"u-2"'), event(id => '"m-2"')]
--- log eval: $::Reused


=== each variable of the event has its value in a key
--- http_config eval: $::Zone
--- config eval
join '', map { <<"END" }
location = /$_ {
    jelou_endpoint  message;
    jelou_secret    "\$TEST_NGINX_SECRET";
    jelou_dedup     zone=seen  key=\$$_;
    proxy_pass      http://app;
}
END
map { "jelou_$_" } qw(project_id room_id bot_id user_id message_id message_type
                      event_type timestamp)
--- requests eval
our $m = message('p', 'r', 'm');
on_one(map { ([$::m, path => "/jelou_$_"], [$::m, path => "/jelou_$_"]) }
           qw(project_id room_id bot_id user_id message_id message_type
              event_type timestamp))
--- reply eval
"accepted m\n" x 16
--- response_headers eval: replayed((0, 1) x 8)


=== an empty key is not looked for, others are
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen  key=$arg_key;
--- requests eval
on_one($::Event, $::Event, $::Other, [$::Event, path => $Jelou::Path . '?key=1'],
       [$::Event, path => $Jelou::Path . '?key=1'],
       [$::Other, path => $Jelou::Path . '?key=1'],
       [$::Other, path => $Jelou::Path . '?key=2'],
       [event(id => '"m-2"'), path => $Jelou::Path . '?key='])
--- reply
accepted m-1
accepted m-1
accepted m-1
accepted m-1
accepted m-1
422 MESSAGE_ID_REUSED
accepted m-1
accepted m-2
--- response_headers eval: replayed(0, 0, 0, 0, 1, 0, 0, 0)
--- upstream eval
[$::Event, $::Event, $::Other, $::Event, $::Other, event(id => '"m-2"')]
--- log eval: $::Reused


=== a constant key
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen  key=always;
--- requests eval
on_one($::Event, $::Event, event(id => '"m-2"'))
--- reply
accepted m-1
accepted m-1
422 MESSAGE_ID_REUSED
--- upstream eval
[$::Event]
--- log eval: $::Reused


=== only what is verified and valid is looked for
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen;
    jelou_types  text;
--- requests eval
our $invalid = event(bot_id => undef);
our $image = event(type => '"image"',
                   content => '{"url":"https://x/","mime_type":"a/b"}');
on_one([$::Event, secret => 'another secret'], $::invalid, $::image, $::Event,
       [$::Event, secret => 'another secret'], $::invalid, $::image,
       [$::Event, signature => undef], $::Event)
--- reply
401 SIGNATURE_MISMATCH
422 INVALID_EVENT /bot_id
422 TYPE_NOT_ALLOWED
accepted m-1
401 SIGNATURE_MISMATCH
422 INVALID_EVENT /bot_id
422 TYPE_NOT_ALLOWED
401 SIGNATURE_MISSING
accepted m-1
--- response_headers eval: replayed((0) x 8, 1)
--- upstream eval
[$::Event]
--- log
[warn] jelou refused a request: SIGNATURE_MISMATCH
[info] jelou refused a request: INVALID_EVENT: 1 violation, the first at "/bot_id": is required
[info] jelou refused a request: TYPE_NOT_ALLOWED
[warn] jelou refused a request: SIGNATURE_MISMATCH
[info] jelou refused a request: INVALID_EVENT: 1 violation, the first at "/bot_id": is required
[info] jelou refused a request: TYPE_NOT_ALLOWED
[warn] jelou refused a request: SIGNATURE_MISSING


=== the time is looked at before the duplicates
--- http_config eval: $::Zone
--- config
location / {
    jelou_endpoint             message;
    jelou_secret               "$TEST_NGINX_SECRET";
    jelou_dedup                zone=seen;
    jelou_timestamp_tolerance  5m;
    proxy_pass                 http://app;
}
--- requests eval
our $now = message('p', 'r', 'm') =~ s/1718000000000/time() . '000'/er;
on_one(message('p', 'r', 'm'), message('p', 'r', 'm'), $::now, $::now,
       message('p', 'r', 'm'))
--- reply
422 STALE_EVENT
422 STALE_EVENT
accepted m
accepted m
422 STALE_EVENT
--- response_headers eval: replayed(0, 0, 0, 1, 0)
--- log eval
"[info] jelou refused a request: STALE_EVENT\n" x 3


=== the same body signed with another valid secret is the same
--- http_config eval: $::Zone
--- location
    jelou_secret  "the-new-signing-secret" "the-old-signing-secret";
    jelou_dedup   zone=seen;
--- requests eval
on_one([$::Event, secret => 'the-old-signing-secret'],
       [$::Event, secret => 'the-new-signing-secret'])
--- reply
accepted m-1
accepted m-1
--- response_headers eval: replayed(0, 1)
--- upstream eval
[$::Event]
--- access
200 accepted 2
200 duplicate 1


=== a body in a file, in pieces, chunked: the same body
--- http_config eval: $::Zone
--- directives
    jelou_dedup              zone=seen;
    client_body_buffer_size  1k;
--- requests eval
our $large = event(content => '{"body":"' . 'x' x 30_000 . '"}');
on_one($::large, [$::large, chunked => 999], $::large =~ s/xx"/x"/r)
--- reply
accepted m-1
accepted m-1
422 MESSAGE_ID_REUSED
--- response_headers eval: replayed(0, 1, 0)
--- upstream eval
[$::large]
--- error_log
buffered to a temporary file
--- log eval: $::Reused


=== with each format
--- http_config eval: $::Zone
--- config
jelou_secret  "$TEST_NGINX_SECRET";
jelou_dedup   zone=seen;
location = /raw {
    jelou_endpoint  incoming_message;
    jelou_format    raw;
    proxy_pass      http://app;
}
location = /cloudevents {
    jelou_endpoint  message;
    jelou_format    cloudevents;
    proxy_pass      http://app;
}
--- requests eval
on_one((["$::Event\n", path => '/raw']) x 2,
       ([message('p', 'r', 'm'), path => '/cloudevents']) x 2)
--- reply
accepted m-1
accepted m-1
accepted m
accepted m
--- response_headers eval: replayed(0, 1, 0, 1)
--- upstream eval
["$::Event\n", '{"specversion":"1.0","id":"m","source":"/projects/p/rooms/r",'
 . '"type":"ai.jelou.message","subject":"u-1","time":"2024-06-10T06:13:20.000Z",'
 . '"partitionkey":"r","datacontenttype":"application/json","data":'
 . message('p', 'r', 'm') =~ s/"contact".*(?="value")/"conversation_id":"c-1","bot_id":"b-1","user_id":"u-1",/r
 . '}']


=== what the upstream did not take is not remembered, and what it did is
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen;
--- upstream_answer eval
[500, 503, 404, 429, 302, 304, 'close', 'reset', "HTTP/1.1 200 OK\r\n",
 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf", 200]
--- requests eval
on_one(($::Event) x 14)
--- reply
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
404 UPSTREAM_REJECTED
429 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
accepted m-1
accepted m-1
accepted m-1
--- response_headers eval: replayed((0) x 12, 1, 1)
--- upstream eval
[($::Event) x 12]
--- access eval
join '', map { "$_ 1\n" }
    ('500 upstream_failed') x 2, '404 upstream_rejected',
    '429 upstream_rejected', ('500 upstream_failed') x 7, '200 accepted',
    ('200 duplicate') x 2
--- log eval
join '', map {
    my $key = /^4/ ? 'UPSTREAM_REJECTED' : 'UPSTREAM_FAILED';
    my $level = /^4/ ? 'info' : 'error';
    "[$level] jelou: $key: status $_ from the content handler\n"
} 500, 503, 404, 429, 302, 304, (502) x 5
--- error_log
upstream prematurely closed connection


=== after a failure another body may have the id
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen;
--- upstream_answer eval
[500, 200]
--- requests eval
on_one($::Event, $::Other, $::Event, $::Other)
--- reply
500 UPSTREAM_FAILED
accepted m-1
422 MESSAGE_ID_REUSED
accepted m-1
--- response_headers eval: replayed(0, 0, 0, 1)
--- upstream eval
[$::Event, $::Other]
--- log eval
"[error] jelou: UPSTREAM_FAILED: status 500 from the content handler\n$::Reused"


=== each 2xx is a success
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen;
--- upstream_answer eval
[200, 201, 202, 204, "206\n\n", "HTTP/1.1 299 Fine\r\n\r\nto the end",
 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\n"]
--- requests eval
on_one(map { my $e = event(id => qq("m-$_")); ($e, $e) } 1 .. 7)
--- reply eval
join '', map { "accepted m-$_\n" x 2 } 1 .. 7
--- response_headers eval: replayed((0, 1) x 7)
--- upstream eval
[map { event(id => qq("m-$_")) } 1 .. 7]


=== jelou_reply upstream: the replay is the contract's answer
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen;
    jelou_reply  upstream;
--- upstream_answer eval
["201\nContent-Type: text/plain\n\ntaken", "202\n\n\n",
 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes"]
--- requests eval
on_one(map { my $e = event(id => qq("m-$_")); ($e, $e) } 1 .. 3)
--- error_code eval: [201, 200, 202, 200, 200, 200]
--- response_body eval
['taken', '{"success":true,"messageId":"m-1"}', '',
 '{"success":true,"messageId":"m-2"}', 'yes',
 '{"success":true,"messageId":"m-3"}']
--- response_headers eval: replayed((0, 1) x 3)
--- upstream eval
[map { event(id => qq("m-$_")) } 1 .. 3]
--- access eval
join '', map { "$_ 1\n" } '201 accepted', '200 duplicate', '202 accepted',
    '200 duplicate', '200 accepted', '200 duplicate'


=== jelou_reply upstream: what is cut off is not remembered
--- http_config eval: $::Zone
--- directives
    jelou_dedup  zone=seen;
    jelou_reply  upstream;
--- upstream_answer eval
[500, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"]
--- requests eval
on_one($::Event, $::Event)
--- error_code eval: [500, 200]
--- response_headers eval: replayed(0, 0)
--- upstream eval
[$::Event, $::Event]
--- error_log
upstream prematurely closed connection
--- log
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler


=== an endpoint without a content handler
--- http_config eval: $::Zone
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_dedup     zone=seen;
}
--- requests eval
on_one($::Event, $::Event, $::Other)
--- reply
accepted m-1
accepted m-1
422 MESSAGE_ID_REUSED
--- response_headers eval: replayed(0, 1, 0)
--- upstream
none
--- log eval: $::Reused


=== a page for the error is no delivery
--- http_config eval: $::Zone
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_dedup     zone=seen;
    error_page      502 =202 /page;
    proxy_pass      http://app;
}
location = /page {
    return 202 "later";
}
--- upstream_answer eval
['close', 'close', 200]
--- requests eval
on_one(($::Event) x 4)
--- error_code eval: [202, 202, 200, 200]
--- response_body eval
['later', 'later', ('{"success":true,"messageId":"m-1"}') x 2]
--- response_headers eval: replayed(0, 0, 0, 1)
--- upstream eval
[($::Event) x 3]
--- log
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler, and an error page answers
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler, and an error page answers
--- error_log
upstream prematurely closed connection


=== nor is a success of a location that is no endpoint
--- http_config eval: $::Zone
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_dedup     zone=seen;
    error_page      502 = @spare;
    proxy_pass      http://app;
}
location @spare {
    proxy_pass      http://app;
}
--- upstream_answer eval
['close', "200\n\nspare", 'close', "200\n\nspare", 200]
--- requests eval
on_one(($::Event) x 4)
--- error_code eval: [200, 200, 200, 200]
--- response_body eval
['spare', 'spare', ('{"success":true,"messageId":"m-1"}') x 2]
--- response_headers eval: replayed(0, 0, 0, 1)
--- upstream eval
[($::Event) x 5]
--- log
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler, and an error page answers
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler, and an error page answers
--- error_log
upstream prematurely closed connection


=== but that of an endpoint is
--- http_config eval: $::Zone
--- config
jelou_secret  "$TEST_NGINX_SECRET";
jelou_dedup   zone=seen;
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    error_page      502 504 = @second;
    proxy_pass      http://app;
}
location @second {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}
--- upstream_answer eval
['close', 'close', 'close', 200]
--- requests eval
on_one(($::Event) x 4)
--- reply
500 UPSTREAM_FAILED
accepted m-1
accepted m-1
accepted m-1
--- response_headers eval: replayed(0, 0, 1, 1)
--- upstream eval
[($::Event) x 4]
--- error_log
upstream prematurely closed connection
--- log
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler


=== X-Accel-Redirect: that location's success is the upstream's
--- http_config eval: $::Zone
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_dedup     zone=seen;
    proxy_pass      http://app;
}
location = /taken {
    internal;
    return 200;
}
--- upstream_answer eval
"200\nX-Accel-Redirect: /taken"
--- requests eval
on_one(($::Event) x 2)
--- reply
accepted m-1
accepted m-1
--- response_headers eval: replayed(0, 1)
--- upstream eval
[$::Event]


=== a second server of the group
--- http_config
jelou_dedup_zone  zone=seen:1m;
upstream two {
    server 127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
    server 127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
}
--- config
location / {
    jelou_endpoint       incoming_message;
    jelou_secret         "$TEST_NGINX_SECRET";
    jelou_dedup          zone=seen;
    proxy_pass           http://two;
    proxy_next_upstream  http_500 error non_idempotent;
}
--- upstream_answer eval
[500, 200]
--- requests eval
on_one(($::Event) x 3)
--- reply
accepted m-1
accepted m-1
accepted m-1
--- response_headers eval: replayed(0, 1, 1)
--- upstream eval
[($::Event) x 2]


=== a retry of nginx's fails too
--- http_config eval: $::Zone
--- config
location / {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_dedup     zone=seen;
    proxy_pass      http://down;
}
--- requests eval
on_one(($::Event) x 3)
--- reply
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
--- upstream
none
--- error_log
Connection refused
--- log eval
"[error] jelou: UPSTREAM_FAILED: status 502 from the content handler\n" x 3
