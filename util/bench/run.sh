#!/bin/sh
#
# What a message costs: this module beside nginx's bare proxy and beside the
# same job in Lua and in njs, all in one nginx, in one run.
#
#     sh util/bench/run.sh             measures, and prints tables
#     sh util/bench/run.sh --write     and writes docs/benchmarks.md and .svg
#     sh util/bench/run.sh --quick     instructions only; fails if they grew by
#                                      more than 3 % over what is recorded, or if
#                                      a hostile body takes too many
#     sh util/bench/run.sh --record    records them, in util/bench/instructions
#     sh util/bench/run.sh --profile   instructions only, by function
#     sh util/bench/run.sh --hostile   what bodies cost that are meant to cost much;
#                                      fails if that is more than three times a text
#     sh util/bench/run.sh --status    what counting adds, in instructions; fails
#                                      if that is 1 % of a request's or more
#     sh util/bench/run.sh --sign      what signing a message of ours takes beside
#                                      proxy_pass alone, in instructions and in time
#
# ROUNDS (5), SECONDS_EACH (2) and PORT (18080, and the next four) may be set.
# All its files are in build/bench/.

set -eu

bench=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$bench/../.." && pwd)
. "$root/util/lib.sh"
. "$root/util/bench/hostile.sh"

dir=$root/build/bench
results=$dir/results.tsv
recorded=$bench/instructions
nginx=/usr/sbin/nginx
secret=benchmark-signing-secret
port=${PORT:-18080}
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-2}
connections=16
ours=
here=
elsewhere=
worker_only=

LC_ALL=C
export LC_ALL


# Every process that is started here is ended here, by its number.

end() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill "$1" 2>/dev/null || return 0

        # again: nginx may be just about to wait when the first one comes
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


# fill FILE ORIGIN-PORT: a template of this directory, filled in

fill() {
    sed "s|@root@|$root|; s|@dir@|$dir|; s|@bench@|$dir|; s|@secret@|$secret|
         s|@port@|$port|; s|@origin@|$2|
         s|@recorder@|$((port + 2))|; s|@slow@|$((port + 3))|
         s|@queue@|$((port + 4))|" \
        "$bench/$1"
}


# without CONF: and without what belongs to the peers

without_peers() {
    sed '/^# peers/,/^# end of peers/d' "$1"
}


# serve CONF NAME: starts nginx in the background, and leaves its number in
# $server

serve() {
    $here $nginx -c "$1" -e "$dir/$2.log" -g 'daemon off;' &
    server=$!
    ours="$ours $server"

    # until it answers, or has ended
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ ! -s "$dir/$2.pid" ] || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.25
    done

    die "nginx does not start, see build/bench/$2.log"
}

stop() {
    end "$1"
    wait "$1" 2>/dev/null || :
    ours=$(echo " $ours " | sed "s/ $1 / /")
    rm -f "$dir/front.pid"
}


signature() { cat "$dir/$1.sig"; }

post() {
    perl "$bench/client.pl" "$port" "/$1" "$dir/$2.json" "$(signature "$2")" \
        "$3" "$4"
}


# callgrind NAME COMMAND...: runs it, and counts; what it writes is NAME.cg

callgrind() {
    name=$1
    shift
    exec valgrind --tool=callgrind --callgrind-out-file="$dir/$name.cg" \
        --log-file="$dir/$name.valgrind" "$@"
}

total() { awk '/^(summary|totals):/ { print $2; exit }' "$dir/$1.cg"; }


# per_request NAME FEW MANY

per_request() {
    echo $((($(total "$1.$3") - $(total "$1.$2")) / ($3 - $2)))
}


# instructions CONF PATH BODY STATUS FEW MANY: of one request, in $counted.
# Each request is one more of the same on the same connection, so that what
# nginx does to start and to end is in both runs, and in no difference.

instructions() {
    name=$2.$3

    for n in "$5" "$6"; do
        callgrind "$name.$n" $nginx -c "$1" -e "$dir/front.log" \
            -g 'daemon off; master_process off;' &
        server=$!
        ours="$ours $server"

        post "$2" "$3" "$4" "$n"
        stop "$server"
    done

    counted=$(per_request "$name" "$5" "$6")
}


# floor_instructions WHAT BODY FEW MANY: likewise

floor_instructions() {
    for n in "$3" "$4"; do
        (callgrind "floor.$1.$2.$n" "$dir/floor" "$dir/$2.json" "$1" "$n") \
            >/dev/null
    done

    counted=$(per_request "floor.$1.$2" "$3" "$4")
}


prepare() {
    sh "$root/util/build.sh"

    need perl gcc libc6-dev libssl-dev libyajl-dev valgrind redis-server "$@"

    rm -rf "$dir"
    mkdir -p "$dir/temp"
    : >"$results"

    perl "$bench/bodies.pl" "$dir" "$secret"

    gcc -O2 -Wall -Wextra -Werror -o "$dir/floor" "$bench/floor.c" \
        -lcrypto -lyajl

    fill origin.conf $((port + 1)) >"$dir/origin.conf"
    fill nginx.conf $((port + 1)) >"$dir/front.conf"
    fill nginx.conf $((port + 2)) >"$dir/check.conf"
    fill nginx.conf $((port + 3)) >"$dir/memory.conf"
    without_peers "$dir/front.conf" >"$dir/quick.conf"

    for file in peer.lua peer.js; do
        fill $file 0 >"$dir/$file"
    done

    here=$elsewhere
    serve "$dir/origin.conf" origin
    here=

    $elsewhere redis-server --bind 127.0.0.1 --port $((port + 4)) \
        --dir "$dir" --save "" --logfile "$dir/redis.log" &
    ours="$ours $!"
}


# What the numbers of instructions depend on, besides the module

versions() {
    for package in nginx libssl3 libyajl2 libc6 gcc valgrind; do
        dpkg-query -W -f '${Package} ${Version}\n' $package 2>/dev/null || :
    done

    flags=$(sed -n 's/^flags[[:space:]]*://p' /proc/cpuinfo | head -n 1)
    cpu=$(uname -m)

    for flag in ssse3 avx avx2 bmi2; do
        case " $flags " in
            *" $flag "*) cpu="$cpu,$flag" ;;
        esac
    done

    echo "cpu $cpu"
}


# The accepted path, 353 bytes: leaves $added and $floor

quick() {
    instructions "$dir/quick.conf" plain 353 200 100 1100
    plain=$counted
    instructions "$dir/quick.conf" jelou 353 200 100 1100
    added=$((counted - plain))

    floor_instructions both 353 100 1100
    floor=$counted

    say "an accepted message of 353 bytes adds $added instructions to" \
        "proxy_pass's $plain;"
    say "the floor is $floor: $(ratio "$added" "$floor") of it"
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }
recorded() { sed -n "s/^$1 //p" "$recorded"; }


compare() {
    [ -s "$recorded" ] || die "nothing is recorded, see --record"

    was=$(recorded added)
    was_floor=$(recorded floor)

    grep -v -e '^#' -e '^added ' -e '^floor ' "$recorded" >"$dir/then"
    versions >"$dir/now"

    if cmp -s "$dir/then" "$dir/now"; then
        change=$(ratio "$added" "$was")
        say "recorded are $was"

    else
        say "this machine is another than the one recorded, which had:"
        diff "$dir/now" "$dir/then" | sed -n 's/^> /    /p'
        say "what counts is the ratio to the floor, recorded as" \
            "$(ratio "$was" "$was_floor")"

        change=$(awk -v a="$added" -v f="$floor" -v w="$was" -v g="$was_floor" \
                     'BEGIN { printf "%.3f", (a / f) / (w / g) }')
    fi

    if awk -v c="$change" 'BEGIN { exit !(c > 1.03) }'; then
        die "it is $change times what is recorded: more than 3 % worse"
    fi

    if awk -v c="$change" 'BEGIN { exit !(c < 0.97) }'; then
        say "it is $change times what is recorded: record it, with --record"
    fi
}

record() {
    {
        echo "# Instructions that the module adds to proxy_pass for one" \
             "accepted message of 353"
        echo "# bytes, the floor, and what they were counted with." \
             " Written by run.sh --record."
        echo "added $added"
        echo "floor $floor"
        versions
    } >"$recorded"

    say "recorded in util/bench/instructions"
}


# What jelou_status_zone adds to the same request

counting() {
    sed 's/^http {$/&\n    jelou_status_zone  zone=counters:64k;/' \
        "$dir/quick.conf" >"$dir/status.conf"
    grep -q jelou_status_zone "$dir/status.conf" || die "no http block to count in"

    instructions "$dir/quick.conf" jelou 353 200 100 1100
    whole=$counted
    instructions "$dir/status.conf" jelou 353 200 100 1100
    more=$((counted - whole))

    say "counting adds $more instructions to the $whole of an accepted message:" \
        "$(ratio $((more * 100)) "$whole") %"

    [ $((more * 100)) -lt "$whole" ] || die "that is 1 % or more"
    [ "$more" -gt 0 ] || die "nothing was counted"
}


# The same message, from an application that does not sign: what nginx takes to
# do it, beside what it takes to verify one

signing() {
    cp "$dir/quick.conf" "$dir/front.conf"
    signing_cases >"$dir/cases"
    count_cases
    profile_cases <<'END'
sign missing plain missing
jelou 353 plain 353
END

    measure_all
    printf 'ticks\t%s\n' "$(getconf CLK_TCK)" >"$dir/machine.tsv"
    perl "$bench/report.pl" --sign "$dir"
}

signing_cases() {
    echo "plain 353 200"
    echo "jelou 353 200"
    echo "plain missing 200"
    echo "sign missing 200"
}

profile() {
    perl "$bench/profile.pl" "${LINES_SHOWN:-40}" \
        "$dir/jelou.353.100.cg" "$dir/jelou.353.1100.cg" 1000 \
        "$dir/plain.353.100.cg" "$dir/plain.353.1100.cg" 1000
}


# What is measured: path, body, and the status that must come back

cases() {
    for body in 353 4096 65536 524288; do
        for path in plain jelou raw lua njs; do
            echo "$path $body 200"
        done
    done

    echo "return missing 401"

    for path in jelou lua njs; do
        echo "$path missing 401"
        echo "$path wrong 401"
    done

    echo "dedup 353 200"
    signing_cases | grep missing

    for body in 353 4096; do
        echo "redis $body 200"
        echo "luaredis $body 200"
    done
}


put() { printf '%s\t' "$@" | sed 's/\t$//' >>"$results"; echo >>"$results"; }


count_all() {
    cases >"$dir/cases"
    count_cases

    # where they go, by library: what each has more than plain, and the queue than
    # proxy_pass

    profile_cases <<'END'
jelou 353 plain 353
raw 353 plain 353
lua 353 plain 353
njs 353 plain 353
redis 353 jelou 353
sign missing plain missing
END

    for body in 353 4096 65536 524288; do
        for what in hmac yajl both; do
            floor_instructions $what $body 20 120
            put floor $what $body "$counted" \
                "$("$dir/floor" "$dir/$body.json" $what \
                   $((200000000 / (body + 2000))))"
        done
    done
}


# The instructions of all cases

count_cases() {
    while read -r path body status; do
        conf=$dir/quick.conf

        case $path in
            lua | njs | luaredis) conf=$dir/front.conf ;;
        esac

        case $body in
            65536) few=60 many=120 ;;
            524288) few=10 many=20 ;;
            *) few=200 many=700 ;;
        esac

        say "instructions: $path, $body"
        instructions "$conf" "$path" "$body" "$status" $few $many
        put instructions "$path" "$body" "$counted"
    done <"$dir/cases"
}


# profile_cases: lines of a path and body, and of those that they are compared to

profile_cases() {
    while read -r path body base with; do
        perl "$bench/profile.pl" 0 \
            "$dir/$path.$body.200.cg" "$dir/$path.$body.700.cg" 500 \
            "$dir/$base.$with.200.cg" "$dir/$base.$with.700.cg" 500 |
            awk -v path="$path" -v OFS='\t' \
                '$3 == "%" { print "profile", path, $4, $1 }' >>"$results"
    done
}


# worker: the process that does the work, of the nginx that is $server

worker() { pgrep -P "$server" | head -n 1; }

cpu_times() { sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 12,13; }

memory() { sed -n "s/^$2:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$1/status"; }


# load PATH BODY STATUS CONNECTIONS SECONDS: prints what wrk.lua does

load() {
    BODY=$dir/$2.json SIGNATURE=$(signature "$2") $elsewhere \
        wrk -t 1 -c "$4" -d "${5}s" --timeout 20s -s "$bench/wrk.lua" \
            "http://127.0.0.1:$port/$1" >"$dir/wrk.out"

    # shellcheck disable=SC2046
    set -- "$3" $(sed -n 's/^RESULT //p' "$dir/wrk.out")

    if [ "${2:-0}" -eq 0 ] || [ "$6" != 0 ]; then
        die "wrk met errors, see build/bench/wrk.out"
    fi

    case $1 in
        200) [ "$7" = 0 ] || die "some answers were refusals" ;;
        *) [ "$7" = "$2" ] || die "some answers were no refusals" ;;
    esac

    echo "$2 $3 $4 $5"
}


# measure ROUND PATH BODY STATUS

measure() {
    pid=$(worker)

    before=$(cpu_times "$pid")
    loaded=$(load "$2" "$3" "$4" "$connections" "$seconds")
    after=$(cpu_times "$pid")

    # shellcheck disable=SC2086
    set -- "$@" $before $after $loaded

    put time "$2" "$3" "$1" $((${7} - ${5})) $((${8} - ${6})) "$9" "${10}" \
        "${11}" "${12}"
}


measure_all() {
    cp "$dir/cases" "$dir/forth"
    tac "$dir/cases" >"$dir/back"

    here=$worker_only
    serve "$dir/front.conf" front

    # the first of an id is no duplicate, and the others warm up

    while read -r path body status; do
        post "$path" "$body" "$status" 20
    done <"$dir/forth"

    round=1

    while [ "$round" -le "$rounds" ]; do
        say "round $round of $rounds"

        order=forth
        [ $((round % 2)) = 1 ] || order=back

        while read -r path body status; do
            measure "$round" "$path" "$body" "$status"
        done <"$dir/$order"

        round=$((round + 1))
    done

    stop "$server"
    here=
}


# With a worker of its own for each path: twice 200 clients with 512 KB, whom
# the origin keeps waiting, so that all of it is in the worker at once.  Then, if
# the path is this module's, many small messages.

measure_memory() {
    for path in plain jelou raw lua njs; do
        say "memory: $path"

        serve "$dir/memory.conf" front
        pid=$(worker)

        post $path 353 200 1
        start=$(memory "$pid" VmRSS)

        echo 5 >"/proc/$pid/clear_refs"
        load $path 524288 200 200 8 >/dev/null
        peak=$(memory "$pid" VmHWM)
        sleep 3
        after=$(memory "$pid" VmRSS)

        load $path 524288 200 200 8 >/dev/null
        sleep 3
        again=$(memory "$pid" VmRSS)

        stop "$server"
        put memory $path "$start" "$peak" "$after" "$again"
    done

    say "memory: 100,000 messages"

    serve "$dir/front.conf" front
    pid=$(worker)
    requests=0

    load jelou 353 200 $connections 1 >/dev/null
    start=$(memory "$pid" VmRSS)

    while [ "$requests" -lt 100000 ]; do
        loaded=$(load jelou 353 200 $connections 2)
        requests=$((requests + ${loaded%% *}))
    done

    put growth $(($(memory "$pid" VmRSS) - start))

    stop "$server"
}


machine() {
    printf 'processor\t%s, %s cores\n' \
        "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" \
        "$(nproc)"

    flags=none
    ! grep -qw sha_ni /proc/cpuinfo || flags=yes

    printf 'SHA instructions\t%s\n' "$flags"
    printf 'memory\t%d GB\n' \
        "$(awk '/^MemTotal/ { print int($2 / 1048576 + 0.5) }' /proc/meminfo)"
    printf 'kernel\tLinux %s\n' "$(uname -r | cut -d - -f 1)"

    for package in nginx libssl3 libyajl2 libnginx-mod-http-lua \
                   libnginx-mod-http-js lua-cjson redis-server wrk valgrind; do
        # shellcheck disable=SC2016
        dpkg-query -W -f '${Package}\t${Version}\n' $package
    done

    printf 'rounds\t%s of %s s, %s connections\n' "$rounds" "$seconds" \
        "$connections"
    printf 'ticks\t%s\n' "$(getconf CLK_TCK)"
}


# The worker that is measured has the last core for itself, if there are more.

choose_cores() {
    last=$(($(nproc) - 1))

    [ $last -gt 0 ] || return 0

    worker_only="taskset -c $last"
    elsewhere="taskset -c 0-$((last - 1))"
}


full() {
    say "do all paths do the same?"
    serve "$dir/check.conf" front
    perl "$bench/check.pl" "$port" "$dir" /plain /jelou /raw /lua /njs
    stop "$server"
    say "they do"

    machine >"$dir/machine.tsv"
    count_all
    measure_all
    measure_memory
    hostile
}


case $port in
    *[!0-9]*) die "PORT is not a number: $port" ;;
esac

case ${1:-} in
    --quick) prepare; quick; compare; hostile quick ;;
    --hostile) prepare procps; hostile ;;
    --record) prepare; quick; record ;;
    --profile) prepare; quick; profile ;;
    --status) prepare; counting ;;
    --sign) choose_cores; prepare wrk procps; signing ;;
    '' | --write)
        choose_cores
        prepare wrk libnginx-mod-http-lua libnginx-mod-http-js lua-cjson procps
        full

        if [ "${1:-}" = --write ]; then
            perl "$bench/report.pl" "$dir" "$root/docs"
            say "docs/benchmarks.md and docs/benchmarks.svg are written"
        else
            perl "$bench/report.pl" "$dir"
        fi
        ;;
    *) die "no such option: $1" ;;
esac
