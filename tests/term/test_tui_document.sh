# A document: counted before it is sent, its quotations checked, shown again after a restart, and what does
# not fit is said. The real engine reads it if its weights are in the build.
. "$OXBOW_TEST_DIR/term/tui.sh"
i=1; while [ $i -le 200 ]; do echo "Entry $i of the harbour log."; i=$((i + 1)); done > "$DIR/log.txt"
printf 'From the wall we saw that the lamp was out at\na quarter to nine and the glass broken.\n' >> "$DIR/log.txt"
script 'token_us 300\nanswer It says "the lamp was out at a quarter to nine", and "dark from midnight on".\n'
start 120 40 -m "$DIR/script"
wait_for 'scripted'
type_ "/file $DIR/lo"; keys Tab
wait_for "/file $DIR/log.txt"
keys Enter
wait_for 'tokens, fits (64k)'
wait_for 'Entry 1 of the harbour log.'
type_ 'What happened?'; keys Enter
wait_for '[1: 201-202]'
wait_for '[?] not in'
wait_for 'exact    201-202'
keys Tab n
wait_for '201 > From the wall'
wait_for '202 > a quarter to nine'
keys q C-d
wait_for 'LEFT 0'
start 120 40 -m "$DIR/script" -c
wait_for 'log.txt,'
wait_for '[1: 201-202]'
wait_for 'Entry 1 of the harbour log.'
type_ 'And then?'; keys Enter
wait_for 'And then?'
wait_for '  4  missing'
type_ '/file /no/such/file'; keys Enter
wait_for 'No such file'
keys C-u
# a pipe whose writer says nothing ends with Ctrl-C; what was typed meanwhile is there
mkfifo "$DIR/silent"
sleep 60 > "$DIR/silent" &
silent=$!
type_ "/file $DIR/silent"; keys Enter
sleep 0.3
keys C-c
wait_for 'stopped while reading silent'
keys C-u
type_ "/file $DIR/silent"; keys Enter
sleep 0.3
type_ 'typed meanwhile'; keys C-c C-c C-c
wait_for '> typed meanwhile'
kill $silent
keys C-u
# too long for the context
seq 1 20000 > "$DIR/long.txt"
type_ "/file $DIR/long.txt"; keys Enter
wait_for 'do not fit'
type_ 'What is in it?'; keys Enter
wait_for 'tokens too long'
wait_for '1  shorten: use lines 1-'
wait_for '> What is in it?'
keys 1
wait_for '  What is in it?'
wait_gone 'tokens too long'
wait_for 'It says' 60
keys C-c C-d
wait_for 'LEFT 0'
echo ok
