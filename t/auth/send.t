# Both directions at a partner: its application talks plain JSON, nginx signs what
# it sends and verifies what it gets.  Another nginx stands for Jelou: it verifies
# what comes, and signs what it sends.
#
#     application -> partner's nginx (signs) -> Jelou's nginx (verifies) -> records
#     Jelou -> Jelou's nginx (signs) -> partner's nginx (verifies) -> records

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Application;
use Jelou::Load;
use Jelou::Server;
use Time::HiRes qw(sleep time);

my %Old = ('p-1' => 'secret-of-project-1-old', 'p-2' => 'secret-of-project-2');
my $New = 'secret-of-project-1-new';

my $app = Jelou::Application->start;

# the ports that no other server of this test has

my ($send, $hook, $jelou, $play) = @Jelou::Port{qw(SERVER FASTCGI SCGI UWSGI)};

# A connection for each message: one that is kept can be closed by a reload just
# when a message is on its way, and that is not repeated.

my $close = <<'END';
proxy_http_version  1.0;
proxy_set_header    Connection close;
END

sub partner { return <<"END" }
$close
upstream jelou { server 127.0.0.1:$jelou max_fails=0; }
upstream app { server 127.0.0.1:$Jelou::Port{APP} max_fails=0; }

server {
    listen 127.0.0.1:$send;

    jelou_upstream_secret_file  secrets;

    location = /send {
        jelou_endpoint  incoming_message;
        jelou_secret    off;
        jelou_reply     upstream;
        proxy_pass      http://jelou/in;
    }
    location = /send-raw {
        jelou_endpoint  incoming_message;
        jelou_secret    off;
        jelou_format    raw;
        proxy_pass      http://jelou/in;
    }
    location ~ ^/v1/rooms/ {
        jelou_endpoint         room_message;
        jelou_format           raw;
        jelou_upstream_secret  off;
        proxy_set_header       Authorization "Basic Y2xpZW50OnNlY3JldA==";
        proxy_pass             http://jelou;
    }
    location = /say {
        proxy_pass  http://127.0.0.1:$play;
    }
}
server {
    listen 127.0.0.1:$hook;

    location = /webhook {
        jelou_endpoint     message;
        jelou_secret_file  secrets;
        proxy_pass         http://app/;
    }
}
END

sub jelou { return <<"END" }
$close
upstream app { server 127.0.0.1:$Jelou::Port{APP} max_fails=0; }
upstream partner { server 127.0.0.1:$hook max_fails=0; }

server {
    listen 127.0.0.1:$jelou;

    location = /in {
        jelou_endpoint     incoming_message;
        jelou_secret_file  secrets;
        jelou_strict       on;
        jelou_format       raw;
        proxy_pass         http://app/;
    }
    location ~ ^/v1/rooms/ {
        auth_basic            "Jelou";
        auth_basic_user_file  clients;

        jelou_endpoint  room_message;
        jelou_access    elsewhere;
        jelou_strict    on;
        jelou_format    raw;
        proxy_pass      http://app/?\$args;
    }
}
server {
    listen 127.0.0.1:$play;

    location = /say {
        jelou_endpoint              message;
        jelou_secret                off;
        jelou_format                raw;
        jelou_upstream_secret_file  secrets;
        proxy_pass                  http://partner/webhook;
    }
}
END

my ($partner, $far) = map {
    Jelou::Server->new(name => $_, level => 'info', main => 'worker_processes 2;')
} qw(partner jelou);

# secrets(SERVER, PAIR, ...): writes its file

sub secrets {
    my ($server, @lines) = @_;

    my $file = "$server->{dir}/secrets";

    Jelou::Server::spew("$file.new", join '', map { "$_\n" } @lines);
    rename "$file.new", $file or die "$file: $!\n";
}

my $other = "p-2 $Old{'p-2'}";

secrets($_, "p-1 $Old{'p-1'}", $other) for $partner, $far;

Jelou::Server::spew("$far->{dir}/clients", 'client:{PLAIN}secret' . "\n");
chmod 0644, "$far->{dir}/clients";

$partner->write(http => partner())->start;
$far->write(http => jelou())->start;

sub message {
    my %o = (project => 'p-1', id => 'm-1', @_);

    return '{"field":"messages","object":"message_event",'
        . '"event_type":"message","timestamp":1718000000000,'
        . qq("project_id":"$o{project}","room_id":"r-1",)
        . '"contact":{"id":"u-1"},"conversation":{"id":"c-1"},'
        . '"bot":{"id":"b-1"},' . qq("value":{"id":"$o{id}",)
        . '"type":"text","content":{"body":"Hello"}}}';
}

sub ask {
    my ($port, $path, $body) = @_;

    return Jelou::Load::ask($port, post($body, path => $path,
                                        signature => undef));
}

sub key { return $_[0]{body} =~ /"key":"(\w+)"/ ? $1 : '' }


# Both directions, both projects, each format

for my $project ('p-1', 'p-2') {
    my $body = event(project_id => qq("$project")) =~ s/,/ , /r;

    for my $path ('/send', '/send-raw') {
        my $answer = ask($send, $path, $body);

        is("$answer->{status} $answer->{body}",
           '200 {"success":true,"messageId":"m-1"}', "$path, $project");
    }

    is(ask($play, '/say', message(project => $project))->{status}, 200,
       "/webhook, $project");
}

my $room = '{"senderId":"s-1","messages":[{"type":"TEXT","text":"Hello",'
           . '"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7"}]}';

is(ask($send, '/v1/rooms/r-1/message', $room)->{status}, 200,
   'a room, with credentials of nginx\'s');

for my $answer (ask($send, '/send', event(project_id => '"p-3"'))) {
    is("$answer->{status} " . key($answer), '500 UPSTREAM_SECRET_MISSING',
       'a project without a secret');
}

is(ask($jelou, '/in', event())->{status}, 401, 'past the signing nginx: 401');


# Jelou's secret is another one, then the partner's.

my @refused = ('jelou: UPSTREAM_SIGNATURE_REFUSED: status 401 from the content '
               . 'handler, which has another secret of project "p-1"');

secrets($far, 'p-1 another-secret-of-project-1', $other);
$far->reload;

for my $answer (ask($send, '/send', event())) {
    is("$answer->{status} " . key($answer), '500 UPSTREAM_SIGNATURE_REFUSED',
       'Jelou has another secret');
    unlike($answer->{head}, qr/WWW-Authenticate/i, 'and its challenge stays here');
}

is(ask($send, '/send', event(project_id => '"p-2"'))->{status}, 200,
   'the other project goes on');

for my $answer (ask($play, '/say', message())) {
    is(key($answer), 'UPSTREAM_SIGNATURE_REFUSED',
       'the other direction: the partner refuses');
}

is((grep { $_ eq "[error] $refused[0]" } $_->jelou_log), 1,
   "$_->{name}: the log names the project") for $partner, $far;

secrets($partner, 'p-1 another-secret-of-project-1', $other);
$partner->reload;

is(ask($send, '/send', event())->{status}, 200, 'the same secret: 200 again');
is(ask($play, '/say', message())->{status}, 200, 'in both directions');

unlike($_->log, qr/another-secret|\Q$Old{'p-2'}\E|sha256=/,
       "$_->{name}: no secret and no signature in the log") for $partner, $far;

secrets($_, "p-1 $Old{'p-1'}", $other) for $partner, $far;
$_->reload for $partner, $far;


# Jelou is away.

$far->stop;

for my $answer (ask($send, '/send', event())) {
    is("$answer->{status} " . key($answer), '500 UPSTREAM_FAILED',
       'Jelou is away');
}

$far->start;

is(ask($send, '/send', event())->{status}, 200, 'Jelou is back');


# Rotation under load, each side a sender and a receiver.  The receivers learn the
# new secret first: each file has it, and the old one behind it, which signs.

my ($n, $phase, $since, $over, @old) = (0, 0, time);
my (%status, %phase, %ids);

my $for  = sub { time - $since > $_[0] };
my $gone = sub { !grep { !$_->[0]->reloaded(@{ $_->[1] }) } @old };

my $change = sub {
    my ($servers, @lines) = @_;

    @old = ();

    for my $server (@$servers) {
        secrets($server, @lines, $other);
        push @old, [$server, [$server->reload(0)]];
    }
};

my $both  = [$partner, $far];
my @learn = ("p-1 $New", "p-1 $Old{'p-1'}");
my @sign  = ("p-1 $Old{'p-1'}", "p-1 $New");

my @phases = (
    ['the old one', sub { $for->(0.4) }, sub { $change->([$far], @learn) }],
    ['Jelou learns the new one', $gone, sub { $change->([$partner], @learn) }],
    ['the partner does', $gone, sub { }],
    ['both are known', sub { $for->(0.4) }, sub { $change->([$partner], @sign) }],
    ['the partner signs with the new one', $gone,
     sub { $change->([$far], @sign) }],
    ['Jelou does', $gone, sub { }],
    ['the new one signs', sub { $for->(0.4) },
     sub { $change->($both, "p-1 $New") }],
    ['the old one goes', $gone, sub { }],
    ['the new one', sub { $for->(0.4) }, sub { $over = 1 }],
);

my $looked = 0;

Jelou::Load::run(
    port => $send, connections => 16, seconds => 40, retry => 1,

    next => sub {
        return undef if $over;

        $n++;

        my $project = $n % 3 ? 'p-1' : 'p-2';
        my $id      = "load-$n";

        # both directions; half of the requests keep their connections

        my ($path, $body) = $n & 2
            ? ('/say', message(id => $id, project => $project))
            : ('/send', event(id => qq("$id"), project_id => qq("$project")));

        return {
            id => $id, phase => $phase,
            raw => post($body, path => $path, signature => undef,
                        keepalive => $n % 2),
        };
    },

    done => sub {
        my ($request, $answer) = @_;

        $status{$answer ? "$answer->{status} " . key($answer) : 'none'}++;
        $phase{$request->{phase}}++;
        $ids{$request->{id}}++;
    },

    tick => sub {
        return if $over || time - $looked < 0.05;
        $looked = time;

        my ($name, $is_over, $then) = @{ $phases[$phase] };
        return if !$is_over->();

        $then->();
        $phase++;
        $since = time;
    },
);

is($phase, scalar @phases, 'rotation: all phases');
cmp_ok($phase{$_} // 0, '>=', 5, "rotation: requests, $phases[$_][0]")
    for 0, 3, 6, 8;
is_deeply([keys %status], ['200 '], 'rotation: each request gets 200')
    or diag(join ', ', map { "$status{$_} with $_" } sort keys %status);


$_->stop for $partner, $far;


# What has arrived is what was sent, each once.

my @arrived = $app->arrived;
my %arrived;

/"id":"(load-\d+)"/ && $arrived{$1}++ for @arrived;

is_deeply([sort keys %arrived], [sort keys %ids], 'each has arrived');

my %want = (
    (map { my $e = event(project_id => qq("$_")); ($e, 1, $e =~ s/,/ , /r, 1) }
         'p-1', 'p-2'),
    $room => 1,
);

is_deeply([sort grep { !/"load-\d+"/ && $want{$_} } @arrived],
          [sort(keys %want,
                # "another secret": of p-2; the same again; Jelou is back
                event(project_id => '"p-2"'), event(), event())],
          'byte for byte, in each format');

is(scalar(grep { /"event_type":"message",.*"user_id"/ && !/"load-\d+"/ } @arrived), 3,
   'and the events of the other direction, in the flat form');

run_tests();

__DATA__
