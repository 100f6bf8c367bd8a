# What nginx -t refuses, with the directive and the line that it names, what it
# warns of, and how the directives are inherited.

use strict;
use warnings;

use lib 't/lib';

# The log has all lines when the last answer is here: no need to wait for it.
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.003 }

use Jelou 'no_plan';

our ($path, $secret, %level, %of, %wrong);

$path   = '/v1/external-support/webhook';
$secret = 'signing-secret-of-the-tests';

# Of a "refused" or "warned" block the error log must have one line of that
# level about the configuration, which the pattern matches, and no secret.  HERE
# stands for the file and the line that ends with "# here".

add_block_preprocessor(sub {
    my $block = shift;

    $block->set_value(suppress_stderr => '');
    return unless defined $block->refused;

    $block->set_value(must_die => '');
    $block->set_value(error_log => '[emerg]');
});

add_test_cleanup_handler(sub {
    my $block = shift;

    my ($level, $want) = defined $block->refused ? (emerg => $block->refused)
                       : (warn => $block->warned // return);
    my $name = $block->name . " - $level";

    open my $in, '<:raw', $Test::Nginx::Util::ConfFile or die $!;
    my @conf = <$in>;
    my ($here) = map { $_ + 1 } grep { $conf[$_] =~ /# here$/ } 0 .. $#conf;

    open $in, '<:raw', $Test::Nginx::Util::ErrLogFile or die $!;
    my @log   = <$in>;
    my @lines = map { s/^.*?: //r } grep { /\[$level\] \S+ (?!\*)/ } @log;

    $want =~ s/\n\z//;

    if ($want eq 'nothing') {
        is("@lines", '', $name);

    } else {
        $want =~ s/HERE/\Q$Test::Nginx::Util::ConfFile\E:$here\\b/;
        is(scalar @lines, 1, "$name: one line");
        like($lines[0] // '', qr/^(?:.*?: )?$want/, $name);
    }

    is(scalar grep({ /hush|\Q$secret\E/ } @log), 0, "$name: no secret");
});


# Every directive, with a value

my %value = (
    jelou_endpoint => 'incoming_message', jelou_secret => $secret,
    jelou_types  => 'text image', jelou_field => 'messages',
    jelou_object => 'message_event', jelou_event_type => 'incoming_message',
    jelou_strict => 'on', jelou_format => 'raw', jelou_reply => 'upstream',
    jelou_access => 'none',
);

my @blocks;

sub refused($$$) {
    my ($name, $place, $want) = @_;

    push @blocks, "=== $name\n$place\n--- refused\n$want\n\n";
}

# in_location(LINES): an endpoint that has what it needs, but for these

sub in_location($) {
    my $lines = shift;

    my $config = "--- config\nlocation = $path {\n";

    $config .= "    jelou_endpoint incoming_message;\n"
        unless $lines =~ /jelou_endpoint/;
    $config .= "    jelou_secret $secret;\n" unless $lines =~ /jelou_secret/;

    return "$config$lines\nproxy_pass http://app;\n}";
}

for my $name (sort keys %value) {
    my $line = "$name $value{$name};";
    my $http = $name ne 'jelou_endpoint';

    my @places = (
        location  => in_location("$line\n$line # here"),
        $http ? (
            server => "--- config\n$line\n$line # here",
            http   => "--- config\n--- http_config\n$line\n$line # here",
        ) : (),
    );

    while (my ($place, $config) = splice @places, 0, 2) {
        refused("$name: twice in a $place", $config,
                qq("$name" directive is duplicate in HERE));
    }

    my $not_here = qq("$name" directive is not allowed here in HERE);

    @places = (
        if           => in_location("if (\$arg_x) {\n$line # here\n}"),
        limit_except => in_location("limit_except POST {\n$line # here\n}"),
        upstream     => "--- config\n--- http_config\nupstream x {\n"
                        . "server 127.0.0.1:1;\n$line # here\n}",
        main         => "--- config\n--- main_config\n$line # here",
        $http ? () : (
            server => "--- config\n$line # here",
            http   => "--- config\n--- http_config\n$line # here",
        ),
    );

    while (my ($place, $config) = splice @places, 0, 2) {
        refused("$name: in $place", $config, $not_here);
    }

    my $count = qq(invalid number of arguments in "$name" directive in HERE);

    refused("$name: without a value", in_location("$name; # here"), $count);

    refused("$name: two values", in_location("$name a b; # here"), $count)
        unless $name =~ /secret|types/;
}

# Values that are none: the pattern names the directive, whoever words it

for (
    [jelou_endpoint => qw(outgoing_message INCOMING_MESSAGE on),
                       'incoming_message2', '""'],
    [jelou_types    => qw(sticker TEXT), 'text sticker', 'texts', '""'],
    [jelou_strict   => qw(yes 1), '""'],
    [jelou_format   => qw(json events), '""'],
    [jelou_reply    => qw(none 200), '""'],
    [jelou_access   => qw(off on basic), '""'],
) {
    my ($name, @values) = @$_;

    for my $value (@values) {
        my ($bad) = $value =~ /(\w*)"?$/;

        refused("$name: $value", in_location("$name $value; # here"),
                qq(.*(?:"$bad".*"$name"|"$name".*"$bad").* in HERE));
    }
}

for my $name (qw(jelou_field jelou_object jelou_event_type)) {
    my %bytes = ('a lone byte' => "caf\xe9", 'an overlong form' => "\xc0\xaf",
                 'a surrogate' => "\xed\xa0\x80", 'half of one' => "caf\xc3",
                 'above U+10FFFF' => "\xf4\x90\x80\x80");

    for my $what (sort keys %bytes) {
        refused("$name: not UTF-8, $what",
                in_location(qq($name "$bytes{$what}"; # here)),
                qq("$name" directive is not UTF-8 in HERE));
    }
}

my $empty = 'empty secret in "jelou_secret" directive in HERE';
my $space = 'a secret in "jelou_secret" directive '
            . 'begins or ends with white space in HERE';

for (
    ['""' => $empty], ['hush-0123456789abcdef ""' => $empty],
    map { [$_ => $space] } '" hush-0123456789abcdef"',
        '"hush-0123456789abcdef "', '"\thush-0123456789abcdef"',
        '"hush-0123456789abcdef\n"', '"hush-0123456789abcdef\r"', '" "',
        'hush-0123456789abcdef "hush-0123456789abcdef "',
        '" hush$arg_x"', '"$arg_x-hush "',
) {
    my ($value, $want) = @$_;

    refused("jelou_secret: $value", in_location("jelou_secret $value; # here"),
            $want);
}

my $off     = '"off" is no secret: in "jelou_secret" directive it stands '
              . 'alone in HERE';
my $capture = '"\$" and a digit in a secret in "jelou_secret" directive are '
              . 'what a regular expression has captured, not a part of the '
              . 'secret in HERE';

for (
    ['off off' => $off], ['hush-0123456789abcdef "off"' => $off],
    map { [$_ => $capture] } "'hush-012345\$1abcdef'", '$1', '"$9-hush-0123456"',
        '"hush-0123456789$2"', '"hush-${arg_x}-0123456$3-x"',
) {
    my ($value, $want) = @$_;

    refused("jelou_secret: $value", in_location("jelou_secret $value; # here"),
            $want);
}

refused('jelou_secret: off in server, and a capture in a regex location',
        "--- config\nlocation ~ ^/(.*)\$ {\njelou_endpoint incoming_message;"
        . "\njelou_secret hush-0123456789\$1; # here\n}", $capture);

refused('jelou_secret: empty in http',
        "--- config\n--- http_config\njelou_secret ''; # here", $empty);


# A value of its own for everything at each level.  Location /s/ has server's,
# /l/ its own, /l/n/ those of /l/, /l/o/ its own, and the other server http's.

for my $n (qw(h s l o)) {
    $level{$n} = {
        secret => "hush-secret-of-level-$n", field => "field-$n",
        object => "object-$n", event_type => "type-$n",
        strict => $n =~ /[hl]/ ? 'on'       : 'off',
        format => $n =~ /[hl]/ ? 'raw'      : 'event',
        reply  => $n =~ /[hl]/ ? 'upstream' : 'contract',
        types  => { h => 'text', s => 'image', l => 'audio',
                    o => 'document' }->{$n},
    };
}

sub level($) {
    my $n = shift;

    return join "\n", map { "jelou_$_ $level{$n}{$_};" } sort keys %{$level{$n}};
}

# at(PLACE, MEMBER => LEVEL): a body right for the place, but for one member
# that is another level's

sub at($@) {
    my ($place, %other) = @_;

    my %m = map { $_ => $level{$other{$_} // $of{$place}}{$_} }
            qw(field object event_type secret types);

    my $body = event(
        (map { $_ => qq("$m{$_}") } qw(field object event_type)),
        id => qq("$place"), type => qq("$m{types}"),
        content => $m{types} eq 'text' ? '{"body":"Hello"}'
                 : '{"url":"https://example.com/a","mime_type":"a/b"}',
    );

    $body =~ s/^\{/{"more":1,/ if $other{more};

    return ($body, %m);
}

sub post_at($@) {
    my ($place, %other) = @_;

    my ($body, %m) = at($place, %other);

    return post("$body\n", secret => $m{secret}, keepalive => !$other{last},
                path => '/' . join('/', $place =~ /(\w)/g) . '/',
                host => $place eq 'h' ? 'other' : 'localhost');
}

our @places = qw(h s l l/n l/o);
%of     = (h => 'h', s => 's', l => 'l', 'l/n' => 'l', 'l/o' => 'o');
%wrong  = (h => 's', s => 'h', l => 's', 'l/n' => 's', 'l/o' => 'l');

our @members = qw(secret field object event_type types);

our @inherited = map {
    my $place = $_;

    post_at($place), (map { post_at($place, $_ => $wrong{$place}) } @members),
    post_at($place, more => 1, last => $place eq 'l/o')
} @places;

our $inherited = join "\n", map {
    my $level = $level{$of{$_}};
    my $ok    = $level->{reply} eq 'upstream' ? 201 : "accepted $_";

    ($ok, '401 SIGNATURE_MISMATCH',
     (map { "422 INVALID_EVENT /$_" } qw(field object event_type)),
     '422 TYPE_NOT_ALLOWED',
     $level->{strict} eq 'on' ? '422 INVALID_EVENT #' : $ok)
} @places;

our @bodies = map {
    my $level = $level{$of{$_}};
    my ($body) = at($_);

    $body .= "\n" if $level->{format} eq 'raw';
    $level->{strict} eq 'on' ? $body : ($body, $body)
} @places;


sub places() {
    my ($h, $s, $l, $o) = map { level($_) } qw(h s l o);

    return <<"END";
--- http_config
$h
server {
    listen       127.0.0.1:\$TEST_NGINX_SERVER_PORT;
    server_name  other;

    location = /h/ {
        jelou_endpoint  incoming_message;
        proxy_pass      http://app;
    }
}
--- config
$s
location /s/ {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}
location /l/ {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
    $l
    location /l/n/ {
        proxy_pass  http://app;
    }
    location /l/o/ {
        proxy_pass  http://app;
        $o
    }
}
END
}

push @blocks, "=== everything is inherited, and can be replaced\n" . places()
              . <<'END';
--- requests eval
\@inherited
--- upstream_answer
201
--- reply eval
$inherited
--- upstream eval
\@bodies
--- warned
nothing

END

spec_string(join '', <DATA>, @blocks);
run_tests();

__DATA__

=== a signed endpoint without a secret
--- config
location = /a {
    jelou_endpoint  incoming_message; # here
    proxy_pass      http://app;
}
--- refused
"jelou_endpoint incoming_message" needs a "jelou_secret" or a "jelou_secret_file" in HERE


=== a secret of another location is none
--- config
location = /b {
    jelou_secret  hush-0123456789abcdef;
}
location = /a {
    jelou_endpoint  incoming_message; # here
}
--- refused
"jelou_endpoint incoming_message" needs a "jelou_secret" or a "jelou_secret_file" in HERE


=== without a secret, and a nested location inherits it
--- config
location /a/ {
    jelou_endpoint  incoming_message; # here

    location /a/b/ {
        proxy_pass  http://app;
    }
}
--- refused
"jelou_endpoint incoming_message" needs a "jelou_secret" or a "jelou_secret_file" in HERE


=== a secret in the nested location alone is not one for the outer location
--- config
location /a/ {
    jelou_endpoint  incoming_message; # here

    location /a/b/ {
        jelou_secret  hush-0123456789abcdef;
    }
}
--- refused
"jelou_endpoint incoming_message" needs a "jelou_secret" or a "jelou_secret_file" in HERE


=== a nested endpoint, below one that is off
--- config
location /a/ {
    jelou_endpoint  off;

    location /a/b/ {
        proxy_pass      http://app;
        jelou_endpoint  incoming_message; # here
    }
}
--- refused
"jelou_endpoint incoming_message" needs a "jelou_secret" or a "jelou_secret_file" in HERE


=== a type that the endpoint does not have
--- config
location = /v1/rooms/r-1/message {
    jelou_endpoint  room_message;
    jelou_types     text audio; # here
}
--- refused
"jelou_endpoint room_message" has no type "audio", see "jelou_types" in HERE


=== the same, inherited from http
--- http_config
jelou_types  audio; # here
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    hush-0123456789abcdef;
}
location = /v1/rooms/r-1/message {
    jelou_endpoint  room_message;
}
--- refused
"jelou_endpoint room_message" has no type "audio", see "jelou_types" in HERE


=== the same, in a nested location
--- config
location /v1/rooms/ {
    jelou_endpoint  room_message;

    location /v1/rooms/r-1/ {
        proxy_pass   http://app;
        jelou_types  audio; # here
    }
}
--- refused
"jelou_endpoint room_message" has no type "audio", see "jelou_types" in HERE


=== jelou_endpoint: on, and off
--- directives
jelou_endpoint  off; # here
--- refused
"jelou_endpoint" directive is duplicate in HERE


=== jelou_endpoint: off, and on
--- config
location = /a {
    jelou_endpoint  off;
    jelou_endpoint  incoming_message; # here
    jelou_secret    hush-0123456789abcdef;
}
--- refused
"jelou_endpoint" directive is duplicate in HERE


=== a secret with a variable that nobody has
--- config
location = /a {
    jelou_endpoint  incoming_message;
    jelou_secret    "hush-0123-$nobody_has_this";
}
--- refused
unknown "nobody_has_this" variable


=== a secret of 15 bytes
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    hush-0123456789 # here
                    ;
    proxy_pass      http://app;
}
--- raw_request eval
post(event(), secret => 'hush-0123456789')
--- reply
accepted m-1
--- upstream eval
event()
--- warned
a secret in "jelou_secret" directive has fewer than 16 bytes in .*nginx\.conf:\d+


=== the second secret has 15 bytes
--- http_config
jelou_secret  hush-0123456789abcdef hush-0123456789; # here
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}
--- raw_request eval
post(event(), secret => 'hush-0123456789')
--- reply
accepted m-1
--- upstream eval
event()
--- warned
a secret in "jelou_secret" directive has fewer than 16 bytes in HERE


=== secrets of 16 bytes, one with white space in it
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    hush-0123456789a "hush 0123456789a";
    proxy_pass      http://app;
}
--- requests eval
[post(event(), secret => 'hush-0123456789a', keepalive => 1),
 post(event(), secret => 'hush 0123456789a')]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[event(), event()]
--- warned
nothing


=== secrets that begin as those that are refused
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    off-hush-0123456789 hush-${server_port}5-0123;
    proxy_pass      http://app;
}
--- requests eval
[post(event(), secret => 'off-hush-0123456789', keepalive => 1),
 post(event(), secret => "hush-$ENV{TEST_NGINX_SERVER_PORT}5-0123")]
--- reply
accepted m-1
accepted m-1
--- upstream eval
[event(), event()]
--- warned
nothing


=== a short secret in a variable is not known yet
--- http_config
map $arg_x $key {
    default  hush;
}
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $key;
    proxy_pass      http://app;
}
--- raw_request eval
post(event(), secret => 'hush')
--- reply
accepted m-1
--- upstream eval
event()
--- warned
nothing


=== every directive in http, with the values it has by default
--- http_config
jelou_secret      $TEST_NGINX_SECRET;
jelou_types       text image video audio document;
jelou_field       messages;
jelou_object      message_event;
jelou_event_type  incoming_message;
jelou_strict      off;
jelou_format      event;
jelou_reply       contract;
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app;
}
--- raw_request eval
post(event() . "\n")
--- reply
accepted m-1
--- upstream eval
event()
--- warned
nothing


=== no directive but those that must be there
--- config
location = /v1/external-support/webhook {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://app;
}
--- requests eval
[(map { post(event(type => qq("$_->[0]"), content => $_->[1]) . "\n",
             keepalive => 1) }
      [text => '{"body":""}'],
      map { [$_ => '{"url":"https://a.b/c","mime_type":"a/b"}'] }
          qw(image video audio document)),
 post(event() =~ s/^\{/{"more":1,/r)]
--- reply eval
join "\n", ('accepted m-1') x 6
--- upstream eval
[(map { event(type => qq("$_->[0]"), content => $_->[1]) }
      [text => '{"body":""}'],
      map { [$_ => '{"url":"https://a.b/c","mime_type":"a/b"}'] }
          qw(image video audio document)),
 event()]
--- warned
nothing


=== an inner location is no endpoint, and one in it is again
--- config
location /v1/ {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://app;

    location /v1/off/ {
        jelou_endpoint  off;
        proxy_pass      http://app;

        location /v1/off/on/ {
            jelou_endpoint  incoming_message;
            proxy_pass      http://app;
        }
    }
}
--- requests eval
[post('anything', path => '/v1/off/', signature => undef, keepalive => 1),
 post('anything', path => '/v1/x',    signature => undef, keepalive => 1),
 post('anything', path => '/v1/off/on/', signature => undef, keepalive => 1),
 post(event(),    path => '/v1/off/on/')]
--- upstream_answer
404
--- reply
404
401 SIGNATURE_MISSING
401 SIGNATURE_MISSING
404 UPSTREAM_REJECTED
--- response_body_like eval
['^{"upstream":404}$', 'SIGNATURE_MISSING', 'SIGNATURE_MISSING', 'UPSTREAM']
--- raw_response_headers_like eval
['X-Upstream: leak', ('application/json') x 3]
--- raw_response_headers_unlike eval
['application/json', ('leak') x 3]
--- upstream eval
['anything', event()]
--- warned
nothing


=== a nested location inherits the endpoint, and has no content handler
--- config
location /v1/ {
    jelou_endpoint  incoming_message; # here
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://app;

    location /v1/nested/ {
    }
}
--- refused
location "/v1/nested/" inherits "jelou_endpoint incoming_message" and has no handler that events go on to: give it one, or "jelou_endpoint" of its own, in HERE


=== the same, where the outer location has none either
--- config
location /v1/ {
    jelou_endpoint  incoming_message; # here
    jelou_secret    $TEST_NGINX_SECRET;

    location ~ /nested/$ {
        return  403;
    }
}
--- refused
location "/nested/\$" inherits "jelou_endpoint incoming_message" and has no handler that events go on to: give it one, or "jelou_endpoint" of its own, in HERE


=== the same, one level further in
--- config
location /v1/ {
    jelou_endpoint  incoming_message; # here
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://app;

    location /v1/nested/ {
        proxy_pass  http://app;

        location /v1/nested/more/ {
            jelou_types  text;
        }
    }
}
--- refused
location "/v1/nested/more/" inherits "jelou_endpoint incoming_message" and has no handler that events go on to: give it one, or "jelou_endpoint" of its own, in HERE


=== what answers by itself says so, or is no endpoint
--- config
location /v1/ {
    jelou_endpoint  incoming_message;
    jelou_secret    $TEST_NGINX_SECRET;

    location /v1/nested/ {
        jelou_endpoint  incoming_message;

        if ($arg_x) {
            set  $y  1;
        }
    }

    location /v1/health {
        jelou_endpoint  off;
        return          204;
    }

    if ($arg_x) {
        set  $y  1;
    }

    limit_except POST {
        deny  all;
    }
}
--- requests eval
[post(event(), path => '/v1/nested/', keepalive => 1),
 post(event(id => '"m-2"'), path => '/v1/nested/?x=1', keepalive => 1),
 post(event(id => '"m-3"'), path => '/v1/x?x=1', keepalive => 1),
 post('', path => '/v1/health', method => 'GET', signature => undef)]
--- reply
accepted m-1
accepted m-2
accepted m-3
204
--- upstream
none
--- warned
nothing


=== fixed values that JSON has to escape, and that are not ASCII
--- directives eval
qq(jelou_field       'a"b\\\\c';
   jelou_object      "\xc3\xa9 \xf0\x9f\x92\xac";
   jelou_event_type  "";)
--- requests eval
our $fixed = event(field => '"a\\"b\\\\c"', event_type => '""',
                   object => qq("\xc3\xa9 \xf0\x9f\x92\xac"));
[post($fixed, keepalive => 1),
 post(event(), keepalive => 1),
 post(event(field => '"a\\u0022b\\u005cc"', event_type => '""',
            object => '"\\u00e9 \\ud83d\\udcac"'))]
--- reply
accepted m-1
422 INVALID_EVENT /field /object /event_type
accepted m-1
--- upstream eval
[$fixed, $fixed]
--- response_body_like eval
['', 'must be [^}]*must be [^}]*must be ', '']
--- warned
nothing


