/* statefmt.h - bytes of a state record, and what they must agree with before any of them is used.
 *
 * All numbers little-endian. The header is CACHE_PAD bytes; the sections behind it are the live
 * record of cache.h as it stands, each padded to CACHE_PAD. docs/STORE.md section 5.
 *
 *   offset  size        meaning
 *        0  8           "OXSTATE" and a zero byte
 *        8  4, 4        layout version (1); header bytes (4096)
 *       16  16, 16, 16  weights hash; vocabulary hash; space (compat)
 *       64  8           numerics version
 *       72  4, 4, 4, 4  linear layers; attention layers; KV heads; KV head size
 *       88  4, 4, 4, 4  recurrent heads; key size; value size; conv taps kept
 *      104  4, 4, 4, 4  state type (1 f32); conv type (1 f32, 2 bf16); KV type (1 bf16, 2 int8, 3
 * f32); vocabulary size 120  8           position n: tokens consumed 128  16, 16      prefix hash
 * H(n); chain hash of the last full page 160  4, 4        rows in the tail; last token id 168  3 x
 * 8,8,8   offset, length, XXH3-64 of: delta states, convolution states, logits 240  8 XXH3-64 of
 * bytes 0..239; the rest of the header is zero 4096  ..          the sections
 *
 * A 16-byte hash is stored as its canonical form: big-endian, high half first (XXH128_canonical_t).
 */
#ifndef STATEFMT_H
#define STATEFMT_H

#include "engine/cache.h"
#include "engine/ox.h"

enum { STATEFMT_LAYOUT = 1, STATEFMT_HEADER = 4096 };

size_t statefmt_record_bytes(const struct cache_shape *s); /* header and sections */
size_t statefmt_tail_bytes(const struct cache_shape *s, size_t n_rows);

/* ---- hashes, docs/STORE.md sections 2 and 6; canonical forms go in, so every machine agrees - */

/* Identity of everything that a stored state depends on besides its ids. */
struct ox_key statefmt_space(const struct ox_info *info, const struct cache_shape *s);
/* H(n) of a prefix. */
struct ox_key statefmt_prefix(struct ox_key space, struct ox_prefix p);
/* Chain hash of a full page behind the one with chain hash `before` ({0} for the first). */
struct ox_key statefmt_chain(struct ox_key before, const void *page, size_t n_bytes);

/* ---- state record --------------------------------------------------------------------------- */

/* What binds a record to the KV rows it was made with. */
struct statefmt_kv {
    struct ox_key chain; /* of the last full page, {0} if there is none */
    uint64_t tail_sum;   /* statefmt_sum of the tail, 0 if there is none */
};
uint64_t statefmt_sum(const void *p, size_t n_bytes);

/* Fills the header of a record whose sections are in place behind it, sums included. */
void statefmt_seal(const struct ox_info *info, const struct cache_shape *s, struct ox_prefix at,
                   const struct statefmt_kv *kv, unsigned char *record);
/* 0 if the record is whole, made by this space, and is the state behind exactly `at`; then its
 * chain hash is in *chain. OX_EFORMAT says which field or section disagrees. Logits that are not
 * finite are refused as well. */
int statefmt_check(const struct ox_info *info, const struct cache_shape *s, struct ox_prefix at,
                   const unsigned char *record, size_t n_bytes, struct statefmt_kv *kv,
                   ox_err *err);

/* ---- tail: the first n_rows rows of every block of a page, closed up ------------------------ */

void statefmt_pack_tail(const struct cache_shape *s, size_t n_rows,
                        unsigned char *page); /* in place */
/* Rows into a page; its other rows stay as they are. */
void statefmt_unpack_tail(const struct cache_shape *s, size_t n_rows, const unsigned char *tail,
                          unsigned char *page);

#endif
