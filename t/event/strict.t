# jelou_strict: members outside the schema are violations.  Said is how many an
# object has; neither the answer nor the log has a name of the sender's.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.0001 }

use JSON::PP ();
use Jelou 'no_plan';

sub unknown {
    return "has $_[0] member" . ($_[0] == 1 ? '' : 's') . ' outside the schema';
}

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
        my @pointers = map { s/^$/#/r } @$_[grep { $_ % 2 } 1 .. $#$_];

        $reply .= join(' ', '422 INVALID_EVENT', @pointers) . "\n";
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


# The violations as they stand there, and that they are JSON with nothing of what
# was sent.

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

    my $json = eval { JSON::PP->new->utf8->decode($body) } // {};

    isnt(scalar keys %{ $json->{validationError} // {} }, 0, "$name, is JSON");
    unlike($body, qr/telltale/, "$name, and has nothing of what was sent");
    cmp_ok(length $body, '<', 2000, "$name, and is short");
});


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

our @on_and_off = ([$with{''}('"telltale":1'), '' => unknown(1)],
                   [$with{'/value'}('"telltale":1'), '/value' => unknown(1)]);

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

        (map { [$with{$object}($_), $object => unknown(1)] }
         map { "\"x\":$_" }
         '1', '"telltale"', 'null', '[]', '{}', '[{"telltale":1}]',
         '{"telltale":{"telltale":2}}', '1e400', '"\ud800"'),

        [event() =~ s/$end$/,"x":1$end/r, $object => unknown(1)];

    } @objects
]


=== several: how many there are in each object, and of what name does not count
--- invalid eval
[
    [event(content => '{"telltale":1,"body":"Hello","y":2}',
           id => '"m-1","b":1', field => '"messages","a":1')
     =~ s/\}$/,"z":1}/r,
     '/value/content' => unknown(2), '/value' => unknown(1),
     '' => unknown(2)],
    [$with{''}('"c":1,"a":1,"b":1'), '' => unknown(3)],
    [$with{''}('"x":1,"x":2,"x":{}'), '' => unknown(3)],
    [$with{''}('"x":1,"\u0078":2'), '' => unknown(2)],
    [$with{''}('"x":1,"X":2,"x ":3,"x\u0000":4'), '' => unknown(4)],
    [$with{''}(join ',', map { "\"telltale_$_\":1" } 1 .. 40),
     '' => unknown(40)],
    ['{"x":1}', '' => unknown(1), map { ("/$_" => 'is required') }
     qw(field object event_type project_id room_id bot_id user_id value)],
]


=== names of the schema in another object
--- invalid eval
[
    [$with{''}('"id":1,"type":1,"content":1,"body":1'), '' => unknown(4)],
    [$with{'/value'}('"field":1,"user_id":1,"value":1,"url":1'),
     '/value' => unknown(4)],
    [$with{'/value/content'}('"id":1,"field":1,"content":1'),
     '/value/content' => unknown(3)],
    [$with{''}('"timestamp":1,"contact":{"id":"c"},"conversation":{},"bot":{}'),
     '' => unknown(4)],
]


=== names that are almost the schema's
--- invalid eval
[
    map { [$with{''}("\"$_\":1"), '' => unknown(1)],
          [$with{'/value'}("\"$_\":1"), '/value' => unknown(1)] }
    'Field', 'FIELD', 'field ', ' field', 'fields', 'fiel', 'field\u0000',
    '\u0000field', 'field\u0000x', 'Type', 'i', 'ids', 'type\u0000x',
    'value.id', 'user-id', 'userId', "field\xe2\x80\x8b",
    "\xef\xbd\x89\xef\xbd\x84", 'Value', 'ID', 'Project_ID',
]


=== no name of the sender's is repeated, whatever it is and however long
--- invalid eval
[
    map {
        my $name = $_;
        map { [$with{$_}("\"$name\":1"), $_ => unknown(1)] } @objects;
    }
    '', ' ', 'telltale x', '\"', '\"telltale\"', '\":1,\"', '\\\\', '\\\\\"',
    '\"\\\\', '\\\\n', '\u0000', '\u001f', "\x7f", "\xc3\xa9", "e\xcc\x81",
    "\xe4\xbd\xa0", "\xf0\x9f\x98\x80", "\xe2\x80\xa8", "\xef\xbb\xbf", '<b>',
    '%s%n', '$host', '0', '-', '#', '{}', '[0]', ':', 'null', "'", 'telltale/x',
    'telltale~1x', '~', '/', '\/', '\u002f', '\n', '\u0074elltale', '\ud800',
    '\udfff', '\ud83dx', '\ude00\ud83d', 'telltale\udbff',
    'telltale' x 10_000, '\u0001' x 10_000, "\xc3\xa9" x 10_000, 'x' x 900_000,
]


=== members of another message type
--- invalid eval
my $media = '"url":"https://media.test/1","mime_type":"a/b"';
[
    (map {
        my ($type, $members, @foreign) = @$_;
        map {
            my $name = $_;
            map({ [event(type => "\"$type\"",
                         content => "{$members,\"$name\":$_}"),
                   "/value/content/$name" => $foreign] }
                '"telltale"', '""', '"http://telltale"', '"\ud800"'),
            map({ [event(type => "\"$type\"",
                         content => "{$members,\"$name\":$_}"),
                   "/value/content/$name" => 'must be a string'] }
                '1', 'null', '{"telltale":1}'),
        } @foreign;
    }
    ['text', '"body":"Hello"', qw(url mime_type caption filename)],
    ['image', $media, qw(body filename)], ['video', $media, qw(body filename)],
    ['audio', $media, qw(body caption filename)],
    ['document', $media, qw(body caption)]),

    [event(content => "{\"filename\":\"x\",\"body\":\"Hello\",$media}"),
     map { ("/value/content/$_" => $foreign) } qw(url mime_type filename)],
]


=== a member of another type, doubled
--- invalid eval
[
    map { [event(content => "{\"body\":\"Hello\",$_}"),
           '/value/content/caption' => 'must not be repeated'] }
    '"caption":"c","caption":"c"', '"caption":1,"capt\u0069on":2'
]


=== with other violations, in the order of finding
--- invalid eval
[
    [event(user_id => undef, content => '{"telltale":1,"body":2}'),
     '/value/content' => unknown(1), '/user_id' => 'is required',
     '/value/content/body' => 'must be a string'],

    [$with{''}('"x":1,"field":1'), '' => unknown(1),
     '/field' => 'must not be repeated'],

    [event(type => '"telltale"', content => '{"body":1,"url":2,"x":3}'),
     '/value/content' => unknown(1), '/value/type' =>
     'must be one of text, image, video, audio, document',
     map { ("/value/content/$_" => 'must be a string') } qw(body url)],

    [event(value => '{"telltale":1}'), '/value' => unknown(1),
     map { ("/value/$_" => 'is required') } qw(id type content)],

    [event(id => '1', content => '{"caption":"1"}'),
     '/value/id' => 'must be a string',
     '/value/content/body' => 'is required',
     '/value/content/caption' => $foreign],

    # of one place the first

    [event(value => '{"x":1},"value":{}'), '/value' => unknown(1)],
]


=== what an unknown or a wrong value has inside is not looked at
--- invalid eval
[
    [event(value => '[{"telltale":1}]'), '/value' => 'must be an object'],
    [event(user_id => '{"telltale":1,"field":1}'),
     '/user_id' => 'must be a string'],
    [$with{''}('"x":{"y":1,"field":1,"value":{"z":1}}'), '' => unknown(1)],
    [$with{'/value'}('"x":[{"y":1}]'), '/value' => unknown(1)],
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
