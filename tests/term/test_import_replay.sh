#!/bin/sh
# test_import_replay.sh - an answer drawn at a temperature can be replayed, word for word, where it
# was imported: seed and sampling travel with it. The real program.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
[ -x "$real" ] || { echo "SKIP test_import_replay: no oxbow"; exit 0; }
cd "$tmp" || exit 1
ox() { run "$real" "$@" </dev/null; }
ox ask -q --no-save -n 1 hello
[ "$rc" = 0 ] || { echo "SKIP test_import_replay: no model"; exit 0; }
ox ask -q -n 12 --temp 1.4 --seed 5 "Tell me about a lamp"
is_rc 0 "ask"
ox show 1 --replay
out_has "12 of 12 tokens equal" "replay at home"
ox export 1 -o lamp.jsonl
ox import lamp.jsonl --db other.db
is_rc 0 "import"
ox show 1 --replay --db other.db
is_rc 0 "replay where it was imported"; out_has " bytes equal" "replay where it was imported"
sed 's/"sampling":{[^}]*}/"sampling":{}/' lamp.jsonl >bare.jsonl
ox import bare.jsonl --db bare.db
ox show 1 --replay --db bare.db
is_rc 1 "without its sampling it differs"
done_testing
