# nginx's own directives in the company of jelou_endpoint: each does what it is
# known for, and the answers stay the contract's unless the operator wants
# another one.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.003 }

use Jelou 'no_plan';

use MIME::Base64 qw(encode_base64);

check_accum_error_log();

# A block's "log" is all that the module has logged, in order, and without a
# "log" it is nothing.

add_test_cleanup_handler(sub {
    my $block = shift;

    open my $in, '<', $Test::Nginx::Util::ErrLogFile or die $!;

    my $log = join '', map {
        /(\[\w+\]) \S+ \*\d+ (jelou.*?)(?: while [^,]+)?, (?:client|login)/
            ? "$1 $2\n" : ()
    } <$in>;

    is($log, $block->log // '', $block->name . ' - log');
});

# The endpoint, as it stands in most blocks, goes where ENDPOINT stands

add_block_preprocessor(sub {
    my $block = shift;

    my $config = $block->config // return;

    $config =~ s/ENDPOINT/jelou_endpoint incoming_message;
    jelou_secret $ENV{TEST_NGINX_SECRET};/g;

    $block->set_value(config => $config);
});

our $in_raw  = " \n" . event() . "\n";
our $missing = "[warn] jelou refused a request: SIGNATURE_MISSING\n";
our $page = sub {
    return "[$_[0] from the content handler, and an error page answers\n";
};
our $mismatch = $missing =~ s/MISSING/MISMATCH/r;
our $invalid = '[info] jelou refused a request: INVALID_EVENT: 1 violation, '
               . qq(the first at "/value/id": is required\n);

sub unsigned(@) { return post(event(), signature => undef, @_) }
sub invalid(@)  { return post(event(id => undef), @_) }
sub signed(@)   { return post($in_raw, @_) }

sub basic($) {
    return 'Authorization: Basic ' . encode_base64("$_[0]:pass", '');
}

our @keep = (keepalive => 1);

run_tests();

__DATA__

=== limit_req: 503 becomes 500
--- http_config
limit_req_zone  $server_name zone=one:1m rate=1r/m;
--- directives
limit_req  zone=one;
--- requests eval
[signed(@keep), signed(@keep), unsigned()]
--- reply
accepted m-1
500 INTERNAL_ERROR
500 INTERNAL_ERROR
--- upstream eval
event()
--- error_log
limiting requests


=== limit_req: 429 stays, with the operator's Retry-After
--- http_config
limit_req_zone  $server_name zone=one:1m rate=1r/m;
--- directives
limit_req         zone=one;
limit_req_status  429;
add_header        Retry-After 7 always;
--- requests eval
[signed(@keep), signed(@keep), signed(secret => 'another')]
--- reply
accepted m-1
429 TOO_MANY_REQUESTS
429 TOO_MANY_REQUESTS
--- raw_response_headers_like eval
[('Retry-After: 7\r') x 3]
--- upstream eval
event()


=== limit_req delays, and then delivers
--- http_config
limit_req_zone  $server_name zone=one:1m rate=10r/s;
--- directives
limit_req  zone=one burst=5;
--- requests eval
[signed(@keep), signed(@keep), unsigned()]
--- reply
accepted m-1
accepted m-1
401 SIGNATURE_MISSING
--- upstream eval
[event(), event()]
--- log eval
$missing


=== limit_conn
--- http_config
limit_conn_zone  $server_name zone=one:1m;
--- config
limit_conn_status  429;

location = /v1/external-support/webhook {
    limit_conn  one 1;
    proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/inner;
}
location = /inner {
    ENDPOINT
    limit_conn  one 1;
    proxy_pass  http://app;
}
--- raw_request eval
signed()
--- reply
429 TOO_MANY_REQUESTS
--- upstream
none
--- error_log
limiting connections by zone


=== deny
--- directives
deny  all;
--- requests eval
[signed(@keep), unsigned(@keep), post('', method => 'GET')]
--- reply
403 FORBIDDEN
403 FORBIDDEN
403 FORBIDDEN
--- upstream
none
--- error_log
access forbidden by rule


=== allow
--- directives
allow  127.0.0.1;
deny   all;
--- requests eval
[signed(@keep), unsigned()]
--- reply
accepted m-1
401 SIGNATURE_MISSING
--- upstream eval
event()
--- log eval
$missing


=== auth_basic
--- user_files
>>> passwd
tester:{PLAIN}pass
--- directives
auth_basic            "the realm";
auth_basic_user_file  $TEST_NGINX_SERVROOT/html/passwd;
--- requests eval
[signed(@keep), signed(headers => [basic('other')], @keep),
 signed(headers => [basic('tester')], @keep), unsigned(headers => [basic('tester')])]
--- reply
401 UNAUTHORIZED
401 UNAUTHORIZED
accepted m-1
401 SIGNATURE_MISSING
--- raw_response_headers_like eval
[('WWW-Authenticate: Basic realm="the realm"\r') x 2, 'json', 'json']
--- upstream eval
event()
--- upstream_headers eval
basic('tester')
--- log eval
$missing


=== auth_request
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    auth_request      /auth;
    auth_request_set  $by $upstream_http_x_by;
    proxy_set_header  X-By $by;
    proxy_pass        http://app;
}
location = /auth {
    internal;
    proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/answer;
    proxy_pass_request_body  off;
    proxy_set_header         Content-Length "";
}
location = /answer {
    add_header  X-By me always;
    if ($http_x_auth = 401) {
        return  401;
    }
    if ($http_x_auth = 403) {
        return  403;
    }
    if ($http_x_auth = 500) {
        return  500;
    }
    return      204;
}
--- requests eval
[signed(@keep), (map { signed(headers => ["X-Auth: $_"], @keep) } 401, 403),
 unsigned(@keep), signed(@keep),
 signed(headers => ['X-Auth: 500'])]
--- reply
accepted m-1
401 UNAUTHORIZED
403 FORBIDDEN
401 SIGNATURE_MISSING
accepted m-1
500 INTERNAL_ERROR
--- upstream eval
[event(), event()]
--- upstream_headers
X-By: me
--- error_log
auth request unexpected status
--- log eval
$missing


=== auth_request to an endpoint is refused
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    auth_request  /auth;
    proxy_pass    http://app;
}
location = /auth {
    ENDPOINT
    proxy_pass  http://app;
}
--- raw_request eval
signed()
--- reply
500 INTERNAL_ERROR
--- upstream
none
--- error_log
auth request unexpected status: 500
--- log
[error] jelou: an endpoint does not serve subrequests


=== satisfy any
--- user_files
>>> passwd
tester:{PLAIN}pass
--- directives
satisfy               any;
deny                  all;
auth_basic            "the realm";
auth_basic_user_file  $TEST_NGINX_SERVROOT/html/passwd;
--- requests eval
[signed(@keep), signed(headers => [basic('tester')], @keep), unsigned(headers => [basic('tester')])]
--- reply
401 UNAUTHORIZED
accepted m-1
401 SIGNATURE_MISSING
--- upstream eval
event()
--- log eval
$missing


=== limit_except
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://app;
    limit_except POST {
        deny  all;
    }
}
location = /get {
    ENDPOINT
    proxy_pass  http://app;
    limit_except GET {
        deny  all;
    }
}
location = /proxy {
    ENDPOINT
    proxy_pass  http://app;
    limit_except GET {
        proxy_pass  http://down;
    }
}
--- requests eval
[signed(@keep), post('', method => 'GET', @keep), post('', method => 'PUT', @keep), unsigned(@keep),
 signed(path => '/get', @keep), post('', method => 'GET', path => '/get', @keep),
 unsigned(path => '/proxy', @keep), signed(path => '/proxy')]
--- reply
accepted m-1
403 FORBIDDEN
403 FORBIDDEN
401 SIGNATURE_MISSING
403 FORBIDDEN
405 METHOD_NOT_ALLOWED
401 SIGNATURE_MISSING
500 UPSTREAM_FAILED
--- upstream eval
event()
--- error_log
Connection refused
--- log eval
"${missing}[info] jelou refused a request: METHOD_NOT_ALLOWED\n$missing"
. "[error] jelou: UPSTREAM_FAILED: status 502 from the content handler\n"


=== if: what stands outside is inherited, the content handler too
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://app;
    set         $seen no;

    if ($arg_set) {
        set $seen yes;
    }
    if ($arg_header) {
        add_header  X-If yes always;
    }
    if ($arg_proxy) {
        proxy_pass  http://app;
    }
    if ($arg_return) {
        return  403;
    }
    if ($arg_text) {
        return  200 text;
    }
    if ($arg_rewrite) {
        rewrite  ^ /elsewhere break;
    }
    proxy_set_header  X-Seen $seen;
}
--- requests eval
our $to = '/v1/external-support/webhook?';
[(map { (signed(path => "$to$_=1", @keep), unsigned(path => "$to$_=1", @keep)) }
      qw(set header proxy return rewrite)),
 signed(path => "${to}text=1")]
--- reply
accepted m-1
401 SIGNATURE_MISSING
accepted m-1
401 SIGNATURE_MISSING
accepted m-1
401 SIGNATURE_MISSING
403 FORBIDDEN
403 FORBIDDEN
accepted m-1
401 SIGNATURE_MISSING
200
--- raw_response_headers_unlike eval
[('leak') x 10, 'json']
--- upstream eval
[(event()) x 4]
--- upstream_headers
!X-Jelou-Signature
--- upstream_head_like eval
qr{^POST\ /v1/external-support/webhook\?(?:header|proxy)=1\ .*^X-Seen:\ no\r$
 | ^POST\ /v1/external-support/webhook\?set=1\ .*^X-Seen:\ yes\r$
 | ^POST\ /elsewhere\?rewrite=1\ }xms
--- log eval
$missing x 4


=== if: without any content handler
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    if ($arg_x) {
        set $y 1;
    }
}
location = /only {
    ENDPOINT
    if ($arg_x) {
        proxy_pass  http://app;
    }
}
--- requests eval
[signed(path => '/v1/external-support/webhook?x=1', @keep),
 unsigned(path => '/v1/external-support/webhook?x=1', @keep),
 signed(path => '/only', @keep), signed(path => '/only?x=1', @keep), unsigned(path => '/only?x=1')]
--- reply
accepted m-1
401 SIGNATURE_MISSING
accepted m-1
accepted m-1
401 SIGNATURE_MISSING
--- upstream eval
event()
--- log eval
$missing x 2


=== mirror: it gets what was received, the upstream gets the event
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    mirror      /mirror;
    proxy_pass  http://app;
}
location = /mirror {
    internal;
    proxy_pass  http://127.0.0.1:$TEST_NGINX_SERVER_PORT/later;
}
location = /later {
    proxy_pass  http://app;
}
--- raw_request eval
signed()
--- reply
accepted m-1
--- upstream eval
[event(), $in_raw]


=== mirror: also of what is refused, and its signature stays
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    mirror      /mirror;
    proxy_pass  http://app;
}
location = /mirror {
    internal;
    proxy_pass  http://app;
}
--- requests eval
[unsigned(@keep), post($in_raw . 'x', keepalive => 0)]
--- reply
401 SIGNATURE_MISSING
400 INVALID_JSON
--- upstream eval
[event(), $in_raw . 'x']
--- log eval
$missing . "[info] jelou refused a request: INVALID_JSON: not JSON at byte 209 of 209\n"


=== mirror: the signature and the length are those of the original
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    mirror  /mirror;
}
location = /mirror {
    internal;
    proxy_pass  http://app;
}
--- raw_request eval
signed()
--- reply
accepted m-1
--- upstream eval
[$in_raw]
--- upstream_headers eval
'X-Jelou-Signature: ' . sign($in_raw) . "\nContent-Length: " . length $in_raw


=== mirror: the same, among many headers
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    mirror  /mirror;
}
location = /mirror {
    internal;
    proxy_pass  http://app;
}
--- raw_request eval
post($in_raw, signature => undef,
     headers => [(map { "X-$_: $_" } 1 .. 30),
                 'X-Jelou-Signature: ' . sign($in_raw), 'X-Last: yes'])
--- reply
accepted m-1
--- upstream eval
[$in_raw]
--- upstream_headers eval
'X-Jelou-Signature: ' . sign($in_raw) . "\nContent-Length: " . length($in_raw)
. "\nX-1: 1\nX-30: 30\nX-Last: yes"


=== mirror: the same, by FastCGI
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    mirror  /mirror;
}
location = /mirror {
    internal;
    fastcgi_pass   fastcgi;
    fastcgi_param  CONTENT_LENGTH $content_length;
    fastcgi_param  REQUEST_METHOD $request_method;
}
--- raw_request eval
signed()
--- reply
accepted m-1
--- upstream eval
[$in_raw]
--- upstream_headers eval
'HTTP_X_JELOU_SIGNATURE: ' . sign($in_raw) . "\nCONTENT_LENGTH: " . length $in_raw


=== mirror: large bodies, in memory, in a file and chunked
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    mirror                   /mirror;
    client_body_buffer_size  1k;
}
location = /mirror {
    internal;
    proxy_pass  http://app;
}
--- requests eval
our $large = event(content => '{"body":"' . 'x' x 100_000 . '"}') . ' ';
[post($large, @keep), post($large, chunked => 10_000)]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[$large, $large]


=== mirror_request_body off
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    mirror               /mirror;
    mirror_request_body  off;
}
location = /mirror {
    internal;
    proxy_pass               http://app;
    proxy_pass_request_body  off;
    proxy_set_header         Content-Length "";
}
--- requests eval
[signed(@keep), unsigned()]
--- reply
accepted m-1
401 SIGNATURE_MISSING
--- upstream eval
['', '']
--- log eval
$missing


=== mirror to an endpoint is refused, and does no harm
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    mirror      /mirror;
    proxy_pass  http://app;
}
location = /mirror {
    ENDPOINT
    proxy_pass  http://app;
}
--- raw_request eval
signed()
--- reply
accepted m-1
--- upstream eval
event()
--- log
[error] jelou: an endpoint does not serve subrequests


=== error_page: the operator's page wins
--- config
error_page  404 /upstream-404;
error_page  401 = /page;
error_page  422 /page;
error_page  500 =503 /page;

location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://app;
}
location = /page {
    internal;
    return  200 "page $jelou_result";
}
location = /upstream-404 {
    return  200 never;
}
--- requests eval
[unsigned(@keep), invalid(@keep), signed(@keep), signed(@keep), signed()]
--- upstream_answer eval
[404, 500, 200]
--- reply
200
422
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
accepted m-1
--- response_body_like eval
['^page signature_missing$', '^page invalid_event$', '', '', '']
--- raw_response_headers_unlike eval
['json', 'json', ('leak') x 3]
--- upstream eval
[(event()) x 3]
--- log eval
"$missing${invalid}[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler\n"
. "[error] jelou: UPSTREAM_FAILED: status 500 from the content handler\n"


=== error_page: a static page, with the status of the refusal
--- user_files
>>> sorry.html
sorry
--- config
error_page  401 422 405 403 502 /sorry.html;

location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://app;
}
location = /down {
    ENDPOINT
    proxy_pass  http://down;
}
location = /deny {
    ENDPOINT
    deny        all;
    proxy_pass  http://app;
}
location = /sorry.html {
    root  $TEST_NGINX_SERVROOT/html;
}
--- requests eval
[unsigned(@keep), invalid(@keep), post('', method => 'GET', @keep),
 signed(path => '/down', @keep), signed(path => '/deny')]
--- reply
401
422
405
502
403
--- response_body eval
[("sorry\n") x 5]
--- raw_response_headers_unlike eval
[('json') x 5]
--- upstream
none
--- log eval
"$missing${invalid}[info] jelou refused a request: METHOD_NOT_ALLOWED\n"
. $page->('error] jelou: UPSTREAM_FAILED: status 502')


=== error_page: a redirect
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    error_page  401 422     https://example.com/sorry;
    error_page  502 403 404 =301 https://example.com/sorry;
    proxy_pass  http://app;

    proxy_intercept_errors  on;
}
--- requests eval
[unsigned(@keep), invalid(@keep), signed(@keep), signed(@keep), signed()]
--- upstream_answer eval
['close', 404, 200]
--- reply
302
302
301
301
accepted m-1
--- raw_response_headers_like eval
[('Location: https://example.com/sorry\r') x 4, 'json']
--- raw_response_headers_unlike eval
[('json') x 4, 'leak']
--- upstream eval
[(event()) x 3]
--- error_log
upstream prematurely closed
--- log eval
"$missing$invalid" . $page->('error] jelou: UPSTREAM_FAILED: status 502')
. $page->('info] jelou: UPSTREAM_REJECTED: status 404')


=== error_page: a backup answers for itself, and gets the very event
--- http_config
server {
    listen  127.0.0.1:$TEST_NGINX_PORT_1;
    location / {
        return  503 leak;
    }
}
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://down;
    error_page  502 = @backup;
}
location = /intercept {
    ENDPOINT
    proxy_pass              http://127.0.0.1:$TEST_NGINX_PORT_1;
    proxy_intercept_errors  on;
    error_page              503 = @backup;
}
location @backup {
    proxy_pass  http://app;
}
--- requests eval
[signed(@keep), signed(@keep), signed(path => '/intercept', @keep), unsigned(path => '/intercept')]
--- upstream_answer eval
["201\n\nmine", "404\n\nmine", "200\n\nmine"]
--- reply
201
404
200
401 SIGNATURE_MISSING
--- response_body_like eval
[('^mine$') x 3, '']
--- raw_response_headers_like eval
[('X-Upstream: leak') x 3, '']
--- upstream eval
[(event()) x 3]
--- upstream_headers eval
'Content-Length: ' . length(event()) . "\n!X-Jelou-Signature"
--- error_log
Connection refused
--- log eval
join '', map({ $page->("error] jelou: UPSTREAM_FAILED: status $_") } 502, 502, 503),
         $missing


=== error_page: the backup is an endpoint, and answers as one
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://down;
    error_page  502 504 = @backup;
}
location @backup {
    ENDPOINT
    proxy_pass  http://app;
}
--- requests eval
[signed(@keep), signed(@keep), signed()]
--- upstream_answer eval
[201, 404, 500]
--- reply
accepted m-1
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
--- upstream eval
[(event()) x 3]
--- upstream_headers
!X-Jelou-Signature
--- error_log
Connection refused
--- log
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler


=== error_page: a backup that is an endpoint answers, whatever the page's status is
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://down;
    error_page  502 @backup;
}
location @backup {
    ENDPOINT
    proxy_pass  http://app;
}
--- raw_request eval
signed()
--- reply
accepted m-1
--- upstream eval
event()
--- error_log
Connection refused


=== error_page: a refused request does not get further through another endpoint
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://app;
    error_page  401 422 400 = @named;
}
location = /uri {
    ENDPOINT
    proxy_pass  http://app;
    error_page  401 422 400 = /other;
}
location @named {
    jelou_endpoint  incoming_message;
    jelou_secret    another-secret-of-the-tests;
    proxy_pass      http://app;
}
location = /other {
    jelou_endpoint  incoming_message;
    jelou_secret    another-secret-of-the-tests;
}
--- requests eval
[map { my @path = @$_;
       unsigned(@path, @keep), invalid(@path, @keep),
       signed(secret => 'another-secret-of-the-tests', @path, keepalive => !@path) }
 [], [path => '/uri']]
--- reply
401 SIGNATURE_MISSING
422 INVALID_EVENT /value/id
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISSING
422 INVALID_EVENT /value/id
401 SIGNATURE_MISMATCH
--- upstream
none
--- log eval
"$missing$invalid$mismatch" x 2


=== recursive_error_pages
--- config
recursive_error_pages  on;

location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://down;
    error_page  502 = @second;
    error_page  422 = @page;
}
location @second {
    ENDPOINT
    proxy_pass  http://down;
    error_page  502 = @third;
}
location @third {
    ENDPOINT
    proxy_pass  http://app;
}
location @page {
    ENDPOINT
    error_page  422 = @last;
}
location @last {
    return  200 last;
}
--- requests eval
[signed(@keep), invalid()]
--- reply
accepted m-1
200
--- response_body_like eval
['', '^last$']
--- raw_response_headers_unlike eval
['leak', 'json']
--- upstream eval
event()
--- error_log
Connection refused
--- log eval
$invalid


=== an error_page that leads to itself ends
--- config
recursive_error_pages  on;

location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://app;
    error_page  401 = @self;
}
location @self {
    ENDPOINT
    error_page  401 = @self;
}
--- raw_request eval
unsigned()
--- reply
401 SIGNATURE_MISSING
--- upstream
none
--- error_log
rewrite or internal redirection cycle
--- log eval
$missing


=== error pages of the whole server
--- config
error_page  404             /404.html;
error_page  500 502 503 504 /50x.html;

location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass  http://app;
}
location = /down {
    ENDPOINT
    proxy_pass  http://down;
}
location = /50x.html {
    return  200 "50x $status $jelou_result";
}
location / {
    root  $TEST_NGINX_SERVROOT/html;
}
--- requests eval
[signed(@keep), signed(@keep), unsigned(@keep),
 post('', path => '/nowhere', method => 'GET', @keep), signed(path => '/down')]
--- upstream_answer eval
[500, 404]
--- reply
500 UPSTREAM_FAILED
404 UPSTREAM_REJECTED
401 SIGNATURE_MISSING
404
502
--- response_body_like eval
['', '', '', '^<html>', '^50x 502']
--- raw_response_headers_unlike eval
[('leak') x 3, ('json') x 2]
--- upstream eval
[event(), event()]
--- error_log
Connection refused
--- log eval
"[error] jelou: UPSTREAM_FAILED: status 500 from the content handler\n"
. "[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler\n$missing"
. $page->('error] jelou: UPSTREAM_FAILED: status 502')


=== proxy_intercept_errors: without a page the contract answers
--- directives
proxy_intercept_errors  on;
--- requests eval
[map { signed(keepalive => $_ < 5) } 1 .. 5]
--- upstream_answer eval
["404\n\nleak", "500\n\nleak", "503\nRetry-After: 7", "301\nLocation: http://leak/", 200]
--- reply
404 UPSTREAM_REJECTED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
500 UPSTREAM_FAILED
accepted m-1
--- upstream eval
[(event()) x 5]
--- log
[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler
[error] jelou: UPSTREAM_FAILED: status 503 from the content handler
[error] jelou: UPSTREAM_FAILED: status 301 from the content handler


=== proxy_intercept_errors: pages for some statuses
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass              http://app;
    proxy_intercept_errors  on;
    error_page              404 =200 @page;
    error_page              401 @page;
}
location @page {
    return  200 "page $jelou_result";
}
--- requests eval
[map { signed(keepalive => $_ < 4) } 1 .. 4]
--- upstream_answer eval
["404\n\nleak", "401\nWWW-Authenticate: Basic realm=kept\n\nleak", "422\n\nleak", 200]
--- reply
200
401
422 UPSTREAM_REJECTED
accepted m-1
--- response_body_like eval
['^page upstream_rejected$', '^page upstream_rejected$', '', '']
--- raw_response_headers_unlike eval
[('leak|json') x 2, 'leak', 'leak']
--- upstream eval
[(event()) x 4]
--- log eval
join '', map({ $page->("info] jelou: UPSTREAM_REJECTED: status $_") } 404, 401),
         "[info] jelou: UPSTREAM_REJECTED: status 422 from the content handler\n"


=== rewrite, try_files and error_page lead to an endpoint
--- config
location = /v1/external-support/webhook {
    internal;
    ENDPOINT
    proxy_pass  http://app;
}
location = /rewrite {
    rewrite  ^ /v1/external-support/webhook last;
}
location = /try {
    try_files  /nothing /v1/external-support/webhook;
}
location = /named {
    try_files  /nothing @named;
}
location = /error {
    error_page  404 = @named;
    return      404;
}
location @named {
    ENDPOINT
    proxy_pass  http://app;
}
--- requests eval
[(map { (signed(path => "/$_", @keep), unsigned(path => "/$_", @keep)) }
      qw(rewrite try named error)),
 signed()]
--- reply
accepted m-1
401 SIGNATURE_MISSING
accepted m-1
401 SIGNATURE_MISSING
accepted m-1
401 SIGNATURE_MISSING
accepted m-1
401 SIGNATURE_MISSING
404 NOT_FOUND
--- upstream eval
[(event()) x 4]
--- upstream_headers
!X-Jelou-Signature
--- log eval
$missing x 4


=== try_files in the endpoint itself
--- user_files
>>> there.txt
there
--- config
root  $TEST_NGINX_SERVROOT/html;

location /v1/ {
    ENDPOINT
    try_files   $uri $uri/ =404;
    proxy_pass  http://app;
}
location /fall/ {
    ENDPOINT
    try_files  /nothing @fall;
}
location /there.txt {
    ENDPOINT
    try_files   $uri =404;
    proxy_pass  http://app;
}
location @fall {
    proxy_pass  http://app;
}
--- requests eval
[signed(path => '/v1/nothing', @keep), signed(path => '/there.txt', @keep),
 unsigned(path => '/there.txt', @keep), unsigned(path => '/fall/x')]
--- reply
404 NOT_FOUND
accepted m-1
401 SIGNATURE_MISSING
200
--- raw_response_headers_unlike eval
[('leak') x 3, 'json']
--- upstream eval
[event(), event()]
--- log eval
$missing


=== nested locations, by prefix and by pattern
--- config
location /v1/ {
    ENDPOINT
    proxy_pass  http://app;

    location /v1/open/ {
        jelou_endpoint  off;
        proxy_pass      http://app;
    }
    location ~ ^/v1/(\w+)/hook$ {
        proxy_pass  http://app/$1;
    }
}
--- requests eval
[signed(path => '/v1/x', @keep), signed(path => '/v1/y/hook', @keep),
 unsigned(path => '/v1/y/hook', @keep),
 post('as it is', signature => 'kept', path => '/v1/open/')]
--- reply
accepted m-1
accepted m-1
401 SIGNATURE_MISSING
200
--- raw_response_headers_like eval
['json', 'json', 'json', 'X-Upstream: leak']
--- upstream eval
[event(), event(), 'as it is']
--- upstream_head_like eval
qr{^POST (?:/v1/x|/y|/v1/open/) }
--- log eval
$missing


=== realip: the module's clean-up is not realip's
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    set_real_ip_from  127.0.0.1;
    real_ip_header    X-Forwarded-For;
    proxy_set_header  X-Real-IP $remote_addr;
    proxy_set_header  X-Peer $realip_remote_addr;
    proxy_pass        http://down;
    error_page        502 = @backup;
}
location @backup {
    ENDPOINT
    proxy_set_header  X-Real-IP $remote_addr;
    proxy_set_header  X-Peer $realip_remote_addr;
    proxy_pass        http://app;
}
--- requests eval
[signed(headers => ['X-Forwarded-For: 192.0.2.7'], @keep),
 unsigned(headers => ['X-Forwarded-For: 192.0.2.7'])]
--- reply
accepted m-1
401 SIGNATURE_MISSING
--- upstream eval
event()
--- upstream_headers
X-Real-IP: 192.0.2.7
X-Peer: 127.0.0.1
--- error_log
client: 192.0.2.7
--- log eval
$missing


=== filters of the answer: sub_filter, ssi, charset, expires, etag, gunzip
--- directives
sub_filter         messageId messageID;
sub_filter_types   application/json;
ssi                on;
ssi_types          application/json;
charset            utf-8;
expires            1h;
gunzip             on;
etag               on;
proxy_cache        off;
--- requests eval
[signed(@keep), unsigned(@keep), signed()]
--- upstream_answer eval
["200\n\n<!--# echo var=\"x\" -->leak", "404\nContent-Encoding: gzip\n\nleak"]
--- reply
200
401 SIGNATURE_MISSING
404 UPSTREAM_REJECTED
--- response_body_like eval
['^\{"success":true,"messageID":"m-1"\}$', 'SIGNATURE_MISSING', 'UPSTREAM_REJECTED']
--- raw_response_headers_like eval
['Cache-Control: max-age=3600', 'json', 'json']
--- raw_response_headers_unlike eval
[('leak') x 3]
--- upstream eval
[event(), event()]
--- log eval
"${missing}[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler\n"


=== post_action
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass   http://app;
    post_action  @after;
}
location @after {
    proxy_pass        http://app;
    proxy_set_header  X-After $jelou_message_id;
}
--- requests eval
[signed(@keep), unsigned(@keep), signed()]
--- upstream_answer eval
[200, 500, 200, 404, 200]
--- reply
accepted m-1
401 SIGNATURE_MISSING
404 UPSTREAM_REJECTED
--- wait: 0.1
--- upstream_head_like: ^POST
--- log eval
"${missing}[info] jelou: UPSTREAM_REJECTED: status 404 from the content handler\n"


=== post_action that is an endpoint
--- config
location = /v1/external-support/webhook {
    ENDPOINT
    proxy_pass   http://app;
    post_action  @after;
}
location @after {
    ENDPOINT
    proxy_pass  http://app;
}
--- raw_request eval
signed()
--- reply
accepted m-1
--- wait: 0.1
--- upstream eval
[event()]
--- log
[error] jelou: an endpoint does not serve post_action


=== map, volatile or not, and set
--- http_config
map $jelou_room_id $room {
    r-1      one;
    default  none;
}
map $jelou_result $result {
    volatile;
    ""       none;
    default  $jelou_result;
}
--- directives
set               $early "$jelou_room_id$jelou_result";
proxy_set_header  X-Room $room;
proxy_set_header  X-Result $result;
proxy_set_header  X-Early "early$early";
add_header        X-Result $result always;
--- requests eval
[signed(@keep), unsigned()]
--- reply
accepted m-1
401 SIGNATURE_MISSING
--- raw_response_headers_like eval
['X-Result: accepted\r', 'X-Result: signature_missing\r']
--- upstream eval
event()
--- upstream_headers
X-Room: one
X-Result: accepted
X-Early: early
--- log eval
$missing


=== a secret that a map chooses by the project
--- http_config
map $jelou_project_id $key {
    p-1  secret-of-project-one;
    p-2  secret-of-project-two;
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $key;
    proxy_pass      http://app;
}
--- requests eval
[post($in_raw, secret => 'secret-of-project-one', @keep),
 post($in_raw, secret => 'secret-of-project-two', @keep),
 post(event(project_id => '"p-2"'), secret => 'secret-of-project-two', @keep),
 post(event(project_id => '"p-3"'), secret => '', @keep),
 post(event(project_id => undef), secret => 'secret-of-project-one', @keep),
 post('{', secret => 'secret-of-project-one')]
--- reply
accepted m-1
401 SIGNATURE_MISMATCH
accepted m-1
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
--- upstream eval
[event(), event(project_id => '"p-2"')]
--- log eval
$mismatch x 4


