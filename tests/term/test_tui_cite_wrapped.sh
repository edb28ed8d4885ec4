#!/bin/sh
# test_tui_cite_wrapped.sh - a citation is followed to its words also where each line of the document takes
# several rows of the pane; one over a page end names both pages.
set -u
. "$OXBOW_TEST_DIR/term/tui.sh"
long="the wind went round to the west and the glass fell all night while nobody in the harbour slept, as the book has it"
i=0
while [ $i -lt 60 ]; do echo "$i $long"; i=$((i + 1)); done >"$DIR/log.txt"
printf 'then the zebra\n\flamp was out\n' >>"$DIR/log.txt"
i=0
while [ $i -lt 60 ]; do echo "$i $long"; i=$((i + 1)); done >>"$DIR/log.txt"
echo 'answer It says "then the zebra lamp was out".' >"$DIR/script"
start 120 40 -m "$DIR/script" -f "$DIR/log.txt"
wait_for "log.txt"
type_ "where is it"
keys Enter
wait_for "1: 61-62]"
wait_for "61-62 p. 1-2"
has_not "61 > then the zebra"
keys Tab
type_ "n"
wait_for "61 > then the zebra"
type_ "q"
keys C-d
echo ok
