# The timestamp of a message: what it may be, and how far from the present.

use strict;
use warnings;

use lib 't/lib';
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';
use Jelou::Cases (
    endpoint => 'message',
    location => 'location = /webhook',
    path     => '/webhook',
    secret   => 1,
);

our $none = 'is required';
our $ms   = 'must be an integer, milliseconds since 1970-01-01T00:00:00Z';
our $secs = 'must be milliseconds since 1970-01-01T00:00:00Z: seconds?';

our $message = template(
    '/field' => '"messages"', '/object' => '"message_event"',
    '/event_type' => '"message"', '/timestamp' => 1776134278574,
    '/project_id' => '"p-1"', '/room_id' => '"r-1"', '/contact/id' => '"u-1"',
    '/conversation/id' => '"c-1"', '/bot/id' => '"b-1"',
    '/value/id' => '"m-1"', '/value/type' => '"text"',
    '/value/content/body' => '"Hello"',
);

our $event = template(
    '/field' => '"messages"', '/object' => '"message_event"',
    '/event_type' => '"message"', '/timestamp' => 1776134278574,
    '/project_id' => '"p-1"', '/room_id' => '"r-1"',
    '/conversation_id' => '"c-1"', '/bot_id' => '"b-1"', '/user_id' => '"u-1"',
    '/value/id' => '"m-1"', '/value/type' => '"text"',
    '/value/content/body' => '"Hello"',
);

our @image = (
    '/value/type' => '"image"', '/value/content' =>
    '{"url":"https://a.example/b","mime_type":"image/jpeg"}',
);


# taken(POINTER => VALUE): this message is accepted

sub taken { return accepted($message->(@_), $event->(@_), 'accepted m-1') }

sub wrong {
    my ($at, $value, $text) = @_;

    return invalid($message->($at => $value), [$at => $text]);
}


# A message that is so many seconds old, or in the future

sub aged {
    my ($age, @more) = @_;

    return $message->('/timestamp' => (time - $age) * 1000 + 7, @more);
}

sub fresh {
    my $body = aged(@_);

    return accepted($body, $event->('/timestamp' => $body =~ /stamp":(\d+)/),
                    'accepted m-1');
}

sub stale { return refused(aged(@_), '422 STALE_EVENT') }

run_tests();

__DATA__

=== timestamps are integers, and written as they came
--- cases eval
[
    map({ taken('/timestamp' => $_) }
        100000000000, 1776134278574, 4102444800000, 253402300799999),
    map({ wrong('/timestamp', $_, $secs) }
        qw(0 1 999 1776134278 99999999999)),
    map({ wrong('/timestamp', $_, $ms) }
        qw(253402300800000 1e3 1E12 1.0 1776134278574.0 -1 -0 0.5 0e0
           9223372036854775807 9223372036854775808 99999999999999999999999
           1776134278574e-3)),
]


=== not set, any time will do
--- cases eval
[fresh(0), taken('/timestamp' => 100000000000), taken('/timestamp' => 253402300799999)]


=== 0, any time will do
--- directives
    jelou_timestamp_tolerance  0;
--- cases eval
[fresh(0), taken('/timestamp' => 100000000000), taken('/timestamp' => 253402300799999)]


=== the past and the future
--- directives
    jelou_timestamp_tolerance  1h;
--- cases eval
[
    fresh(0), fresh(3500), fresh(-3500),
    stale(3601), stale(7200), stale(-3900), stale(-7200),
    refused($message->('/timestamp' => 100000000000), '422 STALE_EVENT'),
    refused($message->('/timestamp' => 253402300799999), '422 STALE_EVENT'),

    # seconds and microseconds in place of milliseconds

    wrong('/timestamp', time, $secs),
    refused($message->('/timestamp' => time . '000000'), '422 INVALID_EVENT'
            . ' /timestamp', log => 'INVALID_EVENT: 1 violation, the first at'
            . " \"/timestamp\": $ms"),
]


=== milliseconds
--- directives
    jelou_timestamp_tolerance  500ms;
--- cases eval
[stale(1), stale(-100)]


=== a bound of its own for the future
--- directives
    jelou_timestamp_tolerance  1h future=5m;
--- cases eval
[
    fresh(0), fresh(3500), fresh(-250), stale(3601), stale(-400), stale(-3500),
]


=== a longer one, and none of the future at all
--- config
    location = /longer {
        jelou_endpoint  message;
        jelou_secret    "$TEST_NGINX_SECRET";
        jelou_timestamp_tolerance  5m future=1h;
        proxy_pass      http://app;
    }

    location = /past {
        jelou_endpoint  message;
        jelou_secret    "$TEST_NGINX_SECRET";
        jelou_timestamp_tolerance  5m future=0;
        proxy_pass      http://app;
    }
--- cases eval
[
    map({ { %$_, options => { path => '/longer' } } }
        fresh(0), fresh(250), fresh(-3500), stale(310), stale(-3700)),
    map({ { %$_, options => { path => '/past' } } }
        fresh(10), stale(310), stale(-100)),
]


=== the schema comes first, then the type
--- directives
    jelou_timestamp_tolerance  1h;
    jelou_types  image;
--- cases eval
[
    invalid(aged(7200, '/room_id' => undef), ['/room_id' => $none]),
    refused(aged(7200), '422 TYPE_NOT_ALLOWED'),
    stale(7200, @image),
    refused(aged(7200, @image), '401 SIGNATURE_MISMATCH',
            secret => 'another'),
]


=== inherited, replaced, and without a timestamp
--- http_config
    jelou_timestamp_tolerance  1h future=1m;
    jelou_secret               "$TEST_NGINX_SECRET";
--- config
    location = /inherited { jelou_endpoint message; proxy_pass http://app; }

    location = /off {
        jelou_endpoint  message;
        jelou_timestamp_tolerance  0;
        proxy_pass  http://app;
    }

    location /longer {
        jelou_timestamp_tolerance  1d;

        location = /longer/inner {
            jelou_endpoint  message;
            proxy_pass  http://app;
        }
    }

    location = /incoming {
        jelou_endpoint  incoming_message;
        proxy_pass  http://app;
    }
--- cases eval
[
    map({ my $path = $_; map({ { %$_, options => { path => $path } } }
          $path eq '/inherited' ? (fresh(0), fresh(3500), stale(7200), stale(-90))
        : $path eq '/off'       ? (fresh(7200), fresh(-99999))
        : (fresh(7200), fresh(-7200), stale(90_000), stale(-90_000))) }
        qw(/inherited /off /longer/inner)),
    accepted(event(), event(), 'accepted m-1', path => '/incoming'),
    accepted(event() =~ s/{/{"timestamp":1,/r, event(), 'accepted m-1',
             path => '/incoming'),
]


=== not a time
--- directives
    jelou_timestamp_tolerance  soon;
--- must_die
--- error_log
[emerg]
"jelou_timestamp_tolerance" directive invalid value


=== not a time in the future
--- directives
    jelou_timestamp_tolerance  1h future=soon;
--- must_die
--- error_log
[emerg]
"jelou_timestamp_tolerance" directive invalid value


=== the longest there is
--- directives
    jelou_timestamp_tolerance  365d future=365d;
--- cases eval
[fresh(0), fresh(31_000_000), fresh(-31_000_000), stale(31_600_000),
 stale(-31_600_000)]


=== longer
--- directives
    jelou_timestamp_tolerance  366d future=5m;
--- must_die
--- error_log
[emerg]
"jelou_timestamp_tolerance" directive takes no time of more than 365 days


=== a future that is longer
--- directives
    jelou_timestamp_tolerance  365d future=9223372036854775807ms;
--- must_die
--- error_log
[emerg]
"jelou_timestamp_tolerance" directive takes no time of more than 365 days


=== more than a number can say
--- directives
    jelou_timestamp_tolerance  9223372036854775808ms;
--- must_die
--- error_log
[emerg]
"jelou_timestamp_tolerance" directive invalid value


=== a future and no past
--- directives
    jelou_timestamp_tolerance  0 future=5m;
--- must_die
--- error_log
[emerg]
"jelou_timestamp_tolerance" directive invalid value


=== another parameter
--- directives
    jelou_timestamp_tolerance  1h futures=5m;
--- must_die
--- error_log
[emerg]
"jelou_timestamp_tolerance" directive invalid value


=== a duplicate
--- directives
    jelou_timestamp_tolerance  1h;
    jelou_timestamp_tolerance  2h;
--- must_die
--- error_log
[emerg]
"jelou_timestamp_tolerance" directive is duplicate
