/* states_io.c - the files of the state cache: one writer thread, four readers. They move bytes and
 * never touch SQLite; names come from contents, and no file is opened for writing twice. */
#include "app/store/states_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

struct slice_work { /* one blob being read by several threads */
    int fd;
    unsigned char *dst;
    size_t n;
    const unsigned char *sums;
    atomic_size_t next; /* slice to be taken */
    atomic_int failed;  /* 1 + slice of the first wrong one */
    size_t found_sum;
    int running; /* under lock */
};

struct states_io_pool {
    char *folder; /* .../states */
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    pthread_t writer, reader[N_READERS];
    int n_readers;
    bool has_writer;
    /* under lock: */
    struct blob_job *first, **last;
    uint64_t queued_bytes;
    bool is_writing, is_closing;
    struct slice_work *work; /* what the readers help with; NULL: nothing */
    uint64_t work_no;
    unsigned serial;
};

struct ox_key io_hash(const void *p, size_t n) {
    XXH128_hash_t h = XXH3_128bits(p, n);
    return (struct ox_key){h.high64, h.low64};
}

static void put_u64(unsigned char *out, uint64_t v) {
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get_u64(const unsigned char *p) {
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

void io_sums(const void *p, size_t n, unsigned char *out) {
    const unsigned char *at = p;
    for (size_t i = 0; i < io_n_sums(n); i++, at += SLICE_BYTES) {
        size_t left = n - i * SLICE_BYTES;
        put_u64(out + 8 * i, XXH3_64bits(at, left < SLICE_BYTES ? left : SLICE_BYTES));
    }
}

/* ---- names -------------------------------------------------------------- */

/* FOLDER/ab/cdef.. of the hash in hex: 256 folders keep each one small. */
static void name_of(const states_io_pool *io, struct ox_key hash, char *out, size_t cap) {
    char hex[33];
    snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)hash.hi,
             (unsigned long long)hash.lo);
    snprintf(out, cap, "%s/%.2s/%s", io->folder, hex, hex + 2);
}

bool io_has(states_io_pool *io, struct ox_key hash, size_t n) {
    char path[4200];
    struct stat st;
    name_of(io, hash, path, sizeof path);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == n;
}

void io_remove(states_io_pool *io, struct ox_key hash) {
    char path[4200];
    name_of(io, hash, path, sizeof path);
    unlink(path);
}

/* ---- writing ------------------------------------------------------------ */

static bool write_all(int fd, const unsigned char *p, size_t n) {
    while (n) {
        ssize_t got = write(fd, p, n < SLICE_BYTES ? n : SLICE_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

/* Temporary name, write, rename: a file with its final name is whole. Not synced: after a power cut
 * a short or empty file is found by its size or sums, and costs time only. */
static bool write_file(states_io_pool *io, const struct blob_job *job) {
    char path[4200], part[4300], folder[4200];
    name_of(io, job->hash, path, sizeof path);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    if (mkdir(folder, 0700) && errno != EEXIST) return false;
    snprintf(part, sizeof part, "%s/.part-%ld-%u", folder, (long)getpid(), io->serial++);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool ok = write_all(fd, job->data, job->n);
    ok = close(fd) == 0 && ok;
    ok = ok && rename(part, path) == 0;
    if (!ok) unlink(part);
    return ok;
}

static void *run_writer(void *arg) {
    states_io_pool *io = arg;
    pthread_mutex_lock(&io->lock);
    for (;;) {
        while (!io->first && !io->is_closing)
            pthread_cond_wait(&io->wake, &io->lock);
        struct blob_job *job = io->first;
        if (!job) break;
        io->first = job->next;
        if (!io->first) io->last = &io->first;
        io->is_writing = true;
        pthread_mutex_unlock(&io->lock);
        bool ok = write_file(io, job);
        size_t n = job->n;
        ox_free(job->data);
        job->data = NULL;
        /* The owner may free the job as soon as it sees this; it is not touched again. */
        atomic_store(&job->state, ok ? BLOB_WRITTEN : BLOB_FAILED);
        pthread_mutex_lock(&io->lock);
        io->queued_bytes -= n;
        io->is_writing = false;
        if (!io->first) pthread_cond_broadcast(&io->idle);
    }
    pthread_mutex_unlock(&io->lock);
    return NULL;
}

void io_write(states_io_pool *io, struct blob_job *job) {
    pthread_mutex_lock(&io->lock);
    job->next = NULL;
    *io->last = job;
    io->last = &job->next;
    io->queued_bytes += job->n;
    pthread_cond_broadcast(&io->wake);
    pthread_mutex_unlock(&io->lock);
}

uint64_t io_queued_bytes(states_io_pool *io) {
    pthread_mutex_lock(&io->lock);
    uint64_t n = io->queued_bytes;
    pthread_mutex_unlock(&io->lock);
    return n;
}

void io_wait(states_io_pool *io) {
    pthread_mutex_lock(&io->lock);
    while (io->first || io->is_writing)
        pthread_cond_wait(&io->idle, &io->lock);
    pthread_mutex_unlock(&io->lock);
}

/* ---- reading ------------------------------------------------------------ */

static bool read_slice(struct slice_work *w, size_t i) {
    size_t at = i * SLICE_BYTES, want = w->n - at < SLICE_BYTES ? w->n - at : SLICE_BYTES, got = 0;
    while (got < want) {
        ssize_t n = pread(w->fd, w->dst + at + got, want - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return XXH3_64bits(w->dst + at, want) == get_u64(w->sums + 8 * i);
}

static void read_slices(struct slice_work *w) {
    for (;;) {
        size_t i = atomic_fetch_add(&w->next, 1);
        if (i >= io_n_sums(w->n) || atomic_load(&w->failed)) return;
        if (!read_slice(w, i)) {
            int none = 0;
            atomic_compare_exchange_strong(&w->failed, &none, (int)i + 1);
        }
    }
}

static void *run_reader(void *arg) {
    states_io_pool *io = arg;
    uint64_t seen = 0;
    pthread_mutex_lock(&io->lock);
    for (;;) {
        while (!io->is_closing && (!io->work || io->work_no == seen))
            pthread_cond_wait(&io->wake, &io->lock);
        if (io->is_closing) break;
        struct slice_work *w = io->work;
        seen = io->work_no;
        w->running++;
        pthread_mutex_unlock(&io->lock);
        read_slices(w);
        pthread_mutex_lock(&io->lock);
        if (--w->running == 0) pthread_cond_broadcast(&io->idle);
    }
    pthread_mutex_unlock(&io->lock);
    return NULL;
}

/* Readers are started by the first blob that has work for them; small ones are read right here. */
static void start_readers(states_io_pool *io) {
    while (io->n_readers < N_READERS &&
           pthread_create(&io->reader[io->n_readers], NULL, run_reader, io) == 0)
        io->n_readers++;
}

static void read_with_help(states_io_pool *io, struct slice_work *w) {
    start_readers(io);
    pthread_mutex_lock(&io->lock);
    io->work = w;
    io->work_no++;
    pthread_cond_broadcast(&io->wake);
    pthread_mutex_unlock(&io->lock);
    read_slices(w);
    pthread_mutex_lock(&io->lock);
    io->work = NULL; /* no reader begins from here on */
    while (w->running)
        pthread_cond_wait(&io->idle, &io->lock);
    pthread_mutex_unlock(&io->lock);
}

int io_read(states_io_pool *io, struct ox_key hash, void *dst, size_t n, const void *sums,
            ox_err *err) {
    char path[4200];
    struct stat st;
    name_of(io, hash, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ox_err_set(err, OX_ENOTFOUND, "no file %s", path);
    int rc = 0;
    if (fstat(fd, &st) || (uint64_t)st.st_size != n)
        rc = ox_err_set(err, OX_EFORMAT, "%s has %lld bytes, expected %zu", path,
                        (long long)st.st_size, n);
    if (rc) goto out;
    struct slice_work w = {.fd = fd, .dst = dst, .n = n, .sums = sums};
    if (io_n_sums(n) > 1)
        read_with_help(io, &w);
    else
        read_slices(&w);
    int bad = atomic_load(&w.failed);
    if (bad) {
        size_t at = (size_t)(bad - 1) * SLICE_BYTES,
               len = n - at < SLICE_BYTES ? n - at : SLICE_BYTES;
        rc = ox_err_set(err, OX_EFORMAT, "%s, section %d: sum %016llx, expected %016llx", path,
                        bad - 1, (unsigned long long)XXH3_64bits((unsigned char *)dst + at, len),
                        (unsigned long long)get_u64((const unsigned char *)sums + 8 * (bad - 1)));
    }
out:
    close(fd);
    return rc;
}

void io_read_ahead(states_io_pool *io, struct ox_key hash, size_t n) {
    char path[4200];
    name_of(io, hash, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    posix_fadvise(fd, 0, (off_t)n, POSIX_FADV_WILLNEED);
    close(fd);
}

void io_touch(states_io_pool *io, struct ox_key hash, void *scratch, size_t n_scratch,
              const atomic_bool *stops) {
    char path[4200];
    name_of(io, hash, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    while (!atomic_load(stops) && read(fd, scratch, n_scratch) > 0) {
    }
    close(fd);
}

/* ---- stray files -------------------------------------------------------- */

static bool parse_name(const char *folder, const char *name, struct ox_key *hash) {
    char hex[33];
    unsigned long long hi, lo;
    int used = 0;
    if (strlen(folder) != 2 || strlen(name) != 30) return false;
    snprintf(hex, sizeof hex, "%.2s%.30s", folder, name);
    if (strspn(hex, "0123456789abcdef") != 32) return false;
    if (sscanf(hex, "%16llx%16llx%n", &hi, &lo, &used) != 2 || used != 32) return false;
    *hash = (struct ox_key){hi, lo};
    return true;
}

static void sweep_folder(const char *path, const char *name, int age_s,
                         bool (*is_known)(void *user, struct ox_key hash), void *user, size_t *n) {
    DIR *dir = opendir(path);
    time_t now = time(NULL);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char file[4600];
        struct stat st;
        struct ox_key hash;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (lstat(file, &st) || !S_ISREG(st.st_mode) || now - st.st_mtime < age_s) continue;
        bool is_blob = parse_name(name, e->d_name, &hash);
        if (!is_blob && strncmp(e->d_name, ".part-", 6) != 0) continue; /* not ours */
        if (is_blob && is_known(user, hash)) continue;
        if (unlink(file) == 0) ++*n;
    }
    if (dir) closedir(dir);
}

int io_sweep(states_io_pool *io, int age_s, bool (*is_known)(void *user, struct ox_key hash),
             void *user, size_t *n, ox_err *err) {
    DIR *dir = opendir(io->folder);
    if (!dir) return ox_err_set(err, OX_EIO, "cannot read %s: %s", io->folder, strerror(errno));
    for (struct dirent *e; (e = readdir(dir));) {
        char path[4300];
        if (strlen(e->d_name) != 2 || e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", io->folder, e->d_name);
        sweep_folder(path, e->d_name, age_s, is_known, user, n);
    }
    closedir(dir);
    return 0;
}

/* The time of a small file in the folder is the memory of all processes. */
bool io_is_due(states_io_pool *io, int age_s) {
    char path[4300];
    struct stat st;
    snprintf(path, sizeof path, "%s/.swept", io->folder);
    if (stat(path, &st) == 0 && time(NULL) - st.st_mtime < age_s) return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    futimens(fd, NULL);
    close(fd);
    return true;
}

/* ---- open and close ----------------------------------------------------- */

int io_open(const char *folder, states_io_pool **out, ox_err *err) {
    states_io_pool *io = ox_alloc(1, sizeof *io, "state files", err);
    if (!io) return OX_ENOMEM;
    io->last = &io->first;
    pthread_mutex_init(&io->lock, NULL);
    pthread_cond_init(&io->wake, NULL);
    pthread_cond_init(&io->idle, NULL);
    int rc = OX_ENOMEM;
    io->folder = ox_strdup(folder, "path", err);
    if (!io->folder) goto out;
    rc = 0;
    if (mkdir(folder, 0700) && errno != EEXIST)
        rc = ox_err_set(err, OX_EIO, "cannot make the folder %s: %s", folder, strerror(errno));
    if (!rc && pthread_create(&io->writer, NULL, run_writer, io))
        rc = ox_err_set(err, OX_EFAIL, "cannot start the thread that writes saved states");
    io->has_writer = rc == 0;
out:
    if (rc) {
        io_close(io);
        return rc;
    }
    *out = io;
    return 0;
}

void io_close(states_io_pool *io) {
    if (!io) return;
    pthread_mutex_lock(&io->lock);
    io->is_closing = true;
    pthread_cond_broadcast(&io->wake);
    pthread_mutex_unlock(&io->lock);
    if (io->has_writer) pthread_join(io->writer, NULL);
    for (int i = 0; i < io->n_readers; i++)
        pthread_join(io->reader[i], NULL);
    pthread_cond_destroy(&io->wake);
    pthread_cond_destroy(&io->idle);
    pthread_mutex_destroy(&io->lock);
    ox_free(io->folder);
    ox_free(io);
}
