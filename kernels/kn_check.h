/* kn_check.h - sizes of types, and the shape checks that every backend runs before it computes.
 * Pure, any thread. A refusal is OX_EUSAGE naming the operation, the tensor and both shapes: it is
 * a bug in the caller, never something that a file or a user can cause. */
#ifndef KN_CHECK_H
#define KN_CHECK_H

#include "kernels/kn.h"

/* Bytes of n elements in a row; KN_I4 rounds up to whole bytes. 0 for KN_NONE. */
size_t kn_bytes(enum kn_dtype type, int64_t n);
const char *kn_dtype_name(enum kn_dtype type); /* "bf16"; never NULL */

/* Bytes of one KV block [256][Dh] in a page, its int8 scales included. */
size_t kn_kv_block_bytes(enum kn_dtype kv, int64_t head_size);

int kn_check_part(const struct kn_part *part, int n, ox_err *err);
int kn_check_linear(const struct kn_linear *l, const struct kn_part *shape, int n_parts,
                    enum kn_dtype act, ox_err *err); /* shape: rows and cols of the parts of l->w */
int kn_check_gdn(const struct kn_gdn *g, enum kn_dtype act, ox_err *err);
int kn_check_attn(const struct kn_attn *a, const struct kn_step *s, enum kn_dtype act, ox_err *err);

#endif
