# shellcheck shell=sh
#
# Sourced by the scripts of this directory, which set $root before.

: "${root:?}"

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

# quietly COMMAND...: its output is in build/apt.log, and is shown if it fails

quietly() {
    mkdir -p "$root/build"
    "$@" >"$root/build/apt.log" 2>&1 && return

    tail -n 20 "$root/build/apt.log" >&2
    die "apt has failed, see build/apt.log"
}

# want_root PACKAGE...

want_root() {
    [ "$(id -u)" = 0 ] ||
        die "these packages are missing, and only root can install them: $*"
}

# install [APT-OPTION...] PACKAGE...
#
# Installing nginx starts it, and port 80 of the machine is not ours to take:
# as long as apt works, a policy forbids to start services.  One that is there
# already is the administrator's, and stays.

install() (
    want_root "$@"

    policy=/usr/sbin/policy-rc.d

    if [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        trap 'exit 1' HUP INT TERM

        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi

    apt_get install --no-install-recommends "$@"
)

# not_at_boot PACKAGE...
#
# Those of them that are services do not start when the machine does.

not_at_boot() {
    for service; do
        case $service in
            nginx | redis-server | prometheus) ;;
            *) continue ;;
        esac

        deb-systemd-helper disable "$service.service" >/dev/null 2>&1 || true
        update-rc.d "$service" disable >/dev/null 2>&1 || true
        say "the service $service is not started, and is off at boot:" \
            "\"systemctl enable --now $service\" turns it on"
    done
}

# foreign_nginx: whether the nginx that is installed is no Debian package, such
# as that of nginx.org.  Debian's says which modules it loads.

foreign_nginx() {
    installed nginx &&
        ! dpkg-query -W -f '${Provides}' nginx | grep -q nginx-abi-
}

# need PACKAGE...
#
# Installs those that are missing.  The network is not touched when none is.

need() {
    missing=

    for package; do
        installed "$package" || missing="$missing $package"
    done

    [ -n "$missing" ] || return 0

    case " $missing " in
        *' nginx-dev '*)
            ! foreign_nginx ||
                die "the nginx of this machine is not Debian's, and Debian's" \
                    "nginx-dev does not fit it: build the module with the" \
                    "source of that nginx and --with-compat, as" \
                    "docs/any-nginx.md says" ;;
    esac

    # shellcheck disable=SC2086
    want_root $missing

    say "installing$missing"

    # shellcheck disable=SC2086
    {
        quietly apt_get update
        quietly install $missing
        not_at_boot $missing
    }
}

# debian_suite DIR SUITE TYPE
#
# Writes SUITE.sources into DIR, by which apt knows another suite of Debian, its
# packages (TYPE deb) or its sources (deb-src), on the mirror that it has.  That may
# be a snapshot, whose signature is good for ever but whose date has passed.

debian_suite() {
    mirror=$(debian_mirror)

    [ -n "$mirror" ] || return 1

    keyring=/usr/share/keyrings/debian-archive-keyring.gpg

    {
        echo "Types: $3"
        echo "URIs: $mirror"
        echo "Suites: $2"
        echo "Components: main"
        echo "Check-Valid-Until: no"
        [ ! -e $keyring ] || echo "Signed-By: $keyring"
    } >"$1/$2.sources"
}

# debian_mirror: the one that apt has

debian_mirror() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1
}
