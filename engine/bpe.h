/* bpe.h - byte-level BPE: the pieces of a vocabulary, the merge rules, and the merging of one
 * pre-token. docs/MODEL.md 6.1.
 *
 * Two flat hash tables and one block of bytes: 49,152 pieces take 6 MB, 100,278 take 8. Filled by
 * vocab.c, then immutable but for `whole`, a memo of relaxed atomics: [any] thread may merge, with
 * a bpe_scratch of its own. */
#ifndef BPE_H
#define BPE_H

#include "engine/ox.h"

#include <stdatomic.h>

/* Ids fit 20 bits: a slot of the piece table holds an id and 12 bits of the hash. */
enum { BPE_MAX_ID = (1 << 20) - 2 };

struct bpe_piece {
    uint32_t from, n_bytes;
    bool is_there;
};
struct bpe_merge { /* left UINT32_MAX: empty slot */
    uint32_t left, right, rank, id;
};

struct bpe {                 /* {0} is empty */
    struct bpe_piece *piece; /* [n_ids]; ids without a piece are not there */
    size_t n_ids, cap_ids;
    char *bytes; /* of all pieces, byte map undone */
    size_t n_bytes, cap_bytes;
    uint32_t *slot; /* [n_slots], a power of two: pieces found by their bytes */
    size_t n_slots, n_found;
    struct bpe_merge *merge; /* [n_merge_slots], a power of two: rules found by their pair */
    size_t n_merge_slots, n_merges;
    int32_t byte_id[256]; /* id of each single byte; -1: the vocabulary has none */
    /* [n_ids] is the piece what its own bytes merge to? 0: not tried yet */
    _Atomic unsigned char *whole;
    bool ignore_merges;
};

/* Room for about n pieces and as many rules; both tables grow. */
int bpe_init(struct bpe *b, size_t n, ox_err *err);
void bpe_deinit(struct bpe *b);
/* Gives an id its bytes. findable: encoding may produce it (not so: added tokens). OX_EMODEL: id
 * out of range or taken, the same bytes twice. */
int bpe_add(struct bpe *b, uint32_t id, const char *bytes, size_t n, bool findable, ox_err *err);
/* Adds the rule of the next rank: left + right make the piece of their joined bytes, which must be
 * there. OX_EMODEL: no such piece, the same pair twice. */
int bpe_add_merge(struct bpe *b, uint32_t left, uint32_t right, ox_err *err);
/* After the last piece and rule. */
int bpe_finish(struct bpe *b, ox_err *err);
int32_t bpe_find(const struct bpe *b, const char *bytes, size_t n); /* -1: no findable piece */

struct bpe_scratch { /* {0} is empty; grows with the longest piece */
    struct bpe_symbol *symbol;
    size_t cap_symbols;
    uint64_t *heap;
    size_t n_heap, cap_heap;
};
void bpe_scratch_deinit(struct bpe_scratch *s);

/* Appends the ids of one pre-token of n bytes. O(n log n). On OX_ENOMEM ids may have been appended.
 */
int bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t n,
               struct ox_tokens *out, ox_err *err);

#endif
