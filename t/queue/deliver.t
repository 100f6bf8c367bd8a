# From a stream of Redis to an application: what it gets, and what its answers
# mean.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $app   = Jelou::Delivery->start(port => $Jelou::Port{APP});

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1}; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP}; keepalive 8; }

log_format  delivery
    '\$status \$jelou_delivery_id \$jelou_delivery_attempt \$jelou_delivery_age '
    '\$request_method \$request_uri';

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    location = /in {
        jelou_endpoint      incoming_message;
        jelou_secret        "$Jelou::Secret";
        jelou_redis_pass    queue;
        jelou_redis_stream  "events";
    }

    location \@app {
        access_log  $Jelou::Dir/$Jelou::Name.delivery.log  delivery;

        jelou_deliver          queue  stream=events  group=app;
        jelou_deliver_retry    100ms  max=400ms  attempts=4;
        jelou_deliver_parallel 4;

        jelou_upstream_secret  "an-upstream-secret";

        proxy_pass          http://app;
        proxy_http_version  1.1;
        proxy_set_header    Connection "";
        proxy_set_header    X-Age \$jelou_delivery_age;
    }
}
END

# One event, all the way

my $answer = Jelou::Load::ask($Jelou::Port{SERVER}, post(event(), path => '/in'));
is($answer->{status}, 200, 'an event is accepted');

my ($got) = $app->wait(1);

is($got->{body}, event(), 'the application has it');
is($got->{line}, 'POST / HTTP/1.1', 'as a POST to "/"');
is($got->{head}{'content-type'}, 'application/json', 'its type');
is($got->{head}{'content-length'}, length event(), 'its length');
like($got->{head}{'x-jelou-delivery-id'}, qr/^\d+-\d+$/, 'the id of the entry');
is($got->{head}{'x-jelou-delivery-attempt'}, 1, 'the attempt');
like($got->{head}{'x-jelou-received-at'}, qr/^\d{13}$/, 'when it was received');
like($got->{head}{'x-age'}, qr/^\d\.\d{3}$/, 'its age');
is($got->{head}{'x-jelou-signature'}, Jelou::sign(event(), 'an-upstream-secret'),
   'it is signed');

$app->run('it is acknowledged', sub { $redis->command('XLEN', 'events') == 0 });
is_deeply($redis->command('XPENDING', 'events', 'app')->[0], 0, 'nothing is pending');

$app->run('the access log', sub {
    -s "$Jelou::Dir/$Jelou::Name.delivery.log" });
like(Jelou::Server::slurp("$Jelou::Dir/$Jelou::Name.delivery.log"),
     qr{^200 \d+-0 1 \d\.\d{3} POST /$}m, 'it is in the access log');


# add(ROOM, EVENT): an entry, as anybody can write it

sub add {
    my ($room, $event, @more) = @_;

    return $redis->command('XADD', 'events', '*', 'event', $event,
                           'room_id', $room, 'received_at', int(time * 1000), @more);
}


# In a room one after the other, rooms side by side

$app->behave(sub { return { status => 200, after => 0.05 } });

for my $n (1 .. 10) {
    add("room-$_", qq({"room":$_,"n":$n})) for 1 .. 4;
}

my @all = $app->wait(40);
my %last;
my $disorder = 0;

for (@all) {
    my ($room, $n) = $_->{body} =~ /"room":(\d+),"n":(\d+)/;
    $disorder++ if $n != ($last{$room} // 0) + 1;
    $last{$room} = $n;
}

is($disorder, 0, 'each room is in order');
is($app->{most}, 4, 'rooms are delivered side by side');
is($app->{together}, 0, 'and of a room one event at a time');
cmp_ok($all[-1]{at} - $all[0]{at}, '<', 1.2, 'that is faster');


# A room that fails holds up no other

$app->behave(sub {
    my $request = shift;
    return { status => $request->{body} =~ /"bad"/ && $request->{head}{'x-jelou-delivery-attempt'} < 3
                       ? 503 : 200 };
});

add('bad', '{"bad":1}');
add('bad', '{"second":2}');
add('good', qq({"good":$_})) for 1 .. 3;

@all = $app->wait(7);

my @bad = grep { $_->{body} !~ /good/ } @all;

is(join(' ', map { $_->{body} =~ /"(\w+)":/ } @bad), 'bad bad bad second',
   'it waits, and is in order');
is(join(' ', map { $_->{head}{'x-jelou-delivery-attempt'} } @bad), '1 2 3 1',
   'attempts are counted');
is(scalar(grep { $_->{body} =~ /good/ && $_->{at} > $bad[1]{at} } @all), 0,
   'the others do not wait');
cmp_ok($bad[1]{at} - $bad[0]{at}, '>=', 0.045, 'the first time is short');
cmp_ok($bad[2]{at} - $bad[1]{at}, '>=', 0.095, 'the second one is longer');

$app->run('all is acknowledged', sub { $redis->command('XLEN', 'events') == 0 });
is_deeply([grep { /^e:/ } @{ $redis->command('HKEYS', 'jelou-deliver:{events}:app') }],
          [], 'nothing is kept of what has failed');


# What the answers mean

sub dead {
    return map { { @{ $_->[1] } } } @{ $redis->command(qw(XRANGE {events}:dead - +)) };
}

for my $case ([422, 'rejected', 1], [404, 'rejected', 1], [500, 'attempts', 4],
              [429, 'attempts', 4], [408, 'attempts', 4], [425, 'attempts', 4],
              [302, 'attempts', 4], ['cut', 'attempts', 4], ['close', 'attempts', 4])
{
    my ($status, $reason, $attempts) = @$case;

    $redis->command('DEL', '{events}:dead');
    $app->behave(sub { return { status => $status } });

    my $before = int(time * 1000);
    my $id     = add('r', qq({"status":"$status"}), message_id => 'm');

    $app->run("$status: a dead letter", sub { dead() == 1 });

    my ($dead) = dead();

    is($dead->{dead_reason}, $reason, "$status: the reason");
    is($dead->{dead_status}, $status =~ /\d/ ? $status : 0, "$status: the status");
    is($dead->{dead_attempts}, $attempts, "$status: the attempts");
    is($dead->{dead_id}, $id, "$status: the entry's id");
    is($dead->{event}, qq({"status":"$status"}), "$status: the event");
    is($dead->{message_id}, 'm', "$status: other fields");
    is("$dead->{dead_stream} $dead->{dead_group}", 'events app', "$status: from where");
    cmp_ok($dead->{dead_first}, '>=', $before, "$status: the first try");
    cmp_ok($dead->{dead_last}, '>=', $dead->{dead_first}, "$status: the last one");
    is(scalar(my @asked = $app->wait($attempts)), $attempts,
       "$status: the application was asked");
}

like($nginx->log, qr/\[warn\] .* is a dead letter: rejected, status: 422, attempts: 1$/m,
     'the log says so');


# Retry-After

$app->behave(sub {
    return shift->{head}{'x-jelou-delivery-attempt'} == 1
           ? { status => 429, head => "Retry-After: 1\r\n" } : { status => 200 };
});

add('later', '{"later":1}');
@all = $app->wait(2);
cmp_ok($all[1]{at} - $all[0]{at}, '>=', 0.95, 'Retry-After is honoured');


# What anybody can have written

$app->behave(sub { return { status => 200 } });
$redis->command('DEL', '{events}:dead');

$redis->command('XADD', 'events', '*', 'what', 'ever');
add('x', 'no JSON');
add('x', '{"a":1}}');
add('x', "{\"a\":\"\xff\"}");
add('x', '{"a":"' . 'x' x (2 << 20) . '"}');
add('x', '"a text"');
add('x', '{"a":' . '[' x 64 . ']' x 64 . '}');
add('x', '{"deep":' . '[' x 63 . ']' x 63 . '}');
add('x', ' [{"at":"last"}] ');

@all = $app->wait(2);
is($all[0]{body}, '{"deep":' . '[' x 63 . ']' x 63 . '}', 'one that is nested deep');
is($all[1]{body}, ' [{"at":"last"}] ', 'what is an event is delivered');

$app->run('dead letters', sub { dead() == 7 });
is(join(' ', map { $_->{dead_reason} } dead()),
   'no_event not_json not_json not_json too_large not_json not_json', 'what is none is a dead letter');

$nginx->stop;
$app->stop;
$redis->stop;
