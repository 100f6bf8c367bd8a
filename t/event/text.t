# Text is never changed: what stands between the quotes of a string arrives
# with the very bytes that were sent, escapes included.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.0001 }

use Jelou 'no_plan';


# media(TYPE, MEMBER => TEXT, ...)

sub media {
    my ($type, %m) = @_;

    return event(type => qq("$type"), content =>
        '{"url":"https://media.test/1","mime_type":"a/b"'
        . join('', map { qq(,"$_":"$m{$_}") } keys %m) . '}');
}


# in_all(TEXT): the messages in which it can stand, each on its own, one with
# strings around it that are left out, and one behind a name in escapes

sub in_all {
    my $text = shift;

    return (
        (map { [$_, $_] }
            event(content => qq({"body":"$text"})),
            media('image', caption => $text),
            media('video', caption => $text),
            media('document', filename => $text)),
        [event(content => qq({"x":"$text","body":"$text","y":["$text"]}),
               bot_id => qq("b-1","z":{"$text":"$text"})),
         event(content => qq({"body":"$text"}))],
        [event(content => qq({"\\u0062ody":"$text"})),
         event(content => qq({"body":"$text"}))],
    );
}


# Section of a block, whose requests are all on one connection: "texts", each
# as it stands between the quotes.

check_accum_error_log();

add_block_preprocessor(sub {
    my $block = shift;

    my @cases = map { in_all($_) } @{ $block->texts };

    my %section = (
        requests => [map {
            post($cases[$_][0], keepalive => $_ < $#cases)
        } 0 .. $#cases],

        reply        => "accepted m-1\n" x @cases,
        upstream     => [map { $_->[1] } @cases],
        no_error_log => qr/jelou|\[(?:error|crit)\]/,
    );

    $block->set_value($_ => $section{$_}) for keys %section;
});

run_tests();

__DATA__

=== none, and little
--- texts eval
['', ' ', 'a', '0', '/', '  two  spaces  ', ' at both ends ', "'", '`', '{}']


=== letters of all kinds, raw
--- texts eval
[
    "\xc2\xbfQu\xc3\xa9 ma\xc3\xb1ana? \xc2\xa1S\xc3\xad!",
    "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c",
    "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7",
    "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87",
    "\xd7\xa9\xd6\xb8\xd7\x81\xd7\x9c\xd7\x95\xd6\xb9\xd7\x9d",
]


=== the same characters composed, decomposed and escaped stay apart
--- texts eval
[
    "\xc3\xa9", "e\xcc\x81", '\u00e9', '\u00E9', 'e\u0301', '\u0065\u0301',
    "\xc3\xa9e\xcc\x81\\u00e9\\u00E9e\\u0301", "\xef\xac\x81", 'fi',
    "\xe2\x84\xab\xc3\x85A\xcc\x8a", "o\xcc\xb2\xcc\x88\xcc\x84\xcc\x81",
    "Z" . "\xcc\x81\xcc\x82\xcc\x83" x 500,
]


=== emoji, raw and escaped
--- texts eval
[
    "\xf0\x9f\x98\x80", '\ud83d\ude00', '\uD83D\uDE00', '\ud83D\uDe00',
    "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa6",
    "\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd", "\xf0\x9f\x87\xaa\xf0\x9f\x87\xa8",
    "\xe2\x9d\xa4\xef\xb8\x8f", '\u2764\ufe0f', "1\xef\xb8\x8f\xe2\x83\xa3",
    '\ud83d\udc69\u200d\ud83d\udc69\u200d\ud83d\udc66', '\udbff\udfff',
    '\ud800\udc00', "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    "\xf0\x9f\x98\x80\\ud83d\\ude00\xf0\x9f\x98\x80",
]


=== every short escape, alone and among others
--- texts eval
[
    (map {; "\\$_", "a\\$_", "\\${_}a", "\\$_\\$_", "\\\\\\$_", "\\$_\\\\" }
     '"', '\\', '/', 'b', 'f', 'n', 'r', 't'),
    '\"\\\\\/\b\f\n\r\t', '\t\r\n\f\b\/\\\\\"', '/\/', 'https:\/\/a/b\/c',
    '\\\\n', '\\\\u0041', '\\\\\"', 'C:\\\\new\\\\table',
    '{\"a\":\"b\\\\\"c\"}',
]


=== control characters, as escapes
--- texts eval
[
    (map { sprintf '\u%04x', $_ } 0 .. 0x1f, 0x7f .. 0x9f),
    '\u0000', 'a\u0000b', '\u0000\u0000\u0000', '\u001F\u001f\u007F',
    'first\r\nsecond\u000d\u000athird', '\u001b[31mred\u001b[0m',
]


=== characters that others escape, raw
--- texts eval
[
    "\x7f", "a\x7fb", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xc2\xa0",
    "\xc2\x80\xc2\x85\xc2\x9f", "\xe2\x80\x8b\xe2\x80\x8e\xe2\x80\xae",
    "\xef\xbb\xbf",
    "\xef\xbf\xbd", "\xef\xbf\xbe\xef\xbf\xbf", "\xee\x80\x80",
    "<b>&amp;</b>\xe2\x80\xa8<script>alert(1)</script>", '%00%0d%0a%s$host',
]


=== escapes that need not be any
--- texts eval
[
    '\u0041', '\u0022', '\u005c', '\u005C', '\u002f', '\u0020', '\u005c\u0022',
    '\u005cu0041', '\u005cn', '\u2028\u2029', '\ufeff', '\ufffe\uffff',
    '\u0048\u0065\u006c\u006c\u006f', '\u00e9\u4f60\uE000',
]


=== lone surrogates, byte for byte
--- texts eval
[
    '\ud800', '\udbff', '\udc00', '\udfff', '\uD83D', '\uDE00', 'a\ud83d',
    '\ud83da', 'a\ude00b', '\ude00\ud83d', '\udc00\ud800', '\ud83d\u0041',
    '\ud83d\ud83d', '\ud83d\ud83d\ude00', '\ud83d\ude00\ude00', '\ude00\ude00',
    '\ud83d\n', '\ud83d\\\\ude00', '\ud83d\"\ude00', '\ud83d \ude00',
    '\ud83d\u0000', '\ud83d\ue000', "\\ud83d\xf0\x9f\x98\x80",
    "\\ud83d\xc3\xa9", '\ud83d?', '?\ude00', '\ud800' x 1000,
    '\udc00' x 1000, '\udc00\ud800' x 1000,
]


=== all code units as escapes, and all of the first plane raw
--- texts eval
my $escaped = join '', map { sprintf '\u%04x', $_ } 0 .. 0xffff;
my $raw = join '', map { chr } grep { $_ != 0x22 && $_ != 0x5c }
          0x20 .. 0xd7ff, 0xe000 .. 0xffff;
utf8::encode($raw);
[$escaped, $raw]
--- directives
client_max_body_size  4m;


=== characters of all planes, raw
--- texts eval
my $raw = join '', map { my $plane = $_ << 16; map { chr $plane + $_ }
                         0, 1, 0x1234, 0x7fff, 0xfffd .. 0xffff } 1 .. 16;
utf8::encode($raw);
[$raw, $raw x 100]


=== quotes and backslashes, many
--- texts eval
[
    map { ('\"' x $_, '\\\\' x $_, '\\\\\"' x $_, '\"\\\\' x $_,
           'a' . '\\\\' x $_, '\\\\' x $_ . 'a', '\\\\' x $_ . '\"',
           '\"' x $_ . '\\\\') }
    1 .. 9, 63, 64, 2047, 2048, 2049
]


=== lengths around those of buffers, with and without an escape at either end
--- texts eval
[
    map { my $n = $_; map { $_ x $n, $_ x $n . '\n', '\n' . $_ x $n }
          'a', '\u00e9' }
    1023 .. 1025, 2045 .. 2049, 4095 .. 4097, 8191, 8192, 16383
]


=== 200 KB
--- texts eval
our $large = [
    'a' x 200_000, "\xc3\xa9" x 100_000, "\xf0\x9f\x98\x80" x 50_000,
    '\u00e9' x 33_334, '\ud83d\ude00' x 16_667, '\ud83d' x 33_334,
    '\u0000' x 33_334, 'line\n' x 33_334, '\"' x 100_000, '\\\\' x 100_000,
    '\/' x 100_000, 'a' x 199_998 . '\n', '\n' . 'a' x 199_998,
    'a' x 100_000 . '\"' . 'a' x 100_000,
]
--- directives
client_max_body_size  2m;


=== 200 KB, in one buffer
--- texts eval
[@$large[0, 3, 8, 11, 13]]
--- directives
client_max_body_size     2m;
client_body_buffer_size  2m;


=== at random
--- texts eval
srand 20;

my @parts = (
    'a' .. 'f', ' ', '\n', '\"', '\\\\', '\/', '/', '\u0000', '\u00e9',
    '\ud83d', '\ude00', '\ud83d\ude00', "\xc3\xa9", "\xe2\x82\xac",
    "\xf0\x9f\x98\x80", '{', '}', '[', ']', ':', ',', 'u0041', "\x7f", "'",
);

[map { join '', map { $parts[rand @parts] } 1 .. 1 + rand 40 } 1 .. 100]
