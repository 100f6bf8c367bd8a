# A server that answers slowly, in pieces, wrongly or not at all: whatever it
# does, an event is accepted only after a reply that is whole and right, no reply
# answers another event, and the log says once a second why it was not.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Server;

use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};
my $auth = "$Jelou::Dir/$Jelou::Name.auth";

Jelou::Server::spew($auth, "# the queue's\n\n  a-user a-password  \n");

sub listen_on {
    return IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_[0],
                                 Proto => 'tcp', Listen => 16, ReuseAddr => 1)
        // die "port $_[0]: $!\n";
}

my ($fake, $second) = map { listen_on($Jelou::Port{$_}) } qw(PORT_1 PORT_2);

my %location = (
    plain   => '',
    script  => 'jelou_redis_dedup 1h;',
    trimmed => 'jelou_redis_dedup 1h; jelou_redis_stream events maxlen=10;',
    limited => 'jelou_redis_stream events limit=10;',
    all     => 'jelou_redis_dedup 1h;',             # with AUTH and SELECT
    timely  => 'jelou_redis_read_timeout 300ms;',
    retimed => 'jelou_redis_read_timeout 300ms; jelou_redis_dedup 1h;',
    hasty   => 'jelou_redis_connect_timeout 300ms;',
    few     => 'jelou_redis_pending 2; jelou_redis_dedup 1h;',
    page    => 'error_page 502 503 504 /teapot;',
    then    => 'error_page 502 503 = /after;',
    group   => 'jelou_redis_dedup 1h;',
    once    => '',
    down    => '',
);

my %pass = (map({ $_ => 'group' } qw(group once)), down => 'down');

my $locations = join '', map {
    "location = /$_ {\njelou_endpoint incoming_message;\n"
    . 'jelou_redis_pass ' . ($pass{$_} // 'queue') . ";\n$location{$_}\n"
    . ($location{$_} =~ /stream/ ? '' : "jelou_redis_stream events;\n")
    . ($_ eq 'all' ? "jelou_redis_auth_file $auth;\njelou_redis_db 3;\n" : '')
    . "}\n"
} sort keys %location;

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
log_format  upstream  '\$uri \$upstream_addr \$upstream_status \$upstream_response_time';

upstream queue {
    server     127.0.0.1:$Jelou::Port{PORT_1} max_fails=0;
}
upstream group {
    server     127.0.0.1:$Jelou::Port{PORT_1}  max_fails=0;
    server     127.0.0.1:$Jelou::Port{PORT_2}  max_fails=0 backup;
}
upstream down {
    server     127.0.0.1:$Jelou::Port{DOWN}    max_fails=0;
    server     127.0.0.1:$Jelou::Port{PORT_2}  max_fails=0;
}

server {
    listen  127.0.0.1:$port;

    access_log  $Jelou::Dir/$Jelou::Name.access upstream;

    jelou_secret          "$Jelou::Secret";
    client_max_body_size  8m;

    location = /after {
        internal;
        jelou_endpoint  incoming_message;
        proxy_pass      http://127.0.0.1:$Jelou::Port{DOWN};
    }
    location = /teapot {
        return  418;
    }
    $locations
}
END


# The server's side, in this process: a connection that nginx has made, and the
# commands that come on it, each a list of words.

my %buffer;

sub wait_for {
    my ($socket, $seconds) = @_;

    return IO::Select->new($socket)->can_read($seconds // 5);
}

sub taken {
    my $listener = shift // $fake;

    wait_for($listener) or die "nginx does not connect\n";

    my $c = $listener->accept;
    $c->autoflush(1);
    $buffer{$c} = '';

    return $c;
}

sub more {
    my $c = shift;

    wait_for($c) or die "nothing comes from nginx\n";

    return sysread $c, $buffer{$c}, 65536, length $buffer{$c};
}

sub command {
    my $c = shift;

    my $line = sub {
        until ($buffer{$c} =~ /\n/) {
            more($c) or die "nginx has closed\n";
        }
        $buffer{$c} =~ s/\A(.)(\d+)\r\n// or die "not a command\n";
        die "$1 is not $_[0]\n" if $1 ne $_[0];
        return $2;
    };

    my @words;

    for (1 .. $line->('*')) {
        my $length = $line->('$');

        while (length $buffer{$c} < $length + 2) {
            more($c) or die "nginx has closed\n";
        }

        push @words, substr $buffer{$c}, 0, $length;
        substr $buffer{$c}, 0, $length + 2, '';
    }

    return @words;
}

sub closed {
    my $c = shift;

    return eval { !more($c) } // 0;
}

sub quiet { return $buffer{$_[0]} eq '' && !wait_for($_[0], $_[1] // 0.05) }

sub reset_now {
    setsockopt $_[0], SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $_[0];
}

# The reader of a reply has to have looked at one piece before the next is there.

sub pause { sleep 0.005 }

my $sha = '0123456789012345678901234567890123456789';

# greeted(PATH [, LISTENER]): a connection, what comes first on it answered

sub greeted {
    my ($path, $listener) = @_;

    my $c = taken($listener);
    my @first = map { [command($c)] } 1 .. ($path eq 'all' ? 3 : 1);

    print $c "+OK\r\n" x $#first . "\$40\r\n$sha\r\n";

    return ($c, @first);
}

# sent(PATH, OPTIONS): a request

my $n = 0;

sub sent {
    my ($path, %o) = @_;

    my $body = event(id => '"m-' . ++$n . '"',
                     content => '{"body":"' . ($o{text} // 'the-text') . '"}');

    return Jelou::Load::send_to($port, post($body, path => "/$path"));
}

# begin(PATH): a request whose command has been read, on a new connection

sub begin {
    my ($path, %o) = @_;

    my $socket = sent($path, %o);
    my ($c) = greeted($path);

    command($c);

    return ($socket, $c);
}

# What is logged: each cause once a second.  new_lines() are those that have come.

my $logged = 0;

sub new_lines {
    my @lines = map { s/^[\d\/]+ [\d:]+ (\[\w+\]) \S+ (?:\*\d+ )?/$1 /r
                      =~ s/, upstream: "redis:.*?"//r =~ s/ while .*|, client.*//r
                      =~ s/, \d+ more before//r }
                grep { /\[(?:warn|error|crit|alert|emerg)\]/ }
                split /\n/, substr $nginx->log, $logged;

    $logged = length $nginx->log;

    return @lines;
}

# only(NAME, LINE, ...): since the last look, these and no others

sub only {
    my ($name, @want) = @_;

    my %got = map { $_ => 1 } new_lines();

    is_deeply([sort keys %got], [sort @want], "$name: the log");
}

sub answer {
    my ($socket, $status, $name) = @_;

    my $answer = Jelou::Load::answer($socket);

    is($answer->{status}, $status, "$name: the status");
    is(Jelou::refusal_error($answer->{body}, 500, 'UPSTREAM_FAILED'), '',
       "$name: the answer") if $status == 500;
    like($answer->{head}, qr/^Retry-After: 1\r$/m, "$name: later")
        if $status == 500;

    return $answer;
}

# A cause is logged again in the next second.

sub next_second { my $now = int time; sleep 0.01 while int time == $now }

my $id = '1700000000000-0';
my $good = "\$15\r\n$id\r\n";

my $malformed = '[error] jelou: a malformed reply from redis';
my $early     = '[error] jelou: redis has closed the connection';
my $reset     = "$early (104: Connection reset by peer)";
my $late      = '[error] jelou: redis does not answer (110: Connection timed out)';
my $denied    = '[error] jelou: redis refused';


# What is sent first, and answered before anything else is sent

for my $path (qw(plain script all)) {
    my $socket = sent($path);
    my $c      = taken();

    if ($path eq 'all') {
        is_deeply([command($c)], [qw(AUTH a-user a-password)], 'user and password');
        is_deeply([command($c)], [qw(SELECT 3)], 'the database');
    }

    my @load = command($c);

    is("@load[0, 1]", 'SCRIPT LOAD', "$path: the script");
    ok(quiet($c), "$path: no event before all of it is answered");

    if ($path eq 'all') {
        print $c "+OK\r\n";
        ok(quiet($c), 'nor after AUTH');
        print $c "+OK\r\n";
        ok(quiet($c), 'nor after SELECT');
    }

    print $c "\$40\r\n$sha\r\n";

    my @words = command($c);

    is($words[0], $path eq 'plain' ? 'XADD' : 'EVALSHA', "$path: then it is sent");

    if ($path ne 'plain') {
        require Digest::SHA;
        is($words[1], Digest::SHA::sha1_hex($load[2]), "$path: by its SHA-1");
    }

    print $c $good;
    answer($socket, 200, "$path: the first");

    $socket = sent($path);
    is((command($c))[0], $words[0], "$path: the second on the same connection");
    print $c $good;
    answer($socket, 200, "$path: the second");

    close $c;
    pause();
}

only('a connection that ends with nothing in flight');


# What is sent first is refused.  A script that is not loaded is no matter.

for (["-WRONGPASS x\r\n+OK\r\n\$40\r\n$sha\r\n", "$denied AUTH: WRONGPASS"],
     ["-ERR without any password configured\r\n+OK\r\n\$40\r\n$sha\r\n",
      "$denied AUTH: ERR"],
     ["+OK\r\n-ERR DB index\r\n\$40\r\n$sha\r\n", "$denied SELECT: ERR"],
     ["+OK\r\n+OK\r\n-LOADING x\r\n", "$denied SCRIPT: LOADING"],
     ["+OK\r\n+OK\r\n-NOAUTH x\r\n", "$denied SCRIPT: NOAUTH"],
     ["+QUEUED\r\n:1\r\n", $malformed], ["*1\r\n+OK\r\n", $malformed],
     ["+OK\r\n\$2\r\nOK\r\n", $malformed], ["HTTP/1.1 400 Bad Request\r\n", $malformed])
{
    my ($reply, $log) = @$_;
    my $socket = sent('all');
    my $c      = taken();

    next_second() if $log eq $malformed;

    command($c) for 1 .. 3;
    print $c $reply;

    my $name = 'first: ' . $reply =~ s/\r\n/ /gr;

    answer($socket, 500, $name);
    only($name, $log);
    ok(closed($c), "$name: the connection is given up");
    close $c;
}

{
    my $socket = sent('script');
    my $c      = taken();

    command($c);
    print $c "-NOPERM x\r\n";
    is((command($c))[0], 'EVALSHA', 'a script that may not be loaded');
    print $c $good;
    answer($socket, 200, 'is no matter');
    close $c;
    pause();
}


# Replies in two pieces; cut off; with another byte

next_second();
new_lines();

for my $path (qw(plain script)) {
    for my $at (0 .. length($good) - 1) {
        my ($socket, $c) = begin($path);

        print $c substr $good, 0, $at;
        pause() if $at;
        print $c substr $good, $at;
        answer($socket, 200, "$path: in pieces, $at");
        close $c;
        pause();

        # cut off there: what may be repeated is, once

        ($socket, $c) = begin($path);

        for my $again ($path eq 'script' ? (0, 1) : 1) {
            print $c substr $good, 0, $at;
            pause() if $at;
            close $c;

            next if $again;
            ($c) = greeted($path);
            command($c);
        }

        answer($socket, 500, "$path: cut off, $at");

        # with another byte there, be it the end or not

        for my $byte ('!', "\0") {
            ($socket, $c) = begin($path);

            my $bad = $good;
            substr $bad, $at, 1, $byte;

            for my $again ($path eq 'script' ? (0, 1) : 1) {
                print $c $bad;
                pause();
                close $c;

                # a reply that is none answers nothing, and is not repeated

                last if $again || !wait_for($fake, 0.03);
                ($c) = greeted($path);
                command($c);
            }

            answer($socket, 500, "$path: another byte, $at");
        }
    }
}

only('cut off, and wrong', $early, $malformed);


# Whole replies that are none of the script's, nor of XADD's

next_second();
new_lines();

my $digest = 'a' x 64;

for my $case (
    [plain => '+OK'], [plain => ':1'], [plain => '$-1'], [plain => '*-1'],
    [plain => '*0'], [plain => "\$0\r\n"], [plain => "\$1\r\n1"],
    [plain => "\$2\r\n1-"], [plain => "\$2\r\n-1"], [plain => "\$4\r\n1-1 "],
    [plain => "+$id"], [plain => "*1\r\n\$15\r\n$id"],
    [plain => "\$200\r\n" . '1' x 100 . '-' . '1' x 99],
    [plain => "\$-2"], [plain => "\$99999999999999999999"], [plain => '%1'],
    [plain => '_'], [plain => "HTTP/1.1 200 OK"], [plain => "\$1\r\n="],
    [plain => "\$1\r\n!"], [plain => "\$1\r\n#"], [plain => "\$5\r\n1-1 1"],

    [script => '+OK'], [script => '*0'], [script => "*1\r\n\$15\r\n$id"],
    [script => "*2\r\n:0\r\n\$15\r\n$id"], [script => ':1'], [script => '$-1'],
    [script => "\$2\r\n!!"], [script => "\$1\r\n#"], [script => "\$5\r\n1-1 1"],
    [script => "\$1\r\n?"], [script => "+$id"],
    [script => '*2147483647'], [script => '*-2'],
    [script => "*1\r\n" x 12 . ':0'], [script => "\$200\r\n=" . 'a' x 199],

    [trimmed => "\$4\r\n1-1 "], [trimmed => "\$5\r\n1-1 x"],
    [trimmed => "\$6\r\n1-1  1"], [trimmed => "\$6\r\n1-1 -1"],
    [limited => "\$2\r\n#1"], [limited => "\$1\r\n="],

    # right, and something behind it

    [plain => "\$15\r\n$id\r\n+"], [script => "\$15\r\n$id\r\n+OK"],
) {
    my ($path, $reply) = @$case;

    my ($socket, $c) = begin($path);
    my $name = "$path: " . substr($reply, 0, 40) =~ s/\r\n/ /gr;

    print $c "$reply\r\n";

    if ($reply =~ /\A\*2147/) {

        # it has no end: cut off, and once more

        pause();
        close $c;
        ($c) = greeted($path);
        command($c);
        print $c "$reply\r\n";
        pause();

    } else {
        ok(closed($c), "$name: the connection is given up");

        # what the reader has not come to the end of is none yet: once more

        if ($path eq 'script' && wait_for($fake, 0.03)) {
            close $c;
            ($c) = greeted($path);
            command($c);
            print $c "$reply\r\n";
            ok(closed($c), "$name: and again");
        }
    }

    close $c;

    if ($reply =~ /\r\n\+(?:OK)?\z/) {
        answer($socket, 200, "$name: the reply was there");

    } else {
        answer($socket, 500, $name);
    }
}

only('wrong replies', $malformed, $early);

for my $case ([script => "=$digest", 200], [script => '=', 200], [script => '!', 422],
              [trimmed => '1-1 12', 200], [trimmed => '1-1', 200], [script => '1-1', 200])
{
    my ($path, $reply, $status) = @$case;
    my ($socket, $c) = begin($path);

    print $c '$' . length($reply) . "\r\n$reply\r\n";
    is(Jelou::Load::answer($socket)->{status}, $status, "$path: $reply is right");
    close $c;
    pause();
}


# Replies that say no.  The rest of an error may have the event in it.  Nobody
# else is hurt: the connection stays.

next_second();
new_lines();

{
    my ($socket, $c) = begin('plain');

    print $c $good;
    answer($socket, 200, 'before the errors');

    for my $case (
        ['OOM command not allowed', 'OOM'], ['NOAUTH Authentication', 'NOAUTH'],
        ['WRONGTYPE x', 'WRONGTYPE'], ['MISCONF x', 'MISCONF'],
        ['ERR unknown command, with args: the-text', 'ERR'],
        ['the-text', 'an error'], ['', ''], ['NOSCRIPTX', 'NOSCRIPTX'],
        ['A' x 100, 'A' x 24], ["BUSY\0the-text", 'BUSY'],
    ) {
        my ($text, $cause) = @$case;

        for my $path (qw(plain script)) {
            $socket = sent($path);
            command($c);
            print $c "-$text\r\n";

            my $name = "$path: -" . substr($text, 0, 20);

            answer($socket, 500, $name);

            # that of the empty one is what has just been logged

            only($name, $text eq '' ? () : "$denied "
                        . ($path eq 'plain' ? 'XADD' : 'the script') . ": $cause");
        }
    }

    $socket = sent('plain');
    command($c);
    print $c $good;
    answer($socket, 200, 'after them');
    close $c;
    pause();
}

sub answer_plain {
    my ($socket, $name) = @_;

    my $answer = Jelou::Load::answer($socket);

    is($answer->{status}, 500, "$name: the status");
    is(Jelou::refusal_error($answer->{body}, 500, 'UPSTREAM_FAILED'), '',
       "$name: the answer");
}

{
    my ($socket, $c) = begin('page');

    print $c "-OOM x\r\n";
    is(Jelou::Load::answer($socket)->{status}, 418, 'a page for it');

    $socket = sent('then');
    command($c);
    next_second();
    new_lines();
    print $c "-OOM x\r\n";
    answer_plain($socket, 'an application after it, which is down');
    only('an application after it', "$denied XADD: OOM",
         '[error] connect() failed (111: Connection refused)',
         '[error] jelou: UPSTREAM_FAILED: status 502 from the content handler');
    close $c;
    pause();
}


# No reply, a reset, a connection that is never answered to

next_second();
new_lines();

{
    my $began = time;
    my ($socket, $c) = begin('timely');

    answer($socket, 500, 'a time-out');
    cmp_ok(time - $began, '<', 2, 'in time');
    only('a time-out', $late);
    ok(closed($c), 'a time-out: the connection is given up');
    close $c;

    # what may be repeated is, on another connection

    ($socket, $c) = begin('retimed');
    my ($again) = greeted('retimed');
    command($again);
    print $again $good;
    answer($socket, 200, 'a time-out, and another connection');
    close $_ for $c, $again;
    pause();

    ($socket, $c) = begin('plain');
    reset_now($c);
    answer($socket, 500, 'a reset');
    like(join('', new_lines()), qr/\Q$reset\E/, 'a reset: the log');

    $socket = sent('hasty');
    $c = taken();
    answer($socket, 500, 'no answer to what is sent first');
    only('no answer', '[error] jelou: redis does not answer to a connection '
                      . '(110: Connection timed out)');
    close $c;
}


# Many in flight: each has the reply of its place, whatever the others get

{
    my $from = $n + 1;
    my ($socket, $c) = begin('script');
    my %socket = ("m-$from" => $socket);
    my @id     = ("m-$from");

    for (1 .. 6) {
        my $socket = sent('script');

        $socket{"m-$n"} = $socket;
    }

    push @id, (command($c))[13] for 1 .. 6;
    is_deeply([sort @id], [sort keys %socket], 'many: all are sent');

    close $socket{$id[1]};                # a sender who leaves
    pause();

    my $replies = join '', $good, $good, "-OOM x\r\n", "\$1\r\n!\r\n",
                           "\$1\r\n=\r\n", "-WRONGTYPE x\r\n";

    for my $byte (split //, $replies) {
        print $c $byte;
    }

    my @want = (200, undef, 500, 422, 200, 500);

    for my $i (grep { defined $want[$_] } 0 .. $#want) {
        my $answer = Jelou::Load::answer($socket{$id[$i]});

        is($answer->{status}, $want[$i], "many: $i");
        is($answer->{head} =~ /^Idempotent-Replayed/m ? 1 : 0, $i == 4 ? 1 : 0,
           "many: $i, a replay");
        like($answer->{body}, qr/"\Q$id[$i]\E"/, "many: $i, its own")
            if $want[$i] == 200;
    }

    # the last one is lost, and repeated; with it what has come meanwhile

    my $later = sent('plain');
    command($c);
    close $c;
    answer($later, 500, 'many: what cannot be repeated');

    ($c) = greeted('script');
    is((command($c))[13], $id[6], 'many: what can be is');
    ok(quiet($c), 'many: and nothing else');
    print $c $good;
    answer($socket{$id[6]}, 200, 'many: the last one');

    # too much: a reply to nothing

    next_second();
    new_lines();
    print $c $good;
    ok(closed($c), 'a reply to nothing: the connection is given up');
    only('a reply to nothing', $malformed);
    close $c;
}


# No more than jelou_redis_pending, whether they wait or are in flight

{
    my @sockets = map { sent('few') } 1, 2;
    my $c = taken();

    pause() for 1 .. 4;
    next_second();
    new_lines();
    answer(sent('few'), 500, 'too many that wait');

    command($c);
    print $c "\$40\r\n$sha\r\n";
    command($c) for 1, 2;

    answer(sent('few'), 500, 'too many in flight');

    # the first is for nobody's server, the second for this one

    only('too many', '[error] jelou: too many commands wait for redis');

    print $c $good x 2;
    answer($_, 200, 'those that were not') for @sockets;

    my $socket = sent('few');
    command($c);
    print $c $good;
    answer($socket, 200, 'and the next one');
    close $c;
    pause();
}


# NOSCRIPT: the script follows on the same connection, the event with it.  A
# server that does not read for a while stops the sending half-way.

for my $text ('x', 'x' x 3_000_000) {
    my $name = 'NOSCRIPT, ' . length($text) . ' bytes';

    my $socket = sent('script', text => $text);
    my ($c, $load) = greeted('script');
    my @first = command($c);

    print $c "-NOSCRIPT no\r\n";
    sleep 0.3 if length $text > 1;

    my @second = command($c);

    is($second[0], 'EVAL', "$name: all of it is sent");
    is($second[1], $load->[2], "$name: the script");
    is_deeply([@second[2 .. $#second]], [@first[2 .. $#first]],
              "$name: and the same words");

    print $c $good;
    answer($socket, 200, $name);

    $socket = sent('script');
    is((command($c))[0], 'EVALSHA', "$name: once");
    print $c $good;
    answer($socket, 200, "$name: the next one");
    close $c;
    pause();
}

{
    next_second();
    new_lines();

    my ($socket, $c) = begin('script');

    print $c "-NOSCRIPT no\r\n";
    command($c);
    print $c "-NOSCRIPT no\r\n";
    answer($socket, 500, 'NOSCRIPT for ever');
    only('NOSCRIPT for ever', "$denied the script: NOSCRIPT");

    # a reset while a long command is sent: once more, and again

    $socket = sent('script', text => 'x' x 3_000_000);
    sleep 0.1;
    reset_now($c);
    ($c) = greeted('script');
    sleep 0.1;
    reset_now($c);
    answer($socket, 500, 'the end while it is sent');
    new_lines();
}


# The next server: for words that mean that this one takes nothing

sub group {
    my ($path, $first) = @_;

    my ($socket, $c) = (sent($path), (greeted($path))[0]);
    my @words = command($c);

    print $c $first if defined $first;

    return ($socket, $c, @words);
}

for my $word (qw(READONLY LOADING MASTERDOWN CLUSTERDOWN NOREPLICAS)) {
    next_second();
    new_lines();

    my ($socket, $c, @words) = group('group', "-$word x\r\n");
    my ($next) = greeted('group', $second);

    is_deeply([command($next)], \@words, "$word: the next server is asked");
    print $next $good;
    answer($socket, 200, "$word: and takes it");
    only($word, "[error] jelou: redis takes no commands: $word");

    $socket = sent('group');
    is((command($next))[0], 'EVALSHA', "$word: who took it is asked first");
    print $next $good;
    answer($socket, 200, "$word: and takes the next");
    ok(quiet($c), "$word: the other one is left alone");

    # until it does not take it any more, and the first one does

    $socket = sent('group');
    command($next);
    print $next "-READONLY x\r\n";
    command($c);
    print $c $good;
    answer($socket, 200, "$word: back again");

    close $_ for $c, $next;
    pause();
}

{
    my ($socket, $c) = group('group', "-READONLY x\r\n");
    my ($next) = greeted('group', $second);

    command($next);
    print $next "-READONLY x\r\n";
    answer($socket, 500, 'no server takes it');
    close $_ for $c, $next;
    pause();
}

# Other words, and what is lost: once more at most, and only if it can be

for my $reply ("-OOM x\r\n", "+OK\r\n") {
    my ($socket, $c) = group('once', $reply);

    answer($socket, 500, 'once: ' . $reply =~ s/\r\n//r);
    ok(!wait_for($second, 0), 'once: the next server is not asked');
    close $c;
    pause();
}

{
    my ($socket, $c) = group('once');

    close $c;
    answer($socket, 500, 'once: the end');
    ok(!wait_for($second, 0.05) && !wait_for($fake, 0.05), 'once: and no more');
}

# A server that refuses connections

{
    my $socket = sent('down');
    my ($c) = greeted('down', $second);

    for (1 .. 2) {
        $socket = sent('down') if $_ == 2;
        command($c);
        print $c $good;
        answer($socket, 200, 'the next server, if one is down');
    }

    close $c;
    pause();
}


# A reload: what is in flight is answered, on the connection that it has

{
    my ($socket, $c) = begin('script');
    my @old = $nginx->reload(0);

    $nginx->wait_for('the workers are told', sub { $nginx->log =~ /gracefully shutting/ });
    sleep 0.3;
    print $c $good;
    answer($socket, 200, 'a reload');
    $nginx->wait_for('the old workers are gone', sub { $nginx->reloaded(@old) });
    ok(closed($c), 'a reload: then it is closed');
    close $c;

    ($socket, $c) = begin('script');
    print $c $good;
    answer($socket, 200, 'the new ones have one of their own');
    close $socket;

    my $began = time;
    $nginx->reload;
    cmp_ok(time - $began, '<', 3, 'one that is idle does not keep a worker');
    close $c;
}


# And nothing of an event, or of the password, has been logged.

unlike($nginx->log, qr/the-text|a-password|a-user/, 'no secret in the log');

my @access = split /\n/, Jelou::Server::slurp("$Jelou::Dir/$Jelou::Name.access");

like($access[0], qr{^/plain 127\.0\.0\.1:\d+ 200 \d\.\d\d\d$}, 'the access log');

$nginx->stop;
