#!/bin/sh
#
# Fuzzes the module's own code: what it makes of a body, of a header and of a
# secret file is compared with what the documentation says.
#
#     sh util/fuzz/run.sh                        each target for a minute
#     sh util/fuzz/run.sh --time 600 message     this one for ten
#     sh util/fuzz/run.sh --quick                a minute each, two at a time
#     sh util/fuzz/run.sh --coverage             what the inputs reach
#     sh util/fuzz/run.sh --merge                keeps inputs that reach more
#
# "--nginx NAME" takes another nginx than the newest, "--or-older" the newest that
# is to be had, see util/build.sh.
#
# Fails if something is found; the input is then in build/fuzz/found/, and
# "build/fuzz/TARGET FILE" runs it once more.  Inputs that reach something new
# are kept in build/fuzz/corpus/, and those that all begin with are in
# util/fuzz/corpus/.

set -eu

fuzz=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$fuzz/../.." && pwd)
. "$root/util/lib.sh"

dir=$root/build/fuzz
bodies='incoming_message message room_message bot_message'
all="$bodies signature secrets redis"

LC_ALL=C
export LC_ALL

# What of nginx and of the module is in the programs

core='core/ngx_string core/ngx_palloc core/ngx_list core/ngx_array
      core/ngx_rbtree core/ngx_crc32 core/ngx_murmurhash core/ngx_times
      os/unix/ngx_time'

module='yajl parse project events check items value rule text format id
        signature secret request pages redis_reply
        redis_pipeline redis_outcome'


# compile OBJECT SOURCE FLAG...

compile() {
    object=$1
    file=$2
    shift 2

    for include in core event event/modules event/quic os/unix http \
                   http/modules http/v2 http/v3
    do
        set -- "$@" "-I$source/src/$include"
    done

    for include in "$objs" "$root/ngx_http_jelou_module" \
                   "$root"/ngx_http_jelou_module/*/
    do
        set -- "$@" "-I$include"
    done

    clang -g -O1 -fno-omit-frame-pointer -D_GNU_SOURCE -DNGX_DEBUG_PALLOC=1 \
        "$@" -c "$file" -o "$object"
}


# build DIRECTORY MODULE-FLAGS OTHER-FLAGS LINK-FLAGS
#
# nginx's own code has undefined behaviour that is harmless, and is not what
# is looked for: it has no UBSan.  The edges of the module are counted twice,
# by libFuzzer and, through trace-pc, by the harness.

build() {
    out=$1

    mkdir -p "$out"

    {
        echo "$@"
        clang --version
        dpkg-query -W libyajl-dev libhiredis-dev libssl-dev libjansson-dev
        cat "$objs/inputs" "$root"/ngx_http_jelou_module/*.[ch] \
            "$root"/ngx_http_jelou_module/*/*.[ch] \
            "$fuzz"/*.[ch] "$fuzz/run.sh"
    } | cksum >"$out/inputs.new"

    ! cmp -s "$out/inputs.new" "$out/inputs" || return 0

    say "building ${out#"$root"/}"
    rm -f "$out"/*.o

    for file in $core; do
        # shellcheck disable=SC2086
        compile "$out/nginx-${file##*/}.o" \
            "$source/src/$file.c" $3
    done

    for file in $module; do
        # shellcheck disable=SC2086
        compile "$out/module-$file.o" \
            "$(find "$root/ngx_http_jelou_module" \
                   -name "ngx_http_jelou_$file.c")" \
            -Wall -Wextra -Wno-unused-parameter -Werror $2
    done

    for file in "$fuzz"/*.c; do
        # shellcheck disable=SC2086
        compile "$out/fuzz-$(basename "$file" .c).o" "$file" \
            -Wall -Wextra -Werror $3
    done

    link "$out" body "$4" tree core model mutate body
    link "$out" signature "$4" tree core signature
    link "$out" secrets "$4 -Wl,--wrap=ngx_http_jelou_hmac" tree core secrets

    link "$out" redis "$4" tree core redis

    for target in $bodies; do
        ln -f "$out/body" "$out/$target"
    done

    mv "$out/inputs.new" "$out/inputs"
}


# link DIRECTORY TARGET FLAGS HARNESS-FILE...

link() {
    out=$1
    target=$2
    flags=$3
    shift 3

    for file; do
        set -- "$@" "$out/fuzz-$file.o"
        shift
    done

    # shellcheck disable=SC2086
    clang $flags -Wl,--wrap=__sanitizer_cov_trace_pc "$out"/nginx-*.o \
        "$out"/module-*.o "$@" -ljansson -lyajl -lhiredis -lcrypto \
        -o "$out/$target"
}


build_fuzzers() {
    build "$dir" "-fsanitize=fuzzer-no-link,address,undefined
                  -fno-sanitize-recover=all -fsanitize-coverage=trace-pc" \
        "-fsanitize=address" "-fsanitize=fuzzer,address,undefined"
}

build_coverage() {
    build "$dir/coverage" "-fprofile-instr-generate -fcoverage-mapping" "" \
        "-fsanitize=fuzzer -fprofile-instr-generate"
}


# options TARGET: what libFuzzer is told

options() {
    case $1 in
        signature) echo "-max_len=2048 -dict=$fuzz/signature.dict" ;;
        secrets) echo "-max_len=2048" ;;
        redis) echo "-max_len=512 -dict=$fuzz/redis.dict" ;;
        *) echo "-max_len=8192 -dict=$fuzz/json.dict" ;;
    esac
}


# run_target TARGET: fails if something was found

run_target() {
    target=$1
    log=$dir/$target.log

    mkdir -p "$dir/corpus/$target" "$dir/found"

    # shellcheck disable=SC2046
    "$dir/$target" $(options "$target") -max_total_time="$seconds" \
        -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$dir/found/$target-" \
        "$dir/corpus/$target" "$fuzz/corpus/$target" >"$log" 2>&1 &
    child=$!

    if wait "$child"; then
        child=
        awk -v target="$target" '$2 == "DONE" {
            printf "%s: %d executions, %d edges, %d inputs\n",
                   target, substr($1, 2), $4, $8
        }' "$log"
        return
    fi

    child=
    found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)

    {
        grep -E '^fault: |runtime error|ERROR: |SUMMARY: ' "$log" || :
        echo "$target: found ${found:-something}, see build/fuzz/$target.log"
    } >&2

    return 1
}


# lane NUMBER: every jobs-th target

lane() {
    child=
    trap '[ -z "$child" ] || kill "$child"; exit 1' HUP INT TERM

    result=0
    n=0

    for each in $targets; do
        n=$((n + 1))

        if [ $((n % jobs)) = "$1" ]; then
            run_target "$each" || result=1
        fi
    done

    exit "$result"
}


run_all() {
    build_fuzzers

    say "$seconds s each: $targets"

    status=0
    lanes=
    lane=0

    trap 'for pid in $lanes; do kill "$pid" || :; done; exit 1' HUP INT TERM

    while [ "$lane" -lt "$jobs" ]; do
        (lane "$lane") &
        lanes="$lanes $!"
        lane=$((lane + 1))
    done

    for pid in $lanes; do
        wait "$pid" || status=1
    done

    exit "$status"
}


# Lines of each file that the inputs of the targets reach

coverage() {
    build_coverage

    out=$dir/coverage
    rm -f "$out"/*.profraw
    set --

    for target in $targets; do
        mkdir -p "$dir/corpus/$target"

        # each input as it is
        LLVM_PROFILE_FILE=$out/$target.profraw \
            "$out/$target" -runs=0 "$dir/corpus/$target" \
            "$fuzz/corpus/$target" >"$out/$target.log" 2>&1 ||
            die "an input fails, see build/fuzz/coverage/$target.log"

        set -- "$@" -object "$out/$target"
    done

    shift

    llvm-profdata merge -o "$out/all.profdata" "$out"/*.profraw
    llvm-cov report "$@" -instr-profile "$out/all.profdata" \
        "$root"/ngx_http_jelou_module/*.c \
        "$root"/ngx_http_jelou_module/*/*.c >"$out/report"

    # the file's name, its lines, those that were not reached

    awk '/\.c |^TOTAL/ { printf "%-30s %5d lines %5d missed %8s\n",
                        $1, $8, $9, $10 }' "$out/report"
}


# Adds to util/fuzz/corpus/ what reaches an edge that nothing there does

merge() {
    build_fuzzers

    for target in $targets; do
        mkdir -p "$dir/corpus/$target"

        # shellcheck disable=SC2046
        "$dir/$target" $(options "$target") -merge=1 -use_counters=0 \
            "$fuzz/corpus/$target" "$dir/corpus/$target" >"$dir/$target.log" \
            2>&1 || die "see build/fuzz/$target.log"
    done
}


seconds=60
jobs=1
name=newest
older=
what=run_all
targets=

while [ $# -gt 0 ]; do
    case $1 in
        --quick) jobs=2 ;;
        --time)
            [ $# -gt 1 ] || die "--time takes a number of seconds"
            seconds=$2
            shift
            ;;
        --nginx)
            [ $# -gt 1 ] || die "--nginx takes what util/build.sh knows"
            name=$2
            shift
            ;;
        --or-older) older=--or-older ;;
        --coverage) what=coverage ;;
        --merge) what=merge ;;
        *)
            case " $all " in
                *" $1 "*) targets="$targets $1" ;;
                *) die "\"$1\" is none of $all" ;;
            esac
            ;;
    esac
    shift
done

targets=${targets:-$all}

need clang llvm libjansson-dev
need "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"

# The nginx that the tests run under AddressSanitizer: its sources, configured

nginx=$(sh "$root/util/build.sh" --nginx "$name" $older --asan --print)
source=${nginx%/*}/source
objs=$nginx/objs

mkdir -p "$dir"

$what
