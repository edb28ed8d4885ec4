# Resize while an answer streams, tiny windows, suspend and resume, redraw, the editor, raw text.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'token_us 1500\nanswer The quick brown fox jumps over the lazy dog, word by word, until the row is full and the next one begins, and then once more: the quick brown fox jumps over the lazy dog, word by word, until the row is full. Ende.\n'
start 80 24 -m "$DIR/script"
wait_for 'scripted'
type_ 'go'; keys Enter
wait_for 'The quick'
for size in 60x20 100x30 20x6 12x3 30x8 120x40 80x24; do
    tmux_ resize-window -x "${size%x*}" -y "${size#*x}"
    sleep 0.15
done
wait_for 'Ende.'
wait_for 'The quick brown fox jumps over the lazy dog'
[ "$(cursor)" = 2,20 ] || fail "cursor at $(cursor), wanted 2,20"
# what the terminal shows is what a fresh drawing shows
before=$(pane)
keys C-l
sleep 0.3
[ "$before" = "$(pane)" ] || fail 'Ctrl-L changed the screen'
# raw text
keys Tab v
wait_for 'The quick'
keys v q
# suspend: SIGCONT brings it back
kill -STOP "$(program_pid)"; kill -CONT "$(program_pid)"
wait_for 'scripted'
# the editor
printf '#!/bin/sh\nprintf "edited text" > "$1"\n' > "$DIR/editor"; chmod +x "$DIR/editor"
type_ 'draft'
keys C-g
wait_for '> edited text'
printf '#!/bin/sh\nexit 1\n' > "$DIR/editor"
keys C-x C-e
wait_for '> edited text'
keys C-c C-d
wait_for 'LEFT 0'
wait_for 'icanon echo'
has_not '-icanon'
last_line_has() {
    n=0
    until pane | grep . | tail -1 | grep -q -- "$1"; do
        n=$((n + 1))
        [ $n -gt 200 ] && fail "the last line is not \"$1\""
        sleep 0.05
    done
}
# Ctrl-Z under a shell with job control, and back
start 80 24 -m "$DIR/script"
wait_for 'scripted'
tmux_ kill-server; SOCKET=$SOCKET+
tmux_ new-session -d -x 80 -y 24 'env -i PS1="SHELL> " TERM=tmux-256color PATH="$PATH" LC_ALL=C.UTF-8 HOME="'$DIR'" bash --norc -i'
wait_for 'SHELL>'
cat > "$DIR/editor" <<'EDITOR'
#!/bin/sh
trap 'printf "left by Ctrl-C, %s" "$1" > "$2"; exit 0' INT
cp "$2" "$2~"; dirname "$2" > "${0%/*}/folder"
echo EDITING
sleep 20 & wait
EDITOR
type_ "EDITOR='$DIR/editor --wait' $FAKE -m $DIR/script --no-save"; keys Enter
wait_for 'Enter send'
keys C-z
wait_for 'Stopped'
type_ 'stty -a | grep -o " icanon"; fg'; keys Enter
wait_for 'Enter send'
type_ 'still here'
wait_for '> still here'
# in an editor Ctrl-C is a key, and Ctrl-Z stops both of them
keys C-g
wait_for 'EDITING'
keys C-z
last_line_has '^SHELL>'
type_ 'fg'; keys Enter
last_line_has '--no-save$' # bash names what it brings back
sleep 0.2
keys C-c
wait_for '> left by Ctrl-C, --wait'
[ -e "$(cat "$DIR/folder")" ] && fail 'the draft is still in /tmp'
keys C-c C-d
wait_for 'SHELL>'
type_ 'stty -a | grep -o "[-]*icanon"; echo MODES'; keys Enter
wait_for 'MODES'
has_not '-icanon'
echo ok
