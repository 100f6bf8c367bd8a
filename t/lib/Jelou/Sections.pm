package Jelou::Sections;

# More sections for the blocks of a test; used after Jelou.pm.
#
# location      What the endpoint's location has instead of what Jelou.pm puts
#               there: all but the proxy_pass.
#
# secrets       The content of a secret file, which $SECRETS stands for in
#               "location" and "config".  Readable by its owner only.
#
# access        The whole access log, a line for each request: the status,
#               $jelou_result, $jelou_secret_id, with a "-" for what is empty.
#
# log           All that the module has logged, in order, "[level] text".
#               Without this section, it is nothing.

use strict;
use warnings;

use Jelou::Server;
use Test::More ();

BEGIN {
    # The log is whole when the answers are here.
    $ENV{TEST_NGINX_SLEEP} ||= 0.003;
}

use Test::Nginx::Socket -base;

my $count = 0;

check_accum_error_log();

add_block_preprocessor {
    my $block = shift;

    if (defined(my $location = $block->location)) {
        $block->set_value(config => <<"END");
location = $Jelou::Path {
    jelou_endpoint  incoming_message;
$location
    proxy_pass      http://app;
}
END
    }

    if (defined $block->secrets) {
        my $file = sprintf '%s/%s.secrets-%d', $Jelou::Dir, $Jelou::Name,
                           ++$count;

        Jelou::Server::spew($file, $block->secrets);
        $block->set_value(config => $block->config =~ s/\$SECRETS\b/$file/gr);
    }

    if (defined $block->access) {
        $block->set_value(http_config => ($block->http_config // '') . <<'END');
map $jelou_result     $_result  { "" "-"; default $jelou_result; }
map $jelou_secret_id  $_secret  { "" "-"; default $jelou_secret_id; }
log_format  results  '$status $_result $_secret';
END
        my $config = $block->config
                     // Jelou::default_config($block->directives // '');

        $block->set_value(config => <<"END" . $config);
access_log  $ENV{TEST_NGINX_SERVROOT}/logs/access.log  results;
END
    }
};

add_test_cleanup_handler(sub {
    my $block = shift;

    return if defined $block->must_die;

    no warnings 'once';

    my $name = $block->name;

    my $log = join '', map {
        /(\[\w+\]) \S+ \*\d+ (jelou.*?)(?: while [^,]+)?, client/ ? "$1 $2\n" : ()
    } split /\n/, Jelou::Server::slurp($Test::Nginx::Util::ErrLogFile);

    Test::More::is($log, $block->log // '', "$name - log");

    Test::More::is(Jelou::Server::slurp($Test::Nginx::Util::AccLogFile),
                   $block->access, "$name - access log")
        if defined $block->access;
});


1;
