package Jelou::Composition::Application;

# The application behind nginx, in all its protocols: what it is to do stands in
# the request.
#
#     my $app = Jelou::Composition::Application->start(RECORD);
#     my @records = records(RECORD, \$offset);
#
# Before it answers it writes a line: the site, what it does, the protocol, method,
# length and type as it was told, the body.  What is a page of the operator's has
# no "leak" in its answer; all else has.

use strict;
use warnings;

use Exporter 'import';
use HTTP::Status qw(status_message);
use Jelou ();
use Jelou::Upstream;

our @ISA    = qw(Jelou::Upstream Exporter);
our @EXPORT = qw(records);

my %parse = (
    http    => \&Jelou::Upstream::parse_http,
    fastcgi => \&Jelou::Upstream::parse_fastcgi,
    scgi    => \&Jelou::Upstream::parse_scgi,
    uwsgi   => \&Jelou::Upstream::parse_uwsgi,
);

my $leak = 'APPLICATION-LEAK ';

our $Retry_after = 7;           # seconds, of a 429


sub start {
    my ($class, $record) = @_;

    my $self = $class->SUPER::start("$record.upstream", http =>
        $Jelou::Port{APP}, map { $_ => $Jelou::Port{uc $_} }
                               qw(fastcgi scgi uwsgi));

    return $self;
}

sub expect {
    my $self = shift;

    $self->{record} = $self->{file} =~ s/\.upstream$//r;

    return $self->SUPER::expect(@_);
}


sub request {
    my ($self, $select, $clients, $c) = @_;

    my ($head, $body) = $parse{$c->{protocol}}->($c) or return;
    return unless defined $head;

    $c->{buf} = '';

    my %h;

    while ($head =~ /^([\w-]+): ?(.*?)\r?$/mg) {
        $h{lc $1} //= $2;
    }

    my $does = $h{'x-does'} // 200;
    my $is   = sub { $h{$_[0]} // $h{$_[1]} // '' };

    open my $out, '>>:raw', $self->{record} or die "$self->{record}: $!\n";
    syswrite $out, join("\t", $h{'x-site'} // '', $does,
        $h{'x-protocol'} // $c->{protocol},
        $h{request_method} // ($head =~ /^(\S+)/)[0],
        $h{'x-length'} // $is->('content-length', 'content_length'),
        $is->('content-type', 'content_type'), unpack('H*', $body)) . "\n";
    close $out;

    Jelou::Upstream::send_all($c->{socket}, $_)
        for answer_of($c->{protocol}, $does, $h{'x-accel'} // '-');
    Jelou::Upstream::drop($select, $clients, $c);

    return;
}

# Nobody answers as in a test block.

sub answer { return 200 }


# answer_of(PROTOCOL, WHAT, ACCEL): the bytes

sub answer_of {
    my ($protocol, $does, $accel) = @_;

    return if $does eq 'close';

    my ($status) = $does =~ /^(\d+)/ ? $1 : 200;
    my $page     = $does eq 'page';
    my $body     = $page               ? 'OPERATORS-PAGE'
                 : $does eq '500'      ? "${leak}at line 7 of /app/secret.php"
                 : $does =~ /long|half/ ? $leak x 8000 : $leak;

    $body = '' if $status == 204 || $status == 304;

    my @h = 'Content-Type: text/x-upstream';

    push @h, 'X-Upstream: leak', 'Set-Cookie: upstream=leak',
         'ETag: "leak"', 'Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT',
         'Cache-Control: private, max-age=77' unless $page;

    push @h, 'Location: /leak' if $status == 301;
    push @h, "Retry-After: $Retry_after" if $status == 429;
    push @h, "X-Accel-Redirect: $accel" if $accel ne '-';
    push @h, 'Content-Range: bytes 0-' . (length($body) - 1) . '/1000'
        if $status == 206;

    my $http = $protocol eq 'http';
    my $more = '';

    if ($does eq 'chunked') {
        push @h, 'Transfer-Encoding: chunked' if $http;
        $body = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
                         $body, $body, '' if $http;

    } elsif ($status != 204 && $status != 304) {
        push @h, 'Content-Length: ' . length $body;
    }

    $body = substr $body, 0, 60_000 if $does eq 'half';

    my $data = join "\r\n", ($http ? 'HTTP/1.1 ' : 'Status: ')
        . "$status " . (status_message($status) // 'Unknown'), @h,
        $http ? 'Connection: close' : (), '', $body;

    $data = "HTTP/1.1 103 Early Hints\r\nLink: </leak>\r\nX-Upstream: leak"
            . "\r\n\r\n$data" if $does eq 'early';

    if ($protocol eq 'fastcgi') {
        my @parts = unpack '(a30000)*', $data;

        push @parts, '' if $does ne 'half';
        $data = join '', map { pack 'CCnnCxa*', 1, 6, 1, length $_, 0, $_ }
                         @parts;
        $data .= pack 'CCnnCxNx4', 1, 3, 1, 8, 0, 0 if $does ne 'half';
    }

    return $data;
}


# records(FILE, \OFFSET): what was written since, a list of { site, does,
# protocol, method, length, type, body }

sub records {
    my ($file, $offset) = @_;

    open my $in, '<:raw', $file or die "$file: $!\n";
    seek $in, $$offset, 0;

    my @records;

    while (my $line = <$in>) {
        last unless $line =~ s/\n\z//;
        $$offset += length($line) + 1;

        my %r;
        @r{qw(site does protocol method length type body)} =
            split /\t/, $line, 7;
        $r{body} = pack 'H*', $r{body};
        push @records, \%r;
    }

    return @records;
}


1;
