# No value of a request gets a line break or a NUL into a header, whatever
# variable it is in: it is refused, or it is harmless.  All variables are in
# headers to the upstream and in headers of the answer, and every line of what
# arrives is accounted for.

use strict;
use warnings;

use lib 't/lib';
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use JSON::PP ();
use Jelou 'no_plan';
use Jelou::Cases;
use Test::More ();

our %variable = map { my $name = 'X-' . join '-', map { ucfirst } split /_/;
                      ($name => "\$jelou_$_") }
    qw(event_type project_id room_id bot_id user_id message_id message_type
       timestamp event result secret_id);

our $headers = join '', map {
    "proxy_set_header $_ $variable{$_}; add_header $_ $variable{$_} always;\n"
} sort keys %variable;

our $uuid = '3fa85f64-5717-4562-b3fc-2c963f66afa6';

my @fixed = ('/field' => '"messages"', '/object' => '"message_event"');
my @value = ('/value/id' => '"m-1"', '/value/type' => '"text"',
             '/value/content/body' => '"Hello"');
my @text  = ('X-Message-Type' => 'text');

# What a request has of each kind: "ids", the header that each identifier is
# in, or ''; "texts", which may be any string; "others", which are neither; and
# "headers", all that are there.

our %kind = (
    incoming_message => {
        path => '/incoming', secret => 1,
        body => template(@fixed, '/event_type' => '"incoming_message"',
                         '/project_id' => '"p-1"', '/room_id' => '"r-1"',
                         '/bot_id' => '"b-1"', '/user_id' => '"u-1"', @value),
        ids => { '/project_id' => 'X-Project-Id', '/room_id' => 'X-Room-Id',
                 '/bot_id' => 'X-Bot-Id', '/user_id' => 'X-User-Id',
                 '/value/id' => 'X-Message-Id' },
        others  => [qw(/field /object /event_type /value/type)],
        texts   => [qw(/value/content/body /x)],
        headers => { @text, 'X-Event-Type' => 'incoming_message',
                     'X-Project-Id' => 'p-1', 'X-Room-Id' => 'r-1',
                     'X-Bot-Id' => 'b-1', 'X-User-Id' => 'u-1',
                     'X-Message-Id' => 'm-1' },
    },

    message => {
        path => '/message', secret => 1,
        body => template(@fixed, '/event_type' => '"message"',
                         '/timestamp' => 1776134278574,
                         '/project_id' => '"p-1"', '/room_id' => '"r-1"',
                         '/contact/id' => '"u-1"', '/conversation/id' =>
                         '"c-1"', '/bot/id' => '"b-1"', @value),
        ids => { '/project_id' => 'X-Project-Id', '/room_id' => 'X-Room-Id',
                 '/bot/id' => 'X-Bot-Id', '/contact/id' => 'X-User-Id',
                 '/conversation/id' => '', '/value/id' => 'X-Message-Id' },
        others  => [qw(/field /object /event_type /timestamp /value/type)],
        texts   => [qw(/value/content/body /contact/name /bot/name /x)],
        headers => { @text, 'X-Event-Type' => 'message',
                     'X-Timestamp' => '1776134278574',
                     'X-Project-Id' => 'p-1', 'X-Room-Id' => 'r-1',
                     'X-Bot-Id' => 'b-1', 'X-User-Id' => 'u-1',
                     'X-Message-Id' => 'm-1' },
    },

    # Of its other members some have the places of a message's identifiers.

    conversation => {
        path => '/message', secret => 1,
        body => template('/event' => '"conversation.start"',
                         '/timestamp' => 1776134278574,
                         '/project_id' => '"p-1"'),
        ids     => { '/project_id' => 'X-Project-Id' },
        others  => [qw(/event /timestamp)],
        texts   => [qw(/room_id /contact/id /contact/name /bot/id /bot/name
                       /conversation/id /value/id /value/type /user_id /field
                       /value/content/body /x)],
        headers => { 'X-Event-Type' => 'conversation.start',
                     'X-Timestamp' => '1776134278574',
                     'X-Project-Id' => 'p-1' },
    },

    room_message => {
        path => '/v1/rooms/r-1/message',
        body => template('/senderId' => '"u-1"',
                         '/messages/0/id' => qq("$uuid"),
                         '/messages/0/type' => '"TEXT"',
                         '/messages/0/text' => '"Hello"'),
        ids     => { '/senderId' => 'X-User-Id' },
        segment => 'X-Room-Id',
        others  => [qw(/messages/0/id /messages/0/type)],
        texts   => [qw(/messages/0/text /messages/0/x /room_id)],
        headers => { @text, 'X-Event-Type' => 'room_message',
                     'X-Room-Id' => 'r-1', 'X-User-Id' => 'u-1',
                     'X-Message-Id' => $uuid },
    },

    bot_message => {
        path => '/v1/bots/b-1/messages',
        body => template('/type' => '"text"', '/userId' => '"u-1"',
                         '/text' => '"Hello"', '/options/0/id' => '"o-1"',
                         '/options/0/title' => '"One"'),
        ids     => { '/userId' => 'X-User-Id', '/options/0/id' => '' },
        segment => 'X-Bot-Id',
        others  => [qw(/type /botId)],
        texts   => [qw(/text /title /options/0/title /options/0/description
                       /buttonText/text /buttonText/type /x)],
        headers => { 'X-Event-Type' => 'bot_message', 'X-Bot-Id' => 'b-1',
                     'X-User-Id' => 'u-1', 'X-Message-Id' => 'msg_*',
                     'X-Message-Type' => 'list' },
    },
);

# As they stand in a JSON string: escaped control characters; bare ones; and
# what only looks like them.

our @escaped = (
    '\\r\\nEvil: 1', 'a\\nEvil: 1', 'a\\rEvil: 1', '\\u000d\\u000aEvil: 1',
    'a\\u000D\\u000AEvil: 1\\u000d\\u000a', '\\u0000', 'a\\u0000', 'a\\n',
    '\\r', 'a\\tb', 'a\\u001fb', 'a\\u007fb', '\\n\\nGET / HTTP/1.1', '\\u0085',
    "a\xc2\x85Evil: 1", 'a\\u009b2J',
);

our @bare = ("a\r\nEvil: 1", "a\nEvil: 1", "a\rEvil: 1", "a\0", "\n", "a\x1f");

our @harmless = (
    '\\\\r\\\\n', '\\u005cr\\u005cn', '%0d%0a', '\\u010d\\u010a',
    '\\u560d\\u560a', '\\ud83d\\ude0d', 'x\\u2028',
    "\xe2\x80\xa9x", ': 1', '\\"\\u0022', '&#13;&#10;', "\xc4\x8d\xc4\x8a",
);

# In the path, where %00 is nginx's affair.

our @segments = ('%0D%0AEvil:%201', 'a%0aEvil:1', 'a%0DEvil', '%0a', 'a%1Fb',
                 'a%7f', '%C3%0A', '%C0%8A', '%C2%85', 'a%C2%9B');

our %harmless_segments = (
    '%250d%250a' => '%0d%0a', '%5Cr%5Cn' => '\\r\\n',
    'a%E2%80%A8' => "a\xe2\x80\xa8", '%C4%8D%C4%8A' => "\xc4\x8d\xc4\x8a",
    ':%201' => ': 1', '%22' => '"',
);


sub decoded {
    my $text = JSON::PP->new->utf8->decode(qq(["$_[0]"]))->[0];

    utf8::encode($text);
    return $text;
}


# attacks(KIND): { body, path, reply, headers }, of which those with headers are
# accepted

sub attacks {
    my $kind = shift;

    my $k = $kind{$kind};
    my ($body, $all) = @$k{qw(body headers)};

    my $case = sub {
        my ($at, $text, $reply, %more) = @_;

        my %c = (path => $k->{path}, reply => $reply, secret => $k->{secret},
                 body => $body->(defined $at ? ($at => qq("$text")) : ()),
                 %more);

        $c{headers} = { %$all, %{ $c{headers} // {} } } if $reply eq '200';
        return \%c;
    };

    return (
        map({
            my ($at, $header) = ($_, $k->{ids}{$_});

            map({ $case->($at, $_, "422 INVALID_EVENT $at") } @escaped),
            map({ $case->($at, $_, 200, headers =>
                          $header ? { $header => decoded($_) } : {}) }
                @harmless),
        } sort keys %{ $k->{ids} }),

        map({ my $at = $_;
              my $is = $at eq '/event' ? 'conversation.' : '';
              map({ $case->($at, "$is$_", "422 INVALID_EVENT $at") } @escaped)
            } @{ $k->{others} }),

        map({ my $at = $_;
              map({ $case->($at, "a$_", 200) }
                  '\\r\\nEvil: 1', '\\nEvil: 1', '\\u000d\\u000aEvil',
                  '\\u0000Evil', '\\ud800')
            } @{ $k->{texts} }),

        map({ my $at = $_;
              map({ $case->($at, $_, '400 INVALID_JSON') } @bare)
            } sort(keys %{ $k->{ids} }), @{ $k->{others} }, @{ $k->{texts} }),

        $k->{segment} ? (
            map({ $case->(undef, undef, '404 NOT_FOUND',
                          path => $k->{path} =~ s/\w-1/$_/r) } @segments),
            map({ $case->(undef, undef, 200,
                          path => $k->{path} =~ s/\w-1/$_/r,
                          headers => { $k->{segment} =>
                                       $harmless_segments{$_} }) }
                sort keys %harmless_segments),
        ) : (),

        # line breaks between the members are nothing but white space

        map({ my $break = $_;
              $case->(undef, undef, 200, body => $body->()
                      =~ s/([{,:])/$break$1$break/gr) }
            "\r\n", "\n", "\r", "\r\n\r\n"),
    );
}


add_block_preprocessor(sub {
    my $block = shift;

    my $format = $block->format // 'event';
    $format =~ s/\s+//g;

    my $secret = 'jelou_secret "$TEST_NGINX_SECRET";';

    $block->set_value(config => <<"END");
jelou_format  $format;
$headers

location = /incoming {
    jelou_endpoint  incoming_message;
    $secret
    proxy_pass      http://app;
}

location = /message {
    jelou_endpoint  message;
    $secret
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

    my $kind = $block->kind or return;
    my @all  = attacks($kind =~ s/\s+//gr);

    # what is refused is refused before there is a format

    @all = grep { $_->{headers} } @all if $format ne 'event';

    $block->set_value(all => \@all);
    $block->set_value(reply => join "\n", map { $_->{reply} } @all);
    $block->set_value(no_error_log => qr/\[(?:warn|error|crit)\]|\r|^Evil/m);
    $block->set_value(raw_response_headers_unlike =>
                      [('(?mi)^Evil|[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]') x @all]);

    $block->set_value(requests => [map {
        my $c = $all[$_];
        post($c->{body}, path => $c->{path}, keepalive => $_ < $#all,
             $c->{secret} ? () : (signature => undef))
    } 0 .. $#all]);
});


# lines(HEAD): its header lines, but those which every request has, once each

# Before 1.29.7, nginx's default is HTTP/1.0 and "Connection: close".

sub lines {
    my $head = shift;

    return "not one request: $head"
        if $head !~ s{\APOST /\S+ HTTP/1\.([01])\r\n}{};

    for my $name (qw(Host Content-Length Content-Type),
                  $1 eq '0' ? 'Connection' : ())
    {
        return "no $name" if $head !~ s/^$name: [\w.+\/]+\r\n//m;
    }

    return join '', sort map { "$_\n" } split /\r\n/, $head, -1;
}

add_test_cleanup_handler(sub {
    my $block = shift;

    my $all    = $block->all or return;
    my @want   = grep { $_->{headers} } @$all;
    my @got    = $Jelou::Upstream->requests(scalar @want);
    my $format = $block->format // 'event';
    my $name   = $block->name;

    Test::More::is(scalar @got, scalar @want, "$name - events");

    for my $i (0 .. $#got) {
        my ($head, $body) = @{ $got[$i] }{qw(head body)};
        my ($length) = $head =~ /^Content-Length: (\d+)\r$/m;
        my $c = $want[$i] // last;

        my %h = (%{ $c->{headers} }, 'X-Result' => 'accepted');
        my ($event) = $head =~ /^X-Event: (.*)\r\n/m;

        $h{'X-Event'} = $event // 'none';
        $h{'X-Secret-Id'} = '1' if $c->{secret};
        $h{'X-Jelou-Signature'} = sign($c->{body})
            if $c->{secret} && $format =~ /raw/;

        # The event's header is the body on one line.

        my $same = same_json($event // '', $body) && $event !~ /[\x00-\x1f]/
                   && ($format =~ /raw/ || $event eq $body);

        $head =~ s/^X-Message-Id: \Kmsg_[0-9a-f]{32}\r/msg_*\r/m;

        my $bad = lines($head) ne "\n" . join('', sort map { "$_: $h{$_}\n" }
                                              keys %h) ? 'the head'
            : $length != length $body ? 'the length'
            : !$same ? 'the event' : '';

        Test::More::is($bad, '', "$name - event $i")
            or Test::More::diag("the request: $c->{body}\n$head");
    }
});

sub same_json {
    my $json = JSON::PP->new->canonical->allow_nonref;

    my ($one, $other) = map {
        # lone surrogates are not for this parser
        my $text = s/\\ud800/lone/gr;
        eval { $json->encode($json->decode($text)) }
    } @_;

    return defined $one && defined $other && $one eq $other;
}

run_tests();

__DATA__

=== incoming_message
--- kind: incoming_message

=== incoming_message, cloudevents
--- kind: incoming_message
--- format: cloudevents

=== incoming_message, raw
--- kind: incoming_message
--- format: raw

=== message
--- kind: message

=== message, cloudevents
--- kind: message
--- format: cloudevents

=== message, raw
--- kind: message
--- format: raw

=== conversation.start
--- kind: conversation

=== conversation.start, cloudevents
--- kind: conversation
--- format: cloudevents

=== conversation.start, raw
--- kind: conversation
--- format: raw

=== room_message
--- kind: room_message

=== room_message, cloudevents
--- kind: room_message
--- format: cloudevents

=== room_message, raw
--- kind: room_message
--- format: raw

=== bot_message
--- kind: bot_message

=== bot_message, cloudevents
--- kind: bot_message
--- format: cloudevents

=== bot_message, raw
--- kind: bot_message
--- format: raw


=== %00 in the path
--- raw_request eval
post($kind{room_message}{body}->(), path => '/v1/rooms/a%00b/message')
--- reply
400
--- upstream
none
--- no_error_log
jelou


=== NUL in the path
--- raw_request eval
post($kind{room_message}{body}->(), path => "/v1/rooms/a\0b/message")
--- reply
400
--- upstream
none
--- no_error_log
jelou


=== CR and LF in the path
--- raw_request eval
post($kind{room_message}{body}->(),
     path => "/v1/rooms/a\r\nEvil: 1/message")
--- ignore_response
--- error_log
client sent invalid method in HTTP/0.9 request
--- upstream
none
--- no_error_log
jelou


=== LF in the path
--- raw_request eval
post($kind{bot_message}{body}->(),
     path => "/v1/bots/a\nEvil: 1/messages")
--- ignore_response
--- error_log
client sent invalid method in HTTP/0.9 request
--- upstream
none
--- no_error_log
jelou


=== CR in the path
--- raw_request eval
post($kind{bot_message}{body}->(), path => "/v1/bots/a\rEvil/messages")
--- reply
400
--- upstream
none
--- no_error_log
jelou
