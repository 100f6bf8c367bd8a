# Each call that the module makes while a configuration is read, and which can
# fail, fails in turn: "nginx -t" then says no, and nginx never crashes, nor
# starts without what was asked for.

use strict;
use warnings;

use lib 't/lib';

use Jelou;
use Jelou::Faults;
use Jelou::Server;
use POSIX ();
use Test::More;

my $unusable = Jelou::Faults->unusable;

plan $unusable ? (skip_all => $unusable) : 'no_plan';

my $faults = Jelou::Faults->new;
my $nginx  = Jelou::Server->new(name => 'config', env => $faults->env);

Jelou::Server::spew("$nginx->{dir}/secrets", <<'END');
secret-of-all-the-others
p-1  first-secret-of-project-1
p-1  second-secret-of-project-1
p-2  first-secret-of-project-2
END

Jelou::Server::spew("$nginx->{dir}/auth", "a-user a-secret-of-redis\n");

chmod 0600, "$nginx->{dir}/secrets", "$nginx->{dir}/auth";

$nginx->write(http => <<"END");
jelou_dedup_zone   zone=seen:1m ttl=1h;
jelou_status_zone  zone=status:1m;

map \$jelou_project_id \$mapped {
    volatile;
    default  a-secret-of-the-map;
}

server {
    listen  127.0.0.1:$Jelou::Port{SERVER};

    jelou_field  messages;

    location /file {
        jelou_endpoint     message;
        jelou_secret_file  secrets;
        jelou_types        text image;
        jelou_dedup        zone=seen key=\$jelou_message_id;
    }
    location /directive {
        jelou_endpoint         incoming_message;
        jelou_secret           a-secret-of-the-directive \$mapped;
        jelou_upstream_secret  a-secret-of-the-application;
        jelou_event_type       incoming_message;
    }
    location /queue {
        jelou_endpoint         incoming_message;
        jelou_secret           a-secret-of-the-directive;
        jelou_redis_pass       127.0.0.1:$Jelou::Port{PORT_1};
        jelou_redis_stream     events:\$jelou_project_id maxlen=1000;
        jelou_redis_dedup      1h key=\$jelou_message_id;
        jelou_redis_auth_file  auth;
        jelou_redis_db         1;
    }
    location /status {
        jelou_status  json;
    }
}
END


# test_config(KINDS, N): "nginx -t" with the n-th call failing, if there is one;
# its wait status, what it said, and the call's name.  The process waits until it
# is known which one it is.

sub test_config {
    my ($kinds, $n) = @_;

    pipe my $ready, my $go or die "pipe: $!\n";
    pipe my $said, my $out or die "pipe: $!\n";

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        close $go;
        sysread $ready, my $byte, 1;

        @ENV{keys %{ $nginx->{env} }} = values %{ $nginx->{env} };
        open STDERR, '>&', $out;
        exec $ENV{TEST_NGINX_BINARY}, '-t', '-q', '-e', 'stderr',
             '-c', "$nginx->{dir}/nginx.conf" or POSIX::_exit(127);
    }

    $faults->fail($pid, $kinds, $n);

    close $_ for $go, $out;
    my $text = do { local $/; <$said> };
    waitpid $pid, 0;

    my $seen = $faults->seen;

    return ($?, $text // '', $seen->{failed} ? $seen->{name} : undef);
}


my ($status, $text) = test_config('module crypto conf', 0);

is($status, 0, 'the configuration is right') or diag $text;

# What a failure may leave as it is: a file that is read and not closed, and the
# trial whether an HMAC can be started again, which has the second EVP_MAC_init().

my %harmless = map { $_ => 1 } qw(close EVP_MAC_CTX_dup EVP_MAC_update
                                  EVP_MAC_final EVP_MAC_init-2);
my %failed;

for my $n (1 .. 2000) {
    ($status, $text, my $name) = test_config('module crypto conf', $n);

    last if !defined $name;

    $failed{$name}++;

    my $harmless = $harmless{$name} || $harmless{"$name-$failed{$name}"};

    is($status, $harmless ? 0 : 1 << 8, "call $n, $name, fails")
        or diag $text;

    unlike($text, qr/[\w-]+-secret|secret-of/, "call $n, $name: no secret is shown");
}

is($status, 0, 'when no call is left, it is right again') or diag $text;

cmp_ok($failed{$_} // 0, '>', 0, "$_ has failed")
    for qw(ngx_palloc ngx_pnalloc ngx_pcalloc ngx_alloc ngx_array_push ngx_pstrdup
           ngx_pool_cleanup_add ngx_read_file ngx_http_add_variable
           ngx_http_get_variable_index ngx_http_compile_complex_value
           ngx_shared_memory_add ngx_conf_full_name EVP_MAC_fetch
           EVP_MAC_CTX_new EVP_MAC_init RAND_bytes close ngx_http_upstream_add);
