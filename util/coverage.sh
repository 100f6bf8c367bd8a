#!/bin/sh
#
# Runs the tests on a module that counts, and says which of its lines and
# branches they run:
#
#     sh util/coverage.sh
#     sh util/coverage.sh t/auth/signature.t t/event/schema.t
#
# Without files, all of t/ is run; at least 95 % of the lines and 85 % of the
# branches must have been, and util/uncovered has to explain the lines that were
# not.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

nginx=bookworm

# Master, workers and tests, which are different users, count in the same files.

umask 0

out=$(sh "$root/util/build.sh" --nginx $nginx --coverage --print)
objs=$out/objs/addon

chmod a+rwx "$objs"/*/
rm -f "$objs"/*/*.gcda

status=0
sh "$root/util/test.sh" --nginx $nginx --coverage "$@" || status=$?

cd "$objs"

for file in */*.gcda; do
    [ -e "$file" ] || die "nothing was counted"
    gcov --stdout --json-format --branch-probabilities "$file"
done 2>/dev/null >"$out/coverage.json"

say "of ngx_http_jelou_module/, on nginx $nginx:"

perl "$root/util/coverage.pl" "$out/coverage.json" "$root" $# || status=$?

exit "$status"
