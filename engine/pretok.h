/* pretok.h - cuts text into pre-tokens, the pieces inside which BPE may merge.
 * docs/MODEL.md 6.1, 6.3.
 *
 * A list of regular-expression stages; each cuts every piece of the stage before and sees nothing
 * beyond it. Immutable after the last stage was added; what a call changes is in a pretok_run, one
 * a thread. Patterns are run by pcre2 with JIT; `\s` means White_Space as in the Rust and Oniguruma
 * engines, not as in PCRE2. */
#ifndef PRETOK_H
#define PRETOK_H

#include "kernels/base/ox_err.h"

#include <stdbool.h>
#include <stddef.h>

extern const char pretok_cl100k[]; /* the split of dolma2, as tokenizer.json spells it */
extern const char pretok_gpt2[];   /* ByteLevel with use_regex */
extern const char pretok_digits[]; /* Digits with individual_digits */

enum { PRETOK_STAGES = 4 };
struct pretok_stage;
struct pretok { /* {0}: no stage, the whole text is one piece */
    struct pretok_stage *stage[PRETOK_STAGES];
    int n_stages;
};
/* Adds a stage. keep_gaps: text between two matches is a piece too, else it is dropped.
 * OX_EMODEL: does not compile, matches the empty string, uses `\S` in a class, a stage too many. */
int pretok_add(struct pretok *p, const char *pattern, size_t n, bool keep_gaps, ox_err *err);
void pretok_deinit(struct pretok *p); /* NULL inside is fine */

/* Match data, limits and a 1 MB JIT stack; used by one thread at a time, with any pretok. */
struct pretok_run;
int pretok_run_new(struct pretok_run **out, ox_err *err);
void pretok_run_free(struct pretok_run *r); /* NULL is fine */

/* Cuts n < 2^31 bytes of well-formed UTF-8; hands each piece to `each` in order, whose non-zero
 * result ends the call. OX_EMODEL: an empty match or a limit reached. */
int pretok_cut(const struct pretok *p, struct pretok_run *r, const char *text, size_t n,
               int (*each)(void *user, const char *piece, size_t n, ox_err *err), void *user,
               ox_err *err);

#endif
