# What an incoming message must have: each violation is named by its pointer,
# in the answer all of them and in the log the first, and never by its value.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.0001 }

use JSON::PP ();
use Jelou 'no_plan';

our $id     = 'must have 1 to 256 bytes, no control character, and not '
            . 'white space alone';
our $string = 'must be a string';
our $object = 'must be an object';
our $https  = 'must be an https URL';
our $mime   = 'must be a media type, type/subtype';
our $types  = 'must be one of text, image, video, audio, document';
our $twice  = 'must not be repeated';
our $lone   = 'must not have a lone surrogate';
our $none   = 'is required';

our %fixed = (
    field      => 'messages',
    object     => 'message_event',
    event_type => 'incoming_message',
);

our @ids   = qw(project_id room_id bot_id user_id id);
our @media = qw(image video audio document);

# Every member of the schema, and a message that has it

our %example = (
    (map { $_ => { $_ => qq("$fixed{$_}") } } keys %fixed),
    (map { $_ => { $_ => '"telltale"' } } @ids),
    type      => { type => '"text"' },
    body      => { body => '"telltale"' },
    url       => { type => '"audio"', url => '"https://telltale.example/1"',
                   mime_type => '"audio/telltale"' },
    caption   => { type => '"image"', url => '"https://telltale.example/2"',
                   mime_type => '"image/telltale"', caption => '"telltale"' },
    filename  => { type => '"document"', filename => '"telltale"',
                   url => '"https://telltale.example/3"',
                   mime_type => '"application/telltale"' },
    value     => {},
    content   => {},
);

$example{mime_type} = $example{url};

our @members = sort keys %example;


# message(MEMBER => VALUE, ...): as event(), with the members of content, too

sub message {
    my %m = (body => undef, url => undef, mime_type => undef,
             caption => undef, filename => undef, @_);

    my @content = grep { defined $m{$_} }
                  qw(body url mime_type caption filename);

    $m{content} = '{' . join(',', map { qq("$_":$m{$_}) } @content) . '}'
        if @content && !exists $m{content};

    return event(%m);
}


# at(MEMBER): its pointer

sub at {
    my $name = shift;

    return $name =~ /^(?:id|type|content)$/ ? "/value/$name"
         : $name =~ /^(?:body|url|mime_type|caption|filename)$/
           ? "/value/content/$name" : "/$name";
}


# has(MEMBER, VALUE): a message in which this member has this value, JSON, or
# is not there

sub has {
    my ($name, $value) = @_;

    return message(%{ $example{$name} }, $name => $value);
}


# value(MEMBER): one that is valid in has()

sub value {
    my $name = shift;

    return $example{$name}{$name}
        // ($name eq 'content' ? '{"body":"telltale"}'
            : '{"id":"m-1","type":"text","content":{"body":"telltale"}}');
}


# Sections of a block, whose requests are all on one connection:
#
# invalid   [BODY, POINTER => TEXT, ...]: bodies and all their violations, the
#           log's first
# valid     bodies that are accepted: a string that arrives as it is, or [BODY,
#           EVENT]

check_accum_error_log();

add_block_preprocessor(sub {
    my $block = shift;

    my @valid   = map { ref ? $_ : [$_, $_] } @{ $block->valid // [] };
    my @invalid = @{ $block->invalid // [] };
    my @bodies  = map { $_->[0] } @valid, @invalid;
    my ($reply, $log) = ('', '');

    for (@valid) {
        $_->[1] =~ /"value":\{"id":"(.*?)"[,}]/;
        $reply .= "accepted $1\n";
    }

    for (@invalid) {
        my (undef, $first, $text, %more) = @$_;

        my $n = 1 + keys %more;
        my $s = $n == 1 ? '' : 's';

        $reply .= join(' ', '422 INVALID_EVENT', $first, keys %more) . "\n";
        $log .= "jelou refused a request: INVALID_EVENT: $n violation$s, the "
              . "first at \"$first\": " . $text =~ s/"/\\"/gr . "\n";
    }

    my %section = (
        requests => [map {
            post($bodies[$_], keepalive => $_ < $#bodies)
        } 0 .. $#bodies],

        reply              => $reply,
        upstream           => [map { $_->[1] } @valid],
        grep_error_log     => qr/jelou.*?(?=, client)/,
        grep_error_log_out => $log,
        no_error_log       => qr/\[(?!info\])\w+\].*jelou|telltale/,
    );

    $block->set_value($_ => $section{$_}) for keys %section;
});


# The texts of the violations, and nothing of the body

add_response_body_check(sub {
    my ($block, $body, $i) = @_;

    my $case = ($block->invalid // [])->[$i] or return;
    my (undef, %want) = @$case;
    my $json = eval { JSON::PP->new->decode($body) } // {};
    my $name = $block->name . " - violations $i";

    is_deeply($json->{validationError}, \%want, $name)
        or diag("the body: $case->[0]");
    unlike($body, qr/telltale/i, "$name, no values");
});

run_tests();

__DATA__

=== members that are required
--- invalid eval
[
    map { [has($_, undef), at($_) => $none] }
    grep { !/^(?:body|url|caption|filename)$/ } @members
]


=== a member of content that the type requires
--- invalid eval
my %media = (url => '"https://telltale.example"', mime_type => '"a/telltale"');
[
    [message(type => '"text"', caption => '"telltale"'),
     '/value/content/body' => $none],
    [event(content => '{}'), '/value/content/body' => $none],

    map {
        my $type = "\"$_\"";

        [message(type => $type, %media, url => undef),
         '/value/content/url' => $none],
        [message(type => $type, %media, mime_type => undef),
         '/value/content/mime_type' => $none],
        [message(type => $type, body => '"telltale"'),
         '/value/content/url' => $none, '/value/content/mime_type' => $none],
        [message(type => $type, caption => '"telltale"',
                 filename => '"telltale"'),
         '/value/content/url' => $none, '/value/content/mime_type' => $none],

    } @media
]


=== all types, with what each requires and with what it may have
--- valid eval
my %media = (url => '"https://telltale.example"', mime_type => '"a/telltale"');
[
    message(type => '"text"', body => '"telltale"'),
    (map { message(type => "\"$_\"", %media) } @media),
    message(type => '"image"', %media, caption => '"telltale"'),
    message(type => '"video"', %media, caption => '"telltale"'),
    message(type => '"document"', %media, filename => '"telltale"'),
]


=== members of other types are left out, whatever they are
--- valid eval
my %media = (url => '"https://telltale.example"', mime_type => '"a/telltale"');
my %event = (
    text     => message(type => '"text"', body => '"telltale"'),
    image    => message(type => '"image"', %media, caption => '"telltale"'),
    video    => message(type => '"video"', %media, caption => '"telltale"'),
    audio    => message(type => '"audio"', %media),
    document => message(type => '"document"', %media, filename => '"telltale"'),
);
my %other = (
    text     => [qw(url mime_type caption filename)],
    image    => [qw(body filename)],
    video    => [qw(body filename)],
    audio    => [qw(body caption filename)],
    document => [qw(body caption)],
);
[
    map {
        my $event = $event{$_};
        my $other = $other{$_};

        map {
            my $value = $_;
            my $more = join ',', map { "\"$_\":$value" } @$other;

            [$event =~ s/"content":\{/$&$more,/r, $event],
            [$event =~ s/(?=\}\}\}$)/,$more/r, $event],

        } '"x"', '"http://telltale"', '"\ud800"', '""', '"a/b"'
    } keys %event
]


=== members of other types are one string all the same
--- invalid eval
my %media = (url => '"https://telltale.example"', mime_type => '"a/telltale"');
my %other = (
    text     => [qw(url mime_type caption filename)],
    image    => [qw(body filename)],
    video    => [qw(body filename)],
    audio    => [qw(body caption filename)],
    document => [qw(body caption)],
);
[
    map {
        my $type = $_;
        my %has = $type eq 'text' ? (body => '"telltale"') : %media;

        map {
            my $name = $_;

            map({ [message(type => "\"$type\"", %has, $name => $_),
                   at($name) => $string] }
                '12', 'null', '[]', '{"url":1}'),
            map({ [message(type => "\"$type\"", %has, $name => $_),
                   at($name) => $twice] }
                "\"telltale\",\"$name\":\"telltale\"", "1,\"$name\":null"),
        } @{ $other{$type} }
    } sort keys %other
]


=== strings of another JSON type
--- invalid eval
[
    map {
        my $name = $_;
        map { [has($name, $_), at($name) => $string] }
        '0', '-12.5e3', 'true', 'false', 'null', '[]', '["telltale"]', '{}',
        '{"id":"telltale"}', '[[{"telltale":null}]]';
    } grep { !/^(?:value|content)$/ } @members
]


=== objects of another JSON type
--- invalid eval
[
    map {
        my $name = $_;
        map { [has($name, $_), at($name) => $object] }
        '""', '"telltale"', '"{}"', '0', '1e5',
        'true', 'false', 'null', '[]', '[{"id":"telltale"}]', '[[]]';
    } qw(value content)
]


=== value is no object: that is all there is to say
--- invalid eval
[
    [event(value => '["telltale"]', bot_id => '""', user_id => undef),
     '/bot_id' => $id, '/user_id' => $none, '/value' => $object],
    [event(value => '{"id":1},"value":{"type":1}', field => 'null'),
     '/field' => $string, '/value' => $twice],
]


=== objects that are empty
--- invalid eval
[
    ['{}', map { at($_) => $none }
           qw(field object event_type project_id room_id bot_id user_id value)],
    [event(value => '{}'), map { at($_) => $none } qw(id type content)],
    [event(type => undef, content => '{}'), '/value/type' => $none],
]


=== the fixed values
--- invalid eval
[
    map {
        my $name = $_;
        map { [has($name, $_), at($name) => "must be \"$fixed{$name}\""] }
        '""', '"telltale"', "\"\u$fixed{$name}\"", "\" $fixed{$name}\"",
        "\"$fixed{$name} \"", "\"$fixed{$name}\\u0000\"", "\"$fixed{$name}s\"",
        '"' . substr($fixed{$name}, 0, -1) . '"', '"\u0000"',
        "\"$fixed{$name}$fixed{$name}\"", '"' . 'telltale' x 10_000 . '"',
    } sort keys %fixed
]


=== the fixed values and the type, in escapes
--- valid eval
[
    [event(field => '"\u006dess\u0061ges"', object => '"message\u005Fevent"',
           event_type => '"\u0069\u006e\u0063oming_messag\u0065"'), event()],
    [event(type => '"te\u0078\u0074"'), event()],
]


=== identifiers: empty
--- invalid eval
[map { [has($_, '""'), at($_) => $id] } @ids]


=== identifiers: 1 and 256 bytes, decoded
--- valid eval
[
    map {
        my $name = $_;
        map { has($name, "\"$_\"") }
        'x', 'a b', '\"', '\u00e9', 'x' x 256, '\u0078' x 256, '\"' x 256,
        '\/' x 256, '\\\\' x 256, "\xc3\xa9" x 128, '\u00e9' x 128,
        "\xf0\x9f\x98\x80" x 64, '\ud83d\ude00' x 64, "\xe2\x82\xac" x 85 . 'x',
        'xx' . '\u20ac\uffff' x 42 . '\u07ff',
    } @ids
]


=== identifiers: 257 bytes and more, decoded
--- invalid eval
[
    map {
        my $name = $_;
        map { [has($name, "\"$_\""), at($name) => $id] }
        'telltale' x 32 . 'x', '\u0078' x 257, '\"' x 257, '\\\\' x 257,
        "\xc3\xa9" x 128 . 'x', '\u00e9' x 128 . 'x', '\u00e9' x 129,
        "\xf0\x9f\x98\x80" x 64 . 'x', '\ud83d\ude00' x 64 . 'x',
        "\xe2\x82\xac" x 86, '\u20ac' x 86, 'telltale' x 20_000,
    } @ids
]


=== identifiers: control characters
--- invalid eval
[
    map {
        my $name = $_;
        map { [has($name, "\"telltale$_\""), at($name) => $id] }
        (map { sprintf '\u%04x', $_ } 0 .. 0x1f, 0x7f),
        '\u001F', '\u007F', '\b', '\f', '\n', '\r', '\t', '\r\nX-Header: 1',
        "\x7f", "\\u00e9\x7f", 'x\u0000x', "\xc2\x80", '\u0080', '\u0085',
        "\xc2\x9b", '\u009f', "\xc2\x9f",
    } @ids
]


=== identifiers: white space alone
--- invalid eval
[
    map {
        my $name = $_;
        map { [has($name, "\"$_\""), at($name) => $id] }
        ' ', '  ', '\u0020', "\xc2\xa0", '\u1680', '\u2003', "\xe2\x80\xa8",
        '\u2029', '\u202f', '\u205f', "\xe3\x80\x80 ", ' \u3000\u00a0',
    } @ids
]


=== identifiers: anything else
--- valid eval
[
    map {
        my $name = $_;
        map { has($name, "\"$_\"") }
        "\xc2\xa1", '\u00a0x', "x\xe2\x80\xa8", 'x  x', '\ufeff', '\u200b',
        '\uffff',
        "e\xcc\x81", 'a/b?c=d&e#f%00', '<>;,', '../..', '$host', '%s%n', '0',
        'null', '{\"id\":1}', '\u0022', '\ud83d\uDE00', '\udbff\udfff',
    } @ids
]


=== identifiers and other strings that must be decoded: lone surrogates
--- invalid eval
[
    map {
        my $name = $_;
        map { [has($name, "\"telltale$_\""), at($name) => $lone] }
        '\ud800', '\udbff', '\udc00', '\udfff', '\ud83dx', 'x\ude00',
        '\ude00\ud83d', '\ud83d\ud83d\ude00', '\ud83d\u0041', '\uD83D\n',
        '\ud83d\\\\ude00', '\ud83d\ude00\ude00', '\ud83d\ue000', '\ud83d\udbff',
    } @ids, qw(field object event_type type url mime_type)
]


=== type: any other value
--- invalid eval
[
    map { [event(type => "\"$_\"", content => '{"telltale":1}'),
           '/value/type' => $types] }
    '', 'telltale', 'Text', 'TEXT', 'text ', ' text', 'texts', 'tex', 'sticker',
    'location', 'list', 'text\u0000', '\u0000', 'text,image', 'te\u0078\u0058',
    'images', 'telltale' x 10_000
]


=== type: what no type would have is seen with a wrong one, too
--- invalid eval
[
    (map {
        my $content = $_;
        map { [event(content => $content, type => $_->[0]),
               '/value/type' => $_->[1]] }
        ['"telltale"', $types], ['1', $string], [undef, $none],
        ['"text","type":"text"', $twice];

    } '{}', '{"body":"telltale"}', '{"caption":"telltale","filename":""}',
      '{"url":"https://telltale.example","mime_type":"a/telltale"}'),

    (map {
        my ($type, $text) = @$_;

        [event(content => '{"body":1}', type => $type),
         '/value/type' => $text, '/value/content/body' => $string],
        [event(content => '{"url":"telltale","mime_type":1}', type => $type),
         '/value/type' => $text, '/value/content/url' => $https,
         '/value/content/mime_type' => $string],
        [event(content => '{"mime_type":"telltale","filename":[]}',
               type => $type),
         '/value/type' => $text, '/value/content/mime_type' => $mime,
         '/value/content/filename' => $string],
        [event(content => '{"url":1,"url":1,"caption":null}', type => $type),
         '/value/type' => $text, '/value/content/url' => $twice,
         '/value/content/caption' => $string],

    } ['"telltale"', $types], ['1', $string], [undef, $none],
      ['"text","type":"text"', $twice]),

    [event(content => '[]', type => '"telltale"', id => '1'),
     '/value/id' => $string, '/value/type' => $types,
     '/value/content' => $object],
]


=== url: https and a host
--- valid eval
[
    map { has(url => "\"$_\"") }
    'https://h', 'https://telltale.example', 'https://telltale.example/',
    'https://telltale.example:8443/a/b.png?c=d&e=f#g', 'HTTPS://H.EXAMPLE/',
    'hTtPs://h', 'https://127.0.0.1/', 'https://[::1]/',
    'https://[2001:db8::1]', 'https://[::1]:8443/a', 'https://user@host/',
    'https://user:pass@host/',
    'https://user@host:443/', 'https://:@host', 'https://host:/', 'https://h?a',
    'https://h:0', 'https://h:65535/', 'https://h:00443/', 'https://@h/',
    'https://%41b/', 'https://a%2db.example', 'https://a_b~c.example',
    'https://u:p%20w:x@h/', "https://!\$&'()*+,;=/", 'https://999.1.1.1/',
    'https://[::]/', 'https://[1:2:3:4:5:6:7:8]', 'https://[::ffff:192.0.2.1]:1',
    'https://[1::8]', 'https://[1:2:3:4:5:6:7::]/', 'https://[v1.a:b]/',
    'https://[VF.~]', 'https://u@[::1]:1/', 'https://h/[', 'https://h/a\\\\b',
    'https://h#a', 'https://h/a@b:c', 'https://h/?u=http://other',
    'https:\/\/h\/a', '\u0068ttps://h', 'https\u003a\u002f\u002fh/',
    'https://h/%20%0a', 'https://h/\"\\\\',
    'https://h/\u00e9', "https://h/\xe6\x96\x87.png", 'https://h/\ud83d\ude00',
    "https://h/\xf0\x9f\x98\x80", 'https://xn--mnchen-3ya.example',
    'https://h/' . 'telltale' x 20_000, "https://h/\xe1\x9a\x81",
    "https://h/\xc2\xa1", "https://h/\xe2\x80\x90",
]


=== url: another scheme or none
--- invalid eval
[
    map { [has(url => "\"$_\""), at('url') => $https] }
    '', 'http://telltale.example/', 'HTTP://h/', 'ftp://telltale.example/1',
    'file:///etc/passwd', 'data:image/png;base64,AAAA', 'javascript:alert(1)',
    'ws://h', 'httpss://h', 'https:s//h', 'xhttps://h', 'http', 'https',
    'https:', 'https:/', 'https:h', 'https:/h', 'https:/h.example', 'https//h',
    '//h/a', '/a', 'a',
    '://h', 'https;//h', 'https:\\\\\\\\h', 'https:\\\\/h', '\u0000https://h',
    'http\u0073\u003a/h', 'http:\/\/telltale.example', 'https\u0000://h',
    'blob:https://h/1', 'view-source:https://h',
]


=== url: no host
--- invalid eval
[
    map { [has(url => "\"$_\""), at('url') => $https] }
    'https://', 'https:///', 'https:///telltale', 'https://:443',
    'https://:443/telltale', 'https://?telltale', 'https://#telltale',
    'https://@', 'https://@/', 'https://telltale@', 'https://telltale@/',
    'https://telltale:telltale@/a', 'https://telltale@:443/', 'https://@?a',
    'https://@#a', 'https://:', 'https:\/\/\/a', 'https:\/\/', 'HTTPS://',
]


=== url: a host or a port that RFC 3986 does not have
--- invalid eval
[
    map { [has(url => "\"$_\""), at('url') => $https] }
    map {; "https://$_", "https://$_/telltale", "https://$_?a", "https://$_#a" }
    '[]', '[::1', '::1', '[::1]x', '[::1]:x', '[1::2::3]', '[:1:2:3:4:5:6:7:8]',
    '[1:2:3:4:5:6:7:8:9]', '[1:2:3:4:5:6:7]', '[::12345]', '[::g]', '[::1%25eth0]',
    '[127.0.0.1]', '[::256.0.0.1]', '[::1.2.3]', '[ ::1]', '[v.a]', '[v1.]',
    '[vg.a]', '[v1a]', '[v1.a@b]', '[' . '0' x 60 . ']', '[[::1]]', ']', 'a[b]',
    'a:b:c', 'h:x', 'h:99999', 'h:65536', 'h:-1', 'h:+1', 'h: 1', 'h:1a',
    'h:184467440737095516160', '%zz', '%', '%4', 'a%4g', 'h%', 'a\\\\b', 'a|b',
    'a^b', 'a`b', 'a<b>', 'a\"b', '{h}', 'a@b@c', 'a@b:x', '[u]@h', 'u\\\\@h',
    '%zz@h', 'evil.example\\\\@h', "m\xc3\xbcnchen.example", "\xe2\x98\x83",
    'caf\u00e9.example', "u\xc3\xa9\@h",
    '[::1\u0000]', '[::1\u0000telltale]', '[\u0000]', 'h\u0000', 'h:1\u0000',
    'u\u0000@h',
]


=== url: what cannot be seen
--- invalid eval
[
    map { [has(url => "\"$_\""), at('url') => $https] }
    map {; "${_}https://telltale.example/a", "https://tell${_}tale.example/a",
          "https://telltale.example/a${_}", "https://telltale.example/?${_}a",
          "https${_}://telltale.example" }
    (map { sprintf '\u%04x', $_ }
         0x61c, 0x180e, 0x200b .. 0x200f, 0x202a .. 0x202e, 0x2060 .. 0x206f,
         0xfeff),
    "\xe2\x80\x8b", "\xe2\x80\xae", "\xe2\x81\xa6", "\xef\xbb\xbf",
]


=== url: white space and control characters
--- invalid eval
[
    map { [has(url => "\"$_\""), at('url') => $https] }
    map {; "${_}https://telltale.example/a", "https://tell${_}tale.example/a",
          "https://telltale.example/a${_}", "https${_}://telltale.example",
          "https://${_}" }
    ' ', '\u0020', '\t', '\n', '\r', '\b', '\f', "\x7f", '\u0000', '\u0001',
    '\u001f', '\u007f', '\u0080', '\u0085', '\u009f', '\u00a0', "\xc2\x85",
    "\xc2\xa0",
    (map { sprintf '\u%04x', $_ } 0x1680, 0x2000 .. 0x200a, 0x2028, 0x2029,
                                  0x202f, 0x205f, 0x3000),
    "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x8a", "\xe2\x80\xa8",
    "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
]


=== mime_type: a type and a subtype of token characters
--- valid eval
[
    map { has(mime_type => "\"$_\"") }
    'image/png', 'IMAGE/PNG', 'a/b', '0/1', 'image\/png', '\u0069mage/png',
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'image/svg+xml', '*/*', "!#\$%&'*+-.^_`|~/!#\$%&'*+-.^_`|~",
    'x' x 10_000 . '/y',
]


=== mime_type: parameters
--- valid eval
[
    map { has(mime_type => "\"$_\"") }
    'image/png; q=1', 'image/png;q=1', 'image/png ; q=1', 'image/png;q=1;r=2',
    'image/png; q=1 ;\tr=2', 'image/png\t;\tq=1', 'image/png;', 'image/png; ',
    'image/png;;q=1', 'image/png;q=1;', 'audio/ogg; codecs=\"opus\"',
    'video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"', 'a/b;c=\"\"',
    'a/b;c=\"d;e=f/g\"', 'a/b;c=\"\\\\\"\"', 'a/b;c=\"\\\\\\\\\"',
    'a/b;c=\"\td\"', "a/b;c=\\\"\xc3\xa9\\\"", 'a/b;c=\"\u00e9\"',
    'a/b; c=\"d\"; e=f; g=\"h\"', "a/b;!#\$%&'*+-.^_`|~=!#\$%&'*+-.^_`|~",
]


=== mime_type: no type, no subtype
--- invalid eval
[
    map { [has(mime_type => "\"$_\""), at('mime_type') => $mime] }
    '', 'telltale', 'telltale/', '/telltale', '/', '//', 'image//png',
    'image/png/telltale', 'image/png/', '; q=1', 'image; q=1', 'image/; q=1',
    '/png; q=1', 'image;q=a/b', 'image:png', 'image(png', 'image=png', 'image;png',
    'image?png', 'image\\\\png', 'image@png',
]


=== mime_type: characters that are none of a token
--- invalid eval
[
    map { [has(mime_type => "\"image$_/png\""), at('mime_type') => $mime],
          [has(mime_type => "\"image/${_}png\""), at('mime_type') => $mime],
          [has(mime_type => "\"${_}image/png\""), at('mime_type') => $mime],
          [has(mime_type => "\"image/png$_\""), at('mime_type') => $mime],
          [has(mime_type => "\"image/png;q=1$_\""), at('mime_type') => $mime] }
    '(', ')', '<', '>', '@', ',', ':', '\\\\', '\"', '[', ']', '?', '=', '{',
    '}', '\n', '\r', '\b', '\f', '\u0000', '\u001f', '\u007f', "\x7f", '\u0080',
    "\xc3\xa9", '\u00e9', "\xe2\x80\x83", '\ud83d\ude00',
]


=== mime_type: white space
--- invalid eval
[
    map { [has(mime_type => "\"$_\""), at('mime_type') => $mime] }
    ' image/png', 'image /png', 'image/ png', 'image / png', 'im age/png',
    '\timage/png', 'image\t/png', ' ', 'image/png q=1', 'image/png,image/gif',
    'image/png, image/gif', 'image/png image/gif', 'image/png\r\n',
    'image/png;\u00a0q=1', 'image/png\u000b',
]


=== mime_type: parameters that are none
--- invalid eval
[
    map { [has(mime_type => "\"image/png;$_\""), at('mime_type') => $mime] }
    'q', 'q=', '=1', '=', 'q =1', 'q= 1', 'q=1 r=2', 'q=1,r=2', 'q;r=1', 'q=;',
    'q=1;r', '\"q\"=1', 'q=\"', 'q=\"1', 'q=\"1\\\\', 'q=\"1\\\\\"', 'q=\"1\"2',
    'q=\"1\"r=2', 'q=\"\u0000\"', 'q=\"\n\"', 'q=\"\\\\\n\"', 'q=\"\u007f\"',
    "q=\\\"\x7f\\\"", 'q=1\"', "q='1 2'", 'q=(1)', 'q==1', 'q=1=2', 'q/r=1',
    'q:1', 'q/1', 'q(1', 'q?1', 'q,1', 'q@1', 'q\\\\1',
]


=== doubled members, of the same and of another value
--- invalid eval
[
    map {
        my $name = $_;
        map { [has($name, $_), at($name) => $twice] }
        map {
            my $value = $_;
            map {; "$value,\"$name\":$_", "$_,\"$name\":$value",
                  "$value,\"x\":{\"$name\":1},\"$name\":$_" }
            $value, '"telltale"', '""', '1', 'null', '[[]]', '{"telltale":1}'
        } value($name);
    } @members
]


=== doubled members, far apart, and more than twice
--- invalid eval
[
    map {
        my ($name, $value) = ($_, value($_));
        my $member = "\"$name\":$value";

        ["{$member," . substr(has($name, $value), 1), at($name) => $twice],
        [has($name, join ",\"$name\":", ($value) x 3), at($name) => $twice],
        [has($name, join ",\"$name\":", ($value) x 500), at($name) => $twice];

    } grep { at($_) =~ m{^/\w+$} } @members
]


=== doubled members: the same name in escapes
--- invalid eval
[
    map {
        my ($name, $value) = ($_, value($_));

        map { [has($name, "$value,\"$_\":$value"), at($name) => $twice],
              [has($name, "$value,\"$_\":1") =~ s/"$name"/"$_"/r,
               at($name) => $twice] }
        $name =~ s/^./sprintf '\u%04x', ord $&/er,
        $name =~ s/.$/sprintf '\u%04X', ord $&/er,
        $name =~ s/./sprintf '\u%04x', ord $&/egr;

    } @members
]


=== a member whose name is in escapes
--- valid eval
[
    map {
        my $body = has($_, value($_));
        my $name = $_ =~ s/./sprintf '\u%04x', ord $&/egr;
        [$body =~ s/"$_":/"$name":/r, $body];
    } @members
]


=== doubled members that are none of the schema's
--- valid eval
[
    map { [$_, event()] }
    '{"x":1,"x":1,"x":2,' . substr(event(), 1),
    '{"id":1,"body":2,"type":3,"id":1,"body":2,"type":3,' . substr(event(), 1),
    event(id => '"m-1","field":1,"field":2'),
    event(content => '{"id":1,"body":"Hello","id":2,"value":1,"value":2}'),
]


=== names that are others
--- valid eval
[
    map {
        my ($name, $value) = ($_, value($_));
        my $body = has($name, $value);

        map { [has($name, "$value,\"$_\":1"), $body],
              [has($name, $value) =~ s/"$name":/"$_":1,$&/r, $body] }
        "$name\\u0000", "$name\\u0000x", "\\u0000$name", "$name ", " $name",
        "\u$name", uc $name, "${name}s", substr($name, 0, -1), "$name\\n",
        "\\ud800$name", "$name\\udc00", "\xef\xbb\xbf$name", '',

    } @members
]


=== names that are others do not stand for what is required
--- invalid eval
[
    map {
        my $name = $_;
        my $body = has($name, value($name));

        map { [$body =~ s/"$name":/"$_":/r, at($name) => $none] }
        "$name\\u0000", "$name\\u0000x", "\u$name", "${name}s", '',
        substr($name, 0, -1) . '\u0000';

    } grep { !/^(?:caption|filename)$/ } @members
]


=== a member in the wrong object
--- invalid eval
[
    [event(user_id => undef, id => '"m-1","user_id":"telltale"'),
     '/user_id' => $none],
    ['{"id":"telltale",' . substr(event(id => undef), 1), '/value/id' => $none],
    [event(content => undef, id => '"m-1","body":"telltale"'),
     '/value/content' => $none],
    ['{"value":' . event() . '}',
     map({ at($_) => $none } qw(field object event_type project_id room_id
                                bot_id user_id)),
     map({ at($_) => $none } qw(id type content))],
    [event(content => '{"x":{"body":"telltale"}}'),
     '/value/content/body' => $none],
]


=== all violations at once
--- invalid eval
[
    [event(field => '"telltale"', object => '1', event_type => undef,
           project_id => '""', room_id => '"telltale\n"', bot_id => 'null',
           user_id => '"\ud800"', id => '[]', type => '"telltale"',
           content => 'true'),
     '/field' => 'must be "messages"', '/object' => $string,
     '/event_type' => $none, '/project_id' => $id, '/room_id' => $id,
     '/bot_id' => $string, '/user_id' => $lone, '/value/id' => $string,
     '/value/type' => $types, '/value/content' => $object],

    [event(field => '"messages","field":"messages"', room_id => undef,
           id => '""', type => '"image"',
           content => '{"caption":1,"mime_type":"telltale","body":2}'),
     '/field' => $twice, '/room_id' => $none, '/value/id' => $id,
     '/value/content/body' => $string,
     '/value/content/url' => $none, '/value/content/mime_type' => $mime,
     '/value/content/caption' => $string],

    ['{"value":{"content":{"filename":null,"url":"http://telltale",'
     . '"mime_type":7},"type":"document"},"user_id":"","bot_id":{}}',
     map({ at($_) => $none } qw(field object event_type project_id room_id)),
     '/bot_id' => $string, '/user_id' => $id, '/value/id' => $none,
     '/value/content/url' => $https, '/value/content/mime_type' => $string,
     '/value/content/filename' => $string],
]


=== the first violation is that of the schema's order, not of the body's
--- invalid eval
[
    [event(room_id => undef) =~ s/^\{(.*)("value":.*)\}/{$2,$1"user_id":1}/r,
     '/room_id' => $none, '/user_id' => $twice],
    ['{"value":{"content":{"body":1},"type":"text","id":1},"user_id":1,'
     . '"bot_id":1,"room_id":1,"project_id":1,"event_type":1,"object":1,'
     . '"field":1}',
     map { at($_) => $string } qw(field object event_type project_id room_id
                                  bot_id user_id id body)],
]
