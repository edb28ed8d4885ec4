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
echo ok
