# Four workers that count at once, and are replaced meanwhile: messages that come
# twice, refusals, failures, clients that go away.  Every request is counted, once.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Application;
use Jelou::Load;
use Jelou::Server;
use JSON::PP ();

my $all  = 12_000;
my $port = $Jelou::Port{SERVER};

my $app   = Jelou::Application->start;
my $nginx = Jelou::Server->start(
    name => 'front', level => 'crit', main => 'worker_processes 4;',
    http => <<"END");
jelou_status_zone  zone=counters:64k;
jelou_dedup_zone   zone=seen:4m;

upstream app {
    server     127.0.0.1:$Jelou::Port{APP};
    keepalive  32;
}

server {
    listen  127.0.0.1:$port;

    jelou_secret        "$Jelou::Secret";
    proxy_http_version  1.1;
    proxy_set_header    Connection "";

    location = /in {
        jelou_endpoint  incoming_message;
        jelou_dedup     zone=seen;
        proxy_pass      http://app/;
    }
    location = /down {
        jelou_endpoint  incoming_message;
        proxy_pass      http://127.0.0.1:$Jelou::Port{DOWN};
    }
    location = /json {
        jelou_status  json;
    }
}
END

sub counters {
    my $answer = Jelou::Load::ask($port, "GET /json HTTP/1.1\r\nHost: h\r\n"
                                         . "Connection: close\r\n\r\n");

    return JSON::PP->new->decode($answer->{body})->{endpoints}{incoming_message};
}

# Of ten requests three are one message, one is cut off and its client gone, and
# the others are each something else.

my @keep = (keepalive => 1);

sub request {
    my $n = shift;

    my ($kind, $id) = ($n % 10, 'm-' . int($n / 10));
    my $body = event(id => qq("$id"));

    my ($path, %o) = $kind == 3 ? ('/in', secret => 'wrong')
                   : $kind == 4 ? ('/in', signature => undef)
                   : $kind == 5 ? ('/down')
                   : $kind == 6 ? ('/in', type => 'text/plain')
                                : ('/in');

    $body = event(id => qq("$id"), type => '"none"') if $kind == 7;
    $body = event(id => qq("$id-8")) if $kind == 8;

    return post($body, path => $path, @keep, %o);
}

my (%answers, @reloads);
my ($n, $gone, $done) = (0, 0, 0);

Jelou::Load::run(
    port => $port, connections => 32, seconds => 120, retry => 1,

    next => sub {

        # those that nobody waits for, on a connection of their own

        while ($n < $all && $n % 10 == 9) {
            my $raw  = request($n++);
            my $part = $n % 20 ? length $raw : length($raw) - 7;

            my $socket = Jelou::Load::send_to($port, substr $raw, 0, $part);

            close $socket;
            $gone++;
        }

        return $n < $all ? { raw => request($n++) } : undef;
    },

    done => sub {
        my $answer = $_[1];

        $done++;
        $answers{lost}++, return if !$answer;

        my ($key) = $answer->{body} =~ /"key":"([A-Z_]+)"/;

        $key = $answer->{head} =~ /^Idempotent-Replayed/m ? 'duplicate' : 'accepted'
            if $answer->{status} == 200;

        $answers{ lc $key // $answer->{status} }++;
    },

    tick => sub {
        push @reloads, $nginx->reload(0)
            if $done > (1 + @reloads / 4) * $all / 5 && @reloads < 12;
    },
);

cmp_ok(scalar @reloads, '>=', 8, 'nginx was reloaded on the way');

my $sum = sub { my $s = 0; $s += $_ for @_; return $s };

$nginx->wait_for('all are counted', sub { counters()->{requests} >= $all });

my $c = counters();

is($answers{lost} // 0, 0, 'every client that waits gets an answer');
is($done + $gone, $all, 'all requests were sent');
is($c->{requests}, $all, 'all requests are counted, once');

is($c->{accepted} + $c->{duplicates} + $sum->(values %{ $c->{refusals} })
   + $sum->(values %{ $c->{failures} }), $all, 'and each has a result');

# What was answered is what was counted; the rest is of those that went away.

my %counted = (%{ $c->{refusals} }, %{ $c->{failures} },
               accepted => $c->{accepted}, duplicate => $c->{duplicates});

my $rest = 0;

for my $result (sort keys %counted) {
    my $more = $counted{$result} - ($answers{$result} // 0);

    if ($result =~ /^(?:accepted|duplicate|duplicate_in_flight|client_closed)$/) {
        cmp_ok($more, '>=', 0, "$result: at least what was answered");
        $rest += $more;

    } else {
        is($more, 0, "$result: what was answered");
    }
}

is($rest, $gone, 'the rest went away');
cmp_ok($counted{client_closed}, '>=', $gone / 2, 'half of them in the middle');

for (qw(accepted duplicate signature_mismatch signature_missing upstream_failed
        unsupported_media_type invalid_event))
{
    cmp_ok($answers{$_} // 0, '>=', 100, "there was: $_");
}

is($c->{types}{text}, $c->{accepted}, 'all that were accepted are texts');
is($c->{secrets}{1}, $c->{processing}{count} - $c->{refusals}{signature_mismatch},
   'all bodies but those have matched the secret');

$nginx->stop;
$app->stop;
