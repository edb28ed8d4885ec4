# A session that another oxbow writes: the full screen follows it, question and answer, while it comes. What is
# asked there is refused and kept, until the other one has left.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'answer one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty\ntoken_us 30000\n'
start 80 24 -m "$DIR/script"
wait_for 'scripted'
type_ 'the first'; keys Enter
wait_for 'twenty'
# the same session in a second one, beside it
tmux_ new-window -d -n other "sh -c '$PROGRAM -m $DIR/script -c; sleep 1000'"
other() { tmux_ capture-pane -p -t :other; }
n=0; until other | grep -q 'in use'; do n=$((n + 1)); [ $n -gt 100 ] && { other; fail 'the other says who has it'; }; sleep 0.05; done
tmux_ send-keys -t :other -l 'a draft of mine'
type_ 'the second'; keys Enter
n=0; until other | grep -q 'the second'; do n=$((n + 1)); [ $n -gt 60 ] && { other; fail 'the question is followed'; }; sleep 0.05; done
n=0; until [ "$(other | grep -c 'two three')" = 2 ]; do n=$((n + 1)); [ $n -gt 60 ] && { other; fail 'the answer is followed'; }; sleep 0.05; done
other | grep -q 'twenty' && [ "$(other | grep -c twenty)" = 2 ] && fail 'only when it was complete'
n=0; until [ "$(other | grep -c 'twenty')" = 2 ]; do n=$((n + 1)); [ $n -gt 100 ] && { other; fail 'to its end'; }; sleep 0.05; done
other | grep -q 'a draft of mine' || { other; fail 'what is typed there stays'; }
$PROGRAM rename 1 'A name from the shell' >/dev/null
wait_for 'A name from the shell'
n=0; until other | grep -q 'A name from the shell'; do n=$((n + 1)); [ $n -gt 60 ] && { other; fail 'the title is followed'; }; sleep 0.05; done
others() { n=0; until other | grep -qF -- "$1"; do n=$((n + 1)); [ $n -gt 100 ] && { other; fail "\"$1\" in the other one"; }; sleep 0.05; done; }
tmux_ send-keys -t :other Enter
others 'is in use by another oxbow (process'
others '> a draft of mine'
[ "$($PROGRAM show 1 | grep -c 'a draft of mine')" = 0 ] || fail 'it was saved into the session of the other'
keys C-d
wait_for 'LEFT 0'
others 'the other oxbow has left'
tmux_ send-keys -t :other Enter
n=0; until $PROGRAM show 1 | grep -q 'a draft of mine'; do n=$((n + 1)); [ $n -gt 60 ] && { other; fail 'it goes on there'; }; sleep 0.05; done
other | grep -q 'NOT SAVED' && { other; fail 'it is saved there'; }
echo ok
