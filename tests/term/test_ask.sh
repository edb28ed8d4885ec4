#!/bin/sh
# test_ask.sh - `oxbow ask` as scripts see it: streams, exit status, stdin, files, JSON, signals.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
cd "$tmp" || exit 1
printf 'one\ntwo\nthree\n' >doc.txt
yes 'a line of some length that makes the text long enough' | head -n 60 >long.txt
cat >script <<'S'
rule secret => The code is "one two three four five" and \e[31mred\e[0m.
rule count => 0123456789
rule bad byte => a\xb
rule think => thought</think>\nanswer
S
ask() { run "$fake" ask -m script "$@" </dev/null; }

ask "hello"
is_rc 0 "plain answer"; out_is 'You said: hello\n' "plain answer"
[ -s "$tmp/err" ] && fail "plain answer: stderr should be empty"
run "$fake" -p "hello" </dev/null
is_rc 0 "-p without a verb"; out_is 'You said: hello\n' "-p without a verb"
run "$fake" help </dev/null
is_rc 0 "help"; out_has "verbs:" "help"
run "$fake" help ask </dev/null
is_rc 0 "help ask"; out_has "oxbow ask PROMPT" "help ask"
run "$fake" help me </dev/null
is_rc 2 "help me is a draft, for a terminal"
run "$fake" help sumarize </dev/null
is_rc 2 "help sumarize"; err_has "did you mean summarize?" "help sumarize"
run "$fake" ask --bogus hi </dev/null
is_rc 2 "--bogus"; err_has "oxbow VERB -h lists" "--bogus"
for pair in "search:at most N lines" "docs:also documents that sessions use" "export:with the text of its documents" "ask:at most N new tokens"; do
    run "$fake" "${pair%%:*}" -h
    out_has "${pair#*:}" "help of ${pair%%:*}"
done
run "$fake" -q ask hello world </dev/null
out_is 'You said: hello world\n' "flags before the verb, words joined"
run "$fake" ask -- -n </dev/null
out_is 'You said: -n\n' "-- ends flags"

ask " "
is_rc 2 "blanks are no prompt"
ask -s @none.txt q
is_rc 4 "-s @FILE of nothing"; err_has "read -s @FILE" "-s @FILE of nothing"

# stdin: short is text before the argument, long is a document, alone it is the prompt
printf 'typed\n' >"$tmp/in"; run "$fake" ask "and this" <"$tmp/in"
out_is 'You said: typed\n\nand this\n' "short stdin"
run "$fake" ask --dry-run "and this" <long.txt
out_has "stdin: 3,240 tokens" "long stdin is a document"
run "$fake" ask <long.txt
out_has "You said: " "stdin alone is the prompt"; is_rc 0 "stdin alone"
run "$fake" ask -f - "q" <doc.txt
out_is 'You said: Here is a document.\n\none\ntwo\nthree\n\n\nq\n' "-f - names stdin"
ask -f doc.txt:2-2 -f doc.txt:3 q
out_is 'You said: Here is a document.\n\ntwo\n\n\nHere is a document.\n\nthree\n\n\nq\n' "ranges, two documents"

# named prompts: one that ships, a person's own, words into names, what is missing
ask -t translate language=Dutch good day
is_rc 0 "-t"; out_has "into Dutch" "-t NAME=VALUE"; out_has "good day" "-t words are the text"
ask -t facts
is_rc 2 "-t facts without a document"; err_has "-f FILE" "-t facts without a document"
ask -t facts -f doc.txt
out_has "that doc.txt names" "{{file}}"; out_has "Here is a document." "{{file}}"
run "$fake" ask -m script -t commit <doc.txt
out_has "three" "-t with stdin as its text"
ask -t commit
is_rc 2 "-t commit without a text"; err_has "there is none" "-t commit without a text"; err_has "-f FILE" "-t commit without a text"
[ -s "$tmp/out" ] && fail "-t commit without a text: nothing is sent"
ask -t explain -f doc.txt
is_rc 0 "-t explain of a document"; out_has "the document above" "-t explain of a document"
ask -t nosuch hello
is_rc 4 "unknown prompt"; err_has 'no prompt is called "nosuch"' "unknown prompt"; err_has "commit, explain, facts, proofread, translate" "unknown prompt"
mkdir -p "$HOME/.config/oxbow/prompts"
printf '# Mine\nSay it twice: {{text}}\n' >"$HOME/.config/oxbow/prompts/twice.md"
ask -t twice hello there
out_is 'You said: Say it twice: hello there\n' "an own prompt"

# control bytes of a model never reach the output, unless --raw in a pipe asks for them
ask "secret"
out_is 'The code is "one two three four five" and <1B>[31mred<1B>[0m.\n' "filtered in pipes too"
ask --raw "secret"
printf 'The code is "one two three four five" and \033[31mred\033[0m.' | cmp -s - "$tmp/out" || fail "--raw"
ask "bad byte"
out_is 'a\357\277\275b\n' "a bad byte is U+FFFD"

# length, files, JSON
ask -n 4 "count"
out_is '0123\n' "-n"; err_has "length limit" "-n"; is_rc 0 "-n"
ask -q -n 4 "count"
[ -s "$tmp/err" ] && fail "-q: stderr should be empty"
ask -o answer.md "hello"
[ "$(cat answer.md)" = "You said: hello" ] || fail "-o writes the file"
[ -s "$tmp/out" ] && fail "-o: stdout should be empty"
ask -o answer.md "hello"
is_rc 2 "-o over a file"; err_has "--force" "-o over a file"
ask -o answer.md --force "again"
[ "$(cat answer.md)" = "You said: again" ] || fail "--force"
[ "$(ls | grep -c part)" = 0 ] || fail "-o leaves no temporary file"
ask --json "secret"
python3 - "$tmp/out" <<'P' || fail "--json keys"
import json, sys
o = json.load(open(sys.argv[1]))
want = "answer id model used limit reused read generated exact stop seed citations".split()
assert list(o) == want, list(o)
assert o["answer"].startswith('The code is') and "\x1b" in o["answer"] and o["stop"] == "eos"
assert o["limit"] == 65536 and o["used"] == o["reused"] + o["read"] + o["generated"]
P
printf 'zero\none two\nthree four five\n' >quoted.txt
ask --json -f quoted.txt "secret"
python3 - "$tmp/out" <<'P' || fail "--json citations"
import json, sys
c = json.load(open(sys.argv[1]))["citations"]
assert c == [dict(quote="one two three four five", verdict="exact", document="quoted.txt", byte_start=5,
                  byte_end=28, line_start=2, line_end=3)], c
P
ask --cite -f quoted.txt "secret"
out_has "[1] quoted.txt:2-3 bytes 5-28 exact" "--cite"
ask --seed 7 --json hello
out_has '"seed":7' "--seed"
ask --dry-run -f doc.txt "q"
out_has "tokens, fits (64k)" "--dry-run"; out_has "doc.txt: 14 tokens, utf-8" "--dry-run"
ask --dry-run --json -f doc.txt "q"
python3 -c 'import json,sys; o=json.load(open(sys.argv[1])); assert o["documents"]==[{"name":"doc.txt","tokens":14}], o' \
    "$tmp/out" || fail "--dry-run --json"
ask -s "be brief" --json q
python3 -c 'import json,sys; assert json.load(open(sys.argv[1]))["used"] > 40' "$tmp/out" || fail "-s counts"
printf 'from a file\n' >sys.txt
ask -s @sys.txt q
is_rc 0 "-s @FILE"

# thoughts
printf 'thinks 1\nanswer Hmm, 2.</think>\\n\\nTwo.\n' >thinker
run "$fake" ask -m thinker q </dev/null
out_is 'Two.\n' "thoughts stay away"
run "$fake" ask -m thinker --think q </dev/null
out_is 'Two.\n' "--think"; err_has "Hmm, 2." "--think: thoughts on stderr"

# too long: numbers, the way out, nothing sent
yes xxxxxxxxx | head -n 7000 >big.txt
ask -f big.txt "q"
is_rc 5 "too long"; err_has "does not fit: 70,0" "too long"; err_has "63,488 free (65,536 less 2,048 for the answer)" "too long"
err_has "-f big.txt is 70,000 of them" "too long"; err_has "big.txt:1-" "too long"
ask --dry-run -f big.txt "q"
is_rc 5 "too long, --dry-run"
run "$fake" ask --no-save -f - q <big.txt
is_rc 5 "a long stdin"; err_has "save it to a file first" "a long stdin"; err_lacks "summarize -" "a long stdin"
ask --json -f big.txt "q"
python3 -c 'import json,sys; e=json.load(open(sys.argv[1]))["error"]; assert e["code"]==5 and set(e)=={"code","what","where","fix"}, e' \
    "$tmp/err" || fail "--json errors"

# a closed pipe ends silently with 141; Ctrl-C keeps what was printed; a second one ends at once
printf 'token_us 3000\nanswer %s\n' "$(head -c 2000 /dev/zero | tr '\0' 'z')" >slow
{ "$fake" ask -m slow q </dev/null 2>"$tmp/err"; echo $? >"$tmp/status"; } | head -c 5 >"$tmp/out"
rc=$(cat "$tmp/status"); is_rc 141 "closed pipe"
[ -s "$tmp/err" ] && fail "closed pipe: stderr should be empty"
python3 - "$fake" <<'P' || fail "Ctrl-C"
import os, signal, subprocess, sys, time
def start(model):
    p = subprocess.Popen([sys.argv[1], "ask", "-m", model, "q"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = os.read(p.stdout.fileno(), 3) if model == "slow" else b""
    return p, first
p, first = start("slow")
p.send_signal(signal.SIGINT)
out, err = p.communicate(timeout=20)
assert p.returncode == 130, p.returncode
text = first + out
assert text.endswith(b"z\n") and len(text) < 1500, text
assert b"stopped" in err, err
p, first = start("slow")
p.send_signal(signal.SIGTERM)
out, err = p.communicate(timeout=20)
assert p.returncode == 143, p.returncode
open("slowread", "w").write("prefill_us 20000\n")
p, _ = start("slowread")
time.sleep(0.3)
p.send_signal(signal.SIGINT)
out, err = p.communicate(timeout=20)
assert p.returncode == 130 and out == b"", (p.returncode, out, err)
P
run "$fake" ask -m slow -q -n 400 -o kept.txt q </dev/null &
wait $!
[ "$(wc -c <kept.txt)" = 401 ] || fail "-o of a long answer"

# progress: lines on a pipe, none with -q
printf 'prefill_us 300\n' >reader
head -c 9000 /dev/zero | tr '\0' 'y' >nine.txt
run "$fake" ask -m reader -f nine.txt q </dev/null
err_has "-- reading nine.txt" "progress lines"; err_has "tok/s" "progress lines"
grep -q "$(printf '\033')" "$tmp/err" && fail "progress on a pipe has escape sequences"
run "$fake" ask -q -m reader -f nine.txt q </dev/null
[ -s "$tmp/err" ] && fail "-q: no progress"

# nothing on disk with --no-save
rm -rf "$HOME/.local" "$HOME/.cache"
ask --no-save hello
[ -e "$HOME/.local" ] && fail "--no-save leaves a file"
ask hello
[ "$(stat -c %a "$HOME/.local/share/oxbow/oxbow.db")" = 600 ] || fail "the database is 0600"

# help and version
run "$fake" --help
is_rc 0 "--help"; [ "$(wc -l <"$tmp/out")" -le 24 ] || fail "--help fits 24 lines"
awk 'length > 80' "$tmp/out" | grep -q . && fail "--help fits 80 columns"
head -n 4 "$tmp/out" | grep -q 'oxbow  ' || fail "--help begins with examples"
run "$fake" ask -h
out_has "--repeat-penalty X" "ask -h"
run "$fake" -V
out_has "oxbow 0." "-V"; out_has "backends: " "-V"; out_has "sqlite 3." "-V"; out_has "pcre2 10." "-V"
done_testing
