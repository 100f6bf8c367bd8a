# What nginx -t says of the deliverer's directives, and the rights in Redis that
# docs/delivery.md grants.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Delivery;
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

my $check = Jelou::Server->new(name => 'check');

# refused(LINES, WANT, NAME): in a location with a proxy_pass

sub refused {
    my ($lines, $want, $name, $other) = @_;

    $check->says(<<"END", "[emerg] $want\n", $name // $lines);
server {
    listen  127.0.0.1:$Jelou::Port{SERVER};
    @{[ $other // '' ]}
    location \@app {
        $lines # WHERE
        proxy_pass  http://127.0.0.1:9;
    }
}
END
}

my $good = 'jelou_deliver 127.0.0.1 stream=a group=b;';

for my $case (['jelou_deliver 127.0.0.1 stream=a stream=b;',
               '"jelou_deliver" directive needs "group="'],
              ['jelou_deliver 127.0.0.1 group=a uri=/;',
               '"jelou_deliver" directive needs "stream="'],
              (map { ["jelou_deliver 127.0.0.1 stream=a group=b $_;",
                      qq(invalid parameter "$_" in "jelou_deliver" directive)] }
                   qw(what stream= stream=a stream=$a stream="a" group= group=c uri= uri=a)),
              ["$good $good", '"jelou_deliver" directive is duplicate'],
              (map { ["$good jelou_deliver_parallel $_;",
                      qq(invalid parameter "$_" in "jelou_deliver_parallel" directive)] }
                   qw(0 -1 x)),
              ["$good jelou_deliver_window 0;",
               'invalid parameter "0" in "jelou_deliver_window" directive'],
              ["$good jelou_deliver_window 1; jelou_deliver_window 1;",
               '"jelou_deliver_window" directive is duplicate'],
              (map { ["$good jelou_deliver_retry $_->[0];",
                      qq(invalid parameter "$_->[1]" in "jelou_deliver_retry" directive)] }
                   ['0', '0'], ['x', 'x'], ['2s max=1s', 'max=1s'], ['1s max=x', 'max=x'],
                   ['1s attempts=0', 'attempts=0'], ['1s what', 'what'],
                   ['1s max=2s max=2s', 'max=2s']),
              ["$good jelou_deliver_retry 1s; jelou_deliver_retry 1s;",
               '"jelou_deliver_retry" directive is duplicate'],
              ["$good jelou_deliver_order some;", 'invalid value "some"'])
{
    refused($case->[0], "$case->[1] in WHERE");
}

$check->says(<<"END", qq([emerg] "jelou_deliver" in a location without a content handler, such as "proxy_pass", in WHERE\n), 'no handler');
server {
    listen  127.0.0.1:$Jelou::Port{SERVER};
    location \@app {
        $good # WHERE
    }
}
END

refused("jelou_endpoint incoming_message; jelou_secret a-secret-of-the-test; $good",
        '"jelou_deliver" in a location with "jelou_endpoint" in WHERE');

for my $module (qw(proxy fastcgi uwsgi scgi)) {
    my $at   = ($module eq 'proxy' ? 'http://' : '') . '127.0.0.1:9';
    my $zone = "${module}_cache_path  $Jelou::Dir/$Jelou::Name.cache  keys_zone=$module:1m;\n";

    for my $post (0, 1) {
        my $methods = $post ? 'POST' : '';

        $check->says(<<"END", $post ? qq([emerg] "jelou_deliver" takes answers to POST from a cache, which deliver nothing, in WHERE\n) : '', "${module}_cache $methods");
$zone
server {
    listen  127.0.0.1:$Jelou::Port{SERVER};
    location \@app {
        $good # WHERE
        ${module}_cache          $module;
        ${module}_cache_key      key;
        ${module}_cache_methods  GET HEAD $methods;
        ${module}_pass           $at;
    }
}
END
    }
}

refused($good, 'stream "a" with group "b" in WHERE is delivered by the location in OTHER',
        'two locations', <<"END");
    location \@other {
        $good # OTHER
        proxy_pass  http://127.0.0.1:9;
    }
END


# The rights that the page grants are enough for all that is done

my $page = Jelou::Server::slurp('docs/delivery.md');
my ($acl) = $page =~ /redis-cli (ACL SETUSER nginx .*?[^\\])\n/s
    or die "delivery.md has no rights\n";
my @acl = map { s/'//gr } split ' ', $acl =~ s/\\\n/ /gr;

for my $order (qw(room none)) {
    my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, name => "queue-$order");

    is($redis->error(@acl), '', 'the rights are granted');

    my $auth = Jelou::Server::spew("$Jelou::Dir/$Jelou::Name.auth",
                                   "nginx replace-with-a-password\n");
    my $app   = Jelou::Delivery->start(port => $Jelou::Port{APP});
    my $nginx = Jelou::Server->start(name => "front-$order", http => <<"END");
jelou_status_zone  zone=counters:64k;

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    jelou_redis_auth_file  $auth;

    location = /in {
        jelou_endpoint      incoming_message;
        jelou_secret        "$Jelou::Secret";
        jelou_redis_pass    127.0.0.1:$Jelou::Port{PORT_1};
        jelou_redis_stream  jelou:events  limit=100;
        jelou_redis_dedup   1h;
    }
    location = /status {
        jelou_status  json;
    }
    location \@app {
        jelou_deliver        127.0.0.1:$Jelou::Port{PORT_1}  stream=jelou:events  group=app;
        jelou_deliver_order  $order;
        jelou_deliver_retry  20ms;
        proxy_pass             http://127.0.0.1:$Jelou::Port{APP};
    }
}
END

    $app->behave(sub {
        my $r = shift;
        return { status => $r->{body} =~ /bad/ ? 400
                           : $r->{head}{'x-jelou-delivery-attempt'} == 1 ? 500 : 200 } });

    $redis->command('XADD', 'jelou:events', '*', 'event', qq({"$_":1})) for qw(good bad);

    is(Jelou::Load::ask($Jelou::Port{SERVER}, $_)->{status}, 200, "$order: accepted, and read")
        for post(event(), path => '/in'), "GET /status HTTP/1.1\r\nHost: a\r\n\r\n";

    $app->wait(5);
    $app->run('all is done', sub { $redis->command('XLEN', 'jelou:events') == 0 });

    is($redis->command('XLEN', '{jelou:events}:dead'), 1, "$order: a dead letter");

    $nginx->stop;
    unlike($nginx->log, qr/redis refused/, "$order: nothing was refused");
    is($redis->command('HGET', 'jelou-deliver:{jelou:events}:app', 'owner'), undef,
       "$order: the lease was given back");

    my @denied = map { { @$_ } } @{ $redis->command('ACL', 'LOG') };
    is(join(' ', map { $_->{object} } @denied), '', "$order: by no right that is missing");

    $app->stop;
    $redis->stop;
}
