/* folder.c - see folder.h. Apart, because files on disk and files inside the program must look the
 * same to every reader above. */
#include "engine/folder.h"

#include "kernels/base/ox_mem.h"
#ifdef OXBOW_EMBED
#include "engine/embed.h"
#endif

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct mapped {
    char *name;
    const unsigned char *data;
    size_t n_bytes;
};
struct folder {
    char *path, *name;
    bool is_embedded;
    struct mapped *file; /* files read so far */
    size_t n_files, cap_files;
};

static const unsigned char empty_file[1];

static char *last_part(const char *path, ox_err *err) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t from = end;
    while (from > 0 && path[from - 1] != '/')
        from--;
    return ox_memdup(path + from, end - from, "a folder name", err);
}

int folder_open(const char *dir, struct folder **out, ox_err *err) {
    struct folder *f = ox_alloc(1, sizeof *f, "a model folder", err);
    if (!f) return OX_ENOMEM;
    int rc = OX_ENOMEM;
#ifdef OXBOW_EMBED
    f->is_embedded = !dir;
#else
    const char *name = dir ? NULL : "oxbow-mini";
    if (!dir) dir = OXBOW_DEFAULT_DIR;
#endif
    if (f->is_embedded) {
        f->path = ox_strdup("built-in", "a path", err);
        f->name = ox_strdup("oxbow-mini", "a name", err);
    } else {
        struct stat st;
        bool is_there = stat(dir, &st) == 0;
        if (!is_there || !S_ISDIR(st.st_mode)) {
            rc = ox_err_set(err, OX_EMODEL, "%s: %s", dir,
                            is_there          ? "not a folder"
                            : errno == ENOENT ? "no such folder"
                                              : strerror(errno));
            ox_err_fix(err,
                       "-m takes a folder with config.json, tokenizer.json and safetensors files");
            goto fail;
        }
        f->path = ox_strdup(dir, "a path", err);
        f->name = last_part(dir, err);
#ifndef OXBOW_EMBED
        if (name && f->name) {
            ox_free(f->name);
            f->name = ox_strdup(name, "a name", err);
        }
#endif
    }
    if (!f->path || !f->name) goto fail;
    *out = f;
    return 0;
fail:
    folder_close(f);
    return rc;
}

void folder_close(struct folder *f) {
    if (!f) return;
    for (size_t i = 0; i < f->n_files; i++) {
        ox_free(f->file[i].name);
        if (f->file[i].data != empty_file)
            munmap((void *)(uintptr_t)f->file[i].data, f->file[i].n_bytes);
    }
    ox_free(f->file);
    ox_free(f->path);
    ox_free(f->name);
    ox_free(f);
}

const char *folder_name(const struct folder *f) {
    return f->name;
}

const char *folder_path(const struct folder *f) {
    return f->path;
}

#ifdef OXBOW_EMBED
static int get_embedded(const char *name, const unsigned char **data, size_t *n, ox_err *err) {
    for (const struct embed_file *e = embed_table; e->name; e++) {
        if (strcmp(e->name, name) != 0) continue;
        *data = e->data;
        *n = e->n_bytes;
        return 0;
    }
    return ox_err_set(err, OX_ENOTFOUND, "%s: not in the built-in model", name);
}
#endif

/* Maps folder/name; the mapping joins f->file. */
static int map_file(struct folder *f, const char *name, ox_err *err) {
    size_t n_path = strlen(f->path) + strlen(name) + 2;
    char *path = ox_alloc(n_path, 1, "a path", err);
    if (!path) return OX_ENOMEM;
    memcpy(path, f->path, strlen(f->path));
    path[strlen(f->path)] = '/';
    memcpy(path + strlen(f->path) + 1, name, strlen(name) + 1);

    struct mapped m = {0};
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    struct stat st;
    if (fd < 0 && errno == ENOENT) {
        rc = ox_err_set(err, OX_ENOTFOUND, "%s: no such file", path);
        goto out;
    }
    if (fd < 0 || fstat(fd, &st)) {
        rc = ox_err_set(err, OX_EMODEL, "%s: cannot be read (%s)", path, strerror(errno));
        ox_err_fix(err, "check the permissions of the file and of its folder");
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = ox_err_set(err, OX_EMODEL, "%s: not a regular file", path);
        ox_err_fix(err, "a model folder holds plain files or links to them");
        goto out;
    }
    m.n_bytes = (size_t)st.st_size;
    m.data = empty_file;
    if (m.n_bytes) {
        void *p = mmap(NULL, m.n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            rc = ox_err_set(err, OX_EMODEL, "%s: cannot be mapped (%s)", path, strerror(errno));
            ox_err_fix(err, "copy the folder to a local disk");
            goto out;
        }
        m.data = p;
    }
    m.name = ox_strdup(name, "a file name", err);
    rc =
        m.name ? ox_grow(&f->file, &f->cap_files, f->n_files + 1, sizeof *f->file, err) : OX_ENOMEM;
    if (rc) {
        if (m.n_bytes) munmap((void *)(uintptr_t)m.data, m.n_bytes);
        ox_free(m.name);
        goto out;
    }
    f->file[f->n_files++] = m;
out:
    if (fd >= 0) close(fd);
    ox_free(path);
    return rc;
}

/* Only whole pages: what stands beside a built-in file belongs to others. Nothing ever writes to
 * these pages, so that dropping them loses nothing. */
static void drop_pages(const unsigned char *data, size_t n) {
    long size = sysconf(_SC_PAGESIZE);
    if (size <= 0) return;
    uintptr_t page = (uintptr_t)size, from = ((uintptr_t)data + page - 1) / page * page,
              to = ((uintptr_t)data + n) / page * page;
    if (from < to) (void)madvise((void *)from, to - from, MADV_DONTNEED); /* only advice */
}

void folder_forget(const struct folder *f) {
    if (!f) return;
    for (size_t i = 0; i < f->n_files; i++)
        drop_pages(f->file[i].data, f->file[i].n_bytes);
#ifdef OXBOW_EMBED
    for (const struct embed_file *e = embed_table; f->is_embedded && e->name; e++)
        drop_pages(e->data, e->n_bytes);
#endif
}

int folder_get(struct folder *f, const char *name, const unsigned char **data, size_t *n,
               ox_err *err) {
    if (!name[0] || name[0] == '.' || strchr(name, '/')) {
        ox_err_set(err, OX_EMODEL, "\"%s\": a model names its files by plain names only", name);
        return ox_err_fix(err, "do not use this folder: its files were changed or forged");
    }
#ifdef OXBOW_EMBED
    if (f->is_embedded) return get_embedded(name, data, n, err);
#endif
    for (int tries = 0; tries < 2; tries++) {
        for (size_t i = 0; i < f->n_files; i++) {
            if (strcmp(f->file[i].name, name) != 0) continue;
            *data = f->file[i].data;
            *n = f->file[i].n_bytes;
            return 0;
        }
        int rc = map_file(f, name, err);
        if (rc) return rc;
    }
    return OX_EFAIL;
}
