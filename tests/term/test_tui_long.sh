# A session of 300 turns: its end at once, the rest behind it. A question asked before all is read in
# still sends all of it, and branches come back.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'token_us 500\nprefill_us 1\n'
"$OXBOW_BUILD_DIR/tests/tui_bench" --turns 300 "$DIR/long.db" || exit 1
start 80 24 -m "$DIR/script" --db "$DIR/long.db" -c
wait_for 'and an end of some length'
type_ 'asked at once'; keys Enter
wait_for 'You said: asked at once'
read=$(pane | sed -n 's/.* reused, \([0-9,]*\) read.*/\1/p' | tail -1 | tr -d ,)
[ "${read:-0}" -gt 40000 ] || fail "only $read tokens of 300 turns were sent"
keys Tab r
wait_for 'answer 2/2'
keys g
wait_for 'Question 0, with a few words?'
keys t
wait_for 'Tree | 603 messages, 2 branches'
esc
keys C-c C-c
wait_for 'LEFT 0'

start 80 24 -m "$DIR/script" --db "$DIR/long.db" -c
wait_for 'branch 2/2'
wait_for 'answer 2/2'
keys Tab '['
wait_for 'branch 1/2'
echo ok
