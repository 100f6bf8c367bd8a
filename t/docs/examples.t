# The example configurations are loaded, and each passes the messages of Jelou's
# documentation on to where it says.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IPC::Open2;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(time);

use lib 't/lib';
use Jelou::Config qw($Root slurp configurations);
use Jelou::Redis;
use Jelou::Reports;
use Jelou::Upstream;

my $nginx = Jelou::Config->new('examples');
my %conf  = configurations();
my $json  = JSON::PP->new->utf8->canonical;

my $app_port = $nginx->free_port;
my $app = Jelou::Upstream->start($nginx->dir . '/upstream', http => $app_port);

my $secret = 'signing-secret-of-the-examples';
my $other  = 'signing-secret-of-the-application';
my $client = 'a-client:its-password';

# Servers that the examples have behind nginx

$nginx->replace($_, $app_port)
    for qw(10.0.0.11:8080 10.0.0.12:8080 10.0.0.11:3000 10.0.0.12:3000
           10.0.0.13:3000 10.0.1.11:8080 10.0.1.12:8080 10.0.2.11:8080
           10.0.2.12:8080 10.0.3.10:80);

# What they say is to be supplied

$nginx->certificate('*.example.com');
$nginx->supply('/etc/nginx/jelou-secret.conf', qq(jelou_secret "$secret";\n));
$nginx->supply('/etc/nginx/jelou-upstream.conf',
               qq(jelou_upstream_secret "$other";\n));
$nginx->supply('/etc/nginx/jelou-api.conf',
               'proxy_set_header Authorization "Basic '
               . encode_base64($client, '') . qq(";\n));
chmod 0600, $nginx->supply('/etc/nginx/jelou.redis', "nginx a-password\n");
chmod 0600, $nginx->supply('/etc/nginx/jelou.secrets',
                           "# changed last year\n$secret\n")
    or die "chmod: $!\n";

for (qw(/etc/nginx/jelou.clients htpasswd)) {
    my ($name, $password) = split /:/, $client;

    $nginx->supply($_, "$name:" . `openssl passwd -apr1 $password`);
}


# The examples of the documentation.  That of room_message has a schema only.

my %body = (

    incoming_message => <<'END',
{
    "field": "messages",
    "object": "message_event",
    "event_type": "incoming_message",
    "project_id": "PROJECT_ID",
    "room_id": "ROOM_ID",
    "bot_id": "BOT_ID",
    "user_id": "USER_ID",
    "value": {
      "id": "MESSAGE_ID",
      "type": "text",
      "content": {
        "body": "Hello user, how can I help you?"
      }
    }
  }
END

    message => <<'END',
{
  "field": "messages",
  "object": "message_event",
  "event_type": "message",
  "timestamp": 1776134352163,
  "project_id": "PROJECT_ID",
  "room_id": "ROOM_ID",
  "contact": {
    "id": "USER_ID",
    "name": "USER_NAME"
  },
  "conversation": {
    "id": "CONVERSATION_ID"
  },
  "bot": {
    "id": "BOT_ID",
    "name": "BOT_NAME"
  },
  "value": {
    "id": "MESSAGE_ID",
    "type": "image",
    "content": {
      "url": "https://storage.example.com/media/image.jpg",
      "mime_type": "image/jpeg"
    }
  }
}
END

    conversation => <<'END',
{
  "event": "conversation.start",
  "timestamp": 1776134278574,
  "project_id": "PROJECT_ID",
  "conversation": {"id": "CONVERSATION_ID"}
}
END

    room_message => <<'END',
{
  "senderId": "SENDER_ID",
  "messages": [
    {"id": "0b6a1d8e-5c3f-4f6b-9a53-6d1f0f3a7c21", "type": "TEXT",
     "text": "Hola"},
    {"id": "f2d7c6aa-93e4-4b0d-8f57-2f4a1be0c9d8", "type": "IMAGE",
     "mediaUrl": "https://storage.example.com/media/image.jpg"},
    {"id": "3c9e3f0b-8d7a-4c11-b6a2-0a3f5e7d9b14", "type": "VIDEO",
     "mediaUrl": "https://storage.example.com/media/video.mp4", "text": "Mira"},
    {"id": "71a4d2e9-60bf-4d38-a1c7-9e8b5f2c4d06", "type": "DOCUMENT",
     "mediaUrl": "https://storage.example.com/media/file.pdf"}
  ]
}
END

    bot_message => <<'END',
{
    "type": "text",
    "text": "Por favor selecciona una opción",
    "userId": "USER_ID",
    "title": "Elige una opción",
    "buttonText": {
      "type": "text",
      "text": "Ver Opciones"
    },
    "options": [
      {
        "id": "option_1",
        "title": "Opción 1",
        "description": "Esta es la primera opción"
      },
      {
        "id": "option_2",
        "title": "Opción 2",
        "description": "Esta es la segunda opción"
      },
      {
        "id": "option_3",
        "title": "Opción 3",
        "description": "Esta es la tercera opción"
      }
    ]
  }
END
);

# The event of each, compact.  msg_* is the id that the answer has.

my $top = '{"field":"messages","object":"message_event"';

my %event = (

    incoming_message => $top . ',"event_type":"incoming_message",'
        . '"project_id":"PROJECT_ID","room_id":"ROOM_ID","bot_id":"BOT_ID",'
        . '"user_id":"USER_ID","value":{"id":"MESSAGE_ID","type":"text",'
        . '"content":{"body":"Hello user, how can I help you?"}}}',

    message => $top . ',"event_type":"message","timestamp":1776134352163,'
        . '"project_id":"PROJECT_ID","room_id":"ROOM_ID",'
        . '"conversation_id":"CONVERSATION_ID","bot_id":"BOT_ID",'
        . '"bot_name":"BOT_NAME","user_id":"USER_ID","user_name":"USER_NAME",'
        . '"value":{"id":"MESSAGE_ID","type":"image","content":{'
        . '"url":"https://storage.example.com/media/image.jpg",'
        . '"mime_type":"image/jpeg"}}}',

    conversation => $top . ',"event_type":"conversation.start",'
        . '"timestamp":1776134278574,"project_id":"PROJECT_ID","data":{'
        . '"event":"conversation.start","timestamp":1776134278574,'
        . '"project_id":"PROJECT_ID",'
        . '"conversation":{"id":"CONVERSATION_ID"}}}',

    room_message => $top . ',"event_type":"room_message","room_id":"ROOM_ID",'
        . '"sender_id":"SENDER_ID","values":['
        . '{"id":"0b6a1d8e-5c3f-4f6b-9a53-6d1f0f3a7c21","type":"text",'
        . '"content":{"body":"Hola"}},'
        . '{"id":"f2d7c6aa-93e4-4b0d-8f57-2f4a1be0c9d8","type":"image",'
        . '"content":{"url":"https://storage.example.com/media/image.jpg"}},'
        . '{"id":"3c9e3f0b-8d7a-4c11-b6a2-0a3f5e7d9b14","type":"video",'
        . '"content":{"url":"https://storage.example.com/media/video.mp4",'
        . '"caption":"Mira"}},'
        . '{"id":"71a4d2e9-60bf-4d38-a1c7-9e8b5f2c4d06","type":"document",'
        . '"content":{"url":"https://storage.example.com/media/file.pdf"}}]}',

    bot_message => $top . ',"event_type":"bot_message","bot_id":"BOT_ID",'
        . '"user_id":"USER_ID","value":{"id":"msg_*","type":"list",'
        . '"content":{"body":"Por favor selecciona una opción",'
        . '"title":"Elige una opción",'
        . '"button":{"type":"text","text":"Ver Opciones"},"options":['
        . join(',', map {
            my ($n, $nth) = @$_;
            qq({"id":"option_$n","title":"Opción $n",)
            . qq("description":"Esta es la $nth opción"})
        } [1, 'primera'], [2, 'segunda'], [3, 'tercera']) . ']}}}',
);

my $ids = join ',', $body{room_message} =~ /"id": "([^"]+)"/g;

my %answer = (
    incoming_message => '{"success":true,"messageId":"MESSAGE_ID"}',
    message          => '{"success":true,"messageId":"MESSAGE_ID"}',
    conversation     => '{"success":true}',
    room_message     => '{"success":true,"messageIds":["'
                        . $ids =~ s/,/","/gr . '"]}',
    bot_message      => '{"success":true,"messageId":"msg_*"}',
);


# fresh(BODY): with a timestamp of now, where there has to be one

my $now = int(time * 1000);

sub fresh { return $_[0] =~ s/("timestamp": ?)\d+/$1$now/gr }


# send_one(URL, NAME, OPTIONS of send): what arrived, msg_* in place of its id

sub send_one {
    my ($url, $name, %o) = @_;

    my $body = $o{body} // $body{$name};

    $app->expect;

    my ($head, $answer) = $nginx->send($url, $body, %o);
    my ($id)  = $answer =~ /"(msg_[0-9a-f]{32})"/;
    my ($got) = $app->requests(1);

    s/\Q$id\E/msg_*/g for grep { defined $id && defined } $answer, $got->{body};

    like($head, qr/^HTTP\/\S+ 200/, "$name: accepted");
    is($answer, $answer{$name}, "$name: the answer");

    return $got // { head => '', body => '' };
}

# refused(URL, NAME, STATUS, KEY, OPTIONS of send)

sub refused {
    my ($url, $name, $status, $key, %o) = @_;

    $app->expect;

    my ($head, $answer) = $nginx->send($url, $o{body} // $body{$name}, %o);

    like($head, qr/^HTTP\/\S+ $status/, "$name: $key");
    like($answer, qr/"key":"$key"/, "$name: its key");
    is_deeply([$app->requests(0)], [], "$name: nothing arrives");

    return $head;
}

sub header { return join ', ', $_[0]{head} =~ /^\Q$_[1]\E: (.*?)\r$/mgi }

sub log_lines {
    my $name = shift;

    my $file = $nginx->path($name);

    return map { $json->decode($_) } split /\n/, slurp($file);
}


subtest 'all of them load' => sub {
    my @names = map { "docs/examples/$_.conf" }
                qw(cloudevents-sink delivery jelou-side partner-side production
                   quickstart redis refusals);

    is_deeply([sort keys %conf], \@names, 'there are no other ones');

    is($nginx->check($conf{$_}), '', "$_ loads") for sort keys %conf;
};


subtest 'quickstart.conf' => sub {
    $nginx->replace('127.0.0.1:8081', $nginx->free_port);
    $nginx->start($conf{'docs/examples/quickstart.conf'});

    my $url = 'http://127.0.0.1:' . $nginx->port('127.0.0.1:8080');

    my %path = (
        incoming_message => '/v1/external-support/webhook',
        message          => '/partner/webhook',
        conversation     => '/partner/webhook',
        room_message     => '/v1/rooms/ROOM_ID/message',
        bot_message      => '/v1/bots/BOT_ID/messages',
    );

    my @sent;

    for my $name (sort keys %path) {
        my ($head, $answer) = $nginx->send("$url$path{$name}", $body{$name},
            $name =~ /room|bot/ ? (user => $client)
                                : (secret => 'quickstart-signing-secret'));
        my ($id) = $answer =~ /"(msg_[0-9a-f]{32})"/;

        is($answer =~ s/msg_[0-9a-f]{32}/msg_*/r, $answer{$name},
           "$name: the answer");
        push @sent, $event{$name} =~ s/msg_\*/$id/r;
    }

    for my $name (qw(room_message bot_message)) {
        refused("$url$path{$name}", $name, 401, 'UNAUTHORIZED');
    }

    $nginx->stop;

    is(slurp($nginx->path('events.log')), join('', map { "$_\n" } @sent),
       'what the application has written down');
};


subtest 'production.conf' => sub {
    $nginx->start($conf{'docs/examples/production.conf'});

    my %tls = (secret => $secret, at => $nginx->port('443'));
    my $url = 'https://webhook.example.com/v1/external-support/webhook';

    is(send_one($url, 'incoming_message', %tls)->{body},
       $event{incoming_message}, 'the event');
    refused($url, 'incoming_message', 401, 'SIGNATURE_MISMATCH',
            %tls, secret => 'another-one-entirely');

    $nginx->stop;
};


subtest 'jelou-side.conf' => sub {
    $nginx->start($conf{'docs/examples/jelou-side.conf'});

    my %tls    = (at => $nginx->port('443'));
    my %signed = (%tls, secret => $secret);
    my %basic  = (%tls, user => $client);

    my $webhook = 'https://chatbot.example.com/v1/external-support/webhook';
    my $room    = 'https://api.example.com/v1/rooms/ROOM_ID/message';
    my $bot     = 'https://api.example.com/v1/bots/BOT_ID/messages';

    is(send_one($webhook, 'incoming_message', %signed)->{body},
       $event{incoming_message}, 'incoming_message: the event');

    for (['room_message', $room], ['bot_message', $bot]) {
        my ($name, $url) = @$_;

        my $got = send_one($url, $name, %basic);

        is($got->{body}, $event{$name}, "$name: the event");
        is(header($got, 'X-Jelou-Client'), 'a-client', "$name: the client");
        is(header($got, 'Authorization'), '', "$name: no password goes on");
    }

    # repeated ones

    for (['incoming_message', $webhook, %signed],
         ['room_message', $room, %basic])
    {
        my ($name, $url, %o) = @$_;

        $app->expect;
        my ($head, $answer) = $nginx->send($url, $body{$name}, %o);

        is($answer, $answer{$name}, "$name again: the same answer");
        like($head, qr/^Idempotent-Replayed: true\r?$/mi,
             "$name again: is known");
        is_deeply([$app->requests(0)], [], "$name again: nothing arrives");
    }

    # A bot's message is one that was seen if the client says so.

    my %keyed = (%basic, curl => ['-H', 'Idempotency-Key: 7']);

    send_one($bot, 'bot_message', %basic);
    send_one($bot, 'bot_message', %keyed);

    $app->expect;
    my ($head) = $nginx->send($bot, $body{bot_message}, %keyed);

    like($head, qr/^Idempotent-Replayed: true\r?$/mi, 'the key is known');
    is_deeply([$app->requests(0)], [], 'nothing arrives');

    # refused

    refused($webhook, 'incoming_message', 401, 'SIGNATURE_MISSING', %tls);
    refused($webhook, 'incoming_message', 401, 'SIGNATURE_MISMATCH', %tls,
            secret => $other);

    for (['room_message', $room], ['bot_message', $bot]) {
        my $head = refused($_->[1], $_->[0], 401, 'UNAUTHORIZED', %tls);

        like($head, qr/^WWW-Authenticate: Basic realm="Jelou API"\r?$/mi,
             "$_->[0]: how to authenticate");
        refused($_->[1], $_->[0], 401, 'UNAUTHORIZED', %tls,
                user => 'a-client:another-password');
    }

    for (qw(https://chatbot.example.com/v1/rooms/ROOM_ID/message
            https://api.example.com/v1/rooms/ROOM_ID/messages
            https://api.example.com/v1/external-support/webhook))
    {
        my ($head) = $nginx->send($_, '{}', %signed, %basic);

        like($head, qr/^HTTP\/\S+ 404/, "not there: $_");
    }

    $nginx->stop;

    my @log = log_lines('/var/log/nginx/jelou.log');

    is_deeply([map { $log[0]{$_} } qw(result event type project_id room_id
                                      message_id secret user)],
              [qw(accepted incoming_message text PROJECT_ID ROOM_ID
                  MESSAGE_ID 2), ''], 'the log of a webhook');
    is_deeply([map { $log[1]{$_} } qw(result event type room_id message_id
                                      user)],
              [qw(accepted room_message), 'text,image,video,document',
               'ROOM_ID', $ids, 'a-client'], 'the log of a room');
    is_deeply([map { $log[2]{$_} } qw(result event type bot_id)],
              [qw(accepted bot_message list BOT_ID)], 'the log of a bot');
    is($log[3]{result}, 'duplicate', 'the log of a repeated one');
};


subtest 'partner-side.conf' => sub {
    $nginx->start($conf{'docs/examples/partner-side.conf'});

    my %tls = (secret => $secret, at => $nginx->port('443'));
    my $url = 'https://partner.example.com/jelou/webhook';

    for my $name (qw(message conversation)) {
        my $got = send_one($url, $name, %tls, body => fresh($body{$name}));

        is($got->{body}, $event{$name} =~ s/("timestamp":)\d+/$1$now/gr,
           "$name: the event");
        is(header($got, 'X-Jelou-Signature'),
           'sha256=' . Digest::SHA::hmac_sha256_hex($got->{body}, $other),
           "$name: signed with the application's secret");
        is(header($got, 'X-Jelou-Event'),
           $name eq 'message' ? 'message' : 'conversation.start',
           "$name: a variable");
        is(header($got, 'X-Jelou-Project'), 'PROJECT_ID', "$name: another one");
    }

    $app->expect;
    my ($head) = $nginx->send($url, fresh($body{message}), %tls);

    like($head, qr/^Idempotent-Replayed: true\r?$/mi, 'again: it is known');
    is_deeply([$app->requests(0)], [], 'again: nothing arrives');

    # the documentation's own time is long ago

    refused($url, 'message', 422, 'STALE_EVENT', %tls);

    refused($url, 'message', 401, 'SIGNATURE_MISMATCH', %tls,
            secret => $other, body => fresh($body{message}));

    $nginx->stop;

    my ($line) = log_lines('/var/log/nginx/jelou.log');

    is_deeply([map { $line->{$_} } qw(result event sent project_id room_id
                                      message_id type secret)],
              ['accepted', 'message', $now, qw(PROJECT_ID ROOM_ID MESSAGE_ID
               image 2)], 'the log');
};


# The way back, to a Jelou over TLS: its certificate is by an authority that stands
# for the system's.

sub jelou {
    my ($secrets) = @_;

    my $common = <<'END';
    ssl_certificate      /etc/nginx/tls/jelou.crt;
    ssl_certificate_key  /etc/nginx/tls/jelou.key;
    proxy_set_header     X-Asked-For "$ssl_server_name $host";
    jelou_strict         on;
END

    return <<"END";
load_module /usr/lib/nginx/modules/ngx_http_jelou_module.so;

events {
}

http {
server {
    listen       jelou.ai:443 ssl;
    server_name  chatbot.jelou.ai;
$common
    location = /v1/external-support/webhook {
        jelou_endpoint  incoming_message;
        jelou_secret    "$secrets";
        jelou_format    raw;
        proxy_pass      http://10.0.0.11:3000;
    }
}
server {
    listen       jelou.ai:443 ssl;
    server_name  api.jelou.ai;
$common
    auth_basic            "Jelou API";
    auth_basic_user_file  /etc/nginx/jelou.clients;
    jelou_access          elsewhere;

    location /v1/rooms/ {
        jelou_endpoint  room_message;
        proxy_pass      http://10.0.0.11:3000;
    }
    location /v1/bots/ {
        jelou_endpoint  bot_message;
        proxy_pass      http://10.0.0.11:3000;
    }
}
}
END
}

subtest 'partner-side.conf, the way back' => sub {
    my $far = Jelou::Config->new('examples-jelou');

    my $start = sub {
        my ($trusted, $secrets, @names) = @_;

        $trusted->certified($far, @names);
        $far->start(jelou($secrets));
    };

    my $unknown = Jelou::Config->new('examples-authority');

    $_->authority for $nginx, $unknown;
    $far->replace('10.0.0.11:3000', $app_port);
    $far->supply('/etc/nginx/jelou.clients',
                 slurp($nginx->path('/etc/nginx/jelou.clients')));
    $nginx->replace('jelou.ai:443', $far->port('jelou.ai:443'));

    my @jelou = qw(chatbot.jelou.ai api.jelou.ai);

    $start->($nginx, $secret, @jelou);
    $nginx->start($conf{'docs/examples/partner-side.conf'});

    my $url = 'http://127.0.0.1:' . $nginx->port('127.0.0.1:8090');

    my $got = send_one("$url/send", 'incoming_message');

    is($got->{body}, $event{incoming_message}, 'the event');
    is(header($got, 'X-Jelou-Signature'),
       'sha256=' . Digest::SHA::hmac_sha256_hex($got->{body}, $secret),
       'signed with the secret that the other half is verified with');
    is(header($got, 'X-Asked-For'), 'chatbot.jelou.ai chatbot.jelou.ai',
       'TLS and HTTP have the name');

    for (['room_message', 'rooms/ROOM_ID/message'], ['bot_message', 'bots/BOT_ID/messages']) {
        my ($name, $path) = @$_;

        $got = send_one("$url/v1/$path", $name);

        is($got->{body}, $event{$name}, "$name: the event, as Jelou reads it");
        is(header($got, 'X-Asked-For'), 'api.jelou.ai api.jelou.ai', "$name: the name");
        is(header($got, 'X-Jelou-Signature'), '', "$name: no signature");
    }

    refused("$url/send", 'incoming_message', 422, 'INVALID_EVENT',
            body => $body{incoming_message} =~ s/"ROOM_ID"/7/r);

    my ($head) = $nginx->send("$url/", '{}');

    like($head, qr/^HTTP\/\S+ 404/, 'nothing else is there');

    # whom it does not trust gets nothing

    for (['another secret', $nginx, $other, 'UPSTREAM_SIGNATURE_REFUSED', @jelou],
         ['another name', $nginx, $secret, 'UPSTREAM_FAILED', 'chatbot.example.com'],
         ['another authority', $unknown, $secret, 'UPSTREAM_FAILED', @jelou])
    {
        my ($name, $trusted, $secrets, $key, @names) = @$_;

        $far->stop;
        $start->($trusted, $secrets, @names);

        note($name);
        refused("$url/send", 'incoming_message', 500, $key);
    }

    $_->stop for $nginx, $far;

    my $log = slurp($nginx->log);

    like($log, qr/upstream SSL certificate does not match "chatbot.jelou.ai"/,
         'the log has the name');
    like($log, qr/upstream SSL certificate verify error/, 'and the authority');
    unlike($log, qr/\Q$secret\E|sha256=/, 'and no secret');
};


subtest 'cloudevents-sink.conf' => sub {
    $nginx->start($conf{'docs/examples/cloudevents-sink.conf'});

    my %tls    = (at => $nginx->port('443'));
    my %signed = (%tls, secret => $secret);
    my %basic  = (%tls, user => $client);
    my $base   = 'https://events.example.com';

    # path, credentials, and the attributes that the event must have

    my $digest = sha256_hex($body{conversation});

    my %expect = (
        incoming_message => ['/v1/external-support/webhook', \%signed,
            'MESSAGE_ID', '/projects/PROJECT_ID/rooms/ROOM_ID',
            'ai.jelou.incoming_message', 'USER_ID', 'ROOM_ID'],
        message => ['/jelou/webhook', \%signed,
            'MESSAGE_ID', '/projects/PROJECT_ID/rooms/ROOM_ID',
            'ai.jelou.message', 'USER_ID', 'ROOM_ID'],
        conversation => ['/jelou/webhook', \%signed,
            $digest, '/projects/PROJECT_ID', 'ai.jelou.conversation.start',
            undef, 'PROJECT_ID'],
        room_message => ['/v1/rooms/ROOM_ID/message', \%basic,
            $ids, '/rooms/ROOM_ID', 'ai.jelou.room_message', 'SENDER_ID',
            'ROOM_ID'],
        bot_message => ['/v1/bots/BOT_ID/messages', \%basic,
            'msg_*', '/bots/BOT_ID', 'ai.jelou.bot_message', 'USER_ID',
            'BOT_ID'],
    );

    my @events;

    for my $name (sort keys %expect) {
        my ($path, $o, @is) = @{ $expect{$name} };

        my $got  = send_one("$base$path", $name, %$o);
        my $have = eval { $json->decode($got->{body}) } // {};
        my $data = $json->decode($event{$name});

        is(header($got, 'Content-Type'), 'application/cloudevents+json',
           "$name: Content-Type");
        like($got->{head}, qr{^POST /default/jelou HTTP/1\.1\r}, "$name: path");
        is_deeply([@$have{qw(id source type subject partitionkey)}], \@is,
                  "$name: its attributes");
        is_deeply($have->{data}, $data, "$name: its data");
        is($have->{time}, '2026-04-14T02:39:12.163Z', "$name: its time")
            if $name eq 'message';

        push @events, $got->{body};
    }

    # The broker's ingress, played by the CloudEvents library

    my $pid = open2(my $out, my $in, 'node', "$Root/t/event/cloudevents.js");

    print $in map { "$_\n" } @events;
    close $in;

    is_deeply([<$out>], [("ok\n") x 5], 'all are CloudEvents');
    waitpid $pid, 0;

    # One that is not acknowledged has to be sent again.

    $app->expect('503', '202');

    my $next = $body{incoming_message} =~ s/MESSAGE_ID/MESSAGE_ID_2/r;
    my $url  = "$base/v1/external-support/webhook";

    my ($head, $answer) = $nginx->send($url, $next, %signed);
    like($answer, qr/"key":"UPSTREAM_FAILED"/, 'the broker says 503');

    ($head, $answer) = $nginx->send($url, $next, %signed);
    is($answer, '{"success":true,"messageId":"MESSAGE_ID_2"}',
       'and 202 to the next one');
    is(scalar $app->requests(2), 2, 'both arrived');

    refused("$base/v1/bots/BOT_ID/messages", 'bot_message', 401,
            'UNAUTHORIZED', %tls);
    refused("$base/jelou/webhook", 'message', 401, 'SIGNATURE_MISSING', %tls);

    $nginx->stop;
};


subtest 'redis.conf' => sub {
    my @port  = map { $nginx->free_port } 1, 2;
    my $redis = Jelou::Redis->start(port => $port[0], dir => $nginx->dir . '/primary',
                                    config => ['repl-diskless-sync-delay 0']);
    my $copy  = Jelou::Redis->start(port => $port[1], dir => $nginx->dir . '/replica',
                                    config => ["replicaof 127.0.0.1 $port[0]"]);

    # The one at the top is the replica.

    $nginx->replace('10.0.4.11:6379', $port[1]);
    $nginx->replace('10.0.4.12:6379', $port[0]);

    $_->command(qw(ACL SETUSER nginx on >a-password ~jelou:* ~jelou-id:* +evalsha +eval
                   +script +get +set +xadd +xlen)) for $redis, $copy;
    $nginx->start($conf{'docs/examples/redis.conf'});

    my %tls = (secret => $secret, at => $nginx->port('443'));
    my %url = (incoming_message => '/v1/external-support/webhook',
               message => '/jelou/webhook', conversation => '/jelou/webhook');

    for my $name (qw(incoming_message message conversation)) {
        my $url = "https://webhook.example.com$url{$name}";

        my ($head, $answer) = $nginx->send($url, $body{$name}, %tls);

        is($answer, $answer{$name}, "$name: the answer");
        is(($redis->entries('jelou:{PROJECT_ID}'))[-1]{event}, $event{$name},
           "$name: the event");

        ($head, $answer) = $nginx->send($url, $body{$name}, %tls);

        is($answer, $answer{$name}, "$name again: the same answer");
        like($head, qr/^Idempotent-Replayed: true\r?$/mi, "$name again: is known");
    }

    is($redis->command('XLEN', 'jelou:{PROJECT_ID}'), 3, 'each is there once');
    refused('https://webhook.example.com/jelou/webhook', 'message', 401,
            'SIGNATURE_MISMATCH', %tls, secret => $other);

    $nginx->stop;
    $_->stop for $redis, $copy;

    my @log = log_lines('/var/log/nginx/jelou.log');

    is($log[$_]{queue}, "127.0.0.1:$port[0]", 'the primary has taken it') for 0, 1;
    is_deeply([map { $_->{result} } @log[0, 1]], [qw(accepted duplicate)], 'the log');
};


subtest 'delivery.conf' => sub {
    my $port  = $nginx->free_port;
    my $redis = Jelou::Redis->start(port => $port, dir => $nginx->dir . '/queue');

    $nginx->replace('127.0.0.1:6379', $port);
    $nginx->replace('127.0.0.1:3000', $app_port);
    $app->expect;
    $nginx->start($conf{'docs/examples/delivery.conf'});

    my ($head, $answer) =
        $nginx->send('https://webhook.example.com/v1/external-support/webhook',
                     $body{incoming_message}, secret => $secret,
                     at => $nginx->port('443'));

    is($answer, $answer{incoming_message}, 'the answer');

    my ($got) = $app->requests(1);

    like($got->{head}, qr{^POST /webhook HTTP/1\.1\r\n}, 'the application has a request');
    like($got->{head}, qr{^X-Jelou-Delivery-Id: \d+-\d+\r$}m, 'that says which entry it is');
    is($got->{body}, $event{incoming_message}, 'and the event');

    my $until = time + 5;
    my $left;

    do {
        select undef, undef, undef, 0.05;
        $left = grep { $redis->command('XLEN', "jelou:lane:$_") } 0, 1;
    } while ($left && time < $until);

    is($left, 0, 'it is taken out of the queue');

    $nginx->stop;
    $redis->stop;

    my ($line) = log_lines('/var/log/nginx/delivery.log');

    is("$line->{status} $line->{attempt} $line->{upstream}", "200 1 127.0.0.1:$app_port",
       'the log');
};


is(join("\n", Jelou::Reports::alerts(slurp($nginx->log))), '',
   'no alert in the error log');

$app->stop;

done_testing();
