#!/bin/sh
# test_bad_input.sh - wrong command lines, files, settings and variables: the right exit status, what happened
# and how to go on on stderr, nothing on stdout, no crash, no hang.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
cd "$tmp" || exit 1
printf 'answer fine\n' >script
printf 'some text\nin two lines\n' >doc.txt
: >empty.txt
printf ' \n\n' >blank.txt
mkdir folder
mkfifo fifo
printf '\037\213\010\000' >old.gz
printf 'one\000two\000three\000\000\000\n' >nuls.txt
printf '\177ELF\002\001\001' >program; head -c 200 /dev/zero >>program
printf 'PK\003\004 and more' >zip.txt
printf 'GGUF\003\000\000\000' >model.gguf
head -c 5000000 /dev/zero | tr '\0' 'w' >oneline.txt
truncate -s 3G huge.txt
printf 'open_fails -4\n' >nodevice
printf 'open_fails -3\n' >nomodel
printf 'sync_fails -4\n' >lost
printf 'ctx 100\n' >tiny
printf '%%PDF-1.4 not really\n' >broken.pdf
printf 'secret' >locked.txt; chmod 000 locked.txt
esc=$(printf 'name\033[31m.txt')

# status|words that stderr must have|arguments (evaluated by the shell)
while IFS='|' read -r want part args; do
    case $want in '' | '#'*) continue ;; esac
    case $args in *locked.txt*) [ "$(id -u)" = 0 ] && continue ;; esac # root may read everything
    eval "run timeout 20 \"$fake\" $args </dev/null"
    is_rc "$want" "$args"
    err_has "$part" "$args"
    err_has "fix" "$args"
    [ -s "$tmp/out" ] && fail "$args: stdout should be empty"
    LC_ALL=C grep -q "$(printf '[\001-\010\016-\037]')" "$tmp/err" && fail "$args: control bytes on stderr"
    rm -f made.txt
done <<'TABLE'
# verbs and flags
2|no terminal on stdout|
2|unknown verb "akk"; did you mean ask?|akk hello
2|did you mean model?|modle list
2|did you mean chat?|caht
2|did you mean rename?|renmae 3f2a title
2|no terminal on stdout|What is a mole?
2|no terminal on stdout|how do I leave vim
2|no terminal on stdout|does it work
2|unknown flag "--tmp"; did you mean --temp?|ask --tmp 1 x
2|unknown flag "-Z"|ask -Z x
2|unknown flag "--such-a-long-flag|ask --such-a-long-flag-that-nobody-would-ever-type-because-it-is-longer-than-sixty-four-bytes x
2|--temp needs a value|ask x --temp
2|--json takes no value|ask --json=yes x
2|chat does not take --json|chat --json
2|completion does not take --temp|completion --temp 1 bash
2|model needs|model
2|model info: too many words|model info a b c
2|model quantize: too few words|model quantize a
2|--bits: "5" is not 8 or 4|model quantize a b --bits 5
2|model bench: "9x" is no number|model bench 9x
2|--bits is 4, 8 or 16|model bench --bits 8
2|--bits is 4, 8 or 16|model bench --bits 3 --shape 7b
2|did you mean quantize?|model quantise
2|unknown: model "lst"; did you mean list?|model lst
2|no completion for "tcsh"|completion tcsh
2|completion needs SHELL|completion
# values of flags
2|--temp: "hot" is not a number from 0 to 100|ask --temp hot x
2|--temp: "-1" is not|ask --temp -1 x
2|--temp: "" is not|ask --temp '' x
2|--top-p: "1.5" is not a number from 0 to 1|ask --top-p 1.5 x
2|--top-k: "2.5" is not a whole number|ask --top-k 2.5 x
2|--min-p: "nan" is not|ask --min-p nan x
2|--repeat-penalty: "0" is not|ask --repeat-penalty 0 x
2|--seed: "-5" is not a whole number|ask --seed -5 x
2|--seed: "0x10" is not|ask --seed 0x10 x
2|-n: "0" is not a whole number from 1|ask -n 0 x
2|--ctx: "70000" is not a whole number from 0 to 65536|ask --ctx 70000 x
2|--ctx: "99999999999999999999" is not|ask --ctx 99999999999999999999 x
2|--threads: "many" is not|ask --threads many x
2|--color: "blue" is not one of auto always never|ask --color blue x
2|-m: "" is not a value|ask -m '' x
# prompts
2|no prompt|ask
2|no prompt|ask ''
2|no prompt|ask -p ''
2|a document, but no question|ask -f doc.txt
2|argument 1 is not UTF-8 (byte 4)|ask "$(printf 'caf\351')"
2|-s: the text is not UTF-8|ask -s "$(printf '\377')" x
2|-s: the text is empty|ask -s '' x
4|cannot open none.txt|ask -s @none.txt x
# documents
4|cannot open none.txt|ask -f none.txt x
4|cannot open folder/none|ask -f folder/none x
2|folder is a folder|ask -f folder x
1|fifo has no text: nothing writes|ask -f fifo x
1|empty.txt has no text (0 characters)|ask -f empty.txt x
1|blank.txt has no text|ask -f blank.txt x
1|looks like an ELF program|ask -f program x
1|looks like a zip archive|ask -f zip.txt x
1|looks like a GGUF model|ask -f model.gguf x
1|pdftotext|ask -f broken.pdf x
1|cannot open locked.txt|ask -f locked.txt x
5|huge.txt: too large: 3072 MiB|ask -f huge.txt x
5|too large|ask -f /dev/zero x
5|does not fit: 5,000,|ask -f oneline.txt x
1|zcat old.gz|ask -f old.gz x
1|looks like binary data|ask -f nuls.txt x
2|doc.txt has 2 lines|ask -f doc.txt:3-4 x
2|doc.txt has 2 lines|ask -f doc.txt:0 x
2|doc.txt has 2 lines|ask -f doc.txt:2-1 x
2|doc.txt has no pages|ask -f doc.txt:p1 x
4|cannot open doc.txt:one-two|ask -f doc.txt:one-two x
2|stdin can be read once|ask -f - -f - x
1|stdin has no text|ask -f - x
4|cannot open name|ask -f "$esc" x
# output
2|exists|ask -o doc.txt x
1|cannot write folder/none/a.txt|ask -o folder/none/a.txt x
2|is a folder|ask -o folder x
# model and context
3|is not a model folder|ask -m none x
3|is not a model folder|ask -m folder x
3|the script says no|ask -m nomodel x
3|the script says no|ask -m nodevice x
3|the script breaks prefill|ask -m lost x
3|no backend "cuda:7"|ask --backend cuda:7 x
3|no server is called|ask -m remote:office x
2|no name of a server|ask -m remote: x
5|does not fit: 50|ask -m tiny -n 90 "a prompt that is too long for it"
5|does not fit|ask --ctx 10 x
3|is not a model folder|model info none
# database
6||ask --db model.gguf x
2|--db: "" is not a value|ask --db '' x
TABLE
[ "$n_run" -ge 60 ] || fail "only $n_run lines of the table ran"

# settings: file and variables
setting() { # status, part, line of the config file
    printf '%s\n' "$3" >config
    run env OXBOW_CONFIG="$tmp/config" "$fake" ask x </dev/null
    is_rc "$1" "config: $3"; err_has "$2" "config: $3"; err_has "fix:" "config: $3"
    [ -s "$tmp/out" ] && fail "config: $3: stdout should be empty"
}
setting 2 'config line 1: unknown key "modell"' 'modell = x'
setting 2 'config line 1: expected key = value' 'temperature'
setting 2 '"pink" is not one of inherit light dark mono' 'theme = pink'
setting 2 '"warm" is not a number' 'temperature = warm'
setting 2 'is not on or off' 'mouse = perhaps'
setting 2 'a size such as' 'states.quota = plenty'
setting 2 'it is empty' 'model ='
setting 3 'is not a model folder' 'model = /none'
variable() { # status, part, NAME=VALUE
    run env "$3" "$fake" ask x </dev/null
    is_rc "$1" "$3"; err_has "$2" "$3"; err_has "fix:" "$3"
    [ -s "$tmp/out" ] && fail "$3: stdout should be empty"
}
variable 2 'cannot read config file' OXBOW_CONFIG=/none/config
variable 2 'not a file' "OXBOW_CONFIG=$tmp/folder"
variable 3 'is not a model folder' OXBOW_MODEL=/none
variable 6 '' "OXBOW_DB=$tmp/model.gguf"
[ "$(head -c 4 model.gguf)" = GGUF ] || fail "a foreign file was altered"

# an unwritable home is no reason not to answer
[ "$(id -u)" = 0 ] || {
    mkdir shut; chmod 500 shut
    run env HOME="$tmp/shut" "$fake" ask x </dev/null
    is_rc 0 "unwritable home"; err_has "NOT SAVED" "unwritable home"
}
# stdin closed altogether
run timeout 20 "$fake" ask x <&-
is_rc 0 "stdin is closed"
# a full disk
if [ -w /dev/full ]; then
    "$fake" ask x </dev/null >/dev/full 2>"$tmp/err"
    rc=$?; : >"$tmp/out"
    is_rc 1 "full disk"; err_has "cannot write stdout" "full disk"
fi
done_testing
