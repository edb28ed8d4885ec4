/* fake_backend.c - see fake_backend.h. */
#include "tests/support/fake_backend.h"

#include "kernels/base/ox_mem.h"

#include <assert.h>
#include <string.h>

enum { MAX_RECORDINGS = 1024, MAX_OPS = 512, MAX_DRAINS = 8 };

enum op_kind { OP_EMBED, OP_LINEAR, OP_GDN, OP_ATTN };
struct op {
    enum op_kind kind;
    union {
        struct {
            kn_tensor out;
            const kn_weight *table;
        } embed;
        struct kn_linear linear;
        struct kn_gdn gdn;
        struct kn_attn attn;
    } u;
};
struct recording {
    uint64_t key;
    int32_t n_tok;
    struct op *op;
    int n_ops;
};
struct drain {
    uint64_t ticket;
    void *to;
    const void *from;
    size_t n;
};

/* This file's own device; the CPU's is behind it. */
struct kn_dev {
    kn_dev *cpu;
    struct recording rec[MAX_RECORDINGS];
    int n_recs;
    struct recording *making; /* the step in work is being recorded */
    struct drain drain[MAX_DRAINS];
    int n_drains;
    uint64_t n_tickets;
};

static struct fake_backend settings = {.ahead = true};

struct fake_backend *fake_backend_settings(void) {
    return &settings;
}

void fake_backend_reset(void) {
    settings = (struct fake_backend){.ahead = true};
}

/* ---- device, memory ------------------------------------------------------------------------- */

static int fake_open(const struct kn_open *how, kn_dev **out, ox_err *err) {
    kn_dev *d = ox_alloc(1, sizeof *d, "fake device", err);
    if (!d) return OX_ENOMEM;
    int rc = kn_cpu()->open(how, &d->cpu, err);
    if (rc) {
        ox_free(d);
        return rc;
    }
    *out = d;
    return 0;
}

static void fake_close(kn_dev *d) {
    if (!d) return;
    for (int i = 0; i < d->n_recs; i++)
        ox_free(d->rec[i].op);
    kn_cpu()->close(d->cpu);
    ox_free(d);
}

static int fake_facts(kn_dev *d, struct kn_facts *out, ox_err *err) {
    int rc = kn_cpu()->facts(d->cpu, out, err);
    out->ahead = settings.ahead;
    if (settings.chunk_tokens) out->chunk_tokens = settings.chunk_tokens;
    return rc;
}

static int fake_alloc(kn_dev *d, enum kn_mem where, size_t bytes, void **out, ox_err *err) {
    return kn_cpu()->alloc(d->cpu, where, bytes, out, err);
}

static void fake_release(kn_dev *d, void *mem) {
    kn_cpu()->release(d->cpu, mem);
}

static int fake_pack(kn_dev *d, const struct kn_part *part, int n, kn_weight **out, ox_err *err) {
    return kn_cpu()->pack(d->cpu, part, n, out, err);
}

static void fake_drop(kn_dev *d, kn_weight *w) {
    kn_cpu()->drop(d->cpu, w);
}

static size_t fake_weight_bytes(const kn_weight *w) {
    return kn_cpu()->weight_bytes(w);
}

static int fake_copy(kn_dev *d, void *dst, const void *src, size_t bytes, ox_err *err) {
    return kn_cpu()->copy(d->cpu, dst, src, bytes, err);
}

/* The copy is made when somebody waits for it: whoever changes the source before has a race. */
static int fake_drain(kn_dev *d, void *pinned, const void *src, size_t bytes, uint64_t *ticket,
                      ox_err *err) {
    if (d->n_drains == MAX_DRAINS) return ox_err_set(err, OX_EBUSY, "too many copies under way");
    settings.n_drains++;
    *ticket = ++d->n_tickets;
    d->drain[d->n_drains++] = (struct drain){*ticket, pinned, src, bytes};
    return 0;
}

static int fake_wait(kn_dev *d, uint64_t ticket, ox_err *err) {
    for (int i = 0; i < d->n_drains; i++) {
        struct drain it = d->drain[i];
        if (it.ticket != ticket) continue;
        d->drain[i] = d->drain[--d->n_drains];
        return kn_cpu()->copy(d->cpu, it.to, it.from, it.n, err);
    }
    return ox_err_set(err, OX_EUSAGE, "wait: no such ticket");
}

static int fake_sync(kn_dev *d, ox_err *err) {
    return kn_cpu()->sync(d->cpu, err);
}

/* ---- operations ----------------------------------------------------------------------------- */

static int run_op(kn_dev *d, const struct op *op, ox_err *err) {
    settings.n_ops++;
    if (settings.on_op) settings.on_op(settings.user);
    switch (op->kind) {
    case OP_EMBED: return kn_cpu()->embed(d->cpu, &op->u.embed.out, op->u.embed.table, err);
    case OP_LINEAR: return kn_cpu()->linear(d->cpu, &op->u.linear, err);
    case OP_GDN: return kn_cpu()->gdn(d->cpu, &op->u.gdn, err);
    case OP_ATTN: return kn_cpu()->attn(d->cpu, &op->u.attn, err);
    }
    return OX_EFAIL;
}

static int issue(kn_dev *d, const struct op *op, ox_err *err) {
    if (d->making && d->making->n_ops < MAX_OPS) d->making->op[d->making->n_ops++] = *op;
    return run_op(d, op, err);
}

static int fake_embed(kn_dev *d, kn_in out, const kn_weight *table, ox_err *err) {
    struct op op = {.kind = OP_EMBED};
    op.u.embed.out = *out;
    op.u.embed.table = table;
    return issue(d, &op, err);
}

static int fake_linear(kn_dev *d, const struct kn_linear *l, ox_err *err) {
    struct op op = {.kind = OP_LINEAR};
    op.u.linear = *l;
    return issue(d, &op, err);
}

static int fake_gdn(kn_dev *d, const struct kn_gdn *g, ox_err *err) {
    struct op op = {.kind = OP_GDN};
    op.u.gdn = *g;
    return issue(d, &op, err);
}

static int fake_attn(kn_dev *d, const struct kn_attn *a, ox_err *err) {
    struct op op = {.kind = OP_ATTN};
    op.u.attn = *a;
    return issue(d, &op, err);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static struct recording *find_recording(kn_dev *d, const struct kn_step *s) {
    for (int i = 0; i < d->n_recs; i++)
        if (d->rec[i].key == s->key && d->rec[i].n_tok == s->n_tok) return &d->rec[i];
    return NULL;
}

static int replay(kn_dev *d, const struct recording *r, ox_err *err) {
    int rc = 0;
    settings.n_replayed++;
    for (int i = 0; !rc && i < r->n_ops; i++)
        rc = run_op(d, &r->op[i], err);
    int end = kn_cpu()->end(d->cpu, rc ? NULL : err);
    return rc ? rc : end;
}

static int fake_begin(kn_dev *d, const struct kn_step *s, bool *replayed, ox_err *err) {
    d->making = NULL;
    int rc = kn_cpu()->begin(d->cpu, s, replayed, err);
    if (rc || *replayed) return rc; /* behind a stop id: nothing happens */
    settings.n_steps++;
    if (!s->key || settings.no_recording) return 0;
    struct recording *r = find_recording(d, s);
    if (r) {
        *replayed = true;
        return replay(d, r, err);
    }
    if (d->n_recs == MAX_RECORDINGS) return 0;
    r = &d->rec[d->n_recs];
    *r =
        (struct recording){s->key, s->n_tok, ox_alloc(MAX_OPS, sizeof *r->op, "recording", err), 0};
    if (!r->op) return OX_ENOMEM;
    d->n_recs++;
    d->making = r;
    return 0;
}

static int fake_end(kn_dev *d, ox_err *err) {
    if (d->making) settings.n_recorded++;
    d->making = NULL;
    return kn_cpu()->end(d->cpu, err);
}

static int fake_sample(kn_dev *d, kn_in logits, const struct kn_sample *how, ox_err *err) {
    return kn_cpu()->sample(d->cpu, logits, how, err);
}

static int fake_drawn(kn_dev *d, int32_t *tok, ox_err *err) {
    return kn_cpu()->drawn(d->cpu, tok, err);
}

const struct kn_backend *fake_backend(void) {
    static const struct kn_backend backend = {
        .name = "fake",
        .open = fake_open,
        .close = fake_close,
        .facts = fake_facts,
        .alloc = fake_alloc,
        .release = fake_release,
        .pack = fake_pack,
        .drop = fake_drop,
        .weight_bytes = fake_weight_bytes,
        .copy = fake_copy,
        .drain = fake_drain,
        .wait = fake_wait,
        .sync = fake_sync,
        .begin = fake_begin,
        .end = fake_end,
        .embed = fake_embed,
        .linear = fake_linear,
        .gdn = fake_gdn,
        .attn = fake_attn,
        .sample = fake_sample,
        .drawn = fake_drawn,
    };
    return &backend;
}
