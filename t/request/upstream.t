# Upstreams that fail at any point, servers that take over from them, and what
# proxy_pass can be told about all that.

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


sub ids($)    { return map { "m-$_" } 1 .. $_[0] }
sub bodies($) { return [map { event(id => qq("$_")) } ids($_[0])] }

sub events($@) {
    my ($n, @options) = @_;

    return [map { post(event(id => qq("m-$_")), keepalive => $_ < $n, @options) }
            1 .. $n];
}

sub lines($$) { return join '', ("$_[0]\n") x $_[1] }

our $ok     = "HTTP/1.1 200 OK\r\nX-Leak: leak\r\n";
our $refuse = 'UPSTREAM_FAILED: status 502 from the content handler';
our $large  = event(content => '{"body":"' . 'x' x 300_000 . '"}');

run_tests();

__DATA__

=== nobody listens
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://down;
}
--- requests eval
events(3)
--- reply eval
lines('500 UPSTREAM_FAILED', 3)
--- upstream
none
--- error_log
Connection refused
--- log eval
lines("[error] jelou: $refuse", 3)


=== the upstream resets the connection before the request, and after it
--- requests eval
events(3)
--- upstream_answer eval
['refuse', 'reset', 200]
--- reply
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
accepted m-3
--- error_log
Connection reset by peer
--- log eval
lines("[error] jelou: $refuse", 2)


=== the upstream closes before it answers, and within the header
--- requests eval
events(6)
--- upstream_answer eval
['close', 'HTTP/1', "HTTP/1.1 200 OK\r\n", $ok, "$ok\r", 200]
--- reply eval
lines('500 UPSTREAM_FAILED', 5) . 'accepted m-6'
--- upstream eval
bodies(6)
--- error_log
upstream prematurely closed connection
--- log eval
lines("[error] jelou: $refuse", 5)


=== the upstream closes within the body
--- requests eval
events(7)
--- upstream_answer eval
["${ok}Content-Length: 9\r\n\r\n", "${ok}Content-Length: 9\r\n\r\nleak",
 "${ok}Content-Length: 1000000\r\n\r\n" . 'leak' x 100_000,
 map({ "${ok}Transfer-Encoding: chunked\r\n\r\n$_" } '', "4\r\nleak\r\n", "9\r\nleak"),
 200]
--- directives
proxy_http_version  1.1;
--- reply eval
lines('500 UPSTREAM_FAILED', 6) . 'accepted m-7'
--- upstream eval
bodies(7)
--- error_log
upstream prematurely closed connection
--- log eval
lines("[error] jelou: $refuse", 6)


=== the upstream closes within the body, which is not buffered
--- directives
proxy_http_version  1.1;
proxy_buffering     off;
--- requests eval
events(6)
--- upstream_answer eval
["${ok}Content-Length: 9\r\n\r\n", "${ok}Content-Length: 9\r\n\r\nleak",
 "${ok}Content-Length: 1000000\r\n\r\n" . 'leak' x 100_000,
 map({ "${ok}Transfer-Encoding: chunked\r\n\r\n$_" } "4\r\nleak\r\n", "9\r\nleak"),
 200]
--- reply eval
lines('500 UPSTREAM_FAILED', 5) . 'accepted m-6'
--- upstream eval
bodies(6)
--- error_log
upstream prematurely closed connection
--- log eval
lines("[error] jelou: $refuse", 5)


=== the upstream closes within the body of a refusal
--- requests eval
events(2)
--- upstream_answer eval
["HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nleak", 200]
--- reply
500 UPSTREAM_FAILED
accepted m-2
--- upstream eval
bodies(2)
--- error_log
upstream prematurely closed connection
--- log eval
lines("[error] jelou: $refuse", 1)


=== the first chunk is none
--- directives
proxy_http_version  1.1;
--- raw_request eval
post(event())
--- upstream_answer eval
"${ok}Transfer-Encoding: chunked\r\n\r\nleak\r\n"
--- reply
500 UPSTREAM_FAILED
--- upstream eval
event()
--- error_log
upstream sent invalid chunked response
--- log eval
lines("[error] jelou: $refuse", 1)


=== a later chunk is none
--- directives
proxy_http_version  1.1;
--- raw_request eval
post(event())
--- upstream_answer eval
"${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nleak\r\nleak\r\n"
--- reply
500 UPSTREAM_FAILED
--- upstream eval
event()
--- error_log
upstream sent invalid chunked response
--- log eval
lines("[error] jelou: $refuse", 1)


=== a chunk that is none, and is not buffered
--- directives
proxy_http_version  1.1;
proxy_buffering     off;
--- raw_request eval
post(event())
--- upstream_answer eval
"${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nleak\r\nleak\r\n"
--- reply
500 UPSTREAM_FAILED
--- upstream eval
event()
--- error_log
upstream sent invalid chunked response
--- log eval
lines("[error] jelou: $refuse", 1)


=== the upstream answers nothing at all in time
--- directives
proxy_read_timeout  200ms;
--- requests eval
events(2)
--- upstream_answer eval
['hang', 200]
--- reply
500 UPSTREAM_FAILED
accepted m-2
--- upstream eval
bodies(2)
--- error_log
upstream timed out
--- log
[error] jelou: UPSTREAM_FAILED: status 504 from the content handler


=== the upstream hangs within the header
--- config
location = /v1/external-support/webhook {
    jelou_endpoint      incoming_message;
    jelou_secret        $TEST_NGINX_SECRET;
    proxy_pass          http://127.0.0.1:$TEST_NGINX_PORT_1;
    proxy_read_timeout  200ms;
}
--- tcp_listen: $TEST_NGINX_PORT_1
--- tcp_no_close
--- tcp_reply eval
$ok
--- raw_request eval
post(event())
--- reply
500 UPSTREAM_FAILED
--- error_log
upstream timed out
--- log
[error] jelou: UPSTREAM_FAILED: status 504 from the content handler


=== the upstream hangs within the body
--- config
location = /v1/external-support/webhook {
    jelou_endpoint      incoming_message;
    jelou_secret        $TEST_NGINX_SECRET;
    proxy_pass          http://127.0.0.1:$TEST_NGINX_PORT_1;
    proxy_read_timeout  200ms;
}
--- tcp_listen: $TEST_NGINX_PORT_1
--- tcp_no_close
--- tcp_reply eval
"${ok}Content-Length: 9\r\n\r\nleak"
--- raw_request eval
post(event())
--- reply
500 UPSTREAM_FAILED
--- error_log
upstream timed out
--- log eval
lines("[error] jelou: $refuse", 1)


=== the upstream hangs within the body, which is not buffered
--- config
location = /v1/external-support/webhook {
    jelou_endpoint      incoming_message;
    jelou_secret        $TEST_NGINX_SECRET;
    proxy_pass          http://127.0.0.1:$TEST_NGINX_PORT_1;
    proxy_read_timeout  200ms;
    proxy_buffering     off;
}
--- tcp_listen: $TEST_NGINX_PORT_1
--- tcp_no_close
--- tcp_reply eval
"${ok}Content-Length: 9\r\n\r\nleak"
--- raw_request eval
post(event())
--- reply
500 UPSTREAM_FAILED
--- error_log
upstream timed out
--- log eval
lines("[error] jelou: $refuse", 1)


=== the upstream is slow
--- requests eval
events(3)
--- upstream_answer eval
['delay 0.2', 'delay 0.2 404', 'delay 0.2 close']
--- reply
accepted m-1
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
--- upstream eval
bodies(3)
--- error_log
upstream prematurely closed connection
--- log eval
"[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler\n[error] jelou: $refuse\n"


=== the upstream answers with bytes that are no HTTP
--- requests eval
events(2)
--- upstream_answer eval
["HTTP/garbage\r\n\r\nleak", 200]
--- reply
500 UPSTREAM_FAILED
accepted m-2
--- upstream eval
bodies(2)
--- error_log
upstream sent no valid HTTP/1.0 header
--- log
[error] jelou: UPSTREAM_FAILED: status 0 from the content handler


=== the upstream sends a header that is too large
--- directives
proxy_buffer_size  1k;
--- requests eval
events(2)
--- upstream_answer eval
["${ok}X-Large: " . 'leak' x 1000 . "\r\n\r\n", 200]
--- reply
500 UPSTREAM_FAILED
accepted m-2
--- upstream eval
bodies(2)
--- error_log
upstream sent too big header
--- log eval
lines("[error] jelou: $refuse", 1)


=== the upstream sends more than it has announced
--- requests eval
events(3)
--- upstream_answer eval
["${ok}Connection: close\r\nContent-Length: 2\r\n\r\nleak",
 "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\nleak", 200]
--- reply
accepted m-1
accepted m-2
accepted m-3
--- upstream eval
bodies(3)


=== the upstream switches protocols, for a client that has asked for it
--- directives
proxy_http_version  1.1;
--- requests eval
events(2, headers => ['Upgrade: leak'])
--- upstream_answer eval
["HTTP/1.1 101 Switching Protocols\r\nUpgrade: leak\r\nConnection: upgrade\r\n\r\nleak", 200]
--- reply
500 UPSTREAM_FAILED
accepted m-2
--- upstream eval
bodies(2)
--- log
[error] jelou: UPSTREAM_FAILED: status 101 from the content handler


=== the client goes away while the upstream hangs
--- raw_request eval
post(event())
--- upstream_answer
hang
--- timeout: 0.2
--- abort
--- ignore_response
--- wait: 0.1
--- upstream eval
event()
--- error_log
client prematurely closed connection


=== the client goes away, and the event is delivered all the same
--- directives
proxy_ignore_client_abort  on;
--- raw_request eval
post(event())
--- upstream_answer
delay 0.3
--- timeout: 0.1
--- abort
--- ignore_response
--- wait: 0.4
--- upstream eval
event()
--- no_error_log
[error]


=== the client goes away while the answer is read
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://127.0.0.1:$TEST_NGINX_PORT_1;
}
--- tcp_listen: $TEST_NGINX_PORT_1
--- tcp_no_close
--- tcp_reply eval
"${ok}Content-Length: 9\r\n\r\nleak"
--- raw_request eval
post(event())
--- timeout: 0.2
--- abort
--- ignore_response
--- wait: 0.1
--- error_log
prematurely closed connection


=== the next server gets the same bytes: the first one refuses
--- http_config
upstream two {
    server  127.0.0.1:$TEST_NGINX_DOWN_PORT;
    server  127.0.0.1:$TEST_NGINX_APP_PORT;
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://two;
}
--- requests eval
events(2)
--- reply
accepted m-1
accepted m-2
--- upstream eval
bodies(2)
--- error_log
Connection refused


=== the next server gets the same bytes, whatever the first one did
--- http_config
upstream two {
    server  127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
    server  127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint              incoming_message;
    jelou_secret                $TEST_NGINX_SECRET;
    proxy_pass                  http://two;
    proxy_next_upstream         error timeout http_503 http_404 non_idempotent;
    proxy_read_timeout          200ms;
}
location = /raw {
    jelou_endpoint              incoming_message;
    jelou_secret                $TEST_NGINX_SECRET;
    jelou_format                raw;
    proxy_pass                  http://two;
    proxy_next_upstream         error non_idempotent;
    client_body_buffer_size     1k;
}
--- requests eval
[@{ events(5) }[0 .. 3], post(event(id => '"m-5"'), keepalive => 1),
 post($large, path => '/raw', keepalive => 1),
 post("$large\n", keepalive => 1),
 post(event(), path => '/raw')]
--- upstream_answer eval
['close', 200, 'hang', 201, 503, 200, 404, 404, 'reset', 'reset', (close => 200) x 3]
--- reply
accepted m-1
accepted m-2
accepted m-3
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[map { ($_) x 2 } @{ bodies(5) }, $large, $large, event()]
--- error_log
upstream timed out
--- log eval
"[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler\n[error] jelou: $refuse\n"


=== an event goes to one server, unless proxy_next_upstream says otherwise
--- http_config
upstream two {
    server  127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
    server  127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://two;
}
--- requests eval
events(2)
--- upstream_answer eval
['close', 200]
--- reply
500 UPSTREAM_FAILED
accepted m-2
--- upstream eval
bodies(2)
--- error_log
upstream prematurely closed connection
--- log eval
lines("[error] jelou: $refuse", 1)


=== the request is not buffered
--- directives
proxy_request_buffering  off;
proxy_http_version       1.1;
client_body_buffer_size  1k;
--- requests eval
[post(event(), keepalive => 1), post(event() . "\n", chunked => 7, keepalive => 1),
 post(event(), secret => 'another', keepalive => 1),
 post("$large\n", keepalive => 1), post("$large\n", chunked => 5000)]
--- reply
accepted m-1
accepted m-1
401 SIGNATURE_MISMATCH
accepted m-1
accepted m-1
--- upstream eval
[event(), event(), $large, $large]
--- upstream_head_unlike: Transfer-Encoding
--- log
[warn] jelou refused a request: SIGNATURE_MISMATCH


=== the request is not buffered, and comes in pieces
--- directives
proxy_request_buffering  off;
--- raw_request eval
[pieces(post(event()), 150)]
--- raw_request_middle_delay: 0.05
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers eval
'Content-Length: ' . length event()


=== connections to the upstream are kept
--- http_config
upstream kept {
    server     127.0.0.1:$TEST_NGINX_APP_PORT;
    keepalive  1;
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint      incoming_message;
    jelou_secret        $TEST_NGINX_SECRET;
    proxy_pass          http://kept;
    proxy_http_version  1.1;
    proxy_set_header    Connection "";
}
--- requests eval
events(7)
--- upstream_answer eval
[200, 500, "200\n\n" . 'leak' x 100_000, 404, 204, 'close', 200]
--- reply
accepted m-1
500 UPSTREAM_FAILED
accepted m-3
404 UPSTREAM_REJECTED
accepted m-5
500 UPSTREAM_FAILED
accepted m-7
--- upstream eval
bodies(7)
--- upstream_head_like: HTTP/1\.1\r?$
--- upstream_head_unlike: ^Connection
--- error_log
upstream prematurely closed connection
--- log eval
"[error] jelou: UPSTREAM_FAILED: status 500 from the content handler\n"
. "[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler\n"
. "[error] jelou: $refuse\n"


=== HTTP/1.0 to the upstream
--- directives
proxy_http_version  1.0;
--- requests eval
[post(event() . ' ', keepalive => 1), post(event() . ' ', chunked => 50)]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[event(), event()]
--- upstream_head_like: HTTP/1\.0\r?$
--- upstream_headers eval
"Content-Length: " . length(event()) . "\n!Transfer-Encoding"


=== HTTP/1.1 to the upstream
--- directives
proxy_http_version  1.1;
--- requests eval
[post(event() . ' ', keepalive => 1), post(event() . ' ', chunked => 50)]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[event(), event()]
--- upstream_head_like: HTTP/1\.1\r?$
--- upstream_headers eval
"Content-Length: " . length(event()) . "\n!Transfer-Encoding"


=== X-Accel-Redirect: another location answers for the upstream
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://app;
}
location = /file {
    internal;
    alias  $TEST_NGINX_SERVROOT/html/index.html;
}
location @named {
    return  204;
}
--- requests eval
events(2)
--- upstream_answer eval
[map { "200\nX-Accel-Redirect: $_\nX-Leak: leak" } '/file', '@named']
--- reply
accepted m-1
accepted m-2
--- upstream eval
bodies(2)


=== X-Accel-Redirect: another location refuses for the upstream
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://app;
}
location = /refused {
    internal;
    return  403;
}
--- requests eval
events(3)
--- upstream_answer eval
[map { "200\nX-Accel-Redirect: $_\nX-Leak: leak" } '/refused', '/nowhere', '@nowhere']
--- reply
403 UPSTREAM_REJECTED
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
--- upstream eval
bodies(3)
--- error_log
could not find named location "@nowhere"
--- log
[info] jelou: UPSTREAM_REJECTED: status 403 from the content handler
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler


=== X-Accel-Redirect: another endpoint goes on with the event
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://app;
}
location @next {
    jelou_endpoint  incoming_message;
    jelou_secret    another-secret-of-the-tests;
    proxy_pass      http://app;
}
--- requests eval
events(2)
--- upstream_answer eval
["200\nX-Accel-Redirect: \@next", 201, "200\nX-Accel-Redirect: \@next", 503]
--- reply
accepted m-1
500 UPSTREAM_FAILED
--- upstream eval
[map { ($_) x 2 } @{ bodies(2) }]
--- log
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler


