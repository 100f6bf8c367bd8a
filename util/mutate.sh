#!/bin/sh
#
# Breaks one check at a time in a copy of the sources, and looks whether a test
# fails:
#
#     sh util/mutate.sh              all of util/mutants, which takes long
#     sh util/mutate.sh --list       numbers them, and fails if lines are not found
#     sh util/mutate.sh --only N...  some of them
#
# What comes out is a table: killed, and by which test; survived; or broken, if
# the lines are not found or the result does not build.  Only "killed" is good.
# The copy is build/mutate/.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/util/lib.sh"

copy=$root/build/mutate
sources=$copy/ngx_http_jelou_module
mutants=$root/util/mutants
log=$copy/build/mutant.log


# mutant N apply|show|tests, or mutant count: writes the changed file of the copy,
# prints the change on one line, or the names of its tests; or prints how many
# there are

mutant() {
    perl - "$mutants" "$sources" "$@" <<'END'
        use strict;
        use warnings;

        my ($list, $sources, $n, $what) = @ARGV;

        sub slurp { local (@ARGV, $/) = @_; return scalar <> }

        my @all = grep { /\S/ } map { s/^#.*\n?//mgr }
                  split /\n{2,}/, slurp($list);

        if ($n eq 'count') {
            print scalar @all;
            exit;
        }

        $n =~ /^[1-9]\d*\z/ && $n <= @all or die "no mutant $n\n";

        my ($file, @lines) = split /\n/, $all[$n - 1];
        my %part = ('-' => [], '+' => [], '=' => []);

        for (@lines) {
            /^([-+=])(?: (.*))?$/ or die "mutant $n: what is \"$_\"?\n";
            push @{ $part{$1} }, $2 // '';
        }

        my ($old, $new) = map { join "\n", @{ $part{$_} } } '-', '+';

        if ($what eq 'tests') {
            print join ' ', map { grep { -e } glob "t/{,*/}$_.t" }
                            map { split } @{ $part{'='} };
            exit;
        }

        my ($path) = grep { -e } glob "$sources/{,*/}ngx_http_jelou_$file.c"
            or die "mutant $n: no such file: $file\n";
        my $text = slurp($path);
        my $count = () = $text =~ /\Q$old\E/g;

        $count == 1 or die "mutant $n: found $count times in $file.c\n";

        if ($what eq 'show') {
            printf "%3d  %-12s %s  ->  %s\n", $n, $file,
                   map { s/\s+/ /gr } $old, $new;
            exit;
        }

        $text =~ s/\Q$old\E/$new/;

        open my $out, '>', $path or die "$!\n";
        print $out $text;
        close $out or die "$!\n";
END
}


# The sources as they stand; what the last run built is kept.

restore() {
    mkdir -p "$copy/build" "$root/build/node_modules"

    (cd "$root" && find config README.md ngx_http_jelou_module t util docs \
                        -type f) |
    while read -r path; do
        cmp -s "$root/$path" "$copy/$path" && continue
        mkdir -p "$(dirname "$copy/$path")"
        cp "$root/$path" "$copy/$path"
    done

    ln -sfn "$root/build/node_modules" "$copy/build/node_modules"
}


# end_servers: a test that ends at its first failure may leave its nginx behind

end_servers() {
    for file in "$copy"/build/test/*/logs/nginx.pid; do
        [ -s "$file" ] || continue
        read -r pid <"$file"
        ! grep -qsF "$copy/build/test/" "/proc/$pid/cmdline" || kill "$pid"
    done
}


# fails FILE: whether the test does.  It ends when nobody reads what it says:
# here after the first failure.

fails() {
    { (cd "$copy" && timeout 300 perl -I t/lib "$1") 2>"$log" </dev/null ||
        echo "not ok: exit status $?"; } |
        awk '/^not ok/ && !/# TODO/ { found = 1; exit } END { exit !found }'
}


# passes FILE...: all of them; leaves the name of the first that does not, or
# of the last one, in $failed

passes() {
    for failed; do
        ! fails "$failed" || { end_servers; return 1; }
    done
}


# try N: prints its line of the table, and counts

try() {
    restore
    tests=$(mutant "$1" tests)
    shown=$(mutant "$1" show) || shown="mutant $1"

    # shellcheck disable=SC2086
    if ! mutant "$1" apply 2>"$log" ||
       ! sh "$copy/util/build.sh" >"$log" 2>&1 </dev/null
    then
        result=BROKEN
        broken=$((broken + 1))
        cat "$log" >&2

    elif passes $tests; then
        result=SURVIVED
        survived=$((survived + 1))

    else
        result="killed by $failed"
        killed=$((killed + 1))
    fi

    printf '%-30s %s\n' "$result" "$shown"
}


count=$(mutant count)
chosen=$(seq "$count")

case ${1:-} in
    --list)
        sources=$root/ngx_http_jelou_module
        for n in $chosen; do mutant "$n" show; done
        exit ;;
    --only)
        shift
        chosen=$* ;;
    ?*)
        die "no such option: $1" ;;
esac

restore

# installs and builds what tests need

say "building"
sh "$copy/util/test.sh" t/event/types.t >"$log" 2>&1 ||
    { cat "$log" >&2; die "a test fails without a mutant"; }

JELOU_TEST_DIR=$copy/build/test
TEST_NGINX_BINARY=/usr/sbin/nginx
TEST_NGINX_LOAD_MODULES=$copy/build/ngx_http_jelou_module.so
export JELOU_TEST_DIR TEST_NGINX_BINARY TEST_NGINX_LOAD_MODULES

# All tests pass on what is not broken, or their failures would say nothing.

say "running the tests without a mutant"

tests=$(for n in $chosen; do mutant "$n" tests; echo; done | tr ' ' '\n' |
        sort -u)

# shellcheck disable=SC2086
passes $tests || { cat "$log" >&2; die "$failed fails by itself"; }

killed=0
survived=0
broken=0

for n in $chosen; do
    try "$n"
done

restore

say "$killed killed, $survived survived, $broken broken"

[ "$survived" = 0 ] && [ "$broken" = 0 ]
