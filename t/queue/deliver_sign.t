# The secret that signs a delivered event is chosen by the event's project.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => 'queue');
my $app   = Jelou::Delivery->start(port => $Jelou::Port{APP});

my $file = "$Jelou::Dir/$Jelou::Name.secrets";

sub secrets {
    my @lines = @_;

    Jelou::Server::spew($file, join '', map { "$_\n" } @lines);
    chmod 0600, $file or die "$file: $!\n";

    return;
}

secrets('p-1 the-old-one-of-project-1', 'p-1 the-new-one-of-project-1',
        'p-2 the-one-of-project-2');

sub configuration {
    my $order = shift;

    return <<"END";
upstream queue { server 127.0.0.1:$Jelou::Port{PORT_1}; }
upstream app   { server 127.0.0.1:$Jelou::Port{APP}; }

map \$jelou_delivery_project \$key {
    p-1      the-mapped-one-of-project-1;
    p-2      the-mapped-one-of-project-2;
    default  "";
}

log_format  project '\$jelou_delivery_project.';

jelou_deliver_order  $order;
jelou_deliver_retry  50ms  max=100ms;

server {
    listen      127.0.0.1:$Jelou::Port{SERVER};
    access_log  $Jelou::Dir/$Jelou::Name.project.log  project;

    location = /in {
        jelou_endpoint      incoming_message;
        jelou_secret        "$Jelou::Secret";
        jelou_redis_pass    queue;
        jelou_redis_stream  "by-file";
    }

    location /by-file {
        internal;
        jelou_deliver               queue  stream=by-file  group=app;
        jelou_upstream_secret_file  $file;
        proxy_pass                  http://app;
    }

    location /by-variable {
        internal;
        jelou_deliver          queue  stream=by-variable  group=app;
        jelou_upstream_secret  \$key;
        proxy_pass             http://app;
    }
}
END
}

# signed(GOT, SECRET, NAME): by this secret

sub signed {
    my ($got, $secret, $name) = @_;

    return is($got->{head}{'x-jelou-signature'}, Jelou::sign($got->{body}, $secret), $name);
}

sub add {
    my ($stream, $project, $event) = @_;

    return $redis->command('XADD', $stream, '*', 'event', $event, 'room_id', 'r',
                           defined $project ? ('project_id', $project) : ());
}

my $nginx = Jelou::Server->start(name => 'front', http => configuration('room'),
                                 allow => qr/there is no secret/);

# As the module itself writes an entry

my $event = event(project_id => '"p-2"');

is(Jelou::Load::ask($Jelou::Port{SERVER}, post($event, path => '/in'))->{status}, 200,
   'an event is accepted');

my ($got) = $app->wait(1);
is($got->{body}, $event, 'the application has it');
signed($got, 'the-one-of-project-2', 'it is signed with the secret of its project');


for my $order (qw(room none)) {
    if ($order eq "none") {
        $nginx->write(http => configuration($order));
        $nginx->reload;
    }

    add('by-file', 'p-1', '{"n":1}');
    ($got) = $app->wait(1);
    signed($got, 'the-new-one-of-project-1', "$order: of two, the last one signs");

    add('by-variable', 'p-1', '{"n":2}');
    ($got) = $app->wait(1);
    signed($got, 'the-mapped-one-of-project-1', "$order: a variable chooses by the project");
    is($got->{line}, 'POST /by-variable HTTP/1.0', "$order: of the location that it is in");

    add('by-variable', 'p-2', '{"n":3}');
    ($got) = $app->wait(1);
    signed($got, 'the-mapped-one-of-project-2', "$order: another project, another secret");
}


# What has no secret waits for one, and never goes on unsigned

add('by-variable', 'p-3', '{"n":4}');
add('by-file', 'p-3', '{"n":5}');
add('by-file', undef, '{"n":6}');
add('by-file', 'p-2', '{"n":7}');

($got) = $app->wait(1);
is($got->{body}, '{"n":7}', 'others do not wait');
signed($got, 'the-one-of-project-2', 'and are signed');

$nginx->wait_for('the log says so', sub {
    $nginx->log =~ m{\[error\] .* jelou: there is no secret for project p-3, stream: "by-file"} });

$app->tick(0.02) for 1 .. 20;
is(scalar @{ $app->{seen} }, 0, 'nothing came unsigned');
is($redis->command('XLEN', 'by-file'), 2, 'nothing is lost');

secrets('p-2 the-one-of-project-2', 'the-one-of-all-others');
$nginx->reload;

my %got = map { $_->{body} => $_ } $app->wait(2);

signed($got{'{"n":5}'}, 'the-one-of-all-others', 'a reload brings the secret');
signed($got{'{"n":6}'}, 'the-one-of-all-others', 'an event without a project');
cmp_ok($got{'{"n":5}'}{head}{'x-jelou-delivery-attempt'}, '>', 1, 'the tries were counted');

$app->run('all is acknowledged', sub { $redis->command('XLEN', 'by-file') == 0 });

$nginx->stop;

my $log = Jelou::Server::slurp("$Jelou::Dir/$Jelou::Name.project.log");

like($log, qr/^p-1\.$/m, 'the variable has the project');
like($log, qr/^\.$/m, 'or is empty');
unlike($nginx->log . $log, qr/the-\w+-one/, 'no secret is in a log');

$app->stop;
$redis->stop;
