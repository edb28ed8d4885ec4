# Several answers to one question, a seed each: the price first, Esc keeps the finished ones, then two
# side by side, from a key, a command and the tree; one is taken, and all are there after a restart.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'answer Plain answer with the seed %%seed, and that is all of it.\ntoken_us 1000\n'
start 120 40 --seed 7 -m "$DIR/script"
wait_for 'scripted'
type_ '/compare'; keys Enter
wait_for 'there is no other answer'
type_ 'a question'; keys Enter
wait_for 'the seed 7,'

type_ '/seeds 3'; keys Enter
wait_for 'the same 3 times, about'
keys n
wait_gone 'y yes'
has_not 'answer 2/2'
type_ '/set temperature 0.7'; keys Enter
wait_for 'temperature'
type_ '/seeds 3'; keys Enter
wait_for '3 answers, '
wait_for 'read again'
wait_for 'y yes'
keys y
wait_for 'Side by side'
wait_for '1  answer 2/4'
wait_for '2  answer 3/4'
wait_for 'the seed 8, and that is all of it.      | Plain'
wait_for 'the seed 9, and'
keys ]
wait_for '2  answer 4/4'
wait_for 'the seed 10, and'
keys Tab
wait_for '1  answer 4/4'

# narrow: one above the other
tmux_ resize-window -x 60 -y 20
wait_for '| Plain answer with the seed 8,'
has_not 'seed 10, and that is all of it.  '
tmux_ resize-window -x 120 -y 40
keys 2
wait_gone 'Side by side'
wait_for 'answer 2/4'
wait_for 'the seed 8,'

# from the transcript and the tree; Esc goes back to where it was opened
keys Tab
keys c
wait_for 'Side by side'
wait_for '1  answer 2/4'
esc
wait_gone 'Side by side'
keys t
wait_for 'Tree |'
keys Down
keys c
wait_for '2  answer 1/4'
esc
wait_for 'Tree |'
esc
wait_gone 'Tree |'
keys C-d
keys Escape
wait_for 'Enter send'
keys C-d
wait_for 'LEFT 0'

# after a restart all four are there
start 120 40 -c -m "$DIR/script"
wait_for 'answer 2/4'
type_ '/compare 1 4'; keys Enter
wait_for '1  answer 1/4'
wait_for 'seed 10, and'
keys 1
wait_for 'answer 1/4'
wait_gone 'Side by side'

# stopped in the third: two are there, and side by side
slow=$(awk 'BEGIN { printf "Slow words"; for (i = 0; i < 30; i++) printf " and more"; print "." }')
script 'answer '"$slow"'\ntoken_us 6000\n'
keys C-d
wait_for 'LEFT 0'
start 80 24 --no-save -m "$DIR/script"
wait_for 'scripted'
type_ 'a slow one'; keys Enter
wait_for 'Slow words'
wait_for 'and more.' 60
type_ '/seeds 3'; keys Enter
wait_for 'y yes'
keys y
wait_for 'answer 3 of 3' 60
wait_for 'Slow words and more'
esc
wait_for 'Side by side'
wait_for '1  answer 2/4'
wait_for 'the words are the same'
esc
wait_for 'stopped by you'
keys C-d
wait_for 'LEFT 0'

# the real program: nothing is read again, and each answer comes again from its seed
PROGRAM=$OXBOW_BIN
start 120 40 --seed 3 --temp 1 -n 24
wait_for 'oxbow-mini' 60
type_ 'Name three things that swim.'; keys Enter
wait_for 'the limit is reached' 120
type_ '/seeds 2'; keys Enter
wait_for '2 answers, nothing read again' 60
keys y
wait_for 'Side by side' 240
wait_for 'seed 4'
wait_for 'seed 5'
keys 1
wait_gone 'Side by side'
wait_for '0 read, exact   answer 2/3'
keys C-d
wait_for 'LEFT 0'
id=$($OXBOW_BIN sessions | head -1 | cut -c1-4)
for branch in 1 2 3; do
    $OXBOW_BIN show "$id" --branch $branch --replay > "$DIR/replay" 2>&1
    grep -q 'tokens equal' "$DIR/replay" || { cat "$DIR/replay"; fail "replay of branch $branch"; }
done
echo ok
