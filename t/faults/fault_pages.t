# Large bodies have pages of their own: one block for a copy of what is in a file
# or in several buffers, one for the parser, and one for the event.  Without them
# the answer is 500 and nothing goes on; when they cannot be given back, the event
# has gone on all the same.  A worker keeps some while bodies come, but none that is
# very large.

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

    lingering_close          off;
    client_max_body_size     32m;
    client_body_buffer_size  32m;

    location /buffers {
$endpoint
    }
    location /file {
        client_body_in_file_only  clean;
$endpoint
    }
}
END

my ($worker) = $nginx->workers;

# of(BYTES): a message of about that size

sub of { return event(content => '{"body":"' . 'x' x $_[0] . '"}') }

my $body = of(17_000_000);
my $arrived = 0;

# said(TEXT): how often the log has it

sub said {
    my @lines = grep { /\Q$_[0]\E/ } split /\n/, $nginx->log;

    return scalar @lines;
}

my %failed;

for my $path ('/buffers', '/file') {
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

is_deeply(\%failed, { map { $_ => 3 } '/buffers mmap', '/buffers munmap',
                                      '/file mmap', '/file munmap' },
          'what has failed');

is_deeply([map { $_->{body} } $upstream->requests($arrived)],
          [($body) x $arrived], 'what has arrived');

# Less large ones: what one body has taken is there for the next.

sub mapped {
    my ($path, $text) = @_;

    $faults->left($worker);
    $faults->fail($worker, 'pages', 0);

    is(verdict(ask($port, post($text, path => $path))), 200,
       "$path: " . length $text);

    $faults->left($worker);

    return $faults->seen->{seen};
}

is(mapped('/file', of(300_000)), 3, 'blocks are mapped for the first one');
is(mapped('/file', of(300_000)), 0, 'and not for the second');
is(mapped('/buffers', of(250_000)), 0, 'nor for a smaller one');
cmp_ok(mapped('/file', of(140_000)), '>', 0, 'but for one that is much smaller');

# and nothing is kept when none comes any more

$faults->none($worker);

my $before = $faults->left($worker);

mapped('/file', of(100_000 * $_)) for 2 .. 39;

cmp_ok(mapped('/file', of(200_000)), '>', 0, 'what is kept has a limit');
isnt($faults->left($worker), $before, 'it is blocks of several sizes');

sleep 3;

is(mapped('/file', of(200_000)), 3, 'after a while all are given back');

# What else the module asks for on the way of such a body: a call that fails after
# the event has gone on makes its sender send it again.

for my $n (1 .. 99) {
    $faults->left($worker);
    $faults->fail($worker, 'module', $n);

    my $verdict = verdict(ask($port, post(of(300_000), path => '/file')));
    my $seen    = $faults->seen;

    last if !$seen->{failed};

    is($verdict =~ s/^none$/500 INTERNAL_ERROR/r, '500 INTERNAL_ERROR',
       "/file: call $n, $seen->{name}, fails");
}

is_deeply([$nginx->workers], [$worker], 'the worker is the same');

$nginx->stop;
