# jelou_endpoint message: the end user's message to the partner's webhook.

use strict;
use warnings;

use lib 't/lib';
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';
use Jelou::Cases (
    endpoint => 'message',
    location => 'location = /webhook',
    path     => '/webhook',
    secret   => 1,
);

our $id     = 'must have 1 to 256 bytes, no control character, and not '
            . 'white space alone';
our $none   = 'is required';
our $string = 'must be a string';
our $number = 'must be a number';
our $object = 'must be an object';
our $again  = 'must not be repeated';
our $lone   = 'must not have a lone surrogate';
our $https  = 'must be an https URL';
our $mime   = 'must be a media type, type/subtype';
our $ms     = 'must be an integer, milliseconds since 1970-01-01T00:00:00Z';
our $types  = 'must be one of text, image, video, audio, document';
our $other  = 'has 1 member outside the schema';
our $secs   = 'must be milliseconds since 1970-01-01T00:00:00Z: seconds?';
our $foreign = 'is not a member of this message type';

# A message, and the event that it becomes

our $message = template(
    '/field' => '"messages"', '/object' => '"message_event"',
    '/event_type' => '"message"', '/timestamp' => 1776134278574,
    '/project_id' => '"p-1"', '/room_id' => '"r-1"',
    '/contact/id' => '"u-1"', '/contact/name' => '"Ana"',
    '/conversation/id' => '"c-1"',
    '/bot/id' => '"b-1"', '/bot/name' => '"Robot"',
    '/value/id' => '"m-1"', '/value/type' => '"text"',
    '/value/content/body' => '"Hello"',
);

our $event = template(
    '/field' => '"messages"', '/object' => '"message_event"',
    '/event_type' => '"message"', '/timestamp' => 1776134278574,
    '/project_id' => '"p-1"', '/room_id' => '"r-1"',
    '/conversation_id' => '"c-1"',
    '/bot_id' => '"b-1"', '/bot_name' => '"Robot"',
    '/user_id' => '"u-1"', '/user_name' => '"Ana"',
    '/value/id' => '"m-1"', '/value/type' => '"text"',
    '/value/content/body' => '"Hello"',
);

our %becomes = (
    '/contact/id' => '/user_id', '/contact/name' => '/user_name',
    '/bot/id' => '/bot_id', '/bot/name' => '/bot_name',
    '/conversation/id' => '/conversation_id',
);

our @fixed   = qw(/field /object /event_type);
our @ids     = qw(/project_id /room_id /contact/id /conversation/id /bot/id
                  /value/id);
our @names   = qw(/contact/name /bot/name);
our @objects = qw(/contact /conversation /bot /value /value/content);

our %fixed = (field => 'messages', object => 'message_event',
              event_type => 'message');


# taken(POINTER => VALUE, ...): this message is accepted

sub taken {
    my %m = @_;

    my $reply = ($m{'/value/id'} // '"m-1"') =~ s/^"(.*)"$/$1/r;

    return accepted($message->(%m),
                    $event->(map { ($becomes{$_} // $_, $m{$_}) }
                             @_[grep { $_ % 2 == 0 } 0 .. $#_]),
                    "accepted $reply");
}


# wrong(POINTER, VALUE, TEXT): this message is refused for this one member

sub wrong {
    my ($at, $value, $text) = @_;

    return invalid($message->($at => $value), [$at => $text]);
}


# content(TYPE, MEMBER => VALUE, ...): a message of that type, as pointers

sub content {
    my ($type, %content) = @_;

    return ('/value/type' => qq("$type"), '/value/content/body' => undef,
            map { defined $content{$_}
                  ? ("/value/content/$_" => $content{$_}) : () }
                qw(body url mime_type caption filename));
}

our %media = (url => '"https://a.example/b"', mime_type => '"image/jpeg"');

sub last_name { return $_[0] =~ s{.*/}{}r }


run_tests();

__DATA__

=== the text message of the documentation
--- cases eval
[accepted(<<'END', <<'END' =~ s/\n//gr, 'accepted MESSAGE_ID')]
{
  "field": "messages",
  "object": "message_event",
  "event_type": "message",
  "timestamp": 1776134278574,
  "project_id": "PROJECT_ID",
  "room_id": "ROOM_ID",
  "contact": {
    "id": "USER_ID",
    "name": "USER_NAME"
  },
  "conversation": {
    "id": "CONVERSATION_ID"
  },
  "bot": {
    "id": "BOT_ID",
    "name": "BOT_NAME"
  },
  "value": {
    "id": "MESSAGE_ID",
    "type": "text",
    "content": {
      "body": "Hello"
    }
  }
}
END
{"field":"messages","object":"message_event","event_type":"message",
"timestamp":1776134278574,"project_id":"PROJECT_ID","room_id":"ROOM_ID",
"conversation_id":"CONVERSATION_ID","bot_id":"BOT_ID","bot_name":"BOT_NAME",
"user_id":"USER_ID","user_name":"USER_NAME",
"value":{"id":"MESSAGE_ID","type":"text","content":{"body":"Hello"}}}
END


=== the image message of the documentation
--- cases eval
[accepted(<<'END', <<'END' =~ s/\n//gr, 'accepted MESSAGE_ID')]
{
  "field": "messages",
  "object": "message_event",
  "event_type": "message",
  "timestamp": 1776134352163,
  "project_id": "PROJECT_ID",
  "room_id": "ROOM_ID",
  "contact": {
    "id": "USER_ID",
    "name": "USER_NAME"
  },
  "conversation": {
    "id": "CONVERSATION_ID"
  },
  "bot": {
    "id": "BOT_ID",
    "name": "BOT_NAME"
  },
  "value": {
    "id": "MESSAGE_ID",
    "type": "image",
    "content": {
      "url": "https://storage.example.com/media/image.jpg",
      "mime_type": "image/jpeg"
    }
  }
}
END
{"field":"messages","object":"message_event","event_type":"message",
"timestamp":1776134352163,"project_id":"PROJECT_ID","room_id":"ROOM_ID",
"conversation_id":"CONVERSATION_ID","bot_id":"BOT_ID","bot_name":"BOT_NAME",
"user_id":"USER_ID","user_name":"USER_NAME",
"value":{"id":"MESSAGE_ID","type":"image","content":
{"url":"https://storage.example.com/media/image.jpg","mime_type":"image/jpeg"}}}
END


=== all types, with and without the optional members
--- cases eval
[
    taken(content('text', body => '""')),
    (map { taken(content($_, %media)) } qw(image video audio document)),
    (map { taken(content($_, %media, caption => '"A caption"')) }
         qw(image video)),
    taken(content('document', %media, filename => '"a.pdf"')),
    taken('/contact/name' => undef),
    taken('/bot/name' => undef),
    taken('/contact/name' => undef, '/bot/name' => undef),
    taken('/contact/name' => '""', '/bot/name' => '""'),
]


=== members in any order, with white space
--- cases eval
[
    map({ accepted($_, $event->(), 'accepted m-1') } shuffled($message->())),
    map({ accepted($_, $event->(content('image', %media)), 'accepted m-1') }
        shuffled($message->(content('image', %media)))),
]


=== unknown members at every level are left out
--- cases eval
[
    map({ accepted($message->("$_/other" => '{"id":"x","name":["y"]}'),
                   $event->(), 'accepted m-1') }
        '', @objects),
    accepted($message->(map { ("$_/user_id" => '"x"', "$_/room" => 1) }
                        '', @objects), $event->(), 'accepted m-1'),
    map({ accepted($message->("/value/content/$_" => '"x"'), $event->(),
                   'accepted m-1') } qw(url mime_type caption filename)),
    map({ accepted($message->('/event' => qq("$_")), $event->(),
                   'accepted m-1') } 'conversation.start', 'x', '\\ud800', ''),
]


=== members of other types are one string all the same
--- cases eval
[
    map({ my $at = $_; my $name = last_name($at);
          map({ wrong($at, $_, $string) } qw(1 null {} [])),
          wrong($at, twice($name, '"x"', '"x"'), $again),
          wrong($at, twice($name, '1', 'null'), $again) }
        '/event', map { "/value/content/$_" } qw(url mime_type caption
                                                 filename)),
]


=== jelou_strict on: they are refused
--- directives
    jelou_strict  on;
--- cases eval
[
    taken(),
    map({ invalid($message->("$_/other" => 1), [$_ => $other]) } '', @objects),
    invalid($message->('/user_id' => '"x"', '/contact/room_id' => 1),
            ['/contact' => $other, '' => $other]),
    map({ invalid($message->("/value/content/$_" => '"x"'),
                  ["/value/content/$_" => $foreign]) }
        qw(url mime_type caption filename)),
    map({ invalid($message->('/event' => qq("$_")), ['/event' => $foreign]) }
        'conversation.start', 'x', ''),

    # whatever the message type is

    invalid($message->('/value/type' => '"sticker"', '/value/content' => '{}',
                       '/event' => '"x"'),
            ['/value/type' => $types, '/event' => $foreign]),
    invalid($message->('/value/type' => undef, '/event' => '5'),
            ['/value/type' => $none, '/event' => $string]),

    # names that decoders may take for the schema's are members outside it

    map({ invalid($message->("/$_" => '"x"'), ['' => $other]) }
        qw(Project_id PROJECT_ID Timestamp Event)),
]


=== members that are missing
--- cases eval
[
    map({ wrong($_, undef, $none) } @fixed, @ids, '/timestamp', @objects),
    map({ invalid($message->($_ => '{}'), ["$_/id" => $none]) }
        qw(/contact /conversation /bot)),
    invalid($message->('/value' => '{}'),
            ['/value/id' => $none, '/value/type' => $none,
             '/value/content' => $none]),
    wrong('/value/type', undef, $none),
    wrong('/value/content/body', undef, $none),
    map({ my $type = $_; map({
            invalid($message->(content($type, %media, $_ => undef)),
                    ["/value/content/$_" => $none])
        } qw(url mime_type)) } qw(image video audio document)),
    invalid('{}', [map { ($_ => $none) }
                   @fixed, '/timestamp', '/project_id', '/room_id', '/contact',
                   '/conversation', '/bot', '/value']),
]


=== members of the wrong type
--- cases eval
[
    map({ my $at = $_; map({ wrong($at, $_, $string) }
            qw(1 -0.5e3 true null {} [] ["x"] {"id":"x"})) }
        @fixed, @ids, @names, qw(/value/type /value/content/body)),
    map({ my $at = $_; map({ wrong($at, $_, $object) }
            qw("u-1" 1 false null [] [{"id":"x"}])) } @objects),
    map({ wrong('/timestamp', $_, $number) }
        qw("1776134278574" "" true null {} [] [1776134278574])),
    map({ my $m = $_; map({
            invalid($message->(content('image', %media, $m => $_)),
                    ["/value/content/$m" => $string])
        } qw(1 null {} [])) } qw(url mime_type caption)),
    invalid($message->(content('document', %media, filename => 5)),
            ['/value/content/filename' => $string]),
]


=== identifiers: too short, too long, with control characters
--- cases eval
[
    map({
        my $at = $_;

        map({ wrong($at, qq("$_"), $id) }
            '', 'x' x 257, "\xc3\xa9" x 128 . 'x', '\\u00e9' x 128 . 'x',
            '\\ud83d\\ude00' x 64 . 'x', 'a\\u0000', '\\r\\nb', '\\u007f',
            '\\u001F', '\\u0080', "a\xc2\x85", '\\u009f', ' ', '\\u2003\\u00a0'),
        map({ wrong($at, qq("$_"), $lone) } '\\ud800', 'a\\udfffb'),
        map({ taken($at => qq("$_")) }
            'x', 'x' x 256, "\xc3\xa9" x 128, '\\u0061' x 256,
            '\\ud83d\\ude00' x 64, '\\"\\\\/', "\xc2\xa1 \xe2\x80\xa8"),
    } @ids)
]


=== values that are fixed
--- cases eval
[
    map({
        my $name = $_;
        map({ wrong("/$name", qq("$_"), qq(must be "$fixed{$name}")) }
            '', "$fixed{$name}s", uc $fixed{$name}, 'incoming_message',
            "$fixed{$name}\\u0000"),
        accepted($message->("/$name" => '"' . join('', map {
            sprintf '\\u%04x', ord } split //, $fixed{$name}) . '"'),
            $event->(), 'accepted m-1'),
    } sort keys %fixed),
    accepted($message->('/value/type' => '"\\u0074ext"'), $event->(),
             'accepted m-1'),
    wrong('/value/type', '"TEXT"', $types),
    wrong('/value/type', '"sticker"', $types),
    wrong('/value/type', '""', $types),
]


=== media
--- cases eval
[
    map({ invalid($message->(content('image', %media, url => qq("$_"))),
                  ['/value/content/url' => $https]) }
        '', 'http://a.example/b', 'https://', 'a.example', 'https://a b/'),
    map({ invalid($message->(content('video', %media, mime_type => qq("$_"))),
                  ['/value/content/mime_type' => $mime]) }
        '', 'video', 'video/', '/mp4', 'video/mp4 mp4'),
]


=== members that stand there twice
--- cases eval
[
    map({ my $at = $_; my $name = last_name($at); my $value =
          $at =~ /stamp/ ? 5 : $at =~ /content$/ ? '{"body":""}' : '"x"';
          wrong($at, twice($name, $value, $value), $again) }
        @fixed, @ids, @names, '/timestamp',
        qw(/value/type /value/content/body)),
    map({ wrong($_, twice(last_name($_), '{"id":"x"}', '{"id":"x"}'), $again) }
        @objects),
    map({ wrong($_, twice(last_name($_), '{"id":"x"}', 'null'), $again) }
        @objects),
    wrong('/contact/id', twice('\\u0069d', '"u-1"', '"u-1"'), $again),
    wrong('/timestamp', twice('time\\u0073tamp', 1, 1), $again),
    wrong('/bot/name', twice('name', '"a"', '1'), $again),
    wrong('/project_id', twice('project_id', '{}', '"p-1"'), $again),
]


=== several violations, all of them and up to 16
--- cases eval
[
    map({ wrong('/timestamp', $_, $secs) }
        qw(0 1 1776134278 99999999999)),
    map({ taken('/timestamp' => $_) } qw(100000000000 253402300799999)),
    map({ wrong('/timestamp', $_, $ms) }
        qw(1776134278574.0 -1 1e12 253402300800000)),
    invalid($message->('/timestamp' => -1, '/contact/id' => '""',
                       '/bot' => '[]', '/value/content/body' => 'null'),
            ['/timestamp' => $ms, '/contact/id' => $id, '/bot' => $object,
             '/value/content/body' => $string]),
    invalid($message->('/bot/name' => 1, '/contact/name' => 2,
                       map { ($_ => 0) } @fixed, @ids),
            [map({ ($_ => $string) } @fixed, @ids, @names)]),
]


=== text is not changed
--- cases eval
[
    map({ taken('/value/content/body' => qq("$_"), '/contact/name' => qq("$_"),
                '/bot/name' => qq("$_")) }
        "\xf0\x9f\x98\x80e\xcc\x81", '\\u0000\\n\\u000A\\/', '\\ud800x\\udc00',
        '  two  words  ', '\\"},{\\"x\\":\\"', 'x' x 100_000)
]


=== the request itself is checked as for any signed endpoint
--- cases eval
[
    refused($message->(), '405 METHOD_NOT_ALLOWED', method => 'PUT'),
    refused($message->(), '401 SIGNATURE_MISSING', signature => undef),
    refused($message->(), '401 SIGNATURE_MALFORMED', signature => 'sha256=0'),
    refused($message->(), '401 SIGNATURE_MISMATCH', secret => 'another'),
    refused('{}', '401 SIGNATURE_MISMATCH', secret => 'another'),
    refused($message->(), '415 UNSUPPORTED_MEDIA_TYPE', type => 'text/plain'),
    refused(event(), '422 INVALID_EVENT /event_type /timestamp /contact'
            . ' /conversation /bot', log => 'INVALID_EVENT: 5 violations, the'
            . ' first at "/event_type": must be \\"message\\"'),
    taken(),
]


=== jelou_event_type, jelou_field, jelou_object
--- directives
    jelou_event_type  note;
    jelou_field       notes;
    jelou_object      note_event;
--- cases eval
[
    taken('/event_type' => '"note"', '/field' => '"notes"',
          '/object' => '"note_event"'),
    invalid($message->(), ['/field' => 'must be "notes"',
                           '/object' => 'must be "note_event"',
                           '/event_type' => 'must be "note"']),
]


=== jelou_types
--- directives
    jelou_types  text document;
--- cases eval
[
    taken(),
    taken(content('document', %media)),
    map({ refused($message->(content($_, %media)), '422 TYPE_NOT_ALLOWED') }
        qw(image video audio)),
    invalid($message->(content('image', %media, url => undef)),
            ['/value/content/url' => $none]),
]


=== jelou_types: a type that the endpoint does not have
--- directives
    jelou_types  list;
--- must_die
--- error_log
[emerg]
"jelou_endpoint message" has no type "list"


=== an endpoint without a secret
--- config
    location = /webhook {
        jelou_endpoint  message;
        proxy_pass      http://app;
    }
--- must_die
--- error_log
[emerg]
"jelou_endpoint message" needs a "jelou_secret"


=== the content handler is missing: the module answers
--- config
    location = /webhook {
        jelou_endpoint  message;
        jelou_secret    "$TEST_NGINX_SECRET";
    }
--- cases eval
[accepted($message->(), undef, 'accepted m-1')]


=== the upstream fails
--- upstream_answer
503
--- cases eval
[{ %{ taken() }, reply => '500 UPSTREAM_FAILED' }]
--- log
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler while sending to client
