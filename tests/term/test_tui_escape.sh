# Nothing that a model, a file, its name, a title or a paste says reaches the terminal as a control
# sequence: the raw bytes of the program are read, and only oxbow's own forms may be in them.
. "$OXBOW_TEST_DIR/term/tui.sh"
name=$(printf 'evil\033]0;owned\007\033[31m.txt')
printf 'line \033]0;owned\007 \302\233\062J \033P1$r\033\\ \342\200\256 end\nthe lamp was out at a quarter to nine and more\n' > "$DIR/$name"
script 'token_us 200\nanswer \\e]0;owned\\n\\e[2J\\e[31m red \\e]8;;http://x\\e link \\x\\x \\e]52;c;b3duZWQ=\\e and \\e[?1049l "the lamp was out at a quarter to nine".\n'
start 100 30 -m "$DIR/script"
tmux_ pipe-pane -O "cat > $DIR/raw"
wait_for 'scripted'
keys C-l
type_ "/file $DIR/evil"; keys C-c
printf 'q \033]0;owned\007\033[5n' > "$DIR/paste"; tmux_ load-buffer "$DIR/paste"; tmux_ paste-buffer -p
keys Enter
wait_for 'red <1B>]8'
keys C-s
wait_for 'Sessions | 1 of 1'
esc; esc
keys Tab r
wait_for 'answer 2/2'
keys q
wait_for 'Enter send'
keys C-u C-d
wait_for 'LEFT 0'
# the same through the command line: a document whose name is hostile
start 100 30 -m "$DIR/script" -f "'$DIR/$name'"
tmux_ pipe-pane -O "cat >> $DIR/raw"
wait_for 'evil'
keys C-o; sleep 0.2; keys C-o; sleep 0.2
keys 'q' Enter
wait_for '[1: 2]'
keys C-d
wait_for 'LEFT 0'
python3 - "$DIR/raw" <<'PY' || fail 'a foreign sequence reached the terminal'
import re, sys
raw = open(sys.argv[1], "rb").read()
own = re.compile(rb"\x1b\[(?:\?(?:2026|25|7|1049|1|2004|1000|1002|1006)[hl]|[0-9;]*[HJKm]|22;0;0t|23;0;0t|\?12l|\?12;25h|34[hl]|>4;[0-9]m)|\x1b[=>]|\x1b\(B|\x1b\]52;c;[A-Za-z0-9+/=]*\x1b\\")
rest = own.sub(b"", raw)
bad = re.findall(rb"\x1b.{0,12}|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|[\x00-\x06\x0e-\x1a\x7f]", rest)
print(len(raw), "bytes looked at")
if len(raw) < 3000 or bad or b"owned\x07" in raw:
    print("foreign:", bad[:5])
    sys.exit(1)
PY
echo ok
