# TLS to Redis: a server that is the right one, one that is not, and one that wants
# a certificate.

use strict;
use warnings;

use lib 't/lib';
use Jelou 'no_plan';
use Jelou::Load;
use Jelou::Redis;
use Jelou::Server;

use Time::HiRes qw(sleep time);

my $port = $Jelou::Port{SERVER};
my $dir  = "$Jelou::Dir/$Jelou::Name.tls";

mkdir $dir;
chmod 0755, $dir;

# Two authorities; a server's certificate of each, and a client's

sub do_it {
    system("@_ >$dir/openssl.log 2>&1") == 0
        or die "@_: ", Jelou::Server::slurp("$dir/openssl.log");
}

for my $ca (qw(ca other)) {
    do_it("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2",
        "-subj /CN=$ca -keyout $dir/$ca.key -out $dir/$ca.crt");
}

for (['queue', 'ca', 'queue'], ['another', 'ca', 'another'], ['foreign', 'other', 'queue'],
     ['client', 'ca', 'client'])
{
    my ($file, $ca, $name) = @$_;

    Jelou::Server::spew("$dir/$file.ext", "subjectAltName=DNS:$name\n");
    do_it("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name",
        "-keyout $dir/$file.key -out $dir/$file.csr");
    do_it("openssl x509 -req -in $dir/$file.csr -CA $dir/$ca.crt -CAkey $dir/$ca.key",
        "-CAcreateserial -days 2 -extfile $dir/$file.ext -out $dir/$file.crt");
    chmod 0600, "$dir/$file.key";
}

do_it("openssl ec -in $dir/client.key -aes128 -passout pass:a-password -out $dir/secret.key");
Jelou::Server::spew("$dir/password", "a-password\n");

# A server with TLS on one port, and without it on another, for the test itself

my $redis = Jelou::Redis->start(port => $Jelou::Port{PORT_1}, config => [
    "tls-port $Jelou::Port{PORT_2}", "tls-cert-file $dir/queue.crt",
    "tls-key-file $dir/queue.key", "tls-ca-cert-file $dir/ca.crt", 'tls-auth-clients no']);

my $trust = "jelou_redis_ssl_trusted_certificate $dir/ca.crt;";

my %location = (
    right   => $trust,
    again   => $trust,
    lax     => 'jelou_redis_ssl_verify off;',
    foreign => "jelou_redis_ssl_trusted_certificate $dir/other.crt;",
    named   => "$trust jelou_redis_ssl_name another;",
    sni     => "$trust jelou_redis_ssl_server_name on; jelou_redis_ssl_name queue;",
    fresh   => "$trust jelou_redis_ssl_session_reuse off;",
    old     => "$trust jelou_redis_ssl_protocols TLSv1.2;
                jelou_redis_ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;",
    with    => "$trust jelou_redis_ssl_certificate $dir/client.crt;
                jelou_redis_ssl_certificate_key $dir/client.key;",
    secret  => "$trust jelou_redis_ssl_certificate $dir/client.crt;
                jelou_redis_ssl_certificate_key $dir/secret.key;
                jelou_redis_ssl_password_file $dir/password;",
    none    => 'jelou_redis_ssl off;',
);

my $locations = join '', map {
    "location = /$_ {\njelou_endpoint incoming_message;\njelou_redis_pass queue;\n"
    . "jelou_redis_stream $_;\n$location{$_}\n}\n"
} sort keys %location;

my $nginx = Jelou::Server->start(name => 'front', http => <<"END");
upstream queue {
    server  127.0.0.1:$Jelou::Port{PORT_2}  max_fails=0;
}

server {
    listen  127.0.0.1:$port;

    jelou_secret          "$Jelou::Secret";
    client_max_body_size  8m;

    jelou_redis_ssl              on;
    jelou_redis_ssl_verify       on;
    jelou_redis_dedup            1h;
    jelou_redis_connect_timeout  1s;

    $locations
}
END

my $n = 0;

sub ask {
    my ($path, %o) = @_;

    $o{id} //= '"m-' . ++$n . '"';
    return Jelou::Load::ask($port, post(event(%o), path => "/$path"))->{status};
}

my $logged = 0;

sub log_lines {
    my @lines = grep { /^\[error\]/ } $nginx->jelou_log;
    my @new   = @lines[$logged .. $#lines];

    $logged = @lines;
    return @new;
}

for my $path (qw(right again lax sni fresh old with secret)) {
    is(ask($path), 200, "$path: accepted") for 1 .. 3;
    is($redis->command('XLEN', $path), 3, "$path: all are there");
}

is_deeply([log_lines()], [], 'nothing to complain of');

# Commands that are long, and many

is(ask('right', content => '{"body":"' . 'x' x 3_000_000 . '"}'), 200, 'three megabytes');

my @sockets = map { Jelou::Load::send_to($port, post(event(id => qq("many-$_")),
                                                     path => '/right')) } 1 .. 50;

is(Jelou::Load::answer($_)->{status}, 200, 'many at once') for @sockets;
is($redis->command(qw(XLEN right)), 54, 'all are there');

# The wrong ones

is(ask('foreign'), 500, 'an authority that is not trusted');
like((log_lines())[0], qr/^\[error\] jelou: redis has a certificate that is not trusted: /,
     'says so');
is(ask('named'), 500, 'another name');
is_deeply([log_lines()], ['[error] jelou: redis has a certificate for another name than '
                          . 'another'], 'says so');
is(ask('none'), 500, 'without TLS');
like((log_lines())[0], qr/^\[error\] jelou: redis /, 'something is said');
is($redis->command('EXISTS', qw(foreign named none)), 0, 'nothing was sent to them');

# A server that wants a certificate

$redis->command(qw(CONFIG SET tls-auth-clients yes));
$redis->command(qw(CLIENT KILL TYPE normal SKIPME yes));
sleep 0.1;

is(ask('fresh'), 500, 'without a certificate');
is(ask('with'), 200, 'with one');
is(ask('secret'), 200, 'whose key has a password');

# A renewed connection uses the session again

$redis->command(qw(CONFIG SET tls-auth-clients no));
$redis->command(qw(CLIENT KILL TYPE normal SKIPME yes));
sleep 0.1;
is(ask($_), 200, "$_: after a new connection") for qw(right old fresh);

$nginx->stop;

my $check = Jelou::Server->new(name => 'check');
my $head  = "upstream queue {\nserver 127.0.0.1:6379;\n}\nserver {\n"
            . "listen 127.0.0.1:$port;\njelou_secret \"$Jelou::Secret\";\nlocation / {\n"
            . "jelou_endpoint incoming_message;\njelou_redis_stream a;\n"
            . "jelou_redis_pass queue; # WHERE\njelou_redis_ssl on;\n";

$check->says("$head}\n}\n", '[emerg] "jelou_redis_ssl" needs a '
             . "\"jelou_redis_ssl_trusted_certificate\" in WHERE\n", 'nothing to verify with');
$check->says("${head}jelou_redis_ssl_verify off;\njelou_redis_ssl_certificate a;\n}\n}\n",
             '[emerg] "jelou_redis_ssl" needs a "jelou_redis_ssl_certificate_key" in WHERE'
             . "\n", 'no key');
$check->says("${head}jelou_redis_ssl_verify off;\n}\n}\n", '', 'without verifying');

$redis->stop;
