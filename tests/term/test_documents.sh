#!/bin/sh
# test_documents.sh - documents as people give them: `docs add|list|show|rm`, kinds, encodings, ranges, PDF and
# HTML, citations with byte-exact places, and everything that is no document.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
cd "$tmp" || exit 1
echo 'answer It says "the lamp was out at a quarter to nine".' >script
docs() { run timeout 60 "$fake" docs "$@" -m script </dev/null; }
ask() { run timeout 60 "$fake" ask "$@" -m script </dev/null; }
id_of() { "$fake" docs list --json | sed -n "s/.*\"id\":\"\([0-9a-f]*\)\",\"name\":\"$1\".*/\1/p" | head -n 1; }
printf 'one\nFrom the wall we saw that the lamp was out at\na quarter to nine and the glass broken.\nfour\n' >log.txt

# the verb
docs list; is_rc 0 "list of nothing"; err_has "no documents yet" "list of nothing"
docs add log.txt; is_rc 0 "add"; out_has "log.txt" "add"; out_has "4 lines  utf-8" "add"
docs add log.txt; is_rc 0 "add again"
cp log.txt copy.txt; docs add copy.txt
[ "$("$fake" docs list | wc -l)" = 1 ] || fail "the same text three times is kept once"
id=$(id_of log.txt)
docs show "$id:2-3"; is_rc 0 "show"
out_is '     2  From the wall we saw that the lamp was out at\n     3  a quarter to nine and the glass broken.\n' "show"
docs show log.txt:4; out_is '     4  four\n' "show by name"
docs show "$id:9"; is_rc 2 "show a line that is not there"
docs show "$id:p1"; is_rc 2 "no pages"; err_has "has no pages" "no pages"
docs show 0000; is_rc 4 "show what is not there"
docs show "$id:2-3" --json; is_rc 0 "show --json"
out_has '{"name":"log.txt","byte_start":4,"byte_end":90,"line_start":2,"line_end":3,"text":"From the wall' "show --json"
ask -f "$id:9" x; is_rc 2 "-f ID with a line that is not there"; err_has "log.txt has 4 lines" "-f ID with a line that is not there"
ask -f 00aa:2 x; is_rc 4 "-f with an id that is not there"; err_has "no kept document" "-f with an id that is not there"
docs list --json; out_has '"name":"log.txt","path":"log.txt","kind":"text","encoding":"utf-8","bytes":95,"lines":4' "list --json"
ask -f "$id:2-3" --cite "when?"
is_rc 0 "-f ID"; out_has '[1] log.txt:2-3 bytes 30-67 exact' "a part of a kept document, its own lines and bytes"
run "$fake" summarize "$id:2-3" --no-save -m script </dev/null
is_rc 4 "--no-save looks nowhere"
run "$fake" summarize "$id:2-3" -m script </dev/null
is_rc 0 "summarize ID"
printf 'one\ntwo\nthree\n' >part.txt; ask -f part.txt:1-2 x
docs list; out_has "part.txt  - tokens  3 lines" "a document of which a part was counted"
docs list --json; out_has '"lines":3,"pages":0,"tokens":null}' "the same with --json"
docs add part.txt --json; is_rc 0 "add --json"
out_has '"name":"part.txt","path":"part.txt","kind":"text","encoding":"utf-8","bytes":14,"lines":3,"pages":0,"tokens":14,"ill_formed":0,"left_out":0}' "add --json"
[ "$(wc -l <"$tmp/out")" = 1 ] || fail "add --json: one line a document"
printf 'four\n' >>part.txt; docs add part.txt --follow --json; out_has ',"goes_on_from":"' "add --follow --json"
docs rm part.txt
docs add nowhere.txt; err_has "where: read the file" "docs add of nothing"; err_lacks "-f FILE" "docs add of nothing"
docs rm "$id"; is_rc 1 "rm in use"; err_has "used by" "rm in use"
docs rm "$id" --force; is_rc 0 "rm --force"; out_has 'deleted' "rm --force"
docs rm "$id"; is_rc 4 "rm again"
printf 'the xylophone of the harbour\n' >secret.txt; docs add secret.txt; docs rm secret.txt
found=$(cat "$HOME"/.local/share/oxbow/oxbow.db* | grep -c xylophone); [ "$found" = 0 ] || fail "docs rm leaves words"
docs add log.txt missing.txt; is_rc 4 "one of two is missing"; out_has "log.txt" "the other is kept"
head -n 2 log.txt >grow.txt; docs add grow.txt; cat log.txt >grow.txt; echo five >>grow.txt
docs add --follow grow.txt; is_rc 0 "--follow"; out_has "goes on from" "--follow"
printf 'another beginning\n' >grow.txt; docs add --follow grow.txt; is_rc 0 "--follow, other"; out_has "begins otherwise" "--follow, other"
[ -z "$("$fake" docs list | grep -c '  2 lines' | grep -v 0)" ] || fail "--follow: the shorter one stays"
docs; is_rc 2 "docs alone"; docs show; is_rc 2 "show nothing"; docs fly; is_rc 2 "docs fly"
docs add --kind poem log.txt; is_rc 2 "--kind poem"

# the nearest name wins over a range, and over an id
printf 'inside\n' >log.txt:2; ask -q -f log.txt:2 --dry-run hi; out_has "log.txt:2:" "a file of that very name"
printf 'a file\n' >"$(id_of grow.txt | head -c 4)"

# encodings: the words come out, what was read is said
enc() { # name encoding bytes
    printf "$3" >"$1"
    docs add "$1"; is_rc 0 "$1"; out_has "$2" "$1"
    docs show "$(id_of "$1")"; out_has "caf$(printf '\303\251') noir" "$1"
}
enc utf8bom.txt utf-8 '\357\273\277caf\303\251 noir 1\r\n'
enc latin.txt windows-1252 'caf\351 noir 2\n'
enc le.txt utf-16le '\377\376c\0a\0f\0\351\0 \0n\0o\0i\0r\0 \0003\0\n\0'
enc be.txt utf-16be '\376\377\0c\0a\0f\0\351\0 \0n\0o\0i\0r\0 \0004\0\n'
enc nobom.txt utf-16le 'c\0a\0f\0\351\0 \0n\0o\0i\0r\0 \0005\0\n\0'
printf 'caf\303\251 noir 6 \377\n' >bad.txt
docs add --encoding utf-8 bad.txt; out_has "1 ill-formed place" "broken UTF-8 is counted"
printf 'a\001b\000c noir\n' >controls.txt
docs add --encoding utf-8 controls.txt; out_has "2 control characters" "controls are counted"
docs add --encoding latin-9000 latin.txt; is_rc 2 "unknown encoding"

# HTML: what a browser shows, no scripts
cat >page.html <<'H'
<!doctype html><html><head><title>T</title><script>var lamp = "evil";</script></head>
<body><h1>The log</h1><p>From the wall we saw that <b>the lamp</b> was out at
a quarter to nine &amp; the glass broken.</p><ul><li>one</li></ul></body></html>
H
ask -f page.html --cite "when?"; out_has "exact" "HTML is cited"
docs show page.html; out_has "# The log" "HTML headings"; grep -q evil "$tmp/out" && fail "HTML: a script is text"

# PDF through the converter, with pages
if command -v pdftotext >/dev/null 2>&1 && command -v python3 >/dev/null 2>&1; then
    for kind in text blank bomb columns; do python3 "$OXBOW_TEST_DIR/term/make_pdf.py" $kind.pdf $kind; done
    docs add text.pdf; is_rc 0 "PDF"; out_has "2 pages" "PDF"; out_has "pdf" "PDF"
    docs show text.pdf:p2; out_has "-- page 2" "page two"; out_has "The clerk tried four times" "page two"
    grep -q "quarter to nine" "$tmp/out" && fail "page two has words of page one"
    ask -f text.pdf --cite "when?"; out_has "exact" "PDF is cited"
    cp script script1; echo 'answer It says "The clerk tried four times".' > script
    ask -f text.pdf --cite "how often?"; out_has " p. 2 bytes" "the page of a citation"
    ask -f text.pdf --json "how often?"; out_has '"page_start":2,"page_end":2' "the page in JSON"
    ask -f "$(id_of text.pdf)" --cite "how often?"; out_has " p. 2 bytes" "the page, of a kept document"
    mv script1 script
    ask -f columns.pdf --cite "when?"; out_has "columns.pdf:9-10 p. 1 bytes" "a PDF in columns"; out_has "exact" "a PDF in columns"
    cp text.pdf ./-x.pdf; docs add ./-x.pdf; is_rc 0 "a name that begins with -"
    cp text.pdf named.txt; docs add named.txt; is_rc 0 "a PDF by content, not by name"
    docs add blank.pdf; is_rc 1 "a scan"; err_has "has no text" "a scan"
    docs add bomb.pdf; [ "$rc" = 0 ] || [ "$rc" = 1 ] || fail "a PDF bomb: status $rc"
    head -c 700 text.pdf >cut.pdf; docs add cut.pdf; [ "$rc" = 0 ] || [ "$rc" = 1 ] || fail "half a PDF: status $rc"
else
    echo "SKIP PDF: pdftotext or python3 is missing"
fi

# form feeds: pages, and a quotation that goes on overleaf (head, page number and hyphen are no words of it)
printf 'Report 1\nIt was seen that the lan-\n1\n\fReport 2\ntern was out\n2\fReport 3\nand so on\n3\n' >feeds.txt
cp script script1; echo 'answer It says "seen that the lantern was out".' >script
ask -f feeds.txt --cite "when?"; is_rc 0 "form feeds"
out_has '[1] feeds.txt:2-5 p. 1-2 bytes 16-58 folded' "a quotation over a page end"
docs show feeds.txt:p3; out_has '     7  Report 3' "page three of a text"
mv script1 script

# no documents
printf 'PK\003\004 and more' >zip.txt; printf '\177ELF\002\001\001' >program; head -c 300 /dev/zero >>program
printf '\037\213\010\000xyz' >log.gz; head -c 4000 /dev/urandom >noise; mkfifo fifo; mkdir folder; : >empty
head -c 300 /dev/zero >nulls; truncate -s 2G sparse; head -c 5000000 /dev/zero | tr '\0' w >oneline
while IFS='|' read -r want part file; do
    docs add "$file"; is_rc "$want" "$file"; err_has "$part" "$file"; err_has "fix" "$file"
done <<'TABLE'
1|a zip archive|zip.txt
1|an ELF program|program
1|looks like|log.gz
1|looks like|noise
1|has no text|empty
1|has no text|fifo
2|is a folder|folder
4|cannot open|nowhere
5|too large|sparse
TABLE
docs add nulls; is_rc 1 "NULs"
docs add oneline; is_rc 0 "one line of 5 MB"; out_has "  1 line  " "one line of 5 MB"
if [ "$(id -u)" != 0 ]; then
    printf x >locked; chmod 000 locked; docs add locked; is_rc 1 "permission denied"; err_has "who may read" "permission"
fi

# citations: slicing the text by every reported range gives the words
cat >many <<'S'
rule exact => First "the lamp was out at a quarter to nine" [1: 99], then "glass broken" and “FROM THE WALL WE SAW” (line 7).
rule missing => "the lamp was lit at a quarter past ten" and "nothing of the kind was ever said".
S
printf 'zero\n\nfour times four is sixteen\n' >other.txt
run "$fake" ask -f other.txt -f log.txt --json -m many "exact" </dev/null
is_rc 0 "--json"
out_has '"quote":"the lamp was out at a quarter to nine","verdict":"exact","document":"log.txt","byte_start":30,"byte_end":67,"line_start":2,"line_end":3' "--json: across a line end, the second document"
out_has '"quote":"FROM THE WALL WE SAW","verdict":"folded","document":"log.txt","byte_start":4,"byte_end":24,"line_start":2,"line_end":2' "--json: folded"
[ "$(grep -o '"quote"' "$tmp/out" | wc -l)" = 2 ] || fail "--json: two words are no citation"
run "$fake" ask -f log.txt --cite -m many "missing" </dev/null
out_has '[1] missing "the lamp was lit' "--cite: missing"
printf 'exact please\nmissing please\n/cite off\nexact again\n' >talk
run "$fake" chat --plain -f other.txt -f log.txt -m many <talk
is_rc 0 "chat"; out_has '"the lamp was out at a quarter to nine" [2: 2-3], then "glass broken" and' "chat: the model's own number gives way"
out_has 'WE SAW” [2: 2].' "chat: folded"; out_has 'quarter past ten" [?] not in the text and' "chat: missing"
out_has 'quarter to nine" [1: 99], then' "chat: /cite off"
done_testing
