# Pastes: one token for a long one, no newline sends, no escape gets through, 5 MB in a blink.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'token_us 200\n'
start 100 30 -m "$DIR/script"
wait_for 'scripted'
i=0; while [ $i -lt 30 ]; do printf 'line %d of a paste\n' $i; i=$((i + 1)); done > "$DIR/text"
tmux_ load-buffer "$DIR/text"
type_ 'before '
tmux_ paste-buffer -p
wait_for '> before [pasted 30 lines,'
type_ 'after'
wait_for ']after'
keys Left Left Left Left Left Left Enter
wait_for 'line 29 of a paste'
keys C-_
wait_for '[pasted 30 lines,'
keys C-c
wait_gone '[pasted'
# a short paste with newlines stays in the input
printf 'one\ntwo\n' > "$DIR/text"; tmux_ load-buffer "$DIR/text"; tmux_ paste-buffer -p
wait_for '> one'
wait_for '  two'
has_not 'you  '
keys C-c
# escapes in a paste are removed and counted
printf 'a\033[31mb\033]0;x\007c' > "$DIR/text"; tmux_ load-buffer "$DIR/text"; tmux_ paste-buffer -p
wait_for '> a[31mb]0;xc'
wait_for '3 control characters were left out'
keys C-c
# 5 MB
awk 'BEGIN { for (i = 0; i < 65536; i++) printf "%07d 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 01\n", i }' > "$DIR/text"
tmux_ load-buffer "$DIR/text"; tmux_ paste-buffer -p
wait_for '[pasted 65536 lines, 5.0 MB]' 20
type_ 'x'
wait_for ']x'
# d on it makes it a document
keys Left Left d
wait_for '[1] pasted text' 20
wait_for '> x'
keys C-c C-d
wait_for 'LEFT 0'
echo ok
