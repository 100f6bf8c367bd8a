# The event that an incoming message becomes: compact, in one order of members
# and without unknown ones, whatever the sender's order and white space are.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.0001 }

use List::Util qw(shuffle);
use Jelou 'no_plan';

# The content of all types, without the optional members and with them

our @contents = (
    ['text',     body => 'Hello'],
    (map { [$_, url => 'https://media.test/1', mime_type => 'a/b'] }
        qw(image video audio document)),
    ['image',    url => 'https://media.test/1.png', mime_type => 'image/png',
                 caption => 'A caption'],
    ['video',    url => 'https://media.test/1.mp4', mime_type => 'video/mp4',
                 caption => ''],
    ['document', url => 'https://media.test/1.pdf',
                 mime_type => 'application/pdf; v=1', filename => 'a b.pdf'],
);

# Members that no schema has, but for their names

our @unknown = (
    '"x":1', '"":""', '"x":null', '"x":true', '"x":[]', '"x":{}', '"x":-0',
    '"x":1e400', '"x":-1.5E-400', '"x":0.1e+99', '"x":' . '9' x 1000,
    '"x":0.' . '0' x 1000 . '1', '"x":[1,[2,[3]],{"y":[{}]}]',
    '"x":' . '[' x 28 . ']' x 28, '"x":' . '{"y":' x 28 . '{}' . '}' x 28,
    '"x":"}"', '"x":"\",\"field\":\"x"', '"x":"\\\\"', '"}":"{"', '",":":"',
    '"x":{"field":1,"value":{"id":2,"type":[],"content":{"body":3}}}',
    '"x":[{"field":"x","user_id":"x","body":"x","url":"http://x"}]',
    '"timestamp":1700000000000', '"contact":{"id":"c-1","name":"A"}',
    '"Field":1', '"FIELD":1', '"x":"\ud800"', '"\ud800":1', '"\u0000":"\u0000"',
    '"type\u0000":1', '"conversation":null',
    "\"\xf0\x9f\x98\x80\":\"\xc3\xa9\"",
    '"x":' . '"a long text "' =~ s/text/'text ' x 1000/er,
    '"x":[' . join(',', (0) x 1000) . ']',
);


# object(MEMBERS): of pairs, whose values may be such lists themselves

sub object {
    my $order = ref $_[0] eq 'CODE' ? shift : sub { @_ };

    return '{' . join(',', $order->(map {
        my ($name, $value) = @$_;
        "\"$name\":" . (ref $value ? object($order, @$value) : "\"$value\"");
    } @_)) . '}';
}


# tree(CONTENT): a message as pairs

sub tree {
    my ($type, @content) = @{ $_[0] };
    my @pairs;

    push @pairs, [splice @content, 0, 2] while @content;

    return (
        [field => 'messages'], [object => 'message_event'],
        [event_type => 'incoming_message'], [project_id => 'p-1'],
        [room_id => 'r-1'], [bot_id => 'b-1'], [user_id => 'u-1'],
        [value => [[id => 'm-1'], [type => $type], [content => \@pairs]]],
    );
}

our @trees  = map { [tree($_)] } @contents;
our @events = map { object(@$_) } @trees;


# tokens(JSON)

sub tokens {
    return $_[0] =~ /"(?:[^"\\]|\\.)*"|[\w.+-]+|[{}\[\]:,]/g;
}


# Section of a block, whose requests are all on one connection: "messages",
# each [BODY, EVENT].

check_accum_error_log();

add_block_preprocessor(sub {
    my $block = shift;

    my @messages = @{ $block->messages // return };

    my %section = (
        requests => [map {
            post($messages[$_][0], keepalive => $_ < $#messages)
        } 0 .. $#messages],

        reply        => "accepted m-1\n" x @messages,
        upstream     => [map { $_->[1] } @messages],
        no_error_log => qr/jelou|\[(?:error|crit)\]/,
    );

    $block->set_value($_ => $section{$_}) for keys %section;
});

run_tests();

__DATA__

=== the documentation's example
--- raw_request eval
post('{
    "field": "messages",
    "object": "message_event",
    "event_type": "incoming_message",
    "project_id": "PROJECT_ID",
    "room_id": "ROOM_ID",
    "bot_id": "BOT_ID",
    "user_id": "USER_ID",
    "value": {
      "id": "MESSAGE_ID",
      "type": "text",
      "content": {
        "body": "Hello user, how can I help you?"
      }
    }
  }')
--- reply
accepted MESSAGE_ID
--- upstream eval
'{"field":"messages","object":"message_event",' .
'"event_type":"incoming_message","project_id":"PROJECT_ID",' .
'"room_id":"ROOM_ID","bot_id":"BOT_ID","user_id":"USER_ID",' .
'"value":{"id":"MESSAGE_ID","type":"text",' .
'"content":{"body":"Hello user, how can I help you?"}}}'
--- upstream_headers
Content-Length: 256
Content-Type: application/json
--- no_error_log
jelou


=== all types, without the optional members and with them
--- messages eval
[
    map {
        my ($type, @content) = @$_;
        my $event = '{"field":"messages","object":"message_event",'
                  . '"event_type":"incoming_message","project_id":"p-1",'
                  . '"room_id":"r-1","bot_id":"b-1","user_id":"u-1",'
                  . '"value":{"id":"m-1","type":"' . $type . '",'
                  . '"content":{' . join(',', @content) . '}}}';
        [$event, $event];
    }
    ['text', '"body":"Hello"'],
    ['image', '"url":"https://h/1"', '"mime_type":"image/png"'],
    ['image', '"url":"https://h/1"', '"mime_type":"a/b"', '"caption":"c"'],
    ['video', '"url":"https://h/1"', '"mime_type":"video/mp4"'],
    ['video', '"url":"https://h/1"', '"mime_type":"a/b"', '"caption":"c"'],
    ['audio', '"url":"https://h/1"', '"mime_type":"audio/ogg"'],
    ['document', '"url":"https://h/1"', '"mime_type":"a/b"'],
    ['document', '"url":"https://h/1"', '"mime_type":"a/b"', '"filename":"f"'],
]


=== members in any order
--- messages eval
srand 1;

my @orders = (sub { reverse @_ }, sub { sort @_ }, sub { @_[1 .. $#_, 0] },
              sub { $_[-1], @_[0 .. $#_ - 1] }, (sub { shuffle @_ }) x 20);
[
    map {
        my $i = $_;
        map { [object($_, @{ $trees[$i] }), $events[$i]] } @orders;
    } 0 .. $#main::trees
]


=== every order of value's and of content's members
--- messages eval
my @orders = ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]);
[
    map {
        my $i = $_;
        map {
            my @outer = @$_;
            map {
                my @inner = @$_;
                [object(sub { @_ == 3 && $_[0] =~ /"id"/ ? @_[@outer]
                            : @_ == 3 ? @_[@inner] : @_ },
                        @{ $trees[$i] }), $events[$i]]
            } @orders
        } @orders
    } 5, 7
]


=== white space of all kinds
--- messages eval
[
    map {
        my $event = $_;
        my @tokens = tokens($event);
        my $depth = 0;

        my $pretty = join '', map {
            /[{]/   ? "$_\n" . '  ' x ++$depth
            : /^\}/ ? "\n" . '  ' x --$depth . $_
            : /^,/  ? "$_\n" . '  ' x $depth
            : /^:/  ? ': ' : $_;
        } @tokens;

        map { [$_, $event] }
        $pretty, $pretty =~ s/\n/\r\n/gr, $pretty =~ s/  /\t/gr, "$pretty\n",
        map({ join $_, '', @tokens, '' } ' ', "\t", "\r", "\n", ' ' x 50),
    } @events
]


=== white space of odd kinds
--- messages eval
srand 2;

my $odd = sub { join '', map { (' ', "\t", "\r", "\n")[rand 4] } 1 .. rand 6 };
[
    map {
        my $i = rand @events;
        my @tokens = tokens(object(sub { shuffle @_ }, @{ $trees[$i] }));
        [join('', map { $odd->() . $_ } @tokens, ''), $events[$i]];
    } 1 .. 150
]


=== unknown members, at every level, first, in the middle and last
--- messages eval
[
    map {
        my $unknown = $_;
        map {
            my $event = $_;
            map { [$_, $event] }
            $event =~ s/\{/{$unknown,/gr, $event =~ s/\}/,$unknown}/gr,
            $event =~ s/,/,$unknown,/gr;
        } @events[0, 5]
    } @unknown
]


=== unknown members, orders and white space at random
--- messages eval
srand 3;

my $odd = sub { join '', map { (' ', "\t", "\r", "\n")[rand 4] } 1 .. rand 3 };
[
    map {
        my $i = rand @events;
        my $body = object(sub {
            shuffle @_, map { $unknown[rand @unknown] } 1 .. rand 4
        }, @{ $trees[$i] });
        [join('', map { $odd->() . $_ } tokens($body), ''), $events[$i]];
    } 1 .. 200
]


=== very many unknown members
--- messages eval
[
    map { [$_, event()] }
    '{' . join(',', @unknown) . ',' . substr(event(), 1),
    substr(event(), 0, -1) . ',' . join(',', @unknown) . '}',
    '{' . '"x":1,' x 20_000 . substr(event(), 1),
    event(id => '"m-1"' . ',"x":[]' x 20_000),
    event(content => '{' . '"x":{},' x 20_000 . '"body":"Hello"}'),
]


=== the length that is announced is the event's, with chunks, too
--- raw_request eval
my $body = object(sub { reverse @_, '"x":1' }, @{ $trees[5] });
post($body =~ s/,/ , /gr, chunked => 7)
--- reply
accepted m-1
--- upstream eval
$events[5]
--- upstream_headers eval
'Content-Length: ' . length $events[5]
--- no_error_log
jelou


=== the event as long as the body, and a little shorter
--- messages eval
[
    map { my $event = event(content => qq({"body":"$_"}));
          [$event, $event], [" $event", $event], ["$event ", $event],
          [$event =~ s/:/ : /gr, $event], [$event =~ s/\{/{"x":1,/r, $event] }
    map { 'x' x $_ } 0 .. 32
]


=== values that are equal to others of the message
--- messages eval
[
    map { [$_, $_] }
    event(map { $_ => '"m-1"' } qw(project_id room_id bot_id user_id)),
    event(content => '{"body":"text"}', user_id => '"body"'),
    event(user_id => '"value"', room_id => '"content"', bot_id => '"messages"'),
]
