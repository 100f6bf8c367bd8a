# X-Jelou-Signature: which values are well-formed, which are right, and where
# the secrets come from.

use lib 't/lib';

BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';

use Digest::SHA qw(sha256_hex hmac_sha1_hex hmac_sha256_hex);

our $Secret = $ENV{TEST_NGINX_SECRET};
our $Right  = sign(event());


# requests(REQUEST, ...): options of post() as array references; the last
# request is the only one that closes the connection

sub requests {
    my $last = pop;

    return [(map { post(event(), @$_, keepalive => 1) } @_),
            post(event(), @$last)];
}

sub lines { return join '', map { "$_\n" } @_ }

sub refusals { return lines(map { "jelou refused a request: $_" } @_) }


# RFC 4231: its test cases' numbers, keys, data and HMAC-SHA256.  Data that is
# not JSON shows with a 400 that its signature was right.

our @Rfc4231 = (
    [2, 'Jefe', 'what do ya want for nothing?',
     '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
    [3, "\xaa" x 20, "\xdd" x 50,
     '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
    [4, join('', map { chr } 1 .. 25), "\xcd" x 50,
     '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b'],
    [6, "\xaa" x 131,
     'Test Using Larger Than Block-Size Key - Hash Key First',
     '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54'],
    [7, "\xaa" x 131,
     'This is a test using a larger than block-size key and a larger than '
     . 'block-size data. The key needs to be hashed before being used by the '
     . 'HMAC algorithm.',
     '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2'],
);

# printf %s '{"field":...}' | openssl dgst -sha256 -hmac signing-secret-...

our $Openssl =
    'sha256=b96f28ed20f8cfbff4de92ca0abc9bad64b5bbfc3a7966d15d787421be919f50';


# Each has the right digest in it, or most of it.

sub digit {
    my ($place, $bytes) = @_;

    my $value = $Right;
    substr $value, length('sha256=') + $place, length $bytes, $bytes;

    return $value;
}

our ($Digest) = $Right =~ /=(.*)/;

our @Malformed = (
    '', 'sha256', 'sha256=', '=', $Digest, "=$Digest",
    substr($Right, 0, -1), "${Right}0", "sha256=0$Digest", $Right x 2,

    "SHA256=$Digest", "Sha256=$Digest", "sha-256=$Digest", "sha265=$Digest",
    "sha256:$Digest", "sha256 $Digest", "sha256 =$Digest", "sha256= $Digest",
    "sha256==$Digest", 'sha1=' . hmac_sha1_hex(event(), $Secret),
    "sha1=$Digest", "sha512=$Digest", "hmac-sha256=$Digest",
    "sha256=0x$Digest", "sha256=0x" . substr($Digest, 2),

    "x$Right", "${Right}x", "$Right;", "$Right,", "$Right, $Right",
    "$Right; t=1", "t=1,$Right", qq("$Right"), qq(sha256="$Digest"),
    "Bearer $Right", "$Right\x01", "\xef\xbb\xbf$Right",

    (map { my $place = $_; map { digit($place, $_) } qw(/ : @ G ` g é) }
         0, 31, 62),
    digit(63, '/'), digit(63, ':'), digit(63, 'g'), digit(63, "\xe6"),
    digit(63, ' '), digit(0, ' '),
    (map { digit(31, $_) } "\x01", "\x10", "\x19", "\x7f", "\x80", "\xb0",
                           "\xc1", "\xe1", "\xff", "\xef\xbc\x90"),

    [$Right, $Right], [$Right, uc($Digest) =~ s/^/sha256=/r],
    [$Right, 'sha256=' . '0' x 64], ['sha256=' . '0' x 64, $Right],
    [$Right, ''], ['', $Right], ['', ''], [$Right, 'sha1=0'],
    [$Right, $Right, $Right],
);


# Well-formed, but not the signature of event().

our @Mismatch = (
    sign(event(), 'another-secret-of-the-tests'),
    sign(event(), "$Secret\n"), sign(event(), uc $Secret),
    sign(event(), ''), sign(event(), "\0"),
    sign(event() =~ s/([:,])/$1 /gr), sign(event() . "\n"),
    sign(event() . "\r\n"), sign("\xef\xbb\xbf" . event()),
    sign(event() =~ s/Hello/hello/r), sign(event(id => '"m-2"')),
    sign(substr event(), 0, -1), sign(''), sign($Secret, event()),
    'sha256=' . sha256_hex(event()),
    'sha256=' . sha256_hex($Secret . event()),
    'sha256=' . sha256_hex(event() . $Secret),
    'sha256=' . '0' x 64, 'sha256=' . 'f' x 64, 'sha256=' . reverse($Digest),
    (map { digit($_, substr($Digest, $_, 1) eq 'a' ? 'b' : 'a') }
         0, 1, 31, 32, 62, 63),
);


# What is refused for another reason if it is signed right.

our @Bad = (
    ['400 INVALID_JSON', ''],
    ['400 INVALID_JSON', 'not JSON'],
    ['400 INVALID_JSON', event() . '}'],
    ['400 INVALID_JSON', event(content => qq({"body":"\xc0\x80"}))],
    ['400 INVALID_JSON', '[' x 33 . ']' x 33],
    ['400 INVALID_JSON', '{"a":' x 33 . '1' . '}' x 33],
    ['400 INVALID_JSON', "\x0c" . event()],
    ['400 INVALID_JSON', '[]'],
    ['422 INVALID_EVENT /user_id', event(user_id => undef)],
    ['422 INVALID_EVENT /project_id', event(project_id => '1')],
    ['422 INVALID_EVENT /room_id', event(room_id => '"a\\nb"')],
    ['422 INVALID_EVENT /bot_id',
     event() =~ s/"bot_id":"b-1"/"bot_id":"b-1","bot_id":"b-2"/r],
    ['422 INVALID_EVENT /value/content/url',
     event(type => '"image"', content =>
           '{"url":"http://a.example/b","mime_type":"image/png"}')],
    ['422 TYPE_NOT_ALLOWED',
     event(type => '"audio"', content =>
           '{"url":"https://a.example/b","mime_type":"audio/mpeg"}')],
);

our %Key_of = map { ($_->[0] => $_->[0] =~ /^\d+ (\S+)/) } @Bad;


# Secrets as they are written in the configuration, and what they are.

our @Secrets = (
    ['x' x 64                 => 'x' x 64],
    ['y' x 65                 => 'y' x 65],
    ['z' x 1000               => 'z' x 1000],
    ['0123456789abcdef' x 4   => '0123456789abcdef' x 4],
    ["\xc3\xb1and\xc3\xba-\xe2\x82\xac-\xf0\x9f\x94\x91" =>
     "\xc3\xb1and\xc3\xba-\xe2\x82\xac-\xf0\x9f\x94\x91"],
    ["\xff\xfe-not-UTF-8-at-all" => "\xff\xfe-not-UTF-8-at-all"],
    [q('with "double" quotes')   => 'with "double" quotes'],
    [q("with 'single' quotes")   => "with 'single' quotes"],
    [q("with \\"escaped\\" ones") => 'with "escaped" ones'],
    [q('semicolon; {brace} #no-comment') => 'semicolon; {brace} #no-comment'],
    [q('back\\\\slash\\\\')      => 'back\\slash\\'],
    [q(percent%20and%s%n=+/==)   => 'percent%20and%s%n=+/=='],
    ["'inner  white\tspace'"     => "inner  white\tspace"],
    [q(sha256=looks-like-a-signature) => 'sha256=looks-like-a-signature'],
    [q(whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw) =>
     'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    [q(short)                    => 'short'],
);


sub locations {
    my $n = 0;

    return join '', map {
        $n++;
        "location = /$n { jelou_endpoint incoming_message;"
        . " jelou_secret $_; proxy_pass http://app; }\n";
    } @_;
}

check_accum_error_log();
run_tests();

__DATA__

=== known answers of RFC 4231
--- config eval
locations(map { qq("$_->[1]") } @Rfc4231)
--- requests eval
my $n = 0;
[map { post($_->[2], path => '/' . ++$n, signature => "sha256=$_->[3]",
            keepalive => $n < @Rfc4231) } @Rfc4231]
--- reply eval
lines(('400 INVALID_JSON') x @Rfc4231)
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('INVALID_JSON') x @Rfc4231)
--- upstream
none
--- suppress_stderr


=== a known answer of OpenSSL's command
--- raw_request eval
post(event(), signature => $Openssl)
--- reply
accepted m-1
--- upstream eval
event()
--- no_error_log
jelou
[error]


=== hex digits in lower, upper and mixed case
--- requests eval
my $mixed = join '', map { ucfirst } pieces($Digest, 3);
requests([], map { [signature => "sha256=$_"] } uc $Digest, $mixed)
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[(event()) x 3]
--- no_error_log
jelou


=== white space around a value is not part of it, nor is the case of the name
--- requests eval
requests([signature => "   $Right  "],
         [signature => undef, headers => ["x-jelou-signature:$Right"]],
         [signature => undef, headers => ["X-JELOU-SIGNATURE: $Right"]])
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[(event()) x 3]
--- no_error_log
jelou


=== a signature is missing
--- requests eval
requests([signature => undef],
         [signature => undef, headers => ["Jelou-Signature: $Right"]],
         [signature => undef, headers => ["X-Jelou-Signature-256: $Right"]],
         [signature => undef, headers => ["X_Jelou_Signature: $Right"]],
         [signature => undef, headers => ["X-Jelou-Signaturf: $Right"]],
         [signature => undef, headers => ["Authorization: $Right"]],
         [signature => undef, path => "$Jelou::Path?X-Jelou-Signature=$Right"],
         [])
--- reply eval
lines(('401 SIGNATURE_MISSING') x 7, 'accepted m-1')
--- upstream eval
event()
--- grep_error_log eval
qr/\[warn\].*?jelou refused a request: \w+/
--- grep_error_log_out eval
qr/\A(?:\[warn\][^\n]*SIGNATURE_MISSING\n){7}\z/


=== a signature is malformed or repeated
--- requests eval
requests((map { [signature => $_] } @Malformed), [])
--- reply eval
lines(('401 SIGNATURE_MALFORMED') x @Malformed, 'accepted m-1')
--- upstream eval
event()
--- grep_error_log eval
qr/\[warn\].*?jelou refused a request: \w+/
--- grep_error_log_out eval
my $n = @Malformed;
qr/\A(?:\[warn\][^\n]*SIGNATURE_MALFORMED\n){$n}\z/


=== a signature is that of another secret or of other bytes
--- requests eval
requests((map { [signature => $_] } @Mismatch), [])
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x @Mismatch, 'accepted m-1')
--- upstream eval
event()
--- grep_error_log eval
qr/\[warn\].*?jelou refused a request: \w+/
--- grep_error_log_out eval
my $n = @Mismatch;
qr/\A(?:\[warn\][^\n]*SIGNATURE_MISMATCH\n){$n}\z/


=== the bytes that were signed, and not what they mean
--- requests eval
my $spaced = event() =~ s/([:,])/$1 /gr;
my $escaped = event() =~ s/Hello/\\u0048ello/r;
[post($spaced, keepalive => 1),
 post($spaced, signature => sign(event()), keepalive => 1),
 post($escaped, keepalive => 1),
 post($escaped, signature => sign(event()), keepalive => 1),
 post(event() . "\n", keepalive => 1),
 post(event() . "\n", signature => sign(event()))]
--- reply
accepted m-1
401 SIGNATURE_MISMATCH
accepted m-1
401 SIGNATURE_MISMATCH
accepted m-1
401 SIGNATURE_MISMATCH
--- upstream eval
[event(), event() =~ s/Hello/\\u0048ello/r, event()]
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x 3)


=== a body that is signed right is refused for what is wrong with it
--- directives
jelou_types text image;
--- requests eval
my $last = $#Bad;
[map { post($Bad[$_][1], keepalive => $_ < $last) } 0 .. $last]
--- reply eval
lines(map { $_->[0] } @Bad)
--- upstream
none
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(map { $Key_of{$_->[0]} } @Bad)


=== a body that is not signed right is refused for that alone
--- directives
jelou_types text image;
--- requests eval
my $last = $#Bad;
[map { post($Bad[$_][1], secret => 'another-secret-of-the-tests',
            keepalive => $_ < $last) } 0 .. $last]
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x @Bad)
--- upstream
none
--- grep_error_log eval
qr/jelou refused a request: .*?(?=,)/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x @Bad)


=== also if it is parsed before, for the secret is chosen by its project
--- http_config
map $jelou_project_id $key {
    p-1      "signing-secret-of-p-1";
    default  "signing-secret-of-all-others";
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $key;
    jelou_types     text image;
    proxy_pass      http://app;
}
--- requests eval
my $last = $#Bad;
[map { post($Bad[$_][1], keepalive => $_ < $last) } 0 .. $last]
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x @Bad)
--- upstream
none
--- grep_error_log eval
qr/jelou refused a request: .*?(?=,)/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x @Bad)


=== a project's secret does not sign what cannot be read for its project
--- http_config
map $jelou_project_id $key {
    p-1      "signing-secret-of-p-1";
    default  "signing-secret-of-all-others";
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $key;
    jelou_types     text image;
    proxy_pass      http://app;
}
--- requests eval
my @one = (secret => 'signing-secret-of-p-1');
my @all = (secret => 'signing-secret-of-all-others');

[post('not JSON', @one, keepalive => 1),
 post('not JSON', @all, keepalive => 1),
 post(event(project_id => '1'), @one, keepalive => 1),
 post(event(project_id => '1'), @all, keepalive => 1),
 post(event(project_id => '"p-1\\n"'), @one, keepalive => 1),
 post(event(project_id => '"p-1\\u0000"'), @one, keepalive => 1),
 post(event(project_id => '"p-1","project_id":"p-1"'), @one, keepalive => 1),
 post(event(project_id => '"p-1","project_id":"p-2"'), @one, keepalive => 1),
 post(event(project_id => '"p-1","project_id":"p-2"'), @all, keepalive => 1),
 post(event(user_id => undef), @one, keepalive => 1),
 post(event(user_id => undef), @all, keepalive => 1),
 post(event(project_id => '"p-2"'), @one, keepalive => 1),
 post(event(project_id => '"\\u0070-\\u0031"'), @one)]
--- reply
401 SIGNATURE_MISMATCH
400 INVALID_JSON
401 SIGNATURE_MISMATCH
422 INVALID_EVENT /project_id
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
422 INVALID_EVENT /project_id
422 INVALID_EVENT /user_id
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
accepted m-1
--- upstream eval
event(project_id => '"\\u0070-\\u0031"')
--- error_log
jelou refused a request: SIGNATURE_MISMATCH
--- no_error_log
[error]
signing-secret


=== a secret of hex digits is not decoded
--- config eval
locations('00112233445566778899aabbccddeeff' x 2)
--- requests eval
my $hex = '00112233445566778899aabbccddeeff' x 2;
requests([path => '/1', secret => pack 'H*', $hex],
         [path => '/1', secret => uc $hex],
         [path => '/1', secret => $hex])
--- reply
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
accepted m-1
--- upstream eval
event()
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x 2)


=== secrets of many kinds, each in a location of its own
--- config eval
locations(map { $_->[0] } @Secrets)
--- requests eval
my $n = 0;
requests(map { [path => '/' . ++$n, secret => $_->[1]] } @Secrets)
--- reply eval
lines(('accepted m-1') x @Secrets)
--- upstream eval
[(event()) x @Secrets]
--- no_error_log
refused
--- suppress_stderr


=== a location's secret signs for no other location
--- config eval
locations(map { $_->[0] } @Secrets)
--- requests eval
my $n = 0;
requests(map { [path => '/' . ($n++ || @Secrets), secret => $_->[1]] } @Secrets)
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x @Secrets)
--- upstream
none
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x @Secrets)
--- suppress_stderr


=== any of several secrets signs, and no mixture of them
--- config eval
locations('the-first-of-three-secrets the-second-of-three-secrets '
          . '"the third of three secrets"')
--- requests eval
my ($one, $two) = ('the-first-of-three-secrets', 'the-second-of-three-secrets');
requests((map { [path => '/1', secret => $_] }
              "$one$two", "$one $two", 'the-fourth-of-three-secrets', '',
              'the', $two, $one), [path => '/1',
                                   secret => 'the third of three secrets'])
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x 5, ('accepted m-1') x 3)
--- upstream eval
[(event()) x 3]
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x 5)


=== a secret by the server's name
--- http_config
map $server_name $key {
    one.test  "signing-secret-of-one.test";
    two.test  "signing-secret-of-two.test";
}

jelou_secret  $key;

server {
    listen       127.0.0.1:$TEST_NGINX_SERVER_PORT;
    server_name  one.test;

    location / {
        jelou_endpoint  incoming_message;
        proxy_pass      http://app;
    }
}

server {
    listen       127.0.0.1:$TEST_NGINX_SERVER_PORT;
    server_name  two.test;

    location / {
        jelou_endpoint  incoming_message;
        proxy_pass      http://app;
    }
}
--- config
location / {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}
--- requests eval
my ($one, $two) = map { "signing-secret-of-$_.test" } qw(one two);
requests([host => 'one.test', secret => $two],
         [host => 'two.test', secret => $one],
         [host => 'localhost', secret => $one],
         [host => 'localhost', secret => ''],
         [host => 'one.test', secret => ''],
         [host => 'two.test', secret => $two],
         [host => 'one.test', secret => $one])
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x 5, ('accepted m-1') x 2)
--- upstream eval
[(event()) x 2]
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x 5)


=== a secret by a header of the request, and text around a variable
--- http_config
map $http_x_tenant $key {
    one  "signing-secret-of-tenant-one";
    two  "signing-secret-of-tenant-two";
}
--- config
location = /map {
    jelou_endpoint  incoming_message;
    jelou_secret    $key;
    proxy_pass      http://app;
}

location = /text {
    jelou_endpoint  incoming_message;
    jelou_secret    "before-${server_name}-after";
    proxy_pass      http://app;
}
--- requests eval
my ($one, $two) = map { "signing-secret-of-tenant-$_" } qw(one two);
sub tenant { [path => '/map', headers => ["X-Tenant: $_[0]"], secret => $_[1]] }

requests(tenant(one => $two), tenant(two => $one), tenant(three => $one),
         tenant(one => $one), tenant(two => $two),
         [path => '/text', secret => 'before--after'],
         [path => '/text', secret => 'before-${server_name}-after'],
         [path => '/text', secret => 'before-localhost-after'])
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x 3, ('accepted m-1') x 2,
      ('401 SIGNATURE_MISMATCH') x 2, 'accepted m-1')
--- upstream eval
[(event()) x 3]
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x 5)


=== an empty value is no secret, but those beside it are
--- http_config
map $http_x_tenant $key {
    one  "signing-secret-of-tenant-one";
}
--- config
location = /alone {
    jelou_endpoint  incoming_message;
    jelou_secret    $key;
    proxy_pass      http://app;
}

location = /beside {
    jelou_endpoint  incoming_message;
    jelou_secret    $key "a-secret-beside-the-variable" $http_x_none;
    proxy_pass      http://app;
}
--- requests eval
my $beside = 'a-secret-beside-the-variable';
requests([path => '/alone', secret => ''],
         [path => '/alone', signature => 'sha256=' . '0' x 64],
         [path => '/alone', signature => 'sha256=' . sha256_hex(event())],
         [path => '/beside', secret => ''],
         [path => '/beside', secret => 'signing-secret-of-tenant-one'],
         [path => '/beside', secret => $beside],
         [path => '/beside', secret => $beside, headers => ['X-Tenant: one']],
         [path => '/beside', secret => 'signing-secret-of-tenant-one',
          headers => ['X-Tenant: one']])
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x 5, ('accepted m-1') x 3)
--- upstream eval
[(event()) x 3]
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x 5)


=== a secret by the event's project
--- http_config
map $jelou_project_id $key {
    p-1      "signing-secret-of-project-1";
    p-2      "signing-secret-of-project-2";
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $key;
    proxy_pass      http://app;
}
--- requests eval
my ($one, $two) = map { "signing-secret-of-project-$_" } 1, 2;
my @p = map { event(project_id => qq("p-$_")) } 0 .. 3;
[post($p[1], secret => $two, keepalive => 1),
 post($p[2], secret => $one, keepalive => 1),
 post($p[3], secret => $one, keepalive => 1),
 post($p[3], secret => '', keepalive => 1),
 post($p[1], secret => '', keepalive => 1),
 post(event(project_id => undef), secret => '', keepalive => 1),
 post(event(project_id => '""'), secret => '', keepalive => 1),
 post('not JSON', secret => '', keepalive => 1),
 post('', secret => '', keepalive => 1),
 post($p[1], secret => $one, keepalive => 1),
 post($p[2], secret => $two)]
--- reply eval
lines(('401 SIGNATURE_MISMATCH') x 9, ('accepted m-1') x 2)
--- upstream eval
[map { event(project_id => qq("p-$_")) } 1, 2]
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x 9)


=== the project's secret, of a large body in pieces and in a file
--- http_config
map $jelou_project_id $key {
    p-1      "signing-secret-of-project-1";
}

client_body_buffer_size  4k;
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $key "another-secret-for-all";
    proxy_pass      http://app;
}
--- requests eval
my $large = event(content => '{"body":"' . 'x' x 20_000 . '"}');
[post($large, secret => 'signing-secret-of-project-1', keepalive => 1),
 post($large, secret => 'signing-secret-of-project-2', keepalive => 1),
 post($large, secret => 'another-secret-for-all', chunked => 7000)]
--- reply
accepted m-1
401 SIGNATURE_MISMATCH
accepted m-1
--- upstream eval
[(event(content => '{"body":"' . 'x' x 20_000 . '"}')) x 2]
--- error_log
jelou refused a request: SIGNATURE_MISMATCH


=== a map that was asked before the body was read has to be volatile
--- http_config
map $jelou_project_id $key {
    volatile;
    p-1  "signing-secret-of-project-1";
}
--- config
location = /v1/external-support/webhook {
    set             $asked $key;
    jelou_endpoint  incoming_message;
    jelou_secret    $key;
    proxy_pass      http://app;
    proxy_set_header  X-Asked "<$asked>";
}
--- requests eval
requests([secret => ''], [secret => 'signing-secret-of-project-1'])
--- reply
401 SIGNATURE_MISMATCH
accepted m-1
--- upstream eval
event()
--- upstream_headers
X-Asked: <>
--- error_log
jelou refused a request: SIGNATURE_MISMATCH


=== a secret is inherited, and replaced as a whole
--- http_config
jelou_secret  "a-secret-of-the-http-level";

server {
    listen        127.0.0.1:$TEST_NGINX_SERVER_PORT;
    server_name   own.test;
    jelou_secret  "a-secret-of-the-server-level";

    location / {
        jelou_endpoint  incoming_message;
        proxy_pass      http://app;

        location /own {
            jelou_endpoint  incoming_message;
            jelou_secret    "a-secret-of-the-location";
            proxy_pass      http://app;
        }
    }
}
--- config
location / {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}
--- requests eval
my ($http, $server, $location) = map { "a-secret-of-the-$_" }
    'http-level', 'server-level', 'location';

requests((map { [secret => $_] } $server, $location, $http),
         (map { [host => 'own.test', secret => $_] }
              $http, $location, $server),
         (map { [host => 'own.test', path => '/own', secret => $_] }
              $http, $server, $location))
--- reply eval
lines(('401 SIGNATURE_MISMATCH', '401 SIGNATURE_MISMATCH', 'accepted m-1') x 3)
--- upstream eval
[(event()) x 3]
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(('SIGNATURE_MISMATCH') x 6)


=== no secret, right signature or body in the log, whatever is refused
--- http_config
map $jelou_project_id $key {
    p-1  "Tell-Nobody-of-project-1";
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $key "Tell-Nobody";
    jelou_types     text;
    proxy_pass      http://app;
}
--- requests eval
my @body = (content => '{"body":"Private words"}');
my $body = event(@body);
[post($body, secret => 'wrong', keepalive => 1),
 post($body, signature => undef, keepalive => 1),
 post($body, signature => 'sha256=0', keepalive => 1),
 post($body, type => 'text/plain', secret => 'Tell-Nobody', keepalive => 1),
 post("$body Private words", secret => 'Tell-Nobody', keepalive => 1),
 post(event(@body, user_id => '{"Private words":1}'), secret => 'Tell-Nobody',
      keepalive => 1),
 post(event(@body, room_id => '"Private words\\u0001"'),
      secret => 'Tell-Nobody-of-project-1', keepalive => 1),
 post(event(@body, type => '"Private words"'), secret => 'Tell-Nobody',
      keepalive => 1),
 post(event(type => '"image"', content =>
            '{"url":"https://a.example/Private","mime_type":"image/png"}'),
      secret => 'Tell-Nobody')]
--- reply
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISSING
401 SIGNATURE_MALFORMED
415 UNSUPPORTED_MEDIA_TYPE
400 INVALID_JSON
422 INVALID_EVENT /user_id
422 INVALID_EVENT /room_id
422 INVALID_EVENT /value/type
422 TYPE_NOT_ALLOWED
--- upstream
none
--- grep_error_log eval
qr/jelou refused a request: \w+/
--- grep_error_log_out eval
refusals(qw(SIGNATURE_MISMATCH SIGNATURE_MISSING SIGNATURE_MALFORMED
            UNSUPPORTED_MEDIA_TYPE INVALID_JSON INVALID_EVENT INVALID_EVENT
            INVALID_EVENT TYPE_NOT_ALLOWED))
--- no_error_log eval
my $body = event(content => '{"body":"Private words"}');
['Nobody', 'Private', 'p-1', 'sha256', 'a.example',
 map { sign($body, $_) =~ s/sha256=(.{16}).*/$1/r }
     'Tell-Nobody', 'Tell-Nobody-of-project-1']
--- suppress_stderr
