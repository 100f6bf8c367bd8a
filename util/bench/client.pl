#!/usr/bin/perl
#
# Sends the same request again and again over one connection, the next one when
# the answer to the last is complete:
#
#     client.pl PORT PATH BODY-FILE SIGNATURE STATUS COUNT
#
# A signature of "-" is none.  Ends with an error if an answer has another
# status than the one that is expected; a STATUS of "-" prints it instead.

use strict;
use warnings;

use IO::Socket::INET;

my ($port, $path, $file, $signature, $status, $count) = @ARGV;

die "usage: client.pl PORT PATH BODY-FILE SIGNATURE STATUS COUNT\n"
    if !defined $count;

open my $in, '<:raw', $file or die "$file: $!\n";
my $body = do { local $/; <$in> };

my $request = join "\r\n",
    "POST $path HTTP/1.1",
    "Host: localhost",
    "Content-Type: application/json",
    "Content-Length: " . length $body,
    ($signature eq '-' ? () : "X-Jelou-Signature: $signature"),
    '', $body;

# the server may still be starting

my $socket;

for (1 .. 400) {
    $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
    last if $socket;
    select undef, undef, undef, 0.05;
}

die "cannot connect to port $port: $@\n" if !$socket;

# no answer may take a minute

$SIG{ALRM} = sub { die "no answer\n" };

for my $n (1 .. $count) {
    my $sent = 0;

    alarm 60;

    while ($sent < length $request) {
        $sent += syswrite($socket, $request, length($request) - $sent, $sent)
            // die "request $n: $!\n";
    }

    my ($answer, $end) = ('');

    while (!defined $end || length $answer < $end) {
        sysread $socket, $answer, 65536, length $answer
            or die "request $n: the connection was closed\n";

        next if defined $end || $answer !~ /\r\n\r\n/;

        my $head = $`;
        my ($length) = $head =~ /^Content-Length: (\d+)/mi
            or die "request $n: an answer without Content-Length\n";

        $end = length($head) + 4 + $length;
    }

    my ($got) = $answer =~ /\AHTTP\/1\.1 (\d+)/;

    if ($status eq '-') {
        print "$got\n";

    } elsif ($got != $status) {
        die "request $n to $path: status $got, not $status\n";
    }
}
