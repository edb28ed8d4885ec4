/* recording_backend.h - a kn_backend that computes nothing: it keeps what pack was given and counts
 * what is alive, so that a test can see what the loader hands over. For one test program. */
#ifndef RECORDING_BACKEND_H
#define RECORDING_BACKEND_H

#include "kernels/base/ox_mem.h"
#include "kernels/kn.h"

#include <string.h>

struct kn_weight {
    struct kn_part part[KN_PARTS];
    int n;
};
struct kn_dev {
    int n_weights, n_blocks; /* alive */
    int n_packed;            /* calls of pack so far */
    int fail_at;             /* the call of pack that fails; 0: none */
};

static int rec_alloc(kn_dev *dev, enum kn_mem where, size_t bytes, void **out, ox_err *err) {
    (void)where;
    *out = ox_alloc64(bytes, 1, "test block", err);
    if (!*out) return OX_ENOMEM;
    dev->n_blocks++;
    return 0;
}

static void rec_release(kn_dev *dev, void *mem) {
    dev->n_blocks -= mem != NULL;
    ox_free(mem);
}

static int rec_pack(kn_dev *dev, const struct kn_part *part, int n, kn_weight **out, ox_err *err) {
    if (++dev->n_packed == dev->fail_at) return ox_err_set(err, OX_EDEVICE, "asked to fail");
    kn_weight *w = ox_alloc(1, sizeof *w, "test weight", err);
    if (!w) return OX_ENOMEM;
    memcpy(w->part, part, (size_t)n * sizeof *part);
    w->n = n;
    dev->n_weights++;
    *out = w;
    return 0;
}

static void rec_drop(kn_dev *dev, kn_weight *w) {
    dev->n_weights -= w != NULL;
    ox_free(w);
}

static size_t rec_weight_bytes(const kn_weight *w) {
    return (size_t)w->n;
}

static int rec_copy(kn_dev *dev, void *dst, const void *src, size_t bytes, ox_err *err) {
    (void)dev;
    (void)err;
    memcpy(dst, src, bytes);
    return 0;
}

static const struct kn_backend recording_backend = {
    .name = "recording",
    .alloc = rec_alloc,
    .release = rec_release,
    .pack = rec_pack,
    .drop = rec_drop,
    .weight_bytes = rec_weight_bytes,
    .copy = rec_copy,
};

#endif
