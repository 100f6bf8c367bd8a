#!/bin/sh
#
# build.sh SOURCE OUT: builds the module with the source of nginx in SOURCE, and puts
# it into OUT with the libraries that it needs and an image of nginx does not have.
# The Containerfile calls it.

set -eu

source=$1
out=$2
jelou=$(cd "$(dirname "$0")/.." && pwd)
objs=$(mktemp -d)
trap 'rm -rf "$objs"' EXIT

cd "$source"

configure=configure
[ -e configure ] || configure=auto/configure

sh ./$configure --builddir="$objs" --with-compat --with-http_ssl_module \
    --with-http_v2_module --with-cc-opt="-O2 -g -fstack-protector-strong" \
    --add-dynamic-module="$jelou"
make -s -f "$objs/Makefile" -j "$(nproc)" modules

modules=$out/usr/lib/nginx/modules
mkdir -p "$modules" "$out/usr/share/jelou"
cp "$objs/ngx_http_jelou_module.so" "$modules/"

# The loader looks into /usr/lib on every system of Debian's.

ldd "$modules/ngx_http_jelou_module.so" |
    sed -n 's/.*=> \(\/.*\/lib\(yajl\|hiredis\)\.so[^ ]*\) .*/\1/p' |
    while read -r library; do cp -L "$library" "$out/usr/lib/"; done

# a configuration that only loads it

cat >"$out/usr/share/jelou/load.conf" <<'END'
load_module  /usr/lib/nginx/modules/ngx_http_jelou_module.so;
pid          /tmp/load.pid;
error_log    stderr;
events { }
END
