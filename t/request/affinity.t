# An upstream group with "hash $jelou_room_id consistent": all events of a room
# go to one server, whatever kind of event they are, and rooms are spread.

use strict;
use warnings;

use lib 't/lib';
BEGIN { $ENV{TEST_NGINX_SLEEP} ||= 0.001 }    # before each look at a log

use Jelou 'no_plan';
use Test::More ();

our $Rooms = 40;

# Each of the three servers says who it is.

our $Servers = join '', map { <<"END" } 1 .. 3;
    server {
        listen  127.0.0.1:\$TEST_NGINX_PORT_$_;

        location / {
            proxy_set_header  X-Server  $_;
            proxy_pass        http://app;
        }
    }
END

our $Group = join "\n", 'upstream servers {', '    METHOD',
    map({ "    server 127.0.0.1:\$TEST_NGINX_PORT_$_;" } 1 .. 3), '}', $Servers;


sub group {
    my $method = shift;

    return $Group =~ s/METHOD/$method/r;
}

sub locations {
    my $pass = shift;

    my $secret = 'jelou_secret "$TEST_NGINX_SECRET";';

    return "location /v1/rooms/ { jelou_endpoint room_message; $pass }\n"
           . "location = /webhook { jelou_endpoint message; $secret $pass }\n"
           . "location = /incoming { jelou_endpoint incoming_message; $secret"
           . " $pass }\n";
}


# events(ROOM): the requests of a room, of all kinds that have one; its id
# comes in different spellings

sub events {
    my $n = shift;

    my ($id, $escaped) = ("\xc3\xb1 $n", "\\u00f1\\u0020$n");

    my $message = sub {
        return '{"field":"messages","object":"message_event","event_type":'
               . qq("message","timestamp":1776134278574,"project_id":"p-$n",)
               . qq("room_id":"$_[0]","contact":{"id":"u-$_[1]"},)
               . qq("conversation":{"id":"c-$_[1]"},"bot":{"id":"b-$_[1]"},)
               . qq("value":{"id":"m-$n-$_[1]","type":"text",)
               . '"content":{"body":"Hello"}}}';
    };

    my $room = sprintf '{"senderId":"s-1","messages":[{"id":"%08x-0000-4000-'
                       . '8000-000000000000","type":"TEXT","text":"Hello"}]}',
                       $n;

    return (
        map({ [$message->($_ % 2 ? $id : $escaped, $_), path => '/webhook'] }
            1 .. 4),
        map({ [event(room_id => qq("$_"), id => qq("i-$n")),
               path => '/incoming'] } $id, $escaped),
        map({ [$room, signature => undef, path => "/v1/rooms/$_/message"] }
            "%C3%B1%20$n", "\xc3\xb1%20" . $n =~ s/(\d)/%3$1/gr),
    );
}


# The servers that the events of each room have come to: "servers" is how many
# there must be in all, at the least; with "split" those of a room are several.

add_block_preprocessor(sub {
    my $block = shift;

    # the first event of every room, then the second, and so on

    my @rooms = map { [events($_)] } 1 .. $Rooms;
    my @all   = map { my $n = $_; map { $_->[$n] } @rooms } 0 .. 7;

    $block->set_value(requests => [
        map { my ($body, %o) = @{ $all[$_] };
              post($body, %o, keepalive => $_ < $#all) } 0 .. $#all
    ]);
    $block->set_value(reply => join "\n", map { '200' } @all);
});

add_test_cleanup_handler(sub {
    my $block = shift;

    my $n    = $Rooms * 8;
    my $name = $block->name;
    my @got  = $Jelou::Upstream->requests($n);
    my (%servers, %all);

    Test::More::is(scalar @got, $n, "$name - number of requests");

    for my $got (@got) {
        my ($server) = $got->{head} =~ /^X-Server: (\d)\r?$/m;
        my ($room) = $got->{body} =~ /"room_id":"([^"]*)"/;

        $room =~ s/^\\u00f1\\u0020/\xc3\xb1 /;
        $servers{$room}{ $server // 'none' }++;
        $all{ $server // 'none' }++;
    }

    my @split = grep { keys %{ $servers{$_} } > 1 } keys %servers;

    Test::More::is(scalar keys %servers, $Rooms, "$name - rooms");
    Test::More::ok(!exists $all{none}, "$name - all through a server");
    Test::More::cmp_ok(scalar keys %all, '>=', $block->servers,
                       "$name - servers");

    defined $block->split
        ? Test::More::isnt(scalar @split, 0, "$name - rooms are split")
        : Test::More::is_deeply(\@split, [], "$name - one server a room");
});

run_tests();

__DATA__

=== hash $jelou_room_id consistent
--- http_config eval
group('hash $jelou_room_id consistent;')
--- config eval
locations('proxy_pass http://servers;')
--- servers: 2
--- no_error_log eval
qr/jelou|\[(?:warn|error|crit)\]/


=== hash $jelou_room_id
--- http_config eval
group('hash $jelou_room_id;')
--- config eval
locations('proxy_pass http://servers;')
--- servers: 2
--- no_error_log eval
qr/jelou|\[(?:warn|error|crit)\]/


=== a map of it, and a variable in proxy_pass
--- http_config eval
group('zone servers 64k;') . <<'END'
    map $jelou_room_id $server {
        ~[05]$   $TEST_NGINX_PORT_1;
        ~[1-4]$  $TEST_NGINX_PORT_2;
        default  $TEST_NGINX_PORT_3;
    }
END
--- config eval
locations('proxy_pass http://127.0.0.1:$server;')
--- servers: 3
--- no_error_log eval
qr/jelou|\[(?:warn|error|crit)\]/


=== without it a room's events are split
--- http_config eval
group('zone servers 64k;')
--- config eval
locations('proxy_pass http://servers;')
--- servers: 3
--- split
--- no_error_log eval
qr/jelou|\[(?:warn|error|crit)\]/


=== a server that is down: its rooms move, all of a room's events together
--- http_config eval
group('hash $jelou_room_id consistent;')
    =~ s/listen  \S+PORT_2/listen  127.0.0.1:\$TEST_NGINX_PORT_4/r
--- config eval
locations('proxy_pass http://servers;')
--- servers: 2
--- no_error_log
jelou
