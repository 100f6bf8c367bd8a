# What the pages of the book tell their reader to do is done here: the commands of
# getting-started.md and troubleshooting.md give what the pages say, logs and all,
# the guides' configurations do what they are for, the new event of development.md is
# built, and the tests that the pages name are there.

use strict;
use warnings;

use Cwd qw(abs_path getcwd);
use File::Basename qw(basename);
use File::Path qw(make_path);
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Test::More;

use lib 't/lib';
use Jelou::Config qw($Root slurp spew fences configurations whole);
use Jelou::Faults;
use Jelou::Upstream;

plan skip_all => 'a reader looks into a log before valgrind has written it'
    if Jelou::Faults->wrapped;

my $nginx = Jelou::Config->new('book');
my $dir   = $nginx->dir;

chdir $Root or die "$Root: $!\n";

my %doc  = map { basename($_) => slurp($_) } glob 'docs/*.md';
my %conf = configurations();


# sections(PAGE): [heading, blocks]; a block is { language, text, answer }, and its
# answer the text or JSON that stands right behind it

sub sections {
    my $text = shift;

    my (@sections, $block, $last);

    for (split /^/, $text) {
        if ($block) {
            $block = undef, next if /^```$/;
            $block->{text} .= $_;

        } elsif (/^```(\w*)$/) {
            $block = { language => $1, text => '' };
            $last->{answer} = $block if $last && $1 =~ /^(?:text|json)$/;
            push @{ $sections[-1][1] }, $last = $block if @sections;

        } elsif (/^## (.+)/) {
            push @sections, [$1, []];
            $last = undef;

        } elsif (/\S/) {
            $last = undef;
        }
    }

    return @sections;
}

# run(SHELL): its output, of both kinds, in two minutes at most

sub run {
    my $file = spew("$dir/commands.sh", shift);
    my $cwd  = getcwd;

    chdir $dir or die "$dir: $!\n";
    my $said = `LC_ALL=C timeout 120 sh $file 2>&1`;
    chdir $cwd or die "$cwd: $!\n";

    return $said;
}

# follow(PAGE, EDIT): runs the commands of the page, in one shell, and compares what
# each block prints with the answer behind it.  EDIT makes of a block what is run,
# or undef.

sub follow {
    my ($page, $edit) = @_;

    my (@blocks, @unchecked);

    # $app is what it has started in the background

    my $script = "app=\ntrap '[ -z \"\$app\" ] || kill \"\$app\"' EXIT\n"
                 . "trap 'exit 1' TERM\n";

    for (sections($doc{$page})) {
        my ($name, $blocks) = @$_;

        for my $block (grep { $_->{language} eq 'sh' } @$blocks) {
            my $text = $edit->($block->{text}) // next;

            # functions print nothing, but what calls them does

            push @unchecked, $text
                if !$block->{answer}
                   && $text =~ /^(?:curl|openssl|send|try|sign)\b(?!\()/m;

            # a log has its lines a moment after the answer

            if ($block->{answer} && $text =~ /([^\s<]+\.log)\s*\z/) {
                my $log   = $1;
                my $lines = () = $block->{answer}{text} =~ /\n/g;

                $script .= "for i in \$(seq 50); do [ \$(wc -l <$log) -ge $lines ]"
                           . " && break; sleep 0.1; done\n";
            }

            $script .= "$text\nprintf '\\n=== end\\n'\n";
            push @blocks, [$name, $block->{answer}];
        }
    }

    is("@unchecked", '', "$page: what each request gives is said");

    my @got = split /^=== end\n/m, run($script);

    is(scalar @got, scalar @blocks, "$page: all commands are run");

    for my $i (0 .. $#blocks) {
        my ($name, $answer) = @{ $blocks[$i] };
        my $want = $answer ? $answer->{text} : '';

        s/\s+\z// for $want, $got[$i] //= 'nothing';

        is($got[$i], $want, "$page, $name: what the commands print");
    }
}

# in_log(LOG, LINE): a line of a document, with "…" for whatever there is

sub in_log {
    my ($log, $line) = @_;

    my $pattern = join '.*', map { quotemeta } split /\s*…\s*/, $line;

    return $log =~ /$pattern/;
}


subtest 'troubleshooting.md' => sub {
    my $conf = $conf{'docs/examples/refusals.conf'};

    my ($client) = $doc{'troubleshooting.md'} =~ /openssl passwd -apr1 (\w+)/;
    my @secrets  = $doc{'troubleshooting.md'}
                   =~ /^ +echo '(.*)' >+build\/run\/jelou\.secrets$/mg;

    is(scalar @secrets, 2, 'the secrets are found');

    $nginx->supply('htpasswd', 'client:' . `openssl passwd -apr1 $client`);
    chmod 0600, $nginx->supply('jelou.secrets', join '', map { "$_\n" } @secrets)
        or die "chmod: $!\n";
    $nginx->replace('127.0.0.1:8081', $nginx->free_port);
    $nginx->start($conf);

    my $port = $nginx->port('127.0.0.1:8080');

    follow('troubleshooting.md', sub {
        my $text = shift;

        # nginx has been started already

        return undef if $text =~ /^nginx /m;

        return $text =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/gr
                     =~ s{build/run/}{}gr;
    });

    $nginx->stop;

    my $log      = slurp($nginx->log);
    my @sections = sections($doc{'troubleshooting.md'});
    my %text     = map {
        $_->[0] => [map { split /\n/, $_->{text} }
                    grep { $_->{language} eq 'text' } @{ $_->[1] }];
    } @sections;

    for my $name (sort keys %text) {
        ok(in_log($log, $_), "$name: the log has $_")
            for grep { /^\[\w+\] / } @{ $text{$name} };
    }

    # A key that the module refuses with has a section, and no other has.

    my @keys = $doc{'errors.md'} =~ /^\| [^|]+ \| `([A-Z_]+)` \| [\d.]/mg;
    is_deeply([sort grep { /^[A-Z_]+$/ } keys %text],
              [sort 'UNAUTHORIZED', @keys], 'each error key has a section');

    # The configuration that is shown is the one that is tried.

    my ($block) = map { $_->{text} } grep { $_->{language} eq 'nginx' }
                  map { @{ $_->[1] } } @sections;

    for my $part (map { s/^    //mgr } $block =~ /^(    location .*?^    \})/msg) {
        like($conf =~ s/^        //mgr, qr/^\Q$part\E$/m,
             'a location is that of the example');
    }
};


subtest 'troubleshooting.md: the place to try, where only root can enter' => sub {
    plan skip_all => 'this is not root' if $>;
    plan skip_all => 'the module is not a file'
        if !$ENV{TEST_NGINX_LOAD_MODULES};

    my ($start) = grep { /^nginx /m } map { $_->{text} }
                  grep { $_->{language} eq 'sh' }
                  map { @{ $_->[1] } } sections($doc{'troubleshooting.md'});

    my $clone = "$dir/private";
    my $port  = $nginx->free_port;
    my $app   = $nginx->free_port;

    make_path("$clone/docs/examples", "$clone/build", "$clone/bin");
    symlink $ENV{TEST_NGINX_BINARY}, "$clone/bin/nginx" or die "nginx: $!\n";
    symlink $ENV{TEST_NGINX_LOAD_MODULES},
            "$clone/build/ngx_http_jelou_module.so" or die "module: $!\n";

    spew("$clone/docs/examples/refusals.conf",
         slurp('docs/examples/refusals.conf') =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/gr
                                              =~ s/127\.0\.0\.1:8081/127.0.0.1:$app/gr);
    chmod 0700, $clone or die "$clone: $!\n";

    my $said = run(<<"END");
cd '$clone' && umask 077 && PATH='$clone/bin':\$PATH
$start
curl -sS -m 10 --noproxy '*' -u client:password -d '' \\
    -H 'Content-Type: application/json' http://127.0.0.1:$port/v1/rooms/r-1/message |
    grep -o '"key":"[A-Z_]*"'
nginx -p "\$PWD" -c build/run/refusals.conf -s stop 2>/dev/null
rm -r "\$readable"
END

    is($said, qq("key":"INVALID_JSON"\n), 'nginx lets the client in');
};


# here(TEXT): with the ports and the files of this test

my $app = $nginx->free_port;

sub here {
    my $text = shift;

    my $port = $nginx->port('127.0.0.1:8080');

    return $text =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/gr
                 =~ s/\b3000\b/$app/gr
                 =~ s{/etc/nginx/|/var/log/nginx/}{$dir/}gr;
}

subtest 'getting-started.md' => sub {
    my $page = $doc{'getting-started.md'};

    my ($config) = fences($page, 'nginx');
    my ($secret) = grep { />\/etc\/nginx\/jelou\.secrets/ } fences($page, 'sh');

    is(run(here($secret)), '', 'the secret is written');
    is(sprintf('%o', (stat "$dir/jelou.secrets")[2] & 0777), '600',
       'and nobody else can read it');

    $nginx->replace('127.0.0.1:3000', $app);
    $nginx->start(whole($config));

    my $listening = sprintf ':%04X 00000000:0000 0A', $app;

    follow('getting-started.md', sub {
        my $text = here(shift);

        # the module is there already, and nginx runs

        return undef if $text =~ /nginx -t/;

        $text .= <<"END" if $text =~ /^perl .* &$/m;
app=\$!
for _ in 1 2 3 4 5 6 7 8 9; do
    grep -q '$listening' /proc/net/tcp && break
    sleep 0.2
done
END
        return $text;
    });

    $nginx->stop;
};


# An application behind the guides' configurations

my $upstream = Jelou::Upstream->start("$dir/upstream", http => $app);
my $secret   = 'the-signing-secret-of-the-test';

# start(HTTP [, SECRETS]): the upstream "app" of which is our application

sub start {
    my ($text, $secrets) = @_;

    chmod 0600, $nginx->supply('/etc/nginx/jelou.secrets', $secrets // "$secret\n")
        or die "chmod: $!\n";

    $upstream->expect;
    $nginx->start(whole($text) =~ s/(upstream app \{ server 127\.0\.0\.1:)9;/$1$app;/r);
}

sub message {
    my ($room, $id) = @_;

    return '{"field":"messages","object":"message_event","event_type":"message",'
        . '"timestamp":1776134352163,"project_id":"p-1","room_id":"' . $room . '",'
        . '"contact":{"id":"u-1"},"conversation":{"id":"c-1"},"bot":{"id":"b-1"},'
        . '"value":{"id":"' . $id . '","type":"text","content":{"body":"Hi"}}}';
}

# post(BODY, SECRET): status, and key or the name of the header of a replay

sub post {
    my ($body, $secret) = @_;

    my ($head, $answer) = $nginx->send('http://127.0.0.1:' . $nginx->port('80')
                                       . '/jelou/webhook', $body,
                                       secret => $secret);

    return join ' ', $head =~ m{^HTTP/\S+ (\d+)}, $answer =~ /"key":"(\w+)"/,
                     $head =~ /^(Idempotent-Replayed):/mi;
}

sub bodies { return map { $_->{body} } $upstream->requests($_[0]) }


subtest 'migrating.md: the endpoint watches' => sub {
    my ($watch) = grep { /mirror/ } fences($doc{'migrating.md'}, 'nginx');
    my $body    = message('r-1', 'm-1');

    start($watch);

    is(post($body, $secret), '200', 'signed');
    is(post($body, 'another-secret'), '200', 'not signed right');
    is(post('{}', $secret), '200', 'not an event');

    is_deeply([bodies(3)], [$body, $body, '{}'],
              'the application gets each as it was sent');

    $nginx->stop;

    is_deeply([map { s/^\S+ //r } split /\n/, slurp("$dir/jelou-watch.log")],
              ['accepted 1', 'signature_mismatch ', 'invalid_event 1'],
              'the log says what the endpoint would have answered');
};

subtest 'rotation.md: the steps' => sub {
    my $page = $doc{'rotation.md'};

    my ($config)  = grep { /^log_format/ } fences($page, 'nginx');
    my ($secrets) = fences($page, 'text');
    my ($add)     = grep { /jelou\.secrets\.new/ } fences($page, 'sh');
    my ($count)   = grep { /^awk / } fences($page, 'sh');
    my ($old)     = $secrets =~ /^project-a +(\S+)$/m;
    my ($new)     = $add =~ /'project-a +(\S+)'/;
    my ($body)    = $doc{'getting-started.md'} =~ /<<'EOF'\n(\{.*?^\}\n)EOF/ms;

    $body =~ s/"p-1"/"project-a"/;

    start($config, $secrets);

    my $url    = 'http://127.0.0.1:' . $nginx->port('80')
                 . '/v1/external-support/webhook';
    my $status = sub {
        my ($head) = $nginx->send($url, $body, secret => $_[0]);
        return $head =~ m{^HTTP/\S+ (\d+)} ? $1 : $head;
    };

    is($status->($old), 200, 'the old secret is known');
    is($status->($new), 401, 'the new one is not');

    is(run("umask 22\n" . $add =~ s{cd /etc/nginx$}{cd '$dir'}mr . "umask\npwd -P\n"),
       "0022\n" . abs_path($dir) . "\n", 'it is added, and the shell is as it was');
    is(slurp("$dir/jelou.secrets"), "${secrets}project-a  $new\n", 'to the others');
    is(sprintf('%o', (stat "$dir/jelou.secrets")[2] & 0777), '600',
       'and nobody else can read it');

    # A request is under way, and holds an old worker.

    my ($wait) = grep { /pgrep/ } fences($page, 'sh');

    $wait =~ s/pgrep /pgrep -P $nginx->{pid} /;
    $upstream->expect('delay 2 200');

    my $slow = fork // die "fork: $!\n";

    POSIX::_exit($status->($old) == 200 ? 0 : 1) if !$slow;

    is(scalar bodies(1), 1, 'a slow request is at the application');

    my $began = time;

    kill HUP => $nginx->{pid};
    select undef, undef, undef, 0.5;

    is(run($wait), '', 'the wait for old workers');
    cmp_ok(time - $began, '>=', 2, 'is as long as the request');
    cmp_ok(time - $began, '<', 20, 'and ends');

    waitpid $slow, 0;
    is($?, 0, 'which is answered');

    $upstream->expect;

    for (1 .. 100) {
        last if $status->($new) == 200;
        select undef, undef, undef, 0.05;
    }

    is($status->($old), 200, 'both are known');

    $nginx->stop;

    my ($said) = $page =~ /\Q$count\E```\n\n```text\n(.*?)^```/ms;

    is(run(here($count)), $said, 'who has signed');
};

subtest 'projects.md: keeping the file' => sub {
    my ($write) = grep { /NF != 2/ } fences($doc{'projects.md'}, 'sh');

    $write =~ s{cd /etc/nginx}{cd '$dir'};
    $write =~ s/^nginx -t .*/umask; pwd -P/m or die "projects.md does not reload\n";

    unlink "$dir/jelou.secrets";
    is(run("umask 22\n$write"), "0022\n" . abs_path($dir) . "\n", 'it is written, and the shell is as it was');
    is(slurp("$dir/jelou.secrets"), "project-a the-secret-of-project-a\n"
                                    . "project-b the-secret-of-project-b\n", 'the file');
    is(sprintf('%o', (stat "$dir/jelou.secrets")[2] & 0777), '600',
       'nobody else can read it');

    like(run($write =~ s/the-secret-of-project-b/''/r), qr/^line 2 has not two words$/m,
         'a line without a secret is found');
    like(slurp("$dir/jelou.secrets"), qr/^project-b the-secret/m, 'and the file stays');
};

subtest 'jelou-side.md: a client' => sub {
    plan skip_all => 'this is not root' if $>;

    my ($add) = grep { /openssl passwd/ } fences($doc{'jelou-side.md'}, 'sh');

    is(run($add =~ s{/etc/nginx/}{$dir/}gr), '', 'it is added');

    my ($hash, $salt) = slurp("$dir/jelou.clients") =~ /^a-client:(\$apr1\$(.+)\$.+)$/;

    is(`openssl passwd -apr1 -salt '$salt' the-password`, "$hash\n", 'with its password');
    is(sprintf('%o %s', (stat "$dir/jelou.clients")[2] & 0777,
               scalar getgrgid((stat _)[5])), '640 www-data', 'workers can read it');
};


subtest 'partner-side.md' => sub {
    my $page     = $doc{'partner-side.md'};
    my ($config) = fences($page, 'nginx');
    my %handler  = map { $_ => (fences($page, $_))[0] } qw(js python php);
    my ($listen, $send) = fences($page, 'sh');

    # the laptop: one terminal, and the other one

    $upstream->stop;
    $listen =~ s/--port 3000/--port 3000 --count 1/ or die "no listener\n";

    my $said = run(<<"END" =~ s{\b3000\b}{$app}gr);
ln -sf $Root/util util
(
${listen}) >heard 2>&1 &
for _ in \$(seq 50); do grep -q listens heard && break; sleep 0.1; done
${send}wait
END

    like($said, qr/^200 Answer, after/m, 'the laptop answers');
    like(slurp("$dir/heard"),
         qr/^POST \/jelou\/webhook, \d+ bytes, signature right, by line 1 of the secret file$/m,
         'and says that the signature is right');

    my %run = (
        js     => ['handler.mjs', 'node', 'handler.mjs'],
        python => ['handler.py', 'python3', 'handler.py'],
        php    => ['handler.php', 'php', '-S', "127.0.0.1:$app", 'handler.php'],
    );

    chmod 0600, $nginx->supply('/etc/nginx/jelou.secrets', "$secret\n");
    $nginx->replace('127.0.0.1:3000', $app);
    $nginx->start(whole($config) =~ s/127\.0\.0\.1:3000/127.0.0.1:$app/r);

    my $url = 'http://127.0.0.1:' . $nginx->port('127.0.0.1:8080') . '/jelou/webhook';
    my $n   = 0;

    for my $language (sort keys %run) {
        my ($file, @command) = @{ $run{$language} };

        cmp_ok(scalar(() = $handler{$language} =~ /\n/g), '<=', 14,
               "$language: the handler is short");
        like($page, qr/`\Q@command\E`/, "$language: its command") if $language ne 'php';

        spew("$dir/$file", $handler{$language} =~ s/\b3000\b/$app/r);
        unlink "$dir/events.jsonl";

        my $pid = fork // die "fork: $!\n";

        if ($pid == 0) {
            chdir $dir;
            open STDOUT, '>', "$dir/handler.out";
            open STDERR, '>&', \*STDOUT;
            exec @command or POSIX::_exit(127);
        }

        for (1 .. 100) {
            last if IO::Socket::INET->new("127.0.0.1:$app");
            select undef, undef, undef, 0.05;
        }

        my $body = message('r-1', 'm-' . ++$n) =~ s/"Hi"/"\\u00f1 \\ud83d\\ude00 \\\\"/r
                                               =~ s/1776134352163/time . '000'/er;
        my ($head, $answer) = $nginx->send($url, $body, secret => $secret);

        like($head, qr{^HTTP/1\.1 200 }, "$language: the event is accepted");
        is($answer, qq({"success":true,"messageId":"m-$n"}), "$language: the answer");

        my $json  = JSON::PP->new->utf8;
        my $event = $json->decode(slurp("$dir/events.jsonl"));

        is($event->{user_id}, 'u-1', "$language: has the event");
        is($event->{value}{content}{body},
           $json->decode('"\u00f1 \ud83d\ude00 \\\\"'), "$language: and its text")
            or diag(slurp("$dir/events.jsonl"));

        kill TERM => $pid;
        waitpid $pid, 0;

        # what is down is said to be

        ($head) = $nginx->send($url, message('r-1', 'm-x') =~ s/1776134352163/time . '000'/er,
                               secret => $secret);
        like($head, qr{^HTTP/1\.1 500 }, "$language: when it is down, the sender tries again");
    }

    $nginx->stop;
    $upstream = Jelou::Upstream->start("$dir/upstream", http => $app);
};

subtest 'scaling.md: two tiers' => sub {
    my ($first, $second) = (fences($doc{'scaling.md'}, 'nginx'))[-2, -1];

    like($first, qr/jelou_format +raw/, 'the first one is found');
    like($second, qr/^jelou_dedup_zone/, 'the second one is found');

    # two machines of the second one are two servers, with a zone each

    my $machines = '';

    for my $n (1, 2) {
        my $port = $nginx->free_port;

        $nginx->replace("10.0.1.1$n:8080", $port);
        $nginx->replace("machine-$n", $port);
        $machines .= $second =~ s/\b8080\b/machine-$n/gr =~ s/\bseen\b/seen$n/gr
                             =~ s/\bserver \{/server {\n access_log machine-$n.log;/r;
    }

    start("$first$machines");

    my @rooms = map { message("r-$_", 'm-1') } 1 .. 8;

    is(post($_, $secret), '200', 'an event') for @rooms;
    is(post($_, $secret), '200 Idempotent-Replayed', 'again') for @rooms;
    is(post("$rooms[0] ", $secret), '422 UPSTREAM_REJECTED', 'another body');
    is(post($rooms[0]), '401 SIGNATURE_MISSING', 'not signed');

    is(scalar bodies(8), 8, 'each is delivered once');

    $nginx->stop;

    cmp_ok(-s "$dir/machine-$_.log", '>', 0, "machine $_ has its part") for 1, 2;
};

subtest 'variables.md: an id in a path' => sub {
    my ($line) = $doc{'variables.md'} =~ /^    (proxy_pass .*?;)/m;
    my ($said) = $doc{'variables.md'} =~ /`(POST .*?)`/;

    start(<<"END");
server {
    location = /jelou/webhook {
        jelou_endpoint  message;
        jelou_secret    "$secret";
        $line
    }
}
END

    post(message('r 1', 'm-1'), $secret);

    my ($got) = $upstream->requests(1);

    like($got->{head}, qr/^\Q$said\E/, 'is what the page says');

    $nginx->stop;
};


subtest 'development.md: a new event' => sub {
    my $built = "$Root/build/nginx";
    my $copy  = "$dir/sources";

    plan skip_all => 'this is not the module that build.sh has built'
        if ($ENV{TEST_NGINX_LOAD_MODULES} // '')
           ne "$Root/build/ngx_http_jelou_module.so";

    my @code = fences($doc{'development.md'}, 'c');
    my ($request, $event, $answer) = fences($doc{'development.md'}, 'json');

    is(scalar(map { grep { /\S/ } split /\n/ } @code),
       ($doc{'development.md'} =~ /(\d+) lines in one file/)[0],
       'as many lines as the page says');

    mkdir $copy or die "$copy: $!\n";
    is(system('cp', '-a', $built, "$Root/ngx_http_jelou_module", $copy), 0,
       'a copy of the sources, and of what was built');

    # The tables go before that of the endpoints, the last one is a row of it.

    my $file = "$copy/ngx_http_jelou_module/event/ngx_http_jelou_events.c";
    my $text = slurp($file);
    my $row  = pop @code;

    $text =~ s/(?=^const ngx_http_jelou_endpoint_t  ngx_http_jelou_endpoints)/
               join "\n", @code, "\n"/me or die "no endpoints in $file\n";
    $text =~ s/(?=^    \{ ngx_null_string, NULL, NULL, NULL, 0)/$row\n/m
        or die "no end of the endpoints in $file\n";

    spew($file, $text);
    spew("$copy/nginx/Makefile",
         slurp("$built/Makefile")
             =~ s{\Q$built\E}{$copy/nginx}gr
             =~ s{\Q$Root/ngx_http_jelou_module\E}{$copy/ngx_http_jelou_module}gr);

    is(`make -s -C /usr/share/nginx/src -f $copy/nginx/Makefile modules 2>&1`, '',
       'it builds without a warning');

    rename "$copy/nginx/ngx_http_jelou_module.so", "$dir/new.so"
        or die "new.so: $!\n";

    $upstream->expect;
    $nginx->start(<<"END");
load_module new.so;
events {
}
http {
    server {
        listen 80;

        location = /jelou/webhook {
            jelou_endpoint  message_read;
            jelou_secret    "$secret";
            proxy_pass      http://127.0.0.1:$app;
        }
    }
}
END

    my (undef, $body) = $nginx->send('http://127.0.0.1:' . $nginx->port('80')
                                     . '/jelou/webhook', $request,
                                     secret => $secret);

    is("$body\n", $answer, 'the answer');
    is_deeply([map { "$_\n" } bodies(1)], [$event], 'the event');

    is(post($request =~ s/"u-1"/1/r, $secret), '422 INVALID_EVENT',
       'what is wrong is refused');
    is(post($request, "x$secret"), '401 SIGNATURE_MISMATCH',
       'so is what is not signed right');

    $nginx->stop;
};


# Pages name tests as `t/FILE.t`, and one of a file as `t/FILE.t`: *NAME*.

subtest 'tests that are named' => sub {
    for my $page (sort keys %doc) {
        while ($doc{$page} =~ /`(t\/[\w\/]+\.t)`(?:: \*(.+?)\*(?= \||$))?/mg) {
            my ($file, $name) = ($1, $2);

            ok(-e $file, "$page: $file") or next;

            like(slurp($file), qr/^=== \Q$name\E$|(["'])\Q$name\E\1/m,
                 "$page: $file: $name") if defined $name;
        }
    }

    my ($promises) = $doc{'security.md'}
                     =~ /^## What the module promises\n(.*?)^## /ms;
    my @rows = $promises =~ /^\| (?!Promise|---)(.*) \|$/mg;

    cmp_ok(scalar @rows, '>=', 30, 'the promises are found');
    is_deeply([grep { !/`t\/[\w\/]+\.t`: \*.+\*$/ } @rows], [], 'each has a test');
};


unlike(slurp($nginx->log), qr/\[(?:alert|emerg)\]/, 'no alert in the error log');

$upstream->stop;

done_testing();
