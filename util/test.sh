#!/bin/sh
#
# Builds the module and runs the tests, those in t/ or the ones that are named:
#
#     sh util/test.sh
#     sh util/test.sh t/auth/signature.t t/event/schema.t
#
# It installs what these tests need, and no more; with --install, it only does
# that.
#
#     sh util/test.sh --nginx NAME [OPTION] [FILE...]
#
# on an nginx of its own: util/build.sh says which there are.  The option is
# --static, --asan, --coverage, or --valgrind, which is memcheck; and --or-older,
# where an older nginx than the newest will do.
#
# What a run leaves is in build/test/, or in build/nginx-NAME/VARIANT/test/: for
# each test file, the error logs of all blocks, NAME.error.log, and the directory
# of the last block's nginx, NAME.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"


# Test::Nginx is in Debian's unstable suite only.  It depends on no version
# that older releases do not have, so all else comes from the release that is
# installed: unstable is known to these few calls alone, and pinned below
# everything.

install_test_nginx() (
    want_root libtest-nginx-perl
    say "installing libtest-nginx-perl from Debian's unstable suite"
    quietly apt_get update

    etc=$(mktemp -d)
    trap 'rm -rf "$etc"' EXIT
    trap 'exit 1' HUP INT TERM

    mkdir "$etc/sources.list.d" "$etc/preferences.d"

    for dir in sources.list.d preferences.d; do
        [ ! -d /etc/apt/$dir ] || cp -R /etc/apt/$dir/. "$etc/$dir"
    done

    debian_suite "$etc/sources.list.d" sid deb ||
        die "apt knows no mirror of Debian; install Test::Nginx from CPAN," \
            "and run this again"

    cat >"$etc/preferences.d/sid" <<END
Package: *
Pin: release o=Debian,n=sid
Pin-Priority: 1
END

    set -- -o "Dir::Etc::SourceParts=$etc/sources.list.d" \
           -o "Dir::Etc::PreferencesParts=$etc/preferences.d"

    quietly apt_get "$@" update
    quietly install "$@" libtest-nginx-perl
)


# What tests want from npm: the judge of t/event/cloudevents.t, and what drives the
# browser of t/status/dashboard.t, which is Debian's.  The newest ones that the Node.js of
# Debian 12 runs.  They are unpacked in build/, and run no script when installed.

libraries="cloudevents@9.0.0 playwright-core@1.61.1"

install_libraries() {
    wanted=

    for library in $libraries; do
        grep -qs "^ *\"version\": \"${library#*@}\"" \
             "$root/build/node_modules/${library%@*}/package.json" ||
            wanted="$wanted $library"
    done

    [ -n "$wanted" ] || return 0

    if ! command -v node || ! command -v npm; then
        need nodejs npm
    fi >/dev/null

    say "installing$wanted from npm"

    # shellcheck disable=SC2086
    npm install --prefix "$root/build" --no-save --no-package-lock \
        --ignore-scripts --no-audit --no-fund --loglevel=error $libraries
}


# Other modules, which t/reply/composition.t puts around an endpoint: Debian's, as far as
# this release has them, and for Debian's nginx only.  The test says what it misses.

modules="http-lua http-js http-echo http-headers-more-filter http-subs-filter
         http-image-filter"

install_modules() {
    ! foreign_nginx || return 0
    [ "$(id -u)" = 0 ] || return 0

    wanted=

    for module in $modules; do
        installed "libnginx-mod-$module" || wanted="$wanted $module"
    done

    [ -n "$wanted" ] || return 0

    quietly apt_get update

    for module in $wanted; do
        [ -z "$(apt-cache madison "libnginx-mod-$module")" ] ||
            need "libnginx-mod-$module"
    done
}


# What t/lib/Jelou/http3.c is made of, where there is something to ask with it

install_http3() {
    ! "$TEST_NGINX_BINARY" -V 2>&1 | grep -q -- --with-http_v3_module ||
        need gcc libc6-dev libgnutls28-dev libnghttp3-dev libngtcp2-dev \
             libngtcp2-crypto-gnutls-dev
}


# valgrind_nginx DIRECTORY: makes a program that runs the nginx there under
# memcheck, and prints its path.  Reports go where t/lib/Jelou/Reports.pm wants
# them.  What only looks at a configuration is not worth the time.

valgrind_nginx() {
    cat >"$1/valgrind-nginx" <<END
#!/bin/sh

case " \$* " in
    *" -V "*|*" -t "*) exec $1/nginx "\$@" ;;
esac

exec valgrind -q --leak-check=full --show-leak-kinds=definite,indirect \\
    --errors-for-leak-kinds=definite,indirect --num-callers=20 \\
    --suppressions=$root/util/valgrind.supp \\
    --log-file="\$JELOU_REPORTS/valgrind.%p" \\
    $1/nginx "\$@"
END

    chmod 755 "$1/valgrind-nginx"
    echo "$1/valgrind-nginx"
}


name=
variant=dynamic
valgrind=
older=
only_install=

while [ $# -gt 0 ]; do
    case $1 in
        --nginx) name=${2:?}; shift ;;
        --static|--asan|--coverage) variant=${1#--} ;;
        --or-older) older=--or-older ;;
        --install) only_install=1 ;;
        --valgrind) variant=memcheck; valgrind=1 ;;
        -*) die "no such option: $1" ;;
        *) break ;;
    esac

    shift
done

# On a distribution's nginx, the module is always a file.

[ -n "$name" ] || [ "$variant" = dynamic ] || name=newest

if [ -n "$name" ]; then
    out=$(sh "$root/util/build.sh" --nginx "$name" $older "--$variant" --print)

    JELOU_TEST_DIR=$out/test
    TEST_NGINX_BINARY=$out/nginx
    TEST_NGINX_LOAD_MODULES=

    if [ -e "$out/ngx_http_jelou_module.so" ]; then
        TEST_NGINX_LOAD_MODULES=$out/ngx_http_jelou_module.so
    fi

else
    sh "$root/util/build.sh"

    JELOU_TEST_DIR=$root/build/test
    TEST_NGINX_BINARY=/usr/sbin/nginx
    TEST_NGINX_LOAD_MODULES=$root/build/ngx_http_jelou_module.so
fi

# reachable DIRECTORY: whether nginx's workers, which are nobody special, can go there

reachable() (
    dir=$1

    while [ -n "$dir" ]; do
        case $(stat -c %A "$dir") in
            *[xt]) dir=${dir%/*} ;;
            *) exit 1 ;;
        esac
    done
)

# The tests look for "jelou" in the error log, and nginx puts paths there: in a
# clone with that name they see the directory by another one.  Below a directory that
# only root can enter they work elsewhere, and what they leave is brought back.

kept=$JELOU_TEST_DIR
alias=

finish() {
    [ -n "$alias" ] || return 0

    if [ ! -L "$alias/test" ]; then
        rm -rf "$kept"
        cp -R "$alias/test" "$kept"
    fi

    rm -rf "$alias"
}

trap finish EXIT
trap 'exit 1' HUP INT TERM

if [ "$(id -u)" = 0 ] && ! reachable "$root"; then
    alias=$(mktemp -d /tmp/nginx-tests.XXXXXX)
    mkdir "$alias/test"

elif [ "$kept" != "${kept#*jelou}" ]; then
    alias=$(mktemp -d /tmp/nginx-tests.XXXXXX)
    mkdir -p "$kept"
    ln -s "$kept" "$alias/test"
fi

if [ -n "$alias" ]; then
    chmod 755 "$alias"
    JELOU_TEST_DIR=$alias/test
fi

export JELOU_TEST_DIR TEST_NGINX_BINARY TEST_NGINX_LOAD_MODULES

"$TEST_NGINX_BINARY" -v

if [ -n "$valgrind" ]; then
    need valgrind

    TEST_NGINX_BINARY=$(valgrind_nginx "$out")
    TEST_NGINX_TIMEOUT=60
    JELOU_VALGRIND=1
    export TEST_NGINX_TIMEOUT JELOU_VALGRIND
fi

cd "$root"

[ $# -gt 0 ] || set -- t

need perl curl openssl procps

perl -MTest::Nginx::Socket -e 1 2>/dev/null || install_test_nginx

# uses PATTERN FILE-OR-DIRECTORY...: whether one of the tests has it

uses() {
    grep -rqE --include='*.t' "$@"
}

! uses 'Jelou::(Redis|Composition)|redis-server' "$@" || need redis-server
! uses 'Jelou::Composition' "$@" || install_modules
! uses 'Jelou::(Http3|Composition)' "$@" || install_http3
! uses 'promtool' "$@" || need prometheus
! uses 'Jelou::Browser' "$@" || need chromium
! uses "'php'" "$@" || need php-cli
! uses "'node'" "$@" || command -v node >/dev/null || need nodejs
! uses 'python3' "$@" || need python3 python3-yaml
! uses 'Jelou::Browser|cloudevents\.js' "$@" || install_libraries

[ -z "$only_install" ] || exit 0

prove -r -j "${JOBS:-$(nproc)}" -I t/lib "$@"
