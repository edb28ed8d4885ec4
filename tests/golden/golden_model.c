/* golden_model.c - see golden_model.h. */
#include "tests/golden/golden_model.h"

#include "kernels/base/ox_mem.h"
#include "kernels/kn_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The f32 limits, docs/TESTING.md. Logits: for a standard deviation of 2.5, as the tiny models
 * have. */
static const double logits_limit = 1e-3, logits_std = 2.5, state_limit = 5e-4, hidden_nmse = 1e-7,
                    near_tie = 1e-2;
static const char golden_n[] = "65"; /* the sequence that states and hidden values belong to */

struct check {
    const struct golden_opts *o;
    struct golden_set gold;
    ox_engine *e;
    ox_session *s;
    struct golden_report *report;
    ox_err *err;
};

/* ---- the file ------------------------------------------------------------------------------- */

int golden_open(const char *folder, struct golden_set *out, ox_err *err) {
    const unsigned char *data;
    size_t n;
    *out = (struct golden_set){0};
    /* The default model's golden values are not linked into the program: read the source tree's. */
    int rc = folder_open(folder ? folder : OXBOW_SOURCE_DIR "/engine/default", &out->folder, err);
    if (!rc) rc = folder_get(out->folder, "golden.safetensors", &data, &n, err);
    if (!rc) rc = st_read(data, n, "golden.safetensors", &out->tensors, err);
    if (rc) golden_close(out);
    return rc ? ox_err_wrap(err, rc, "read golden values") : 0;
}

void golden_close(struct golden_set *g) {
    st_close(&g->tensors);
    folder_close(g->folder);
    *g = (struct golden_set){0};
}

struct ox_prefix golden_ids(const struct golden_set *g, const char *name) {
    const struct st_tensor *t = st_find(&g->tensors, name);
    if (!t || t->type != ST_I32 || (uintptr_t)t->data % sizeof(int32_t))
        return (struct ox_prefix){0};
    return (struct ox_prefix){(const int32_t *)(const void *)t->data, t->n_bytes / sizeof(int32_t)};
}

/* The tensor named head n tail, or NULL. */
static const struct st_tensor *find(const struct check *c, const char *head, const char *n,
                                    const char *tail) {
    char name[128];
    snprintf(name, sizeof name, "%s%s%s", head, n, tail);
    return st_find(&c->gold.tensors, name);
}

/* ---- comparing ------------------------------------------------------------------------------ */

struct difference {
    double max_abs, sum2, ref2, ref; /* sums over n elements */
    size_t n;
    bool has_nan;
};

static void compare(struct difference *d, float ours, float gold) {
    double diff = (double)ours - (double)gold;
    if (!isfinite(ours)) d->has_nan = true;
    if (fabs(diff) > d->max_abs) d->max_abs = fabs(diff);
    d->sum2 += diff * diff;
    d->ref += (double)gold;
    d->ref2 += (double)gold * (double)gold;
    d->n++;
}

static double rms_of(const struct difference *d) {
    return d->n ? sqrt(d->sum2 / (double)d->n) : 0;
}

static void report(struct check *c, const char *key, bool passed, const char *form, ...)
    OX_PRINTF(4, 5);
static void report(struct check *c, const char *key, bool passed, const char *form, ...) {
    char text[160];
    va_list args;
    va_start(args, form);
    vsnprintf(text, sizeof text, form, args);
    va_end(args);
    c->report->n_keys++;
    if (!passed) c->report->n_failed++;
    if (c->o->to)
        fprintf(c->o->to, "%-24s %s  %s\n", key, passed ? "pass" : "FAIL", text);
    else if (!passed)
        fprintf(stderr, "%s %s: %s: %s\n", c->o->folder ? c->o->folder : "default",
                c->report->backend, key, text);
}

/* NULL: the f32 limits. A sequence without a row of its own takes the last row. */
static const struct golden_limit *limit_of(const struct check *c, const char *n) {
    size_t n_limits = c->o->n_limits;
    for (size_t i = 0; i < n_limits; i++)
        if (strcmp(c->o->limits[i].n, n) == 0) return &c->o->limits[i];
    return n_limits ? &c->o->limits[n_limits - 1] : NULL;
}

static void judge_logits(struct check *c, const char *key, const char *n,
                         const struct difference *d) {
    double mean = d->n ? d->ref / (double)d->n : 0;
    double std = d->n ? sqrt(fmax(d->ref2 / (double)d->n - mean * mean, 0)) : 0;
    const struct golden_limit *l = limit_of(c, n);
    double max = l ? l->max_abs : logits_limit * fmax(1, std / logits_std);
    bool passed = d->n && !d->has_nan && d->max_abs <= max && (!l || rms_of(d) <= l->rms);
    report(c, key, passed, "max %.2e (limit %.2e) rms %.2e std %.2f", d->max_abs, max, rms_of(d),
           std);
}

/* ---- sequences ------------------------------------------------------------------------------ */

struct sequence {
    const struct check *c;
    const struct st_tensor *last, *all, *top1, *margin;
    size_t n, n_last, V;
    struct difference d_last, d_all;
    size_t n_top1, n_wrong, first_wrong;
};

static size_t argmax(const float *v, size_t n, float *gap) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (v[i] > v[best]) best = i;
    float second = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (i != best && v[i] > second) second = v[i];
    *gap = v[best] - second;
    return best;
}

static int32_t i32_at(const struct st_tensor *t, size_t i) {
    int32_t v;
    memcpy(&v, t->data + i * sizeof v, sizeof v);
    return v;
}

static int take_rows(void *user, size_t first, const float *logits, size_t n) {
    struct sequence *q = user;
    for (size_t r = 0; r < n; r++) {
        const float *row = logits + r * q->V;
        size_t at = first + r, from_end = q->n - at;
        for (size_t i = 0; q->last && from_end <= q->n_last && i < q->V; i++)
            compare(&q->d_last, row[i], st_f32(q->last, (q->n_last - from_end) * q->V + i));
        for (size_t i = 0; q->all && i < q->V; i++)
            compare(&q->d_all, row[i], st_f32(q->all, at * q->V + i));
        if (!q->top1) continue;
        float gap;
        size_t best = argmax(row, q->V, &gap);
        if ((double)(q->margin ? st_f32(q->margin, at) : gap) <= near_tie) continue;
        q->n_top1++;
        if ((int32_t)best != i32_at(q->top1, at) && q->n_wrong++ == 0) q->first_wrong = at;
    }
    return 0;
}

static int check_sequence(struct check *c, const char *n) {
    char key[128];
    snprintf(key, sizeof key, "ids.%s", n);
    struct ox_prefix ids = golden_ids(&c->gold, key);
    struct sequence q = {.c = c, .n = ids.n, .V = (size_t)c->e->config.n_vocab};
    if (c->o->max_n && ids.n > c->o->max_n) {
        c->report->n_left_out++;
        return 0;
    }
    q.last = find(c, "logits_last.", n, "");
    q.all = find(c, "logits_all.", n, "");
    q.top1 = find(c, "top1.", n, "");
    q.margin = find(c, "margin.", n, "");
    if (q.last) q.n_last = (size_t)q.last->dim[0];
    int rc = session_score(c->s, ids, take_rows, &q, c->err);
    if (rc) return ox_err_wrap(c->err, rc, key);
    snprintf(key, sizeof key, "logits_last.%s", n);
    if (q.last) judge_logits(c, key, n, &q.d_last);
    snprintf(key, sizeof key, "logits_all.%s", n);
    if (q.all) judge_logits(c, key, n, &q.d_all);
    snprintf(key, sizeof key, "top1.%s", n);
    if (q.top1)
        report(c, key, q.n_wrong == 0, "%zu of %zu positions differ, first %zu (%zu judged)",
               q.n_wrong, q.n, q.first_wrong, q.n_top1);
    return 0;
}

/* ---- hidden values and states --------------------------------------------------------------- */

static void judge_hidden(struct check *c, const char *key, const struct st_tensor *gold,
                         const float *x) {
    struct difference d = {0};
    for (size_t i = 0; i < gold->n_bytes / sizeof(float); i++)
        compare(&d, x[i], st_f32(gold, i));
    double nmse = d.ref2 > 0 ? d.sum2 / d.ref2 : d.sum2;
    report(c, key, !d.has_nan && (c->o->n_limits || nmse <= hidden_nmse),
           "max %.2e rms %.2e nmse %.1e", d.max_abs, rms_of(&d), nmse);
}

/* The residual stream after the final norm, from what the last layer left. */
static int judge_final(struct check *c, const float *x, int64_t T, int64_t D) {
    const struct st_tensor *gold = find(c, "hidden.final_norm", "", "");
    if (!gold) return 0;
    float *w = ox_alloc((size_t)(D + T * D), sizeof *w, "final norm", c->err),
          *y = w ? w + D : NULL;
    if (!w) return OX_ENOMEM;
    int rc = trace_read(&c->s->forward, c->e->weights.final_norm.data, KN_F32, D, w, c->err);
    for (int64_t t = 0; !rc && t < T; t++) {
        double sum = 0;
        for (int64_t i = 0; i < D; i++)
            sum += (double)x[t * D + i] * (double)x[t * D + i];
        double r = 1 / sqrt(sum / (double)D + (double)c->e->config.rms_eps);
        for (int64_t i = 0; i < D; i++)
            y[t * D + i] = (float)((double)w[i] * (double)x[t * D + i] * r);
    }
    if (!rc) judge_hidden(c, "hidden.final_norm", gold, y);
    ox_free(w);
    return rc;
}

static void take_hidden(void *user, const char *name, int32_t layer, const float *x, int64_t T,
                        int64_t D) {
    struct check *c = user;
    char key[64];
    if (layer < 0)
        snprintf(key, sizeof key, "hidden.%s", name);
    else
        snprintf(key, sizeof key, "hidden.%s.%d", name, layer);
    const struct st_tensor *gold = st_find(&c->gold.tensors, key);
    if (gold && gold->n_bytes == (size_t)(T * D) * sizeof(float)) judge_hidden(c, key, gold, x);
    if (layer == c->e->config.n_layers - 1) judge_final(c, x, T, D);
}

/* Compares [rows,cols] of ours with the golden tensor, which may be transposed, per head. */
static void judge_state(struct check *c, const char *key, const struct st_tensor *gold,
                        const float *ours, int64_t heads, int64_t rows, int64_t cols,
                        bool transposed) {
    struct difference d = {0};
    if (gold->n_bytes != (size_t)(heads * rows * cols) * sizeof(float)) {
        report(c, key, false, "another shape");
        return;
    }
    for (int64_t h = 0; h < heads; h++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < cols; i++) {
                int64_t at = transposed ? (h * cols + i) * rows + r : (h * rows + r) * cols + i;
                compare(&d, ours[(h * rows + r) * cols + i], st_f32(gold, (size_t)at));
            }
    double limit = c->o->n_limits ? c->o->state_limit : state_limit;
    report(c, key, !d.has_nan && d.max_abs <= limit, "max %.2e (limit %.1e) rms %.2e", d.max_abs,
           limit, rms_of(&d));
}

static int check_gdn_state(struct check *c, int32_t layer, int32_t i, float *mem) {
    const struct cache_shape *s = &c->e->shape;
    char key[64];
    snprintf(key, sizeof key, "state.%d.recurrent", layer);
    const struct st_tensor *gold = st_find(&c->gold.tensors, key);
    int rc = gold ? session_read_state(c->s, i, mem, c->err) : 0;
    /* The file has [Hv][dk][dv], we keep [Hv][Dv][Dk]. */
    if (gold && !rc) judge_state(c, key, gold, mem, s->n_v_heads, s->v_size, s->k_size, true);
    snprintf(key, sizeof key, "state.%d.conv", layer);
    gold = st_find(&c->gold.tensors, key);
    if (gold && !rc) rc = session_read_conv(c->s, i, mem, c->err);
    if (gold && !rc) judge_state(c, key, gold, mem, 1, s->n_kept, s->channels, true);
    return rc;
}

static int check_attn_state(struct check *c, int32_t layer, int32_t i, float *mem) {
    const struct cache_shape *s = &c->e->shape;
    char key[64];
    snprintf(key, sizeof key, "state.%d.k", layer);
    const struct st_tensor *k = st_find(&c->gold.tensors, key);
    if (!k || s->kv == KN_I8) return 0;
    int64_t n = (int64_t)c->s->n_fed;
    float *v = mem + (int64_t)s->n_kv_heads * n * s->head_size;
    int rc = session_read_kv(c->s, i, mem, v, c->err);
    if (rc) return rc;
    judge_state(c, key, k, mem, s->n_kv_heads, n, s->head_size, false);
    snprintf(key, sizeof key, "state.%d.v", layer);
    const struct st_tensor *gold = st_find(&c->gold.tensors, key);
    if (gold) judge_state(c, key, gold, v, s->n_kv_heads, n, s->head_size, false);
    return 0;
}

static int check_layers(struct check *c) {
    const struct cache_shape *s = &c->e->shape;
    struct ox_prefix ids = golden_ids(&c->gold, "ids.65");
    bool has_any = false;
    for (size_t i = 0; i < c->gold.tensors.n; i++)
        has_any |= strncmp(c->gold.tensors.v[i].name, "state.", 6) == 0 ||
                   strncmp(c->gold.tensors.v[i].name, "hidden.", 7) == 0;
    if (!has_any) return 0;
    if (!ids.n) {
        report(c, "state, hidden", false, "ids.%s is missing", golden_n);
        return 0;
    }
    size_t n_kv = 2 * ids.n * (size_t)(s->n_kv_heads * s->head_size);
    size_t n = n_kv + s->layer_state_bytes / 4 + (size_t)(s->n_kept * s->channels);
    float *mem = ox_alloc(n, sizeof *mem, "states", c->err);
    if (!mem) return OX_ENOMEM;
    session_listen(c->s, &(struct trace){c, take_hidden});
    session_lose(c->s); /* from the beginning: every layer is seen once */
    int rc = ox_session_sync(c->s, ids, NULL, NULL, c->err);
    session_listen(c->s, NULL);
    for (int32_t l = 0, i_gdn = 0, i_attn = 0; !rc && l < c->e->config.n_layers; l++)
        rc = c->e->config.kind[l] == OX_LAYER_GDN ? check_gdn_state(c, l, i_gdn++, mem)
                                                  : check_attn_state(c, l, i_attn++, mem);
    ox_free(mem);
    return rc;
}

/* ---- greedy runs ---------------------------------------------------------------------------- */

/* One greedy step; the drawn id joins the timeline even if it would end an answer. */
static int greedy_step(struct check *c, int32_t *all, size_t n, int32_t *tok, float *gap) {
    struct ox_sampling how = {.top_p = 1, .repeat = 1};
    size_t V = (size_t)c->e->config.n_vocab;
    float *logits = ox_alloc(V, sizeof *logits, "logits", c->err);
    if (!logits) return OX_ENOMEM;
    int rc = session_settle(c->s, c->err);
    if (!rc) rc = session_read_logits(c->s, logits, c->err);
    if (!rc) argmax(logits, V, gap);
    ox_free(logits);
    if (!rc) rc = ox_session_next(c->s, &how, tok, c->err);
    if (rc || !ox_is_stop(c->e, *tok)) return rc;
    all[n] = *tok;
    return ox_session_sync(c->s, (struct ox_prefix){all, n + 1}, NULL, NULL, c->err);
}

static int check_greedy(struct check *c, const char *p) {
    char key[64];
    snprintf(key, sizeof key, "greedy.%s.prompt", p);
    struct ox_prefix prompt = golden_ids(&c->gold, key);
    const struct st_tensor *gold = find(c, "greedy.", p, ".tokens");
    const struct st_tensor *margin = find(c, "greedy.", p, ".margin");
    snprintf(key, sizeof key, "greedy.%s", p);
    if (!prompt.n || !gold) return 0;
    size_t n = gold->n_bytes / sizeof(int32_t), i = 0;
    double tie = near_tie;
    for (size_t k = 0; k < c->o->n_limits; k++) /* 16 bit: below its own error anything may win */
        tie = fmax(tie, c->o->limits[k].max_abs);
    int32_t *all = ox_alloc(prompt.n + n, sizeof *all, "ids", c->err);
    if (!all) return OX_ENOMEM;
    memcpy(all, prompt.tok, prompt.n * sizeof *all);
    int rc = ox_session_sync(c->s, prompt, NULL, NULL, c->err);
    bool passed = true, is_tie = false;
    for (; !rc && i < n; i++) {
        int32_t tok = -1;
        float gap = 0;
        rc = greedy_step(c, all, prompt.n + i, &tok, &gap);
        all[prompt.n + i] = tok;
        if (rc || tok == i32_at(gold, i)) continue;
        is_tie = (double)(margin ? st_f32(margin, i) : gap) < tie;
        passed = is_tie;
        break;
    }
    ox_free(all);
    if (!rc)
        report(c, key, passed, "%zu of %zu ids equal%s", i, n,
               i == n   ? ""
               : is_tie ? ", then a near-tie"
                        : "");
    return rc;
}

/* ---- all keys ------------------------------------------------------------------------------- */

static int each_key(struct check *c, const char *head, const char *tail,
                    int (*run)(struct check *c, const char *n)) {
    size_t n_head = strlen(head), n_tail = strlen(tail);
    for (size_t i = 0; i < c->gold.tensors.n; i++) {
        const char *name = c->gold.tensors.v[i].name;
        size_t len = strlen(name);
        char n[64];
        if (len <= n_head + n_tail || strncmp(name, head, n_head) != 0 ||
            strcmp(name + len - n_tail, tail) != 0 || len - n_head - n_tail >= sizeof n)
            continue;
        memcpy(n, name + n_head, len - n_head - n_tail);
        n[len - n_head - n_tail] = '\0';
        int rc = run(c, n);
        if (rc) return rc;
    }
    return 0;
}

int golden_run(const struct golden_opts *o, struct golden_report *out, ox_err *err) {
    struct ox_engine_opts opts = *o->engine;
    struct check c = {.o = o, .report = out, .err = err};
    *out = (struct golden_report){0};
    opts.model_dir = o->folder;
    int rc = golden_open(o->folder, &c.gold, err);
    if (!rc)
        rc = o->kn ? engine_open_on(&opts, o->kn, o->which, &c.e, err)
                   : ox_engine_open(&opts, &c.e, err);
    if (!rc) rc = ox_session_open(c.e, &c.s, err);
    if (!rc) snprintf(out->backend, sizeof out->backend, "%s", ox_engine_info(c.e)->backend);
    if (!rc) rc = each_key(&c, "ids.", "", check_sequence);
    if (!rc) rc = check_layers(&c);
    if (!rc && !o->no_greedy) rc = each_key(&c, "greedy.", ".prompt", check_greedy);
    if (!rc && !out->n_keys)
        rc = ox_err_set(err, OX_EFORMAT, "golden.safetensors has no known key");
    ox_session_close(c.s);
    ox_engine_close(c.e);
    golden_close(&c.gold);
    return rc;
}
