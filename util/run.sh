#!/bin/sh
#
# Starts nginx with the module on 127.0.0.1, sends one message to each of the
# four endpoints, and shows what becomes of it.  nginx goes on running:
#
#     sh util/run.sh              builds, (re)starts, sends
#     PORT=9000 sh util/run.sh    the same, on port 9000, and 9001 for the
#                                 application behind it
#     sh util/run.sh stop
#     sh util/run.sh queue        a queue, and an application that is down for a
#                                 while: it ends by itself
#
# All its files are in build/run/, but for what nginx's workers must read: if root
# calls this, that is in a directory of its own in /run, since workers are nobody
# special, and the clone may be where they cannot go.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

run=$root/build/run
conf=$run/nginx.conf
port=${PORT:-8080}
url=http://127.0.0.1:$port


# Prints the process id of the nginx that this script has started, if it runs.
# The number alone may be another process's by now.

running() {
    [ -s "$run/nginx.pid" ] || return 1
    read -r pid <"$run/nginx.pid"
    grep -qsF "$conf" "/proc/$pid/cmdline" && echo "$pid"
}


stop() {
    remove_readable
    pid=$(running) || return 0

    kill "$pid"

    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        running >/dev/null || return 0
        sleep 0.2
    done

    die "nginx, process $pid, does not stop"
}


# make_readable: sets $readable, a directory that the workers can read

make_readable() {
    readable=$run

    if [ "$(id -u)" = 0 ]; then
        readable=$(mktemp -d /run/jelou-quickstart.XXXXXX)
        chmod 755 "$readable"
        echo "$readable" >"$run/readable"
    fi

    printf '%s:%s\n' "${client%%:*}" \
           "$(openssl passwd -apr1 "${client#*:}")" >"$readable/htpasswd"
    chmod 644 "$readable/htpasswd"
}

remove_readable() {
    [ -s "$run/readable" ] || return 0

    rm -rf "$(cat "$run/readable")"
    rm "$run/readable"
}


# failed: what nginx has said; it does not go on

failed() {
    grep -hE '\[(crit|error|alert|emerg)\]' "$run/error.log" | tail -n 5 >&2
    stop
    say "nginx is stopped; its log is build/run/error.log" >&2
}


start() {
    sed "s,\(auth_basic_user_file  *\)htpasswd,\1$readable/htpasswd,
         s/127\.0\.0\.1:8080/127.0.0.1:$port/
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


# events: how many have arrived

events() { wc -l <"$run/events.log"; }


# show ENDPOINT PATH signed|basic
#
# Sends the body that stands on the standard input, and prints the request, the
# answer and the event.

show() {
    body=$run/$1.json
    cat >"$body"

    case $3 in
        signed) proof="X-Jelou-Signature: sha256=$(sign "$body")" ;;
        basic) proof="Authorization: Basic $(printf %s "$client" | base64)" ;;
    esac

    title "$1: the request"
    printf 'POST %s\nContent-Type: application/json\n%s\n\n' "$url$2" "$proof"
    cat "$body"

    before=$(events)

    status=$(curl -sS -i -o "$run/answer" -w '%{http_code}' --max-time 10 \
                  --noproxy '*' --data-binary "@$body" \
                  -H 'Content-Type: application/json' -H "$proof" "$url$2")

    title "$1: the answer"
    cat "$run/answer"
    echo

    [ "$status" = 200 ] || die "$1: the answer is $status, not 200"

    # The application writes its line when its own answer is complete, which
    # may be a moment after ours.

    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ "$(events)" -eq "$before" ] || break
        sleep 0.2
    done

    title "$1: the event that the application received"
    tail -n "+$((before + 1))" "$run/events.log"

    [ "$(events)" -gt "$before" ] || die "$1: no event has arrived"
}


case ${1:-} in
    stop) stop; exit ;;
    queue) exec sh "$root/util/run-queue.sh" ;;
    ?*) die "no such command: $1" ;;
esac

case $port in
    *[!0-9]*) die "PORT is not a number: $port" ;;
esac

sh "$root/util/build.sh"

need curl openssl

mkdir -p "$run"

client=quickstart-client:quickstart-password

stop
make_readable
start
trap '[ $? = 0 ] || failed' EXIT
trap 'exit 1' HUP INT TERM

secret=$(sed -n 's/.*jelou_secret  *"\(.*\)";/\1/p' "$conf" | head -n 1)

show incoming_message /v1/external-support/webhook signed <<'END'
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

show message /partner/webhook signed <<'END'
{
  "field": "messages",
  "object": "message_event",
  "event_type": "message",
  "timestamp": 1776134352163,
  "project_id": "PROJECT_ID",
  "room_id": "ROOM_ID",
  "contact": {
    "id": "USER_ID",
    "name": "USER_NAME"
  },
  "conversation": {
    "id": "CONVERSATION_ID"
  },
  "bot": {
    "id": "BOT_ID",
    "name": "BOT_NAME"
  },
  "value": {
    "id": "MESSAGE_ID",
    "type": "image",
    "content": {
      "url": "https://storage.example.com/media/image.jpg",
      "mime_type": "image/jpeg"
    }
  }
}
END

show room_message /v1/rooms/ROOM_ID/message basic <<'END'
{
  "senderId": "SENDER_ID",
  "messages": [
    {
      "id": "0b6a1d8e-5c3f-4f6b-9a53-6d1f0f3a7c21",
      "type": "TEXT",
      "text": "Your order is ready"
    },
    {
      "id": "f2d7c6aa-93e4-4b0d-8f57-2f4a1be0c9d8",
      "type": "IMAGE",
      "mediaUrl": "https://storage.example.com/media/order.jpg",
      "text": "Order 4711"
    }
  ]
}
END

show bot_message /v1/bots/BOT_ID/messages basic <<'END'
{
  "type": "text",
  "text": "Por favor selecciona una opción",
  "userId": "USER_ID",
  "title": "Elige una opción",
  "options": [
    {
      "id": "option_1",
      "title": "Opción 1",
      "description": "Esta es la primera opción"
    },
    {
      "title": "Opción 2"
    }
  ]
}
END

title "and now"

cat <<END
nginx runs on 127.0.0.1:$port, the application on 127.0.0.1:$((port + 1)).
Its configuration and its logs are in $run.

To send another signed message:

body='{"field":"messages","object":"message_event",
"event_type":"incoming_message","project_id":"PROJECT_ID",
"room_id":"ROOM_ID","bot_id":"BOT_ID","user_id":"USER_ID",
"value":{"id":"MESSAGE_ID_2","type":"text","content":{"body":"One more"}}}'
signature=\$(printf %s "\$body" |
    openssl dgst -sha256 -hmac '$secret' -r | cut -d ' ' -f 1)
curl -i -H 'Content-Type: application/json' \\
     -H "X-Jelou-Signature: sha256=\$signature" \\
     --data-binary "\$body" $url/v1/external-support/webhook; echo
tail -n 1 $run/events.log

And one of a bot, which is not signed:

curl -i -u '$client' -H 'Content-Type: application/json' \\
     --data-binary '{"type":"text","userId":"USER_ID","text":"Hello"}' \\
     $url/v1/bots/BOT_ID/messages; echo
tail -n 1 $run/events.log

To stop nginx:

sh $root/util/run.sh stop

END
