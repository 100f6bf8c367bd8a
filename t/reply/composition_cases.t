# What an endpoint's compositions do in time, and which ones nginx -t refuses: what
# t/reply/composition.t, one request after the other, cannot have.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Http2;
use Jelou::Load;
use Jelou::Server;
use Jelou::Upstream;
use Time::HiRes qw(sleep time);

my $port     = $Jelou::Port{SERVER};
my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
    map { $_ => $Jelou::Port{$_ eq 'http' ? 'APP' : uc $_} }
        qw(http fastcgi scgi uwsgi));

my @takers = qw(proxy fastcgi uwsgi scgi grpc);

# handler(TAKER): to the application

sub handler {
    my $taker = shift;

    return "proxy_pass  http://127.0.0.1:$Jelou::Port{APP};" if $taker eq 'proxy';
    return "grpc_pass  127.0.0.1:$Jelou::Port{PORT_1};" if $taker eq 'grpc';

    return "${taker}_pass   127.0.0.1:$Jelou::Port{uc $taker};\n"
         . "${taker}_param  CONTENT_LENGTH \$content_length;\n"
         . "${taker}_param  REQUEST_METHOD \$request_method;";
}

sub config {
    my $locations = join "\n", map { <<"END" } @takers;
    location = /$_ {
        jelou_endpoint  incoming_message;
        jelou_dedup     zone=seen;
        @{[ handler($_) ]}
    }
    location = /$_/upstream {
        jelou_endpoint  incoming_message;
        jelou_dedup     zone=seen;
        jelou_reply     upstream;
        @{[ handler($_) ]}
    }
END

    my $listen = listen_http2($Jelou::Port{PORT_1});

    return <<"END";
jelou_dedup_zone  zone=seen:1m;

server {
    listen  127.0.0.1:$port;

    jelou_secret  "$Jelou::Secret";

$locations

    location = /at-once {
        jelou_endpoint    incoming_message;
        jelou_dedup       zone=seen;
        jelou_dedup_wait  0;
        @{[ handler('proxy') ]}
    }
    location = /a-moment {
        jelou_endpoint    incoming_message;
        jelou_dedup       zone=seen;
        jelou_dedup_wait  300ms;
        @{[ handler('proxy') ]}
    }
}

# the application, for gRPC

server {
    $listen

    location / {
        proxy_pass                http://127.0.0.1:$Jelou::Port{APP};
        proxy_ignore_client_abort  on;
    }
}
END
}

my $nginx = Jelou::Server->start(name => 'nginx', http => config());


my $count = 0;

sub next_request {
    my $path = shift;

    $count++;

    my $event = event(id => qq("t-$count"));

    return ($event, post($event, path => $path));
}

# said(ANSWER): the status, the key, and if it is a replay

sub said {
    my $answer = shift // return 'none';

    my ($status, $head, $body) = @$answer{qw(status head body)};
    my ($key) = $body =~ /"key":"(\w+)"/;

    return join ' ', $status, $key // (),
        $head =~ /^Idempotent-Replayed: true\r$/mi ? 'replayed' : (),
        $head =~ /^Retry-After: (\d+)\r$/mi ? "after $1" : ();
}

sub arrived {
    my ($event, $times, $name) = @_;

    my @got = $upstream->requests($times);

    is_deeply([map { $_->{body} } @got], [($event) x $times], $name);
}


# The impatient sender: the application takes a second, the sender gives up after
# less, and tries again until it is told a success.

for my $taker (@takers) {
    for my $path ("/$taker", "/$taker/upstream") {
        my ($event, $raw) = next_request($path);

        $upstream->expect('delay 1 200');

        my ($said, $tries) = ('', 0);

        while ($said !~ /^200/ && $tries++ < 10) {
            my $socket = Jelou::Load::send_to($port, $raw);
            my $ready  = IO::Select->new($socket)->can_read(0.3);

            $said = said(Jelou::Load::answer($socket)) if $ready;
        }

        is($said, '200 replayed', "$path: an impatient sender is told so at last");
        ok($tries > 1, "$path: it was impatient");
        arrived($event, 1, "$path: what the application got");
    }
}


# Two at once: the second one waits for the first, and is answered as it was; or takes
# its place, if it fails.

for my $case (
    ['succeeds', 'delay 0.7 200', '/proxy', '200', '200 replayed', 1],
    ['fails', 'delay 0.7 500', '/proxy', '500 UPSTREAM_FAILED', '200', 2],
    ['is refused', 'delay 0.7 404', '/proxy', '404 UPSTREAM_REJECTED', '200', 2],
    ['takes too long', 'delay 1.2 200', '/a-moment', '200',
     '500 DUPLICATE_IN_FLIGHT after 1', 1],
    ['is not waited for', 'delay 0.7 200', '/at-once', '200',
     '500 DUPLICATE_IN_FLIGHT after 1', 1],
) {
    my ($name, $answer, $path, $first, $second, $times) = @$case;
    my ($event, $raw) = next_request($path);

    $upstream->expect($answer, 200);

    my $one = Jelou::Load::send_to($port, $raw);

    $nginx->wait_for('the application has it', sub { $upstream->requests(0) });

    my $began = time;
    my $two   = Jelou::Load::send_to($port, $raw);

    is(said(Jelou::Load::answer($two)), $second, "the first one $name: the second");

    my $took = time - $began;

    is(said(Jelou::Load::answer($one)), $first, "the first one $name: the first");
    arrived($event, $times, "the first one $name: what the application got");

    ok($path eq '/at-once' ? $took < 0.3 : $took >= 0.29,
       sprintf 'the first one %s: the second took %.2f s', $name, $took);
}

$nginx->stop;


# What nginx -t refuses

my $check = Jelou::Server->new(name => 'check');

for my $taker (qw(proxy fastcgi uwsgi scgi)) {
    my ($said) = refused(<<"END");
${taker}_cache_path  cache keys_zone=answers:1m;

server {
    listen  127.0.0.1:$port;

    location / {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        ${taker}_cache  answers;
        ${taker}_cache_methods  POST;
        @{[ handler($taker) ]}
    }
}
END

    like($said, qr/\[emerg\] .*cache/, "${taker}_cache in an endpoint");
}

{
    my $server = sub { <<"END" };
server {
    listen  127.0.0.1:$port;

    location / {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        @{[ handler('proxy') ]}

        location /nested {
            $_[0]
        }
    }
}
END

    like(refused($server->('')), qr/\[emerg\] .*jelou_endpoint/,
         'a nested location that has no handler of its own');
    is(refused($server->(handler('proxy'))), '',
       'a nested location that has one');
    is(refused($server->('jelou_endpoint  incoming_message;')), '',
       'a nested location that is an endpoint by itself');
    is(refused($server->('jelou_endpoint  off;')), '',
       'a nested location that is no endpoint');
}

# refused(HTTP): what nginx -t says of it, if it refuses

sub refused {
    $check->write(http => shift);

    my $test = Jelou::Reports::without_leaks(
        "$ENV{TEST_NGINX_BINARY} -t -q -e stderr -c $check->{dir}/nginx.conf 2>&1");
    my $said = `$test`;

    return $? ? $said : '';
}
