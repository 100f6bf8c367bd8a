# The scripts of util/ on machines that are not like this one: a clone in a
# directory that only root can enter, one that has the project's name, no root, an
# nginx of another maker, services that apt would turn on.

use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use Test::More;

use lib 't/lib';
use Jelou::Config qw($Root slurp spew);

# They build for the nginx that is installed.

plan skip_all => 'the nginx is not the one that is installed'
    if $ENV{TEST_NGINX_BINARY} ne '/usr/sbin/nginx';

my $config = Jelou::Config->new('scripts');
my $dir    = $config->dir;
my $module = $config->path('ngx_http_jelou_module.so');

chdir $Root or die "$Root: $!\n";

# A clone, in a directory that has a space if the name has: its build.sh has built.

sub clone {
    my $name = shift;
    my $clone = "$dir/$name";

    make_path("$clone/$_") for qw(util build docs/examples);

    for (qw(util/run.sh util/test.sh util/lib.sh util/package.sh
            docs/examples/quickstart.conf))
    {
        copy($_, "$clone/$_") or die "$_: $!\n";
    }

    spew("$clone/util/build.sh", "exit 0\n");
    symlink $module, "$clone/build/ngx_http_jelou_module.so"
        or die "$module: $!\n";

    return $clone;
}

# programs(NAME => SHELL, ...): a directory for the PATH, with these

sub programs {
    my %is = @_;

    for my $name (keys %is) {
        chmod 0755, spew("$dir/bin/$name", "#!/bin/sh\n$is{$name}\n")
            or die "$name: $!\n";
    }

    return "$dir/bin:$ENV{PATH}";
}

# said(COMMAND): exit status, and what it says

sub said {
    my $said = `$_[0] 2>&1`;

    remove_tree("$dir/bin");
    return ($? >> 8, $said);
}

my $unprivileged = 'setpriv --reuid 65534 --regid 65534 --clear-groups';


subtest 'run.sh: a clone that only root can enter' => sub {
    plan skip_all => 'nginx is not a module away'
        if $module eq '' || ($ENV{TEST_NGINX_BINARY} // '/usr/sbin/nginx')
                            ne '/usr/sbin/nginx';
    plan skip_all => 'this is not root' if $>;

    my $clone = clone('private');
    my $port  = $config->free_port;
    my %before = map { $_ => 1 } glob '/run/jelou-quickstart.*';

    $config->free_port;
    chmod 0700, $clone or die "$clone: $!\n";

    my ($status, $said) = said("umask 077; PORT=$port sh $clone/util/run.sh");

    is($status, 0, 'it succeeds') or diag($said);
    is(scalar(() = $said =~ /^HTTP\/1\.1 200 OK\r$/mg), 4,
       'each endpoint accepts');

    my @made = grep { !$before{$_} } glob '/run/jelou-quickstart.*';

    is(scalar @made, 1, 'there is a directory for the workers');

    ($status, $said) = said("sh $clone/util/run.sh stop");

    is("$status$said", '0', 'it stops');
    is(join(' ', grep { -e } @made), '', 'and the directory is gone');

    # What nginx says of a failure is shown, and nginx does not go on.

    my $conf = "$clone/docs/examples/quickstart.conf";

    spew($conf, slurp($conf) =~ s/client_max_body_size.*/client_max_body_size 9;/r);

    ($status, $said) = said("PORT=$port sh $clone/util/run.sh");

    is($status, 1, 'a refused message is a failure');
    like($said, qr/\[error\] .*too large body/, 'nginx says why');
    like($said, qr/: incoming_message: the answer is 413, not 200$/m,
         'the script says what');
    like($said, qr/: nginx is stopped; /, 'and that nginx does not run');
    ok(!-e "$clone/build/run/nginx.pid", 'it does not');
};


subtest 'test.sh: a clone with the name of the project' => sub {
    plan skip_all => 'packages are missing'
        if system("dpkg-query -W nginx perl curl openssl procps >$dir/out 2>&1");

    my $clone = clone('ngx_http_jelou_module');

    my $path = programs(prove => 'echo "[$JELOU_TEST_DIR]"; cd -P '
                                 . '"$JELOU_TEST_DIR" && pwd');

    my ($status, $said) = said("PATH=$path sh $clone/util/test.sh t/request/basic.t");

    is($status, 0, 'it succeeds');
    like($said, qr/^\[[^\n]+\]\n\Q$clone\E\/build\/test$/m,
         'the tests have its directory');
    unlike($said, qr/^\[.*jelou.*\]$/m, 'by another name');

    my ($alias) = $said =~ /^\[(.*)\]$/m;

    ok(!-e $alias, 'that is gone afterwards');

    SKIP: {
        skip 'this is not root', 4 if $>;

        $clone = clone('for-root');
        chmod 0700, $clone or die "$clone: $!\n";
        $path = programs(prove => 'pwd >"$JELOU_TEST_DIR/left"; echo "[$JELOU_TEST_DIR]";'
                                  . ' exit 3');
        ($status, $said) = said("PATH=$path sh $clone/util/test.sh t/request/basic.t");

        my ($elsewhere) = $said =~ /^\[(.*)\]$/m;

        is($status, 3, 'below a directory of root\'s: the tests\' status');
        unlike($elsewhere, qr/^\Q$clone\E/, 'they work elsewhere');
        is(slurp("$clone/build/test/left"), "$clone\n", 'and what they leave is here');
        ok(!-e $elsewhere, 'and only here');
    }
};


subtest 'packages are missing' => sub {
    my $clone = clone('packages');

    spew("$clone/util/need.sh", qq(set -eu\nroot=$clone\n. $clone/util/lib.sh\n)
                                . qq(need "\$@"\n));
    chmod 0777, "$clone/build";

    my %no_apt = ('apt-get' => qq(echo "E: apt-get \$*"; exit 100));

    SKIP: {
        skip 'this is not root', 2 if $>;

        my $path = programs('dpkg-query' => 'exit 1', %no_apt);
        my ($status, $said)
            = said("PATH=$path $unprivileged sh $clone/util/need.sh nginx make");

        is($status, 1, 'only root can install');
        is($said, 'need.sh: these packages are missing, and only root can install'
                  . " them: nginx make\n", 'and nothing else is said');
    }

    my $path = programs(
        'dpkg-query' => 'case "$*" in *Status*nginx) echo installed;;'
                        . ' *Provides*nginx) echo "httpd, nginx-r1.31";;'
                        . ' *) exit 1;; esac', %no_apt);
    my ($status, $said) = said("PATH=$path sh $clone/util/need.sh nginx nginx-dev");

    is($status, 1, "another maker's nginx");
    like($said, qr/^need\.sh: the nginx of this machine is not Debian's.*--with-compat/,
         'has a hint, and no word of apt');

    SKIP: {
        skip 'this is not root', 5 if $>;

        $path = programs(
            'dpkg-query' => 'exit 1', id => 'echo 0',
            'apt-get' => qq(echo "apt-get \$*"), 'update-rc.d' =>
                qq(echo "\$*" >>$dir/off), 'deb-systemd-helper' =>
                qq(echo "\$*" >>$dir/off));
        ($status, $said) = said("PATH=$path sh $clone/util/need.sh nginx make");

        is($status, 0, 'packages are installed');
        is($said, <<'END', 'a line a step');
need.sh: installing nginx make
need.sh: the service nginx is not started, and is off at boot: "systemctl enable --now nginx" turns it on
END
        is(slurp("$dir/off"), "disable nginx.service\nnginx disable\n",
           'no service is left on');
        like(slurp("$clone/build/apt.log"), qr/^apt-get .*install .*nginx make$/m,
             'the rest is in a log');

        $path = programs('dpkg-query' => 'exit 1', id => 'echo 0', %no_apt);
        ($status, $said) = said("PATH=$path sh $clone/util/need.sh make");
        like($said, qr/^E: apt-get .*^need\.sh: apt has failed, see build\/apt\.log$/ms,
             'and is shown when apt fails');
    }
};


subtest 'config: an OpenSSL that is too old' => sub {
    my $source = '/usr/share/nginx/src';

    plan skip_all => 'the source of nginx is not there' if !-e "$source/auto/options";

    my $configure = -e "$source/configure" ? './configure' : 'auto/configure';
    my $command   = "cd $source && sh $configure --builddir=$dir/objs --with-compat"
                    . ' --without-http_rewrite_module --without-http_gzip_module'
                    . " --add-dynamic-module=$Root";

    my ($status, $said) = said($command);

    is($status, 0, 'the OpenSSL of this machine is new enough') or diag($said);

    spew("$dir/old/openssl/opensslv.h", "#define OPENSSL_VERSION_NUMBER 0x1010117fL\n");
    ($status, $said) = said("$command --with-cc-opt=-I$dir/old");

    is($status, 1, 'an old one is refused');
    like($said, qr/error: ngx_http_jelou_module requires OpenSSL 3\.0 or newer/,
         'and the message says what is needed');
};


subtest 'a path with spaces' => sub {
    my $clone = clone('a clone');

    for my $script (qw(package.sh)) {
        my ($status, $said) = said("sh '$clone/util/$script'");

        is($status, 1, "$script: does not build");
        is($said, "$script: nginx does not build in a path with spaces: $clone\n",
           "$script: and says why");
    }
};

done_testing();
