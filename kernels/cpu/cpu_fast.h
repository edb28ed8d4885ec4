/* cpu_fast.h - entry points of the vector forms. Same operations and contracts as cpu_ref.h. */
#ifndef CPU_FAST_H
#define CPU_FAST_H

#include "kernels/cpu/cpu.h"

/* Fills w->mat with transposed words (cpu.h); plain C, all levels. */
int cpu_pack_words(kn_dev *dev, kn_weight *w, ox_err *err);
/* Rows of a packed table, equal to ref_embed in every bit. */
int cpu_embed_words(kn_dev *dev, kn_in out, const kn_weight *table, const int32_t *tok,
                    ox_err *err);

int avx2_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err);
int avx2_gdn(kn_dev *dev, const struct kn_gdn *g, ox_err *err);
int avx2_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err);

int avx512_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err);
int avx512_gdn(kn_dev *dev, const struct kn_gdn *g, ox_err *err);
int avx512_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err);

int avx512bf16_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err);

#endif
