# While an answer is being written its session is not left: not by a command, not from the list.
. "$OXBOW_TEST_DIR/term/tui.sh"
slow=$(awk 'BEGIN { printf "Word after word"; for (i = 0; i < 120; i++) printf ", and %d", i; print "." }')
script 'token_us 15000\nrule slow => '"$slow"'\nrule fast => Fine.\n'
start 90 24 -m "$DIR/script"
wait_for 'scripted'
type_ 'fast, an older one'; keys Enter
wait_for 'reused'
type_ '/new'; keys Enter
wait_gone 'Fine.'
type_ 'a slow one'; keys Enter
wait_for 'and 3,'
for command in '/fork' '/resume fast, an older one' '/new'; do
    type_ "$command"; keys Enter
    wait_for 'Esc stops it first'
    type_ 'x'; keys BSpace
    wait_gone 'Esc stops it first'
done
type_ '/sessions'; keys Enter
wait_for '2 of 2'
keys M-d; wait_for 'delete "a slow one"'; keys y
wait_for 'Esc stops it first'
keys M-f
wait_for 'Esc stops it first'
esc
wait_for 'and 119.' 30
has_not 'NOT SAVED'
wait_for '0 reused'
keys C-d
wait_for 'LEFT 0'
$FAKE sessions > "$DIR/list"
[ "$(grep -c slow "$DIR/list")" = 1 ] || fail "sessions: $(cat "$DIR/list")"
$FAKE show 1 > "$DIR/shown"
grep -q 'and 119.' "$DIR/shown" || fail "saved: $(cat "$DIR/shown")"

# what is deleted from the list leaves no word in the database
script 'answer Fine.\n'
start 90 24 -m "$DIR/script"
wait_for 'scripted'
type_ 'my xylophone'; keys Enter
wait_for 'reused'
type_ '/title secret'; keys Enter
wait_for '| secret |'
type_ '/sessions'; keys Enter
wait_for '3 of 3'
keys M-d; wait_for 'delete "secret"'; keys y
wait_for '2 of 2'
esc
keys C-d
wait_for 'LEFT 0'
cat "$DIR"/data/oxbow/oxbow.db* > "$DIR/bytes"
[ "$(grep -c xylophone "$DIR/bytes")" = 0 ] || fail 'a deleted word is in the database'

# what came of an answer is kept when the program is left or told to leave, as after Esc
script 'token_us 40000\nanswer one two three four five six seven eight nine ten eleven twelve thirteen\n'
for how in C-d TERM; do
    start 90 24 -m "$DIR/script"
    wait_for 'scripted'
    type_ "leave by $how"; keys Enter
    wait_for 'five'
    case $how in TERM) kill -TERM "$(program_pid)" ;; *) keys $how ;; esac
    wait_for 'LEFT'
    $FAKE show 1 > "$DIR/shown"
    grep -q 'four five' "$DIR/shown" && grep -q stopped "$DIR/shown" || fail "$how: $(cat "$DIR/shown")"
done
echo ok
