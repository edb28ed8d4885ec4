# /summarize in parts (bar, stop, going on where it stopped, a question behind it) and /compact into a
# new branch, by command and as the choice at the full context.
. "$OXBOW_TEST_DIR/term/tui.sh"
awk 'BEGIN { for (i = 1; i < 900; i++) print "Line " i " of the log says that all was quiet at the pier."; }' > "$DIR/log.txt"
script 'answer Plain answer.\nprefill_us 150\nrule Write a summary => All was quiet at the pier.\nrule Summarise our conversation => We spoke of the pier.\n'
start 100 30 -m "$DIR/script" -f "$DIR/log.txt"
wait_for 'log.txt: 5'

type_ '/summarize'; keys Enter
wait_for 'reading [1] log.txt, part 1 of '
type_ "/model $DIR/script"; keys Enter # what the parts are made with stays loaded
wait_for 'Esc stops the answer first'
wait_for 'part 2 of ' 20
esc
wait_for 'is kept, /summarize goes on from there'
wait_for '> /summarize 1'
keys Enter
wait_for 'part 2 of '
has_not 'part 1 of '
wait_for 'Summarise log.txt, in parts.' 20
wait_for 'All was quiet at the pier.' 60
type_ 'And then?'; keys Enter
wait_for 'Plain answer.'

# the summary of the talk is a branch of its own; the old one is one key away
type_ '/compact'; keys Enter
wait_for 'We spoke of the pier.'
wait_for 'branch 2/2'
has_not 'Plain answer.'
type_ 'Go on.'; keys Enter
wait_for 'Plain answer.'
keys Tab '[' # of the last question: none; of the first one: the old branch
keys C-c C-c
wait_for 'LEFT 0'

# of a part that was attached only its lines are read
script 'answer Plain answer.\nprefill_us 150\nrule Write a summary => All was quiet there.\n'
start 100 30 -m "$DIR/script" -f "$DIR/log.txt:601-880"
wait_for 'log.txt:601-880: 1'
type_ '/summarize'; keys Enter
wait_for 'part 1 of 3'
pane | grep -q ' of [6-9],[0-9]* tokens' || fail 'a half of 16,000 tokens was to be read'
wait_for 'All was quiet there.' 30
keys C-c C-c
wait_for 'LEFT 0'

# a question that does not fit: the third way out
script 'answer Plain answer.\nctx 1200\nrule Summarise our conversation => We spoke of much.\n'
start 100 30 -m "$DIR/script"
wait_for 'scripted'
type_ 'How long is the pier, how high is the light, and who keeps the log of the harbour in the winter?'; keys Enter
wait_for 'Plain answer.'
type_ "$(awk 'BEGIN { for (i = 0; i < 30; i++) printf "and so on and on "; }')"; keys Enter
wait_for 'tokens too long'
wait_for 'summarise the 1 turn so far into a new branch'
keys 1
wait_for 'We spoke of much.'
wait_for 'Plain answer.'
wait_for 'branch 2/2'
echo ok
