# What goes to the upstream: the event, or the bytes as they were received, and
# the headers that belong to the one or the other.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.003 }

use Jelou 'no_plan';

check_accum_error_log();

# A block's "log" is all that the module has logged, in order, and without a
# "log" it is nothing.  "order" are the names of the headers of each request
# that arrived, in order, but for those that proxy_pass puts in front.

add_test_cleanup_handler(sub {
    my $block = shift;

    open my $in, '<', $Test::Nginx::Util::ErrLogFile or die $!;

    my $log = join '', map {
        /(\[\w+\]) \S+ \*\d+ (jelou.*?)(?: while [^,]+)?, client/ ? "$1 $2\n" : ()
    } <$in>;

    is($log, $block->log // '', $block->name . ' - log');

    my $order = $block->order // return;

    my @heads = map {
        my (undef, @lines) = split /\r\n/, $_->{head};
        join "\n", grep { !/^(?:Host|Connection|Content-Length): /i } @lines
    } $Jelou::Upstream->requests(scalar @$order);

    is_deeply(\@heads, $order, $block->name . ' - headers in order');
});


our @keep   = (keepalive => 1);
our $in_raw = "\t{ " . substr(event(), 1, -1) =~ s/,/ ,\n/gr . ",\"more\":[1, 2]}\r\n";
our $large  = event(content => '{"body":"' . 'x' x 300_000 . '"}') . " \n";

# Names that become those of fields that say something of the body, and some that
# do not

our @Folded = (
    'X_Jelou_Signature', 'x_jelou_signature', 'X_Jelou-Signature',
    'X-JELOU_SIGNATURE', 'X.Jelou.Signature', 'X-Jelou~Signature',
    'Content_Type', 'content.type', 'CONTENT_LENGTH', 'Content.Length',
    'Content_Encoding', 'Transfer_Encoding', 'transfer.encoding',
);

our @Others = (
    'X-Jelou-Signatur3: x', 'Content0Type: x', 'ContentxLength: x',
    'Contents_Type: x', 'Content-Encoding: identity',
);

# The signature at each place among a number of headers, of which one more is
# nginx's own, and in different spellings of its name

our (@requests, @order);

for my $n (0, 1, 5, 18, 19, 20, 21, 25, 45) {
    for my $place (sort { $a <=> $b } keys %{{ map { $_ => 1 } 0, int $n / 2, $n }}) {
        my @headers   = map { "X-Header-$_: value $_" } 1 .. $n;
        my $signature = ('X-Jelou-Signature', 'x-jelou-signature',
                         'X-JELOU-SIGNATURE')[@requests % 3];

        push @order, join "\n", @headers, 'Content-Type: application/json';

        splice @headers, $place, 0, "$signature: " . sign($in_raw);

        push @requests, join "\r\n", 'POST /v1/external-support/webhook HTTP/1.1',
            'Host: localhost', @headers, 'Content-Type: application/json',
            'Content-Length: ' . length $in_raw, '', $in_raw;
    }
}

$requests[-1] =~ s/\r\nHost/\r\nConnection: close$&/;

our @others = (
    'X-Jelou-Signature-2: kept', 'X-Jelou: kept', 'Cookie: a=b', 'X-Twice: 1',
    'X-Twice: 2', 'Authorization: Bearer x', 'Accept: */*',
    "X-Bytes: \xc3\xa9\xff",
);

run_tests();

__DATA__

=== event: the signature goes nowhere, wherever it stands
--- requests eval
\@requests
--- reply eval
join "\n", ('accepted m-1') x @requests
--- upstream eval
[(event()) x @requests]
--- upstream_headers eval
"!X-Jelou-Signature\nContent-Length: " . length event()
--- order eval
\@order


=== event: the signature is the last header of all
--- raw_request eval
"POST /v1/external-support/webhook HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Content-Length: " . length($in_raw) . "\r\nContent-Type: application/json\r\n"
. 'X-Jelou-Signature: ' . sign($in_raw) . "\r\n\r\n$in_raw"
--- reply
accepted m-1
--- upstream eval
event()
--- order eval
['Content-Type: application/json']


=== event: the signature is the first header of all
--- raw_request eval
'POST /v1/external-support/webhook HTTP/1.1' . "\r\nX-Jelou-Signature: " . sign($in_raw)
. "\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " . length($in_raw)
. "\r\nContent-Type: application/json\r\n\r\n$in_raw"
--- reply
accepted m-1
--- upstream eval
event()
--- order eval
['Content-Type: application/json']


=== event: other headers pass, repeated and odd ones too
--- raw_request eval
post($in_raw, type => 'application/json; charset=utf-8',
     headers => [@others])
--- reply
accepted m-1
--- upstream eval
event()
--- order eval
[join "\n", 'Content-Type: application/json', @others]


=== event: the operator's own signature header passes
--- directives
proxy_set_header  X-Jelou-Signature mine;
proxy_set_header  X-Theirs "<$http_x_jelou_signature>";
--- raw_request eval
post($in_raw)
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers
X-Jelou-Signature: mine
X-Theirs: <>


=== event: what was read of the signature before is forgotten
--- directives
set               $early $http_x_jelou_signature$content_length$http_content_length;
proxy_set_header  X-Theirs "<$http_x_jelou_signature>";
proxy_set_header  X-Length "$content_length $http_content_length";
proxy_set_header  X-Early $early;
--- raw_request eval
post($in_raw)
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers eval
my ($event, $raw) = (length event(), length $in_raw);
"X-Theirs: <>\nX-Length: $event $event\nX-Early: " . sign($in_raw) . $raw x 2


=== event: chunked, in a file, in pieces
--- directives
client_body_buffer_size   1k;
client_body_in_file_only  clean;
--- requests eval
[post($in_raw, chunked => 1, @keep), post($large, chunked => 3000, @keep),
 post($large, @keep), post($in_raw)]
--- reply
accepted m-1
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[event(), substr($large, 0, -2), substr($large, 0, -2), event()]
--- upstream_headers
!Transfer-Encoding
!X-Jelou-Signature


=== the content type that goes on is the one that was checked
--- config
location = /event {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    proxy_pass      http://app;
}
location = /raw {
    set             $early "$content_type";
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    jelou_format    raw;
    proxy_pass      http://app;
    proxy_set_header  X-Early  $early;
    proxy_set_header  X-Now    "$content_type $http_content_type";
}
location = /signed {
    jelou_endpoint         incoming_message;
    jelou_secret           "$TEST_NGINX_SECRET";
    jelou_upstream_secret  another-secret-of-the-tests;
    jelou_format           raw;
    fastcgi_pass           fastcgi;
    fastcgi_param          CONTENT_TYPE  $content_type;
}
--- requests eval
my $type = 'Application/JSON ; x=y; charset="UTF-8"';
[post($in_raw, path => '/event', type => $type, @keep),
 post($in_raw, path => '/raw', type => $type, @keep),
 post($in_raw, path => '/signed', type => $type)]
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[event(), $in_raw, $in_raw]
--- upstream_headers eval
["Content-Type: application/json",
 "Content-Type: application/json\nX-Now: application/json application/json\n"
 . 'X-Early: Application/JSON ; x=y; charset="UTF-8"',
 "CONTENT_TYPE: application/json\nHTTP_CONTENT_TYPE: application/json"]


=== no other spelling of the signature goes on
--- http_config
underscores_in_headers  on;
ignore_invalid_headers  off;
--- config eval
join '', map {
    my ($path, $lines) = @$_;

    map { "location = /$path/$_ { jelou_endpoint incoming_message;\n"
          . 'jelou_secret "$TEST_NGINX_SECRET";' . "\n$lines\n"
          . ($_ eq 'proxy' ? 'proxy_pass http://app;' : "${_}_pass $_;")
          . " }\n" } qw(proxy fastcgi scgi uwsgi)
} [event => ''], [raw => 'jelou_format raw;'],
  [signed => 'jelou_upstream_secret 0123456789abcdef;'],
  [both => 'jelou_format raw; jelou_upstream_secret 0123456789abcdef;']
--- requests eval
[map { my $path = $_; map {
    post(event(), path => "/$path/$_", keepalive => "$path$_" ne 'bothuwsgi',
         headers => [map({ ("$_: folded") } @Folded), @Others])
} qw(proxy fastcgi scgi uwsgi) } qw(event raw signed both)]
--- reply eval
"accepted m-1\n" x 16
--- upstream eval
[(event()) x 16]
--- upstream_head_unlike
folded
--- upstream_headers eval
[map {
    my ($path, $signature) = @$_;
    my @own = $signature ? ($signature) : ();

    (join("\n", 'Content-Type: application/json', 'Content-Length: '
          . length event(), 'X-Jelou-Signatur3: x', 'Content0Type: x',
          'Contents_Type: x', 'ContentxLength: x', '! Content-Encoding',
          map({ "X-Jelou-Signature: $_" } @own)),
     (join("\n", 'HTTP_CONTENT_TYPE: application/json',
           'HTTP_CONTENT_LENGTH: ' . length event(),
           'HTTP_CONTENT0TYPE: x', '! HTTP_CONTENT_ENCODING',
           '! HTTP_TRANSFER_ENCODING',
           map({ "HTTP_X_JELOU_SIGNATURE: $_" } @own))) x 3)
} [event => ''], [raw => sign(event())],
  [signed => sign(event(), '0123456789abcdef')],
  [both => sign(event(), '0123456789abcdef')]]


=== raw: the bytes as they were, their length and their signature
--- directives
jelou_format  raw;
--- requests eval
[post($in_raw, @keep), post(event(), @keep), post($in_raw)]
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[$in_raw, event(), $in_raw]
--- order eval
[map { "Content-Type: application/json\nX-Jelou-Signature: " . sign($_) } $in_raw, event(), $in_raw]


=== raw: the headers among many
--- directives
jelou_format  raw;
--- requests eval
\@requests
--- reply eval
join "\n", ('accepted m-1') x @requests
--- upstream eval
[($in_raw) x @requests]
--- upstream_headers eval
'X-Jelou-Signature: ' . sign($in_raw) . "\nContent-Length: " . length $in_raw


=== raw: the upstream can verify the signature as it was written
--- directives
jelou_format  raw;
--- raw_request eval
post($in_raw, signature => 'sha256=' . uc(substr sign($in_raw), 7))
--- reply
accepted m-1
--- upstream eval
[$in_raw]
--- upstream_headers eval
'X-Jelou-Signature: sha256=' . uc(substr sign($in_raw), 7)


=== raw: chunked
--- directives
jelou_format  raw;
--- requests eval
[post($in_raw, chunked => 1, @keep), post($large, chunked => 3000, @keep),
 post($in_raw, chunked => 1000)]
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[$in_raw, $large, $in_raw]
--- upstream_headers
!Transfer-Encoding


=== raw: in a file
--- directives
jelou_format              raw;
client_body_in_file_only  clean;
--- requests eval
[post($in_raw, @keep), post($large, @keep),
 post($large, chunked => 3000, @keep), post($in_raw, chunked => 9)]
--- reply
accepted m-1
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[$in_raw, $large, $large, $in_raw]
--- upstream_head_like: ^X-Jelou-Signature: sha256=


=== raw: partly in memory, partly in a file
--- directives
jelou_format             raw;
client_body_buffer_size  4k;
--- requests eval
[post($large, @keep), post($large, chunked => 3000, @keep), post($in_raw)]
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[$large, $large, $in_raw]


=== raw: chunked, by HTTP/1.1 and not buffered
--- directives
jelou_format             raw;
client_body_buffer_size  4k;
proxy_http_version       1.1;
proxy_request_buffering  off;
--- requests eval
[post($large, @keep), post($large, chunked => 3000, @keep), post($in_raw, chunked => 9)]
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[$large, $large, $in_raw]


=== raw: what is refused is refused
--- directives
jelou_format  raw;
jelou_types   text;
--- requests eval
[post($in_raw, secret => 'another', @keep), post('{', @keep),
 post(event(user_id => '1'), @keep),
 post(event(type => '"audio"', content => '{"url":"https://a.b/c","mime_type":"a/b"}'))]
--- reply
401 SIGNATURE_MISMATCH
400 INVALID_JSON
422 INVALID_EVENT /user_id
422 TYPE_NOT_ALLOWED
--- upstream
none
--- log
[warn] jelou refused a request: SIGNATURE_MISMATCH
[info] jelou refused a request: INVALID_JSON: not JSON at byte 1 of 1
[info] jelou refused a request: INVALID_EVENT: 1 violation, the first at "/user_id": must be a string
[info] jelou refused a request: TYPE_NOT_ALLOWED


=== raw: a backup gets the same bytes
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    jelou_format    raw;
    proxy_pass      http://down;
    error_page      502 = @backup;
}
location @backup {
    proxy_pass  http://app;
}
--- raw_request eval
post($in_raw)
--- reply
200
--- upstream eval
[$in_raw]
--- upstream_headers eval
'X-Jelou-Signature: ' . sign($in_raw)
--- error_log
Connection refused
--- log
[error] jelou: UPSTREAM_FAILED: status 502 from the content handler, and an error page answers


