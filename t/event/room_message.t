# jelou_endpoint room_message: messages into the room that the path names.

use strict;
use warnings;

use lib 't/lib';
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use IO::Socket::INET;
use Jelou 'no_plan';
use Jelou::Cases (
    endpoint => 'room_message',
    location => 'location /',
    path     => '/v1/rooms/r-1/message',
);

our $id      = 'must have 1 to 256 bytes, no control character, and not '
             . 'white space alone';
our $none    = 'is required';
our $string  = 'must be a string';
our $object  = 'must be an object';
our $array   = 'must be an array';
our $again   = 'must not be repeated';
our $lone    = 'must not have a lone surrogate';
our $uuid    = 'must be a UUID';
our $uri     = 'must be an https or http URL';
our $types   = 'must be one of TEXT, IMAGE, VIDEO, DOCUMENT';
our $some    = 'must have at least 1 message';
our $other   = 'has 1 member outside the schema';
our $differ  = 'must differ from every other id';
our $foreign = 'is not a member of this message type';

our @media = qw(IMAGE VIDEO DOCUMENT);
our $url   = 'https://a.example/b';


sub uuid { return sprintf '%08x-0000-4000-8000-%012x', $_[0], $_[0] }

# One message, of id 1, and a number of them

our $one = template(
    '/senderId'        => '"s-1"',
    '/messages/0/id'   => '"' . uuid(1) . '"',
    '/messages/0/type' => '"TEXT"',
    '/messages/0/text' => '"Hello"',
);

sub text_of { return sprintf '{"id":"%s","type":"TEXT","text":"%s"}',
                             uuid($_[0]), $_[1] // 'Hello' }

sub room { return '{"senderId":"s-1","messages":[' . join(',', @_) . ']}' }


# event_of(VALUE, ...): an event of these values, in this room

our $Room = '"r-1"';

sub event_of {
    return '{"field":"messages","object":"message_event","event_type":'
           . qq("room_message","room_id":$Room,"sender_id":"s-1","values":[)
           . join(',', @_) . ']}';
}

sub value {
    my ($type, $content, $n) = @_;

    return sprintf '{"id":"%s","type":"%s","content":{%s}}',
                   uuid($n // 1), $type, $content;
}

our $hello = value('text', '"body":"Hello"');
our $ok    = 'accepted-list ' . uuid(1);


# message(TYPE, MEMBERS): one of that type, and content(MEMBERS)

sub message { return room(sprintf '{"id":"%s","type":"%s",%s}', uuid(1), @_) }

sub media {
    my ($type, $members, $content) = @_;

    return accepted(message($type, $members),
                    event_of(value(lc $type, $content)), $ok);
}

sub wrong {
    my ($at, $value, $text) = @_;

    return invalid($one->($at => $value), [$at => $text]);
}


# at(PATH, ID): the room of that path, as JSON has it

sub at {
    local $Room = qq("$_[1]");

    return accepted($one->(), event_of($hello), $ok, path => $_[0]);
}

sub nowhere { return refused($one->(), '404 NOT_FOUND', path => $_[0]) }


# The processor time, in seconds, that the worker spends on a body.

sub worker {
    open my $in, '<', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/nginx.pid" or die $!;
    my ($master) = <$in> =~ /(\d+)/;

    open $in, '<', "/proc/$master/task/$master/children" or return;
    return (split ' ', <$in>)[0];
}

sub spent {
    my ($worker, $times, $body) = @_;

    my $socket = IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}") or die $!;

    my $time = sub {
        open my $in, '<', "/proc/$worker/schedstat" or die $!;
        return (split ' ', <$in>)[0] / 1e9;
    };

    my $start = $time->();

    for (1 .. $times) {
        my $request = post($body, signature => undef, keepalive => 1,
                           path => '/v1/rooms/r-1/message');
        my $answer = '';

        while (length $request) {
            my $n = syswrite $socket, $request or die $!;
            substr $request, 0, $n, '';
        }

        until ($answer =~ /\]\}\z/) {
            sysread $socket, $answer, 65536, length $answer or die 'closed';
        }

        die $answer if $answer !~ m{\AHTTP/1.1 200 };
    }

    return ($time->() - $start) / $times;
}

add_test_cleanup_handler(sub {
    my $block = shift;

    defined $block->linear or return;

    my $name = $block->name . ' - time';
    my $worker = worker();

    SKIP: {
        Test::More::skip("$name: no /proc/PID/schedstat", 1)
            unless $worker && -r "/proc/$worker/schedstat";

        my ($small, $large) = map { room(map { text_of($_) } 1 .. $_) }
                              400, 20_000;

        spent($worker, 1, $large);

        my ($few, $many) = (spent($worker, 20, $small),
                            spent($worker, 2, $large));

        # Of 50 times as many messages; less than that is usual.

        Test::More::cmp_ok($many, '<', $few * 50 * 3, $name);
    }
});

run_tests();

__DATA__

=== what the documentation has: the four types
--- cases eval
[
    accepted(<<'END', event_of(
{
  "senderId": "s-1",
  "messages": [
    {
      "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
      "type": "TEXT",
      "text": "Hola"
    },
    {
      "id": "3fa85f64-5717-4562-b3fc-2c963f66afa7",
      "type": "IMAGE",
      "mediaUrl": "https://storage.example.com/media/image.jpg",
      "text": "Una foto"
    },
    {
      "id": "3fa85f64-5717-4562-b3fc-2c963f66afa8",
      "type": "VIDEO",
      "mediaUrl": "https://storage.example.com/media/video.mp4"
    },
    {
      "id": "3fa85f64-5717-4562-b3fc-2c963f66afa9",
      "type": "DOCUMENT",
      "mediaUrl": "https://storage.example.com/media/file.pdf"
    }
  ]
}
END
        '{"id":"3fa85f64-5717-4562-b3fc-2c963f66afa6","type":"text",'
        . '"content":{"body":"Hola"}}',
        '{"id":"3fa85f64-5717-4562-b3fc-2c963f66afa7","type":"image",'
        . '"content":{"url":"https://storage.example.com/media/image.jpg",'
        . '"caption":"Una foto"}}',
        '{"id":"3fa85f64-5717-4562-b3fc-2c963f66afa8","type":"video",'
        . '"content":{"url":"https://storage.example.com/media/video.mp4"}}',
        '{"id":"3fa85f64-5717-4562-b3fc-2c963f66afa9","type":"document",'
        . '"content":{"url":"https://storage.example.com/media/file.pdf"}}'),
        'accepted-list ' . join ',',
        map { "3fa85f64-5717-4562-b3fc-2c963f66afa$_" } 6 .. 9),
]


=== each type, with and without the optional members
--- cases eval
[
    media('TEXT', '"text":"Hello"', '"body":"Hello"'),
    media('TEXT', '"text":""', '"body":""'),
    map({
        media($_, qq("mediaUrl":"$url"), qq("url":"$url")),
        media($_, qq("mediaUrl":"$url","text":""), qq("url":"$url","caption":"")),
        media($_, qq("text":"A","mediaUrl":"$url"),
              qq("url":"$url","caption":"A"))
    } @media),
    map({ media('TEXT', qq("text":"$_"), qq("body":"$_")) }
        "\xf0\x9f\x98\x80e\xcc\x81", '\\u0000\\n\\u000A\\/', '\\ud800x\\udc00',
        '  two  words  ', '\\"},{\\"x\\":\\"'),
]


=== what belongs to another type is left out
--- cases eval
[
    media('TEXT', qq("text":"A","mediaUrl":"$url"), '"body":"A"'),
    media('TEXT', '"text":"A","mediaUrl":"javascript:alert(1)"', '"body":"A"'),
    media('TEXT', '"text":"A","mediaUrl":""', '"body":"A"'),
]


=== what belongs to another type is one string all the same
--- cases eval
[
    map({ invalid(message('TEXT', qq("text":"A","mediaUrl":$_)),
                  ['/messages/0/mediaUrl' => $string]) } qw(5 null {} [])),
    map({ invalid(message('TEXT', qq("text":"A","mediaUrl":$_)),
                  ['/messages/0/mediaUrl' => $again]) }
        qq("$url","mediaUrl":"$url"), '5,"media\\u0055rl":"x"'),
]


=== members in any order, with white space
--- cases eval
[
    map({ accepted($_, event_of($hello), $ok) } shuffled($one->())),
    map({ accepted($_, event_of(value('image', qq("url":"$url","caption":"A"))),
                   $ok) }
        shuffled(message('IMAGE', qq("mediaUrl":"$url","text":"A")))),
    accepted('{"messages":[' . text_of(1) . '],"x":[{"id":1}],"senderId":'
             . '"s-1"}', event_of($hello), $ok),
]


=== unknown members are left out
--- cases eval
[
    map({ accepted($one->("$_" => '{"id":"x","messages":[{"id":5}]}'),
                   event_of($hello), $ok) }
        '/x', '/room_id', '/roomId', '/field', '/messages/0/x',
        '/messages/0/caption', '/messages/0/url', '/messages/0/content',
        '/messages/0/senderId'),
    map({ accepted($one->('/messages/0/x' => $_), event_of($hello), $ok) }
        '[{"id":"x","type":"y"},[{}],1]', '{"id":{"id":[]}}', 'null',
        '"\\ud800"', '1,"x":2'),
]


=== jelou_strict on: they are refused
--- directives
    jelou_strict  on;
--- cases eval
[
    accepted($one->(), event_of($hello), $ok),
    invalid($one->('/x' => 1), ['' => $other]),
    invalid($one->('/roomId' => '"r-1"'), ['' => $other]),
    invalid(room(text_of(1), text_of(2) =~ s/}/,"x":1,"~\/":2}/r),
            ['/messages/1' => 'has 2 members outside the schema']),
    invalid($one->('/messages/0/mediaUrl' => qq("$url")),
            ['/messages/0/mediaUrl' => $foreign]),
]


=== members that are missing
--- cases eval
[
    map({ wrong($_, undef, $none) }
        qw(/senderId /messages/0/id /messages/0/type /messages/0/text)),
    map({ invalid(message($_, '"text":"A"'), ['/messages/0/mediaUrl' => $none])
        } @media),
    invalid(message('TEXT', qq("mediaUrl":"$url")),
            ['/messages/0/text' => $none]),
    invalid($one->('/messages' => undef), ['/messages' => $none]),
    invalid('{}', ['/senderId' => $none, '/messages' => $none]),
    invalid($one->('/messages' => '[]'), ['/messages' => $some]),
    invalid($one->('/messages' => '[ ]'), ['/messages' => $some]),
    invalid(room('{}'), ['/messages/0/id' => $none,
                         '/messages/0/type' => $none]),
]


=== members of the wrong type
--- cases eval
[
    map({ my $at = $_; map({ wrong($at, $_, $string) }
            qw(1 true null {} [] ["x"] {"id":"x"})) }
        qw(/senderId /messages/0/id /messages/0/type /messages/0/text)),
    map({ my $v = $_; map({
            invalid(message($_, qq("mediaUrl":$v)),
                    ['/messages/0/mediaUrl' => $string]),
            invalid(message($_, qq("mediaUrl":"$url","text":$v)),
                    ['/messages/0/text' => $string])
        } @media) } qw(1 true null {} [])),
    map({ wrong('/messages', $_, $array) }
        qw(1 "x" true null {}), text_of(1), '{"0":' . text_of(1) . '}'),
]


=== messages that are no objects
--- cases eval
[
    map({ my $m = $_;
          invalid(room($m), ['/messages/0' => $object]),
          invalid(room(text_of(1), $m, text_of(2)), ['/messages/1' => $object])
        } qw(1 "x" true null []), '[' . text_of(1) . ']', '[[],{}]'),
    invalid(room('1', text_of(1), '[]', '{}'),
            ['/messages/0' => $object, '/messages/2' => $object,
             '/messages/3/id' => $none, '/messages/3/type' => $none]),
]


=== an error in any message
--- cases eval
[
    invalid(room(text_of(1), text_of(2), '{"id":"' . uuid(3)
                 . '","type":"IMAGE"}'), ['/messages/2/mediaUrl' => $none]),
    map({
        my $n = $_;
        my @all = map { text_of($_) } 1 .. 12;
        $all[$n] =~ s/"TEXT"/"text"/;
        invalid(room(@all), ["/messages/$n/type" => $types])
    } 0, 1, 7, 8, 9, 10, 11),
    invalid(room(text_of(1), text_of(2) =~ s/"id":"\w/"id":"x/r,
                 text_of(3) =~ s/Hello"/Hello","text":""/r),
            ['/messages/1/id' => $uuid, '/messages/2/text' => $again]),
    invalid('{"messages":[' . text_of(1) . ',{}]}',
            ['/messages/1/id' => $none, '/messages/1/type' => $none,
             '/senderId' => $none]),
]


=== of many errors there are 16
--- cases eval
[
    invalid(room((1) x 1000), [map { ("/messages/$_" => $object) } 0 .. 15]),
    invalid(room(('{}') x 1000),
            [map { ("/messages/$_/id" => $none, "/messages/$_/type" => $none) }
             0 .. 7]),
    invalid(room((map { text_of($_) } 1 .. 999), '{}'),
            ['/messages/999/id' => $none, '/messages/999/type' => $none]),
]


=== members that stand there twice
--- cases eval
[
    wrong('/senderId', twice('senderId', '"s-1"', '"s-1"'), $again),
    wrong('/senderId', twice('sender\\u0049d', '"s-1"', '"s-2"'), $again),
    map({ wrong('/messages/0/id', twice('id', qq("${\ uuid(1)}"), $_), $again)
        } '"x"', '{}', 'null', qq("${\ uuid(1)}")),
    wrong('/messages/0/type', twice('type', '"TEXT"', '"IMAGE"'), $again),
    wrong('/messages/0/text', twice('text', '"a"', '"a"'), $again),
    wrong('/messages/0/text', twice('\\u0074ext', '"a"', '[]'), $again),
    invalid(message('IMAGE', qq("mediaUrl":"$url","mediaUrl":"$url")),
            ['/messages/0/mediaUrl' => $again]),
    map({ wrong('/messages', twice('messages', '[' . text_of(1) . ']', $_),
                $again) } '[' . text_of(2) . ']', '[]', 'null', '[{}]'),
]


=== members that stand there twice, of which the first is no string
--- cases eval
[
    map({ my $v = $_;
          map({ my $at = $_;
                my ($name) = /(\w+)$/;
                wrong($at, twice($name, $v, $name eq 'id' ? qq("${\ uuid(1)}")
                                 : $name eq 'type' ? '"TEXT"' : '"A"'), $again)
              } qw(/senderId /messages/0/id /messages/0/type /messages/0/text))
        } qw([] 1 null {} {"id":"x"})),
    map({ wrong('/messages', twice('messages', $_, '[' . text_of(1) . ']'),
                $again) } qw([] {} 1 null "x")),
    map({ invalid(room(qq({"type":"TEXT","text":"A","id":$_})),
                  ['/messages/0/id' => $string]) } qw({} {"id":"x"} [] 1)),
]


=== senderId is an identifier
--- cases eval
[
    map({ wrong('/senderId', qq("$_"), $id) }
        '', 'x' x 257, "\xc3\xa9" x 128 . 'x', '\\u00e9' x 128 . 'x',
        'a\\u0000', '\\r\\nb', '\\u007f', '\\u0080', "\xc2\x9f", ' ',
        "\xe3\x80\x80"),
    wrong('/senderId', '"\\ud800"', $lone),
    map({ accepted($one->('/senderId' => qq("$_")),
                   event_of($hello) =~ s/s-1/$_/r, $ok) }
        'x' x 256, "\xc3\xa9" x 128, '\\u0061' x 256, '\\"\\\\/', ' x'),
]


=== ids are UUIDs, of any version and in either case
--- cases eval
[
    map({ accepted($one->('/messages/0/id' => qq("$_")),
                   event_of($hello =~ s/"id":"[^"]+"/"id":"$_"/r),
                   "accepted-list $_") }
        '00000000-0000-0000-0000-000000000000',
        'ffffffff-ffff-ffff-ffff-ffffffffffff',
        'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
        '3FA85f64-5717-4562-B3fc-2c963F66aFa6',
        '2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d',
        '018f3b0e-7c1a-7def-8123-456789abcdef',
        '\\u0033fa85f64-5717-4562-b3fc-2c963f66afa6'),
    map({ wrong('/messages/0/id', qq("$_"), $uuid) }
        '', '1', 'MESSAGE_ID', '3fa85f6457174562b3fc2c963f66afa6',
        '{3fa85f64-5717-4562-b3fc-2c963f66afa6}',
        'urn:uuid:3fa85f64-5717-4562-b3fc-2c963f66afa6',
        '3fa85f64-5717-4562-b3fc-2c963f66afa', ' ' x 36, '-' x 36,
        '3fa85f64-5717-4562-b3fc-2c963f66afa66',
        '3fa85f64-5717-4562-b3fc-2c963f66afag',
        '3fa85f64-5717-4562-b3fc-2c963f66afa\\n',
        '3fa85f64-5717-4562-b3fc-2c963f66afa6\\n',
        '3fa85f64-5717-4562-b3fc-2c963f66afa\\u0000',
        '3fa85f64_5717-4562-b3fc-2c963f66afa6',
        '3fa85f645-717-4562-b3fc-2c963f66afa6',
        '3fa85f64-5717-4562-b3fc02c963f66afa6',
        '@fa85f64-5717-4562-b3fc-2c963f66afa6',
        '`fa85f64-5717-4562-b3fc-2c963f66afa6',
        '/fa85f64-5717-4562-b3fc-2c963f66afa6',
        ':fa85f64-5717-4562-b3fc-2c963f66afa6',
        "3fa85f64-5717-4562-b3fc-2c963f66af\xc3\xa9"),
    wrong('/messages/0/id', '"\\ud800"', $lone),
]


=== types are in upper case
--- cases eval
[
    map({ wrong('/messages/0/type', qq("$_"), $types) }
        '', qw(text Text image AUDIO audio STICKER TEXT\\u0000 TEX TEXTS)),
    accepted($one->('/messages/0/type' => '"\\u0054EXT"'), event_of($hello),
             $ok),
    wrong('/messages/0/type', '"\\ud800"', $lone),
    invalid($one->('/messages/0/type' => '"x"', '/messages/0/text' => '5',
                   '/messages/0/mediaUrl' => '5'),
            ['/messages/0/type' => $types, '/messages/0/text' => $string,
             '/messages/0/mediaUrl' => $string]),
    invalid($one->('/messages/0/type' => '"x"', '/messages/0/text' => undef),
            ['/messages/0/type' => $types]),
    invalid($one->('/messages/0/type' => undef,
                   '/messages/0/mediaUrl' => '"x:y"'),
            ['/messages/0/type' => $none, '/messages/0/mediaUrl' => $uri]),
]


=== ids differ
--- cases eval
[
    invalid(room(text_of(1), text_of(1)), ['/messages/1/id' => $differ]),
    invalid(room(text_of(1), text_of(2), text_of(3), text_of(2), text_of(1),
                 text_of(2)),
            [map { ("/messages/$_/id" => $differ) } 4, 3, 5]),
    invalid(room(text_of(0xabcdef), uc(text_of(0xabcdef))
                 =~ s/"(ID|TEXT)":/"\L$1":/gr =~ s/"TYPE"/"type"/r),
            ['/messages/1/id' => $differ]),
    invalid(room(uc(text_of(0xabcdef))
                 =~ s/"(ID|TEXT)":/"\L$1":/gr =~ s/"TYPE"/"type"/r,
                 text_of(0xabcdef)),
            ['/messages/1/id' => $differ]),
    invalid(room(text_of(1), text_of(1) =~ s/"id":"0/"id":"\\u0030/r),
            ['/messages/1/id' => $differ]),
    invalid(room(text_of(1), '5', text_of(1) =~ s/TEXT/text/r),
            ['/messages/1' => $object, '/messages/2/type' => $types,
             '/messages/2/id' => $differ]),
    invalid(room(('{"id":"x","type":"TEXT","text":""}') x 2),
            [map { ("/messages/$_/id" => $uuid) } 0, 1]),
    invalid('{"messages":[' . text_of(1) . ',' . text_of(1) . ']}',
            ['/senderId' => $none, '/messages/1/id' => $differ]),
    invalid(room((text_of(1)) x 100),
            [map { ("/messages/$_/id" => $differ) } 1 .. 16]),
    invalid(room(map { text_of($_ % 999) } 0 .. 999),
            ['/messages/999/id' => $differ]),
]


=== mediaUrl is an https or http URL
--- cases eval
[
    map({ media('DOCUMENT', qq("mediaUrl":"$_"), qq("url":"$_")) }
        'https://a.example/b.pdf', 'http://a.example', 'HTTPS://A.EXAMPLE/',
        'https://user@a.example:8443/b?c=d&e=%20#f', 'HTTP://a.example/b',
        'https:\\/\\/a.example\\/b', 'http://[2001:db8::1]:80/b',
        'https://[2001:db8::1]/b', 'https://a.example/' . 'x' x 5000),
    map({ invalid(message('DOCUMENT', qq("mediaUrl":"$_")),
                  ['/messages/0/mediaUrl' => $uri]) }
        'javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd',
        'https://', 'https://:443/x', 'http://', 'http:///a', 'ftp://a.example/b',
        's3://bucket/key', 'urn:isbn:0451450523', 'a+b-c.1:x', 'x:y',
        'data:image/png;base64,iVBORw0KGgo=', 'https://[]/x', 'https://[::1/x',
        'https://a:b:c/', 'https://h:x/', 'https://h:99999/', 'http://%zz/',
        'https://a\\\\b', 'http://a/\\u200b', "http://a/\xef\xbb\xbf",
        "http://\xe2\x80\xaea/", 'http://a/\\u2066', 'httpx://a', 'http//a',
        '', 'a.example/b', '/b', '//a.example/b', '?a:b', '#a:b', './a:b',
        ':', ':b', 'https', 'https:', '1https://a', '-a:b', '+a:b', '.a:b',
        'ht tps://a', 'ht_tps://a', 'https//a:1', ' https://a.example',
        'https://a.example/b ', 'https://a.example/b c', "h\xc3\xa9:x",
        'https://a.example/\\n', 'https://a.example/\\u0000',
        'https://a.example/\\u007f', "https://a.example/\xc2\xa0",
        "https://a.example/\xe2\x80\xa8", "https://a.example/\xe3\x80\x80"),
    invalid(message('IMAGE', '"mediaUrl":"https://a/\\ud800"'),
            ['/messages/0/mediaUrl' => $lone]),
]


=== the path: what is a room
--- cases eval
[
    map({ at($_, 'r-1') }
        '/v1/rooms/r-1/message', '/rooms/r-1/message',
        '/a/b/c/rooms/r-1/message', '/v1/rooms/r%2D1/message',
        '/v1/rooms/%72%2d%31/%6dessage', '/v1/rooms/r-1/message?x=/rooms/y/z',
        '/v1/rooms/x/../r-1/message', '/v1//rooms/r-1//message',
        '/rooms/x/message/rooms/r-1/message'),
    map({ at("/v1/rooms/$_->[0]/message", $_->[1]) }
        ['%22', '\\"'], ['a%5Cb', 'a\\\\b'], ['%5C%22%5C', '\\\\\\"\\\\'],
        ['two%20words', 'two words'], ['a+b', 'a+b'], ['a;b=c', 'a;b=c'],
        ['%C3%B1', "\xc3\xb1"], ["\xc3\xb1", "\xc3\xb1"],
        ['%F0%9F%98%80', "\xf0\x9f\x98\x80"], ['%25', '%'], ['%252F', '%2F'],
        ['%7B%7D%2C%3A', '{},:'], ['%3F%23', '?#'], ['rooms', 'rooms'],
        ['message', 'message'], ['x' x 256, 'x' x 256], ['...', '...'],
        ['%61' x 256, 'a' x 256], ['%C3%B1' x 128, "\xc3\xb1" x 128],
        ['%22' x 256, '\\"' x 256], ['%EF%BF%BF', "\xef\xbf\xbf"],
        ['%C2%A0x', "\xc2\xa0x"], ['a%E2%80%A8', "a\xe2\x80\xa8"]),
]


=== the path: what is none
--- cases eval
[
    map({ nowhere($_) }
        '/', '/v1/rooms/r-1', '/v1/rooms/r-1/', '/v1/rooms/r-1/messages',
        '/v1/rooms/r-1/message/', '/v1/rooms/r-1/message/x',
        '/v1/rooms/r-1/Message', '/v1/Rooms/r-1/message', '/v1/rooms/message',
        '/v1/rooms//message', '/v1/rooms/./message', '/v1/rooms/%2E%2E/message',
        '/v1/xrooms/r-1/message', '/v1/rooms/r-1/xmessage', '/rooms/message',
        '/message', '/rooms/', '/v1/bots/r-1/messages', '/v1/bots/r-1/message',
        '/v1/room/r-1/message', '/v1/rooms/a/b/message',
        '/v1/rooms/a%2Fb/message', '/v1/rooms/%2F/message',
        '/v1/rooms/a%2fb/message', '/v1/rooms/' . 'x' x 257 . '/message',
        '/v1/rooms/' . '%C3%B1' x 128 . 'x/message',
        '/v1/rooms?/rooms/r-1/message'),
    map({ nowhere("/v1/rooms/$_/message") }
        qw(%0A %0D%0A a%0Ab a%0D a%09b %01 %1F %7F %FF %C3 a%C3 %C0%AF
           %ED%A0%80 %F4%90%80%80 %80 %E2%80 %C3%28 %C2%85 a%C2%80 %C2%9F
           %20 %C2%A0 %E3%80%80%20), "\xff", "a\xc3"),
]


=== the path: no CR, LF or NUL gets in
--- config
    location / {
        jelou_endpoint  room_message;
        proxy_pass      http://app;
    }
--- raw_request eval
post($one->(), signature => undef, path => '/v1/rooms/a%00b/message')
--- reply
400
--- upstream
none
--- no_error_log eval
qr/jelou|\[(?:warn|error|crit)\]/


=== the path: it comes first
--- cases eval
[
    refused($one->(), '404 NOT_FOUND', path => '/x', method => 'PUT'),
    refused($one->(), '404 NOT_FOUND', path => '/x', type => 'text/plain'),
    refused('{', '404 NOT_FOUND', path => '/x'),
    refused('{}', '405 METHOD_NOT_ALLOWED', method => 'PUT'),
    refused('{}', '415 UNSUPPORTED_MEDIA_TYPE', type => 'text/plain'),
    refused('', '400 INVALID_JSON',
            log => 'INVALID_JSON: not JSON at byte 0 of 0'),
    refused('[]', '400 INVALID_JSON',
            log => 'INVALID_JSON: not an object at byte 1 of 2'),
]


=== 1,000 messages
--- directives
    client_body_buffer_size  1m;
--- cases eval
[
    accepted(room(map { text_of($_, "No. $_") } 1 .. 1000),
             event_of(map { value('text', qq("body":"No. $_"), $_) } 1 .. 1000),
             'accepted-list ' . join ',', map { uuid($_) } 1 .. 1000),
    map({ my $n = $_;
          accepted(room(map { text_of($_) } 1 .. $n),
                   event_of(map { value('text', '"body":"Hello"', $_) }
                            1 .. $n),
                   'accepted-list ' . join ',', map { uuid($_) } 1 .. $n)
        } 2, 7, 8, 9, 16, 17, 100),
]


=== 1,000 messages of all types, in a temporary file
--- directives
    client_body_buffer_size  1k;
--- cases eval
[
    accepted(room(map { my $type = ('TEXT', @media)[$_ % 4];
                        sprintf '{"id":"%s","type":"%s","text":"%d",'
                                . '"mediaUrl":"%s"}', uuid($_), $type, $_, $url
                      } 1 .. 1000),
             event_of(map { $_ % 4 ? value(lc $media[$_ % 4 - 1],
                                     qq("url":"$url","caption":"$_"), $_)
                                   : value('text', qq("body":"$_"), $_) }
                      1 .. 1000),
             'accepted-list ' . join ',', map { uuid($_) } 1 .. 1000),
]


=== 20,000 messages take 50 times as long as 400, roughly
--- config
    location / {
        jelou_endpoint  room_message;
        client_max_body_size     4m;
        client_body_buffer_size  4m;
    }
--- linear
--- cases eval
[accepted($one->(), undef, $ok)]


=== jelou_types: in upper case
--- directives
    jelou_types  TEXT DOCUMENT;
--- cases eval
[
    accepted($one->(), event_of($hello), $ok),
    media('DOCUMENT', qq("mediaUrl":"$url"), qq("url":"$url")),
    map({ refused(message($_, qq("mediaUrl":"$url")), '422 TYPE_NOT_ALLOWED') }
        qw(IMAGE VIDEO)),
]


=== jelou_types: in lower case
--- directives
    jelou_types  image video;
--- cases eval
[
    media('IMAGE', qq("mediaUrl":"$url"), qq("url":"$url")),
    media('VIDEO', qq("mediaUrl":"$url"), qq("url":"$url")),
    refused($one->(), '422 TYPE_NOT_ALLOWED'),
    refused(message('DOCUMENT', qq("mediaUrl":"$url")),
            '422 TYPE_NOT_ALLOWED'),

    # one of many is enough, and the schema comes first

    refused(room((map { qq({"id":"${\ uuid($_)}","type":"IMAGE",)
                        . qq("mediaUrl":"$url"}) } 1 .. 9), text_of(10)),
            '422 TYPE_NOT_ALLOWED'),
    invalid(room(text_of(1), '1'), ['/messages/1' => $object]),
]


=== jelou_types: both
--- directives
    jelou_types  TEXT image;
--- cases eval
[
    accepted($one->(), event_of($hello), $ok),
    media('IMAGE', qq("mediaUrl":"$url"), qq("url":"$url")),
    refused(message('VIDEO', qq("mediaUrl":"$url")), '422 TYPE_NOT_ALLOWED'),
]


=== jelou_types: a type that the endpoint does not have
--- directives
    jelou_types  audio;
--- must_die
--- error_log
[emerg]
"jelou_endpoint room_message" has no type "audio"


=== jelou_field, jelou_object, jelou_event_type are the event's
--- directives
    jelou_field       notes;
    jelou_object      note_event;
    jelou_event_type  note;
--- cases eval
[
    accepted($one->(), event_of($hello) =~ s/"messages"/"notes"/r
             =~ s/message_event/note_event/r =~ s/room_message/note/r, $ok),
]


=== variables
--- directives
    proxy_set_header  X-Type          $jelou_event_type;
    proxy_set_header  X-Room          $jelou_room_id;
    proxy_set_header  X-User          $jelou_user_id;
    proxy_set_header  X-Message       $jelou_message_id;
    proxy_set_header  X-Message-Type  $jelou_message_type;
    proxy_set_header  X-Bot           $jelou_bot_id;
    proxy_set_header  X-Project       $jelou_project_id;
    proxy_set_header  X-Timestamp     $jelou_timestamp;
--- cases eval
[
    accepted(room('{"id":"\\u0030' . substr(uuid(1), 1) . '","text":"Hello",'
                  . '"type":"T\\u0045XT"}',
                  qq({"id":"${\ uuid(2)}","type":"IMAGE","mediaUrl":"$url"})),
             event_of($hello =~ s/"id":"0/"id":"\\u0030/r,
                      value('image', qq("url":"$url"), 2))
             =~ s/"r-1"/"a \\"b\\""/r,
             'accepted-list \\u0030' . substr(uuid(1), 1) . ',' . uuid(2),
             path => '/v1/rooms/a%20%22b%22/message'),
]
--- upstream_headers
X-Type: room_message
X-Room: a "b"
X-User: s-1
X-Message: 00000001-0000-4000-8000-000000000001,00000002-0000-4000-8000-000000000002
X-Message-Type: text,image
! X-Bot
! X-Project
! X-Timestamp


=== the upstream rejects the event
--- upstream_answer
404
--- cases eval
[{ %{ accepted($one->(), event_of($hello), $ok) },
   reply => '404 UPSTREAM_REJECTED' }]
--- log
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler while sending to client
