# The $jelou_ variables, in headers for the upstream and in the access log.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.003 }

use Jelou 'no_plan';

check_accum_error_log();

# "access" is all that an access log of the variables has, one line for each
# request, in the order of @names.  Such a log is where FORMAT stands.

our @names = qw(event_type project_id room_id bot_id user_id message_id
                message_type timestamp event result);

my $access_log = "$ENV{TEST_NGINX_SERVROOT}/logs/variables.log";

add_block_preprocessor(sub {
    my $block = shift;

    my $format = join '|', map { "\$jelou_$_" } @names;
    my $config = $block->http_config // return;

    $config =~ s{^FORMAT}{log_format variables escape=none '$format';
                          access_log $access_log variables;}m;

    $block->set_value(http_config => $config);
});

add_test_cleanup_handler(sub {
    my $block = shift;

    my $want = $block->access // return;

    # A request with a mirror is logged when that has ended, too.

    my $got = '';

    for (1 .. 100) {
        open my $in, '<', $access_log or die "$access_log: $!\n";
        $got = join '', <$in>;
        last if length $got >= length $want;
        select undef, undef, undef, 0.02;
    }

    is($got, $want, $block->name . ' - access log');
});

# What a block's answers and its access log have for each event

our $in_raw   = " \n" . event() . "\n";
our $values   = 'incoming_message|p-1|r-1|b-1|u-1|m-1|text|';
our $accepted = "$values|" . event() . "|accepted\n";
our @keep     = (keepalive => 1);

# Members whose values are written otherwise than they are, and these values

our %escaped = (
    project_id => '"p\\u002d\\"1\\""',       room_id => "\"r-\xc3\xa9\\u00e9\"",
    bot_id     => '"\\/\\\\\\u005c"',        user_id => '"\\ud83d\\udcac|%20$x"',
    id         => '"\\u006d-1 ; \\u007e"', type => '"\\u0074ext"',
);

our %decoded = (
    project_id => 'p-"1"', room_id => "r-\xc3\xa9\xc3\xa9", bot_id => '/\\\\',
    user_id    => "\xf0\x9f\x92\xac|%20\$x", message_id => 'm-1 ; ~',
    message_type => 'text',
);

# The variables as headers for the upstream

sub headers_of(@) {
    return join '', map { my $name = tr/_/-/r;
                          qq(proxy_set_header X-$name "<\$jelou_$_>";\n) } @_;
}

# The lines of requests of which nothing is said but the result

sub only(@) { return join '', map { '|' x 9 . "$_\n" } @_ }

# Media messages, whose event_type is "of-my-own"

our @media = map {
    event(type => qq("$_"), event_type => '"of-my-own"',
          content => '{"url":"https://a.b/c","mime_type":"a/b"}')
} qw(image video audio document);

our $no_text = $media[2] =~ s/of-my-own/incoming_message/r;

# The same value for all members that are identifiers

sub ids($) { return map { $_ => qq("$_[0]") } qw(project_id room_id bot_id user_id id) }

run_tests();

__DATA__

=== headers for the upstream
--- directives eval
headers_of(@names)
--- requests eval
[post($in_raw, @keep), post($in_raw)]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[event(), event()]
--- upstream_headers eval
my $event = event();
<<"END"
X-event-type: <incoming_message>
X-project-id: <p-1>
X-room-id: <r-1>
X-bot-id: <b-1>
X-user-id: <u-1>
X-message-id: <m-1>
X-message-type: <text>
X-timestamp: <>
X-event: <$event>
X-result: <accepted>
END


=== the access log
--- http_config
FORMAT
--- requests eval
[post($in_raw, @keep), post($in_raw, chunked => 20)]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[event(), event()]
--- access eval
$accepted x 2


=== decoded values
--- http_config
FORMAT
--- directives eval
headers_of(grep { $_ ne 'event' } @names)
--- raw_request eval
post(event(%escaped))
--- reply eval
'accepted ' . substr $escaped{id}, 1, -1
--- upstream eval
event(%escaped, type => '"text"')
--- upstream_headers eval
join "\n", 'X-event-type: <incoming_message>',
    map { "X-" . tr/_/-/r . ": <$decoded{$_}>" } sort keys %decoded
--- access eval
join '|', 'incoming_message',
    @decoded{qw(project_id room_id bot_id user_id message_id message_type)}, '',
    event(%escaped, type => '"text"'), "accepted\n"


=== the longest values
--- http_config
FORMAT
--- requests eval
our @ids = ('x' x 256, '\\u00e9' x 128);
[post(event(ids($ids[0])), @keep), post(event(ids($ids[1])))]
--- reply eval
"accepted $ids[0]\naccepted $ids[1]"
--- upstream eval
[map { event(ids($_)) } @ids]
--- access eval
join '', map {
    join '|', 'incoming_message', (s/\\u00e9/\xc3\xa9/gr) x 5, 'text', '',
         event(ids($_)), "accepted\n"
} @ids


=== every message type, with values of the configuration
--- http_config
FORMAT
jelou_event_type  of-my-own;
--- requests eval
[(map { post($_, @keep) } @media), post($media[0])]
--- reply eval
join "\n", ('accepted m-1') x 5
--- upstream eval
[@media, $media[0]]
--- access eval
join '', map {
    my ($type) = /"type":"(\w+)"/;
    "of-my-own|p-1|r-1|b-1|u-1|m-1|$type||$_|accepted\n"
} @media, $media[0]


=== raw: the event is what was forwarded, without the white space between tokens
--- http_config
FORMAT
jelou_format  raw;
--- requests eval
[post($in_raw, @keep), post($in_raw, chunked => 9)]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[$in_raw, $in_raw]
--- access eval
join '', ("$values|" . event() . "|accepted\n") x 2


=== large events, in memory and in a file
--- http_config
FORMAT
client_body_buffer_size  1k;
--- requests eval
our $large = event(content => '{"body":"' . 'x' x 100_000 . '"}');
[post("$large\n", @keep), post(" $large", chunked => 10_000)]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[$large, $large]
--- access eval
"$values|$large|accepted\n" x 2


=== without a content handler
--- http_config
FORMAT
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
}
--- raw_request eval
post($in_raw)
--- reply
accepted m-1
--- access eval
$accepted


=== nothing of a refused request is said but why
--- http_config
FORMAT
--- directives
client_max_body_size  1k;
jelou_types           text;
--- requests eval
[post('', method => 'GET', @keep),
 post(event(), signature => undef, @keep),
 post(event(), signature => 'sha256=', @keep),
 post(event(), secret => 'another', @keep),
 post(event(), type => 'text/plain', @keep),
 post(event() . 'x', @keep),
 post(event(id => undef), @keep),
 post($no_text, @keep),
 post(event() . ' ' x 1024)]
--- reply
405 METHOD_NOT_ALLOWED
401 SIGNATURE_MISSING
401 SIGNATURE_MALFORMED
401 SIGNATURE_MISMATCH
415 UNSUPPORTED_MEDIA_TYPE
400 INVALID_JSON
422 INVALID_EVENT /value/id
422 TYPE_NOT_ALLOWED
413 PAYLOAD_TOO_LARGE
--- upstream
none
--- access eval
only(qw(method_not_allowed signature_missing signature_malformed
        signature_mismatch unsupported_media_type invalid_json invalid_event
        type_not_allowed payload_too_large))


=== refusals of nginx itself
--- http_config
FORMAT
limit_req_zone  $server_name zone=one:1m rate=1r/m;
--- config
jelou_secret    $TEST_NGINX_SECRET;

location = /deny {
    jelou_endpoint  incoming_message;
    deny            all;
}
location = /basic {
    jelou_endpoint        incoming_message;
    auth_basic            realm;
    auth_basic_user_file  $TEST_NGINX_SERVROOT/html/none;
}
location = /limit {
    jelou_endpoint    incoming_message;
    limit_req         zone=one;
    limit_req_status  429;
    proxy_pass        http://app;
}
location = /limit-503 {
    jelou_endpoint  incoming_message;
    limit_req       zone=one;
}
location = /teapot {
    jelou_endpoint  incoming_message;
    return          418;
}
location = /mine {
    jelou_endpoint  incoming_message;
    return          200 mine;
}
--- requests eval
[map { post($in_raw, path => $_, keepalive => $_ ne '/mine') }
 qw(/deny /basic /limit /limit /limit-503 /teapot /mine)]
--- reply
403 FORBIDDEN
401 UNAUTHORIZED
accepted m-1
429 TOO_MANY_REQUESTS
500 INTERNAL_ERROR
418 REQUEST_REFUSED
200
--- upstream eval
event()
--- access eval
only(qw(forbidden unauthorized)) . $accepted
. only(qw(too_many_requests internal_error request_refused), '')


=== outcomes at the upstream
--- http_config
FORMAT
--- directives
proxy_read_timeout  200ms;
--- requests eval
[map { post($in_raw, keepalive => $_ < 6) } 1 .. 6]
--- upstream_answer eval
[404, 500, 301, 'close', 'hang', 204]
--- reply
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
accepted m-1
--- upstream eval
[(event()) x 6]
--- access eval
join '', map { $accepted =~ s/accepted/$_/r }
              'upstream_rejected', ('upstream_failed') x 4, 'accepted'


=== jelou_reply upstream
--- http_config
FORMAT
--- directives
jelou_reply  upstream;
--- requests eval
[post($in_raw, @keep), post($in_raw)]
--- upstream_answer eval
[201, 429]
--- reply
201
429 UPSTREAM_REJECTED
--- upstream eval
[event(), event()]
--- access eval
$accepted . $accepted =~ s/accepted/upstream_rejected/r


=== after an internal redirect, in a page and in a backup
--- http_config
FORMAT
--- config
jelou_secret  $TEST_NGINX_SECRET;

location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    proxy_pass      http://down;
    error_page      502 = @backup;
    error_page      401 422 = /page;
}
location @backup {
    proxy_set_header  X-Id $jelou_message_id;
    proxy_set_header  X-Result $jelou_result;
    proxy_pass        http://app;
}
location = /page {
    return  200 "$jelou_result <$jelou_message_id$jelou_project_id$jelou_event>";
}
--- requests eval
[post($in_raw, @keep), post($in_raw, secret => 'another', @keep), post(event(id => undef))]
--- reply
200
200
200
--- response_body_like eval
['upstream', '^signature_mismatch <>$', '^invalid_event <>$']
--- upstream eval
event()
--- upstream_headers
X-Id: m-1
X-Result: upstream_failed
--- access eval
$accepted =~ s/accepted/upstream_failed/r . only(qw(signature_mismatch invalid_event))
--- error_log
Connection refused


=== not there before the signature has been verified
--- http_config
FORMAT
limit_req_zone  $jelou_project_id$jelou_message_id zone=one:1m rate=1r/m;
map $jelou_project_id $key {
    p-1  $TEST_NGINX_SECRET;
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint    incoming_message;
    jelou_secret      "$key$jelou_message_id$jelou_event$jelou_result";
    limit_req         zone=one;
    set               $early "<$jelou_room_id$jelou_event_type$jelou_event$jelou_result>";
    proxy_set_header  X-Early $early;
    proxy_pass        http://app;
}
--- requests eval
[post($in_raw, @keep), post($in_raw, @keep), post(event(project_id => '"p-2"'))]
--- reply
accepted m-1
accepted m-1
401 SIGNATURE_MISMATCH
--- upstream eval
[event(), event()]
--- upstream_headers
X-Early: <>
--- access eval
$accepted x 2 . only('signature_mismatch')


=== not there in a location that is no endpoint
--- http_config
FORMAT
--- config
location / {
    return  200 "<$jelou_event_type$jelou_project_id$jelou_room_id$jelou_event$jelou_result>";
}
--- raw_request eval
post($in_raw)
--- reply
200
--- response_body eval
'<>'
--- access eval
only('')


=== in a subrequest they are those of the request
--- http_config
FORMAT
--- config
location = /v1/external-support/webhook {
    jelou_endpoint   incoming_message;
    jelou_secret     $TEST_NGINX_SECRET;
    mirror           /mirror;
}
location = /mirror {
    internal;
    proxy_set_header  X-Id "<$jelou_message_id>";
    proxy_pass        http://app;
}
--- raw_request eval
post($in_raw)
--- reply
accepted m-1
--- upstream eval
[$in_raw]
--- upstream_headers
X-Id: <m-1>
--- access eval
$accepted


