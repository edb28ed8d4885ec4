#!/bin/sh
# test_sessions.sh - what is saved, and the verbs around it: sessions, search, rename, fork, rm, states, doctor.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
cd "$tmp" || exit 1
printf 'the lamp of the North Mole was out\nat a quarter to nine\n' >log.txt
ox() { run "$fake" "$@" </dev/null; }

ox sessions
is_rc 0 "no sessions yet"; err_has "no sessions yet" "no sessions yet"
[ -e "$HOME/.local" ] && fail "looking makes no database"
ox search lamp
is_rc 4 "search without a database"
ox ask -q "first question"
ox ask -q -f log.txt "Which lights failed?"
ox sessions
is_rc 0 "sessions"; out_has "1 turn" "sessions"; out_has "today" "sessions"; out_has "first question" "sessions"
[ "$(wc -l <"$tmp/out")" = 2 ] || fail "two sessions"
ox sessions --json
python3 - "$tmp/out" <<'P' || fail "sessions --json"
import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
assert [list(r) for r in rows] == [["id", "title", "turns", "tokens", "state"]] * 2, rows
assert rows[0]["title"] == "Which lights failed?" and rows[0]["tokens"] > 50, rows
P
id=$(python3 -c 'import json,sys; print(json.loads(open(sys.argv[1]).readline())["id"])' "$tmp/out")

# the same document again is stored once, and its ids are known
ox ask -q -f log.txt "And now?"
[ "$(python3 -c 'import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute("select count(*) from document").fetchone()[0])' \
    "$HOME/.local/share/oxbow/oxbow.db")" = 1 ] || fail "a document is stored once"

ox rename "$id" "Harbour log"
is_rc 0 "rename"; out_has "Harbour log" "rename"
ox rename "$id" "$(printf 'a\033b')"
is_rc 2 "a title with control characters"
ox rename zzzz x
is_rc 4 "rename of nothing"; err_has "no session" "rename of nothing"; err_has "fix:" "rename of nothing"
ox fork "Harbour log" --at 1 --title "another way"
is_rc 0 "fork"; out_has "another way  restart " "fork, nothing saved"; out_has " tokens back" "fork, nothing saved"
ox fork "$id" --at 2
is_rc 2 "fork out of range"; err_has "has 1 turn" "fork out of range"
ox fork "$id" --at x
is_rc 2 "fork --at x"
ox search quarter
is_rc 0 "search"; out_has ":2  " "search finds the document"; out_has "[quarter]" "search marks the word"
ox search --chats lights
out_has "turn 1" "search finds the chat"
ox search -n 1 quarter
[ "$(wc -l <"$tmp/out")" = 1 ] || fail "search -n counts all lines"
ox search nowhere
is_rc 4 "no hit"; [ -s "$tmp/err" ] && fail "no hit: no text"
ox search -n 0 quarter
err_has "at most N lines" "search -n 0"
ox ask --no-save -q -o /dev/null x
is_rc 0 "-o to what is no file asks for no --force"
ox ask --no-save -q -o - x
[ -s "$tmp/out" ] && [ ! -e ./- ] || fail "-o - is stdout"
eval "ox $(ox search -h && sed -n "s/^  oxbow \\(search --fts '[^']*'\\).*/\\1/p" "$tmp/out")"
is_rc 4 "the example of search --fts in its help"
ox search --fts 'a AND'
is_rc 2 "wrong FTS syntax"; err_has "syntax" "wrong FTS syntax"

# -c goes on with the last one, -r with any
printf 'more\n' >"$tmp/in"
run "$fake" chat -c -q <"$tmp/in"
is_rc 0 "-c"; out_has "Which lights failed?" "-c shows the transcript of the fork, used last"; out_has "You said: more" "-c goes on"
run "$fake" chat -r "Harbour log" -q <"$tmp/in"
out_has "Which lights failed?" "-r TITLE"
run "$fake" chat -r 1 -q <"$tmp/in"
is_rc 0 "-r with a number of the list"
run "$fake" chat -r zzzz -q <"$tmp/in"
is_rc 4 "-r of nothing"
ox sessions --json
grep -q '"turns":2' "$tmp/out" || fail "a resumed session has two turns"

# kill -9 in the middle of an answer: question and words are there, marked
printf 'token_us 20000\nanswer %s\n' "$(seq -s ' ' 1 400)" >slow
"$fake" ask -m slow "a question that dies" </dev/null >/dev/null 2>&1 &
pid=$!
sleep 1.6
kill -9 $pid
wait $pid 2>/dev/null
run "$fake" chat -c -q <"$tmp/in"
out_has "a question that dies" "kill -9: the question"; out_has "1 2 3 4 5 6" "kill -9: the words"
out_has "[interrupted]" "kill -9: marked"

ox show "Harbour log"
is_rc 0 "show"; out_has "Harbour log" "show"; out_has "## You" "show"; out_has "Which lights failed?" "show"
ox show "Harbour log" --ledger
out_has "cpu-fake" "show --ledger"; out_has "stop eos" "show --ledger"
ox show "Harbour log" --tokens
is_rc 0 "show --tokens"; out_has "turn 1 you: 20 tokens" "show --tokens"; out_has "as sampled" "show --tokens"
ox show "Harbour log" --replay
is_rc 0 "show --replay"; out_has "tokens equal" "show --replay"
printf 'answer something else\n' >other
ox show "Harbour log" --replay -m other
is_rc 1 "show --replay differs"; out_has "is the first that differs" "show --replay differs"
ox show "Harbour log" --branch 7
is_rc 2 "show --branch 7"
ox export "Harbour log" --docs -o harbour.jsonl
is_rc 0 "export"; grep -q '"kind":"session"' harbour.jsonl || fail "export writes JSONL"
ox export "Harbour log" -o harbour.jsonl
is_rc 2 "export over a file"; err_has "--force" "export over a file"
ox export "Harbour log" -F pdf
is_rc 2 "export -F pdf"
ox export "Harbour log" -F md
out_has "## oxbow" "export -F md"
ox import harbour.jsonl
is_rc 0 "import of what is here"; out_has "0 sessions, 0 messages, 0 documents; 1 here already" "import of what is here"
ox import --dry-run harbour.jsonl --db copied.db
is_rc 0 "import --dry-run"; out_has "would import 1 session" "import --dry-run"
ox import harbour.jsonl --db copied.db
is_rc 0 "import"; out_has "1 session, " "import"
ox export "$id" --docs -o again.jsonl --db copied.db
is_rc 0 "export of an import"; cmp -s harbour.jsonl again.jsonl || fail "an import goes out as it came in"
cat >conversations.json <<'J'
[{"title":"From elsewhere","id":"x1","current_node":"a","mapping":{"q":{"parent":null,"children":["a"],"message":{"author":{"role":"user"},"content":{"content_type":"text","parts":["Where to?"]}}},"a":{"parent":"q","children":[],"message":{"author":{"role":"assistant"},"content":{"content_type":"text","parts":["Elsewhere.",{"content_type":"image_asset_pointer"}]}}}}}]
J
ox import --from chatgpt --dry-run .
is_rc 0 "import --from chatgpt --dry-run"; out_has "would import 1 session, 2 messages, 0 documents; left out: 1 attachment" "import --from chatgpt --dry-run"
ox import --from chatgpt conversations.json
is_rc 0 "import --from chatgpt"
ox import --from chatgpt conversations.json
out_has "0 sessions, 0 messages, 0 documents; 1 here already" "a second import"
ox show "From elsewhere"
out_has "Elsewhere." "what was imported is shown"
ox import --from llm nowhere.db
is_rc 4 "import --from llm"; err_has "llm logs path" "import --from llm"
ox import --from nothing log.txt
is_rc 2 "import --from nothing"; err_has "oxbow, llm or chatgpt" "import --from nothing"
ox import log.txt
is_rc 1 "import of text"; err_has "line 1" "import of text"; err_has "fix:" "import of text"
ox import none.jsonl
is_rc 4 "import of nothing"

ox rm "Harbour log"
is_rc 2 "rm asks, and there is no terminal"; err_has "--yes" "rm asks"
ox rm --dry-run "Harbour log"
out_has "would delete" "rm --dry-run"
ox rm --yes "Harbour log"
is_rc 0 "rm"; out_has "deleted" "rm"
ox sessions
grep -q "Harbour log" "$tmp/out" && fail "rm: it is gone"
ox rm
is_rc 2 "rm of nothing"
ox ask -q "named twice"
ox rm 1 1 "named twice" --older-than 0h --dry-run
is_rc 0 "rm --dry-run of one session named four ways"
[ "$(grep -c 'named twice' "$tmp/out")" = 1 ] || fail "a session named four ways is listed once"
ox rm 1 1 --yes
is_rc 0 "rm 1 1"; [ "$(wc -l <"$tmp/out")" = 1 ] || fail "rm 1 1 deletes one session"
ox sessions
grep -q "named twice" "$tmp/out" && fail "rm 1 1: it is gone"
ox ask -q "pinned by its states"
ox states pin 1
is_rc 0 "states pin"; out_has "has no saved state" "states pin"
ox rm --older-than 0h --dry-run
grep -q "pinned by its states" "$tmp/out" && fail "a pinned session stays"
out_has "would delete" "one that is not pinned goes"
ox states unpin "pinned by its states"
is_rc 0 "states unpin"
ox rm --older-than 0h --dry-run
out_has "pinned by its states" "an unpinned session goes"
ox rm --yes "pinned by its states"
ox rm --older-than soon
is_rc 2 "rm --older-than soon"; err_has "time span" "rm --older-than soon"
ox rm --older-than 90d --dry-run
is_rc 0 "rm --older-than"; err_has "no session is older" "rm --older-than"; [ -s "$tmp/out" ] && fail "nothing is that old"

ox states
is_rc 0 "states"; out_has "quota" "states"
ox states prune --to 1G
is_rc 0 "states prune"; out_has "freed" "states prune"
ox states prune --to lots
is_rc 2 "states prune --to lots"
ox states pin
is_rc 2 "states pin"
ox states check
is_rc 0 "states check"
ox doctor
is_rc 0 "doctor"; out_has "ok    database" "doctor"; grep -q "^bad" "$tmp/out" && fail "doctor finds nothing bad"
grep -qi "question" "$tmp/out" && fail "doctor prints no titles"
out_has "ok    config         no file, defaults" "doctor"
mkdir -p "$HOME/.config/oxbow"
printf 'bell = on\nbogus = 1\n' >"$HOME/.config/oxbow/config"
ox ask "x"
is_rc 2 "a wrong config file"; err_has 'config line 2: unknown key "bogus"' "a wrong config file"
ox doctor
is_rc 1 "doctor with a wrong config file"; out_has 'line 2: unknown key "bogus"' "doctor with a wrong config file"
out_has "ok    pages" "doctor with a wrong config file goes on"
printf 'key.chat.nope = e\n' >"$HOME/.config/oxbow/config"
ox doctor
out_has 'warn  config         no key is called "chat.nope"' "doctor with a key that is none"
rm "$HOME/.config/oxbow/config"
printf '' >in_the_way
run env XDG_DATA_HOME="$tmp/in_the_way" "$fake" doctor </dev/null
out_has "warn  data folder    a file stands in its place" "doctor names a folder that cannot be made"
ox sessions --db "$tmp"
is_rc 1 "a folder as database"; err_has "cannot open the history $tmp: Is a directory" "a folder as database"; err_has "fix:" "a folder as database"
for verb in sessions "ask -q x" "rm x --yes" "import harbour.jsonl" "states pin x"; do
    ox $verb --db "$tmp/no/such/x.db"
    is_rc 4 "$verb --db in no folder"; err_has "no folder $tmp/no/such" "$verb --db in no folder"; err_has "fix:" "$verb --db in no folder"
done
[ -e "$tmp/no" ] && fail "--db makes no folder"
ox ask -q --db named.db x
is_rc 0 "--db without a folder in its name"
run env XDG_DATA_HOME="$tmp/new/data" "$fake" ask -q x </dev/null
is_rc 0 "the default place is made"; [ -f "$tmp/new/data/oxbow/oxbow.db" ] || fail "the default place is made"
ox rename 1 ""
is_rc 2 "an empty title"; err_has "fix:" "an empty title"
ox search '*'
is_rc 2 "no word"; err_has "fix:" "no word"
ox import "$tmp"
is_rc 1 "import of a folder"; err_has "fix:" "import of a folder"
ox doctor extra
is_rc 2 "doctor takes no words"; err_has "doctor takes no words" "doctor takes no words"; err_lacks "and no more" "doctor takes no words"
ox doctor --backup copy.db
is_rc 0 "backup"; [ "$(stat -c %a copy.db)" = 600 ] || fail "the backup is 0600"
ox doctor --backup copy.db
is_rc 2 "backup over a file"
ox sessions --db copy.db
out_has "first question" "the backup can be read"
printf 'this is no database, only some text' >foreign.db
for verb in sessions "search x" doctor "rm x --yes" "ask x"; do
    ox $verb --db foreign.db
    is_rc 6 "$verb on a foreign file"
done
printf 'this is no database, only some text' | cmp -s - foreign.db || fail "a foreign file is untouched"
done_testing
