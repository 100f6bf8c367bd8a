# A server that answers slowly, in pieces, wrongly or not at all: whatever it
# does, an event is accepted only after a reply that is whole and right, and the
# log says once why it was not.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Server;

use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF SO_LINGER);
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
    plain  => '',
    script => 'jelou_redis_dedup 1h;',
    all    => 'jelou_redis_dedup 1h;',          # with AUTH and SELECT
    small  => 'jelou_redis_buffer_size 64; jelou_redis_dedup 1h;',
    timely => 'jelou_redis_read_timeout 200ms; jelou_redis_dedup 1h;',
    page   => 'error_page 502 504 /teapot;',
    then   => 'error_page 502 = /after;',
    group  => 'jelou_redis_dedup 1h;',
    stay   => 'jelou_redis_next_upstream off;',
    insist => 'jelou_redis_next_upstream error timeout invalid_response
               non_idempotent;',
    twice  => 'jelou_redis_next_upstream_tries 1;',
    down   => '',
);

my %pass = (all => 'authenticated',
            map({ $_ => 'group' } qw(group stay insist twice)), down => 'down');

my $locations = join '', map {
    "location = /$_ {\njelou_endpoint incoming_message;\n"
    . 'jelou_redis_pass ' . ($pass{$_} // 'queue') . ";\n$location{$_}\n"
    . ($_ eq 'all' ? "jelou_redis_auth_file $auth;\njelou_redis_db 3;\n" : '')
    . "}\n"
} sort keys %location;

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
upstream queue {
    server     127.0.0.1:$Jelou::Port{PORT_1};
    keepalive  4;
}
upstream authenticated {
    server     127.0.0.1:$Jelou::Port{PORT_1};
    keepalive  4;
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

    jelou_secret          "$Jelou::Secret";
    client_max_body_size  8m;
    jelou_redis_stream    events;

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

# The reader of a reply has to have looked at one piece before the next is there.

sub pause { sleep 0.005 }

# sent(PATH, OPTIONS): a request, and the connection on which its commands are

my $n = 0;

sub sent {
    my ($path, %o) = @_;

    my $body = event(id => '"m-' . ++$n . '"',
                     content => '{"body":"' . ($o{text} // 'the-text') . '"}');

    return Jelou::Load::send_to($port, post($body, path => "/$path"));
}

# ends(SOCKET, STATUS, NAME [, LOG]): what the sender is told, and what is logged

my $logged = 0;

sub log_lines {
    my @lines = map { s/^[\d\/]+ [\d:]+ (\[\w+\]) \S+ (?:\*\d+ )?/$1 /r }
                grep { /\[(?:error|crit|alert|emerg)\]/ }
                split /\n/, substr $nginx->log, $logged;

    $logged = length $nginx->log;

    return map { s/ while .*//r } @lines;
}

sub ends {
    my ($socket, $status, $name, @log) = @_;

    my $answer = Jelou::Load::answer($socket);

    is($answer->{status}, $status, "$name: the status");
    is(Jelou::refusal_error($answer->{body}, 500, 'UPSTREAM_FAILED'), '',
       "$name: the answer") if $status == 500;
    is_deeply([log_lines()], \@log, "$name: the log");

    return $answer;
}

my $id = '1700000000000-0';

my %good = (
    plain  => "\$15\r\n$id\r\n",
    script => "*2\r\n:0\r\n\$15\r\n$id\r\n",
    all    => "+OK\r\n+OK\r\n*2\r\n:0\r\n\$15\r\n$id\r\n",
);

my %commands = (plain => [qw(XADD)], script => [qw(EVALSHA)],
                all => [qw(AUTH SELECT EVALSHA)]);

my $malformed = '[error] jelou: a malformed reply from redis';
my $early     = '[error] upstream prematurely closed connection';
my $failed    = '[error] jelou: UPSTREAM_FAILED: status 502 from the content handler';


# What is sent, and the same on a kept connection

for my $path (qw(plain script all)) {
    my $socket = sent($path);
    my $c      = taken();
    my @words  = map { [command($c)] } @{ $commands{$path} };

    is_deeply([map { $_->[0] } @words], $commands{$path}, "$path: the commands");

    if ($path eq 'all') {
        is_deeply($words[0], [qw(AUTH a-user a-password)], 'user and password');
        is_deeply($words[1], [qw(SELECT 3)], 'the database');
    }

    print $c $good{$path};
    ends($socket, 200, "$path: the first");

    $socket = sent($path);
    @words  = map { [command($c)] } @{ $commands{$path} };

    is_deeply([map { $_->[0] } @words], $commands{$path},
              "$path: the same on a kept connection");

    print $c $good{$path};
    ends($socket, 200, "$path: the second");
    close $c;
}


# begin(PATH): a request whose commands have been read

sub begin {
    my ($path, %o) = @_;

    my $socket = sent($path, %o);
    my $c      = taken();

    command($c) for @{ $commands{$path} // ['one'] };

    return ($socket, $c);
}

for my $path (qw(plain script all)) {
    my $good = $good{$path};

    for my $at (0 .. length($good) - 1) {

        # in two pieces

        my ($socket, $c) = begin($path);

        print $c substr $good, 0, $at;
        pause() if $at;
        print $c substr $good, $at;
        ends($socket, 200, "$path: in pieces, $at");
        close $c;

        # cut off there

        ($socket, $c) = begin($path);

        print $c substr $good, 0, $at;
        pause() if $at;
        close $c;
        ends($socket, 500, "$path: cut off, $at", $early, $failed);

        # with another byte there, be it the end or not

        for my $byte ('!', "\0") {
            ($socket, $c) = begin($path);

            my $bad = $good;
            substr $bad, $at, 1, $byte;

            print $c $bad;
            pause();
            close $c;

            my $answer = Jelou::Load::answer($socket);
            my @log    = log_lines();

            is($answer->{status}, 500, "$path: another byte, $at");
            is("@log[0 .. $#log]",
               $log[0] eq $early ? "$early $failed" : $malformed,
               "$path: another byte, $at: the log");
        }
    }
}


# Whole replies that are none of the script's, nor of XADD's

for my $case (
    [plain => '+OK'], [plain => ':1'], [plain => '$-1'], [plain => '*-1'],
    [plain => '*0'], [plain => "\$0\r\n"], [plain => "\$1\r\n1"],
    [plain => "\$2\r\n1-"], [plain => "\$2\r\n-1"], [plain => "\$4\r\n1-1 "],
    [plain => "+$id"], [plain => "*2\r\n:0\r\n\$15\r\n$id"],
    [plain => "\$200\r\n" . '1' x 100 . '-' . '1' x 99],
    [plain => "\$-2"], [plain => "\$99999999999999999999"], [plain => '%1'],
    [plain => '_'], [plain => "HTTP/1.1 200 OK"],

    [script => "\$15\r\n$id"], [script => '+OK'], [script => '*0'],
    [script => "*1\r\n:0"], [script => "*3\r\n:0\r\n\$15\r\n$id\r\n:0"],
    [script => "*2\r\n\$1\r\n0\r\n\$15\r\n$id"], [script => "*2\r\n:0\r\n:0"],
    [script => "*2\r\n:0\r\n\$-1"], [script => "*2\r\n:0\r\n+$id"],
    [script => "*2\r\n:0\r\n*1\r\n\$15\r\n$id"],
    [script => "*2\r\n*1\r\n:0\r\n\$15\r\n$id"],
    [script => "*2\r\n:0\r\n-OOM"], [script => "*2\r\n-OOM\r\n\$15\r\n$id"],
    [script => "*2\r\n:3\r\n\$15\r\n$id"], [script => "*2\r\n:-1\r\n\$15\r\n$id"],
    [script => "*2\r\n:1\r\n\$15\r\n$id"], [script => "*2\r\n:1\r\n\$0\r\n"],
    [script => "*2\r\n:1\r\n\$64\r\n" . 'a' x 64],
    [script => "*2\r\n:2\r\n\$15\r\n$id"],
    [script => "*2\r\n:1\r\n\$200\r\n" . 'a' x 64 . ' ' . 'a' x 135],
    [script => '*2147483647'], [script => '*-2'],
    [script => "*1\r\n" x 12 . ':0'],

    [all => "+OK\r\n+OK\r\n+OK"], [all => "*2\r\n:0\r\n\$15\r\n$id"],
    [all => "+OK\r\n*2\r\n:0\r\n\$15\r\n$id"],
    [all => "+QUEUED\r\n+OK\r\n*2\r\n:0\r\n\$15\r\n$id"],
    [all => ":0\r\n+OK\r\n*2\r\n:0\r\n\$15\r\n$id"],
    [all => "\$2\r\nOK\r\n+OK\r\n*2\r\n:0\r\n\$15\r\n$id"],

    # right, and something behind it

    [plain => "$good{plain}\$"], [script => "$good{script}+OK"],
) {
    my ($path, $reply) = @$case;

    my ($socket, $c) = begin($path);
    my $name = "$path: " . substr($reply, 0, 40) =~ s/\r\n/ /gr;

    print $c "$reply\r\n";
    pause();

    my $shut = closed($c) || 1;

    close $c;

    my $answer = Jelou::Load::answer($socket);

    is($answer->{status}, 500, "$name: refused");

    my @log = log_lines();
    is_deeply(\@log, $log[0] eq $early ? [$early, $failed] : [$malformed],
              "$name: the log");
}


# Replies that say no.  The rest of an error may have the event in it.

for my $case (
    ['OOM command not allowed', 'OOM'], ['READONLY You cannot', 'READONLY'],
    ['LOADING Redis is', 'LOADING'], ['MOVED 3999 127.0.0.1:6381', 'MOVED'],
    ['NOAUTH Authentication required.', 'NOAUTH'], ['WRONGTYPE x', 'WRONGTYPE'],
    ['ERR unknown command, with args: the-text', 'ERR'], ['ERR', 'ERR'],
    ['the-text', 'an error'], ['', 'an error'], ['NOSCRIPTX', 'NOSCRIPTX'],
    ['A' x 100, 'A' x 24], ["OOM\0the-text", 'OOM'],
) {
    my ($text, $cause) = @$case;

    for my $path (qw(plain script)) {
        my ($socket, $c) = begin($path);

        print $c "-$text\r\n";
        ends($socket, 500, "$path: -" . substr($text, 0, 20),
             '[error] jelou: redis refused '
             . ($path eq 'plain' ? 'XADD' : 'the script') . ": $cause");
        ok(closed($c), 'and the connection is given up');
        close $c;
    }
}

for my $case (["-WRONGPASS x\r\n+OK\r\n$good{script}", 'AUTH: WRONGPASS'],
              ["-WRONGPASS x\r\n-NOAUTH x\r\n-NOAUTH x\r\n", 'AUTH: WRONGPASS'],
              ["+OK\r\n-ERR DB index\r\n$good{script}", 'SELECT: ERR'],
              ["+OK\r\n+OK\r\n-OOM x\r\n", 'the script: OOM'],
              ["-ERR x\r\n+OK\r\n-NOSCRIPT x\r\n", 'AUTH: ERR'])
{
    my ($reply, $log) = @$case;
    my ($socket, $c)  = begin('all');

    print $c $reply;
    ends($socket, 500, "all: $log", "[error] jelou: redis refused $log");
    close $c;
}

my ($socket, $c) = begin('page');
print $c "-OOM x\r\n";
ends($socket, 418, 'a page for 502', '[error] jelou: redis refused XADD: OOM');
close $c;


($socket, $c) = begin('then');
print $c "-OOM x\r\n";
ends($socket, 500, 'an application after it, which is down',
     '[error] jelou: redis refused XADD: OOM',
     '[error] connect() failed (111: Connection refused)', $failed);
close $c;


# No reply, one that is too long, and a connection that is reset

($socket, $c) = begin('timely');
ends($socket, 500, 'a time-out', '[error] upstream timed out (110: Connection timed out)',
     $failed =~ s/502/504/r);
close $c;

($socket, $c) = begin('small');
print $c "*2\r\n:0\r\n\$300\r\n", 'x' x 300, "\r\n";
ends($socket, 500, 'a reply that is too long',
     '[error] upstream sent too big header', $failed);
close $c;

($socket, $c) = begin('small');
print $c '-', 'X' x 300, "\r\n";
ends($socket, 500, 'an error that is too long',
     '[error] upstream sent too big header', $failed);
close $c;

($socket, $c) = begin('plain');
setsockopt $c, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
close $c;
ends($socket, 500, 'a reset',
     '[error] recv() failed (104: Connection reset by peer)', $failed);


# NOSCRIPT: the script follows on the same connection, the event with it.  A
# server that does not read for a while stops the sending half-way.

for my $path (qw(script all)) {
    for my $text ('x', 'x' x 3_000_000) {
        my $name = "$path: NOSCRIPT, " . length($text) . ' bytes';

        my $socket = sent($path, text => $text);
        my $c      = taken();
        my @first  = map { [command($c)] } @{ $commands{$path} };

        print $c $path eq 'all' ? "+OK\r\n+OK\r\n" : '', "-NOSCRIPT no\r\n";
        sleep 0.3 if length $text > 1;

        my @second = command($c);

        is($second[0], 'EVAL', "$name: all of it is sent");
        like($second[1], qr/^local seen = redis.*\nreturn \{0, id\}\n\z/s,
             "$name: the script");
        is_deeply([@second[2 .. $#second]],
                  [@{ $first[-1] }[2 .. $#{ $first[-1] }]],
                  "$name: and the same words");

        print $c $good{script};
        ends($socket, 200, $name);

        $socket = sent($path);
        is((map { (command($c))[0] } @{ $commands{$path} })[-1], 'EVALSHA',
           "$name: once");
        print $c $good{$path};
        ends($socket, 200, "$name: the next one");
        close $c;
    }
}

($socket, $c) = begin('script');
print $c "-NOSCRIPT no\r\n";
command($c);
print $c "-NOSCRIPT no\r\n";
ends($socket, 500, 'NOSCRIPT for ever',
     '[error] jelou: redis refused the script: NOSCRIPT');
close $c;

($socket, $c) = begin('script', text => 'x' x 3_000_000);
print $c "-NOSCRIPT no\r\n";
sleep 0.1;
setsockopt $c, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
close $c;
is(Jelou::Load::answer($socket)->{status}, 500, 'the end while the script is sent');
like((log_lines())[0], qr/^\[error\] .*Connection reset by peer/, 'is a failure');

($socket, $c) = begin('timely');
print $c "-NOSCRIPT no\r\n";
command($c);
ends($socket, 500, 'a time-out after the script',
     '[error] upstream timed out (110: Connection timed out)',
     $failed =~ s/502/504/r);
close $c;


# The sender goes away: the event is in the queue, and the connection is kept.

($socket, $c) = begin('script');
close $socket;
pause();
print $c $good{script};
$socket = sent('script');
is((command($c))[0], 'EVALSHA', 'the connection of a sender who left is kept');
print $c $good{script};
ends($socket, 200, 'and used');
close $c;


# The next server

sub group {
    my ($path, $first) = @_;

    my $socket = sent($path);
    my $c = taken();
    my @words = command($c);

    print $c $first if defined $first;
    close $c;

    return ($socket, @words);
}

for my $word (qw(READONLY LOADING MASTERDOWN CLUSTERDOWN MOVED NOREPLICAS)) {
    my ($socket, @words) = group('group', "-$word x\r\n");
    my $next = taken($second);

    is_deeply([command($next)], \@words, "$word: the next server is asked");
    print $next $good{script};
    ends($socket, 200, "$word: and takes it",
         "[error] jelou: redis refused the script: $word");
    close $next;
}

# NOSCRIPT here as well, and a server that breaks off after that

{
    my ($socket, @words) = group('group', "-READONLY x\r\n");
    my $next = taken($second);

    command($next);
    print $next "-NOSCRIPT x\r\n";
    is((command($next))[0], 'EVAL', 'the next server gets the script');
    print $next $good{script};
    ends($socket, 200, 'and takes it',
         '[error] jelou: redis refused the script: READONLY');
    close $next;
}

{
    my ($socket, @words) = group('group', "-READONLY x\r\n");
    my $next = taken($second);

    command($next);
    print $next "-READONLY x\r\n";
    ends($socket, 500, 'no server takes it',
         ('[error] jelou: redis refused the script: READONLY') x 2);
    close $next;
}

for my $case ([group => "-OOM x\r\n", '[error] jelou: redis refused the script: OOM'],
              [group => "+OK\r\n", $malformed],
              [group => undef, $early, $failed],
              [stay => "-READONLY x\r\n", '[error] jelou: redis refused XADD: READONLY'],
              [twice => "-READONLY x\r\n", '[error] jelou: redis refused XADD: READONLY'])
{
    my ($path, $reply, @log) = @$case;
    my ($socket) = group($path, $reply);

    ends($socket, 500, "$path: " . ($reply // 'the end') =~ s/\s+\z//r, @log);
    ok(!wait_for($second, 0), 'and the next server is not asked');
}

for my $reply (undef, "+OK\r\n") {
    my ($socket) = group('insist', $reply);
    my $next = taken($second);

    command($next);
    print $next $good{plain};
    ends($socket, 200, 'the next server, if that is wanted',
         defined $reply ? $malformed : $early);
    close $next;
}

for (1 .. 2) {
    my $socket = sent('down');
    my $next   = taken($second);

    command($next);
    print $next $good{plain};

    is(Jelou::Load::answer($socket)->{status}, 200, 'the next server, if one is down');
    log_lines();
    close $next;
}

# And nothing of an event, or of the password, has been logged.

unlike($nginx->log, qr/the-text|a-password|a-user/, 'no secret in the log');

$nginx->stop;
