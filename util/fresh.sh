#!/bin/sh
#
# Tries the project on a fresh Debian: in a chroot with nothing but Debian's minimal
# system and a clone below root's home directory.
#
#     sh util/fresh.sh             of Debian 13 and 12, on the one that this machine
#                                  does not have
#     sh util/fresh.sh trixie      on that one
#
# What getting-started.md and README.md say is done there, word for word, and a
# part of the tests is run, and the container is tried.  Nothing of it can be reached from outside: it has a
# network of its own.  The minimal system is kept in build/, for a week.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

clone=/root/ngx_http_jelou_module
smoke="t/request/basic.t t/auth/signature.t t/event/schema.t t/event/normalize.t t/dedup/dedup.t"


# skip WHY: this machine cannot try it, which is no fault of the project

skip() { say "skipped: $*"; exit 0; }


# inside OPTION COMMAND: in the chroot, with processes of its own, which end with
# it; the option is "online" or "offline"

inside() {
    net=
    [ "$1" = online ] || net=--net

    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child $net sh -c '
        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        [ "$2" = online ] || ip link set lo up
        exec chroot "$1" env -i HOME=/root TERM=dumb JOBS='"$(nproc)"' \
             PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "cd $3 && $4"' \
        sh "$dir" "$1" "$clone" "$2"
}


# minimal_system: in $dir

minimal_system() {
    kept=$root/build/fresh-$suite.tar

    if [ -z "$(find "$kept" -mtime -7 2>/dev/null)" ]; then
        say "installing Debian's $suite"

        debootstrap --variant=minbase "$suite" "$dir" "$mirror" \
            >"$root/build/debootstrap.log" 2>&1 || return

        tar -C "$dir" -cf "$kept.new" .
        mv "$kept.new" "$kept"
    else
        tar -C "$dir" -xf "$kept"
    fi

    cp /etc/resolv.conf "$dir/etc/"
    echo 'Acquire::Check-Valid-Until "false";' \
        >"$dir/etc/apt/apt.conf.d/snapshot"
}


# release: of this machine

# shellcheck disable=SC1091
release() ( . /etc/os-release && echo "${VERSION_CODENAME:-}" )

suite=${1:-}

if [ -z "$suite" ]; then
    case $(release) in
        trixie) suite=bookworm ;;
        *) suite=trixie ;;
    esac
fi

[ "$(id -u)" = 0 ] || skip "only root can make a chroot"
unshare --mount --net --pid --fork true 2>/dev/null ||
    skip "this machine does not let a process have a network of its own"

need debootstrap iproute2

mirror=$(debian_mirror)
[ -n "$mirror" ] || skip "apt knows no mirror of Debian"

dir=$(mktemp -d /tmp/jelou-fresh.XXXXXX)
trap 'rm -rf --one-file-system "$dir"' EXIT
trap 'exit 1' HUP INT TERM

mkdir -p "$root/build"
minimal_system || skip "the mirror does not have $suite, see build/debootstrap.log"

chmod 755 "$dir"
mkdir -p "$dir$clone"
tar -C "$root" -c --exclude=./build --exclude=./.git . |
    tar -C "$dir$clone" -x --no-same-owner

say "installing packages in $suite"
inside online "sh util/test.sh --install $smoke && apt-get install -y -qq \
    --no-install-recommends curl openssl perl >/dev/null 2>&1"

say "following the pages in $suite"
inside offline "perl util/follow --but 'util/test\\.sh' docs/getting-started.md \
    README.md"

say "trying the container in $suite"
inside offline "sh containers/test.sh"

say "running tests in $suite"
inside offline "sh util/test.sh $smoke"
