# The answers, byte for byte, whoever has produced what they stand for.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.003 }

use Jelou 'no_plan';

use IO::Uncompress::Gunzip ();

check_accum_error_log();

# A block's "log" is all that the module has logged, in order, and without a
# "log" it is nothing.  "access" is the whole access log.

add_test_cleanup_handler(sub {
    my $block = shift;

    open my $in, '<', $Test::Nginx::Util::ErrLogFile or die $!;

    my $log = join '', map {
        /(\[\w+\]) \S+ \*\d+ (jelou.*?)(?: while [^,]+)?, client/ ? "$1 $2\n" : ()
    } <$in>;

    is($log, $block->log // '', $block->name . ' - log');

    my $access = $block->access // return;

    open $in, '<', $Test::Nginx::Util::AccLogFile or die $!;
    is(join('', <$in>), $access, $block->name . ' - access log');
});


# heads(ANSWER, ...): the whole headers of the answers on one connection, as
# patterns.  An answer is the id of an accepted message, or a status, or one of
# the two with more header lines.

my %reason = (
    200 => 'OK', 400 => 'Bad Request', 401 => 'Unauthorized',
    404 => 'Not Found', 405 => 'Method Not Allowed',
    413 => 'Payload Too Large', 415 => 'Unsupported Media Type',
    422 => 'Unprocessable Entity', 429 => 'Too Many Requests',
    500 => 'Internal Server Error',
);

sub heads(@) {
    my @heads = map {
        my ($answer, @more) = ref ? @$_ : $_;
        my $refused = $reason{$answer};

        my $status = $refused ? $answer : 200;
        my $length = $refused ? '[1-9]\d\d'
                   : length qq({"success":true,"messageId":"$answer"});

        join '\r\n', "\\AHTTP/1\\.1 $status $reason{$status}",
            'Server: nginx[^\r]*', 'Date: [^\r]*',
            'Content-Type: application/json', "Content-Length: $length",
            'Connection: keep-alive', @more, '\z'
    } @_;

    $heads[-1] =~ s/keep-alive/close/;

    return @heads > 1 ? \@heads : $heads[0];
}

our $challenge = 'WWW-Authenticate: X-Jelou-Signature realm="jelou"';

# The events m-1, m-2, ... as requests on one connection, and their bodies

sub ids($)    { return map { "m-$_" } 1 .. $_[0] }
sub bodies($) { return [map { event(id => qq("$_")) } ids($_[0])] }

sub events($) {
    my $n = shift;

    return [map { post(event(id => qq("m-$_")), keepalive => $_ < $n) }
            1 .. $n];
}

our @taken    = (200 .. 206, 226, 299);
our @failed   = (300 .. 305, 307, 308, 500 .. 505, 507, 511, 599);
our @rejected = (400 .. 418, 421 .. 426, 428, 429, 431, 451, 499);

# An upstream's header that must not leave anything behind

our @many = (
    (map { "$_: leak" } qw(Server Date ETag Link Location Via X-Powered-By
     Content-Encoding Content-Language Content-Location Content-Disposition
     Cache-Control Expires Pragma Vary Age Allow WWW-Authenticate Warning
     Refresh Content-Range Accept-Ranges Set-Cookie2 P3P Alt-Svc
     Strict-Transport-Security Access-Control-Allow-Origin X-Jelou-Signature
     X-Accel-Charset Trailer Proxy-Authenticate Idempotent-Replayed)),
    'Set-Cookie: a=leak', 'Set-Cookie: b=leak', 'Content-Type: text/leak',
    'Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT', 'X-Accel-Buffering: no',
    'X-Accel-Expires: 10', 'X-Accel-Limit-Rate: 1000000', 'Upgrade: leak',
    'Keep-Alive: timeout=7', map { "X-Leak-$_: leak" } 1 .. 50,
);

our $many = join "\n", @many;

our $megabyte = 'leak' x (256 * 1024);

# Of an upstream's answer the last line feed is not sent.

sub chunks($$) {
    return join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
                    pieces($_[0], $_[1]);
}

our $chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
               . "Connection: close\r\n"
               . "Trailer: X-Leak\r\nX-Leak: leak\r\n\r\n";

our @ids = (
    '\\"', '\\\\', '\\/\\u002f/', '\\u00e9', "\xc3\xa9",
    '\\ud83d\\ude00', "\xf0\x9f\x98\x80", '\\u0022\\u005c', '%22%s%n',
    'x' x 256, '\\u0061' x 256, 'two words', 'end',
);

run_tests();

__DATA__

=== the answer to an accepted event, whole
--- raw_request eval
post(event())
--- reply
accepted m-1
--- raw_response_headers_like eval
heads('m-1')
--- upstream eval
event()


=== every refusal there is before the upstream
--- directives
client_max_body_size  2k;
jelou_types           text image;
--- requests eval
[post('', method => 'GET', signature => undef, keepalive => 1),
 post(event(), signature => undef, keepalive => 1),
 post(event(), signature => 'sha256=12', keepalive => 1),
 post(event(), signature => [(sign(event())) x 2], keepalive => 1),
 post(event(), secret => 'another', keepalive => 1),
 post(event(), type => 'text/json', keepalive => 1),
 post(event(), headers => ['Content-Encoding: gzip'], keepalive => 1),
 post(event() . 'x', keepalive => 1),
 post(event(user_id => undef, id => '""'), keepalive => 1),
 post(event(type => '"audio"', content => '{"url":"https://a.b/c","mime_type":"a/b"}'), keepalive => 1),
 post(event() . ' ' x 2048)]
--- reply
405 METHOD_NOT_ALLOWED
401 SIGNATURE_MISSING
401 SIGNATURE_MALFORMED
401 SIGNATURE_MALFORMED
401 SIGNATURE_MISMATCH
415 UNSUPPORTED_MEDIA_TYPE
415 UNSUPPORTED_MEDIA_TYPE
400 INVALID_JSON
422 INVALID_EVENT /user_id /value/id
422 TYPE_NOT_ALLOWED
413 PAYLOAD_TOO_LARGE
--- raw_response_headers_like eval
heads([405, 'Allow: POST'], ([401, $challenge]) x 4, 415, 415, 400, 422, 422, 413)
--- upstream
none
--- log
[info] jelou refused a request: METHOD_NOT_ALLOWED
[warn] jelou refused a request: SIGNATURE_MISSING
[warn] jelou refused a request: SIGNATURE_MALFORMED
[warn] jelou refused a request: SIGNATURE_MALFORMED
[warn] jelou refused a request: SIGNATURE_MISMATCH
[info] jelou refused a request: UNSUPPORTED_MEDIA_TYPE
[info] jelou refused a request: UNSUPPORTED_MEDIA_TYPE
[info] jelou refused a request: INVALID_JSON: not JSON at byte 206 of 206
[info] jelou refused a request: INVALID_EVENT: 2 violations, the first at "/user_id": is required
[info] jelou refused a request: TYPE_NOT_ALLOWED


=== upstream statuses that take the event
--- requests eval
events(@taken)
--- upstream_answer eval
\@taken
--- reply eval
join "\n", map { "accepted $_" } ids(@taken)
--- raw_response_headers_like eval
heads(ids(@taken))
--- upstream eval
bodies(@taken)


=== upstream statuses that fail
--- requests eval
events(@failed)
--- upstream_answer eval
[map { "$_\nLocation: http://leak/\n" } @failed]
--- reply eval
join "\n", ('500 UPSTREAM_FAILED') x @failed
--- raw_response_headers_like eval
heads((500) x @failed)
--- upstream eval
bodies(@failed)
--- log eval
join '', map { "[error] jelou: UPSTREAM_FAILED: status $_ from the content handler\n" } @failed


=== upstream statuses that reject
--- requests eval
events(@rejected)
--- upstream_answer eval
[map { "$_\nWWW-Authenticate: leak" } @rejected]
--- reply eval
join "\n", map { "$_ UPSTREAM_REJECTED" } @rejected
--- upstream eval
bodies(@rejected)
--- log eval
join '', map { "[info] jelou: UPSTREAM_REJECTED: status $_ from the content handler\n" } @rejected


=== words that fit a rejection for now, and any other
--- requests eval
events(6)
--- upstream_answer eval
[400, 408, 425, 428, 429, 404]
--- reply eval
join "\n", map { "$_ UPSTREAM_REJECTED" } 400, 408, 425, 428, 429, 404
--- response_body_like eval
my $never = '"description":"The event was valid but the application rejected '
    . 'it\.".*"en":"Do not send the same event again unchanged\.",'
    . '"es":"No envíe el mismo evento de nuevo sin cambios\.".*'
    . '"en":"The message could not be sent\."';
my $later = '"description":"The event was valid but the application rejected '
    . 'it for now\.".*"en":"Send the same event again later\.",'
    . '"es":"Envíe el mismo evento de nuevo más tarde\.".*'
    . '"en":"The message could not be sent\. Please try again later\."';
[$never, $later, $later, $never, $later, $never]
--- upstream eval
bodies(6)
--- log eval
join '', map { "[info] jelou: UPSTREAM_REJECTED: status $_ from the content handler\n" } 400, 408, 425, 428, 429, 404


=== upstream statuses that no HTTP has
--- requests eval
events(5)
--- upstream_answer eval
[map { "HTTP/1.1 $_ Odd\r\nConnection: close\r\nContent-Length: 4\r\n\r\nleak" }
 199, 600, 999, '000', 200]
--- reply
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
accepted m-5
--- upstream eval
bodies(5)
--- log
[error] jelou: UPSTREAM_FAILED: status 199 from the content handler
[error] jelou: UPSTREAM_FAILED: status 600 from the content handler
[error] jelou: UPSTREAM_FAILED: status 999 from the content handler
[error] jelou: UPSTREAM_FAILED: status 0 from the content handler


=== no header of the upstream's gets out
--- directives
proxy_pass_header  Server;
proxy_pass_header  Date;
proxy_pass_header  X-Accel-Expires;
proxy_pass_header  X-Accel-Buffering;
proxy_buffer_size  16k;
proxy_buffers      8 16k;
--- requests eval
events(5)
--- upstream_answer eval
[map { "$_\n$many\n\nleak" } 200, 201, 404, 301, 502]
--- reply
accepted m-1
accepted m-2
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
--- raw_response_headers_like eval
heads('m-1', 'm-2', 404, 500, 500)
--- upstream eval
bodies(5)
--- log
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler
[error] jelou: UPSTREAM_FAILED: status 301 from the content handler
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler


=== no byte of a large answer gets out: small buffers
--- directives
proxy_buffer_size        1k;
proxy_buffers            3 4k;
proxy_busy_buffers_size  4k;
--- requests eval
events(4)
--- upstream_answer eval
["200\n\n$megabyte", "500\n\n$megabyte", "400\n\n$megabyte", "200\n\n$megabyte"]
--- reply
accepted m-1
500 UPSTREAM_FAILED
400 UPSTREAM_REJECTED
accepted m-4
--- raw_response_headers_like eval
heads('m-1', 500, 400, 'm-4')
--- upstream eval
bodies(4)
--- log
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 400 from the content handler


=== no byte of a large answer gets out: not buffered
--- directives
proxy_buffering  off;
--- requests eval
events(4)
--- upstream_answer eval
["200\n\n$megabyte", "503\n\n$megabyte", "429\n\n$megabyte", "200\n\n$megabyte"]
--- reply
accepted m-1
500 UPSTREAM_FAILED
429 UPSTREAM_REJECTED
accepted m-4
--- raw_response_headers_like eval
heads('m-1', 500, 429, 'm-4')
--- upstream eval
bodies(4)
--- log
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 429 from the content handler


=== no byte of a large answer gets out: in a temporary file
--- directives
proxy_store            $TEST_NGINX_SERVROOT/html/stored-$request_id;
--- requests eval
events(3)
--- upstream_answer eval
["200\n\n$megabyte", "404\n\n$megabyte", "200\n\n$megabyte"]
--- reply
accepted m-1
404 UPSTREAM_REJECTED
accepted m-3
--- raw_response_headers_like eval
heads('m-1', 404, 'm-3')
--- upstream eval
bodies(3)
--- log
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler


=== chunked answers with trailers
--- directives
proxy_http_version  1.1;
proxy_set_header    Connection "";
--- requests eval
events(4)
--- upstream_answer eval
[$chunked . chunks('leak' x 100, 7) . "0\r\nX-Leak: leak\r\n\r\n\n",
 $chunked . chunks($megabyte, 5000) . "0\r\n\r\n\n",
 $chunked =~ s/200 OK/500 No/r . chunks('leak', 1) . "0\r\n\r\n\n",
 $chunked . "0\r\nX-Leak: leak\r\nX-Leak-2: leak\r\n\r\n\n"]
--- reply
accepted m-1
accepted m-2
500 UPSTREAM_FAILED
accepted m-4
--- raw_response_headers_like eval
heads('m-1', 'm-2', 500, 'm-4')
--- upstream eval
bodies(4)
--- log
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler


=== an answer without a length
--- raw_request eval
post(event())
--- upstream_answer eval
"HTTP/1.0 200 OK\r\nX-Leak: leak\r\n\r\n$megabyte"
--- reply
accepted m-1
--- raw_response_headers_like eval
heads('m-1')
--- upstream eval
event()


=== Retry-After is the one header kept, of a refusal
--- requests eval
events(6)
--- upstream_answer eval
["503\nRetry-After: 7",
 "429\nX-Leak: leak\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\nX-Leak: leak",
 "200\nRetry-After: 7", "503", "429\nRetry: 7\nRetry-After-Leak: 7", "201\nRetry-After: 7"]
--- reply
500 UPSTREAM_FAILED
429 UPSTREAM_REJECTED
accepted m-3
500 UPSTREAM_FAILED
429 UPSTREAM_REJECTED
accepted m-6
--- raw_response_headers_like eval
heads([500, 'Retry-After: 7'], [429, 'Retry-After: Fri, 31 Dec 1999 23:59:59 GMT'],
      'm-3', 500, 429, 'm-6')
--- upstream eval
bodies(6)
--- log
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 429 from the content handler
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 429 from the content handler


=== jelou_reply upstream: a 2xx answer passes as it is
--- directives
jelou_reply  upstream;
--- requests eval
events(4)
--- upstream_answer eval
["200\nETag: \"x\"\nContent-Type: text/x\n\nas it is", "201\nLocation: http://there/\n\nmade",
 "206\nContent-Range: bytes 0-3/9\nRetry-After: 7\n\npart", 204]
--- reply
200
201
206
204
--- response_body eval
['as it is', 'made', 'part', '']
--- raw_response_headers_like eval
['(?s)Type: text/x\r.*Length: 8\r.*ETag: "x"\r.*X-Upstream: leak\r.*Set-Cookie: upstream=leak\r',
 'Location: http://there/\r', '(?s)Content-Range: bytes 0-3/9\r.*Retry-After: 7\r',
 'X-Upstream: leak\r']
--- raw_response_headers_unlike eval
[('application/json') x 4]
--- upstream eval
bodies(4)


=== jelou_reply upstream: any other answer is the contract's
--- directives
jelou_reply  upstream;
--- requests eval
events(7)
--- upstream_answer eval
[map { "$_\n\nleak" } "301\nLocation: http://leak/", 304, 400, 422, 500, "503\nRetry-After: 7", 599]
--- reply
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
400 UPSTREAM_REJECTED
422 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
--- raw_response_headers_like eval
heads(500, 500, 400, 422, 500, [500, 'Retry-After: 7'], 500)
--- upstream eval
bodies(7)
--- log
[error] jelou: UPSTREAM_FAILED: status 301 from the content handler
[error] jelou: UPSTREAM_FAILED: status 304 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 400 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 422 from the content handler
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler
[error] jelou: UPSTREAM_FAILED: status 599 from the content handler


=== jelou_reply upstream: refusals are the same
--- directives
jelou_reply  upstream;
--- requests eval
[post(event(), signature => undef, keepalive => 1), post(event(id => undef))]
--- reply
401 SIGNATURE_MISSING
422 INVALID_EVENT /value/id
--- upstream
none
--- log
[warn] jelou refused a request: SIGNATURE_MISSING
[info] jelou refused a request: INVALID_EVENT: 1 violation, the first at "/value/id": is required


=== without a content handler the module answers
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
}
location = /upstream {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    jelou_reply     upstream;
    root            html;
    index           index.html;
}
--- requests eval
[post(event(), keepalive => 1),
 post('', method => 'GET', keepalive => 1),
 post(event(), chunked => 10, keepalive => 1),
 post(event(), secret => 'another', keepalive => 1),
 post(event(), path => '/upstream')]
--- reply
accepted m-1
405 METHOD_NOT_ALLOWED
accepted m-1
401 SIGNATURE_MISMATCH
accepted m-1
--- raw_response_headers_like eval
heads('m-1', [405, 'Allow: POST'], 'm-1', [401, $challenge], 'm-1')
--- upstream
none
--- log
[info] jelou refused a request: METHOD_NOT_ALLOWED
[warn] jelou refused a request: SIGNATURE_MISMATCH


=== other methods, signed or not
--- requests eval
[(map { post(event(), method => $_, keepalive => 1) } qw(GET PUT PATCH DELETE OPTIONS PROPFIND)),
 (map { post('', method => $_, signature => undef, keepalive => 1) } qw(GET PUT DELETE MKCOL)),
 post(event(), method => 'QUERY')]
--- reply eval
join "\n", ('405 METHOD_NOT_ALLOWED') x 11
--- raw_response_headers_like eval
heads(([405, 'Allow: POST']) x 11)
--- upstream
none
--- log eval
"[info] jelou refused a request: METHOD_NOT_ALLOWED\n" x 11


=== HEAD is answered without a body
--- raw_request eval
post('', method => 'HEAD', signature => undef)
--- error_code: 405
--- raw_response_headers_like eval
heads([405, 'Allow: POST'])
--- response_body eval
''
--- upstream
none
--- log
[info] jelou refused a request: METHOD_NOT_ALLOWED


=== headers that the operator adds
--- directives
add_header  X-Always yes always;
add_header  X-Good   yes;
--- requests eval
[post(event(), signature => undef, keepalive => 1), @{ events(3) }]
--- upstream_answer eval
[200, 404, 500]
--- reply
401 SIGNATURE_MISSING
accepted m-1
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
--- raw_response_headers_like eval
heads([401, $challenge, 'X-Always: yes'], ['m-1', 'X-Always: yes', 'X-Good: yes'],
      [404, 'X-Always: yes'], [500, 'X-Always: yes'])
--- upstream eval
bodies(3)
--- log
[warn] jelou refused a request: SIGNATURE_MISSING
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler


=== gzip
--- directives
gzip             on;
gzip_types       application/json;
gzip_min_length  1;
--- requests eval
[post(event(), headers => ['Accept-Encoding: gzip'], keepalive => 1),
 post(event(), headers => ['Accept-Encoding: gzip'], keepalive => 1),
 post(event(), headers => ['Accept-Encoding: gzip'])]
--- upstream_answer eval
[200, 404, "200\nContent-Encoding: gzip\n\nleak"]
--- reply
accepted m-1
404 UPSTREAM_REJECTED
accepted m-1
--- raw_response_headers_like eval
[('(?s)Content-Type: application/json\r.*Content-Encoding: gzip\r') x 3]
--- response_body_filters eval
sub { my $in = shift; IO::Uncompress::Gunzip::gunzip(\$in => \my $out); $out }
--- upstream eval
[(event()) x 3]
--- log
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler


=== conditional and range requests
--- requests eval
[map { post(event(), headers => [$_], keepalive => !/end/) }
 'If-None-Match: *', 'If-Match: "x"', 'If-Match: *', 'If-None-Match: "e"',
 'If-Modified-Since: Mon, 02 Jan 2006 15:04:05 GMT',
 'If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT',
 'Range: bytes=0-3', "Range: bytes=0-3\r\nIf-Range: \"e\"\r\nX: end"]
--- upstream_answer eval
"200\nETag: \"e\"\nLast-Modified: Mon, 02 Jan 2006 15:04:05 GMT\nAccept-Ranges: bytes\n\n0123456789"
--- reply eval
join "\n", ('accepted m-1') x 8
--- raw_response_headers_like eval
heads(('m-1') x 8)
--- upstream eval
[(event()) x 8]


=== conditional requests, without a content handler
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
}
--- requests eval
[map { post(event(), headers => [$_], keepalive => !/end/) }
 'If-None-Match: *', 'If-Match: "x"', 'Range: bytes=0-3',
 "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT\r\nX: end"]
--- reply eval
join "\n", ('accepted m-1') x 4
--- raw_response_headers_like eval
heads(('m-1') x 4)


=== conditional requests that are refused
--- requests eval
[map { post(event(id => undef), headers => [$_], keepalive => !/end/) }
 'If-None-Match: *', 'If-Match: "x"', "Range: bytes=0-3\r\nX: end"]
--- reply eval
join "\n", ('422 INVALID_EVENT /value/id') x 3
--- upstream
none
--- log eval
qq([info] jelou refused a request: INVALID_EVENT: 1 violation, the first at "/value/id": is required\n) x 3


=== an HTTP/1.0 client
--- raw_request eval
post(event(), version => '1.0', headers => ['Connection: close'])
--- reply
accepted m-1
--- raw_response_headers_like eval
heads('m-1')
--- upstream eval
event()


=== an HTTP/1.0 client is refused
--- raw_request eval
post(event(), version => '1.0', signature => undef)
--- reply
401 SIGNATURE_MISSING
--- raw_response_headers_like eval
heads([401, $challenge])
--- upstream
none
--- log
[warn] jelou refused a request: SIGNATURE_MISSING


=== the status in an access log is the one that was sent
--- http_config
log_format  status  '$status $upstream_status $sent_http_content_type';
--- directives
access_log  $TEST_NGINX_SERVROOT/logs/access.log  status;
--- requests eval
[post(event(), signature => undef, keepalive => 1),
 post(event(id => undef), keepalive => 1), @{ events(6) }]
--- upstream_answer eval
[200, 204, 301, 404, 503, 'close']
--- reply
401 SIGNATURE_MISSING
422 INVALID_EVENT /value/id
accepted m-1
accepted m-2
500 UPSTREAM_FAILED
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
--- upstream eval
bodies(6)
--- access
401 - application/json
422 - application/json
200 200 application/json
200 204 application/json
500 301 application/json
404 404 application/json
500 503 application/json
500 502 application/json
--- error_log
upstream prematurely closed connection
--- log
[warn] jelou refused a request: SIGNATURE_MISSING
[info] jelou refused a request: INVALID_EVENT: 1 violation, the first at "/value/id": is required
[error] jelou: UPSTREAM_FAILED: status 301 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler


=== message ids, as they were sent
--- requests eval
[map { post(event(id => qq("$_")), keepalive => $_ ne 'end') } @ids]
--- reply eval
join "\n", map { "accepted $_" } @ids
--- raw_response_headers_like eval
heads(@ids)
--- upstream eval
[map { event(id => qq("$_")) } @ids]


