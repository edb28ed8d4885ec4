#!/bin/sh
# test_device_faults.sh - the program itself loses its GPU: the n-th kernel launch or device allocation fails
# (faulty.c), at loading, while the question is read, in the middle of the answer, at its end. Each time exit 3
# with a message; the question and the part of the answer that was shown are in the history, and a CPU goes on.
set -u
faulty="${OXBOW_BUILD_DIR:?}/tests/oxbow_faulty" oxbow="${OXBOW_BIN:?}"
skip() { case "${OXBOW_TEST_REQUIRE:-}" in *cuda*) echo "FAIL: $*"; exit 1 ;; esac; echo "SKIP on a GPU: $*"; exit 0; }
[ -x "$faulty" ] || skip "oxbow_faulty is not built"
base=$( [ -w /dev/shm ] && echo /dev/shm || echo /tmp )
dir=$(mktemp -d "$base/oxbow-faults-XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
bad=0
fail() { echo "FAIL: $*"; bad=1; }
home() { rm -rf "$dir/home"; mkdir "$dir/home"; export XDG_DATA_HOME="$dir/home/data" XDG_CACHE_HOME="$dir/home/cache" XDG_STATE_HOME="$dir/home/state" XDG_CONFIG_HOME="$dir/home/config"; }
model=
"${OXBOW_BUILD_DIR}/tests/make_shape" mini 4 "$dir/model" 2>"$dir/err" && model="-m $dir/model"
[ -n "$model" ] || { echo "FAIL: make_shape: $(cat "$dir/err")"; exit 1; }
words='why did the lamp go out at a quarter to nine'
ask() { "$faulty" ask $model -q --backend cuda --seed 5 --temp 0.8 -n "$@" >"$dir/out" 2>"$dir/err"; }

home
OXBOW_FAULT_COUNT="$dir/count" ask 300 "$words" || skip "$(head -1 "$dir/err")"
all=$(cat "$dir/count")
OXBOW_FAULT_COUNT="$dir/count" ask 1 "$words" || fail "one token: $(cat "$dir/err")"
first=$(cat "$dir/count") # launches up to the first token: loading and reading
cp "$dir/out" "$dir/one"
[ "$all" -gt $((first + 100)) ] || fail "only $all launches, $first of them before the answer"
n_cut=0
for at in 1 5 $((first / 2)) $((first - 3)) $((first + 1)) $((first + 30)) $(((first + all) / 2)) $((all - 40)) $((all - 3)); do
    home
    OXBOW_FAULT_AT=$at ask 300 "$words"
    rc=$?
    said=$(head -1 "$dir/err")
    [ $rc -eq 3 ] || fail "launch $at of $all: exit $rc, $(cat "$dir/err")"
    [ -n "$said" ] && grep -q 'fix:' "$dir/err" || fail "launch $at: no message with a way out: $said"
    shown=$(wc -c <"$dir/out")
    echo "launch $at of $all: exit $rc, $shown bytes shown; $said"
    [ $at -ge $((first - 3)) ] || continue # the model was there, so the question was taken
    id=$("$oxbow" sessions --json | sed -n '1s/.*"id": *"\([0-9a-f]*\)".*/\1/p')
    [ -n "$id" ] || { fail "launch $at: no session is kept"; continue; }
    "$oxbow" export "$id" >"$dir/export" 2>"$dir/err" || fail "launch $at: export: $(cat "$dir/err")"
    grep -q "$words" "$dir/export" || fail "launch $at: the question is not kept"
    if [ "$shown" -gt 40 ]; then
        n_cut=$((n_cut + 1))
        "$oxbow" show "$id" >"$dir/shown" 2>/dev/null
        # What stdout got is what the history has, up to the last 8 bytes (a character cut in two).
        part=$(head -1 "$dir/out" | tr -cd 'A-Za-z ' | cut -c1-24)
        tr -cd 'A-Za-z \n' <"$dir/shown" | grep -qF -- "$part" || fail "launch $at: the answer's part is not kept: \"$part\""
    fi
    printf 'and then?\n' | "$oxbow" chat --plain -c $model --backend cpu --threads 2 -n 8 --seed 5 >"$dir/plain" 2>"$dir/err"
    rc=$?
    [ $rc -eq 0 ] && [ -s "$dir/plain" ] || fail "launch $at: a CPU does not go on: exit $rc, $(cat "$dir/err")"
done
[ $n_cut -ge 2 ] || fail "only $n_cut answers were cut in the middle"

# The same in a conversation: the first turn stays whole, the second is cut.
home
printf '%s\nand who saw it?\n' "$words" >"$dir/lines"
OXBOW_FAULT_COUNT="$dir/count" "$faulty" chat --plain $model --backend cuda --seed 5 --temp 0.8 -n 100 <"$dir/lines" >"$dir/out" 2>"$dir/err" || fail "two turns: $(cat "$dir/err")"
all=$(cat "$dir/count")
home
OXBOW_FAULT_AT=$((all - 60)) "$faulty" chat --plain $model --backend cuda --seed 5 --temp 0.8 -n 100 <"$dir/lines" >"$dir/out" 2>"$dir/err"
rc=$?
echo "chat --plain, launch $((all - 60)) of $all: exit $rc; $(grep -v '^$' "$dir/err" | tail -2 | head -1)"
[ $rc -eq 3 ] || fail "chat --plain: exit $rc: $(cat "$dir/err")"
id=$("$oxbow" sessions --json | sed -n '1s/.*"id": *"\([0-9a-f]*\)".*/\1/p')
"$oxbow" export "$id" >"$dir/export" 2>"$dir/err"
grep -q "$words" "$dir/export" && grep -q 'who saw it' "$dir/export" || fail "chat --plain: a question is not kept"
"$oxbow" doctor --db-only >"$dir/doctor" 2>&1 || fail "doctor: $(cat "$dir/doctor")"
[ $bad -eq 0 ] && echo "every failure: exit 3, message, conversation kept, a CPU goes on"
exit $bad
