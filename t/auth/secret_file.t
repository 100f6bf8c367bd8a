# Where secrets come from: files of them, for one project or for all, maps, and
# what $jelou_secret_id says of them.

use strict;
use warnings;
use POSIX ();

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Sections;
use Jelou::Server;

our $A = 'secret-a-of-project-1';
our $B = 'secret-b-of-project-1';
our $C = 'secret-c-of-project-2';
our $D = 'secret-d-of-no-project';
our $E = 'secret-e-of-the-directive';


# by(LIST): the requests of one connection, each [PROJECT, SECRET] of an event
# m-1, m-2, ...; bodies(LIST): the events of those that have a true third item

sub body {
    my ($n, $project) = @_;

    return event(id => qq("m-$n"),
                 project_id => defined $project ? qq("$project") : undef);
}

sub by {
    my @list = @_;

    return [map { post(body($_, $list[$_ - 1][0]), secret => $list[$_ - 1][1],
                       keepalive => $_ < @list) } 1 .. @list];
}

# replies(LIST), log(LIST): a third item is the answer if it is not this 401

sub answer  { return $_[0] // '401 SIGNATURE_MISMATCH' }

sub replies { return join '', map { answer($_->[2]) . "\n" } @_ }

sub bodies {
    my @list = @_;

    my @bodies = map { answer($list[$_ - 1][2]) =~ /^accepted/
                       ? body($_, $list[$_ - 1][0]) : () } 1 .. @list;

    return @bodies ? \@bodies : 'none';
}

sub refused {
    return join '', map { answer($_->[2]) =~ /^401 (\w+)/
                          ? "[warn] jelou refused a request: $1\n" : () } @_;
}


# A file with both forms of a line, and everything that may stand around them

our $File = <<"END";
# the first line is a comment

p-1 $A
   p-1\t \t$B\t
\t
  # so is this one
p-2 $C
$D
#p-3 not-a-secret-of-anybody
END

our @File = (
    ['p-1', $A, 'accepted m-1'],
    ['p-1', $B, 'accepted m-2'],
    ['p-2', $C, 'accepted m-3'],
    ['p-3', $D, 'accepted m-4'],
    ['p\u002d1', $B, 'accepted m-5'],       # the project's id is decoded

    ['p-1', $C], ['p-1', $D],               # a listed project has its own only
    ['p-2', $A], ['p-2', $B], ['p-2', $D],
    ['p-3', $A], ['p-3', $C], ['p-3', 'not-a-secret-of-anybody'],
    ['P-1', $A], ['p-1 ', $A], ['p-10', $A], ['p-', $A],
    ['p-1', 'p-1'], ['p-1', "p-1 $A"], ['p-1', "$A\t"], ['p-3', "$D\n"],
);

our $FileAccess = join '', map { "$_\n" }
    '200 accepted 3', '200 accepted 4', '200 accepted 7', '200 accepted 8',
    '200 accepted 4', ('401 signature_mismatch -') x 16;


# With both directives, in either order

our @Both = (
    ['p-1', $A, 'accepted m-1'],
    ['p-3', $D, 'accepted m-2'],
    ['p-3', $E, 'accepted m-3'],
    ['p-3', 'another-one-of-the-directive', 'accepted m-4'],
    ['p-1', $E], ['p-1', $D], ['p-3', $A],
);

our $Both = "# both\n$D\np-1 $A\n";

our $BothAccess = join '', map { "$_\n" }
    '200 accepted file:3', '200 accepted file:2', '200 accepted 1',
    '200 accepted 2', ('401 signature_mismatch -') x 3;


# What is wrong with the event shows only if the signature is right; what the
# project is, cannot always be told.

our $Long = 'x' x 257;

my $event = 'INVALID_EVENT: 1 violation, the first at "/';
my $id    = 'must have 1 to 256 bytes, no control character, and not white '
          . 'space alone';
my $json  = 'INVALID_JSON: not JSON at byte';

our @Odd = (
    [event(room_id => undef), $A, '422 INVALID_EVENT /room_id',
     qq(${event}room_id": is required)],
    [event(project_id => '1'), $D, '422 INVALID_EVENT /project_id',
     qq(${event}project_id": must be a string)],
    [event(project_id => undef), $D, '422 INVALID_EVENT /project_id',
     qq(${event}project_id": is required)],
    [event(project_id => '""'), $D, '422 INVALID_EVENT /project_id',
     qq(${event}project_id": $id)],
    [event(project_id => qq("$Long")), $D, '422 INVALID_EVENT /project_id',
     qq(${event}project_id": $id)],
    [event(project_id => '"p-1\u0000"'), $D, '422 INVALID_EVENT /project_id',
     qq(${event}project_id": $id)],
    [event(project_id => '"p-1","project_id":"p-2"'), $D,
     '422 INVALID_EVENT /project_id',
     qq(${event}project_id": must not be repeated)],
    (map { [event(project_id => $_), $D, '422 INVALID_EVENT /project_id',
            qq(${event}project_id": must be a string)] }
         '{"a":"p-1"}', '{"project_id":"p-1"}', '["p-1"]', 'null,"x":"p-1"', '1,"x":"p-1"'),
    [event(project_id => '"p-1","x":[{"project_id":"p-2"}]', room_id => undef),
     $A, '422 INVALID_EVENT /room_id', qq(${event}room_id": is required)],
    ['not JSON', $D, '400 INVALID_JSON', "$json 1 of 8"],
    ['[]', $D, '400 INVALID_JSON', 'INVALID_JSON: not an object at byte 1 of 2'],
    ['{"project_id":"p-1"', $D, '400 INVALID_JSON', "$json 19 of 19"],

    (map { [$_, $A] } event(project_id => '1'), event(project_id => undef),
     event(project_id => '"p-1","project_id":"p-2"'),
     event(project_id => '"p-1\u0000"'), 'not JSON', '',
     event(project_id => '{"a":"p-1"}'), event(project_id => '["p-1"]'),
     event(project_id => 'null,"x":"p-1"'),
     '{"project_id":"p-1"'),
    [event(room_id => undef), $D],
    [event(room_id => undef), $C],
);

sub odd {
    return [map { post($Odd[$_][0], secret => $Odd[$_][1],
                       keepalive => $_ < $#Odd) } 0 .. $#Odd];
}


# Configurations that nginx refuses, or accepts with a warning: the secret file,
# what is said of it, and the configuration if it is not one endpoint with this
# file.  FILE is the secret file's name.

my $nginx = Jelou::Server->new(name => 'check');

sub endpoint {
    my $lines = shift;

    return <<"END";
server {
    listen  127.0.0.1:$Jelou::Port{SERVER};
    location / {
        jelou_endpoint  incoming_message;
$lines
    }
}
END
}

sub check {
    my ($name, $content, $want, $conf) = @_;

    my $file = "$nginx->{dir}/secrets";

    system 'rm', '-rf', $file;

    ref $content ? $content->($file)
                 : defined $content && Jelou::Server::spew($file, $content);

    $conf //= '    jelou_secret_file FILE; # WHERE';

    my $said = $nginx->says(endpoint($conf =~ s/\bFILE\b/$file/gr),
                            $want =~ s/\bFILE\b/$file/gr, $name);

    unlike($said, qr/\Q$A\E|\Q$D\E|12345678/, "nginx -t: $name: no secret");
}

my $open = '[emerg] "jelou_secret_file": open() "FILE" failed';
my $bad  = '[emerg] "jelou_secret_file": the line in "FILE"';
my $none = qq([emerg] "jelou_secret_file": no secret in "FILE" in WHERE\n);
my $more = 'has more than a project id and a secret in WHERE';
my $ctrl = 'has a control character in WHERE';
my $short = 'has fewer than 16 bytes in WHERE';

check('good', "$D\np-1 $A\n", '');
check('good, no line feed at the end', $D, '');
check('no file', undef,
      "$open (2: No such file or directory) in WHERE\n");
check('a directory', sub { mkdir $_[0] },
      '[emerg] "jelou_secret_file": "FILE" is not a file of at most 67108864 '
      . "bytes in WHERE\n");
check('a FIFO that nobody writes to',
      sub { POSIX::mkfifo($_[0], 0600) or die "mkfifo: $!" },
      '[emerg] "jelou_secret_file": "FILE" is not a file of at most 67108864 '
      . "bytes in WHERE\n");
check('a byte order mark', "\xef\xbb\xbf$D\n",
      "${bad}:1 begins with a byte order mark in WHERE\n");
check('empty', '', $none);
check('only white space and comments', "\n# one\n  # two\r\n\t\n", $none);
check('three fields', "$D\n\n# comment\np-1 $A b\n", "${bad}:4 $more\n");
check('a comment behind a secret', "p-1 $A # now\n", "${bad}:1 $more\n");
check('a secret in quotes', qq($D\np-1 "a secret"\n), "${bad}:2 $more\n");
check('an assignment with spaces', "SECRET = $A\n", "${bad}:1 $more\n");
check('a NUL', "$D\n$A\0\n", "${bad}:2 $ctrl\n");
check('an escape', "p-1\e $A\n", "${bad}:1 $ctrl\n");
check('a DEL', "$D\x7f\n", "${bad}:1 $ctrl\n");
check('a form feed', "p-1\f$A\n", "${bad}:1 $ctrl\n");
check('carriage returns only', "$D\rp-1 $A\r", "${bad}:1 $ctrl\n");
check('a project id of 257 bytes', "$D\n$Long $A\n",
      "${bad}:2 has a project id of more than 256 bytes in WHERE\n");
check('a project id of 256 bytes', substr($Long, 1) . " $A\n", '');

check('a short secret', "$D\np-1 123456789012345\n" . "p-2 1234567890123456\n",
      qq([warn] "jelou_secret_file": the secret in "FILE":2 $short\n));
check('a short secret of all projects', "p-1 $A\nx\n",
      qq([warn] "jelou_secret_file": the secret in "FILE":2 $short\n));
check('others can read it', sub { Jelou::Server::spew($_[0], "$D\n", 0604) },
      qq([warn] "jelou_secret_file": others can read or write "FILE" in WHERE\n));
check('others can write it', sub { Jelou::Server::spew($_[0], "$D\n", 0602) },
      qq([warn] "jelou_secret_file": others can read or write "FILE" in WHERE\n));
check('the group can read it', sub { Jelou::Server::spew($_[0], "$D\n", 0640) },
      '');

my %looks = (
    'an assignment' => ["SECRET=$A", "project_1=$A", "_x=0123456789abcdef",
                        "export SECRET=$A", "SECRET=$A p-1-0123456789abcdef", "p-1 SECRET=$A",
                        "p-1: $A", "9=0123456789abcdef"],
    'JSON'          => [qq({"p-1":"$A"}), qq("p-1": "$A",), qq("$A"),
                        qq(["$A"]), qq(}$A), qq(]$A)],
);

for my $what (sort keys %looks) {
    check("$what: $_", "# comment\n$_\n", '[warn] "jelou_secret_file": '
          . qq(the line in "FILE":2 looks like $what in WHERE\n))
        for @{ $looks{$what} };
}

check("no assignment: $_", "$_\n", '')
    for "${A}=", "${A}==", "0123456789abcdef==", "p-1 ${A}==", "=$A", "$A:", "a-b=$A", "a.b=$A",
        "$A\\{}[]", "p-1 {$A}", "p-1 0123456789abcdef=";

check('twice', "$D\n", qq([emerg] "jelou_secret_file" directive is duplicate )
      . "in OTHER\n", "jelou_secret_file FILE; # WHERE\n"
      . "jelou_secret_file FILE; # OTHER");
check('no argument', "$D\n", '[emerg] invalid number of arguments in '
      . qq("jelou_secret_file" directive in WHERE\n),
      'jelou_secret_file; # WHERE');
check('two arguments', "$D\n", '[emerg] invalid number of arguments in '
      . qq("jelou_secret_file" directive in WHERE\n),
      'jelou_secret_file FILE FILE; # WHERE');

for my $order ('before', 'behind') {
    my @lines = (qq(jelou_secret "$E";), 'jelou_secret_file FILE; # WHERE');
    @lines = reverse @lines if $order eq 'behind';

    check("an empty file, $order it a secret", "# none\n", $none,
          join "\n", @lines);
}

# A relative name is one beside nginx.conf.

check('a relative name', "$D\n", '', 'jelou_secret_file secrets;');
check('a relative name that is not there', "$D\n",
      "[emerg] \"jelou_secret_file\": open() \"$nginx->{dir}/other\" failed "
      . "(2: No such file or directory) in WHERE\n",
      'jelou_secret_file other; # WHERE');

# Ten thousand projects: the time of a worker for the same requests

sub many {
    my $projects = shift;

    my $dir = "$nginx->{dir}";

    Jelou::Server::spew("$dir/secrets", join '', map {
        "project-$_ secret-of-the-project-$_\n"
    } 1 .. $projects);

    # a log line for each refused request would be most of the time

    $nginx->write(level => 'error',
                  http  => endpoint('jelou_secret_file secrets;'));
    $nginx->start;

    my ($worker) = $nginx->workers;
    my @rounds;

    # the projects of the file's ends, and some that are not there

    my @requests = map {
        my $body = event(project_id => qq("project-$_->[0]"));
        { raw  => post($body, secret => $_->[1], keepalive => 1),
          want => $_->[2] };
    } (map { [$_, "secret-of-the-project-$_", 200] }
           1 .. 5, $projects - 4 .. $projects),
      map { ["0$_", "secret-of-the-project-$_", 401] } 1 .. 10;

    my $wrong = 0;

    for my $round (1 .. 5) {
        my $n = 2000;
        my $began = run_time($worker);

        Jelou::Load::run(
            port => $Jelou::Port{SERVER}, connections => 4,
            next => sub { $n-- > 0 ? $requests[$n % @requests] : undef },
            done => sub { $wrong++ if !$_[1] || $_[1]{status} != $_[0]{want} },
        );

        push @rounds, run_time($worker) - $began;
    }

    $nginx->stop;

    is($wrong, 0, "$projects projects: each request has its answer");

    return (sort { $a <=> $b } @rounds)[0];
}

# in nanoseconds, of the processor

sub run_time {
    my $pid = shift;

    return (split ' ', Jelou::Server::slurp("/proc/$pid/schedstat"))[0];
}

{
    my ($few, $many) = map { many($_) } 10, 10_000;

    diag(sprintf '2,000 requests: %.0f ms with 10 projects, %.0f ms with 10,000',
         $few / 1e6, $many / 1e6) if $ENV{TEST_VERBOSE};

    cmp_ok($many, '<', 1.5 * $few,
           'ten thousand projects cost no more than ten');
}


run_tests();

__DATA__

=== both forms of a line, comments, white space; several lines of a project
--- secrets eval: $::File
--- location
    jelou_secret_file $SECRETS;
--- requests eval: by(@::File)
--- reply eval: replies(@::File)
--- upstream eval: bodies(@::File)
--- access eval: $::FileAccess
--- log eval: refused(@::File)


=== the same file with CRLF
--- secrets eval: $::File =~ s/\n/\r\n/gr
--- location
    jelou_secret_file $SECRETS;
--- requests eval: by(@::File)
--- reply eval: replies(@::File)
--- upstream eval: bodies(@::File)
--- access eval: $::FileAccess
--- log eval: refused(@::File)


=== lines without a project only: any of them, whatever the project
--- secrets eval: "$::A\n\n$::B\n"
--- location
    jelou_secret_file $SECRETS;
--- requests eval: by(['p-1', $::B], ['p-2', $::A], ['p-1', $::C])
--- reply
accepted m-1
accepted m-2
401 SIGNATURE_MISMATCH
--- upstream eval: bodies(['p-1', 0, 'accepted'], ['p-2', 0, 'accepted'])
--- access
200 accepted 3
200 accepted 1
401 signature_mismatch -
--- log
[warn] jelou refused a request: SIGNATURE_MISMATCH


=== lines with a project only: others are unknown
--- secrets eval: "p-1 $::A\np-2 $::C\n"
--- location
    jelou_secret_file $SECRETS;
--- requests eval
by(['p-2', $::C], ['p-3', $::A], ['p-3', ''], ['', ''], [undef, $::A])
--- reply eval: replies(['', '', 'accepted m-1'], ([]) x 4)
--- upstream eval: bodies(['p-2', 0, 'accepted'])
--- access eval: "200 accepted 2\n" . "401 signature_mismatch -\n" x 4
--- log eval: refused(([]) x 4)


=== the file behind the directive
--- secrets eval: $::Both
--- location
    jelou_secret       secret-e-of-the-directive another-one-of-the-directive;
    jelou_secret_file  $SECRETS;
--- requests eval: by(@::Both)
--- reply eval: replies(@::Both)
--- upstream eval: bodies(@::Both)
--- access eval: $::BothAccess
--- log eval: refused(@::Both)


=== the file before the directive
--- secrets eval: $::Both
--- location
    jelou_secret_file  $SECRETS;
    jelou_secret       secret-e-of-the-directive another-one-of-the-directive;
--- requests eval: by(@::Both)
--- reply eval: replies(@::Both)
--- upstream eval: bodies(@::Both)
--- access eval: $::BothAccess
--- log eval: refused(@::Both)


=== the directive's places without a file
--- location
    jelou_secret  secret-e-of-the-directive another-one-of-the-directive;
--- requests eval: by(['p-1', 'another-one-of-the-directive'], ['p-1', $::E])
--- reply
accepted m-1
accepted m-2
--- upstream eval: bodies(['p-1', 0, 'accepted'], ['p-1', 0, 'accepted'])
--- access
200 accepted 2
200 accepted 1


=== a level's secrets replace those of the level around it, whatever they come from
--- secrets eval: "p-1 $::A\n$::D\n"
--- config
jelou_secret_file  $SECRETS;
location /inherits {
    jelou_endpoint  incoming_message;
    proxy_pass      http://app/;
}
location /directive {
    jelou_endpoint  incoming_message;
    jelou_secret    secret-e-of-the-directive;
    proxy_pass      http://app/;
}
--- requests eval
[map { post(event(), path => $_->[0], secret => $_->[1],
            keepalive => !$_->[2]) }
 ['/inherits', $::A], ['/directive', $::E], ['/inherits', $::E],
 ['/directive', $::A], ['/directive', $::D], ['/inherits', $::D, 1]]
--- reply
accepted m-1
accepted m-1
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
401 SIGNATURE_MISMATCH
--- upstream eval: [event(), event()]
--- access eval
"200 accepted 1\n" x 2 . "401 signature_mismatch -\n" x 4
--- log eval: refused(([]) x 4)


=== a location's file replaces the server's secret
--- secrets eval: "$::D\n"
--- http_config
jelou_secret  secret-e-of-the-directive;
--- location
    jelou_secret_file  $SECRETS;
--- requests eval: by(['p-1', $::D], ['p-1', $::E])
--- reply
accepted m-1
401 SIGNATURE_MISMATCH
--- upstream eval: bodies(['p-1', 0, 'accepted'])
--- access
200 accepted 1
401 signature_mismatch -
--- log eval: refused([])


=== events that are wrong, or whose project cannot be told
--- secrets eval: "p-1 $::A\np-2 $::C\n$::D\n"
--- location
    jelou_secret_file  $SECRETS;
--- requests eval: odd()
--- reply eval: replies(@::Odd)
--- upstream
none
--- log eval
join '', map {
    $_->[3] ? "[info] jelou refused a request: $_->[3]\n" : refused($_)
} @::Odd


=== an endpoint whose requests have no project has the lines without one
--- secrets eval: "p-1 $::A\nr-1 $::C\n$::D\n"
--- config
location /rooms/ {
    jelou_endpoint     room_message;
    jelou_secret_file  $SECRETS;
    proxy_pass         http://app;
}
--- requests eval
our $body = '{"senderId":"s","messages":[{"id":'
            . '"7c9e6679-7425-40de-944b-e07fc1f90ae7","type":"TEXT","text":"t"}]}';
[map { post($::body, path => '/rooms/r-1/message', secret => $_->[0],
            keepalive => !$_->[1]) } [$::D], [$::C], [$::A, 1]]
--- error_code eval: [200, 401, 401]
--- response_body_like eval
[qr/^\{"success":true,"messageIds":\["7c9e6679-/, (qr/SIGNATURE_MISMATCH/) x 2]
--- upstream eval
['{"field":"messages","object":"message_event","event_type":"room_message",'
 . '"room_id":"r-1","sender_id":"s","values":[{"id":'
 . '"7c9e6679-7425-40de-944b-e07fc1f90ae7","type":"text","content":{"body":"t"}}]}']
--- access
200 accepted 3
401 signature_mismatch -
401 signature_mismatch -
--- log eval: refused([], [])


=== conversation events have a project
--- secrets eval: "p-1 $::A\n$::D\n"
--- config
location / {
    jelou_endpoint     message;
    jelou_secret_file  $SECRETS;
    proxy_pass         http://app;
}
--- requests eval
our $turn = '{"event":"conversation.start","timestamp":1776134278574,"project_id":"p-1"}';
[post($::turn, secret => $::A, keepalive => 1), post($::turn, secret => $::D)]
--- error_code eval: [200, 401]
--- response_body_like eval
[qr/^\{"success":true\}$/, qr/SIGNATURE_MISMATCH/]
--- upstream eval
['{"field":"messages","object":"message_event",'
 . '"event_type":"conversation.start","timestamp":1776134278574,"project_id":"p-1",'
 . qq("data":$::turn})]
--- log eval: refused([])


=== a map chooses the secret by the project
--- http_config
map $jelou_project_id $secret {
    volatile;
    default  "";
    p-1      secret-a-of-project-1;
    "p-2"    secret-c-of-project-2;
}
--- location
    jelou_secret  $secret "the-next-one-$secret";
--- requests eval
by(['p-1', $::A], ['p-2', "the-next-one-$::C"], ['p-3', 'the-next-one-'],
   ['p-1', $::C], ['p-2', $::A], ['p-3', ''], ['p-3', $::A], ['p-1', ''])
--- reply eval
replies((['', '', 'accepted m-1'], ['', '', 'accepted m-2'],
         ['', '', 'accepted m-3'], ([]) x 5))
--- upstream eval
bodies(['p-1', 0, 'accepted'], ['p-2', 0, 'accepted'], ['p-3', 0, 'accepted'])
--- access eval
"200 accepted 1\n200 accepted 2\n200 accepted 2\n"
. "401 signature_mismatch -\n" x 5
--- log eval: refused(([]) x 5)


=== a map that was asked for too early does not stay at what it said
--- http_config
map $jelou_project_id $secret {
    volatile;
    default  "";
    p-1      secret-a-of-project-1;
}
--- location
    if ($secret) {
        return 204;
    }
    jelou_secret  $secret;
--- requests eval: by(['p-1', $::A], ['p-2', $::A])
--- reply
accepted m-1
401 SIGNATURE_MISMATCH
--- upstream eval: bodies(['p-1', 0, 'accepted'])
--- log eval: refused([])


=== a map chooses the secret by the server's name
--- http_config
map $server_name $secret {
    default    "";
    localhost  secret-a-of-project-1;
}
--- location
    jelou_secret  $secret;
--- requests eval: by(['p-1', $::A], ['p-2', $::C])
--- reply
accepted m-1
401 SIGNATURE_MISMATCH
--- upstream eval: bodies(['p-1', 0, 'accepted'])
--- log eval: refused([])


=== no log has a secret, not even at level debug
--- secrets eval: "p-1 $::A\np-2 $::C\n$::D\n"
--- location
    jelou_secret           secret-e-of-the-directive;
    jelou_secret_file      $SECRETS;
    jelou_upstream_secret  secret-a-of-project-1;
    add_header             X-Secret-Id $jelou_secret_id always;
--- log_level: debug
--- requests eval
by(['p-1', $::A], ['p-2', $::C], ['p-3', $::D], ['p-3', $::E], ['p-3', $::A])
--- reply eval
replies((map { ['', '', "accepted m-$_"] } 1 .. 4), [])
--- upstream eval
bodies(map { [$_, 0, 'accepted'] } 'p-1', 'p-2', 'p-3', 'p-3')
--- response_headers eval
['X-Secret-Id: file:1', 'X-Secret-Id: file:2', 'X-Secret-Id: file:3',
 'X-Secret-Id: 1', 'X-Secret-Id: ']
--- error_log
[debug]
--- no_error_log
secret-a-of
secret-c-of
secret-d-of
secret-e-of
--- log eval: refused([])
