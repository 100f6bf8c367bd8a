package Jelou::Messages;

# Requests to all endpoints, each with a number that its event has, too: for
# tests that send many and look for each one at the upstream.
#
#     my $raw    = request('room_message', 7, '/path', OPTIONS);
#     my $number = number($event);
#
#     my $answer = ask($port, $raw);          # up to the connection's end
#     my $key    = verdict($answer);          # "200", "200 replayed", "401 KEY",
#                                             # "none", "cut off 200", ...
#
# Options are those of post().  Below the path stands what the endpoint wants
# there.  What is not signed has an Idempotency-Key.

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use Jelou ();
use Jelou::Load;
use Time::HiRes qw(time);

our @EXPORT = qw(request number ask read_all verdict);

our @Endpoints = qw(incoming_message message conversation room_message
                    bot_message);

my %path = (room_message => '/v1/rooms/r-1/message',
            bot_message  => '/v1/bots/b-1/messages');

my $message = '{"field":"messages","object":"message_event","event_type":'
            . '"message","timestamp":1776134278574,"project_id":"p-1",'
            . '"room_id":"r-1","contact":{"id":"tag-%d","name":"\u00d1"},'
            . '"conversation":{"id":"c-1"},"bot":{"id":"b-1","name":"B"},'
            . '"value":{"id":"m-%1$d","type":"image","content":{"url":'
            . '"https://a.example/b","mime_type":"image/png"}}}';

my $conversation = '{"event":"conversation.start","timestamp":1776134278574,'
                 . '"project_id":"p-1", "x": ["tag-%d", {}]}';

my $room = '{"senderId":"tag-%d","messages":[{"id":"7c9e6679-7425-40de-944b-'
         . '%1$012d","type":"TEXT","text":"t"},{"id":"1c9e6679-7425-40de-944b-'
         . '%1$012d","type":"IMAGE","mediaUrl":"https://a.example/b"}]}';

my $bot = '{"type":"text","userId":"tag-%d","text":"t","title":"T","options":'
        . '[{"title":"One"},{"title":"Two","id":"o-2"},{"title":"Three"}]}';

our %Body = (
    incoming_message => sub {
        return Jelou::event(id => qq("m-$_[0]"), user_id => qq("tag-$_[0]"))
    },
    message      => sub { sprintf $message, @_ },
    conversation => sub { sprintf $conversation, @_ },
    room_message => sub { sprintf $room, @_ },
    bot_message  => sub { sprintf $bot, @_ },
);


sub request {
    my ($endpoint, $number, $path, %o) = @_;

    my $body = $Body{$endpoint}->($number);

    $body = $o{change}->($body) if $o{change};
    delete $o{change};

    if (my $below = $path{$endpoint}) {
        %o = (signature => undef,
              headers => ["Idempotency-Key: $number"], %o);
        $path .= $below;
    }

    return Jelou::post($body, path => $path, %o);
}

sub number { return $_[0] =~ /"tag-(\d+)"/ ? $1 : 'none' }


# read_all(SOCKET, SECONDS): all there is before the connection ends

sub read_all {
    my ($socket, $seconds) = @_;

    my $select = IO::Select->new($socket);
    my $until  = time + ($seconds // 10);
    my $all    = '';

    while (1) {
        my $wait = $until - time;

        return "$all (and no end)" if $wait <= 0 || !$select->can_read($wait);
        return $all if !sysread $socket, $all, 65536, length $all;
    }
}

sub ask {
    my ($port, $raw, $seconds) = @_;

    return read_all(Jelou::Load::send_to($port, $raw), $seconds);
}

# What the contract has no form for is "malformed".

sub verdict {
    my $all = shift;

    return 'none' if $all eq '';
    return 'no end' if $all =~ / \(and no end\)\z/;

    my ($head, $body) = split /\r\n\r\n/, $all, 2;
    my ($status) = $head =~ m{\AHTTP/1\.1 (\d{3}) } or return "malformed: $all";
    my $length = $head =~ /^Content-Length: (\d+)/mi ? $1 : 0;

    return "cut off $status" if length($body // '') < $length;

    if ($status == 200) {
        return "malformed: $body" if $body !~ /\A\{"success":true[,}]/;
        return $head =~ /^Idempotent-Replayed: true/mi ? '200 replayed' : 200;
    }

    my ($key)    = $body =~ /"key":"(\w+)"/ or return "malformed: $all";
    my @pointers = $body =~ /"validationError":\{(.*)\}\}/
                   ? $1 =~ m{"(/[^"]*|)":}g : ();

    return "malformed: $all"
        if Jelou::refusal_error($body, $status, $key, @pointers) ne '';
    return "$status $key";
}


1;
