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
# Ctrl-Z under a shell with job control, and back
start 80 24 -m "$DIR/script"
wait_for 'scripted'
tmux_ kill-server; SOCKET=$SOCKET+
tmux_ new-session -d -x 80 -y 24 'env -i PS1="SHELL> " TERM=tmux-256color PATH="$PATH" LC_ALL=C.UTF-8 HOME="'$DIR'" bash --norc -i'
wait_for 'SHELL>'
type_ "$FAKE -m $DIR/script --no-save"; keys Enter
wait_for 'Enter send'
keys C-z
wait_for 'Stopped'
type_ 'stty -a | grep -o " icanon"; fg'; keys Enter
wait_for 'Enter send'
type_ 'still here'
wait_for '> still here'
keys C-c C-d
wait_for 'SHELL>'
type_ 'stty -a | grep -o "[-]*icanon"; echo MODES'; keys Enter
wait_for 'MODES'
has_not '-icanon'
echo ok
