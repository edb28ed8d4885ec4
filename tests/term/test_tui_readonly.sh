# A database on a disk that cannot be written: what is kept can be listed, opened and searched, questions are
# answered, and NOT SAVED stands all the while, but no error comes for each of them.
set -u
if [ "${1-}" != inside ]; then
    unshare -m true 2>/dev/null && exec unshare -m sh "$0" inside
    unshare -rm true 2>/dev/null && exec unshare -rm sh "$0" inside
    echo "SKIP no right to mount a file system"
    exit 0
fi
. "$OXBOW_TEST_DIR/term/tui.sh"
disk=$DIR/disk
mkdir "$disk"
mount -t tmpfs -o size=64m tmpfs "$disk" 2>/dev/null || { echo "SKIP no right to mount a file system"; exit 0; }
trap 'tmux -L $SOCKET kill-server 2>/dev/null; sleep 0.2; umount -l "$disk"; rm -rf "$DIR" 2>/dev/null' EXIT
mkdir "$disk/data" "$disk/state" "$disk/config" "$disk/cache"
for d in data state config cache; do ln -s "$disk/$d" "$DIR/$d"; done
export XDG_DATA_HOME="$DIR/data" XDG_CACHE_HOME="$DIR/cache" XDG_STATE_HOME="$DIR/state" XDG_CONFIG_HOME="$DIR/config"
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
