# jelou_endpoint message: conversation.start, conversation.close and their like,
# which come to the same URL, and of which only three members are known.

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
our $again  = 'must not be repeated';
our $ms     = 'must be an integer, milliseconds since 1970-01-01T00:00:00Z';
our $secs   = 'must be milliseconds since 1970-01-01T00:00:00Z: seconds?';
our $names  = 'must be conversation. and 1 to 64 of A-Z a-z 0-9 . _ -';
our $known  = 'must be one of conversation.start, conversation.close';
our $varied = 'has a member whose name differs only in case from the schema\'s';

our $turn = template(
    '/event'      => '"conversation.start"',
    '/timestamp'  => 1776134278574,
    '/project_id' => '"p-1"',
);

our @message = qw(/field /object /event_type /room_id /contact /conversation
                  /bot /value);


# event_of(DATA, POINTER => VALUE, ...): what becomes of it; DATA is compact

sub event_of {
    my ($data, %m) = (shift, event => '"conversation.start"',
                      timestamp => 1776134278574, project_id => '"p-1"', @_);

    return '{"field":"messages","object":"message_event",'
           . qq("event_type":$m{event},"timestamp":$m{timestamp},)
           . qq("project_id":$m{project_id},"data":$data});
}


# taken(POINTER => VALUE, ...): this event is accepted, compact as it is

sub taken {
    my $data = $turn->(@_);

    return accepted($data, event_of($data, map { s{^/}{}r } @_), 'accepted');
}


# with(MEMBERS): one with more members, which stand in the event as they came

sub with {
    my $data = $turn->() =~ s/}\z/,$_[0]}/r;

    return accepted($data, event_of($data), 'accepted');
}

sub wrong {
    my ($at, $value, $text) = @_;

    return invalid($turn->($at => $value), [$at => $text]);
}

sub at_age { return ('/timestamp' => (time - $_[0]) * 1000) }

# What a message has, in forms that a message must not have

our @foreign = (
    '"contact":{"id":5}', '"contact":{"id":"a\\r\\nb","name":{}}',
    '"contact":"x"', '"contact":null,"contact":1', '"bot":[1,2]',
    '"conversation":{"id":"c-1","id":"c-2"}', '"room_id":{"a":1}',
    '"room_id":""', '"value":{"id":1,"type":"x","content":[]}',
    '"value":"https://a.example/"', '"field":1', '"object":[]',
    '"field":"other","object":"other"', '"room_id":"\\ud800"',
);

run_tests();

__DATA__

=== both events
--- cases eval
[
    taken(),
    taken('/event' => '"conversation.close"'),
    taken('/event' => '"conversation.close"', '/timestamp' => 100000000000,
          '/project_id' => '"' . 'p' x 256 . '"'),
    taken('/event' => '"conversation\\u002estart"'),
]


=== and what Jelou may add one day
--- cases eval
[
    map({ taken('/event' => qq("conversation.$_")) }
        qw(updated a start.again START x_y-z.0 ...), 'x' x 64, '\\u0041')
]


=== jelou_conversation_events known: these two, and no others
--- directives
    jelou_conversation_events  known;
--- cases eval
[
    taken(),
    taken('/event' => '"conversation.close"'),
    taken('/event' => '"conversation\\u002eclose"'),
    map({ wrong('/event', qq("conversation.$_"), $known) }
        qw(updated starts star START start\\u0000), '', 'x' x 65),
    invalid($turn->('/event' => '"order.paid"'),
            [map({ ($_ => $none) } @message), '/event' => $known]),
]


=== white space goes, but not that of strings
--- cases eval
[
    accepted(<<'END', event_of('{"event":"conversation.start","timestamp":'
{
    "event" : "conversation.start" ,
    "timestamp"	:	1776134278574,
    "project_id":
        "p-1",
    "reason": "  two  words  ",
    "  a name " : [ ],
    "tags" : [ "a b" , { } , [ 1 , 2 ] , true , null ] ,
    "quoted": "\" , \\" , "x" : "\\\\ \\\" } ] "
}

END
        . '1776134278574,"project_id":"p-1","reason":"  two  words  ",'
        . '"  a name ":[],"tags":["a b",{},[1,2],true,null],'
        . '"quoted":"\\" , \\\\","x":"\\\\\\\\ \\\\\\" } ] "}'), 'accepted'),
    accepted("\r\n\t " . $turn->() . " \t\r\n", event_of($turn->()),
             'accepted'),
    map({ accepted($_, event_of($turn->()), 'accepted') }
        $turn->() =~ s/([:,{}])/ $1\n/gr, $turn->() =~ s/([:,{}])/\r$1\t/gr),
]


=== data is unchanged
--- cases eval
[
    map({ with($_) }
        '"a":"\\u00e9\\u00E9\\/\\b\\f\\n\\r\\t"', "\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"",
        '"\\u0061":"\\ud800","\\u0000":"\\u0000"', '"a":"\\ud83d\\ude00"',
        '"n":[0,-0,1.0,1e400,-1.5E-07,123456789012345678901234567890]',
        '"a":{"b":{"c":[{"d":[[]]}]}},"":""', '"a":1,"a":2,"a":"3"',
        '"event_types":"x","data":{"event":"conversation.close"}',
        '"x":' . '[' x 31 . ']' x 31),
]


=== members in any order
--- cases eval
[
    map({ accepted($_, event_of($_), 'accepted') }
        '{"project_id":"p-1","timestamp":1776134278574,'
        . '"event":"conversation.start"}',
        '{"z":1,"timestamp":1776134278574,"y":2,"event":"conversation.start",'
        . '"x":3,"project_id":"p-1","w":4}'),
]


=== the other members are not known here: none is wrong
--- cases eval
[map { with($_) } @foreign]


=== nor are they with jelou_strict
--- directives
    jelou_strict  on;
--- cases eval
[
    taken(),
    map({ with($_) } @foreign, '"a":1', '"a":1,"a":2',
        join(',', map { qq("a$_":$_) } 1 .. 40)),
    invalid($turn->('/timestamp' => undef, '/x' => 1),
            ['/timestamp' => $none]),
]


=== but with jelou_strict no name may be taken for a member that was checked
--- directives
    jelou_strict  on;
--- cases eval
[
    map({ invalid($turn->("/$_" => '"x"'), ['' => $varied]) }
        qw(Project_ID PROJECT_ID project_iD Event EVENT Timestamp
           \\u0050roject_id Pro\\u006aect_id), "time\xc5\xbftamp",
        'time\\u017Ftamp', "TIME\xc5\xbfTAMP"),
    invalid($turn->('/Event' => 1, '/Project_id' => 2, '/project_id' => 5),
            ['' => $varied, '/project_id' => $string]),
    map({ with(qq("$_":1)) }
        qw(Room_ID project-id project_id_ Project Events event\\u0000
           pro\\ud800ect_id Data), 'Event ', "ev\xc3\xa9nt", ''),
    with('"x":{"Event":1}'),
    with('"contact":{"Event":1,"id":"u-1"}'),
]


=== without jelou_strict they are data
--- cases eval
[map { with(qq("$_":1)) } qw(Project_ID EVENT)]


=== a large one, from a temporary file
--- directives
    client_body_buffer_size  1k;
--- cases eval
[
    accepted($turn->() =~ s/}\z/ , "x" : [ "@{['y ' x 50_000]}" ] }/r,
             event_of($turn->() =~ s/}\z/,"x":["@{['y ' x 50_000]}"]}/r),
             'accepted'),
]


=== missing, of the wrong type, empty, too long
--- cases eval
[
    wrong('/timestamp', undef, $none),
    wrong('/project_id', undef, $none),
    invalid($turn->('/timestamp' => undef, '/project_id' => undef),
            ['/timestamp' => $none, '/project_id' => $none]),
    map({ invalid($turn->('/event' => $_),
                  [map({ ($_ => $none) } @message), '/event' => $string]) }
        qw(1 null true {} [])),
    map({ wrong('/project_id', $_, $string) } qw(1 null true {} [])),
    map({ wrong('/timestamp', $_, 'must be a number') }
        qw("1776134278574" null true {} [])),
    map({ wrong('/timestamp', $_, $ms) }
        qw(-1 1.0 1e12 253402300800000 99999999999999999999)),
    map({ wrong('/timestamp', $_, $secs) } qw(0 1776134278 99999999999)),
    map({ wrong('/project_id', qq("$_"), $id) }
        '', 'x' x 257, 'a\\nb', '\\u0000', '\\u0085', ' '),
    wrong('/project_id', '"\\udc00"', 'must not have a lone surrogate'),
]


=== members that stand there twice
--- cases eval
[
    wrong('/event', twice('event', ('"conversation.start"') x 2), $again),
    wrong('/event', twice('event', '"conversation.start"',
                          '"conversation.close"'), $again),
    wrong('/event', twice('\\u0065vent', '"conversation.x"', '5'), $again),
    invalid($turn->('/event' => twice('event', '"x"', '"conversation.close"')),
            [map({ ($_ => $none) } @message), '/event' => $again]),
    wrong('/timestamp', twice('timestamp', 1776134278574, 1776134278574),
          $again),
    wrong('/project_id', twice('project_id', '"p-1"', '"p-2"'), $again),
]


=== other events
--- cases eval
[
    map({ wrong('/event', qq("conversation.$_"), $names) }
        '', ' ', 'a b', 'start ', 'start\\u0000', 'x' x 65, "\xc3\xa9", 'a/b',
        '\\n', 'a:b', '%41'),

    # what is not called so is to be a message

    map({ invalid($turn->('/event' => qq("$_")),
                  [map({ ($_ => $none) } @message), '/event' => $names]) }
        '', 'message', 'conversation', 'Conversation.start',
        'conversation-start', ' conversation.start', 'event', 'order.paid',
        'x' x 300),
    map({ invalid($turn->('/event' => qq("$_")),
                  [map({ ($_ => $none) } @message),
                   '/event' => 'must not have a lone surrogate']) }
        '\\ud800', 'conversation.\\ud800'),
]


=== a message without event_type, with an unknown event: both are said
--- cases eval
[
    invalid('{"field":"messages","object":"message_event","timestamp":'
            . '1776134278574,"project_id":"p-1","room_id":"r-1","contact":'
            . '{"id":"u"},"conversation":{"id":"c"},"bot":{"id":"b"},"value":'
            . '{"id":"m","type":"text","content":{"body":"t"}},"event":"x"}',
            ['/event_type' => $none, '/event' => $names]),
]


=== with an event_type it is a message
--- cases eval
[
    invalid($turn->('/event_type' => '"conversation.start"'),
            [map({ ($_ => $_ eq '/event_type' ? 'must be "message"' : $none) }
                 @message)]),
    invalid($turn->('/event_type' => '"message"'),
            [map({ ($_ => $none) } grep { !/event_type/ } @message)]),
    invalid($turn->('/event_type' => 'null', '/event' => 5),
            [map({ ($_ => /event_type/ ? $string : $none) } @message),
             '/event' => $string]),
]


=== with neither as well
--- cases eval
[
    invalid($turn->('/event' => undef), [map({ ($_ => $none) } @message)]),
]


=== jelou_conversation_events off
--- directives
    jelou_conversation_events  off;
--- cases eval
[
    map({ invalid($turn->('/event' => $_), [map({ ($_ => $none) } @message)]) }
        '"conversation.start"', '"conversation.close"', '"other"'),
    invalid($turn->('/event' => 5), [map({ ($_ => $none) } @message),
                                     '/event' => $string]),
]


=== jelou_conversation_events off, jelou_strict on
--- directives
    jelou_conversation_events  off;
    jelou_strict               on;
--- cases eval
[
    invalid($turn->('/x' => 1), ['' => 'has 1 member outside the schema',
                                 map({ ($_ => $none) } @message),
                                 '/event' => 'is not a member of this message '
                                             . 'type']),
]


=== jelou_conversation_events: inherited and replaced
--- http_config
    jelou_conversation_events  off;
    jelou_secret               "$TEST_NGINX_SECRET";
--- config
    location = /off { jelou_endpoint message; proxy_pass http://app; }

    location = /on {
        jelou_endpoint             message;
        jelou_conversation_events  on;
        proxy_pass                 http://app;
    }
--- cases eval
[
    { %{ taken() }, options => { path => '/on' } },
    invalid($turn->(), [map({ ($_ => $none) } @message)], path => '/off'),
]


=== jelou_conversation_events: neither on nor off
--- directives
    jelou_conversation_events  start;
--- must_die
--- error_log
[emerg]
invalid value "start" in "jelou_conversation_events" directive


=== jelou_conversation_events: a duplicate
--- directives
    jelou_conversation_events  on;
    jelou_conversation_events  on;
--- must_die
--- error_log
[emerg]
"jelou_conversation_events" directive is duplicate


=== incoming_message does not have them
--- config
    location = /webhook {
        jelou_endpoint             incoming_message;
        jelou_conversation_events  on;
        jelou_secret               "$TEST_NGINX_SECRET";
        proxy_pass                 http://app;
    }
--- cases eval
[
    invalid($turn->(), [map({ ($_ => $none) }
        qw(/field /object /event_type /room_id /bot_id /user_id /value))]),
]


=== jelou_field and jelou_object are the event's
--- directives
    jelou_field       notes;
    jelou_object      note_event;
    jelou_event_type  note;
--- cases eval
[
    accepted($turn->(), event_of($turn->()) =~ s/"messages"/"notes"/r
             =~ s/message_event/note_event/r, 'accepted'),
]


=== jelou_types is about messages
--- directives
    jelou_types  image;
--- cases eval
[taken(), taken('/event' => '"conversation.close"')]


=== jelou_timestamp_tolerance
--- directives
    jelou_timestamp_tolerance  1h;
--- cases eval
[
    taken(at_age(0)), taken(at_age(3500)), taken(at_age(-3500)),
    map({ refused($turn->(@$_), '422 STALE_EVENT') }
        [at_age(3601)], [at_age(-3900)], ['/timestamp' => 100000000000],
        ['/event' => '"conversation.close"', at_age(86400)]),
    invalid($turn->(at_age(7200), '/project_id' => undef),
            ['/project_id' => $none]),
]


=== they are signed as a message is
--- cases eval
[
    refused($turn->(), '401 SIGNATURE_MISSING', signature => undef),
    refused($turn->(), '401 SIGNATURE_MISMATCH', secret => 'another'),
    refused($turn->() . '}', '400 INVALID_JSON', log =>
            join ' ', 'INVALID_JSON: not JSON at byte',
            1 + length $turn->(), 'of', 1 + length $turn->()),
    taken(),
]


=== variables
--- directives
    proxy_set_header  X-Type       $jelou_event_type;
    proxy_set_header  X-Project    $jelou_project_id;
    proxy_set_header  X-Timestamp  $jelou_timestamp;
    proxy_set_header  X-Event      $jelou_event;
    proxy_set_header  X-Result     $jelou_result;
--- cases eval
[taken('/event' => '"conversation.close"')]
--- upstream_headers eval
"X-Type: conversation.close
X-Project: p-1
X-Timestamp: 1776134278574
X-Result: accepted
X-Event: " . taken('/event' => '"conversation.close"')->{event} . "\n"


=== variables: what is not known to be valid has no value
--- directives
    proxy_set_header  X-Room          $jelou_room_id;
    proxy_set_header  X-Bot           $jelou_bot_id;
    proxy_set_header  X-User          $jelou_user_id;
    proxy_set_header  X-Message       $jelou_message_id;
    proxy_set_header  X-Message-Type  $jelou_message_type;
--- cases eval
[
    taken(),
    with('"room_id":"r\\r\\nX-Evil: 1","contact":{"id":"u\\r\\nX-Evil: 1"},'
         . '"bot":{"id":"b\\r\\nX-Evil: 1"},"value":{"id":"m\\r\\nX-Evil: 1",'
         . '"type":"t\\r\\nX-Evil: 1"}'),
    map({ with($_) } @foreign),
]
--- upstream_headers
! X-Room
! X-Bot
! X-User
! X-Message
! X-Message-Type
! X-Evil


=== variables: nor does one from a temporary file
--- directives
    client_body_buffer_size  1k;
    proxy_set_header  X-Room  $jelou_room_id;
    proxy_set_header  X-User  $jelou_user_id;
--- cases eval
[with('"room_id":"r-1","contact":{"id":"u-1"},"x":"' . 'x' x 100_000 . '"')]
--- upstream_headers
! X-Room
! X-User


=== the upstream rejects one
--- upstream_answer
404
--- cases eval
[{ %{ taken() }, reply => '404 UPSTREAM_REJECTED' }]
--- log
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler while sending to client
