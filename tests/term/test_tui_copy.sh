# Copy: through the terminal; by a program where the config says so, with nothing else of the
# environment; a program that is not there is an error with a way out.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'answer North Mole at 20:45.\n'
export XDG_RUNTIME_DIR="$DIR" OPENAI_API_KEY=secret WAYLAND_DISPLAY=test-0 PATH="$DIR/bin:$PATH"
unset DISPLAY
mkdir -p "$DIR/bin" "$DIR/config/oxbow"
say() { type_ "$1"; keys Enter; }
start 90 24 -m "$DIR/script"
wait_for 'scripted'
say 'Which lamp?'
wait_for 'North Mole at 20:45.'
keys Tab y
wait_for 'copied 20 characters (OSC 52)'
[ "$(tmux_ show-buffer)" = 'North Mole at 20:45.' ] || fail 'the terminal has not got the text'
keys q
keys C-d
wait_for 'LEFT 0'

echo 'clipboard = program' > "$DIR/config/oxbow/config"
start 90 24 -m "$DIR/script" -c
wait_for 'North Mole at 20:45.'
keys Tab y
command -v wl-copy > /dev/null || { wait_for 'wl-copy is not installed'; wait_for 'clipboard = terminal'; }
printf '#!/bin/sh\ncat > %s/copied\nenv > %s/env\n' "$DIR" "$DIR" > "$DIR/bin/wl-copy"
chmod +x "$DIR/bin/wl-copy"
keys y
wait_for 'copied 20 characters (wl-copy)'
[ "$(cat "$DIR/copied")" = 'North Mole at 20:45.' ] || fail 'wl-copy has not got the text'
grep -q '^WAYLAND_DISPLAY=test-0' "$DIR/env" || fail 'wl-copy has no display'
grep -q 'secret\|HOME=' "$DIR/env" && fail 'wl-copy sees more than it needs'
printf '#!/bin/sh\nexit 3\n' > "$DIR/bin/wl-copy"
keys y
wait_for 'wl-copy failed with status 3'
echo ok
