# Variables at other moments than the hand-over to the upstream: in the key of
# jelou_dedup, and after error_page has led to another endpoint.

use lib 't/lib';
use Jelou 'no_plan';

our $File = "$Jelou::Dir/$Jelou::Name.secrets";

open my $out, '>', $File or die "$File: $!\n";
print $out "# a comment\n$ENV{TEST_NGINX_SECRET}\n";
close $out or die "$File: $!\n";
chmod 0600, $File;

our ($One, $Two) = (event(), event(id => '"m-2"', content => '{"body":"Two"}'));

sub requests {
    my $left = @_;

    return [map { post($_, keepalive => --$left) } @_];
}

check_accum_error_log();
run_tests();

__DATA__

=== the key of jelou_dedup tells messages apart by their ids
--- http_config
jelou_dedup_zone  zone=seen:1m;
--- directives
jelou_dedup  zone=seen  key=$jelou_project_id:$jelou_room_id:$jelou_message_id;
--- requests eval: requests($One, $Two, $One)
--- reply
accepted m-1
accepted m-2
accepted m-1
--- raw_response_headers_like eval
['Content-Type', 'Content-Type', 'Idempotent-Replayed: true']
--- upstream eval: [$One, $Two]
--- no_error_log
jelou:
jelou refused


=== a key of one variable is not empty
--- http_config
jelou_dedup_zone  zone=seen:1m;
--- directives
jelou_dedup  zone=seen  key=$jelou_message_id$jelou_event_type;
--- requests eval: requests($One, $One)
--- reply
accepted m-1
accepted m-1
--- raw_response_headers_like eval
['Content-Type', 'Idempotent-Replayed: true']
--- upstream eval: $One
--- no_error_log
jelou:
jelou refused


=== the secret's id outlives a redirect to an endpoint that has no secrets
--- config eval
<<"END"
location = /v1/external-support/webhook {
    jelou_endpoint     incoming_message;
    jelou_secret_file  $File;
    error_page         502 = \@other;
    proxy_pass         http://down;
}

location \@other {
    jelou_endpoint  room_message;
    proxy_pass      http://app;
    add_header      X-Secret-Id  \$jelou_secret_id;
}
END
--- raw_request eval: post(event())
--- reply
accepted m-1
--- raw_response_headers_like chomp
X-Secret-Id: 2
--- upstream eval: $One
--- error_log
connect() failed
--- no_error_log
exited on signal
