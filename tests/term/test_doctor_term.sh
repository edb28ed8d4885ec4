# doctor --term asks the terminal for widths: tmux draws ambiguous characters in one cell.
. "$OXBOW_TEST_DIR/term/tui.sh"
PROGRAM=$OXBOW_BUILD_DIR/oxbow
start 100 30 doctor --term
wait_for 'LEFT 0'
wait_for 'section sign: 1 cell, as counted'
wait_for 'Han character: 2 cells, as counted'
wait_for 'letter and mark: 1 cell, as counted'
wait_for 'heart as emoji:'
wait_for 'joined emoji:'
wait_for 'width.ambiguous = 1'
wait_for 'icanon echo'
has_not '-icanon'
has_not 'fix:'
# a setting that does not fit the terminal is said, with the one that does
mkdir -p "$DIR/config/oxbow"
echo 'width.ambiguous = 2' > "$DIR/config/oxbow/config"
start 100 30 doctor --term
wait_for 'LEFT 0'
wait_for 'warn  widths         section sign: 1 cell'
wait_for 'fix: width.ambiguous = 1 in'
wait_for 'width.ambiguous = 2'
# a pipe as terminal: nothing is asked, nothing hangs
out=$(setsid "$OXBOW_BUILD_DIR/oxbow" doctor --term < /dev/null)
echo "$out" | grep -q 'does not say how wide' || { echo "FAILED: $out"; exit 1; }
echo ok
