#!/bin/sh
# test_reuse.sh - what --dry-run promises about saved states is what the real program then does.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
[ -x "$real" ] || { echo "SKIP test_reuse: no oxbow"; exit 0; }
cd "$tmp" || exit 1
"$real" ask -q --no-save -n 1 hello </dev/null >/dev/null 2>&1 || { echo "SKIP test_reuse: no model"; exit 0; }
seq -f 'line %g of a short text' 1 40 >text.txt
field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$tmp/out" "$1"; }
real() { run "$real" "$@" -f text.txt </dev/null; }

real ask --dry-run --json "Who?"
[ "$(field reused)" = 0 ] || fail "nothing is saved yet"
real ask -q -n 2 "Who?"
real ask --dry-run --json "What?"
planned=$(field reused)
[ "$planned" -gt 300 ] || fail "the document is read: another question reuses it"
[ "$(field bytes)" -gt 0 ] || fail "a state to load has bytes"
real ask --dry-run "What?"
out_has "reused from saved states" "--dry-run says so"
real ask --dry-run --json --no-save "What?"
[ "$(field reused)" = 0 ] || fail "--no-save looks at no state"
real ask --json -q -n 2 "What?"
[ "$(field reused)" = "$planned" ] || fail "what was planned is what happens"

# what a fork says beforehand: little, with saved states; all of it without them
run "$real" fork 1 </dev/null
is_rc 0 "fork"
back=$(sed -n 's/.*restart \([0-9,]*\) tokens\{0,1\} back, about .*/\1/p' "$tmp/out" | tr -d ,)
[ "${back:-0}" -lt 100 ] || fail "fork: $back tokens back, although the document is saved"
run "$real" states pin 1 </dev/null
is_rc 0 "states pin of a fork"
grep -qx 'pinned [0-9a-f]\{4\}' "$tmp/out" || fail "a fork that is listed as saved can be pinned, by a short id"
run "$real" states unpin 1 </dev/null
run env XDG_CACHE_HOME="$tmp/none" "$real" fork 1 </dev/null
back=$(sed -n 's/.*restart \([0-9,]*\) tokens back$/\1/p' "$tmp/out" | tr -d ,)
[ "${back:-0}" -gt 300 ] || fail "fork without saved states: $(cat "$tmp/out")"
run "$real" rm 1 2 --yes </dev/null

# what is pinned stays in the cache and is named
real ask -q -n 2 "Another one?"
run "$real" states pin 1 </dev/null
is_rc 0 "states pin"; out_has "pinned " "states pin"
n_pins=$("$real" states list | grep -c '  pinned$')
[ "$n_pins" -gt 0 ] || fail "a session's records are pinned"
run "$real" states prune --to 1K </dev/null
is_rc 1 "prune below the pins"; out_has "freed" "prune below the pins"
err_has "pinned records keep the cache at" "prune below the pins"; err_has "#" "prune names the pins"; err_has "states unpin" "prune below the pins"
[ "$("$real" states list | grep -c '  pinned$')" = "$n_pins" ] || fail "prune leaves the pins"
run "$real" states unpin 1 </dev/null
run "$real" states prune --to 1K </dev/null
is_rc 0 "prune without pins"
done_testing
