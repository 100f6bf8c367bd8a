# What an application does wrong while it is talked to: it answers byte by byte,
# without end, before it has read the event, or more than it was asked; it stops
# to read, or ends half-way.  A sender's 200 is one that the application has
# given to this very event, and all else is delivered when it is sent again.

use strict;
use warnings;

use lib 't/lib';

use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Messages;
use Jelou::Server;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER SO_RCVBUF);
use Test::More;
use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};
my $file = "$Jelou::Dir/$Jelou::Name.arrived";

my $yes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";


# The application.  Of a connection's first request the header X-Do names what is
# done; what is read whole is written down.

sub record {
    my ($body) = @_;

    open my $out, '>>', $file or die "$file: $!\n";
    syswrite $out, number($body) . "\n";
}

# read_request(SOCKET, BUFFER): the header, and the body, if all of it is wanted

sub read_head {
    my ($s, $buf) = @_;

    while ($$buf !~ /\r\n\r\n/) {
        return if !sysread $s, $$buf, 200, length $$buf;
    }

    return $$buf =~ s/\A(.*?\r\n)\r\n//s ? $1 : die "no header\n";
}

sub read_body {
    my ($s, $buf, $head) = @_;

    my ($length) = $head =~ /^Content-Length: (\d+)\r$/m or die "no length\n";

    while (length $$buf < $length) {
        return if !sysread $s, $$buf, 65536, length $$buf;
    }

    record(substr $$buf, 0, $length, '');

    return 1;
}

sub skip_body {
    my ($s, $buf, $head) = @_;

    my ($length) = $head =~ /^Content-Length: (\d+)\r$/m;
    my $skipped  = length $$buf;

    # the next request may be right behind it

    while ($skipped < $length) {
        my $rest = $length - $skipped;
        $skipped += sysread($s, $$buf, $rest < 65536 ? $rest : 65536) || return;
    }

    $$buf = '';

    return 1;
}

sub say_slowly {
    my ($s, $what, $each) = @_;

    for my $byte (split //, $what) {
        syswrite $s, $byte or return;
        select undef, undef, undef, $each;
    }
}

sub reset_it {
    my $s = shift;

    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
}

# Each returns true if the connection goes on.

my %do = (
    '' => sub { my ($s, @r) = @_; read_body($s, @r) && syswrite $s, $yes },

    'byte by byte' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        say_slowly($s, $yes, 0.002);
        return 1;
    },

    'chunks byte by byte' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        say_slowly($s, "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n"
                       . "\r\n1\r\na\r\n02;x\r\nbc\r\n0\r\nX: y\r\n\r\n", 0.002);
        return 1;
    },

    'a failure byte by byte' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        say_slowly($s, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 0.002);
        return 1;
    },

    # nginx waits for the next byte only as long as proxy_read_timeout

    'a byte now and then' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        say_slowly($s, "HTTP/1.1 ", 0.05);
        sleep 1.5;
        return 0;
    },

    # a body without an end: with a length, with chunks, and with none

    (map {
        my $framing = $_;

        ("an endless answer, $framing" => sub {
            my ($s, @r) = @_;
            my $piece = 'x' x 65536;
            my $until = time + 6;

            read_body($s, @r);

            syswrite $s, "HTTP/1.1 200 OK\r\n"
                . { 'a length' => "Content-Length: 9999999999999\r\n",
                    'chunks'   => "Transfer-Encoding: chunked\r\n",
                    'no length' => "Connection: close\r\n" }->{$framing} . "\r\n";

            $piece = "10000\r\n$piece\r\n" if $framing eq 'chunks';

            while (time < $until) {
                syswrite $s, $piece or return 0;
                select undef, undef, undef, 0.001;
            }

            return 0;
        });
    } 'a length', 'chunks', 'no length'),

    # answers before the event was read

    'a refusal before the body' => sub {
        my ($s, $buf) = @_;
        syswrite $s, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n"
                     . "Connection: close\r\n\r\n";
        sleep 0.3;
        return 0;
    },

    'a refusal before the body, and a connection that goes on' => sub {
        my ($s, $buf, $head) = @_;
        syswrite $s, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
        return skip_body($s, $buf, $head);
    },

    'a failure before the body, and a reset' => sub {
        my ($s, $buf) = @_;
        syswrite $s, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n"
                     . "Connection: close\r\n\r\n";
        sleep 0.05;
        reset_it($s);
        return 0;
    },

    # reads a part, and no more

    (map {
        my $part = $_;

        ("stops to read after $part bytes" => sub {
            my ($s, $buf) = @_;
            my $n;
            $$buf = '', $n += $_ while ($n // 0) < $part
                                       && ($_ = sysread $s, $$buf, 100);
            sleep 1.5;
            return 0;
        },

        "ends after $part bytes" => sub {
            my ($s, $buf) = @_;
            my $n;
            $$buf = '', $n += $_ while ($n // 0) < $part
                                       && ($_ = sysread $s, $$buf, 100);
            reset_it($s);
            return 0;
        });
    } 0, 1000, 100_000),

    # more than was asked: the next event must not have this for its answer

    'an answer too many' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, "$yes$yes";
        return 1;
    },

    'an answer too many, and late' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, $yes;
        sleep 0.05;
        syswrite $s, $yes;
        return 1;
    },

    'an answer too many, behind one without a body' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, "HTTP/1.1 204 No Content\r\n\r\n$yes";
        return 1;
    },

    'two answers for a refusal' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n$yes";
        return 1;
    },

    'a chunked answer, and one more' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     . "1\r\na\r\n0\r\n\r\n$yes";
        return 1;
    },

    # headers that no one can read

    'a header line without an end' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, "HTTP/1.1 200 OK\r\nX: " . 'x' x 100_000;
        return 0;
    },

    'very many header lines' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, "HTTP/1.1 200 OK\r\n" . "X: y\r\n" x 20_000
                     . "Content-Length: 0\r\n\r\n";
        return 0;
    },

    'a status that is none' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n";
        return 0;
    },

    'a length that is none' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n";
        sleep 1;
        return 0;
    },

    'a chunk that is too large' => sub {
        my ($s, @r) = @_;
        read_body($s, @r);
        syswrite $s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     . "fffffffffffffffff\r\nx\r\n0\r\n\r\n";
        sleep 1;
        return 0;
    },
);


# One process a connection, each with an end of its own.

my $listen = Jelou::free_port($Jelou::Port{APP}) or die "listen: $!\n";
my $server = fork // die "fork: $!\n";

if ($server == 0) {
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
    alarm 60;

    while (my $s = $listen->accept) {
        my $pid = fork // die "fork: $!\n";
        next if $pid;

        alarm 60;
        setsockopt $s, SOL_SOCKET, SO_RCVBUF, 65536;

        my $buf = '';

        while (defined(my $head = read_head($s, \$buf))) {
            my $do = $head =~ /^X-Do: (.*)\r$/m ? $1 : '';

            last if !$do{$do}->($s, \$buf, $head);
        }

        close $s;
        POSIX::_exit(0);
    }

    POSIX::_exit(0);
}

close $listen;

END {
    local $?;

    if ($server) {
        kill TERM => $server;
        waitpid $server, 0;
    }
}


my $nginx = Jelou::Server->start(name => 'front', level => 'error', http => <<"END");
jelou_dedup_zone  zone=seen:1m;

upstream app {
    server     127.0.0.1:$Jelou::Port{APP} max_fails=0;
    keepalive  8;
}

server {
    listen  127.0.0.1:$port;

    client_body_buffer_size  1k;
    client_max_body_size     2m;
    jelou_secret             "$Jelou::Secret";
    jelou_dedup              zone=seen;

    proxy_http_version       1.1;
    proxy_set_header         Connection "";
    proxy_read_timeout       700ms;
    proxy_send_timeout       700ms;
    proxy_buffer_size        4k;

    location /buffered {
        jelou_endpoint  message;
        proxy_pass      http://app;
    }
    location /unbuffered {
        jelou_endpoint   message;
        proxy_buffering  off;
        proxy_pass       http://app;
    }
}
END

my ($worker) = $nginx->workers;
my $number   = 0;

sub records { return -e $file ? split /\n/, Jelou::Server::slurp($file) : () }

sub memory {
    return Jelou::Server::slurp("/proc/$worker/status") =~ /^VmRSS:\s+(\d+)/m;
}

sub files {
    return grep { readlink($_) // '' } glob "/proc/$worker/fd/*";
}

# the body is larger than all that sockets hold

my $padding = 'x' x 1_500_000;
my $large   = sub { $_[0] =~ s/"B"/"$padding"/r };

# What a sender sees, and whether the application has had the event by then

my %want = (
    'byte by byte'        => ['200', 1],
    'chunks byte by byte' => ['200', 1],
    'a failure byte by byte' => ['500 UPSTREAM_FAILED', 1],
    'a byte now and then' => ['500 UPSTREAM_FAILED', 1],

    'a refusal before the body' => ['413 UPSTREAM_REJECTED|500 UPSTREAM_FAILED', 0],
    'a refusal before the body, and a connection that goes on' =>
        ['413 UPSTREAM_REJECTED', 0],
    'a failure before the body, and a reset' => ['500 UPSTREAM_FAILED', 0],

    (map { ($_ => ['500 UPSTREAM_FAILED', 0]) } grep { /bytes$/ } keys %do),

    (map { ($_ => ['200', 1]) } grep { /too many|chunked answer/ } keys %do),
    'two answers for a refusal' => ['404 UPSTREAM_REJECTED', 1],

    (map { ($_ => ['500 UPSTREAM_FAILED', 1]) }
         'a header line without an end', 'very many header lines',
         'a status that is none', 'a length that is none',
         'a chunk that is too large'),
);

for my $path ('/buffered', '/unbuffered') {
    for my $do (sort keys %want) {
        my ($want, $arrives) = @{ $want{$do} };
        my $id   = ++$number;
        my $name = "$path, $do";

        my @change = $arrives ? () : (change => $large);
        my ($bad, $good) = map {
            request('message', $id, $path, @change, headers => $_)
        } ["X-Do: $do"], [];

        unlink $file;

        like(verdict(ask($port, $bad)), qr/^(?:$want)$/, $name);

        my @records = records();
        is("@records", $arrives ? $id : '', "$name: what was read");

        # Others are not hurt: their answers are their own.  One that comes when
        # nobody waits for it is too late to be anybody's.

        sleep 0.15 if $do =~ /late/;

        my @others = map { ++$number } 1 .. 3;

        my @said = map { verdict(ask($port, request('message', $_, $path))) } @others;
        is("@said", '200 200 200', "$name: other events");

        # and then again

        my $again = verdict(ask($port, $good));

        is($again, $want eq '200' ? '200 replayed' : 200, "$name: once more");
        is(join(' ', records()),
           join(' ', @records, @others, $want eq '200' ? () : $id),
           "$name: what the application has");
    }

    # An answer without an end has as long as nginx waits for a piece of it.  It
    # takes neither memory nor a file.

    for my $do (sort grep { /endless/ } keys %do) {
        my $id     = ++$number;
        my $name   = "$path, $do";
        my $before = memory();

        unlink $file;

        my $socket = Jelou::Load::send_to($port,
            request('message', $id, $path, headers => ["X-Do: $do"]));

        like(read_all($socket, 0.4), qr/^ \(and no end\)$/,
             "$name: the sender waits");
        is(scalar(grep { (readlink($_) // '') =~ m{/temp} } files()), 0,
           "$name: no file is written");
        is(verdict(read_all($socket, 3)), '500 UPSTREAM_FAILED',
           "$name: in the end it is told");
        is(verdict(ask($port, request('message', $id, $path))), 200,
           "$name: and sends again");
        is(join(' ', records()), "$id $id", "$name: what the application has");
        cmp_ok(memory() - $before, '<', 16384, "$name: memory");
    }
}

is_deeply([$nginx->workers], [$worker], 'the worker goes on');

$nginx->stop;
