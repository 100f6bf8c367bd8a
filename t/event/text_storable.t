# jelou_text storable: a text with U+0000 or with a lone surrogate, which many
# databases do not take, is a violation.

use strict;
use warnings;

use lib 't/lib';
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';
use Jelou::Cases (
    endpoint => 'incoming_message',
    location => 'location = /webhook',
    path     => '/webhook',
    secret   => 1,
);

our $not  = 'must not have U+0000 or a lone surrogate';
our $none = "$not anywhere";

our @bad = (
    '\\u0000', 'a\\u0000b', '\\ud800', 'x\\uDFFF', '\\ude00\\ud83d',
    '\\ud83d\\ud83d\\ude00', '\\ud83d\\u0041', '\\n\\ud83d\\n\\ude00',
    '\\\\\\u0000', '\\ud83d\\\\ude00', '.' x 70_000 . '\\u0000',
);

our @good = (
    'Hello', '\\u0001', '\\\\u0000', '\\ud83d\\ude00', '\\uD83D\\uDE00\\n',
    "\xf0\x9f\x98\x80", '\\\\ud800', '\\u00300', '\\uffff',
    '\\\\\\\\u0000', '\\"\\/',
);

sub body { return event(content => qq({"body":"$_[0]"})) }

our $room = '{"senderId":"s","messages":[{"id":"00000001-0000-4000-8000-'
          . '000000000001","type":"TEXT","text":"%s"}]}';
our $turn = '{"event":"conversation.start","timestamp":1776134278574,'
          . '"project_id":"p-1",%s}';

sub turn_event {
    return '{"field":"messages","object":"message_event","event_type":'
           . '"conversation.start","timestamp":1776134278574,"project_id":'
           . '"p-1","data":' . sprintf($turn, $_[0]) . '}';
}

run_tests();

__DATA__

=== any is the default
--- cases eval
[map { accepted(body($_), body($_), 'accepted m-1') } @bad, @good]


=== any
--- directives
    jelou_text  any;
--- cases eval
[map { accepted(body($_), body($_), 'accepted m-1') } @bad]


=== storable
--- directives
    jelou_text  storable;
--- cases eval
[
    map({ invalid(body($_), ['/value/content/body' => $not]) } @bad),
    map({ accepted(body($_), body($_), 'accepted m-1') } @good),
]


=== storable: what is left out is not looked at, what is forwarded is
--- directives
    jelou_text  storable;
--- cases eval
[
    map({ accepted($_, event(), 'accepted m-1') }
        event() =~ s/\{/{"x":"\\u0000","\\ud800":1,/r,
        event(content => '{"body":"Hello","caption":"\\ud800"}')),
    invalid(event(user_id => '"\\u0000"'), ['/user_id' => $not]),
    invalid(event(type => '"image"', content => '{"url":"https://h/\\udc00",'
                  . '"mime_type":"a/b","caption":"\\u0000"}'),
            ['/value/content/url' => $not, '/value/content/caption' => $not]),
]


=== storable: of a conversation event the whole body is forwarded
--- config
location = /webhook {
    jelou_endpoint  message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_text      storable;
    proxy_pass      http://app;
}
--- cases eval
[
    map({ invalid(sprintf($turn, $_), ['' => $none]) }
        '"x":"\\u0000"', '"\\ud800":1', '"x":[{"y":"a\\udc00"}]'),
    map({ accepted(sprintf($turn, $_), turn_event($_), 'accepted') }
        '"x":"\\\\u0000"', '"\\ud83d\\ude00":1', '"x":"\\ud83d\\ude00"'),
]


=== storable, raw: of a message as well
--- directives
    jelou_text    storable;
    jelou_format  raw;
--- cases eval
[
    invalid(event() =~ s/\{/{"x":"\\u0000",/r, ['' => $none]),
    accepted(body('\\ud83d\\ude00'), body('\\ud83d\\ude00'), 'accepted m-1'),
]


=== storable: messages of a room, each
--- config
location / {
    jelou_endpoint  room_message;
    jelou_text      storable;
    proxy_pass      http://app;
}
--- cases eval
[
    map({ invalid(sprintf($room, $_), ['/messages/0/text' => $not],
                  path => '/rooms/r/message', signature => undef) }
        '\\u0000', '\\ud800')
]


=== inherited, and replaced
--- http_config
    jelou_text  storable;
--- config
    location = /webhook {
        jelou_endpoint  incoming_message;
        jelou_secret    "$TEST_NGINX_SECRET";
        proxy_pass      http://app;
    }

    location = /any {
        jelou_endpoint  incoming_message;
        jelou_secret    "$TEST_NGINX_SECRET";
        jelou_text      any;
        proxy_pass      http://app;
    }
--- cases eval
[
    invalid(body('\\u0000'), ['/value/content/body' => $not]),
    accepted(body('\\u0000'), body('\\u0000'), 'accepted m-1', path => '/any'),
]


=== neither
--- directives
    jelou_text  postgres;
--- must_die
--- error_log
[emerg]
invalid value "postgres" in "jelou_text" directive


=== a duplicate
--- directives
    jelou_text  any;
    jelou_text  any;
--- must_die
--- error_log
[emerg]
"jelou_text" directive is duplicate
