# What nginx -t says of what stands around an endpoint: caches, pages of errors.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Server;

my $nginx = Jelou::Server->new(name => 'check', allow => qr/(?!)/);
my $port  = $Jelou::Port{SERVER};

# endpoint(LINES): a location, with a secret; WHERE is that of jelou_endpoint

sub endpoint {
    my ($lines, $name) = @_;

    $name //= 'incoming_message';

    return "location /$name {\njelou_endpoint $name; # WHERE\n"
           . "jelou_secret 0123456789abcdef;\n$lines\n}\n";
}

sub server { return "server {\nlisten 127.0.0.1:$port;\n@_\n}\n" }

# A cache that an event could be answered from

my $cached = '[emerg] "jelou_endpoint incoming_message" takes answers to POST '
             . "from a cache, which deliver nothing, in WHERE\n";

for my $module (qw(proxy fastcgi uwsgi scgi)) {
    my $path = "${module}_cache_path $nginx->{dir}/$module "
               . "keys_zone=$module:1m;\n";
    my $post = "${module}_cache_methods GET HEAD POST;\n";
    my $pass = "${module}_pass " . ($module eq 'proxy' ? 'http://' : '')
               . '127.0.0.1:1;';
    my $key  = "${module}_cache_key \$uri;\n";
    my $on   = "${key}${module}_cache $module;\n";

    for my $case (
        ['not for POST',  $path . server($on . endpoint($pass)), ''],
        ['for POST',      $path . server(endpoint("$on$post$pass")), $cached],
        ['inherited',     "$path$on$post" . server(endpoint($pass)), $cached],
        ['its zone has a variable',
         $path . server(endpoint("$key${module}_cache \$arg_x;\n$post$pass")),
         $cached],
        ['off', "$path$on$post" . server(endpoint("${module}_cache off;\n$pass")),
         ''],
        ['the methods only', $path . server(endpoint("$post$pass")), ''],
        ['no endpoint', $path . server("location / {\n$on$post$pass\n}"), ''],
        ['an endpoint that is off',
         $path . server(endpoint("$pass\nlocation /incoming_message/x {\n"
                                 . "jelou_endpoint off;\n$on$post$pass\n}")), ''],
        ['a nested location',
         $path . server(endpoint("$pass\nlocation /incoming_message/x {\n"
                                 . "$on$post$pass\n}")), $cached],
        ['in an if', $path . server(endpoint("$pass\nif (\$arg_x) {\n$pass\n}")
                                    =~ s/jelou_endpoint/$on${post}jelou_endpoint/r),
         $cached],
    ) {
        my ($name, $http, $want) = @$case;

        $nginx->says($http, $want, "${module}_cache, $name");
    }
}

$nginx->says("proxy_cache_path $nginx->{dir}/proxy keys_zone=proxy:1m;\n"
             . "fastcgi_cache_key \$uri;\nproxy_cache proxy;\n"
             . "proxy_cache_methods POST;\n"
             . server(endpoint('fastcgi_pass 127.0.0.1:1;')
                      . endpoint('', 'message')),
             '', "the cache of a module that the location does not pass to");
