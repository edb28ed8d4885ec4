#!/bin/sh
# test_chat_plain.sh - the plain chat: lines in a pipe, and typed on a terminal through tmux.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
cd "$tmp" || exit 1
printf 'the lamp was out at a quarter to nine\n' >log.txt
printf 'rule quote => "the lamp was out at a quarter" and "these words are not in it".\n' >script
chat() { printf "$1" >"$tmp/in"; run "$fake" chat --plain -m script <"$tmp/in"; }

chat 'hello\n'
is_rc 0 "end of input leaves with 0"; out_is 'you> hello\noxbow> You said: hello\nyou> \n' "labels"
err_has "-- scripted, 65,536 tokens of context" "greeting"; err_has "0 reused" "meter"
chat '"""\none\n\ntwo\n"""\n'
out_has "You said: one" "a block is one message"
chat 'one \\\ntwo\n'
grep -q '^two$' "$tmp/out" || fail "a line that ends in a backslash goes on"
chat '//help\n'
out_has "You said: /help" "// sends a slash"
chat '/quitt\n'
err_has "unknown command /quitt" "unknown command"; err_has "did you mean /quit?" "unknown command"
printf 'hello\n' >"$tmp/in"
run "$fake" --plain -m script <"$tmp/in"
is_rc 0 "--plain in a pipe"; out_is 'you> hello\noxbow> You said: hello\nyou> \n' "--plain in a pipe"
run "$fake" chat -m script some words <"$tmp/in"
err_has "a draft needs a terminal" "a draft in a pipe"
chat '/quit\nnever sent\n'
grep -q "never sent" "$tmp/out" && fail "/quit leaves"
chat '/file none.txt\n/file log.txt\n/docs\nquote\n/stats\n/context\n/doc 1\n'
err_has "cannot open none.txt" "/file of nothing"; err_has "[1] log.txt, 38 tokens, fits (64k)" "/file"
out_has "quarter\" [1: 1]" "citations are marked"; out_has "[?] not in the text" "missing ones too"
err_has "generated in" "/stats"; err_has "[1] log.txt" "/context"; err_has "without it nothing is read again" "/context"; out_has "     1  the lamp" "/doc"
chat '/file log.txt\n/drop 1\n/drop 1\nq\n'
err_has "document 1 is gone" "/drop"; err_has "there is no document 1" "/drop twice"; out_has "You said: q" "/drop"
chat 'one\ntwo\n/undo\nthree\n/undo 5\n/regen 3\n/edit 1\n'
err_has "back before turn 2; the branch stays; restart" "/undo"; err_has "another answer; restart" "/regen"; err_has "edits question 1 in a new branch" "/edit"; err_has "has 2 turns" "/undo out of range"; err_has "it was: one" "/edit"
chat '/continue\n/set max-new 4\nhello\n/continue\n/set max-new 99\n/continue\n/continue\n'
out_is 'you> /continue\nyou> /set max-new 4\nyou> hello\noxbow> You \nyou> /continue\noxbow> said\nyou> /set max-new 99\nyou> /continue\noxbow> : hello\nyou> /continue\nyou> \n' "/continue goes on"
err_has "no answer to go on with" "/continue without one"; err_has "stopped at the length limit" "/continue to the limit"; err_has "is complete" "/continue at the end"
chat '/file log.txt\n/set max-new 9\nquote\n/set max-new 99\n/continue\n'
grep -q 'oxbow> .*a quarter" \[1: 1\]' "$tmp/out" || fail "a quotation over the seam is checked"
run "$fake" chat --plain -c -m script </dev/null
grep -q 'oxbow> .*a quarter" \[1: 1\]' "$tmp/out" || fail "marks of a session that goes on"
# summaries: of the talk, as a branch with its documents; of a short and of a long document
printf 'rule Summarise our conversation => We spoke of lamps.\nrule Write a summary => All was quiet.\nrule again => Said again.\n' >sums
awk 'BEGIN { for (i = 1; i < 900; i++) print "Line " i " says that all was quiet at the pier." }' >long.txt
printf '/compact\n/file log.txt\nlamps?\n/compact\nagain\n/summarize\n/summarize 2\n' >"$tmp/in"
run "$fake" chat --plain -m sums <"$tmp/in"
err_has "there is no answer yet" "/compact of nothing"; out_has "oxbow> We spoke of lamps." "/compact"
err_has "goes on from this summary" "/compact"; out_has "oxbow> Said again." "after /compact"
out_has "oxbow> All was quiet." "/summarize in one pass"; err_has "there is 1 document" "/summarize of nothing"
run "$fake" show 1 --branch 1
out_has "Our conversation so far, in short." "the branch of /compact"; out_has "log.txt" "has the documents"
printf '/file long.txt\n/summarize\nagain\n' >"$tmp/in"
run "$fake" chat --plain -m sums <"$tmp/in"
err_has "part 1 of" "/summarize in parts"; out_has "oxbow> All was quiet." "/summarize in parts"
out_has "oxbow> Said again." "after the summary"; err_has "reused, 1" "the document is not read whole"
chat '/system be brief\n/system\nhi\n/system later\n'
err_has "system prompt: be brief" "/system"; err_has "/new, then /system" "/system after a question"
chat '/set temperature 0.7\n/set temperature hot\n/set colour red\n/think maybe\n/tokens four\n/copy\n/model\n/theme dark\n'
err_has "temperature is 0.7" "/set"; err_has '"hot" is not a number' "/set wrong"; err_has 'does not know "colour"' "/set unknown"
err_has "not on or off" "/think maybe"; err_has "4 tokens" "/tokens"; err_has "scripted on cpu-fake" "/model"
err_has "plain lines have no theme" "/theme"
chat '/states\nhello\n/model nowhere\n/model script\nagain\n/model\n/prompt translate\n/prompt translate Guten Tag\n/prompt nothing\n/promt x\n'
err_has "GiB quota" "/states"; err_has " tokens must be read again" "/model says the price"; err_has "nowhere: no such folder" "/model that is not there"; [ "$(grep -c 'must be read again' "$tmp/err")" = 1 ] || fail "the price of a model that is not there"
out_has "You said: again" "/model"; out_has "Guten Tag" "/prompt"; err_has "nothing" "/prompt of no name"; err_has "did you mean /prompt?" "/promt"
chat '/prompt explain\n/file log.txt\nhi\n/prompt explain\n'
err_has "there is none" "/prompt without a text"; out_has "the document above" "/prompt about the document that was sent"
chat 'a lamp\n/title Lamps\n/sessions\n/search lamp\n/export out.md\n/fork 1\n/new\n/resume Lamps\n'
err_has 'this session is "Lamps"' "/title"; err_has "1 turn" "/sessions"; err_has "[lamp]" "/search"; err_has "a new session" "/fork"
grep -q "## You" out.md || fail "/export"
chat "$(printf 'caf\\351')\\n"
err_has "is not UTF-8" "bytes that are no text"
chat 'half\000a question\n'; err_has "byte 5 is zero" "a zero byte"
printf 'secret\n' >"$tmp/in"
run "$fake" chat --plain --no-save -m script <"$tmp/in"
is_rc 0 "--no-save"
printf '/export kept.md\na secret\n/export kept.md\n' >"$tmp/in"
run "$fake" chat --plain --no-save -m script <"$tmp/in"
err_has "nothing to export yet" "/export before the first question"
grep -q '^# a secret$' kept.md && grep -q '^You said: a secret$' kept.md || fail "/export of what is not saved: $(cat kept.md)"
printf 'token_us 10000\nanswer %s\n' "$(seq -s ' ' 1 300)" >slow
printf 'rule esc => \\e]0;title\\e[2Jx\n' >evil
printf 'esc\n' >"$tmp/in"
run "$fake" chat --plain -m evil <"$tmp/in"
LC_ALL=C grep -q "$(printf '\033')" "$tmp/out" && fail "an escape byte came through"
out_has "<1B>]0;title" "escape bytes are shown"

# a signal that means the program ends it, also in the middle of an answer
mkfifo typed
for sig in TERM:143 HUP:129; do
    "$fake" chat --plain --no-save -m slow <typed >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    exec 3>typed
    echo hello >&3
    i=0; until grep -q "5 6 7" "$tmp/out" || [ $i = 100 ]; do sleep 0.1; i=$((i + 1)); done
    kill -s ${sig%:*} $pid
    i=0; while kill -0 $pid 2>/dev/null && [ $i -lt 50 ]; do sleep 0.1; i=$((i + 1)); done
    exec 3>&-
    wait $pid; rc=$?
    is_rc ${sig#*:} "SIG$sig during an answer"; err_has "stopped after" "SIG$sig during an answer"
done

# a session that another process has: read, not written; a copy goes on
mkfifo held
"$fake" chat --plain -m script <held >"$tmp/out" 2>"$tmp/err" &
pid=$!
exec 3>held
echo "who holds this" >&3
i=0; until grep -q "tok/s" "$tmp/err" || [ $i = 100 ]; do sleep 0.1; i=$((i + 1)); done
run "$fake" chat --plain -c -m script </dev/null
is_rc 0 "-c of a held session"; out_has "oxbow> You said: who holds this" "-c of a held session"
err_has "in use by another oxbow (process $pid on $(uname -n))" "-c of a held session"; err_has "oxbow fork " "-c of a held session"
echo "and now" >"$tmp/in"; run "$fake" chat --plain -c -m script <"$tmp/in"
is_rc 6 "a question to a held session"; err_has "fix:   go on in a copy: oxbow fork " "a question to a held session"
echo /undo >"$tmp/in"; run "$fake" chat --plain -c -m script <"$tmp/in"
printf '/regen\n/regen\n' >"$tmp/in"; run "$fake" chat --plain -c -m script <"$tmp/in"
err_has "in use by another oxbow" "/regen of a held session"; err_lacks "there is no answer yet" "what was refused leaves all as it was"
printf '/continue\n/compact\n/fork\nand now\n' >"$tmp/in"; run "$fake" chat --plain -c -m script <"$tmp/in"
is_rc 0 "/fork of a held session"; out_has "You said: and now" "/fork of a held session"
run "$fake" show 2; out_has "who holds this" "the held session"; grep -q "and now" "$tmp/out" && fail "a held session was written to"
echo "once more" >&3; exec 3>&-; wait $pid; rc=$?; is_rc 0 "the process that holds it"
run "$fake" show 1; out_has "once more" "the process that holds it wrote on"

# on a terminal
command -v tmux >/dev/null || { echo "SKIP the terminal part: no tmux"; done_testing; }
t() { tmux -f /dev/null -S "$tmp/sock" "$@"; }
pane() { t capture-pane -p 2>/dev/null; }
await() { # text: up to 10 s
    i=0
    while [ $i -lt 100 ]; do
        pane | grep -qF -e "$1" && return
        sleep 0.1
        i=$((i + 1))
    done
    pane >"$tmp/out"; : >"$tmp/err"; rc=-; fail "the screen never showed: $1"
}
cat >go <<G
trap : INT
"$fake" --plain -m "$tmp/slow" --no-save
echo "status \$?"
sleep 30
G
t new-session -d -x 80 -y 24 sh ./go
await "you>"
t send-keys "hello" Enter; await "5 6 7 8"
t send-keys C-c; await "stopped after"
pane | grep -q '\^C' && fail "no ^C in an answer"
t send-keys "some text"; await "you> some text"
# (Ctrl-C makes the kernel drop what is typed and not read yet: wait before and after it)
t send-keys C-c; await "put aside"; sleep 1
t send-keys Up; sleep 1; t send-keys C-a "X"; await "you> Xsome text"
t send-keys C-u "/he" Tab; await "you> /help"
t send-keys C-u; sleep 1
t send-keys C-c; await "again to quit"
t send-keys C-c; await "status 0"
t kill-server
done_testing
