package Jelou::Composition::Client;

# A sender: one request, in HTTP/1.0 or 1.1 over a socket, in HTTP/2 with curl.
#
#     my $answer = ask('h1', $port, $raw);
#
# An answer is { status, head, headers => { NAME => [VALUE, ...] }, body, whole,
# early, raw }: whole, if it ended as it had announced; early, what came before it
# (103); nothing but { none => WHY } if there is none.

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use Jelou ();
use Jelou::Load;
use Jelou::Server;
use Time::HiRes qw(time);

our @EXPORT = qw(ask get);

our $Patience = 3;


sub ask {
    my ($http, $port, $raw) = @_;

    return $http eq 'h2' ? ask_curl($port, $raw)
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

    if (($h->{'transfer-encoding'}[0] // '') eq 'chunked') {
        @$answer{qw(body whole)} = dechunk($body);

    } elsif (defined(my $length = $h->{'content-length'}[0])) {
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


# curl has its own Content-Length, and none of a body that is sent in chunks.

sub ask_curl {
    my ($port, $raw) = @_;

    my ($head, $body) = split /(?<=\r\n)\r\n/, $raw, 2;
    my ($line, @lines) = split /\r\n/, $head;
    my ($method, $path) = split ' ', $line;
    my $file = "$Jelou::Dir/$Jelou::Name.curl";

    ($body) = dechunk($body) if $head =~ /^Transfer-Encoding: chunked/mi;

    Jelou::Server::spew("$file.body", $body);
    unlink "$file.head", "$file.answer";

    my @command = ('curl', '-sS', '--http2-prior-knowledge', '--noproxy', '*',
        '--max-time', $Patience, '-X', $method, '-D', "$file.head",
        '-o', "$file.answer", '--data-binary', "\@$file.body", '-H', 'Expect:',
        (map { ('-H', $_) } grep { !/^(?:Host|Connection|Content-Length):/i }
                            @lines), "http://127.0.0.1:$port$path");

    my $pid = open my $out, '-|';
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }

    my $said = do { local $/; <$out> } // '';
    close $out;
    my $code = $? >> 8;

    my $all   = -e "$file.head" ? Jelou::Server::slurp("$file.head") : '';
    my $early = '';

    $early .= $1 while $all =~ s{\A(HTTP/2 1\d\d.*?\r\n\r\n)}{}s;

    return { none => "curl: $code: $said", raw => $all }
        unless $all =~ m{\A(HTTP/2 (\d{3}).*?\r\n)\r\n}s;

    my $got = -e "$file.answer" ? Jelou::Server::slurp("$file.answer") : '';

    my $answer = { status => $2, head => $1, headers => headers($1),
                   body => $got, whole => $code == 0, early => $early,
                   raw => "$early$all$got" };

    $answer->{hangs} = $said if $code == 28;

    return $answer;
}


1;
