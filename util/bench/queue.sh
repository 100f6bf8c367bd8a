#!/bin/sh
#
# What an event costs on its way into Redis, beside a bare proxy_pass of the same
# request, in one run: the time of the worker and of Redis, requests a second, and
# how long a sender waits.
#
#     sh util/bench/queue.sh             measures, and prints a section
#     sh util/bench/queue.sh --write     puts it into docs/benchmarks.md
#
# BEFORE may be the module of an earlier version, to compare with: util/build.sh has
# built it in a clone of that commit.  ROUNDS (5), SECONDS_EACH (4) and PORT (18100,
# and the next five) may be set.  All its files are in build/bench-queue/.

set -eu

bench=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$bench/../.." && pwd)
. "$root/util/lib.sh"

dir=$root/build/bench-queue
module=$root/build/ngx_http_jelou_module.so
before=${BEFORE:-}
secret=benchmark-signing-secret
port=${PORT:-18100}
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-4}
results=$dir/results.tsv
ours=

LC_ALL=C
export LC_ALL

# again: nginx may be just about to wait when the first signal comes

end() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill "$1" 2>/dev/null || return 0
        sleep 0.1
    done

    kill -9 "$1" 2>/dev/null || :
}

end_all() {
    for pid in $ours; do
        end "$pid"
    done
}

trap end_all EXIT
trap 'exit 1' HUP INT TERM

sh "$root/util/build.sh"
need perl valgrind redis-server wrk procps openssl

rm -rf "$dir"
mkdir -p "$dir/temp"
cd "$dir"
: >"$results"

perl "$bench/bodies.pl" "$dir" "$secret"

# The worker that is measured has the last core for itself.  Redis, the origin and
# the load generator share the others.

last=$(($(nproc) - 1))
worker_only=
elsewhere=

if [ $last -gt 0 ]; then
    worker_only="taskset -c $last"
    elsewhere="taskset -c 0-$((last - 1))"
fi

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=queue -addext subjectAltName=DNS:queue -keyout tls.key \
    -out tls.crt 2>/dev/null

# front NAME MODULE PORT

front() {
    tls=
    [ "$1" = before ] || tls="
        location = /tls {
            jelou_endpoint      incoming_message;
            jelou_redis_pass    queue-tls;
            jelou_redis_dedup   10s  key=\$pid.\$connection.\$connection_requests;
            jelou_redis_ssl     on;
            jelou_redis_connect_timeout          20s;
            jelou_redis_ssl_name                 queue;
            jelou_redis_ssl_trusted_certificate  $dir/tls.crt;
        }"

    cat >"$1.conf" <<END
load_module  $2;
worker_processes  1;
pid  $dir/$1.pid;
error_log  $dir/$1.log  error;
events { worker_connections  2048; }
http {
    access_log  off;
    client_body_buffer_size  1m;
    client_body_temp_path  $dir/temp;
    proxy_temp_path  $dir/temp;
    fastcgi_temp_path  $dir/temp;
    uwsgi_temp_path  $dir/temp;
    scgi_temp_path  $dir/temp;
    keepalive_requests  1000000000;
    keepalive_timeout  600s;
    proxy_http_version  1.1;
    proxy_set_header  Connection  "";
    upstream origin {
        server  127.0.0.1:$((port + 1));
        keepalive  256;
        keepalive_requests  1000000000;
    }
    upstream queue {
        server  127.0.0.1:$((port + 2));
        keepalive  256;
        keepalive_requests  1000000000;
    }
    upstream queue-tls { server  127.0.0.1:$((port + 3)); }
    jelou_secret        "$secret";
    jelou_redis_stream  bench;
    server {
        listen  127.0.0.1:$3 backlog=1024;
        location = /plain { proxy_pass  http://origin; }
        location = /jelou {
            jelou_endpoint  incoming_message;
            proxy_pass      http://origin;
        }
        location = /queue {
            jelou_endpoint      incoming_message;
            jelou_redis_pass    queue;
            jelou_redis_dedup   10s  key=\$pid.\$connection.\$connection_requests;
        }
        location = /xadd {
            jelou_endpoint      incoming_message;
            jelou_redis_pass    queue;
        }$tls
    }
}
END
}

front now "$module" "$port"
[ -z "$before" ] || front before "$before" $((port + 4))

cat >origin.conf <<END
worker_processes  1;
pid  $dir/origin.pid;
error_log  $dir/origin.log  error;
events { worker_connections  2048; }
http {
    access_log  off;
    client_body_buffer_size  16m;
    client_body_temp_path  $dir/temp;
    proxy_temp_path  $dir/temp;
    fastcgi_temp_path  $dir/temp;
    uwsgi_temp_path  $dir/temp;
    scgi_temp_path  $dir/temp;
    keepalive_requests  1000000000;
    server {
        listen  127.0.0.1:$((port + 1)) backlog=1024;
        location / {
            default_type  application/json;
            return  200  '{"received":true}';
        }
    }
}
END

# serve NAME [PREFIX]: leaves the process in $server

serve() {
    ${2:-} /usr/sbin/nginx -c "$dir/$1.conf" -e "$dir/$1.log" -g 'daemon off;' &
    server=$!
    ours="$ours $server"

    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ ! -s "$dir/$1.pid" ] || return 0
        sleep 0.25
    done

    die "nginx does not start, see build/bench-queue/$1.log"
}

serve origin "$elsewhere"

$elsewhere redis-server --port $((port + 2)) --tls-port $((port + 3)) \
    --tls-cert-file tls.crt --tls-key-file tls.key --tls-ca-cert-file tls.crt \
    --tls-auth-clients no --save "" --appendonly no --dir "$dir" >redis.log &
redis=$!
ours="$ours $redis"

for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    ! redis-cli -p $((port + 2)) ping >/dev/null 2>&1 || break
    sleep 0.25
done

flush() { redis-cli -p $((port + 2)) flushall >/dev/null; }

# the time that a process has run, in ns

ran() { cut -d ' ' -f 1 "/proc/$1/schedstat"; }

# How long a client waits until it asks again, in ms: so p99 is that at one rate.

sed 's/^function done/function delay() return tonumber(os.getenv("PAUSE")) end\n\n&/' \
    "$bench/wrk.lua" >paced.lua

# load PORT PATH CONNECTIONS PAUSE: sets $loaded

load() {
    script=$bench/wrk.lua
    [ "$4" = 0 ] || script=$dir/paced.lua

    PAUSE=$4 BODY=$dir/353.json SIGNATURE=$(cat "$dir/353.sig") $elsewhere \
        wrk -t 1 -c "$3" -d "${seconds}s" --timeout 20s -s "$script" \
        "http://127.0.0.1:$1/$2" >wrk.out

    loaded=$(sed -n 's/^RESULT //p' wrk.out)

    case $loaded in
        *' 0 0') ;;
        *) die "wrk met errors, see build/bench-queue/wrk.out" ;;
    esac
}

# measure LABEL WORKER PORT PATH CONNECTIONS PAUSE

measure() {
    flush

    cpu=$(ran "$2")
    theirs=$(ran $redis)
    load "$3" "$4" "$5" "$6"

    # shellcheck disable=SC2086
    set -- "$@" $loaded $(($(ran "$2") - cpu)) $(($(ran $redis) - theirs))

    # label, connections, pause, requests, seconds, p50, p99, time of both
    printf '%s\t' "$1" "$5" "$6" "$7" "$8" "$9" "${10}" "${13}" >>"$results"
    echo "${14}" >>"$results"
}

# instructions LABEL CONF PORT PATH: of one event, by callgrind

instructions() {
    for n in 200 700; do
        flush
        valgrind --tool=callgrind --callgrind-out-file="$dir/$1.$n.cg" \
            --log-file="$dir/$1.valgrind" /usr/sbin/nginx -c "$dir/$2.conf" \
            -e "$dir/$2.log" -g 'daemon off; master_process off;' &
        server=$!
        ours="$ours $server"

        perl "$bench/client.pl" "$3" "/$4" "$dir/353.json" \
            "$(cat "$dir/353.sig")" 200 $n
        end $server
        wait $server 2>/dev/null || :
        rm -f "$dir/$2.pid"
    done

    few=$(awk '/^(summary|totals):/ { print $2; exit }' "$1.200.cg")
    many=$(awk '/^(summary|totals):/ { print $2; exit }' "$1.700.cg")

    printf 'instructions\t%s\t%s\n' "$1" $(((many - few) / 500)) >>"$results"
}

say "instructions"

for path in plain jelou queue xadd tls; do
    instructions $path now "$port" $path
done

[ -z "$before" ] || instructions before before $((port + 4)) queue

serve now "$worker_only"
now=$(pgrep -P "$server" | head -n 1)

if [ -n "$before" ]; then
    serve before "$worker_only"
    was=$(pgrep -P "$server" | head -n 1)
fi

for round in $(seq "$rounds"); do
    say "round $round of $rounds"

    for load in '1 0' '16 0' '64 0' '64 8'; do
        # shellcheck disable=SC2086
        for path in plain jelou queue xadd tls; do
            measure $path "$now" "$port" $path $load
        done

        # shellcheck disable=SC2086
        [ -z "$before" ] || measure before "$was" $((port + 4)) queue $load
    done
done

if [ "${1:-}" = --write ]; then
    perl "$bench/queue.pl" "$results" "$root/docs/benchmarks.md"
    say "docs/benchmarks.md has it"
else
    perl "$bench/queue.pl" "$results"
fi
