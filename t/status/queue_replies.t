# The counters of what a redis-server does seldom: each moves by exactly what has
# happened, nothing else does, and both pages say the same.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::FakeRedis;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use JSON::PP ();
use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};
my ($one, $two) = @Jelou::Port{qw(PORT_1 PORT_2)};
my ($three, $plain, $tls) = map { 14100 + ($$ % 150) * 10 + $_ } 0 .. 2;

# Two servers that say what the stream's name has for them, jelou:N:FIRST:SECOND,
# one word after the other, and then append the event.  A word with "*" is said
# always.

my $id = '$3' . "\r\n1-1\r\n";

my %says = (
    moved    => "-MOVED 1 127.0.0.1:$two\r\n",
    ask      => "-ASK 1 127.0.0.1:$two\r\n",
    back     => "-ASK 1 127.0.0.1:$one\r\n",
    tryagain => "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    readonly => "-READONLY You can't write against a read only replica.\r\n",
    loading  => "-LOADING Redis is loading the dataset in memory\r\n",
    wrong    => "-WRONGTYPE Operation against a key\r\n",
    noscript => "-NOSCRIPT No matching script.\r\n",
    number   => ":5\r\n",
    noid     => "\$3\r\nabc\r\n",
    garbage  => "what is this\r\n",
    lost     => undef,
    silent   => '',
);

sub fake {
    my ($listen, $place) = @_;
    my %left;

    return Jelou::FakeRedis->start($listen, sub {
        my ($times, @words) = @_;

        return "+OK\r\n" if $words[0] eq 'ASKING';

        # what the page asks is no event

        my ($stream) = grep { /^jelou:\d+:/ } @words;
        return "-ERR not here\r\n" if !$stream || !grep { $_ eq 'event' } @words;

        my $left = $left{$stream} //= [split /,/, (split /:/, $stream)[$place] // ''];

        return $id if !@$left;
        POSIX::_exit(0) if $left->[0] eq 'exit';
        return $says{$1} if $left->[0] =~ /^(\w+)\*$/;
        return $says{ shift @$left };
    });
}

my @fake = (fake($one, 2), fake($two, 3));
my $dies = fake($three, 2);

# One with TLS, which is a redis-server

my $dir = "$Jelou::Dir/$Jelou::Name.tls";

mkdir $dir;
chmod 0755, $dir;
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
       . " -subj /CN=queue -keyout $dir/key -out $dir/crt >$dir/log 2>&1") == 0
    or die Jelou::Server::slurp("$dir/log");

my $redis = Jelou::Redis->start(port => $plain, config => [
    "tls-port $tls", "tls-cert-file $dir/crt", "tls-key-file $dir/key",
    "tls-ca-cert-file $dir/crt", 'tls-auth-clients no']);

my %location = (
    plain => 'jelou_redis_pass queue;',
    dedup => 'jelou_redis_pass queue; jelou_redis_dedup 1h;',
    group => 'jelou_redis_pass group; jelou_redis_dedup 1h;',
    few   => 'jelou_redis_pass queue; jelou_redis_pending 1;',
    dies  => 'jelou_redis_pass dies; jelou_redis_dedup 1h;',
    tls   => "jelou_redis_pass tls; jelou_redis_ssl on;
              jelou_redis_ssl_trusted_certificate $dir/crt; jelou_redis_ssl_name queue;",
    wrong => "jelou_redis_pass tls; jelou_redis_ssl on;
              jelou_redis_ssl_trusted_certificate $dir/crt; jelou_redis_ssl_name other;",
);

my $locations = join '', map {
    "location = /$_ {\njelou_endpoint incoming_message;\n$location{$_}\n"
    . "jelou_redis_stream jelou:\$http_x_stream;\n}\n"
} sort keys %location;

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
jelou_status_zone  zone=counters:64k;

upstream queue { server 127.0.0.1:$one max_fails=0; }
upstream dies { server 127.0.0.1:$three max_fails=0; }
upstream tls { server 127.0.0.1:$tls max_fails=0; }
upstream group {
    server  127.0.0.1:$one  max_fails=0;
    server  127.0.0.1:$two  max_fails=0 backup;
}

server {
    listen  127.0.0.1:$port;

    jelou_secret              "$Jelou::Secret";
    jelou_redis_read_timeout  300ms;

    $locations

    location = /json {
        jelou_status  json;
    }
    location = /metrics {
        jelou_status  prometheus;
    }
}
END

sub get {
    return Jelou::Load::ask($port, "GET $_[0] HTTP/1.1\r\nHost: x\r\n"
                                   . "Connection: close\r\n\r\n")->{body};
}

# counted(): what both pages have, which has to be the same

my %label = (events => 'result', redirections => 'kind', retries => 'reason',
             connects => 'result');

sub counted {
    my $queue  = JSON::PP->new->utf8->decode(get('/json'))->{queue};
    my %sample = get('/metrics') =~ /^nginx_jelou_queue_([^ ]+) ([\d.]+)$/mg;
    my (%json, %prometheus);

    for my $of (keys %label) {
        for my $name (keys %{ $queue->{$of} }) {
            $json{"$of.$name"}       = $queue->{$of}{$name};
            $prometheus{"$of.$name"} = $sample{qq(${of}_total{$label{$of}="$name"})};
        }
    }

    @json{qw(reply in_flight connections)}
        = ($queue->{reply}{count}, @$queue{qw(in_flight connections)});
    @prometheus{qw(reply in_flight)} = @sample{qw(reply_seconds_count in_flight)};
    $prometheus{connections} = $sample{'connections{tls="off"}'}
                             + $sample{'connections{tls="on"}'};

    is_deeply(\%prometheus, \%json, 'both pages say the same');

    $json{tls} = $sample{'connections{tls="on"}'};

    return %json;
}

my ($n, $stream) = (0);

sub post_to {
    my ($path, $words) = @_;

    $stream = 'jelou:' . ++$n . ":$words";

    return post(event(id => qq("m-$n")), path => "/$path",
                headers => ['X-Stream: ' . $stream =~ s/^jelou://r]);
}

# moved(WHAT, PATH, WORDS, STATUS, COMMANDS, GROWN): an event, by which the
# counters have grown so much, and which has been so many commands at the servers

sub moved {
    my ($what, $path, $words, $status, $commands, $grown) = @_;

    my %before = counted();
    my $answer = Jelou::Load::ask($port, post_to($path, $words));
    my %after  = counted();

    my %more = map { $after{$_} != $before{$_} ? ($_ => $after{$_} - $before{$_}) : () }
        keys %after;

    is($answer->{status}, $status, "$what: the answer");
    is(Jelou::refusal_error($answer->{body}, 500, 'UPSTREAM_FAILED'), '', "$what: is an error")
        if $status == 500;
    is_deeply(\%more, $grown, "$what: the counters");
    is_deeply([map { sent_to($_) } @fake], $commands, "$what: the commands");

    return $answer;
}

# sent_to(SERVER): how often the last event was sent to it

sub sent_to {
    return scalar grep {
        my $words = $_;
        grep({ $_ eq $stream } @$words) && grep { $_ eq 'event' } @$words
    } $_[0]->commands;
}

my @open = (connections => 1, 'connects.ready' => 1);
my @new  = ('connects.ready' => 1);
my @ok   = (reply => 1, 'events.appended' => 1);


moved('an event', 'plain', '', 200, [1, 0], { @open, @ok });
moved('another one', 'plain', '', 200, [1, 0], { @ok });
moved('with deduplication', 'dedup', '', 200, [1, 0], { @ok });
moved('a refusal', 'dedup', 'wrong', 500, [1, 0], { reply => 1, 'events.denied' => 1 });
moved('a script that is not there', 'dedup', 'noscript', 200, [2, 0], { @ok });
moved('twice', 'dedup', 'noscript,noscript', 500, [2, 0],
      { reply => 1, 'events.denied' => 1 });


# What is no reply to such a command

for my $reply (qw(number noid)) {
    moved("a reply that is $reply", 'plain', $reply, 500, [1, 0],
          { connections => -1, 'events.malformed' => 1 });
    moved('after it', 'plain', '', 200, [1, 0], { @open, @ok });
}


# A connection that ends, or is of no use any more

moved('what is not Redis', 'plain', 'garbage', 500, [1, 0],
      { connections => -1, 'events.lost' => 1 });
moved('after it', 'plain', '', 200, [1, 0], { @open, @ok });
moved('a connection that ends', 'plain', 'lost', 500, [1, 0],
      { connections => -1, 'events.lost' => 1 });
moved('after it', 'plain', '', 200, [1, 0], { @open, @ok });
moved('once more where that is safe', 'dedup', 'lost', 200, [2, 0],
      { @new, @ok, 'retries.lost' => 1 });
moved('once, and not again', 'dedup', 'lost,lost', 500, [2, 0],
      { @new, connections => -1, 'retries.lost' => 1, 'events.lost' => 1 });
moved('after it', 'plain', '', 200, [1, 0], { @open, @ok });

moved('a server that goes', 'dies', '', 200, [0, 0], { @open, @ok });
moved('and does not come back', 'dies', 'exit', 500, [0, 0],
      { connections => -1, 'connects.failed' => 1, 'events.lost' => 1 });


# A server that takes no commands

moved('the next server', 'group', 'readonly', 200, [1, 1],
      { connections => 2, 'connects.ready' => 2, @ok, 'retries.elsewhere' => 1 });
moved('which is asked first now', 'group', '', 200, [0, 1], { @ok });
moved('the first one again', 'group', ':loading', 200, [1, 1],
      { @ok, 'retries.elsewhere' => 1 });
moved('neither', 'group', 'readonly:loading', 500, [1, 1],
      { 'events.no_server' => 1, 'retries.elsewhere' => 1 });
moved('the only one', 'plain', 'readonly', 500, [1, 0], { 'events.no_server' => 1 });


# A cluster

moved('an ASK', 'dedup', 'ask', 200, [1, 1], { @open, @ok, 'redirections.ask' => 1 });
moved('another one', 'dedup', 'ask', 200, [1, 1], { @ok, 'redirections.ask' => 1 });
moved('a MOVED', 'dedup', 'moved', 200, [1, 1], { @ok, 'redirections.moved' => 1 });
moved('a TRYAGAIN', 'dedup', 'tryagain', 200, [2, 0], { @ok, 'redirections.tryagain' => 1 });
moved('keys on both', 'dedup', 'ask,ask:tryagain', 200, [2, 2],
      { @ok, 'redirections.ask' => 2, 'redirections.tryagain' => 1 });
moved('round and round', 'dedup', 'ask*:back*', 500, [5, 4],
      { reply => 1, 'redirections.ask' => 8, 'events.denied' => 1 });

# Not for ever: the read time-out is 300 ms

my $began = time;
my %before = counted();
my $answer = Jelou::Load::ask($port, post_to('dedup', 'tryagain*'));
my $took   = time - $began;
my %after  = counted();
my $tries  = sent_to($fake[0]);

is($answer->{status}, 500, 'TRYAGAIN for long: refused');
cmp_ok($took, '>=', 0.3, 'not before the time is over');
cmp_ok($took, '<', 3, 'but soon after it');
cmp_ok($tries, '>', 3, 'it was tried again');
is($after{'redirections.tryagain'} - $before{'redirections.tryagain'}, $tries - 1,
   'each time is counted');
is($after{'events.denied'} - $before{'events.denied'}, 1, 'and the event is, once');
sleep 0.1;
is(sent_to($fake[0]), $tries, 'nothing comes after the answer');
is(scalar(grep { /redis refused the script: TRYAGAIN/ } $nginx->jelou_log), 1, 'the log');


# More than jelou_redis_pending

my $waits = Jelou::Load::send_to($port, post_to('few', 'silent'));

$nginx->wait_for('it is in flight', sub { sent_to($fake[0]) == 1 }, 5);
$answer = moved('too many', 'few', '', 500, [0, 0], { 'events.busy' => 1 });
like($answer->{head}, qr/^Retry-After: \d+\r$/m, 'the sender may come again');
is(Jelou::Load::answer($waits)->{status}, 500, 'the one that waits is out of time');
$waits->close;
is(Jelou::Load::ask($port, post_to('few', ''))->{status}, 200, 'then there is room');


# No reply in time

%before = counted();
is(Jelou::Load::ask($port, post_to('plain', 'silent'))->{status}, 500, 'no reply');
%after = counted();
is($after{'events.timed_out'} - $before{'events.timed_out'}, 1, 'is counted');


# With TLS

moved('an event over TLS', 'tls', '', 200, [0, 0], { tls => 1, @open, @ok });
moved('another one', 'tls', '', 200, [0, 0], { @ok });
moved('a certificate of another name', 'wrong', '', 500, [0, 0],
      { 'connects.failed' => 1, 'events.unreachable' => 1 });
$redis->stop;
$nginx->wait_for('the connection has gone', sub { my %now = counted(); !$now{tls} }, 5);

$nginx->stop;
$_->stop for @fake, $dies;
