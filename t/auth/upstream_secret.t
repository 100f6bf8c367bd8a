# jelou_upstream_secret: what is forwarded is signed anew, and nothing that the
# client says of its own body passes for that.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Sections;
use Jelou::Server;

our $Up = 'secret-of-the-application';


# "verified" does what the application would do: each request that arrived must
# have exactly one signature, and it must be that of its body with this secret.
# "heads" and "no_heads" are patterns for all of their headers.

add_test_cleanup_handler(sub {
    my $block = shift;

    my ($secret, $heads, $no_heads) = map { scalar $block->$_ }
                                      qw(verified heads no_heads);

    return unless grep { defined } $secret, $heads, $no_heads;

    my $want = @{ $block->requests // [1] };
    my @got  = $Jelou::Upstream->requests($want);

    ok(@got >= $want, $block->name . ' - verified: all has arrived');

    for my $got (@got) {
        like($got->{head}, qr/$heads/m, $block->name . ' - heads')
            if defined $heads;
        unlike($got->{head}, qr/$no_heads/m, $block->name . ' - no_heads')
            if defined $no_heads;

        next unless defined $secret;

        # one for all, or by the project

        my $secret = ref $secret
            ? $secret->{ $got->{body} =~ /"project_id":"(.*?)"/ ? $1 : '' }
            : $secret =~ s/\n//r;

        my @values = $got->{head}
                     =~ /^(?:HTTP_)?X[-_]JELOU[-_]SIGNATURE: (.*?)\r?$/mgi;

        is("@values", sign($got->{body}, $secret),
           $block->name . ' - verified: the signature');
    }
});


our %Body = (
    message => '{"field":"messages","object":"message_event",'
        . '"event_type":"message","timestamp":1718000000000,'
        . '"project_id":"p-1","room_id":"r-1","contact":{"id":"u-1"},'
        . '"conversation":{"id":"c-1"},"bot":{"id":"b-1"},'
        . '"value":{"id":"m-1","type":"text","content":{"body":"Hello"}}}',

    turn => '{"event":"conversation.close","timestamp":1718000000000,'
        . '"project_id":"p-1", "more": [1, 2]}',

    room => '{"senderId":"s-1","messages":[{"type":"TEXT","text":"Hello",'
        . '"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7"}]}',

    bot => '{"type":"text","userId":"u-1","text":"Hello"}',
);

our $Room = '{"field":"messages","object":"message_event",'
    . '"event_type":"room_message","room_id":"r-1","sender_id":"s-1",'
    . '"values":[{"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7",'
    . '"type":"text","content":{"body":"Hello"}}]}';

our $Replies = <<'END';
accepted m-1
accepted
accepted-list 7c9e6679-7425-40de-944b-e07fc1f90ae7
accepted msg_*
END

our @Paths = ([message => '/webhook'], [turn => '/webhook'],
              [room => '/v1/rooms/r-1/message'],
              [bot => '/v1/bots/b-1/messages']);

our $Endpoints = <<'END';
jelou_upstream_secret  "secret-of-the-application";
location = /webhook {
    jelou_endpoint  message;
    jelou_secret    "$TEST_NGINX_SECRET";
    proxy_pass      http://app;
}
location /v1/rooms/ {
    jelou_endpoint  room_message;
    proxy_pass      http://app;
}
location /v1/bots/ {
    jelou_endpoint  bot_message;
    proxy_pass      http://app;
}
END

# to_all(OPTION): one request to each; an unsigned endpoint gets a signature of
# the client's own, or two

sub to_all {
    my ($signature) = @_;

    return [map {
        my ($name, $path) = @{ $Paths[$_] };
        my $body = $Body{$name};

        post($body, path => $path, keepalive => $_ < $#Paths,
             signature => $path =~ m{^/v1} ? $signature : sign($body))
    } 0 .. $#Paths];
}


# in_turn([BODY, OPTIONS], ...): over one connection

sub in_turn { return [map { post(@{ $_[$_] }, keepalive => $_ < $#_) } 0 .. $#_] }


# Configurations: the line of the directive, and what nginx says of it.

my $nginx = Jelou::Server->new(name => 'check');

my $in = 'in "jelou_upstream_secret" directive';

for my $case (
    ['', ''],
    ["jelou_upstream_secret $Up;", ''],
    ['jelou_upstream_secret off;', ''],
    ['jelou_upstream_secret "secret of an application";', ''],
    ['jelou_upstream_secret "";', "[emerg] empty secret $in in WHERE"],
    [qq(jelou_upstream_secret " $Up";), "[emerg] a secret $in begins or ends "
     . 'with white space in WHERE'],
    [qq(jelou_upstream_secret "$Up\t";), "[emerg] a secret $in begins or ends "
     . 'with white space in WHERE'],
    ['jelou_upstream_secret 123456789012345;',
     "[warn] a secret $in has fewer than 16 bytes in WHERE"],
    ['jelou_upstream_secret 1234567890123456;', ''],
    ['jelou_upstream_secret;',
     "[emerg] invalid number of arguments $in in WHERE"],
    ["jelou_upstream_secret $Up another-one-that-is-long;",
     "[emerg] invalid number of arguments $in in WHERE"],
    ["jelou_upstream_secret $Up; jelou_upstream_secret $Up;",
     '[emerg] "jelou_upstream_secret" directive is duplicate in WHERE'],
    ["jelou_upstream_secret off; jelou_upstream_secret $Up;",
     '[emerg] "jelou_upstream_secret" directive is duplicate in WHERE'],
    ["jelou_upstream_secret $Up; jelou_upstream_secret off;",
     '[emerg] "jelou_upstream_secret" directive is duplicate in WHERE'],
) {
    my ($line, $want) = @$case;

    my $said = $nginx->says(<<"END", $want && "$want\n", $line);
server {
    listen  127.0.0.1:$Jelou::Port{SERVER};
    location / {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        $line # WHERE
    }
}
END

    unlike($said, qr/\Q$Up\E|123456/, "nginx -t: $line: no secret is shown");
}


run_tests();

__DATA__

=== the event's signature, in place of the client's
--- directives
    jelou_upstream_secret  "secret-of-the-application";
--- raw_request eval
post(event() =~ s/,/ , /gr)
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers eval
'X-Jelou-Signature: ' . sign(event(), $::Up)
--- verified
secret-of-the-application


=== without the directive nothing is signed
--- raw_request eval
post(event())
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers
! X-Jelou-Signature


=== off, within a server that signs
--- http_config
jelou_upstream_secret  "secret-of-the-application";
--- directives
    jelou_upstream_secret  off;
--- raw_request eval
post(event())
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers
! X-Jelou-Signature


=== a location's own secret, within a server that has another one
--- http_config
jelou_upstream_secret  "secret-of-another-application";
--- directives
    jelou_upstream_secret  "secret-of-the-application";
--- raw_request eval
post(event())
--- reply
accepted m-1
--- upstream eval
event()
--- verified
secret-of-the-application


=== inherited
--- http_config
jelou_upstream_secret  "secret-of-the-application";
--- raw_request eval
post(event())
--- reply
accepted m-1
--- upstream eval
event()
--- verified
secret-of-the-application


=== a variable in it
--- directives
    jelou_upstream_secret  "secret-of-$host";
--- raw_request eval
post(event())
--- reply
accepted m-1
--- upstream eval
event()
--- verified
secret-of-localhost


=== a variable that the body decides on, as it was received
--- directives
    jelou_upstream_secret  "secret-of-$content_length";
--- raw_request eval
post(event() =~ s/,/ , /gr)
--- reply
accepted m-1
--- upstream eval
event()
--- verified eval
'secret-of-' . length event() =~ s/,/ , /gr


=== a variable that is empty: nothing goes on
--- directives
    jelou_upstream_secret  $arg_secret;
--- raw_request eval
post(event())
--- reply
500 UPSTREAM_SECRET_MISSING
--- upstream
none
--- log
[error] jelou refused a request: UPSTREAM_SECRET_MISSING: of project "p-1"


=== a map chooses it by the project
--- http_config
map $jelou_project_id $application {
    volatile;
    p-1  secret-of-project-1;
    p-2  secret-of-project-2;
}
--- directives
    set $early $application;
    jelou_upstream_secret  $application;
    proxy_set_header  X-Project  $jelou_project_id;
--- requests eval
in_turn(map { [event(project_id => qq("$_"))] } qw(p-2 p-3))
--- reply
accepted m-1
500 UPSTREAM_SECRET_MISSING
--- upstream eval
[event(project_id => '"p-2"')]
--- upstream_headers
X-Project: p-2
--- log eval
'[error] jelou refused a request: UPSTREAM_SECRET_MISSING: of project "p-3"' . "\n"


=== an event of no project
--- config
location /v1/rooms/ {
    jelou_endpoint         room_message;
    jelou_upstream_secret  $arg_secret;
    proxy_pass             http://app;
}
--- requests eval
in_turn(map { [$::Body{room}, path => "/v1/rooms/r-1/message$_"] }
     '?secret=secret-of-the-application', '')
--- reply
accepted-list 7c9e6679-7425-40de-944b-e07fc1f90ae7
500 UPSTREAM_SECRET_MISSING
--- upstream eval
[$::Room]
--- log
[error] jelou refused a request: UPSTREAM_SECRET_MISSING: of project ""


=== a file: the project's last line, or the last one of no project
--- secrets
secret-of-all-old
p-1 secret-of-project-1-old
p-2 secret-of-project-2-alone
p-1 secret-of-project-1-new
secret-of-all-new
--- location
    jelou_secret  "$TEST_NGINX_SECRET";
    jelou_upstream_secret_file  $SECRETS;
--- requests eval
in_turn(map { [event(project_id => qq("$_"))] }
     qw(p-1 p-2 p-3 p-\u0031))
--- reply
accepted m-1
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[map { event(project_id => qq("$_")) } qw(p-1 p-2 p-3 p-\u0031)]
--- verified eval
+{ 'p-1' => 'secret-of-project-1-new', 'p-2' => 'secret-of-project-2-alone',
   'p-3' => 'secret-of-all-new', 'p-\u0031' => 'secret-of-project-1-new' }


=== a file of projects only: another one has no secret
--- secrets
p-1 secret-of-the-application
--- location
    jelou_secret  "$TEST_NGINX_SECRET";
    jelou_upstream_secret_file  $SECRETS;
--- requests eval
in_turn(map { [event(project_id => qq("$_"))] } qw(p-1 p-2))
--- reply
accepted m-1
500 UPSTREAM_SECRET_MISSING
--- upstream eval
[event()]
--- log
[error] jelou refused a request: UPSTREAM_SECRET_MISSING: of project "p-2"
--- upstream_headers eval
'X-Jelou-Signature: ' . sign(event(), $::Up)


=== a file and a secret: the file's projects have their own
--- secrets
p-2 secret-of-project-2-alone
--- location
    jelou_secret  "$TEST_NGINX_SECRET";
    jelou_upstream_secret       secret-of-all-the-others;
    jelou_upstream_secret_file  $SECRETS;
--- requests eval
in_turn(map { [event(project_id => qq("$_"))] } qw(p-1 p-2))
--- reply
accepted m-1
accepted m-1
--- upstream eval
[map { event(project_id => qq("$_")) } qw(p-1 p-2)]
--- verified eval
+{ 'p-1' => 'secret-of-all-the-others', 'p-2' => 'secret-of-project-2-alone' }


=== a location's own secret leaves out the file around it
--- secrets
p-1 secret-of-project-1-around
--- config
jelou_upstream_secret_file  $SECRETS;
location / {
    jelou_endpoint         incoming_message;
    jelou_secret           "$TEST_NGINX_SECRET";
    jelou_upstream_secret  "secret-of-the-application";
    proxy_pass             http://app;
}
--- raw_request eval
post(event())
--- reply
accepted m-1
--- upstream eval
event()
--- verified
secret-of-the-application


=== a secret that fails is forgotten by deduplication
--- http_config
jelou_dedup_zone zone=seen:1m;
--- directives
    jelou_upstream_secret  $arg_secret;
    jelou_dedup            zone=seen;
--- requests eval
in_turn(map { [event(), path => "$Jelou::Path$_"] } '', '?secret=1')
--- reply
500 UPSTREAM_SECRET_MISSING
accepted m-1
--- upstream eval
[event()]
--- log
[error] jelou refused a request: UPSTREAM_SECRET_MISSING: of project "p-1"


=== 401: the application has another secret
--- directives
    jelou_upstream_secret  "secret-of-the-application";
--- raw_request eval
post(event())
--- upstream_answer
401
--- reply
500 UPSTREAM_SIGNATURE_REFUSED
--- upstream eval
event()
--- log
[error] jelou: UPSTREAM_SIGNATURE_REFUSED: status 401 from the content handler, which has another secret of project "p-1"


=== 401 with jelou_reply upstream
--- directives
    jelou_upstream_secret  "secret-of-the-application";
    jelou_reply            upstream;
--- raw_request eval
post(event())
--- upstream_answer
401
--- reply
500 UPSTREAM_SIGNATURE_REFUSED
--- upstream eval
event()
--- log
[error] jelou: UPSTREAM_SIGNATURE_REFUSED: status 401 from the content handler, which has another secret of project "p-1"


=== 403 is the event's
--- directives
    jelou_upstream_secret  "secret-of-the-application";
--- raw_request eval
post(event())
--- upstream_answer
403
--- reply
403 UPSTREAM_REJECTED
--- upstream eval
event()
--- log
[info] jelou: UPSTREAM_REJECTED: status 403 from the content handler


=== 401 of one that gets no signature is the event's
--- raw_request eval
post(event())
--- upstream_answer
401
--- reply
401 UPSTREAM_REJECTED
--- upstream eval
event()
--- log
[info] jelou: UPSTREAM_REJECTED: status 401 from the content handler


=== jelou_secret off: no signature is needed, one that is there is ignored
--- http_config
jelou_secret  "$TEST_NGINX_SECRET";
--- config
location / {
    jelou_endpoint  incoming_message;
    jelou_secret    off;
    proxy_pass      http://app;
}
--- requests eval
in_turn(map { [event(), signature => $_] }
     undef, 'sha256=' . 'a' x 64, 'nonsense', ['one', 'two'])
--- reply eval
"accepted m-1\n" x 4
--- upstream eval
[(event()) x 4]
--- no_heads: (?i:signature)


=== jelou_secret off, raw: nor does one go on
--- config
location / {
    jelou_endpoint  incoming_message;
    jelou_secret    off;
    jelou_format    raw;
    proxy_pass      http://app;
}
--- requests eval
in_turn(map { [event() . ' ', signature => $_] }
     undef, 'sha256=' . 'a' x 64)
--- reply eval
"accepted m-1\n" x 2
--- upstream eval
[(event() . ' ') x 2]
--- no_heads: (?i:signature)


=== jelou_secret off: the event is checked all the same
--- config
location / {
    jelou_endpoint  incoming_message;
    jelou_secret    off;
    proxy_pass      http://app;
}
--- raw_request eval
post(event(room_id => undef), signature => undef)
--- reply
422 INVALID_EVENT /room_id
--- upstream
none
--- log
[info] jelou refused a request: INVALID_EVENT: 1 violation, the first at "/room_id": is required


=== jelou_secret off: in an if, and not in a location within
--- http_config
jelou_secret  "$TEST_NGINX_SECRET";
--- config
location / {
    jelou_endpoint  incoming_message;
    jelou_secret    off;
    proxy_pass      http://app;

    if ($arg_x) {
        set $y 1;
    }
    location /within {
        proxy_pass  http://app;
    }
}
--- requests eval
in_turn(map { [event(), path => $_, signature => undef] }
     '/?x=1', '/within')
--- reply
accepted m-1
401 SIGNATURE_MISSING
--- upstream eval
[event()]
--- log
[warn] jelou refused a request: SIGNATURE_MISSING


=== raw: the bytes as received, with the new signature
--- directives
    jelou_format           raw;
    jelou_upstream_secret  "secret-of-the-application";
--- raw_request eval
post(event() =~ s/,/ , /gr)
--- reply
accepted m-1
--- upstream eval
event() =~ s/,/ , /gr
--- verified
secret-of-the-application


=== raw without the directive: the original signature
--- directives
    jelou_format  raw;
--- raw_request eval
post(event() =~ s/,/ , /gr)
--- reply
accepted m-1
--- upstream eval
event() =~ s/,/ , /gr
--- verified
signing-secret-of-the-tests


=== raw from a file, in pieces
--- directives
    jelou_format            raw;
    jelou_upstream_secret   "secret-of-the-application";
    client_body_in_file_only  clean;
--- raw_request eval
post(event(), chunked => 7)
--- reply
accepted m-1
--- upstream eval
event()
--- verified
secret-of-the-application


=== raw, in several buffers
--- directives
    jelou_format             raw;
    jelou_upstream_secret    "secret-of-the-application";
    client_body_buffer_size  1m;
--- raw_request eval
[pieces(post(event(content => '{"body":"' . 'x' x 20_000 . '"}')), 6_000)]
--- raw_request_middle_delay: 0.01
--- reply
accepted m-1
--- upstream eval
event(content => '{"body":"' . 'x' x 20_000 . '"}')
--- verified
secret-of-the-application


=== a request without a length
--- directives
    jelou_upstream_secret  "secret-of-the-application";
--- raw_request eval
post(event(), chunked => 100)
--- reply
accepted m-1
--- upstream eval
event()
--- verified
secret-of-the-application


=== CloudEvents: the signature is that of the whole CloudEvent
--- directives
    jelou_format           cloudevents;
    jelou_upstream_secret  "secret-of-the-application";
--- raw_request eval
post(event())
--- reply
accepted m-1
--- heads: ^Content-Type: application/cloudevents\+json\r$
--- verified
secret-of-the-application


=== a signature that is wrong is not made right
--- directives
    jelou_upstream_secret  "secret-of-the-application";
--- raw_request eval
post(event(), secret => $::Up)
--- reply
401 SIGNATURE_MISMATCH
--- upstream
none
--- log
[warn] jelou refused a request: SIGNATURE_MISMATCH


=== all other endpoints, the unsigned ones too
--- config eval: $::Endpoints
--- requests eval
to_all(undef)
--- reply eval: $::Replies
--- verified
secret-of-the-application


=== the client's own signature, on an unsigned endpoint, is replaced
--- config eval: $::Endpoints
--- requests eval
to_all('sha256=' . 'a' x 64)
--- reply eval: $::Replies
--- no_heads: a{64}
--- verified
secret-of-the-application


=== both of them
--- config eval: $::Endpoints
--- requests eval
to_all(['sha256=' . 'a' x 64, 'whatever'])
--- reply eval: $::Replies
--- no_heads: a{64}|whatever
--- verified
secret-of-the-application


=== without a secret they are removed
--- config eval: $::Endpoints =~ s/.*jelou_upstream_secret.*\n//r
--- requests eval
to_all(['sha256=' . 'a' x 64, 'whatever'])
--- reply eval: $::Replies
--- no_heads: (?i:signature)|a{64}|whatever


=== all endpoints in CloudEvents form
--- config eval: "jelou_format cloudevents;\n$::Endpoints"
--- requests eval
to_all('sha256=' . 'a' x 64)
--- reply eval: $::Replies
--- heads: ^Content-Type: application/cloudevents\+json\r$
--- verified
secret-of-the-application


=== all endpoints, raw
--- config eval: "jelou_format raw;\n$::Endpoints"
--- requests eval
to_all('sha256=' . 'a' x 64)
--- reply eval: $::Replies
--- upstream eval
[map { $::Body{$_->[0]} } @::Paths]
--- verified
secret-of-the-application


=== wherever it stands among the headers, it is removed
--- directives
--- requests eval
[map { post(event(), keepalive => $_ < 44, signature => undef, headers => [
            (map { "X-More-$_: $_" } 1 .. $_),
            'X-Jelou-Signature: ' . sign(event())]) } 0 .. 44]
--- reply eval
"accepted m-1\n" x 45
--- upstream eval
[(event()) x 45]
--- no_heads: (?i:signature)


=== wherever two stand among the headers, they are removed
--- config
location / {
    jelou_endpoint             room_message;
    proxy_pass                 http://app;
}
--- requests eval
[map { post($::Body{room}, path => '/v1/rooms/r-1/message', signature => undef,
            keepalive => $_ < 44, headers => [
            (map { "X-More-$_: $_" } 1 .. $_), 'X-Jelou-Signature: one',
            ($_ & 1 ? 'X-Between: 1' : ()), 'X-Jelou-Signature: two'])
     } 0 .. 44]
--- reply eval
"accepted-list 7c9e6679-7425-40de-944b-e07fc1f90ae7\n" x 45
--- upstream eval
[($::Room) x 45]
--- no_heads: (?i:signature)


=== wherever it stands, it is replaced
--- directives
    jelou_upstream_secret      "secret-of-the-application";
--- requests eval
[map { post(event() . ' ', keepalive => $_ < 44, signature => undef, headers => [
            (map { "X-More-$_: $_" } 1 .. $_),
            'X-Jelou-Signature: ' . sign(event() . ' ')]) } 0 .. 44]
--- reply eval
"accepted m-1\n" x 45
--- upstream eval
[(event()) x 45]
--- verified
secret-of-the-application


=== header fields around the removed ones stay, and none is lost
--- config eval: $::Endpoints =~ s/.*jelou_upstream_secret.*\n//r
--- raw_request eval
my $body = $::Body{room};
post($body, path => '/v1/rooms/r-1/message', signature => undef, headers => [
     'X-Jelou-Signature: 1', (map { "X-Before-$_: $_" } 1 .. 18),
     'X-Jelou-Signature: 2', 'X-Between: 1', 'X-Jelou-Signature: 3',
     (map { "X-Behind-$_: $_" } 1 .. 30), 'X-Jelou-Signature: 4'])
--- reply
accepted-list 7c9e6679-7425-40de-944b-e07fc1f90ae7
--- upstream eval: $::Room
--- upstream_headers eval
join '', "! X-Jelou-Signature\nX-Between: 1\nContent-Type: application/json\n",
    (map { "X-Before-$_: $_\n" } 1 .. 18), (map { "X-Behind-$_: $_\n" } 1 .. 30)


=== a header list that is full gets one more
--- config eval: $::Endpoints
--- raw_request eval
my $body = $::Body{room};
post($body, path => '/v1/rooms/r-1/message', signature => undef,
     headers => [map { "X-More-$_: $_" } 1 .. 16])
--- reply
accepted-list 7c9e6679-7425-40de-944b-e07fc1f90ae7
--- upstream eval: $::Room
--- upstream_headers eval
join '', map { "X-More-$_: $_\n" } 1 .. 16
--- verified
secret-of-the-application


=== FastCGI and its like have it as a parameter
--- config
jelou_upstream_secret  "secret-of-the-application";
location /fastcgi {
    jelou_endpoint   incoming_message;
    jelou_secret     "$TEST_NGINX_SECRET";
    fastcgi_param    CONTENT_LENGTH $content_length;
    fastcgi_pass     fastcgi;
}
location /scgi {
    jelou_endpoint   incoming_message;
    jelou_secret     "$TEST_NGINX_SECRET";
    scgi_param       CONTENT_LENGTH $content_length;
    scgi_pass        scgi;
}
location /uwsgi {
    jelou_endpoint   incoming_message;
    jelou_secret     "$TEST_NGINX_SECRET";
    uwsgi_param      CONTENT_LENGTH $content_length;
    uwsgi_pass       uwsgi;
}
--- requests eval
[post(event(), path => '/fastcgi', keepalive => 1),
 post(event(), path => '/scgi', keepalive => 1),
 post(event(), path => '/uwsgi')]
--- reply
accepted m-1
accepted m-1
accepted m-1
--- upstream eval
[(event()) x 3]
--- verified
secret-of-the-application


=== the variable of the header is the new one's
--- directives
    jelou_upstream_secret  "secret-of-the-application";
    set $before $http_x_jelou_signature;
    proxy_set_header  X-Before $before;
    proxy_set_header  X-Now $http_x_jelou_signature;
--- raw_request eval
post(event() =~ s/,/ , /gr)
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers eval
'X-Now: ' . sign(event(), $::Up) . "\nX-Before: " . sign(event() =~ s/,/ , /gr)
--- verified
secret-of-the-application


=== a second server gets the same
--- http_config
upstream two {
    server 127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
    server 127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
}
--- config
location / {
    jelou_endpoint         incoming_message;
    jelou_secret           "$TEST_NGINX_SECRET";
    jelou_upstream_secret  "secret-of-the-application";
    proxy_pass             http://two;
    proxy_next_upstream    http_500 non_idempotent;
}
--- raw_request eval
post(event())
--- upstream_answer eval
[500, 200]
--- reply
accepted m-1
--- upstream eval
[(event()) x 2]
--- verified
secret-of-the-application


=== another Jelou endpoint of nginx verifies it
--- config
location = /v1/external-support/webhook {
    jelou_endpoint         incoming_message;
    jelou_secret           "$TEST_NGINX_SECRET";
    jelou_upstream_secret  "secret-of-the-application";
    proxy_pass             http://127.0.0.1:$TEST_NGINX_SERVER_PORT/application;
}
location = /application {
    jelou_endpoint  incoming_message;
    jelou_secret    "secret-of-the-application";
    jelou_strict    on;
    jelou_format    raw;
    proxy_pass      http://app;
}
--- raw_request eval
post(event() =~ s/,/ , /gr)
--- reply
accepted m-1
--- upstream eval
event()
--- verified
secret-of-the-application
