package Jelou::Composition::Client;

# A sender: one request, in HTTP/1.0 or 1.1, in HTTP/2 or in HTTP/3.
#
#     my $answer = ask('h1', $port, $raw);
#
# An answer is { status, head, headers => { NAME => [VALUE, ...] }, body, whole,
# early, raw }: whole, if it ended as it had announced; early, what came before it
# (103); nothing but { none => WHY } if there is none.  In HTTP/2 and 3 the connection
# is there as long as the answer is: without it nginx gives up what it does besides.

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use Jelou::Composition::Hpack;
use Jelou::Http2;
use Jelou::Http3;
use Jelou::Load;
use Time::HiRes qw(time);

our @EXPORT = qw(ask get);

our $Http3;                     # a Jelou::Http3, if nginx has that
our $Patience = $ENV{JELOU_VALGRIND} ? 60 : 10;


sub ask {
    my ($http, $port, $raw) = @_;

    return $http eq 'h2' ? ask_h2($port, $raw)
         : $http eq 'h3' ? ask_h3($port, $raw)
                         : parse(read_all(Jelou::Load::send_to($port, $raw)));
}

sub get {
    my ($port, $path) = @_;

    return ask('h1', $port,
               "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
}


sub read_all {
    my $socket = shift;

    my $select = IO::Select->new($socket);
    my $until  = time + $Patience;
    my $all    = '';

    while (1) {
        my $wait = $until - time;

        return ($all, 'the connection hangs')
            if $wait <= 0 || !$select->can_read($wait);

        my $n = sysread $socket, $all, 65536, length $all;

        return ($all, "the connection breaks: $!") unless defined $n;
        return $all if $n == 0;
    }
}


sub parse {
    my ($all, $why) = @_;

    my $early = '';

    $early .= $1 while $all =~ s{\A(HTTP/1\.1 1\d\d .*?\r\n\r\n)}{}s;

    return { none => $why // 'the connection ends', raw => $all }
        unless $all =~ m{\A(HTTP/1\.[01] (\d{3}).*?\r\n)\r\n}s;

    my ($head, $status) = ($1, $2);
    my $body   = substr $all, 2 + length $head;
    my $h      = headers($head);
    my $answer = { status => $status, head => $head, headers => $h,
                   raw => "$early$all",
                   early => $early =~ s{^HTTP/1\.1 100 .*?\r\n\r\n}{}sr };

    if ((first($h, 'transfer-encoding') // '') eq 'chunked') {
        @$answer{qw(body whole)} = dechunk($body);

    } elsif (defined(my $length = first($h, 'content-length'))) {
        @$answer{qw(body whole)} = ($body, length $body == $length);

    } else {
        @$answer{qw(body whole)} =
            ($body, !defined $why && ($answer->{status} !~ /^(?:204|304)$/
                                      || $body eq ''));
    }

    $answer->{hangs} = $why if $why && $why =~ /hangs/;

    return $answer;
}

sub headers {
    my $head = shift;

    my %h;

    push @{ $h{lc $1} }, $2 while $head =~ /^([^\s:]+):[ \t]*(.*?)\r?$/mg;

    return \%h;
}

sub first { return ($_[0]{$_[1]} // [])->[0] }

sub dechunk {
    my $rest = shift;

    my $body = '';

    while ($rest =~ s/\A([0-9a-f]+)\r\n//i) {
        my $size = hex $1;

        return ($body, $rest eq "\r\n") if $size == 0;
        return ($body . substr($rest, 0, $size), 0) if length $rest < $size + 2;

        $body .= substr $rest, 0, $size;
        substr $rest, 0, $size + 2, '';
    }

    return ($body, 0);
}


# HTTP/2 without TLS.  The header that ends the stream or comes before data is the
# answer's; another one before it is early.

sub ask_h2 {
    my ($port, $raw) = @_;

    my $socket = Jelou::Load::connect_to($port);
    my $select = IO::Select->new($socket);
    my $until  = time + $Patience;
    my $answer = { body => '', early => '', raw => '', socket => $socket };
    my $buffer = '';

    # room for all there is to come, of each stream and of the connection

    Jelou::Load::send_all($socket, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . Jelou::Http2::frame(4, 0, 0, pack 'nN', 4, 1 << 30)
        . Jelou::Http2::frame(8, 0, 0, pack 'N', 1 << 30)
        . step(post => 1, plain($raw)));

    until ($answer->{end}) {
        my $wait = $until - time;

        $answer->{hangs} = 'the stream hangs', last
            if $wait <= 0 || !$select->can_read($wait);

        sysread $socket, $buffer, 65536, length $buffer or last;

        while (length $buffer >= 9) {
            my ($first, $flags, $stream) = unpack 'NCN', $buffer;
            my $length = $first >> 8;

            last if length $buffer < 9 + $length;

            my $payload = substr $buffer, 9, $length;
            substr $buffer, 0, 9 + $length, '';

            read_frame($answer, $first & 255, $flags, $payload)
                if $stream == 1 && !$answer->{end};
        }
    }

    return { none => $answer->{hangs} // $answer->{why}
                     // 'the connection ends', raw => $answer->{raw} }
        unless $answer->{status};

    return $answer;
}

sub plain {
    my $raw = shift;

    my ($head, $body) = split /(?<=\r\n\r\n)/, $raw, 2;

    ($body) = dechunk($body)
        if $head =~ s/^Transfer-Encoding: chunked\r\n//mi;

    return $head . $body;
}

sub read_frame {
    my ($answer, $type, $flags, $payload) = @_;

    if ($type == 1) {
        my $text = join '', map { "$_->[0]: $_->[1]\r\n" } fields($payload);

        $answer->{raw} .= "$text\r\n";

        if ($text =~ /^:status: 1/) {
            $answer->{early} .= $text;
            return;
        }

        ($answer->{status}) = $text =~ s/^:status: (\d{3})\r\n// ? $1 : '';
        @$answer{qw(head headers)} = ($text, headers($text));

    } elsif ($type == 0) {
        $answer->{body} .= $payload;
        $answer->{raw}  .= $payload;

    } elsif ($type == 3) {
        @$answer{qw(end why)} = (1, 'the stream is reset');
        return;
    }

    @$answer{qw(end whole)} = (1, whole($answer)) if $type < 2 && $flags & 1;

    return;
}

sub whole {
    my $answer = shift;

    my $length = first($answer->{headers}, 'content-length');

    return !defined $length || $length == length $answer->{body}
           || $answer->{status} eq '304';
}


# HTTP/3, by a program

sub ask_h3 {
    my ($port, $raw) = @_;

    my $got = $Http3->ask($port, plain($raw), $Patience);

    my ($end, $why) = $got->{end} =~ /^(end|reset|none) ?(.*)/;
    my @heads = @{ $got->{heads} };
    my $text  = join '', map { "$_\r\n" } @heads;
    my $early = '';

    $early .= shift @heads while @heads && $heads[0] =~ m{^HTTP/3 1};

    return { none => $why || 'the stream is reset', raw => $text } unless @heads;

    my ($status, $head) = $heads[0] =~ m{^HTTP/3 (\d{3})\r\n(.*)}s;
    my $answer = { status => $status, head => $head, headers => headers($head),
                   body => $got->{body}, early => $early, connection => $got,
                   raw => "$text$got->{body}" };

    $answer->{whole} = $end eq 'end' && whole($answer);
    $answer->{hangs} = $why if $why =~ /hangs/;

    return $answer;
}


1;
