# What is JSON, as RFC 8259 has it, and UTF-8, as RFC 3629 has it: everything
# else is 400 INVALID_JSON, with the place in the log, and goes no further.

use strict;
use warnings;

use lib 't/lib';

# The log is whole when the answers are here.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }

use Jelou 'no_plan';

our $control = 'malformed UTF-8 or a control character';


# invalid: bodies on one connection, each a string or [BODY, OFFSET], where
# OFFSET is that in the log; all for the same "reason".
#
# valid: bodies on one connection, each a string that arrives as it is, or
# [BODY, EVENT].

check_accum_error_log();

add_block_preprocessor(sub {
    my $block = shift;

    my $valid = defined $block->valid;
    my $cases = $block->valid // $block->invalid // return;
    my $reply = $valid ? 'accepted m-1' : '400 INVALID_JSON';

    my @bodies = map { ref ? $_->[0] : $_ } @$cases;

    $block->set_value(requests => [
        map { post($bodies[$_], keepalive => $_ < $#bodies) } 0 .. $#bodies
    ]);
    $block->set_value(reply => "$reply\n" x @bodies);
    $block->set_value(upstream => $valid
                      ? [map { ref ? $_->[1] : $_ } @$cases] : 'none');

    my $reason = ($block->reason // 'not JSON') =~ s/\n//r;

    $block->set_value(grep_error_log => ref $cases->[0]
                      ? qr/jelou.*?(?=, client)/
                      : qr/jelou.*?(?= at byte \d+ of \d+, client)/);

    $block->set_value(grep_error_log_out => $valid ? '' : join '', map {
        "jelou refused a request: INVALID_JSON: $reason"
        . (ref ? " at byte $_->[1] of " . length $_->[0] : '') . "\n"
    } @$cases);

    $block->set_value(no_error_log => qr/\[(?:warn|error|crit)\]/)
        if $block->reason // '' ne 'large';
});


# with(MEMBER): an event that begins with an unknown member

sub with {
    return '{' . $_[0] . ',' . substr event(), 1;
}


# everywhere(BYTES): these bytes in all kinds of places, each [BODY, OFFSET]

sub everywhere {
    my $bytes = shift;

    return map {
        my $at = index $_, '@';
        [s/@/$bytes/r, $at];

    } event(content => '{"body":"@"}'), event(content => '{"body":"Hello@"}'),
      event(content => '{"body":"@Hello"}'), event(user_id => '"u@1"'),
      with('"x":"a longer text of an unknown member @ that is not used"'),
      with('"x@":1'), with('"@":1'), with('"x":[["@"]]'), with('"x":"\\\\@"'),
      with('"x":@1'), with('"x":1@'), with('@"x":1'),
      '@' . event(), event() . '@', event() . " \n@", '{"x":"@', '{"@', '@';
}


# padded(BYTES): after 0 to 16 characters, that is at any alignment

sub padded {
    my $bytes = shift;

    return map {
        my $head = '{"x":"' . '.' x $_;
        [$head . $bytes . '","y":"................"}', length $head];
    } 0 .. 16;
}


# nested(DEPTH, OPEN, CLOSE): a member value that many levels deep

sub nested {
    my ($depth, $open, $close) = @_;

    return $open x $depth . 0 . $close x $depth;
}

run_tests();

__DATA__

=== probe
--- invalid eval
[ with('"x":01'), with('"x":+1'), with('"x":1.'), with('"x":.5'), with("\"x\":\"\t\""), '', '[]', '1', '"a"', event().'x', '{"a":tru}',  with("\"x\":".("["x100)), '['x100000 ]
--- timeout: 5
