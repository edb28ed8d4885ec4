# Terminals and settings that get plain lines, each alone; no colours with NO_COLOR; stdin as document.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'answer Fine.\ntoken_us 100\n'
for how in 'TERM=dumb' 'ACCESSIBLE=1' 'TERM=no-such-terminal'; do
    PROGRAM="env $how $FAKE"
    start 80 24 -m "$DIR/script" --no-save
    wait_for 'you>'
    has_not 'Enter send'
    has_not 'No entry for terminal' # libedit's own words
    [ "$how" = TERM=no-such-terminal ] && wait_for 'plain lines: terminfo does not know'
    keys 'hello' Enter
    wait_for 'Fine.'
    keys C-d
    wait_for 'LEFT 0'
done
PROGRAM=$FAKE
start 80 24 --plain -m "$DIR/script" --no-save
wait_for 'you>'
keys C-d
wait_for 'LEFT 0'
# NO_COLOR: bold and reverse stay, colours go
PROGRAM="env NO_COLOR=1 $FAKE"
start 80 24 -m "$DIR/script" --no-save
wait_for 'not saved'
wait_for 'Enter send'
tmux_ capture-pane -p -e | grep -q "$(printf '\033')\[[0-9;]*3[0-7]m" && fail 'a colour was sent'
tmux_ capture-pane -p -e | grep -q "$(printf '\033')\[1" || fail 'nothing is bold'
keys C-d
wait_for 'LEFT 0'
# a pipe is a document, the terminal is where one types
PROGRAM="seq 1 900 | $FAKE"
start 80 24 -m "$DIR/script" --no-save
wait_for 'Enter send'
keys C-o
wait_for 'line 1 of 900'
keys C-o
keys 'q' Enter
wait_for 'Fine.'
type_ "/export $DIR/x.md"; keys Enter
wait_for 'written to'
grep -q '^Fine.' "$DIR/x.md" && grep -q '^# q$' "$DIR/x.md" || fail "what is not saved can be exported: $(cat "$DIR/x.md")"
type_ '/title Another'; keys Enter
wait_for 'start without --no-save'
keys C-s
wait_for 'sessions are not read without saving'
esc
keys C-d
wait_for 'LEFT 0'
[ -e "$DIR/data/oxbow/oxbow.db" ] && fail '--no-save left a database'
# a narrow terminal: the bar goes before the numbers do
seq 1 100 > "$DIR/document"
script 'answer Fine.\nprefill_us 15000\n'
start 40 12 ask -m "$DIR/script" --no-save -f "$DIR/document" Why
wait_for ' left'
has_not '[#'
keys C-c
# no terminal on stdout
PROGRAM="$FAKE -m $DIR/script | cat #"
start 80 24
wait_for 'no terminal on stdout'
echo ok
