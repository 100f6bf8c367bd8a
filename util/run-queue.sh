#!/bin/sh
#
# Shows that an application may be down: with Redis and nginx running, three
# events are accepted while the application is stopped; it is started, and has
# all three, in order.  Takes seconds, and ends what it has started.
#
#     sh util/run-queue.sh              or: sh util/run.sh queue
#     PORT=9000 sh util/run-queue.sh    on port 9000 and the next two
#
# All its files are in build/run-queue/, but for what nginx's workers must read.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

port=${PORT:-8080}

case $port in
    *[!0-9]*) die "PORT is not a number: $port" ;;
esac

sh "$root/util/build.sh"

need curl openssl redis-server redis-tools

run=$root/build/run-queue
secret=replace-with-the-signing-secret
ours=

mkdir -p "$run"

end_all() {
    for pid in $ours; do
        kill -QUIT "$pid" 2>/dev/null || :
        wait "$pid" || :
    done

    redis shutdown nosave >/dev/null 2>&1 || :
}

trap end_all EXIT
trap 'exit 1' HUP INT TERM

title() { printf '\n--- %s\n\n' "$1"; }
redis() { redis-cli -p $((port + 2)) "$@"; }


# until WHAT COMMAND...: waits for that, some seconds at most

until_so() {
    what=$1
    shift

    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 \
             21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40; do
        ! "$@" >/dev/null 2>&1 || return 0
        sleep 0.25
    done

    die "in vain: $what; the logs are in build/run-queue/"
}


# conf NAME: the file of an nginx, with what is in the http block from stdin

conf() {
    {
        echo "load_module $root/build/ngx_http_jelou_module.so;"
        echo "daemon off; pid $run/$1.pid; error_log $run/$1.error.log notice;"
        echo "events { } http { access_log off;"
        for kind in client_body proxy fastcgi uwsgi scgi; do
            echo "    ${kind}_temp_path $run/temp;"
        done
        cat
        echo "}"
    } >"$run/$1.conf"
}

start_nginx() {
    : >"$run/$1.error.log"
    /usr/sbin/nginx -p "$run" -c "$run/$1.conf" -e "$run/$1.error.log" &
    ours="$ours $!"
}


conf front <<END
    server {
        listen  127.0.0.1:$port;

        location = /v1/external-support/webhook {
            jelou_endpoint      incoming_message;
            jelou_secret        "$secret";

            jelou_redis_pass    127.0.0.1:$((port + 2));
            jelou_redis_stream  "jelou:events";
            jelou_redis_dedup   24h;
        }

        location @app {
            jelou_deliver  127.0.0.1:$((port + 2))  stream=jelou:events  group=app;
            proxy_pass     http://127.0.0.1:$((port + 1));
        }
    }
END

# The application: it writes down what it gets, and answers 204.

conf app <<END
    log_format  event  escape=none  "attempt \$http_x_jelou_delivery_attempt: \$request_body";

    server {
        listen  127.0.0.1:$((port + 1));

        location / {
            client_body_in_single_buffer  on;
            access_log  $run/events.log  event;
            rewrite     ^  /received  break;
            proxy_pass  http://127.0.0.1:$((port + 1));
        }

        location = /received { return 204; }
    }
END


# send N: a message with that id

send() {
    cat >"$run/body" <<END
{"field":"messages","object":"message_event","event_type":"incoming_message","project_id":"p-1","room_id":"r-1","bot_id":"b-1","user_id":"u-1","value":{"id":"m-$1","type":"text","content":{"body":"Message $1"}}}
END

    curl -sS --max-time 10 --noproxy '*' -w ' %{http_code}\n' --data-binary "@$run/body" \
        -H 'Content-Type: application/json' \
        -H "X-Jelou-Signature: sha256=$(openssl dgst -sha256 -hmac "$secret" -r <"$run/body" |
            cut -d ' ' -f 1)" \
        "http://127.0.0.1:$port/v1/external-support/webhook"
}

arrived() { [ "$(wc -l <"$run/events.log")" -ge 3 ]; }
done_with() { [ "$(redis xlen jelou:events)" = 0 ]; }


: >"$run/events.log"

redis-server --port $((port + 2)) --bind 127.0.0.1 --save '' --dir "$run" \
    --daemonize yes --logfile "$run/redis.log" >/dev/null
until_so 'Redis starts' redis ping

start_nginx front
until_so 'nginx starts' curl -sS --noproxy '*' "http://127.0.0.1:$port/"

title "The application is stopped; three messages are sent"

for n in 1 2 3; do send $n; done | tee "$run/answers"

[ "$(grep -c ' 200$' "$run/answers")" = 3 ] || die "not all were accepted"

title "The queue"

perl "$root/util/jelou-queue" --port $((port + 2)) list

[ "$(redis xlen jelou:events)" = 3 ] || die "there are not three entries"

title "The application is started; what it receives"

start_nginx app
until_so 'three events arrive' arrived
cat "$run/events.log"

[ "$(grep -o '"id":"m-[0-9]"' "$run/events.log" | tr -dc '123')" = 123 ] ||
    die "they are not in order"

until_so 'all is acknowledged' done_with

title "The queue"

perl "$root/util/jelou-queue" --port $((port + 2)) list
