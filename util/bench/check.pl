#!/usr/bin/perl
#
# Shows that all paths do the same work, by what they answer to the same
# messages and by what the origin receives:
#
#     check.pl PORT DIRECTORY PATH...
#
# Text may be escaped in one way or the other, but the members must be the
# same, in the same order.

use strict;
use warnings;

use File::Basename qw(dirname);
use JSON::PP ();

my ($port, $dir, @paths) = @ARGV;

my $log = "$dir/received.log";
my $json = JSON::PP->new->canonical->utf8;

my $start = '{"field":"messages","object":"message_event",'
    . '"event_type":"incoming_message",';

my %event = (
    353 => $start . '"project_id":"PROJECT_ID","room_id":"ROOM_ID",'
        . '"bot_id":"BOT_ID","user_id":"USER_ID","value":{"id":"MESSAGE_ID",'
        . '"type":"text","content":{"body":"Hello user, how can I help you?"}}}',
    shuffled => $start . '"project_id":"p","room_id":"r","bot_id":"b",'
        . '"user_id":"u","value":{"id":"m-2","type":"text",'
        . '"content":{"body":"\u00bfQu\u00e9?\n\"\u00e9\" \ud83d\ude42"}}}',
    image => $start . '"project_id":"p","room_id":"r","bot_id":"b",'
        . '"user_id":"u","value":{"id":"m-3","type":"image",'
        . '"content":{"url":"https://example.com/a.jpg",'
        . '"mime_type":"image/jpeg","caption":"Mira"}}}',
);

my @accepted = qw(353 shuffled image 524288);

my %refused = (wrong => 401, missing => 401, broken => 400, invalid => 422,
               control => 422, http => 422);

sub slurp {
    my ($name) = @_;

    open my $in, '<:raw', $name or die "$name: $!\n";
    local $/;
    return scalar <$in> // '';
}

sub post {
    my ($path, $name) = @_;

    my $status = open my $out, '-|', $^X, dirname(__FILE__) . '/client.pl',
        $port, $path, "$dir/$name.json", slurp("$dir/$name.sig"), '-', 1;

    chomp($status = <$out> // 'no answer');
    close $out;

    return $status;
}

sub names { return join ' ', $_[0] =~ /[{,]"(\w+)":/g }

sub check {
    my ($path, $name, $received) = @_;

    my $body = slurp("$dir/$name.json");
    my ($head, $got) = split /\n/, $received, 2;

    $got = '' if !defined $got;
    $got =~ s/\n\z//;

    my $signature = $path =~ /plain|raw/ ? slurp("$dir/$name.sig") : '';

    die "$path, $name: the origin has \"$head\"\n"
        if $head ne "$path application/json $signature";

    if ($path =~ /plain|raw/) {
        die "$path, $name: the origin has another body\n" if $got ne $body;
        return;
    }

    # the large one is laid out as the example is

    my $event = $event{$name}
        // $body =~ s/\n *//gr =~ s/": /":/gr;

    die "$path, $name: the origin has another event: ",
        substr($got, 0, 500), "\n"
        if names($got) ne names($event)
           || $json->encode($json->decode($got))
              ne $json->encode($json->decode($event));
}

for my $path (@paths) {
    my @seen;

    truncate $log, 0 or die "$log: $!\n";

    for my $name (@accepted) {
        my $status = post($path, $name);
        die "$path, $name: status $status, not 200\n" if $status ne '200';
    }

    if ($path ne '/plain') {

        for my $name (sort keys %refused) {
            my $status = post($path, $name);
            die "$path, $name: status $status, not $refused{$name}\n"
                if $status ne $refused{$name};
        }
    }

    # the origin writes a line when it is done, which may be a moment later

    for (1 .. 50) {
        @seen = split /^(?=\/\w+ )/m, slurp($log);
        last if @seen >= @accepted;
        select undef, undef, undef, 0.05;
    }

    select undef, undef, undef, 0.2;
    @seen = split /^(?=\/\w+ )/m, slurp($log);

    die "$path: the origin has ", scalar @seen, ' messages, not ',
        scalar @accepted, "\n" if @seen != @accepted;

    check($path, $accepted[$_], $seen[$_]) for 0 .. $#accepted;
}
