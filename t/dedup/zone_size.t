# How many messages a zone remembers: the table in docs/idempotency.md, measured.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Server;

my $port  = $Jelou::Port{SERVER};
my $nginx = Jelou::Server->new(name => 'front', level => 'crit');

my $socket;

# known(N, PATH): whether the N-th message is remembered.  By /, it is from then
# on.  By /look, its delivery fails, and leaves a free place.

sub known {
    my ($n, $path) = @_;

    my $body = event(id => qq("m-$n"));

    Jelou::Load::send_all($socket, post($body, path => $path, keepalive => 1));
    my $answer = Jelou::Load::answer($socket);

    return $answer->{head} =~ /^Idempotent-Replayed: true\r$/m ? 1 : 0;
}

# room(SIZE, ENOUGH): how many of ENOUGH messages are remembered.  They are the
# latest, so that the first of them is to be found.

sub room {
    my ($size, $enough) = @_;

    $nginx->write(http => <<"END")->start;
jelou_dedup_zone  zone=seen:$size;

server {
    listen  127.0.0.1:$port;

    jelou_secret  "$Jelou::Secret";
    jelou_dedup   zone=seen;

    location / {
        jelou_endpoint  incoming_message;
    }
    location /look {
        jelou_endpoint  incoming_message;
        proxy_pass      http://127.0.0.1:$Jelou::Port{DOWN};
    }
}
END

    $socket = Jelou::Load::connect_to($port);

    my $again = grep { known($_, '/') } 1 .. $enough;

    # The first look for one that is not there takes the place of the oldest,
    # and all others that place.

    $again += known(0, '/look');

    my ($absent, $there) = (0, $enough);

    while ($there - $absent > 1) {
        my $middle = int(($there + $absent) / 2);

        known($middle, '/look') ? ($there = $middle) : ($absent = $middle);
    }

    is($again, 0, "$size: all are different");
    ok(known($there, '/look') && !known($there - 1, '/look'),
       "$size: the first is found");

    undef $socket;
    $nginx->stop;

    return $enough - $there + 2;
}

# The slab allocator hands out parts of pages: with larger ones there are others.

my $page = `getconf PAGESIZE`;
my $doc  = Jelou::Server::slurp('docs/idempotency.md');
my @rows = $doc =~ /^\| `(\d+)([km])` +\| +([\d,]+) +\| +([\d.]+) +\|$/mg;

is(scalar @rows, 4 * 4, 'the table is found');

while (my ($number, $unit, $said, $each) = splice @rows, 0, 4) {
    my $bytes = $number * { k => 1024, m => 1024 * 1024 }->{$unit};
    my $room  = room("$number$unit", 1000 + int($bytes / 128));

    SKIP: {
        skip 'the table is for pages of 4096 bytes', 2 if $page != 4096;

        is($room, $said =~ tr/,//dr, "$number$unit: messages");
        is(sprintf('%.1f', $bytes / $room), $each, "$number$unit: bytes of each");
    }

    cmp_ok($room, '>', $bytes / 256, "$number$unit: more than half of it is used");
}
