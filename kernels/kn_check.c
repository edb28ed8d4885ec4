/* kn_check.c - see kn_check.h. Apart, so that every backend refuses the same calls with the same
 * words, and none of them has to defend itself inside its loops. */
#include "kernels/kn_check.h"

#include <stdint.h>

size_t kn_bytes(enum kn_dtype type, int64_t n) {
    if (n <= 0) return 0;
    switch (type) {
    case KN_NONE: return 0;
    case KN_F32:
    case KN_I32: return (size_t)n * 4;
    case KN_F16:
    case KN_BF16: return (size_t)n * 2;
    case KN_I8: return (size_t)n;
    case KN_I4: return ((size_t)n + 1) / 2;
    }
    return 0;
}

const char *kn_dtype_name(enum kn_dtype type) {
    switch (type) {
    case KN_NONE: return "none";
    case KN_F32: return "f32";
    case KN_F16: return "f16";
    case KN_BF16: return "bf16";
    case KN_I8: return "int8";
    case KN_I4: return "int4";
    case KN_I32: return "i32";
    }
    return "unknown";
}

size_t kn_kv_block_bytes(enum kn_dtype kv, int64_t head_size) {
    size_t rows = kn_bytes(kv, head_size) * KN_PAGE_TOKENS;
    /* One bf16 scale for each 64 channels of a row, docs/STORE.md section 5. */
    if (kv == KN_I8) rows += (size_t)((head_size + 63) / 64) * 2 * KN_PAGE_TOKENS;
    return rows;
}

/* What a tensor has to look like. type KN_NONE: any type that `or_f32` does not narrow. */
struct want {
    const char *op, *name;
    int64_t rows, cols;
    enum kn_dtype type;
    bool or_f32; /* f32 will do as well */
};

static int check_tensor(kn_in t, const struct want *w, ox_err *err) {
    if (!t->data)
        return ox_err_set(err, OX_EUSAGE, "%s %s: expected [%lld,%lld] %s, got no tensor", w->op,
                          w->name, (long long)w->rows, (long long)w->cols, kn_dtype_name(w->type));
    bool is_type = t->dtype == w->type || (w->or_f32 && t->dtype == KN_F32);
    if (is_type && t->rows == w->rows && t->cols == w->cols) return 0;
    return ox_err_set(err, OX_EUSAGE, "%s %s: expected [%lld,%lld] %s%s, got [%lld,%lld] %s", w->op,
                      w->name, (long long)w->rows, (long long)w->cols, kn_dtype_name(w->type),
                      w->or_f32 ? " or f32" : "", (long long)t->rows, (long long)t->cols,
                      kn_dtype_name(t->dtype));
}

static int refuse(ox_err *err, const char *op, const char *why) {
    return ox_err_set(err, OX_EUSAGE, "%s: %s", op, why);
}

/* ---- pack ---------------------------------------------------------------------------------- */

static int check_quantised(const struct kn_part *p, ox_err *err) {
    bool is_known =
        p->scale_dtype == KN_F32 || p->scale_dtype == KN_F16 || p->scale_dtype == KN_BF16;
    if (!p->scale || !is_known)
        return refuse(err, "pack", "int8 and int4 need scales in f32, f16 or bf16");
    if (p->group < 0 || (p->group > 0 && p->cols % p->group))
        return ox_err_set(err, OX_EUSAGE, "pack: group %lld does not divide %lld columns",
                          (long long)p->group, (long long)p->cols);
    return 0;
}

int kn_check_part(const struct kn_part *part, int n, ox_err *err) {
    if (n < 1 || n > KN_PARTS) return refuse(err, "pack", "1 to 6 parts make a weight");
    for (int i = 0; i < n; i++) {
        const struct kn_part *p = &part[i];
        if (!p->data || p->rows < 1 || p->cols < 1)
            return ox_err_set(err, OX_EUSAGE, "pack: part %d is [%lld,%lld] and %s data", i,
                              (long long)p->rows, (long long)p->cols, p->data ? "has" : "has no");
        if (p->cols != part[0].cols)
            return ox_err_set(err, OX_EUSAGE, "pack: part %d has %lld columns, part 0 has %lld", i,
                              (long long)p->cols, (long long)part[0].cols);
        switch (p->dtype) {
        case KN_F32:
        case KN_F16:
        case KN_BF16: break;
        case KN_I8:
        case KN_I4: {
            int rc = check_quantised(p, err);
            if (rc) return rc;
            break;
        }
        case KN_NONE:
        case KN_I32: return refuse(err, "pack", "weights are f32, f16, bf16, int8 or int4");
        }
    }
    return 0;
}

/* ---- linear -------------------------------------------------------------------------------- */

static int check_prologue(const struct kn_linear *l, enum kn_dtype act, ox_err *err) {
    const char *op = "linear";
    int64_t T = l->x.rows, D = l->x.cols;
    int rc = 0;
    if (l->add.data) {
        if (l->x.dtype != KN_F32) return refuse(err, op, "add changes x: x must be f32");
        rc = check_tensor(&l->add, &(struct want){op, "add", T, D, act, false}, err);
        if (!rc)
            rc = check_tensor(&l->add_norm, &(struct want){op, "add_norm", 1, D, KN_F32, false},
                              err);
    }
    if (!rc && l->norm.data) {
        if (l->norm.cols < 1 || D % l->norm.cols)
            return ox_err_set(err, OX_EUSAGE, "linear norm: width %lld does not divide %lld",
                              (long long)l->norm.cols, (long long)D);
        struct want w = {op, "norm", 1, l->norm.cols, KN_F32, false};
        rc = check_tensor(&l->norm, &w, err);
    }
    if (!rc && l->gate.data)
        rc = check_tensor(&l->gate, &(struct want){op, "gate", T, D, act, false}, err);
    return rc;
}

int kn_check_linear(const struct kn_linear *l, const struct kn_part *shape, int n_parts,
                    enum kn_dtype act, ox_err *err) {
    const char *op = "linear";
    int64_t T = l->x.rows;
    if (T < 1) return refuse(err, op, "no rows");
    struct want x = {op, "x", T, shape[0].cols, act, true};
    int rc = check_tensor(&l->x, &x, err);
    if (!rc) rc = check_prologue(l, act, err);
    if (rc) return rc;
    switch (l->epi) {
    case KN_EPI_STORE:
        for (int i = 0; !rc && i < n_parts; i++)
            rc = check_tensor(&l->out[i], &(struct want){op, "out", T, shape[i].rows, act, true},
                              err);
        return rc;
    case KN_EPI_ADD:
        if (n_parts != 1) return refuse(err, op, "add takes one part");
        return check_tensor(&l->out[0], &(struct want){op, "out", T, shape[0].rows, KN_F32, false},
                            err);
    case KN_EPI_SWIGLU:
        if (n_parts != 2 || shape[0].rows != shape[1].rows)
            return refuse(err, op, "swiglu takes two parts of one shape");
        return check_tensor(&l->out[0], &(struct want){op, "out", T, shape[0].rows, act, true},
                            err);
    }
    return refuse(err, op, "unknown epilogue");
}

/* ---- gdn, attn ----------------------------------------------------------------------------- */

static int check_all(const struct want *want, kn_in const *have, int n, ox_err *err) {
    int rc = 0;
    for (int i = 0; !rc && i < n; i++)
        rc = check_tensor(have[i], &want[i], err);
    return rc;
}

int kn_check_gdn(const struct kn_gdn *g, enum kn_dtype act, ox_err *err) {
    const char *op = "gdn";
    int64_t T = g->q.rows, Hk = g->n_k_heads, Hv = g->n_v_heads;
    if (T < 1 || Hk < 1 || Hv < 1 || Hv % Hk)
        return refuse(err, op, "needs tokens, and value heads that key heads divide");
    if (g->q.cols % Hk || g->v.cols % Hv) return refuse(err, op, "heads do not divide the width");
    int64_t Kd = g->q.cols, Vd = g->v.cols, channels = 2 * Kd + Vd, W = g->taps.cols;
    if (W < 1) return refuse(err, op, "no convolution taps");
    const struct want want[] = {
        {op, "q", T, Kd, act, false},
        {op, "k", T, Kd, act, false},
        {op, "v", T, Vd, act, false},
        {op, "a", T, Hv, KN_F32, false},
        {op, "b", T, Hv, KN_F32, false},
        {op, "taps", channels, W, KN_F32, false},
        {op, "a_log", 1, Hv, KN_F32, false},
        {op, "dt_bias", 1, Hv, KN_F32, false},
        {op, "state", Vd, Kd / Hk, KN_F32, false},
        {op, "out", T, Vd, act, false},
        {op, "conv", W - 1, channels, act, false},
    };
    kn_in have[] = {&g->q,     &g->k,       &g->v,     &g->a,   &g->b,   &g->taps,
                    &g->a_log, &g->dt_bias, &g->state, &g->out, &g->conv};
    return check_all(want, have, W > 1 ? 11 : 10, err);
}

int kn_check_attn(const struct kn_attn *a, const struct kn_step *s, enum kn_dtype act,
                  ox_err *err) {
    const char *op = "attn";
    int64_t T = a->q.rows, H = a->n_heads, Hkv = a->n_kv_heads;
    if (T < 1 || H < 1 || Hkv < 1 || H % Hkv)
        return refuse(err, op, "needs tokens, and query heads that key/value heads divide");
    if (a->q.cols % H) return refuse(err, op, "heads do not divide the width");
    int64_t Dh = a->q.cols / H;
    const struct want want[] = {
        {op, "q", T, H * Dh, act, false},           {op, "k", T, Hkv * Dh, act, false},
        {op, "v", T, Hkv * Dh, act, false},         {op, "q_norm", 1, H * Dh, KN_F32, false},
        {op, "k_norm", 1, Hkv * Dh, KN_F32, false}, {op, "out", T, H * Dh, act, false},
    };
    kn_in have[] = {&a->q, &a->k, &a->v, &a->q_norm, &a->k_norm, &a->out};
    int rc = check_all(want, have, 6, err);
    if (rc) return rc;
    if (a->kv != KN_F32 && a->kv != KN_BF16 && a->kv != KN_I8)
        return refuse(err, op, "keys and values are stored in f32, bf16 or int8");
    if (a->rope_theta > 0.0f && Dh % 2) return refuse(err, op, "rotation needs an even head size");
    if (!s || s->n_cached < 0 || s->n_tok != T)
        return refuse(err, op, "the step has another number of tokens");
    int64_t n_pages = (s->n_cached + T + KN_PAGE_TOKENS - 1) / KN_PAGE_TOKENS;
    for (int64_t i = 0; i < n_pages; i++)
        if (!s->pages || !s->pages[i])
            return ox_err_set(err, OX_EUSAGE, "attn: page %lld of %lld is missing", (long long)i,
                              (long long)n_pages);
    return 0;
}
