#!/bin/sh
#
# What a delivered event costs a worker, beside a request of the same body that a
# client sends through a bare proxy_pass, to the same application, in one run.
#
#     sh util/bench/deliver.sh             instructions, and processor time
#     sh util/bench/deliver.sh --quick     instructions alone
#     sh util/bench/deliver.sh --accept    events that a worker accepts in a second
#                                          while it delivers nothing, and while it
#                                          delivers a backlog
#
# Instructions are counted by callgrind, as the difference between two numbers of
# events, so that what nginx does at its start is not in them.  EVENTS (60000) is
# how many the time is measured with, PORT (18090, and the next two), and ROUNDS (3)
# and SECONDS_EACH (4) of --accept may be set.  All its files are in
# build/bench-deliver/.

set -eu

bench=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$bench/../.." && pwd)
. "$root/util/lib.sh"

dir=$root/build/bench-deliver
nginx=${NGINX:-/usr/sbin/nginx}
module=${MODULE-$root/build/ngx_http_jelou_module.so}
port=${PORT:-18090}
events=${EVENTS:-60000}
rounds=${ROUNDS:-3}
seconds=${SECONDS_EACH:-4}
secret=benchmark-signing-secret
ours=
elsewhere=
worker_only=

end_all() {
    for pid in $ours; do
        kill -9 "$pid" 2>/dev/null || :
    done
}

trap end_all EXIT
trap 'exit 1' HUP INT TERM

need redis-server perl valgrind wrk procps

mkdir -p "$dir"
cd "$dir"

# The worker that accepts and delivers has the last core for itself; Redis, the
# application and the clients share the others.

if [ "${1-}" = --accept ] && [ "$(nproc)" -gt 1 ]; then
    worker_only="taskset -c $(($(nproc) - 1))"
    elsewhere="taskset -c 0-$(($(nproc) - 2))"
fi

body=$(perl -e '
    my $event = q({"field":"messages","object":"message_event","event_type":)
              . q("incoming_message","project_id":"p-1","room_id":"r-1",)
              . q("bot_id":"b-1","user_id":"u-1","value":{"id":"m-1",)
              . q("type":"text","content":{"body":"@"}}});
    $event =~ s/@/"x" x (353 - length($event) + 1)/e;
    print $event')

conf() {
    cat <<END
${module:+load_module $module;}
daemon off;
master_process off;
pid $dir/$1.pid;
error_log $dir/$1.log warn;
events { worker_connections 2048; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path $dir/temp;
    proxy_temp_path $dir/temp;
    fastcgi_temp_path $dir/temp;
    uwsgi_temp_path $dir/temp;
    scgi_temp_path $dir/temp;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream app { server 127.0.0.1:$((port + 1)); keepalive 64; }
    upstream queue { server 127.0.0.1:$((port + 2)); }
    server {
$2
    }
}
END
}

conf app "listen 127.0.0.1:$((port + 1)); location / { return 200 taken; }" >app.conf
conf plain "listen 127.0.0.1:$port; location / { proxy_pass http://app; }" >plain.conf
conf deliver "listen 127.0.0.1:$port;
    location = /accept {
        jelou_endpoint  incoming_message;
        jelou_secret  \"$secret\";
        jelou_redis_pass  queue;
        jelou_redis_stream  accepted;
    }
    location @app {
        jelou_deliver  queue  stream=bench  group=app;
        jelou_deliver_parallel  16;
        proxy_pass  http://app;
    }" >deliver.conf

$elsewhere "$nginx" -e app.log -c "$dir/app.conf" & ours="$ours $!"
$elsewhere redis-server --port $((port + 2)) --save "" --appendonly no --dir "$dir" \
    >redis.log & ours="$ours $!"

# fill N [keep]: entries of 500 rooms; nothing else stays in Redis, unless told

fill() {
    until redis-cli -p $((port + 2)) ping >/dev/null 2>&1; do sleep 0.1; done

    BODY=$body perl -e '
        my ($n, $keep) = @ARGV;
        print "FLUSHALL\r\n" if !$keep;
        for (1 .. $n) {
            my @w = ("XADD", "bench", "*", "event", $ENV{BODY}, "event_type",
                     "incoming_message", "message_id", "m-$_", "room_id",
                     "r-" . $_ % 500, "received_at", "1795243374848", "format",
                     "event");
            print "*" . @w . "\r\n", map { "\$" . length . "\r\n$_\r\n" } @w;
        }' "$@" | redis-cli -p $((port + 2)) --pipe >/dev/null
}

# clients N: sends so many requests over 16 connections

clients() {
    BODY=$body perl -MIO::Socket::INET -MIO::Select -e '
        my ($port, $n) = @ARGV;
        my ($sent, $done, $select) = (0, 0, IO::Select->new);
        my $request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            . "X-Jelou-Delivery-Id: 1795243374848-0\r\nX-Jelou-Delivery-Attempt: 1\r\n"
            . "X-Jelou-Received-At: 1795243374848\r\nContent-Length: "
            . length($ENV{BODY}) . "\r\n\r\n$ENV{BODY}";
        for (1 .. 16) {
            my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or die;
            $select->add($c);
            syswrite $c, $request if $sent++ < $n;
        }
        while ($done < $n) {
            for my $c ($select->can_read) {
                sysread $c, my $answer, 65536;
                $done++;
                syswrite $c, $request if $sent++ < $n;
            }
        }' "$port" "$1"
}

# measure WHAT N [callgrind]: prints the instructions, or the processor time in
# ms, that nginx has taken

measure() {
    fill "$([ "$1" = deliver ] && echo "$2" || echo 1)"
    rm -f "$1.pid"

    if [ $# = 3 ]; then
        valgrind --tool=callgrind --callgrind-out-file="$dir/callgrind.$1.$2" \
            "$nginx" -e "$1.log" -c "$dir/$1.conf" 2>valgrind.log &
    else
        $nginx -e "$1.log" -c "$dir/$1.conf" &
    fi

    pid=$!
    ours="$ours $pid"
    until [ -s "$1.pid" ]; do sleep 0.1; done
    sleep 0.5

    if [ "$1" = deliver ]; then
        until [ "$(redis-cli -p $((port + 2)) xlen bench)" = 0 ]; do
            sleep 0.2
        done
    else
        clients "$2"
    fi

    time=$(awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) * 1000 / hz }' \
               "/proc/$pid/stat")

    kill -QUIT "$pid"
    wait "$pid" || :

    if [ $# = 3 ]; then
        sed -n 's/.*Collected : //p' valgrind.log
    else
        echo "$time"
    fi
}

redis() { redis-cli -p $((port + 2)) "$@"; }

pause() { redis hset 'jelou-deliver:{bench}:app' paused 1 >/dev/null; sleep 3; }

resume() { redis hdel 'jelou-deliver:{bench}:app' paused >/dev/null; }

# accept CONNECTIONS DELAY: prints the requests of each second, and the percentiles
# of their time; a client waits so many ms before its next event

accept() {
    script=$bench/wrk.lua
    [ "$2" = 0 ] || script=$dir/paced.lua

    DELAY=$2 BODY=$dir/353.json SIGNATURE=$(cat 353.sig) $elsewhere \
        wrk -t 1 -c "$1" -d "${seconds}s" --timeout 20s -s "$script" \
        "http://127.0.0.1:$port/accept" >wrk.out

    awk '$1 == "RESULT" {
             if ($6 || $7) exit 1
             printf "%d a second, p50 %d us, p99 %d us", $2 / $3, $4, $5
         }' wrk.out || die "wrk met errors, see build/bench-deliver/wrk.out"
}

# beside: what is accepted meanwhile, at several rates

beside() {
    perl "$bench/bodies.pl" "$dir" "$secret"
    sed 's/^function done/function delay() return tonumber(os.getenv("DELAY")) end\n\n&/' \
        "$bench/wrk.lua" >paced.lua

    fill 1
    rm -f deliver.pid
    $worker_only "$nginx" -e deliver.log -c "$dir/deliver.conf" & ours="$ours $!"
    until [ "$(redis xlen bench)" = 0 ]; do sleep 0.2; done
    pause

    for load in '640 64' '640 32' '640 16' '16 0'; do
        for round in $(seq "$rounds"); do
            # shellcheck disable=SC2086
            alone=$(accept $load)

            fill 400000 keep
            resume
            before=$(redis xlen bench)
            until [ "$(redis xlen bench)" -lt "$before" ]; do sleep 0.1; done
            before=$(redis xlen bench)
            # shellcheck disable=SC2086
            meanwhile=$(accept $load)
            left=$(redis xlen bench)

            [ "$left" -gt 0 ] || die "the backlog ended before the clients"
            pause
            redis xtrim bench maxlen 0 >/dev/null
            redis del accepted >/dev/null

            echo "$load, round $round: $alone; while" \
                 "$(((before - left) / seconds)) a second are delivered: $meanwhile"
        done
    done
}

if [ "${1-}" = --accept ]; then
    beside
    exit
fi

for what in plain deliver; do
    few=$(measure $what 500 callgrind)
    many=$(measure $what 2500 callgrind)
    eval "$what=$(((many - few) / 2000))"
done

awk -v p="$plain" -v d="$deliver" 'BEGIN {
    printf "instructions: plain %d, delivered %d, %.2f\n", p, d, d / p }'

[ "${1-}" != --quick ] || exit 0

for round in 1 2 3; do
    plain=$(measure plain "$events")
    deliver=$(measure deliver "$events")

    awk -v r=$round -v p="$plain" -v d="$deliver" -v n="$events" 'BEGIN {
        printf "round %d, microseconds: plain %.1f, delivered %.1f, %.2f\n",
               r, p * 1000 / n, d * 1000 / n, d / p }'
done
