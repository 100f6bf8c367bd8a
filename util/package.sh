#!/bin/sh
#
# Builds the Debian package for the nginx of this machine's release:
#
#     sh util/package.sh           builds it in build/deb/, and checks it with
#                                  lintian; nothing is installed but what that
#                                  takes
#     sh util/package.sh --test    then installs it, sends a message through it,
#                                  removes it, and looks whether all is as it was

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

deb_name=libnginx-mod-http-jelou
deb=$root/build/deb
nginx=/usr/sbin/nginx
module=/usr/lib/nginx/modules/ngx_http_jelou_module.so
enabled=/etc/nginx/modules-enabled/50-mod-http-jelou.conf


# The sources as they stand, without what was built; there need not be a .git.

export_sources() {
    mkdir "$1"

    tar -C "$root" -c --exclude=./build --exclude=./.git \
        --exclude='./t/servroot*' . | tar -C "$1" -x --no-same-owner
}


# sign_sources DIRECTORY: who builds the package is its maintainer, DEBFULLNAME and
# DEBEMAIL as for all of Debian's tools, and its home is where the clone is from.
# Neither is known: then debian/control says so.

sign_sources() {
    home=$(git -C "$root" remote get-url origin 2>/dev/null |
           sed -n '/^https:/s/\.git$//p')

    [ -z "$home" ] || sed -i "/^Standards-Version/i Homepage: $home" \
                          "$1/debian/control"

    [ -z "${DEBEMAIL:-}" ] ||
        sed -i "s|^Maintainer: .*|Maintainer: ${DEBFULLNAME:-$DEBEMAIL} <$DEBEMAIL>|" \
            "$1/debian/control"
}


build() {
    # lintian reads debian/control, which has names for some of these that are
    # no packages; dpkg-buildpackage says if one is missing here.

    need build-essential debhelper lintian nginx nginx-dev
    need libhiredis-dev libssl-dev libyajl-dev

    version=$(dpkg-parsechangelog -l "$root/debian/changelog" -S Version)

    grep -q "^#define NGX_HTTP_JELOU_VERSION  *\"$version\"\$" \
        "$root/ngx_http_jelou_module/ngx_http_jelou_ctx.h" ||
        die "the module has another version than debian/changelog: $version"

    rm -rf "$deb"
    mkdir -p "$deb"

    export_sources "$deb/$deb_name-$version"
    sign_sources "$deb/$deb_name-$version"

    say "building $deb_name $version"

    if ! (cd "$deb/$deb_name-$version" &&
          dpkg-buildpackage --no-sign) >"$deb/build.log" 2>&1
    then
        cat "$deb/build.log" >&2
        die "dpkg-buildpackage failed"
    fi

    rm -rf "${deb:?}/$deb_name-$version"
    file=$(ls "$deb/${deb_name}_$version"_*.deb)

    dpkg-deb -x "$file" "$deb/content"
    perl "$root/debian/plain-links" --check "$deb/content/usr/share/doc" ||
        die "these links of the package's pages lead nowhere"
    rm -rf "$deb/content"

    say "checking it with lintian"
    lintian --allow-root --fail-on error,warning "$deb"/*.changes

    say "build/deb/${file##*/} is built"
}


# What the package must leave as it was: nginx's directories, file by file, and
# its packages.

state() {
    find /etc/nginx /usr/lib/nginx /usr/share/nginx /usr/bin/jelou-send \
         /usr/share/$deb_name /usr/share/man/man1/jelou-* \
         /usr/share/doc/$deb_name* /var/lib/dpkg/info/$deb_name* \
         -printf '%p %y %m %s %l\n' 2>/dev/null | sort

    dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' '*nginx*'
}


# check NAME COMMAND...

check() {
    name=$1
    shift

    "$@" || die "not so: $name"
    say "ok: $name"
}

not() { ! "$@"; }


nginx_is_content() { $nginx -t -q; }


# The quick start's configuration, with the modules that /etc/nginx has enabled,
# and with sockets of the test's own in place of ports

configure() {
    sed "s,^load_module .*,include /etc/nginx/modules-enabled/*.conf;,
         s,127\.0\.0\.1:8080,unix:$test/front,
         s,127\.0\.0\.1:8081,unix:$test/app,
         s,build/run,$test,g" \
        "$root/docs/examples/quickstart.conf" >"$test/nginx.conf"
}


# stop: ends the test's nginx, and waits until it has

stop() {
    [ -s "$test/nginx.pid" ] || return 0
    read -r pid <"$test/nginx.pid"

    kill "$pid" 2>/dev/null || return 0

    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.2
    done

    die "nginx, process $pid, does not stop"
}


# send SECRET: prints the status and the answer

send() {
    signature=$(openssl dgst -sha256 -hmac "$1" -r <"$test/body" |
                cut -d ' ' -f 1)

    curl -sS --max-time 10 --noproxy '*' --unix-socket "$test/front" \
         -w '\n%{http_code}' --data-binary "@$test/body" \
         -H 'Content-Type: application/json' \
         -H "X-Jelou-Signature: sha256=$signature" \
         http://localhost/v1/external-support/webhook
}


# The application writes its line when its own answer is complete, which may be
# a moment after ours.

arrived() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        cmp -s "$test/event" "$test/events.log" && return 0
        sleep 0.2
    done

    cat "$test/events.log" >&2
    return 1
}

accepts() {
    answer=$(send "$secret")

    [ "$answer" = '{"success":true,"messageId":"MESSAGE_ID"}
200' ] || { echo "$answer" >&2; return 1; }
}

refuses() {
    answer=$(send "$secret and more")

    case $answer in
        *'"key":"SIGNATURE_MISMATCH"'*'
401') ;;
        *) echo "$answer" >&2; return 1 ;;
    esac
}


# by_hand: installs the module as getting-started.md does

by_hand() {
    dpkg-deb -x "$file" "$test/content"
    command install -D -m 644 "$test/content$module" $module
    echo "load_module $module;" >$enabled
    by_hand=1
}

is_refused() { ! install "$file" >"$test/refused" 2>&1; }

# without_hand: takes it out again, as install.md does

without_hand() {
    rm -f $enabled $module
    by_hand=
}


# has_data: what a system without documents must have, too

has_data() {
    for data in dashboard.html grafana.json examples/partner-side.conf; do
        [ -s /usr/share/$deb_name/$data ] || return 1
    done

    [ ! -e /usr/share/doc/$deb_name/README.md ]
}


has_sender() { jelou-send --help | grep -q '^Usage: '; }


# Without the module, its directives are unknown.

is_unknown() {
    ! $nginx -t -c "$test/nginx.conf" >"$test/unknown" 2>&1 &&
        grep -q 'unknown directive "jelou_endpoint"' "$test/unknown"
}


clean_up() {
    status=$?
    trap - EXIT

    stop || status=1

    [ -z "$by_hand" ] || without_hand

    if dpkg-query -W $deb_name >/dev/null 2>&1; then
        install --purge $deb_name- >/dev/null 2>&1 || status=1
    fi

    rm -rf "$test"
    exit "$status"
}


test_package() {
    [ "$(id -u)" = 0 ] || die "only root can install the package"

    ! dpkg-query -W $deb_name >/dev/null 2>&1 ||
        die "$deb_name is known to dpkg already: purge it before the test"

    [ ! -e $module ] || die "$module is there already: move it away"
    by_hand=

    need curl openssl

    test=$(mktemp -d)
    chmod 755 "$test"
    trap clean_up EXIT
    trap 'exit 1' HUP INT TERM

    configure
    secret=$(sed -n 's/.*jelou_secret  *"\(.*\)";/\1/p' "$test/nginx.conf" |
             head -n 1)

    cat >"$test/body" <<'EOF'
{ "event_type": "incoming_message", "object": "message_event",
  "field": "messages", "project_id": "PROJECT_ID", "room_id": "ROOM_ID",
  "bot_id": "BOT_ID", "user_id": "USER_ID", "unknown": [],
  "value": {"type": "text", "id": "MESSAGE_ID",
            "content": {"body": "Opci\u00f3n 1"}} }
EOF

    # of which the application gets

    cat >"$test/event" <<'EOF'
{"field":"messages","object":"message_event","event_type":"incoming_message","project_id":"PROJECT_ID","room_id":"ROOM_ID","bot_id":"BOT_ID","user_id":"USER_ID","value":{"id":"MESSAGE_ID","type":"text","content":{"body":"Opci\u00f3n 1"}}}
EOF

    check "nginx -t passes before" nginx_is_content
    check "the directives are unknown before" is_unknown
    state >"$test/before"

    # A module that was installed by hand stays, and nginx starts.

    say "installing $deb_name over a module by hand"
    by_hand
    check "apt refuses" is_refused
    check "the package says why" \
        grep -q "installed by hand on this machine: $module $enabled" "$test/refused"
    check "the module by hand is there" cmp "$test/content$module" $module
    check "nginx -t passes with it" nginx_is_content
    without_hand

    # Through apt, as an operator would: "PACKAGE-" means its removal.  As on a slim
    # system, there are no documents.

    say "installing $deb_name"
    install -o Dpkg::Options::=--path-exclude=/usr/share/doc/* "$file" >/dev/null

    check "the module is enabled" [ -e $enabled ]
    check "nginx -t passes with it" nginx_is_content

    $nginx -c "$test/nginx.conf" -e "$test/error.log"

    check "a signed message is accepted" accepts
    check "a message signed with another secret is not" refuses
    check "the application has received this one event" arrived
    stop
    check "the sender is there" has_sender
    check "dashboard and examples are there, without documents" has_data
    check "no alert is logged" not grep -E '\[(alert|emerg)\]' "$test/error.log"

    say "removing $deb_name"
    install "$deb_name-" >/dev/null

    check "the module is disabled" not test -e $enabled -o -L $enabled
    check "nginx -t passes without it" nginx_is_content
    check "the directives are unknown again" is_unknown

    say "purging $deb_name"
    install --purge "$deb_name-" >/dev/null

    state >"$test/after"
    check "all is as it was" diff "$test/before" "$test/after"
}


case $root in
    *[[:space:]]*) die "nginx does not build in a path with spaces: $root" ;;
esac

case ${1:-} in
    '' | --test) build ;;
    *) die "no such option: $1" ;;
esac

[ "${1:-}" != --test ] || test_package
