/* reserve.c - see reserve.h. */
#include "app/store/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { TABLES = 4 }; /* kinds of files the default VFS tells apart: by locking style */

/* An open file has its real table of calls, copied, with two of them replaced. The copy comes
 * first: pMethods of the file is then a pointer to all of this. */
struct calls {
    sqlite3_io_methods own;
    const sqlite3_io_methods *real;
    struct reserve *r;
};

struct reserve {
    sqlite3_vfs vfs; /* first: xOpen is given its address */
    sqlite3_vfs *real;
    struct calls calls[TABLES];
    char name[32], *path;
    bool is_spent, is_held;
};

static const struct calls *calls_of(const sqlite3_file *f) {
    return (const struct calls *)(const void *)f->pMethods;
}

static bool is_full(const struct reserve *r, int rc) {
    if ((rc & 0xff) == SQLITE_FULL) return true;
    if (rc != SQLITE_IOERR_WRITE && rc != SQLITE_IOERR_SHMSIZE) return false;
    int sys = r->real->xGetLastError ? r->real->xGetLastError(r->real, 0, NULL) : 0;
    return sys == ENOSPC || sys == EDQUOT;
}

/* True: the call is worth repeating. */
static bool give_up(struct reserve *r, int rc) {
    if (!is_full(r, rc) || r->is_held || unlink(r->path)) return false;
    r->is_spent = true;
    return true;
}

/* The same bytes at the same place: repeating it after half of them got in changes nothing. */
static int write_at(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
    const struct calls *c = calls_of(f);
    int rc = c->real->xWrite(f, p, n, at);
    return give_up(c->r, rc) ? c->real->xWrite(f, p, n, at) : rc;
}

static int map_shm(sqlite3_file *f, int region, int size, int extend, void volatile **out) {
    const struct calls *c = calls_of(f);
    int rc = c->real->xShmMap(f, region, size, extend, out);
    return give_up(c->r, rc) ? c->real->xShmMap(f, region, size, extend, out) : rc;
}

/* The table for files of this kind; NULL if there are more kinds than expected. */
static const struct calls *find_calls(struct reserve *r, const sqlite3_io_methods *real) {
    for (int i = 0; i < TABLES; i++) {
        struct calls *c = &r->calls[i];
        if (c->real == real) return c;
        if (c->real) continue;
        *c = (struct calls){*real, real, r};
        c->own.xWrite = write_at;
        if (real->iVersion >= 2 && real->xShmMap) c->own.xShmMap = map_shm;
        return c;
    }
    return NULL;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
                     int *out_flags) {
    struct reserve *r = (struct reserve *)(void *)vfs;
    int rc = r->real->xOpen(r->real, name, f, flags, out_flags);
    const struct calls *c = rc || !f->pMethods ? NULL : find_calls(r, f->pMethods);
    if (c) f->pMethods = &c->own;
    return rc;
}

int reserve_new(const char *path, struct reserve **out, ox_err *err) {
    struct reserve *r = ox_alloc(1, sizeof *r, "reserve", err);
    if (!r) return OX_ENOMEM;
    r->path = ox_strdup(path, "path", err);
    r->real = sqlite3_vfs_find(NULL);
    if (!r->path || !r->real) {
        reserve_free(r);
        return OX_ENOMEM;
    }
    snprintf(r->name, sizeof r->name, "oxbow-%p", (void *)r);
    r->vfs = *r->real;
    r->vfs.pNext = NULL;
    r->vfs.zName = r->name;
    r->vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&r->vfs, 0)) {
        reserve_free(r);
        return ox_err_set(err, OX_ENOMEM, "not enough memory for the history");
    }
    *out = r;
    return 0;
}

void reserve_free(struct reserve *r) {
    if (!r) return;
    if (r->name[0]) sqlite3_vfs_unregister(&r->vfs);
    ox_free(r->path);
    ox_free(r);
}

const char *reserve_vfs(const struct reserve *r) {
    return r->name;
}

static bool has_room(const char *path) {
    struct statvfs fs;
    char folder[4200];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1,
             slash ? path : ".");
    if (statvfs(folder, &fs)) return false;
    return (unsigned long long)fs.f_bavail * fs.f_frsize >= RESERVE_BYTES + RESERVE_SPARE_BYTES;
}

bool reserve_lay_in(struct reserve *r) {
    if (access(r->path, F_OK) == 0) {
        r->is_spent = false;
        return true;
    }
    if (!has_room(r->path)) return false;
    int fd = open(r->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    int failed = posix_fallocate(fd, 0, RESERVE_BYTES);
    close(fd);
    if (failed) unlink(r->path);
    if (!failed) r->is_spent = false;
    return !failed;
}

bool reserve_is_spent(const struct reserve *r) {
    return r->is_spent;
}

void reserve_hold(struct reserve *r, bool held) {
    r->is_held = held;
}
