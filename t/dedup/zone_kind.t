# A zone that changes its kind in a reload, with the same name and size, is new
# shared memory: what was in it is not read as something else.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Server;

my $port = $Jelou::Port{SERVER};

# what a configuration has of the zone "z", and what else it needs

my %kinds = (
    dedup  => { zone => 'jelou_dedup_zone   zone=z:256k;', use => 'jelou_dedup zone=z;' },
    status => { zone => 'jelou_status_zone  zone=z:256k;', page => 'jelou_status json;' },
    limit  => { zone => 'limit_req_zone     $binary_remote_addr zone=z:256k rate=100r/s;',
                use  => 'limit_req zone=z burst=100;' },
);

sub http {
    my $kind = shift;

    my $use  = $kind->{use}  // '';
    my $page = $kind->{page} // 'return 404;';

    return <<"END";
$kind->{zone}

server {
    listen  127.0.0.1:$port;

    location / {
        jelou_endpoint  incoming_message;
        jelou_secret    "$Jelou::Secret";
        $use
    }
    location = /status {
        $page
    }
}
END
}

# use_it(NAME, KIND): sends requests, two of them with one message id, and tests
# what only a zone of this kind makes of them

sub use_it {
    my ($name, $kind) = @_;

    my $socket = Jelou::Load::connect_to($port);

    my @answers = map {
        Jelou::Load::send_all($socket, $_);
        Jelou::Load::answer($socket);
    } (map { post(event(id => qq("m-$_")), path => '/', keepalive => 1) } 1 .. 40, 1),
      "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    my $page = pop @answers;

    is(scalar(grep { $_->{head} =~ m{^HTTP/1\.1 200 } } @answers), 41,
       "$name: all are answered");

    my $replayed = $answers[-1]{head} =~ /^Idempotent-Replayed: true\r$/m ? 1 : 0;

    is($replayed, $kind eq 'dedup' ? 1 : 0, "$name: the last one was there before");

    like($page->{head} . $page->{body},
         $kind eq 'status' ? qr/"accepted": *41\b/ : qr{^HTTP/1\.1 404 },
         "$name: the page");
}

for my $old (sort keys %kinds) {
    for my $new (sort keys %kinds) {
        next if $old eq $new;

        my $nginx = Jelou::Server->start(name => "$old-$new", level => 'notice',
                                         http => http($kinds{$old}));

        use_it("$old before $new", $old);

        $nginx->write(http => http($kinds{$new}))->reload;

        use_it("$new after $old", $new);
        is(scalar(() = $nginx->log =~ /exited on signal/g), 0,
           "$new after $old: no worker has died");

        $nginx->stop;
    }
}
