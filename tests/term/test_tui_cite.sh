#!/bin/sh
# test_tui_cite.sh - a document in the interactive program: marks beside the quotations, numbers of the model's
# own replaced, the words highlighted in the pane, citations kept with the answer.
set -u
. "$OXBOW_TEST_DIR/term/tui.sh"
printf 'one\nFrom the wall we saw that the lamp was out at\na quarter to nine and the glass broken.\nfour\n' >"$DIR/log.txt"
cat >"$DIR/script" <<'S'
rule where => It says "the lamp was out at a quarter to nine" [1: 99], and "nobody ever said this at all".
S
start 120 40 -m "$DIR/script" -f "$DIR/log.txt"
wait_for "log.txt"
type_ "where is it"
keys Enter
wait_for "1: 2-3]"
wait_for "not in the text"
has_not "1: 99"
wait_for "Citations"
type_ "/context"
keys Enter
wait_for "documents"
# the page has the quotations too, and nothing is overwritten
type_ "/export $DIR/log.md"
keys Enter
wait_for "written to $DIR/log.md"
grep -q '^\[^1\]: log.txt:2-3 (exact)' "$DIR/log.md" || fail "footnotes: $(cat "$DIR/log.md")"
type_ "/export $DIR/log.md"
keys Enter
wait_for "exists"
type_ "/quit"
keys Enter
wait_for "LEFT 0"
if command -v sqlite3 >/dev/null 2>&1; then
    got=$(sqlite3 "$DIR/data/oxbow/oxbow.db" "SELECT verdict, byte_start, byte_end, line_start, line_end FROM citation ORDER BY ordinal")
    [ "$got" = "$(printf 'exact|30|67|2|3\nmissing||||')" ] || fail "citations kept: $got"
fi
echo ok
