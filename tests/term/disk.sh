# disk.sh - for tests that need a file system of their own, on top of tui.sh. Sourced first: the script runs
# again in a mount namespace, and is skipped where that is not allowed.
if [ "${1-}" != inside ]; then
    unshare -m true 2>/dev/null && exec unshare -m sh "$0" inside
    unshare -rm true 2>/dev/null && exec unshare -rm sh "$0" inside
    echo "SKIP no right to mount a file system"
    exit 0
fi
. "$OXBOW_TEST_DIR/term/tui.sh"

# own_disk SIZE: $disk, with everything that the program keeps on it
own_disk() {
    disk=$DIR/disk
    mkdir "$disk"
    mount -t tmpfs -o "size=$1" tmpfs "$disk" 2>/dev/null || { echo "SKIP no right to mount a file system"; exit 0; }
    trap 'tmux -L $SOCKET kill-server 2>/dev/null; sleep 0.2; umount -l "$disk"; rm -rf "$DIR" 2>/dev/null' EXIT
    mkdir "$disk/data" "$disk/state" "$disk/config" "$disk/cache"
    for d in data state config cache; do ln -s "$disk/$d" "$DIR/$d"; done
    export XDG_DATA_HOME="$DIR/data" XDG_CACHE_HOME="$DIR/cache" XDG_STATE_HOME="$DIR/state" XDG_CONFIG_HOME="$DIR/config"
}
