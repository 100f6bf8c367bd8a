# jelou_strict: members outside the schema are violations, each with a pointer
# that is right whatever the sender's name for it is.  The log has no such name.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.0001 }

use JSON::PP ();
use Jelou 'no_plan';

our $unknown = 'is not a member of the schema';
our $foreign = 'is not a member of this message type';


# The objects of a message, and it with more members in one of them

our %with = (
    ''               => sub { event() =~ s/^\{/{$_[0],/r },
    '/value'         => sub { event(id => "\"m-1\",$_[0]") },
    '/value/content' => sub { event(content => "{\"body\":\"Hello\",$_[0]}") },
);

our @objects = sort keys %with;


# media(TYPE, MEMBERS)

sub media {
    my ($type, $members) = @_;

    return event(type => qq("$type"), content => '{"url":"https://media.test/1"'
                 . ",\"mime_type\":\"a/b\"$members}");
}


# Sections of a block, whose requests are all on one connection, to the "path"
# if there is one:
#
# invalid   [BODY, POINTER => TEXT, ...]: bodies and all their violations in
#           order, as they stand in the answer
# valid     bodies that are accepted: a string that arrives as it is, or [BODY,
#           EVENT]
#
# Without "config" and "directives" it is on.

check_accum_error_log();

add_block_preprocessor(sub {
    my $block = shift;

    my @valid   = map { ref ? $_ : [$_, $_] } @{ $block->valid // [] };
    my @invalid = @{ $block->invalid // [] };
    my @bodies  = map { $_->[0] } @valid, @invalid;
    my $path    = ($block->path // $Jelou::Path) =~ s/\s//gr;
    my ($reply, $log) = ("accepted m-1\n" x @valid, '');

    $block->set_value(directives => 'jelou_strict  on;')
        unless defined $block->directives || defined $block->config;

    for (@invalid) {
        my (undef, $at, $text, @more) = @$_;

        my $n = 1 + @more / 2;
        my $s = $n == 1 ? '' : 's';
        my @pointers = @$_[grep { $_ % 2 } 1 .. $#$_];

        # Names that must be decoded are looked at below.

        $reply .= join(' ', 422, grep({ /[\\\s]/ } @pointers)
                                 ? () : ('INVALID_EVENT', @pointers)) . "\n";

        $at =~ s{/[^/]*$}{} if $text eq $unknown;
        $log .= "jelou refused a request: INVALID_EVENT: $n violation$s, the "
              . "first at \"$at\": $text\n";
    }

    my %section = (
        requests => [map {
            post($bodies[$_], path => $path, keepalive => $_ < $#bodies)
        } 0 .. $#bodies],

        reply              => $reply,
        upstream           => [map { $_->[1] } @valid],
        grep_error_log     => qr/jelou.*?(?=, client)/,
        grep_error_log_out => $log,
        no_error_log       => qr/\[(?!info\])\w+\].*jelou|telltale/,
    );

    $block->set_value($_ => $section{$_}) for keys %section;
});


# The violations as they stand there, and that they are JSON that points at what
# was sent.  JSON::PP takes no lone surrogates: they are an x for it.

add_response_body_check(sub {
    my ($block, $body, $i) = @_;

    my $case = ($block->invalid // [])->[$i] or return;
    my ($sent, @want) = @$case;
    my $name = $block->name . " - violations $i";
    my $all = '';

    while (my ($pointer, $text) = splice @want, 0, 2) {
        $all .= ',' x ($all ne '') . "\"$pointer\":\"$text\"";
    }

    my ($head, $got) = $body =~ /^(.*),"validationError":(\{.*\})\}$/s;

    is($got, "{$all}", $name) or diag("the body: $sent");
    like($head, qr/"key":"INVALID_EVENT"/, "$name, key");

    my $low = qr/\\ud[c-f]../i;

    s/\\\\(*SKIP)(*FAIL)|\\ud[89ab]..$low(*SKIP)(*FAIL)|\\ud[89ab]..|$low/x/gi
        for $sent, $body;

    my $json  = eval { JSON::PP->new->utf8->decode($body) } // {};
    my $value = eval { JSON::PP->new->utf8->decode($sent) } // {};

    my $errors = $json->{validationError} // {};
    my @lost = grep { $errors->{$_} =~ /is not a member/
                      && !points($_, $value) } keys %$errors;

    is("@lost", '', "$name, all point at members");
    isnt(scalar keys %$errors, 0, "$name, is JSON");
});


# points(POINTER, VALUE): whether there is something, by RFC 6901

sub points {
    my ($pointer, $value) = @_;

    for (map { s/~1/\//gr =~ s/~0/~/gr } $pointer =~ /\/([^\/]*)/g) {
        return 0 unless ref $value eq 'HASH' && exists $value->{$_};
        $value = $value->{$_};
    }

    return $pointer =~ /^\//;
}


# location(PATH, DIRECTIVES)

sub location {
    my ($path, @directives) = @_;

    return <<"END";
location $path {
    jelou_endpoint  incoming_message;
    jelou_secret    \$TEST_NGINX_SECRET;
    proxy_pass      http://app;
    @directives
}
END
}

our @on_and_off = ([$with{''}('"telltale":1'), '/telltale' => $unknown],
                   [$with{'/value'}('"telltale":1'),
                    '/value/telltale' => $unknown]);

our @any = map { [$with{$_}('"telltale":1'), event()] } @objects;

run_tests();

__DATA__

=== nothing but the schema
--- valid eval
[
    event(),
    [event() =~ s/^\{(.*?),(.*)\}/{$2,$1}/r, event()],
    [event() =~ s/([:,{])/ $1 /gr, event()],
    media('image', ''), media('image', ',"caption":"c"'), media('video', ''),
    media('video', ',"caption":"c"'), media('audio', ''),
    media('document', ''), media('document', ',"filename":"f"'),
    [event() =~ s/"field"/"fiel\\u0064"/r, event()],
    [event() =~ s/"body"/"\\u0062ody"/r, event()],
    [event(content => '{"\u0062ody":"a\\nb"}'), event(content => '{"body":"a\\nb"}')],
]


=== a member more, at every level, first or last, whatever its value is
--- invalid eval
[
    map {
        my $object = $_;
        my $end = '}' x (1 + $object =~ tr/\///);

        (map { [$with{$object}($_), "$object/x" => $unknown] }
         map { "\"x\":$_" }
         '1', '"telltale"', 'null', '[]', '{}', '[{"telltale":1}]',
         '{"telltale":{"telltale":2}}', '1e400', '"\ud800"'),

        [event() =~ s/$end$/,"x":1$end/r, "$object/x" => $unknown];

    } @objects
]


=== several
--- invalid eval
[
    [event(content => '{"telltale":1,"body":"Hello","y":2}',
           id => '"m-1","b":1', field => '"messages","a":1')
     =~ s/\}$/,"z":1}/r,
     map { $_ => $unknown } qw(/a /value/b /value/content/telltale
                               /value/content/y /z)],
    [$with{''}('"c":1,"a":1,"b":1'), map { $_ => $unknown } qw(/c /a /b)],
    [$with{''}('"x":1,"x":2,"x":{}'), '/x' => $unknown],
    [$with{''}('"x":1,"X":2,"x ":3,"x\u0000":4'),
     map { $_ => $unknown } '/x', '/X', '/x ', '/x\u0000'],
]


=== the same name in two spellings is one place
--- invalid eval
[
    [$with{''}('"x":1,"\u0078":2'), '/x' => $unknown],
    [$with{'/value'}('"\u00e9":1,"\u00E9":2,"y":3'),
     "/value/\xc3\xa9" => $unknown, '/value/y' => $unknown],
    [$with{''}('"\ud83d\ude00":1,"\uD83D\uDE00":2,"' . "\xf0\x9f\x98\x80"
               . '":3'), "/\xf0\x9f\x98\x80" => $unknown],
    [$with{''}('"\n":1,"\u000a":2,"\u000A":3'), '/\u000a' => $unknown],
    [$with{''}('"\ud83d":1,"\uD83D":2'), '/\ud83d' => $unknown],
    [$with{''}('"a\/b":1,"a/b":2,"a\u002fb":3'), '/a~1b' => $unknown],
]


=== names of the schema in another object
--- invalid eval
[
    [$with{''}('"id":1,"type":1,"content":1,"body":1'),
     map { $_ => $unknown } qw(/id /type /content /body)],
    [$with{'/value'}('"field":1,"user_id":1,"value":1,"url":1'),
     map { $_ => $unknown } qw(/value/field /value/user_id /value/value
                               /value/url)],
    [$with{'/value/content'}('"id":1,"field":1,"content":1'),
     map { ("/value/content/$_" => $unknown) } qw(id field content)],
    [$with{''}('"timestamp":1,"contact":{"id":"c"},"conversation":{},"bot":{}'),
     map { $_ => $unknown } qw(/timestamp /contact /conversation /bot)],
]


=== names that are almost the schema's
--- invalid eval
[
    map { [$with{''}("\"$_\":1"), "/$_" => $unknown],
          [$with{'/value'}("\"$_\":1"), "/value/$_" => $unknown] }
    'Field', 'FIELD', 'field ', ' field', 'fields', 'fiel', 'field\u0000',
    '\u0000field', 'field\u0000x', 'Type', 'i', 'ids', 'type\u0000x',
    'value.id', 'user-id', 'userId', "field\xe2\x80\x8b",
    "\xef\xbd\x89\xef\xbd\x84",
]


=== names with what a pointer escapes
--- invalid eval
[
    map {
        my ($name, $escaped) = @$_;
        map { [$with{$_}("\"$name\":1"), "$_/$escaped" => $unknown] }
        @objects;
    }
    ['telltale/x', 'telltale~1x'], ['telltale~x', 'telltale~0x'], ['/', '~1'],
    ['~', '~0'], ['~1', '~01'], ['~0', '~00'], ['~01', '~001'], ['//', '~1~1'],
    ['/~', '~1~0'], ['~/', '~0~1'], ['\/', '~1'], ['a\/b\/c', 'a~1b~1c'],
    ['\u002f', '~1'], ['\u002F', '~1'], ['\u007e', '~0'], ['\u007E1', '~01'],
    ['a\u002fb\u007ec', 'a~1b~0c'], ['\\\\/', '\\\\~1'], ['\\\\u002f',
    '\\\\u002f'], ['\"/\"', '\"~1\"'], ['https://a/b', 'https:~1~1a~1b'],
    ["\xc3\xa9/\xf0\x9f\x98\x80~", "\xc3\xa9~1\xf0\x9f\x98\x80~0"],
    ['\ud83d/', '\ud83d~1'], ['/value/id', '~1value~1id'],
    ['~1field', '~01field'],
]


=== any other name stands there with the escapes that JSON needs
--- invalid eval
[
    map {
        my $name = $_;
        map { [$with{$_}("\"$name\":1"), "$_/$name" => $unknown] } @objects;
    }
    '', ' ', 'telltale x', '\"', '\"telltale\"', '\":1,\"', '\\\\', '\\\\\"',
    '\"\\\\', '\\\\n', '\u0000', '\u001f', "\x7f", "\xc3\xa9", "e\xcc\x81",
    "\xe4\xbd\xa0", "\xf0\x9f\x98\x80", "\xe2\x80\xa8", "\xef\xbb\xbf", '<b>',
    '%s%n', '$host', '0', '-', '#', '{}', '[0]', ':', 'null', "'",
    'x' x 10_000, '\u0001' x 10_000, "\xc3\xa9" x 10_000,
]


=== and with no others, however it was sent
--- invalid eval
[
    map {
        my ($name, $plain) = @$_;
        map { [$with{$_}("\"$name\":1"), "$_/$plain" => $unknown] } @objects;
    }
    ['\n', '\u000a'], ['\r\n', '\u000d\u000a'], ['\t', '\u0009'],
    ['\b\f', '\u0008\u000c'], ['\u001F', '\u001f'], ['\u007f', "\x7f"],
    ['\u0041', 'A'], ['\u00e9\u00E9', "\xc3\xa9\xc3\xa9"], ['\u0022', '\"'],
    ['\u005c\u005C', '\\\\\\\\'], ['\u005cn', '\\\\n'], ['\u07ff', "\xdf\xbf"],
    ['\u2028', "\xe2\x80\xa8"], ['\ud83d\uDE00', "\xf0\x9f\x98\x80"],
    ['\u0074elltale', 'telltale'], ['\uffff', "\xef\xbf\xbf"],
    ['\udbff\udfff', "\xf4\x8f\xbf\xbf"], ['\n' x 10_000, '\u000a' x 10_000],
]


=== lone surrogates in a name
--- invalid eval
[
    map {
        my ($name, $plain) = ref ? @$_ : ($_, $_);
        map { [$with{$_}("\"$name\":1"), "$_/$plain" => $unknown] } @objects;
    }
    '\ud800', '\udfff', '\ud83dx', 'x\ude00', '\ude00\ud83d', '\ud83d\ud83d',
    'telltale\udbff', ['\uD83D\"', '\ud83d\"'], ['\ud83d\u0041', '\ud83dA'],
    ['\ud83d\n', '\ud83d\u000a'], ["\\uDE00\xc3\xa9", "\\ude00\xc3\xa9"],
    ['\ud83d\ud83d\ude00', "\\ud83d\xf0\x9f\x98\x80"],
    ['\ud83d\ude00\ude00', "\xf0\x9f\x98\x80\\ude00"],
]


=== not more than 16
--- invalid eval
my @names = map { "telltale_$_" } 1 .. 40;
my $members = join ',', map { "\"$_\":1" } @names;
[
    (map { my $object = $_;
           [$with{$_}($members),
            map { ("$object/$_" => $unknown) } @names[0 .. 15]] }
     @objects),

    ["{$members}", map { ("/$_" => $unknown) } @names[0 .. 15]],

    ['{' . join(',', map { "\"$_\":1" } @names[0 .. 13]) . '}',
     map({ ("/$_" => $unknown) } @names[0 .. 13]),
     '/field' => 'is required', '/object' => 'is required'],

    [$with{''}(join ',', map { "\"x\":1,\"$_\":1" } @names[0 .. 14]),
     '/x' => $unknown, map { ("/$_" => $unknown) } @names[0 .. 14]],
]


=== just 16, and one less
--- invalid eval
[
    map {
        my @names = map { "telltale_$_" } 1 .. $_;
        [$with{''}(join ',', map { "\"$_\":1" } @names),
         map { ("/$_" => $unknown) } @names];
    } 15, 16
]


=== 16 long names
--- invalid eval
[
    map {
        my $long = $_;
        my @names = map { "telltale_$_" . $long } 1 .. 20;
        [$with{''}(join ',', map { "\"$_\":1" } @names),
         map { ("/$_" =~ s/(?<=.)\//~1/gr => $unknown) } @names[0 .. 15]];
    } 'x' x 20_000, '\u0000' x 2_000, '/' x 10_000
]


=== members of another message type
--- invalid eval
my $media = '"url":"https://media.test/1","mime_type":"a/b"';
[
    (map {
        my ($type, $members, @foreign) = @$_;
        map {
            my $name = $_;
            map { [event(type => "\"$type\"",
                         content => "{$members,\"$name\":$_}"),
                   "/value/content/$name" => $foreign] }
            '"telltale"', '1', 'null', '{"telltale":1}', '"http://telltale"';
        } @foreign;
    }
    ['text', '"body":"Hello"', qw(url mime_type caption filename)],
    ['image', $media, qw(body filename)], ['video', $media, qw(body filename)],
    ['audio', $media, qw(body caption filename)],
    ['document', $media, qw(body caption)]),

    [event(content => "{\"filename\":1,\"body\":\"Hello\",$media}"),
     map { ("/value/content/$_" => $foreign) } qw(url mime_type filename)],

    [event(content => "{\"url\":1,\"body\":\"Hello\",\"url\":2}"),
     '/value/content/url' => $foreign],
]


=== a member of another type, doubled
--- invalid eval
[
    map { [event(content => "{\"body\":\"Hello\",$_}"),
           '/value/content/caption' => $foreign] }
    '"caption":"c","caption":"c"', '"caption":1,"capt\u0069on":2'
]


=== with other violations, in the order of finding
--- invalid eval
[
    [event(user_id => undef, content => '{"telltale":1,"body":2}'),
     '/value/content/telltale' => $unknown, '/user_id' => 'is required',
     '/value/content/body' => 'must be a string'],

    [$with{''}('"x":1,"field":1'), '/x' => $unknown,
     '/field' => 'must not be repeated'],

    [event(type => '"telltale"', content => '{"body":1,"url":2,"x":3}'),
     '/value/content/x' => $unknown, '/value/type' =>
     'must be one of text, image, video, audio, document'],

    [event(value => '{"telltale":1}'), '/value/telltale' => $unknown,
     map { ("/value/$_" => 'is required') } qw(id type content)],

    [event(id => '1', content => '{"caption":1}'),
     '/value/id' => 'must be a string',
     '/value/content/body' => 'is required',
     '/value/content/caption' => $foreign],
]


=== what an unknown or a wrong value has inside is not looked at
--- invalid eval
[
    [event(value => '[{"telltale":1}]'), '/value' => 'must be an object'],
    [event(user_id => '{"telltale":1,"field":1}'),
     '/user_id' => 'must be a string'],
    [$with{''}('"x":{"y":1,"field":1,"value":{"z":1}}'), '/x' => $unknown],
    [$with{'/value'}('"x":[{"y":1}]'), '/value/x' => $unknown],
]


=== off: left out
--- directives
jelou_strict  off;
--- valid eval: \@any


=== not set: left out
--- directives
--- valid eval: \@any


=== on in http
--- directives
--- http_config
jelou_strict  on;
--- invalid eval: \@on_and_off


=== on in server
--- config eval
"jelou_strict on;\n" . location('/')
--- invalid eval: \@on_and_off


=== off in the location, on in server and http
--- http_config
jelou_strict  on;
--- config eval
"jelou_strict on;\n" . location('/', 'jelou_strict off;')
--- valid eval: \@any


=== on in the location, off in server and http
--- http_config
jelou_strict  off;
--- config eval
"jelou_strict off;\n" . location('/', 'jelou_strict on;')
--- invalid eval: \@on_and_off


=== on in the outer location
--- config eval
location('/', 'jelou_strict on;', location('/inner'))
--- path
/inner
--- invalid eval: \@on_and_off


=== off in the inner location
--- config eval
location('/', 'jelou_strict on;', location('/inner', 'jelou_strict off;'))
--- path
/inner
--- valid eval: \@any


=== another location's is its own
--- config eval
location('/', 'jelou_strict on;') . location('/other')
--- path
/other
--- valid eval: \@any


=== a violation comes before a type that is not allowed
--- directives
jelou_strict  on;
jelou_types   image;
--- invalid eval: \@on_and_off


=== with the verified bytes as they are
--- directives
jelou_strict  on;
jelou_format  raw;
--- invalid eval: \@on_and_off
