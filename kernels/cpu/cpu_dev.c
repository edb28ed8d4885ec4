/* cpu_dev.c - kn_cpu(): the open device, memory, steps and draws. The arithmetic is in ref_*.c and
 * in the vector files; which of them runs was decided at open. Nothing is asynchronous here: a copy
 * is done when it returns, and tickets are always due. */
#include "kernels/cpu/cpu_level.h"
#include "kernels/cpu/cpu_ref.h"

#include <stdio.h>

/* Raise by one whenever a result of any level may change in one bit: stored states of the old
 * arithmetic are then read again instead of mixed with new ones. */
enum { NUMERICS_REVISION = 5 };
enum { CHUNK_TOKENS = 256 }; /* a page; weights are then streamed once for 256 rows */

/* ---- threads and scratch ------------------------------------------------------------------- */

int cpu_threads(const kn_dev *dev) {
    return dev->host && dev->host->parallel && dev->host->n_threads > 1 ? dev->host->n_threads : 1;
}

void cpu_parallel(kn_dev *dev, int n, void (*task)(void *arg, int i), void *arg) {
    if (n > 1 && cpu_threads(dev) > 1) {
        dev->host->parallel(dev->host->user, n, task, arg);
        return;
    }
    for (int i = 0; i < n; i++)
        task(arg, i);
}

int cpu_scratch(kn_dev *dev, size_t bytes, void **out, ox_err *err) {
    if (bytes > dev->scratch_bytes) {
        void *p = ox_alloc64(bytes, 1, "kernel scratch", err);
        if (!p) return OX_ENOMEM;
        ox_free(dev->scratch);
        dev->scratch = p;
        dev->scratch_bytes = bytes;
    }
    *out = dev->scratch;
    return 0;
}

enum { SLAB_BYTES = 32 << 20 }; /* its end is not touched, only its place is taken */

int cpu_slab_take(kn_dev *dev, size_t bytes, struct cpu_slab **slab, char **out, ox_err *err) {
    struct cpu_slab *s = dev->slab;
    if (!s || s->cap - s->used < bytes) {
        size_t cap = bytes > SLAB_BYTES ? bytes : SLAB_BYTES;
        s = ox_alloc(1, sizeof *s, "packed weights", err);
        if (!s) return OX_ENOMEM;
        s->mem = ox_reserve64(cap, "packed weights", err);
        if (!s->mem) {
            ox_free(s);
            return OX_ENOMEM;
        }
        s->cap = cap;
        dev->slab = s; /* the one before belongs to its weights */
    }
    *out = memset(s->mem + s->used, 0, bytes);
    s->used += (bytes + 63) / 64 * 64;
    s->n_users++;
    *slab = s;
    return 0;
}

void cpu_slab_drop(kn_dev *dev, struct cpu_slab *slab) {
    if (!slab || --slab->n_users > 0) return;
    if (dev->slab == slab) dev->slab = NULL;
    ox_free(slab->mem);
    ox_free(slab);
}

/* ---- open ---------------------------------------------------------------------------------- */

static const struct cpu_level *find_level(const char *which) {
    int n;
    const struct cpu_level *level = cpu_levels(&n);
    for (int i = n - 1; i >= 0; i--) {
        if (which && strcmp(which, level[i].name) != 0) continue;
        if (level[i].is_supported()) return &level[i];
    }
    return NULL;
}

static int refuse_level(const char *which, ox_err *err) {
    int n;
    const struct cpu_level *level = cpu_levels(&n);
    char have[128] = "";
    size_t used = 0;
    for (int i = 0; i < n; i++)
        if (level[i].is_supported() && used < sizeof have)
            used += (size_t)snprintf(have + used, sizeof have - used, "%scpu-%s", used ? ", " : "",
                                     level[i].name);
    ox_err_set(err, OX_EDEVICE, "this machine cannot run cpu-%s", which);
    ox_err_fix(err, "choose one of %s, or leave --backend out for the best", have);
    return OX_EDEVICE;
}

static int cpu_open(const struct kn_open *how, kn_dev **out, ox_err *err) {
    const struct cpu_level *level = find_level(how->which);
    if (!level) return refuse_level(how->which, err);
    kn_dev *dev = ox_alloc(1, sizeof *dev, "CPU device", err);
    if (!dev) return OX_ENOMEM;
    dev->host = how->host;
    dev->level = level;
    dev->f32_act = how->f32_act;
    *out = dev;
    return 0;
}

static void cpu_close(kn_dev *dev) {
    if (!dev) return;
    ox_free(dev->scratch);
    ox_free(dev);
}

static int cpu_facts(kn_dev *dev, struct kn_facts *out, ox_err *err) {
    (void)err;
    int n;
    const struct cpu_level *levels = cpu_levels(&n);
    *out = (struct kn_facts){.act = KN_F32, .chunk_tokens = CHUNK_TOKENS};
    out->n_threads = cpu_threads(dev);
    /* Levels are named in `space`; their place in the table separates them here as well. */
    out->numerics = (uint64_t)NUMERICS_REVISION << 16 | (uint64_t)(dev->level - levels) << 8 |
                    (uint64_t)dev->f32_act;
    snprintf(out->space, sizeof out->space, "cpu-%s", dev->level->name);
    char brand[64];
    cpu_brand(brand, sizeof brand);
    snprintf(out->device, sizeof out->device, "%s, %d thread%s", brand, out->n_threads,
             out->n_threads == 1 ? "" : "s");
    return 0;
}

/* ---- memory -------------------------------------------------------------------------------- */

static int cpu_alloc(kn_dev *dev, enum kn_mem where, size_t bytes, void **out, ox_err *err) {
    (void)where;
    *out = cpu_page_alloc(dev, bytes, err);
    return *out ? 0 : OX_ENOMEM;
}

static void cpu_release(kn_dev *dev, void *mem) {
    cpu_page_release(dev, mem);
}

static int cpu_copy(kn_dev *dev, void *dst, const void *src, size_t bytes, ox_err *err) {
    (void)dev;
    (void)err;
    if (bytes) memcpy(dst, src, bytes);
    return 0;
}

static int cpu_drain(kn_dev *dev, void *pinned, const void *src, size_t bytes, uint64_t *ticket,
                     ox_err *err) {
    *ticket = 1;
    return cpu_copy(dev, pinned, src, bytes, err);
}

static int cpu_wait(kn_dev *dev, uint64_t ticket, ox_err *err) {
    (void)dev;
    (void)ticket;
    (void)err;
    return 0;
}

static int cpu_sync(kn_dev *dev, ox_err *err) {
    return cpu_wait(dev, 0, err);
}

/* ---- weights ------------------------------------------------------------------------------- */

static void cpu_drop(kn_dev *dev, kn_weight *w) {
    if (!w) return;
    cpu_slab_drop(dev, w->slab);
    ox_free(w);
}

static int cpu_pack(kn_dev *dev, const struct kn_part *part, int n, kn_weight **out, ox_err *err) {
    int rc = kn_check_part(part, n, err);
    if (rc) return rc;
    kn_weight *w = ox_alloc(1, sizeof *w, "packed weight", err);
    if (!w) return OX_ENOMEM;
    w->n_parts = n;
    memcpy(w->part, part, (size_t)n * sizeof *part);
    if (dev->level->pack) rc = dev->level->pack(dev, w, err);
    if (rc) {
        cpu_drop(dev, w);
        return rc;
    }
    *out = w;
    return 0;
}

static size_t cpu_weight_bytes(const kn_weight *w) {
    return w->n_bytes;
}

/* ---- steps --------------------------------------------------------------------------------- */

static int cpu_begin(kn_dev *dev, const struct kn_step *s, bool *replayed, ox_err *err) {
    *replayed = false;
    if (dev->in_step) return ox_err_set(err, OX_EUSAGE, "begin: the step before has no end");
    if (s->n_tok < 1 || s->n_cached < 0 || (!s->tok && s->n_tok != 1))
        return ox_err_set(err, OX_EUSAGE, "begin: %d tokens after %lld", s->n_tok,
                          (long long)s->n_cached);
    if (s->tok) {
        dev->stop_drawn = dev->is_skipping = false;
    } else if (dev->stop_drawn) { /* queued behind a stop id: changes nothing */
        dev->is_skipping = *replayed = true;
        return 0;
    }
    dev->step = *s;
    dev->in_step = true;
    return 0;
}

static int cpu_end(kn_dev *dev, ox_err *err) {
    if (!dev->in_step) return ox_err_set(err, OX_EUSAGE, "end: there was no begin");
    dev->in_step = false;
    return 0;
}

static int need_step(const kn_dev *dev, const char *op, ox_err *err) {
    return dev->in_step ? 0 : ox_err_set(err, OX_EUSAGE, "%s: outside begin and end", op);
}

static int cpu_embed(kn_dev *dev, kn_in out, const kn_weight *table, ox_err *err) {
    int rc = need_step(dev, "embed", err);
    if (rc) return rc;
    const struct kn_part *p = &table->part[0];
    if (out->dtype != KN_F32 || out->rows != dev->step.n_tok || out->cols != p->cols)
        return ox_err_set(err, OX_EUSAGE, "embed out: expected [%d,%lld] f32, got [%lld,%lld] %s",
                          dev->step.n_tok, (long long)p->cols, (long long)out->rows,
                          (long long)out->cols, kn_dtype_name(out->dtype));
    const int32_t *tok = dev->step.tok ? dev->step.tok : &dev->last_tok;
    for (int64_t t = 0; t < out->rows; t++)
        if (tok[t] < 0 || tok[t] >= p->rows)
            return ox_err_set(err, OX_EUSAGE, "embed: token %d of a table of %lld", (int)tok[t],
                              (long long)p->rows);
    return (dev->level->embed ? dev->level->embed : ref_embed)(dev, out, table, tok, err);
}

static int cpu_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    int rc = need_step(dev, "linear", err);
    if (!rc) rc = kn_check_linear(l, l->w->part, l->w->n_parts, KN_F32, err);
    if (rc) return rc;
    return (dev->level->linear ? dev->level->linear : ref_linear)(dev, l, err);
}

static int cpu_gdn(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    int rc = need_step(dev, "gdn", err);
    if (!rc) rc = kn_check_gdn(g, KN_F32, err);
    if (rc) return rc;
    return (dev->level->gdn ? dev->level->gdn : ref_gdn)(dev, g, err);
}

static int cpu_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    int rc = need_step(dev, "attn", err);
    if (!rc) rc = kn_check_attn(a, &dev->step, KN_F32, err);
    if (rc) return rc;
    return (dev->level->attn ? dev->level->attn : ref_attn)(dev, a, err);
}

/* ---- draws --------------------------------------------------------------------------------- */

static int cpu_sample(kn_dev *dev, kn_in logits, const struct kn_sample *how, ox_err *err) {
    if (dev->is_skipping) return 0; /* void: its step did not run */
    if (logits->dtype != KN_F32 || logits->rows != 1 || logits->cols < 1 || how->n_vocab < 1)
        return ox_err_set(err, OX_EUSAGE, "sample: logits are [1,V] f32, got [%lld,%lld] %s",
                          (long long)logits->rows, (long long)logits->cols,
                          kn_dtype_name(logits->dtype));
    if (dev->n_draws == CPU_DRAWS)
        return ox_err_set(err, OX_EUSAGE, "sample: %d draws wait to be fetched", dev->n_draws);
    size_t V = (size_t)logits->cols;
    void *mem;
    int rc = cpu_scratch(dev, V * (sizeof(double) + sizeof(struct ref_candidate)), &mem, err);
    if (rc) return rc;
    double *p = mem;
    void *work = p + V;
    int32_t tok = ref_draw(logits->data, logits->cols, how, p, work);
    for (int32_t i = 0; i < how->n_stop; i++)
        if (how->stop[i] == tok) dev->stop_drawn = true;
    dev->last_tok = tok;
    dev->draw[(dev->first_draw + dev->n_draws++) % CPU_DRAWS] = tok;
    return 0;
}

static int cpu_drawn(kn_dev *dev, int32_t *tok, ox_err *err) {
    if (dev->n_draws == 0) return ox_err_set(err, OX_EUSAGE, "drawn: nothing was drawn");
    *tok = dev->draw[dev->first_draw];
    dev->first_draw = (dev->first_draw + 1) % CPU_DRAWS;
    if (--dev->n_draws == 0) dev->stop_drawn = dev->is_skipping = false;
    return 0;
}

const struct kn_backend *kn_cpu(void) {
    static const struct kn_backend backend = {
        .name = "cpu",
        .open = cpu_open,
        .close = cpu_close,
        .facts = cpu_facts,
        .alloc = cpu_alloc,
        .release = cpu_release,
        .pack = cpu_pack,
        .drop = cpu_drop,
        .weight_bytes = cpu_weight_bytes,
        .copy = cpu_copy,
        .drain = cpu_drain,
        .wait = cpu_wait,
        .sync = cpu_sync,
        .begin = cpu_begin,
        .end = cpu_end,
        .embed = cpu_embed,
        .linear = cpu_linear,
        .gdn = cpu_gdn,
        .attn = cpu_attn,
        .sample = cpu_sample,
        .drawn = cpu_drawn,
    };
    return &backend;
}
