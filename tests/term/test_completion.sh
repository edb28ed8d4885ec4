#!/bin/sh
# test_completion.sh - the completion scripts, run by the shells that are there.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
cd "$tmp" || exit 1
ln -s "$fake" oxbow
PATH=$tmp:$PATH
oxbow ask -q "first question" </dev/null >/dev/null
id=$(oxbow sessions -q | cut -c 1-4)
mkdir d && touch d/afile

cat >try.bash <<'B'
source <(oxbow completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _oxbow
echo " ${COMPREPLY[*]} "
B
completes() { # expected word, words..
    want=$1; shift
    run bash try.bash "$@"
    out_has " $want " "bash: $*"
}
completes sessions oxbow s
completes --template oxbow ask --te
completes --resume oxbow --re
completes prune oxbow states pr
completes quantize oxbow model ""
completes fish oxbow completion ""
completes "$id" oxbow show ""
completes "$id" oxbow -r ""
completes d/afile oxbow ask -f d/a
completes jsonl oxbow export "$id" -F j
completes translate oxbow ask -t tr
completes cpu-ref oxbow ask --backend cpu-r
completes d/afile oxbow docs add d/a
run bash try.bash oxbow docs ""
grep -q afile "$tmp/out" && fail "bash: only words of docs stand first"

for shell in zsh fish; do
    run oxbow completion $shell
    is_rc 0 "completion $shell"
    command -v $shell >/dev/null || { echo "SKIP $shell: not installed"; continue; }
    cp "$tmp/out" script
    run $shell -n script
    is_rc 0 "$shell reads the script"
done
if command -v fish >/dev/null; then
    lists() { run fish --no-config -c "source script; complete -C '$2'"; out_has "$1" "fish: $2"; }
    lists prune "oxbow states "
    lists "$id" "oxbow show "
    lists --resume "oxbow --r"
    lists sessions "oxbow s"
    lists jsonl "oxbow export $id -F "
fi
# the manual: roff without a warning, and every verb, flag, command, key and setting is in it
run oxbow completion man
is_rc 0 "completion man"
cp "$tmp/out" oxbow.1
if command -v groff >/dev/null; then
    groff -man -Tutf8 -ww -z oxbow.1 2>"$tmp/err"
    [ -s "$tmp/err" ] && fail "groff warns"
    groff -man -Tascii -P-cbou oxbow.1 >"$tmp/out" 2>"$tmp/err"
    for word in "ask PROMPT" --repeat-penalty "FILE:FROM-TO" /compact "chat.fork" states.quota "EXIT STATUS" "141: the reader"; do
        out_has "$word" "the manual"
    done
fi
done_testing
