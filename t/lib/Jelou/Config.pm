package Jelou::Config;

# Whole nginx configurations, those of the documents, in a test: loaded, or
# started, with paths and ports of the test's, and requests sent with curl.

use strict;
use warnings;

use Cwd qw(abs_path);
use Digest::SHA qw(hmac_sha256_hex);
use Fcntl qw(:flock);
use File::Basename qw(basename dirname);
use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(sleep);

use Exporter 'import';

use Jelou::Reports;

our @EXPORT_OK = qw($Root slurp spew fences configurations whole);

our $Root = abs_path(dirname(__FILE__) . '/../../..');

my $all    = $ENV{JELOU_TEST_DIR} || "$Root/build/test";
my $binary = $ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx';
my $module = $ENV{TEST_NGINX_LOAD_MODULES}
             // "$Root/build/ngx_http_jelou_module.so";

delete @ENV{qw(http_proxy https_proxy all_proxy ALL_PROXY HTTPS_PROXY)};


sub slurp {
    my $file = shift;

    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return scalar <$in>;
}

sub spew {
    my ($file, $text) = @_;

    make_path(dirname($file));
    open my $out, '>', $file or die "$file: $!\n";
    print $out $text;
    close $out or die "$file: $!\n";
    return $file;
}

# fences(TEXT, LANGUAGE): the blocks of a document in that language

sub fences {
    my ($text, $language) = @_;

    return $text =~ /^```\Q$language\E\n(.*?)^```$/msg;
}

# configurations(): the example files, path => text

sub configurations {
    my ($cwd) = "$Root/docs/examples";

    return map { ("docs/examples/" . basename($_) => slurp($_)) }
           glob "$cwd/*.conf";
}

# whole(FRAGMENT): a configuration with the fragment in its place, which its first
# directive tells, or undef

sub whole {
    my $text = shift;

    my ($first) = $text =~ /\A(?:\s*#.*\n)*\s*(\w+)/;

    return $text if $first =~ /^(?:load_module|user|worker_processes|events)$/;

    my $http   = $first =~ /^(?:server|map|geo|split_clients|upstream|log_format)$|_zone$/;
    my $server = $first eq 'location';

    return undef if !$http && !$server && $first !~ /^jelou_(?!endpoint)/;

    if (!$http && !$server) {
        $text = "location = /v1/external-support/webhook {\n"
                . " jelou_endpoint incoming_message;\n"
                . " proxy_pass http://app;\n$text}\n";
        $text = " jelou_secret \"a-secret-of-the-test\";\n$text"
            unless $text =~ /jelou_secret/;
    }

    $text = "server {\n$text}\n" if !$http;
    $text =~ s/^(\s*server \{\n)/$1 listen 80;\n/mg unless $text =~ /\blisten /;

    my %upstream = map { $_ => 1 } $text =~ m{_pass +(?:http://)?([a-z]\w+)(?=[/;])}g;

    delete @upstream{ $text =~ /\bupstream (\w+)/g };

    $text = "upstream $_ { server 127.0.0.1:9; }\n$text" for sort keys %upstream;

    $text = "jelou_status_zone zone=jelou:64k;\n$text"
        if $text =~ /jelou_status / && $text !~ /jelou_status_zone/;

    return "load_module ngx_http_jelou_module.so;\nevents {\n}\nhttp {\n$text}\n";
}


# new(NAME): a directory of its own, and ports that no other test has

sub new {
    my ($class, $name) = @_;

    my $self = bless {
        dir => "$all/$name", log => "$all/$name.error.log", port => {},
        name => $name,
    }, $class;

    make_path($all);

    open $self->{lock}, '>', "$all/$name.lock" or die "$all: $!\n";
    flock $self->{lock}, LOCK_EX;

    remove_tree($self->{dir});
    make_path($self->{dir});
    chmod 0755, $self->{dir};
    unlink $self->{log};

    Jelou::Reports::collect("$all/$name.reports");

    for my $n (0 .. 59) {
        open $self->{slot}, '>', "$all/config-slot-$n.lock"
            or die "$all: $!\n";

        if (flock $self->{slot}, LOCK_EX | LOCK_NB) {
            $self->{next_port} = 21000 + 50 * $n;
            return $self;
        }
    }

    die "no ports are free\n";
}

sub dir { return $_[0]{dir} }
sub log { return $_[0]{log} }


sub free_port {
    my $self = shift;

    for (1 .. 50) {
        my $port = $self->{next_port}++;

        return $port if IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp',
            Listen => 1, ReuseAddr => 1);
    }

    die "no ports are free\n";
}

# port(ADDRESS): the port that is used for an address of the documents

sub port {
    my ($self, $address) = @_;

    return $self->{port}{$address} //= $self->free_port;
}

# replace(ADDRESS, PORT): what the documents have there is on that port

sub replace {
    my ($self, $address, $port) = @_;

    $self->{port}{$address} = $port;
}

# supply(PATH, TEXT): a file below /etc/nginx, or of the repository

sub supply {
    my ($self, $path, $text) = @_;

    spew($self->path($path), $text);
}

# path(PATH): where a file that a document names is in this test

sub path {
    my ($self, $path) = @_;

    return $module if $path =~ /ngx_http_jelou_module\.so$/;

    # The workers do not run as root, and nginx reads these in a worker.

    return "$self->{dir}/$1" if $path =~ m{^/etc/nginx/(.+)};
    return "$self->{dir}/" . basename($path);
}

# certificate(NAME): of a TLS server, for all ssl_certificate directives

sub certificate {
    my ($self, $name) = @_;

    system('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
           'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-batch',
           '-subj', "/CN=$name", '-keyout', "$self->{dir}/tls.key",
           '-out', "$self->{dir}/tls.crt") == 0 or die "openssl req: $?\n";
}


# authority(): a certificate authority, which stands for the system's

sub authority {
    my $self = shift;

    system('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
           'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-batch',
           '-subj', '/CN=An authority', '-keyout', "$self->{dir}/ca.key",
           '-out', "$self->{dir}/ca.crt") == 0 or die "openssl req: $?\n";
}

# certified(SERVER, NAMES): the other server's certificate, by this one's authority

sub certified {
    my ($self, $server, @names) = @_;

    my ($ca, $dir) = ($self->{dir}, $server->{dir});

    spew("$dir/tls.ext", 'subjectAltName=' . join(',', map { "DNS:$_" } @names) . "\n");

    system('openssl', 'req', '-newkey', 'ec', '-pkeyopt',
           'ec_paramgen_curve:prime256v1', '-nodes', '-batch', '-subj', '/CN=jelou',
           '-keyout', "$dir/tls.key", '-out', "$dir/tls.csr") == 0
        && system('openssl', 'x509', '-req', '-days', '2', '-in', "$dir/tls.csr",
                  '-CA', "$ca/ca.crt", '-CAkey', "$ca/ca.key", '-CAcreateserial',
                  '-extfile', "$dir/tls.ext", '-out', "$dir/tls.crt") == 0
        or die "openssl: $?\n";
}


# here(CONFIGURATION): with paths and ports of the test's

sub here {
    my ($self, $text) = @_;

    my $dir  = $self->{dir};
    my $temp = join '', map { "    ${_}_temp_path $dir/temp;\n" }
               qw(client_body proxy fastcgi uwsgi scgi);

    # nginx's own default is a file of root's

    $temp .= "    access_log $dir/default-access.log;\n";

    # nginx does not free at its exit the sessions that it has saved: a sanitizer says so

    $temp .= "    proxy_ssl_session_reuse off;\n" if $text =~ /proxy_ssl_/;

    $text =~ s/^load_module\s.*\n//mg if $module eq '';

    my $files = join '|', qw(load_module include jelou_secret_file
                             jelou_upstream_secret_file
                             auth_basic_user_file
                             jelou_redis_auth_file
                             jelou_redis_sentinel_auth_file
                             jelou_redis_ssl_password_file);

    $text =~ s/^\s*(?:pid|error_log|user)\s[^;]*;$//mg;
    $text =~ s/^\s*\w+_temp_path\s[^;]*;$//mg;
    $text =~ s/^(\s*(?:$files)\s+)(?!off;)([^\s;]+)/$1 . $self->path($2)/mge;
    $text =~ s/^(\s*access_log\s+)(?!off)([^\s;]+)/$1 . $self->path($2)/mge;
    $text =~ s/^(\s*ssl_certificate\s+)[^;]+/$1$dir\/tls.crt/mg;
    my $trusted = -e "$dir/ca.crt" ? 'ca.crt' : 'tls.crt';

    $text =~ s/^(\s*\w+_ssl_trusted_certificate\s+)[^;]+/$1$dir\/$trusted/mg;
    $text =~ s/^(\s*ssl_certificate_key\s+)[^;]+/$1$dir\/tls.key/mg;
    $text =~ s/^(\s*listen\s+)([^\s;]+)/
               $1 . '127.0.0.1:' . $self->port($2)/mgex;
    $text =~ s/^(\s*server\s+)([^\s;{]+)/
               $1 . (defined $self->{port}{$2} ? "127.0.0.1:$self->{port}{$2}"
                                               : $2)/mgex;
    $text =~ s/^(\s*proxy_pass\s+http:\/\/)([\d.]+:\d+)/
               $1 . (defined $self->{port}{$2} ? "127.0.0.1:$self->{port}{$2}"
                                               : $2)/mgex;
    $text =~ s/^(http \{\n)/$1$temp/m;

    # a name that nobody asks a resolver for; it is a group of servers, where the
    # test has one of that name

    my $jelou = $self->{port}{'jelou.ai:443'};

    $text =~ s/^(http \{\n)/$1 . join '', map {
        "    upstream $_ { server 127.0.0.1:$jelou; }\n" } qw(chatbot.jelou.ai api.jelou.ai)/me
        if $jelou;
    $text =~ s{^(\s*proxy_pass\s+https://)(?:chatbot|api)\.jelou\.ai}{${1}127.0.0.1}mg
        if !$jelou;

    return "pid $dir/nginx.pid;\nerror_log $self->{log} info;\n$text";
}

# check(CONFIGURATION): what "nginx -t" says, but for what depends on its
# version and on who calls it; nothing if all is well

sub check {
    my ($self, $text) = @_;

    my $file = spew("$self->{dir}/test.conf", $self->here($text));
    my $test = Jelou::Reports::without_leaks(
        "$binary -t -q -p $self->{dir} -c $file -e stderr 2>&1");
    my $said = `$test`;

    $said =~ s/.*the "listen ... http2" directive is deprecated.*\n//g;

    return $? == 0 ? $said : "$said(exit status $?)";
}


# start(CONFIGURATION): with empty logs

sub start {
    my ($self, $text) = @_;

    unlink glob "$self->{dir}/*.log";

    my $file = spew("$self->{dir}/nginx.conf", $self->here($text));
    my $pid  = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDERR, '>>', "$self->{dir}/stderr";
        exec $binary, '-p', $self->{dir}, '-c', $file, '-e', $self->{log},
             '-g', 'daemon off;';
        die "$binary: $!\n";
    }

    $self->{pid} = $pid;

    for (1 .. 100) {
        return if -s "$self->{dir}/nginx.pid"
                  && !grep { !IO::Socket::INET->new("127.0.0.1:$_") }
                           map { /listen\s+127\.0\.0\.1:(\d+)/g } slurp($file);
        sleep 0.05;
    }

    die "nginx does not start: ", slurp($self->{log});
}

sub stop {
    my $self = shift;

    my $pid = delete $self->{pid} or return;

    kill QUIT => $pid;
    waitpid $pid, 0;

    Jelou::Reports::check($self->{name}, $self->{log});
}

sub DESTROY {
    local $?;

    $_[0]->stop;
}


# send(URL, BODY, OPTIONS): the answer, head and body.  Options:
#
#     secret   to sign with
#     user     name and password, of Basic authentication
#     at       the port to connect to, whatever the URL has
#     curl     a list of options for curl

sub send {
    my ($self, $url, $body, %o) = @_;

    my @options = @{ $o{curl} // [] };

    push @options, '-H', 'X-Jelou-Signature: sha256='
                         . hmac_sha256_hex($body, $o{secret})
        if defined $o{secret};
    push @options, '-H', 'Authorization: Basic ' . encode_base64($o{user}, '')
        if defined $o{user};
    push @options, '--connect-to', "::127.0.0.1:$o{at}" if $o{at};

    open my $in, '-|', 'curl', '-sSik', '-m', 10, '--noproxy', '*',
        '-H', 'Content-Type: application/json',
        '--data-binary', '@' . spew("$self->{dir}/body", $body), @options, $url
        or die "curl: $!\n";

    local $/;
    my ($head, $answer) = split /\r?\n\r?\n/, scalar <$in>, 2;
    return ($head // '', $answer // '');
}


1;
