/* bpe.c - see bpe.h. Apart from tokenizer.c, because this is the inner loop: what is stored where
 * decides how fast a document becomes tokens. */
#include "engine/bpe.h"

#include <string.h>
#include <xxhash.h>

enum { WHOLE_UNKNOWN, WHOLE_YES, WHOLE_NO };
enum { ID_BITS = 20, SHORT_SYMBOLS = 48 };
#define EMPTY_SLOT 0u
#define NO_RANK UINT32_MAX
#define NONE UINT32_MAX

struct bpe_symbol { /* a list threaded through an array; merging drops the right one of two */
    uint32_t id, next, prev;
    uint32_t rank; /* of the pair that starts here, for short pieces */
};

/* ---- tables ---------------------------------------------------------------------------------- */

static size_t power_of_two(size_t n) {
    size_t p = 16;
    while (p < n)
        p *= 2;
    return p;
}

/* At most half full: a search that fails, the common case for merges, ends after 1.5 slots. */
static size_t slots_for(size_t n) {
    return power_of_two(2 * n + 1);
}

static struct bpe_merge *alloc_merges(size_t n_slots, ox_err *err) {
    struct bpe_merge *m = ox_alloc(n_slots, sizeof *m, "merge rules", err);
    for (size_t i = 0; m && i < n_slots; i++)
        m[i].left = NONE;
    return m;
}

int bpe_init(struct bpe *b, size_t n, ox_err *err) {
    *b = (struct bpe){0};
    for (int i = 0; i < 256; i++)
        b->byte_id[i] = -1;
    b->n_slots = b->n_merge_slots = slots_for(n < BPE_MAX_ID ? n : BPE_MAX_ID);
    b->slot = ox_alloc(b->n_slots, sizeof *b->slot, "a vocabulary", err);
    b->merge = alloc_merges(b->n_merge_slots, err);
    if (b->slot && b->merge) return 0;
    bpe_deinit(b);
    return OX_ENOMEM;
}

void bpe_deinit(struct bpe *b) {
    ox_free(b->piece);
    ox_free(b->bytes);
    ox_free(b->slot);
    ox_free(b->merge);
    ox_free((void *)b->whole);
    *b = (struct bpe){0};
}

static bool is_piece(const struct bpe *b, uint32_t id, const char *bytes, size_t n) {
    const struct bpe_piece *p = &b->piece[id];
    return p->n_bytes == n && memcmp(b->bytes + p->from, bytes, n) == 0;
}

/* The slot of these bytes, or the empty one where they would go. */
static size_t find_slot(const struct bpe *b, const char *bytes, size_t n, uint32_t *tag) {
    uint64_t hash = XXH3_64bits(bytes, n);
    *tag = (uint32_t)(hash >> (64 - 32 + ID_BITS)) << ID_BITS;
    size_t at = (size_t)hash & (b->n_slots - 1);
    for (;; at = (at + 1) & (b->n_slots - 1)) {
        uint32_t slot = b->slot[at];
        if (slot == EMPTY_SLOT) return at;
        uint32_t id = (slot & ((1u << ID_BITS) - 1)) - 1;
        if ((slot ^ *tag) >> ID_BITS == 0 && is_piece(b, id, bytes, n)) return at;
    }
}

int32_t bpe_find(const struct bpe *b, const char *bytes, size_t n) {
    uint32_t tag;
    uint32_t slot = b->slot[find_slot(b, bytes, n, &tag)];
    return (int32_t)(slot & ((1u << ID_BITS) - 1)) - 1;
}

/* Keeps the table at most half full. */
static int grow_slots(struct bpe *b, ox_err *err) {
    if (2 * (b->n_found + 1) <= b->n_slots) return 0;
    struct bpe old = *b;
    b->n_slots = 2 * old.n_slots;
    b->slot = ox_alloc(b->n_slots, sizeof *b->slot, "a vocabulary", err);
    if (!b->slot) {
        *b = old;
        return OX_ENOMEM;
    }
    for (size_t i = 0; i < old.n_slots; i++) {
        if (old.slot[i] == EMPTY_SLOT) continue;
        const struct bpe_piece *p = &b->piece[(old.slot[i] & ((1u << ID_BITS) - 1)) - 1];
        uint32_t tag;
        b->slot[find_slot(b, b->bytes + p->from, p->n_bytes, &tag)] = old.slot[i];
    }
    ox_free(old.slot);
    return 0;
}

int bpe_add(struct bpe *b, uint32_t id, const char *bytes, size_t n, bool findable, ox_err *err) {
    if (id > BPE_MAX_ID)
        return ox_err_set(err, OX_EMODEL, "id %u: at most %d", (unsigned)id, BPE_MAX_ID);
    if (id < b->n_ids && b->piece[id].is_there)
        return ox_err_set(err, OX_EMODEL, "id %u is given twice", (unsigned)id);
    if (n > UINT32_MAX - b->n_bytes || !n)
        return ox_err_set(err, OX_EMODEL, "id %u: a piece of %zu bytes", (unsigned)id, n);
    uint32_t tag = 0;
    size_t at = 0;
    if (findable) {
        at = find_slot(b, bytes, n, &tag);
        if (b->slot[at] != EMPTY_SLOT)
            return ox_err_set(err, OX_EMODEL, "id %u: same piece as id %d", (unsigned)id,
                              (int)bpe_find(b, bytes, n));
    }
    int rc = ox_grow(&b->bytes, &b->cap_bytes, b->n_bytes + n, 1, err);
    if (!rc) rc = ox_grow(&b->piece, &b->cap_ids, (size_t)id + 1, sizeof *b->piece, err);
    if (rc) return rc;
    while (b->n_ids <= id)
        b->piece[b->n_ids++] = (struct bpe_piece){0};
    memcpy(b->bytes + b->n_bytes, bytes, n);
    b->piece[id] = (struct bpe_piece){(uint32_t)b->n_bytes, (uint32_t)n, true};
    b->n_bytes += n;
    if (!findable) return 0;
    /* Counted last: a failure to grow leaves a piece that is there and cannot be found. */
    rc = grow_slots(b, err);
    if (rc) return rc;
    at = find_slot(b, bytes, n, &tag);
    b->slot[at] = tag | (id + 1);
    b->n_found++;
    if (n == 1) b->byte_id[(unsigned char)bytes[0]] = (int32_t)id;
    return 0;
}

/* The slot of this pair, or the empty one where it would go. */
static size_t find_merge(const struct bpe *b, uint32_t left, uint32_t right) {
    uint64_t key = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 / phi */
    size_t at = (size_t)(key >> 32) & (b->n_merge_slots - 1);
    while (b->merge[at].left != NONE && (b->merge[at].left != left || b->merge[at].right != right))
        at = (at + 1) & (b->n_merge_slots - 1);
    return at;
}

static int grow_merges(struct bpe *b, ox_err *err) {
    if (2 * (b->n_merges + 1) <= b->n_merge_slots) return 0;
    struct bpe old = *b;
    b->merge = alloc_merges(2 * old.n_merge_slots, err);
    if (!b->merge) {
        *b = old;
        return OX_ENOMEM;
    }
    b->n_merge_slots = 2 * old.n_merge_slots;
    for (size_t i = 0; i < old.n_merge_slots; i++)
        if (old.merge[i].left != NONE)
            b->merge[find_merge(b, old.merge[i].left, old.merge[i].right)] = old.merge[i];
    ox_free(old.merge);
    return 0;
}

int bpe_add_merge(struct bpe *b, uint32_t left, uint32_t right, ox_err *err) {
    const struct bpe_piece *l = &b->piece[left], *r = &b->piece[right];
    char joined[256], *p = joined;
    size_t n = (size_t)l->n_bytes + r->n_bytes;
    if (n > sizeof joined) p = ox_alloc(n, 1, "a merged piece", err);
    if (!p) return OX_ENOMEM;
    memcpy(p, b->bytes + l->from, l->n_bytes);
    memcpy(p + l->n_bytes, b->bytes + r->from, r->n_bytes);
    int32_t id = bpe_find(b, p, n);
    if (p != joined) ox_free(p);
    size_t at = find_merge(b, left, right);
    unsigned rank = (unsigned)b->n_merges;
    if (id < 0)
        return ox_err_set(err, OX_EMODEL, "merges[%u]: its result is not in the vocabulary", rank);
    if (b->merge[at].left != NONE)
        return ox_err_set(err, OX_EMODEL, "merges[%u]: same pair as merges[%u]", rank,
                          (unsigned)b->merge[at].rank);
    int rc = grow_merges(b, err);
    if (rc) return rc;
    b->merge[find_merge(b, left, right)] = (struct bpe_merge){left, right, rank, (uint32_t)id};
    b->n_merges++;
    return 0;
}

int bpe_finish(struct bpe *b, ox_err *err) {
    b->whole = ox_alloc(b->n_ids, sizeof *b->whole, "a vocabulary", err);
    return b->whole ? 0 : OX_ENOMEM;
}

void bpe_scratch_deinit(struct bpe_scratch *s) {
    ox_free(s->symbol);
    ox_free(s->heap);
    *s = (struct bpe_scratch){0};
}

/* ---- merging --------------------------------------------------------------------------------- */

static uint32_t rank_of(const struct bpe *b, uint32_t left, uint32_t right, uint32_t *id) {
    const struct bpe_merge *m = &b->merge[find_merge(b, left, right)];
    if (m->left == NONE) return NO_RANK;
    *id = m->id;
    return m->rank;
}

/* One symbol a byte; bytes without a token are left out, so that their neighbours may merge. */
static size_t split_bytes(const struct bpe *b, struct bpe_symbol *v, const char *text, size_t n) {
    size_t n_symbols = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = b->byte_id[(unsigned char)text[i]];
        if (id < 0) continue;
        v[n_symbols] = (struct bpe_symbol){
            .id = (uint32_t)id, .next = (uint32_t)n_symbols + 1, .prev = (uint32_t)n_symbols - 1};
        n_symbols++;
    }
    if (n_symbols) v[n_symbols - 1].next = NONE;
    return n_symbols; /* v[0].prev is NONE */
}

/* Short pieces: the lowest rank is found by looking at all. Faster than a heap up to SHORT_SYMBOLS.
 */
static size_t merge_short(const struct bpe *b, struct bpe_symbol *v, size_t n) {
    uint32_t id = 0;
    for (size_t i = 0; i + 1 < n; i++)
        v[i].rank = rank_of(b, v[i].id, v[i + 1].id, &id);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (v[i].rank < v[best].rank) best = i; /* leftmost on ties */
        if (v[best].rank == NO_RANK) break;
        rank_of(b, v[best].id, v[best + 1].id, &id);
        v[best].id = id;
        memmove(v + best + 1, v + best + 2, (n - best - 2) * sizeof *v);
        n--;
        if (best + 1 < n) v[best].rank = rank_of(b, v[best].id, v[best + 1].id, &id);
        if (best > 0) v[best - 1].rank = rank_of(b, v[best - 1].id, v[best].id, &id);
    }
    return n;
}

/* The heap orders by rank, then by place: both are in one number. */
static int heap_push(struct bpe_scratch *s, uint32_t rank, uint32_t at, ox_err *err) {
    int rc = ox_grow(&s->heap, &s->cap_heap, s->n_heap + 1, sizeof *s->heap, err);
    if (rc) return rc;
    uint64_t key = (uint64_t)rank << 32 | at;
    size_t i = s->n_heap++;
    while (i > 0 && s->heap[(i - 1) / 4] > key) {
        s->heap[i] = s->heap[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    s->heap[i] = key;
    return 0;
}

static uint64_t heap_pop(struct bpe_scratch *s) {
    uint64_t top = s->heap[0], key = s->heap[--s->n_heap];
    size_t i = 0, n = s->n_heap;
    for (;;) {
        size_t first = 4 * i + 1, least = first;
        if (first >= n) break;
        for (size_t c = first + 1; c < first + 4 && c < n; c++)
            if (s->heap[c] < s->heap[least]) least = c;
        if (s->heap[least] >= key) break;
        s->heap[i] = s->heap[least];
        i = least;
    }
    s->heap[i] = key;
    return top;
}

/* Pushes the pair that starts at symbol `at`, if there is a rule for it. */
static int push_pair(const struct bpe *b, struct bpe_scratch *s, uint32_t at, ox_err *err) {
    struct bpe_symbol *v = s->symbol;
    if (at == NONE || v[at].next == NONE) return 0;
    uint32_t id = 0;
    v[at].rank = rank_of(b, v[at].id, v[v[at].next].id, &id);
    return v[at].rank == NO_RANK ? 0 : heap_push(s, v[at].rank, at, err);
}

/* Long pieces. An entry is stale when the pair at its place has another rank by now. */
static int merge_long(const struct bpe *b, struct bpe_scratch *s, size_t n, ox_err *err) {
    struct bpe_symbol *v = s->symbol;
    s->n_heap = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        v[i].rank = NO_RANK;
        rc = push_pair(b, s, (uint32_t)i, err);
    }
    while (!rc && s->n_heap) {
        uint64_t top = heap_pop(s);
        struct bpe_symbol *left = &v[(uint32_t)top];
        if (left->rank != (uint32_t)(top >> 32)) continue;
        struct bpe_symbol *right = &v[left->next];
        uint32_t at = (uint32_t)top;
        rank_of(b, left->id, right->id, &left->id);
        left->rank = right->rank = NO_RANK; /* the right one is gone: its entries are stale */
        left->next = right->next;
        if (left->next != NONE) v[left->next].prev = at;
        rc = push_pair(b, s, at, err);
        if (!rc && left->prev != NONE) {
            v[left->prev].rank = NO_RANK;
            rc = push_pair(b, s, left->prev, err);
        }
    }
    return rc;
}

static int append(struct ox_tokens *out, uint32_t id, ox_err *err) {
    int rc = out->n < out->cap ? 0 : ox_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v, err);
    if (!rc) out->v[out->n++] = (int32_t)id;
    return rc;
}

static int merge_piece(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t n,
                       struct ox_tokens *out, ox_err *err) {
    struct bpe_symbol few[SHORT_SYMBOLS];
    int rc = 0;
    if (n <= SHORT_SYMBOLS) {
        size_t left = merge_short(b, few, split_bytes(b, few, text, n));
        for (size_t i = 0; !rc && i < left; i++)
            rc = append(out, few[i].id, err);
        return rc;
    }
    rc = ox_grow(&s->symbol, &s->cap_symbols, n, sizeof *s->symbol, err);
    if (rc) return rc;
    size_t n_symbols = split_bytes(b, s->symbol, text, n);
    rc = merge_long(b, s, n_symbols, err);
    for (uint32_t i = 0; !rc && n_symbols && i != NONE; i = s->symbol[i].next)
        rc = append(out, s->symbol[i].id, err);
    return rc;
}

int bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *text, size_t n,
               struct ox_tokens *out, ox_err *err) {
    /* Most pre-tokens are pieces themselves. Whether such a piece is what its bytes merge to is the
     * vocabulary's business, so it is tried once and remembered. */
    int32_t id = bpe_find(b, text, n);
    if (id < 0) return merge_piece(b, s, text, n, out, err);
    unsigned char whole = atomic_load_explicit(&b->whole[id], memory_order_relaxed);
    if (b->ignore_merges || whole == WHOLE_YES) return append(out, (uint32_t)id, err);
    size_t before = out->n;
    int rc = merge_piece(b, s, text, n, out, err);
    if (rc || whole != WHOLE_UNKNOWN) return rc;
    bool is_whole = out->n == before + 1 && out->v[before] == id;
    atomic_store_explicit(&b->whole[id], is_whole ? WHOLE_YES : WHOLE_NO, memory_order_relaxed);
    return rc;
}
