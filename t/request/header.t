# What the request's header must say: method, content type and encoding, and
# size; and the order of the checks.

use lib 't/lib';

BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';


# requests(OPTIONS, ...): those of post() as array references; the last request
# is the only one that closes the connection

sub requests {
    my $last = pop;

    return [(map { post(event(), @$_, keepalive => 1) } @_),
            post(event(), @$last)];
}

sub lines { return join '', map { "$_\n" } @_ }

sub refusals { return lines(map { "jelou refused a request: $_" } @_) }


our @Methods = qw(GET PUT DELETE OPTIONS PATCH PROPFIND MKCOL LOCK POSTS PUSH);

our @Json = (
    'application/json', 'APPLICATION/JSON', 'Application/Json',
    'application/json; charset=utf-8', 'application/json;charset=UTF-8',
    'application/json;', 'application/json ; x=y', "application/json\t;x=y",
    'application/json; x="iso-8859-1"; y=z', ' application/json ',
    'application/json; CharSet=Utf-8', 'application/json; charset="UTF-8"',
    'application/json; x="a;b=\\"c"; charset="utf\\-8"; charsets=utf-7',
    "application/json\t;\t;;\tcharset=utf-8\t;\t",
    'application/json; x=charset-utf-7',
    'application/json; x="; charset=utf-7"',
);

our @Other = (
    'text/plain', 'text/json', 'text/html', 'application/jsonp',
    'application/json2', 'application/json-seq', 'application/ld+json',
    'application/cloudevents+json', 'application/x-json', 'application/jso',
    'application', 'json', '/json', '*/*', 'application/*',
    'application /json', 'application/ json', 'application-json',
    'x-application/json', '"application/json"', ';application/json',
    'application/json, text/html', 'application/json,application/json',
    'text/html, application/json', 'application/json charset=utf-8',
    'application/json=', "application/json\x0b", "application/json\xa0",
    'text/plain; application/json', 'multipart/form-data; boundary=json',
    'application/x-www-form-urlencoded', '', undef,
    (map { "application/json; charset=$_" }
         'utf-7', 'utf-16', 'utf-16le', 'UTF-32', 'iso-8859-1', 'us-ascii',
         'utf8', 'utf-', 'utf-88', 'utf-8x', '"utf-7"', '"utf-8', '"utf-8\\',
         '""', '', ' utf-8', 'utf-8 x', "'utf-8'", '"utf-8"x', '"utf-8 "',
         'utf-8; charset=utf-8', 'utf-8; charset=utf-7',
         'utf-7;charset=utf-8', '"utf-8"; Charset="utf-8"'),
    'application/json; charset', 'application/json; charset =utf-8',
    'application/json; =utf-8', 'application/json; x', 'application/json; x=',
    'application/json; x="', 'application/json; charset*=utf-8,',
    'application/json; x="y" charset=utf-8', 'application/json; ch[]=utf-8',
);

our @Encodings = (
    'gzip', 'br', 'deflate', 'gzip, identity', 'identity,gzip', 'aws-chunked',
    'identit', 'identityx', 'identify', '*',
);

our @None = ('identity', 'Identity', 'IDENTITY', '', '   ');


# The order of the checks: a refusal, and a request that deserves it and all
# those that come after.  A length that is announced is refused by nginx before
# this module is asked, one that is not while the body is read: the order is
# the same.

our (@Order, $Large, $Small);

sub order {
    my $file = '"https://a.example/b","mime_type":"audio/mpeg"';

    my $audio   = event(type => '"audio"', content => "{\"url\":$file}");
    my $invalid = $audio =~ s/"user_id":"u-1",//r;
    my $large   = $invalid . '}' x 1000;

    my %other = (type => 'text/plain', headers => ['Content-Encoding: gzip']);
    my %wrong = (secret => 'another-secret-of-the-tests');

    return (
        ['405 METHOD_NOT_ALLOWED', $large, method => 'PUT',
         signature => undef, %other],
        ['401 SIGNATURE_MISSING', $large, signature => undef, %other],
        ['401 SIGNATURE_MALFORMED', $large, signature => 'sha256=0', %other],
        ['415 UNSUPPORTED_MEDIA_TYPE', $large, %wrong, %other],
        ['413 PAYLOAD_TOO_LARGE', $large, %wrong],
        ['401 SIGNATURE_MISMATCH', "$invalid}", %wrong],
        ['400 INVALID_JSON', "$invalid}"],
        ['422 INVALID_EVENT /user_id', $invalid],
        ['422 TYPE_NOT_ALLOWED', $audio],
        ['accepted m-1', event()],
    );
}

@Order = order();

sub ordered {
    my ($n, @options) = @_;
    my ($reply, @post) = @{ $Order[$n] };

    return post(@post, @options);
}

sub block_of_order {
    my ($n, $how, $options) = @_;
    my ($reply) = @{ $Order[$n] };

    my $log = $reply =~ /accepted/
            ? "--- no_error_log\njelou"
            : length $Order[$n][1] > 1000 && !$options
            ? "--- error_log\nclient intended to send too large body"
            : $reply =~ /413/
            ? "--- error_log\nclient intended to send too large chunked body"
            : "--- error_log\njelou refused a request: "
              . $reply =~ s/^\d+ (\w+).*/$1/r;

    return <<"END";
=== $how: $reply comes before all that is below
--- directives
client_max_body_size  1000;
jelou_types           text;
--- raw_request eval
ordered($n, $options)
--- reply
$reply
--- response_headers
@{[ $reply =~ /^405/ ? 'Allow: POST' : '!Allow' ]}
--- upstream eval
@{[ $reply =~ /accepted/ ? 'event()' : '[]' ]}
$log


END
}

spec_string(join '', <DATA>, map {
    my $n = $_;
    block_of_order($n, 'with a length', ''),
    block_of_order($n, 'chunked', 'chunked => 100');
} 0 .. $#Order);

check_accum_error_log();
run_tests();

__DATA__

=== methods other than POST
--- requests eval
requests((map { [method => $_] } @Methods), [])
--- reply eval
lines(('405 METHOD_NOT_ALLOWED') x @Methods, 'accepted m-1')
--- response_headers eval
[('Allow: POST') x @Methods, '!Allow']
--- upstream eval
event()
--- grep_error_log eval
qr/\[\w+\].*?jelou refused a request: \w+/
--- grep_error_log_out eval
my $n = @Methods;
qr/\A(?:\[info\][^\n]*METHOD_NOT_ALLOWED\n){$n}\z/


=== methods other than POST, without a body
--- requests eval
[(map { post('', method => $_, signature => undef, type => undef,
             length => undef, keepalive => 1) } @Methods), post(event())]
--- reply eval
lines(('405 METHOD_NOT_ALLOWED') x @Methods, 'accepted m-1')
--- response_headers eval
[('Allow: POST') x @Methods, '!Allow']
--- upstream eval
event()
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('METHOD_NOT_ALLOWED') x @Methods)


=== HEAD has the same answer, without its body
--- raw_request eval
post('', method => 'HEAD', signature => undef, type => undef, length => undef)
--- reply
405
--- response_headers_like
Allow: POST
Content-Type: application/json
Content-Length: [1-9]\d+
--- response_body eval
''
--- upstream
none
--- error_log
jelou refused a request: METHOD_NOT_ALLOWED


=== application/json, with any parameters
--- requests eval
requests(map { [type => $_] } @Json)
--- reply eval
lines(('accepted m-1') x @Json)
--- upstream eval
[(event()) x @Json]
--- no_error_log
jelou


=== any other content type, and none
--- requests eval
requests((map { [type => $_] } @Other), [])
--- reply eval
lines(('415 UNSUPPORTED_MEDIA_TYPE') x @Other, 'accepted m-1')
--- upstream eval
event()
--- grep_error_log eval
qr/\[\w+\].*?jelou refused a request: \w+/
--- grep_error_log_out eval
my $n = @Other;
qr/\A(?:\[info\][^\n]*UNSUPPORTED_MEDIA_TYPE\n){$n}\z/


=== a content type that is repeated
--- requests eval
my $json = 'Content-Type: application/json';
requests([headers => [$json]], [headers => ['Content-Type: text/plain']],
         [type => 'text/plain', headers => [$json]],
         [headers => ['content-type:']], [headers => [$json, $json]], [])
--- reply eval
lines(('415 UNSUPPORTED_MEDIA_TYPE') x 5, 'accepted m-1')
--- upstream eval
event()
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('UNSUPPORTED_MEDIA_TYPE') x 5)


=== no content encoding, in words
--- requests eval
requests((map { [headers => ["Content-Encoding: $_"]] } @None),
         [headers => ['content-encoding: identity', 'Content-Encoding:']])
--- reply eval
lines(('accepted m-1') x (@None + 1))
--- upstream eval
[(event()) x (@None + 1)]
--- no_error_log
jelou


=== a content encoding, whichever
--- requests eval
requests((map { [headers => ["Content-Encoding: $_"]] } @Encodings),
         [headers => ['content-encoding: identity', 'Content-Encoding: gzip']],
         [headers => ['Accept-Encoding: gzip', 'Content-Language: es',
                      'X-Content-Encoding: gzip', 'Content-Encodinh: gzip']])
--- reply eval
lines(('415 UNSUPPORTED_MEDIA_TYPE') x (@Encodings + 1), 'accepted m-1')
--- upstream eval
event()
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('UNSUPPORTED_MEDIA_TYPE') x (@Encodings + 1))


=== a body that is as large as it may be
--- directives eval
'client_max_body_size ' . length(event()) . ';'
--- requests eval
requests([], [chunked => 10])
--- reply
accepted m-1
accepted m-1
--- upstream eval
[(event()) x 2]
--- no_error_log
jelou
too large


=== a body that is a byte larger, with a length
--- directives eval
'client_max_body_size ' . (length(event()) - 1) . ';'
--- raw_request eval
post(event(), keepalive => 1)
--- reply
413 PAYLOAD_TOO_LARGE
--- response_headers
Connection: close
--- upstream
none
--- error_log
client intended to send too large body


=== a body that is a byte larger, chunked
--- directives eval
'client_max_body_size ' . (length(event()) - 1) . ';'
--- raw_request eval
post(event(), chunked => 10, keepalive => 1)
--- reply
413 PAYLOAD_TOO_LARGE
--- response_headers
Connection: close
--- upstream
none
--- error_log
client intended to send too large chunked body


=== a body that is chunked and sent slowly
--- directives
client_max_body_size 100;
--- raw_request eval
[pieces(post(event(), chunked => 40, keepalive => 1), 150)]
--- raw_request_middle_delay
0.05
--- reply
413 PAYLOAD_TOO_LARGE
--- upstream
none
--- error_log
client intended to send too large chunked body


=== an announced length is refused before any body has come
--- directives
client_max_body_size 1m;
--- raw_request eval
post('', signature => sign(event()), length => 1024 * 1024 + 1, keepalive => 1)
--- reply
413 PAYLOAD_TOO_LARGE
--- upstream
none
--- error_log
client intended to send too large body: 1048577 bytes


=== no limit
--- directives
client_max_body_size 0;
--- raw_request eval
post(event() . ' ' x 2_000_000)
--- reply
accepted m-1
--- upstream eval
event()
--- no_error_log
jelou


=== no limit: what the module has no room for is not asked for
--- directives
client_max_body_size 0;
--- raw_request eval
post('', signature => sign(event()), length => 1024 * 1024 * 1024 + 1,
     headers => ['Expect: 100-continue'], keepalive => 1)
--- reply
413 PAYLOAD_TOO_LARGE
--- upstream
none
--- error_log
client intended to send too large body: 1073741825 bytes


=== a limit beyond it: likewise
--- directives
client_max_body_size 2048m;
--- raw_request eval
post('', signature => sign(event()), length => 1024 * 1024 * 1024 + 1,
     keepalive => 1)
--- reply
413 PAYLOAD_TOO_LARGE
--- upstream
none
--- error_log
client intended to send too large body: 1073741825 bytes


=== no limit, chunked: refused with the chunk that goes beyond it
--- directives
client_max_body_size 0;
--- raw_request eval
post('', signature => sign(event()), chunked => [], keepalive => 1)
    =~ s/0\r\n\r\n\z/1\r\n{\r\n40000000\r\n{/r
--- reply
413 PAYLOAD_TOO_LARGE
--- upstream
none
--- error_log
client intended to send too large chunked body: 1+1073741824 bytes


=== a location within that is no endpoint has no such limit
--- config
location /v1/ {
    client_max_body_size  0;

    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    proxy_pass      http://app;

    location /v1/other {
        jelou_endpoint  off;
        return          403;
    }
}
--- raw_request eval
post('', path => '/v1/other', length => 1024 * 1024 * 1024 + 1)
--- reply
403
--- upstream
none
--- no_error_log
too large


=== a path that names no room is looked at before the size
--- config
location /v1/rooms/ {
    client_max_body_size  1k;
    jelou_endpoint        room_message;
    jelou_access          elsewhere;
    proxy_pass            http://app;
}
--- raw_request eval
post('x' x 2000, path => '/v1/rooms/message')
--- reply
404 NOT_FOUND
--- upstream
none
--- error_log
client intended to send too large body
jelou refused a request: NOT_FOUND
