# jelou_format cloudevents: every endpoint's events, byte for byte, and what an
# independent library makes of them.

use lib 't/lib';
use Jelou 'no_plan';

use Cwd qw(abs_path);
use Digest::SHA qw(sha256_hex);
use File::Basename qw(dirname);
use POSIX qw(strftime);
use Time::HiRes qw(time);
use Time::Local qw(timegm);

my $judge   = abs_path(dirname(__FILE__)) . '/cloudevents.js';
my $library = dirname($judge) . '/../../build/node_modules/cloudevents';

die "the CloudEvents library is not there: sh util/test.sh installs it\n"
    unless -e $library;


# A request: its body, options of post(), the answer, and the event that arrives

sub requests {
    my $left = @_;

    return [map { post($_->{body}, %{ $_->{post} }, keepalive => --$left) } @_];
}

sub answers  { return join '', map { "$_->{answer}\n" } @_ }
sub arrive   { return [map { $_->{event} } @_] }


# cloud(ATTRIBUTES): what is expected.  All values are JSON; source, type and
# time are texts.  "time" is "now" without a timestamp.

sub cloud {
    my %a = (time => 'now', @_);

    return '{"specversion":"1.0"'
        . qq(,"id":$a{id},"source":"$a{source}","type":"ai.jelou.$a{type}")
        . (defined $a{subject} ? qq(,"subject":$a{subject}) : '')
        . qq(,"time":"$a{time}","partitionkey":$a{key})
        . qq(,"datacontenttype":"application/json","data":$a{data}});
}


# incoming(SOURCE, MEMBER => VALUE, ...): members as of event()

sub incoming {
    my ($source, %m) = @_;

    my $event = event(%m);

    return {
        body => $event, post => {},
        answer => 'accepted ' . ($m{id} // '"m-1"') =~ s/^"|"$//gr,
        event => cloud(
            id => $m{id} // '"m-1"', source => $source,
            type => 'incoming_message', subject => $m{user_id} // '"u-1"',
            key => $m{room_id} // '"r-1"', data => $event),
    };
}

our @Incoming = (
    incoming('/projects/p-1/rooms/r-1'),

    (map { incoming('/projects/p-1/rooms/r-1', type => $_->[0],
                    content => $_->[1]) }
     ['"image"', '{"url":"https://a/b","mime_type":"image/png","caption":"c"}'],
     ['"video"', '{"url":"https://a/b","mime_type":"video/mp4"}'],
     ['"audio"', '{"url":"https://a/b","mime_type":"audio/mpeg"}'],
     ['"document"',
      '{"url":"https://a/b","mime_type":"a/b","filename":"f.pdf"}']),

    # Of an id only unreserved characters stay what they are in the source,
    # and it is the decoded id that is encoded.

    incoming('/projects/AZaz09-._~/rooms/%3A%2F%3F%23%5B%5D%40',
             project_id => '"AZaz09-._~"', room_id => '":/?#[]@"'),
    incoming('/projects/%21%24%26%27%28%29%2A%2B%2C%3B%3D/rooms/%20%25%2F%5C%22',
             project_id => q("!$&'()*+,;="), room_id => '" %/\\\\\\""'),
    incoming('/projects/%7B%7C%7D%5E%60%3C%3E/rooms/..',
             project_id => '"{|}^`<>"', room_id => '".."'),
    incoming('/projects/%C3%A9/rooms/%C3%A9%F0%9F%98%80',
             project_id => qq("\xc3\xa9"), room_id => '"\u00e9\ud83d\ude00"'),
    incoming('/projects/%F0%9F%98%80/rooms/r%2F1%2Fx',
             project_id => qq("\xf0\x9f\x98\x80"), room_id => '"r\/1\u002fx"'),

    # the longest ids, all of whose bytes are encoded or were escapes

    incoming('/projects/' . '%2F' x 256 . '/rooms/' . 'A' x 256,
             project_id => '"' . '/' x 256 . '"',
             room_id => '"' . '\u0041' x 256 . '"'),
    incoming('/projects/' . '%22' x 256 . '/rooms/' . '%F0%9F%98%80' x 64,
             project_id => '"' . '\"' x 256 . '"',
             room_id => '"' . '\ud83d\ude00' x 64 . '"'),

    # id, subject and partitionkey are the tokens that were sent

    incoming('/projects/p-1/rooms/%22', id => '"m\"\u00e9\\\\"',
             room_id => '"\u0022"', user_id => '"\u0075\/"'),

    # text is never changed

    map { incoming('/projects/p-1/rooms/r-1', content => qq({"body":"$_"})) }
        '\u0000\n\"\\\\\/', '\ud800 \udc00\ud83d', "\xf0\x9f\x98\x80\xcc\x81",
        '},\"id\":\"x\",\"data\":{', 'x' x 100_000,
);

# White space, another order, members outside the schema

our %Event = (
    body => join("\r\n\t ", '{', '"value":', '{"content":{"x":1,"body":"a b"},',
        '"type" :"text","id":"m-1"},"time":"2000-01-01T00:00:00Z",',
        '"specversion":"0.3","user_id":"u-1","bot_id":"b-1","room_id":"r-1",',
        '"project_id":"p-1","event_type":"incoming_message",',
        '"object":"message_event","field":"messages"}', ''),
);

push @Incoming, {
    %{ incoming('/projects/p-1/rooms/r-1', content => '{"body":"a b"}') },
    %Event,
};


# message(TIMESTAMP, TIME, CONTACT, BOT)

sub message {
    my ($timestamp, $time, $contact, $bot) = @_;

    my ($user, $user_name) = @{ $contact // ['"u-1"'] };
    my ($bot_id, $bot_name) = @{ $bot // ['"b-1"'] };

    my $named = sub {
        my ($id, $name) = @_;
        return qq({"id":$id) . (defined $name ? qq(,"name":$name}) : '}');
    };

    my $value = '"value":{"id":"m-1","type":"text","content":{"body":"Hi"}}}';
    my $top   = '{"field":"messages","object":"message_event",'
                . qq("event_type":"message","timestamp":$timestamp,)
                . '"project_id":"p-1","room_id":"r/1",';

    return {
        body => $top . '"contact":' . $named->($user, $user_name)
                . ',"conversation":{"id":"c-1"},"bot":'
                . $named->($bot_id, $bot_name) . ",$value",
        post => { path => '/message' },
        answer => 'accepted m-1',
        event => cloud(
            id => '"m-1"', source => '/projects/p-1/rooms/r%2F1',
            type => 'message', subject => $user, time => $time,
            key => '"r/1"',
            data => $top . qq("conversation_id":"c-1","bot_id":$bot_id)
                    . (defined $bot_name ? qq(,"bot_name":$bot_name) : '')
                    . qq(,"user_id":$user)
                    . (defined $user_name ? qq(,"user_name":$user_name) : '')
                    . ",$value"),
    };
}

our @Times = (
    [100000000000,    '1973-03-03T09:46:40.000Z'],
    [100000000001,    '1973-03-03T09:46:40.001Z'],
    [100000000999,    '1973-03-03T09:46:40.999Z'],
    [194399999999,    '1976-02-28T23:59:59.999Z'],
    [194486400000,    '1976-03-01T00:00:00.000Z'],
    [951782400000,    '2000-02-29T00:00:00.000Z'],
    [951868799999,    '2000-02-29T23:59:59.999Z'],
    [951868800000,    '2000-03-01T00:00:00.000Z'],
    [1456704000010,   '2016-02-29T00:00:00.010Z'],
    [1483228799999,   '2016-12-31T23:59:59.999Z'],
    [1677628799000,   '2023-02-28T23:59:59.000Z'],
    [1677628800000,   '2023-03-01T00:00:00.000Z'],
    [1709210096789,   '2024-02-29T12:34:56.789Z'],
    [1776134278574,   '2026-04-14T02:37:58.574Z'],
    [2147483647999,   '2038-01-19T03:14:07.999Z'],
    [2147483648000,   '2038-01-19T03:14:08.000Z'],
    [4107542399999,   '2100-02-28T23:59:59.999Z'],
    [4107542400000,   '2100-03-01T00:00:00.000Z'],
    [4294967296000,   '2106-02-07T06:28:16.000Z'],
    [13574563200000,  '2400-02-29T00:00:00.000Z'],
    [253402300799999, '9999-12-31T23:59:59.999Z'],
);

for (@Times) {
    my ($timestamp, $time) = @$_;

    # the table itself, for those who do not know it by heart

    my ($y, $m, $d, $H, $M, $S, $ms) = $time =~ /(\d+)/g;
    my $is = timegm($S, $M, $H, $d, $m - 1, $y) * 1000 + $ms;

    die "$time is $is, not $timestamp\n" if $is != $timestamp;
}

our @Messages = (
    (map { message(@$_) } @Times),
    message(100000000007, '1973-03-03T09:46:40.007Z', ['"\u0041\""', '"N\u00e9"'],
            [qq("b\xc3\xa9"), '""']),
);

# after the year 9999, not an integer, or seconds

our @Refused = (
    map { { %{ message($_, '') }, answer => '422 INVALID_EVENT /timestamp' } }
        qw(253402300800000 9999999999999999999999 -1 1.5 1e3 "0" null 0 1 99999999999),
);


# conversation(NAME, PROJECT, ENCODED, TIMESTAMP, TIME, BODY, COMPACT)

sub conversation {
    my ($name, $project, $encoded, $timestamp, $time, $body, $compact) = @_;

    return {
        body => $body, post => { path => '/message' }, answer => 'accepted',
        event => cloud(
            id => '"' . sha256_hex($body) . '"',
            source => "/projects/$encoded", type => $name, time => $time,
            key => $project,
            data => '{"field":"messages","object":"message_event",'
                    . qq("event_type":"$name","timestamp":$timestamp,)
                    . qq("project_id":$project,"data":$compact})),
    };
}

our @Conversations = (
    (map {
        my $body = qq({"event":"$_","timestamp":1709210096789,)
                   . '"project_id":"p-1"}';

        conversation($_, '"p-1"', 'p-1', 1709210096789,
                     '2024-02-29T12:34:56.789Z', $body, $body);
    } qw(conversation.start conversation.close)),

    # the id is that of the body as it was received, the data is compact

    conversation('conversation.start', '"p \u002f"', 'p%20%2F', 100000000000,
        '1973-03-03T09:46:40.000Z',
        qq({ "project_id" : "p \\u002f",\r\n\t"x" : [ 1.50e+1 , " a " , { } ],)
        . qq(\n"timestamp":100000000000 , "event" : "conversation.start" }\n),
        '{"project_id":"p \u002f","x":[1.50e+1," a ",{}],"timestamp":100000000000,'
        . '"event":"conversation.start"}'),

    # what a message has elsewhere is data here, whatever it looks like

    (map {
        my $body = '{"event":"conversation.close","timestamp":100000000000,'
                   . qq("project_id":"p-1",$_});

        conversation('conversation.close', '"p-1"', 'p-1', 100000000000,
                     '1973-03-03T09:46:40.000Z', $body, $body);
    } '"contact":{"id":"u-1"},"room_id":"r-1"',
      '"contact":{"id":5},"room_id":[],"bot":{"id":{}}',
      '"contact":{"id":"\u0001\ud800"},"value":{"id":"","type":"x"}',
      '"contact":{"id":"a","id":"b"}'),
);


# room(ROOM, ENCODED, PATH, MESSAGES): a message is id, type and a member each

sub room {
    my ($room, $encoded, $path, @messages) = @_;

    my $text = sub {
        my ($member, $name) = @_;
        return defined $member ? qq(,"$name":$member) : '';
    };

    my $ids = join ',', map { $_->[0] } @messages;

    return {
        body => '{"senderId":"s\"1","messages":['
            . join(',', map {
                qq({"id":"$_->[0]","type":"$_->[1]")
                . $text->($_->[2], 'text') . $text->($_->[3], 'mediaUrl') . '}'
            } @messages) . ']}',
        post => { path => "/v1/rooms/$path/message", signature => undef },
        answer => "accepted-list $ids",
        event => cloud(
            id => qq("$ids"), source => "/rooms/$encoded",
            type => 'room_message', subject => '"s\"1"', key => $room,
            data => '{"field":"messages","object":"message_event",'
                . qq("event_type":"room_message","room_id":$room,)
                . '"sender_id":"s\"1","values":['
                . join(',', map {
                    qq({"id":"$_->[0]","type":") . lc($_->[1])
                    . '","content":{'
                    . (defined $_->[3]
                       ? qq("url":$_->[3]) . $text->($_->[2], 'caption')
                       : qq("body":$_->[2])) . '}}'
                } @messages) . ']}'),
    };
}

our @Ids = map { sprintf '%08x-1111-4222-8333-0123456789Ab', $_ } 1 .. 200;

our @Rooms = (
    room('"r-1"', 'r-1', 'r-1', [$Ids[0], 'TEXT', '"Hi"']),
    room('"r-1"', 'r-1', 'r-1', [$Ids[0], 'TEXT', '"Hi\u0000"'],
         [$Ids[1], 'IMAGE', '"c"', '"http://a/b"'],
         [$Ids[2], 'VIDEO', undef, '"https://a/b"'],
         [$Ids[3], 'DOCUMENT', '""', '"http://a/b"']),
    room(qq("a b\\"\\\\\xc3\xa9%"), 'a%20b%22%5C%C3%A9%25',
         'a%20b%22%5c%C3%A9%25', [$Ids[4], 'TEXT', '"Hi"']),
    room('"r"', 'r', 'r', map { [$_, 'TEXT', '"Hi"'] } @Ids),
);


# bot(BOT, ENCODED, PATH, MEMBERS, CONTENT)

sub bot {
    my ($bot, $encoded, $path, $type, $members, $content) = @_;

    return {
        body => qq({"type":"text","userId":"u\\/1","text":"Hola"$members}),
        post => { path => "/v1/bots/$path/messages", signature => undef },
        answer => 'accepted msg_*',
        event => cloud(
            id => '"msg_*"', source => "/bots/$encoded",
            type => 'bot_message', subject => '"u\/1"', key => $bot,
            data => '{"field":"messages","object":"message_event",'
                . qq("event_type":"bot_message","bot_id":$bot,)
                . '"user_id":"u\/1","value":{"id":"msg_*",'
                . qq("type":"$type","content":{"body":"Hola"$content}}})),
    };
}

our @Bots = (
    bot('"b-1"', 'b-1', 'b-1', 'text', '', ''),
    bot('"b\""', 'b%22', 'b%22', 'text', '', ''),
    bot('"b-1"', 'b-1', 'b-1', 'list',
        ',"title":"T","options":[{"id":"o","title":"O","description":"d"}]',
        ',"title":"T","button":{"type":"text","text":"Opciones"},'
        . '"options":[{"id":"o","title":"O","description":"d"}]'),
    bot('"b-1"', 'b-1', 'b-1', 'list',
        ',"buttonText":{},"options":[{"title":"O","id":"o"}]',
        ',"button":{"type":"text","text":"Opciones"},'
        . '"options":[{"id":"o","title":"O"}]'),
);

our $Type = event(event_type => '"a\"\u0062\u00e9"');

our $Config = <<'END';
jelou_format  cloudevents;

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

location /v1/rooms/ {
    jelou_endpoint  room_message;
    proxy_pass      http://app;
}

location /v1/bots/ {
    jelou_endpoint  bot_message;
    proxy_pass      http://app;
}
END


# The section "cloudevents": what has arrived, with "now" for a time that is
# now, and msg_* for the id that the answer has.

my (@all, @answered);

add_response_body_check(sub {
    my ($block, $body) = @_;

    push @answered, $1 if ($body // '') =~ /"messageId":"(msg_\w+)"/;
});

sub now_for_now {
    my ($event, $from) = @_;

    my ($y, $m, $d, $H, $M, $S, $ms) = $event =~
        /"time":"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z"/
        or return $event;

    # a table of times has dates that timegm() dies of, and no month 13

    my $time = eval { timegm($S, $M, $H, $d, $m - 1, $y) + $ms / 1000 } // 0;

    $event =~ s/("time":")[^"]+/$1now/
        if $time > $from - 1 && $time < time + 1;

    return $event;
}

my $from = time;

check_accum_error_log();

add_test_cleanup_handler(sub {
    my $block = shift;

    my $want = $block->cloudevents or return;
    my $name = $block->name;
    my @requests = $Jelou::Upstream->requests(scalar @$want);
    my @got      = map { $_->{body} } @requests;

    push @all, @got;

    my $headers = $block->event_headers // '';

    Jelou::check_headers("$name - event $_", $requests[$_]{head}, $headers)
        for 0 .. $#requests;

    if (defined(my $secret = $block->signed_with)) {
        my ($is) = $requests[0]{head} =~ /^X-Jelou-Signature: (.*?)\r$/m;
        is($is, sign($got[0], $secret), "$name - the signature");

        my ($event) = $requests[0]{head} =~ /^X-Event: (.*?)\r$/m;
        is($event, $got[0], "$name - \$jelou_event");
    }

    is(scalar @got, scalar @$want, "$name - how many events");

    for my $i (0 .. $#$want) {
        my $event = now_for_now($got[$i] // '', $from);

        if ($want->[$i] =~ /msg_\*/) {
            my $id = shift @answered // 'no id in the answer';
            $event =~ s/\Q$id\E/msg_*/g;
        }

        # a long one is told by its first difference

        is(length $event, length $want->[$i], "$name - event $i: length")
            if length $want->[$i] > 5000;
        is(substr($event, 0, 5000), substr($want->[$i], 0, 5000),
           "$name - event $i");
        ok($event eq $want->[$i], "$name - event $i: to its end");
    }
});


run_tests();


# What the library says

sub judge {
    my @events = @_;

    my $file = "$Jelou::Dir/cloudevents.events";

    open my $out, '>:raw', $file or die "$file: $!\n";
    print $out map { "$_\n" } @events;
    close $out or die "$file: $!\n";

    my @said = `node $judge <$file`;
    chomp @said;

    return ($? >> 8, @said);
}

my ($status, @said) = judge(@all);

cmp_ok(scalar @all, '>', 60, 'events of all blocks');
is(scalar @said, scalar @all, 'the library has judged each');
is($status, 0, 'its verdict');

for my $i (0 .. $#all) {
    is($said[$i], 'ok', "event $i of all is a CloudEvent")
        or diag(substr $all[$i], 0, 500);
}

# It is a judge that refuses.

my ($right) = grep { /"subject":"u-1"/ } @all;

my %wrong = (
    'no id'            => [qr/"id":"m-1",/, ''],
    'an empty id'      => [qr/"id":"m-1"/, '"id":""'],
    'a number as id'   => [qr/"id":"m-1"/, '"id":1'],
    'no source'        => [qr/"source":"[^"]*",/, ''],
    'an empty source'  => [qr/"source":"[^"]*"/, '"source":""'],
    'a space in it'    => [qr/"source":"/, '"source":"/a b'],
    'a bracket in it'  => [qr/"source":"/, '"source":"/a\u007b'],
    'a bare percent'   => [qr/"source":"/, '"source":"/a%zz'],
    'no type'          => [qr/"type":"[^"]*",/, ''],
    'an empty type'    => [qr/"type":"[^"]*"/, '"type":""'],
    'no specversion'   => [qr/"specversion":"1.0",/, ''],
    'another one'      => [qr/"specversion":"1.0"/, '"specversion":"0.2"'],
    'an empty subject' => [qr/"subject":"u-1"/, '"subject":""'],
    'a month 13'       => [qr/"time":"\d{4}-\d\d/, '"time":"2026-13'],
    'a number as time' => [qr/"time":"[^"]*"/, '"time":1776134278574'],
    'a local time'     => [qr/"time":"[^"]*"/, '"time":"2026-01-01T00:00:00"'],
    'another name'     => [qr/"partitionkey"/, '"partition_key"'],
    'no JSON'          => [qr/\}\z/, ''],
);

for my $name (sort keys %wrong) {
    my ($pattern, $text) = @{ $wrong{$name} };

    (my $event = $right) =~ s/$pattern/$text/ or die "$name: $right\n";

    my ($status, @said) = judge($right, $event);

    is($status, 1, "refused: $name") or diag("$event\n@said");
    is($said[0], 'ok', "but not before: $name");
}

is((judge())[0], 1, 'no event is no good one');


__DATA__

=== incoming_message
--- config eval: $main::Config
--- requests eval: requests(@Incoming)
--- reply eval: answers(@Incoming)
--- cloudevents eval: arrive(@Incoming)
--- event_headers
Content-Type: application/cloudevents+json
! X-Jelou-Signature
--- no_error_log
jelou:
jelou refused


=== message: its time is the timestamp
--- config eval: $main::Config
--- requests eval: requests(@Messages)
--- reply eval: answers(@Messages)
--- cloudevents eval: arrive(@Messages)
--- event_headers
Content-Type: application/cloudevents+json
! X-Jelou-Signature
--- no_error_log
jelou:
jelou refused


=== message: a time that RFC 3339 does not have
--- config eval: $main::Config
--- requests eval: requests(@Refused)
--- reply eval: answers(@Refused)
--- upstream: none
--- error_log
INVALID_EVENT: 1 violation, the first at "/timestamp"
--- no_error_log
[warn]


=== conversation.start and conversation.close: their id is the body's digest
--- config eval: $main::Config
--- requests eval: requests(@Conversations)
--- reply eval: answers(@Conversations)
--- cloudevents eval: arrive(@Conversations)
--- event_headers
Content-Type: application/cloudevents+json
! X-Jelou-Signature
--- no_error_log
jelou:
jelou refused


=== room_message: one event, whose id is all ids
--- config eval: $main::Config
--- requests eval: requests(@Rooms)
--- reply eval: answers(@Rooms)
--- cloudevents eval: arrive(@Rooms)
--- event_headers
Content-Type: application/cloudevents+json
--- no_error_log
jelou:
jelou refused


=== bot_message: the id is the answer's
--- config eval: $main::Config
--- requests eval: requests(@Bots)
--- reply eval: answers(@Bots)
--- cloudevents eval: arrive(@Bots)
--- event_headers
Content-Type: application/cloudevents+json
--- no_error_log
jelou:
jelou refused


=== the digest is the same with jelou_dedup, which needs it too
--- http_config
jelou_dedup_zone  zone=seen:1m;
--- config eval: "jelou_dedup  zone=seen;\n" . $Config =~ s/location \/v1\/bots.*//sr
--- requests eval: requests(@Conversations[0, 1, 0])
--- reply eval: answers(@Conversations[0, 1, 0])
--- raw_response_headers_like eval
[('Content-Type') x 2, 'Idempotent-Replayed: true']
--- cloudevents eval: arrive(@Conversations[0, 1])
--- no_error_log
jelou:
jelou refused


=== the type is the configured one, whatever characters it has
--- directives
jelou_format      cloudevents;
jelou_event_type  'a"bé';
--- raw_request eval: post($Type)
--- reply
accepted m-1
--- cloudevents eval
[cloud(id => '"m-1"', source => '/projects/p-1/rooms/r-1', subject => '"u-1"',
       type => "a\\\"b\xc3\xa9", key => '"r-1"',
       data => event(event_type => qq("a\\"b\xc3\xa9")))]
--- no_error_log
jelou:
jelou refused


=== a location's format wins, and leaves the content type alone
--- config
jelou_format  cloudevents;

location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_format    event;
    proxy_pass      http://app;
}
--- raw_request eval: post(event(), type => 'application/json; charset=utf-8')
--- reply
accepted m-1
--- upstream eval: event()
--- upstream_headers
Content-Type: application/json
--- no_error_log
jelou:
jelou refused


=== the content type's parameters do not go on
--- directives
jelou_format  cloudevents;
--- raw_request eval: post(event(), type => 'Application/JSON ; charset=utf-8')
--- reply
accepted m-1
--- cloudevents eval: [$Incoming[0]{event}]
--- event_headers
Content-Type: application/cloudevents+json
--- no_error_log
jelou:
jelou refused


=== the body is large and in a file, or chunked
--- directives
jelou_format             cloudevents;
client_body_buffer_size  1k;
--- requests eval
[post($Incoming[-2]{body}, keepalive => 1),
 post($Incoming[-2]{body}, chunked => 999)]
--- reply
accepted m-1
accepted m-1
--- cloudevents eval: [($Incoming[-2]{event}) x 2]
--- event_headers
Content-Type: application/cloudevents+json
--- no_error_log
jelou:
jelou refused


=== what FastCGI and variables have is the event's too
--- config
location = /v1/external-support/webhook {
    set $before "$content_type $content_length $request_body";

    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_format    cloudevents;
    fastcgi_pass    fastcgi;
    fastcgi_param   CONTENT_TYPE    $content_type;
    fastcgi_param   CONTENT_LENGTH  $content_length;
    fastcgi_param   REQUEST_METHOD  $request_method;
    fastcgi_param   SAME            $same;
}
--- http_config
map $jelou_event $same {
    volatile;
    default               no;
    "~^\{\"specversion"  yes;
}
--- raw_request eval: post(event())
--- reply
accepted m-1
--- cloudevents eval: [$Incoming[0]{event}]
--- event_headers eval
"CONTENT_TYPE: application/cloudevents+json\nSAME: yes\nCONTENT_LENGTH: "
. (length($Incoming[0]{event}) + length('2026-01-01T00:00:00.000Z') - 3)
--- no_error_log
jelou:
jelou refused


=== jelou_upstream_secret signs the CloudEvent
--- directives
jelou_format           cloudevents;
jelou_upstream_secret  "the-secret-of-the-application";
proxy_set_header       X-Event  $jelou_event;
--- raw_request eval: post(event())
--- reply
accepted m-1
--- cloudevents eval: [$Incoming[0]{event}]
--- signed_with: the-secret-of-the-application
--- no_error_log
jelou:
jelou refused
