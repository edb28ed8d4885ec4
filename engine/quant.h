/* quant.h - compressed-tensors pack-quantized weights: which modules are quantised, and how their
 * tensors become a kn_part. Formats and rules: docs/MODEL.md section 8. Pure; a struct quant_rules is
 * used by one thread at a time. */
#ifndef QUANT_H
#define QUANT_H

#include "engine/config.h"
#include "engine/safetensors.h"

/* The targets and ignore lists of one config with their patterns compiled. */
struct quant_rules;
int quant_rules_open(const struct ox_quant *q, struct quant_rules **out, ox_err *err); /* borrows q */
void quant_rules_close(struct quant_rules *r); /* NULL is fine */

/* The group that covers a module ("model.layers.0.mlp.up_proj"), or NULL for none: ignored or not a
 * target. A name or pattern wins over a class ("Linear", "Embedding"); an earlier group wins. */
int quant_find(const struct quant_rules *r, const char *module, const struct ox_quant_group **out,
               ox_err *err);

/* The four tensors of a quantised module [rows,cols], checked, as a part for kn_backend.pack. */
int quant_part(const struct st_set *s, const char *module, const struct ox_quant_group *g,
               int64_t rows, int64_t cols, struct kn_part *out, ox_err *err);

#endif
