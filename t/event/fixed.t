# jelou_field, jelou_object, jelou_event_type: the values that a message must
# carry, and that its event carries.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.0001 }

use JSON::PP ();
use Jelou 'no_plan';

our @default = map { "\"$_\"" } qw(messages message_event incoming_message);


# fixed(FIELD, OBJECT, EVENT_TYPE): a message with these, JSON, and without
# those that are undef

sub fixed {
    my ($field, $object, $event_type) = @_;

    return event(field => $field, object => $object,
                 event_type => $event_type);
}


# Sections of a block, whose requests are all on one connection, to the "path"
# if there is one:
#
# wanted    the three values, as JSON has them in the event
# sent      lists of three, JSON, that are the same values in other spellings
# wrong     lists of three, JSON, each of which is sent with the two others as
#           they are wanted
#
# Messages with the values as wanted, and with one that is another or absent,
# are always sent.

check_accum_error_log();

add_block_preprocessor(sub {
    my $block = shift;

    my @wanted = @{ $block->wanted // return };
    my $path   = ($block->path // $Jelou::Path) =~ s/\s//gr;
    my @names  = qw(field object event_type);
    my (@requests, $reply, @texts, $log, $accepted);

    my @cases = (\@wanted, @{ $block->sent // [] });
    my $valid = @cases;

    for my $i (0 .. 2) {
        my $case = sub { my @v = @wanted; $v[$i] = $_[0]; \@v };

        push @cases, map { $case->($_) } undef, '1', '["x"]',
            grep({ $_ ne $wanted[$i] } $default[$i], '""', '"x"', '"\u0000"'),
            $wanted[$i] =~ s/"$/ "/r, $wanted[$i] =~ s/"$/\\u0000"/r,
            map { $_->[$i] } @{ $block->wrong // [] };
    }

    for my $n (0 .. $#cases) {
        my @got = @{ $cases[$n] };
        my ($first, %text);

        for my $i ($n < $valid ? () : 0 .. 2) {
            my ($got, $want) = ($got[$i], $wanted[$i]);

            next if defined $got && $got eq $want;
            $first //= $i;

            $text{"/$names[$i]"} =
                !defined $got  ? 'is required'
                : $got !~ /^"/ ? 'must be a string'
                : "must be $want";
        }

        push @texts, \%text;
        push @requests,
             post(fixed(@got), path => $path, keepalive => $n < $#cases);

        if (!defined $first) {
            $reply .= "accepted m-1\n";
            $accepted++;
            next;
        }

        my $at   = "/$names[$first]";
        my $text = $text{$at} =~ s/([\\"])/\\$1/gr;

        $reply .= join(' ', '422 INVALID_EVENT', keys %text) . "\n";
        $log .= 'jelou refused a request: INVALID_EVENT: 1 violation, the '
              . "first at \"$at\": $text\n";
    }

    my %section = (
        requests           => \@requests,
        reply              => $reply,
        upstream           => [(fixed(@wanted)) x $accepted],
        grep_error_log     => qr/jelou.*?(?=, client)/,
        grep_error_log_out => $log,
        no_error_log       => qr/\[(?!info\])\w+\].*jelou/,
        texts              => \@texts,
    );

    $block->set_value($_ => $section{$_}) for keys %section;
});


# The violation's text names the value that was expected.

add_response_body_check(sub {
    my ($block, $body, $i) = @_;

    my $want = ($block->texts // [])->[$i] or return;
    my $json = eval { JSON::PP->new->decode($body) } // {};

    is_deeply($json->{validationError} // {}, $want,
              $block->name . " - violations $i");
});


# location(PATH, DIRECTIVES)

sub location {
    my ($path, @directives) = @_;

    return <<"END";
location $path {
    jelou_endpoint  incoming_message;
    jelou_secret    \$TEST_NGINX_SECRET;
    proxy_pass      http://app;
    @directives
}
END
}

run_tests();

__DATA__

=== not set
--- wanted eval: \@default


=== all three
--- directives
jelou_field       entries;
jelou_object      whatsapp_event;
jelou_event_type  outgoing;
--- wanted eval
['"entries"', '"whatsapp_event"', '"outgoing"']
--- sent eval
[
    ['"\u0065ntries"', '"whatsapp\u005fevent"', '"outgoin\u0067"'],
    ['"entries"', '"\u0077hatsapp_event"', '"outgoing"'],
]
--- wrong eval
[['"Entries"', '"whatsapp"', '"outgoing_message"']]


=== jelou_field alone
--- directives
jelou_field  entries;
--- wanted eval
['"entries"', @default[1, 2]]


=== jelou_object alone
--- directives
jelou_object  "another object";
--- wanted eval
[$default[0], '"another object"', $default[2]]


=== jelou_event_type alone
--- directives
jelou_event_type  message;
--- wanted eval
[@default[0, 1], '"message"']


=== the defaults of one another
--- directives
jelou_field       incoming_message;
jelou_object      messages;
jelou_event_type  message_event;
--- wanted eval
[@default[2, 0, 1]]


=== quotes and backslashes
--- directives
jelou_field       'a "quoted" value';
jelou_object      'back\\slash and \\"';
jelou_event_type  '"';
--- wanted eval
['"a \"quoted\" value"', '"back\\\\slash and \\\\\""', '"\""']
--- sent eval
[['"a \u0022quoted\u0022 value"', '"back\u005cslash and \u005C\""', '"\u0022"']]
--- wrong eval
[['"a quoted value"', '"backslash and \""', '"\\\\"']]


=== characters that JSON must escape and others that it may
--- directives
jelou_field       "tab\tline\nreturn\r";
jelou_object      "a/b";
jelou_event_type  "<&>'%s$$";
--- wanted eval
['"tab\tline\nreturn\r"', '"a/b"', '"<&>\'%s$$"']
--- sent eval
[['"tab\u0009line\u000areturn\u000D"', '"a\/b"', '"\u003c&>\'%s$$"']]


=== no ASCII
--- directives
jelou_field       mensajería;
jelou_object      "事件 😀";
jelou_event_type  "été";
--- wanted eval
['"mensajería"', '"事件 😀"', '"été"']
--- sent eval
[['"mensajer\u00eda"', '"\u4e8b\u4ef6 \ud83d\ude00"', '"\u00e9t\u00E9"']]
--- wrong eval
[['"mensajeria"', '"事件 😁"', '"e' . "\xcc\x81" . 't' . "e\xcc\x81" . '"'],
 ['"mensajerí"', '"事"', '"éte"']]


=== DEL and control characters that are not forbidden
--- directives eval
"jelou_field \"a\x7fb\"; jelou_object \"\xc2\x85\";" .
" jelou_event_type \"\xe2\x80\xa8\";"
--- wanted eval
["\"a\x7fb\"", "\"\xc2\x85\"", "\"\xe2\x80\xa8\""]
--- sent eval
[['"a\u007fb"', '"\u0085"', '"\u2028"']]


=== white space at both ends counts
--- directives
jelou_field       " messages";
jelou_object      "message_event ";
jelou_event_type  "  ";
--- wanted eval
['" messages"', '"message_event "', '"  "']


=== empty
--- directives
jelou_field   "";
jelou_object  '';
--- wanted eval
['""', '""', $default[2]]


=== long
--- directives eval
"jelou_field " . 'x' x 1500 . "; jelou_object " . '\\\\' x 300 . 'x;'
--- wanted eval
['"' . 'x' x 1500 . '"', '"' . '\\\\' x 300 . 'x"', $default[2]]
--- wrong eval
[['"' . 'x' x 1499 . '"', '"' . '\\\\' x 299 . 'x"', '"x"']]


=== from http
--- http_config
jelou_field       f;
jelou_object      o;
jelou_event_type  e;
--- wanted eval
['"f"', '"o"', '"e"']


=== from server
--- config eval
'jelou_field f; jelou_object o; jelou_event_type e;' . location('/')
--- wanted eval
['"f"', '"o"', '"e"']


=== each from another level
--- http_config
jelou_field       f;
--- config eval
'jelou_object o;' . location('/', 'jelou_event_type e;')
--- wanted eval
['"f"', '"o"', '"e"']


=== from the nearest level
--- http_config
jelou_field       f1;
jelou_object      o1;
jelou_event_type  e1;
--- config eval
'jelou_object o2; jelou_event_type e2;' . location('/', 'jelou_event_type e3;')
--- wanted eval
['"f1"', '"o2"', '"e3"']
--- wrong eval
[['"f"', '"o1"', '"e2"'], ['"f2"', '"o"', '"e1"']]


=== from the outer location
--- config eval
location('/', 'jelou_field f; jelou_object o;',
         location('/inner', 'jelou_object o2;'))
--- path
/inner
--- wanted eval
['"f"', '"o2"', $default[2]]
--- wrong eval
[['"x"', '"o"', '"x"']]


=== the outer location has its own
--- config eval
location('/', 'jelou_field f; jelou_object o;',
         location('/inner', 'jelou_object o2; jelou_event_type e2;'))
--- wanted eval
['"f"', '"o"', $default[2]]
--- wrong eval
[['"x"', '"o2"', '"e2"']]


=== another location's are its own
--- config eval
location('/', 'jelou_field f; jelou_object o; jelou_event_type e;')
. location('/other')
--- path
/other
--- wanted eval: \@default
--- wrong eval
[['"f"', '"o"', '"e"']]


=== all three wrong
--- directives
jelou_field       f;
jelou_object      o;
jelou_event_type  "e\"";
--- requests eval
[post(event(), keepalive => 1), post(fixed('"o"', '"e\""', '"f"'))]
--- reply
422 INVALID_EVENT /field /object /event_type
422 INVALID_EVENT /field /object /event_type
--- upstream
none
--- texts eval
[({ '/field' => 'must be "f"', '/object' => 'must be "o"',
    '/event_type' => 'must be "e\""' }) x 2]
--- grep_error_log eval
qr/jelou.*?(?=, client)/
--- grep_error_log_out eval
'jelou refused a request: INVALID_EVENT: 3 violations, the first at "/field": must be \"f\"
' x 2


=== with the verified bytes as they are
--- directives
jelou_field   entries;
jelou_format  raw;
--- requests eval
[
    post(event() =~ s/"messages"/ "\\u0065ntries" /r, keepalive => 1),
    post(event()),
]
--- reply
accepted m-1
422 INVALID_EVENT /field
--- upstream eval
event() =~ s/"messages"/ "\\u0065ntries" /r
--- grep_error_log eval
qr/jelou.*?(?=, client)/
--- grep_error_log_out
jelou refused a request: INVALID_EVENT: 1 violation, the first at "/field": must be \"entries\"
