#!/bin/sh
# test_read_kill.sh - the real program, killed with SIGKILL in the middle of a long read, and while it
# waits for the next question: whoever comes back finds the record of the grid, and that of the answer.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
[ -x "$real" ] || { echo "SKIP test_read_kill: no oxbow"; exit 0; }
cd "$tmp" || exit 1
"$real" ask -q --no-save -n 1 hello </dev/null >/dev/null 2>&1 || { echo "SKIP test_read_kill: no model"; exit 0; }
# kill_at PID REASONS [FILE]: as soon as such a record is listed; FILE gets what it had said before
kill_at() {
    n=0
    until cp "${3:-/dev/null}" "$tmp/before" 2>/dev/null; "$real" states list 2>/dev/null | grep -q " \($2\) "; do
        n=$((n + 1))
        kill -0 "$1" 2>/dev/null && [ $n -le 600 ] || { fail "no record: $2"; break; }
        sleep 0.1
    done
    kill -9 "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    n_run=$((n_run + 1))
}
: >"$tmp/out"; : >"$tmp/err"; rc=

seq -f 'entry %g: the keeper of the lamp went along the wall' 1 600 >text.txt # 9,150 tokens: grid points at 45 and 90 %
"$real" ask -f text.txt "Who went along?" </dev/null >read.out 2>read.err &
kill_at $! grid read.err
at=$(sed -n 's/.* \([0-9]*\)%.*/\1/p' before | tail -1)
[ "${at:-0}" -lt 85 ] || fail "the record at 45 % appeared only after $at %"
run "$real" ask --dry-run --json -f text.txt "Who went along?" </dev/null
n=$(sed -n 's/.*"reused": *\([0-9]*\).*/\1/p' out)
[ "${n:-0}" -ge 4096 ] || fail "killed while reading: $n tokens are reused"

mkfifo questions
"$real" chat --plain -n 20 <questions >chat.out 2>&1 &
pid=$!
exec 3>questions
echo 'Name three boats.' >&3
kill_at $pid 'turn\|stop'
exec 3>&-
run "$real" sessions </dev/null
out_has " saved " "killed while waiting"
run "$real" states check </dev/null
is_rc 0 "states check"
done_testing
