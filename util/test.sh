#!/bin/sh
#
# Builds the module and runs the tests, those in t/ or the ones that are named:
#
#     sh util/test.sh
#     sh util/test.sh t/signature.t t/schema.t
#
# What a run leaves is in build/test/: for each test file, the error logs of all
# blocks, NAME.error.log, and the directory of the last block's nginx, NAME.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"


# Test::Nginx is in Debian's unstable suite only.  It depends on no version
# that older releases do not have, so all else comes from the release that is
# installed: unstable is known to these few calls alone, and pinned below
# everything.

install_test_nginx() (
    say "installing libtest-nginx-perl from Debian's unstable suite"
    apt_get update

    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
             'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
             head -n 1)

    [ -n "$mirror" ] || die "apt knows no mirror of Debian; install" \
                            "Test::Nginx from CPAN, and run this again"

    etc=$(mktemp -d)
    trap 'rm -rf "$etc"' EXIT
    trap 'exit 1' HUP INT TERM

    mkdir "$etc/sources.list.d" "$etc/preferences.d"

    for dir in sources.list.d preferences.d; do
        [ ! -d /etc/apt/$dir ] || cp -R /etc/apt/$dir/. "$etc/$dir"
    done

    keyring=/usr/share/keyrings/debian-archive-keyring.gpg

    {
        echo "Types: deb"
        echo "URIs: $mirror"
        echo "Suites: sid"
        echo "Components: main"
        [ ! -e $keyring ] || echo "Signed-By: $keyring"
    } >"$etc/sources.list.d/sid.sources"

    cat >"$etc/preferences.d/sid" <<END
Package: *
Pin: release o=Debian,n=sid
Pin-Priority: 1
END

    set -- -o "Dir::Etc::SourceParts=$etc/sources.list.d" \
           -o "Dir::Etc::PreferencesParts=$etc/preferences.d"

    apt_get "$@" update
    install "$@" libtest-nginx-perl
)


# What tests want from npm: the judge of t/cloudevents.t, and what drives the
# browser of t/dashboard.t, which is Debian's.  The newest ones that the Node.js of
# Debian 12 runs.  They are unpacked in build/, and run no script when installed.

libraries="cloudevents@9.0.0 playwright-core@1.61.1"

install_libraries() {
    missing=

    for library in $libraries; do
        grep -qs "^ *\"version\": \"${library#*@}\"" \
             "$root/build/node_modules/${library%@*}/package.json" ||
            missing="$missing $library"
    done

    [ -n "$missing" ] || return 0

    if ! command -v node || ! command -v npm; then
        need nodejs npm
    fi >/dev/null

    say "installing$missing from npm"

    # shellcheck disable=SC2086
    npm install --prefix "$root/build" --no-save --no-package-lock \
        --ignore-scripts --no-audit --no-fund --loglevel=error $libraries
}


sh "$root/util/build.sh"

need perl curl openssl procps chromium prometheus

perl -MTest::Nginx::Socket -e 1 2>/dev/null || install_test_nginx

install_libraries

cd "$root"

JELOU_TEST_DIR=$root/build/test
TEST_NGINX_BINARY=/usr/sbin/nginx
TEST_NGINX_LOAD_MODULES=$root/build/ngx_http_jelou_module.so
export JELOU_TEST_DIR TEST_NGINX_BINARY TEST_NGINX_LOAD_MODULES

[ $# -gt 0 ] || set -- t

prove -r -j "$(nproc)" -I t/lib "$@"
