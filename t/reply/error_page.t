# A body turns out to be too large while it is read, and error_page leads to an
# endpoint: what was not verified is not an event there either.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';

our $Large = event(content => '{"body":"' . 'x' x 20000 . '"}');

# Each block has its error_page in this endpoint, and two more to lead to.  With
# an equals sign nginx asks the page for the status, and has forgotten the 413; the
# answer is the same.

add_block_preprocessor(sub {
    my $block = shift;

    my $endpoint = <<'END';
    jelou_endpoint        incoming_message;
    jelou_secret          "$TEST_NGINX_SECRET";
    client_max_body_size  10k;
    proxy_pass            http://app;
END

    $block->set_value(config => <<"END");
location = $Jelou::Path {
$endpoint
    error_page  413 ${\ ($block->page =~ s/\n//r) };
}
location = /other {
$endpoint
}
location \@named {
$endpoint
}
END

    $block->set_value(raw_request => post($Large, chunked => 3000));
    $block->set_value(reply => '413 PAYLOAD_TOO_LARGE');
    $block->set_value(upstream => 'none');
    $block->set_value(error_log => 'intended to send too large chunked body');
});

run_tests();

__DATA__

=== the endpoint itself
--- page
/v1/external-support/webhook


=== another endpoint
--- page
/other


=== a named location, which is an endpoint
--- page
@named


=== another endpoint, which is asked for the status
--- page
= /other


=== a named location, which is asked for the status
--- page
= @named
