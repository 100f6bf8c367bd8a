# The request's body, however it arrives and wherever nginx keeps it; and the
# one that arrives at the upstream.

use lib 't/lib';

BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';

use IO::Socket::INET;
use Test::More;

sub lines { return join '', map { "$_\n" } @_ }

sub text { return event(content => qq({"body":"$_[0]"})) }


# A body is chunked in one way or in another, or not at all.

sub chunk_extensions {
    my ($body, %o) = @_;

    my @chunks = map { sprintf "%X;ext=\"a;b\" ; c\r\n%s\r\n", length, $_ }
                     pieces($body, 99), '';

    substr $chunks[-1], -2, 0, "X-Trailer: sha256\r\n";

    return post($body, %o, length => undef, headers =>
                ['Transfer-Encoding: chunked']) =~ s/\r\n\r\n\K.*//sr
           . join '', @chunks;
}

our %Framing = (
    length     => sub { post(@_) },
    chunks     => sub { post(@_, chunked => 100) },
    bytes      => sub { post(@_, chunked => 1) },
    extensions => \&chunk_extensions,
);


# Where nginx may keep a body.

our %Mode = (
    memory  => 'client_body_buffer_size 2m;',
    single  => 'client_body_buffer_size 2m; client_body_in_single_buffer on;',
    file    => 'client_body_buffer_size 1k;',
    half    => 'client_body_buffer_size 8k; client_body_in_single_buffer on;',
    only    => 'client_body_in_file_only on;',
    clean   => 'client_body_in_file_only clean;',
    stream  => 'client_body_buffer_size 1k; proxy_request_buffering off;',
);

sub locations {
    my $more = shift;

    return join '', map {
        "location = /$_ { jelou_endpoint incoming_message; $Mode{$_} $more }\n"
    } sort keys %Mode;
}


# Bodies: as received and as forwarded.

our @Long_text = map { text($_) } 'Gr\u00fc\u00df ' x 14_000,
                                  "Gr\xc3\xbc\xc3\x9f \\n" x 22_000;

our %Body = (
    small  => [event(), event()],
    spaced => [event() =~ s/([:,{}])/ \t$1\r\n/gr, event()],
    large  => [map { text($_) } ("0123456789abcde\xc3\xb1" x 1200) x 2],
    escaped => [map { text($_) } ('\\u0000\\ud83d\\\\\\"' x 900) x 2],
    padded => [event() . ' ' x 30_000, event()],
);

sub all_of {
    my ($format, $name) = @_;

    my $body = $Body{$name}[0];
    my @all  = map { my $mode = $_; map { [$mode, $_] } sort keys %Framing }
                   sort keys %Mode;

    return map { $Framing{$all[$_][1]}->($body, path => "/$all[$_][0]",
                                         keepalive => $_ < $#all) } 0 .. $#all;
}

our $All = keys(%Mode) * keys %Framing;

sub block_of_body {
    my ($format, $name) = @_;

    my $signature = sign($Body{$name}[0]);
    my $header    = "X-Jelou-Signature";
    my ($place, $length) = $format eq 'raw'
        ? (0, length $Body{$name}[0]) : (1, length $Body{$name}[1]);

    $header = $format eq 'raw' ? "$header: $signature" : "! $header";

    return <<"END";
=== $format: a $name body, wherever it is kept and however it is framed
--- config eval
locations('jelou_secret "\$TEST_NGINX_SECRET"; jelou_format $format;'
          . 'proxy_pass http://app; proxy_set_header X-Len \$content_length;'
          . 'proxy_set_header X-File \$request_body_file;')
--- requests eval
[all_of('$format', '$name')]
--- reply eval
lines(('accepted m-1') x \$All)
--- upstream eval
[(\$Body{$name}[$place]) x \$All]
--- upstream_headers
Content-Length: $length
X-Len: $length
$header
! Transfer-Encoding
! Expect
@{[ $format eq 'raw' ? '' : '! X-File' ]}
--- no_error_log
jelou
[error]


END
}


# A client that goes away, after so many bytes of a request.

our $Long = post(text('x' x 5000), keepalive => 1);
our $Head = index($Long, "\r\n\r\n") + 4;
our $Chunked = post(text('x' x 5000), chunked => 1000, keepalive => 1);

our %Cut = (
    'in the request line'     => ['Long', 10],
    'in the header'           => ['Long', 100],
    'after the request line'  => ['Long', 'index($Long, "\r\n") + 2'],
    'before the body'         => ['Long', '$Head'],
    'after a byte of the body' => ['Long', '$Head + 1'],
    'half-way in the body'    => ['Long', '$Head + 2500'],
    'a byte before the end'   => ['Long', 'length($Long) - 1'],
    'in the size of a chunk'  => ['Chunked', 'index($Chunked, "3e8") + 2'],
    'in a chunk'              => ['Chunked', 'index($Chunked, "3e8") + 500'],
    'between chunks'          => ['Chunked', 'index($Chunked, "3e8") + 1007'],
    'before the last chunk'   => ['Chunked', 'length($Chunked) - 5'],
    'in the last chunk'       => ['Chunked', 'length($Chunked) - 2'],
);

sub block_of_cut {
    my $name = shift;
    my ($which, $at) = @{ $Cut{$name} };

    return <<"END";
=== a client goes away $name
--- directives
client_body_buffer_size 1k;
--- raw_request eval
substr \$$which, 0, $at
--- shutdown: 1
--- ignore_response
--- upstream
none
--- error_log eval
qr/client (?:prematurely )?closed connection/
--- no_error_log
[error]
[crit]
[alert]
jelou


END
}


# A client that waits for 100 Continue and gets a refusal instead.

our %Expect = (
    'without a signature'      => ['401 SIGNATURE_MISSING',
                                   'signature => undef'],
    'with a malformed one'     => ['401 SIGNATURE_MALFORMED',
                                   'signature => "x"'],
    'with another method'      => ['405 METHOD_NOT_ALLOWED', 'method => "PUT"'],
    'with a content encoding'  => ['415 UNSUPPORTED_MEDIA_TYPE',
                                   'headers => ["Expect: 100-continue",'
                                   . '"Content-Encoding: gzip"]'],
    'with another type'        => ['415 UNSUPPORTED_MEDIA_TYPE',
                                   'type => "text/plain"'],
    'with too large a size'    => ['413 PAYLOAD_TOO_LARGE', 'length => 1001'],
);

sub block_of_expect {
    my $name = shift;
    my ($reply, $options) = @{ $Expect{$name} };

    my $log = $reply =~ /413/ ? 'client intended to send too large body'
            : 'jelou refused a request: ' . $reply =~ s/^\d+ //r;

    return <<"END";
=== $name there is no 100 Continue
--- directives
client_max_body_size  1000;
lingering_timeout     50ms;
--- raw_request eval
post('', length => 1000, headers => ['Expect: 100-continue'], $options)
--- reply
$reply
--- upstream
none
--- error_log
$log


END
}


# Each protocol has its own way to say how long a body is.

sub block_of_protocol {
    my ($protocol) = @_;

    return <<"END";
=== $protocol: the length is that of the event
--- config
client_body_buffer_size  1k;
${protocol}_param        CONTENT_LENGTH  \$content_length;
${protocol}_param        X_LEN           \$http_content_length;

location / {
    jelou_endpoint  incoming_message;
    jelou_secret    "\$TEST_NGINX_SECRET";
    ${protocol}_pass  $protocol;
}
--- requests eval
my (\$small, \$padded) = map { \$Body{\$_}[0] } qw(small padded);
[(map { \$Framing{\$_}->(\$small, keepalive => 1) } sort keys %Framing),
 (map { \$Framing{\$_}->(\$padded, keepalive => 1) } sort keys %Framing),
 post(event())]
--- reply eval
lines(('accepted m-1') x 9)
--- upstream eval
[(event()) x 9]
--- upstream_headers
CONTENT_LENGTH: @{[ length event() ]}
! HTTP_X_JELOU_SIGNATURE
--- no_error_log
jelou
[error]


=== $protocol, raw: the length and the signature are those of the body
--- config
client_body_buffer_size  1k;
${protocol}_param        CONTENT_LENGTH  \$content_length;

location / {
    jelou_endpoint  incoming_message;
    jelou_secret    "\$TEST_NGINX_SECRET";
    jelou_format    raw;
    ${protocol}_pass  $protocol;
}
--- requests eval
my \$padded = \$Body{padded}[0];
[(map { \$Framing{\$_}->(\$padded, keepalive => 1) } sort keys %Framing),
 post(\$padded)]
--- reply eval
lines(('accepted m-1') x 5)
--- upstream eval
[(\$Body{padded}[0]) x 5]
--- upstream_headers
CONTENT_LENGTH: @{[ length $Body{padded}[0] ]}
HTTP_X_JELOU_SIGNATURE: @{[ sign($Body{padded}[0]) ]}
--- no_error_log
jelou
[error]


END
}

spec_string(join '', <DATA>,
    (map { block_of_body('event', $_), block_of_body('raw', $_) }
         sort keys %Body),
    (map { block_of_protocol($_) } qw(fastcgi scgi uwsgi)),
    (map { block_of_cut($_) } sort keys %Cut),
    (map { block_of_expect($_) } sort keys %Expect),
);


# files: how many files nginx has left in its directory for bodies, when the
# connection has been closed

sub files {
    my @entries = @_;

    return map { -d $_ ? files(glob "$_/*") : $_ } @entries;
}

add_response_body_check(sub {
    my ($block, undef, $i) = @_;

    return unless defined $block->files && $i == $#{ $block->requests };

    is(scalar files("$ENV{TEST_NGINX_SERVROOT}/client_body_temp"),
       $block->files, $block->name . ' - files');
});


# linear: two megabytes in bodies of 1 MB take the worker no more than a few
# times as long as in bodies of 64 KB; in square time it would be 16 times.

our %Linear = (
    'text'    => sub { text('x' x $_[0]) },
    'escapes' => sub { text('\\u0000\\"' x ($_[0] / 8)) },
    'strings' => sub { event(value => '[' . '"\\n",' x ($_[0] / 5) . '1]') },
    'members' => sub { event(value => '{' . '"\\t":1,' x ($_[0] / 7)
                                      . '"a":1}') },
    'space'   => sub { event() . ' ' x $_[0] },
    'depth'   => sub { event(value => '[' . ('[' x 20 . ']' x 20 . ',')
                                      x ($_[0] / 41) . '1]') },
);

sub first_word {
    open my $in, '<', $_[0] or return '';
    return <$in> =~ s/\s.*//sr;
}

sub worker_time {
    my $master = first_word("$ENV{TEST_NGINX_SERVROOT}/logs/nginx.pid");
    my $worker = first_word("/proc/$master/task/$master/children");

    return first_word("/proc/$worker/schedstat");
}

sub time_of {
    my ($request, $times) = @_;

    my @rounds = map {
        my $start = worker_time() || return;

        for (1 .. $times) {
            my $socket = IO::Socket::INET->new(
                PeerAddr => "127.0.0.1:$ENV{TEST_NGINX_SERVER_PORT}");

            print $socket $request;
            my $answer = join '', <$socket>;
            die "no answer\n" unless $answer =~ m{^HTTP/1\.1 \d+ };
        }

        worker_time() - $start;
    } 1 .. 3;

    return (sort { $a <=> $b } @rounds)[0];
}

add_response_body_check(sub {
    my $block = shift;

    return unless defined $block->linear;

    for my $name (sort keys %Linear) {
        my ($short, $long) = map { post($Linear{$name}->($_ * 1024),
                                        path => '/alone') } 64, 1024;

        my $one = time_of($short, 32);
        my $two = time_of($long, 2);

      SKIP: {
            skip 'no processor time in /proc', 1 unless $one && $two;
            cmp_ok($two / $one, '<', 4, $block->name . " - $name");
            $ENV{TEST_VERBOSE} && diag("$name: $one $two");
        }
    }
});


check_accum_error_log();
run_tests();

__DATA__

=== the header and a part of the body at once, the rest later
--- directives
client_body_buffer_size 8k;
--- raw_request eval
my $request = post($Body{large}[0]);
[unpack "a600 a5000 a*", $request]
--- raw_request_middle_delay
0.05
--- reply
accepted m-1
--- upstream eval
$Body{large}[1]
--- error_log
a client request body is buffered to a temporary file


=== the same in memory
--- directives
client_body_buffer_size 64k;
--- raw_request eval
my $request = post($Body{large}[0]);
[unpack "a600 a5000 a*", $request]
--- raw_request_middle_delay
0.05
--- reply
accepted m-1
--- upstream eval
$Body{large}[1]
--- no_error_log
temporary file
jelou


=== the same, raw
--- directives
client_body_buffer_size 64k;
jelou_format raw;
--- raw_request eval
my $request = post($Body{spaced}[0]);
[unpack "a300 a200 a*", $request]
--- raw_request_middle_delay
0.05
--- reply
accepted m-1
--- upstream eval
[$Body{spaced}[0]]
--- upstream_headers eval
'X-Jelou-Signature: ' . sign($Body{spaced}[0])
--- no_error_log
jelou


=== chunks in pieces
--- raw_request eval
[pieces(post($Body{spaced}[0], chunked => 7), 31)]
--- raw_request_middle_delay
0.003
--- reply
accepted m-1
--- upstream eval
event()
--- no_error_log
jelou


=== byte by byte
--- raw_request eval
[pieces(post(event()), 1)]
--- raw_request_middle_delay
0.001
--- reply
accepted m-1
--- upstream eval
event()
--- no_error_log
jelou


=== a signature over pieces is that of all bytes
--- requests eval
my $large = $Body{large}[0];
my %wrong = (signature => sign($large =~ s/9/8/r), keepalive => 1);
[(map { $Framing{$_}->($large, %wrong) } sort keys %Framing),
 post($large, signature => sign($large . ' '), keepalive => 1),
 post($large, signature => sign(substr $large, 0, -1))]
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x 6)
--- upstream
none
--- error_log
jelou refused a request: SIGNATURE_MISMATCH
a client request body is buffered to a temporary file


=== an empty body, signed
--- requests eval
[post('', keepalive => 1), post('', length => undef, keepalive => 1),
 post('', chunked => [], keepalive => 1),
 post('', chunked => [], path => '/v1/external-support/webhook?a=b')]
--- config
client_body_in_file_only clean;

location / {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    proxy_pass      http://app;
}
--- reply eval
lines(('400 INVALID_JSON') x 4)
--- upstream
none
--- grep_error_log eval
qr/\[info\].*jelou refused a request: .*? at byte \d+ of \d+/
--- grep_error_log_out eval
qr/\A(?:\[info\][^\n]* INVALID_JSON: [^\n]+ at byte 0 of 0\n){4}\z/


=== an empty body of HTTP/1.0
--- raw_request eval
post('', version => '1.0', length => undef)
--- reply
400 INVALID_JSON
--- upstream
none
--- error_log
at byte 0 of 0


=== an empty body, not signed right
--- requests eval
[post('', secret => 'x', keepalive => 1),
 post('', secret => 'x', length => undef, keepalive => 1),
 post('', secret => 'x', chunked => [])]
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x 3)
--- upstream
none
--- error_log
jelou refused a request: SIGNATURE_MISMATCH


=== 200 KB of text
--- requests eval
[post($Long_text[0], keepalive => 1), post($Long_text[1])]
--- reply
accepted m-1
accepted m-1
--- upstream eval
\@Long_text
--- no_error_log
jelou


=== 1 MB in memory, in a file and in chunks
--- config
client_body_buffer_size  2m;

location / {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    proxy_pass      http://app;

    location /file {
        client_body_buffer_size  16k;

        jelou_endpoint  incoming_message;
        jelou_secret    "$TEST_NGINX_SECRET";
        proxy_pass      http://app;
    }
}
--- requests eval
my $body = text("1 MB of\xe2\x80\x89text\\n" x 75_000);
[post($body, keepalive => 1), post($body, chunked => 30_000, keepalive => 1),
 post($body, path => '/file', keepalive => 1),
 post($body, path => '/file', chunked => 30_000)]
--- reply eval
lines(('accepted m-1') x 4)
--- upstream eval
[(text("1 MB of\xe2\x80\x89text\\n" x 75_000)) x 4]
--- no_error_log
jelou


=== no file is left of a body
--- config eval
locations('jelou_secret "$TEST_NGINX_SECRET"; proxy_pass http://app;')
--- requests eval
my @large = ($Body{large}[0], path => '/file', keepalive => 1);
my @small = (event(), path => '/clean', keepalive => 1);
[post(@large), post(@large, secret => 'x'),
 post($large[0] . '}', @large[1 .. 4]),
 post(@small), post(@small, secret => 'x'),
 post('', path => '/clean', keepalive => 1), post(@large, keepalive => 0)]
--- reply
accepted m-1
401 SIGNATURE_MISMATCH
400 INVALID_JSON
accepted m-1
401 SIGNATURE_MISMATCH
400 INVALID_JSON
accepted m-1
--- upstream eval
[$Body{large}[1], event(), $Body{large}[1]]
--- files: 0
--- error_log
a client request body is buffered to a temporary file


=== unless it is to be left
--- config eval
locations('jelou_secret "$TEST_NGINX_SECRET"; proxy_pass http://app;')
--- requests eval
[post(event(), path => '/only', keepalive => 1),
 post('{}', path => '/only', secret => 'x', keepalive => 1),
 post($Body{large}[0], path => '/only')]
--- reply
accepted m-1
401 SIGNATURE_MISMATCH
accepted m-1
--- upstream eval
[event(), $Body{large}[1]]
--- files: 3
--- error_log
jelou refused a request: SIGNATURE_MISMATCH


=== variables of a replaced body, also if they were asked before
--- config
location = /v1/external-support/webhook {
    set  $before "$request_body|$content_length|$http_content_length";
    set  $before "$before|$http_x_jelou_signature|$content_type";

    jelou_endpoint    incoming_message;
    jelou_secret      "$TEST_NGINX_SECRET";
    proxy_pass        http://app;

    proxy_set_header  X-Body       "<$request_body>";
    proxy_set_header  X-Len        "<$content_length>";
    proxy_set_header  X-Http-Len   "<$http_content_length>";
    proxy_set_header  X-Signature  "<$http_x_jelou_signature>";
    proxy_set_header  X-Type       "<$http_content_type>";
    proxy_set_header  X-Before     $before;
}
--- raw_request eval
post(event() . ' ' x 1234)
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers eval
my $length = length event();
'X-Body: <' . event() . ">
X-Len: <$length>
X-Http-Len: <$length>
X-Signature: <>
X-Type: <application/json>
X-Before: |" . ($length + 1234) . '|' . ($length + 1234) . '|'
. sign(event() . ' ' x 1234) . '|application/json'
--- no_error_log
jelou


=== the same, of a chunked body in a file
--- config
location = /v1/external-support/webhook {
    client_body_buffer_size  1k;

    jelou_endpoint    incoming_message;
    jelou_secret      "$TEST_NGINX_SECRET";
    proxy_pass        http://app;

    proxy_set_header  X-Body       "<$request_body>";
    proxy_set_header  X-File       "<$request_body_file>";
    proxy_set_header  X-Len        "<$content_length>";
    proxy_set_header  X-Signature  "<$http_x_jelou_signature>";
}
--- raw_request eval
post(event() . ' ' x 9999, chunked => 1000)
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers eval
my $length = length event();
'X-Body: <' . event() . ">
X-File: <>
X-Len: <$length>
X-Signature: <>
Content-Length: $length
! Transfer-Encoding"
--- error_log
a client request body is buffered to a temporary file
--- no_error_log
jelou


=== the same with raw bytes
--- directives
jelou_format      raw;
proxy_set_header  X-Len        "<$content_length>";
proxy_set_header  X-Signature  "<$http_x_jelou_signature>";
--- raw_request eval
post(event() . ' ' x 1234)
--- reply
accepted m-1
--- upstream eval
event() . ' ' x 1234
--- upstream_headers eval
my $body = event() . ' ' x 1234;
'X-Len: <' . length($body) . '>
X-Signature: <' . sign($body) . '>'
--- no_error_log
jelou


=== proxy_set_body
--- directives
client_body_buffer_size  1k;
proxy_set_body  '{"wrapped":$request_body,"length":$content_length}';
--- raw_request eval
post(event() . ' ' x 5000)
--- reply
accepted m-1
--- upstream eval
'{"wrapped":' . event() . ',"length":' . length(event()) . '}'
--- error_log
a client request body is buffered to a temporary file
--- no_error_log
jelou


=== the client's signature goes no further, wherever it stands
--- requests eval
my $signature = 'x-JELOU-signature: ' . sign(event());
my $length    = 'Content-Length: ' . length event();

my @before = (0, 1, 15 .. 20, 35 .. 41);
my @lines  = map { my $n = $_; map { [$n, $_] } 0, 1, 30 } @before;

[(map {
    my ($before, $behind) = @$_;

    post(event(), signature => undef, length => undef, keepalive => 1,
         headers => [$length, (map { "X-A$_: b" } 1 .. $before), $signature,
                     (map { "X-B$_: b" } 1 .. $behind)]);
} @lines), post(event())]
--- reply eval
lines(('accepted m-1') x 46)
--- upstream eval
[(event()) x 46]
--- upstream_headers
! X-Jelou-Signature
Content-Type: application/json
--- no_error_log
jelou


=== the other headers do
--- raw_request eval
post(event(), signature => undef, headers => [
     (map { "X-A$_: $_" } 1 .. 20), 'X-Jelou-Signature: ' . sign(event()),
     map { "X-A$_: $_" } 21 .. 50])
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers eval
join "\n", '! X-Jelou-Signature', map { "X-A$_: $_" } 1 .. 50
--- no_error_log
jelou


=== a broken chunk size
--- raw_request eval
post(event(), chunked => 100) =~ s/\r\n64\r\n.*?\r\n\K64/6g/sr
--- reply
400 BAD_REQUEST
--- response_headers
Connection: close
--- upstream
none
--- error_log
client sent invalid chunked body


=== a chunk longer than its size
--- raw_request eval
post(event(), chunked => 100) =~ s/\r\n64\r\n/\r\n63\r\n/r
--- reply
400 BAD_REQUEST
--- upstream
none
--- error_log
client sent invalid chunked body


=== a chunk size beyond all numbers
--- raw_request eval
post(event(), chunked => 100) =~ s/\r\n64\r\n/\r\nfffffffffffffffffff\r\n/r
--- reply
400 BAD_REQUEST
--- upstream
none
--- error_log
client sent invalid chunked body


=== a broken chunk that comes later
--- raw_request eval
my $request = post(event(), chunked => 100);
my $at = index($request, "\r\n64\r\n") + 2;
[substr($request, 0, $at + 50), substr($request, $at + 50, 54) . "xyz\r\n"]
--- raw_request_middle_delay
0.05
--- reply
400 BAD_REQUEST
--- upstream
none
--- error_log
client sent invalid chunked body


=== a broken chunk without a signature
--- raw_request eval
post(event(), signature => undef, chunked => 100)
    =~ s/\r\n64\r\n/\r\n6g\r\n/r
--- reply
401 SIGNATURE_MISSING
--- upstream
none
--- error_log
jelou refused a request: SIGNATURE_MISSING


=== a body that does not come in time
--- directives
client_body_timeout 100ms;
--- raw_request eval
substr $Long, 0, $Head + 100
--- error_code eval
''
--- upstream
none
--- access_log eval
qr/ 408 0 /
--- no_error_log
[error]
jelou


=== a client that goes away while the upstream works
--- raw_request eval
post(event())
--- upstream_answer
delay 0.4
--- timeout: 100ms
--- abort
--- ignore_response
--- wait: 0.1
--- upstream eval
event()
--- error_log
client prematurely closed connection
--- no_error_log
[error]
[alert]


=== 100 Continue is what an accepted client gets first
--- raw_request eval
my $request = post(event(), headers => ['Expect: 100-continue']);
my $at = index($request, "\r\n\r\n") + 4;
[substr($request, 0, $at), substr($request, $at)]
--- raw_request_middle_delay
0.1
--- error_code: 100
--- response_body_like eval
qr/\AHTTP\/1\.1 200 OK\r\n.*\r\n\r\n\{"success":true,"messageId":"m-1"\}\z/s
--- upstream eval
event()
--- upstream_headers
! Expect
--- no_error_log
jelou


=== it comes before the signature's value can be known to be wrong
--- raw_request eval
my $request = post(event(), secret => 'x', headers => ['Expect: 100-continue']);
my $at = index($request, "\r\n\r\n") + 4;
[substr($request, 0, $at), substr($request, $at)]
--- raw_request_middle_delay
0.1
--- error_code: 100
--- response_body_like eval
qr/\AHTTP\/1\.1 401 Unauthorized\r\n(?!.*HTTP\/).*"SIGNATURE_MISMATCH"/s
--- upstream
none
--- error_log
jelou refused a request: SIGNATURE_MISMATCH


=== time grows with the size of a body, and no faster
--- config
client_body_buffer_size  2m;

location / {
    jelou_endpoint  incoming_message;
    jelou_secret    "$TEST_NGINX_SECRET";
    proxy_pass      http://app;

    location /alone {
        jelou_endpoint  incoming_message;
        jelou_secret    "$TEST_NGINX_SECRET";
        jelou_strict    on;
    }
}
--- raw_request eval
post(event())
--- reply
accepted m-1
--- upstream eval
event()
--- linear
--- no_error_log
[error]


