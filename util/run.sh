#!/bin/sh
#
# Starts nginx with the module on 127.0.0.1, sends it a signed message, and
# shows what becomes of it.  nginx goes on running:
#
#     sh util/run.sh              builds, (re)starts, sends
#     PORT=9000 sh util/run.sh    the same, on port 9000, and 9001 for the
#                                 application behind it
#     sh util/run.sh stop
#
# All its files are in build/run/.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

run=$root/build/run
conf=$run/nginx.conf
port=${PORT:-8080}
url=http://127.0.0.1:$port/v1/external-support/webhook


# Prints the process id of the nginx that this script has started, if it runs.
# The number alone may be another process's by now.

running() {
    [ -s "$run/nginx.pid" ] || return 1
    read -r pid <"$run/nginx.pid"
    grep -qsF "$conf" "/proc/$pid/cmdline" && echo "$pid"
}


stop() {
    pid=$(running) || return 0

    kill "$pid"

    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        running >/dev/null || return 0
        sleep 0.2
    done

    die "nginx, process $pid, does not stop"
}


start() {
    sed "s/127\.0\.0\.1:8080/127.0.0.1:$port/
         s/127\.0\.0\.1:8081/127.0.0.1:$((port + 1))/" \
        "$root/docs/examples/quickstart.conf" >"$conf"

    : >"$run/error.log"
    : >"$run/events.log"

    if ! /usr/sbin/nginx -p "$root" -c "$conf" -e "$run/error.log" 2>/dev/null
    then
        grep -E '\[(emerg|alert)\]' "$run/error.log" | sort -u -k 4 >&2
        die "nginx does not start; if it is for a port that is taken, choose" \
            "another one: PORT=9000 sh util/run.sh"
    fi
}


# sign FILE

sign() {
    openssl dgst -sha256 -hmac "$secret" -r <"$1" | cut -d ' ' -f 1
}


title() { printf '\n--- %s\n\n' "$1"; }


case ${1:-} in
    stop) stop; exit ;;
    ?*) die "no such command: $1" ;;
esac

case $port in
    *[!0-9]*) die "PORT is not a number: $port" ;;
esac

sh "$root/util/build.sh"

need curl openssl

mkdir -p "$run"

stop
start

secret=$(sed -n 's/.*jelou_secret  *"\(.*\)";/\1/p' "$conf")

cat >"$run/message.json" <<'END'
{
    "field": "messages",
    "object": "message_event",
    "event_type": "incoming_message",
    "project_id": "PROJECT_ID",
    "room_id": "ROOM_ID",
    "bot_id": "BOT_ID",
    "user_id": "USER_ID",
    "value": {
      "id": "MESSAGE_ID",
      "type": "text",
      "content": {
        "body": "Hello user, how can I help you?"
      }
    }
}
END

signature=$(sign "$run/message.json")

title "the request"

cat <<END
POST $url
Content-Type: application/json
X-Jelou-Signature: sha256=$signature

END
cat "$run/message.json"

status=$(curl -sS -i -o "$run/answer" -w '%{http_code}' --max-time 10 \
              --noproxy '*' --data-binary "@$run/message.json" \
              -H 'Content-Type: application/json' \
              -H "X-Jelou-Signature: sha256=$signature" "$url")

title "the answer"
cat "$run/answer"
echo

# The application writes its line when its own answer is complete, which may be
# a moment after ours.

for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ ! -s "$run/events.log" ] || break
    sleep 0.2
done

title "the event that the application received"
cat "$run/events.log"

title "and now"

cat <<END
nginx runs on 127.0.0.1:$port, the application on 127.0.0.1:$((port + 1)).
Its configuration and its logs are in build/run/.

To send another message:

body='{"field":"messages","object":"message_event",
"event_type":"incoming_message","project_id":"PROJECT_ID",
"room_id":"ROOM_ID","bot_id":"BOT_ID","user_id":"USER_ID",
"value":{"id":"MESSAGE_ID_2","type":"text","content":{"body":"One more"}}}'
signature=\$(printf %s "\$body" |
    openssl dgst -sha256 -hmac '$secret' -r | cut -d ' ' -f 1)
curl -i -H 'Content-Type: application/json' \\
     -H "X-Jelou-Signature: sha256=\$signature" \\
     --data-binary "\$body" $url; echo
tail -n 1 $run/events.log

To stop nginx:

sh $root/util/run.sh stop

END

[ "$status" = 200 ] || die "the answer is $status, not 200"
[ -s "$run/events.log" ] || die "no event has arrived at the application"
