# What JSON is, strictly as RFC 8259 has it and in UTF-8 as RFC 3629 has it:
# anything else is 400 INVALID_JSON, with reason and place in the log.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.0001 }

use Jelou 'no_plan';

our $bad_bytes = "malformed UTF-8 or a control character\n";


# Sections of a block, whose requests are all on one connection:
#
# invalid   bodies that are refused for the same reason: a string, or, with the
#           place in the log, [BODY, OFFSET] or [BODY, FIRST, LAST]
# reason    that reason, instead of "not JSON"
# valid     bodies that are accepted: a string that arrives as it is, or [BODY,
#           EVENT]

check_accum_error_log();

add_block_preprocessor(sub {
    my $block = shift;

    my $valid  = $block->valid;
    my @cases  = @{ $valid // $block->invalid // return };
    my @bodies = map { ref ? $_->[0] : $_ } @cases;
    my $reply  = $valid ? 'accepted m-1' : '400 INVALID_JSON';
    my $reason = $block->reason // "not JSON\n";

    chomp $reason;

    my $log = $valid ? '' : join '', map {
        my ($body, $first, $last) = ref ? @$_ : $_;
        my $at = defined $last ? '(?:' . join('|', $first .. $last) . ')'
                               : $first;

        "jelou refused a request: INVALID_JSON: $reason"
        . (defined $at ? " at byte $at of " . length $body : '') . "\n";
    } @cases;

    my %section = (
        requests => [map {
            post($bodies[$_], keepalive => $_ < $#bodies)
        } 0 .. $#bodies],

        reply    => "$reply\n" x @bodies,
        upstream => $valid ? [map { ref ? $_->[1] : $_ } @cases] : 'none',

        grep_error_log => ref $cases[0]
            ? qr/jelou.*?(?=, client)/
            : qr/jelou.*?(?= at byte \d+ of \d+, client)/,

        grep_error_log_out =>
            ref $cases[0] && @{ $cases[0] } > 2 ? qr/\A$log\z/ : $log,

        no_error_log => qr/\[(?!info\])\w+\].*jelou/,
    );

    $block->set_value($_ => $section{$_}) for keys %section;
});


# with(MEMBER): an event that begins with an unknown member

sub with {
    return '{' . $_[0] . ',' . substr event(), 1;
}

sub text {
    return event(content => qq({"body":"$_[0]"}));
}


# everywhere(BYTES, SKIP): bytes in all kinds of places, each [BODY, OFFSET];
# the first SKIP of them are no error

sub everywhere {
    my ($bytes, $skip) = (@_, 0);

    return map {
        my $at = $skip + index $_, '@';
        [s/@/$bytes/r, $at];

    } text('@'), text('Hello@'), text('@Hello'), event(user_id => '"u@1"'),
      with('"x":"a longer text of an unknown member @ which is left out"'),
      with('"x@":1'), with('"@":1'), with('"x":[["@"]]'), with('"x":"\\\\@"'),
      with('"x":@1'), with('"x":1@'), with('"x"@:1'), with('@"x":1'),
      '@' . event(), event() . '@', event() . " \n@", '{"x":"@', '{"@', '@';
}


# aligned(BYTES): bytes after 0 to 16 others, each [BODY, OFFSET]

sub aligned {
    my $bytes = shift;

    return map {
        my $body = text('.' x $_ . "$bytes................");
        [$body, index $body, $bytes];
    } 0 .. 16;
}


# nested(DEPTH, OPEN, CLOSE): an event that is nested that deep

sub nested {
    my ($depth, $open, $close) = @_;

    return with('"x":' . $open x ($depth - 1) . 0 . $close x ($depth - 1));
}

run_tests();

__DATA__

=== UTF-8: a byte that begins no sequence
--- invalid eval
[map { everywhere($_) } map { chr } 0x80, 0x9f, 0xa0, 0xbf, 0xf5 .. 0xff]
--- reason eval: $bad_bytes


=== UTF-8: overlong forms
--- invalid eval
[
    map { everywhere($_) }
    map { chr, chr($_) . "\x80", chr($_) . "\xbf" } 0xc0, 0xc1
]
--- reason eval: $bad_bytes


=== UTF-8: overlong forms of three and of four bytes
--- invalid eval
[
    map { everywhere($_) }
    "\xe0\x80\x80", "\xe0\x80\xaf", "\xe0\x9f\xbf",
    "\xf0\x80\x80\x80", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf",
]
--- reason eval: $bad_bytes


=== UTF-8: encoded surrogates, alone and in pairs
--- invalid eval
[
    map { everywhere($_) }
    "\xed\xa0\x80", "\xed\xad\xbf", "\xed\xaf\xbf", "\xed\xb0\x80",
    "\xed\xbf\xbf", "\xed\xa0\xbd\xed\xb8\x80",
]
--- reason eval: $bad_bytes


=== UTF-8: above U+10FFFF, and sequences of five and of six bytes
--- invalid eval
[
    map { everywhere($_) }
    "\xf4\x90\x80\x80", "\xf4\xbf\xbf\xbf", "\xf5\x80\x80\x80",
    "\xf7\xbf\xbf\xbf", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80",
]
--- reason eval: $bad_bytes


=== UTF-8: sequences that end too early
--- invalid eval
[
    map { everywhere($_) }
    "\xc3", "\xdf", "\xe0", "\xe2", "\xe0\xa0", "\xe2\x82", "\xed\x9f",
    "\xf0", "\xf4", "\xf0\x9f", "\xf0\x9f\x98", "\xf4\x8f\xbf",
]
--- reason eval: $bad_bytes


=== UTF-8: sequences with a byte that does not continue them
--- invalid eval
[
    map { everywhere($_) }
    "\xc3(", "\xe2(\xa1", "\xe2\x82(", "\xf0(\x8c\xbc", "\xf0\x90(\xbc",
    "\xf0\x90\x8c(", "\xc3\xc3\xa9", "\xe2\x82\xc3\xa9", "\xe2\x82\xff",
    "\xf0\x9f\x98\xf0\x9f\x98\x80", "\xc3\xff", "\xc3\x7f",
]
--- reason eval: $bad_bytes


=== UTF-8: sequences with one byte too many
--- invalid eval
[
    everywhere("\xc3\xa9\x80", 2), everywhere("\xe2\x82\xac\xac", 3),
    everywhere("\xf0\x9f\x98\x80\x80", 4),
]
--- reason eval: $bad_bytes


=== UTF-8: found at any alignment
--- invalid eval
[
    map { aligned($_) }
    "\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80",
    "\xc0\xaf", "\xf4\x90\x80\x80",
]
--- reason eval: $bad_bytes


=== UTF-8: a body cut off inside a character
--- invalid eval
[
    map { my $head = "{\"x\":\"$_"; map { ["$head$_", length $head] }
          "\xc3", "\xe2", "\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x98" }
    map { 'x' x $_ } 0 .. 8
]
--- reason eval: $bad_bytes


=== UTF-8: a body cut off inside a character, whose rest follows it at once
--- requests eval
[post("{\"x\":\"\xf0\x9f\x98", keepalive => 1), "\x80\"}\r\n\r\n"]
--- reply
400 INVALID_JSON
400
--- upstream
none
--- grep_error_log eval
qr/jelou.*?(?=, client)/
--- grep_error_log_out eval
'jelou refused a request: INVALID_JSON: '
. "malformed UTF-8 or a control character at byte 6 of 9\n"


=== UTF-8: the first and the last of every length, and all but surrogates
--- valid eval
[
    map { text($_) }
    "\x20", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
    "\xee\x80\x80", "\xef\xb7\x90", "\xef\xbb\xbf", "\xef\xbf\xbe",
    "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
]


=== UTF-8: well-formed at any alignment
--- valid eval
[
    map { $_->[0] } map { aligned($_) }
    "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9",
]


=== control characters, everywhere
--- invalid eval
[
    map { everywhere(chr) } 0x00, 0x01, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f
]
--- reason eval: $bad_bytes


=== control characters, every one in a string, a name and between tokens
--- invalid eval
[
    map { (everywhere(chr))[1, 5, 11] }
    grep { $_ != 0x09 && $_ != 0x0a && $_ != 0x0d } 0 .. 0x1f
]
--- reason eval: $bad_bytes


=== control characters, at any alignment
--- invalid eval
[map { aligned($_) } "\0", "\x01", "\b", "\x0b", "\f", "\x1f"]
--- reason eval: $bad_bytes


=== tab, line feed and carriage return inside a string
--- invalid eval
[
    map {
        text($_), text("Hello$_"), with("\"x\":\"$_\""), with("\"x$_\":1"),
        event(user_id => "\"u$_\""), with("\"x\":\"\\\\$_\""),
        with("\"x\":\"\\$_\""),
    } "\t", "\n", "\r", "\r\n"
]


=== white space: tab, line feed, carriage return and space, between all tokens
--- valid eval
[
    map {
        my $space = $_;
        my $odd = join $space, '', with('"x":[1,true,{"y":-2e3}]')
                =~ /"[^"]*"|[\w.-]+|\W/g, '';
        [$odd, event()];
    } "\t", "\n", "\r", " ", "\r\n", " \t\n\r "
]


=== white space: none other
--- invalid eval
[
    map { $_ . event(), event() . $_, with("\"x\":$_ 1"), with("\"x\"$_:1"),
          with("$_\"x\":1") }
    "\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x83", "\xe2\x80\xa8",
    "\xe2\x80\xa9", "\xe3\x80\x80", "\xef\xbb\xbf", "\x7f", '\n', '\u0020',
]


=== a byte order mark
--- invalid eval
["\xef\xbb\xbf" . event(), "\xef\xbb\xbf", "\xef\xbb\xbf" . '{}']


=== UTF-16, with a byte order mark and without
--- invalid eval
my $wide = join "\0", split //, event();
[
    ["\xfe\xff\0$wide", 0], ["\xff\xfe$wide\0", 0], ["\0$wide", 0],
    ["$wide\0", 1],
]
--- reason eval: $bad_bytes


=== nothing, and nothing but white space
--- invalid eval
[map { [$_, length] } '', ' ', "\n", "\t \r\n", ' ' x 20000]


=== root: no object
--- invalid eval
[
    '[]', '[' . event() . ']', ' [ ] ', '"text"', '"\u0041"', '0', '-1.5e3',
    '1 ', 'true', 'false', 'null', ' null ',
]
--- reason
not an object


=== trailing bytes
--- invalid eval
[
    map { event() . $_, event() . " $_" }
    '{}', event(), '[]', '}', ']', ',', ':', '1', '-', '""', '"x"', 'null',
    'x', '//', '/**/', '#', ';', '\\', "\xc3\xa9", "\x7f",
]


=== trailing bytes: tokens that have not ended
--- invalid eval
[
    map { event() . $_, event() . "\n$_" }
    '"', '"x', '"}', '"{}', '"\"', '"\\', '"\u', '"\u0', '"' x 3,
    '"' . 'x' x 20_000, '{', '[', '{"', '-', 't', 'nul', '1.', '1e',
]


=== a body that is cut off anywhere
--- invalid eval
our $all = with('"x":[1,-2.5e+3,true,false,null,"\"\\\\\/\ud83d\ude00"],'
                . '"\u0061":{}');
[map { [substr($all, 0, $_), $_] } 0 .. length($all) - 1]


=== the same, whole
--- valid eval
[[$all, event()], event()]


=== escapes that are none
--- invalid eval
[
    map { text($_), text("Hello $_ world"), with("\"x\":[\"$_\"]"),
          with("\"x$_\":1"), event(user_id => "\"$_\"") }
    '\x41', '\x', '\a', '\v', '\0', '\1', '\e', "\\'", '\U0041', '\N', '\ ',
    "\\\xc3\xa9", '\u', '\u1', '\u12', '\u123', '\uZZZZ', '\u12g4', '\u+041',
    '\u-041', '\u 041', '\u0x41', '\u{41}', '\u004', '\ud83d\u', '\ud83d\ude0',
    '\ud83d\x', '\\\\\\',
]


=== numbers that are none
--- invalid eval
[
    map { with("\"x\":$_"), with("\"x\":[$_]"), event(user_id => $_) }
    '01', '-01', '00', '+1', '1.', '-1.', '.5', '-.5', '1e', '1e+', '1E-',
    '1.e3', '1.5e', '1e1.5', '-', '--1', '- 1', '1 2', '0x10', '1_000',
    '1,5,', '1f', '1a', '1e1e1', '0b1', '1n', '$1', '1.2.3', '1-2',
    'NaN', '-NaN', 'Infinity', '-Infinity', 'inf', "\xd9\xa1",
]


=== literals that are none
--- invalid eval
[
    map { with("\"x\":$_"), with("\"x\":[$_]"), with("\"x\":{\"y\":$_}") }
    'True', 'TRUE', 'tru', 'truee', 'true1', 'false_', 'fals', 'nul', 'nulll',
    'NULL', 'None', 'undefined', 'x', 'true false', 'yes', 't', 'n',
]


=== punctuation
--- invalid eval
[
    '{', '{,}', '{"x"}', '{"x":}', '{:1}', '{1:1}', '{null:1}', '{[]:1}',
    '{x:1}', '{"x" 1}', '{"x"=1}', '{"x"::1}', '{"x":1,}', '{"x":1,,"y":1}',
    '{"x":1;"y":1}', '{"x":1 "y":1}', '{"x":1:"y"}', '{"x":[1,]}',
    '{"x":[,1]}', '{"x":[,]}', '{"x":[1 1]}', '{"x":[1,,1]}', '{"x":[1:1]}',
    '{"x":(1)}', '{"x":<1>}', '{"x":1]', '{"x":[1}', '{"x":[1}]', '{"x":[1]]',
    '{"x":{"y":1]}', '}', '}{', '{}}', '{{}}', '{"x":{}{}}', '{"x",1}',
    '{"x":"a""b"}', '{"x":"a" "b"}', '{"x":"a"+"b"}', '{"x":a"b"}', '{]',
    substr(event(), 0, -1) . ',}', event(value => '{"id":"m-1",}'),
    event(content => '{"body":"Hello",}'), event(content => '{"body""Hello"}'),
    event(content => '{"body":"Hello"'), event(user_id => ''),
]


=== quotes
--- invalid eval
[
    event() =~ tr/"/'/r, event() =~ tr/"/`/r, event() =~ s/"/\xe2\x80\x9c/gr,
    event() =~ s/"//gr, event() =~ s/"/\\"/gr, event(user_id => "'u-1'"),
    event(user_id => 'u-1"'), event(user_id => '"u-1'), with("'x':1"),
    with('x:1'), with('"x:1'), with('x":1'), event(user_id => '"""u-1"""'),
]


=== comments
--- invalid eval
[
    map { "$_" . event(), event() . $_, with("\"x\":1$_"), with("\"x\":$_ 1"),
          with("$_\"x\":1"), with("\"x\"$_:1") }
    '/**/', '/* comment */', "// comment\n", "# comment\n", '<!-- -->',
    "-- comment\n", '/',
]


=== strings without an end
--- invalid eval
[
    map { my $text = $_; map { [$_, length] } map { $_ . $text }
          '{"x":"', '{"', '{"x":["', '{"x":"\n","y":"', }
    map { ('a' x $_, '\n' x $_, '\\\\' x $_, '\"' x $_, '\u00e9' x $_,
           '\ud83d\ude00' x $_, "\xc3\xa9" x $_) }
    0, 1, 100, 5000
]


=== strings without an end, and what would follow
--- invalid eval
[
    map { text($_), with("\"x\":\"$_"), text('Hello') =~ s/"(?=\}\}\})/$_/r }
    map { $_ x 100 . '\\', $_ x 5000 . '\\' } 'a', '\n', '\\\\', '\"', '\u00e9'
]


=== long strings without an end
--- invalid eval
[
    map { my $text = $_; map { [$_, length] } map { $_ . $text }
          '{"x":"', '{"', '{"x":"\n' . '.' x 70_000 . '","y":"' }
    'a' x 100_000, '\n' x 50_000, '\\\\' x 50_000, '\"' x 50_000,
    '\u00e9' x 30_000, "\xc3\xa9" x 50_000, join('\/', ('a' x 99) x 8_000),
    'a' x 65_530 . '\\', 'a' x 65_530 . '\u00', 'a' x 900_000,
]


=== nesting: 32 deep
--- valid eval
[
    map { [$_, event()] }
    nested(32, '[', ']'), nested(32, '{"y":', '}'), nested(32, ' [ ', ' ] '),
    with('"x":' . '[{"y":' x 15 . '[]' . '}]' x 15),
    with('"x":' . '{"y":[' x 15 . '{}' . ']}' x 15),
    with('"x":[' . join(',', ('[' x 30 . ']' x 30) x 100) . ']'),
    event(value => '{"x":' . '[' x 30 . ']' x 30 . ',"id":"m-1",'
          . '"type":"text","content":{"x":' . '[' x 29 . ']' x 29
          . ',"body":"Hello"}}'),
]


=== nesting: 33 deep
--- invalid eval
[
    nested(33, '[', ']'), nested(33, '{"y":', '}'), nested(33, ' [ ', ' ] '),
    with('"x":' . '[{"y":' x 15 . '[[]]' . '}]' x 15),
    with('"x":' . '[{"y":' x 15 . '[{}]' . '}]' x 15),
    with('"x":' . '{"y":[' x 15 . '{"y":{}}' . ']}' x 15),
    with('"x":[' . join(',', ('[' x 31 . ']' x 31) x 2) . ']'),
    event(value => '{"x":' . '[' x 31 . ']' x 31 . '}'),
    event(content => '{"x":' . '[' x 30 . ']' x 30 . ',"body":"Hello"}'),
    event(user_id => '[' x 32 . ']' x 32),
    event() =~ s/\}$/',"x":' . '[' x 32 . ']' x 32 . '}'/er,
]
--- reason
nested too deep


=== nesting: 100,000 deep
--- invalid eval
[
    with('"x":' . '[' x 100_000), nested(100_000, '[', ']'),
    with('"x":' . '{"":' x 100_000), '{"":' x 100_000, '{"":[' x 100_000,
    with('"x":' . '[' x 900_000),
]
--- reason
nested too deep


=== nesting: 100,000 deep, and the root no object
--- invalid eval
['[' x 100_000, '[' x 100_000 . ']' x 100_000, '[' x 900_000]
--- reason
not an object


=== wide instead of deep
--- valid eval
[
    map { [$_, event()] }
    with('"x":[' . '[],' x 100_000 . '[]]'),
    with('"x":[' . '{},' x 100_000 . '{}]'),
    with('"x":{' . '"y":1,' x 100_000 . '"y":1}'),
]


=== the log names a byte of what is wrong, or the one behind it
--- invalid eval
[
    ['{"x":01}', 6, 7], ['{"x":+1}', 5, 6], ['{"x":1.}', 6, 8],
    ['{"x":tru}', 5, 9], ['{"x":[nulx]}', 6, 10], ['{"x":"a\x41"}', 7, 9],
    ['{"x":"\u12g4"}', 6, 11], ["{\"x\":\"a\tb\"}", 7, 8], ['{x:1}', 1, 2],
    ['{"x" 1}', 5, 6], ['{"x":1,}', 7, 8], ['{"x":[1,]}', 8, 9],
    ['{"x":1]', 6, 7], ['{} x', 3, 4], ['{}}', 2, 3], ['{}{}', 2, 3],
    ["{'x':1}", 1, 2], ['{/**/}', 1, 2], ['{}""', 2, 4], ['{} [', 3, 4],
    [event() . '}', map { $_ + length event() } 0, 1],
    [event(user_id => '.5'), map { $_ + index event(), '"u-1"' } 0, 1],
]
