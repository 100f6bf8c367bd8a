#!/bin/sh
#
# Builds build/ngx_http_jelou_module.so for the nginx that is installed, and
# installs before what that takes.  Does next to nothing when nothing changed.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

nginx=/usr/sbin/nginx
source=/usr/share/nginx/src
objs=$root/build/nginx
module=ngx_http_jelou_module.so


# Everything that decides how the tree is configured.  Of nginx, the packages'
# versions too: a rebuilt nginx may have the same version of its own.

inputs() {
    dpkg-query -W nginx nginx-dev libyajl-dev libssl-dev gcc
    $nginx -V 2>&1
    cat "$source/conf_flags" "$root/config" "$root/util/build.sh"
}


# built_with OPTION: what "nginx -V" has, in quotes, as this option's value

built_with() {
    $nginx -V 2>&1 | sed -n "s/.* --$1='\([^']*\)'.*/\1/p"
}


# The compiler's and the linker's flags are the ones that Debian built nginx
# with, the options are the subset that it wants of modules: conf_flags is a
# bash array.  nginx adds -W (that is -Wextra) -Wall -Werror by itself.

configure() {
    cc_opt=$(built_with with-cc-opt | sed 's/-ffile-prefix-map=[^ ]*//')
    ld_opt=$(built_with with-ld-opt)

    options=$(bash -c '. "$1"; printf "%s\n" "${NGX_CONF_FLAGS[@]}"' \
              bash "$source/conf_flags")

    cd "$source"

    # shellcheck disable=SC2086
    ./configure $options --builddir="$objs" \
        --with-cc-opt="$cc_opt -ffile-prefix-map=$root=." \
        --with-ld-opt="$ld_opt" \
        --add-dynamic-module="$root"
}


# All the symbols of the module must be found in the installed nginx.

check_loads() {
    cat >"$objs/load.conf" <<END
load_module  $objs/$module;
pid          $objs/load.pid;
error_log    stderr;
events { }
END

    $nginx -t -q -c "$objs/load.conf" -e stderr
}


case $root in
    *[[:space:]]*) die "nginx does not build in a path with spaces: $root"
esac

# libpcre and zlib come with nginx-dev, in the versions that it wants.

need nginx nginx-dev libyajl-dev libssl-dev gcc libc6-dev make

mkdir -p "$objs"

# One at a time

exec 9>"$root/build/lock"
flock 9

inputs >"$objs/inputs.new"

if ! cmp -s "$objs/inputs.new" "$objs/inputs"; then
    say "configuring"

    find "$objs" -mindepth 1 ! -name inputs.new -delete

    if ! (configure) >"$objs/configure.log" 2>&1; then
        cat "$objs/configure.log" >&2
        die "nginx's configure failed"
    fi

    mv "$objs/inputs.new" "$objs/inputs"
fi

# The sources of nginx stay where they are, what is built is all in $objs.

make -s -C "$source" -f "$objs/Makefile" -j "$(nproc)" modules

# A new file takes the place of the old one, which a running nginx has mapped.

if ! cmp -s "$objs/$module" "$root/build/$module"; then
    check_loads
    cp "$objs/$module" "$root/build/$module.new"
    mv "$root/build/$module.new" "$root/build/$module"
fi

say "build/$module is up to date"
