#!/bin/sh
# test_remote.sh - `-m remote:NAME` against a server of the test's own on 127.0.0.1: what is sent, what
# is said first, each way an answer can fail, Esc, keys. SKIP where the build has no libcurl.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
unset http_proxy https_proxy HTTPS_PROXY HTTP_PROXY all_proxy ALL_PROXY
export no_proxy='*'
cd "$tmp" || exit 1
mkdir -p "$HOME/.config/oxbow"
conf=$HOME/.config/oxbow/config
run "$fake" ask -m remote:none hi </dev/null
is_rc 3 "a name that is not in the config"; err_has 'no server is called "none"' "unknown name"; err_has "remote.none.url" "unknown name"

mkdir srv
python3 "$OXBOW_TEST_DIR/term/chat_server.py" "$tmp/srv" >srv.log 2>&1 &
server=$!
tls=
trap 'kill $server $tls 2>/dev/null; rm -rf "$tmp"' EXIT
mode() { echo "$1" >srv/mode; }
mode normal
wait_port() { n=0; while [ ! -s "$1/port" ] && [ $n -lt 1200 ]; do n=$((n + 1)); sleep 0.05; done; }
wait_port srv
port=$(cat srv/port)
url=http://127.0.0.1:$port/v1
printf 'remote.office.url = %s/\nremote.office.model = big\nremote.keyed.url = %s\nremote.keyed.model = big\nremote.keyed.key_env = TEST_KEY\n' "$url" "$url" >"$conf"
last() { ls srv | sed -n "s/^$1-//p" | sort -n | tail -n 1; }
ask() { run "$real" ask -m remote:office "$@" </dev/null; }

ask "hello there"
if [ "$rc" = 3 ] && grep -q 'without libcurl' "$tmp/err"; then
    err_has libcurl4-openssl-dev "a build without libcurl"
    echo "SKIP built without libcurl"
    [ $n_failed = 0 ]; exit
fi
# libcurl is opened when a server is named, not at the start; one that cannot serve is told as a missing one
ldd "$real" >libs
grep -q libcurl libs && fail "libcurl is linked: every start pays for it"
mkdir lib
office() { run env LD_LIBRARY_PATH="$tmp/lib" "$real" "$@" -m remote:office </dev/null; }
told() { # words, status, what
    is_rc "$2" "$3"; err_has "$1" "$3"; err_has "fix:   install libcurl4 " "$3"; err_has "where: open libcurl" "$3"
}
: >lib/libcurl.so.4
office ask x
told "is reached through libcurl: $tmp/lib/libcurl.so.4: file too short" 3 "a damaged libcurl"
office doctor
is_rc 1 "doctor"; out_has "bad   model" "doctor"; out_has "fix: install libcurl4 " "doctor"
run env LD_LIBRARY_PATH="$tmp/lib" "$fake" ask hi </dev/null
is_rc 0 "a damaged libcurl and a model here"
cp "$(sed -n 's/.*libjansson.* => \([^ ]*\).*/\1/p' libs)" lib/libcurl.so.4
office ask x
told "libcurl.so.4 has no curl_global_init" 3 "a library of another kind"
ask "hello there"
is_rc 0 "an answer"; out_is 'Remote says “hello there” 😀\n' "an answer"
err_has "remote, no saved states" "first use"; err_has "-- all goes to $url, model big" "first use says where it goes"
[ "$(head -n 1 srv/request-1)" = /v1/chat/completions ] || fail "path of the request"
grep -qi '^authorization' srv/request-1 && fail "no key is named, so none is sent"
python3 - srv/body-1 <<'P' || fail "the request"
import json, sys
o = json.load(open(sys.argv[1]))
assert set(o) == {"model", "messages", "seed", "stream", "stream_options"}, o
assert o["model"] == "big" and o["messages"] == [{"role": "user", "content": "hello there"}]
P
ask -q "quiet"
[ -s "$tmp/err" ] && fail "-q: stderr should be empty"

# a key in the environment alone does nothing; the named one goes, and is nowhere on disk
OPENAI_API_KEY=sk-environment; export OPENAI_API_KEY
ask "again"
grep -qi sk-environment srv/request-"$(last request)" && fail "a key goes only where it is named"
TEST_KEY=sk-named-4711; export TEST_KEY
run "$real" ask -m remote:keyed "with a key" </dev/null
is_rc 0 "key_env"
grep -q 'Authorization: Bearer sk-named-4711' srv/request-"$(last request)" || fail "key_env is sent"
grep -rqF sk-named-4711 "$HOME" && fail "the key is on disk"
mode unauthorized
run "$real" ask -m remote:keyed "with a key" </dev/null
is_rc 1 "401"; err_has "does not accept the key (401): Incorrect API key" "401"; err_has "fix:   correct key_env or key_file" "401"
err_lacks sk-named "401"
run "$real" doctor -m remote:keyed </dev/null
grep -q sk-named "$tmp/out" "$tmp/err" && fail "doctor shows a key"
mode normal

# numbers: the server's, or estimates that say so
ask --json "count"
python3 - "$tmp/out" "$url" <<'P' || fail "--json"
import json, sys
o = json.load(open(sys.argv[1]))
assert o["model"] == "remote:office" and o["remote"] == sys.argv[2] and o["estimated"] is False, o
assert (o["used"], o["read"], o["reused"], o["generated"], o["exact"]) == (1241, 1234, 0, 7, False), o
P
id=$(python3 -c 'import json; print(json.load(open("out"))["id"])')
run "$real" show --ledger "$id"
out_has "remote:office on remote" "ledger"; out_has "1,234 in" "ledger"
mode uncounted
ask --json "count"
out_has '"estimated":true' "no usage"; out_has '"generated":3' "no usage: 12 bytes"
run "$real" show --ledger "$(python3 -c 'import json; print(json.load(open("out"))["id"])')"
out_has "on remote, estimated" "ledger of estimates"
mode normal
run "$real" sessions
out_has " remote " "the state column"
mode length; ask -n 2 "x"; is_rc 0 "length"; err_has "length limit" "length"
grep -q '"max_tokens":2' srv/body-"$(last body)" || fail "-n"
mode crlf; ask "x"; out_is 'by bytes\n' "a byte at a time, CRLF"
mode escape; ask "x"; out_is 'red <1B>[31mtext<202E>\n' "control bytes of a server"

# documents: the size first; nothing is sent by --dry-run
printf 'zero\none two\nthree four five\n' >doc.txt
mode quote
ask --cite -f doc.txt "What?"
err_has "sends doc.txt: 29 B, about 8 tokens" "size first"; out_has "[1] doc.txt:2-3 bytes 5-28 exact" "--cite"
grep -q 'three four five' srv/body-"$(last body)" || fail "the document's text is sent"
before=$(last body)
ask --dry-run -f doc.txt "What?"
out_has "of text to send to $url" "--dry-run"; out_has "about 8 tokens, utf-8" "--dry-run"
ask --dry-run --json -f doc.txt "What?"
out_has '"estimated":true' "--dry-run --json"
yes 'a line of some length that makes the text long' | head -n 9000 >long.txt
ask -f long.txt "What?"
is_rc 5 "too long"; err_has "does not fit: about " "too long"
[ "$before" = "$(last body)" ] || fail "dry run, too long: something was sent"

# each failure says what and how to go on, and what came is kept
check() { # mode, status, words, fix, stdout
    mode "$1"; ask "x"
    is_rc "$2" "$1"; err_has "$3" "$1"; err_has "fix:   $4" "$1"; out_is "$5" "$1"
    err_has "where: $url/chat/completions" "$1"
}
check cut 1 "cut the answer off" "what came is kept" 'half an answer\n'
check short 1 "ended its answer in the middle" "what came is kept" 'half an answer\n'
check told 1 "out of memory on device 3" "ask again" 'some \n'
check malformed 1 'no JSON: {"choices": [}' "ask again" 'good \n'
check foreign 1 'no part of a chat' "ask again" ''
check long_line 1 "event of more than 1024 KiB" "is this the address" 'before \n'
check html 1 "no stream of events but text/html: <html>" "its url ends before" ''
check empty 1 "no stream of events but an empty answer" "its url ends" ''
check hangup 1 "hung up without an answer" "its log" ''
check redirect 1 "not followed (307): http://127.0.0.1:9/v1" "if you trust" ''
check missing 1 "(404): The model does not exist" "its url ends" ''
check toolong 1 "(400): maximum context length" "its words tell why" ''
check busy 1 "(429): Rate limit reached" "ask again in 17 s" ''
check busy_forever 1 "(429): Quota used up" "wait, then" ''
check broken 1 "(503): loading <1B>[31mmodel" "ask again later" ''
mode cut
run "$real" ask --json -m remote:office x </dev/null
err_has '{"error":{"code":1,"what":"the server cut' "--json errors"
run "$real" sessions --json
sid=$(head -n 1 "$tmp/out" | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/')
run "$real" show "$sid"
out_has "half an answer" "what came before the cut is in the database"
printf 'remote.off.url = http://127.0.0.1:1/v1\nremote.off.model = m\nremote.tls.url = https://127.0.0.1:%s/v1\nremote.tls.model = m\n' "$port" >>"$conf"
run "$real" ask -m remote:off x </dev/null
is_rc 1 "refused"; err_has "refused the connection" "refused"; err_has "is it running" "refused"
run "$real" ask -m remote:tls x </dev/null
is_rc 1 "TLS to a plain port"; err_has "TLS: no secure connection" "TLS to a plain port"
if command -v openssl >/dev/null; then
    mkdir tls; echo normal >tls/mode
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost >/dev/null 2>&1
    python3 "$OXBOW_TEST_DIR/term/chat_server.py" "$tmp/tls" cert.pem key.pem >tls.log 2>&1 &
    tls=$!
    wait_port tls
    printf 'remote.self.url = https://localhost:%s/v1\nremote.self.model = m\n' "$(cat tls/port)" >>"$conf"
    run "$real" ask -m remote:self secret </dev/null
    is_rc 1 "a certificate of its own"; err_has "could not prove who it is" "a certificate of its own"
    ls tls | grep -q body && fail "something was sent to a server that proved nothing"
else
    echo "SKIP openssl is not installed: no certificate to refuse"
fi

# a stop does not wait for the server, also before the first byte; what came is kept
stop_after() { # mode, seconds
    mode "$1"
    "$real" ask -m remote:office x >"$tmp/out" 2>"$tmp/err" </dev/null &
    pid=$!
    sleep "$2"
    # a shell starts its background jobs with SIGINT ignored
    took=$(python3 - $pid <<'P'
import os, signal, sys, time
pid = int(sys.argv[1])
t = time.monotonic()
os.kill(pid, signal.SIGTERM)
while True:
    with open(f"/proc/{pid}/stat") as f:
        if f.read().rsplit(")", 1)[1].split()[0] == "Z": break
    if time.monotonic() - t > 5: break
    time.sleep(0.002)
print(int((time.monotonic() - t) * 1000))
P
)
    wait $pid
    rc=$?
    is_rc 143 "a stop of $1"; err_has "-- stopped" "a stop of $1"
    # it takes 100 ms and the close of the database; a busy machine takes its time, a server for ever
    [ "$took" -lt 3000 ] || fail "a stop of $1 took $took ms"
}
stop_after slow 1.5
out_has "word0 word1" "a stop keeps what came"
stop_after silent 1

# plain chat: earlier turns go along; what cannot be there says so
mode normal
printf '/file doc.txt\nfirst\n/stats\n/states\n/tokens four\nsecond\n/continue\n/regen\n' >in
run "$real" chat --plain -m remote:office <in
is_rc 0 "chat --plain"
out_has 'Remote says “first” 😀' "chat --plain"; out_has 'Remote says “second” 😀' "chat --plain"
err_has "all goes to $url, model big" "chat: where it goes"; err_has "about 8 tokens, fits" "chat: the size first"
err_has "its text, 29 B, is sent to $url then" "chat: the size first"
err_has "1,234 read, remote, no saved states" "chat: the meter"; err_has "remote, no saved states; of models" "/states"
err_has "about 1 tokens" "/tokens"; err_has "remote, no saved states: about" "/regen tells its price"
python3 - srv/body-"$(last body)" <<'P' || fail "earlier turns go along"
import json, sys
m = json.load(open(sys.argv[1]))["messages"]
assert [x["role"] for x in m] == ["user", "assistant", "user"], m
assert "three four five" in m[0]["content"] and m[2]["content"] == "second"
P
mode cut
printf 'x\n/continue\n' >in
run "$real" chat --plain -m remote:office <in
err_has "cannot write an answer on" "/continue"

# the same session goes on here, and back; nothing is sent while a model here answers
before=$(last body)
printf 'rule local => from here\n' >script
mode normal
printf 'one\n/model %s\ntwo\n/model remote:office\nthree\n' "$tmp/script" >in
run "$fake" chat --plain -m remote:office <in
is_rc 0 "/model"; out_has 'Remote says “one”' "/model"; out_has "You said: two" "/model to a model here"; out_has 'Remote says “three”' "/model back"
[ "$(($(last body) - before))" = 2 ] || fail "/model: two requests were expected"
python3 - srv/body-"$(last body)" <<'P' || fail "/model: all turns go along"
import json, sys
assert [x["content"] for x in json.load(open(sys.argv[1]))["messages"]][2:4] == ["two", "You said: two"]
P

# a summary, in one pass and in parts, and what needs the engine
run "$real" summarize -m remote:office doc.txt </dev/null
is_rc 0 "summarize"; out_has "Remote says" "summarize"; err_has "about 8 tokens" "summarize"
head -n 400 long.txt >part.txt
run "$real" summarize -m remote:office --parts 2 part.txt </dev/null
is_rc 0 "summarize in parts"; err_has "parts, then 1 merge" "summarize in parts"
run "$real" show --tokens -m remote:office "$sid"
is_rc 2 "show --tokens"; err_has "needs a model that runs here" "show --tokens"
run "$real" show --replay -m remote:office "$sid"
is_rc 2 "show --replay"; err_has "needs a model that runs here" "show --replay"
run "$real" show --replay "$sid"
is_rc 2 "replay of a server's answer"; err_has "came from a server (remote:office)" "replay of a server's answer"
run "$real" model info -m remote:office
is_rc 2 "model info"; err_has "is on a server" "model info"
run "$real" doctor -m remote:office
out_has "the server was not asked" "doctor"
run "$real" --no-save ask -m remote:office "unsaved" </dev/null
is_rc 0 "--no-save"
done_testing
