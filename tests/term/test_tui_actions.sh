# An answer that is stopped goes on as the same message, in the same sitting and after kill -9.
. "$OXBOW_TEST_DIR/term/tui.sh"
slow=$(awk 'BEGIN { printf "Word after word"; for (i = 0; i < 60; i++) printf ", and %d", i; print "." }')
script 'token_us 4000\nrule slow => '"$slow"'\n'
start 80 24 -m "$DIR/script"
wait_for 'scripted'

type_ 'a slow one'; keys Enter
wait_for 'and 5'
esc
wait_for 'stopped by you after'
has_not 'and 59'
type_ '/continue'; keys Enter
wait_gone 'stopped by you'
wait_for 'and 59.' 20
has_not 'Go on'
type_ '/continue'; keys Enter
wait_for 'complete'

# a crash in the middle of going on keeps all of it
type_ 'slow again'; keys Enter
wait_for 'and 9,'
esc
wait_for 'stopped by you after'
type_ '/continue'; keys Enter
wait_for 'and 20,' 20
kill -9 "$(program_pid)"
wait_for 'LEFT 137'
start 80 24 -c -m "$DIR/script"
wait_for '[interrupted]'
wait_for 'and 15,'
type_ '/continue'; keys Enter
wait_gone '[interrupted]'
wait_for 'and 59.' 20
keys C-d
wait_for 'LEFT 0'

# a part of a file: its lines keep the numbers of the file, in marks and in the pane
for i in $(seq 1 40); do echo "This is the sentence number $i of the harbour log."; done > "$DIR/part.txt"
script 'rule quote => It says "the sentence number 32 of the harbour log".\n'
start 110 24 -m "$DIR/script" -f "$DIR/part.txt:30-35"
wait_for 'part.txt:30-35'
wait_for '   30   This is the sentence number 30'
type_ 'quote'; keys Enter
wait_for '[1: 32]'
type_ "/file $DIR/part.txt:2-3"; keys Enter
wait_for 'line 2 of 40'
wait_for '    2   This is the sentence number 2 '
type_ 'say it'; keys Enter
wait_for 'part.txt:2-3, 1'
keys C-d
wait_for 'LEFT 0'
start 110 24 -m "$DIR/script" -c
wait_for '[1: 32]'
keys C-d
wait_for 'LEFT 0'

# a system prompt belongs to its session; tokens of a text are counted; a prompt is filled
script 'answer fine.\n'
start 100 24 -m "$DIR/script" -s "'Be brief.'"
wait_for 'scripted'
type_ 'one'; keys Enter
wait_for 'fine.'
type_ '/tokens harbour lights'; keys Enter
wait_for ' tokens'
type_ '/prompt translate language=Dutch Good day'; keys Enter
wait_for 'Translate the text into Dutch.'
keys C-u C-c; sleep 0.1; keys C-u C-d
wait_for 'LEFT 0'
$PROGRAM show 1 | grep -A2 '^## System' | grep -q 'Be brief.' || fail 'the system prompt is saved with the session'
start 100 24 -m "$DIR/script" -c
wait_for 'fine.'
type_ '/system'; keys Enter
wait_for 'system prompt: Be brief.'
keys C-d
wait_for 'LEFT 0'

# on a terminal a row of the list stays a row
"$PROGRAM" rename 1 'A title that is longer than what a terminal of sixty columns has left for it' >/dev/null
start 60 10 sessions
wait_for 'LEFT 0'
pane | grep -q 'A title th.*\.\.\.$' || fail 'a long title is cut at the edge'
# what is read again is said; a long reading is asked for first. Another model reads everything.
script 'answer fine %%seed.\n'
printf 'prefill_us 400000\nanswer slowly.\n' > "$DIR/slow"
start 80 24 -m "$DIR/script"
wait_for 'scripted'
type_ 'a question of some length'; keys Enter
wait_for 'fine'
type_ '/undo'; keys Enter
wait_for 'back before turn 1; the branch stays'
type_ 'another question'; keys Enter
wait_for 'branch 2/2'
wait_for 'fine'
type_ "/model $DIR/nowhere"; keys Enter
wait_for 'no such folder'
has_not 'read again'
type_ "/model $DIR/slow"; keys Enter
wait_for 'tokens must be read again'
keys y
wait_gone 'read again'
type_ '/regen 5'; keys Enter
wait_for 'tokens back, about'
keys n
wait_gone 'y yes'
has_not 'answer 2/2'
type_ '/regen 5'; keys Enter
wait_for 'y yes'
keys y
wait_for 'answer 2/2'
wait_for 'waiting for the model'
echo ok
