/* states_inner.h - what the files of the state cache share. Inside app/store only; states.h is for
 * the rest of the program.
 *
 * Life of a record: put copies the bytes into blob jobs (states_put.c), the writer thread makes
 * files of them (states_io.c), and when all files of a record are there its rows are written in one
 * transaction (states_rows.c). So a row never stands without its file, and a process that dies
 * leaves files without rows, which go in idle time. */
#ifndef STATES_INNER_H
#define STATES_INNER_H

#include "app/core/buf.h"
#include "app/store/db.h"
#include "app/store/states.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    PAGE_TOKENS = 256,
    SLICE_BYTES = 4 << 20, /* unit of sums and of parallel reading */
    N_READERS = 4,
    N_CHAINS = 4, /* timelines followed at once */
    MAX_PENDING = 64
};

/* ---- files: states_io.c ------------------------------------------------- */

enum blob_state { BLOB_QUEUED, BLOB_WRITTEN, BLOB_FAILED };

struct blob_job {          /* the bytes of one blob on their way into a file */
    struct blob_job *next; /* in the writer's queue */
    struct blob_job *also; /* in states.jobs: everything not written yet */
    struct ox_key hash;
    enum ox_blob kind;
    void *data; /* NULL once written, or if the file was there already */
    size_t n;
    unsigned char *sums; /* [n_sums][8] */
    size_t n_sums;
    int refs;         /* owner's thread only */
    uint64_t *loose;  /* counts n while the blob has no row; NULL: it has */
    atomic_int state; /* enum blob_state */
};

typedef struct states_io_pool states_io_pool;
int io_open(const char *folder, states_io_pool **out, ox_err *err);
void io_close(states_io_pool *io); /* finishes the queue */
/* Takes a reference of its own to the job. */
void io_write(states_io_pool *io, struct blob_job *job);
uint64_t io_queued_bytes(states_io_pool *io);
void io_wait(states_io_pool *io); /* until the queue is empty */
/* All n bytes of the blob into dst, summed against sums. OX_ENOTFOUND: no file; OX_EFORMAT: its
 * size or a sum is wrong, said in err. */
int io_read(states_io_pool *io, struct ox_key hash, void *dst, size_t n, const void *sums,
            ox_err *err);
void io_read_ahead(states_io_pool *io, struct ox_key hash, size_t n);
/* Reads the file piece by piece into scratch and forgets it, until *stops. */
void io_touch(states_io_pool *io, struct ox_key hash, void *scratch, size_t n_scratch,
              const atomic_bool *stops);
bool io_has(states_io_pool *io, struct ox_key hash, size_t n);
void io_remove(states_io_pool *io, struct ox_key hash);
/* Removes files that `is_known` does not know and that are older than age_s; *n counts them. */
int io_sweep(states_io_pool *io, int age_s, bool (*is_known)(void *user, struct ox_key hash),
             void *user, size_t *n, ox_err *err);
/* Whether the last call that said yes, by any process, is more than age_s ago. */
bool io_is_due(states_io_pool *io, int age_s);
struct ox_key io_hash(const void *p, size_t n);
/* n_sums 8-byte sums into out. */
void io_sums(const void *p, size_t n, unsigned char *out);
static inline size_t io_n_sums(size_t n) {
    return (n + SLICE_BYTES - 1) / SLICE_BYTES;
}

/* ---- timelines: states_put.c -------------------------------------------- */

struct link {                        /* a full page of a timeline */
    struct ox_key token_hash, chain; /* h(k + 1); content along the path */
    int64_t page_id;                 /* 0: no row yet */
    struct blob_job *blob;           /* until it has a row */
};
struct chain {
    int32_t *ids; /* [n * PAGE_TOKENS] */
    struct link *link;
    size_t n, cap_ids, cap_link;
    uint64_t used; /* for the choice of one to give up */
};

struct tip {
    char db_uid[17], chat_uid[17];
    int64_t want, made;
    int want_moment;
};

struct pending { /* a record whose files are being written */
    struct pending *next;
    enum ox_why why;
    size_t n_tokens;
    struct ox_key base_hash, prefix_hash;
    int32_t *ids;      /* of the whole prefix */
    struct link *link; /* of all its full pages */
    size_t n_links;
    struct blob_job *tail, *state;
    struct tip tip;
    int64_t created_us;
};

struct load_blob {
    int64_t id; /* 0: none */
    struct ox_key hash;
    unsigned char *sums;
    size_t n;
};
struct load { /* the record that is being read */
    int64_t id;
    size_t n_tokens;
    struct load_blob *page, tail, state;
    size_t n_pages;
    uint64_t bytes;
    int64_t us;
};

struct states {
    struct db *db; /* NULL: off */
    states_io_pool *io;
    char *folder, *path;
    struct states_opts opts;
    struct states_space space;
    char space_name[64];
    int64_t space_id; /* 0: none in use */
    struct ox_key compat;
    struct tip tip;
    uint64_t loose_bytes; /* on their way: in no row yet */
    struct ox_state_io ops;
    struct chain chain[N_CHAINS];
    uint64_t clock;
    struct blob_job *jobs; /* each with a reference, until the writer is done with it */
    struct blob_job *tail; /* the tail put last, for the record that follows */
    size_t tail_at;
    struct pending *pending, **pending_end;
    size_t n_pending;
    int64_t retry_us; /* states_settle: not before this time */
    int64_t newest;   /* record made last: never evicted by this process */
    struct load load;
    double us_per_token;
    bool full_by_pins;
    struct states_ahead *ahead; /* NULL: nothing was wanted yet */
};

/* ---- states.c ----------------------------------------------------------- */

extern const char *const states_schema[];
void states_log(states *s, const char *fmt, ...) OX_PRINTF(2, 3);
/* After OX_EDB: the index is set aside and made anew. Returns rc, or OX_EBUSY in its place. */
int states_renew(states *s, int rc);

/* ---- hashes and records: states_find.c ---------------------------------- */

void key_bytes(unsigned char out[16],
               struct ox_key key); /* canonical: big-endian, high half first */
struct ox_key hash_page(struct ox_key before, const int32_t *ids);
struct ox_key hash_prefix(struct ox_key base, const int32_t *rest, size_t n_rest, size_t n);
/* Nearest record of `want` strictly shorter than below (0: none). */
int find_below(states *s, struct ox_prefix want, size_t below, int64_t *id, size_t *n, ox_err *err);
int load_begin(states *s, int64_t id, ox_err *err); /* nothing to do if it is the one */
void load_end(states *s);                           /* notes the use */

/* ---- rows: states_rows.c ------------------------------------------------ */

/* Writes the rows of every record whose files are there. Never waits. */
int rows_settle(states *s, ox_err *err);
int rows_find_page(states *s, struct ox_key chain, int64_t *id, ox_err *err); /* 0: no row */
/* Inside a transaction: a record with what only it needed; files go with it. */
int rows_drop_snapshot(states *s, int64_t id, uint64_t *freed, ox_err *err);
/* Everything that refers to a damaged blob. */
int rows_drop_blob(states *s, int64_t blob_id, ox_err *err);
int rows_own_bytes(states *s, int64_t id, uint64_t *bytes, ox_err *err);

/* ---- states_put.c ------------------------------------------------------- */

struct chain *chain_of(states *s, struct ox_prefix at, size_t n_pages); /* or NULL */
/* The timeline that was just restored: its pages need not be put. Adopts ids and link. */
void chain_set(states *s, int32_t *ids, struct link *link, size_t n);
void chains_drop(states *s);
void pending_free(struct pending *p);
void job_free(struct blob_job *job); /* gives a reference back; NULL is fine */
void jobs_collect(states *s);        /* lets go of jobs that the writer is done with */
int states_put(void *user, enum ox_blob what, enum ox_why why, struct ox_prefix at, const void *p,
               size_t n, ox_err *err);

/* ---- states_find.c ------------------------------------------------------ */

int states_find(void *user, struct ox_prefix want, struct ox_found *out, ox_err *err);
int states_get(void *user, uint64_t id, enum ox_blob what, size_t page, void *dst, size_t n,
               ox_err *err);
void states_refuse(void *user, uint64_t id, const ox_err *why); /* one log line; the record goes */

/* ---- states_ahead.c ----------------------------------------------------- */

void ahead_close(struct states_ahead *a); /* NULL is fine; before io_close */

/* ---- states_evict.c ----------------------------------------------------- */

/* Makes room for n more bytes. OX_EBUSY: not possible, everything is pinned or in use. */
int evict_for(states *s, uint64_t n, ox_err *err);
/* Evicts least valuable records until at most `bytes` are left; in a transaction of its own. */
int evict_to(states *s, uint64_t bytes, uint64_t *freed, ox_err *err);

#endif
