# Many workers, many connections, one zone: every event reaches the application
# exactly once, and everybody who sends it is told the truth, whether copies wait
# for the first one or not.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Application;
use Jelou::Load;
use Jelou::Server;
use Time::HiRes qw(time);

my $events = 6_000;

sub http {
    my $wait = shift;

    return <<"END";
jelou_dedup_zone  zone=seen:4m;

upstream app {
    server     127.0.0.1:$Jelou::Port{APP};
    keepalive  32;
}

server {
    listen  127.0.0.1:$Jelou::Port{SERVER} reuseport;

    location / {
        jelou_endpoint    incoming_message;
        jelou_secret      "$Jelou::Secret";
        jelou_dedup       zone=seen;
        jelou_dedup_wait  $wait;
        add_header        X-Pid \$pid always;

        proxy_http_version  1.1;
        proxy_set_header    Connection "";
        proxy_pass          http://app;
    }
}
END
}

# Four copies of an event, one behind the other: with 64 connections they are
# under way at the same time, in different workers.

sub load {
    my ($n, $copy, $raw) = (0, 4);
    my %got = map { $_ => {} } qw(status replayed worker accepted);

    $got{odd} = [];

    Jelou::Load::run(
        port => $Jelou::Port{SERVER}, connections => 64, seconds => 60,

        next => sub {
            if ($copy++ == 4) {
                return undef if $n == $events;

                $copy = 1;
                $raw  = post(event(id => '"m-' . ++$n . '"'), path => '/',
                             keepalive => 1);
            }

            return { raw => $raw, id => "m-$n" };
        },

        done => sub { answered(\%got, @_) },
    );

    return \%got;
}

sub answered {
    my ($got, $request, $answer) = @_;

    my $status = $answer ? $answer->{status} : 'none';
    my $id     = $request->{id};

    $got->{status}{$status}++;
    return if $status eq 'none';

    $got->{worker}{$1}++ if $answer->{head} =~ /^X-Pid: (\d+)\r$/m;

    if ($status == 200) {
        push @{ $got->{odd} }, $answer->{body}
            if $answer->{body} ne qq({"success":true,"messageId":"$id"});

        $answer->{head} =~ /^Idempotent-Replayed: true\r$/m
            ? $got->{replayed}{$id}++ : $got->{accepted}{$id}++;

    } elsif ($status == 500) {
        push @{ $got->{odd} }, "$answer->{head}\n$answer->{body}"
            if $answer->{head} !~ /^Retry-After: 1\r$/m
               || $answer->{body} !~ /"key":"DUPLICATE_IN_FLIGHT"/;
    }
}

for my $wait ('0', '30s') {
    my $app   = Jelou::Application->start;
    my $nginx = Jelou::Server->start(name => 'front', level => 'warn',
                                     main => 'worker_processes 4;',
                                     http => http($wait));

    my $began = time;
    my $got   = load();
    my ($status, $accepted) = @$got{qw(status accepted)};

    diag(sprintf 'wait %s: %d requests in %.1f s: %s', $wait, 4 * $events,
         time - $began, join ', ', map { "$status->{$_} with $_" } sort keys %$status)
        if $ENV{TEST_VERBOSE};

    $nginx->stop;

    my @arrived = $app->arrived;
    my (%times, @unlike);

    for my $body (@arrived) {
        my ($id) = $body =~ /"id":"([^"]*)"/;

        $times{$id // ''}++;
        push @unlike, $body if $body ne event(id => qq("$id"));
    }

    my $name  = "wait $wait";
    my $early = $status->{500} // 0;

    is(scalar keys %{ $got->{worker} }, 4, "$name: all workers had requests");

    is($status->{200} + $early, 4 * $events, "$name: each sender gets 200 or 500");
    is("@{ $got->{odd} }", '', "$name: and the answer is the contract's");

    $wait ? is($early, 0, "$name: each sender gets 200")
          : cmp_ok($early, '>=', 100, "$name: some copies met in flight");

    cmp_ok(scalar keys %{ $got->{replayed} }, '>=', 100, "$name: some are replays");

    is(scalar keys %$accepted, $events, "$name: each event was accepted");
    is(scalar(grep { $_ != 1 } values %$accepted), 0,
       "$name: once, all others are replays");

    is(scalar @arrived, $events, "$name: the application got as many events");
    is(scalar keys %times, $events, "$name: each of them");
    is(scalar(grep { $_ != 1 } values %times), 0, "$name: exactly once");
    is(scalar @unlike, 0, "$name: as it was sent");
}
