# The documents and the code say the same, and the examples work: directives,
# variables and errors are compared with the tables in the sources, every block
# of nginx configuration is loaded, and the commands of the README are run.

use strict;
use warnings;

use Cwd qw(abs_path);
use Digest::SHA qw(hmac_sha256_hex);
use File::Basename qw(basename dirname);
use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep);

my ($root, $dir, $log);

BEGIN {
    $root = abs_path(dirname(__FILE__) . '/..');

    my $all = $ENV{JELOU_TEST_DIR} || "$root/build/test";

    $dir = "$all/docs";
    $log = "$all/docs.error.log";

    remove_tree($dir);
    make_path($dir);
    chmod 0755, $dir;
    unlink $log;
}

use lib "$root/t/lib";
use Jelou::Upstream;

my $nginx  = $ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx';
my $module = $ENV{TEST_NGINX_LOAD_MODULES}
             || "$root/build/ngx_http_jelou_module.so";
my $url    = '/v1/external-support/webhook';

chdir $root or die "$root: $!\n";

delete @ENV{qw(http_proxy https_proxy all_proxy ALL_PROXY HTTPS_PROXY)};


sub slurp {
    my $file = shift;

    open my $in, '<', $file or die "$file: $!\n";
    local $/;
    return scalar <$in>;
}

sub spew {
    my ($file, $text) = @_;

    open my $out, '>', $file or die "$file: $!\n";
    print $out $text;
    close $out or die "$file: $!\n";
    return $file;
}

my %doc = map { $_ => slurp($_) } 'README.md', glob 'docs/*.md';

my %conf = map { $_ => slurp($_) } glob 'docs/examples/*.conf';

my %code = map { /ngx_http_jelou_(\w+)\.c$/ => slurp($_) }
           glob 'ngx_http_jelou_module/*.c';

# "one " "string" of C in two parts is one

s/"\n\s*"//g for values %code;

# same(GOT, WANT, NAME): two sets of strings

sub same {
    my ($got, $want, $name) = @_;

    is_deeply([sort @$got], [sort @$want], $name);
}

sub fences {
    my ($text, $language) = @_;

    return $text =~ /^```\Q$language\E\n(.*?)^```$/msg;
}

# section(TEXT, HEADING): down to the next heading of that rank

sub section {
    my ($text, $heading) = @_;

    return $text =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms ? $1 : '';
}


# Directives

my %flags = $code{module}
            =~ /\{ ngx_string\("(jelou_\w+)"\),\s*([A-Z_0-9|\s]+?),/g;

my %default = (
    jelou_endpoint   => 'off',
    jelou_event_type => 'incoming_message',
    map { ("jelou_$_->[0]" => $_->[1]) }
        (map { [lc $1, lc $2] if /(\w+)_(\w+)/ } $code{module} =~
            /_merge_uint_value\([^;]*NGX_HTTP_JELOU_(\w+)\)/g),
        [strict => $code{module} =~ /conf->strict, prev->strict, 1\)/
                   ? 'on' : 'off'],
        [field  => $code{module} =~ /defaults\[\] = \{\s*ngx_string\("(\w+)"/],
        [object => $code{module}
                   =~ /defaults\[\] = \{[^,]*,\s*ngx_string\("(\w+)"/],
);

my ($endpoints) = $code{schema} =~ /ngx_http_jelou_endpoints\[\] = \{(.*?)^\};/ms;

my %choice = (
    jelou_endpoint => ['off', $endpoints =~ /\{ ngx_string\("(\w+)"\)/g],
    jelou_types    => [map { split /, / } $endpoints =~ /"must be one of ([^"]+)"/g],
    jelou_format   => [map { lc } $code{module} =~
                       /"\), NGX_HTTP_JELOU_FORMAT_(\w+)/g],
    jelou_reply    => [map { lc } $code{module} =~
                       /"\), NGX_HTTP_JELOU_REPLY_(\w+)/g],
);

my %context = (MAIN => 'http', SRV => 'server', LOC => 'location');

subtest directives => sub {
    my $text = $doc{'docs/directives.md'};

    ok(keys %flags >= 9, 'the table of the module is found');
    same([$text =~ /^## (jelou_\w+)$/mg], [keys %flags], 'what is documented');

    for my $name (sort keys %flags) {
        my ($form, $prose) = section($text, $name)
                             =~ /\A\n```\n(.*?)^```\n\n(.*)/ms;
        my %is = ($form // '') =~ /^(Syntax|Default|Context): +(\S.*)$/mg;

        same([keys %is], [qw(Syntax Default Context)], "$name: its form")
            or next;

        my ($values) = $is{Syntax} =~ /^$name (.+?)(?: \.\.\.)?;$/;
        my @choice = split / \| /, $values // '';

        $choice{$name} //= [qw(on off)] if $flags{$name} =~ /NGX_CONF_FLAG/;

        if ($choice{$name}) {
            same(\@choice, $choice{$name}, "$name: the values");

        } else {
            like($values, qr/^(string|secret)$/, "$name: the value");
        }

        is($is{Syntax} =~ /\.\.\./ ? 'several' : 'one',
           $flags{$name} =~ /1MORE/ ? 'several' : 'one', "$name: how many");

        is($is{Default},
           defined $default{$name} ? "$name $default{$name};" : '—',
           "$name: the default");

        same([split /, /, $is{Context}],
             [map { $context{$_} // die $_ }
                  $flags{$name} =~ /NGX_HTTP_(\w+)_CONF/g],
             "$name: the context");

        like($prose, qr/\A[A-Z][a-z]+s /, "$name: begins with a verb");
    }
};


# Variables

my @variables = $code{variable} =~ /\{ ngx_string\("(jelou_\w+)"\)/g;

subtest variables => sub {
    ok(@variables >= 10, 'the table of the module is found');

    same([section($doc{'docs/directives.md'}, 'Variables')
          =~ /^\| `\$(\w+)` \|/mg], \@variables, 'what is documented');
};


# No document speaks of a directive or a variable that there is not.

subtest names => sub {
    my %known = map { $_ => 1 } keys %flags, map { "\$$_" } @variables;

    for my $file (sort keys %doc, keys %conf) {
        my $text = $doc{$file} // $conf{$file};

        same([grep { !$known{$_} } $text =~ /(?<![\w\$])(\$?jelou_\w+)/g], [],
             $file);
    }
};


# Errors

subtest errors => sub {
    my $text = $doc{'docs/errors.md'};

    # level, code and key of the catalogue; key of a status

    my (%refusal, %status);

    while ($code{error} =~ /NGX_LOG_(\w+)[^;]*?"(\d{3}\.\d)",\s*"([A-Z_]+)"/g) {
        $refusal{$3} = { code => $2, level => $1 eq 'ERR' ? 'error' : lc $1 };
    }

    while ($code{error} =~ /\{ (\d+), 0, ngx_string\("[^"]*"\),\s*ngx_string\("([A-Z_]+)"/g) {
        $status{$1 || 'any other 4xx'} = $2;
    }

    ok(keys %refusal >= 12 && keys %status >= 21, 'the tables are found');

    my (%row, %by_status);

    while ($text =~ /^\| (.+?) \| `([A-Z_]+)` \| ([\d.]+)(.*?) \| (\w+) \|$/mg) {
        my ($said, $key, $code, $level) = ($1, $2, $3, $5);

        $row{$key} = { code => $code, level => $level };

        is($said, $key eq 'UPSTREAM_REJECTED' ? "the upstream's"
                                              : substr($code, 0, 3),
           "$key: the status");
    }

    $by_status{$1} = $2 while $text =~ /^\| (.+?) \| `([A-Z_]+)` \|$/mg;

    is_deeply(\%row, \%refusal, 'key, code and level of refusals');
    is_deeply(\%by_status, \%status, 'keys of a status');

    same([$text =~ /^\*\*`([A-Z_]+)`\*\* – /mg], [keys %refusal],
         'each is explained');

    my %key = map { $_ => 1 } keys %refusal, values %status;

    for my $file (sort keys %doc) {
        same([grep { !$key{$_} } $doc{$file} =~ /`([A-Z]+_[A-Z_]+)`/g], [],
             "$file: no other key");
    }

    # Two texts of the code have no use before a schema has a number or an array.

    my %used = map { ("must be $_->[0]" => scalar $code{schema} =~ /\bNGX_HTTP_JELOU_$_->[1]\b/) }
               ['a number', 'NUMBER'], ['an array', 'ARRAY'];

    my @said = section($text, 'Violations') =~ /^\| `(.+?)` \|/mg;
    my @code = grep { $used{$_} // 1 }
               "$code{schema}$code{parse}" =~ /ngx_string\("((?:must|is) [^"]+)"/g;

    same([grep { !/^must be "/ } @said], \@code, 'violations');
    is(scalar(grep { $_ eq qq(must be "$default{jelou_field}") } @said), 1,
       'the violation of a fixed value');

    my @reasons = $code{parse} =~ /reason = [^;"]*"([^"]+)"/g;

    same([grep { index($text, "`$_`") < 0 } @reasons], [],
         'why a body is not JSON');
    ok(@reasons >= 4, 'the reasons are found');
};


# Links

subtest links => sub {
    my %anchor = map {
        my $file = $_;

        map { s/[^\w\- ]//gr =~ s/ /-/gr =~ s/^/$file#/r }
            map { lc } $doc{$file} =~ /^#+ (.+)$/mg;
    } keys %doc;

    my %anchors = map { $_ => 1 } %anchor;

    for my $file (sort keys %doc) {
        while ($doc{$file} =~ /\]\(([^)#]*)(#[^)]*)?\)/g) {
            my ($path, $anchor) = ($1, $2);

            $path = $path eq '' ? $file
                  : $file =~ m{^docs/} ? "docs/$path" : $path;

            ok(-e $path, "$file: $path");
            ok($anchors{"$path$anchor"}, "$file: $path$anchor")
                if defined $anchor;
        }
    }
};


subtest commands => sub {
    my $readme = $doc{'README.md'};

    for my $script (glob 'util/*.sh') {
        next if $script eq 'util/lib.sh';

        ok($readme =~ /^sh \Q$script\E$/m, $script);

        my @packages = map { split } slurp($script) =~ /^need (.+)$/mg;

        same([grep { index($readme, "`$_`") < 0 } @packages], [],
             "the packages that $script installs");
    }
};


# Configurations

my $next_port = 21000 + $$ % 200 * 10;

sub free_port {
    for (1 .. 2000) {
        my $port = $next_port++;

        return $port if IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp',
            Listen => 1, ReuseAddr => 1);
    }

    die "no ports are free\n";
}

sub certificate {
    system('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
           'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-batch',
           '-subj', '/CN=webhook.example.com', '-keyout', "$dir/tls.key",
           '-out', "$dir/tls.crt") == 0 or die "openssl req: $?\n";
}

my %port;    # of a listen address in the documents

# here(CONFIGURATION): with paths and ports of the test's

sub here {
    my $text = shift;

    my $temp = join '', map { "    ${_}_temp_path $dir/temp;\n" }
               qw(client_body proxy fastcgi uwsgi scgi);

    $text =~ s/^\s*(?:pid|error_log)\s[^;]*;$//mg;
    $text =~ s/^\s*\w+_temp_path\s[^;]*;$//mg;
    $text =~ s/^(\s*load_module\s+)[^;]+/$1$module/mg;
    $text =~ s/^(\s*access_log\s+)(?!off)([^\s;]+)/"$1$dir\/" . basename $2/mge;
    $text =~ s/^(\s*ssl_certificate\s+)[^;]+/$1$dir\/tls.crt/mg;
    $text =~ s/^(\s*ssl_certificate_key\s+)[^;]+/$1$dir\/tls.key/mg;
    $text =~ s/^(\s*include\s+)\S+\/(jelou-secret\.conf)/$1$dir\/$2/mg;
    $text =~ s/^(\s*listen\s+)([^\s;]+)/
               $1 . '127.0.0.1:' . ($port{$2} \/\/= free_port())/mgex;
    $text =~ s/^(http \{\n)/$1$temp/m;

    return "pid $dir/nginx.pid;\nerror_log $log info;\n$text";
}

my %level = (
    main     => [qw(load_module user worker_processes events http)],
    http     => [qw(server map geo upstream log_format limit_req_zone)],
    server   => [qw(location)],
    location => [grep { $_ ne 'jelou_endpoint' } keys %flags],
);

# whole(FRAGMENT): a configuration with the fragment in its place, or undef

sub whole {
    my $text = shift;

    my ($first) = $text =~ /\A(?:\s*#.*\n)*\s*(\w+)/;
    my ($level) = grep { grep { $_ eq $first } @{ $level{$_} } } keys %level;

    return undef unless defined $level;
    return $text if $level eq 'main';

    if ($level eq 'location') {
        $text = "location = $url {\n jelou_endpoint incoming_message;\n"
                . " proxy_pass http://app;\n$text}\n";
        $text = " jelou_secret \"a-secret-of-the-test\";\n$text"
            unless $text =~ /jelou_secret/;
    }

    $text = "server {\n$text}\n" if $level =~ /location|server/;
    $text =~ s/^(\s*server \{\n)/$1 listen 80;\n/mg unless $text =~ /\blisten /;
    $text = "upstream app { server 127.0.0.1:9; }\n$text"
        unless $text =~ /\bupstream app\b/;

    return "load_module $module;\nevents {\n}\nhttp {\n$text}\n";
}

sub nginx_test {
    my $text = shift;

    my $file = spew("$dir/test.conf", here($text));
    my $said = `$nginx -t -q -p $dir -c $file -e stderr 2>&1`;

    $said =~ s/.*the "listen ... http2" directive is deprecated.*\n//g;
    $said =~ s/.*the "user" directive makes sense only.*\n//g;

    return $? == 0 ? $said : "$said(exit status $?)";
}

certificate();
spew("$dir/jelou-secret.conf", qq(jelou_secret "a-secret-of-the-test";\n));

subtest 'blocks of configuration' => sub {
    for my $file (sort keys %doc) {
        my @blocks = fences($doc{$file}, 'nginx');

        ok(@blocks >= 2, "$file: has blocks");

        for my $i (0 .. $#blocks) {
            my $text = whole($blocks[$i]);
            my $name = "$file: block $i";

            ok(defined $text, "$name: its level is known") or next;
            is(nginx_test($text), '', "$name loads");
        }
    }
};

subtest 'example files' => sub {
    ok(keys %conf >= 2, 'there are some');

    is(nginx_test($conf{$_}), '', "$_ loads") for sort keys %conf;

    my ($copy) = grep { /ssl_certificate/ } fences($doc{'README.md'}, 'nginx');

    is($copy, $conf{'docs/examples/production.conf'},
       'the README has production.conf as it is');
};

subtest 'documented values' => sub {
    for my $name (sort keys %flags) {
        my @values = @{ $choice{$name} // [$default{$name} // 'a-secret-value-x'] };

        for my $value (@values) {
            my $text = join '', map { " $_;\n" } "$name $value",
                $name ne 'jelou_endpoint' ? 'jelou_endpoint incoming_message' : (),
                $name ne 'jelou_secret' ? 'jelou_secret a-secret-value-x' : ();

            is(nginx_test(whole("location / {\n$text}\n")), '', "$name $value");
        }
    }
};


# A running nginx

my ($pid, $upstream);

sub start {
    my $text = shift;

    my $file = spew("$dir/nginx.conf", here($text));

    $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open STDERR, '>>', "$dir/stderr";
        exec $nginx, '-p', $dir, '-c', $file, '-e', $log, '-g', 'daemon off;';
        die "$nginx: $!\n";
    }

    for (1 .. 100) {
        return if -s "$dir/nginx.pid"
                  && !grep { !IO::Socket::INET->new("127.0.0.1:$_") }
                           map { /listen\s+127\.0\.0\.1:(\d+)/g } slurp($file);
        sleep 0.05;
    }

    die "nginx does not start: ", slurp($log);
}

sub stop {
    return unless $pid;

    kill QUIT => $pid;
    waitpid $pid, 0;
    undef $pid;
}

END {
    my $status = $?;

    stop();
    $upstream->stop if $upstream;
    $? = $status;
}

my $app = free_port();

$upstream = Jelou::Upstream->start("$dir/upstream", http => $app);

sub received { return map { $_->{body} } $upstream->requests($_[0]) }

# send_body(BODY, SECRET, CURL-OPTIONS...): the answer, header and body

sub send_body {
    my ($body, $secret, @options) = @_;

    my $signature = hmac_sha256_hex($body, $secret);

    open my $in, '-|', 'curl', '-sSi', '-m', 10, '--noproxy', '*',
        '-H', 'Content-Type: application/json',
        '-H', "X-Jelou-Signature: sha256=$signature",
        '--data-binary', '@' . spew("$dir/body", $body), @options
        or die "curl: $!\n";

    local $/;
    return split /\r?\n\r?\n/, scalar <$in>, 2;
}

my ($quick) = grep { /^load_module/ && !/ssl/ } fences($doc{'README.md'}, 'nginx');
my ($shell) = grep { /openssl dgst/ } fences($doc{'README.md'}, 'sh');
my ($event, $accepted) = fences($doc{'README.md'}, 'json');

my ($secret) = $quick =~ /jelou_secret\s+"([^"]+)"/;

subtest 'quick start' => sub {
    (my $config = $quick) =~ s/127\.0\.0\.1:3000/127.0.0.1:$app/
        or die "no application in the quick start\n";

    start($config);

    my ($listen) = $quick =~ /listen\s+([^\s;]+)/;

    $shell =~ s/\Q$listen\E/127.0.0.1:$port{$listen}/
        or die "the command does not send to $listen\n";

    my $run = sub {
        my $file = spew("$dir/quick.sh", shift);
        my ($head, $body) = split /\r?\n\r?\n/, `sh $file 2>/dev/null`, 2;

        return ($head // '', $body // '');
    };

    my ($head, $body) = $run->($shell);

    chomp($event, $accepted);

    like($head, qr{^HTTP/1\.1 200 }, 'the message is accepted');
    is($body, $accepted, 'the answer');
    is_deeply([received(1)], [$event], 'what the application gets');

    $upstream->expect;

    (my $wrong = $shell) =~ s/^(secret='.*)'/$1x'/m
        or die "no secret in the command\n";

    ($head, $body) = $run->($wrong);

    like($head, qr{^HTTP/1\.1 401 }, 'with another secret it is not');
    like($body, qr/"SIGNATURE_MISMATCH"/, 'and the key says why');
    is_deeply([received(0)], [], 'the application gets nothing');
};

subtest 'the example in errors.md' => sub {
    my ($example) = fences($doc{'docs/errors.md'}, 'json');

    # $event, made wrong at the places of the example

    my $wrong = JSON::PP->new->decode($event);

    delete $wrong->{project_id};
    $wrong->{value}{type} = 'image';
    $wrong->{value}{content} = { url => 'http://a/b', mime_type => 'image/png' };

    my ($head, $body) = send_body(JSON::PP->new->encode($wrong), $secret,
                                  "http://127.0.0.1:$port{'127.0.0.1:8080'}$url");

    my $json = JSON::PP->new->utf8;

    is_deeply($json->decode($body), $json->decode($example), 'the answer');

    my $key = qr/^\s*"(\w+)":/m;
    is_deeply([$body =~ /"(\w+)":/g], [$example =~ /$key/g], 'in that order');
};

stop();

subtest 'production.conf at work' => sub {
    (my $config = $conf{'docs/examples/production.conf'})
        =~ s/10\.0\.0\.1[12]:8080/127.0.0.1:$app/g;

    $upstream->expect;
    start($config);

    my ($head, $body) = send_body($event, 'a-secret-of-the-test', '-k',
        '--http2', '--resolve', "webhook.example.com:$port{443}:127.0.0.1",
        "https://webhook.example.com:$port{443}$url");

    like($head, qr{^HTTP/2 200 }, 'the message is accepted, over HTTP/2');
    is($body, $accepted, 'the answer');
    is_deeply([received(1)], [$event], 'what the application gets');

    stop();

    my @lines = split /\n/, slurp("$dir/jelou.log");
    my $line  = eval { JSON::PP->new->utf8->decode($lines[0]) } // {};

    is(scalar @lines, 1, 'one line in the log');
    is(join(' ', map { $_ // '-' }
                 @$line{qw(status result project_id message_id type)}),
       '200 accepted p-1 m-1 text', 'the log');
};

unlike(slurp($log), qr/\[(?:alert|emerg)\]/, 'no alert in the error log');

done_testing();
