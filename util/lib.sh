# shellcheck shell=sh
#
# Sourced by the scripts of this directory, which set $root before.

say() { echo "${0##*/}: $*"; }
die() { say "$*" >&2; exit 1; }

# installed PACKAGE

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" \
        = installed ]
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# install [APT-OPTION...] PACKAGE...
#
# Installing nginx starts it, and port 80 of the machine is not ours to take:
# as long as apt works, a policy forbids to start services.  One that is there
# already is the administrator's, and stays.

install() (
    [ "$(id -u)" = 0 ] || die "packages are missing, and this is not root: $*"

    policy=/usr/sbin/policy-rc.d

    if [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        trap 'exit 1' HUP INT TERM

        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi

    apt_get install --no-install-recommends "$@"
)

# need PACKAGE...
#
# Installs those that are missing.  The network is not touched when none is.

need() {
    missing=

    for package; do
        installed "$package" || missing="$missing $package"
    done

    [ -n "$missing" ] || return 0

    say "installing$missing"
    apt_get update

    # shellcheck disable=SC2086
    install $missing
}

# debian_suite DIR SUITE TYPE
#
# Writes SUITE.sources into DIR, by which apt knows another suite of Debian, its
# packages (TYPE deb) or its sources (deb-src), on the mirror that it has.

debian_suite() {
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
             'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
             head -n 1)

    [ -n "$mirror" ] || return 1

    keyring=/usr/share/keyrings/debian-archive-keyring.gpg

    {
        echo "Types: $3"
        echo "URIs: $mirror"
        echo "Suites: $2"
        echo "Components: main"
        [ ! -e $keyring ] || echo "Signed-By: $keyring"
    } >"$1/$2.sources"
}
