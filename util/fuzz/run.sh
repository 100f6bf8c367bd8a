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
#     sh util/fuzz/run.sh --faults [N...]        finds those of util/fuzz/faults
#
# "--nginx NAME" takes another nginx than the newest, "--or-older" the newest
# that is to be had, see util/build.sh.
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
all="$bodies signature secrets redis deliver"

LC_ALL=C
export LC_ALL

# What of nginx and of the module is in the programs

core='core/ngx_string core/ngx_palloc core/ngx_list core/ngx_array
      core/ngx_rbtree core/ngx_crc32 core/ngx_murmurhash core/ngx_times
      os/unix/ngx_time'

module='yajl parse violation check type events items value project rule url text
        format id signature secret secret_file request pages
        redis_reply redis_pipeline redis_outcome'

# and in that of "deliver" alone, which is the deliverer's surroundings

deliverer='deliver_stream deliver_lease deliver_keep deliver_ack deliver_command
           deliver_entry deliver_room deliver_wait deliver_json deliver_event'

# What of the harness has no memory of the module's in its hands: it runs
# without sanitizers

plain='heap hmac model mutate output rules steps tree'

# What has bodies that are changed as trees: to tell libFuzzer what is compared
# would double the time, and does not find more

trees='yajl parse violation check type events items value project rule url text
       format id'


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
        -include "$fuzz/heap.h" "$@" -c "$file" -o "$object"
}


# build DIRECTORY MODULE-FLAGS OTHER-FLAGS LINK-FLAGS
#
# nginx's own code has undefined behaviour that is harmless, and is not what
# is looked for: it has no UBSan.  What of the module is run is counted twice,
# by libFuzzer and, with the counters of a profile, by the harness.

build() {
    out=$1

    mkdir -p "$out"

    {
        echo "$@"
        clang --version
        dpkg-query -W libyajl-dev libhiredis-dev libssl-dev libjansson-dev
        find "$root/ngx_http_jelou_module" -type f -exec cat {} +
        cat "$objs/inputs" "$fuzz"/*.[ch] "$fuzz/run.sh"
    } | cksum >"$out/inputs.new"

    ! cmp -s "$out/inputs.new" "$out/inputs" || return 0

    say "building ${out#"$root"/}"
    rm -f "$out"/*.o

    for file in $core; do
        # shellcheck disable=SC2086
        compile "$out/nginx-${file##*/}.o" \
            "$source/src/$file.c" $3
    done

    for file in $module $deliverer; do
        compile_module "$file" "$(find "$root/ngx_http_jelou_module" \
                                       -name "ngx_http_jelou_$file.c")" \
            "$2 -Wall -Wextra -Wno-unused-parameter -Werror"
    done

    for file in "$fuzz"/*.c; do
        file=$(basename "$file" .c)

        case " $plain " in
            *" $file "*) flags=-O2 ;;
            *) flags=$3 ;;
        esac

        # shellcheck disable=SC2086
        compile "$out/fuzz-$file.o" "$fuzz/$file.c" \
            -Wall -Wextra -Werror $flags
    done

    for target in $all; do
        link_target "$out" "$target" "$4"
    done

    mv "$out/inputs.new" "$out/inputs"
}


# object NAME: of the module

object() {
    case $1 in
        deliver_*) echo "deliverer-$1.o" ;;
        *) echo "module-$1.o" ;;
    esac
}


# compile_module NAME SOURCE FLAGS: into $out

compile_module() {
    case " $trees " in
        *" $1 "*) flags="$3 -fno-sanitize-coverage=trace-cmp" ;;
        *) flags=$3 ;;
    esac

    # shellcheck disable=SC2086
    compile "$out/$(object "$1")" "$2" $flags
}


# link_target DIRECTORY TARGET FLAGS

link_target() {
    case $2 in
        signature) link "$@" hmac rules signature ;;
        secrets) link "$1" "$2" "$3 -Wl,--wrap=ngx_http_jelou_hmac" \
                     hmac secrets ;;
        redis) link "$@" redis ;;
        deliver) link "$1" "$2" "$3 $1/deliverer-*.o" deliver ;;
        incoming_message) link "$@" model mutate output rules body ;;
        *) ln -f "$1/incoming_message" "$1/$2" ;;
    esac
}


# link DIRECTORY TARGET FLAGS HARNESS-FILE...

link() {
    out=$1
    program=$2
    flags=$3
    shift 3

    for file; do
        set -- "$@" "$out/fuzz-$file.o"
        shift
    done

    for file in core heap steps tree; do
        set -- "$@" "$out/fuzz-$file.o"
    done

    for name in memcpy RAND_bytes; do
        flags="$flags -Wl,--wrap=$name"
    done

    # shellcheck disable=SC2086
    clang $flags "$out"/nginx-*.o \
        "$out"/module-*.o "$@" -Wl,-Bstatic -ljansson -Wl,-Bdynamic \
        -lyajl -lhiredis -lcrypto \
        -o "$out/$program"
}


module_flags="-fsanitize=fuzzer-no-link,address,undefined
              -fno-sanitize-recover=all -fprofile-instr-generate
              -fno-sanitize-coverage=indirect-calls"
link_flags=-fsanitize=fuzzer,address,undefined

build_fuzzers() {
    build "$dir" "$module_flags" -fsanitize=address "$link_flags"
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
        deliver) echo "-max_len=1024" ;;
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


# Are faults found that are put into the module's sources?  Nothing is kept of
# what finds them.

faults() {
    build_fuzzers

    sources=$root/ngx_http_jelou_module
    last=$(perl "$fuzz/fault.pl" "$fuzz/faults" "$sources" count)
    missed=0

    for n in ${numbers:-$(seq "$last")}; do
        if fault "$n"; then
            say "fault $n ($planted): found by $target after $found"
        else
            say "fault $n ($planted): NOT FOUND"
            missed=$((missed + 1))
        fi
    done

    [ "$missed" = 0 ] || die "$missed of the faults were not found"
}


# fault N: fails if it is not found; sets planted, target, found

fault() {
    out=$dir/fault

    rm -rf "$out"
    mkdir -p "$out/corpus"
    ln "$dir"/*.o "$out"

    planted=$(perl "$fuzz/fault.pl" "$fuzz/faults" "$sources" "$1" \
                   "$out/module.c") || exit

    file=${planted%% *}
    rm "$out/$(object "$file")"
    compile_module "$file" "$out/module.c" "$module_flags -w"

    for target in ${planted#* }; do

        # all bodies are one program

        case " $bodies " in
            *" $target "*) link_target "$out" incoming_message "$link_flags" ;;
        esac

        [ "$target" = incoming_message ] ||
            link_target "$out" "$target" "$link_flags"

        # shellcheck disable=SC2046
        "$out/$target" $(options "$target") -max_total_time="$seconds" \
            -timeout=10 -print_final_stats=1 -artifact_prefix="$out/" \
            "$out/corpus" "$fuzz/corpus/$target" >"$out/$target.log" 2>&1 &&
            continue

        found=$(awk '/number_of_executed_units/ { n = $2 }
                     END { print n + 0 " executions" }' "$out/$target.log")
        return
    done

    return 1
}


seconds=60
jobs=1
name=newest
older=
what=run_all
targets=
numbers=

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
        --faults)
            what=faults
            shift
            numbers=$*
            break
            ;;
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
