/* cpu_pack.c - packs the parts of a weight for the vector levels: 32-bit words transposed in blocks
 * of 16 rows, one layout for every type (cpu.h, struct cpu_mat). Plain C: it moves bytes, and both
 * sides are faster than the memory they come from. */
#include "kernels/cpu/cpu_fast.h"

enum {
    COL_UNIT = 64,   /* columns are padded to it: kernels step over 64 inputs at a time */
    RUN_BYTES = 6144 /* of words behind one set of scales, at most; from 6.7 KB on decode reads 14
                      * in place of 28 GB/s */
};

static int64_t round_up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

static int type_bits(enum kn_dtype type) {
    return type == KN_I4 ? 4 : type == KN_I8 ? 8 : type == KN_F32 ? 32 : 16;
}

static bool is_quantised(const struct kn_part *p) {
    return p->dtype == KN_I4 || p->dtype == KN_I8;
}

struct pack_job {
    const struct kn_part *part;
    const struct cpu_mat *mat;
    int n_tasks;
};

/* Packing alone writes what all others only read. */
static void *writable(const void *p) {
    uintptr_t at = (uintptr_t)p;
    return (void *)at;
}

static float read_scale(const struct kn_part *p, int64_t i) {
    if (p->scale_dtype == KN_F32) {
        float f;
        memcpy(&f, (const char *)p->scale + i * 4, sizeof f);
        return f;
    }
    uint16_t h;
    memcpy(&h, (const char *)p->scale + i * 2, sizeof h);
    return p->scale_dtype == KN_BF16 ? cpu_from_bf16(h) : cpu_from_f16(h);
}

/* Scales of one block; rows that do not exist have scale 0 and so give 0. */
static void pack_scales(struct pack_job *j, int64_t block) {
    const struct kn_part *p = j->part;
    int64_t n_groups = j->mat->n_groups, bits = type_bits(p->dtype);
    for (int64_t g = 0; g < n_groups; g++) {
        void *to = writable(cpu_scales(j->mat, block, g));
        float *zero = j->mat->has_zero ? writable(cpu_zeros(j->mat, block, g)) : NULL;
        for (int64_t r = 0; r < CPU_ROWS; r++) {
            int64_t row = block * CPU_ROWS + r;
            bool is_row = row < p->rows;
            float scale = is_row ? read_scale(p, row * n_groups + g) : 0.0f;
            if (j->mat->scale_bf16)
                ((uint16_t *)to)[r] = cpu_to_bf16(scale);
            else
                ((float *)to)[r] = scale;
            if (!zero || !is_row) continue;
            uint32_t word;
            memcpy(&word, (const char *)p->zero + (row * bits / 32 * n_groups + g) * 4,
                   sizeof word);
            zero[r] = (float)(word >> (row * bits % 32) & ((1u << bits) - 1u));
        }
    }
}

/* Row r of block b, run by run: where a word lies is not computed for each. */
static void pack_row(const struct cpu_mat *m, int64_t b, int64_t r, const char *src,
                     int64_t row_bytes) {
    const int64_t n_words = row_bytes / 4;
    for (int64_t w = 0; w < n_words; w += m->run_words) {
        uint32_t *dst = (uint32_t *)writable(cpu_words(m, b, w)) + r;
        int64_t n = n_words - w < m->run_words ? n_words - w : m->run_words;
        for (int64_t i = 0; i < n; i++)
            memcpy(dst + i * CPU_ROWS, src + (w + i) * 4, 4);
    }
    if (row_bytes % 4) /* a row of an odd number of 16-bit elements */
        memcpy((uint32_t *)writable(cpu_words(m, b, n_words)) + r, src + n_words * 4,
               (size_t)(row_bytes % 4));
}

static void pack_blocks(void *arg, int i) {
    struct pack_job *j = arg;
    const struct kn_part *p = j->part;
    int64_t row_bytes = p->cols * type_bits(p->dtype), from, to;
    row_bytes = is_quantised(p) ? (row_bytes + 31) / 32 * 4 : row_bytes / 8;
    cpu_span(j->mat->n_blocks, 1, j->n_tasks, i, &from, &to);
    for (int64_t b = from; b < to; b++) {
        for (int64_t r = 0; r < CPU_ROWS && b * CPU_ROWS + r < p->rows; r++) {
            const char *src = (const char *)p->data + (b * CPU_ROWS + r) * row_bytes;
            pack_row(j->mat, b, r, src, row_bytes);
        }
        if (is_quantised(p)) pack_scales(j, b);
    }
}

static void shape_mat(const struct kn_part *p, struct cpu_mat *m) {
    bool is_q = is_quantised(p);
    *m = (struct cpu_mat){.rows = p->rows, .cols = p->cols, .dtype = p->dtype};
    m->n_blocks = round_up(p->rows, CPU_ROWS) / CPU_ROWS;
    m->n_words = round_up(p->cols, COL_UNIT) * type_bits(p->dtype) / 32;
    m->group = is_q && p->group ? p->group : p->cols;
    m->n_groups = p->cols / m->group;
    m->scale_bf16 = is_q && p->scale_dtype == KN_BF16; /* kept as narrow as the file has them */
}

/* Cuts a row into runs of about one length, where its groups are whole steps of the kernels. */
static int64_t cut_runs(const struct kn_part *p, struct cpu_mat *m) {
    int64_t row_bytes = m->n_words * CPU_ROWS * 4, n_runs = 1;
    if (is_quantised(p) && m->n_groups > 1 && m->group % COL_UNIT == 0)
        n_runs = (row_bytes + RUN_BYTES - 1) / RUN_BYTES;
    m->run_groups = (m->n_groups + n_runs - 1) / n_runs;
    if (m->run_groups >= m->n_groups) {
        m->run_groups = m->n_groups;
        m->run_words = m->n_words;
        return 1;
    }
    m->run_words = m->run_groups * m->group * type_bits(p->dtype) / 32;
    return (m->n_groups + m->run_groups - 1) / m->run_groups;
}

/* Places scales, zero points and words within a run, each from a multiple of 64. */
static void shape_block(const struct kn_part *p, struct cpu_mat *m) {
    int64_t n_runs = cut_runs(p, m);
    size_t n_scales = is_quantised(p) ? (size_t)(m->run_groups * CPU_ROWS) : 0;
    m->has_zero = p->zero != NULL;
    m->zero_at = (n_scales * (m->scale_bf16 ? 2 : 4) + 63) / 64 * 64;
    m->words_at = m->zero_at + (m->has_zero ? n_scales * 4 : 0);
    m->block_bytes = (size_t)n_runs * m->words_at + (size_t)(m->n_words * CPU_ROWS) * 4;
}

/* gate and up are read together, block by block. */
static bool is_pair(const kn_weight *w) {
    const struct cpu_mat *a = &w->mat[0], *b = &w->mat[1];
    return w->n_parts == 2 && a->n_blocks == b->n_blocks && a->block_bytes == b->block_bytes;
}

int cpu_pack_words(kn_dev *dev, kn_weight *w, ox_err *err) {
    size_t total = 0;
    for (int i = 0; i < w->n_parts; i++) {
        shape_mat(&w->part[i], &w->mat[i]);
        shape_block(&w->part[i], &w->mat[i]);
        total += (size_t)w->mat[i].n_blocks * w->mat[i].block_bytes;
    }
    char *at;
    int rc = cpu_slab_take(dev, total, &w->slab, &at, err);
    if (rc) return rc;
    w->n_bytes = total;
    bool takes_turns = is_pair(w);
    for (int i = 0; i < w->n_parts; i++) {
        struct cpu_mat *m = &w->mat[i];
        m->block = at;
        at += takes_turns ? m->block_bytes : (size_t)m->n_blocks * m->block_bytes;
        if (takes_turns) m->block_bytes *= 2;
        struct pack_job j = {.part = &w->part[i], .mat = m, .n_tasks = cpu_threads(dev) * 4};
        cpu_parallel(dev, j.n_tasks, pack_blocks, &j);
    }
    return 0;
}

/* ---- embed --------------------------------------------------------------------------------- */

static float element(const struct cpu_mat *m, int64_t b, const float *scale, const float *zero,
                     int64_t r, int64_t i) {
    int bits = type_bits(m->dtype);
    uint32_t word = cpu_words(m, b, i * bits / 32)[r] >> (i * bits % 32);
    int64_t g = i / m->group;
    if (m->dtype == KN_I4 || m->dtype == KN_I8) {
        float half = zero ? zero[g] : (float)(1 << (bits - 1));
        return ((float)(word & ((1u << bits) - 1u)) - half) * scale[g];
    }
    if (m->dtype == KN_BF16) return cpu_from_bf16((uint16_t)word);
    if (m->dtype == KN_F16) return cpu_from_f16((uint16_t)word);
    float f;
    memcpy(&f, &word, sizeof f);
    return f;
}

int cpu_embed_words(kn_dev *dev, kn_in out, const kn_weight *table, const int32_t *tok,
                    ox_err *err) {
    const struct cpu_mat *m = &table->mat[0];
    void *mem;
    int rc = cpu_scratch(dev, (size_t)m->n_groups * 2 * sizeof(float), &mem, err);
    if (rc) return rc;
    float *scale = mem, *zero = scale + m->n_groups;
    for (int64_t t = 0; t < out->rows; t++) {
        int64_t b = tok[t] / CPU_ROWS, r = tok[t] % CPU_ROWS;
        for (int64_t g = 0; is_quantised(&table->part[0]) && g < m->n_groups; g++) {
            const void *at = cpu_scales(m, b, g);
            scale[g] =
                m->scale_bf16 ? cpu_from_bf16(((const uint16_t *)at)[r]) : ((const float *)at)[r];
            if (m->has_zero) zero[g] = cpu_zeros(m, b, g)[r];
        }
        float *x = (float *)out->data + t * out->cols;
        for (int64_t i = 0; i < m->cols; i++)
            x[i] = element(m, b, scale, m->has_zero ? zero : NULL, r, i);
    }
    return 0;
}
