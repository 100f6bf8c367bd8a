# The counters: what each request adds to them, exactly, on both pages, and what
# it leaves in the logs; what a reload keeps; who may ask, and how.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Server;
use Jelou::Upstream;
use JSON::PP ();
use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};
my $json = JSON::PP->new->utf8;

my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});

my $nginx = Jelou::Server->new(name => 'front');
my $dir   = $nginx->{dir};

my $file_secret = 'the-secret-in-the-file';

Jelou::Server::spew("$dir/secrets", "# one\np-2 $file_secret\n");

# The results that the catalogue has, from its documentation.

my $errors = Jelou::Server::slurp('docs/errors.md');

my %failure = map { $_ => 1 } qw(upstream_failed upstream_rejected
                                 upstream_secret_missing
                                 upstream_signature_refused
                                 internal_error client_closed);
my %by_status;
$by_status{$1 eq 'any other 4xx' ? 418 : $1} = lc $2
    while $errors =~ /^\| (.+?) \| `([A-Z_]+)` \|$/mg;

my %level;
$level{lc $1} = $2
    while $errors =~ /^\| .+? \| `([A-Z_]+)` \| [\d.]+.*? \| (\w+) \|$/mg;

my @refusals = grep { !$failure{$_} }
               keys %{ { map { $_ => 1 } keys %level, values %by_status } };

my %types = (
    incoming_message => [qw(text image video audio document)],
    message          => [qw(text image video audio document
                            conversation.start conversation.close)],
    room_message     => [qw(text image video document)],
    bot_message      => [qw(text list)],
);

# Every status that a location may refuse with; nginx has no page for some.

my $codes = join '', map { "if (\$arg_code = $_) { return $_; }\n" }
                     sort keys %by_status;

# The log of one line an event is the document's.

my ($log_format) = Jelou::Server::slurp('docs/status.md')
                   =~ /^```nginx\n(log_format.*?)^```$/ms
    or die "no log_format in docs/status.md\n";


sub config {
    my %o = (zone => '64k', more => '', @_);

    return <<"END";
jelou_status_zone  zone=counters:$o{zone};
jelou_dedup_zone   zone=seen:32k;
jelou_dedup_zone   "zone=a\\"b\\\\c\xc3\xa9\nd:32k";
jelou_dedup_zone   "zone=\xff{}:64k";

$log_format

upstream app {
    server  127.0.0.1:$Jelou::Port{APP};
}

limit_req_zone  \$uri  zone=one:32k  rate=1r/m;

server {
    listen  127.0.0.1:$port;

    access_log  $dir/events.log  jelou;

    client_max_body_size  4k;
    client_body_timeout   1s;
    proxy_read_timeout    5s;

    location = /in {
        jelou_endpoint     incoming_message;
        jelou_secret       "$Jelou::Secret" another-good-secret;
        jelou_secret_file  secrets;
        jelou_types        text image video audio;
        jelou_dedup        zone=seen;
        jelou_dedup_wait   0;
        proxy_pass         http://app;
    }
    location = /message {
        jelou_endpoint             message;
        jelou_secret_file          secrets;
        jelou_timestamp_tolerance  1m;
        proxy_pass                 http://app;
    }
    location /v1/rooms/ {
        jelou_endpoint  room_message;
        proxy_pass      http://app;
        $codes
    }
    location /v1/bots/ {
        jelou_endpoint  bot_message;
    }
    location /down/ {
        jelou_endpoint  bot_message;
        proxy_pass      http://127.0.0.1:$Jelou::Port{DOWN};
        location /down/page/ {
            jelou_endpoint  bot_message;
            proxy_pass      http://127.0.0.1:$Jelou::Port{DOWN};
            error_page      502 =200 /page;
        }
        location /down/twice/ {
            jelou_endpoint  bot_message;
            proxy_pass      http://127.0.0.1:$Jelou::Port{DOWN};
            error_page      502 = \@second;
        }
    }
    location \@second {
        jelou_endpoint  bot_message;
        proxy_pass      http://app;
    }
    location = /passing {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        jelou_reply     upstream;
        proxy_pass      http://app;
    }
    location = /signing {
        jelou_endpoint         incoming_message;
        jelou_secret           "$Jelou::Secret";
        jelou_upstream_secret  "\$http_x_key";
        proxy_pass             http://app;
    }
    location = /too-large {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        error_page      413 /page;
    }
    location = /limited {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        limit_req       zone=one;
    }
    location = /mirrored {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        mirror          /page;
    }
    location = /gone {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        return          408;
    }
    location = /other {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        return          200 "not the module";
    }
    location = /page {
        return  200 "a page";
    }
    location = /json {
        access_log    off;
        jelou_status  json;
        charset       koi8-r;
    }
    location = /metrics {
        access_log    off;
        jelou_status  prometheus;
        charset       koi8-r;
    }
    $o{more}
}
END
}

$nginx->write(http => config())->start;


# Pages

sub get {
    my ($path, $method) = @_;

    $method //= 'GET';

    return Jelou::Load::ask($port, "$method $path HTTP/1.1\r\nHost: h\r\n"
                                   . "Connection: close\r\n\r\n");
}

sub page { return $json->decode(get('/json')->{body}) }

# samples(TEXT): of a page for Prometheus, "name{labels}" => value

sub samples {
    my %samples;

    for (grep { !/^#/ } split /\n/, shift) {
        my ($name, $value) = /^(\w+(?:\{.*\})?) ([\d.]+)$/
            or fail("a sample: $_"), next;

        fail("twice: $name") if exists $samples{$name};
        $samples{$name} = $value;
    }

    return %samples;
}

# quoted(TEXT): as a label has it

sub quoted { return '"' . ($_[0] =~ s/([\\"])/\\$1/gr =~ s/\n/\\n/gr) . '"' }


# What is expected: counted(ENDPOINT, RESULT, ...) for each request

my %want;

for my $endpoint (keys %types) {
    $want{$endpoint} = {
        requests => 0, accepted => 0, duplicates => 0,
        refusals => { map { $_ => 0 } @refusals },
        failures => { map { $_ => 0 } keys %failure },
        types    => { map { $_ => 0 } @{ $types{$endpoint} } },
        conversation_events => {
            map { $_ => 0 } grep { /^conversation/ } @{ $types{$endpoint} }
        },
        body_bytes => 0, event_bytes => 0, secrets => {},
        processing => 0, upstream => 0,
    };
}

my (%logged, @events);

sub counted {
    my ($endpoint, $result, %o) = @_;

    my $w = $want{$endpoint};

    $w->{requests}++;

    $result eq 'accepted'     ? $w->{accepted}++
    : $result eq 'duplicate'  ? $w->{duplicates}++
    : $failure{$result}       ? $w->{failures}{$result}++
                              : $w->{refusals}{$result}++;

    $w->{types}{$_}++ for @{ $o{types} // [] };
    $w->{conversation_events}{ $o{name} }++ if $o{name};

    $w->{body_bytes}  += $o{body}  // 0;
    $w->{event_bytes} += $o{event} // 0;
    $w->{processing}++ if $o{body} || $o{judged};
    $w->{upstream}++   if $o{event};
    $w->{secrets}{ $o{secret} }++ if defined $o{secret};

    $logged{uc $result}++ if $o{logged} // (exists $level{$result});
    push @events, $result;
}

# sent(RAW, ENDPOINT, RESULT, ...): one request, its answer's status

my $status;

sub sent {
    my ($raw, $endpoint, $result, %o) = @_;

    my $answer = Jelou::Load::ask($port, $raw);

    counted($endpoint, $result, %o);
    $status = $answer ? $answer->{status} : 'none';

    return $status;
}

my @in   = (path => '/in');
my $body = event();
my $long = length $body;

# the events of the others, by what they are made of

my $now  = int(time) * 1000;
my $uuid = '3fa85f64-5717-4562-b3fc-2c963f66afa6';

sub message {
    my %o = (timestamp => $now, type => 'text', @_);

    my $content = $o{type} eq 'text' ? '{"body":"Hi"}'
                : '{"url":"https://a.b/c","mime_type":"a/b"}';

    return '{"field":"messages","object":"message_event","event_type":"message",'
           . qq("timestamp":$o{timestamp},"project_id":"p-2","room_id":"r-1",)
           . '"contact":{"id":"u-1"},"conversation":{"id":"c-1"},"bot":{"id":"b-1"},'
           . qq("value":{"id":"m-1","type":"$o{type}","content":$content}});
}

sub conversation {
    return qq({"event":"$_[0]","timestamp":$now,"project_id":"p-2"});
}

# arrived(): the length of the event that the application has had last

sub arrived {
    my @got = $upstream->requests(1);

    return length $got[-1]{body};
}

my %plain = (signature => undef);
my $room  = qq({"senderId":"s-1","messages":[{"id":"$uuid","type":"TEXT",)
            . '"text":"Hi"},{"id":"4fa85f64-5717-4562-b3fc-2c963f66afa6",'
            . '"type":"IMAGE","mediaUrl":"https://a.b/c"},'
            . '{"id":"5fa85f64-5717-4562-b3fc-2c963f66afa6","type":"TEXT",'
            . '"text":"Hi"}]}';
my $bot   = '{"type":"text","userId":"u-1","text":"Hi"}';
my $list  = '{"type":"text","userId":"u-1","text":"Hi","options":[{"title":"A"}]}';


is_deeply([map { $_->{requests} } values %{ page()->{endpoints} }], [0, 0, 0, 0],
          'nothing is counted before the first request');

# Each type of each endpoint, and each secret

for my $type (qw(text image video audio)) {
    my $event = event(id => qq("t-$type"), type => qq("$type"),
                      $type eq 'text' ? () : (content =>
                          '{"url":"https://a.b/c","mime_type":"a/b"}'));

    is(sent(post($event, @in), 'incoming_message', 'accepted', types => [$type],
            body => length $event, event => length $event, secret => 1), 200,
       "incoming_message: $type");
}

my $spaced = " $body\n";

sent(post($spaced, @in, secret => 'another-good-secret'), 'incoming_message',
     'accepted', types => ['text'], body => $long + 2, event => $long,
     secret => 2);
is($status, 200, 'another secret');

my $p2 = event(project_id => '"p-2"', id => '"p2"');

sent(post($p2, @in, secret => $file_secret), 'incoming_message', 'accepted',
     types => ['text'], body => length $p2, event => length $p2,
     secret => 'file:2');
is($status, 200, "a file's secret, beside the directive's");

for my $sent ((map { [$_, message(type => $_)] }
                   qw(text image video audio document)),
              (map { [$_, conversation($_)] }
                   qw(conversation.start conversation.close)),
              ['conversation.start',
               conversation('conversation\u002estart')])
{
    my ($type, $body) = @$sent;

    $upstream->expect;
    my $raw = post($body, path => '/message', secret => $file_secret);

    Jelou::Load::ask($port, $raw);
    counted('message', 'accepted', types => [$type], body => length $body,
            event => arrived(), secret => 2,
            name => $type =~ /^conversation/ ? $type : undef);
}

# Conversation events that are not known: each name by itself, up to 16 with the
# known ones, then all together

my @names = ('conversation.A-z_0.9', 'conversation.' . 'n' x 64,
             'conversation.a-Z_0.9', 'conversation.star', 'conversation.startx',
             map { "conversation.n$_" } 1 .. 9);

for my $sent ((map { [$_, conversation($_)] } @names, @names[0, 1, 13]),
              ['conversation.n2', conversation('conversation.\u006e2')],
              (map { ['other', conversation($_)] }
                   qw(conversation.n10 conversation.n conversation.n10)))
{
    my ($name, $body) = @$sent;

    $upstream->expect;
    Jelou::Load::ask($port, post($body, path => '/message',
                                 secret => $file_secret));
    counted('message', 'accepted', body => length $body, event => arrived(),
            secret => 2, name => $name);
}

# one that is refused, or not signed right, has no name

for my $name ('conversation.', 'conversation.a\u000a', 'conversation.a b',
              'conversation.a\"b', 'conversation.' . 'n' x 65)
{
    my $refused = conversation($name);

    sent(post($refused, path => '/message', secret => $file_secret), 'message',
         'invalid_event', body => length $refused, secret => 2);
    is($status, 422, "no name of an event: $name");
}

my $forged = conversation('conversation.forged');

sent(post($forged, path => '/message', secret => 'wrong'), 'message',
     'signature_mismatch', body => length $forged);
is($status, 401, 'a name that nobody has signed');

$upstream->expect;
sent(post($room, path => '/v1/rooms/r/message', %plain), 'room_message',
     'accepted', types => [qw(text image)], body => length $room, event => 1);
$want{room_message}{event_bytes} += arrived() - 1;
is($status, 200, 'room_message: two types');

sent(post($bot, path => '/v1/bots/b/messages', %plain), 'bot_message', 'accepted',
     types => ['text'], body => length $bot);
sent(post($list, path => '/v1/bots/b/messages', %plain), 'bot_message', 'accepted',
     types => ['list'], body => length $list);
is($status, 200, 'bot_message, which the module answers');

# Each refusal

sent(post($body, @in), 'incoming_message', 'message_id_reused',
     body => $long, secret => 1);
is($status, 422, 'another body with that id');

sent(post($spaced, @in), 'incoming_message', 'duplicate', body => $long + 2,
     secret => 1);
is($status, 200, 'the same body again');

sent(post($room, path => '/v1/rooms/r/nowhere', %plain), 'room_message',
     'not_found');
sent(post($body, @in, method => 'PUT'), 'incoming_message', 'method_not_allowed');
sent(post($body, @in, signature => undef), 'incoming_message',
     'signature_missing');
sent(post($body, @in, signature => 'sha1=00'), 'incoming_message',
     'signature_malformed');
sent(post($body, @in, secret => 'wrong'), 'incoming_message',
     'signature_mismatch', body => $long);
sent(post($body, @in, type => 'text/plain'), 'incoming_message',
     'unsupported_media_type');
sent(post('x' x 5000, @in), 'incoming_message', 'payload_too_large',
     logged => 0);
is($status, 413, 'too large');
sent(post('x' x 5000, @in, signature => undef), 'incoming_message',
     'signature_missing');
is($status, 401, 'too large, and not signed');
sent(post('x' x 5000, path => '/too-large', chunked => 1000), 'incoming_message',
     'payload_too_large', logged => 0);
is($status, 413, 'too large, with a page of its own');
sent(post('{', @in), 'incoming_message', 'invalid_json', body => 1, secret => 1);
sent(post('{}', @in), 'incoming_message', 'invalid_event', body => 2, secret => 1);

my $document = event(type => '"document"', id => '"d"',
                     content => '{"url":"https://a.b/c","mime_type":"a/b"}');

sent(post($document, @in), 'incoming_message', 'type_not_allowed',
     body => length $document, secret => 1);

my $stale = message(timestamp => 1_000_000_000_000);

sent(post($stale, path => '/message', secret => $file_secret), 'message',
     'stale_event', body => length $stale, secret => 2);
is($status, 422, 'stale');

# Two at the same time

my $held = event(id => '"held"');

$upstream->expect('delay 0.3 200');

my $first = Jelou::Load::send_to($port, post($held, @in));

$nginx->wait_for('the first one arrives', sub { $upstream->requests(1) });

is(page()->{dedup}{seen}{in_flight}, 1, 'one message is in flight');

sent(post($held, @in), 'incoming_message', 'duplicate_in_flight',
     body => length $held, secret => 1);
is($status, 500, 'in flight');

Jelou::Load::answer($first);
close $first;
counted('incoming_message', 'accepted', types => ['text'], body => length $held,
        event => length $held, secret => 1);

# Each failure

my $number = 0;

for my $case ([500, 'upstream_failed'], [302, 'upstream_failed'],
              [404, 'upstream_rejected'], ['close', 'upstream_failed'])
{
    my ($answer, $result) = @$case;
    my $event = event(id => '"f-' . ++$number . '"');

    $upstream->expect($answer);
    sent(post($event, @in), 'incoming_message', $result, body => length $event,
         event => length $event, secret => 1);
}

my $signed = event(id => '"signed"');

sent(post($signed, path => '/signing'), 'incoming_message', 'upstream_secret_missing',
     body => length $signed, secret => 1);

$upstream->expect(401);

sent(post($signed, path => '/signing', headers => ['X-Key: of-sixteen-bytes-']),
     'incoming_message', 'upstream_signature_refused', body => length $signed,
     event => length $signed, secret => 1);

for my $cut (0, 1) {
    $upstream->expect("HTTP/1.1 200 OK\nContent-Length: 9\n\n" =~ s/\n/\r\n/gr
                      . ($cut ? 'four' : 'ninebytes'));

    my $answer = Jelou::Load::ask($port, post($body, path => '/passing'));

    counted('incoming_message', $cut ? 'upstream_failed' : 'accepted',
            types => $cut ? [] : ['text'], body => $long, event => $long,
            secret => 1, logged => 0);
    is($answer ? $answer->{status} : 'none', $cut ? 'none' : 200,
       'jelou_reply upstream' . ($cut ? ', cut off' : ''));
}

$upstream->expect;

my $bot_event = length('{"field":"messages","object":"message_event","event_type":'
    . '"bot_message","bot_id":"b","user_id":"u-1","value":{"id":"msg_'
    . '0' x 32 . '","type":"text","content":{"body":"Hi"}}}');

sub to_bot {
    my ($path, $result, %o) = @_;

    sent(post($bot, path => "$path/bots/b/messages", %plain), 'bot_message',
         $result, body => length $bot, event => $bot_event, %o);
}

to_bot('/down', 'upstream_failed');
is($status, 500, 'nobody listens');
to_bot('/down/page', 'upstream_failed');
is($status, 200, 'a page answers, and the failure is one');
to_bot('/down/twice', 'accepted', types => ['text']);
is($status, 200, 'a second application takes it');

sent(post($body, path => '/limited'), 'incoming_message', 'accepted',
     types => ['text'], body => $long, secret => 1);
sent(post($body, path => '/limited'), 'incoming_message', 'internal_error',
     logged => 0);
is($status, 500, 'limit_req');

# Refusals of nginx's own, one of each

for my $code (sort keys %by_status) {
    next if $code == 408;

    sent(post($room, path => "/v1/rooms/r/message?code=$code", %plain),
         'room_message', $by_status{$code}, logged => 0);
    is($status, $code, "return $code");
}

# Clients that go away: while they send, or while the application works; or
# that are too slow

sub goes_away {
    my ($raw, $name, %o) = @_;

    my $before = page()->{endpoints}{incoming_message}{failures}{client_closed};
    my $socket = Jelou::Load::send_to($port, $raw);

    $o{then}->($socket) if $o{then};
    close $socket unless $o{waits};

    ok($nginx->wait_for("$name is counted", sub {
        page()->{endpoints}{incoming_message}{failures}{client_closed}
            == $before + 1;
    }), "client_closed: $name");

    counted('incoming_message', 'client_closed', %o);
}

goes_away(substr(post($body, @in), 0, -5), 'half a body');
goes_away(substr(post($body, path => '/mirrored'), 0, -5), 'half a body, mirrored');
goes_away(substr(post($body, @in), 0, -5), 'too slow', waits => 1);
goes_away(post($body, path => '/gone'), 'return 408', waits => 1);

$upstream->expect('hang');

my $hung = event(id => '"hung"');

goes_away(post($hung, path => '/passing'), 'does not wait', body => length $hung,
          event => length $hung, secret => 1, logged => 0,
          then => sub { $upstream->requests(1) });

# With deduplication the event is delivered all the same.

$upstream->expect('delay 0.3');

my $gone   = event(id => '"gone"');
my $taken  = page()->{endpoints}{incoming_message}{accepted};
my $leaves = Jelou::Load::send_to($port, post($gone, @in));

$nginx->wait_for('it is being delivered', sub { $upstream->requests(1) });
close $leaves;

ok($nginx->wait_for('it is counted', sub {
    page()->{endpoints}{incoming_message}{accepted} == $taken + 1
}), 'accepted: does not wait, with deduplication');

counted('incoming_message', 'accepted', types => ['text'], body => length $gone,
        event => length $gone, secret => 1);

sent(post($gone, @in), 'incoming_message', 'duplicate', body => length $gone,
     secret => 1);

$upstream->expect;

is(page()->{dedup}{seen}{in_flight}, 0, 'nothing is in flight');

# What the module has no part in is not counted

is(Jelou::Load::ask($port, post($body, path => '/other'))->{body},
   'not the module', 'a request that another module answers');
push @events, '';


# The JSON page.  A request is counted when it is logged, and that may be when
# its client has closed the connection.

sub requests {
    my $sum = 0;

    $sum += $_->{requests} for values %{ page()->{endpoints} };

    return $sum;
}

my $all = 0;

$all += $_->{requests} for values %want;
$nginx->wait_for('all requests are counted', sub { requests() >= $all });

my $page = page();
my %caused;

for my $endpoint (sort keys %want) {
    my %got = %{ $page->{endpoints}{$endpoint} };

    for my $times (qw(processing upstream)) {
        my ($count, $sum, $buckets) = @{ $got{$times} }{qw(count sum buckets)};

        my @bounds = sort { $a <=> $b } keys %$buckets;
        my @counts = @$buckets{@bounds};

        $got{$times} = $count;

        is(scalar @bounds, 14, "$endpoint: $times: buckets");
        is($bounds[-1], '+Inf', "$endpoint: $times: the last one");
        is($counts[-1], $count, "$endpoint: $times: has all");
        is("@counts", join(' ', sort { $a <=> $b } @counts),
           "$endpoint: $times: they are cumulative");
        ok($count ? $sum > 0 : $sum == 0, "$endpoint: $times: the sum");
    }

    is_deeply(\%got, $want{$endpoint}, "JSON: $endpoint");

    my ($refusals, $failures) = (0, 0);

    $refusals += $_ for values %{ $got{refusals} };
    $failures += $_ for values %{ $got{failures} };

    is($got{requests}, $got{accepted} + $got{duplicates} + $refusals + $failures,
       "$endpoint: the results are all requests");

    for (qw(refusals failures)) {
        my %n = %{ $got{$_} };
        $caused{$_} += $n{$_} for keys %n;
    }
}

# nginx answers nothing with 408: it closes the connection

is(join(' ', grep { !$caused{$_} } sort keys %caused), 'request_timeout',
   'each result there is has been counted');
is_deeply([sort keys %{ $page->{endpoints} }], [sort keys %want],
          'JSON: all endpoints');
is_deeply([sort keys %$page],
          [sort qw(version nginx time since endpoints dedup)],
          'JSON: the members');

# the application has held one answer for 0.3 s, and one for a second

cmp_ok($page->{endpoints}{incoming_message}{upstream}{sum}, '>', 0.3,
       'the upstream takes its time');
cmp_ok($page->{endpoints}{incoming_message}{processing}{sum}, '<', 0.3,
       'which is not the module\'s');

cmp_ok(abs($page->{time} - time), '<', 2, 'the time');
cmp_ok($page->{since}, '<=', $page->{time}, 'and that of the first');

my $seen = $page->{dedup}{seen};

is($seen->{entries}, 8, 'the zone has what was delivered');
is($seen->{evictions}, 0, 'and has lost none');

is_deeply([sort keys %{ $page->{dedup} }],
          [sort 'seen', "a\"b\\c\x{e9}\nd", '?{}'], 'the names of zones');


# Prometheus' page

sub check_metrics {
    my $text = shift;

    my $file = Jelou::Server::spew("$dir/metrics", $text);
    my $said = `promtool check metrics <$file 2>&1`;

    is($?, 0, 'promtool takes the page');
    is($said, '', 'and has nothing to say');
}

my $metrics = get('/metrics')->{body};

check_metrics($metrics);

# every sample that the JSON page stands for

sub samples_of {
    my $page = shift;

    my %samples;

    my $add = sub {
        my ($name, $value, @labels) = @_;
        my $labels = '';

        while (my ($label, $is) = splice @labels, 0, 2) {
            utf8::encode($is);
            $labels .= ($labels ? ',' : '') . "$label=" . quoted($is);
        }

        $samples{"nginx_jelou_$name\{$labels}"} = $value;
    };

    for my $endpoint (keys %{ $page->{endpoints} }) {
        my %e  = %{ $page->{endpoints}{$endpoint} };
        my @is = (endpoint => $endpoint);

        my %results = (%{ $e{refusals} }, %{ $e{failures} },
                       accepted => $e{accepted}, duplicate => $e{duplicates});

        $add->('requests_total', $results{$_}, @is, result => $_)
            for keys %results;
        $add->('accepted_messages_total', $e{types}{$_}, @is, type => $_)
            for keys %{ $e{types} };
        $add->('conversation_events_total', $e{conversation_events}{$_}, @is,
               event => $_)
            for keys %{ $e{conversation_events} };
        $add->('secret_matches_total', $e{secrets}{$_}, @is, secret => $_)
            for keys %{ $e{secrets} };
        $add->('request_body_bytes_total', $e{body_bytes}, @is);
        $add->('event_bytes_total', $e{event_bytes}, @is);

        for my $times (qw(processing upstream)) {
            my %t = %{ $e{$times} };

            $add->("${times}_seconds_bucket", $t{buckets}{$_}, @is, le => $_)
                for keys %{ $t{buckets} };
            $add->("${times}_seconds_sum", $t{sum}, @is);
            $add->("${times}_seconds_count", $t{count}, @is);
        }
    }

    for my $zone (keys %{ $page->{dedup} }) {
        my %z = %{ $page->{dedup}{$zone} };

        $add->("dedup_$_", $z{$_}, zone => $zone)
            for qw(entries in_flight capacity);
        $add->('dedup_evictions_total', $z{evictions}, zone => $zone);
    }

    $add->('info', 1, version => $page->{version}, nginx => $page->{nginx});

    return %samples;
}

sub same_pages {
    my $name = shift;

    my %one = samples_of(page());
    my %two = samples(get('/metrics')->{body});

    is(join(' ', grep { ($one{$_} // -1) != ($two{$_} // -2) }
                      sort keys %{ { %one, %two } }), '', $name);

    return \%two;
}

my $samples = same_pages('both pages have the same');

my %help = $metrics =~ /^# HELP (\w+) (\S.*)$/mg;
my %type = $metrics =~ /^# TYPE (\w+) (\w+)$/mg;
my %name = map { s/\{.*//r =~ s/_(?:bucket|sum|count)$//r => 1 } keys %$samples;

is_deeply([sort keys %help], [sort keys %name], 'each metric has a HELP');
is_deeply([sort keys %type], [sort keys %name], 'and a TYPE');

for my $name (keys %type) {
    is($type{$name}, $name =~ /_total$/ ? 'counter'
                     : $name =~ /_seconds$/ ? 'histogram' : 'gauge',
       "$name: its type");
}


# Requests for the pages

for my $case (['/json', qr{^Content-Type: application/json\r$}m],
              ['/metrics', qr{^Content-Type: text/plain; version=0\.0\.4; charset=utf-8\r$}m])
{
    my ($path, $content) = @$case;
    my $answer = get($path);

    is($answer->{status}, 200, "GET $path");
    like($answer->{head}, $content, "$path: Content-Type");
    like($answer->{head}, qr/^Cache-Control: no-store\r$/m, "$path: not cached");

    my $raw = `curl -sS -I -m 5 --noproxy '*' http://127.0.0.1:$port$path`;

    like($raw, qr{^HTTP/1\.1 200 OK\r\n.*\r\n\r\n\z}s, "HEAD $path: no body");
    like($raw, qr{^Content-Length: \d{4,}\r$}m, "HEAD $path: its length");
    like($raw, $content, "HEAD $path: Content-Type");

    is(Jelou::Load::ask($port, post('x', path => $path, method => $_))->{status},
       405, "$_ $path") for qw(POST PUT DELETE);
}


# A reload keeps what was counted, also with other secrets; and one request is
# counted in the old configuration, which it has begun in.

sub counters {
    my %page = %{ page() };

    delete @page{qw(time)};

    return \%page;
}

my $before = counters();

$nginx->reload;
is_deeply(counters(), $before, 'a reload keeps all');

Jelou::Server::spew("$dir/secrets", "\n\n\np-2 another-secret-in-it\n");
$nginx->write(http => config() =~ s/ another-good-secret;/;/r)->reload;
is_deeply(counters(), $before, 'with other secrets too');

$upstream->expect('delay 0.4 200');

my $long_one = event(id => '"through"', project_id => '"p-3"');

$first = Jelou::Load::send_to($port, post($long_one, @in));
$nginx->wait_for('it arrives', sub { $upstream->requests(1) });
$nginx->reload;
is(Jelou::Load::answer($first)->{status}, 200, 'a request through a reload');
close $first;

$p2 = event(project_id => '"p-2"', id => '"p2-again"');
$upstream->expect;
Jelou::Load::ask($port, post($p2, @in, secret => 'another-secret-in-it'));

$nginx->wait_for('they are counted', sub { requests() >= $all + 2 });

my $e = $before->{endpoints}{incoming_message};
my $after = page()->{endpoints}{incoming_message};

is($after->{accepted}, $e->{accepted} + 2, 'is counted, and one after it');
is_deeply($after->{secrets}, { %{ $e->{secrets} }, 1 => $e->{secrets}{1} + 1,
                               'file:4' => 1 }, 'the secret that is new');

$nginx->write(http => config(zone => '128k'))->reload;
is(page()->{endpoints}{incoming_message}{requests}, 0,
   'a zone of another size begins anew');

# Without a zone nothing is counted, and all works

$nginx->write(http => config() =~ s/^jelou_status_zone.*\n//mr
                               =~ s/^\s*jelou_status .*\n//mgr)->reload;
is(Jelou::Load::ask($port, post(event(id => '"no-zone"'), @in))->{status}, 200,
   'without a zone');

push @events, ('accepted') x 3;

$nginx->stop;


# The error log: of each refusal one line, of its level and with its key, and of
# an accepted request none

my %lines;

for ($nginx->jelou_log) {
    my ($level, $key) = /^\[(\w+)\] jelou(?: refused a request)?: ([A-Z_]+)/
        or fail("the log: $_"), next;

    $lines{$key}++;
    is($level, $level{lc $key} // '-', "the log: $key: its level");
}

is_deeply(\%lines, \%logged, 'the log has one line of each refusal');

my @missing = grep { !$lines{uc $_} && !/^(?:payload_too_large|internal_error)$/ }
              sort keys %level;

is("@missing", '', 'and has all of the catalogue');

my $log = $nginx->log;

for my $secret ($Jelou::Secret, 'another-good-secret', $file_secret,
                sign($body), sign($body) =~ s/sha256=//r, '"senderId"', 'Hello',
                'u-1', 'm-1')
{
    is(index($log, $secret), -1, "the log has no \"" . substr($secret, 0, 9) . '"');
}


# The access log: JSON, one line a request, with the result that is counted

my @log = split /\n/, Jelou::Server::slurp("$dir/events.log");
my @results;

for (@log) {
    my $line = eval { $json->decode($_) } or fail("not JSON: $_"), next;

    push @results, $line->{result};
}

is(join(' ', sort @results), join(' ', sort @events),
   'the log has the results that are counted');


# What nginx -t refuses

my $check = Jelou::Server->new(name => 'check');

sub says {
    my ($name, $http, $want) = @_;

    $check->says($http, $want && "$want\n", $name);
}

my $zone     = 'jelou_status_zone zone=z:64k;';
my $endpoint = 'jelou_endpoint bot_message;';

sub server { return "server {\nlisten 127.0.0.1:$port;\nlocation / {\n$_[0]\n}\n}\n" }

says('two zones', "$zone\njelou_status_zone zone=y:64k; # WHERE",
     '[emerg] "jelou_status_zone" directive is duplicate in WHERE');
says('no zone parameter', 'jelou_status_zone name=z; # WHERE',
     '[emerg] invalid parameter "name=z" in "jelou_status_zone" directive in WHERE');
says('no size', 'jelou_status_zone zone=z; # WHERE',
     '[emerg] invalid zone "z" in "jelou_status_zone" directive in WHERE');
says('no name', 'jelou_status_zone zone=:64k; # WHERE',
     '[emerg] invalid zone ":64k" in "jelou_status_zone" directive in WHERE');
says('a wrong size', 'jelou_status_zone zone=z:64x; # WHERE',
     '[emerg] invalid zone "z:64x" in "jelou_status_zone" directive in WHERE');
says('too small', 'jelou_status_zone zone=z:1k; # WHERE',
     '[emerg] zone "z" in "jelou_status_zone" directive is too small in WHERE');
says("secrets: $_", "jelou_status_zone zone=z:64k $_; # WHERE",
     qq([emerg] invalid parameter "$_" in "jelou_status_zone" directive in WHERE))
    for 'secrets=', 'secrets=-1', 'secrets=x', 'secrets=100001', 'secret=1',
        'secrets=99999999999999999999';
says('nothing', 'jelou_status_zone; # WHERE',
     '[emerg] invalid number of arguments in "jelou_status_zone" directive in WHERE');
says('of a dedup zone', "jelou_dedup_zone zone=z:64k;\n$zone # WHERE",
     '[emerg] the shared memory zone "z" is already declared for a different use '
     . 'in WHERE');
says('a zone in a server', "server {\n$zone # WHERE\n}",
     '[emerg] "jelou_status_zone" directive is not allowed here in WHERE');
says('deduplication in it', "$zone\n"
         . server("$endpoint\njelou_dedup zone=z key=x; # WHERE"),
     '[emerg] the shared memory zone "z" is already declared for a different use '
     . 'in WHERE');
says('a page without a zone', server('jelou_status json; # WHERE'),
     '[emerg] "jelou_status" needs a "jelou_status_zone" in WHERE');
says('a page of another kind', "$zone\n" . server('jelou_status xml; # WHERE'),
     '[emerg] invalid value "xml" in "jelou_status" directive in WHERE');
says('two pages', "$zone\n"
         . server("jelou_status json;\njelou_status prometheus; # WHERE"),
     '[emerg] "jelou_status" directive is duplicate in WHERE');
says('no kind', "$zone\n" . server('jelou_status; # WHERE'),
     '[emerg] invalid number of arguments in "jelou_status" directive in WHERE');
says('a page of a server', "$zone\nserver {\njelou_status json; # WHERE\n}",
     '[emerg] "jelou_status" directive is not allowed here in WHERE');
says('a page in an if', "$zone\n"
         . server("if (\$arg_x) {\njelou_status json; # WHERE\n}"),
     '[emerg] "jelou_status" directive is not allowed here in WHERE');
says('a page that is an endpoint', "$zone\n"
         . server("$endpoint\njelou_status json; # WHERE"),
     '[emerg] "jelou_status" and "jelou_endpoint bot_message" are in one'
     . ' location in WHERE');
says('the least zone, declared after its page',
     server('jelou_status json;') . 'jelou_status_zone zone=z:'
     . 8 * `getconf PAGESIZE` . ';', '');

# A page within an endpoint, and with an "if" in it, is a page

$check->write(http => "$zone\n" . server(<<"END"))->start;
$endpoint
location /page {
    jelou_status  prometheus;
    if (\$arg_x) { set \$y x; }
}
location /bots/ { $endpoint }
END

like(get('/page')->{body}, qr/^# HELP nginx_jelou_requests_total/,
     'a page within an endpoint');
like(get('/page?x=1')->{body}, qr/^# HELP nginx_jelou_requests_total/,
     'and with an "if"');
is(Jelou::Load::ask($port, post($bot, path => '/bots/b/messages', %plain))
   ->{status}, 200, 'the endpoint around it');
like(get('/page')->{body},
     qr/^nginx_jelou_requests_total\{endpoint="bot_message",result="accepted"} 1$/m,
     'which is counted');
unlike(get('/page')->{body}, qr/dedup/, 'no zone, no metric of a zone');

$check->stop;

# 2,000 secrets are too many for a small zone, and yet none is lost

my $many = 2000;

Jelou::Server::spew("$check->{dir}/secrets",
                    join '', map { "p-$_ the-secret-of-project-$_\n" } 1 .. $many);

my $next;

# matched(PARAMETER, N): one request with each of the first N secrets, and what has
# been counted of others and by itself

sub matched {
    my ($secrets, $n) = @_;

    $check->write(http => 'jelou_status_zone zone=z:' . 8 * `getconf PAGESIZE`
                  . "$secrets;\n" . server(<<"END"))->start;
jelou_endpoint     incoming_message;
jelou_secret_file  secrets;
location /json {
    jelou_status  json;
}
END

    $next = 0;

    Jelou::Load::run(
        port => $port, connections => 8, seconds => 60,
        next => sub {
            return undef if $next++ == $n;

            return { raw => post(event(project_id => qq("p-$next")), path => '/',
                                 secret => "the-secret-of-project-$next",
                                 keepalive => 1) };
        },
        done => sub {
            my $answer = $_[1];
            fail("answer $answer->{status}") if $answer->{status} != 200;
        },
    );

    my $counted = page()->{endpoints}{incoming_message}{secrets};
    my $other   = delete $counted->{other} // 0;

    $check->stop;

    return ($other, $counted);
}

my ($other, $secrets) = matched('', 150);

is(keys %$secrets, 100, 'a hundred secrets have a counter');
is($other, 50, 'those beyond are counted together');

($other, $secrets) = matched(' secrets=3', 5);

is(keys %$secrets, 3, 'secrets=3: three have');
is($other, 2, 'secrets=3: two are others');

($other, $secrets) = matched(' secrets=0', 5);

is_deeply([$other, $secrets], [0, {}], 'secrets=0: none has');

($other, $secrets) = matched(' secrets=100000', $many);

my $sum = $other;

$sum += $_ for values %$secrets;

is($sum, $many, 'each match is counted');
cmp_ok($other, '>', 100, 'some of them as others');
cmp_ok(scalar keys %$secrets, '>', 1000, 'most by their lines');
is($many - $other, scalar keys %$secrets, 'each of these once');
is(scalar(grep { !/^\d+$/ || $_ < 1 || $_ > $many } keys %$secrets), 0,
   'which are lines');

# The capacity of a zone is what it holds

$check->write(http => "$zone\njelou_dedup_zone zone=seen:32k;\n"
              . server(<<"END"))->start;
$endpoint
jelou_dedup  zone=seen key=\$arg_key;
location /json {
    jelou_status  json;
}
END

$next = 0;

my $capacity = page()->{dedup}{seen}{capacity};

Jelou::Load::run(
    port => $port, connections => 4, seconds => 30,
    next => sub {
        return undef if $next++ == $capacity + 10;

        return { raw => post($bot, path => "/bots/b/messages?key=$next", %plain,
                             keepalive => 1) };
    },
);

is_deeply(page()->{dedup}{seen}, { entries => $capacity, in_flight => 0,
                                   capacity => $capacity, evictions => 10 },
          "a zone of 32k holds $capacity messages, and forgets ten");

$check->stop;
$upstream->stop;
