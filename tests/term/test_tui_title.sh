# A better title by the model when nobody asks: after the answer, not over the person's own, not by a
# small model, and out of the way of the next question.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'answer Plain answer.\nweights 2000000000\nrule Give our conversation a title => **"Lamps at the pier."**\\nIt is short.\n'
start 90 20 -m "$DIR/script"
wait_for 'scripted'
type_ 'Which of the lamps failed?'; keys Enter
wait_for 'Plain answer.'
wait_for '| Which of the lamps failed? |'
wait_for '| Lamps at the pier |' 10
has_not '| Which of the lamps'
type_ 'And then?'; keys Enter
wait_for 'And then?'
wait_for 'reused' # nothing else is in the way
type_ '/title Mine'; keys Enter
wait_for '| Mine |'
type_ 'Once more?'; keys Enter
sleep 5
wait_for '| Mine |'
keys C-c C-c
wait_for 'LEFT 0'

# the model is changed before the title is made, and the other one loads for longer than that
printf 'answer Slow answer.\nweights 2000000000\nopen_us 6000000\n' > "$DIR/slow"
start 90 20 -m "$DIR/script"
wait_for 'scripted'
type_ 'Quick?'; keys Enter
wait_for 'Plain answer.'
type_ "/model $DIR/slow"; keys Enter
wait_for 'must be read again'
keys y
sleep 5
type_ 'Who answers?'; keys Enter
wait_for 'Slow answer.'
keys C-c C-c
wait_for 'LEFT 0'

script 'answer Plain answer.\nrule Give our conversation a title => Lamps at the pier\n'
start 90 20 -m "$DIR/script"
wait_for 'scripted'
type_ 'Is it small?'; keys Enter
wait_for 'Plain answer.'
sleep 5
wait_for '| Is it small? |'
echo ok
