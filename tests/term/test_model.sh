#!/bin/sh
# test_model.sh - `oxbow model` on real folders: what it says, exit status, files left behind.
set -u
. "$OXBOW_TEST_DIR/term/lib.sh"
cd "$tmp" || exit 1
golden=$OXBOW_TEST_DIR/golden
model() { run "$real" model "$@" </dev/null; }

model info "$golden/tiny-rope"
is_rc 0 "info"
for part in "277,760 in 61 tensors" "4: 2 linear, 2 attention" "RoPE, theta 500000" "65,536 tokens"; do
    out_has "$part" "info"
done
model info "$golden/tiny-zero-points" --tensors
out_has "model.layers.0.mlp.up_proj.weight_zero_point  [9,3] I32  108 B" "info --tensors"
out_has "int4 group 32 with zero points, int4 per row with zero points, int8 per row" "several formats"
model info --json "$golden/tiny-f16"
out_has '"params":444022' "info --json"
mkdir empty
model info empty
is_rc 3 "info of an empty folder"; err_has "no config.json no tokenizer.json no model.safetensors" "what is missing"

model verify "$golden/tiny-heads"
is_rc 0 "verify"; out_has "90 of 90 tensors" "verify"; out_has "hash " "verify"
[ -s "$tmp/err" ] && fail "verify: no bar without a terminal"
cp -r "$golden/tiny-heads" cut && chmod -R u+w cut
head -c 100000 "$golden/tiny-heads/model.safetensors" >cut/model.safetensors
model verify cut
is_rc 3 "a cut file"; err_has "truncated" "a cut file"; err_has "fix" "a cut file"

model quantize "$golden/tiny-7b-shape" small --bits 4
is_rc 0 "quantize"; out_has "mlp.down_proj        int4 group 32     8 matrices" "error per kind"
out_has "2.9 MiB -> 1.1 MiB  small" "sizes"
model verify small
is_rc 0 "verify what was written"
model quantize "$golden/tiny-7b-shape" small
is_rc 2 "a folder that is not empty"; err_has "not empty: 6 files" "a folder that is not empty"
model quantize small smaller
is_rc 3 "quantised twice"; err_has "quantised already" "quantised twice"
[ -e smaller ] && fail "quantised twice: left a folder"
model quantize "$golden/tiny-7b-shape" /proc/none/small
is_rc 1 "no place to write"; err_has "cannot be created" "no place to write"

model bench 16 -m "$golden/tiny-f16"
is_rc 0 "bench"; out_has "prefill        16 tokens" "bench"; out_has "of what memory allows" "bench"; out_has "of state at" "bench"
model bench 16 --shape tiny --bits 8 -m "$golden/tiny-f16"
is_rc 0 "bench --shape"; out_has "decode         16 tokens" "bench --shape"
model bench 16 --shape 70b -m "$golden/tiny-f16"
is_rc 2 "another shape"; err_has 'no shape "70b"' "another shape"
done_testing
