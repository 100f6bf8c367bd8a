# Secrets that change while requests come in: none is refused that is signed with
# a secret that is valid throughout, none is lost, and what is no secret any more
# is none.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Application;
use Jelou::Load;
use Jelou::Server;
use Time::HiRes qw(sleep time);

my $A = 'the-signing-secret-A-of-old';
my $B = 'the-signing-secret-B-of-now';
my $D = 'the-signing-secret-of-others';

my $app  = Jelou::Application->start;
my $port = $Jelou::Port{SERVER};

my $nginx = Jelou::Server->new(
    name => 'front', level => 'notice', main => 'worker_processes 2;',
    allow => qr/"jelou_secret_file"|"jelou_secret"/);

my $dir = $nginx->{dir};


# secrets(LINE, ...): writes the file

sub secrets { Jelou::Server::spew("$dir/secrets", join '', map { "$_\n" } @_) }

sub config {
    my $secret = shift // 'jelou_secret_file secrets;';

    return <<"END";
jelou_dedup_zone  zone=seen:16m;

log_format  used  '\$status \$jelou_message_id \$jelou_secret_id';

upstream app {
    server     127.0.0.1:$Jelou::Port{APP};
    keepalive  32;
}

server {
    listen  127.0.0.1:$port;

    access_log  $dir/used.log used;

    location / {
        jelou_endpoint  incoming_message;
        $secret
        jelou_dedup     zone=seen;

        proxy_http_version  1.1;
        proxy_set_header    Connection "";
        proxy_pass          http://app;
    }
}
END
}

my $count = 0;

# status(SECRET, PROJECT): of a new event; used(): what $jelou_secret_id says of
# the latest one, in the log

sub status {
    my ($secret, $project) = @_;

    my $body = event(id => '"s-' . ++$count . '"',
                     project_id => '"' . ($project // 'p-1') . '"');

    my $answer = Jelou::Load::ask($port, post($body, path => '/',
                                              secret => $secret));
    return $answer->{status};
}

sub statuses { return join ' ', map { status(@$_) } @_ }

sub used {
    my $used;

    $nginx->wait_for('the log line', sub {
        ($used) = Jelou::Server::slurp("$dir/used.log") =~ /^200 s-$count (\S*)$/m;
    });

    return $used;
}


# Under load: from A to A and B, to B

secrets("p-1 $A", $D);
$nginx->write(http => config())->start;

my ($secret, $n, $over) = ($A, 0);
my (%pending, %status, %accepted, %phase, %signed);
my ($phase, $since, $asked, @old) = (0, time);

# done(): the old workers have gone; for(SECONDS): as long as that

my $for    = sub { time - $since > $_[0] };
my $gone   = sub { $asked && $nginx->reloaded(@old) };
my $reload = sub { @old = $nginx->reload(0); $asked = 1 };

my @phases = (
    ['A alone', sub { $for->(0.5) },
     sub { secrets("p-1 $A", "p-1 $B", $D); $reload->() }],

    ['the reload to both, signed with A', $gone, sub { }],
    ['both, signed with A', sub { $for->(0.3) }, sub { $secret = $B }],

    ['both, signed with B', sub { !$pending{$A} && $for->(0.5) }, $reload],
    ['a reload of the same file', $gone, sub { secrets('# A', "p-1 $B", $D); $reload->() }],

    ['the reload to B', $gone, sub { }],
    ['B alone', sub { $for->(0.5) }, sub { $over = 1 }],
);

my $looked = 0;

Jelou::Load::run(
    port => $port, connections => 32, seconds => 35, retry => 1,

    # half of the requests keep their connections, which a reload closes between
    # two of them; what was not answered is sent again

    next => sub {
        return undef if $over;

        my $id = 'r-' . ++$n;

        $pending{$secret}++;

        return {
            id     => $id, secret => $secret, phase => $phase,
            raw    => post(event(id => qq("$id")), path => '/',
                           secret => $secret, keepalive => $n % 2),
        };
    },

    done => sub {
        my ($request, $answer) = @_;

        my $status = $answer ? $answer->{status} : 'none';

        $pending{$request->{secret}}--;
        $status{$status}++;
        $phase{$request->{phase}}++;
        $signed{$request->{secret}}++;

        $accepted{$request->{id}}++ if $status eq '200';
    },

    # the processes are looked at every 50 ms

    tick => sub {
        return if $over || time - $looked < 0.05;
        $looked = time;

        my ($name, $is_over, $then) = @{ $phases[$phase] };
        return if !$is_over->();

        $then->();
        $phase++;
        $since = time;
    },
);

diag("$n requests: ", join ', ', map { "$status{$_} with $_" } keys %status)
    if $ENV{TEST_VERBOSE};

is($phase, scalar @phases, 'under load: all phases');
cmp_ok($phase{$_} // 0, '>=', 5, "under load: requests, $phases[$_][0]")
    for 0, 2, 3, 6;

is_deeply([keys %status], [200], 'under load: each request gets 200');

is(statuses([$B], [$A], [$D], [$D, 'p-2']), '200 401 401 200',
   'under load: and then A is none');

# which secret was used, as the log has it: A is in line 1 of all the files, B in
# line 2

my %used;

/^200 r-\d+ (\d+)$/ && $used{$1}++
    for split /\n/, Jelou::Server::slurp("$dir/used.log");

is_deeply(\%used, { 1 => $signed{$A}, 2 => $signed{$B} },
          'under load: $jelou_secret_id tells which one is used');


# What is wrong with a new file changes nothing.

secrets("p-1 $B", $D);

my @workers = sort $nginx->workers;

for my $case (
    ['three fields', sub { secrets("p-1 $A", 'p-1 two fields') },
     qr/the line in "\Q$dir\E\/secrets":2 has more than/],
    ['a control character', sub { secrets("p-1 $A", "\x01") },
     qr/the line in "\Q$dir\E\/secrets":2 has a control character/],
    ['empty', sub { secrets() }, qr/no secret in "\Q$dir\E\/secrets"/],
    ['absent', sub { unlink "$dir/secrets" },
     qr/open\(\) "\Q$dir\E\/secrets" failed/],
) {
    my ($name, $do, $log) = @$case;

    my $before = length $nginx->log;

    $do->();
    kill HUP => $nginx->{pid};
    $nginx->wait_for("the log about $name",
                     sub { substr($nginx->log, $before) =~ $log });
    sleep 0.1;

    is_deeply([sort $nginx->workers(1)], \@workers,
              "a reload with a bad file, $name: the workers stay");
    is(statuses([$B], [$A], [$D, 'p-2']), '200 401 200',
       "a reload with a bad file, $name: so do the secrets");
}

# and the next good one is taken

secrets("p-1 $A", "p-3 $B");
$nginx->reload;
is(statuses([$A], [$B], [$B, 'p-3'], [$D, 'p-2']), '200 401 200 401',
   'a reload with a good file again');


# The directive, the new secret first

for my $case (
    [qq(jelou_secret "$A";),         '200 401', '1', undef],
    [qq(jelou_secret "$B" "$A";),    '200 200', '2', '1'],
    [qq(jelou_secret "$B";),         '401 200', undef, '1'],
    [qq(jelou_secret "" "$A";),      '401 200', undef, '1', 1],
    [qq(jelou_secret "$B" "$B$B";),  '401 200', undef, '1'],
) {
    my ($line, $want, $a, $b, $bad) = @$case;

    $nginx->write(http => config($line));

    if ($bad) {
        my $before = length $nginx->log;

        kill HUP => $nginx->{pid};
        $nginx->wait_for('the log about the empty secret', sub {
            substr($nginx->log, $before) =~ /empty secret in "jelou_secret"/
        });

    } else {
        $nginx->reload;
    }

    my @got = map { my $status = status($_);
                    [$status, $status == 200 ? used() : undef] } $A, $B;

    is("$got[0][0] $got[1][0]", $want, "$line: A and B");
    is($got[0][1], $a, "$line: the place of A");
    is($got[1][1], $b, "$line: the place of B");
}


# A secret that has gone from the file goes from the memory, too.

sub holds {
    my ($pid, $what) = @_;

    no warnings 'portable';

    my $found = 0;

    open my $maps, '<', "/proc/$pid/maps" or return;
    open my $mem, '<:raw', "/proc/$pid/mem" or return;

    for (<$maps>) {
        my ($from, $to) = map { hex } /^([0-9a-f]+)-([0-9a-f]+) rw.. / or next;

        next if $to - $from > 2 ** 32;      # a sanitizer's own

        sysseek $mem, $from, 0 or next;
        sysread($mem, my $bytes, $to - $from) or next;

        $found++ while $bytes =~ /\Q$what\E/g;
    }

    return $found;
}

my ($Old, $Own, $New) = map { "a-secret-to-be-forgotten-$_" } 'old', 'own', 'new';

secrets("p-1 $Old", "p-2 $Own", $Old);
$nginx->stop;
$nginx->write(http => config())->start;

SKIP: {
    is(statuses([$Old, 'p-1'], [$Own, 'p-2'], [$Old, 'p-3']), '200 200 200',
       'in memory: the secrets are used');

    my @pids = ($nginx->{pid}, $nginx->workers);

    skip "the memory of $nginx->{pid} cannot be read", 2
        if !defined holds($nginx->{pid}, $Old);

    is(scalar(grep { !holds($_, $Own) } @pids), 0, 'in memory: they are found');

    secrets("p-1 $New");
    $nginx->reload;

    is(statuses([$New, 'p-1'], [$Old, 'p-1']), '200 401',
       'in memory: the new one is used');

    @pids = ($nginx->{pid}, $nginx->workers);

    is(scalar(grep { !holds($_, $New) } @pids), 0, 'in memory: it is found');
    is(scalar(grep { holds($_, $Old) || holds($_, $Own) } @pids), 0,
       'in memory: the old ones are not');
}


# What the logs have

unlike($nginx->log, qr/\Q$A\E|\Q$B\E|\Q$D\E|a-secret-to-be-forgotten/,
       'no secret is logged');

$nginx->stop;

my %times;
my @arrived = $app->arrived;

$times{$_}++ for map { /"id":"(r-\d+)"/ ? $1 : () } @arrived;

is(scalar keys %times, scalar keys %accepted,
   'under load: each 200 has a record at the application');
is(scalar(grep { !$times{$_} } keys %accepted), 0, 'under load: its own');
is(scalar(grep { $_ != 1 } values %times), 0, 'under load: exactly one');
