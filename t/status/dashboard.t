# docs/dashboard.html in a browser, beside a real nginx: it shows what the requests of
# this test have caused, in light and dark and on a phone, and says when it shows
# what may not be true any more.

use strict;
use warnings;
use utf8;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Application;
use Jelou::Browser;
use Jelou::Load;
use Jelou::Server;

use Digest::SHA qw(sha256_base64);
use JSON::PP ();
use Time::HiRes qw(sleep time);

my $port   = $Jelou::Port{SERVER};
my $base   = "http://127.0.0.1:$port";
my $source = Jelou::Server::slurp('docs/dashboard.html');
my $old    = 'the-signing-secret-of-old';

unlike($source, qr/innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b/,
       'no data becomes markup');

# The page names its own script and style, and forbids all others: whoever changes
# one writes its digest into the policy.

for my $part (qw(script style)) {
    my ($text)   = $source =~ m{<$part>(.*?)</$part>}s;
    my ($policy) = $source =~ /Content-Security-Policy" content="([^"]*)"/;

    is(($policy =~ /$part-src ([^;]*);/)[0], "'sha256-" . sha256_base64($text) . "='",
       "the policy has the digest of the $part");
}

my $app   = Jelou::Application->start;
my $nginx = Jelou::Server->new(name => 'front', level => 'crit',
                               main => 'worker_processes 2;');

Jelou::Server::spew("$nginx->{dir}/dashboard.html", $source);
chmod 0644, "$nginx->{dir}/dashboard.html";

sub config {
    my $status = shift // 'jelou_status json;';

    return <<"END";
jelou_status_zone  zone=counters:1m;
jelou_dedup_zone   "zone=<i>seen:1m";

upstream app {
    server     127.0.0.1:$Jelou::Port{APP};
    keepalive  16;
}

server {
    listen  127.0.0.1:$port;

    proxy_http_version  1.1;
    proxy_set_header    Connection "";

    location = /in {
        jelou_endpoint  incoming_message;
        jelou_secret    "$old" "$Jelou::Secret";
        jelou_dedup     "zone=<i>seen";
        proxy_pass      http://app/;
    }
    location = /message {
        jelou_endpoint  message;
        jelou_secret    "$Jelou::Secret";
        jelou_types     text;
        proxy_pass      http://app/;
    }
    location ~ ^/rooms/ {
        jelou_endpoint  room_message;
        proxy_pass      http://127.0.0.1:$Jelou::Port{DOWN};
    }
    location = /jelou-status {
        $status
    }
    location = /dashboard.html {
        types { text/html html; }
        root  $nginx->{dir};
    }
}
END
}

$nginx->write(http => config())->start;


# Requests, and what each of them is

my ($n, %is) = (0);

sub incoming {
    my (%o) = @_;

    my $body = delete $o{body} // event(id => '"i-' . ++$n . '"', @{ $o{event} // [] });

    return { raw => post($body, path => '/in', keepalive => 1, %o) };
}

sub message {
    my ($type, $content) = @_;

    return { raw => post(<<"END", path => '/message', keepalive => 1) };
{"field":"messages","object":"message_event","event_type":"message","timestamp":1776134278574,
"project_id":"p","room_id":"r","contact":{"id":"u"},"conversation":{"id":"c"},
"bot":{"id":"b"},"value":{"id":"m-@{[ ++$n ]}","type":"$type","content":$content}}
END
}

sub room {
    return { raw => post('{"senderId":"s","messages":[{"id":"' . '0' x 8
                         . '-0000-4000-8000-000000000000","type":"TEXT","text":""}]}',
                         path => '/rooms/r/message', signature => undef,
                         keepalive => 1) };
}

my $media = '{"url":"https://a/b","mime_type":"image/png"}';
my $same;     # the body that is repeated, another one each time

# [count, request, endpoint, what it is counted as, type]

my @kinds = (
    [30, sub { incoming() }, 'incoming_message', 'accepted', 'text'],
    [5,  sub { incoming(secret => $old) }, 'incoming_message', 'accepted', 'text'],
    [3,  sub { incoming(event => [type => '"image"', content => $media]) },
     'incoming_message', 'accepted', 'image'],
    [1,  sub { incoming(body => $same) }, 'incoming_message', 'accepted', 'text'],
    [7,  sub { incoming(body => $same) }, 'incoming_message', 'duplicates'],
    [2,  sub { incoming(body => "$same ") }, 'incoming_message',
     'message_id_reused'],
    [4,  sub { incoming(signature => undef) }, 'incoming_message',
     'signature_missing'],
    [3,  sub { incoming(secret => 'another one') }, 'incoming_message',
     'signature_mismatch'],
    [2,  sub { incoming(body => '{') }, 'incoming_message', 'invalid_json'],
    [6,  sub { incoming(event => [room_id => undef]) }, 'incoming_message',
     'invalid_event'],
    [8,  sub { message(text => '{"body":"x"}') }, 'message', 'accepted', 'text'],
    [2,  sub { message(image => $media) }, 'message', 'type_not_allowed'],
    [3,  \&room, 'room_message', 'upstream_failed'],
);

# send_all(TIMES): all of them in this order, as often as that

sub send_all {
    my $times = shift;

    my @requests = map {
        $same = event(id => '"same-' . ++$n . '"');
        map { my $kind = $_; map { $kind->[1]->() } 1 .. $kind->[0] } @kinds;
    } 1 .. $times;

    Jelou::Load::run(port => $port, seconds => 30, next => sub { shift @requests });
}

# want(TIMES [, ENDPOINT]): the sums, in the words of the page

sub want {
    my ($times, $only) = @_;

    my %want = map { $_ => {} } qw(total causes types);

    for (@kinds) {
        my ($count, undef, $endpoint, $as, $type) = @$_;

        next if defined $only && $only ne $endpoint;

        $count *= $times;
        $want{total}{requests} += $count;

        $want{total}{$as =~ /^(?:accepted|duplicates)$/ ? $as
                     : $as =~ /^upstream/ ? 'failed' : 'refused'} += $count;

        $want{types}{$type} += $count if $type;
        $want{causes}{$as}  += $count if $as !~ /^(?:accepted|duplicates)$/;
    }

    $want{total}{$_} //= 0 for qw(accepted duplicates refused failed);

    return \%want;
}

my $browser = Jelou::Browser->start;

# shown(COLUMN): what the page has now; COLUMN is 'total' or 'period'

sub shown {
    my $column = shift;

    return $browser->get(<<"END");
(() => {
    const number = node => +node.textContent.replaceAll(',', '');
    const table = id => Object.fromEntries(Array.from(
        document.querySelectorAll('#' + id + ' tbody tr'), row =>
            [row.querySelector('code').textContent,
             number(row.cells['$column' === 'total' ? 2 : 1])]));

    return {
        total: Object.fromEntries(
            ['requests', 'accepted', 'duplicates', 'refused', 'failed'].map(name =>
                [name, number(document.getElementById(name + '-$column'))])),
        causes: table('causes'), types: table('types')
    };
})()
END
}

sub text { return $browser->get("document.querySelector('$_[0]').textContent") }

sub wait_text {
    my ($selector, $text) = @_;

    $browser->wait("document.querySelector('$selector')?.textContent"
                   . '.includes(' . JSON::PP->new->allow_nonref->encode($text) . ')');
}

# A request is counted when its answer has been sent: a moment later.

sub wait_count {
    my ($column, $count) = @_;

    wait_text("#requests-$column", $count);
}


# What has been before the page is opened

send_all(2);

$browser->open(url => "$base/dashboard.html?period=300");
my $count = want(2)->{total}{requests};
wait_count(total => $count);

is_deeply(shown('total'), want(2), 'the counters since the start');
is(text('#state'), 'Live', 'the page is live');
is(text('#versions'), $browser->get('"nginx " + page.nginx + ", module " + page.version'),
   'versions');

my $keys = $browser->get(<<'END');
(() => {
    const all = Object.values(page.endpoints)
        .flatMap(e => [...Object.keys(e.refusals), ...Object.keys(e.failures)]);
    return { all: [...new Set(all)].sort(), told: Object.keys(MEANING).sort() };
})()
END

cmp_ok(scalar @{ $keys->{all} }, '>=', 18, 'the page of the counters has keys');
is_deeply([grep { my $k = $_; !grep { $_ eq $k } @{ $keys->{told} } } @{ $keys->{all} }],
          [], 'each key has its meaning');
is_deeply([grep { my $k = $_; !grep { $_ eq $k } @{ $keys->{all} } } @{ $keys->{told} }],
          [], 'and there is no other');

is($browser->get('document.querySelectorAll("#causes .meaning:empty").length'), 0,
   'a cause is shown with its meaning');


# What comes in while it is open: in the period, and in the rates

send_all(1);
wait_count(period => want(1)->{total}{requests});

my $shown = shown('period');
delete $shown->{$_}{''} for qw(causes types);

is_deeply($shown, want(1), 'the counters of the period');
is_deeply(shown('total'), want(3), 'and since the start');

$browser->wait('parseFloat(document.getElementById("requests-rate").textContent) > 0');
cmp_ok($browser->get('parseFloat(document.getElementById("requests-rate").textContent)'),
       '<=', $count, 'a rate is a second\'s');
$browser->wait('document.querySelectorAll("#traffic .area.accepted").length > 0');

# Below the curves: the moments are even, and each small one says its scale

my $ticks = $browser->get(<<'END');
Array.from(document.querySelectorAll('#traffic .tick'), node =>
    node.textContent.split(':').reduce((sum, n) => 60 * sum + +n, 0)
        * (node.textContent.length > 5 ? 1 : 60))
END

cmp_ok(scalar @$ticks, '>=', 2, 'there are times');
is(scalar(keys %{ { map { $ticks->[$_] - $ticks->[$_ - 1] => 1 } 1 .. $#$ticks } }), 1,
   'at even distances') or diag("@$ticks");
is(scalar(grep { $_ % 5 } @$ticks), 0, 'and at even moments');

$browser->wait('document.querySelector(".figure.requests .peak").textContent !== ""');
like($browser->get('document.querySelector(".figure.requests .peak").textContent'),
     qr/^peak [\d.,]+\/s$/, 'a small curve says its scale');

# The period is 5 minutes, and the page has not been open for so long.

like($browser->get('document.querySelector(".figure.requests .of").textContent'),
     qr/^in \d+ s so far$/, 'a short period says so');
like(text('.span'), qr/^the \d+ s since this page was opened$/, 'and why');
is($browser->get('document.querySelector(".figure.requests .all").hidden'), 0,
   'the total is another number');

is($browser->get('document.querySelector("main").classList.contains("calm")'), 0,
   'there are causes');

my $pill = $browser->get(<<'END');
(() => {
    const pill = document.querySelector('.state').getBoundingClientRect();
    const text = document.getElementById('state').getBoundingClientRect();
    return [text.left - 16 - pill.left, pill.right - text.right];
})()
END

cmp_ok(abs($pill->[0] - $pill->[1]), '<', 1.5, 'the state is in the middle of its pill')
    or diag("@$pill");

# Each of the endpoints by itself

for my $endpoint (qw(incoming_message message room_message bot_message)) {
    $browser->click("#endpoints label:has(input[value=$endpoint])");
    is_deeply(shown('total'), want(3, $endpoint), "the counters of $endpoint")
        if $endpoint ne 'bot_message';
    is(text('#own-table tbody th'), $endpoint, "the times of $endpoint");
}

is(text('#requests-total'), '0', 'an endpoint that had no requests');
is(text('#own > text:last-of-type'), 'No requests in the period', 'has no times');
is($browser->get('document.getElementById("causes-none").hidden'), 0,
   'and no causes');

# Then the cards below fill the page.

my $boxes = $browser->get(<<'END');
(() => {
    const box = node => node.getBoundingClientRect();
    const main = box(document.querySelector('main'));
    const cards = Array.from(document.querySelectorAll('.stack .card'), box);
    return { causes: box(document.querySelector('.seven')).width - main.width,
             last: main.right - cards[2].right,
             tops: new Set(cards.map(c => c.top)).size };
})()
END

cmp_ok(abs $boxes->{$_}, '<', 1, "the healthy page is full: $_") for qw(causes last);
is($boxes->{tops}, 1, 'its cards are side by side');

$browser->click('#endpoints label:has(input[value=all])');

# Times: the quantiles are those of the buckets

my $times = $browser->get(<<'END');
(() => {
    const row = id => Array.from(document.querySelectorAll('#' + id + ' tbody tr'))
        .map(r => Array.from(r.cells, c => c.textContent));
    return { own: row('own-table'), upstream: row('upstream-table') };
})()
END

my ($own) = grep { $_->[0] eq 'incoming_message' } @{ $times->{own} };

like($own->[2], qr/^[\d.]+ (?:µ|\x{b5})s$|^[\d.]+ ms$/, 'the time in the module');
like((grep { $_->[0] eq 'incoming_message' } @{ $times->{upstream} })[0][4],
     qr/^[\d.]+ (?:\x{b5}s|ms|s)$/, 'the time in the upstream');

is_deeply($browser->get(<<'END'), [15, 30, 40, undef, 'Infinity'],
(() => {
    const list = bounds({ buckets: { '10': 0, '20': 50, '+Inf': 101, '40': 100 } });
    const of = q => quantile(list, q).value;
    return [of(25 / 101), of(75 / 101), of(100 / 101),
            quantile(bounds({ buckets: { '10': 0, '+Inf': 0 } }), .5),
            String(of(1))];
})()
END
          'quantiles of buckets');

# Secrets: incoming_message has two, message one

my $secrets = $browser->get(<<'END');
Array.from(document.querySelectorAll('#secrets tbody tr'), row =>
    [row.querySelector('code').textContent, row.querySelector('.meaning').textContent,
     row.cells[1].textContent, row.cells[3].textContent])
END

is_deeply([map { "$_->[1] $_->[0]: $_->[3]" } @$secrets],
          ['incoming_message 1: 15', 'incoming_message 2: 153', 'message 1: 30'],
          'secrets');
is(scalar(grep { $_->[2] =~ /^(?:just now|\d+ s ago)$/ } @$secrets), 3,
   'when they were used');

# The zone, whose name is no markup: what was accepted is in it

is(text('#zones code'), '<i>seen', 'a name that looks like markup');
is(text('#zones dd'), want(3, 'incoming_message')->{total}{accepted}, 'entries')
    or diag($browser->get('JSON.stringify(page.dedup)'));
is($browser->get('document.querySelectorAll("#zones i").length'), 1,
   'which is none');

is_deeply([$browser->complaints], [], 'nothing to complain of');


# Light and dark, wide and narrow

my $contrast = <<'END';
(() => {
    const rgb = text => text.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const c = rgb(getComputedStyle(node).backgroundColor);
            if (c.length === 3 || c[3] > 0) return c;
        }
    };
    const low = [];
    for (const node of document.querySelectorAll('body *')) {
        if (!node.checkVisibility() || !Array.from(node.childNodes)
                .some(c => c.nodeType === 3 && c.textContent.trim())) continue;
        const style = getComputedStyle(node);
        const color = node instanceof SVGElement ? style.fill : style.color;
        const [a, b] = [light(rgb(color)), light(behind(node))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) low.push(node.tagName + ' ' + node.textContent);
    }
    return low;
})()
END

my $outside = <<'END';
[...Array.from(document.querySelectorAll('body *')).filter(node =>
    node.checkVisibility() && !node.closest('.hidden, fieldset input')
    && node.getBoundingClientRect().right > innerWidth + 0.5
    || node.matches('.card') && node.scrollWidth > node.clientWidth + 1)
    .map(node => node.tagName + '.' + node.className + ' ' + node.id)]
END

my %background;

for my $scheme (qw(light dark)) {
    for my $width (1280, 768, 360) {
        my $name = "$scheme, $width pixels";

        $browser->open(url => "$base/dashboard.html?period=0", width => $width,
                       scheme => $scheme, motion => 'reduce');
        wait_count(total => want(3)->{total}{requests});

        is_deeply(shown('total'), want(3), "$name: the counters");
        is($browser->get('document.querySelector(".figure.requests .all").hidden'), 1,
           "$name: since the start, a number stands there once");
        is_deeply($browser->get($contrast), [], "$name: contrast");
        is($browser->get('document.documentElement.scrollWidth'), $width,
           "$name: no scrolling to the side");
        is_deeply($browser->get($outside), [], "$name: nothing sticks out");
        is_deeply([$browser->complaints], [], "$name: nothing to complain of");

        $background{$browser->get(
            'getComputedStyle(document.body).backgroundColor')}++;
    }
}

is_deeply([values %background], [3, 3], 'light is not dark');

my $theme = 'getComputedStyle(document.body).backgroundColor';
my $dark  = $browser->get($theme);

$browser->click('#theme');
isnt($browser->get($theme), $dark, 'the button changes the theme');
is($browser->get('document.getElementById("theme").title'), 'Theme: light',
   'and says so');


# With the keyboard alone

$browser->open(url => "$base/dashboard.html");
wait_count(total => want(3)->{total}{requests});

my @reached;

for (1 .. 8) {
    $browser->press('Tab');
    push @reached, $browser->get(
        'document.activeElement.id || document.activeElement.name');
}

is_deeply([@reached[0 .. 5]], [qw(interval pause theme endpoint period traffic)],
          'the keyboard reaches all controls');

$browser->focus('#traffic');
$browser->press('ArrowLeft');
like(text('#traffic-when'), qr/^at \d\d:\d\d:\d\d$/, 'and moves through time');
$browser->press('Escape');
is(text('#traffic-when'), '', 'and back');

$browser->click('#pause');
is(text('#state'), 'Paused', 'a pause');
send_all(1);
sleep 2.5;
is(text('#requests-total'), want(3)->{total}{requests}, 'nothing is asked for in it');
$browser->click('#pause');
wait_count(total => want(4)->{total}{requests});
is_deeply([$browser->complaints], [], 'nothing to complain of');


# No answer, a refusal, another page: what is shown is marked as old

sub stale {
    my ($why, $name) = @_;

    $browser->wait('document.body.dataset.state === "stale"');
    wait_text('#trouble', $why);
    is(text('#state'), 'Stale', "$name: the state");
    like(text('#said'), qr/^Stale: .*\Q$why\E/, "$name: is said");
    is(text('#requests-total'), want(4)->{total}{requests}, "$name: the old counters");
    like(text('#trouble'), qr/What is shown is from \d\d:\d\d:\d\d, \d+ s ago/,
         "$name: their age");

    my $age = text('#age');
    like($age, qr/^\d+ s old$/, "$name: how old");
    $browser->wait("document.getElementById('age').textContent !== '$age'");
    cmp_ok((text('#age') =~ /(\d+)/)[0], '>', ($age =~ /(\d+)/)[0], "$name: and older");
}

$nginx->write(http => config('return 403;'))->reload;
stale('answered 403', 'a refusal');

$nginx->write(http => config('return 404;'))->reload;
stale('“location = /jelou-status { jelou_status json; }”', 'nothing there');

$nginx->write(http => config('return 200 "{}";'))->reload;
stale('is not the page of', 'another page');

$nginx->write(http => config())->reload;
$browser->wait('document.body.dataset.state === "live"');
is($browser->get('document.getElementById("trouble").hidden'), 1, 'and it is live again');
is(text('#requests-total'), want(4)->{total}{requests}, 'a reload keeps the counters');
is($browser->get('document.getElementById("anew").hidden'), 1, 'which did not begin anew');

$browser->complaints;
$nginx->stop;
stale('cannot be reached', 'no answer');

is_deeply([grep { !/^console: Failed to load resource/ } $browser->complaints], [],
          'nothing else to complain of');

# nginx begins anew, and so do the counters

$nginx->start;
$browser->wait('document.body.dataset.state === "live"');
wait_text('#anew', 'The counters started again');
is(text('#requests-total'), '0', 'the counters begin anew');
send_all(1);
wait_count(total => want(1)->{total}{requests});
is_deeply(shown('total'), want(1), 'and count again');


# An address of the counters elsewhere is not asked

$browser->open(url => "$base/dashboard.html?status=http://127.0.0.1:1/x");
wait_text('#trouble', 'is on another server');
is(text('#state'), 'No answer', 'another server: the state');
is_deeply([$browser->complaints], [], 'another server is not asked');

$browser->open(url => "$base/dashboard.html?status=/dashboard.html&endpoint=none");
wait_text('#trouble', 'is not the page of');

$browser->stop;
$nginx->stop;
$app->stop;
