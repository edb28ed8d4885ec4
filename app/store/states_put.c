/* states_put.c - takes bytes from the engine: follows its timelines page by page, copies what is
 * new into jobs for the writer, and makes a pending record when the state itself arrives.
 *
 * Two runs over the same ids may give pages that differ in the last bits (prefill, decode). A page
 * is therefore known by the contents of everything before it (chain hash), and a record only ever
 * refers to the pages of its own run: what the engine puts, or what it was given by get. */
#include "app/store/states_inner.h"

#include <string.h>

/* Bytes waiting for the disk. Beyond half of it what can be had again is skipped first. */
static const uint64_t QUEUE_BYTES = (uint64_t)512 << 20;

/* ---- jobs --------------------------------------------------------------- */

void job_free(struct blob_job *job) {
    if (!job || --job->refs > 0) return;
    if (job->loose) *job->loose -= job->n;
    ox_free(job->data);
    ox_free(job->sums);
    ox_free(job);
}

void jobs_collect(states *s) {
    for (struct blob_job **at = &s->jobs; *at;) {
        struct blob_job *job = *at;
        if (atomic_load(&job->state) == BLOB_QUEUED) {
            at = &job->also;
            continue;
        }
        *at = job->also;
        job_free(job);
    }
}

static struct blob_job *find_job(states *s, struct ox_key hash, size_t n) {
    for (struct blob_job *job = s->jobs; job; job = job->also)
        if (job->hash.hi == hash.hi && job->hash.lo == hash.lo && job->n == n &&
            atomic_load(&job->state) != BLOB_FAILED)
            return job;
    return NULL;
}

static struct blob_job *new_job(enum ox_blob kind, struct ox_key hash, const void *p, size_t n,
                                bool copy, ox_err *err) {
    struct blob_job *job = ox_alloc(1, sizeof *job, "state blob", err);
    if (!job) return NULL;
    job->refs = 1;
    job->hash = hash;
    job->kind = kind;
    job->n = n;
    job->n_sums = io_n_sums(n);
    job->sums = ox_alloc(job->n_sums, 8, "sums", err);
    if (copy) job->data = ox_memdup(p, n, "copy of a saved state", err);
    if (!job->sums || (copy && !job->data)) {
        job_free(job);
        return NULL;
    }
    io_sums(p, n, job->sums);
    return job;
}

static bool has_room(states *s, enum ox_why why, size_t n) {
    bool again = why == OX_WHY_GRID || why == OX_WHY_ASK; /* can be had again, or matters less */
    uint64_t limit = again ? QUEUE_BYTES / 2 : QUEUE_BYTES, queued = io_queued_bytes(s->io);
    return queued == 0 || queued + n <= limit;
}

/* The job of these bytes: one under way, one whose file is there already, or a new one for the
 * writer. */
static int make_job(states *s, enum ox_blob kind, enum ox_why why, const void *p, size_t n,
                    struct blob_job **out, ox_err *err) {
    struct ox_key hash = io_hash(p, n);
    struct blob_job *job = find_job(s, hash, n);
    if (job) {
        job->refs++;
        *out = job;
        return 0;
    }
    bool is_there = io_has(s->io, hash, n);
    if (!is_there) {
        if (!has_room(s, why, n))
            return ox_err_set(err, OX_EBUSY, "the disk is slower than the engine");
        int rc = evict_for(s, n, err);
        if (rc) return rc;
    }
    job = new_job(kind, hash, p, n, !is_there, err);
    if (!job) return OX_ENOMEM;
    *out = job;
    if (is_there) {
        atomic_store(&job->state, BLOB_WRITTEN);
        return 0;
    }
    job->loose = &s->loose_bytes;
    s->loose_bytes += n;
    job->refs++;
    job->also = s->jobs;
    s->jobs = job;
    io_write(s->io, job);
    return 0;
}

/* ---- timelines ---------------------------------------------------------- */

static void cut_chain(struct chain *c, size_t n) {
    while (c->n > n)
        job_free(c->link[--c->n].blob);
}

static void free_chain(struct chain *c) {
    cut_chain(c, 0);
    ox_free(c->ids);
    ox_free(c->link);
    *c = (struct chain){0};
}

void chains_drop(states *s) {
    for (int i = 0; i < N_CHAINS; i++)
        free_chain(&s->chain[i]);
    job_free(s->tail);
    s->tail = NULL;
}

static struct chain *oldest_chain(states *s) {
    struct chain *c = &s->chain[0];
    for (int i = 1; i < N_CHAINS; i++)
        if (s->chain[i].used < c->used) c = &s->chain[i];
    free_chain(c);
    return c;
}

struct chain *chain_of(states *s, struct ox_prefix at, size_t n_pages) {
    for (int i = 0; i < N_CHAINS; i++) {
        struct chain *c = &s->chain[i];
        if (c->n < n_pages || !c->used) continue;
        if (n_pages && memcmp(c->ids, at.tok, n_pages * PAGE_TOKENS * sizeof *at.tok) != 0)
            continue;
        c->used = ++s->clock;
        return c;
    }
    if (n_pages) return NULL;
    struct chain *c = oldest_chain(s);
    c->used = ++s->clock;
    return c;
}

void chain_set(states *s, int32_t *ids, struct link *link, size_t n) {
    struct chain *c = oldest_chain(s);
    *c = (struct chain){.ids = ids,
                        .link = link,
                        .n = n,
                        .cap_ids = n * PAGE_TOKENS,
                        .cap_link = n,
                        .used = ++s->clock};
}

static struct ox_key hash_chain(struct ox_key before, struct ox_key content) {
    unsigned char bytes[32];
    key_bytes(bytes, before);
    key_bytes(bytes + 16, content);
    return io_hash(bytes, sizeof bytes);
}

static int put_page(states *s, enum ox_why why, struct ox_prefix at, const void *p, size_t n,
                    ox_err *err) {
    size_t no = at.n / PAGE_TOKENS - 1;
    struct chain *c = chain_of(s, at, no);
    if (!c)
        return ox_err_set(err, OX_ENOTFOUND,
                          "the pages before page %zu are not known: put them first", no);
    struct ox_key zero = {0, 0}, content = io_hash(p, n);
    struct link link = {.token_hash = hash_page(no ? c->link[no - 1].token_hash : s->compat,
                                                at.tok + no * PAGE_TOKENS),
                        .chain = hash_chain(no ? c->link[no - 1].chain : zero, content)};
    if (c->n > no && c->link[no].chain.hi == link.chain.hi && c->link[no].chain.lo == link.chain.lo)
        return 0; /* put before; the timeline may already be longer */
    int rc = ox_grow(&c->ids, &c->cap_ids, (no + 1) * PAGE_TOKENS, sizeof *c->ids, err);
    if (!rc) rc = ox_grow(&c->link, &c->cap_link, no + 1, sizeof *c->link, err);
    if (!rc) rc = rows_find_page(s, link.chain, &link.page_id, err);
    if (!rc && !link.page_id) rc = make_job(s, OX_BLOB_PAGE, why, p, n, &link.blob, err);
    if (rc) return rc;
    cut_chain(c, no);
    memcpy(c->ids + no * PAGE_TOKENS, at.tok + no * PAGE_TOKENS, PAGE_TOKENS * sizeof *c->ids);
    c->link[c->n++] = link;
    return 0;
}

/* ---- records ------------------------------------------------------------ */

void pending_free(struct pending *p) {
    if (!p) return;
    for (size_t i = 0; i < p->n_links; i++)
        job_free(p->link[i].blob);
    ox_free(p->link);
    ox_free(p->ids);
    job_free(p->tail);
    job_free(p->state);
    ox_free(p);
}

static int copy_links(struct pending *p, const struct chain *c, size_t n, ox_err *err) {
    p->link = ox_alloc(n, sizeof *p->link, "pages of a record", err);
    if (!p->link) return OX_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        p->link[i] = c->link[i];
        if (p->link[i].blob) p->link[i].blob->refs++;
    }
    p->n_links = n;
    return 0;
}

static int make_pending(states *s, enum ox_why why, struct ox_prefix at, const struct chain *c,
                        struct pending **out, ox_err *err) {
    size_t full = at.n / PAGE_TOKENS, rest = at.n % PAGE_TOKENS;
    struct pending *p = ox_alloc(1, sizeof *p, "pending record", err);
    if (!p) return OX_ENOMEM;
    p->why = why;
    p->n_tokens = at.n;
    p->base_hash = full ? c->link[full - 1].token_hash : s->compat;
    p->prefix_hash = hash_prefix(p->base_hash, at.tok + full * PAGE_TOKENS, rest, at.n);
    p->tip = s->tip;
    p->created_us = db_now_us();
    p->ids = (int32_t *)ox_memdup(at.tok, at.n * sizeof *at.tok, "ids of a record", err);
    int rc = p->ids ? copy_links(p, c, full, err) : OX_ENOMEM;
    if (rc) {
        pending_free(p);
        return rc;
    }
    if (rest) {
        p->tail = s->tail; /* handed over: it belongs to this record only */
        s->tail = NULL;
    }
    *out = p;
    return 0;
}

static int put_state(states *s, enum ox_why why, struct ox_prefix at, const void *p, size_t n,
                     ox_err *err) {
    size_t full = at.n / PAGE_TOKENS, rest = at.n % PAGE_TOKENS;
    struct pending *made = NULL;
    struct chain *c = chain_of(s, at, full);
    if (!c)
        return ox_err_set(err, OX_ENOTFOUND,
                          "the pages of this record are not known: put them first");
    if (rest && (!s->tail || s->tail_at != at.n))
        return ox_err_set(err, OX_ENOTFOUND, "the tail of this record is not known: put it first");
    if (s->n_pending >= MAX_PENDING)
        return ox_err_set(err, OX_EBUSY, "%d records wait for the disk", MAX_PENDING);
    int rc = make_pending(s, why, at, c, &made, err);
    if (!rc) rc = make_job(s, OX_BLOB_STATE, why, p, n, &made->state, err);
    if (rc) {
        pending_free(made);
        return rc;
    }
    *s->pending_end = made;
    s->pending_end = &made->next;
    s->n_pending++;
    return 0;
}

static int put_tail(states *s, enum ox_why why, struct ox_prefix at, const void *p, size_t n,
                    ox_err *err) {
    job_free(s->tail);
    s->tail = NULL;
    s->tail_at = at.n;
    return make_job(s, OX_BLOB_TAIL, why, p, n, &s->tail, err);
}

int states_put(void *user, enum ox_blob what, enum ox_why why, struct ox_prefix at, const void *p,
               size_t n, ox_err *err) {
    states *s = user;
    int rc = OX_EFAIL;
    if (!s->db || !s->space_id || s->db->read_only)
        return ox_err_set(err, OX_EBUSY, "the state cache is off");
    if (!n || !at.n) return ox_err_set(err, OX_EFAIL, "nothing to keep");
    load_end(s);
    jobs_collect(s);
    switch (what) {
    case OX_BLOB_NONE: break;
    case OX_BLOB_PAGE:
        if (at.n % PAGE_TOKENS == 0) rc = put_page(s, why, at, p, n, err);
        break;
    case OX_BLOB_TAIL:
        if (at.n % PAGE_TOKENS) rc = put_tail(s, why, at, p, n, err);
        break;
    case OX_BLOB_STATE: rc = put_state(s, why, at, p, n, err); break;
    }
    if (rc == OX_EDB) rc = states_renew(s, rc);
    if (!rc && what == OX_BLOB_STATE) rows_settle(s, NULL);
    return rc;
}
