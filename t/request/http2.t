# HTTP/2: with curl, also over TLS, and frame by frame where half a request is
# what matters.

use lib 't/lib';

BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';

use IO::Socket::INET;
use Jelou::Http2;
use Test::More;

sub lines { return join '', map { "$_\n" } @_ }

our $Large = event(content => '{"body":"' . "Gr\xc3\xbc\xc3\x9fe, \\n " x 20_000
                              . '"}');


# What post() makes, as the two sections that Test::Nginx passes to curl.

sub request_of { return map { s/ HTTP.*?\r\n.*?\r\n\r\n/\n/sr } @_ }

sub headers_of {
    return map {
        my ($head) = /^.*?\r\n(.*?)\r\n\r\n/s;
        join "\n", grep { !/^(?:Host|Connection|Content-Length):/ }
                   split /\r\n/, $head;
    } @_;
}

# What is refused when the body has been read, and before: curl is asked for the
# first only, for it may drop an answer that comes before it has sent all.

our @Refused = (
    ['401 SIGNATURE_MISMATCH', post(event(), secret => 'x')],
    ['401 SIGNATURE_MISMATCH', post($Large, secret => 'x')],
    ['400 INVALID_JSON', post('')],
    ['400 INVALID_JSON', post("$Large}")],
    ['422 INVALID_EVENT /user_id', post(event(user_id => undef))],
);

our @Before = (
    ['401 SIGNATURE_MISSING', post(event(), signature => undef)],
    ['401 SIGNATURE_MISSING', post(substr($Large, 0, 40_000),
                                   signature => undef)],
    ['401 SIGNATURE_MALFORMED', post(event(), signature => 'sha256=0')],
    ['401 SIGNATURE_MALFORMED',
     post(event(), signature => [(sign(event())) x 2])],
    ['405 METHOD_NOT_ALLOWED', post(event(), method => 'PUT')],
    ['405 METHOD_NOT_ALLOWED', post('', method => 'GET')],
    ['415 UNSUPPORTED_MEDIA_TYPE', post(event(), type => 'text/plain')],
    ['415 UNSUPPORTED_MEDIA_TYPE',
     post(event(), headers => ['Content-Encoding: gzip'])],
);

sub log_of {
    return lines(map { 'jelou refused a request: '
                       . $_->[0] =~ s/^\d+ (\w+).*/$1/r } @_);
}


# A certificate for the blocks that are asked over TLS, on a port of their own.

our $Pem = "$Jelou::Dir/$Jelou::Name.pem";

sub make_certificate {
    my @made = map {
        open my $openssl, '-|', $_ or die "openssl: $!\n";
        my $pem = join '', <$openssl>;
        close $openssl or die "openssl has made no certificate\n";
        $pem;
    } 'openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'
      . ' -keyout - 2>/dev/null';

    open my $out, '>', $Pem or die "$Pem: $!\n";
    print $out @made;
}

make_certificate();

add_block_preprocessor(sub {
    my $block = shift;

    my $tls = ($block->curl_protocol // '') =~ /https/;

    server_port_for_client($ENV{$tls ? 'TEST_NGINX_PORT_1'
                                     : 'TEST_NGINX_SERVER_PORT'});
    $block->set_value(curl_options => '-k') if $tls;
});

sub tls_config {
    return <<"END" . shift;
listen 127.0.0.1:$ENV{TEST_NGINX_PORT_1} ssl http2;
ssl_certificate      $Pem;
ssl_certificate_key  $Pem;
END
}


# frames: a conversation on one connection, of the steps that Jelou::Http2 has

add_response_body_check(sub {
    my $block = shift;

    my $frames = $block->frames // return;

    my $socket = IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}");
    my ($buffer, %streams) = '';

    syswrite $socket, preface();

    for my $step (@$frames) {
        my ($what, $stream, $value) = @$step;

        if ($what ne 'answer') {
            syswrite $socket, step($what, $stream, $value);
            next;
        }

        my ($status, $key) = split ' ', $value;
        my $name = $block->name . " - frames: stream $stream";
        my $got = read_stream($socket, \$buffer, \%streams, $stream);

        if (!$got) {
            fail("$name: no answer");

        } elsif ($status eq 'accepted') {
            is($got->{data}, qq({"success":true,"messageId":"$key"}), $name);

        } else {
            like($got->{headers}, status($status), "$name: status");
            is(Jelou::refusal_error($got->{data}, $status, $key), '', $name);
        }
    }
});

check_accum_error_log();
run_tests();

__DATA__

=== a signed message
--- http2
--- request eval
request_of(post(event()))
--- more_headers eval
headers_of(post(event()))
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers eval
'! X-Jelou-Signature
Content-Length: ' . length event()
--- no_error_log
jelou
[error]


=== a signed message, raw
--- directives
jelou_format raw;
--- http2
--- request eval
request_of(post('{ ' . substr event(), 1))
--- more_headers eval
headers_of(post('{ ' . substr event(), 1))
--- reply
accepted m-1
--- upstream eval
'{ ' . substr event(), 1
--- upstream_headers eval
'X-Jelou-Signature: ' . sign('{ ' . substr event(), 1)
--- no_error_log
jelou


=== refusals of a body
--- http2
--- request eval
[request_of(map { $_->[1] } @Refused)]
--- more_headers eval
[headers_of(map { $_->[1] } @Refused)]
--- reply eval
lines(map { $_->[0] } @Refused)
--- upstream
none
--- error_log
jelou refused a request: SIGNATURE_MISMATCH


=== refusals before the body, each with its body
--- http2
--- request eval
request_of(post(event()))
--- more_headers eval
headers_of(post(event()))
--- frames eval
[(map { my $stream = 2 * $_ + 1;
        ([post => $stream, $Before[$_][1]], [answer => $stream, $Before[$_][0]])
      } 0 .. $#Before), [post => 99, post(event())],
 [answer => 99, 'accepted m-1']]
--- reply
accepted m-1
--- upstream eval
[(event()) x 2]
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
log_of(@Before)
--- no_error_log
[error]


=== a body that is too large, with a length
--- directives
client_max_body_size 1k;
--- http2
--- request eval
request_of(post(event()))
--- more_headers eval
headers_of(post(event()))
--- frames eval
[[headers => 1, post('', length => 1025)],
 [answer  => 1, '413 PAYLOAD_TOO_LARGE'],
 [headers => 3, post('', length => 1025, signature => undef)],
 [answer  => 3, '401 SIGNATURE_MISSING'],
 [headers => 5, post('', length => 1025, method => 'PATCH')],
 [answer  => 5, '405 METHOD_NOT_ALLOWED'],
 [post    => 7, post(event(id => '"m-7"'))], [answer => 7, 'accepted m-7']]
--- reply
accepted m-1
--- upstream eval
[event(), event(id => '"m-7"')]
--- error_log
client intended to send too large body


=== a large body in memory
--- directives
client_body_buffer_size 1m;
--- http2
--- request eval
request_of(post($Large))
--- more_headers eval
headers_of(post($Large))
--- reply
accepted m-1
--- upstream eval
$Large
--- no_error_log
jelou
temporary file


=== a large body in a file
--- directives
client_body_buffer_size 16k;
--- http2
--- request eval
request_of(post($Large))
--- more_headers eval
headers_of(post($Large))
--- reply
accepted m-1
--- upstream eval
$Large
--- error_log
a client request body is buffered to a temporary file
--- no_error_log
jelou


=== outcomes of the upstream
--- http2
--- request eval
request_of(post(event()))
--- more_headers eval
headers_of(post(event()))
--- upstream_answer eval
[200, 500, 404, 'close', 200]
--- frames eval
my @expected = ('500 UPSTREAM_FAILED', '404 UPSTREAM_REJECTED',
                '500 UPSTREAM_FAILED', 'accepted m-1');
[map { ([post => 2 * $_ + 1, post(event())],
        [answer => 2 * $_ + 1, $expected[$_]]) } 0 .. 3]
--- reply
accepted m-1
--- upstream eval
[(event()) x 5]
--- error_log
jelou: UPSTREAM_FAILED: status 500 from the content handler
jelou: UPSTREAM_REJECTED: status 404 from the content handler
jelou: UPSTREAM_FAILED: status 502 from the content handler


=== over TLS, to all kinds of upstreams
--- config eval
tls_config(join '', map {
    my $proxy = $_ eq 'proxy';
    my $to    = $proxy ? 'http://app' : $_;
    my $param = $proxy ? '' : "${_}_param CONTENT_LENGTH \$content_length;";

    "location = /$_ { jelou_endpoint incoming_message; ${_}_pass $to;"
    . " jelou_secret \$TEST_NGINX_SECRET; $param }"
} qw(proxy fastcgi scgi uwsgi))
--- http2
--- curl_protocol: https
--- request eval
[request_of(map { post(event(), path => "/$_") } qw(proxy fastcgi scgi uwsgi))]
--- more_headers eval
[headers_of((post(event())) x 4)]
--- reply eval
lines(('accepted m-1') x 4)
--- upstream eval
[(event()) x 4]
--- upstream_head_unlike eval
qr/signature/i
--- upstream_head_like eval
my $length = length event();
qr/^CONTENT.LENGTH: $length\r$/mi
--- no_error_log
jelou
[error]


=== over TLS, large and in a file, and refusals
--- config eval
tls_config('location / { jelou_endpoint incoming_message; '
           . 'client_body_buffer_size 16k; proxy_pass http://app; '
           . 'jelou_secret $TEST_NGINX_SECRET; }')
--- http2
--- curl_protocol: https
--- request eval
[request_of(post($Large), map { $_->[1] } @Refused)]
--- more_headers eval
[headers_of(post($Large), map { $_->[1] } @Refused)]
--- reply eval
lines('accepted m-1', map { $_->[0] } @Refused)
--- upstream eval
[$Large]
--- error_log
a client request body is buffered to a temporary file


=== what the header is refused for is refused before there is a body
--- http2
--- request eval
request_of(post(event()))
--- more_headers eval
headers_of(post(event()))
--- frames eval
[[headers => 1, post('', signature => undef, length => undef)],
 [answer  => 1, '401 SIGNATURE_MISSING'],
 [headers => 3, post('', signature => 'sha256=0', length => 100)],
 [answer  => 3, '401 SIGNATURE_MALFORMED'],
 [headers => 5, post('', method => 'PUT', length => undef)],
 [answer  => 5, '405 METHOD_NOT_ALLOWED'],
 [headers => 7, post('', type => 'text/plain', length => undef)],
 [answer  => 7, '415 UNSUPPORTED_MEDIA_TYPE'],
 [post    => 9, post(event(id => '"m-9"'))],
 [answer  => 9, 'accepted m-9']]
--- reply
accepted m-1
--- upstream eval
[event(), event(id => '"m-9"')]
--- error_log
jelou refused a request: SIGNATURE_MISSING
jelou refused a request: SIGNATURE_MALFORMED
jelou refused a request: METHOD_NOT_ALLOWED
jelou refused a request: UNSUPPORTED_MEDIA_TYPE
--- no_error_log
[error]


=== bodies in many frames, of two requests at a time, and no length
--- http2
--- request eval
request_of(post(event()))
--- more_headers eval
headers_of(post(event()))
--- frames eval
my ($one, $two) = map { event(id => qq("m-$_")) } 1, 3;
my @one = map { [data => 1, $_] } pieces($one, 1);
my @two = map { [data => 3, $_] } pieces($two, 1);
[[headers => 1, post($one, length => undef)],
 [headers => 3, post($two, length => undef, secret => 'x')],
 (map { $one[$_], $two[$_] } 0 .. $#one),
 [end => 3], [answer => 3, '401 SIGNATURE_MISMATCH'],
 [end => 1], [answer => 1, 'accepted m-1'],
 [headers => 5, post('', length => undef)], [end => 5],
 [answer => 5, '400 INVALID_JSON']]
--- reply
accepted m-1
--- upstream eval
[(event()) x 2]
--- upstream_headers eval
'Content-Length: ' . length event()
--- error_log
jelou refused a request: SIGNATURE_MISMATCH
jelou refused a request: INVALID_JSON


=== a body without a length that is too large
--- directives
client_max_body_size 1000;
--- http2
--- request eval
request_of(post(event()))
--- more_headers eval
headers_of(post(event()))
--- frames eval
[[headers => 1, post(event() . ' ' x 2000, length => undef)],
 [data => 1, event()], [data => 1, ' ' x 2000],
 [answer => 1, '413 PAYLOAD_TOO_LARGE'],
 [post => 3, post(event(id => '"m-3"'))], [answer => 3, 'accepted m-3']]
--- reply
accepted m-1
--- upstream eval
[event(), event(id => '"m-3"')]
--- error_log
client intended to send too large


=== a client that resets a stream half-way, and goes away in another
--- http2
--- request eval
request_of(post(event()))
--- more_headers eval
headers_of(post(event()))
--- frames eval
[[headers => 1, post(event())], [data => 1, substr event(), 0, 100],
 [reset => 1],
 [post => 3, post(event(id => '"m-3"'))], [answer => 3, 'accepted m-3'],
 [headers => 5, post(event())], [data => 5, substr event(), 0, 100]]
--- reply
accepted m-1
--- upstream eval
[event(), event(id => '"m-3"')]
--- no_error_log
jelou
[error]
[crit]
[alert]


