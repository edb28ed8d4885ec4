# A disk of 16 MiB that is full: the reserve takes the first turn, NOT SAVED stands for what does not fit even
# so, once, the words stay in memory, and they are saved when there is room again. In ask, plain chat and the
# screen. Needs a mount of its own; without the right to one this is skipped (test_store_writes injects the
# same errors at every single write).
set -u
. "$OXBOW_TEST_DIR/term/disk.sh"
own_disk 16m
script 'answer the answer\nrule two => the second answer\nrule three => the third answer\n'
reserve=$disk/data/oxbow/oxbow.reserve
fill() { cat /dev/zero >"$disk/filler.$1" 2>/dev/null; }
empty() { rm -f "$disk"/filler.*; }
say() { echo "FAILED: $1"; echo "stdout: $(cat "$DIR/out")"; echo "stderr: $(cat "$DIR/err")"; exit 1; }
ask() { "$FAKE" -m "$DIR/script" ask "$@" >"$DIR/out" 2>"$DIR/err" </dev/null; }
shown() { "$FAKE" show "$("$FAKE" sessions --json | sed -n '1s/.*"id": *"\([0-9a-f]*\)".*/\1/p')"; }

# ask: the reserve, then NOT SAVED, then as before
ask "one" || say "an empty disk"
[ -f "$reserve" ] || say "the reserve was not laid in"
fill 1
ask "two" || say "the reserve did not help"
grep -q "NOT SAVED" "$DIR/err" && say "NOT SAVED, but there was a reserve"
shown | grep -q "the second answer" || say "the answer is not in the history"
fill 2
rm -f "$reserve" # where the cache could make room again for it
fill 3
ask "three" || say "an answer without room"
[ "$(cat "$DIR/out")" = "the third answer" ] || say "the answer is not on stdout"
[ "$(grep -c "NOT SAVED: disk full at" "$DIR/err")" = 1 ] || say "one NOT SAVED was expected"
empty
ask "four" || say "room again"
[ -f "$reserve" ] || say "the reserve is not back"
[ "$("$FAKE" sessions --all --json | wc -l)" = 3 ] || say "three sessions were expected"

# plain chat: the next question is refused until there is room
until_err() {
    n=0
    until grep -qF "$1" "$DIR/err"; do
        n=$((n + 1))
        [ $n -gt 200 ] && say "stderr lacks $1"
        sleep 0.05
    done
}
fill 1
rm -f "$reserve"
fill 2
mkfifo "$DIR/in"
"$FAKE" -m "$DIR/script" chat --plain <"$DIR/in" >"$DIR/out" 2>"$DIR/err" &
exec 3>"$DIR/in"
echo "plain one" >&3
until_err "NOT SAVED: disk full at"
echo "plain two" >&3
until_err "fix:   free some space there"
empty
echo "plain three" >&3
until_err "all is saved"
exec 3>&-
wait
shown >"$DIR/shown"
grep -q "plain one" "$DIR/shown" || say "the first question is lost: $(cat "$DIR/shown")"
grep -q "plain two" "$DIR/shown" && say "a refused question was saved"
grep -q "the third answer" "$DIR/shown" || say "the third question is lost"

# the screen: the notice stays, the question comes back to the input, and all is saved by itself
start 100 24 -m "$DIR/script"
wait_for 'scripted'
fill 1
rm -f "$reserve"
fill 2
type_ 'screen one'; keys Enter
wait_for 'the answer'
wait_for 'NOT SAVED: disk full at'
type_ 'screen two'; keys Enter
wait_for '> screen two'
empty
wait_for 'all is saved' 15
keys Enter
wait_for 'the second answer'
keys C-d
wait_for 'LEFT 0'
shown >"$DIR/shown"
grep -q "screen one" "$DIR/shown" && grep -q "screen two" "$DIR/shown" || fail "the history: $(cat "$DIR/shown")"

# left while the disk is full: the words stand on the main screen
start 100 24 -m "$DIR/script"
wait_for 'scripted'
fill 1
rm -f "$reserve"
fill 2
type_ 'last words three'; keys Enter
wait_for 'NOT SAVED: disk full at'
wait_for 'the third answer'
keys C-d
wait_for 'LEFT 0'
wait_for 'last words three'
wait_for 'the third answer'
wait_for 'NOT SAVED'
echo ok
