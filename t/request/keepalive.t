# After every kind of answer the next request on the connection is the one
# that the client has sent, and nothing that stands in a body.

use lib 't/lib';

BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';

sub lines { return join '', map { "$_\n" } @_ }


# What must never be taken for a request: it is signed right.

our $Smuggled = post(event(id => '"smuggled"'), keepalive => 1);
our $Large    = $Smuggled x 100;


# The kinds of answers: the answer, what is logged, the body, the options of
# post(), and the upstream's answer if it is asked.

sub kind { my ($reply, $log, $body, $options, $upstream) = @_; return \@_ }

our @Kinds = (
    kind('accepted m-1', '', event(), [], 200),
    kind('accepted m-1', '', event() . ' ' x 3000, [], 204),
    kind('accepted m-1', '', event(), [path => '/alone']),
    kind('accepted m-1', '', event() . ' ' x 3000, [path => '/file'], 200),

    kind('405 METHOD_NOT_ALLOWED', 'jelou refused a request', $Smuggled,
         [method => 'PUT']),
    kind('405 METHOD_NOT_ALLOWED', 'jelou refused a request', $Large,
         [method => 'GET', signature => undef, type => undef]),
    kind('401 SIGNATURE_MISSING', 'jelou refused a request', $Smuggled,
         [signature => undef]),
    kind('401 SIGNATURE_MISSING', 'jelou refused a request', $Large,
         [signature => undef]),
    kind('401 SIGNATURE_MALFORMED', 'jelou refused a request', $Smuggled,
         [signature => 'sha256=0']),
    kind('415 UNSUPPORTED_MEDIA_TYPE', 'jelou refused a request', $Smuggled,
         [type => 'text/plain']),
    kind('403 FORBIDDEN', '', $Smuggled, [path => '/deny']),

    kind('401 SIGNATURE_MISMATCH', 'jelou refused a request', $Smuggled,
         [secret => 'another-secret-of-the-tests']),
    kind('401 SIGNATURE_MISMATCH', 'jelou refused a request', $Large,
         [secret => 'another-secret-of-the-tests', path => '/file']),
    kind('401 SIGNATURE_MISMATCH', 'jelou refused a request', '',
         [secret => 'another-secret-of-the-tests']),
    kind('400 INVALID_JSON', 'jelou refused a request', $Smuggled, []),
    kind('400 INVALID_JSON', 'jelou refused a request', event() . $Large,
         [path => '/file']),
    kind('400 INVALID_JSON', 'jelou refused a request', '', []),
    kind('422 INVALID_EVENT /user_id', 'jelou refused a request',
         event(user_id => undef) . ' ' x 3000, []),
    kind('422 TYPE_NOT_ALLOWED', 'jelou refused a request',
         event(type => '"audio"', content =>
               '{"url":"https://a.example/b","mime_type":"audio/mpeg"}'), []),

    kind('500 UPSTREAM_FAILED', 'jelou', event(), [], 500),
    kind('500 UPSTREAM_FAILED', 'jelou', event(), [path => '/file'], 503),
    kind('500 UPSTREAM_FAILED', 'jelou', event(), [],
         "301\nLocation: http://localhost/"),
    kind('500 UPSTREAM_FAILED', 'jelou', event(), [], 'close'),
    kind('500 UPSTREAM_FAILED', 'jelou', event(), [],
         "200\nContent-Length: 100\n\nshort"),
    kind('500 UPSTREAM_FAILED', 'jelou', event(), [path => '/slow'], 'hang'),
    kind('500 UPSTREAM_FAILED', 'jelou', event() . ' ' x 3000,
         [path => '/down']),
    kind('404 UPSTREAM_REJECTED', 'jelou', event(), [], 404),
    kind('400 UPSTREAM_REJECTED', 'jelou', event() . ' ' x 3000,
         [path => '/file'], "400\n\n" . 'x' x 10_000),
    kind('413 UPSTREAM_REJECTED', 'jelou', event(), [], 413),
);


# Each kind, followed by an event of its own.

our (@Requests, @Replies, @Upstream, @Answers, @Logs);

sub conversation {
    my @framing = @_;

    (@Requests, @Replies, @Upstream, @Answers, @Logs) = ();

    for my $n (0 .. $#Kinds) {
        my ($reply, $log, $body, $options, $answer) = @{ $Kinds[$n] };
        my $next = event(id => qq("after-$n"));

        push @Requests, post($body, @framing, keepalive => 1, @$options),
                        post($next, @framing, keepalive => $n < $#Kinds);
        push @Replies, $reply, "accepted after-$n";
        push @Logs, "$log: " . $reply =~ s/^\d+ (\w+).*/$1/r if $log;

        if (defined $answer) {
            push @Upstream, event();
            push @Answers, $answer;
        }

        push @Upstream, $next;
        push @Answers, 200;
    }

    return @Requests;
}


# Ways to send the requests: all at once, in small pieces, and so that a part
# of each body comes when the answer may be there already.

our %Way = (
    'at once'        => [0, sub { join '', @_ }],
    'in pieces'      => [0.001, sub { [pieces(join('', @_), 997)] }],
    'half a body late' => [0.01, sub {
        my ($late, @parts) = '';

        for my $request (@_) {
            my $end = index($request, "\r\n\r\n") + 4;
            my $cut = $end + int((length($request) - $end) / 2);

            push @parts, $late . substr $request, 0, $cut;
            $late = substr $request, $cut;
        }

        return [@parts, $late];
    }],
);

sub block_of_conversation {
    my ($way, $how, $framing) = @_;

    return <<"END";
=== requests are sent $way, $how
--- config
jelou_secret             "\$TEST_NGINX_SECRET";
jelou_types              text;
client_body_buffer_size  64k;

location / {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}

location /alone {
    jelou_endpoint  incoming_message;
}

location /file {
    jelou_endpoint           incoming_message;
    client_body_buffer_size  1k;
    proxy_pass               http://app;
}

location /deny {
    jelou_endpoint  incoming_message;
    deny            all;
    proxy_pass      http://app;
}

location /slow {
    jelou_endpoint      incoming_message;
    proxy_pass          http://app;
    proxy_read_timeout  100ms;
}

location /down {
    jelou_endpoint  incoming_message;
    proxy_pass      http://down;
}
--- pipelined_requests eval
[conversation($framing)]
--- raw_request eval
\$Way{'$way'}[1]->(conversation($framing))
--- raw_request_middle_delay: $Way{$way}[0]
--- reply eval
conversation($framing);
lines(\@Replies)
--- upstream_answer eval
conversation($framing);
\\\@Answers
--- upstream eval
conversation($framing);
\\\@Upstream
--- grep_error_log eval
qr/jelou(?: refused a request)?: [A-Z_]+/
--- grep_error_log_out eval
conversation($framing);
lines(\@Logs)
--- no_error_log
client sent invalid
[crit]
[alert]


END
}

spec_string(join '', <DATA>, map {
    block_of_conversation($_, 'with their length', ''),
    block_of_conversation($_, 'in chunks', 'chunked => 300'),
} sort keys %Way);

check_accum_error_log();
run_tests();

__DATA__

=== HTTP/1.0
--- requests eval
my @keep = (version => '1.0', headers => ['Connection: keep-alive'],
            keepalive => 1);
[post(event(), @keep), post($Smuggled, @keep, signature => undef),
 post($Smuggled, @keep), post(event(user_id => undef), @keep),
 post('', @keep, length => undef), post(event(), version => '1.0')]
--- reply
accepted m-1
401 SIGNATURE_MISSING
400 INVALID_JSON
422 INVALID_EVENT /user_id
400 INVALID_JSON
accepted m-1
--- response_headers eval
[('Connection: keep-alive') x 5, 'Connection: close']
--- upstream eval
[(event()) x 2]
--- error_log
jelou refused a request: SIGNATURE_MISSING


=== the upstream's own answer
--- directives
jelou_reply upstream;
--- requests eval
[post($Smuggled, signature => undef, keepalive => 1),
 post(event(), keepalive => 1), post($Smuggled, keepalive => 1),
 post(event(), keepalive => 1), post(event(user_id => undef), keepalive => 1),
 post(event(), keepalive => 1), post(event())]
--- upstream_answer eval
["202\n\nfirst", "201\n\nsecond", 500, "200\n\nlast"]
--- reply
401
202
400
201
422
500
200
--- response_body_like eval
['SIGNATURE_MISSING', '^first$', 'INVALID_JSON', '^second$', 'INVALID_EVENT',
 'UPSTREAM_FAILED', '^last$']
--- upstream eval
[(event()) x 4]
--- error_log
jelou refused a request: SIGNATURE_MISSING


=== a large body is thrown away while it comes
--- raw_request eval
[pieces(post($Large, signature => undef, keepalive => 1), 9_000),
 post(event())]
--- raw_request_middle_delay
0.01
--- pipelined_requests eval
['refused', 'accepted']
--- reply
401 SIGNATURE_MISSING
accepted m-1
--- upstream eval
event()
--- error_log
jelou refused a request: SIGNATURE_MISSING


=== Expect: 100-continue, and a client that sends the body all the same
--- raw_request eval
my $expect = post($Smuggled, signature => undef, keepalive => 1,
                  headers => ['Expect: 100-continue']);
my $at = index($expect, "\r\n\r\n") + 4;
[substr($expect, 0, $at), substr($expect, $at) . post(event())]
--- raw_request_middle_delay
0.05
--- pipelined_requests eval
['refused', 'accepted']
--- reply
401 SIGNATURE_MISSING
accepted m-1
--- upstream eval
event()
--- error_log
jelou refused a request: SIGNATURE_MISSING


=== too large a body: the connection ends
--- directives
client_max_body_size  1000;
lingering_timeout     50ms;
--- raw_request eval
post($Large, keepalive => 1) . $Smuggled
--- reply
413 PAYLOAD_TOO_LARGE
--- response_headers
Connection: close
--- upstream
none
--- error_log
client intended to send too large body


=== too large a chunked body: the connection ends
--- directives
client_max_body_size  1000;
lingering_timeout     50ms;
--- raw_request eval
post($Large, chunked => 999, keepalive => 1) . $Smuggled
--- reply
413 PAYLOAD_TOO_LARGE
--- response_headers
Connection: close
--- upstream
none
--- error_log
client intended to send too large chunked body


=== a broken chunk: the connection ends
--- directives
lingering_timeout     50ms;
--- raw_request eval
post('', chunked => [$Smuggled], keepalive => 1)
    =~ s/(\r\n\r\n)([0-9a-f]+\r\n)/$1g$2/r . $Smuggled
--- reply
400 BAD_REQUEST
--- response_headers
Connection: close
--- upstream
none
--- error_log
client sent invalid chunked body


=== a broken chunk of a body that is not read: the connection ends
--- directives
lingering_timeout     50ms;
--- raw_request eval
post('', chunked => [$Smuggled], signature => undef, keepalive => 1)
    =~ s/(\r\n\r\n)([0-9a-f]+\r\n)/$1g$2/r . $Smuggled
--- reply
401 SIGNATURE_MISSING
--- response_headers
Connection: close
--- upstream
none
--- error_log
jelou refused a request: SIGNATURE_MISSING


=== the connection ends when the client asks for it
--- requests eval
[post(event(), keepalive => 1), post($Smuggled, secret => 'x')]
--- reply
accepted m-1
401 SIGNATURE_MISMATCH
--- response_headers eval
['Connection: keep-alive', 'Connection: close']
--- upstream eval
event()
--- error_log
jelou refused a request: SIGNATURE_MISMATCH


