# HTTP Basic authentication is nginx's own: its 401 is the contract's, and a
# signature is asked for only where there is a secret.

use strict;
use warnings;

use lib 't/lib';
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use MIME::Base64 qw(encode_base64);
use Jelou 'no_plan';
use Jelou::Cases;

our $uuid = '3fa85f64-5717-4562-b3fc-2c963f66afa6';

our $room = qq({"senderId":"s-1","messages":[{"id":"$uuid","type":"TEXT",)
            . '"text":"Hello"}]}';
our $bot  = '{"type":"text","userId":"u-1","text":"Hello"}';

our $room_event = '{"field":"messages","object":"message_event","event_type":'
    . '"room_message","room_id":"r-1","sender_id":"s-1","values":[{"id":'
    . qq("$uuid","type":"text","content":{"body":"Hello"}}]});
our $bot_event = '{"field":"messages","object":"message_event","event_type":'
    . '"bot_message","bot_id":"b-1","user_id":"u-1","value":{"id":"msg_*",'
    . '"type":"text","content":{"body":"Hello"}}}';

our $room_path = '/v1/rooms/r-1/message';
our $bot_path  = '/v1/bots/b-1/messages';


# "basic" is a block's two endpoints behind auth_basic, with more directives.
# The client is "client-id" with the password "client-secret".

add_block_preprocessor(sub {
    my $block = shift;

    defined $block->basic or return;

    my $basic = 'auth_basic "Jelou"; auth_basic_user_file'
                . ' $TEST_NGINX_SERVER_ROOT/html/clients;';

    my $more = $block->basic;

    $block->set_value(user_files =>
                      ">>> clients\nclient-id:{PLAIN}client-secret\n");
    $block->set_value(config => <<"END");
location /v1/rooms/ {
    jelou_endpoint  room_message;
    $basic
    $more
    proxy_pass      http://app;
}

location /v1/bots/ {
    jelou_endpoint  bot_message;
    $basic
    $more
    proxy_pass      http://app;
}
END
});


sub basic { return 'Authorization: Basic ' . encode_base64($_[0], '') }

our $right = basic('client-id:client-secret');


# rooms(OPTIONS, ...): requests to the one endpoint, bots() to the other; a
# string is the Authorization header

sub requests {
    my ($body, $path, $last, @all) = @_;

    return map {
        my %o = ref $all[$_] ? @{ $all[$_] }
              : (signature => undef, headers => [$all[$_] || ()]);

        post($body, path => $path, %o, keepalive => !$last || $_ < $#all)
    } 0 .. $#all;
}

sub rooms { return requests($room, $room_path, 0, @_) }
sub bots  { return requests($bot, $bot_path, 1, @_) }

our @wrong = (
    '', basic('client-id:client-secre'), basic('client-id:client-secrets'),
    basic('client-id:'), basic('client-id'), basic(':client-secret'),
    basic('Client-id:client-secret'), basic(''), 'Authorization: Basic',
    'Authorization: Basic !', 'Authorization: Bearer client-secret',
    'Authorization: client-id:client-secret', 'X-Authorization: ' . $right,
);

our $refused = '401 UNAUTHORIZED';
our $asks    = '(?m)^WWW-Authenticate: Basic realm="Jelou"\r?$';
our $signed  = '(?m)^WWW-Authenticate: X-Jelou-Signature realm="jelou"\r?$';
our $silent  = '(?mi)^WWW-Authenticate|leak';

# A header of the client's own, in all spellings, more than once

our @forged = map { ["X-Jelou-Signature: $_"], ["x-jelou-signature: $_"],
                    ["X-JELOU-SIGNATURE: $_", "X-Jelou-Signature: $_"],
                    ['A: b', "X-Jelou-Signature: $_", 'B: c'] }
              sign($room), 'sha256=' . '0' x 64, 'x', '';

run_tests();

__DATA__

=== no credentials
--- basic
--- raw_request eval
post($room, signature => undef, path => $room_path)
--- reply
401 UNAUTHORIZED
--- raw_response_headers_like eval
qr{\AHTTP/1\.1 401 Unauthorized\r
Server: [^\r]*\r
Date: [^\r]*\r
Content-Type: application/json\r
Content-Length: \d+\r
Connection: close\r
WWW-Authenticate: Basic realm="Jelou"\r?\n?\z}
--- upstream
none
--- log
--- error_log
no user/password was provided for basic authentication


=== credentials that are wrong
--- basic
--- requests eval
[rooms(@wrong), bots(@wrong)]
--- reply eval
"$refused\n" x (2 * @wrong)
--- raw_response_headers_like eval
[($asks) x (2 * @wrong)]
--- upstream
none
--- no_error_log
jelou refused
[crit]


=== credentials that are right
--- basic
--- requests eval
[rooms($right), bots($right)]
--- reply eval
"accepted-list $uuid\naccepted msg_*"
--- raw_response_headers_unlike eval
[($silent) x 2]
--- upstream eval
[$room_event, $bot_event]
--- log


=== wrong ones and right ones on one connection
--- basic
--- requests eval
[rooms($wrong[0], $right, $wrong[1], $right), bots($wrong[2], $right)]
--- reply eval
"$refused\naccepted-list $uuid\n" x 2 . "$refused\naccepted msg_*\n"
--- raw_response_headers_like eval
[($asks, '') x 3]
--- raw_response_headers_unlike eval
[('leak', $silent) x 3]
--- upstream eval
[$room_event, $room_event, $bot_event]


=== they come before all else
--- basic
--- requests eval
[
    post('{', path => $room_path, method => 'PUT', keepalive => 1),
    post('{}', path => $room_path, type => undef, keepalive => 1),
    post('{}', path => '/v1/rooms/', keepalive => 1),
    post($room, path => '/v1/rooms/%0A/message'),
]
--- reply eval
"$refused\n" x 4
--- raw_response_headers_like eval
[($asks) x 4]
--- upstream
none
--- log


=== and all else comes after them
--- basic
--- requests eval
[
    post('{', path => $room_path, method => 'PUT', keepalive => 1,
         headers => [$right]),
    post('{', path => $room_path, type => undef, keepalive => 1,
         headers => [$right]),
    post('{}', path => '/v1/rooms/', keepalive => 1, headers => [$right]),
    post('{}', path => $room_path, headers => [$right]),
]
--- reply
405 METHOD_NOT_ALLOWED
415 UNSUPPORTED_MEDIA_TYPE
404 NOT_FOUND
422 INVALID_EVENT /senderId /messages
--- raw_response_headers_unlike eval
[($silent) x 4]
--- upstream
none
--- log
[info] jelou refused a request: METHOD_NOT_ALLOWED
[info] jelou refused a request: UNSUPPORTED_MEDIA_TYPE
[info] jelou refused a request: NOT_FOUND
[info] jelou refused a request: INVALID_EVENT: 2 violations, the first at "/senderId": is required


=== a large body without credentials, slowly, and another request after it
--- basic
    client_max_body_size  1m;
    client_body_buffer_size  1k;
--- requests eval
[
    post('x' x 200_000, signature => undef, path => $room_path,
         keepalive => 1),
    post('x' x 200_000, signature => undef, path => $bot_path, chunked => 4000,
         keepalive => 1),
    bots($right),
]
--- reply eval
"$refused\n$refused\naccepted msg_*"
--- upstream eval
$bot_event


=== auth_basic off leaves the endpoint open
--- config
    auth_basic            "Jelou";
    auth_basic_user_file  $TEST_NGINX_SERVER_ROOT/html/clients;

    location /v1/rooms/ {
        jelou_endpoint  room_message;
        proxy_pass      http://app;
    }

    location /v1/bots/ {
        jelou_endpoint  bot_message;
        auth_basic      off;
        proxy_pass      http://app;
    }
--- user_files
>>> clients
client-id:{PLAIN}client-secret
--- requests eval
[rooms('', $right), bots('')]
--- reply eval
"$refused\naccepted-list $uuid\naccepted msg_*"
--- upstream eval
[$room_event, $bot_event]
--- log


=== the upstream's own 401 is a rejection
--- basic
--- upstream_answer
401
WWW-Authenticate: Basic realm="leak"
--- requests eval
[rooms($right), bots($right)]
--- reply eval
"401 UPSTREAM_REJECTED\n" x 2
--- raw_response_headers_unlike eval
[($silent) x 2]
--- log
[info] jelou: UPSTREAM_REJECTED: status 401 from the content handler while sending to client
[info] jelou: UPSTREAM_REJECTED: status 401 from the content handler while sending to client


=== with a secret a signature is required as well
--- basic
    jelou_secret  "$TEST_NGINX_SECRET";
--- requests eval
[map { ($_->(
    $right,
    [headers => [$right], secret => 'another'],
    [headers => [$right], signature => 'sha256=0'],
    [headers => [$right], signature => [sign($room), sign($bot)]],
    [signature => undef], [], [secret => 'another'],
    [headers => [$right]],
)) } \&rooms, \&bots]
--- reply eval
my $refusals = <<'END';
401 SIGNATURE_MISSING
401 SIGNATURE_MISMATCH
401 SIGNATURE_MALFORMED
401 SIGNATURE_MALFORMED
401 UNAUTHORIZED
401 UNAUTHORIZED
401 UNAUTHORIZED
END
"${refusals}accepted-list $uuid\n${refusals}accepted msg_*"
--- raw_response_headers_like eval
[(($signed) x 4, ($asks) x 3, '') x 2]
--- raw_response_headers_unlike eval
[(('(?i)Basic|leak') x 4, ('leak') x 3, $silent) x 2]
--- upstream eval
[$room_event, $bot_event]
--- upstream_headers
! X-Jelou-Signature
--- log eval
"[warn] jelou refused a request: SIGNATURE_MISSING
[warn] jelou refused a request: SIGNATURE_MISMATCH
[warn] jelou refused a request: SIGNATURE_MALFORMED
[warn] jelou refused a request: SIGNATURE_MALFORMED
" x 2


=== with a secret, without Basic authentication
--- config
    jelou_secret  "$TEST_NGINX_SECRET";

    location /v1/rooms/ {
        jelou_endpoint  room_message;
        proxy_pass      http://app;
    }

    location /v1/bots/ {
        jelou_endpoint  bot_message;
        proxy_pass      http://app;
    }
--- requests eval
[rooms('', []), bots('', [secret => 'another'], [])]
--- reply eval
"401 SIGNATURE_MISSING\naccepted-list $uuid\n401 SIGNATURE_MISSING\n"
. "401 SIGNATURE_MISMATCH\naccepted msg_*"
--- upstream eval
[$room_event, $bot_event]
--- upstream_headers
! X-Jelou-Signature
--- log
[warn] jelou refused a request: SIGNATURE_MISSING
[warn] jelou refused a request: SIGNATURE_MISSING
[warn] jelou refused a request: SIGNATURE_MISMATCH


=== without a secret a client's signature goes no further
--- basic
--- requests eval
[
    (map { rooms([signature => undef, headers => [$right, @$_]]) } @forged),
    bots(map { [signature => undef, headers => [@$_, $right]] } @forged)
]
--- reply eval
"accepted-list $uuid\n" x @forged . "accepted msg_*\n" x @forged
--- upstream eval
[($room_event) x @forged, ($bot_event) x @forged]
--- upstream_headers
! X-Jelou-Signature
--- upstream_head_unlike
(?i)signature|sha256
--- log


=== nor does it with jelou_format cloudevents
--- basic
    jelou_format  cloudevents;
--- requests eval
[
    (map { rooms([signature => undef, headers => [$right, @$_]]) } @forged),
    bots(map { [signature => undef, headers => [@$_, $right]] } @forged)
]
--- reply eval
"accepted-list $uuid\n" x @forged . "accepted msg_*\n" x @forged
--- upstream_headers
! X-Jelou-Signature
Content-Type: application/cloudevents+json
--- log


=== nor to an upstream of another protocol
--- config
    location /v1/rooms/ {
        jelou_endpoint  room_message;
        fastcgi_pass    fastcgi;
    }
--- requests eval
[map { post($room, path => $room_path, signature => undef, headers => $_,
            keepalive => $_ != $forged[-1]) } @forged]
--- reply eval
"accepted-list $uuid\n" x @forged
--- upstream eval
[($room_event) x @forged]
--- upstream_head_unlike
(?i)signature|sha256
--- log
