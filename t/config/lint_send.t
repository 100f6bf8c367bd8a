# What nginx -t says of endpoints that nginx signs for: who can send unsigned
# events, and what would change what is signed.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Server;

my $nginx = Jelou::Server->new(name => 'check', allow => qr/(?!)/);
my $port  = $Jelou::Port{SERVER};
my $dir   = $nginx->{dir};

Jelou::Server::spew("$dir/secrets", "p-1 0123456789abcdef\n");
Jelou::Server::spew("$dir/bad", "p-1 p-2 0123456789abcdef\n");
chmod 0600, "$dir/secrets", "$dir/bad";

# server(LOCATION, SERVER, HTTP)

sub server {
    my ($location, $server, $http) = map { $_ // '' } @_[0 .. 2];

    $server ||= "listen 127.0.0.1:$port;";

    return "$http\nserver {\n$server\nlocation / {\n$location\n}\n}\n";
}

my $pass   = 'proxy_pass http://127.0.0.1:1;';
my $in     = "jelou_endpoint incoming_message; # OTHER\n";
my $off    = "jelou_secret off; # WHERE\n";
my $secret = 'jelou_secret 0123456789abcdef;';
my $up     = "jelou_upstream_secret 0123456789abcdef;\n";


# jelou_secret off

my $place = '[emerg] "jelou_secret off" is for one location: write it beside '
            . 'the "jelou_endpoint" that takes unsigned events in WHERE' . "\n";
my $needs = '[emerg] "jelou_endpoint incoming_message" needs a "jelou_secret" '
            . 'or a "jelou_secret_file" in OTHER' . "\n";
my $both  = 'directive stands beside "off", and one of them is not meant in '
            . "WHERE\n";

for my $case (
    ['in its location', server("$in$off$pass"), ''],
    ['below a secret', server("$in$off$pass", undef, $secret), ''],
    ['in http', server("$in$pass", undef, $off), $place],
    ['in server', server("$in$pass", "listen 127.0.0.1:$port;\n$off"), $place],
    ['in the location around it',
     server("$off\nlocation /x {\n$in$pass\n}"), $needs],
    ['in the endpoint around it, which is not inherited',
     server("$in$off$pass\nlocation /x {\n$pass\n}"), $needs],
    ['in an if within', server("$in$off$pass\nif (\$arg_x) {\n$pass\n}"), ''],
    ['beside a file', server("${in}jelou_secret off;\n"
                             . "jelou_secret_file secrets; # WHERE\n$pass"),
     qq([emerg] "jelou_secret_file" $both)],
    ['before a file', server("${in}jelou_secret_file secrets;\n$off$pass"),
     qq([emerg] "jelou_secret" $both)],
    ['twice', server("${in}jelou_secret off;\n$off$pass"),
     qq([emerg] "jelou_secret" directive is duplicate in WHERE\n)],
    ['a room still needs jelou_access', '# not jelou_access' . "\n"
     . server("jelou_endpoint room_message; # WHERE\njelou_secret off;\n$pass"),
     '[emerg] "jelou_endpoint room_message" without a "jelou_secret" needs '
     . '"jelou_access elsewhere", if something else checks who may send, or '
     . qq("jelou_access none" in WHERE\n)],
) {
    my ($name, $http, $want) = @$case;

    $nginx->says($http, $want, "jelou_secret off, $name");
}


# Who can reach it

sub open_to {
    my ($address, $name) = @_;

    $name //= 'incoming_message';

    return qq([warn] "jelou_endpoint $name" takes unsigned events, and its )
           . "server listens on $address, beyond this machine: say "
           . '"jelou_access elsewhere" if something else checks who may send, '
           . qq(see "jelou_secret off" in WHERE\n);
}

for my $case (
    ['everywhere', "listen $port;", '', open_to("0.0.0.0:$port")],
    ['every address of IPv6', "listen [::]:$port;", '', open_to("[::]:$port")],
    ['127.0.0.2', "listen 127.0.0.2:$port;", '', ''],
    ['::1', "listen [::1]:$port;", '', ''],
    ['a socket', "listen unix:$dir/socket;", '', ''],
    ['one of two', "listen 127.0.0.1:$port;\nlisten 0.0.0.0:$port;", '',
     open_to("0.0.0.0:$port")],
    ['none is local, and checked elsewhere', "listen $port;",
     "jelou_access elsewhere;\n", ''],
    ['none is local, and not checked', "listen $port;", "jelou_access none;\n",
     open_to("0.0.0.0:$port")],
    ['another server', "listen 127.0.0.1:$port;\n}\nserver {\n"
     . "listen 127.0.0.1:$port;\nserver_name x;\nlisten $Jelou::Port{APP};\n}\n"
     . "server {\nlisten 127.0.0.1:$port;\nserver_name y;", '', ''],
) {
    my ($name, $listen, $access, $want) = @$case;

    $nginx->says(server("$in$off$access$pass", $listen), $want,
                 "it listens on $name");
}

$nginx->says(server("$in$secret\n$pass", "listen $port;"), '',
             'a signed endpoint may listen anywhere');

$nginx->says(server("$in$secret\nerror_page 503 = \@open;\n$pass\n}\n"
                    . "location \@open {\njelou_endpoint incoming_message;\n"
                    . "jelou_secret off;\n$pass"),
             '[warn] "error_page" of "jelou_endpoint incoming_message" leads '
             . 'with "=" to "@open", which passes requests on and is no signed '
             . 'endpoint: it may get what is not verified, and its success is '
             . "the sender's, in OTHER\n", 'an error page leads to one');

$nginx->says(server("$in${off}error_page 503 = \@open;\n$pass\n}\n"
                    . "location \@open {\njelou_endpoint incoming_message;\n"
                    . "jelou_secret off;\n$pass"), '',
             'from one to another');


# What is sent is what is signed.

sub changes {
    return qq([emerg] "$_[0]" changes what "jelou_endpoint incoming_message" )
           . "has signed for the upstream, in OTHER\n";
}

for my $module (qw(proxy fastcgi uwsgi scgi)) {
    my $http = $module eq 'proxy' ? 'http://' : '';
    my $goes = "${module}_pass ${http}127.0.0.1:1;\n";

    for my $what (qw(body headers)) {
        my $name = "${module}_pass_request_$what";
        my $line = "$name off;\n";

        for my $case (
            ['off', server("$in$secret\n$up$line$goes"), changes($name)],
            ['on', server("$in$secret\n$up$name on;\n$goes"), ''],
            ['off, inherited', server("$in$secret\n$up$goes", undef, $line),
             changes($name)],
            ['off, with a file', server("$in$secret\n$line$goes"
                                        . 'jelou_upstream_secret_file secrets;'),
             changes($name)],
            ['off, without a signature', server("$in$secret\n$line$goes"), ''],
            ['off, an address with variables',
             server("$in$secret\n$up$line${module}_pass $http\$host;"),
             changes($name)],
        ) {
            my ($how, $conf, $want) = @$case;

            $nginx->says($conf, $want, "$name $how");
        }
    }
}

for my $case (
    ['proxy_set_body', "proxy_set_body x;\n$pass", changes('proxy_set_body')],
    ['proxy_set_body, empty', "proxy_set_body '';\n$pass",
     changes('proxy_set_body')],
    ['proxy_set_body, of a module that the location does not pass to',
     "proxy_set_body x;\nfastcgi_pass 127.0.0.1:1;", ''],
    ['proxy_set_body, and no upstream', 'proxy_set_body x;', ''],
    ['proxy_set_header', "proxy_set_header X-JELOU-Signature x;\n$pass",
     changes('proxy_set_header')],
    ['proxy_set_header, empty', "proxy_set_header X-Jelou-Signature '';\n$pass",
     changes('proxy_set_header')],
    ['proxy_set_header, the same',
     "proxy_set_header X-Jelou-Signature \$http_x_jelou_signature;\n$pass", ''],
    ['proxy_set_header, more than that',
     "proxy_set_header X-Jelou-Signature \$http_x_jelou_signature,x;\n$pass",
     changes('proxy_set_header')],
    ['proxy_set_header, another one', "proxy_set_header X-Other-Signature x;\n"
     . "proxy_set_header X-Jelou-Signatur x;\n$pass", ''],
    ['grpc_set_header', "grpc_set_header X-Jelou-Signature x;\n"
     . 'grpc_pass 127.0.0.1:1;', changes('grpc_set_header')],
) {
    my ($name, $lines, $want) = @$case;

    $nginx->says(server("$in$secret\n$up$lines"), $want, $name);
}


# The upstream's secrets

for my $case (
    ['a file', "jelou_upstream_secret_file secrets;\n", ''],
    ['a file, and a secret', "jelou_upstream_secret_file secrets;\n$up", ''],
    ['a bad file', "jelou_upstream_secret_file bad; # WHERE\n",
     qq([emerg] "jelou_upstream_secret_file": the line in "$dir/bad":1 has more )
     . "than a project id and a secret in WHERE\n"],
    ['two files', "jelou_upstream_secret_file secrets;\n"
     . "jelou_upstream_secret_file secrets; # WHERE\n",
     qq([emerg] "jelou_upstream_secret_file" directive is duplicate in WHERE\n)],
    ['off, then a file', "jelou_upstream_secret off;\n"
     . "jelou_upstream_secret_file secrets; # WHERE\n",
     qq([emerg] "jelou_upstream_secret_file" $both)],
    ['a file, then off', "jelou_upstream_secret_file secrets;\n"
     . "jelou_upstream_secret off; # WHERE\n",
     qq([emerg] "jelou_upstream_secret" $both)],
    ['a capture', "jelou_upstream_secret 0123456789\$1; # WHERE\n",
     '[emerg] "$" and a digit in a secret in "jelou_upstream_secret" directive '
     . 'are what a regular expression has captured, not a part of the secret '
     . "in WHERE\n"],
    ['a variable that nobody has', "jelou_upstream_secret \$nobody;\n",
     qq([emerg] unknown "nobody" variable\n)],
) {
    my ($name, $lines, $want) = @$case;

    $nginx->says(server("$in$secret\n$lines$pass"), $want,
                 "the upstream's secret: $name");
}

run_tests();

__DATA__
=== what is inherited is what is sent with
--- http_config
jelou_upstream_secret  "secret-of-the-application";
--- config
location / {
    jelou_endpoint  incoming_message;
    jelou_secret    off;
    proxy_pass      http://app;
    proxy_set_header  X-Jelou-Signature  $http_x_jelou_signature;
}
--- raw_request eval
post(event(), signature => undef)
--- reply
accepted m-1
--- upstream eval
event()
--- upstream_headers eval
'X-Jelou-Signature: ' . sign(event(), 'secret-of-the-application')
