# Large bodies have pages of their own, one block for a copy of what is in a file
# and one for the parser.  Without them the answer is 500 and nothing goes on;
# when they cannot be given back, the event has gone on all the same.

use strict;
use warnings;

use lib 't/lib';

use Jelou;
use Jelou::Faults;
use Jelou::Messages;
use Jelou::Server;
use Jelou::Upstream;
use Test::More;

my $unusable = Jelou::Faults->unusable;

plan $unusable ? (skip_all => $unusable) : 'no_plan';

my $port     = $Jelou::Port{SERVER};
my $faults   = Jelou::Faults->new;
my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});

my $endpoint = <<"END";
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        proxy_pass      http://127.0.0.1:$Jelou::Port{APP};
END

my $nginx = Jelou::Server->start(
    name  => 'front', env => $faults->env,
    allow => qr/m(?:un)?map\(.*\) failed/, http => <<"END");
server {
    listen  127.0.0.1:$port;

    location /memory {
$endpoint
    }
    location /file {
        client_body_in_file_only  clean;
$endpoint
    }
}
END

my ($worker) = $nginx->workers;

my $body = event(content => '{"body":"' . 'x' x 300_000 . '"}');
my $arrived = 0;

# said(TEXT): how often the log has it

sub said {
    my @lines = grep { /\Q$_[0]\E/ } split /\n/, $nginx->log;

    return scalar @lines;
}

my %failed;

for my $path ('/memory', '/file') {
    for my $n (1 .. 9) {
        my %before = map { $_ => said("$_(") } qw(mmap munmap);

        # the last request gives its pages back when it has been answered

        $faults->left($worker);
        $faults->fail($worker, 'pages', $n);

        my $verdict = verdict(ask($port, post($body, path => $path)));
        my $call    = $faults->seen->{name} =~ s/64//r;
        my $name    = "$path: call $n, $call, fails";

        $arrived++ if $verdict eq '200';

        if (!$faults->seen->{failed}) {
            is($verdict, '200', "$path: without a failure");
            last;
        }

        $failed{"$path $call"}++;

        is($verdict, $call eq 'mmap' ? '500 INTERNAL_ERROR' : '200', $name);
        is(said("$call("), $before{$call} + 1, "$name: is logged");
    }
}

is_deeply(\%failed, { map { $_ => 2 } '/memory mmap', '/memory munmap',
                                      '/file mmap', '/file munmap' },
          'what has failed');

is_deeply([map { $_->{body} } $upstream->requests($arrived)],
          [($body) x $arrived], 'what has arrived');

# What else the module asks for on the way of such a body: a call that fails after
# the event has gone on makes its sender send it again.

for my $n (1 .. 99) {
    $faults->left($worker);
    $faults->fail($worker, 'module', $n);

    my $verdict = verdict(ask($port, post($body, path => '/file')));
    my $seen    = $faults->seen;

    last if !$seen->{failed};

    is($verdict =~ s/^none$/500 INTERNAL_ERROR/r, '500 INTERNAL_ERROR',
       "/file: call $n, $seen->{name}, fails");
}

is_deeply([$nginx->workers], [$worker], 'the worker is the same');

$nginx->stop;
