# The early releases of OpenSSL 3.0, in which an HMAC cannot be started again
# with the key that it has: what is signed right is still told from what is not,
# one request after another, and so is what goes on to the application.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Preload;
use Jelou::Server;
use Jelou::Upstream;

my $port     = $Jelou::Port{SERVER};
my $preload  = Jelou::Preload->new;
my $upstream = Jelou::Upstream->start("$Jelou::Dir/$Jelou::Name.upstream",
                                      http => $Jelou::Port{APP});

my $nginx = Jelou::Server->start(
    name => 'front', env => $preload->env(JELOU_OLD_OPENSSL => 1),
    http => <<"END");
server {
    listen  127.0.0.1:$port;

    location / {
        jelou_endpoint         incoming_message;
        jelou_secret           "$Jelou::Secret" another-secret-of-the-tests;
        jelou_upstream_secret  secret-of-the-application;
        proxy_pass             http://127.0.0.1:$Jelou::Port{APP};
    }
}
END

my $socket = Jelou::Load::connect_to($port);

# one request of the connection: the status of its answer

sub status {
    my ($n, $secret) = @_;

    my $body = event(id => qq("m-$n"));

    Jelou::Load::send_all($socket, post($body, secret => $secret,
                                        keepalive => 1));

    return Jelou::Load::answer($socket)->{status};
}

my @secrets = ($Jelou::Secret, 'another-secret-of-the-tests', 'wrong');

is(status($_, $secrets[$_ % 3]), $_ % 3 == 2 ? 401 : 200, "message $_")
    for 0 .. 29;

my @arrived = grep { $_ % 3 != 2 } 0 .. 29;
my @got     = $upstream->requests(scalar @arrived);

is_deeply([map { $_->{body} } @got], [map { event(id => qq("m-$_")) } @arrived],
          'what has arrived');

is_deeply([map { $_->{head} =~ /^X-Jelou-Signature: (\S+)\r?$/m ? $1 : '' } @got],
          [map { sign($_->{body}, 'secret-of-the-application') } @got],
          'signed for the application');

$nginx->stop;
