/* budget.h - what fits the context, said in numbers before anything is sent. Pure.
 *
 * The context holds prompt and answer. When counting, BUDGET_RESERVE tokens are kept free for the
 * answer (half of a context smaller than twice that), or exactly what -n asks for. */
#ifndef BUDGET_H
#define BUDGET_H

#include "engine/ox.h"

enum { BUDGET_RESERVE = 2048 };

struct budget {
    size_t limit;   /* tokens of the context */
    size_t reserve; /* kept for the answer */
    size_t wanted;  /* tokens of the prompt */
    bool is_about;  /* which is an estimate, and is said to be one */
};
/* max_new 0: not said. */
struct budget budget_for(size_t limit, size_t max_new, size_t wanted);
size_t budget_free(const struct budget *b); /* tokens a prompt may have */
/* 0, or OX_EFIT with "does not fit: 81,204 tokens wanted, 63,488 free (..)"; where and fix are the
 * caller's, who knows what the prompt is made of. */
int budget_check(const struct budget *b, ox_err *err);
/* Line to cut a document at so that `spare` tokens less remain, given its own counts; at least 1.
 */
size_t budget_lines(size_t n_lines, size_t doc_tokens, size_t over_tokens);
/* Share of the context in use, in percent; and the mark that was just passed: 0, 75 or 90. */
int budget_mark(size_t used_before, size_t used_now, size_t limit);

#endif
