# Of a delivery without order, each call that the module makes and that can fail,
# each allocation, each call of OpenSSL and each system call, fails once: the
# event is delivered all the same, acknowledged, and the worker lives.

use strict;
use warnings;

use lib 't/lib';
use Jelou;
use Jelou::Delivery;
use Jelou::Faults;
use Jelou::Redis;
use Jelou::Server;
use Test::More;

use Time::HiRes qw(sleep time);

my $why = Jelou::Faults->unusable;
plan $why ? (skip_all => $why) : 'no_plan';

my $redis  = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $app    = Jelou::Delivery->start(port => $Jelou::Port{APP});
my $faults = Jelou::Faults->new;

my $nginx = Jelou::Server->start(name => 'front', env => $faults->env, allow => qr/./,
                                 meanwhile => sub { $app->tick(0.01) }, http => <<"END");
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1} max_fails=0; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP} max_fails=0; }

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    location /none {
        internal;
        jelou_deliver          queue  stream=none  group=app;
        jelou_deliver_order    none;
        jelou_deliver_retry    20ms  max=50ms  attempts=1000;
        jelou_upstream_secret  the-secret-of-the-upstream;
        proxy_pass             http://app;
    }
}
END

my ($pid) = $nginx->workers;

# Each attempt but the first one is answered, so that a failure is kept as well

my (%seen, $unsigned);

$app->behave(sub {
    my $request = shift;

    $seen{ $request->{body} }++;
    $unsigned++ if ($request->{head}{'x-jelou-signature'} // '')
                   ne Jelou::sign($request->{body}, 'the-secret-of-the-upstream');

    return { status => $request->{head}{'x-jelou-delivery-attempt'} == 1 ? 503 : 200 };
});

$nginx->wait_for('the group is there', sub {
    $redis->error('XPENDING', 'none', 'app') eq '' });

sub left { return $redis->command('XLEN', 'none') }

# until_done(SECONDS, ID): until nothing is left, or not this one

sub until_done {
    my ($seconds, $id) = @_;

    my $until = time + $seconds;

    while ($id ? @{ $redis->command('XRANGE', 'none', $id, $id) } : left()) {
        return 0 if time > $until;
        $app->tick(0.005);
    }

    return 1;
}

# What has failed may be another worker's to claim, a minute later: here that
# minute is over at once, and nothing waits for it until the end.

sub age {
    my $id = shift;

    $redis->command('XCLAIM', 'none', 'app', 'somebody', 0, $id, 'IDLE', 100_000)
        if @{ $redis->command('XPENDING', 'none', 'app', $id, $id, 1) };
}

my ($late, @bodies) = (0);

for my $kind (qw(module crypto system memory)) {
    my $result;

    for my $n (1 .. 400) {
        my $body = qq({"$kind":$n});

        push @bodies, $body;
        $faults->fail($pid, $kind, $n);

        my $id = $redis->command('XADD', 'none', '*', 'event', $body, 'room_id', 'r');

        if (!until_done(1.3, $id)) {
            age($id);
            $late++;
        }

        $result = $faults->seen;
        $faults->none($pid);
        last if !$result->{failed} && $result->{seen};
    }

    is($result->{failed}, 0, "$kind: each call has failed once");
}

ok(until_done(60), 'all is acknowledged')
    or diag(explain($redis->command('XRANGE', 'none', '-', '+')));
is(join(' ', grep { !$seen{$_} } @bodies), '', 'each event is delivered');
cmp_ok(scalar @bodies, '>', 100, 'which are many');
diag(@bodies . " events, $late late") if $ENV{TEST_VERBOSE};
is($unsigned // 0, 0, 'each is signed');
is(join(' ', $nginx->workers), $pid, 'the worker lives');

$nginx->stop;
$app->stop;
$redis->stop;
