/* test_offline.c - inspect, verify, quantize and bench through ox_offline, as the application calls
 * them. A quantised folder is read back by the loader and each weight compared with its source; the
 * fields are unpacked here, apart from the code under test. */
#include "engine/offline.h"
#include "kernels/base/ox_mem.h"

#include "tests/support/draft.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define GOLDEN OXBOW_TEST_DIR "/golden/"

struct lines { /* what a task said */
    json_t *v;
    size_t stop_after; /* 0: never */
};

static int keep(void *user, const char *json) {
    struct lines *l = user;
    json_t *one = json_loads(json, 0, NULL);
    assert_non_null(one);
    json_array_append_new(l->v, one);
    return l->stop_after && json_array_size(l->v) >= l->stop_after;
}

static int run(enum ox_task task, const char *dir, const char *args, struct lines *l, ox_err *err) {
    const struct ox_engine_opts opts = {.model_dir = dir};
    l->v = json_array();
    return ox_offline(task, &opts, args, keep, l, err);
}

/* The n-th line of an event, or NULL. */
static const json_t *event(const struct lines *l, const char *name, size_t n) {
    for (size_t i = 0; i < json_array_size(l->v); i++) {
        const json_t *one = json_array_get(l->v, i);
        if (strcmp(json_string_value(json_object_get(one, "event")), name) == 0 && n-- == 0)
            return one;
    }
    return NULL;
}

static int64_t whole(const json_t *o, const char *key) {
    assert_true(json_is_integer(json_object_get(o, key)));
    return json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key) {
    assert_true(json_is_string(json_object_get(o, key)));
    return json_string_value(json_object_get(o, key));
}

static void test_offline__inspect(void **state) {
    struct lines l = {0};
    ox_err err = {0};
    assert_int_equal(run(OX_TASK_INSPECT, GOLDEN "tiny-7b-shape-w4a16", NULL, &l, &err), 0);
    const json_t *m = event(&l, "model", 0);
    assert_int_equal(json_array_size(l.v), 1);
    assert_string_equal(text(m, "name"), "tiny-7b-shape-w4a16");
    assert_string_equal(text(m, "format"), "int4 group 32");
    assert_int_equal(whole(m, "params"), 1495152);
    assert_int_equal(whole(m, "layers"), 8);
    assert_int_equal(whole(m, "linear_layers"), 6);
    assert_int_equal(whole(m, "trained_tokens"), 65536);
    assert_int_equal(whole(m, "token_bytes"), 2 * 2 * 160 * 2);
    assert_int_equal(whole(m, "state_bytes"), 6 * (192 * 24 * 4 + 3 * (96 + 96 + 192) * 2));
    assert_true(json_is_null(json_object_get(m, "rope_theta")));
    assert_true(json_is_null(json_object_get(m, "licence")));
    assert_int_equal(strlen(text(m, "weights")), 32);
    json_decref(l.v);
}

static void test_offline__inspect_tensors(void **state) {
    struct lines l = {0};
    ox_err err = {0};
    assert_int_equal(run(OX_TASK_INSPECT, GOLDEN "tiny-rope", "{\"tensors\": true}", &l, &err), 0);
    const json_t *first = event(&l, "tensor", 0), *m = event(&l, "model", 0);
    assert_int_equal(json_array_size(l.v), whole(m, "tensors") + 1);
    assert_string_equal(text(first, "name"), "lm_head.weight");
    assert_string_equal(text(first, "type"), "BF16");
    assert_int_equal(whole(first, "bytes"), 512 * 80 * 2);
    assert_true(json_real_value(json_object_get(m, "rope_theta")) == 500000.0);
    assert_string_equal(text(m, "format"), "bf16");
    json_decref(l.v);
}

/* The licence is the card's word, else the title of LICENSE. */
static void test_offline__licence(void **state) {
    static const struct {
        const char *card, *licence, *want; /* NULL: no such file, no licence */
    } cases_l[] = {
        {"---\nlicense: apache-2.0\ntags:\n---\n# A\n", "MIT", "apache-2.0"},
        {"---\ntags: x\nlicense:   mit\r\n---\n", NULL, "mit"},
        {"---\ntags: x\n---\n\nlicense: no\n", NULL, NULL},
        {"license: no\n", "   Apache License\n Version 2.0, January 2004", "apache-2.0"},
        {NULL, "All rights reserved.", "see its file LICENSE"},
        {"---\nlicense:", NULL, NULL},
        {"---\nlicense: \xff\xfe\n---\n", NULL, "?"},
        {NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases_l / sizeof cases_l[0]; i++) {
        struct draft d;
        struct lines l = {0};
        ox_err err = {0};
        draft_read(&d, "tiny-f16");
        draft_write(&d);
        draft_put_file(&d, "tokenizer.json", "{}", 2);
        const char *card = cases_l[i].card, *licence = cases_l[i].licence;
        if (card) draft_put_file(&d, "README.md", card, strlen(card));
        if (licence) draft_put_file(&d, "LICENSE", licence, strlen(licence));
        assert_int_equal(run(OX_TASK_INSPECT, d.dir, NULL, &l, &err), 0);
        const char *got = json_string_value(json_object_get(event(&l, "model", 0), "licence"));
        if (cases_l[i].want ? !got || strcmp(got, cases_l[i].want) != 0 : got != NULL)
            fail_msg("%zu: %s", i, got ? got : "none");
        draft_remove(&d);
        json_decref(l.v);
    }
}

/* All that is missing is named at once. */
static void test_offline__inspect_nothing(void **state) {
    struct lines l = {0};
    ox_err err = {0};
    assert_int_equal(run(OX_TASK_INSPECT, OXBOW_TEST_DIR "/unit", NULL, &l, &err), OX_EMODEL);
    assert_non_null(strstr(err.what, "no config.json no tokenizer.json no model.safetensors"));
    json_decref(l.v);
}

static void test_offline__bad_arguments(void **state) {
    static const struct {
        enum ox_task task;
        const char *args;
    } cases[] = {
        {OX_TASK_INSPECT, "["},
        {OX_TASK_INSPECT, "[1]"},
        {OX_TASK_NONE, NULL},
        {OX_TASK_QUANTIZE, NULL},
        {OX_TASK_QUANTIZE, "{\"out\": \"\"}"},
        {OX_TASK_QUANTIZE, "{\"out\": \"/tmp/x\", \"bits\": 3}"},
        {OX_TASK_QUANTIZE, "{\"out\": \"/tmp/x\", \"bits\": \"8\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lines l = {0};
        ox_err err = {0};
        int rc = run(cases[i].task, GOLDEN "tiny-f16", cases[i].args, &l, &err);
        if (rc != OX_EUSAGE) fail_msg("%s: %d %s", cases[i].args, rc, err.what);
        json_decref(l.v);
    }
}

/* ---- verify ---- */

static void add_tokenizer(struct draft *d) {
    struct folder *f = NULL;
    const unsigned char *bytes;
    size_t n;
    assert_int_equal(folder_open(GOLDEN "tiny-f16", &f, NULL), 0);
    assert_int_equal(folder_get(f, "tokenizer.json", &bytes, &n, NULL), 0);
    draft_put_file(d, "tokenizer.json", bytes, n);
    folder_close(f);
}

/* The hash follows every byte, the short key of the 7B need not. */
static void test_offline__verify(void **state) {
    char hash[2][33];
    for (int i = 0; i < 2; i++) {
        struct draft d;
        struct lines l = {0};
        ox_err err = {0};
        draft_read(&d, "tiny-f16");
        d.data[777] ^= (unsigned char)i;
        draft_write(&d);
        add_tokenizer(&d);
        int rc = run(OX_TASK_VERIFY, d.dir, NULL, &l, &err);
        if (rc) fail_msg("%s", err.what);
        const json_t *v = event(&l, "verified", 0);
        assert_int_equal(whole(v, "tensors"), json_object_size(d.header) - 1);
        assert_int_equal(whole(v, "bytes"), d.n_data);
        snprintf(hash[i], sizeof hash[i], "%s", text(v, "hash"));
        const json_t *p = event(&l, "progress", 0);
        assert_int_equal(whole(p, "of"), d.n_data);
        draft_remove(&d);
        json_decref(l.v);
    }
    assert_string_not_equal(hash[0], hash[1]);
}

static void test_offline__verify_finds_bad_values(void **state) {
    static const struct {
        const char *name;
        unsigned char high; /* byte of the third element's exponent */
    } cases[] = {{"infinity", 0x7c}, {"not a number", 0xfe}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct draft d;
        struct lines l = {0};
        ox_err err = {0};
        draft_read(&d, "tiny-f16");
        const json_t *at =
            json_object_get(json_object_get(d.header, "model.norm.weight"), "data_offsets");
        d.data[json_integer_value(json_array_get(at, 0)) + 5] = cases[i].high;
        draft_write(&d);
        add_tokenizer(&d);
        assert_int_equal(run(OX_TASK_VERIFY, d.dir, NULL, &l, &err), OX_EMODEL);
        if (!strstr(err.what, "model.norm.weight: element 2 of model.safetensors"))
            fail_msg("%s: %s", cases[i].name, err.what);
        draft_remove(&d);
        json_decref(l.v);
    }
}

static void test_offline__verify_checks_the_vocabulary(void **state) {
    struct draft d;
    struct lines l = {0};
    ox_err err = {0};
    draft_read(&d, "tiny-f16");
    draft_patch(d.config, "{\"vocab_size\": 490, \"pad_token_id\": null, \"eos_token_id\": 488}");
    draft_patch(d.generation, "{\"eos_token_id\": 488, \"pad_token_id\": null}");
    static const char *const tables[] = {"model.embed_tokens.weight", "lm_head.weight"};
    for (int i = 0; i < 2; i++) { /* both shorter; the bytes cut off become tensors to be skipped */
        json_t *e = json_object_get(d.header, tables[i]);
        int64_t end = json_integer_value(json_array_get(json_object_get(e, "data_offsets"), 1));
        char patch[200], name[80];
        snprintf(name, sizeof name, "%s.rotary_emb.inv_freq", tables[i]);
        snprintf(
            patch, sizeof patch,
            "{\"%s\": {\"dtype\": \"F16\", \"shape\": [22, 80], \"data_offsets\": [%lld, %lld]}}",
            name, (long long)end - 22 * 160, (long long)end);
        draft_patch(d.header, patch);
        json_array_set_new(json_object_get(e, "data_offsets"), 1, json_integer(end - 22 * 160));
        json_array_set_new(json_object_get(e, "shape"), 0, json_integer(490));
    }
    draft_write(&d);
    add_tokenizer(&d);
    assert_int_equal(run(OX_TASK_VERIFY, d.dir, NULL, &l, &err), OX_EMODEL);
    if (!strstr(err.what, "ids up to 499")) fail_msg("%s", err.what);
    draft_remove(&d);
    json_decref(l.v);
}

/* ---- quantize ---- */

struct model {
    struct folder *folder;
    struct ox_config config;
    struct st_set tensors;
    struct ox_located *list;
    size_t n;
};

static void open_model(const char *dir, struct model *m) {
    ox_err err = {0};
    *m = (struct model){0};
    int rc = folder_open(dir, &m->folder, &err);
    if (!rc) rc = config_read(m->folder, false, &m->config, &err);
    if (!rc) rc = st_open(m->folder, &m->tensors, &err);
    if (!rc) rc = weights_locate(&m->tensors, &m->config, &m->list, &m->n, &err);
    if (rc) fail_msg("%s: %s | %s", dir, err.where, err.what);
}

static void close_model(struct model *m) {
    ox_free(m->list);
    st_close(&m->tensors);
    config_deinit(&m->config);
    folder_close(m->folder);
}

/* Weight [r,c] of a packed part, straight from the format's description. */
static float unpacked(const struct kn_part *p, int64_t r, int64_t c, float *scale) {
    int bits = p->dtype == KN_I4 ? 4 : 8;
    int64_t n_words = (p->cols * bits + 31) / 32, n_groups = p->group ? p->cols / p->group : 1;
    uint32_t word, high;
    uint16_t s;
    memcpy(&word, (const char *)p->data + 4 * (r * n_words + c / (32 / bits)), 4);
    memcpy(&s, (const char *)p->scale + 2 * (r * n_groups + (p->group ? c / p->group : 0)), 2);
    high = (uint32_t)s << 16;
    memcpy(scale, &high, 4);
    int q = (int)(word >> (c % (32 / bits) * bits) & ((1U << bits) - 1)) - (1 << (bits - 1));
    return (float)q * *scale;
}

/* Every matrix within half a step of its source, everything else equal. Returns the RMS error of
 * one kind, relative to its weights. */
static double compare(const struct model *a, const struct model *b, const char *kind) {
    double error = 0, weight = 0;
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct ox_located *x = &a->list[i], *y = &b->list[i];
        assert_string_equal(x->want.name, y->want.name);
        size_t n = 1;
        for (int k = 0; k < x->want.n_dims; k++)
            n *= (size_t)x->want.dim[k];
        for (size_t k = 0; k < n; k++) {
            float w = st_f32(x->t, x->first + k), scale;
            if (y->t) {
                if (st_f32(y->t, y->first + k) != w) fail_msg("%s [%zu]", x->want.name, k);
                continue;
            }
            int64_t cols = x->want.dim[1];
            float got = unpacked(&y->part, (int64_t)k / cols, (int64_t)k % cols, &scale);
            /* Half a step; the largest weight may be cut by the rounding of its scale to bf16. */
            double miss = fabs((double)got - (double)w), limit = 0.5 * (double)scale * 1.0001;
            if (miss > limit && miss > fabs((double)w) / 256)
                fail_msg("%s [%zu]: %g for %g, scale %g", x->want.name, k, (double)got, (double)w,
                         (double)scale);
            if (!strstr(x->want.name, kind)) continue;
            error += miss * miss;
            weight += (double)w * (double)w;
        }
    }
    return sqrt(error / weight);
}

struct out_dir {
    char parent[64], dir[80];
};

static void make_out(struct out_dir *o) {
    snprintf(o->parent, sizeof o->parent, "/tmp/oxbow-test-XXXXXX");
    assert_non_null(mkdtemp(o->parent));
    snprintf(o->dir, sizeof o->dir, "%s/out", o->parent);
}

static void remove_out(struct out_dir *o) {
    struct draft d = {0};
    snprintf(d.dir, sizeof d.dir, "%s", o->dir);
    draft_remove(&d);
    rmdir(o->parent);
}

static const struct {
    const char *source;
    int bits;
    const char *more; /* further arguments */
    const char *format, *kind;
    int n_packed;
    double rms; /* about: uniform rounding error of normal weights */
} cases[] = {
    {"tiny-7b-shape", 8, "", "int8 per row", "mlp.up_proj", 6 * 5 + 2 * 4 + 8 * 3, 0.0065},
    {"tiny-7b-shape", 4, "", "int4 group 32", "mlp.up_proj", 6 * 5 + 2 * 4 + 8 * 3, 0.09},
    {"tiny-7b-shape", 4, ", \"lm_head\": true", "int4 group 32, int8 per row", "lm_head",
     6 * 5 + 2 * 4 + 8 * 3 + 1, 0.0065},
    {"tiny-gqa-tied", 4, "", "int4 group 32", "self_attn.k_proj", 5 * 5 + 4 + 6 * 3, 0.09},
    /* widths of 80 and 120 take no group: 8 bits a row; 224 = 7 x 32 */
    {"tiny-f16", 4, "", "int8 per row, int4 group 32", "mlp.down_proj", 3 * 5 + 4 + 4 * 3, 0.09},
    {"tiny-aliases", 8, "", "int8 per row", "linear_attn.o_proj", 3 * 5 + 4 + 4 * 3, 0.006},
    {"tiny-heads", 8, ", \"lm_head\": true", "int8 per row", "lm_head", 3 * 5 + 3 * 4 + 6 * 3 + 1,
     0.006},
};

static void test_offline__quantize(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct out_dir o;
        struct lines l = {0}, seen = {0};
        struct model a, b;
        char source[256], args[256];
        ox_err err = {0};
        make_out(&o);
        snprintf(source, sizeof source, GOLDEN "%s", cases[i].source);
        snprintf(args, sizeof args, "{\"out\": \"%s\", \"bits\": %d%s}", o.dir, cases[i].bits,
                 cases[i].more);
        int rc = run(OX_TASK_QUANTIZE, source, args, &l, &err);
        if (rc) fail_msg("%s: %s | %s", source, err.where, err.what);
        open_model(source, &a);
        open_model(o.dir, &b);
        int n_packed = 0;
        for (size_t k = 0; k < b.n; k++)
            n_packed += b.list[k].t == NULL;
        if (n_packed != cases[i].n_packed) fail_msg("%s: %d packed", source, n_packed);

        double rms = compare(&a, &b, cases[i].kind);
        if (!(rms > 0.5 * cases[i].rms && rms < 1.5 * cases[i].rms))
            fail_msg("%s: rms error %g of %s", source, rms, cases[i].kind);
        const json_t *e = NULL;
        for (size_t k = 0; (e = event(&l, "error", k)); k++)
            if (strcmp(text(e, "kind"), cases[i].kind) == 0) break;
        assert_non_null(e);
        assert_true(fabs(json_real_value(json_object_get(e, "rms")) / rms - 1) < 1e-6);
        assert_true(json_real_value(json_object_get(e, "worst")) > 0);

        const json_t *done = event(&l, "quantized", 0);
        assert_string_equal(text(done, "out"), o.dir);
        assert_true(whole(done, "bytes_after") < whole(done, "bytes_before"));
        assert_non_null(st_find(&b.tensors, "model.layers.1.linear_attn.conv1d.weight"));
        assert_null(st_find(&b.tensors, "model.layers.1.linear_attn.q_conv1d.weight"));
        for (size_t k = 0; k < b.tensors.n; k++) { /* aligned to its own type within the file */
            const struct st_tensor *t = &b.tensors.v[k];
            assert_int_equal((uintptr_t)t->data % (t->type == ST_I64   ? 8
                                                   : t->type == ST_I32 ? 4
                                                                       : 2),
                             0);
        }
        assert_int_equal(run(OX_TASK_VERIFY, o.dir, NULL, &seen, &err), 0);
        json_decref(seen.v);
        assert_int_equal(run(OX_TASK_INSPECT, o.dir, NULL, &seen, &err), 0);
        if (strcmp(text(event(&seen, "model", 0), "format"), cases[i].format) != 0)
            fail_msg("%s: %s", source, text(event(&seen, "model", 0), "format"));
        json_decref(seen.v);
        close_model(&a);
        close_model(&b);
        remove_out(&o);
        json_decref(l.v);
    }
}

static void test_offline__quantize_refuses(void **state) {
    static const struct {
        const char *source, *more, *word;
        int rc;
    } refused[] = {
        {"tiny-7b-shape-w8a16", "", "quantised already", OX_EMODEL},
        {"tiny-gqa-tied", ", \"lm_head\": true", "embedding", OX_EUSAGE},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct out_dir o;
        struct lines l = {0};
        char source[256], args[256];
        ox_err err = {0};
        make_out(&o);
        snprintf(source, sizeof source, GOLDEN "%s", refused[i].source);
        snprintf(args, sizeof args, "{\"out\": \"%s\"%s}", o.dir, refused[i].more);
        int rc = run(OX_TASK_QUANTIZE, source, args, &l, &err);
        if (rc != refused[i].rc || !strstr(err.what, refused[i].word))
            fail_msg("%s: %d %s", source, rc, err.what);
        assert_int_not_equal(access(o.dir, F_OK), 0);
        remove_out(&o);
        json_decref(l.v);
    }
}

/* A folder with something in it is left as it is. */
static void test_offline__quantize_overwrites_nothing(void **state) {
    struct out_dir o;
    struct lines l = {0};
    char args[256], path[128];
    ox_err err = {0};
    make_out(&o);
    snprintf(args, sizeof args, "{\"out\": \"%s\"}", o.dir);
    assert_int_equal(mkdir(o.dir, 0700), 0);
    snprintf(path, sizeof path, "%s/config.json", o.dir);
    FILE *f = fopen(path, "w");
    fputs("mine", f);
    fclose(f);
    assert_int_equal(run(OX_TASK_QUANTIZE, GOLDEN "tiny-f16", args, &l, &err), OX_EUSAGE);
    assert_non_null(strstr(err.what, "not empty: 1 files"));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 4);
    remove_out(&o);
    json_decref(l.v);
}

/* Stopped in the middle, or out of memory anywhere: no folder is left that looks like a model. */
static void test_offline__quantize_leaves_nothing_half_done(void **state) {
    struct out_dir o;
    struct lines l = {.stop_after = 20};
    char args[256];
    ox_err err = {0};
    make_out(&o);
    snprintf(args, sizeof args, "{\"out\": \"%s\"}", o.dir);
    assert_int_equal(run(OX_TASK_QUANTIZE, GOLDEN "tiny-aliases", args, &l, &err), OX_ECANCELLED);
    assert_int_not_equal(access(o.dir, F_OK), 0);
    json_decref(l.v);
    int rc = OX_ENOMEM;
    for (uint64_t at = 1; rc == OX_ENOMEM; at += 7) {
        l.stop_after = 0;
        ox_mem_fail_at(at);
        rc = run(OX_TASK_QUANTIZE, GOLDEN "tiny-aliases", args, &l, &err);
        ox_mem_fail_at(0);
        json_decref(l.v);
        assert_int_equal(access(o.dir, F_OK) == 0, rc == 0);
    }
    assert_int_equal(rc, 0);
    remove_out(&o);
}

/* ---- bench ---- */

static double number(const json_t *o, const char *key) {
    assert_true(json_is_real(json_object_get(o, key)));
    return json_real_value(json_object_get(o, key));
}

static void test_offline__bench(void **state) {
    struct lines l = {0};
    ox_err err = {0};
    int rc = run(OX_TASK_BENCH, GOLDEN "tiny-f16", "{\"ctx\": [5, 300], \"reply\": 4}", &l, &err);
    if (rc) fail_msg("%s | %s", err.where, err.what);
    assert_int_equal(json_array_size(l.v), 1 + 3 * 2);
    const json_t *m = event(&l, "machine", 0);
    assert_true(number(m, "load_s") > 0);
    assert_true(whole(m, "weight_bytes") > 400000);
    double read = number(m, "read_bytes_s");
    assert_true(read > 1e8 && read < 1e13);
    static const char *const names[] = {"prefill", "decode", "resume"};
    for (size_t i = 0; i < 6; i++) {
        const json_t *b = event(&l, "bench", i);
        size_t ctx = i < 3 ? 5 : 300;
        assert_string_equal(text(b, "case"), names[i % 3]);
        assert_int_equal(whole(b, "ctx"), ctx);
        double min = number(b, "min_s"), median = number(b, "median_s");
        assert_true(min > 0 && min <= median && median <= number(b, "p95_s"));
        /* Decode begins with a token that is not timed; all of it is taken up again. */
        double n = i % 3 == 0 ? (double)ctx : i % 3 == 1 ? 1 : (double)ctx + 5;
        assert_true(fabs(number(b, "tok_s") * median / n - 1) < 1e-9);
        if (i % 3 == 2)
            assert_true(fabs(number(b, "bytes_s") * median / (double)whole(b, "bytes") - 1) < 1e-9);
        if (i % 3 != 1) continue;
        assert_true(fabs(number(b, "limit_s") * read / number(b, "bytes") - 1) < 1e-9);
        assert_true(fabs(number(b, "share") * median / number(b, "limit_s") - 1) < 1e-9);
    }
    json_decref(l.v);
}

/* A made-up model is written, run and removed. */
static void test_offline__bench_shape(void **state) {
    static const struct {
        const char *weights;
        int64_t at_least, at_most; /* resident bytes; the tables of 49152 x 64 alone take 12.6 MB */
    } cases_b[] = {
        {"bf16", 12900000, 13500000}, {"int8", 12700000, 13200000}, {"int4", 12600000, 13100000}};
    for (size_t i = 0; i < sizeof cases_b / sizeof cases_b[0]; i++) {
        struct lines l = {0};
        char args[200], dir[64] = "/tmp/oxbow-test-XXXXXX";
        ox_err err = {0};
        assert_non_null(mkdtemp(dir));
        snprintf(args, sizeof args,
                 "{\"ctx\": [20], \"reply\": 2, \"shape\": \"tiny\", \"weights\": \"%s\", "
                 "\"dir\": \"%s\"}",
                 cases_b[i].weights, dir);
        int rc = run(OX_TASK_BENCH, GOLDEN "tiny-f16", args, &l, &err);
        if (rc) fail_msg("%s: %s | %s", cases_b[i].weights, err.where, err.what);
        assert_int_equal(json_array_size(l.v), 4);
        int64_t n = whole(event(&l, "machine", 0), "weight_bytes");
        if (n < cases_b[i].at_least || n > cases_b[i].at_most)
            fail_msg("%s: %lld bytes", cases_b[i].weights, (long long)n);
        json_decref(l.v);
        assert_int_equal(rmdir(dir), 0); /* nothing was left in it */
    }
}

static void test_offline__bench_refuses(void **state) {
    static const char *const refused[] = {"{\"reply\": 0}",
                                          "{\"ctx\": []}",
                                          "{\"ctx\": [0]}",
                                          "{\"ctx\": [\"1k\"]}",
                                          "{\"ctx\": 5}",
                                          "{\"shape\": \"70b\"}",
                                          "{\"shape\": \"tiny\", \"weights\": \"int2\"}"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct lines l = {0};
        ox_err err = {0};
        if (run(OX_TASK_BENCH, GOLDEN "tiny-f16", refused[i], &l, &err) != OX_EUSAGE)
            fail_msg("%s", refused[i]);
        assert_int_equal(json_array_size(l.v), 0);
        json_decref(l.v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offline__inspect),
        cmocka_unit_test(test_offline__inspect_tensors),
        cmocka_unit_test(test_offline__licence),
        cmocka_unit_test(test_offline__inspect_nothing),
        cmocka_unit_test(test_offline__bad_arguments),
        cmocka_unit_test(test_offline__verify),
        cmocka_unit_test(test_offline__verify_finds_bad_values),
        cmocka_unit_test(test_offline__verify_checks_the_vocabulary),
        cmocka_unit_test(test_offline__quantize),
        cmocka_unit_test(test_offline__quantize_refuses),
        cmocka_unit_test(test_offline__quantize_overwrites_nothing),
        cmocka_unit_test(test_offline__quantize_leaves_nothing_half_done),
        cmocka_unit_test(test_offline__bench),
        cmocka_unit_test(test_offline__bench_shape),
        cmocka_unit_test(test_offline__bench_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
