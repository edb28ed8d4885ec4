/* vocab.h - what a tokenizer.json says, as tables: pieces, merges, split stages, added tokens.
 * Refuses by name what the subset of docs/MODEL.md 6.1 does not hold. Immutable after reading. */
#ifndef VOCAB_H
#define VOCAB_H

#include "engine/bpe.h"
#include "engine/pretok.h"

struct vocab { /* {0} is empty */
    struct bpe bpe;
    struct pretok pretok;
    uint32_t *added; /* [n_added] ids, by first byte, then longest first: the order of matching */
    size_t n_added, cap_added;
    uint32_t added_from[257]; /* added tokens that begin with byte b: added_from[b] .. [b + 1] */
    char note[240];           /* warnings, one a line */
};
/* OX_EMODEL: what does not fit; *out is then empty. */
int vocab_read(const unsigned char *json, size_t n, struct vocab *out, ox_err *err);
void vocab_deinit(struct vocab *v);

/* The bytes of an id, borrowed; NULL if there is none. */
const char *vocab_bytes(const struct vocab *v, uint32_t id, size_t *n);
/* The longest added token at the start of text, or -1. */
int32_t vocab_added_at(const struct vocab *v, const char *text, size_t n);
/* The added token of exactly this content, or -1. */
int32_t vocab_added_id(const struct vocab *v, const char *content, size_t n);

#endif
