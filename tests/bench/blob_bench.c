/* blob_bench.c - state bytes in files against blobs inside SQLite: docs/STORE.md section 10.
 *
 *   blob_bench FOLDER [MIB[:KIB] ...]      default: 52 1024 4096; KIB: one form only, of this page
 *                                          size (0: files)
 *
 * Blobs of 30 MiB (a KV page of the 7B), each filled with bytes that do not compress. Written: one
 * blob a file (temporary name, write, rename) or one a transaction (WAL, synchronous OFF, as
 * states.db). Read: once cold (the file's pages are given up with POSIX_FADV_DONTNEED) and once
 * warm, by 1, 4 and 8 threads, each with a connection of its own. The last columns: bytes that
 * reached the device for each byte, and the time to delete half. Prints a Markdown table. Not a
 * test: nothing passes or fails. */
#include <sqlite3.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BLOB = 30 << 20, SLICE = 4 << 20, MOST_THREADS = 8 };

static char folder[512], db_path[600];
static unsigned char *bytes;
static int n_blobs, blob_bytes;

static void die(const char *what) {
    fprintf(stderr, "blob_bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t device_bytes(void) {
    char line[128];
    unsigned long long n = 0;
    FILE *f = fopen("/proc/self/io", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "write_bytes: %llu", &n) == 1) break;
    if (f) fclose(f);
    return n;
}

static void fresh_bytes(int i) {
    uint64_t h = 88172645463325252u + (uint64_t)i;
    for (size_t k = 0; k < BLOB; k += 8) {
        h ^= h << 13;
        h ^= h >> 7;
        h ^= h << 17;
        memcpy(bytes + k, &h, 8);
    }
}

static void name_of(int i, char *out, size_t cap) {
    snprintf(out, cap, "%s/b%04d", folder, i);
}

static void run_sql(sqlite3 *db, const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL)) {
        fprintf(stderr, "blob_bench: %s: %s\n", sql, sqlite3_errmsg(db));
        exit(1);
    }
}

static sqlite3 *open_db(int page_size) {
    sqlite3 *db = NULL;
    char sql[128];
    if (sqlite3_open_v2(db_path, &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
        die("open database");
    sqlite3_busy_timeout(db, 60000); /* readers that open at once wait for each other */
    snprintf(sql, sizeof sql,
             "PRAGMA page_size=%d; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF", page_size);
    run_sql(db, sql);
    return db;
}

/* ---- writing ------------------------------------------------------------ */

static void write_files(void) {
    char path[600], part[620];
    for (int i = 0; i < n_blobs; i++) {
        fresh_bytes(i);
        name_of(i, path, sizeof path);
        snprintf(part, sizeof part, "%s.part", path);
        int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        for (int at = 0; at < blob_bytes; at += SLICE) {
            size_t n = (size_t)(blob_bytes - at < SLICE ? blob_bytes - at : SLICE);
            if (write(fd, bytes + at, n) != (ssize_t)n) die(part);
        }
        close(fd);
        if (rename(part, path)) die(path);
    }
}

static void write_blobs(int page_size) {
    sqlite3 *db = open_db(page_size);
    sqlite3_stmt *s = NULL;
    run_sql(db, "CREATE TABLE IF NOT EXISTS b (id INTEGER PRIMARY KEY, v BLOB)");
    sqlite3_prepare_v2(db, "INSERT INTO b VALUES (:id, :v)", -1, &s, NULL);
    for (int i = 0; i < n_blobs; i++) {
        fresh_bytes(i);
        sqlite3_bind_int(s, 1, i);
        sqlite3_bind_blob(s, 2, bytes, blob_bytes, SQLITE_STATIC);
        if (sqlite3_step(s) != SQLITE_DONE) die("insert");
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
}

/* ---- reading ------------------------------------------------------------ */

static atomic_int next_blob;
static int read_page_size; /* 0: files */

static void read_one_file(int i, unsigned char *dst) {
    char path[600];
    name_of(i, path, sizeof path);
    int fd = open(path, O_RDONLY);
    if (fd < 0) die(path);
    for (int at = 0; at < blob_bytes; at += SLICE) {
        size_t n = (size_t)(blob_bytes - at < SLICE ? blob_bytes - at : SLICE);
        if (pread(fd, dst + at, n, at) != (ssize_t)n) die(path);
    }
    close(fd);
}

static void *read_some(void *arg) {
    unsigned char *dst = malloc(BLOB);
    sqlite3 *db = read_page_size ? open_db(read_page_size) : NULL;
    (void)arg;
    for (int i; (i = atomic_fetch_add(&next_blob, 1)) < n_blobs;) {
        if (!db) {
            read_one_file(i, dst);
            continue;
        }
        sqlite3_blob *b = NULL;
        if (sqlite3_blob_open(db, "main", "b", "v", i, 0, &b)) die("blob_open");
        for (int at = 0; at < blob_bytes; at += SLICE)
            if (sqlite3_blob_read(b, dst + at, blob_bytes - at < SLICE ? blob_bytes - at : SLICE,
                                  at))
                die("blob_read");
        sqlite3_blob_close(b);
    }
    if (db) sqlite3_close(db);
    free(dst);
    return NULL;
}

static void forget(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) return;
    fdatasync(fd); /* only clean pages can be given up */
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static void go_cold(void) {
    char path[620];
    for (int i = 0; !read_page_size && i < n_blobs; i++) {
        name_of(i, path, sizeof path);
        forget(path);
    }
    forget(db_path);
    snprintf(path, sizeof path, "%s-wal", db_path);
    forget(path);
}

static double read_all(int threads) {
    pthread_t t[MOST_THREADS];
    atomic_store(&next_blob, 0);
    double from = now();
    for (int i = 0; i < threads; i++)
        pthread_create(&t[i], NULL, read_some, NULL);
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    return now() - from;
}

/* ---- deleting ----------------------------------------------------------- */

static double delete_half(void) {
    char path[620];
    double from = now();
    if (read_page_size) {
        sqlite3 *db = open_db(read_page_size);
        run_sql(db, "DELETE FROM b WHERE id % 2; PRAGMA wal_checkpoint(TRUNCATE)");
        sqlite3_close(db);
    } else {
        for (int i = 1; i < n_blobs; i += 2) {
            name_of(i, path, sizeof path);
            unlink(path);
        }
    }
    return now() - from;
}

static void clean(void) {
    char path[640];
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (int i = 0; i < n_blobs; i++) {
        name_of(i, path, sizeof path);
        unlink(path);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", db_path, suffixes[i]);
        unlink(path);
    }
}

static void measure(int mib, int page_size) {
    static const int threads[] = {1, 4, 8};
    double gib = (double)n_blobs * blob_bytes / (1 << 30), cold[3], warm[3];
    read_page_size = page_size;
    clean();
    uint64_t before = device_bytes();
    double from = now();
    if (page_size)
        write_blobs(page_size);
    else
        write_files();
    double took = now() - from;
    sync();
    double synced = now() - from;
    double amplified = (double)(device_bytes() - before) / ((double)n_blobs * blob_bytes);
    for (int i = 0; i < 3; i++) {
        go_cold();
        cold[i] = read_all(threads[i]);
        warm[i] = read_all(threads[i]);
    }
    double gone = delete_half();
    char form[32];
    snprintf(form, sizeof form, page_size ? "SQLite, %d KiB pages" : "files", page_size >> 10);
    printf("| %d MiB | %s | %.2f (%.2f) | %.2f %.2f %.2f | %.2f %.2f %.2f | %.2f | %.2f |\n", mib,
           form, gib / took, gib / synced, gib / cold[0], gib / cold[1], gib / cold[2],
           gib / warm[0], gib / warm[1], gib / warm[2], amplified, gone);
    fflush(stdout);
    clean();
}

int main(int argc, char **argv) {
    static const char *const sizes[] = {"52", "1024", "4096"};
    static const int pages[] = {0, 16384, 32768, 65536};
    if (argc < 2) {
        fprintf(stderr, "usage: blob_bench FOLDER [MIB[:KIB] ...]\n");
        return 2;
    }
    snprintf(folder, sizeof folder, "%s", argv[1]);
    snprintf(db_path, sizeof db_path, "%s/blobs.db", argv[1]);
    mkdir(folder, 0700);
    bytes = malloc(BLOB);
    if (!bytes) return 1;
    printf("| size | form | write GiB/s (with sync) | cold read GiB/s, 1 4 8 readers | warm read "
           "GiB/s, 1 4 8 readers "
           "| bytes a byte | delete half, s |\n|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < (argc > 2 ? argc - 2 : 3); i++) {
        char *rest;
        int mib = (int)strtol(argc > 2 ? argv[i + 2] : sizes[i], &rest, 10);
        int only = *rest == ':' ? (int)strtol(rest + 1, NULL, 10) << 10 : -1;
        n_blobs = mib < 120 ? 1 : mib / 30;
        blob_bytes = mib < 30 ? mib << 20 : BLOB;
        if (mib == 52) n_blobs = 2, blob_bytes = 26 << 20; /* a state record of the 7B, in two */
        for (int p = 0; p < 4; p++)
            if (only < 0 || only == pages[p]) measure(mib, pages[p]);
    }
    free(bytes);
    return 0;
}
