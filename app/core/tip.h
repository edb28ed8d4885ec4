/* tip.h - whose saved state continues a question exactly: docs/STORE.md sections 2 and 6. Pure. */
#ifndef TIP_H
#define TIP_H

#include "app/core/chat.h"

/* *moment 0: the state before another answer of this question (regenerate); 1: the state after the
 * answer that the question follows. *want 0: there is none. `answer`, the one about to be written,
 * is not looked at. */
void tip_find(const struct chat *c, int64_t question, int64_t answer, int64_t *want, int *moment);

#endif
