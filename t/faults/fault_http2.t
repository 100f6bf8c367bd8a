# HTTP/2: connections that end after each byte, streams that are reset, and
# requests that would be another one as HTTP/1.1.  What is not whole is not
# delivered, nothing stays in flight, and the upstream gets what was meant.

use strict;
use warnings;

use lib 't/lib';

use Jelou 'no_plan';
use Jelou::Faults;
use Jelou::Http2;
use Jelou::Load;
use Jelou::Messages;
use Jelou::Server;
use Jelou::Upstream;
use Test::More;
use Time::HiRes qw(time);

my $port     = $Jelou::Port{SERVER};
my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});
my $faults   = Jelou::Faults->unusable ? undef : Jelou::Faults->new;
my $listen   = listen_http2($port);

my $nginx = Jelou::Server->start(
    name => 'front', level => 'error', env => $faults ? $faults->env : {},
    http => <<"END");
jelou_dedup_zone  zone=seen:1m;

upstream app {
    server     127.0.0.1:$Jelou::Port{APP} max_fails=0;
    keepalive  4;
}

server {
    $listen

    jelou_dedup  zone=seen;

    proxy_http_version  1.1;
    proxy_set_header    Connection "";

    location /message {
        jelou_endpoint           message;
        jelou_secret             "$Jelou::Secret";
        client_body_buffer_size  64;
        proxy_pass               http://app;
    }
    location /room {
        jelou_endpoint  room_message;
        proxy_pass      http://app;
    }
}
END

my ($worker) = $nginx->workers;
my $number   = 0;

$faults->none($worker) if $faults;

sub left { return Jelou::Faults::left($faults, $worker) }

sub raw_of {
    my ($id, %o) = @_;

    return $id % 2 ? request('message', $id, '/message', %o)
                   : request('room_message', $id, '/room', %o);
}

# conversation(STEPS): sent on a connection of its own; the socket

sub conversation { Jelou::Load::send_to($port, join '', preface(), @_) }

# outcome(SOCKET, STREAM): "200", "401 KEY", "reset", "none"

sub outcome {
    my ($socket, $stream) = @_;

    my ($buffer, %streams) = '';

    my $got = read_stream($socket, \$buffer, \%streams, $stream)
              // return 'none';

    return $got->{end} if !length $got->{headers};

    my $status = status_of($got->{headers});
    my ($key)  = $got->{data} =~ /"key":"(\w+)"/;

    return defined $key ? "$status $key" : $status;
}

sub alone {
    my $id = shift;

    return outcome(conversation(step(post => 1, raw_of($id, @_))), 1);
}

sub arrived { join ' ', sort { $a <=> $b } map { number($_->{body}) } @_ }


# After each byte of a conversation with two requests at a time

is(alone(++$number), 200, 'a first one') for 1, 2;

{
    my ($one, $two) = map { ++$number } 1, 2;
    my ($body_one, $body_two) = map { raw_of($_) =~ s/.*?\r\n\r\n//sr } $one, $two;
    my ($half_one, $half_two) = map { length($_) >> 1 } $body_one, $body_two;

    my $begin = preface() . step(headers => 1, raw_of($one))
              . step(headers => 3, raw_of($two))
              . step(data => 1, substr $body_one, 0, $half_one)
              . step(data => 3, $body_two)
              . step(data => 1, substr $body_one, $half_one);

    # a request has ended with the flag in the header of its last frame

    my $all  = $begin . step(end => 1) . step(end => 3);
    my $last = length($begin) + 8;
    my $left = left();

    $upstream->expect(200);

    for my $at (0 .. $last) {
        close Jelou::Load::send_to($port, substr $all, 0, $at);
    }

    is(Jelou::Faults::left_more($faults, $worker, $left), '',
       "nothing is left of $last pieces");
    is(arrived($upstream->requests(0)), '', 'nothing was delivered');

    is(alone($_), 200, "then the whole request $_") for $one, $two;
    is(arrived($upstream->requests(2)), "$one $two", 'they are delivered');
}


# A stream that is reset, at the end of each frame, and one that goes on

for my $frames (0 .. 3) {
    my ($one, $two) = map { $number += 2; $number - 1 } 1, 2;
    my $name   = "reset after $frames frames of data";
    my $body   = raw_of($one) =~ s/.*?\r\n\r\n//sr;
    my @pieces = pieces($body, 1 + int length($body) / 3);

    $upstream->expect(200);

    my $socket = conversation(
        step(headers => 1, raw_of($one)),
        (map { step(data => 1, $pieces[$_]) } 0 .. $frames - 1),
        step(reset => 1), step(post => 3, raw_of($two)));

    is(outcome($socket, 3), 200, "$name: the other stream");
    is(arrived($upstream->requests(1)), $two, "$name: it alone is delivered");
    is(alone($one), 200, "$name: then the whole request");
    is(arrived($upstream->requests(2)), "$one $two", "$name: is delivered");
}

# and one that is reset, or whose connection ends, while the upstream has it: it is
# delivered to its end, once

for my $how ('reset', 'closed') {
    my $id = ++$number;

    $upstream->expect('delay 0.5');

    my $socket = conversation(step(post => 1, raw_of($id)));

    is(arrived($upstream->requests(1)), $id, "$how in flight: delivery begins");

    $how eq 'reset' ? syswrite $socket, step(reset => 1) : close $socket;

    is(alone($id), 200, "$how in flight: the repetition waits for it");
    is(arrived($upstream->requests(1)), $id, "$how in flight: once");
}


# What HTTP/2 lets stand in a header, and HTTP/1.1 would take for something else.
# The second request is one that the upstream could be made to believe in.

my $base = sub {
    my ($id, %o) = @_;

    my $body = raw_of($id) =~ s/.*?\r\n\r\n//sr;

    return ($body, [':method', 'POST'], [':scheme', 'http'],
            [':path', '/message'], [':authority', 'localhost'],
            ['content-type', 'application/json'],
            ['x-jelou-signature', Jelou::sign($body)]);
};

my $hidden = "0\r\n\r\n" . post(event(id => '"hidden"'), path => '/', keepalive => 1);

for my $case (
    ['nothing', 200],
    ['a length', 200, fields => [['content-length', 'L']]],
    ['a length too large', 0, fields => [['content-length', 'L+1']]],
    ['a length too small', 0, fields => [['content-length', 'L-1']]],
    ['no length at all, 0', 0, fields => [['content-length', '0']]],
    ['a length that is none', 0, fields => [['content-length', '-1']]],
    ['two lengths', 0, fields => [['content-length', 'L'], ['content-length', '0']]],
    ['two that differ', 0,
     fields => [['content-length', 'L+1'], ['content-length', 'L']]],
    ['chunked', 'any', fields => [['transfer-encoding', 'chunked']]],
    ['chunked, and chunks in the body', 'any', hidden => 1,
     fields => [['transfer-encoding', 'chunked']]],
    ['a connection header', 'any', fields => [['connection', 'keep-alive']]],
    ['upper case', 'any', fields => [['Transfer-Encoding', 'chunked']]],
    ['a line break in a value', 0,
     fields => [['x-a', "b\r\ntransfer-encoding: chunked"]]],
    ['a line feed in a value', 0, fields => [['x-a', "b\ncontent-length: 0"]]],
    ['a carriage return in a value', 'any', fields => [['x-a', "b\rx: y"]]],
    ['a NUL in a value', 0, fields => [['x-a', "b\0c"]]],
    ['a line break in a name', 0, fields => [["x-a: b\r\nx-c", 'd']]],
    ['a colon in a name', 0, fields => [['x-a: b', 'c']]],
    ['a space in a name', 0, fields => [['x a', 'c']]],
    ['a line break in the path', 0, path => "/message HTTP/1.1\r\nx: y"],
    ['a space in the path', 'any', path => '/message HTTP/1.1'],
    ['no path', 0, path => ''],
    ['a line break in the method', 0, method => "POST / HTTP/1.1\r\nx: y\r\n\r\nGET"],
    ['a space in the method', 0, method => 'POST /'],
    ['a line break in the authority', 0, authority => "a\r\nx: y"],
    ['a second path', 0, fields => [[':path', '/room/v1/rooms/r/message']]],
    ['a second method', 0, fields => [[':method', 'GET']]],
    ['a status', 0, fields => [[':status', '200']]],
    ['another host', 'any', fields => [['host', 'another']]],
    ['two hosts', 0, fields => [['host', 'localhost'], ['host', 'another']]],
) {
    my ($name, $want, %o) = @$case;

    $number += 1 + $number % 2;              # an odd one

    my ($id, $after) = ($number, $number + 2);
    my ($body, @fields) = $base->($id);

    $number = $after;
    $body .= "\r\n$hidden" if $o{hidden};

    for my $field (@fields, @{ $o{fields} // [] }) {
        $field->[1] =~ s/^L(?:([+-])1)?$/length($body) + ($1 ? "${1}1" : 0)/e;
    }

    for (@fields) {
        my $new = $o{$_->[0] =~ s/^://r};
        $_->[1] = $new if defined $new && $_->[0] =~ /^:/;
    }

    $upstream->expect(200);

    my $socket = conversation(
        step(fields => 1, @fields, @{ $o{fields} // [] }),
        step(data => 1, $body), step(end => 1));

    my $said = outcome($socket, 1);
    close $socket;

    my $next = alone($after);

    is($next, 200, "$name: the next request");

    my $accepted = $said eq '200';

    ok($accepted, "$name: accepted") if $want eq '200';
    ok(!$accepted, "$name: not accepted, $said") if $want eq '0';

    my @got = $upstream->requests($accepted ? 2 : 1);

    is(arrived(@got), join(' ', $accepted ? $id : (), $after),
       "$name: what is delivered");

    my @odd = grep {
        my @lengths = $_->{head} =~ /^Content-Length: (\d+)\r$/mgi;
        my @lines   = $_->{head} =~ m{ HTTP/1\.1\r$}mg;

        "@lengths" ne length $_->{body} || @lines != 1
        || $_->{head} =~ /^Transfer-Encoding/mi || $_->{body} =~ /hidden/
    } @got;

    is(scalar @odd, 0, "$name: where each of it ends")
        or diag(map { "$_->{head}\n$_->{body}\n" } @odd);
}


is_deeply([$nginx->workers], [$worker], 'the worker goes on');

$nginx->stop;
$upstream->stop;
