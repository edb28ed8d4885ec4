# First start, chat, stop, edit, sibling, fork, queue, help, list, rename, delete, quit: one sitting.
. "$OXBOW_TEST_DIR/term/tui.sh"
slow=$(awk 'BEGIN { printf "One word after the other"; for (i = 0; i < 40; i++) printf ", and so on and on"; print "." }')
script 'answer Plain answer.\ntoken_us 2000\nrule lights => Two lights:\\n\\n- North Mole **20:45**\\n- Skerry\\n\\nThe end.\nrule slow => '"$slow"'\nrule second => Second answer.\n'
start 80 24 -m "$DIR/script"

wait_for 'Type a question and press Enter.'
wait_for 'scripted'
type_ 'Which lights failed?'
wait_for '> Which lights failed?'
[ "$(cursor)" = 22,20 ] || fail "cursor at $(cursor), wanted 22,20"
keys Enter
wait_for 'The end.'
wait_for '   - North Mole 20:45'
wait_for '| Which lights failed? |'

# stop: the text so far stays, and says so
type_ 'a slow one'; keys Enter
wait_for 'One word after'
esc
wait_for 'stopped by you after'

# the queue: visible, sent when the answer ends
type_ 'again slow'; keys Enter
wait_for 'again slow'
type_ 'the second question'; keys Enter
wait_for 'queued: sent when done'
wait_for 'Second answer.' 20
wait_gone 'queued'

# edit the last question: a branch
keys Tab e
wait_for 'edits this question'
wait_for 'e the second question'
keys C-u; type_ 'edited: lights'; keys Enter
wait_for 'branch 2/2'
wait_for 'question 2/2'
wait_for 'The end.'
keys Tab '['
wait_for 'branch 1/2'
wait_for 'Second answer.'

# another answer, and the tree
keys r
wait_for 'answer 2/2'
keys t
wait_for 'Tree |'
wait_for '* on screen'
esc
wait_gone 'Tree |'

# fork
keys f
wait_for 'a fork of'

# help lists the keys; Esc closes it
keys F1
wait_for 'In the input'
esc
wait_gone 'In the input'

# export
type_ "/export $DIR/out.md"; keys Enter
wait_for 'written to'
grep -q '## oxbow' "$DIR/out.md" || fail 'the export has no answer'

# the palette takes commands by a few letters
keys C-p; type_ 'stat'
wait_for '/stats'
esc

# sessions: filter, rename, delete
keys C-s
wait_for 'Sessions | 2 of 2'
type_ 'nothing like it'
wait_for 'no title contains these letters'
keys C-u
wait_for 'Sessions | 2 of 2'
keys M-e
wait_for 'new title:'
keys C-u; type_ 'Harbour log'; keys Enter
wait_for 'Harbour log'
keys M-d
wait_for 'delete "Harbour log"?'
keys n
wait_gone 'delete "'
keys M-d; wait_for 'delete "'; keys y
wait_for 'Sessions | 1 of 1'
esc

# Ctrl-C puts text aside, Up brings it back, twice on empty quits
type_ 'a thought'
keys C-c
wait_for 'put aside'
keys Up
wait_for '> a thought'
keys C-u C-c
wait_for 'Ctrl-C again to quit'
keys C-c
wait_for 'LEFT 0'
wait_for 'icanon echo'
has_not '-icanon'
pane | grep -q 'Type a question' && fail 'the screen was not given back'
echo ok
