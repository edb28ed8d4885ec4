/* states_ahead.c - the files of a saved state, read before anybody asks for them, so that a resume
 * finds them in the file cache of the system. Apart, because nothing here is needed for a right
 * answer: it has a thread of its own that does not check, keep or tell anything.
 *
 * Plain reads, not POSIX_FADV_WILLNEED: Linux cuts one such call to the largest request of the
 * device, often less than a page of the cache, and once queued it cannot be taken back. */
#include "app/store/states_inner.h"

enum { SCRATCH_BYTES = 256 << 10 };
/* Of one record. Those of oxbow-mini are smaller (398 MiB at 64K tokens); a 7B session of 8 GiB
 * would push everything else out of memory for a row that was only looked at. */
static const uint64_t AHEAD_BYTES = (uint64_t)1 << 30;

struct ahead_list {
    struct blob_name {
        struct ox_key hash;
        size_t n;
    } * v;
    size_t n, cap;
};

struct states_ahead {
    states_io_pool *io; /* borrowed */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool has_thread;
    atomic_bool stops; /* the list at hand is wanted no more */
    /* under lock: */
    struct ahead_list next; /* empty: nothing is wanted */
    bool is_closing;
};

static void read_list(struct states_ahead *a, const struct ahead_list *list, void *scratch) {
    for (size_t i = 0; i < list->n && !atomic_load(&a->stops); i++)
        io_touch(a->io, list->v[i].hash, scratch, SCRATCH_BYTES, &a->stops);
}

static void *run_ahead(void *arg) {
    struct states_ahead *a = arg;
    void *scratch = ox_alloc(SCRATCH_BYTES, 1, "bytes read ahead", NULL);
    pthread_mutex_lock(&a->lock);
    while (scratch && !a->is_closing) {
        struct ahead_list list = a->next;
        a->next = (struct ahead_list){0};
        atomic_store(&a->stops, false);
        if (!list.n) {
            pthread_cond_wait(&a->wake, &a->lock);
            continue;
        }
        pthread_mutex_unlock(&a->lock);
        read_list(a, &list, scratch);
        ox_free(list.v);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    ox_free(scratch);
    return NULL;
}

/* Started by the first record that is wanted. */
static int open_ahead(states *s, ox_err *err) {
    struct states_ahead *a = ox_alloc(1, sizeof *a, "reading ahead", err);
    if (!a) return OX_ENOMEM;
    a->io = s->io;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->wake, NULL);
    a->has_thread = pthread_create(&a->thread, NULL, run_ahead, a) == 0;
    s->ahead = a;
    return a->has_thread ? 0
                         : ox_err_set(err, OX_EFAIL, "cannot start the thread that reads ahead");
}

void ahead_close(struct states_ahead *a) {
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    a->is_closing = true;
    atomic_store(&a->stops, true);
    pthread_cond_broadcast(&a->wake);
    pthread_mutex_unlock(&a->lock);
    if (a->has_thread) pthread_join(a->thread, NULL);
    ox_free(a->next.v);
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->lock);
    ox_free(a);
}

/* In the order of a resume: record, tail, pages from the first. Its rows are in the memory of
 * SQLite then, too. */
static int list_files(states *s, int64_t id, struct ahead_list *out, ox_err *err) {
    int rc = 0;
    uint64_t bytes = 0;
    struct query q = db_query(
        s->db,
        "WITH RECURSIVE up(id, parent, no, blob) AS (SELECT p.id, p.parent_id, p.page_no, "
        "p.blob_id FROM snapshot s JOIN page p ON p.id = s.page_id WHERE s.id = :id UNION ALL "
        "SELECT p.id, p.parent_id, p.page_no, p.blob_id FROM page p JOIN up ON p.id = up.parent "
        "AND p.page_no = up.no - 1), part(no, blob) AS (SELECT no, blob FROM up UNION ALL SELECT "
        "-2, state_blob_id FROM snapshot WHERE id = :id UNION ALL SELECT -1, tail_blob_id FROM "
        "snapshot WHERE id = :id) SELECT b.content_hash, b.bytes FROM part JOIN blob b ON b.id = "
        "part.blob ORDER BY part.no");
    query_i64(&q, ":id", id);
    while (!rc && query_row(&q)) {
        struct blob_name name = {query_col_key(&q, 0), (size_t)query_col_i64(&q, 1)};
        bytes += name.n;
        if (bytes > AHEAD_BYTES) break;
        rc = ox_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v, err);
        if (!rc) out->v[out->n++] = name;
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

int states_ahead(states *s, const struct states_want *want, ox_err *err) {
    struct ahead_list list = {0};
    struct states_saved saved = {0};
    if (!s || !s->db || (!want && !s->ahead)) return 0;
    int rc = want ? states_saved(s, want, &saved, err) : 0;
    if (!rc && saved.id) rc = list_files(s, saved.id, &list, err);
    if (!rc && list.n && !s->ahead) rc = open_ahead(s, err);
    if (rc || !s->ahead) {
        ox_free(list.v);
        return rc;
    }
    pthread_mutex_lock(&s->ahead->lock);
    ox_free(s->ahead->next.v);
    s->ahead->next = list;
    atomic_store(&s->ahead->stops, true); /* what is being read was for another row */
    pthread_cond_broadcast(&s->ahead->wake);
    pthread_mutex_unlock(&s->ahead->lock);
    return 0;
}
