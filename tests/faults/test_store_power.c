/* test_store_power.c - the power goes at any moment. A scripted conversation is run once with every
 * change of a file written down (this program defines write(2) and its relatives itself, before the
 * C library's). Then the disk is put together as it may be found after a cut at each of these
 * moments: what was synced is there; of the rest nothing, all, or torn pieces; names as they were,
 * or as they were at the last sync. Each time: every turn that was acknowledged is there word by
 * word, the checks are clean, and a saved state gives the right bytes or is refused. */
#include "store_script.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/syscall.h>

enum { N_TURNS = 5, N_EVENTS = 20000, N_FILES = 400, SECTOR = 512 };

/* ---- writing down --------------------------------------------------------- */

struct event {
    enum { WRITE, TRUNCATE, SYNC, RENAME, UNLINK } kind;
    char *name, *to; /* below the folder; to: of a rename */
    size_t at, n;
    unsigned char *bytes;
};

static struct {
    bool is_on;
    const char *folder;
    pthread_mutex_t lock;
    struct event event[N_EVENTS];
    int n;
} trace = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Its name below the folder, or NULL. The shared memory of a log is no file to a power cut. */
static char *name_below(const char *path) {
    size_t n = strlen(trace.folder), len = strlen(path);
    if (strncmp(path, trace.folder, n) != 0 || (len > 4 && strcmp(path + len - 4, "-shm") == 0))
        return NULL;
    return strdup(path + n);
}

static char *name_of(int fd) {
    char link[64], path[512];
    if (!__atomic_load_n(&trace.is_on, __ATOMIC_SEQ_CST)) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return NULL;
    path[n] = 0;
    return name_below(path);
}

static void note(struct event e, const void *bytes) {
    if (bytes && e.n) {
        e.bytes = malloc(e.n);
        memcpy(e.bytes, bytes, e.n);
    }
    if (trace.n == N_EVENTS) abort();
    trace.event[trace.n++] = e;
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) {
    char *name = name_of(fd);
    pthread_mutex_lock(&trace.lock);
    ssize_t done = syscall(SYS_pwrite64, fd, p, n, at);
    if (name && done > 0)
        note((struct event){WRITE, name, NULL, (size_t)at, (size_t)done, NULL}, p);
    pthread_mutex_unlock(&trace.lock);
    return done;
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
    return pwrite64(fd, p, n, at);
}
ssize_t write(int fd, const void *p, size_t n) {
    char *name = name_of(fd);
    pthread_mutex_lock(&trace.lock);
    off_t at = name ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = syscall(SYS_write, fd, p, n);
    if (name && done > 0)
        note((struct event){WRITE, name, NULL, (size_t)at, (size_t)done, NULL}, p);
    pthread_mutex_unlock(&trace.lock);
    return done;
}
static int sync_file(int fd, long call) {
    char *name = name_of(fd);
    int rc = (int)syscall(call, fd);
    pthread_mutex_lock(&trace.lock);
    if (name && rc == 0) note((struct event){SYNC, name, NULL, 0, 0, NULL}, NULL);
    pthread_mutex_unlock(&trace.lock);
    return rc;
}
int fsync(int fd) {
    return sync_file(fd, SYS_fsync);
}
int fdatasync(int fd) {
    return sync_file(fd, SYS_fdatasync);
}
int ftruncate64(int fd, off_t n) {
    char *name = name_of(fd);
    pthread_mutex_lock(&trace.lock);
    int rc = (int)syscall(SYS_ftruncate, fd, n);
    if (name && rc == 0) note((struct event){TRUNCATE, name, NULL, (size_t)n, 0, NULL}, NULL);
    pthread_mutex_unlock(&trace.lock);
    return rc;
}
int ftruncate(int fd, off_t n) {
    return ftruncate64(fd, n);
}
static int change_name(int rc, int kind, const char *a, const char *b) {
    char *from = rc == 0 && trace.is_on ? name_below(a) : NULL;
    if (from) note((struct event){kind, from, b ? name_below(b) : NULL, 0, 0, NULL}, NULL);
    return rc;
}
int rename(const char *a, const char *b) {
    pthread_mutex_lock(&trace.lock);
    int rc = change_name((int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 0), RENAME, a, b);
    pthread_mutex_unlock(&trace.lock);
    return rc;
}
int unlink(const char *path) {
    pthread_mutex_lock(&trace.lock);
    int rc = change_name((int)syscall(SYS_unlinkat, AT_FDCWD, path, 0), UNLINK, path, NULL);
    pthread_mutex_unlock(&trace.lock);
    return rc;
}

static int events(void) {
    pthread_mutex_lock(&trace.lock);
    int n = trace.n;
    pthread_mutex_unlock(&trace.lock);
    return n;
}

/* ---- the disk ------------------------------------------------------------- */

struct image { /* bytes of a file */
    unsigned char *p;
    size_t n, cap;
};

struct file {
    struct image synced;
    int pending[N_EVENTS / 8]; /* events since */
    int n_pending;
};

struct names { /* which name leads to which file */
    struct {
        const char *name;
        int file;
    } v[N_FILES];
    int n;
};

static struct {
    struct file file[N_FILES];
    int n_files;
    struct names now, synced;
} disk;

static int *find_name(struct names *names, const char *name) {
    for (int i = 0; i < names->n; i++)
        if (names->v[i].file >= 0 && strcmp(names->v[i].name, name) == 0) return &names->v[i].file;
    return NULL;
}

static void set_name(struct names *names, const char *name, int file) {
    int *at = find_name(names, name);
    if (!at) {
        int i = 0;
        while (i < names->n && names->v[i].file >= 0)
            i++;
        assert_true(i < N_FILES);
        if (i == names->n) names->n++;
        names->v[i].name = name;
        at = &names->v[i].file;
    }
    *at = file;
}

static int file_of(const char *name) {
    int *at = find_name(&disk.now, name);
    if (at) return *at;
    assert_true(disk.n_files < N_FILES);
    set_name(&disk.now, name, disk.n_files);
    return disk.n_files++;
}

static void resize(struct image *im, size_t n) {
    if (n > im->cap) {
        im->cap = n + n / 2 + 4096;
        im->p = realloc(im->p, im->cap);
    }
    if (n > im->n) memset(im->p + im->n, 0, n - im->n);
    im->n = n;
}

static void put_bytes(struct image *im, size_t at, const unsigned char *p, size_t n) {
    if (at + n > im->n) resize(im, at + n);
    if (n) memcpy(im->p + at, p, n);
}

static void apply(struct image *im, const struct event *e) {
    if (e->kind == TRUNCATE)
        resize(im, e->at);
    else
        put_bytes(im, e->at, e->bytes, e->n);
}

/* One more event has happened. A sync of any file makes the names before it last, as on a file
 * system with a journal. */
static void step(int i) {
    const struct event *e = &trace.event[i];
    struct file *f;
    switch (e->kind) {
    case WRITE:
    case TRUNCATE:
        f = &disk.file[file_of(e->name)];
        assert_true(f->n_pending < N_EVENTS / 8);
        f->pending[f->n_pending++] = i;
        break;
    case SYNC:
        if (e->name[0] && find_name(&disk.now, e->name)) {
            f = &disk.file[file_of(e->name)];
            for (int k = 0; k < f->n_pending; k++)
                apply(&f->synced, &trace.event[f->pending[k]]);
            f->n_pending = 0;
        }
        disk.synced = disk.now;
        break;
    case RENAME: {
        int moved = file_of(e->name);
        *find_name(&disk.now, e->name) = -1;
        set_name(&disk.now, e->to, moved);
        break;
    }
    case UNLINK: {
        int *at = find_name(&disk.now, e->name);
        if (at) *at = -1;
        break;
    }
    }
}

enum cut { CUT_CLEAN, CUT_NAMES, CUT_TORN, CUTS }; /* CLEAN: nothing unsynced; TORN: any of it */

static void make_folders(const char *path) {
    char part[300];
    for (const char *p = path + 1; (p = strchr(p, '/')); p++) {
        snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
        mkdir(part, 0700);
    }
}

static void write_out(const char *folder, const char *name, const struct image *im) {
    char path[300];
    snprintf(path, sizeof path, "%s%s", folder, name);
    make_folders(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(syscall(SYS_write, fd, im->p, im->n), im->n);
    close(fd);
}

static void found_after(enum cut cut, const char *folder) {
    static struct image im;
    struct names *names = cut == CUT_NAMES ? &disk.synced : &disk.now;
    for (int i = 0; i < names->n; i++) {
        if (names->v[i].file < 0) continue;
        const struct file *f = &disk.file[names->v[i].file];
        im.n = 0;
        put_bytes(&im, 0, f->synced.p, f->synced.n);
        for (int k = 0; cut == CUT_TORN && k < f->n_pending; k++) {
            const struct event *e = &trace.event[f->pending[k]];
            if (e->kind == TRUNCATE && rand() % 2) apply(&im, e);
            for (size_t at = 0; e->kind == WRITE && at < e->n; at += SECTOR) {
                size_t n = e->n - at < SECTOR ? e->n - at : SECTOR;
                if (rand() % 4) put_bytes(&im, e->at + at, e->bytes + at, n);
            }
        }
        write_out(folder, names->v[i].name, &im);
    }
}

/* ---- the conversation, and what must be left of it ------------------------ */

static struct {
    int asked[N_TURNS], finished[N_TURNS]; /* events when T1 and T3 were acknowledged */
} acknowledged;

/* As an idle moment does when the log has grown: its pages go into the file itself. */
static void checkpoint(const char *path) {
    sqlite3 *sq = NULL;
    assert_int_equal(sqlite3_open(path, &sq), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sq, "PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(PASSIVE)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(sq);
}

static void converse(const struct place *p, struct noted *noted) {
    static struct script s;
    s = (struct script){.noted = noted};
    assert_int_equal(script_open(&s, p, 1 << 30), 0);
    for (int t = 0; t < N_TURNS; t++) {
        assert_int_equal(script_ask(&s, t), 0);
        acknowledged.asked[t] = events();
        int64_t answer = noted->answer[t];
        for (int k = 0; k < N_PARTS; k++) {
            char text[64];
            int32_t tok = t;
            part_text(text, sizeof text, t, k);
            part(s.st, answer, text, strlen(text), tok);
        }
        OK(store_msg_finish(s.st, answer, CHAT_DONE, NULL, "eos", err));
        acknowledged.finished[t] = events();
        noted->finished[t] = 1;
        s.leaf = answer;
        script_states(&s, t);
        script_aside(&s, t);
        if (t == 2) checkpoint(p->db);
    }
    script_close(&s);
}

static void verify_states(const struct place *p, int at) {
    static int32_t tok[N_TURNS * 37];
    struct cache c = {0};
    size_t ok, bad, stray;
    for (int i = 0; i < N_TURNS * 37; i++)
        tok[i] = i / 37 * 100 + i % 37;
    ox_err why = {0};
    snprintf(c.folder, sizeof c.folder, "%s", p->dir);
    struct states_opts how = {.folder = p->dir, .quota_bytes = 1 << 30};
    if (states_open(&how, &c.s, &why)) fail_msg("cut %d: states: %s", at, why.what);
    cache_use(&c, 1);
    for (size_t n = 37; n <= N_TURNS * 37; n += 37) {
        struct ox_found f = find(&c, tok, n);
        if (f.n) load(&c, tok, f, 0); /* right bytes, or refused: load compares */
    }
    OK(states_check(c.s, &ok, &bad, &stray, err)); /* removes what is damaged */
    OK(states_check(c.s, &ok, &bad, &stray, err));
    if (bad) fail_msg("cut %d: %zu bad states after a check", at, bad);
    cache_close(&c);
}

static void look(const struct place *found, const struct noted *all, int at, enum cut cut) {
    static struct noted must;
    ox_err why = {0};
    store *st = NULL;
    memset(&must, 0, sizeof must);
    must.chat = all->chat;
    for (int t = 0; t < N_TURNS; t++) {
        if (acknowledged.asked[t] <= at) must.n_asked = t + 1;
        must.answer[t] = all->answer[t];
        must.finished[t] = acknowledged.finished[t] <= at;
    }
    int rc = store_open(found->db, false, &st, &why);
    if (rc) fail_msg("cut %d (%d): open: %d %s [%s]", at, cut, rc, why.what, why.where);
    script_verify(st, &must, 0);
    rc = store_check(st, no_bad, NULL, &why);
    if (rc) fail_msg("cut %d (%d): %s", at, cut, why.what);
    store_close(st);
}

static int drop(const char *path, const struct stat *sb, int type, struct FTW *at) {
    (void)sb, (void)type, (void)at;
    return remove(path);
}

static void test_store_power__no_finished_turn_is_lost(void **state) {
    static struct noted noted;
    struct place p, found;
    (void)state;
    place_make(&p);
    trace.folder = p.dir;
    __atomic_store_n(&trace.is_on, true, __ATOMIC_SEQ_CST);
    converse(&p, &noted);
    __atomic_store_n(&trace.is_on, false, __ATOMIC_SEQ_CST);
    place_remove(&p);
    srand(5);
    int n_cuts = 0;
    for (int at = 1; at <= trace.n; at++) {
        step(at - 1);
        enum cut cut = (enum cut)(at % CUTS);
        place_make(&found);
        found_after(cut, found.dir);
        write_out(found.dir, "/data/oxbow.reserve", &(struct image){0}); /* 8 MiB less a cut */
        look(&found, &noted, at, cut);
        if (at % 4 == 0) verify_states(&found, at);
        assert_int_equal(nftw(found.dir, drop, 16, FTW_DEPTH | FTW_PHYS), 0);
        n_cuts++;
    }
    print_message("%d cuts in %d turns\n", n_cuts, N_TURNS);
    assert_true(n_cuts > 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_power__no_finished_turn_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
