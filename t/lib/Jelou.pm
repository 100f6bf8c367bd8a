package Jelou;

=head1 NAME

Jelou - Test::Nginx::Socket, with an upstream that tells what it received

=head1 SYNOPSIS

    use lib 't/lib';
    use Jelou 'no_plan';

    run_tests();

    __DATA__

    === a signed message reaches the upstream
    --- raw_request eval
    post(event())
    --- reply
    accepted m-1
    --- upstream eval
    event()

    === another secret's signature does not
    --- raw_request eval
    post(event(), secret => 'another one')
    --- reply
    401 SIGNATURE_MISMATCH
    --- upstream
    none
    --- error_log
    jelou:

    === a type that the endpoint does not have
    --- directives
    jelou_types  sticker;
    --- must_die
    --- error_log
    [emerg]

=head1 CONFIGURATION OF A BLOCK

Without a C<config> section the block has this one, in which C<directives> is
put in place:

    location = /v1/external-support/webhook {
        jelou_endpoint  incoming_message;
        jelou_secret    "$TEST_NGINX_SECRET";
        proxy_pass      http://app;
        (directives)
    }

Any C<config> can pass requests to C<http://app>, and to the upstreams named
C<fastcgi>, C<scgi> and C<uwsgi>, which are the same application in other
protocols, and to C<http://down>, which refuses connections.  A block's own
C<http_config> may define these names otherwise.  Where a block has no
C<jelou_access>, C<http> has C<jelou_access none>.

Variables: C<$TEST_NGINX_SECRET>, C<$TEST_NGINX_SERVER_PORT> (of the server of
the block), C<$TEST_NGINX_APP_PORT>, C<$TEST_NGINX_FASTCGI_PORT>,
C<$TEST_NGINX_SCGI_PORT>, C<$TEST_NGINX_UWSGI_PORT>, C<$TEST_NGINX_DOWN_PORT>,
and C<$TEST_NGINX_PORT_1> to C<$TEST_NGINX_PORT_4>, which are free.  All are
on 127.0.0.1.

nginx runs with a master process, so that a dead worker is a line in the error
log, and is asked to quit, so that a forgotten connection is one, too.

=head1 SECTIONS

=over

=item requests

A list of raw requests, sent at once on one connection.  What is expected of
the answers is a list then, too.

=item reply

The answer, and that it is the contract's from the first to the last byte; one
line for each request:

    accepted MESSAGE-ID             {"success":true,"messageId":"..."}
    accepted msg_*                  the same, with an id that the module made
    accepted-list ID,ID             {"success":true,"messageIds":["...","..."]}
    accepted                        {"success":true}
    422 INVALID_EVENT /value/content/url /project_id
    401 SIGNATURE_MISSING
    404

An id that the module made is C<msg_> and 32 hex digits, another one each time.
A refusal has the status, the key and the JSON Pointers of all violations, in
any order.  A status alone stands for any answer with that status.

=item expect_continue

Each answer must be preceded by C<100 Continue>.  Without this section, it must
not: the status would be 100.

=item upstream

The bodies that arrived at the upstream, byte for byte: C<none>, one body (a
line feed at its end does not count), or a list of bodies, in order.  In a body
C<msg_*> stands for the id that the module made, as the answer to the same
request has it: the first answer C<accepted msg_*> belongs to the first body
that has a C<msg_*>, and so on.  In a body with C<uuid_*> all UUIDs must be of
version 4, and none may have been there before; each is a C<uuid_*>.

=item upstream_headers

What each request that arrived must have, C<Name: value>, or, after C<!>, must
not have; or a list, of what the first one must have, the second one, and so on.  The parameters of FastCGI, SCGI and uwsgi are headers here.

=item upstream_head_like, upstream_head_unlike

A pattern for the request line and the headers of each request that arrived.

=item upstream_answer

What the upstream answers, or a list, of which every answer is given once and
the last one for good:

    404                     the status; more lines may be headers,
    Retry-After: 7          and, after an empty line, the body
    HTTP/1.1 200 OK...      anything, as it stands, and the connection's end
    close                   the end of the connection, after the request
    reset                   its reset, after the request
    refuse                  its reset, before the request
    hang                    nothing
    delay 0.5 ...           one of these, later

Answers have the headers C<X-Upstream: leak> and C<Set-Cookie: upstream=leak>,
so that it shows when they are passed on.

=back

=head1 ERROR LOGS

The error log of every block, from start to exit, is kept in
F<build/test/NAME.error.log>.  The block fails if there is an alert, an emerg
or a sanitizer's report in it that its C<error_log> has not asked for, or if a
sanitizer or valgrind has reported anything of any process of the block.

=cut

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Spec;
use IO::Socket::INET;
use JSON::PP ();

use lib dirname(__FILE__);
use Jelou::Reports;
use Jelou::Upstream;

our ($Dir, $Name, $Lock, $Slot, %Port, $Upstream);

our ($Secret, $Path);
my @ports;

# What the module has made: all ids and UUIDs of this file, and the ids of the
# answers in this block.

my (%made, @made);

BEGIN {
    $Secret = 'signing-secret-of-the-tests';
    $Path   = '/v1/external-support/webhook';

    @ports = qw(SERVER APP FASTCGI SCGI UWSGI DOWN
                PORT_1 PORT_2 PORT_3 PORT_4);
}


# Sections with "eval" are the test file's code, and an error in one ends the
# test.  Both is not so in Test::Base.

sub evaluate($) {
    my @values = eval "package main; no strict; $_[0]";

    die "in a section with eval: $@\n$_[0]\n" if $@;
    return @values;
}


# Test files run side by side, each with its own directory and its own ports:
# a slot is a lock and ten ports that nobody has.  The same file twice at a time
# takes turns.

BEGIN {
    $Dir = File::Spec->rel2abs($ENV{JELOU_TEST_DIR} || 'build/test');
    make_path($Dir);

    ($Name = $0) =~ s{^(?:.*/)?t/|\.t$}{}g;
    $Name =~ s{\W+}{-}g;

    open $Lock, '>', "$Dir/$Name.lock" or die "$Dir: $!\n";
    flock $Lock, LOCK_EX;
    unlink "$Dir/$Name.error.log";

    Jelou::Reports::collect("$Dir/$Name.reports");

    $ENV{TEST_NGINX_SERVROOT} = "$Dir/$Name";
    $ENV{TEST_NGINX_BINARY}  ||= '/usr/sbin/nginx';
    $ENV{TEST_NGINX_TIMEOUT} ||= 10;

    $ENV{TEST_NGINX_LOAD_MODULES} //=
        File::Spec->rel2abs('build/ngx_http_jelou_module.so');
}

sub free_port($) {
    return IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                 LocalPort => $_[0], Proto => 'tcp',
                                 Listen => 1, ReuseAddr => 1);
}

sub take_slot() {
    for my $n (0 .. 199) {
        my $first = 24000 + $n * @ports;

        open $Slot, '>', "$Dir/slot-$n.lock" or die "$Dir: $!\n";
        next unless flock $Slot, LOCK_EX | LOCK_NB;
        next if grep { !free_port($_) } $first .. $first + $#ports;

        @Port{@ports} = $first .. $first + $#ports;
        return;
    }

    die "no ports are free\n";
}

BEGIN {
    take_slot();

    for my $name (@ports) {
        my $variable = $name =~ /^PORT/ ? $name : "${name}_PORT";
        $ENV{"TEST_NGINX_$variable"} = $Port{$name};
    }

    $ENV{TEST_NGINX_STREAM_PORT} = $Port{PORT_4};
    $ENV{TEST_NGINX_SECRET} = $Secret;
}

use Test::Nginx::Socket -base;

our @EXPORT = qw(post sign event pieces);

server_port("127.0.0.1:$Port{SERVER}");
server_port_for_client($Port{SERVER});
log_level($ENV{TEST_NGINX_LOG_LEVEL} || 'info');
master_on();
no_shuffle();
no_root_location();
no_long_string();


# sign(BODY [, SECRET])

sub sign(@) {
    my ($body, $secret) = @_;

    return 'sha256=' . hmac_sha256_hex($body, $secret // $Secret);
}


# post(BODY, OPTIONS): a raw request, signed.  Options:
#
#     method path host version
#     secret     to sign with
#     signature  instead of the right one; undef: none; a list: several
#     type       of the content; undef: none
#     length     instead of the right one; undef: none
#     chunked    a list of the pieces, whose whole is the body then, or the
#                size of all pieces but the last
#     headers    a list of more lines
#     keepalive  true: without "Connection: close"

sub post(@) {
    my ($body, %o) = @_;

    my ($method, $path, $host, $version) = map { $o{$_->[0]} // $_->[1] }
        [method => 'POST'], [path => $Path], [host => 'localhost'],
        [version => '1.1'];

    my $chunks = $o{chunked};

    if (ref $chunks) {
        $body = join '', @$chunks;

    } elsif ($chunks) {
        $chunks = [pieces($body, $chunks)];
    }

    die "post: the body is characters, not bytes\n"
        unless utf8::downgrade($body, 1);

    my $signature = exists $o{signature} ? $o{signature}
                                         : sign($body, $o{secret});
    my $type   = exists $o{type}   ? $o{type}   : 'application/json';
    my $length = exists $o{length} ? $o{length} : length $body;

    my @lines = ("$method $path HTTP/$version", "Host: $host");

    push @lines, "Content-Type: $type" if defined $type;
    push @lines, map { "X-Jelou-Signature: $_" }
                 ref $signature ? @$signature : $signature // ();
    push @lines, @{ $o{headers} // [] };
    push @lines, $chunks ? 'Transfer-Encoding: chunked'
                         : defined $length ? "Content-Length: $length" : ();
    push @lines, 'Connection: close' unless $o{keepalive};

    if ($chunks) {
        $body = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
                         grep({ $_ ne '' } @$chunks), '';
    }

    return join "\r\n", @lines, '', $body;
}


# pieces(STRING, SIZE): the string in pieces of this size, a list; with
# "raw_request_middle_delay" a request in pieces is sent slowly

sub pieces(@) {
    my ($string, $size) = @_;

    return unpack "(a$size)*", $string;
}


# event(MEMBER => VALUE, ...): the body of an incoming message, and at the same
# time the event that it becomes, compact and in the event's order.  Values
# are JSON; undef omits the member.  "id", "type" and "content" are value's.

sub event(@) {
    my %m = (
        field => '"messages"', object => '"message_event"',
        event_type => '"incoming_message"', project_id => '"p-1"',
        room_id => '"r-1"', bot_id => '"b-1"', user_id => '"u-1"',
        id => '"m-1"', type => '"text"', content => '{"body":"Hello"}',
        @_,
    );

    my $members = sub {
        join ',', map { qq("$_":$m{$_}) } grep { defined $m{$_} } @_;
    };

    $m{value} = '{' . $members->(qw(id type content)) . '}'
        unless exists $m{value};

    return '{' . $members->(qw(field object event_type project_id room_id
                               bot_id user_id value)) . '}';
}


sub http_config($$) {
    my ($own, $rest) = @_;

    my $config = "$own$rest" =~ /\bjelou_access\b/ ? '' : "jelou_access none;\n";

    for my $name (qw(app fastcgi scgi uwsgi down)) {
        $config .= "upstream $name { server 127.0.0.1:$Port{uc $name}; }\n"
            unless $own =~ /\bupstream\s+$name\s*\{/;
    }

    return $config . $own;
}


sub default_config($) {
    my $directives = shift;

    return <<"END";
location = $Path {
    jelou_endpoint  incoming_message;
    jelou_secret    "$Secret";
    proxy_pass      http://app;
$directives
}
END
}


# What a block has of its own is done with sections that Test::Nginx has.

add_block_preprocessor {
    my $block = shift;

    my $set = sub {
        my ($name, $value) = @_;
        $block->set_value($name, $value) unless defined $block->$name;
    };

    $Upstream //= Jelou::Upstream->start("$Dir/$Name.upstream",
        map { $_ => $Port{$_ eq 'http' ? 'APP' : uc $_} }
            qw(http fastcgi scgi uwsgi));

    $set->(config => default_config($block->directives // ''));
    $block->set_value(http_config => http_config($block->http_config // '',
                                                $block->config // ''));

    # Test::Nginx pipelines requests that it has composed itself, and sends a
    # raw request as it is: together they are raw requests in one connection.

    if (my $requests = $block->requests) {
        $block->set_value(raw_request => join '', @$requests);
        $block->set_value(pipelined_requests => $requests);
    }

    if (defined $block->reply) {
        my @replies = replies($block);
        my $each = sub { @replies > 1 ? [($_[0]) x @replies] : $_[0] };

        my @codes = map { $_->{status} } @replies;
        $set->(error_code => @codes > 1 ? \@codes : $codes[0]);

        if (!grep { !$_->{contract} } @replies) {
            $set->(raw_response_headers_like =>
                   $each->('(?mi)^Content-Type: application/json\r?$'));
            $set->(raw_response_headers_unlike => $each->('(?i)leak'));
        }
    }

    # These two are called when the server's directory has been made, and when
    # nginx has exited.

    $block->set_value(post_setup_server_root => 'Jelou::started($block);'
                      . ($block->post_setup_server_root // ''));
    $set->(no_shutdown_error_log => []);
    $set->(suppress_stderr => '') if defined $block->must_die;
};


# The block whose nginx runs: not the last one, if that was skipped.

my $started;

sub started($) {
    my $block = $started = shift;

    @made = ();

    Jelou::Reports::leaks(!defined $block->must_die);

    my $answer = $block->upstream_answer;

    $Upstream->expect(map { s/\n\z//r }
                      ref $answer ? @$answer : $answer // ());
}

sub same($) { return defined $started && $started == $_[0] }


# replies(BLOCK): the lines of its "reply"

sub replies($) {
    my $block = shift;

    return map {
        my ($first, $rest) = split ' ', $_, 2;
        my $ok = $first =~ /^accepted/;

        my $members = !$ok ? undef
            : $first eq 'accepted-list' ? ',"messageIds":["'
                                          . $rest =~ s/,/","/gr . '"]'
            : defined $rest ? qq(,"messageId":"$rest") : '';

        {
            status   => $ok ? 200 : $first,
            contract => $ok || defined $rest,
            success  => $ok ? qq({"success":true$members}) : undef,
            refusal  => $ok ? undef : [map { s/^#$//r } split ' ', $rest // ''],
        };
    } split /\n/, $block->reply;
}


sub texts($@) {
    my ($object, @names) = @_;

    return ref $object eq 'HASH'
           && join(' ', sort keys %$object) eq join(' ', sort @names)
           && !grep { !defined || ref || $_ eq '' } values %$object;
}


# refusal_error(BODY, STATUS, KEY, POINTERS...): what the body lacks to be this
# refusal, an Error object of the contract

sub refusal_error($@) {
    my ($body, $status, $key, @pointers) = @_;

    my $json = eval { JSON::PP->new->utf8->decode($body) };
    return "not JSON: $@" unless ref $json eq 'HASH';

    my ($error, $status_is) = @$json{qw(error status)};
    return 'no error object' unless ref $error eq 'HASH';

    return "key is $error->{key}" if ($error->{key} // '') ne $key;
    return "status is $status_is" if ($status_is // '') ne $status;

    my $invalid = delete $json->{validationError};
    my $found   = join ' ', sort keys %{ $invalid // {} };
    utf8::encode($found);

    return "validationError has: $found"
        if $found ne join ' ', sort @pointers;
    return 'validationError is empty or has no texts'
        if defined $invalid && (!@pointers || !texts($invalid, keys %$invalid));

    for my $name (qw(developerMessages clientMessages)) {
        return "$name: no texts en and es"
            unless texts(delete $error->{$name}, qw(en es));
    }

    delete @$json{qw(error status)};

    return 'error: not code, key and description as texts'
        unless texts($error, qw(code key description));
    return 'not message and statusMessage as texts'
        unless texts($json, qw(message statusMessage));
    return '';
}


# new_id(BODY): the answer with msg_* in place of an id that is new

sub new_id($) {
    return $_[0] =~ s{"(msg_[0-9a-f]{32})"}{
        push @made, $1;
        $made{$1}++ ? qq("$1, again") : '"msg_*"';
    }er;
}


# made(WANT, GOT): both bodies, with the id of the answer in the one, and
# uuid_* in place of UUIDs that are new in the other

sub made($$) {
    my ($want, $got) = @_;

    if ($want =~ s/\bmsg_\*/$made[0] \/\/ 'no id in the answer'/e) {
        shift @made;
    }

    my $uuid = qr/\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}
                  -[0-9a-f]{12}\b/x;

    $got =~ s/($uuid)/$made{$1}++ ? "$1, again" : 'uuid_*'/ge
        if $want =~ /uuid_\*/;

    return ($got, $want);
}


add_response_body_check(sub {
    my ($block, $body, $i) = @_;

    return unless defined $block->reply;

    my $reply = (replies($block))[$i] or return;
    my $name  = $block->name . " - reply $i";

    return unless $reply->{contract};

    if (defined $reply->{success}) {
        $body = new_id($body // '') if $reply->{success} =~ /"msg_\*"/;
        is($body, $reply->{success}, $name);
        return;
    }

    my $error = refusal_error($body // '', $reply->{status},
                              @{ $reply->{refusal} });
    is($error, '', $name) or diag("the answer: $body");
});


# What has arrived at the upstream

sub check_upstream($) {
    my $block = shift;

    my $name = $block->name;
    my ($want, $headers, $like, $unlike) = map { scalar $block->$_ }
        qw(upstream upstream_headers upstream_head_like upstream_head_unlike);

    return unless grep { defined } $want, $headers, $like, $unlike;

    my $list = ref $want           ? $want
             : !defined $want      ? undef
             : $want =~ /^none\s*$/ ? [] : [$want =~ s/\n\z//r];

    my @got = $Upstream->requests($list ? scalar @$list : 1);

    if ($list) {
        is(scalar @got, @$list, "$name - upstream: number of requests")
            or diag(map { "$_->{head}\n$_->{body}\n" } @got);

        for my $i (0 .. ($#got < $#$list ? $#got : $#$list)) {
            my ($body, $want) = made($list->[$i], $got[$i]{body});
            is($body, $want, "$name - upstream: body $i");
        }
    }

    fail("$name - upstream: no request") if !@got && (!$list || @$list);

    is(scalar @got, @$headers, "$name - upstream: headers of each request")
        if ref $headers;

    for my $i (0 .. $#got) {
        my $got = $got[$i];
        my $own = ref $headers ? $headers->[$i] : $headers;

        check_headers($name, $got->{head}, $own) if defined $own;

        like($got->{head}, head_pattern($like), "$name - upstream: head")
            if defined $like;
        unlike($got->{head}, head_pattern($unlike), "$name - upstream: head")
            if defined $unlike;
    }
}


sub head_pattern($) {
    my $pattern = shift;

    return $pattern if ref $pattern;

    $pattern =~ s/\n\z//;
    return qr/$pattern/m;
}


sub check_headers($$$) {
    my ($name, $head, $headers) = @_;

    for my $line (grep { /\S/ } split /\n/, $headers) {
        my ($not, $key, $want) = $line =~ /^(!?)\s*([^:\s]+)\s*:?\s*(.*?)\s*$/;
        my @got = $head =~ /^\Q$key\E: ?(.*?)\r?$/mgi;

        is(join(', ', @got), $not ? '' : $want,
           "$name - upstream: header $key");
    }
}


add_test_cleanup_handler(sub {
    my $block = shift;

    check_upstream($block) if same($block) && !defined $block->must_die;
});


# asked(BLOCK, LINE): whether the block's error_log wants this line

sub asked($$) {
    my ($block, $line) = @_;

    return 1 if defined $block->must_die && $line =~ /\[emerg\]/;

    my $patterns = $block->error_log // [];

    $patterns = [split /\n+/, $patterns] unless ref $patterns;
    $patterns = [$patterns] unless ref $patterns eq 'ARRAY';

    return scalar grep {
        defined && (ref ? $line =~ $_ : index($line, $_) >= 0)
    } @$patterns;
}


# Copies the whole error log of the block whose nginx has just exited.

sub keep_error_log() {
    my $block = $started // return;
    undef $started;

    Jelou::Reports::check($block->name, "$Dir/$Name.error.log");

    open my $in, '<', $Test::Nginx::Util::ErrLogFile or return;
    open my $out, '>>', "$Dir/$Name.error.log" or die "$Dir: $!\n";

    print $out "\n=== ", $block->name, "\n";

    while (my $line = <$in>) {
        if ($line =~ /\[(?:alert|emerg)\]|Sanitizer|runtime error:/) {
            if (asked($block, $line)) {
                $line = "asked for: $line";

            } else {
                fail($block->name . ' - error log');
                diag($line);
            }
        }

        print $out $line;
    }
}

{
    no warnings 'once';

    my $check = $Test::Nginx::Util::CheckShutdownErrorLog;

    $Test::Nginx::Util::CheckShutdownErrorLog = sub {
        $check->(@_);
        keep_error_log();
    };
}

# Test::Nginx tries for half a minute to start nginx, and then ends the run.  A
# configuration that nginx refuses unasked is not worth the wait, and ends its
# own file only.

sub check_config($) {
    my $block = shift;

    return if defined $block->must_die;

    my $nginx  = "$ENV{TEST_NGINX_BINARY} -t -q -e /dev/null"
                 . " -c $Test::Nginx::Util::ConfFile 2>&1";
    my $test   = Jelou::Reports::without_leaks($nginx);
    my $output = `$test`;

    die $block->name, ": nginx -t:\n$output" if $? != 0;

    truncate $Test::Nginx::Util::ErrLogFile, 0;
}

# Test::Nginx writes "http2 on" for releases that only know "listen ... http2".

sub old_http2() {
    local ($^I, @ARGV) = ('', $Test::Nginx::Util::ConfFile);

    while (<>) {
        s/(listen\s+[^;]+);\s*http2 on;/$1 http2;/;
        print;
    }
}

{
    no warnings 'redefine';

    my $write = \&Test::Nginx::Util::write_config_file;

    *Test::Nginx::Util::write_config_file = sub($$$) {
        $write->(@_);
        old_http2() if $Test::Nginx::Util::NginxVersion < 1.025001;
        check_config($_[0]);
    };
}

{
    no warnings 'redefine';

    my $parse = \&Test::Nginx::Socket::parse_response;

    *Test::Nginx::Socket::parse_response = sub($$$) {
        my ($name, $answer, $head) = @_;

        if (defined $started && defined $started->expect_continue) {
            ok($answer =~ s{^HTTP/1\.1 100 Continue\r\n\r\n}{},
               "$name - 100 Continue");
        }

        return $parse->($name, $answer, $head);
    };
}


# However the test ends, its processes end with it: exit() runs the clean-up.
# That waits for processes, and must not lose the test's own exit status.

$SIG{$_} = sub { exit 1 } for qw(HUP INT TERM);

add_cleanup_handler(sub { $Upstream->stop if $Upstream });

{
    no warnings 'redefine';

    my $cleanup = \&Test::Nginx::Util::cleanup;

    *Test::Nginx::Util::cleanup = sub() {
        local $?;
        $cleanup->();
    };
}

{
    require Test::Base::Filter;

    no warnings 'redefine';
    *Test::Base::Filter::eval = sub { evaluate($_[1]) };
}


1;
