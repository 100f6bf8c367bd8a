#!/bin/sh
#
# Builds the module, and installs before what that takes.  Does next to nothing
# when nothing changed.
#
#     sh util/build.sh
#
# builds build/ngx_http_jelou_module.so for the nginx that is installed.
#
#     sh util/build.sh --nginx NAME [OPTION...]
#
# builds an nginx of its own, and the module with it, from Debian's source
# package.  NAME is a suite of Debian or its nginx's version, as the table below
# has them; "newest", the first of them; or the path of a source tree of nginx.
# Where Debian's patches are not to be had, but what they are for is, nginx is
# built as its authors have it, and the last line says so.
#
#     --or-older    of "newest", the first one whose source is to be had
#     --dynamic     the module is a file that nginx loads (the default)
#     --static      it is a part of nginx
#     --asan        static, with AddressSanitizer and UndefinedBehaviorSanitizer
#     --memcheck    static, for valgrind
#     --coverage    dynamic, for gcov
#     --cc CC       another compiler than gcc: clang
#     --print       prints the directory that has it all, and nothing else
#
# That is build/nginx-NAME/VARIANT: nginx, and of a dynamic one
# ngx_http_jelou_module.so; objs/ has the objects (and gcov's notes), prefix/ is
# nginx's prefix.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

module=ngx_http_jelou_module.so


# The nginx of Debian's suites, the newest first

matrix() {
    cat <<'END'
sid       1.30
trixie    1.26
bookworm  1.22
END
}


# flags VARIANT: the compiler's, as the table has them
#
# The pools of nginx hide what is done beyond an allocation: with
# NGX_DEBUG_PALLOC each allocation is one of malloc's.
#
# Of UBSan, two checks would stop nginx itself:
#
#     nonnull-attribute    memcpy() and the like of no bytes at NULL, which is
#                          an empty ngx_str_t (ngx_pstrdup)
#     alignment            integers in a buffer, read and written as they lie
#                          (NGX_HAVE_NONALIGNED: ngx_str3_cmp, HTTP/2's frames)

flags() {
    case $1 in
        asan)
            echo "-g -O1 -fno-omit-frame-pointer -DNGX_DEBUG_PALLOC=1" \
                 "-fsanitize=address,undefined -fno-sanitize-recover=all" \
                 "-fno-sanitize=nonnull-attribute,alignment" ;;
        memcheck)
            echo "-g -O1 -DNGX_DEBUG_PALLOC=1" ;;
        coverage)
            echo "-g -O0 --coverage" ;;
        *)
            echo "-g -O2 -fstack-protector-strong -Wformat" \
                 "-Werror=format-security -D_FORTIFY_SOURCE=2" ;;
    esac
}

# own_flags: a makefile by which the module's own files are compiled with what
# is left out for nginx's

own_flags() {
    [ "$variant" = asan ] || return 0

    find "$root/ngx_http_jelou_module" -type d | while read -r own; do
        echo "$objs/addon/${own##*/}/%.o: CFLAGS += -fsanitize=undefined"
    done
}

# The runtimes are a part of the program, so that a test can preload a library:
# a shared runtime would have to be the first one.

ld_flags() {
    case $1 in
        asan)
            case $cc in
                *gcc*) static="-static-libasan -static-libubsan" ;;
                *) static= ;;
            esac

            echo "-fsanitize=address,undefined $static" ;;
        coverage)
            echo "--coverage" ;;
    esac
}


# fetch SUITE: its nginx's source, with Debian's patches, into $dir/source.  Apt
# is asked with lists of its own, what is installed does not count.  A mirror may
# have lost the patches of a suite, and still have what they are applied to.

fetch() (
    say "fetching nginx's source from Debian's $1 suite"

    apt=$dir/apt
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/cache" "$apt/sources.list.d" \
             "$apt/unpacked"

    debian_suite "$apt/sources.list.d" "$1" deb-src ||
        die "apt knows no mirror of Debian; name a source tree instead"

    set -- -o "Dir::Etc::SourceList=/dev/null" \
           -o "Dir::Etc::SourceParts=$apt/sources.list.d" \
           -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" \
           -o "APT::Sandbox::User=$(id -un)"

    cd "$apt/unpacked"

    # the list has only what is not here yet

    apt_get "$@" update && uris=$(apt_get "$@" source --print-uris nginx) ||
        exit

    if ! apt_get "$@" source nginx >/dev/null; then
        echo "$uris" | orig_sums | sha256sum -c && tar -xf nginx_*.orig.tar.* ||
            exit
    fi

    mv nginx-*/ "$dir/source" && rm -rf "$apt"
)

# orig_sums: of apt's list of a source package, that of the authors' own file, as
# sha256sum has it

orig_sums() {
    sed -n 's/.* \(nginx_[^ ]*\.orig\.tar\.[a-z0-9]*\) [0-9]* SHA256:/\1 /p' |
        awk '{ print $2 "  " $1 }'
}


# find_source NAME: leaves $dir, build/nginx-NAME, whose source/ is there

find_source() {
    if [ -d "$1" ]; then
        from=$(cd "$1" && pwd)
        [ -e "$from/src/core/nginx.h" ] || die "no source of nginx: $1"

        dir=$root/build/nginx-$(version "$from")
        mkdir -p "$dir/source"
        cp -Rup "$from/auto" "$from/src" "$dir/source"
        [ ! -e "$from/configure" ] || cp "$from/configure" "$dir/source"
        return
    fi

    suite=$(matrix | awk -v name="$1" '$1 == name || $2 == name { print $1 }')
    [ -n "$suite" ] || die "no such nginx: $1; there are:" "$(matrix |
                           awk '{ printf "%s%s (%s)", s, $1, $2; s = ", " }')"

    dir=$root/build/nginx-$suite

    [ -d "$dir/source" ] || fetch "$suite" || return

    case $(version "$dir/source") in
        "$1".*) ;;
        *) [ "$1" = "$suite" ] ||
               die "the nginx of $suite is $(version "$dir/source") now" ;;
    esac
}

# find_newest: likewise, of the newest in the table, or with --or-older of the
# first one that is to be had

find_newest() {
    for suite in $(matrix | awk '{ print $1 }'); do
        ! find_source "$suite" || return 0
        [ -n "$older" ] || break
        say "$suite's is not to be had"
    done

    die "the source of the newest nginx is not to be had;" \
        "--or-older takes an older one"
}

# version SOURCE

version() {
    sed -n 's/^#define NGINX_VERSION  *"\(.*\)"/\1/p' "$1/src/core/nginx.h"
}

# described: the nginx of $source, for the last line

described() {
    patches=

    [ -d "$name" ] || [ -d "$source/debian" ] ||
        patches=", without Debian's patches"

    echo "nginx $(version "$source")$patches"
}


# Everything that decides how the tree is configured.  Of nginx, the packages'
# versions too: a rebuilt nginx may have the same version of its own.

inputs() {
    if [ -n "$name" ]; then
        version "$source"
        $cc --version
    else
        dpkg-query -W nginx nginx-dev
        $nginx -V 2>&1
        cat "$source/conf_flags"
    fi

    dpkg-query -W libyajl-dev libhiredis-dev libssl-dev gcc
    options
    cat "$root/config" "$root/util/build.sh"
    echo "$root"                        # the makefile has its paths
}


# built_with OPTION: what "nginx -V" has, in quotes, as this option's value

built_with() {
    $nginx -V 2>&1 | sed -n "s/.* --$1='\([^']*\)'.*/\1/p"
}


# The options of configure.  For the nginx that is installed, they are the
# subset that it wants of modules: conf_flags is a bash array.  For one of our
# own, what Debian has, but for what needs more libraries, and with its files
# all in one place.

options() {
    if [ -z "$name" ]; then
        bash -c '. "$1"; printf "%s\n" "${NGX_CONF_FLAGS[@]}"' \
            bash "$source/conf_flags"
        return
    fi

    prefix=$out/prefix

    cat <<END
--prefix=$prefix
--sbin-path=$out/nginx
--conf-path=$prefix/nginx.conf
--error-log-path=stderr
--http-log-path=$prefix/access.log
--pid-path=$prefix/nginx.pid
--lock-path=$prefix/nginx.lock
--modules-path=$out
--http-client-body-temp-path=$prefix/body
--http-proxy-temp-path=$prefix/proxy
--http-fastcgi-temp-path=$prefix/fastcgi
--http-scgi-temp-path=$prefix/scgi
--http-uwsgi-temp-path=$prefix/uwsgi
--with-compat
--with-debug
--with-pcre-jit
--with-threads
--with-stream
--with-stream_ssl_module
--with-http_ssl_module
--with-http_v2_module
--with-http_stub_status_module
--with-http_realip_module
--with-http_auth_request_module
--with-http_dav_module
--with-http_slice_module
--with-http_addition_module
--with-http_flv_module
--with-http_gunzip_module
--with-http_gzip_static_module
--with-http_mp4_module
--with-http_random_index_module
--with-http_secure_link_module
--with-http_sub_module
END

    # since 1.25; without QUIC in OpenSSL, nginx has its own way

    ! grep -q -e --with-http_v3_module "$source/auto/options" ||
        echo --with-http_v3_module
}


# For the nginx that is installed, the compiler's and the linker's flags are the
# ones that Debian built it with.  nginx adds -W (that is -Wextra) -Wall -Werror
# by itself.

configure() {
    if [ -n "$name" ]; then
        cc_opt=$(flags "$variant")
        ld_opt="$(ld_flags "$variant")"
    else
        cc_opt=$(built_with with-cc-opt | sed 's/-ffile-prefix-map=[^ ]*//')
        ld_opt=$(built_with with-ld-opt)
    fi

    case $variant in
        dynamic|coverage) add=--add-dynamic-module=$root ;;
        *) add=--add-module=$root ;;
    esac

    cd "$source"

    configure=auto/configure
    [ ! -e configure ] || configure=configure

    # shellcheck disable=SC2046
    sh ./$configure $(options) --builddir="$objs" --with-cc="$cc" \
        --with-cc-opt="$cc_opt -ffile-prefix-map=$root=." \
        --with-ld-opt="$ld_opt" \
        "$add"
}


# Whether the module is a file.  It is for gcov as well: tests can make calls fail
# that such a module makes.

dynamic() { [ "$variant" = dynamic ] || [ "$variant" = coverage ]; }


# All the symbols of the module must be found in nginx.

check_loads() {
    {
        ! dynamic || echo "load_module  $objs/$module;"

        cat <<END
pid          $objs/load.pid;
error_log    stderr;
events { }
END
    } >"$objs/load.conf"

    LSAN_OPTIONS=detect_leaks=0 "$nginx" -t -q -c "$objs/load.conf" -e stderr
}


# put FILE DIRECTORY: a new file takes the place of the old one, which a running
# nginx has mapped

put() {
    cp "$objs/$1" "$2/$1.new"
    mv "$2/$1.new" "$2/$1"
}


name=
variant=dynamic
cc=gcc
print=
older=

while [ $# -gt 0 ]; do
    case $1 in
        --nginx) name=${2:?}; shift ;;
        --or-older) older=1 ;;
        --cc) cc=${2:?}; shift ;;
        --dynamic|--static|--asan|--memcheck|--coverage) variant=${1#--} ;;
        --print) print=1 ;;
        *) die "no such option: $1" ;;
    esac

    shift
done

case $root in
    *[[:space:]]*) die "nginx does not build in a path with spaces: $root"
esac

[ -n "$name" ] || [ "$variant,$cc,$print" = dynamic,gcc, ] ||
    die "options want --nginx"

[ -z "$older" ] || [ "$name" = newest ] ||
    die "--or-older wants --nginx newest"

exec 3>&1
[ -z "$print" ] || exec 1>&2

mkdir -p "$root/build"

# One at a time

exec 9>"$root/build/lock"
flock 9

if [ -z "$name" ]; then
    # libpcre and zlib come with nginx-dev, in the versions that it wants.

    need nginx nginx-dev libyajl-dev libhiredis-dev libssl-dev gcc libc6-dev make

    nginx=/usr/sbin/nginx
    source=/usr/share/nginx/src
    out=$root/build
    objs=$out/nginx

else
    need libyajl-dev libhiredis-dev libssl-dev gcc libc6-dev make
    need dpkg-dev libpcre2-dev zlib1g-dev

    [ "$cc" != clang ] || need clang

    if [ "$name" = newest ]; then
        find_newest
    else
        find_source "$name" || die "the source of nginx $name is not to be had"
    fi

    source=$dir/source
    out=$dir/$variant
    [ "$cc" = gcc ] || out=$out-$cc
    objs=$out/objs

    # a page, as a distribution's nginx has one

    mkdir -p "$out/prefix/html"
    : >"$out/prefix/html/index.html"
fi

mkdir -p "$objs"
inputs >"$objs/inputs.new"

if ! cmp -s "$objs/inputs.new" "$objs/inputs"; then
    say "configuring ${objs#"$root"/}"

    find "$objs" -mindepth 1 ! -name inputs.new -delete

    if ! (configure) >"$objs/configure.log" 2>&1; then
        cat "$objs/configure.log" >&2
        die "nginx's configure failed"
    fi

    mv "$objs/inputs.new" "$objs/inputs"
fi

# The sources of nginx stay as they are, what is built is all in $objs.

build() {
    own_flags >"$objs/own.mk"
    make -s -C "$source" -f "$objs/Makefile" -f "$objs/own.mk" \
        -j "$(nproc)" "$@"
}

files=

if [ -n "$name" ]; then
    build binary
    files=nginx
    nginx=$objs/nginx
fi

if dynamic; then
    build modules
    files="$files $module"
fi

loads=

for file in $files; do
    ! cmp -s "$objs/$file" "$out/$file" || continue
    [ -n "$loads" ] || check_loads
    loads=1
    put "$file" "$out"
done

say "${out#"$root"/}/$file is up to date${name:+ ($(described))}"

[ -z "$print" ] || echo "$out" >&3
