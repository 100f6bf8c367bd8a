# jelou_endpoint bot_message: a message to a user, from the bot that the path
# names: a text, or a list if it has options.

use strict;
use warnings;

use lib 't/lib';
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';
use Jelou::Cases (
    endpoint => 'bot_message',
    location => 'location /',
    path     => '/v1/bots/b-1/messages',
);

our $id      = 'must have 1 to 256 bytes, no control character, and not '
             . 'white space alone';
our $none    = 'is required';
our $string  = 'must be a string';
our $object  = 'must be an object';
our $array   = 'must be an array';
our $again   = 'must not be repeated';
our $lone    = 'must not have a lone surrogate';
our $ten     = 'must have 1 to 10 options';
our $title   = 'must have 1 to 24 characters';
our $long    = 'must have at most 72 characters';
our $path    = 'must be the one in the path';
our $other   = 'has 1 member outside the schema';
our $differ  = 'must differ from every other id';
our $foreign = 'is not a member of this message type';

our $made = 'accepted msg_*';

our @text = ('/type' => '"text"', '/text' => '"Hello"', '/userId' => '"u-1"');
our $text = template(@text);
our $list = template(@text, '/options/0/id' => '"o-1"',
                     '/options/0/title' => '"One"');


# event_of(CONTENT [, TYPE]): the event of a message by this bot

our $Bot = '"b-1"';

sub event_of {
    return '{"field":"messages","object":"message_event","event_type":'
           . qq("bot_message","bot_id":$Bot,"user_id":"u-1","value":{"id":)
           . '"msg_*","type":"' . ($_[1] // 'text')
           . qq(","content":{$_[0]}}});
}

our $button = '"button":{"type":"text","text":"Opciones"}';

our $hello = event_of('"body":"Hello"');

sub list_of {
    my $more = $_[1] // '';
    $more .= ($more ? ',' : '') . $button if $more !~ /"button":/;
    return event_of(qq("body":"Hello",$more,"options":[$_[0]]), 'list');
}

our $o_1    = '{"id":"o-1","title":"One"}';
our @o      = map { qq({"id":"o-$_","title":"No. $_"}) } 1 .. 1000;
our $listed = list_of($o_1);


# options(OPTION, ...): a list, and taken(OPTION, ...): as it is

sub options { return $list->('/options' => '[' . join(',', @_) . ']') }

sub taken {
    return accepted(options(@_), list_of(join ',', @_), $made);
}

sub wrong {
    my ($at, $value, $text) = @_;

    return invalid($list->($at => $value), [$at => $text]);
}

sub title_of { return qq({"id":"o-1","title":"$_[0]"}) }

sub description_of {
    return qq({"id":"o-1","title":"One","description":"$_[0]"});
}


# at(PATH, ID): the bot of that path, as JSON has it

sub at {
    local $Bot = qq("$_[1]");

    return accepted($text->(), event_of('"body":"Hello"'), $made,
                    path => $_[0]);
}

sub nowhere { return refused($text->(), '404 NOT_FOUND', path => $_[0]) }


# What is one character: bytes as they stand in the body

our @one = (
    'x', ' ', "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xcc\x81",
    "\xe2\x80\x8d", "\xf4\x8f\xbf\xbf", '\\u00e9', '\\u0000', '\\u20AC',
    '\\ud83d\\ude00', '\\uDBFF\\uDFFF', '\\ud83d', '\\ude00', '\\n', '\\"',
    '\\\\', '\\/', '\\u005c', '\\u0022',
);

# "same_id": the variable that the upstream got says what its event says, and
# the event what the answer says.

add_test_cleanup_handler(sub {
    my $block = shift;

    defined $block->same_id or return;

    my ($got)  = $Jelou::Upstream->requests(1);
    my ($head) = ($got->{head} // '') =~ /^X-Message: (\S+)\r?$/m;
    my ($body) = ($got->{body} // '') =~ /"value":\{"id":"(msg_\w+)"/;

    is($head // 'none', $body // 'no id', $block->name . ' - same id');
});

run_tests();

__DATA__

=== the list of the documentation
--- cases eval
[
    accepted(<<'END', <<'END' =~ s/\n//gr, $made,
{
    "type": "text",
    "text": "Por favor selecciona una opción",
    "userId": "USER_ID",
    "title": "Elige una opción",
    "buttonText": {
      "type": "text",
      "text": "Ver Opciones"
    },
    "options": [
      {
        "id": "option_1",
        "title": "Opción 1",
        "description": "Esta es la primera opción"
      },
      {
        "id": "option_2",
        "title": "Opción 2",
        "description": "Esta es la segunda opción"
      },
      {
        "id": "option_3",
        "title": "Opción 3",
        "description": "Esta es la tercera opción"
      }
    ]
  }
END
{"field":"messages","object":"message_event","event_type":"bot_message",
"bot_id":"BOT_ID","user_id":"USER_ID","value":{"id":"msg_*","type":"list",
"content":{"body":"Por favor selecciona una opción",
"title":"Elige una opción","button":{"type":"text","text":"Ver Opciones"},
"options":[
{"id":"option_1","title":"Opción 1","description":"Esta es la primera opción"},
{"id":"option_2","title":"Opción 2","description":"Esta es la segunda opción"},
{"id":"option_3","title":"Opción 3","description":"Esta es la tercera opción"}
]}}}
END
        path => '/v1/bots/BOT_ID/messages'),
]


=== the text of the documentation
--- cases eval
[
    accepted(<<'END', <<'END' =~ s/\n//gr, $made,
{
  "type": "text",
  "userId": "USER_ID",
  "text": "Hello, this is a text message",
  "botId": "BOT_ID"
}
END
{"field":"messages","object":"message_event","event_type":"bot_message",
"bot_id":"BOT_ID","user_id":"USER_ID","value":{"id":"msg_*","type":"text",
"content":{"body":"Hello, this is a text message"}}}
END
        path => '/v1/bots/BOT_ID/messages'),
]


=== a text
--- cases eval
[
    accepted($text->(), $hello, $made),
    map({ accepted($text->('/text' => qq("$_")), event_of(qq("body":"$_")),
                   $made) }
        '', "\xf0\x9f\x98\x80e\xcc\x81", '\\u0000\\n\\u000A\\/',
        '\\ud800x\\udc00', '  two  words  ', '\\"},{\\"x\\":\\"', 'x' x 5000),
]


=== the message's id is new each time
--- cases eval
[(accepted($text->(), $hello, $made)) x 200, (taken($o_1)) x 100]


=== without a content handler too
--- config
    location / {
        jelou_endpoint  bot_message;
    }
--- cases eval
[(accepted($text->(), undef, $made)) x 10]


=== title and buttonText
--- cases eval
[
    map({
        my ($body, $content) = @$_;
        accepted($list->(@$body), list_of($o_1, $content), $made)
    }
        [['/title' => '"T"'], '"title":"T"'],
        [['/title' => '""'], '"title":""'],
        [['/title' => '"' . 'x' x 300 . '"'], '"title":"' . 'x' x 300 . '"'],
        [['/buttonText' => '{}'],
         '"button":{"type":"text","text":"Opciones"}'],
        [['/buttonText' => '{"text":"Ver"}'],
         '"button":{"type":"text","text":"Ver"}'],
        [['/buttonText' => '{"type":"icon"}'],
         '"button":{"type":"icon","text":"Opciones"}'],
        [['/buttonText' => '{"text":"Ver","type":"icon"}'],
         '"button":{"type":"icon","text":"Ver"}'],
        [['/buttonText' => '{"text":"","type":"\\u0074"}'],
         '"button":{"type":"\\u0074","text":""}'],
        [['/buttonText' => '{"x":{"text":"y"}}'],
         '"button":{"type":"text","text":"Opciones"}'],
        [['/buttonText' => '{}', '/title' => '"T"'],
         '"title":"T","button":{"type":"text","text":"Opciones"}']),
]


=== without options: a title goes on, a button has no use
--- cases eval
[
    map({ accepted($text->('/title' => qq("$_")),
                   event_of(qq("body":"Hello","title":"$_")), $made) }
        'T', '', '\\u0054\\ud800', 'x' x 300),
    accepted($text->('/buttonText' => '{"text":"Ver"}', '/title' => '"T"'),
             event_of('"body":"Hello","title":"T"'), $made),
    map({ accepted($text->('/buttonText' => $_), $hello, $made) }
        '{}', '{"text":"Ver","type":"\\ud800"}', '{"x":[1]}'),
]


=== without options: they are well-formed all the same
--- cases eval
[
    map({ invalid($text->('/title' => $_), ['/title' => $string]) }
        qw(5 null [] {})),
    invalid($text->('/title' => twice('title', '"a"', '"b"')),
            ['/title' => $again]),
    map({ invalid($text->('/buttonText' => $_), ['/buttonText' => $object]) }
        qw("Ver" null [] 1)),
    invalid($text->('/buttonText' => twice('buttonText', '{}', '{}')),
            ['/buttonText' => $again]),
    invalid($text->('/buttonText' => '{"text":1,"text":2,"type":3}'),
            ['/buttonText/type' => $string, '/buttonText/text' => $again]),
]


=== with a type that is wrong, the rest is judged as well
--- cases eval
[
    map({
        my ($type, $says) = @$_;
        my $wrong = sub {
            invalid($text->('/type' => $type, @{ $_[0] }),
                    ['/type' => $says, @{ $_[1] }])
        };

        $wrong->(['/options' => '[]'], ['/options' => $ten]),
        invalid($text->('/type' => $type, '/options' => '[{"title":""}]'),
                ['/options/0/title' => $title, '/type' => $says]),
        $wrong->(['/title' => 5], ['/title' => $string]),
        $wrong->(['/title' => '"T"'], []),
        $wrong->(['/buttonText' => '[]'], ['/buttonText' => $object]),
        $wrong->(['/buttonText' => '{"text":5}'],
                 ['/buttonText/text' => $string]),
        $wrong->(['/buttonText' => '{"type":"x"}'], []),
        $wrong->(['/text' => undef], ['/text' => $none])
    } ['"list"', 'must be text'], ['5', $string], [undef, $none]),
]


=== jelou_strict on: a button without options is refused, as are unknown members
--- directives
    jelou_strict  on;
--- cases eval
[
    accepted($text->(), $hello, $made),
    accepted($list->('/title' => '"T"', '/buttonText' => '{}'),
             list_of($o_1, '"title":"T","button":{"type":"text","text":'
                           . '"Opciones"}'), $made),
    accepted($text->('/title' => '"T"'), event_of('"body":"Hello","title":"T"'),
             $made),
    invalid($text->('/buttonText' => '{}'), ['/buttonText' => $foreign]),
    invalid($text->('/title' => 5, '/buttonText' => '"x"'),
            ['/title' => $string, '/buttonText' => $object]),
    map({ my ($at) = $_; invalid($list->("$at/x" => 1), [$at => $other]) }
        '', '/buttonText', '/options/0'),
]


=== options: from 1 to 10
--- cases eval
[
    map({ my $n = $_; taken(map { qq({"id":"o-$_","title":"No. $_"}) } 1 .. $n)
        } 1 .. 10),
    map({ wrong('/options', $_, $ten) } '[]', '[ ]'),
    map({ wrong('/options', '[' . join(',', @o[0 .. $_ - 1]) . ']', $ten) }
        11, 12, 100, 257, 1000),

    # one too many, or more, are not looked at

    map({ invalid(options(@o[0 .. 9], $_), ['/options' => $ten]) }
        '{}', '[]', '1,2,3', $o[0]),
    invalid(options('{}', @o[1 .. 9], '{}'),
            ['/options/0/title' => $none, '/options' => $ten]),
]


=== an option's id is kept, or made
--- cases eval
[
    taken('{"id":"o-1","title":"One","description":"The first"}'),
    taken('{"id":"x","title":"A"}', '{"id":"X","title":"A"}'),
    taken('{"id":"\\u0061\\"","title":"A"}'),
    map({ accepted(options($_), list_of('{"id":"uuid_*",' . substr $_, 1),
                   $made) }
        '{"title":"A"}', '{"title":"A","description":""}'),
    accepted(options(('{"title":"A"}') x 10),
             list_of(join ',', ('{"id":"uuid_*","title":"A"}') x 10), $made),
    accepted(options('{"title":"A"}', '{"title":"B","id":"o-2"}',
                     '{"title":"C","description":"D"}'),
             list_of('{"id":"uuid_*","title":"A"},{"id":"o-2","title":"B"},'
                     . '{"id":"uuid_*","title":"C","description":"D"}'), $made),
    (accepted(options(('{"title":"A"}') x 10),
              list_of(join ',', ('{"id":"uuid_*","title":"A"}') x 10), $made))
        x 30,
]


=== title: 24 characters
--- cases eval
[
    map({
        my $c = $_;
        map({ taken(title_of($c x $_)) } 1, 23, 24),
        map({ wrong('/options/0/title', '"' . $c x $_ . '"', $title) } 25, 48)
    } @one),
    map({ taken(title_of($_)) }
        "e\xcc\x81" x 12, '\\ud83d\\ude00x' x 12, '\\ud83dx\\ude00' x 8,
        "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d" x 6,
        '\\ude00\\ud83d' x 23, '\\ud83d\\ud83d\\ude00' x 12,
        '\\ud83d\\n' x 12, "\\u00e9\xc3\xa9" x 12,
        '\\ud800\\udc00' x 24, '\\udbff\\udfff' x 24, '\\ud7ff\\udc00' x 12,
        '\\udc00\\udc00' x 12, '\\udbff\\udbff' x 12, '\\udbff\\ue000' x 12),
    map({ wrong('/options/0/title', qq("$_"), $title) }
        '', "e\xcc\x81" x 12 . 'e', '\\ud83d\\ude00' x 24 . 'x',
        '\\ude00\\ud83d' x 24, '\\ud83d\\ud83d\\ude00' x 12 . '\\n',
        "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d" x 6 . '!'),
    map({ invalid(options(@o[1 .. $_], title_of('x' x 25)),
                  ["/options/$_/title" => $title]) } 1, 7, 9),
]


=== description: 72 characters
--- cases eval
[
    taken(description_of('')),
    map({
        my $c = $_;
        map({ taken(description_of($c x $_)) } 1, 71, 72),
        map({ wrong('/options/0/description', '"' . $c x $_ . '"', $long) }
            73, 144)
    } @one),
    map({ taken(description_of($_)) }
        "e\xcc\x81" x 36, '\\ud83d\\ude00x' x 36),
    map({ wrong('/options/0/description', qq("$_"), $long) }
        "e\xcc\x81" x 36 . 'e', '\\ud83d\\ude00' x 72 . 'x'),
    invalid(options($o_1, description_of('x' x 73) =~ s/o-1/o-2/r,
                    title_of('') =~ s/o-1//r),
            ['/options/1/description' => $long, '/options/2/id' => $id,
             '/options/2/title' => $title]),
]


=== members in any order, with white space
--- cases eval
[
    map({ accepted($_, $hello, $made) } shuffled($text->())),
    map({ accepted($_, list_of('{"id":"a","title":"b","description":"c"}',
                               '"title":"T","button":{"type":"x","text":"y"}'),
                   $made) }
        shuffled($list->('/options/0' => '{"id":"a","title":"b",'
                         . '"description":"c"}', '/title' => '"T"',
                         '/buttonText' => '{"type":"x","text":"y"}'))),
    accepted('{"options":[' . $o_1 . '],"userId":"u-1","text":"Hello","type":'
             . '"text"}', $listed, $made),
]


=== unknown members are left out
--- cases eval
[
    map({ accepted($list->("$_/x" => '{"id":"x","title":[{"id":1}]}'),
                   $listed, $made) } '', '/options/0'),
    map({ accepted($text->("/$_" => '"x"'), $hello, $made) }
        qw(id bot_id messages content field event_type messageId)),
]


=== members that are missing
--- cases eval
[
    map({ wrong($_, undef, $none) }
        qw(/type /text /userId /options/0/title)),
    map({ invalid($text->($_ => undef), [$_ => $none]) }
        qw(/type /text /userId)),
    invalid('{}', ['/type' => $none, '/userId' => $none, '/text' => $none]),
    invalid(options($o_1, '{}'), ['/options/1/title' => $none]),
    invalid($text->('/type' => undef, '/options' => '[{}]'),
            ['/options/0/title' => $none, '/type' => $none]),
]


=== members of the wrong type
--- cases eval
[
    map({ my $at = $_; map({ wrong($at, $_, $string) }
            qw(1 true null {} [] ["x"] {"id":"x"})) }
        qw(/type /text /userId /title /buttonText/type /buttonText/text
           /botId /options/0/id /options/0/title /options/0/description)),
    map({ wrong('/buttonText', $_, $object) } qw(1 "x" true null [] [{}])),
    map({ wrong('/options', $_, $array) } qw(1 "x" true null {}), $o_1),
    map({ my $m = $_;
          invalid(options($m), ['/options/0' => $object]),
          invalid(options($o_1, $m, $o[1]), ['/options/1' => $object])
        } qw(1 "x" true null []), "[$o_1]"),
]


=== identifiers
--- cases eval
[
    map({
        my $at = $_;

        map({ wrong($at, qq("$_"), $id) }
            '', 'x' x 257, "\xc3\xa9" x 128 . 'x', '\\u00e9' x 128 . 'x',
            'a\\u0000', '\\r\\nb', '\\u007f', '\\u0085', "a\xc2\x9b", ' ',
            '\\u00a0'),
        wrong($at, '"\\ud800"', $lone)
    } qw(/userId /options/0/id)),
    map({ my $v = $_;
          accepted($list->('/userId' => qq("$v")), $listed =~ s/u-1/$v/r,
                   $made),
          accepted($list->('/options/0/id' => qq("$v")), $listed =~ s/o-1/$v/r,
                   $made)
        } 'x' x 256, "\xc3\xa9" x 128, '\\u0061' x 256, '\\"\\\\/', ' x '),
]


=== identifiers of options differ
--- cases eval
[
    invalid(options($o_1, $o_1), ['/options/1/id' => $differ]),
    invalid(options($o_1, '{"id":"\\u006f-\\u0031","title":"A"}', $o[1], $o_1),
            ['/options/1/id' => $differ, '/options/3/id' => $differ]),
    invalid(options(@o[0 .. 8], '{"id":"o-9","title":5}'),
            ['/options/9/title' => $string, '/options/9/id' => $differ]),
    invalid(options(($o_1) x 11),
            ['/options/1/id' => $differ, '/options' => $ten,
             map { ("/options/$_/id" => $differ) } 2 .. 9]),
    taken('{"id":"a","title":"A"}', '{"id":"A","title":"A"}',
          '{"id":"a ","title":"A"}', '{"id":"aa","title":"A"}'),
    invalid(options('{"id":"","title":"A"}', '{"id":"","title":"A"}'),
            ['/options/0/id' => $id, '/options/1/id' => $id]),
]


=== type
--- cases eval
[
    map({ wrong('/type', qq("$_"), 'must be text') }
        '', qw(list TEXT Text text\\u0000 image texts tex)),
    invalid($text->('/type' => '"list"'), ['/type' => 'must be text']),
    wrong('/type', '"\\ud800"', $lone),
    accepted($text->('/type' => '"\\u0074ext"'), $hello, $made),
    accepted($list->('/type' => '"\\u0074ext"'), $listed, $made),
]


=== members that stand there twice
--- cases eval
[
    wrong('/type', twice('type', '"text"', '"text"'), $again),
    wrong('/text', twice('text', '"a"', '"b"'), $again),
    wrong('/text', twice('te\\u0078t', '"a"', '5'), $again),
    wrong('/userId', twice('userId', '"u-1"', '"u-1"'), $again),
    wrong('/title', twice('title', '"a"', '"a"'), $again),
    wrong('/botId', twice('botId', '"b-1"', '"b-1"'), $again),
    wrong('/buttonText', twice('buttonText', '{}', '{}'), $again),
    wrong('/buttonText/text', twice('text', '"a"', '"a"'), $again),
    wrong('/buttonText/type', twice('type', '"a"', 'null'), $again),
    map({ wrong('/options', twice('options', "[$o_1]", $_), $again) }
        "[$o_1]", '[]', 'null', '[{}]'),
    wrong('/options/0/id', twice('id', '"a"', '"a"'), $again),
    map({ wrong('/options/0/title', twice('title', '"a"', $_), $again) }
        '"a"', '{}', '[]'),
    wrong('/options/0/description', twice('description', '"a"', '"a"'),
          $again),
    map({ wrong('/options/0/id', twice('id', $_, '"a"'), $again) }
        qw({} [] 1 null {"id":"x"})),
    map({ invalid(options(qq({"title":"A","id":$_})),
                  ['/options/0/id' => $string]) } qw({} {"id":"x"} [] 1)),
]


=== botId is the path's
--- cases eval
[
    accepted($text->('/botId' => '"b-1"'), $hello, $made),
    accepted($list->('/botId' => '"\\u0062-1"'), $listed, $made),
    map({ my ($in_path, $json, $event) = @$_;
          local $Bot = qq("$event");
          accepted($text->('/botId' => qq("$json")),
                   event_of('"body":"Hello"'), $made,
                   path => "/v1/bots/$in_path/messages") }
        ['b%2D1', 'b-1', 'b-1'], ['%22%5C', '\\"\\\\', '\\"\\\\'],
        ['%22', '\\u0022', '\\"'], ["\xc3\xb1", '\\u00f1', "\xc3\xb1"],
        ['%C3%B1', "\xc3\xb1", "\xc3\xb1"], ['%2561', '%61', '%61']),
    map({ wrong('/botId', qq("$_"), $path) }
        '', 'b-2', 'B-1', 'b-1 ', 'b-11', 'b-', 'b-1\\u0000', 'x' x 300),
    wrong('/botId', '"b-\\ud800"', $lone),
    invalid($text->('/botId' => '"b%2D1"'), ['/botId' => $path],
            path => '/v1/bots/b%2D1/messages'),
]


=== the path: what is a bot
--- cases eval
[
    map({ at($_, 'b-1') }
        '/v1/bots/b-1/messages', '/bots/b-1/messages',
        '/a/b/bots/b-1/messages', '/v1/bots/%62-1/%6dessages?x=y',
        '/v1/bots/x/../b-1/messages'),
    map({ at("/v1/bots/$_->[0]/messages", $_->[1]) }
        ['%22%5C', '\\"\\\\'], ['two%20words', 'two words'],
        ['%C3%B1', "\xc3\xb1"], ['x' x 256, 'x' x 256],
        ['%C3%B1' x 128, "\xc3\xb1" x 128], ['%252F', '%2F']),
]


=== the path: what is none
--- cases eval
[
    map({ nowhere($_) }
        '/', '/v1/bots/b-1', '/v1/bots/b-1/message', '/v1/bots//messages',
        '/v1/bots/b-1/messages/', '/v1/bots/b-1/xmessages', '/bots/messages',
        '/v1/xbots/b-1/messages', '/v1/rooms/b-1/message',
        '/v1/rooms/b-1/messages', '/v1/bots/a%2Fb/messages',
        '/v1/bots/' . 'x' x 257 . '/messages',
        '/v1/bots/' . '%C3%B1' x 128 . 'x/messages'),
    map({ nowhere("/v1/bots/$_/messages") }
        qw(%0A %0D%0A a%09b %01 %7F %FF %C3 %C0%AF %ED%A0%80)),
    refused('{', '404 NOT_FOUND', path => '/x', method => 'PUT'),
    refused('{}', '405 METHOD_NOT_ALLOWED', method => 'PUT'),
    refused('{}', '415 UNSUPPORTED_MEDIA_TYPE', type => 'text/plain'),
]


=== jelou_types: plain texts only, though a list is sent as a text, too
--- directives
    jelou_types  text;
--- cases eval
[accepted($text->(), $hello, $made), refused(options($o_1), '422 TYPE_NOT_ALLOWED')]


=== jelou_types: lists only
--- directives
    jelou_types  list;
--- cases eval
[
    taken($o_1),
    refused($text->(), '422 TYPE_NOT_ALLOWED'),
    refused($text->('/title' => '"T"'), '422 TYPE_NOT_ALLOWED'),
    invalid($text->('/userId' => undef), ['/userId' => $none]),
]


=== jelou_types: both
--- directives
    jelou_types  list text;
--- cases eval
[taken($o_1), accepted($text->(), $hello, $made)]


=== jelou_types: a type that the endpoint does not have
--- directives
    jelou_types  image;
--- must_die
--- error_log
[emerg]
"jelou_endpoint bot_message" has no type "image"


=== jelou_field, jelou_object, jelou_event_type are the event's
--- directives
    jelou_field       notes;
    jelou_object      note_event;
    jelou_event_type  note;
--- cases eval
[
    accepted($text->(), $hello =~ s/"messages"/"notes"/r
             =~ s/message_event/note_event/r =~ s/bot_message/note/r, $made),
]


=== variables
--- directives
    proxy_set_header  X-Type          $jelou_event_type;
    proxy_set_header  X-Bot           $jelou_bot_id;
    proxy_set_header  X-User          $jelou_user_id;
    proxy_set_header  X-Message-Type  $jelou_message_type;
    proxy_set_header  X-Room          $jelou_room_id;
    proxy_set_header  X-Project       $jelou_project_id;
    proxy_set_header  X-Timestamp     $jelou_timestamp;
--- cases eval
[
    do {
        local $Bot = '"a \\"b\\""';
        accepted($list->('/userId' => '"\\u0075\\"1"'),
                 list_of($o_1) =~ s/u-1/\\u0075\\"1/r, $made,
                 path => '/v1/bots/a%20%22b%22/messages');
    },
]
--- upstream_headers
X-Type: bot_message
X-Bot: a "b"
X-User: u"1
X-Message-Type: list
! X-Room
! X-Project
! X-Timestamp


=== variables: the message's id is the one of the answer and of the event
--- config
    location / {
        jelou_endpoint    bot_message;
        proxy_set_header  X-Message  $jelou_message_id;
        proxy_pass        http://app;
    }
--- same_id
--- raw_request eval
post($text->(), signature => undef, path => '/v1/bots/b-1/messages')
--- reply
accepted msg_*
--- upstream eval
$hello
--- no_error_log
jelou


=== the upstream fails
--- upstream_answer
503
--- raw_request eval
post($text->(), signature => undef, path => '/v1/bots/b-1/messages')
--- reply
500 UPSTREAM_FAILED
--- upstream_head_like eval
qr{^POST /v1/bots/b-1/messages HTTP}
--- log
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler while sending to client
