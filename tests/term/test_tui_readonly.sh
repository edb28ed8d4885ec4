# A database on a disk that cannot be written: what is kept can be listed, opened and searched, questions are
# answered, and NOT SAVED stands all the while, but no error comes for each of them.
set -u
. "$OXBOW_TEST_DIR/term/disk.sh"
own_disk 64m
script 'answer the answer\nrule two => the second answer\n'
"$FAKE" -m "$DIR/script" ask "one harbour" >/dev/null 2>&1 || fail 'a disk that can be written'
mount -o remount,ro "$disk" || { echo "SKIP cannot remount"; exit 0; }

start 100 24 -m "$DIR/script" -c
wait_for 'NOT SAVED: the database is read-only'
type_ 'two'; keys Enter
wait_for 'the second answer'
wait_for 'NOT SAVED: the database is read-only'
has_not 'cannot be written'
keys C-s
wait_for 'one harbour'
wait_for '1 of 1'
keys C-f; type_ 'harbour'
wait_for 'one [harbour]'
esc; esc
wait_for 'the second answer'
keys C-d
wait_for 'LEFT 0'
echo ok
