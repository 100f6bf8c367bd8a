# docs/dashboard.html with a queue: what it shows of events, streams and deliveries.
#
#     JELOU_PICTURE=docs/dashboard.png sh util/test.sh t/status/dashboard_queue.t
#
# takes the picture of the documents, too: with fonts-inter, and pngquant behind it.

use strict;
use warnings;
use utf8;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Application;
use Jelou::Browser;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use JSON::PP ();
use Time::HiRes qw(sleep time);

my $port  = $Jelou::Port{SERVER};
my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $nginx = Jelou::Server->new(name => 'front', level => 'crit');

Jelou::Server::spew("$nginx->{dir}/dashboard.html",
                    Jelou::Server::slurp('docs/dashboard.html'));
chmod 0644, "$nginx->{dir}/dashboard.html";

$redis->command(qw(SET denied x));

$nginx->write(http => <<"END")->start;
jelou_status_zone  zone=counters:64k;

upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1} max_fails=0; }

server {
    listen  127.0.0.1:$port;

    jelou_secret  "$Jelou::Secret";

    location = /in {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  events;
    }
    location = /denied {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  denied;
    }
    location \@deliver {
        jelou_deliver        queue  stream=events  group=app;
        jelou_deliver_retry  1h  max=1h;
        proxy_pass           http://127.0.0.1:$Jelou::Port{DOWN};
    }
    location = /jelou-status {
        jelou_status  json;
    }
    location = /dashboard.html {
        types { text/html html; }
        root  $nginx->{dir};
    }
}
END

my $n = 0;

sub ask {
    return Jelou::Load::ask($port, post(event(id => '"m-' . ++$n . '"'), path => "/$_[0]"))
           ->{status};
}

is(ask('in'), 200, 'accepted') for 1 .. 3;
is(ask('denied'), 500, 'denied') for 1 .. 2;

my $browser = Jelou::Browser->start;

$browser->open(url => "http://127.0.0.1:$port/dashboard.html?period=0");

$browser->wait('document.getElementById("queue").hidden === false');
$browser->wait('document.querySelectorAll("#backlogs .zone").length === 2');

sub events {
    return $browser->get(<<'END');
Object.fromEntries(Array.from(document.querySelectorAll('#queue-events tbody tr'),
    row => [row.querySelector('code').textContent,
            [row.cells[2].textContent, row.querySelector('.meaning').textContent !== '']]))
END
}

my %shown = %{ events() };

is_deeply([map { "$_ $shown{$_}[0]" } sort keys %shown], ['appended 3', 'denied 2'],
          'what became of events');
is_deeply([grep { !$shown{$_}[1] } keys %shown], [], 'each has its meaning');

is_deeply($browser->get('[Object.keys(page.queue.events).sort(), Object.keys(OUTCOME).sort()]')->[0],
          $browser->get('Object.keys(OUTCOME).sort()'), 'all that there are have one');

sub backlog {
    return $browser->get(<<"END");
(() => {
    const zone = Array.from(document.querySelectorAll('#backlogs .zone'))
        .find(z => z.querySelector('code').textContent === '$_[0]');
    return { of: zone.querySelector('h3 span').textContent,
             ...Object.fromEntries(Array.from(zone.querySelectorAll('dl div'),
                 d => [d.querySelector('dt').textContent, d.querySelector('dd').textContent])) };
})()
END
}

$browser->wait('[...document.querySelectorAll("#backlogs dd")].some(d => d.textContent === "3")');

my $events = backlog('events');

like($events->{of}, qr/^queue, group app, [^:]+:\d+$/, 'the stream, its group and its owner');
is($events->{$_}, 3, "$_ of the stream") for 'Entries', 'Pending';
is($events->{Again}, 1, 'of a room, the first event is tried');
is($events->{'Not read'}, 0, 'all is read');
like($events->{Oldest}, qr/^\d+ s$/, 'the age of the oldest');
is($events->{$_}, 0, $_) for 'Delivered', 'Dead letters';
is(backlog('denied')->{Entries}, '–', 'what is not known is not shown');
like($browser->get('document.getElementById("queue-now").textContent'),
     qr/^Connections to Redis: \d+\. In flight: 0\. Reply, p99: /, 'connections');

$redis->command(qw(HSET jelou-deliver:{events}:app paused 1));
$browser->wait('document.querySelector("#backlogs").textContent.includes("paused")');

my $outside = <<'END';
[...Array.from(document.querySelectorAll('#queue, #queue *')).filter(node =>
    node.checkVisibility() && node.getBoundingClientRect().right > innerWidth + 0.5)
    .map(node => node.tagName + '.' + node.className)]
END

for my $width (1280, 360) {
    $browser->open(url => "http://127.0.0.1:$port/dashboard.html?period=0",
                   width => $width, motion => 'reduce');
    $browser->wait('document.querySelectorAll("#backlogs .zone").length === 2');

    is($browser->get('document.documentElement.scrollWidth'), $width,
       "$width pixels: no scrolling to the side");
    is_deeply($browser->get($outside), [], "$width pixels: nothing sticks out");
    is_deeply([$browser->complaints], [], "$width pixels: nothing to complain of");
}

# In a period, what was before does not count

$browser->open(url => "http://127.0.0.1:$port/dashboard.html?period=60");
$browser->wait('document.querySelectorAll("#queue-events tbody tr").length === 2');
is(ask('in'), 200, 'one more');
$browser->wait('[...document.querySelectorAll("#queue-events tbody tr")]'
               . '.some(r => r.cells[1].textContent === "1" && r.cells[2].textContent === "4")');
pass('counted in the period');

$nginx->stop;

picture($ENV{JELOU_PICTURE}) if $ENV{JELOU_PICTURE};

$browser->stop;
$redis->stop;


# picture(FILE): a minute of a good day, with events in a queue and events that go
# to the application directly

sub picture {
    my $file = shift;
    my $app  = Jelou::Application->start;

    $redis->command('FLUSHALL');
    $nginx->write(http => <<"END")->start;
jelou_status_zone  zone=counters:1m;
jelou_dedup_zone   zone=seen:1m;

upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1}; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP};  keepalive 16; }

server {
    listen  127.0.0.1:$port;

    jelou_secret        "the-signing-secret-of-old" "$Jelou::Secret";
    proxy_http_version  1.1;
    proxy_set_header    Connection "";

    location = /in {
        jelou_endpoint      incoming_message;
        jelou_redis_pass    queue;
        jelou_redis_stream  jelou:events  limit=1000000;
        jelou_redis_dedup   1h;
    }
    location = /message {
        jelou_endpoint  message;
        jelou_dedup     zone=seen;
        proxy_pass      http://app/;
    }
    location \@deliver {
        jelou_deliver  queue  stream=jelou:events  group=app;
        proxy_pass     http://app;
    }
    location = /jelou-status {
        jelou_status  json;
    }
    location = /dashboard.html {
        types { text/html html; }
        root  $nginx->{dir};
    }
}
END

    $browser->open(url => "http://127.0.0.1:$port/dashboard.html?period=60",
                   width => 1200, height => 1000);

    my $began = time;
    my %again;

    while ((my $now = time - $began) < 75) {
        my @requests;

        for (1 .. 12 + 4 * sin($now / 6) + 3 * sin($now / 2.3) + rand 3) {
            push @requests, good($_ % 3 ? 'in' : 'message', \%again);
        }

        Jelou::Load::run(port => $port, next => sub { shift @requests });
        sleep 0.25;
    }

    $browser->picture($file);

    $nginx->stop;
    $app->stop;
}

# good(ENDPOINT, AGAIN): a message, of some type and room; one of thirty is a repetition

sub good {
    my ($where, $again) = @_;

    my ($type, $content) = rand 5 < 4
        ? (text => '{"body":"Hello"}')
        : ((qw(image video audio document))[rand 4],
           '{"url":"https://a/b","mime_type":"a/b"}');

    my ($room, $id) = ('r-' . int rand 40, 'good-' . ++$n);

    my $body = $where eq 'in'
        ? event(room_id => qq("$room"), id => qq("$id"), type => qq("$type"),
                content => $content)
        : '{"field":"messages","object":"message_event","event_type":"message",'
          . '"timestamp":1776134278574,"project_id":"p","room_id":"' . $room . '",'
          . '"contact":{"id":"u"},"conversation":{"id":"c"},"bot":{"id":"b"},'
          . qq("value":{"id":"$id","type":"$type","content":$content}});

    $body = $again->{$where} if $again->{$where} && rand 30 < 1;
    $again->{$where} = $body;

    my %o = rand 4 < 1 ? (secret => 'the-signing-secret-of-old') : ();

    return { raw => post($body, path => "/$where", keepalive => 1, %o) };
}
