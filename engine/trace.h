/* trace.h - hands the residual stream to a listener after each layer: for tests against references
 * and for finding the first layer that leaves the band. Costs one comparison a layer when nobody
 * listens; a listening session's steps are not recorded. */
#ifndef TRACE_H
#define TRACE_H

#include "kernels/kn.h"

#include <stdint.h>

struct forward;
struct trace {
    void *user;
    /* x [T,D] f32 in host memory, borrowed: all that the layer contributes is in it. layer -1: the
     * embedding. name "embed" or "layer". */
    void (*hidden)(void *user, const char *name, int32_t layer, const float *x, int64_t T,
                   int64_t D);
};

/* t NULL: nothing. OX_ENOMEM or the backend's failure to copy. */
int trace_layer(const struct trace *t, const struct forward *f, const char *name, int32_t layer,
                ox_err *err);

/* n elements of backend memory (f32, f16 or bf16) as f32. */
int trace_read(const struct forward *f, const void *src, enum kn_dtype type, int64_t n, float *out,
               ox_err *err);

#endif
