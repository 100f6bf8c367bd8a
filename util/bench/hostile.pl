#!/usr/bin/perl
#
# Writes bodies that are meant to cost much, each with its signature beside it,
# and plain texts of the same size to compare them with:
#
#     hostile.pl DIRECTORY SECRET SIZE
#
# Prints a line for each: its name, its path, the status that a signed one gets,
# and the text that it is compared with.  NAME.json is a body, NAME.sig the
# header's value.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);

my ($dir, $secret, $size) = @ARGV;

my $huge = 8.4 * $size;


# filled(HEAD, UNIT, TAIL, BYTES): as many units as there is room for

sub filled {
    my ($head, $unit, $tail, $bytes) = @_;

    my $n = int((($bytes // $size) - length("$head$tail")) / length $unit);

    return $head . $unit x $n . $tail;
}

sub incoming {
    my ($more, $body) = @_;

    return ('{"field":"messages","object":"message_event","event_type":'
            . '"incoming_message","project_id":"p-1","room_id":"r-1","bot_id":'
            . '"b-1","user_id":"u-1",' . $more,
            '"value":{"id":"m-1","type":"text","content":{"body":"'
            . ($body // 'x'), '"}}}');
}

my ($front, $value, $end) = incoming('');


# more(UNIT): members, before "value"; inside(UNIT): items of an unknown member's
# array; text(UNIT): the text

sub more   { return filled($front, $_[0], "$value$end") }
sub inside { return filled("$front\"x\":[", "$_[0],", "$_[0]],$value$end") }
sub text   { return filled($front . substr($value, 0, -1), $_[0], $end, $_[1]) }

sub room {
    my ($bytes, $message) = @_;

    my ($n, $all) = (0, '{"senderId":"u-1","messages":[');

    $all .= $message->($n++) . ',' while length $all < $bytes - 200;

    return $all . $message->($n) . ']}';
}

sub message {
    return sprintf '{"id":"%08x-0000-4000-8000-%012x","type":"TEXT",'
                   . '"text":""}', @_, @_;
}

sub options {
    return filled('{"type":"text","userId":"u-1","text":"t","options":[',
                  "$_[0],", "$_[0]]}");
}

my $prose = 'Hola, gracias por escribirnos. Tu pedido llega hoy. ';

my @bodies = (
    ['text',          'incoming', 200, text($prose)],
    ['large-text',    'incoming', 200, text($prose, $huge)],
    ['small',         'incoming', 200, "$front$value$end"],

    ['members',       'incoming', 200, more('"a":1,')],
    ['no-names',      'incoming', 200, more('"":1,')],
    ['long-names',    'incoming', 200, more('"' . 'k' x 999 . '":1,')],
    ['escaped-names', 'incoming', 200, more('"\u0061":1,')],
    ['own-name',      'incoming', 422, more('"user_id":"",')],
    ['own-escaped',   'incoming', 422, more('"\u0075ser_id":"",')],
    ['numbers',       'incoming', 200, inside('1')],
    ['long-number',   'incoming', 200, inside('1' x ($size - 1000))],
    ['strings',       'incoming', 200, inside('""')],
    ['literals',      'incoming', 200, inside('null')],
    ['arrays',        'incoming', 200, inside('[]')],
    ['objects',       'incoming', 200, inside('{}')],
    ['deep',          'incoming', 200, inside('[' x 30 . ']' x 30)],
    ['deep-members',  'incoming', 200, inside('{"":' x 30 . '1' . '}' x 30)],
    ['too-deep',      'incoming', 400, '[' x $size],
    ['escapes',       'incoming', 200, text('\n')],
    ['unicode',       'incoming', 200, text('\u0041')],
    ['surrogates',    'incoming', 200, text('\ud83d\ude00')],
    ['accents',       'incoming', 200, text("\xc3\xa9")],
    ['white-space',   'incoming', 200, more(' ')],
    ['cut-off',       'incoming', 400, substr(inside('1'), 0, $size - 100)],

    ['conversation',  'message', 200,
     filled('{"event":"conversation.start","timestamp":1776134278574,'
            . '"project_id":"p-1"', ',"a":1', '}')],
    ['case',          'message', 200,
     filled('{"event":"conversation.start","timestamp":1776134278574,'
            . '"project_id":"p-1"', ',"p":1', '}')],

    ['options',       'bots/b-1/messages', 422, options('{}')],
    ['titles',        'bots/b-1/messages', 422, options('{"title":"x"}')],
    ['no-options',    'bots/b-1/messages', 422, options('1')],
    ['button',        'bots/b-1/messages', 422,
     filled('{"type":"text","userId":"u-1","text":"t"', ',"buttonText":{}',
            '}')],

    ['messages',      'rooms/r-1/message', 200, room($size, \&message)],
    ['same-id',       'rooms/r-1/message', 422,
     room($size, sub { message(1) })],
    ['no-messages',   'rooms/r-1/message', 422, room($size, sub { '{}' })],
    ['unknown',       'rooms/r-1/message', 422,
     room($size, sub { '{"a":1}' })],
    ['100,000',       'rooms/r-1/message', 200, room($huge, \&message)],
);

for (@bodies) {
    my ($name, $path, $status, $body) = @$_;

    for (["$name.json", $body],
         ["$name.sig", 'sha256=' . hmac_sha256_hex($body, $secret)])
    {
        open my $out, '>:raw', "$dir/$_->[0]" or die "$dir/$_->[0]: $!\n";
        print $out $_->[1];
        close $out or die "$dir/$_->[0]: $!\n";
    }

    print join(' ', $name, $path, $status,
               length $body > 2 * $size ? 'large-text' : 'text'), "\n";
}
