/* quant.h - compressed-tensors pack-quantized weights: which modules are quantised, and how their
 * tensors become a kn_part. Formats and rules: docs/MODEL.md section 8. Pure; a struct quant_rules
 * is used by one thread at a time. */
#ifndef QUANT_H
#define QUANT_H

#include "engine/config.h"
#include "engine/safetensors.h"

/* ---- rules ---- */

/* The targets and ignore lists of one config with their patterns compiled. */
struct quant_rules;
int quant_rules_open(const struct ox_quant *q, struct quant_rules **out,
                     ox_err *err);             /* borrows q */
void quant_rules_close(struct quant_rules *r); /* NULL is fine */

/* The group that covers a module ("model.layers.0.mlp.up_proj"), or NULL for none: ignored or not a
 * target. A name or pattern wins over a class ("Linear", "Embedding"); an earlier group wins. */
int quant_find(const struct quant_rules *r, const char *module, const struct ox_quant_group **out,
               ox_err *err);

/* The four tensors of a quantised module [rows,cols], checked, as a part for kn_backend.pack. */
int quant_part(const struct st_set *s, const char *module, const struct ox_quant_group *g,
               int64_t rows, int64_t cols, struct kn_part *out, ox_err *err);

/* ---- writing ---- */

/* What quantising did to one kind of matrix: sums over its elements, the worst single one. */
struct quant_error {
    double error, weight; /* sum (w - q * scale)^2, sum w^2 */
    double worst;         /* largest |w - q * scale| over the largest |w| of its row */
};

/* Rows from .. from + n of a plain matrix [.., cols], symmetric: scale = max|w| / (2^(bits-1) - 1)
 * rounded to bf16, q = w / scale to the nearest, ties to even. group 0: one scale a row.
 *   row    [cols] f32 scratch
 *   packed [n, ceil(cols*bits/32)] u32 out    scale [n, cols/group] bf16 out
 * Adds to *sum. OX_EMODEL: a weight that is not finite. */
struct quant_rows {
    const struct st_tensor *t;
    int64_t from, n, cols;
    int bits, group;
    float *row;
    uint32_t *packed;
    uint16_t *scale;
};
int quant_write(const struct quant_rows *r, struct quant_error *sum, ox_err *err);

#endif
