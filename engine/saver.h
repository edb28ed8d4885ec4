/* saver.h - state bytes on their way from the device to an ox_state_io: full pages once, then tail
 * and record of a position. Decode must not wait: there the copy out is queued behind the step in
 * work and handed over at a later call. Nothing here fails: what cannot be saved is skipped, pages
 * are tried again at the next position. Owned by a session. docs/STORE.md sections 5 and 6. */
#ifndef SAVER_H
#define SAVER_H

#include "engine/cache.h"
#include "engine/ox.h"

enum { SAVER_QUEUE = 2 }; /* a page and a record: what one decoded token can complete */

struct save_item { /* a blob that is being copied out */
    enum ox_blob what;
    enum ox_why why;
    size_t at; /* length of the prefix it belongs to */
    uint64_t ticket;
};
struct saver {
    const struct ox_info *info;
    struct cache *cache;
    const int32_t *tok;           /* the session's timeline */
    const struct ox_state_io *io; /* borrowed; NULL: save nothing */
    unsigned char *page, *record; /* pinned, one blob each; made by saver_begin */
    struct ox_key *chain;         /* [max_pages] of the pages [0, n_chain) */
    size_t n_chain, n_put;        /* pages that the store has been given */
    struct save_item item[SAVER_QUEUE];
    int n_items;
    uint64_t n_bytes; /* handed over since opening */
};

int saver_open(struct saver *s, const struct ox_info *info, struct cache *cache, const int32_t *tok,
               ox_err *err);
void saver_close(struct saver *s); /* {0} is fine; what is queued is dropped */

/* The store from now on, NULL for none. Finishes what is queued for the one before. */
void saver_begin(struct saver *s, const struct ox_state_io *io);
/* The timeline now ends at `at`: pages beyond it are other pages than those known so far. */
void saver_cut(struct saver *s, size_t at);
/* Hands over what was queued by an earlier call. */
void saver_finish(struct saver *s);
/* Full pages below n_tokens; then, with saver_now, the tail and the live record as that position.
 */
void saver_pages(struct saver *s, enum ox_why why, size_t n_tokens);
void saver_now(struct saver *s, enum ox_why why, size_t n_tokens);
/* From the loop of tokens: queues the page that became full at n_tokens, and with snap (the copy
 * kept at n_tokens, a multiple of 256) the record. */
void saver_later(struct saver *s, size_t n_tokens, const struct cache_snap *snap);

#endif
