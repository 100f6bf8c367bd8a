# Each project has its own secret, whatever the other projects are called; and
# an id that no event may have chooses none.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Server;

my $port  = $Jelou::Port{SERVER};
my $nginx = Jelou::Server->new(name => 'front');

# Ids each of which begins all that follow

my @ids = map { 'p' x $_ } 1 .. 100;

Jelou::Server::spew("$nginx->{dir}/secrets",
                    join '', "17 secret-of-project-17\n",
                             map { "$_ secret-of-project-" . length . "\n" } @ids);

$nginx->write(http => <<"END")->start;
map \$jelou_project_id \$mapped {
    volatile;
    default  "";
    ~^p      secret-of-the-map;
}

server {
    listen  127.0.0.1:$port;

    location /file {
        jelou_endpoint     incoming_message;
        jelou_secret_file  secrets;
    }
    location /map {
        jelou_endpoint  incoming_message;
        jelou_secret    \$mapped;
    }
}
END

my $socket = Jelou::Load::connect_to($port);

sub status {
    my ($path, $id, $secret) = @_;

    $id = qq("$id") unless ref $id;

    Jelou::Load::send_all($socket, post(event(project_id => ref $id ? $$id : $id),
        path => $path, secret => $secret, keepalive => 1));

    return Jelou::Load::answer($socket)->{status};
}

for my $id (@ids) {
    my $n = length $id;

    is(status('/file', $id, "secret-of-project-$n"), 200, "project $n");
    is(status('/file', $id, 'secret-of-project-' . ($n + 1)), 401,
       "project $n, with the secret of the next one");
}

is(status('/file', 'p' x 101, 'secret-of-project-100'), 401, 'no such project');

is(status('/file', '17', 'secret-of-project-17'), 200, 'a project of digits');
is(status('/file', \17, 'secret-of-project-17'), 401, 'a number is no project');

is(status('/map', 'p-1', 'secret-of-the-map'), 200, 'a map');
is(status('/map', $_->[0], 'secret-of-the-map'), 401, "a map, and $_->[1]")
    for ['p\\u000a', 'a line feed'], ['p\\u007f', 'a control character'],
        ['p' x 257, 'an id that is too long'], ['p\\ud800', 'a lone surrogate'];

is(status('/map', 'p' x 256, 'secret-of-the-map'), 200, 'a map, and a long id');

$nginx->stop;
