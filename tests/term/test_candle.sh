#!/bin/sh
# test_candle.sh - the main job on real input: the built-in model over a whole book (50,700 tokens). A fact placed
# in its middle is found; of 16 sentences of its first 12,000 tokens, asked for by their first words, at least
# 10 come back exactly. Takes minutes on the fast path, so it runs in release builds only.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
cache=$OXBOW_BUILD_DIR/CMakeCache.txt
grep -q '^CMAKE_BUILD_TYPE:[A-Z]*=Release' "$cache" && ! grep -q '^OXBOW_SANITIZE:[A-Z]*=.' "$cache" ||
    { echo "SKIP test_candle: release builds only"; exit 0; }
[ -x "$real" ] || { echo "SKIP test_candle: no oxbow"; exit 0; }
book=$OXBOW_TEST_DIR/data/candle.txt
cd "$tmp" || exit 1

python3 - "$book" <<'P' || exit 1
import random, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
paragraphs = text.split("\n\n")
paragraphs.insert(len(paragraphs) // 2, "The secret code for Oslo is 48213.")
open("book.txt", "w").write("\n\n".join(paragraphs))
part = text[:50000]  # about 12,000 tokens
part = part[:part.rindex("\n\n")]
open("part.txt", "w").write(part)
flat = re.sub(r"\s+", " ", part)
sentences = re.findall(r"(?<=[.!?] )[A-Z][^.!?\"\[\]]{50,220}[.!?](?= )", flat)
def starts(s):
    return " ".join(s.split()[:5])
good = [s for s in sentences if flat.count(starts(s)) == 1 and not re.search(r"\b(Dr|Mr|St|No)\.$", s)]
random.Random(1861).shuffle(good)
open("asked", "w").write("\n".join(good[:16]) + "\n")
P
[ "$(wc -l <asked)" = 16 ] || { echo "not ok: 16 sentences were expected"; exit 1; }

n_exact=0
while IFS= read -r sentence; do
    first=$(printf '%s' "$sentence" | cut -d' ' -f1-5)
    run "$real" ask -q --temp 0 -f part.txt "Which sentence starts with \"$first\"?" </dev/null
    is_rc 0 "$first"
    got=$(tr '\n' ' ' <"$tmp/out" | sed 's/^"//; s/" *$//; s/ *$//')
    if [ "$got" = "$sentence" ]; then n_exact=$((n_exact + 1)); else printf 'differs: %s\n    got: %s\n' "$sentence" "$got"; fi
done <asked
echo "$n_exact of 16 sentences exact"
[ "$n_exact" -ge 10 ] || fail "at least 10 exact sentences"

# the second question started from the document's saved end: only its own words were read
run "$real" ask -q --temp 0 --json -f part.txt "Which sentence starts with \"$first\"?" </dev/null
python3 -c 'import json,sys; o=json.load(open(sys.argv[1])); assert o["reused"] > 11000 and o["read"] < 200, o' "$tmp/out" ||
    fail "a document is read once"

run "$real" ask --temp 0 -f book.txt "What is the secret code for Oslo?" </dev/null
is_rc 0 "the whole book"; out_has "48213" "the secret of the whole book"; err_has "-- reading book.txt" "the bar"
done_testing
