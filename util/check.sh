#!/bin/sh
#
# Static checks: which headers a file includes, and how long its lines are; the C
# sources compiled with more warnings than nginx asks for, clang-tidy and cppcheck
# over them, shellcheck over the scripts, and whether the lines that
# util/mutate.sh changes are there.
#
#     sh util/check.sh
#     sh util/check.sh gcc clang    only these; also: floors width tidy cppcheck
#                                   shell mutants
#
# What the tools are to look for, and what not, is in .clang-tidy and
# util/cppcheck.supp, each with the reason.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

source=/usr/share/nginx/src/src

warnings="-Wall -Wextra -Werror -Wshadow -Wundef -Wvla -Wformat=2
          -Wpointer-arith -Wstrict-prototypes
          -Wmissing-prototypes -Wno-unused-parameter"


# includes OPTION: nginx's headers, which are not ours to check.  QUIC's came with
# nginx 1.25.

includes() {
    for dir in core event event/modules event/quic os/unix \
               http http/modules http/v2 http/v3
    do
        [ ! -d "$source/$dir" ] || echo "$1$source/$dir"
    done

    echo "$1$root/build/nginx"
}

# folders: those of the module, which include each other's headers

folders() { find ngx_http_jelou_module -type d | sed 's/^/-I/'; }

# each COMMAND...: with each of the module's files, as many at a time as there
# are processors

each() {
    find ngx_http_jelou_module -name '*.c' | sort | xargs -P "$(nproc)" -n 1 "$@"
}


# Some warnings come from the optimizer only.

compile() {
    # shellcheck disable=SC2046,SC2086
    each "$1" -c -O2 -o /dev/null $warnings $(folders) $(includes '-isystem ')
}

# It takes the compiler's flags from a file.

tidy() {
    mkdir -p build/tidy
    {
        includes -isystem
        folders | sed "s|^-I|&$root/|"
    } >build/tidy/compile_flags.txt

    each clang-tidy --quiet -p build/tidy 2>/dev/null
}

run_cppcheck() {
    # shellcheck disable=SC2046
    cppcheck -q --std=c99 --language=c -j "$(nproc)" --error-exitcode=1 \
        --enable=warning,performance,portability,style \
        --suppressions-list=util/cppcheck.supp \
        --suppress="*:$source/*" --suppress="*:$root/build/*" \
        $(folders) $(includes -I) ngx_http_jelou_module
}

# All files that say in their first line that they are a shell's, with what they
# source; none has a space in its name

shell() {
    # shellcheck disable=SC2046
    shellcheck -x $(find . \( -name .git -o -path ./build \) -prune -o -type f \
        -exec awk 'FNR == 1 && (/^#!.*[\/ ](sh|bash)$/ ||
            /^# shellcheck shell=/) { print FILENAME }' {} +)
}


# floors: a file includes headers of its own floor and of those below
# it.  The floors, from the lowest one; "ctx" is a file of the root, which is
# "." here.

floors() {
    (cd ngx_http_jelou_module && find . -name '*.[ch]' -exec awk '
        function floor(path) {
            if (path ~ /jelou_ctx\.[ch]$/) return level["ctx"]
            sub("^\\./", "", path)
            return level[path ~ "/" ? substr(path, 1, index(path, "/") - 1) : "."]
        }

        BEGIN {
            n = split("event auth dedup ctx request status . queue", names)
            for (i = 1; i <= n; i++) level[names[i]] = i

            for (i = 1; i < ARGC; i++) {
                name = ARGV[i]
                sub(".*/", "", name)
                where[name] = ARGV[i]
            }
        }

        /^#include "/ && floor(where[substr($2, 2, length($2) - 2)]) > floor(FILENAME) {
            print FILENAME ":" FNR ": " $2 " is of a floor above"
            wrong = 1
        }

        END { exit wrong }' {} +)
}


# width: no line of more than 80 columns, as in nginx.  A tab is wrong anyway.

width() {
    find ngx_http_jelou_module -name '*.[ch]' \
        -exec perl -CSD -ne 'chomp; if (length > 80 || /\t/) {
            print "$ARGV:$.: ", length, " columns, or a tab\n"; $wrong = 1 }
            close ARGV if eof; END { exit($wrong // 0) }' {} +
}


check() {
    case $1 in
        floors) floors ;;
        width) width ;;
        gcc | clang) compile "$1" ;;
        tidy) tidy ;;
        cppcheck) run_cppcheck ;;
        shell) shell ;;
        mutants) sh util/mutate.sh --list >/dev/null ;;
        *) die "no such check: $1" ;;
    esac
}


[ $# -gt 0 ] || set -- floors width gcc clang tidy cppcheck shell mutants

sh "$root/util/build.sh"

need gcc clang clang-tidy cppcheck shellcheck

cd "$root"
status=0

for name; do
    if check "$name"; then
        say "$name: clean"
    else
        say "$name: see above" >&2
        status=1
    fi
done

exit $status
