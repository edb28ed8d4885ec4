# The stories of test_tui_story.sh with the real program and the built-in model: first start, chat,
# stop, edit and fork, a document, resize while streaming, a 5 MB paste, the queue, kill -9 and back,
# quit. Greedy, so that the same words come again; what the model says is not judged here.
. "$OXBOW_TEST_DIR/term/tui.sh"
PROGRAM=$OXBOW_BIN
WAIT=60
answering() { wait_for 'tok/s' $WAIT; }
done_() { wait_gone 'Esc stop' $WAIT; }

start 100 30 --temp 0 -n 900
wait_for 'Type a question and press Enter.'
wait_for 'oxbow-mini' $WAIT
type_ 'Name one colour.'; keys Enter
wait_for '0 reused, ' $WAIT
wait_for '| Name one colour. |'

# stop: the text so far stays
type_ 'Write a long story about the sea and a lighthouse.'; keys Enter
answering
esc
wait_for 'stopped by you after'

# resize while an answer streams
type_ 'Write a long story about a keeper and his boat.'; keys Enter
answering
tmux_ resize-window -x 60 -y 16
wait_for 'Esc stop   Tab read'
tmux_ resize-window -x 100 -y 30
wait_for 'Ctrl-S sessions   F1 help' $WAIT

# the queue: visible, sent when the answer ends
type_ 'Name one animal.'; keys Enter
wait_for 'queued: sent when done'
esc
wait_for 'stopped by you after'
wait_gone 'queued' $WAIT
done_

# edit the last question: a branch that begins from the saved state; then a fork
keys Tab e
wait_for 'edits this question'
keys C-u; type_ 'Name one fruit.'; keys Enter
wait_for 'question 2/2' $WAIT
wait_for 'branch 2/2'
done_
pane | grep -q '[1-9][0-9,]* reused' || fail 'nothing was reused after an edit'
keys Tab f
wait_for 'a fork of'

# a document: counted before it is sent, cited by its name
printf 'The lamp of the North Mole was out.\nThe Skerry was dark from seven on.\n' > "$DIR/log.txt"
esc
type_ "/file $DIR/log.txt"; keys Enter
wait_for 'log.txt: ' $WAIT
wait_for 'tokens, fits'
type_ 'Which lamp was out?'; keys Enter
wait_for '[1] log.txt, ' $WAIT
done_

# a 5 MB paste is one token of the line, and Ctrl-C takes it away
awk 'BEGIN { for (i = 0; i < 100000; i++) print "a line of fifty bytes, pasted into the input line" }' > "$DIR/big"
tmux_ load-buffer "$DIR/big"
tmux_ paste-buffer -p
wait_for '[pasted 100000 lines, 5.0 MB]' $WAIT
keys C-c
wait_for 'put aside'

# kill -9 in the middle; the same session goes on from its saved state
type_ '/new'; keys Enter
wait_for '| new session'
type_ '/set max-new 4000'; keys Enter # a story that the model never ends: 10 s at least
wait_for 'max_new is 4000'
type_ 'Write a long story about a lamp.'; keys Enter
answering
esc
wait_for 'stopped by you after'
type_ '/continue'; keys Enter
wait_gone 'stopped by you after'
answering
sleep 1
kill -9 "$(program_pid)"
wait_for 'LEFT 137'
start 100 30 --temp 0 -n 40 -c
wait_for '[interrupted]'
wait_gone 'loading' $WAIT
type_ 'Go on.'; keys Enter
# its own row, below the question: those of earlier answers may still be on the screen
last_row() { pane | sed -n '/Go on\./,$p' | grep ' reused, '; }
n=0
until last_row >/dev/null; do
    n=$((n + 1))
    [ $n -gt $((WAIT * 20)) ] && fail 'no answer behind the kill'
    sleep 0.05
done
last_row | grep -q '[1-9][0-9,]* reused' || fail 'all was read again after kill -9'
done_

keys C-c C-c
wait_for 'LEFT 0'
wait_for 'oxbow -r '
echo ok
