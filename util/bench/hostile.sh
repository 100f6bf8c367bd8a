# shellcheck shell=sh
# shellcheck disable=SC2154  # these are run.sh's
#
# What bodies cost that are meant to cost much, beside a plain text of the same
# size: read by run.sh, whose functions these use.
#
# Each body of hostile.pl is sent three times: signed, signed to a location with
# jelou_strict, and with a signature that is wrong.  yajl, which reads the JSON,
# has its own opinion of what is much work: what it takes by itself is measured and
# told, and all the rest must not be more than $hostile_most times what a text that
# is sent likewise takes in all; nor may the memory.

hostile_most=3


# hostile_send NAME PATH SIGNATURE STATUS

hostile_send() {
    perl "$bench/client.pl" "$port" "/$2" "$dir/$1.json" "$3" "$4" 1
}


# hostile_cases: name, path, signature, status and text, of each request

hostile_cases() {
    while read -r name path status text; do
        echo "signed $name $path $(signature "$name") $status $text"
    done <"$dir/hostile.bodies"

    # what strictness refuses is no less work

    while read -r name path status text; do
        echo "strict $name strict/$path $(signature "$name") - $text"
    done <"$dir/hostile.bodies"

    while read -r name path status text; do
        echo "unsigned $name $path" \
             "sha256=$(printf '%064d' 0) 401 $text"
    done <"$dir/hostile.bodies"
}


hostile_prepare() {
    perl "$bench/hostile.pl" "$dir" "$secret" "$1" >"$dir/hostile.bodies"
    hostile_cases >"$dir/hostile.cases"

    printf 'p-1 %s\n%s\n' "$secret" "$secret" >"$dir/hostile.secrets"
    chmod 600 "$dir/hostile.secrets"

    fill hostile.conf $((port + 1)) >"$dir/hostile.conf"
}


# All requests go to one nginx: callgrind writes down what each has taken.

hostile_instructions() {
    rm -f "$dir"/hostile.cg*

    (callgrind hostile --dump-after=ngx_http_free_request \
        "$nginx" -c "$dir/hostile.conf" -e "$dir/front.log" \
        -g 'daemon off; master_process off;') &
    hostile=$!
    ours="$ours $hostile"

    # the first one is not counted: what is there once for all is there then

    hostile_send text incoming "$(signature text)" 200
    n=1

    while read -r kind name path signed status text; do
        if [ "$status" = - ]; then
            hostile_send "$name" "$path" "$signed" - >/dev/null
        else
            hostile_send "$name" "$path" "$signed" "$status"
        fi

        n=$((n + 1))
        hostile_wait "$dir/hostile.cg.$n"

        echo "$kind $name $text" \
             "$(perl "$bench/library.pl" libyajl "$dir/hostile.cg.$n")"
        rm -f "$dir/hostile.cg.$n"
    done <"$dir/hostile.cases"

    stop "$hostile"
}

# hostile_wait FILE: until callgrind has written it

hostile_wait() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        ! grep -qs '^totals:' "$1" || return 0
        sleep 0.25
    done

    die "callgrind has not written $1"
}


# Each request has an nginx of its own, and what it takes is what its memory has
# grown by at the most.

hostile_memory() {
    while read -r kind name path signed status text; do
        rm -f "$dir/front.pid"

        "$nginx" -c "$dir/hostile.conf" -e "$dir/front.log" \
            -g 'daemon off; master_process off;' &
        hostile=$!
        ours="$ours $hostile"

        hostile_send small incoming "$(signature small)" 200
        before=$(memory "$hostile" VmRSS)
        echo 5 >"/proc/$hostile/clear_refs"

        hostile_send "$name" "$path" "$signed" - >/dev/null

        echo "$kind $name $text $(($(memory "$hostile" VmHWM) - before))"
        stop "$hostile"
    done <"$dir/hostile.cases"
}


# hostile_table FILE UNIT: what each has of its text's, the most first: without
# what yajl takes, and that; fails if one has too much

hostile_table() {
    awk -v most="$hostile_most" -v unit="$2" '
        { cost[$1, $2] = $4; yajl[$1, $2] = $5; text[$1, $2] = $3; all[$2] = 1 }
        NF > 4 { parts = 1 }

        function of(kind, name,    base, ours) {
            base = cost[kind, text[kind, name]]
            if (base <= 0) { bad = 1; return "-" }
            ours = (cost[kind, name] - yajl[kind, name]) / base
            if (ours > most) bad = 1
            if (ours > worst[name]) worst[name] = ours
            return sprintf("%.2f", ours) \
                   (parts ? sprintf(" + %.2f", yajl[kind, name] / base) : "")
        }

        END {
            printf "%-16s %13s %13s %13s  times %s\n",
                "", "signed", "strict", "unsigned", unit
            for (name in all) {
                line[name] = sprintf("%-16s %13s %13s %13s", name,
                    of("signed", name), of("strict", name),
                    of("unsigned", name))
            }
            for (name in all)
                print worst[name] "\t" line[name] | "sort -rn | cut -f 2"
            close("sort -rn | cut -f 2")
            exit bad
        }' "$1"
}


hostile() {
    size=1000000
    [ "${1:-}" != quick ] || size=100000

    hostile_prepare $size

    hostile_instructions >"$dir/hostile.instructions"
    hostile_table "$dir/hostile.instructions" \
        "the instructions of a text of the same size, and yajl's" ||
        die "a body costs more than $hostile_most times a text"

    [ "${1:-}" = quick ] || {
        hostile_memory >"$dir/hostile.memory"
        hostile_table "$dir/hostile.memory" \
            "the memory of a text of the same size" ||
            die "a body takes more than $hostile_most times a text's memory"
    }
}
