# HTTP/3: the main paths, over QUIC.  nginx must have it.

use strict;
use warnings;

use lib 't/lib';

use Jelou;
use Jelou::Http3;
use Jelou::Messages;
use Jelou::Server;
use Jelou::Upstream;
use Test::More;

my $why = Jelou::Http3->unusable;

plan($why ? (skip_all => $why) : 'no_plan');

my $port     = $Jelou::Port{SERVER};
my $client   = Jelou::Http3->new;
my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});

my $nginx = Jelou::Server->start(name => 'front', level => 'error', http => <<"END");
jelou_dedup_zone  zone=seen:1m;

upstream app {
    server  127.0.0.1:$Jelou::Port{APP} max_fails=0;
}

server {
    @{[ $client->listen($port) ]}

    client_body_buffer_size  16k;
    client_max_body_size     200k;

    location /incoming_message {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        jelou_dedup     zone=seen;
        proxy_pass      http://app;
    }
    location /message {
        jelou_endpoint  message;
        jelou_secret    "$Jelou::Secret";
        jelou_types     text image;
        proxy_pass      http://app;
    }
    location /raw {
        jelou_endpoint  message;
        jelou_secret    "$Jelou::Secret";
        jelou_format    raw;
        proxy_pass      http://app;
    }
    location /room_message {
        jelou_endpoint  room_message;
        proxy_pass      http://app;
    }
    location /bot_message {
        jelou_endpoint  bot_message;
        proxy_pass      http://app;
    }
}
END

my ($worker) = $nginx->workers;


# ask3(RAW): a request of HTTP/1.1, sent with HTTP/3: what is said, as verdict()
# has it

sub ask3 {
    my $answer = $client->ask($port, shift);

    return $answer->{end} if $answer->{end} ne 'end';

    my $head = $answer->{heads}[-1] =~ s{\AHTTP/3 (\d+)}{HTTP/1.1 $1 }r;

    return Jelou::Messages::verdict("$head\r\n$answer->{body}");
}

my $number = 0;
my $large  = sub { $_[0] =~ s/"B"/'"' . 'x' x 100_000 . '"'/er };

sub is_said {
    my ($raw, $want, $name) = @_;

    is(ask3($raw), $want, $name);
}


# What is accepted: the upstream has the event, with its length

for my $case (
    (map { [$_, $_] } qw(incoming_message message room_message bot_message)),
    ['conversation', 'message'],
    ['message', 'raw'],
    ['message', 'message', change => $large],
    ['message', 'raw', change => $large],
) {
    my ($endpoint, $path, %o) = @$case;

    my $name = "$path, $endpoint" . (%o ? ', large' : '');
    my $raw  = request($endpoint, ++$number, "/$path", %o);
    my $body = $raw =~ s/.*?\r\n\r\n//sr;

    $upstream->expect(200);
    is_said($raw, 200, $name);

    my @got = $upstream->requests(1);

    is(scalar @got, 1, "$name: it is delivered");
    is(number($got[0]{body}), $number, "$name: itself");
    is($got[0]{body}, $body, "$name: as it was") if $path eq 'raw';
    like($got[0]{head}, qr/^Content-Length: @{[ length $got[0]{body} ]}\r$/m,
         "$name: its length");
}

{
    my $raw = request('incoming_message', ++$number, '/incoming_message');

    $upstream->expect(200);
    is_said($raw, 200, 'once');
    is_said($raw, '200 replayed', 'and again');
    is(scalar(my @got = $upstream->requests(1)), 1, 'delivered once');
}


# What is refused, and what the upstream makes of it

$upstream->expect(200);

for my $case (
    ['401 SIGNATURE_MISSING', [signature => undef]],
    ['401 SIGNATURE_MALFORMED', [signature => 'sha256=0']],
    ['401 SIGNATURE_MALFORMED', [signature => ['sha256=0', 'sha256=0']]],
    ['401 SIGNATURE_MISMATCH', [secret => 'another one']],
    ['401 SIGNATURE_MISMATCH', [secret => 'another one', change => $large]],
    ['405 METHOD_NOT_ALLOWED', [method => 'PUT']],
    ['415 UNSUPPORTED_MEDIA_TYPE', [type => 'text/plain']],
    ['415 UNSUPPORTED_MEDIA_TYPE', [headers => ['Content-Encoding: gzip']]],
    ['413 PAYLOAD_TOO_LARGE',
     [change => sub { $_[0] =~ s/"B"/'"' . 'x' x 300_000 . '"'/er }]],
    ['400 INVALID_JSON', [change => sub { "$_[0]}" }]],
    ['422 INVALID_EVENT', [change => sub { $_[0] =~ s/room_id/room/r }]],
    ['422 TYPE_NOT_ALLOWED',
     [change => sub { $_[0] =~ s/"image"/"video"/r =~ s/image\/png/video\/mp4/r }]],
) {
    my ($want, $options) = @$case;

    is_said(request('message', ++$number, '/message', @$options), $want, $want);
}

is(scalar($upstream->requests(0)), 0, 'nothing that is refused is delivered');

for my $case ([500, '500 UPSTREAM_FAILED'], [404, '404 UPSTREAM_REJECTED'],
              ['close', '500 UPSTREAM_FAILED']) {
    my ($answer, $want) = @$case;

    $upstream->expect($answer);
    is_said(request('message', ++$number, '/message'), $want, "$answer: $want");
}

is_deeply([$nginx->workers], [$worker], 'the worker goes on');

$nginx->stop;
$upstream->stop;
