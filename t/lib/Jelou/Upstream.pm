package Jelou::Upstream;

# The application behind nginx, for the tests: one process that listens for
# HTTP, FastCGI, SCGI and uwsgi requests, writes down each one whole before it
# is answered, and answers as the test block wants.  See Jelou.pm.

use strict;
use warnings;

use HTTP::Status qw(status_message);
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Storable qw(nstore retrieve);
use Time::HiRes qw(sleep time);

my $hangs = 0;                      # how many requests have been left to hang

my %parse = (
    http => \&parse_http, fastcgi => \&parse_fastcgi,
    scgi => \&parse_scgi, uwsgi   => \&parse_uwsgi,
);


# start(FILE, PROTOCOL => PORT, ...): requests are appended to FILE, answers
# are read from FILE.answers

sub start {
    my ($class, $file, %ports) = @_;

    my %listen;

    for my $protocol (keys %ports) {
        my $socket;

        # another test, run from another directory, may be looking just now
        # whether the port is free

        for my $try (1 .. 20) {
            $socket = IO::Socket::INET->new(
                LocalAddr => '127.0.0.1', LocalPort => $ports{$protocol},
                Proto => 'tcp', Listen => 64, ReuseAddr => 1,
            ) and last;

            select undef, undef, undef, 0.1;
        }

        die "upstream: port $ports{$protocol}: $!\n" unless $socket;

        $listen{fileno $socket} = [$socket, $protocol];
    }

    pipe my $alive, my $parent or die "pipe: $!\n";

    my $self = bless {
        file => $file, listen => \%listen, generation => 0,
    }, $class;

    $self->expect;

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        close $parent;
        $SIG{PIPE} = 'IGNORE';
        $SIG{$_} = sub { POSIX::_exit(0) } for qw(HUP INT TERM);
        eval { $self->serve($alive) };
        print STDERR "upstream: $@" if $@;
        POSIX::_exit(1);
    }

    # The process ends with this handle, however the test ends.

    @$self{qw(pid parent)} = ($pid, $parent);
    delete $self->{listen};

    return $self;
}


sub stop {
    my $self = shift;

    my $pid = delete $self->{pid} or return;

    kill TERM => $pid;
    waitpid $pid, 0;
}


# expect(ANSWER, ...): forgets what has arrived, and answers with these from
# now on, the last one over and over

sub expect {
    my ($self, @answers) = @_;

    my $file = $self->{file};

    nstore [++$self->{generation}, @answers ? @answers : 200], "$file.new";
    rename "$file.new", "$file.answers" or die "$file.answers: $!\n";

    open my $out, '>', $file or die "$file: $!\n";
}


# hang_up(COUNT): ends the connections of as many requests that hang, the oldest
# first; of all without COUNT

sub hang_up {
    my ($self, $count) = @_;

    syswrite $self->{parent}, pack 'N', $count // ~0;
}


# requests(COUNT): what has arrived, a list of { protocol, head, body }; waits
# for COUNT of them, not longer than two seconds

sub requests {
    my ($self, $count) = @_;

    my (@requests, $until);

    $until = time + 2;

    while (1) {
        open my $in, '<:raw', $self->{file} or die "$self->{file}: $!\n";
        my $data = do { local $/; <$in> } // '';
        @requests = ();

        while (length $data >= 4) {
            my $length = unpack 'N', $data;
            last if length $data < 4 + $length;

            my %request;
            @request{qw(protocol head body)} =
                unpack '(N/a*)3', substr $data, 4, $length;
            push @requests, \%request;
            substr $data, 0, 4 + $length, '';
        }

        return @requests if @requests >= $count || time > $until;
        sleep 0.01;
    }
}


sub serve {
    my ($self, $alive) = @_;

    my $listen = $self->{listen};
    my $select = IO::Select->new($alive, map { $_->[0] } values %$listen);
    my %clients;

    while (1) {
        my @due = map { $_->{due} // () } values %clients;
        my ($next) = sort { $a <=> $b } @due;
        my $wait = defined $next ? $next - time : undef;

        for my $socket ($select->can_read($wait && $wait < 0 ? 0 : $wait)) {
            if ($socket == $alive) {
                sysread($alive, my $count, 4) or POSIX::_exit(0);
                hang_up_on($select, \%clients, unpack 'N', $count);
                next;
            }

            if (my $l = $listen->{fileno $socket}) {
                my $client = $l->[0]->accept or next;
                my $c = { socket => $client, protocol => $l->[1], buf => '' };

                $select->add($client);
                $clients{fileno $client} = $c;

                if (($self->answer(0) // '') eq 'refuse') {
                    $self->answer(1);
                    drop($select, \%clients, $c, 1);
                }

                next;
            }

            my $c = $clients{fileno $socket};
            my $n = sysread $socket, $c->{buf}, 65536, length $c->{buf};

            if (!$n) {
                $self->record($c, "incomplete\r\n", $c->{buf})
                    if $c->{buf} ne '';
                drop($select, \%clients, $c);
                next;
            }

            $self->request($select, \%clients, $c);
        }

        for my $c (my @clients = values %clients) {
            next unless $c->{due} && $c->{due} <= time;
            my $answer = delete $c->{held};
            delete $c->{due};
            reply($select, \%clients, $c, $answer);
        }
    }
}


# One request may be all there is in the buffer, or not yet.  Requests are not
# pipelined by nginx.

sub request {
    my ($self, $select, $clients, $c) = @_;

    my ($head, $body) = $parse{$c->{protocol}}->($c) or return;
    return unless defined $head;

    $self->record($c, $head, $body);
    $c->{buf} = '';
    $c->{close} = $head =~ /^Connection: close\r?$/mi
                  || $head =~ m{^\S+ \S+ HTTP/1\.0\r?$}m;

    my $answer = $self->answer(1);

    if ($answer =~ s/^delay ([\d.]+)\s*//) {
        @$c{qw(due held)} = (time + $1, $answer eq '' ? 200 : $answer);

    } else {
        reply($select, $clients, $c, $answer);
    }
}


sub record {
    my ($self, $c, $head, $body) = @_;

    open my $out, '>>:raw', $self->{file} or die "$self->{file}: $!\n";
    syswrite $out, pack 'N/a*',
        pack '(N/a*)3', $c->{protocol}, $head, $body;
}


# answer(TAKE): the one whose turn it is

sub answer {
    my ($self, $take) = @_;

    my ($generation, @answers) = @{ retrieve "$self->{file}.answers" };

    @$self{qw(generation taken)} = ($generation, 0)
        if $generation != $self->{generation} || !defined $self->{taken};

    my $i = $self->{taken} < $#answers ? $self->{taken} : $#answers;
    $self->{taken}++ if $take;

    return $answers[$i];
}


sub reply {
    my ($select, $clients, $c, $answer) = @_;

    if ($answer eq 'hang') {
        $c->{hangs} = ++$hangs;
        return;
    }

    return drop($select, $clients, $c) if $answer eq 'close';
    return drop($select, $clients, $c, 1) if $answer eq 'reset';

    if ($answer =~ m{^HTTP/}) {
        send_all($c->{socket}, $answer);
        return drop($select, $clients, $c);
    }

    # STATUS [REASON], header lines, an empty line, the body

    my ($top, $body) = split /\r?\n\r?\n/, $answer, 2;
    my ($line, @headers) = split /\r?\n/, $top;
    my ($status, $reason) = split ' ', $line, 2;

    die "no such answer: $answer\n" unless $status =~ /^\d{3}$/;

    my $has_body = $status != 204 && $status != 304;

    $reason //= status_message($status) // 'Unknown';
    $body   //= $has_body ? qq({"upstream":$status}) : '';

    unshift @headers, 'Content-Type: application/x-upstream'
        unless grep { /^Content-Type:/i } @headers;
    push @headers, 'X-Upstream: leak', 'Set-Cookie: upstream=leak';
    push @headers, 'Content-Length: ' . length $body
        if $has_body && !grep { /^Content-Length:/i } @headers;

    my $http = $c->{protocol} eq 'http';

    push @headers, 'Connection: close' if $http && $c->{close};

    my $data = join "\r\n",
        ($http ? 'HTTP/1.1 ' : 'Status: ') . "$status $reason",
        @headers, '', $body;

    if ($c->{protocol} eq 'fastcgi') {
        my $out = '';

        $out .= pack 'CCnnCxa*', 1, 6, 1, length $_, 0, $_
            for unpack('(a60000)*', $data), '';
        $data = $out . pack 'CCnnCxNx4', 1, 3, 1, 8, 0, 0;
    }

    send_all($c->{socket}, $data);

    # A body shorter than its Content-Length ends with the connection.

    drop($select, $clients, $c) if !$http || $c->{close}
        || grep { /^Content-Length: (\d+)/i && $1 > length $body } @headers;
}


sub send_all {
    my ($socket, $data) = @_;

    while (length $data) {
        my $n = syswrite $socket, $data or last;
        substr $data, 0, $n, '';
    }
}


sub hang_up_on {
    my ($select, $clients, $count) = @_;

    my @hang = sort { $a->{hangs} <=> $b->{hangs} }
               grep { $_->{hangs} } values %$clients;

    splice @hang, $count if @hang > $count;
    drop($select, $clients, $_) for @hang;
}


# With $reset, by RST

sub drop {
    my ($select, $clients, $c, $reset) = @_;

    my $socket = $c->{socket};

    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $reset;
    $select->remove($socket);
    delete $clients->{fileno $socket};
    close $socket;
}


# Each parser returns nothing before the request is complete, and then its
# head, as lines, and its body.

sub parse_http {
    my $c = shift;

    my $end = index $c->{buf}, "\r\n\r\n";
    return if $end < 0;

    my $head = substr $c->{buf}, 0, $end + 2;
    my $rest = substr $c->{buf}, $end + 4;

    if ($head =~ /^Transfer-Encoding: chunked\r$/mi) {
        my $body = '';

        while ($rest =~ s/^([0-9a-f]+)\r\n//i) {
            my $size = hex $1;
            return if length $rest < $size + 2;
            $body .= substr $rest, 0, $size;
            substr $rest, 0, $size + 2, '';
            return ($head, $body) if $size == 0;
        }

        return;
    }

    my $length = $head =~ /^Content-Length: (\d+)\r$/mi ? $1 : 0;
    return if length $rest < $length;

    # More than was announced is to be seen in the test.

    return ($head, $rest);
}


sub parse_fastcgi {
    my $c = shift;

    my ($buf, $params, $body) = ($c->{buf}, '', '');

    while (length $buf >= 8) {
        my ($type, $length, $padding) = unpack 'xCxxnC', $buf;
        return if length $buf < 8 + $length + $padding;

        my $data = substr $buf, 8, $length;
        substr $buf, 0, 8 + $length + $padding, '';

        $params .= $data if $type == 4;
        $body   .= $data if $type == 5;
        next if $type != 5 || $length > 0;

        my $head = '';

        while ($params ne '') {
            my @length;

            for (0, 1) {
                my $long = 0x80 & ord $params;
                push @length,
                     0x7fffffff & unpack $long ? 'N' : 'C', $params;
                substr $params, 0, $long ? 4 : 1, '';
            }

            my ($name, $value) = unpack "a$length[0] a$length[1]", $params;
            substr $params, 0, $length[0] + $length[1], '';
            $head .= "$name: $value\r\n";
        }

        return ($head, $body);
    }

    return;
}


sub parse_scgi {
    my $c = shift;

    my ($length) = $c->{buf} =~ /^(\d+):/ or return;
    my $start = 1 + length $length;
    return if length $c->{buf} < $start + $length + 1;

    my %vars = unpack '(Z*)*', substr $c->{buf}, $start, $length;
    my $body = substr $c->{buf}, $start + $length + 1;

    return cgi($body, %vars);
}


sub parse_uwsgi {
    my $c = shift;

    return if length $c->{buf} < 4;

    my $size = unpack 'xv', $c->{buf};
    return if length $c->{buf} < 4 + $size;

    return cgi(substr($c->{buf}, 4 + $size),
               unpack '(v/a*)*', substr $c->{buf}, 4, $size);
}


sub cgi {
    my ($body, %vars) = @_;

    return if length $body < ($vars{CONTENT_LENGTH} || 0);

    return (join('', map { "$_: $vars{$_}\r\n" } sort keys %vars), $body);
}


1;
