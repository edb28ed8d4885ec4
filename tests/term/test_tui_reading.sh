# A file that takes its time: the screen goes on meanwhile, takes keys and sizes, says what is read and
# for how long; a question waits for it; Esc, Ctrl-C, another session and leaving end it and lose nothing.
. "$OXBOW_TEST_DIR/term/tui.sh"
script 'token_us 300\nanswer Three lights failed.\n'
mkfifo "$DIR/pipe"
# wait_ended PATTERN: no process has it in its command line any more
wait_ended() {
    n=0
    while pgrep -f -- "$1" >/dev/null; do
        n=$((n + 1))
        [ $n -gt 100 ] && fail "\"$1\" still runs"
        sleep 0.05
    done
}
# read_pipe: its writer stays; what it has said so far is no end
read_pipe() {
    sleep 60 > "$DIR/pipe" &
    writer=$!
    type_ "/file $DIR/pipe"; keys Enter
    wait_for 'reading pipe,'
}
# hold NAME: until this test makes the file NAME
hold() { while [ ! -e "$1" ]; do sleep 0.1; done; }
start 120 40 -m "$DIR/script"
wait_for 'scripted'

# the screen is alive: the seconds move, keys are drawn, a new size is taken
read_pipe
wait_for 'reading pipe, 1 s; Esc or Ctrl-C stops it'
type_ 'typed meanwhile'
wait_for '> typed meanwhile'
tmux_ resize-window -x 80 -y 24
wait_for 'reading pipe, 2 s; Esc or Ctrl-C stops it'
[ "$(pane | wc -l)" -le 24 ] || fail 'the new size was not taken'
tmux_ resize-window -x 120 -y 40
esc
wait_for 'stopped while reading pipe'
wait_for '> typed meanwhile'
kill $writer
keys C-u

# each Ctrl-C that comes while it ends is for it
read_pipe
type_ 'still here'; keys C-c C-c C-c
wait_for 'stopped while reading pipe'
wait_for '> still here'
kill $writer
keys C-u

# a question waits for the document and goes with it; a second file is read behind the first
echo 'The harbour log has 3 lights.' > "$DIR/log.txt"
mkfifo "$DIR/slow.txt"
{ echo 'Entry one of the slow log.'; hold "$DIR/go1"; echo 'Entry two.'; } > "$DIR/slow.txt" &
type_ "/file $DIR/slow.txt"; keys Enter
wait_for 'reading slow.txt,'
type_ "/file $DIR/log.txt"; keys Enter
type_ 'Which lights failed?'; keys Enter
wait_for 'queued: sent when done'
has_not 'Three lights failed.'
type_ '/summarize'; keys Enter
wait_for 'is still being read'
touch "$DIR/go1"
wait_for 'Three lights failed.'
wait_for '[1] slow.txt'
wait_for '[2] log.txt'

# what could not be read gives the question back, in front of what was typed behind it
mkfifo "$DIR/binary"
{ printf '\177ELF\002\001\001\000\000'; hold "$DIR/go2"; } > "$DIR/binary" &
type_ "/file $DIR/binary"; keys Enter
wait_for 'reading binary,'
type_ 'Not sent'; keys Enter
wait_for 'queued: sent when done'
type_ 'and more'
wait_for 'and more'
touch "$DIR/go2"
wait_for 'binary looks like'
wait_for '> Not sent'
wait_for '  and more'
keys C-c
wait_for 'put aside'

# the terminal is not a file
type_ '/file -'; keys Enter
wait_for '- is a terminal, or was read at the start'
type_ '/file /dev/tty'; keys Enter
wait_for '/dev/tty is a terminal'
keys C-u

# another session: the reading ends, the question is in the input there
read_pipe
type_ 'Asked of nothing'; keys Enter
wait_for 'queued: sent when done'
type_ '/new'; keys Enter
wait_for 'Type a question and press Enter.'
wait_for '> Asked of nothing'
has_not 'reading pipe'
kill $writer
keys C-u
type_ "/file $DIR/log.txt"; keys Enter
wait_for '[1] log.txt'
wait_for 'tokens, fits'

# leaving: the question is the draft of the next start
read_pipe
type_ 'Kept for later'; keys Enter
wait_for 'queued: sent when done'
keys C-d
wait_for 'LEFT 0'
kill $writer
start 120 40 -m "$DIR/script"
wait_for '> Kept for later'
keys C-u

if command -v pdftotext >/dev/null 2>&1 && command -v python3 >/dev/null 2>&1; then
    python3 "$OXBOW_TEST_DIR/term/make_pdf.py" "$DIR/slow.pdf" slow
    type_ "/file $DIR/slow.pdf"; keys Enter
    wait_for 'reading slow.pdf, 1 s; Esc or Ctrl-C stops it'
    type_ 'x'
    wait_for '> x'
    pgrep -f -- "$DIR/slow.pdf" >/dev/null || fail 'no converter'
    keys C-c
    wait_for 'stopped'
    wait_gone 'reading slow.pdf'
    wait_ended "$DIR/slow.pdf"
    keys C-u
    type_ "/file $DIR/slow.pdf"; keys Enter
    wait_for 'reading slow.pdf, 1 s; Esc or Ctrl-C stops it'
    kill -TERM "$(program_pid)"
    wait_for 'LEFT 143'
    wait_ended "$DIR/slow.pdf"
else
    keys C-d
    wait_for 'LEFT 0'
    echo "SKIP PDF: pdftotext or python3 is missing"
fi
echo ok
