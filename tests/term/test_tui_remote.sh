#!/bin/sh
# test_tui_remote.sh - a server behind the full screen: every screen says so, where it goes and how
# much stands there before it goes, Esc stops at once, a failure keeps what came.
set -u
. "$OXBOW_TEST_DIR/term/tui.sh"
unset http_proxy https_proxy HTTPS_PROXY HTTP_PROXY all_proxy ALL_PROXY
mkdir -p "$DIR/srv" "$DIR/config/oxbow"
echo normal >"$DIR/srv/mode"
python3 "$OXBOW_TEST_DIR/term/chat_server.py" "$DIR/srv" >"$DIR/srv.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; tmux -L $SOCKET kill-server 2>/dev/null; sleep 0.2; rm -rf "$DIR" 2>/dev/null' EXIT
n=0
while [ ! -s "$DIR/srv/port" ] && [ $n -lt 1200 ]; do n=$((n + 1)); sleep 0.05; done
url=http://127.0.0.1:$(cat "$DIR/srv/port")/v1
printf 'remote.office.url = %s\nremote.office.model = big\n' "$url" >"$DIR/config/oxbow/config"
if XDG_CONFIG_HOME=$DIR/config "$FAKE" --no-save ask -q -m remote:office x 2>&1 </dev/null | grep -q 'without libcurl'; then
    echo "SKIP built without libcurl"
    exit 0
fi
printf 'zero\none two\n' >"$DIR/doc.txt"

start 120 30 -m remote:office
wait_for "all goes to $url, model big"
wait_for "sent to $url."
wait_for "remote:office"
type_ "/file $DIR/doc.txt"; keys Enter
wait_for "doc.txt: 13 B, about 4 tokens, goes to $url"
ls "$DIR/srv" | grep -q body-2 && fail "something was sent before a question"
type_ "first"; keys Enter
wait_for "Remote says “first”"
wait_for "1,234 read, remote, no saved states"
wait_for "1.2k/64k"

# Esc while it streams, and while nothing comes
now() { date +%s%N; }
stops() { # mode, text on the screen before Esc, how many answers were stopped then
    echo "$1" >"$DIR/srv/mode"
    type_ "ask $1"; keys Enter
    wait_for "$2"
    t=$(now)
    keys Escape
    n=0
    while [ "$(pane | grep -c 'stopped by you')" != "$3" ]; do
        n=$((n + 1))
        [ $n -gt 150 ] && fail "Esc did not stop $1"
        sleep 0.02
    done
    took=$((($(now) - t) / 1000000))
    # 40 ms tell Esc from Alt, 50 ms are the wait of curl; a busy machine takes its time, a server for ever
    [ $took -lt 3000 ] || fail "Esc took $took ms"
    echo "# Esc in $1: $took ms"
}
stops slow "word3" 1
wait_for "about"
stops silent "waiting for $url" 2

# failures
echo busy >"$DIR/srv/mode"
type_ "busy"; keys Enter
wait_for "(429): Rate limit reached"; wait_for "ask again in 17 s"
echo cut >"$DIR/srv/mode"
type_ "cut"; keys Enter
wait_for "half an answer"; wait_for "cut the answer off"; wait_for "failed"
type_ "/continue"; keys Enter
wait_for "cannot write an answer on"
keys C-u
type_ "/states"; keys Enter
wait_for "remote, no saved states; of models that run here"
keys C-s
wait_for "remote, no saved states"
wait_for "remote  "
esc
tmux_ resize-window -x 50 -y 20
wait_for "remote  ~"
keys C-d
wait_for "LEFT 0"

# a name that is not there: said before the screen is taken
start 100 24 -m remote:none
wait_for 'no server is called "none"'
wait_for "LEFT 3"
echo ok
