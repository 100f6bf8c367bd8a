# jelou_access: of an endpoint without a signature, somebody must have said who
# may send.

use strict;
use warnings;

use lib 't/lib';

use Jelou 'no_plan';
use Jelou::Server;

my $nginx = Jelou::Server->new(name => 'check', allow => qr/(?!)/);
my $port  = $Jelou::Port{SERVER};

# server(HTTP, SERVER, LOCATION, NAME): an endpoint, with lines at each level

sub server {
    my ($http, $server, $location, $name) = @_;

    return <<"END";
# not jelou_access
$http
server {
    listen  127.0.0.1:$port;
    $server
    location / {
        $location
        jelou_endpoint  $name; # WHERE
        proxy_pass      http://127.0.0.1:1;

        location /within {
            proxy_pass  http://127.0.0.1:1;
        }
    }
}
END
}

my $secret = 'jelou_secret 0123456789abcdef;';

for my $name (qw(room_message bot_message)) {
    my $open = qq([emerg] "jelou_endpoint $name" without a "jelou_secret" needs )
               . '"jelou_access elsewhere", if something else checks who may '
               . qq(send, or "jelou_access none" in WHERE\n);

    for my $case (
        ['nothing', '', '', '', $open],
        ['auth_basic alone', '', '', 'auth_basic x; auth_basic_user_file x;',
         $open],
        ['allow and deny alone', '', '', 'allow 127.0.0.1; deny all;', $open],
        ['a secret', '', '', $secret, ''],
        ['a secret around it', $secret, '', '', ''],
        (map {
            ["$_ in http", "jelou_access $_;", '', '', ''],
            ["$_ in server", '', "jelou_access $_;", '', ''],
            ["$_ in location", '', '', "jelou_access $_;", ''],
            ["$_, and a secret", '', $secret, "jelou_access $_;", ''],
        } qw(none elsewhere)),
    ) {
        my ($what, @levels) = @$case;
        my $want = pop @levels;

        $nginx->says(server(@levels, $name), $want, "$name: $what");
    }
}

# It is no way around a signature.

for my $name (qw(incoming_message message)) {
    $nginx->says(server('jelou_access none;', '', 'jelou_access elsewhere;', $name),
                 qq([emerg] "jelou_endpoint $name" needs a "jelou_secret" or )
                 . qq(a "jelou_secret_file" in WHERE\n),
                 "$name: still signed");
}

run_tests();

__DATA__

=== with a secret, whatever is said of other checks
--- config
location /v1/rooms/ {
    jelou_endpoint  room_message;
    jelou_access    none;
    jelou_secret    $TEST_NGINX_SECRET;
    proxy_pass      http://app;
}
--- raw_request eval
post('{}', path => '/v1/rooms/r-1/message', signature => undef)
--- reply
401 SIGNATURE_MISSING
--- upstream
none
--- error_log
jelou refused a request: SIGNATURE_MISSING
