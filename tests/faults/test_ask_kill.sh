#!/bin/sh
# test_ask_kill.sh - the program itself, with the scripted engine, killed with SIGKILL at random moments of
# `ask`: every answer that reached stdout whole is in the history, whole; the checks are clean; the next
# start works. The store's own sweep (test_store_kill) has 520 kills at the level of its calls.
set -u
fake="${OXBOW_BUILD_DIR:?}/tests/oxbow_fake"
[ -x "$fake" ] || { echo "skip: oxbow_fake is not built"; exit 0; }
base=$( [ -w /dev/shm ] && echo /dev/shm || echo /tmp )
dir=$(mktemp -d "$base/oxbow-kill-XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
export XDG_DATA_HOME="$dir/data" XDG_CACHE_HOME="$dir/cache" XDG_STATE_HOME="$dir/state" XDG_CONFIG_HOME="$dir/config"
printf 'answer the lamp was out at a quarter to nine and the glass broken, so nobody saw it\ntoken_us 700\n' >"$dir/script"
ask() { "$fake" -m "$dir/script" ask -q "$@"; }
fail() { echo "FAIL: $*"; exit 1; }

answer='the lamp was out at a quarter to nine and the glass broken, so nobody saw it'
ask "question zero" >"$dir/out" 2>"$dir/err" || fail "first: $(cat "$dir/err")"
[ "$(cat "$dir/out")" = "$answer" ] || fail "first answer: $(cat "$dir/out")"
whole=1 killed=0 i=0
while [ $i -lt "${ROUNDS:-80}" ]; do
    i=$((i + 1))
    "$fake" -m "$dir/script" ask -q "question $i" >"$dir/out" 2>"$dir/err" & # not the function: $! must be the program
    pid=$!
    # 0 to about 120 ms, without a random number in sh: hashes of the round.
    ms=$(printf '%d' "0x$(printf '%s' "$i" | cksum | cut -c1-3 | tr -d ' ')" 2>/dev/null || echo 40)
    sleep "0.$(printf '%03d' $((ms % 120)))"
    kill -9 $pid 2>/dev/null && killed=$((killed + 1))
    wait $pid 2>/dev/null
    [ "$(cat "$dir/out")" = "$answer" ] && [ "$(tail -c 1 "$dir/out" | od -An -c | tr -d ' ')" = '\n' ] && whole=$((whole + 1))
done
ask "last question" >"$dir/out" 2>"$dir/err" || fail "after $i kills: $(cat "$dir/err")"
[ "$(cat "$dir/out")" = "$answer" ] || fail "last answer: $(cat "$dir/out")"
"$fake" doctor --db-only >"$dir/doctor" 2>&1 || fail "doctor: $(cat "$dir/doctor")"
grep -q '^bad' "$dir/doctor" && fail "doctor: $(cat "$dir/doctor")"
for id in $("$fake" sessions --all --json | sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p'); do
    "$fake" show "$id" >>"$dir/shown" 2>"$dir/err" || fail "show $id: $(cat "$dir/err")"
done
kept=$(grep -c "$answer" "$dir/shown") cut=$(grep -c interrupted "$dir/shown")
[ "$kept" -ge $((whole + 1)) ] || fail "$((whole + 1)) whole answers were printed, $kept are kept"
"$fake" states check >"$dir/states" 2>&1 || fail "states: $(cat "$dir/states")"

# Killed after a quotation was written: at the next start it is checked, as at the end of any answer.
printf 'first line\nthe lamp was out at a quarter to nine\n' >"$dir/log.txt"
printf 'answer Two say so: "the lamp was out at a quarter to nine" and "nobody was at the wall that night" and more and more and more and more and more and more and more words\ntoken_us 30000\n' >"$dir/slow"
"$fake" -m "$dir/slow" ask -q -f "$dir/log.txt" "cite it" >"$dir/out" 2>"$dir/err" &
pid=$!
n=0
until grep -q "and more and more" "$dir/out"; do n=$((n + 1)); [ $n -gt 400 ] && fail "no answer to kill: $(cat "$dir/out")"; sleep 0.02; done
sleep 0.6 # the part with the quotations is on disk within 0.5 s
kill -9 $pid
wait $pid 2>/dev/null
id=$("$fake" sessions --json | sed -n '1s/.*"id": *"\([0-9a-f]*\)".*/\1/p')
"$fake" export "$id" >"$dir/export" 2>"$dir/err" || fail "export: $(cat "$dir/err")"
grep -q '"crashed"' "$dir/export" || fail "the killed answer is not marked: $(cat "$dir/export")"
grep '"kind":"citation"' "$dir/export" | grep -q '"verdict":"exact"' || fail "no exact citation: $(cat "$dir/export")"
grep '"kind":"citation"' "$dir/export" | grep -q '"verdict":"missing"' || fail "no missing citation: $(cat "$dir/export")"
"$fake" show "$id" >"$dir/shown" 2>"$dir/err" || fail "show: $(cat "$dir/err")"
grep -q 'log.txt.*2' "$dir/shown" || fail "show has no place: $(cat "$dir/shown")"
echo "$i rounds, $killed killed, $((whole + 1)) answers printed whole, $kept kept, $cut interrupted; doctor: ok"
