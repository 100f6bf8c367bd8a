# What a partner's application can send, from end to end: each endpoint in each
# format to a Jelou that verifies it, and through a queue while Jelou is away.
#
#     application -> nginx (signs) -> [Redis -> nginx (signs)] -> Jelou's nginx
#     (verifies) -> records
#
# JELOU_HOLD=full: Jelou is away for a minute.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Application;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;
use Time::HiRes qw(sleep time);

my %secret = ('p-1' => 'secret-of-project-1', 'p-2' => 'secret-of-project-2');

my $away = ($ENV{JELOU_HOLD} // '') eq 'full' ? 60 : 3;     # seconds

my $app = Jelou::Application->start;

my ($send, $jelou, $queue) = @Jelou::Port{qw(SERVER SCGI PORT_1)};

my $redis = Jelou::Redis->start(port => $queue, name => 'queue');

my $basic = 'Basic Y2xpZW50OnNlY3JldA==';            # client:secret

# the format is the name of the server that the application asks

my $partner = join '', map { <<"END" } qw(event raw cloudevents);
server {
    listen       127.0.0.1:$send;
    server_name  $_;

    jelou_format                $_;
    jelou_reply                 upstream;
    jelou_upstream_secret_file  secrets;

    location = /send {
        jelou_endpoint  incoming_message;
        jelou_secret    off;
        proxy_pass      http://jelou/in;
    }
    location = /say {
        jelou_endpoint  message;
        jelou_secret    off;
        proxy_pass      http://jelou/said;
    }
    location ~ ^/v1/rooms/ {
        jelou_endpoint         room_message;
        jelou_upstream_secret  off;
        proxy_set_header       Authorization "$basic";
        proxy_pass             http://jelou;
    }
    location ~ ^/v1/bots/ {
        jelou_endpoint         bot_message;
        jelou_upstream_secret  off;
        proxy_set_header       Authorization "$basic";
        proxy_pass             http://jelou;
    }
    location ~ ^/signed(/v1/bots/.*)\$ {
        jelou_endpoint         bot_message;
        jelou_upstream_secret  "$secret{'p-1'}";
        proxy_set_header       Authorization "Basic bm9ib2R5";
        proxy_pass             http://jelou\$1;
    }
}
END

$partner .= <<"END";
upstream jelou { server 127.0.0.1:$jelou max_fails=0; }
upstream queue { server 127.0.0.1:$queue; }

server {
    listen  127.0.0.1:$send;
    server_name  queue;

    jelou_upstream_secret_file  secrets;

    location = /send {
        jelou_endpoint         incoming_message;
        jelou_secret           off;
        jelou_upstream_secret  off;
        jelou_redis_pass       queue;
        jelou_redis_stream     out;
        jelou_redis_dedup      1h;
    }
    location = /inherits {
        jelou_endpoint         incoming_message;
        jelou_secret           off;
        jelou_redis_pass       queue;
        jelou_redis_stream     inherits;
    }
    location \@out {
        jelou_deliver          queue  stream=out  group=jelou  uri=/in;
        jelou_deliver_order    room;
        jelou_deliver_retry    50ms  max=200ms  attempts=1000;
        proxy_pass             http://jelou;
    }
    location \@unsigned {
        jelou_deliver          queue  stream=unsigned  group=jelou  uri=/in;
        jelou_deliver_retry    50ms  max=200ms  attempts=1000;
        jelou_upstream_secret  off;
        proxy_pass             http://jelou;
    }
}
END

my $far = <<"END";
upstream app { server 127.0.0.1:$Jelou::Port{APP} max_fails=0; }

jelou_dedup_zone  zone=seen:1m;

server {
    listen  127.0.0.1:$jelou;

    jelou_strict  on;

    location = /in {
        jelou_endpoint     incoming_message;
        jelou_secret_file  secrets;
        jelou_format    raw;
        jelou_dedup     zone=seen;
        proxy_pass      http://app/;
    }
    location = /said {
        jelou_endpoint     message;
        jelou_secret_file  secrets;
        jelou_format    raw;
        proxy_pass      http://app/;
    }
    location /v1/ {
        auth_basic            "Jelou";
        auth_basic_user_file  clients;
        jelou_access          elsewhere;

        location ~ ^/v1/rooms/ {
            jelou_endpoint  room_message;
            jelou_format    raw;
            proxy_pass      http://app/?\$args;
        }
        location ~ ^/v1/bots/ {
            jelou_endpoint  bot_message;
            proxy_pass      http://app/?\$args;
        }
    }
}
END

my ($near, $there) = map {
    Jelou::Server->new(name => $_, level => 'info', main => 'worker_processes 2;')
} qw(partner jelou);

sub secrets {
    my ($server, @lines) = @_;

    my $file = "$server->{dir}/secrets";

    Jelou::Server::spew("$file.new", join '', map { "$_\n" } @lines);
    rename "$file.new", $file or die "$file: $!\n";
}

my @both = map { "$_ $secret{$_}" } sort keys %secret;

secrets($_, @both) for $near, $there;

Jelou::Server::spew("$there->{dir}/clients", 'client:{PLAIN}secret' . "\n");
chmod 0644, "$there->{dir}/clients";

$near->write(http => $partner)->start;
$there->write(http => $far)->start;


# ask(SERVER, PATH, BODY): the answer in one line

sub ask {
    my ($host, $path, $body) = @_;

    my $answer = Jelou::Load::ask($send, post($body, host => $host,
                                  path => $path, signature => undef));

    return "$answer->{status} " . ($answer->{body} =~ /"key":"(\w+)"/ ? $1
                                   : $answer->{body});
}


my $said = '{"field":"messages","object":"message_event","event_type":"message",'
    . '"timestamp":1718000000000,"project_id":"p-1","room_id":"r-1",'
    . '"contact":{"id":"u-1"},"conversation":{"id":"c-1"},"bot":{"id":"b-1"},'
    . '"value":{"id":"m-1","type":"text","content":{"body":"Hello"}}}';

my $ids = '7c9e6679-7425-40de-944b-e07fc1f90ae7';

my $room = '{"senderId":"s-1","messages":[{"type":"TEXT","text":"Hello",'
           . qq("id":"$ids"}]});

my $bot = '{"type":"text","userId":"u-1","text":"Hello"}';


# Each endpoint in each format.  A form that the API does not take is refused for
# what it is, 422: the signature over it, or the credentials, were right.

my $sent = event(id => '"m-FORMAT"');

my @cases = (
    [incoming_message => '/send', $sent, 'event raw',
     '200 {"success":true,"messageId":"m-FORMAT"}'],
    [message => '/say', $said, 'raw', '200 {"success":true,"messageId":"m-1"}'],
    [room_message => '/v1/rooms/r-1/message', $room, 'raw',
     qq(200 {"success":true,"messageIds":["$ids"]})],
    [bot_message => '/v1/bots/b-1/messages', $bot, 'raw',
     '200 {"success":true,"messageId":"msg_*"}'],
);

my $id;

for my $case (@cases) {
    my ($name, $path, $body, $takes, $want) = @$case;

    for my $format (qw(event raw cloudevents)) {
        my $right = grep { $_ eq $format } split ' ', $takes;
        my $no    = ($format eq 'cloudevents' ? 415 : 422) . ' UPSTREAM_REJECTED';

        my $got = ask($format, $path, $body =~ s/FORMAT/$format/r);

        $id = $1 if $got =~ s/(msg_[0-9a-f]{32})/msg_*/;

        is($got, $right ? $want =~ s/FORMAT/$format/r : $no,
           "$name, jelou_format $format");
    }
}

# credentials that are not Jelou's are no matter of the secret, unless nginx
# signs as well

is(ask('raw', '/signed/v1/bots/b-1/messages', $bot),
   '500 UPSTREAM_SIGNATURE_REFUSED', 'wrong credentials, and a signature');


# A queue: Redis has the event as it is, and the deliverer signs.

# drained(SECONDS): all has been acknowledged, and deleted

sub drained {
    my ($seconds) = @_;

    my $until = time + $seconds;

    sleep 0.05 while $redis->command('XLEN', 'out') && time < $until;

    return $redis->command('XLEN', 'out') == 0;
}

# numbered messages of two projects, six rooms

my ($n, %of, %accepted) = (0);

sub message {
    my $room    = 'room-' . $n % 6;
    my $project = 'p-' . (1 + $n % 2);

    $n++;
    $of{$n} = $room;

    return event(id => qq("q-$n"), room_id => qq("$room"),
                 project_id => qq("$project"));
}

# send_some(SECONDS): one after the other, so that the order is known

sub send_some {
    my ($seconds) = @_;

    my $until = time + $seconds;
    my $least = $n + 30;

    while (time < $until || $n < $least) {
        my $body = message();
        my $got  = ask('queue', '/send', $body);

        $accepted{$got =~ s/q-\d+/q-*/r}++;
        sleep 0.005;
    }
}

send_some(0.2);
ok(drained(15), 'with Jelou there: all is delivered');

$there->stop;
send_some($away);                       # more than ten attempts of each room
cmp_ok($redis->command('XLEN', 'out'), '>=', 30, 'Jelou is away: they wait');
$there->start;
send_some(0.2);
ok(drained(20 + $away), 'Jelou is back: all is delivered');

# it stops while messages are on their way

for (1 .. 2) {
    $there->stop;
    send_some(0.1);
    $there->start;
}

# Jelou has another secret: that is no fault of the messages.

secrets($there, 'p-1 another-secret-of-project-1', $both[1]);
$there->reload;
send_some(0.5);
$near->wait_for_log(qr/\[error\] .* has another secret of project p-1, stream: "out"/);
secrets($there, @both);
$there->reload;

ok(drained(20), 'after another secret: all is delivered');
is($redis->command('XLEN', '{out}:dead'), 0, 'no dead letter');

is_deeply([keys %accepted], ['200 {"success":true,"messageId":"q-*"}'],
          'the application was told of a success each time');

# Without a signature of nginx's a 401 is the event's.

$redis->command('XADD', 'unsigned', '*', 'event', event(id => '"u-1"'),
                'room_id', 'r-1', 'project_id', 'p-1');
$near->wait_for('a dead letter', sub { $redis->command('XLEN', '{unsigned}:dead') });

# A location that queues and inherits secrets signs nothing, but a project needs
# one: what is queued could not be signed.

is(ask('queue', '/inherits', event(id => '"i-1"')),
   '200 {"success":true,"messageId":"i-1"}', 'inherited secrets: a project of theirs');
is(ask('queue', '/inherits', event(id => '"i-2"', project_id => '"p-3"')),
   '500 UPSTREAM_SECRET_MISSING', 'and another one');
is($redis->command('XLEN', 'inherits'), 1, 'that is not queued');
is(ask('queue', '/send', event(id => '"p-3"', project_id => '"p-3"',
                              room_id => '"room-x"')) =~ s/ .*//r,
   200, 'with "off" it is');

$near->wait_for_log(qr/there is no secret for project p-3, stream: "out"/);

$_->stop for $near, $there;
$redis->stop;

unlike($_->log, qr/secret-of-project|sha256=|Y2xpZW50|msg_\*/,
       "$_->{name}: no secret, signature or credentials in the log")
    for $near, $there;


# What has arrived

my @arrived = $app->arrived;

my %want = ($said => 1, $room => 1,
            map { $sent =~ s/FORMAT/$_/r => 1 } qw(event raw));

is_deeply([sort grep { $want{$_} } @arrived], [sort keys %want],
          'byte for byte, and once');

is(scalar(grep { /"value":\{"id":"\Q$id\E"/ } @arrived), 1,
   'a bot\'s message has the id that Jelou said');

my @order = map { /"id":"q-(\d+)"/ ? $1 : () } @arrived;
my (%last, %count, $disorder);

for (@order) {
    next if $count{$_}++;
    $disorder++ if $_ < ($last{ $of{$_} } // 0);
    $last{ $of{$_} } = $_;
}

is_deeply([grep { !$count{$_} } 1 .. $n], [], "of $n messages none is lost");
is($disorder, undef, 'those of a room are in order');
is(scalar(grep { $_ > 1 } values %count), 0, 'and none has come twice');

run_tests();

__DATA__
