#!/bin/sh
# test_summarize.sh - `oxbow summarize`: the plan, one pass, parts that survive kill -9 at every step,
# options that change, Ctrl-C. With the scripted engine (it answers with what it was given, so a text
# shows which bytes it was made from), then with the real one if its weights are there.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
cd "$tmp" || exit 1
sum() { run "$fake" summarize "$@" -m script </dev/null; }
echo 'ctx 16384' >script
# 70 KB in sections of different sizes
awk 'BEGIN { for (s = 1; s <= 24; s++) { printf "# Section %d\n\n", s
    for (i = 0; i < 30 + 7 * s % 11 * 4; i++) printf "Line %d of section %d says what nobody else says.\n", i, s
    print "" } }' >long.txt
printf 'A short text.\nIt has two lines.\n' >short.txt

# bad input
sum; is_rc 2 "no file"
sum missing.txt; is_rc 4 "missing file"; err_has "cannot open missing.txt" "missing file"
: >empty.txt; sum empty.txt; is_rc 1 "empty file"; err_has "has no text (0 characters)" "empty file"
sum . ; is_rc 2 "a folder"; err_has "is a folder" "a folder"
sum short.txt --words 0; is_rc 2 "--words 0"; err_has "fix:" "--words 0"
sum short.txt --parts 0; is_rc 2 "--parts 0"; err_has "fix:" "--parts 0"
sum short.txt --words many; is_rc 2 "--words many"
sum short.txt --style verse; is_rc 2 "--style verse"; err_has "fix:" "--style verse"; err_has "list or prose" "--style verse"
sum short.txt:9; is_rc 2 "line 9 of two"; err_has "has 2 lines" "line 9 of two"
sum long.txt --ctx 600; is_rc 5 "a context without room"

# one pass: a session that questions can go on with
sum short.txt
is_rc 0 "one pass"; out_has "A short text." "one pass"; err_has "one pass" "one pass"
out_has "in about 150 words" "the length has a default"
sum short.txt --words 40 --no-save; out_has "in about 40 words" "--words"
sum short.txt --style list --no-save; out_has "List the main points" "--style list"
sum short.txt --json; is_rc 0 "--json"; out_has '"parts":1,"merges":0,"kept":1,"stop":"eos"' "--json takes up"
sum short.txt -q -o out.txt; is_rc 0 "-o"; [ -s out.txt ] || fail "-o: no file"; [ -s "$tmp/err" ] && fail "-q: stderr"
sum short.txt -q -o out.txt; is_rc 2 "-o exists"
sum --dry-run long.txt
is_rc 0 "--dry-run"; out_has "parts, then 1 merge" "--dry-run"
plan=$(cat "$tmp/out"); parts=$(sed -n 's/.* \([0-9]*\) parts.*/\1/p' "$tmp/out")
[ "${parts:-0}" -ge 4 ] || fail "at least four parts were expected: $plan"
sum --dry-run --json long.txt; out_has "\"parts\":$parts,\"merges\":1,\"kept\":0" "--dry-run --json"
sum --dry-run --parts 8 long.txt; out_has "8 parts, then" "--parts 8"

# without interruption
sum long.txt --temp 0 --no-save; is_rc 0 "in parts"; cp "$tmp/out" whole

# kill -9 at every step; the end is the same
killed() { # label: starts, waits for "label" on stderr, kills; $tmp/err has what was said
    : >"$tmp/err" # nothing of the run before is taken for this one's
    "$fake" summarize long.txt --temp 0 -m slow </dev/null >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    n=0
    until grep -q "$1" "$tmp/err" || [ $n -ge 1200 ] || ! kill -0 $pid 2>/dev/null; do sleep 0.05; n=$((n + 1)); done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    grep -q "$1" "$tmp/err" || fail "never came to $1"
}
printf 'ctx 16384\nprefill_us 60\n' >slow
k=1
while [ $k -le "$parts" ]; do
    killed "part $k of $parts"
    [ $k -gt 2 ] && err_has "$((k - 2)) of $((parts + 1)) steps are kept" "after kill at part $((k - 1))"
    k=$((k + 1))
done
killed "merge 1 of 1"
err_has "$((parts - 1)) of $((parts + 1)) steps are kept" "before the merge"
rc=137
run "$fake" summarize long.txt --temp 0 -m slow </dev/null
is_rc 0 "the run that ends"; err_has "$parts of $((parts + 1)) steps are kept" "the run that ends"; cmp -s "$tmp/out" whole || fail "killed at every step: not the same summary"
run "$fake" summarize long.txt --temp 0 -m slow </dev/null
err_has "kept from an earlier run" "again"; cmp -s "$tmp/out" whole || fail "again: not the same summary"

# other options use what still holds; --restart uses nothing
run "$fake" summarize long.txt --temp 0 --words 33 -m slow </dev/null
err_has "$parts of $((parts + 1)) steps are kept" "other --words"
cmp -s "$tmp/out" whole && fail "other --words: the same summary"
run "$fake" summarize --dry-run long.txt --temp 0 --restart -m slow </dev/null
grep -q kept "$tmp/out" && fail "--restart keeps nothing"
run "$fake" summarize --dry-run long.txt --temp 0.7 -m slow </dev/null
grep -q kept "$tmp/out" && fail "another temperature is another summary"

# Ctrl-C keeps what is done
: >"$tmp/err"
"$fake" summarize long.txt --temp 0 --seed 5 -m slow </dev/null >"$tmp/out" 2>"$tmp/err" &
pid=$!
n=0
until grep -q "part 3 of" "$tmp/err" || [ $n -ge 1200 ]; do sleep 0.05; n=$((n + 1)); done
kill -INT $pid
wait $pid
rc=$?
n_run=$((n_run + 1))
is_rc 130 "Ctrl-C"; err_has "2 of $((parts + 1)) steps are kept" "Ctrl-C"
[ -s "$tmp/out" ] && fail "Ctrl-C: stdout should be empty"

# quotations of the parts are checked against the document
cat >quoting <<'S'
ctx 16384
rule Quote the most important => "Line 3 of section 1 says what nobody else says."
answer It says "what nobody has ever said before" somewhere.
S
run "$fake" summarize long.txt --cite -m quoting </dev/null
is_rc 0 "--cite"; out_has '[1] missing "what nobody has ever said before"' "--cite"
out_has "[2] long.txt:6 bytes" "--cite of a part"
range=$(sed -n 's/^\[2\] long.txt:6 bytes \([0-9]*\)-\([0-9]*\) exact.*/\1 \2/p' "$tmp/out")
cut() { tail -c +$(($1 + 1)) long.txt | head -c $(($2 - $1)); }
[ "$(cut $range)" = "Line 3 of section 1 says what nobody else says." ] || fail "--cite: bytes $range are other words"

# a list from a small model: sentences it quotes, once each, in the order of the text (a try after one
# that gave nothing new has the seeds 1, 2, ..)
cat >listing <<'S'
ctx 16384
rule Quote the most important sentences => Line %seed of section 2 says what nobody else says." and more
S
head -n 80 long.txt >list.txt
run "$fake" summarize list.txt --style list --words 25 --parts 1 --seed 7 -m listing </dev/null
is_rc 0 "--style list"
for k in 1 2 7; do echo "- \"Line $k of section 2 says what nobody else says.\""; done | cmp -s - "$tmp/out" || fail "--style list: three sentences in order"
run "$fake" show 1 </dev/null; out_has '- "Line 7 of section 2 says' "--style list is a session"
printf 'ctx 16384\nrule Quote the most important sentences => Nobody ever wrote this sentence down anywhere.\n' >inventing
run "$fake" summarize list.txt --style list --parts 1 -m inventing </dev/null
is_rc 0 "invented sentences"; out_has "You said" "invented sentences: the model is asked in another way"
run "$fake" summarize long.txt --style list --seed 7 -m listing </dev/null
is_rc 0 "--style list in parts"; err_has "parts, then" "--style list in parts"; out_has '- "Line 7 of section 2' "--style list in parts"
[ "$(grep -c '^- "' "$tmp/out")" = "$(sort -u "$tmp/out" | grep -c '^- "')" ] || fail "--style list: a sentence twice"

# the real model: killed at every step at temperature 0
if "$real" ask -q --no-save -n 1 hello </dev/null >/dev/null 2>&1; then
    head -n 100 "$OXBOW_TEST_DIR/data/candle.txt" | tail -n 11 >candle.txt
    real() { "$real" summarize candle.txt --temp 0 --ctx 2048 --words 40 "$@" </dev/null >"$tmp/out" 2>"$tmp/err"; }
    n_run=$((n_run + 1))
    real --no-save; rc=$?
    is_rc 0 "real model"; cp "$tmp/out" whole
    steps=$(sed -n 's/.* \([0-9]*\) parts, then \([0-9]*\) merge.*/\1 \2/p' "$tmp/err")
    [ -n "$steps" ] || fail "real model: no parts"
    set -- $steps
    for what in $(seq -f 'part_%g' "$1") $(seq -f 'merge_%g' "$2"); do
: >"$tmp/err"
        "$real" summarize candle.txt --temp 0 --ctx 2048 --words 40 </dev/null >"$tmp/out" 2>"$tmp/err" &
        pid=$!
        n=0
        until grep -q "$(echo "$what" | tr _ ' ') of" "$tmp/err" || [ $n -ge 2400 ]; do sleep 0.05; n=$((n + 1)); done
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
    done
    real; rc=$?
    is_rc 0 "real model, the run that ends"
    err_has "steps are kept" "real model"
    cmp -s "$tmp/out" whole || fail "real model: killed at every step, not the same summary"
else
    echo "SKIP the real model: its weights are not here"
fi
done_testing
