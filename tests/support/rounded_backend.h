/* rounded_backend.h - the CPU backend with every activation rounded to bf16 as it leaves an
 * operation, the residual stream included: R16 of docs/MODEL.md section 10 made from the oracle, to
 * judge 16-bit backends by. Logits stay as they are, which makes its error, and so the limit,
 * smaller. Open it with f32 activations; keys and values as the backend that is judged has them. */
#ifndef ROUNDED_BACKEND_H
#define ROUNDED_BACKEND_H

#include "kernels/kn.h"

/* n_vocab: columns of the logits. */
const struct kn_backend *rounded_backend(int64_t n_vocab);

#endif
