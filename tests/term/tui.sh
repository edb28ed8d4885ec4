# tui.sh - for tests that drive the real program through tmux: keys in, pane out. Sourced.
# Waits for text instead of sleeping; keeps the pane and says what was missing on failure.
export LC_ALL=C.UTF-8 TZ=UTC
unset TMUX NO_COLOR ACCESSIBLE OXBOW_CONFIG OXBOW_MODEL OXBOW_DB OXBOW_CACHE_DIR VISUAL EDITOR
command -v tmux >/dev/null || { echo "SKIP tmux is not installed"; exit 0; }
FAKE=$OXBOW_BUILD_DIR/tests/oxbow_fake
DIR=$(mktemp -d)
SOCKET=oxbow-test-$$
trap 'tmux -L $SOCKET kill-server 2>/dev/null; sleep 0.2; rm -rf "$DIR" 2>/dev/null' EXIT
trap 'exit 1' INT TERM
printf 'set -g escape-time 0\nset -g status off\nset -g default-terminal tmux-256color\nset -g set-clipboard on\nset -g history-limit 5000\n' > "$DIR/tmux.conf"

tmux_() { tmux -L "$SOCKET" -f "$DIR/tmux.conf" "$@"; }

# script LINES: what the scripted engine answers
script() { printf "$@" > "$DIR/script"; }

# start W H ARGS..: the program in a fresh pane; the shell behind it says LEFT and its status
start() {
    w=$1 h=$2
    shift 2
    tmux_ kill-server 2>/dev/null
    SOCKET=$SOCKET+ # the old server may still be on its way out
    export XDG_DATA_HOME="$DIR/data" XDG_CACHE_HOME="$DIR/cache" XDG_STATE_HOME="$DIR/state" XDG_CONFIG_HOME="$DIR/config"
    cat > "$DIR/run" <<RUN
export EDITOR=$DIR/editor
$PROGRAM $@
echo LEFT \$?
stty -a | grep -o -- '-\?icanon\|-\?echo ' | tr '\n' ' '
sleep 1000
RUN
    tmux_ new-session -d -x "$w" -y "$h" "sh $DIR/run"
}
PROGRAM=$FAKE

keys() { tmux_ send-keys "$@"; }
esc() { tmux_ send-keys Escape; sleep 0.1; } # alone: a byte behind it within 40 ms would make it Alt
type_() { tmux_ send-keys -l "$1"; }
pane() { tmux_ capture-pane -p 2>&1; }

fail() {
    echo "FAILED: $1"
    echo "---- pane:"
    pane
    exit 1
}
# wait_for TEXT [SECONDS]: until the pane has it
wait_for() {
    n=0
    until pane | grep -qF -- "$1"; do
        n=$((n + 1))
        [ $n -gt $((${2:-10} * 20)) ] && fail "\"$1\" did not appear"
        sleep 0.05
    done
}
wait_gone() {
    n=0
    while pane | grep -qF -- "$1"; do
        n=$((n + 1))
        [ $n -gt $((${2:-10} * 20)) ] && fail "\"$1\" did not go away"
        sleep 0.05
    done
}
has_not() { pane | grep -qF -- "$1" && fail "\"$1\" is on the screen"; true; }
# The cursor's column and row, from 0
cursor() { tmux_ display-message -p '#{cursor_x},#{cursor_y}'; }
program_pid() { pgrep -P "$(tmux_ list-panes -F '#{pane_pid}')" | head -1; }
