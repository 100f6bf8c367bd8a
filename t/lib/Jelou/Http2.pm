package Jelou::Http2;

# HTTP/2 frame by frame, without TLS, where half a request is what matters.
#
#     syswrite $socket, preface();
#     syswrite $socket, step(post => 1, post(...));
#     my $stream = read_stream($socket, \$buffer, \%streams, 1);
#
# Steps are
#
#     post => STREAM, post(...)      this request
#     headers => STREAM, post(...)   its header, the stream stays open
#     fields => STREAM, [NAME, VALUE]...   a header of one's own
#     data => STREAM, BYTES
#     end => STREAM
#     reset => STREAM
#
# A stream is { headers, data, end }: headers as they are, packed; end is 1, or
# "reset".

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use Jelou ();

our @EXPORT = qw(preface step read_stream status status_of listen_http2);


# listen_http2(PORT, MORE): the directives for it, by release

sub listen_http2 {
    my ($port, $more) = @_;

    $more //= '';

    my ($major, $minor, $patch) =
        `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ m{nginx/(\d+)\.(\d+)\.(\d+)};

    return $major * 1e6 + $minor * 1e3 + $patch < 1_025_001
           ? "listen 127.0.0.1:$port $more http2;"
           : "listen 127.0.0.1:$port $more; http2 on;";
}


sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return pack('NCN', length($payload) << 8 | $type, $flags, $stream)
           . $payload;
}

sub field {
    my ($name, $value) = @_;

    return pack 'C(C/a*)2', 0, $name, $value;
}

# header_block(REQUEST): of a request in HTTP/1

sub header_block {
    my ($head) = shift =~ /^(.*?)\r\n\r\n/s;
    my ($line, @headers) = split /\r\n/, $head;
    my ($method, $path) = split ' ', $line;

    return join '', field(':method', $method), field(':scheme', 'http'),
        field(':path', $path), field(':authority', 'localhost'),
        map { my ($name, $value) = split /: ?/, $_, 2; field(lc $name, $value) }
        grep { !/^(?:Host|Connection):/ } @headers;
}


sub preface {
    return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '')
           . frame(4, 1, 0, '');
}

my %step = (
    post    => sub {
        my ($stream, $request) = @_;
        my ($head, $body) = split /(?<=\r\n\r\n)/, $request, 2;

        return join '', frame(1, 4, $stream, header_block($head)),
            (map { frame(0, 0, $stream, $_) }
                 Jelou::pieces($body // '', 16_384)),
            frame(0, 1, $stream, '');
    },

    headers => sub { frame(1, 4, $_[0], header_block($_[1])) },
    fields  => sub {
        my $stream = shift;
        return frame(1, 4, $stream, join '', map { field(@$_) } @_);
    },
    data    => sub { frame(0, 0, $_[0], $_[1]) },
    end     => sub { frame(0, 1, $_[0], '') },
    reset   => sub { frame(3, 0, $_[0], pack 'N', 8) },
);

sub step {
    my ($what, @arguments) = @_;

    return $step{$what}->(@arguments);
}


# A status is one of those that HPACK has a number for, or three digits; a
# change of the table's size may come first.

my %indexed = (200 => "\x88", 204 => "\x89", 206 => "\x8a", 304 => "\x8b",
               400 => "\x8c", 404 => "\x8d", 500 => "\x8e");
my %number  = reverse %indexed;

sub status { my $n = $indexed{$_[0]} // ".\x03$_[0]"; qr/\A\x20?$n/s }

sub status_of {
    my $headers = shift;

    $headers =~ s/\A\x20//;

    return $number{substr $headers, 0, 1}
           // ($headers =~ /\A.\x03(\d{3})/s ? $1 : 'none');
}


# read_stream(SOCKET, \BUFFER, \STREAMS, STREAM): this stream, when it has ended;
# nothing if the connection does first, or in five seconds

sub read_stream {
    my ($socket, $buffer, $streams, $stream) = @_;

    my $select = IO::Select->new($socket);

    until ($streams->{$stream}{end}) {
        $select->can_read(5) or return;
        sysread $socket, $$buffer, 65536, length $$buffer or return;

        while (length $$buffer >= 9) {
            my ($first, $flags, $id) = unpack 'NCN', $$buffer;
            my ($length, $type) = ($first >> 8, $first & 0xff);

            last if length $$buffer < 9 + $length;

            my $payload = substr $$buffer, 9, $length;
            substr $$buffer, 0, 9 + $length, '';

            my $s = $streams->{$id} //= { headers => '', data => '' };

            $s->{headers} .= $payload if $type == 1;
            $s->{data}    .= $payload if $type == 0;
            $s->{end}      = 1        if $type < 2 && $flags & 1;
            $s->{end}    //= 'reset'  if $type == 3;
        }
    }

    return $streams->{$stream};
}


1;
