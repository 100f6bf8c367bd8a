# Content handlers other than proxy_pass: each gets the event and what belongs
# to it, and nothing that was refused.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.003 }

use Jelou 'no_plan';

check_accum_error_log();

# A block's "log" is all that the module has logged, in order, and without a
# "log" it is nothing.

add_test_cleanup_handler(sub {
    my $block = shift;

    open my $in, '<', $Test::Nginx::Util::ErrLogFile or die $!;

    my $log = join '', map {
        /(\[\w+\]) \S+ \*\d+ (jelou.*?)(?: while [^,]+)?, client/ ? "$1 $2\n" : ()
    } <$in>;

    is($log, $block->log // '', $block->name . ' - log');
});


our $length = length event();
our $large  = event(content => '{"body":"' . 'x' x 300_000 . '"}');
our $in_raw = " \n" . event() . "\n";

# The same for each protocol that has parameters

my $blocks = <<'END';

=== PROTOCOL: the event and its parameters
--- http_config
map $uri $shown {
    /large   "";
    /file    "";
    default  $request_body;
}
--- config
CONFIG
--- requests eval
[post($in_raw, headers => ['X-Other: kept'], keepalive => 1),
 post($in_raw, headers => ['X-Other: kept'], chunked => 50, keepalive => 1),
 post($in_raw, headers => ['X-Other: kept'])]
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[(event()) x 3]
--- upstream_headers eval
"CONTENT_LENGTH: $length\nCONTENT_TYPE: application/json\nREQUEST_METHOD: POST\n"
. "HTTP_X_OTHER: kept\n!HTTP_X_JELOU_SIGNATURE\nX_ID: m-1\nX_BODY: " . event()


=== PROTOCOL: the event's length where the client's was
--- http_config
map $uri $shown {
    /large   "";
    /file    "";
    default  $request_body;
}
--- config
CONFIG
--- raw_request eval
post($in_raw)
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_head_unlike eval
'\b' . length($in_raw) . '\b'


=== PROTOCOL: large events, in memory and in a file
--- http_config
map $uri $shown {
    /large   "";
    /file    "";
    default  $request_body;
}
--- config
CONFIG
--- requests eval
[post("$large\n", path => '/large', keepalive => 1),
 post("$large\n", path => '/file', keepalive => 1),
 post($in_raw, path => '/file', keepalive => 1),
 post("$large\n", path => '/file', chunked => 10_000)]
--- reply
accepted m-1
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[$large, $large, event(), $large]


=== PROTOCOL: raw
--- http_config
map $uri $shown {
    /large   "";
    /file    "";
    default  $request_body;
}
--- config
CONFIG
--- requests eval
[post($in_raw, path => '/raw', keepalive => 1), post($in_raw, path => '/raw', chunked => 50)]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[$in_raw, $in_raw]
--- upstream_headers eval
'CONTENT_LENGTH: ' . length($in_raw) . "\nHTTP_X_JELOU_SIGNATURE: " . sign($in_raw)


=== PROTOCOL: what is refused does not get there
--- http_config
map $uri $shown {
    /large   "";
    /file    "";
    default  $request_body;
}
--- config
CONFIG
--- requests eval
[post($in_raw, signature => undef, keepalive => 1),
 post($in_raw, secret => 'another', keepalive => 1),
 post(event(id => undef), keepalive => 1), post('[]', keepalive => 1),
 post(event(), method => 'GET')]
--- reply
401 SIGNATURE_MISSING
401 SIGNATURE_MISMATCH
422 INVALID_EVENT /value/id
400 INVALID_JSON
405 METHOD_NOT_ALLOWED
--- upstream
none
--- log
[warn] jelou refused a request: SIGNATURE_MISSING
[warn] jelou refused a request: SIGNATURE_MISMATCH
[info] jelou refused a request: INVALID_EVENT: 1 violation, the first at "/value/id": is required
[info] jelou refused a request: INVALID_JSON: not an object at byte 1 of 2
[info] jelou refused a request: METHOD_NOT_ALLOWED


=== PROTOCOL: it fails, and it rejects
--- http_config
map $uri $shown {
    /large   "";
    /file    "";
    default  $request_body;
}
--- config
CONFIG
--- requests eval
[map { post(event(), keepalive => $_ < 8) } 1 .. 8]
--- upstream_answer eval
[500, 404, 302, 'close', 'reset', 'hang', "503\nRetry-After: 7\n\n" . 'leak' x 100_000, 204]
--- reply
500 UPSTREAM_FAILED
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
accepted m-1
--- upstream eval
[(event()) x 8]
--- raw_response_headers_like eval
[('json') x 6, 'Retry-After: 7', 'json']
--- error_log
upstream timed out
prematurely closed
--- log
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler
[error] jelou: UPSTREAM_FAILED: status 302 from the content handler
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler
[error] jelou: UPSTREAM_FAILED: status 504 from the content handler
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler


=== PROTOCOL: jelou_reply upstream
--- http_config
map $uri $shown {
    /large   "";
    /file    "";
    default  $request_body;
}
--- config
CONFIG
--- requests eval
[post(event(), path => '/reply', keepalive => 1), post(event(), path => '/reply')]
--- upstream_answer eval
["201\n\nas it is", 400]
--- reply
201
400 UPSTREAM_REJECTED
--- response_body_like eval
['^as it is$', 'UPSTREAM_REJECTED']
--- raw_response_headers_unlike eval
['application/json', 'leak']
--- upstream eval
[event(), event()]
--- log
[info] jelou: UPSTREAM_REJECTED: status 400 from the content handler


END

sub config($) {
    my $protocol = shift;

    my %params = (
        CONTENT_LENGTH => '$content_length', CONTENT_TYPE => '$content_type',
        REQUEST_METHOD => '$request_method', REQUEST_URI => '$request_uri',
        X_ID => '$jelou_message_id', X_BODY => '$shown',
    );
    $params{SCGI} = 1 if $protocol eq 'scgi';

    my $params = join '', map { "${protocol}_param $_ $params{$_};\n" }
                          sort keys %params;

    my %locations = (
        '/v1/external-support/webhook' => 'client_max_body_size 1m',
        '/large' => 'client_body_buffer_size 1m',
        '/file'  => 'client_body_in_file_only clean',
        '/raw'   => 'jelou_format raw', '/reply' => 'jelou_reply upstream',
    );

    return $params . join '', map { <<"CONFIG" } sort keys %locations;
location = $_ {
    jelou_endpoint  incoming_message;
    jelou_secret    \$TEST_NGINX_SECRET;
    ${protocol}_pass  $protocol;
    ${protocol}_read_timeout  200ms;
    $locations{$_};
}
CONFIG
}

spec_string(join '', <DATA>, map {
    my $config = config($_);

    $blocks =~ s/PROTOCOL/$_/gr =~ s/CONFIG/$config/gr
} qw(fastcgi uwsgi scgi));

run_tests();

__DATA__

=== grpc
--- http_config
server {
    listen  127.0.0.1:$TEST_NGINX_PORT_1 http2;

    location / {
        proxy_pass              http://app;
        proxy_intercept_errors  off;
    }
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    grpc_pass       grpc://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- requests eval
[post($in_raw, keepalive => 1), post("$large\n", keepalive => 1),
 post($in_raw, secret => 'another', keepalive => 1),
 post($in_raw, chunked => 50, keepalive => 1), post($in_raw)]
--- upstream_answer eval
[200, 200, 404, "500\n\n" . 'leak' x 10000]
--- reply
accepted m-1
accepted m-1
401 SIGNATURE_MISMATCH
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
--- upstream eval
[event(), $large, event(), event()]
--- upstream_headers
!X-Jelou-Signature
--- log
[warn] jelou refused a request: SIGNATURE_MISMATCH
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler


=== handlers that take no POST
--- config
jelou_secret  $TEST_NGINX_SECRET;

location = /empty_gif {
    jelou_endpoint  incoming_message;
    empty_gif;
}
location = /stub_status {
    jelou_endpoint  incoming_message;
    stub_status;
}
location = /memcached {
    jelou_endpoint    incoming_message;
    set               $memcached_key x;
    memcached_pass    127.0.0.1:$TEST_NGINX_APP_PORT;
}
--- requests eval
[(map { post(event(), path => "/$_", keepalive => 1) } qw(empty_gif stub_status memcached)),
 post(event(), path => '/memcached', signature => undef)]
--- reply
405 UPSTREAM_REJECTED
405 UPSTREAM_REJECTED
405 UPSTREAM_REJECTED
401 SIGNATURE_MISSING
--- upstream
none
--- log
[info] jelou: UPSTREAM_REJECTED: status 405 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 405 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 405 from the content handler
[warn] jelou refused a request: SIGNATURE_MISSING


=== "return" answers before the module, and nobody touches what it says
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    return          200 mine;
}
location = /201 {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    return          201;
}
location = /302 {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    return          302 http://example.com/;
}
location = /404 {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    return          404;
}
--- requests eval
[post(event(), keepalive => 1), post(event(), path => '/201', keepalive => 1),
 post(event(), path => '/302', keepalive => 1), post(event(), path => '/404')]
--- reply
200
201
302
404 NOT_FOUND
--- response_body_like eval
['^mine$', '^$', '^<html>', 'NOT_FOUND']
--- raw_response_headers_like eval
['text/plain', '201 Created', 'Location: http://example.com/', 'application/json']
--- raw_response_headers_unlike eval
[('application/json') x 3, 'text']


=== proxy_pass with variables, with a path, with a rewritten one
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    set             $to app;
    proxy_pass      http://$to/with?room=$jelou_room_id;
}
location /path/ {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://app/with/;
}
location /rewritten/ {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    rewrite         /rewritten/(.*) /with/$1 break;
    proxy_pass      http://app;
}
--- requests eval
[post($in_raw, keepalive => 1), post($in_raw, path => '/path/x?y', keepalive => 1),
 post($in_raw, path => '/rewritten/x?y', keepalive => 1),
 post($in_raw, secret => 'another', keepalive => 1), post('x', path => '/rewritten/x')]
--- reply
accepted m-1
accepted m-1
accepted m-1
401 SIGNATURE_MISMATCH
400 INVALID_JSON
--- upstream eval
[(event()) x 3]
--- upstream_head_like eval
qr{^POST /with(?:\?room=r-1|/x\?y) HTTP}
--- upstream_headers eval
"Content-Length: $length\n!X-Jelou-Signature"
--- log
[warn] jelou refused a request: SIGNATURE_MISMATCH
[info] jelou refused a request: INVALID_JSON: not JSON at byte 1 of 1


=== proxy_set_body, proxy_set_header, proxy_pass_request_body, proxy_method
--- config
jelou_secret  $TEST_NGINX_SECRET;

location = /set_body {
    jelou_endpoint    incoming_message;
    proxy_pass        http://app;
    proxy_set_body    "$jelou_message_type of $jelou_user_id";
}
location = /no_body {
    jelou_endpoint           incoming_message;
    proxy_pass               http://app;
    proxy_pass_request_body  off;
    proxy_set_header         Content-Length "";
    proxy_set_header         X-Body $request_body;
}
location = /put {
    jelou_endpoint    incoming_message;
    proxy_pass        http://app;
    proxy_method      PUT;
    proxy_set_header  X-Length $http_content_length;
}
--- requests eval
[map { post($in_raw, path => $_, keepalive => !/put/) } '/set_body', '/no_body', '/put']
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
['text of u-1', '', event()]
--- upstream_head_like eval
my $event = quotemeta event();
qr/\APOST .*^Content-Length: 11\r?$|\APOST .*^X-Body: $event\r?$|\APUT .*^X-Length: $length\r?$/ms
--- upstream_headers
!X-Jelou-Signature


