/* outfolder.c - see outfolder.h. Apart, because it is the only code of the engine that writes. */
#include "engine/outfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Taken over as they are; config.json is written anew, the card would no longer be true. */
static const char *const copied[] = {"tokenizer.json",          "tokenizer_config.json",
                                     "chat_template.jinja",     "generation_config.json",
                                     "special_tokens_map.json", "LICENSE"};
static const char *const own[] = {"config.json", "model.safetensors"};

static int fail_io(const struct outfolder *f, const char *what, const char *name, ox_err *err) {
    int code = errno;
    ox_err_set(err, OX_EIO, "%s/%s: %s (%s)", f->dir, name, what, strerror(code));
    return ox_err_fix(err, "free space or choose another output folder, then start again");
}

int outfolder_claim(const char *dir, struct outfolder *out, ox_err *err) {
    struct outfolder f = {.dir = dir, .name = ".", .fd = -1};
    if (mkdir(dir, 0777) == 0) {
        f.made = true;
        *out = f;
        return 0;
    }
    if (errno != EEXIST) return fail_io(&f, "cannot be created", ".", err);
    DIR *d = opendir(dir);
    if (!d) return fail_io(&f, "cannot be opened", ".", err);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    if (n) {
        ox_err_set(err, OX_EUSAGE, "%s is not empty: %zu files", dir, n);
        return ox_err_fix(err, "name a new folder; nothing is overwritten");
    }
    *out = f;
    return 0;
}

int outfolder_check_space(const struct outfolder *f, uint64_t n_bytes, ox_err *err) {
    enum { RESERVE_BYTES = 16 << 20 }; /* tokenizer, header, the file system's own needs */
    struct statvfs fs;
    uint64_t need = n_bytes + RESERVE_BYTES;
    if (statvfs(f->dir, &fs)) return 0; /* not known: the write itself will tell */
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= need) return 0;
    ox_err_set(err, OX_EIO, "%s: %" PRIu64 " bytes needed, %" PRIu64 " free", f->dir, need,
               free_bytes);
    return ox_err_fix(err, "choose an output folder on another disk, or fewer bits");
}

int outfolder_open(struct outfolder *f, const char *name, ox_err *err) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", f->dir, name);
    f->name = name;
    if (n < 0 || (size_t)n >= sizeof path) {
        errno = ENAMETOOLONG;
        return fail_io(f, "cannot be created", name, err);
    }
    f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return f->fd < 0 ? fail_io(f, "cannot be created", name, err) : 0;
}

int outfolder_write(struct outfolder *f, const void *bytes, size_t n, uint64_t at, ox_err *err) {
    const char *p = bytes;
    while (n) {
        ssize_t put = pwrite(f->fd, p, n, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return fail_io(f, "cannot be written", f->name, err);
        p += put;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

int outfolder_close(struct outfolder *f, int rc, ox_err *err) {
    if (f->fd < 0) return rc;
    if (!rc && fsync(f->fd)) rc = fail_io(f, "cannot be written", f->name, err);
    if (close(f->fd) && !rc) rc = fail_io(f, "cannot be written", f->name, err);
    f->fd = -1;
    return rc;
}

int outfolder_put(struct outfolder *f, const char *name, const void *bytes, size_t n, ox_err *err) {
    int rc = outfolder_open(f, name, err);
    if (!rc) rc = outfolder_write(f, bytes, n, 0, err);
    return outfolder_close(f, rc, err);
}

int outfolder_copy(struct outfolder *f, struct folder *from, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof copied / sizeof copied[0]; i++) {
        const unsigned char *bytes;
        size_t n;
        rc = folder_get(from, copied[i], &bytes, &n, err);
        if (!rc)
            rc = outfolder_put(f, copied[i], bytes, n, err);
        else if (rc == OX_ENOTFOUND)
            rc = 0;
    }
    return rc;
}

static bool is_ours(const char *name) {
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++)
        if (strcmp(name, copied[i]) == 0) return true;
    return strcmp(name, own[0]) == 0 || strcmp(name, own[1]) == 0;
}

void outfolder_remove(struct outfolder *f) {
    DIR *d = opendir(f->dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_ours(e->d_name)) unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
    if (f->made) rmdir(f->dir);
}
