/* tok_fixture.h - tokenizers for tests: those of tests/golden and a small one of our own. */
#ifndef TOK_FIXTURE_H
#define TOK_FIXTURE_H

#include "engine/tokenizer.h"

/* A tokenizer.json of 13 pieces, 4 rules and 2 added tokens, in the subset of docs/MODEL.md 6.1. */
extern const char tok_fixture_json[];

/* Opens tests/golden/NAME/tokenizer.json; prints the error and returns NULL if that fails. */
tokenizer *tok_fixture_open(const char *name);
/* The bytes of all ids, one after another; owned. */
char *tok_fixture_decode(const tokenizer *t, const int32_t *tok, size_t n_tok, size_t *n);
/* A whole file, owned, with a zero byte behind it; NULL if it cannot be read. */
char *tok_fixture_file(const char *path, size_t *n);

/* Seeded text: well-formed UTF-8 of about n code points; lengths of runs and kinds of characters
 * vary (letters, digits, spaces, marks, astral, controls). Owned. */
char *tok_fixture_text(uint64_t *seed, size_t n, size_t *n_bytes);
uint64_t tok_fixture_random(uint64_t *seed);

#endif
