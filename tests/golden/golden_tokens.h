/* golden_tokens.h - compares a tokenizer with vectors made by another one. tests/golden/README.md.
 */
#ifndef GOLDEN_TOKENS_H
#define GOLDEN_TOKENS_H

#include "kernels/base/ox_err.h"

#include <stdio.h>

struct golden_tokens {
    size_t n_vectors, n_wrong; /* ids, ids_plain: each counts */
    size_t n_streams, n_wrong_streams;
};
/* Reads folder/tokenizer.json and the vectors (JSON lines of tests/golden/README.md: lines with
 * `emit` are streams). Prints a line for each difference, at most 20, then one of totals. Errors
 * are those of reading; differences are counted in *out. */
int golden_tokens(const char *folder, const char *vectors, FILE *to, struct golden_tokens *out,
                  ox_err *err);

#endif
