# Each allocation of a request fails in turn, each call of OpenSSL's, and each
# system call: the n-th one alone, and the n-th one with all behind it.  A sender
# then gets 500 or nothing at all, never a verdict on what was right, nor a 200
# for what was not delivered; the worker goes on, neither memory nor a file is
# left behind, and what is sent again is delivered, into a queue only once.

use strict;
use warnings;

use lib 't/lib';

use Jelou;
use Jelou::Faults;
use Jelou::Load;
use Jelou::Messages;
use Jelou::Redis;
use Jelou::Server;
use Jelou::Upstream;
use Test::More;
use Time::HiRes qw(sleep time);

my $unusable = Jelou::Faults->unusable;

plan $unusable ? (skip_all => $unusable) : 'no_plan';

my $port     = $Jelou::Port{SERVER};
my $faults   = Jelou::Faults->new;
my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});

my $redis = Jelou::Redis->start(
    port => $Jelou::Port{PORT_1}, name => 'queue',
    config => ['user a-user on >a-password ~* &* +@all']);

my $pass  = 'proxy_pass http://app;';
my $queue = 'jelou_redis_pass queue; jelou_redis_stream events;';
my $dedup = q(jelou_dedup zone=seen key=$http_idempotency_key;);


# Cases: the endpoint, what is in its location, what it answers, and how its
# requests differ.  Answers of the upstream are 200, unless the case says more.

sub case {
    my ($endpoint, $conf, $want, %o) = @_;

    return { endpoint => $endpoint, conf => $conf, want => $want, %o };
}

my $large   = sub { $_[0] =~ s/^\{/'{"x":"' . 'x' x 200_000 . '",'/er };
my $escaped = sub { $_[0] =~ s/"([prbc])-1"/sprintf '"\\u%04x-1"', ord $1/ger };
my $invalid = sub { $_[0] =~ s/"(room_id|text|userId)":/"x_$1":/gr };

my @cases = (
    # each endpoint in each format, with and without deduplication

    (map {
        my $endpoint = $_;
        my $key = $endpoint eq 'bot_message' ? $dedup
                                             : 'jelou_dedup zone=seen;';

        case($endpoint, $pass, 200),
        case($endpoint, "$key $pass", 200),
        case($endpoint, "$key jelou_format cloudevents; $pass", 200),
        case($endpoint, "$key jelou_format raw; $pass"
                        . 'jelou_upstream_secret to-the-application;', 200),
        case($endpoint, 'access_log logs/all all;' . $key, 200, alone => 1),
    } @Jelou::Messages::Endpoints),

    # bodies in a file, in chunks, and large

    case('incoming_message', "client_body_buffer_size 16k; $pass"
         . ' jelou_dedup zone=seen;', 200, change => $large,
         system => 'system'),
    case('room_message', "client_body_buffer_size 32k; $pass $dedup", 200,
         system => 'system',
         change => $large, post => [chunked => 1000]),
    case('message', 'client_body_buffer_size 256k; access_log logs/all all;'
         . " jelou_dedup zone=seen; $pass", 200, change => $large,
         system => 'system'),

    # secrets of a file and of a map, and an answer that passes

    case('incoming_message', "jelou_dedup zone=seen; $pass", 200,
         secret => 'jelou_secret_file secrets;'),
    case('message', "jelou_dedup zone=seen; $pass", 200,
         secret => 'jelou_secret $mapped;'),
    case('incoming_message',
         "jelou_dedup zone=seen; jelou_reply upstream; $pass", 200,
         answer => "200\n\n{\"success\":true}"),

    # ids with escapes, in the body and in the path

    case('message', "access_log logs/all all; jelou_dedup zone=seen; $pass", 200,
         secret => 'jelou_secret_file secrets;', change => $escaped),
    case('room_message', $pass, 200,
         below => 'v1/rooms/r%22-1/message'),
    case('bot_message', $pass, 200,
         change => sub { $escaped->($_[0] =~ s/^\{/{"botId":"b-1",/r) }),
    case('bot_message', $pass, 200,
         below => 'v1/bots/b%22-1/messages',
         change => sub { $_[0] =~ s/^\{/{"botId":"b\\"-1",/r }),
    case('message', "jelou_dedup zone=seen; $pass", 200,
         secret => 'jelou_secret $mapped;', change => $escaped),

    # an event without an id, which is not looked for

    case('conversation', "jelou_format cloudevents; $pass", 200),

    # an event again, and another one with its id

    case('message', "jelou_dedup zone=seen; $pass", '200 replayed', again => 1),
    case('bot_message', "$dedup $pass", '200 replayed', again => 1),
    case('message', "jelou_dedup zone=seen; $pass", '422 MESSAGE_ID_REUSED',
         again => 1, change => sub { "$_[0] " }),
    case('message', "jelou_dedup zone=seen; jelou_dedup_wait 2s; $pass", 200,
         wait => 1),

    # refusals

    case('incoming_message', $pass, '405 METHOD_NOT_ALLOWED',
         post => [method => 'PUT']),
    case('message', $pass, '401 SIGNATURE_MISSING',
         post => [signature => undef]),
    case('message', $pass, '401 SIGNATURE_MALFORMED',
         post => [signature => 'sha256=0']),
    case('incoming_message', $pass, '401 SIGNATURE_MISMATCH',
         post => [secret => 'another one'], system => 'system'),
    case('message', $pass, '401 SIGNATURE_MISMATCH',
         secret => 'jelou_secret_file secrets;', post => [secret => 'x']),
    case('room_message', $pass, '415 UNSUPPORTED_MEDIA_TYPE',
         post => [type => 'text/plain']),
    case('incoming_message', "client_max_body_size 99; $pass",
         '413 PAYLOAD_TOO_LARGE'),
    case('room_message', $pass, '404 NOT_FOUND', below => 'x'),
    case('message', $pass, '400 INVALID_JSON', change => sub { "$_[0]}" }),
    case('conversation', $pass, '400 INVALID_JSON', change => sub { "\xff" }),
    (map { case($_, "jelou_strict on; $pass", '422 INVALID_EVENT',
                change => $invalid) }
         qw(incoming_message message room_message bot_message)),
    case('message', "jelou_types text; $pass", '422 TYPE_NOT_ALLOWED'),
    case('message', "jelou_timestamp_tolerance 1m; $pass", '422 STALE_EVENT'),

    # what the upstream makes of it

    case('incoming_message', "jelou_dedup zone=seen; $pass",
         '500 UPSTREAM_FAILED', answer => 500),
    case('message', "jelou_dedup zone=seen; $pass", '404 UPSTREAM_REJECTED',
         answer => "404\nRetry-After: 7", system => 'system'),
    case('room_message', "$dedup $pass", '418 UPSTREAM_REJECTED',
         answer => 418),
    case('message', "jelou_dedup zone=seen; $pass", '500 UPSTREAM_FAILED',
         answer => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),

    # into a queue: by XADD alone, by the script, known to Redis or not, and as a
    # user in a database of its own

    case('message', $queue, 200, queue => 'more than once',
         system => 'system'),
    (map { case($_, "$queue jelou_redis_dedup 1h;", 200, queue => 'once',
                system => 'system') }
         qw(incoming_message conversation)),
    case('room_message', "$queue jelou_redis_dedup 1h; access_log logs/all all;",
         200, queue => 'once', flush => 1, system => 'system'),
    case('bot_message', 'jelou_redis_pass authenticated; jelou_redis_db 3;'
         . ' jelou_redis_stream events maxlen=100000; jelou_redis_auth_file auth;'
         . ' jelou_redis_dedup 1h key=$http_idempotency_key;', 200,
         queue => 'once', db => 3),
    case('bot_message', "$queue jelou_redis_dedup 1h"
         . ' key=$http_idempotency_key;', '200 replayed', queue => 'once',
         again => 1),
    case('message', "$queue jelou_redis_dedup 1h;", 200, queue => 'once',
         fresh => 1, system => 'system'),
    case('bot_message', 'jelou_redis_pass authenticated; jelou_redis_db 3;'
         . ' jelou_redis_stream events limit=100000; jelou_redis_auth_file auth;'
         . ' jelou_redis_dedup 1h key=$http_idempotency_key;', 200,
         queue => 'once', db => 3, fresh => 1, system => 'system'),
    case('message', "$queue jelou_redis_dedup 1h;", '422 MESSAGE_ID_REUSED',
         queue => 'once', again => 1, change => sub { "$_[0] " }),
);

my $variables = join ' ', map { "\$jelou_$_" }
    qw(event_type project_id room_id bot_id user_id message_id message_type
       timestamp event result secret_id);

my $locations = join '', map {
    my $case = $cases[$_];
    my $endpoint = $case->{endpoint} =~ s/conversation/message/r;
    my $secret = $endpoint =~ /_(?:room|bot)|^(?:room|bot)/ ? ''
               : $case->{secret} // "jelou_secret \"$Jelou::Secret\";";

    <<"END";
    location /$_/ {
        jelou_endpoint  $endpoint;
        $secret
        $case->{conf}
    }
END
} 0 .. $#cases;

my $nginx = Jelou::Server->new(
    name  => 'front', level => 'error', env => $faults->env,
    allow => qr{(?:alloc|memalign)\(.*\) failed| failed \(\d+: });

Jelou::Server::spew("$nginx->{dir}/secrets", "p-1 $Jelou::Secret\n");
Jelou::Server::spew("$nginx->{dir}/auth", "a-user a-password\n");
mkdir "$nginx->{dir}/logs";
chmod 0777, "$nginx->{dir}/logs";
$locations =~ s{ logs/}{ $nginx->{dir}/logs/}g;

# a connection for each request: nothing of it is there when it has ended

$nginx->write(http => <<"END")->start;
jelou_dedup_zone   zone=seen:16m;
jelou_status_zone  zone=status:1m;
log_format         all  '$variables';

map \$jelou_project_id \$mapped {
    volatile;
    default  "$Jelou::Secret";
}

upstream app {
    server  127.0.0.1:$Jelou::Port{APP} max_fails=0;
}

upstream queue {
    server  127.0.0.1:$Jelou::Port{PORT_1} max_fails=0;
}

upstream authenticated {
    server  127.0.0.1:$Jelou::Port{PORT_1} max_fails=0;
}

server {
    listen  127.0.0.1:$port;

    proxy_http_version  1.0;
    lingering_close     off;

$locations
    location = /json {
        jelou_status  json;
    }

    location = /prometheus {
        jelou_status  prometheus;
    }
}
END

my ($worker) = $nginx->workers;


my $number = 0;

sub raw {
    my ($i, $n, $first) = @_;

    my $case = $cases[$i];

    return request($case->{endpoint}, $n, "/$i/",
                   $case->{below} ? (path => "/$i/$case->{below}") : (),
                   $first ? () : @{ $case->{post} // [] },
                   $case->{change} && !($first && $case->{want} =~ /^422/)
                       ? (change => $case->{change}) : ());
}

# One request, in which the n-th calls fail, and the same again without.  What is
# wrong is added to the list.

sub one {
    my ($i, $kinds, $n, $times, $result) = @_;

    my $case = $cases[$i];
    my $id   = ++$number;
    my $raw  = raw($i, $id);
    my $what = "$kinds $n" . ($times > 1 ? ' and on' : '');

    # an event that is there already

    ask($port, raw($i, $id, 1)) if $case->{again};
    $redis->command(qw(SCRIPT FLUSH)) if $case->{flush};

    if ($case->{fresh}) {
        $redis->command(qw(CLIENT KILL TYPE normal SKIPME yes));
        sleep 0.01;
    }

    $faults->fail($worker, $kinds, $n, $times);

    my $said = verdict(ask($port, $raw));
    my $seen = $faults->seen;

    $faults->none($worker);

    $what .= " ($seen->{name})";

    # a command that was lost with its connection is sent once more

    my $good = $said eq $case->{want} || $said eq '500 INTERNAL_ERROR'
               || $said eq '200 replayed' && ($case->{queue} // '') eq 'once'
                  && $case->{want} eq '200'
               || $said eq 'none' || $said eq 'cut off 500'
               || $said =~ /^500 UPSTREAM_FAILED/
                  && ($case->{want} =~ /^200|UPSTREAM/ || $case->{queue})
               || $said =~ /^cut off (\d+)/ && $case->{want} =~ /^$1/;

    push @{ $result->{wrong} }, "$what: $said" if !$good;
    $result->{delivered}{$id}++ if $said =~ /^(?:cut off )?2/;
    $result->{failed}++ if $said ne $case->{want};

    # and again: as if nothing had been, but for what was delivered

    my $again = verdict(ask($port, $raw));
    my $want  = $case->{want} =~ s/ replayed//r;

    push @{ $result->{wrong} }, "$what: then $again"
        if $again !~ /^$want/ || $again =~ /replayed/ && $said =~ /^500/
                                 && !$case->{again} && !$case->{alone}
                                 && !$case->{queue};
    $result->{delivered}{$id}++ if $again =~ /^200$/;
    $result->{replayed}{$id}++  if $again eq '200 replayed';

    return $seen->{failed};
}

# arrived(CASE): the events that have come through, since it was asked last

sub arrived {
    my $case = shift;

    return map { $_->{body} } $upstream->requests(0) if !$case->{queue};

    $redis->command('SELECT', $case->{db} // 0);

    my @entries = $redis->entries('events');

    $redis->command(qw(DEL events));

    return map { $_->{event} } @entries;
}

# all_of(CASE, ...): until no call is the n-th any more

sub all_of {
    my ($i, $kinds, $times) = @_;

    my $case   = $cases[$i];
    my $result = { wrong => [] };
    my $n      = 0;

    $upstream->expect($case->{answer} // 200);
    arrived($case) if $case->{queue};

    my $from = $number + 1;

    1 while one($i, $kinds, ++$n, $times, $result) && $n < 200;

    # what is at the upstream, or in the queue

    my %arrived;
    $arrived{number($_)}++ for arrived($case);

    my $forwards = $case->{conf} =~ /_pass /
                   && $case->{want} =~ /^200|UPSTREAM|REUSED/;

    for my $id ($from .. $number) {
        push @{ $result->{wrong} }, "$id: a refused one arrived"
            if $arrived{$id} && !$forwards;
        push @{ $result->{wrong} }, "$id: 200, and not delivered"
            if !$arrived{$id} && $forwards
               && ($result->{delivered}{$id} || $result->{replayed}{$id});
        push @{ $result->{wrong} }, "$id: $arrived{$id} times in the queue"
            if ($case->{queue} // '') eq 'once' && $arrived{$id} != 1;
    }

    push @{ $result->{wrong} }, "no end: $n" if $n >= 200;

    return ($result, $n - 1);
}

# What the first time keeps for good, the second one does not keep again.

sub without_leaks {
    my $left = $faults->left($worker);

    my ($result, $n, @left);

    for (1 .. 3) {
        ($result, $n) = all_of(@_);
        push @left, $faults->left($worker);
        
        return ($result, $n)
            if @{ $result->{wrong} } || !Jelou::Faults::more($left[-1], $left);

        $left = $left[-1];
    }

    push @{ $result->{wrong} }, "what is left grows: @left";

    return ($result, $n);
}


my %calls;

for my $i (0 .. $#cases) {
    my $case = $cases[$i];
    my $name = "$case->{endpoint}, $case->{want}: "
               . $case->{conf} =~ s/\Q$pass\E|;//gr;

    $upstream->expect($case->{answer} // 200);

    my $id = ++$number;

    ask($port, raw($i, $id, 1)) if $case->{again};
    is(verdict(ask($port, raw($i, $id))), $case->{want}, "$name: no fault");

    for my $kinds (qw(memory module crypto), $case->{system} // ()) {
        for my $times (1, 1_000_000) {
            my ($result, $n) = without_leaks($i, $kinds, $times);

            is(join("\n", @{ $result->{wrong} }), '',
               "$name: $kinds: $n calls" . ($times > 1 ? ', and on' : ''));
            $calls{$kinds} += $n;
        }
    }

    is_deeply([$nginx->workers], [$worker], "$name: the worker goes on");
    ($worker) = $nginx->workers;
}

# A repetition that waits for the first try, whose calls fail as well

{
    my ($i)  = grep { $cases[$_]{wait} } 0 .. $#cases;
    my $left = '';

    for my $kinds (qw(memory module crypto system)) {
        my ($n, $failed, @wrong) = (0, 1);

        while ($failed && $n < 200) {
            my $raw = raw($i, ++$number);

            $upstream->expect('delay 0.05', 200);

            my $first = Jelou::Load::send_to($port, $raw);

            push @wrong, "$n: not in progress" if $upstream->requests(1) != 1;
            $faults->fail($worker, $kinds, ++$n);

            my $said  = verdict(ask($port, $raw));
            my $seen  = $faults->seen;
            my @said  = (verdict(read_all($first)), $said);

            $faults->none($worker);
            close $first;

            my $again = verdict(ask($port, $raw));

            $failed = $seen->{failed};

            my $what  = "$n ($seen->{name}): @said, then $again";
            my $count = () = $upstream->requests(1);

            push @wrong, $what
                if grep({ !/^(?:200|200 replayed|500 \w+|none|cut off \d+)$/ } @said)
                   || $again !~ /^200/ || $count < 1 || $count > 2;
        }

        is(join("\n", @wrong), '', "who waits: $kinds: $n calls");
        cmp_ok($n, '>', 3, "who waits: $kinds: some have failed")
            if $kinds ne 'crypto';

        my $now = $faults->left($worker);

        # what the first kind has opened for good

        is($left && Jelou::Faults::more($now, $left) ? "$left, $now" : '', '',
           "who waits: $kinds: nothing is left");
        $left = $now;
    }

    is_deeply([$nginx->workers], [$worker], 'who waits: the worker goes on');
    ($worker) = $nginx->workers;
}

# The pages that show the counters: whole, or 500, or nothing.

sub page {
    my $all = ask($port, "GET /$_[0] HTTP/1.1\r\nHost: x\r\n"
                         . "Connection: close\r\n\r\n");

    return 'none' if $all eq '';

    my ($head, $body) = split /\r\n\r\n/, $all, 2;
    my ($status)      = $head =~ m{\AHTTP/1\.1 (\d{3}) };
    my ($length)      = $head =~ /^Content-Length: (\d+)/mi;

    return length($body // '') < $length ? "cut off $status" : $status;
}

for my $page (qw(json prometheus)) {
    is(page($page), 200, "$page: no fault");

    for my $kinds (qw(memory module)) {
        my (@wrong, $left);

        for my $time (1, 2) {
            my ($n, $failed) = (0, 1);

            $left = $faults->left($worker);

            while ($failed && $n < 200) {
                $faults->fail($worker, $kinds, ++$n);

                my $said = page($page);
                my $seen = $faults->seen;

                $faults->none($worker);

                $failed = $seen->{failed};
                push @wrong, "$n ($seen->{name}): $said"
                    if $said !~ /^(?:200|500|none|cut off (?:200|500))$/;
            }

            cmp_ok($n, '>', 1, "$page: $kinds: calls that have failed");
        }

        is(join("\n", @wrong), '', "$page: $kinds");
        is($faults->left_more($worker, $left), '', "$page: $kinds: is freed");
    }

    is(page($page), 200, "$page: as if nothing had been");
    is_deeply([$nginx->workers], [$worker], "$page: the worker goes on");
}

# What has no calls has no faults, and shows nothing.

cmp_ok($faults->seen->{redirected}, '>=', 15, 'the module\'s calls are seen');
cmp_ok($calls{$_}, '>=', 100, "$_: calls that have failed")
    for qw(memory module crypto system);

diag(join ', ', map { "$calls{$_} $_" } sort keys %calls) if $ENV{TEST_VERBOSE};

$nginx->stop;
$upstream->stop;
$redis->stop;
