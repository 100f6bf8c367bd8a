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

my $cached = '[emerg] "jelou_endpoint" takes answers to POST '
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


# Where an error page leads.  A location that passes requests on, and is no
# endpoint, is named in the warning.

sub leads {
    my ($to, $name) = @_;

    $name //= 'incoming_message';

    return qq([warn] "error_page" of "jelou_endpoint $name" leads with "=" to )
           . qq("$to", which passes requests on and is no endpoint: it may get )
           . "what is not verified, and its success is the sender's, in WHERE\n";
}

my $pass   = 'proxy_pass http://127.0.0.1:1;';
my $backup = "location \@backup {\n$pass\n}\n";
my $static = join '', map { "location $_ { }\n" }
                      '= /a', '= /backup0', '= /zzz',
                      qw(/b /back /backups /zzzz /backup/b/);

for my $case (
    ['a named location', 'error_page 503 = @backup;', $backup, leads('@backup')],
    ['with a status', 'error_page 503 =200 @backup;', $backup,
     leads('@backup')],
    ['for two statuses', 'error_page 502 503 = @backup;', $backup,
     leads('@backup')],
    ['two pages', "error_page 502 = \@backup;\nerror_page 503 = \@other;",
     $backup . ($backup =~ s/backup/other/r),
     leads('@backup') . leads('@other')],
    ['without =', 'error_page 503 @backup;', $backup, ''],
    ['an endpoint', 'error_page 503 = @backup;',
     "location \@backup {\njelou_endpoint incoming_message;\n"
     . "jelou_secret 0123456789abcdef;\n$pass\n}\n", ''],
    ['a location that passes nothing on', 'error_page 503 = @backup;',
     "location \@backup {\nreturn 503;\n}\n", ''],
    ['a location that is not there', 'error_page 503 = @back;', $backup, ''],
    ['another server\'s', 'error_page 503 = @backup;',
     "}\nserver {\nlisten 127.0.0.1:$port;\nserver_name x;\n$backup", ''],
    ['a file', 'error_page 503 = /backup.html;', '', ''],
    ['another host', 'error_page 503 = https://example.com/;', $backup, ''],
    ['a variable', 'error_page 503 = /$arg_x;', $backup, ''],
    ['a page of counters', 'error_page 503 = /backup;',
     "location = /backup {\njelou_status json;\n}\n", ''],

    ['a URI', 'error_page 503 = /backup;',
     "location = /backup {\n$pass\n}\n", leads('/backup')],
    ['a URI with arguments', 'error_page 503 = /backup?x=1;',
     "location = /backup {\n$pass\n}\n", leads('/backup')],
    ['a URI among many', 'error_page 503 = /backup;',
     "${static}location = /backup {\n$pass\n}\n", leads('/backup')],
    ['a URI behind exact ones', 'error_page 503 = /backup;',
     join('', map { "location = $_ { }\n" } qw(/b /ba /bac))
     . "location = /backup {\n$pass\n}\n", leads('/backup')],
    ['a URI that is a prefix', 'error_page 503 = /backup/a;',
     "${static}location /backup/a {\n$pass\n}\n", leads('/backup/a')],
    ['a URI that is behind a prefix', 'error_page 503 = /backup/a/b;',
     "${static}location /backup/a {\n$pass\n}\nlocation = /backup/a/b { }\n",
     ''],
    ['a URI that no location is for', 'error_page 503 = /bacup;',
     "${static}location = /backup {\n$pass\n}\n", ''],
    ['a URI that a regular expression may be for',
     'error_page 503 = /backup;',
     "location /backup {\n$pass\n}\nlocation ~ ^/backup { }\n", ''],
    ['a URI that none is tried for', 'error_page 503 = /backup;',
     "location ^~ /backup {\n$pass\n}\nlocation ~ ^/backup { }\n",
     leads('/backup')],
) {
    my ($name, $page, $locations, $want) = @$case;

    my $zone = $locations =~ /jelou_status/ ? "jelou_status_zone zone=c:64k;\n"
                                            : '';

    for my $around ('', 'around it') {
        my $within = $around ? '' : $page;

        $nginx->says($zone . server(($around ? "$page\n" : '')
                                    . endpoint("$within\n$pass\nif (\$arg_x) {\n"
                                               . "set \$y 1;\n}")
                                    . $locations),
                     $want, join ', ', "error_page: $name", $around || ());
    }
}

$nginx->says(server("location / {\nerror_page 503 = \@backup;\n$pass\n}\n"
                    . $backup), '', 'error_page: of what is no endpoint');
