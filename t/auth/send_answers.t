# What the application is told of the answer of Jelou's side to a message that
# nginx has signed, with each jelou_reply.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Sections;

our $Up = 'secret-of-project-1';

# "signed" is what the receiver does: each request that arrived has one signature,
# that of its body.  No answer and no log names the secret.

add_test_cleanup_handler(sub {
    my $block = shift;

    return unless defined(my $want = $block->signed);

    my @got = $Jelou::Upstream->requests($want);

    is(scalar @got, $want, $block->name . ' - signed: all that have arrived');

    for my $got (@got) {
        my @values = $got->{head} =~ /^X-Jelou-Signature: (.*?)\r?$/mgi;

        is("@values", sign($got->{body}, $Up), $block->name . ' - signed');
    }
});

# config(REPLY): the application's side

our sub config {
    my ($reply, $more) = @_;

    return <<"END" . ($more // '') . '}';
location = /send {
    jelou_endpoint         incoming_message;
    jelou_secret           off;
    jelou_reply            $reply;
    jelou_upstream_secret  "$Up";
    proxy_pass             http://app;
END
}

our $Two = <<'END';
upstream two {
    server 127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
    server 127.0.0.1:$TEST_NGINX_APP_PORT max_fails=0;
}
END

# to(N): so many messages, over one connection

our sub to {
    my ($n) = @_;

    return [map { post(event(id => qq("m-$_")), path => '/send',
                       signature => undef, keepalive => $_ < $n) } 1 .. $n];
}

our sub sent { return [map { event(id => qq("m-$_")) } 1 .. $_[0]] }

our @Refused = (401, 403, 404, 409, 422, "429\nRetry-After: 7");
our @Failed  = (302, 500, 502, "503\nRetry-After: 7", 'close');

our $Refused = <<'END';
500 UPSTREAM_SIGNATURE_REFUSED
403 UPSTREAM_REJECTED
404 UPSTREAM_REJECTED
409 UPSTREAM_REJECTED
422 UPSTREAM_REJECTED
429 UPSTREAM_REJECTED
END

our $Refused_log = '[error] jelou: UPSTREAM_SIGNATURE_REFUSED: status 401 from the '
    . qq(content handler, which has another secret of project "p-1"\n)
    . join '', map { "[info] jelou: UPSTREAM_REJECTED: status $_ from the content "
                     . "handler\n" } 403, 404, 409, 422, 429;

our $Failed_log = join '', map { "[error] jelou: UPSTREAM_FAILED: status $_ from "
    . "the content handler\n" } 302, 500, 502, 503, 502;

run_tests();

__DATA__

=== 2xx, jelou_reply upstream: as it is
--- config eval: ::config('upstream')
--- requests eval: ::to(3)
--- upstream_answer eval
["200\nContent-Type: application/json\n\n{\"success\":true,\"messageId\":\"msg_of_jelou\"}",
 "202\n\nlater", 204]
--- reply
200
202
204
--- response_body eval
['{"success":true,"messageId":"msg_of_jelou"}', 'later', '']
--- upstream eval: ::sent(3)
--- signed: 3


=== 2xx, jelou_reply contract: the contract's
--- config eval: ::config('contract')
--- requests eval: ::to(3)
--- upstream_answer eval
["200\nContent-Type: application/json\n\n{\"success\":true,\"messageId\":\"msg_of_jelou\"}",
 "202\n\nlater", 204]
--- reply
accepted m-1
accepted m-2
accepted m-3
--- upstream eval: ::sent(3)
--- signed: 3


=== 4xx, jelou_reply upstream: a 401 is the secret's, the others are the message's
--- config eval: ::config('upstream')
--- requests eval: ::to(6)
--- upstream_answer eval: [@::Refused]
--- reply eval: $::Refused
--- raw_response_headers_like eval
[('') x 5, 'Retry-After: 7']
--- upstream eval: ::sent(6)
--- signed: 6
--- log eval: $::Refused_log
--- no_error_log
secret-of-project-1
sha256=


=== 4xx, jelou_reply contract: the same
--- config eval: ::config('contract')
--- requests eval: ::to(6)
--- upstream_answer eval: [@::Refused]
--- reply eval: $::Refused
--- raw_response_headers_like eval
[('') x 5, 'Retry-After: 7']
--- upstream eval: ::sent(6)
--- signed: 6
--- log eval: $::Refused_log
--- no_error_log
secret-of-project-1
sha256=


=== 5xx, 3xx and none, jelou_reply upstream: send it again
--- config eval: ::config('upstream')
--- requests eval: ::to(5)
--- upstream_answer eval: [@::Failed]
--- reply eval: "500 UPSTREAM_FAILED\n" x 5
--- raw_response_headers_like eval
['', '', '', 'Retry-After: 7', '']
--- upstream eval: ::sent(5)
--- signed: 5
--- log eval: $::Failed_log


=== 5xx, 3xx and none, jelou_reply contract: the same
--- config eval: ::config('contract')
--- requests eval: ::to(5)
--- upstream_answer eval: [@::Failed]
--- reply eval: "500 UPSTREAM_FAILED\n" x 5
--- raw_response_headers_like eval
['', '', '', 'Retry-After: 7', '']
--- upstream eval: ::sent(5)
--- signed: 5
--- log eval: $::Failed_log


=== what was sent is not repeated
--- http_config eval: $::Two
--- config eval: ::config('upstream', 'proxy_next_upstream error timeout http_500 http_503;') =~ s/app;/two;/r
--- raw_request eval: ::to(1)->[0]
--- upstream_answer eval: [500, 200]
--- reply
500 UPSTREAM_FAILED
--- upstream eval: ::sent(1)
--- signed: 1
--- log
[error] jelou: UPSTREAM_FAILED: status 500 from the content handler


=== unless non_idempotent says so: the same bytes, the same signature
--- http_config eval: $::Two
--- config eval: ::config('upstream', 'proxy_next_upstream http_500 non_idempotent;') =~ s/app;/two;/r
--- raw_request eval: ::to(1)->[0]
--- upstream_answer eval: [500, "200\n\ntaken"]
--- reply
200
--- response_body chop
taken
--- upstream eval: [event(), event()]
--- signed: 2


=== a 401 is not tried elsewhere
--- http_config eval: $::Two
--- config eval: ::config('upstream', 'proxy_next_upstream http_500 http_403 non_idempotent;') =~ s/app;/two;/r
--- raw_request eval: ::to(1)->[0]
--- upstream_answer eval: [401, 200]
--- reply
500 UPSTREAM_SIGNATURE_REFUSED
--- upstream eval: ::sent(1)
--- signed: 1
--- log
[error] jelou: UPSTREAM_SIGNATURE_REFUSED: status 401 from the content handler, which has another secret of project "p-1"


=== nobody is there: what was not sent may go to another server
--- http_config
upstream two {
    server 127.0.0.1:$TEST_NGINX_DOWN_PORT max_fails=0;
    server 127.0.0.1:$TEST_NGINX_APP_PORT backup;
}
--- config eval: ::config('upstream', 'proxy_next_upstream error timeout;') =~ s/app;/two;/r
--- raw_request eval: ::to(1)->[0]
--- reply
200
--- upstream eval: ::sent(1)
--- signed: 1
