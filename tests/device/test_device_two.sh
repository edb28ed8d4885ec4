#!/bin/sh
# test_device_two.sh - two processes on one GPU: each gives the answer that it gives alone, byte for byte, with
# its own model, prompt and seed.
set -u
oxbow="${OXBOW_BIN:?}" make_shape="${OXBOW_BUILD_DIR:?}/tests/make_shape"
skip() { case "${OXBOW_TEST_REQUIRE:-}" in *cuda*) echo "FAIL: $*"; exit 1 ;; esac; echo "SKIP on a GPU: $*"; exit 0; }
base=$( [ -w /dev/shm ] && echo /dev/shm || echo /tmp )
dir=$(mktemp -d "$base/oxbow-two-XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
"$make_shape" mini 4 "$dir/a" && "$make_shape" mini 16 "$dir/b" || exit 1
i=0
while [ $i -lt 400 ]; do i=$((i + 1)); echo "line $i: the keeper wrote that the lamp was out again"; done >"$dir/log.txt"
run() { # name model seed: a document of some thousand tokens, 400 tokens of answer
    "$oxbow" ask -m "$dir/$2" -q --no-save --raw --backend cuda --seed "$3" --temp 0.9 -n 400 -f "$dir/log.txt" "who wrote it, and when?" >"$dir/$1" 2>"$dir/$1.err"
}
run alone.a a 3 || skip "$(head -1 "$dir/alone.a.err")"
run alone.b b 4 || { echo "FAIL: $(cat "$dir/alone.b.err")"; exit 1; }
[ "$(wc -c <"$dir/alone.a")" -gt 400 ] && [ "$(wc -c <"$dir/alone.b")" -gt 400 ] || { echo "FAIL: answers too short to compare"; exit 1; }
cmp -s "$dir/alone.a" "$dir/alone.b" && { echo "FAIL: two models gave one answer"; exit 1; }
bad=0 round=0
while [ $round -lt "${ROUNDS:-4}" ]; do
    round=$((round + 1))
    run both.a a 3 & a=$!
    run both.b b 4 & b=$!
    wait $a && wait $b || { echo "FAIL: round $round: $(cat "$dir/both.a.err" "$dir/both.b.err")"; bad=1; }
    cmp "$dir/alone.a" "$dir/both.a" && cmp "$dir/alone.b" "$dir/both.b" || { echo "FAIL: round $round: another answer"; bad=1; }
done
[ $bad -eq 0 ] && echo "$round rounds of two processes: $(wc -c <"$dir/alone.a") and $(wc -c <"$dir/alone.b") bytes each, as alone"
exit $bad
