# Many workers, many connections, one zone: every event reaches the application
# exactly once, and everybody who sends it is told the truth.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Application;
use Jelou::Load;
use Jelou::Server;
use Time::HiRes qw(time);

my $events = 10_000;

my $app   = Jelou::Application->start;
my $nginx = Jelou::Server->start(
    name => 'front', level => 'warn', main => 'worker_processes 4;',
    http => <<"END");
jelou_dedup_zone  zone=seen:4m;

upstream app {
    server     127.0.0.1:$Jelou::Port{APP};
    keepalive  32;
}

server {
    listen  127.0.0.1:$Jelou::Port{SERVER} reuseport;

    location / {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        jelou_dedup     zone=seen;
        add_header      X-Pid \$pid always;

        proxy_http_version  1.1;
        proxy_set_header    Connection "";
        proxy_pass          http://app;
    }
}
END

# Four copies of an event, one behind the other: with 64 connections they are
# under way at the same time, in different workers.

my ($n, $copy, $raw) = (0, 4);
my (%status, %replayed, %worker, %accepted, @odd);

my $began = time;

Jelou::Load::run(
    port => $Jelou::Port{SERVER}, connections => 64, seconds => 35,

    next => sub {
        if ($copy++ == 4) {
            return undef if $n == $events;

            $copy = 1;
            $raw  = post(event(id => '"m-' . ++$n . '"'), path => '/',
                         keepalive => 1);
        }

        return { raw => $raw, id => "m-$n" };
    },

    done => sub {
        my ($request, $answer) = @_;

        my $status = $answer ? $answer->{status} : 'none';
        my $id     = $request->{id};

        $status{$status}++;
        return if $status eq 'none';

        $worker{$1}++ if $answer->{head} =~ /^X-Pid: (\d+)\r$/m;

        if ($status == 200) {
            push @odd, $answer->{body}
                if $answer->{body} ne qq({"success":true,"messageId":"$id"});

            $answer->{head} =~ /^Idempotent-Replayed: true\r$/m
                ? $replayed{$id}++ : $accepted{$id}++;

        } elsif ($status == 409) {
            push @odd, $answer->{head} if $answer->{head} !~ /^Retry-After: 1\r$/m;
        }
    },
);

diag(sprintf '%d requests in %.1f s: %s', 4 * $events, time - $began,
     join ', ', map { "$status{$_} with $_" } sort keys %status)
    if $ENV{TEST_VERBOSE};

$nginx->stop;

my @arrived = $app->arrived;
my (%times, @unlike);

for my $body (@arrived) {
    my ($id) = $body =~ /"id":"([^"]*)"/;

    $times{$id // ''}++;
    push @unlike, $body if $body ne event(id => qq("$id"));
}

is(scalar keys %worker, 4, 'all workers had requests');

is($status{200} + ($status{409} // 0), 4 * $events,
   'each sender gets 200 or 409');
is(scalar @odd, 0, 'and the answer is the contract\'s');

cmp_ok($status{409} // 0, '>=', 100, 'some copies met in flight');
cmp_ok(scalar keys %replayed, '>=', 100, 'some came later');

is(scalar keys %accepted, $events, 'each event was accepted');
is(scalar(grep { $_ != 1 } values %accepted), 0, 'once, all others are replays');

is(scalar @arrived, $events, 'the application got as many events');
is(scalar keys %times, $events, 'each of them');
is(scalar(grep { $_ != 1 } values %times), 0, 'exactly once');
is(scalar @unlike, 0, 'as it was sent');

$app->stop;
