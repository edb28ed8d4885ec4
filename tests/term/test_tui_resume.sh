# kill -9 in the middle of an answer; the question and what was written are there again; drafts too.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'answer one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty\ntoken_us 30000\n'
start 80 24 -m "$DIR/script"
wait_for 'scripted'
type_ 'count for me'; keys Enter
wait_for 'three four five'
kill -9 "$(program_pid)"
wait_for 'LEFT 137'
start 80 24 -m "$DIR/script" -c
wait_for 'count for me'
wait_for 'one two'
wait_for '[interrupted]'
wait_for 'scripted'
type_ 'a draft that was never sent'
wait_for 'never sent'
sleep 1.5
kill -9 "$(program_pid)"
wait_for 'LEFT 137'
start 80 24 -m "$DIR/script" -c
wait_for '> a draft that was never sent'
# a signal that asks politely: saved, terminal given back
kill -TERM "$(program_pid)"
wait_for 'LEFT 143'
wait_for 'icanon echo'
has_not '-icanon'
# a fault: the terminal is whole as well
start 80 24 -m "$DIR/script"
wait_for 'scripted'
kill -SEGV "$(program_pid)"
wait_for 'LEFT 139'
wait_for 'icanon echo'
has_not '-icanon'
# a session that does not exist
start 80 24 -m "$DIR/script" -r zzzz
wait_for 'zzzz'
keys C-d
wait_for 'LEFT'
echo ok
