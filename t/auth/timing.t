# What a sender can learn from the time of a 401: nothing of which projects there
# are, of how many secrets one has, or of how much of a signature was right.
#
# Twice, since each way to look misses something.  A count of what OpenSSL is
# asked for is exact, the same on any machine, and sees a comparison that ends
# early as well as an HMAC that was left out; but it sees OpenSSL only.  A clock
# sees everything, but through noise: here bodies are so large that one HMAC is
# most of a request's time, the kinds of requests take turns, so that whatever
# the machine does happens to all alike, and medians over thousands of requests
# are compared with those of two kinds that are the same.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Preload;
use Jelou::Server;
use Time::HiRes qw(time);

my $port    = $Jelou::Port{SERVER};
my $preload = Jelou::Preload->new;
my $nginx   = Jelou::Server->new(name => 'front', level => 'error',
                                 env => $preload->env);

my $secret = 'the-secret-number-';

my %files = (
    one     => join('', map { "p-$_ ${secret}$_\n" } 1 .. 20),
    several => "p-1 ${secret}1\np-1 ${secret}2\np-1 ${secret}3\np-2 ${secret}4\n",
    default => "p-1 ${secret}1\n${secret}2\n${secret}3\n",
);

Jelou::Server::spew("$nginx->{dir}/$_", $files{$_}) for keys %files;

my $locations = join '', map { <<"END" } keys %files;
    location /$_ {
        jelou_endpoint     incoming_message;
        jelou_secret_file  $_;
    }
END

$nginx->write(http => <<"END")->start;
map \$jelou_project_id \$mapped {
    volatile;
    default  "";
    p-1      "${secret}1";
}

server {
    listen  127.0.0.1:$port;
    client_max_body_size  1m;
$locations
    location /both {
        jelou_endpoint     incoming_message;
        jelou_secret       "${secret}8" "${secret}9";
        jelou_secret_file  one;
    }
    location /directive {
        jelou_endpoint  incoming_message;
        jelou_secret    "${secret}1" "${secret}2";
    }
    location /map {
        jelou_endpoint  incoming_message;
        jelou_secret    \$mapped;
    }
}
END

my $socket = Jelou::Load::connect_to($port);

sub raw {
    my ($path, $body, $signature) = @_;

    return post($body, path => $path, signature => $signature, keepalive => 1);
}

sub ask {
    Jelou::Load::send_all($socket, $_[0]);
    return Jelou::Load::answer($socket)->{status};
}

# wrong(BODY): a signature with another secret; almost(BODY, SECRET): the right
# one but for a digit

sub wrong { return sign($_[0], 'another secret') }

sub almost {
    my ($body, $with, $digit) = @_;

    my $signature = sign($body, $with);

    substr($signature, 7 + $digit, 1)
        =~ tr/0123456789abcdef/123456789abcdef0/;

    return $signature;
}


# The count: the HMACs of a refused request, and the comparisons

sub counted {
    my ($path, $body, $signature) = @_;

    $preload->forget;
    my $status = ask(raw($path, $body, $signature));
    my ($macs, $bytes, $compares) = $preload->counted;

    return sprintf '%d: %d of %s, %d', $status, $macs,
                   $bytes == $macs * length $body ? 'the body' : "$bytes bytes",
                   $compares;
}

# A map's empty secret is none, so that there may be nothing to compare with; the
# HMAC must be there.

for my $case (['/one', 1], ['/several', 3], ['/default', 2], ['/both', 2],
              ['/directive', 2], ['/map', 1])
{
    my ($path, $most) = @$case;

    my %body = map { $_ => event(project_id => qq("$_")) }
               'p-1', 'p-2', 'p-99', 'x' x 256;

    my $want = "401: $most of the body, $most";

    $want = qr/^401: $most of the body, [01]$/ if $path eq '/map';

    for my $project (sort keys %body) {
        like(counted($path, $body{$project}, wrong($body{$project})), qr/^$want$/,
             "$path: HMACs of a wrong signature, project "
             . substr $project, 0, 9);
    }

    for my $digit (0, 1, 31, 63) {
        like(counted($path, $body{'p-1'},
                     almost($body{'p-1'}, "${secret}1", $digit)), qr/^$want$/,
             "$path: HMACs if only digit $digit is wrong");
    }

    for my $body (event(project_id => undef), event(project_id => '1'),
                  event(project_id => '"p-1","project_id":"p-2"'), 'not JSON')
    {
        like(counted($path, $body, wrong($body)), qr/^$want$/,
             "$path: HMACs without a project: " . substr $body, -40);
    }
}

# All candidates are tried with the same bytes, whatever the body's size.

is(counted('/several', $_, wrong($_)), '401: 3 of the body, 3',
   '/several: HMACs of a body of ' . length)
    for map { event(content => '{"body":"' . 'x' x $_ . '"}') } 0, 1000, 100_000;


# The clock

my $large = 'x' x 64_000;

sub large {
    return event(project_id => qq("$_[0]"), content => qq({"body":"$large"}));
}

my ($p1, $p2, $p99) = map { large($_) } 'p-1', 'p-2', 'p-9';

# kinds of requests: the first two are the same

sub kinds {
    my $path = shift;

    return (
        ['a wrong signature',         raw($path, $p1, wrong($p1))],
        ['a wrong signature, again',  raw($path, $p1, wrong($p1))],
        ['an unknown project',        raw($path, $p99, wrong($p99))],
        ['another project',           raw($path, $p2, wrong($p2))],
        ['the first digit is wrong',  raw($path, $p1, almost($p1, "${secret}1", 0))],
        ['the last digit is wrong',   raw($path, $p1, almost($p1, "${secret}1", 63))],
    );
}

sub median {
    my @sorted = sort { $a <=> $b } @_;

    return $sorted[@sorted / 2];
}

for my $case (['/several', 6000], ['/one', 4200]) {
    my ($path, $requests) = @$case;

    my @kinds = kinds($path);
    my (@times, %status);

    my $until = time + 12;

    for my $round (1 .. $requests / @kinds) {

        # another one begins each round

        for my $i (map { ($_ + $round) % @kinds } 0 .. $#kinds) {
            my $began = time;
            $status{ask($kinds[$i][1])}++;
            push @{ $times[$i] }, time - $began;
        }

        last if time > $until;
    }

    is_deeply([keys %status], [401], "$path: all are refused");

    my @medians = map { 1e6 * median(@$_) } @times;
    my $same    = abs $medians[0] - $medians[1];

    diag("$path: ", join ', ', map { sprintf '%s %.1f us', $kinds[$_][0],
                                     $medians[$_] } 0 .. $#kinds)
        if $ENV{TEST_VERBOSE};

    # One HMAC more or less would be a third of the time of all, or more.

    my $bound = 4 * $same + 0.1 * $medians[0];

    for my $i (2 .. $#kinds) {
        cmp_ok(abs $medians[$i] - $medians[0], '<', $bound,
               "$path: the time of a 401, $kinds[$i][0]");
    }
}

$nginx->stop;
