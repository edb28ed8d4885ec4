/* cache.h - what a timeline consists of beside its token ids: KV pages, and the state record (delta
 * states, convolution states, logits of the last position) with earlier copies of it.
 *
 * The live record and the pages have the very bytes of their files (docs/STORE.md section 5), so
 * that saving and loading are copies. KV rows are never changed once written and lie at their
 * absolute position: a copy of the record at position n, together with the first n rows of the
 * pages, is the timeline at n, as long as nothing else was computed over those rows. Positions are
 * counted by the caller (session.c). One owner, the thread of the device. */
#ifndef CACHE_H
#define CACHE_H

#include "engine/config.h"
#include "engine/ox.h"
#include "kernels/kn.h"

enum { CACHE_SNAPS = 16, CACHE_PAD = 4096 };

/* Sizes of one model on one backend. Offsets are bytes within a record. */
struct cache_shape {
    int32_t n_gdn, n_attn, n_kv_heads, head_size, n_v_heads, k_size, v_size, n_kept; /* taps - 1 */
    int64_t channels, n_vocab; /* 2*Kd + Vd; logits */
    enum kn_dtype conv, kv;
    size_t layer_state_bytes;                     /* [Hv][Dv][Dk] f32 */
    size_t layer_conv_bytes;                      /* [W-1][2*Kd+Vd] */
    size_t layer_page_bytes;                      /* [Hkv][K,V][256][Dh] */
    size_t state_bytes, conv_bytes, logits_bytes; /* of the three sections */
    size_t conv_at, logits_at, record_bytes;      /* sections padded to CACHE_PAD; state at 0 */
    size_t page_bytes;
};
void cache_shape_make(const struct ox_config *c, enum kn_dtype act, enum kn_dtype kv,
                      struct cache_shape *out);

struct cache_snap {
    void *mem; /* a record in backend memory; kept when the slot is empty */
    size_t at; /* position, 0: empty slot */
    enum ox_why why;
    uint64_t taken; /* order of taking */
};
struct cache {
    const struct kn_backend *kn;
    kn_dev *dev;
    struct cache_shape shape;
    void *live, *undo; /* records */
    void **page;       /* [n_pages] allocated, in order of position */
    size_t n_pages, max_pages;
    struct cache_snap snap[CACHE_SNAPS];
    int n_snaps; /* slots in use of this plan */
    uint64_t n_taken;
};

int cache_open(const struct kn_backend *kn, kn_dev *dev, const struct cache_shape *shape,
               uint32_t max_tokens, int n_snaps, struct cache *out, ox_err *err);
void cache_close(struct cache *c); /* {0} is fine */

/* Pages for positions below n_tokens. OX_ENOMEM leaves what was there. */
int cache_reserve(struct cache *c, size_t n_tokens, ox_err *err);

/* The state before the first token; snapshots are forgotten, pages stay allocated. */
int cache_reset(struct cache *c, ox_err *err);
int cache_mark(struct cache *c, ox_err *err); /* copies the record, so that */
int cache_undo(struct cache *c, ox_err *err); /* a broken-off chunk can be taken back */

/* Keeps a copy of the live record as position `at`; an equal position is replaced. When all slots
 * are taken the least useful goes: old questions and turns first, then the grid. */
int cache_keep(struct cache *c, size_t at, enum ox_why why, ox_err *err);
/* The kept copy at the highest position <= at, or NULL. Borrowed until the next keep or forget. */
const struct cache_snap *cache_find(const struct cache *c, size_t at);
int cache_restore(struct cache *c, const struct cache_snap *s, ox_err *err);
/* Rows from position `at` on are about to be overwritten: later copies are worthless. */
void cache_forget(struct cache *c, size_t at);

/* Views of the live record for linear layer i, counted among its kind. */
kn_tensor cache_state(const struct cache *c, int32_t i); /* [Hv*Dv,Dk] f32 */
kn_tensor cache_conv(const struct cache *c, int32_t i);  /* [W-1,2*Kd+Vd] */
kn_tensor cache_logits(const struct cache *c);           /* [1,V] f32 */

#endif
