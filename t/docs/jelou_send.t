# util/jelou-send: what it sends, byte for byte, what it says, and how it exits; with
# all its options, to all endpoints of a real nginx, in the shells that are there.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Server;

use Digest::SHA qw(hmac_sha256_hex);
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 ();
use Time::HiRes qw(time);

my $script = 'util/jelou-send';
my $base   = "http://127.0.0.1:$Jelou::Port{SERVER}";
my $user   = 'client:pass "word" \\ %s';

delete @ENV{qw(http_proxy all_proxy ALL_PROXY)};

my $app   = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                   http => $Jelou::Port{APP});
my $nginx = Jelou::Server->new(name => 'front', level => 'warn');
my $dir   = $nginx->{dir};

# file(NAME, TEXT): its path

sub file {
    my ($name, $text) = @_;

    Jelou::Server::spew("$dir/$name", $text);
    return "$dir/$name";
}

my $secret = file(secret => "$Jelou::Secret\n");
my $users  = file(user   => "$user\n");

my $hash = do {
    open my $in, '-|', qw(openssl passwd -apr1), $user =~ s/^\w+://r or die $!;
    <$in>;
};

chmod 0644, file(htpasswd => "client:$hash");

$nginx->write(http => <<"END")->start;
jelou_dedup_zone  zone=seen:1m;

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    jelou_secret        "$Jelou::Secret";
    client_max_body_size  1m;

    location = /v1/external-support/webhook {
        jelou_endpoint  incoming_message;
        proxy_pass      http://127.0.0.1:$Jelou::Port{APP};
    }
    location = / {
        jelou_endpoint             message;
        jelou_timestamp_tolerance  300s;
        proxy_pass                 http://127.0.0.1:$Jelou::Port{APP};
    }
    location = /dedup {
        jelou_endpoint  incoming_message;
        jelou_dedup     zone=seen;
        proxy_pass      http://127.0.0.1:$Jelou::Port{APP};
    }
    location = /raw {
        jelou_endpoint  incoming_message;
        jelou_format    raw;
        proxy_pass      http://127.0.0.1:$Jelou::Port{APP};
    }
    location = /answer {
        jelou_endpoint  incoming_message;
        jelou_reply     upstream;
        proxy_pass      http://127.0.0.1:$Jelou::Port{APP};
    }
    location = /bare {
        proxy_pass  http://127.0.0.1:$Jelou::Port{APP};
    }
}
server {
    listen  127.0.0.1:$Jelou::Port{PORT_1};

    auth_basic            jelou;
    auth_basic_user_file  htpasswd;

    location ~ /rooms/ {
        jelou_endpoint  room_message;
        proxy_pass      http://127.0.0.1:$Jelou::Port{APP};
    }
    location ~ /bots/ {
        jelou_endpoint  bot_message;
        proxy_pass      http://127.0.0.1:$Jelou::Port{APP};
    }
}
END

my $basic = "http://127.0.0.1:$Jelou::Port{PORT_1}";

# command(SHELL, ARGUMENTS): exit status, what it says, what it complains of.
# The first argument may be { in => TEXT, env => { ... } }.

my @shell = ('sh');

sub command {
    my %o = ref $_[0] ? %{ +shift } : ();

    $app->expect(@{ $o{answers} // [] });

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        @ENV{keys %{ $o{env} // {} }} = values %{ $o{env} // {} };
        open STDIN,  '<', file(in => $o{in} // '');
        open STDOUT, '>', "$dir/out";
        open STDERR, '>', "$dir/err";
        exec @{ $o{shell} // \@shell }, $script, @_ or POSIX::_exit(127);
    }

    waitpid $pid, 0;

    return ($? >> 8, map { Jelou::Server::slurp($_) } "$dir/out", "$dir/err");
}

sub bodies { return map { $_->{body} } $app->requests(@_) }

my @signed = ('--secret-file', $secret);


# The shells: each sends, with a secret of each length, what a library of another
# language would, and nothing is lost on the way.

my @shells = grep { system("command -v $_->[0] >$dir/which 2>&1") == 0 }
             ['sh'], ['dash'], ['bash', '--posix'], ['busybox', 'sh'];

cmp_ok(scalar @shells, '>=', 2, 'there are shells');

my $odd = " {\"field\" : \"messages\",\r\n\t\"a\": \"'\$(id) \\u0000 %s \\\\ \xc3\xb1\"}  \n\n";

my @secrets = ('x', 'deadbeef', 'q' x 64, 'r' x 65, 's' x 200,
               q(it's "quoted" \\ %s %d $HOME `id` *), "\xc3\xb1and\xc3\xba",
               '-n', '\\060', "\xff\x01\x80");

for my $shell (@shells) {
    my $name = join ' ', @$shell;

    is(system("@$shell -n $script"), 0, "$name -n") if $shell->[0] ne 'busybox';

    for my $key (@secrets) {
        my @from = $key =~ /\s/ ? ('--secret-env', 'KEY')
                                : ('--secret-file', file(key => "$key\n"));
        my ($code) = command({ shell => $shell, env => { KEY => $key } }, @from,
                             'message', "$base/bare", file(odd => $odd));
        my ($r) = $app->requests(1);
        my ($is) = $r->{head} =~ /^X-Jelou-Signature: (.*)\r$/m;

        is($is, 'sha256=' . hmac_sha256_hex($odd, $key),
           "$name: the signature with " . JSON::PP->new->latin1->allow_nonref
                                                       ->encode($key));
        is($r->{body}, $odd, "$name: the body, byte for byte");
        is($code, 0, "$name: the exit status");
    }

    my ($code, $out) = command({ shell => $shell }, @signed, '--count', 3,
                               '--rate', '50/s', 'incoming_message', $base);

    is(scalar bodies(3), 3, "$name: a series");
    is($code, 0, "$name: its exit status");
    like($out, qr/^3 sent, answered: 3 with 200$/m, "$name: its sum");
}


# Examples: to each endpoint, of each type, and each is accepted

my %types = (
    incoming_message => [qw(text image video audio document)],
    message          => [qw(text image video audio document
                            conversation.start conversation.close)],
    room_message     => [qw(text image video document)],
    bot_message      => [qw(text list)],
);

for my $endpoint (sort keys %types) {
    my @to = $endpoint =~ /^room|^bot/
             ? ('--user-file', $users, $endpoint, $basic)
             : (@signed, $endpoint, $base);

    for my $type (@{ $types{$endpoint} }) {
        my ($code, $out, $err) = command(
            '--type', $type, '--project=p 1' =~ s/ /-/r, '--room', 'r-7', '--bot',
            'b-7', '--user', 'u-7', @to);

        is("$code$err", '0', "$endpoint $type: the exit status");
        like($out, qr/^200 OK, after \d+ ms$/m, "$endpoint $type: the answer");

        my ($event) = map { JSON::PP->new->utf8->decode($_) } bodies(1);

        is($event->{event_type}, $type =~ /^conv/ ? $type : $endpoint,
           "$endpoint $type: the event");

        my $value = ($event->{values} // [$event->{value}])->[0];

        is($value->{type}, $type, "$endpoint $type: its type")
            unless $type =~ /^conv/;

        my %id = map { $_ => $event->{$_} } grep { defined $event->{$_} }
                 qw(project_id room_id bot_id user_id sender_id);
        my %want = map { $_ => /^(\w)/ && { p => 'p-1', r => 'r-7', b => 'b-7',
                                           u => 'u-7', s => 'u-7' }->{$1} }
                   keys %id;

        is_deeply(\%id, \%want, "$endpoint $type: its ids");
        cmp_ok(scalar keys %id, '>=', $type =~ /^conv/ ? 1 : 2,
               "$endpoint $type: has ids");
    }
}

is((command(@signed, '--type', 'list', 'message', $base))[0], 2,
   'a type that the endpoint does not have');


# Who sends

my $event = event();
my $file  = file('event.json' => $event);

for my $case (
    ['--secret-env',  { SECRET_HERE => $Jelou::Secret }, 'SECRET_HERE', 0,
     'a secret of the environment'],
    ['--secret-env',  {}, 'SECRET_HERE', 2, 'that is not there'],
    ['--secret-env',  {}, 'x;id', 2, 'with a name that is none'],
    ['--secret-file', {}, "$dir/none", 2, 'a file that is not there'],
    ['--secret-file', {}, file(empty => "\n # x\n"), 2, 'no secret'],
    ['--secret-file', {}, file(bad => "another-secret"), 1, 'a wrong one'],
    ['--secret-file', {}, file(two => "$Jelou::Secret\nmore\n"), 0,
     'the first line counts'],
    ['--secret-file', {}, file(words => "a b c\n"), 2, 'three words'],
    ['--secret-file', {}, file(bom => "\xef\xbb\xbf$Jelou::Secret\n"), 2,
     'a byte order mark'],
    ['--secret-file', {}, file(crlf => "# secrets\r\n\r\n$Jelou::Secret\r\n"), 0,
     'comments and CR'],
    ['--secret-file', {}, file(own => "others\np-2 no\np-1\t$Jelou::Secret \np-1 new"),
     0, "the project's own lines come first"],
    ['--secret-file', {}, file(rest => "p-2 no\n$Jelou::Secret\n"), 0,
     'a project without lines has the others'],
    ['--secret-file', {}, file(foreign => "p-2 $Jelou::Secret\n"), 2,
     'a project that has none'],
) {
    my ($option, $env, $value, $want, $name) = @$case;
    my ($code, $out) = command({ env => $env }, $option, $value,
                               'incoming_message', $base, $file);

    is($code, $want, "$name: the exit status");
    is_deeply([bodies($want ? 0 : 1)], $want ? [] : [$event],
              "$name: what has arrived");
    like($out, qr/"key": "SIGNATURE_MISMATCH"/, "$name: the answer") if $want == 1;
}

my ($code, $out, $err) = command('--unsigned', 'incoming_message', $base);

is($code, 1, 'unsigned: the exit status');
like($out, qr/^401 Unauthorized, .*"key": "SIGNATURE_MISSING"/ms,
     'unsigned: the answer');

is((command('incoming_message', $base))[0], 2, 'no secret, and not unsigned');

is((command({ env => { WHO => $user } }, '--user-env', 'WHO', 'bot_message',
            $basic))[0], 0, 'a user of the environment');

($code, $out) = command('bot_message', $basic);
is($code, 1, 'no user: the exit status');
like($out, qr/^WWW-Authenticate: Basic realm="jelou"$/m, 'no user: the answer');


# Nobody reads a secret in a list of processes: all that is called is asked for
# its arguments.

my $tools = "$dir/tools";
mkdir $tools;

for my $tool (qw(curl openssl od cat awk sed cut tr head mktemp cp grep rm wc date
                 sort uniq sleep printf env expr))
{
    my ($real) = grep { -x } map { "$_/$tool" } '/usr/bin', '/bin' or next;
    my $path = file("tools/$tool", <<"END");
#!/bin/sh
printf '%s\\n' "$tool \$*" >>$dir/arguments
exec $real "\$@"
END
    chmod 0755, $path;
}

file(arguments => '');
($code, $out, $err) = command({ env => { PATH => $tools, SECRET => 'k3y-of-the-environment' },
                    shell => ['/bin/sh'] },
                  '--secret-env', 'SECRET', '--user-file', $users,
                  '--count', 2, 'bot_message', $basic);

my $arguments = Jelou::Server::slurp("$dir/arguments");

is($code, 0, 'processes: the exit status') or diag($err);
like($arguments, qr/^curl /m, 'processes: curl was seen');
like($arguments, qr/^openssl /m, 'processes: openssl was seen');

for my $hidden ('k3y-of-the-environment', 'pass', unpack('H*', 'k3y-of'),
                join('', map { sprintf '\\%03o', 0x36 ^ ord } qw(k 3 y)),
                join(' ', map { ord } qw(k 3 y)))
{
    unlike($arguments, qr/\Q$hidden\E/i, "processes: $hidden was not");
}


# Bodies of a file, of the standard input, of a log

for my $case (['a file', undef, $file], ['the standard input', $event, '-']) {
    my ($name, $in, $from) = @$case;

    is((command({ in => $in }, @signed, 'incoming_message', "$base/raw", $from))[0],
       0, "$name: the exit status");
    is_deeply([bodies(1)], [$event], "$name: what has arrived");
}

my @lines = map { event(id => qq("l-$_"), content => '{"body":"{{id}} \\\\ %s"}') }
            1 .. 3;

for my $case (
    ['a log', undef, file(log => join "\n", @lines[0, 1], '', $lines[2])],
    ['a log on the standard input', join('', map { "$_\n" } @lines), '-'])
{
    my ($name, $in, $from) = @$case;

    ($code, $out) = command({ in => $in }, @signed, '--log', $from, '--count=2',
                            'incoming_message', "$base/raw");

    is($code, 0, "$name: the exit status");
    is_deeply([bodies(6)], [@lines, @lines], "$name: what has arrived");
    like($out, qr/^6 sent, answered: 6 with 200$/m, "$name: the sum");
}

is((command(@signed, '--log', file(blank => "\n"), 'message', $base))[0], 2,
   'an empty log');


# Many, new each time or the same

sub ids { return map { /"id":"([^"]*)"/g } @_ }

sub distinct { return scalar keys %{ { map { $_ => 1 } @_ } } }

($code, $out) = command(@signed, '--count', 4, 'incoming_message', "$base/dedup");
is(distinct(ids(bodies(4))), 4, 'new ids');
is($code, 0, 'new ids: the exit status');

($code, $out) = command(@signed, '--count', 4, '--same', 'incoming_message',
                        "$base/dedup");
is(scalar(my @once = bodies(1)), 1, 'the same id: forwarded once');
like($out, qr/^4 sent, answered: 4 with 200$/m, 'the same id: the answers');

my $marks = file(marks => <<'END' =~ s/\n\z//r);
{"senderId":"s","messages":[
{"id":"{{uuid}}","type":"TEXT","text":"{{id}} {{now}} {{other}}"},{"id":"{{uuid}}","type":"TEXT","text":"{{id}}"}]}
END

command('--user-file', $users, '--count', 3, '--timestamp', 1234567890123,
        'room_message', $basic, $marks);

my @rooms = bodies(3);
my @ids   = ids(@rooms);
my @texts = map { /"body":"([^"]*)"/g } @rooms;

is(distinct(@ids), 6, 'marks: each UUID is another one');
is(scalar(grep { !/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/ }
          @ids), 0, 'marks: of version 4');
is(distinct(map { (split ' ')[0] } @texts), 3, 'marks: an id a message');
is(scalar(grep { / 1234567890123 \{\{other\}\}$/ } @texts), 3,
   'marks: the timestamp, and what is none stays');

my $began = time;
($code, $out) = command(@signed, '--count', 5, '--rate', 10, 'incoming_message',
                        $base);
my $took = time - $began;

is($code, 0, 'rate: the exit status');
cmp_ok($took, '>=', 0.4, 'rate: five at ten a second take 0.4 s');
cmp_ok($took, '<', 5, 'rate: and not much more');


# The time of the event

for my $case (['', 0, 0], ['-290', -290, 0], ['-600', -600, 1], ['+600', 600, 1]) {
    my ($time, $offset, $want) = @$case;
    my $name = "timestamp $time";

    ($code, $out) = command(@signed, $time eq '' ? () : ('--timestamp', $time),
                            'message', $base);

    is($code, $want, "$name: the exit status");

    if ($want) {
        like($out, qr/"key": "STALE_EVENT"/, "$name: the answer");
        next;
    }

    my ($is) = (bodies(1))[0] =~ /"timestamp":(\d+)/;
    cmp_ok(abs $is / 1000 - time - $offset, '<', 5, "$name: the event's");
}


# What is said

($code, $out) = command(@signed, 'incoming_message', $base,
                        file(said => event(id => '"m-9"')));

is($out =~ s/after \d+ ms/after N ms/r, <<"END", 'an answer, readably');
POST $base/v1/external-support/webhook
incoming_message, @{[ length event(id => '"m-9"') ]} bytes, @{[ sign(event(id => '"m-9"')) ]}

200 OK, after N ms
Content-Type: application/json

{
  "success": true,
  "messageId": "m-9"
}
END

my $json = '{"a":[],"b" : {} ,"c":[1,{"d":"x\\"{[,: ]}"}],"e":[ ]}';

($code, $out) = command(
    { answers => ["200 OK\nContent-Type: application/json\n"
                  . "X-Request-Id: \e[31mred\n\n$json"] },
    @signed, 'incoming_message', "$base/answer");

like($out, qr/\n\n(\{.*\})\n\z/s, 'JSON');
is(($out =~ /\n\n(\{.*)\z/s)[0], <<'END', 'JSON, one member a line');
{
  "a": [],
  "b": {},
  "c": [
    1,
    {
      "d": "x\"{[,: ]}"
    }
  ],
  "e": []
}
END
like($out, qr/^X-Request-Id: \[31mred$/m, 'no control characters in a header');

($code, $out) = command(
    { answers => ["200 OK\nContent-Type: text/plain\n\n\e]0;title\a<b>\x7f\nend"] },
    @signed, 'incoming_message', "$base/answer");

like($out, qr/^\]0;title<b>\nend\n\z/m, 'nor in a body');

($code, $out) = command({ answers => [200, 404, 503, 200] }, @signed,
                        '--count', 4, 'incoming_message', $base);

is($code, 1, 'some are refused: the exit status');
like($out, qr/^4 sent, answered: 2 with 200, 1 with 404, 1 with 500$/m,
     'some are refused: the sum');
like($out, qr/^ +2  404 +\d+ ms  \{.*UPSTREAM_REJECTED/m,
     'some are refused: a line each');


# No answer

($code, $out, $err) = command(@signed, 'incoming_message',
                              "http://127.0.0.1:$Jelou::Port{DOWN}");
is($code, 3, 'nobody listens: the exit status');
like($err, qr/curl: \(7\)/, 'nobody listens: why');

($code, $out, $err) = command({ answers => ['hang'] }, @signed, '--timeout', 1,
                              'message', "$base/bare");
is($code, 3, 'no answer in time: the exit status');
like($err, qr/curl: \(28\)/, 'no answer in time: why');

($code, $out) = command(
    { answers => ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"] }, @signed,
    '--count', 2, 'message', "http://127.0.0.1:$Jelou::Port{APP}/");
is($code, 3, 'half of an answer is none');
like($out, qr/^2 sent, answered: none$/m, 'half of an answer is not counted');


# The curl line

my $quotes = event(content => q({"body":"it's 'quoted' \\\\ $HOME"}));

for my $case (
    ['a file', "$base/raw", $quotes, @signed, 'incoming_message',
     "$base/raw", file(quotes => $quotes)],
    ['an example', $basic, undef, '--user-file', $users, 'bot_message', $basic],
) {
    my ($name, $url, $want, @line) = @$case;

    ($code, $out) = command('--dry-run', @line, '--', '-H', "X-Note: it's here");

    is($code, 0, "dry run, $name: the exit status");
    is_deeply([bodies(0)], [], "dry run, $name: sends nothing");
    unlike($out, qr/\Q$Jelou::Secret\E|pass/, "dry run, $name: no secret is said");

    my $said = `sh -c '. "$dir/line"' 2>&1 ` if file(line => $out);

    like($said, qr/^HTTP\/1.1 200 /m, "dry run, $name: the line is accepted");

    my ($r) = $app->requests(1);

    is($r->{body}, $want, "dry run, $name: what has arrived") if defined $want;
    like($r->{head}, qr/^X-Note: it's here\r$/m, "dry run, $name: options of curl's");
}

# What it needs

for my $tool (qw(curl openssl)) {
    my $path = "$dir/without-$tool";

    mkdir $path;
    symlink "$tools/$_", "$path/$_"
        for grep { $_ ne $tool } map { m{([^/]+)$} } glob "$tools/*";

    ($code, $out, $err) = command({ env => { PATH => $path }, shell => ['/bin/sh'] },
                                  @signed, 'incoming_message', $base);

    is($code, 2, "without $tool: the exit status");
    like($err, qr/^jelou-send: this needs $tool, which is not there$/m,
         "without $tool: what it says");
}

($code, $out, $err) = command(@signed, '--timeout', 0, 'message', $base);
like($err, qr/^jelou-send: --timeout 0: a number from 1 on here$/m, '--timeout 0');

my ($version) = Jelou::Server::slurp('ngx_http_jelou_module/ngx_http_jelou_ctx.h')
                =~ /NGX_HTTP_JELOU_VERSION +"(.+)"/;

is((command('--version'))[1], "jelou-send $version\n", "the module's version");


# Answers as JSON

($code, $out) = command({ answers => ['200 OK' . "\n\n\"\\\t\x1b\nend", 503] }, @signed,
                        '--json', '--count', 2, 'incoming_message', "$base/answer");

my @said = map { JSON::PP->new->utf8->decode($_) } split /\n/, $out;

is($code, 1, 'JSON: the exit status');
is(scalar @said, 2, 'JSON: a line an answer, and nothing else');
is_deeply([map { [@$_{qw(n status)}] } @said], [[1, 200], [2, 500]], 'JSON: statuses');
is($said[0]{answer}, "\"\\\t\x1b\nend", 'JSON: an answer');
is(JSON::PP->new->decode($said[1]{answer})->{error}{key}, 'UPSTREAM_FAILED',
   'JSON: a refusal');

($code, $out) = command(@signed, '--json', 'incoming_message',
                        "http://127.0.0.1:$Jelou::Port{DOWN}");
is($code, 3, 'JSON, nobody listens: the exit status');
like($out, qr/^\{"n":1,"status":null,"ms":\d+,"error":"curl: \(7\) .*"\}\n\z/,
     'JSON, nobody listens: what it says');


# verify: right, or where it goes wrong

my $several = file(several => "# x\np-9 of-another-project\n$Jelou::Secret\r\n");
my $right   = sign($event);
my $digits  = $right =~ s/^sha256=//r;

for my $case (
    ['it is right', 0, $right, $event, 'right, by line 3 of the secret file'],
    ['in upper case', 0, "sha256=\U$digits", $event, qr/^right/],
    ["of a project's secret", 0, sign($event, 'of-another-project'), $event,
     'right, by line 2 of the secret file (p-9)'],
    ['no prefix', 1, $digits, $event,
     'wrong: it has no "sha256=" before the digits; its digits are right'],
    ['white space', 1, " $right", $event, qr/^wrong: it has white space around it;/],
    ['too short', 1, substr($right, 0, 70), $event,
     'wrong: it has 63 characters after "sha256=", not 64'],
    ['no hex', 1, $right =~ s/.$/g/r, $event,
     'wrong: it has a character that is no hex digit'],
    ['another prefix', 1, "sha1=$digits", $event,
     qr/^wrong: it does not begin with "sha256=";/],
    ['base64', 1, 'sha256=' . MIME::Base64::encode_base64(pack('H*', $digits), ''),
     $event, 'wrong: it is base64, and should be 64 hex digits'],
    ['none', 1, '', $event, 'wrong: there is none'],
    ['a line feed too many', 1, $right, "$event\n",
     'wrong: it is right for the body without the line feed at its end'],
    ['a line feed too few', 1, sign("$event\n"), $event,
     'wrong: it is right for the body with a line feed at its end'],
    ['CR LF', 1, sign("{\n}"), "{\r\n}",
     'wrong: it is right for the body with line feeds in place of CR LF'],
    ['LF', 1, sign("{\r\n}"), "{\n}",
     'wrong: it is right for the body with CR LF in place of line feeds'],
    ['white space', 1, sign('{"a b":[1,"\\" :"]}'), qq({ "a b" :\t[1, "\\" :"]\n}),
     'wrong: it is right for the body without white space between its members'],
    ['an empty body', 1, sign(''), $event, 'wrong: it is right for an empty body'],
    ['a secret with its line feed', 1, sign($event, "$Jelou::Secret\n"), $event,
     'wrong: it is right for the secret with a line feed at its end'],
    ['and a body without', 1, sign($event, "$Jelou::Secret\n"), "$event\n",
     'wrong: it is right for the secret with a line feed at its end and the body'
     . ' without the line feed at its end'],
    ['another secret', 1, sign($event, 'x'), $event,
     'wrong: it is of another secret, or of another body; for these it is '
     . sign($event, 'of-another-project') . " or $right"],
) {
    my ($name, $want, $value, $body, $says) = @$case;

    ($code, $out, $err) = command({ in => $body }, 'verify', '--secret-file',
                                  $several, '--signature', $value);

    is("$code$err", $want, "verify: $name: the exit status");
    ref $says ? like($out, $says, "verify: $name: what it says")
              : is($out, "$says\n", "verify: $name: what it says");
}

($code, $out) = command('verify', '--secret-file', file(hex => "6b6579\n"),
                        '--signature', sign($event, 'key'), $file);
is($out, "wrong: it is right for the bytes of the secret, taken as hex\n",
   'verify: a decoded secret');

($code, $out) = command('verify', '--json', @signed, '--signature', $right, $file);
is($out, qq({"signature":"right","line":1}\n), 'verify: as JSON');

($code, $out) = command('verify', '--json', @signed, '--signature', 'x', $file);
like($out, qr/^\{"signature":"wrong","reason":"it does not begin with \\"sha256=\\""/,
     'verify: as JSON, wrong');

($code, $out) = command({ env => { KEY => 'a secret' } }, 'verify', '--secret-env',
                        'KEY', '--signature', sign($event, 'a secret'), $file);
is("$code$out", "0right\n", 'verify: a secret of the environment');


# listen: what it says and answers, of what nginx and others send

sub listening {
    my ($arguments, $requests) = @_;

    unlink "$dir/complaints";

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDOUT, '>', "$dir/heard";
        open STDERR, '>', "$dir/complaints";
        exec 'sh', $script, 'listen', '--port', 0, '--count', scalar @$requests,
             @$arguments or POSIX::_exit(127);
    }

    my $port;

    for (1 .. 100) {
        last if -s "$dir/complaints"
                && (($port) = Jelou::Server::slurp("$dir/complaints") =~ /:(\d+)$/m);
        select undef, undef, undef, 0.05;
    }

    my @answers;

    for my $request ($port ? @$requests : ()) {
        my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 5)
            or last;

        print $socket $request;
        local $SIG{ALRM} = sub { die "no answer\n" };
        alarm 10;
        push @answers, do { local $/; <$socket> };
        alarm 0;
    }

    kill TERM => $pid if @answers < @$requests;
    waitpid $pid, 0;

    return ($? >> 8, Jelou::Server::slurp("$dir/heard"), @answers);
}

my @requests = (post($event), post($event, secret => 'x'), post($event, signature => undef),
                post($event, signature => [$right, $right]), post($event, chunked => 9),
                post("\e[31m", headers => ['Expect: 100-continue']));

($code, $out, my @answers) = listening(
    ['--secret-file', $several, '--status', 202, '--answer', '{"a":1}'], \@requests);

is($code, 0, 'listen: the exit status');
is(join(' ', map { /^HTTP\/1\.1 (\d+)/ } @answers), '202 401 401 401 202 100',
   'listen: the answers');
like($answers[0], qr/\r\n\r\n\{"a":1\}\z/, 'listen: what was told');
like($answers[5], qr/\r\n\r\nHTTP\/1\.1 202 /, 'listen: after 100 Continue');
is(join("\n", $out =~ /(signature .*)/g), <<"END" =~ s/\n\z//r, 'listen: the signatures');
signature right, by line 3 of the secret file
signature wrong
signature missing: there is none
signature malformed: there are several
signature right, by line 3 of the secret file
signature right, by line 3 of the secret file
END
like($out, qr/^POST \S+, \d+ bytes, signature right, .*\n\n\{\n  "field": "messages",$/m,
     'listen: a body, readably');
like($out, qr/^  \}\n\}\n\nanswered 202\n/m, 'listen: to its end');
like($out, qr/^\[31m$/m, 'listen: no control characters');

($code, $out) = listening(['--json', @signed], [post($event), post("\"\n", secret => 'x')]);
is_deeply([map { JSON::PP->new->utf8->decode($_) } split /\n/, $out],
          [{ method => 'POST', path => $Jelou::Path, signature => 'right', line => 1,
             status => 200, body => $event },
           { method => 'POST', path => $Jelou::Path, signature => 'wrong',
             status => 401, body => "\"\n" }], 'listen: as JSON');

($code, $out) = listening([], [post($event), post($event, signature => undef)]);
is(join(' ', $out =~ /signature (.*)/g), 'not checked missing', 'listen: no secret');

for my $case (['verify', @signed], ['verify', '--signature', $right],
              ['listen', '--port', 'x'], ['listen', '--status', 99], ['listen', $base],
              ['verify', @signed, '--signature', 'x', $file, $file])
{
    is((command(@$case))[0], 2, "called as @$case");
}


# How it is called

for my $case (
    [], ['message'], ['sms', $base], ['message', $base, 'a', 'b'],
    ['--none', 'message', $base], ['--count', 0, 'message', $base],
    ['--count', 'x', 'message', $base], ['--rate', 0, 'message', $base],
    ['--rate', '1/h', 'message', $base], ['--timeout', '', 'message', $base],
    ['--timestamp', 'now', 'message', $base], ['--room', 'a/b', 'message', $base],
    ['--same=1', 'message', $base], ['message', $base, '--type'],
    ['message', $base, "$dir/none"], ['--log', "$dir/none", 'message', $base],
    ['--log', $file, 'message', $base, $file],
) {
    my ($code, $out, $err) = command(@signed, @$case);

    is($code, 2, "called as @$case");
    like($err, qr/^jelou-send: .*\nTry 'jelou-send --help'\.\n\z/,
         "called as @$case: what it says");
    is_deeply([bodies(0)], [], "called as @$case: nothing is sent");
}

($code, $out) = command('--help');
is($code, 0, '--help');

my $text = Jelou::Server::slurp($script);

my %parsed = map { $_ => 1 } map { /--[a-z][a-z-]*/g }
             $text =~ /^        (?:-h \| )?(--[a-z][^)\n]*)\)/mg;
my %told   = map { $_ => 1 } map { /--[a-z-]+/g } $out =~ /^ {4}(--.*)$/mg;

is_deeply([sort keys %told], [sort keys %parsed], 'all options are told');

my $page = Jelou::Server::slurp('debian/jelou-send.1') =~ s/\\-/-/gr;
my %page = map { $_ => 1 } $page =~ /(--[a-z][a-z-]*)/g;

is_deeply([sort keys %page], [sort keys %parsed], 'and the manual page has them');

($code, $out) = command('--example', 'message');
is($code, 0, '--example');
like($out, qr/"timestamp": \{\{now\}\}/, '--example has the marks');

$nginx->stop;
$app->stop;
