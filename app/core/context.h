/* context.h - what fills the context, piece by piece, and what it would cost to be without one.
 * Pure.
 *
 * A piece is the system prompt, a document, or a turn (question and answer without their
 * documents). Tokens behind a piece depend on it: dropping it means reading those again from its
 * place on. */
#ifndef CONTEXT_H
#define CONTEXT_H

#include "app/core/prompt.h"

enum context_kind { CONTEXT_NONE, CONTEXT_SYSTEM, CONTEXT_DOCUMENT, CONTEXT_TURN };

struct context_piece {
    enum context_kind kind;
    size_t n;      /* number of the document or turn, from 1 */
    size_t tokens; /* of the piece */
    size_t again;  /* tokens to read again without it */
};
struct context_map {
    struct context_piece *v; /* owned; in the order of the prompt */
    size_t n, cap, tokens;
};

/* ends[i]: tokens of the prompt up to the end of its message i. */
int context_make(const struct prompt *p, const size_t *ends, struct context_map *out, ox_err *err);
void context_deinit(struct context_map *m);

/* "[s][ddddddd][tt][....]" of `cells` cells, brackets not counted; a kind that is there has one. */
int context_bar(const struct context_map *m, size_t limit, size_t cells, struct buf *out,
                ox_err *err);

#endif
