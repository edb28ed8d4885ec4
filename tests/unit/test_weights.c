/* test_weights.c - what the loader hands to a backend, for every golden folder and the default. */
#include "engine/weights.h"
#include "kernels/base/ox_mem.h"

#include "tests/unit/recording_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define GOLDEN OXBOW_TEST_DIR "/golden/"

struct model {
    struct folder *folder;
    struct ox_config config;
    struct st_set tensors;
};

static int open_model(const char *dir, struct model *m, ox_err *err) {
    *m = (struct model){0};
    int rc = folder_open(dir, &m->folder, err);
    if (!rc) rc = config_read(m->folder, false, &m->config, err);
    if (!rc) rc = st_open(m->folder, &m->tensors, err);
    return rc;
}

static void close_model(struct model *m) {
    st_close(&m->tensors);
    config_deinit(&m->config);
    folder_close(m->folder);
}

static void must(int rc, const char *name, const ox_err *err) {
    if (rc) fail_msg("%s: %s: %s (%s)", name, err->where, err->what, err->fix);
}

static const struct {
    const char *name;
    uint64_t n_params; /* counted by an independent script from the tensor shapes */
    int n_packed;
    enum kn_dtype embed, body, gates;
} cases[] = {
    {"tiny-7b-shape", 1495152, 34, KN_BF16, KN_BF16, KN_BF16},
    {"tiny-gqa-tied", 593644, 25, KN_F32, KN_F32, KN_F32},
    {"tiny-f16", 444022, 18, KN_F16, KN_F16, KN_F16},
    {"tiny-7b-shape-w8a16", 1495152, 34, KN_BF16, KN_I8, KN_I8},
    {"tiny-7b-shape-w4a16", 1495152, 34, KN_BF16, KN_I4, KN_BF16},
    {"tiny-rope", 277760, 18, KN_BF16, KN_BF16, KN_BF16},
    {"tiny-mixed-quant", 755424, 21, KN_I8, KN_I4, KN_BF16},
    {"tiny-zero-points", 303228, 18, KN_BF16, KN_I4, KN_I4},
    {"tiny-aliases", 122386, 18, KN_F32, KN_F32, KN_F32},
};

static void test_weights__golden_folders(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char dir[512];
        snprintf(dir, sizeof dir, GOLDEN "%s", cases[i].name);
        struct model m;
        struct ox_weights w = {0};
        struct kn_dev dev = {0};
        ox_err err = {0};
        must(open_model(dir, &m, &err), cases[i].name, &err);
        must(weights_load(&m.tensors, &m.config, &recording_backend, &dev, &w, &err), cases[i].name,
             &err);
        if (w.n_params != cases[i].n_params)
            fail_msg("%s: %llu parameters", cases[i].name, (unsigned long long)w.n_params);
        assert_int_equal(dev.n_packed, cases[i].n_packed);
        assert_int_equal(w.embed->part[0].dtype, cases[i].embed);
        assert_int_equal(w.layer[0].mixer_in->n, 6);
        assert_int_equal(w.layer[0].mixer_in->part[0].dtype, cases[i].body);
        assert_int_equal(w.layer[0].mixer_in->part[4].dtype, cases[i].gates);
        for (int32_t k = 0; k < w.n_layers; k++)
            assert_int_equal(w.layer[k].mixer_in->n, m.config.kind[k] == OX_LAYER_GDN ? 6 : 3);
        assert_true((w.head == w.embed) == m.config.tied);
        weights_deinit(&w);
        assert_int_equal(dev.n_weights, 0);
        assert_int_equal(dev.n_blocks, 0);
        close_model(&m);
    }
}

/* Attention first; fewer key than value heads; gates in f32 beside bf16 matrices. */
static void test_weights__odd_shape(void **state) {
    struct model m;
    struct ox_weights w = {0};
    struct kn_dev dev = {0};
    ox_err err = {0};
    must(open_model(GOLDEN "tiny-heads", &m, &err), "open", &err);
    must(weights_load(&m.tensors, &m.config, &recording_backend, &dev, &w, &err), "load", &err);
    assert_int_equal(w.n_params, 266010);
    assert_int_equal(w.layer[0].mixer_in->n, 3);
    assert_int_equal(w.layer[1].mixer_in->part[0].rows, 30);
    assert_int_equal(w.layer[1].mixer_in->part[2].rows, 84);
    assert_int_equal(w.layer[1].mixer_in->part[4].rows, 6);
    assert_int_equal(w.layer[1].taps.rows, 144);
    assert_int_equal(w.layer[1].a_log.cols, 6);
    assert_int_equal(w.layer[1].o_norm.cols, 14);
    assert_int_equal(w.layer[3].k_norm.cols, 36);
    assert_null(w.layer[3].taps.data);
    assert_null(w.layer[1].q_norm.data);
    weights_deinit(&w);
    close_model(&m);
}

/* Zero points reach the backend as the file has them, with the group of their own config group. */
static void test_weights__zero_points(void **state) {
    struct model m;
    struct ox_weights w = {0};
    struct kn_dev dev = {0};
    ox_err err = {0};
    must(open_model(GOLDEN "tiny-zero-points", &m, &err), "open", &err);
    must(weights_load(&m.tensors, &m.config, &recording_backend, &dev, &w, &err), "load", &err);
    const struct kn_part *up = &w.layer[2].gate_up->part[1], *down = w.layer[2].down->part,
                         *out = w.layer[2].mixer_out->part;
    assert_int_equal(up->group, 32);
    assert_ptr_equal(up->zero,
                     st_find(&m.tensors, "model.layers.2.mlp.up_proj.weight_zero_point")->data);
    assert_int_equal(down->group, 0);
    assert_int_equal(down->dtype, KN_I4);
    assert_int_equal(down->scale_dtype, KN_F32);
    assert_int_equal(down->cols, 70);
    assert_non_null(down->zero);
    assert_int_equal(out->dtype, KN_I8);
    assert_int_equal(out->scale_dtype, KN_F16);
    assert_null(out->zero);
    assert_int_equal(w.head->part[0].dtype, KN_I4);
    weights_deinit(&w);
    close_model(&m);
}

/* Taps in order q|k|v and small tensors as f32, compared with the file element by element. */
static void test_weights__small_tensors(void **state) {
    struct model m;
    struct ox_weights w = {0};
    struct kn_dev dev = {0};
    ox_err err = {0};
    must(open_model(GOLDEN "tiny-7b-shape", &m, &err), "open", &err);
    must(weights_load(&m.tensors, &m.config, &recording_backend, &dev, &w, &err), "load", &err);
    const struct ox_layer *y = &w.layer[4];
    static const char *const conv[] = {"q_conv1d", "k_conv1d", "v_conv1d"};
    size_t row = 0;
    for (int i = 0; i < 3; i++) {
        char name[96];
        snprintf(name, sizeof name, "model.layers.4.linear_attn.%s.weight", conv[i]);
        const struct st_tensor *t = st_find(&m.tensors, name);
        assert_non_null(t);
        for (size_t k = 0; k < (size_t)t->dim[0] * 4; k++)
            assert_float_equal(((const float *)y->taps.data)[row * 4 + k], st_f32(t, k), 0);
        row += (size_t)t->dim[0];
    }
    assert_int_equal(y->taps.rows, row);
    assert_int_equal(y->taps.cols, 4);
    const struct st_tensor *a_log = st_find(&m.tensors, "model.layers.4.linear_attn.A_log");
    for (size_t k = 0; k < (size_t)a_log->dim[0]; k++)
        assert_float_equal(((const float *)y->a_log.data)[k], st_f32(a_log, k), 0);
    const struct st_tensor *k_norm = st_find(&m.tensors, "model.layers.7.self_attn.k_norm.weight");
    assert_int_equal(w.layer[7].k_norm.cols, k_norm->dim[0]);
    assert_float_equal(((const float *)w.layer[7].k_norm.data)[159], st_f32(k_norm, 159), 0);
    assert_int_equal((uintptr_t)y->o_norm.data % 256, (uintptr_t)w.small % 256);
    weights_deinit(&w);
    close_model(&m);
}

/* The built-in model: fused convolutions, an 8-bit embedding that is the output, two groups. */
static void test_weights__default_model(void **state) {
    struct model m;
    ox_err err = {0};
    int rc = open_model(NULL, &m, &err);
    if (rc == OX_EMODEL && strstr(err.what, "not in the folder")) {
        print_message("SKIP engine/default has no weights in this checkout\n");
        close_model(&m);
        skip();
    }
    must(rc, "open", &err);
    struct ox_weights w = {0};
    struct kn_dev dev = {0};
    must(weights_load(&m.tensors, &m.config, &recording_backend, &dev, &w, &err), "load", &err);
    assert_int_equal(m.config.n_gdn, 23);
    assert_true(w.head == w.embed);
    assert_int_equal(w.embed->part[0].dtype, KN_I8);
    assert_int_equal(w.embed->part[0].group, 0);
    assert_int_equal(w.layer[0].mixer_in->part[0].dtype, KN_I4);
    assert_int_equal(w.layer[0].mixer_in->part[0].group, 64);
    assert_int_equal(w.layer[0].mixer_in->part[5].dtype, KN_BF16);
    const struct st_tensor *t = st_find(&m.tensors, "model.layers.0.linear_attn.conv1d.weight");
    assert_non_null(t);
    assert_int_equal(w.layer[0].taps.rows, t->dim[0]);
    for (size_t k = 0; k < (size_t)t->dim[0] * 4; k++)
        assert_float_equal(((const float *)w.layer[0].taps.data)[k], st_f32(t, k), 0);
    weights_deinit(&w);
    close_model(&m);
}

/* Every failing call of pack and every failing allocation leaves nothing behind. */
static void test_weights__failures_release_all(void **state) {
    struct model m;
    ox_err err = {0};
    must(open_model(GOLDEN "tiny-f16", &m, &err), "open", &err);
    for (int at = 1; at <= 18; at++) {
        struct ox_weights w = {0};
        struct kn_dev dev = {.fail_at = at};
        assert_int_equal(weights_load(&m.tensors, &m.config, &recording_backend, &dev, &w, &err),
                         OX_EDEVICE);
        assert_int_equal(dev.n_weights + dev.n_blocks, 0);
    }
    int rc = OX_ENOMEM;
    for (uint64_t at = 1; rc == OX_ENOMEM; at++) {
        struct ox_weights w = {0};
        struct kn_dev dev = {0};
        ox_mem_fail_at(at);
        rc = weights_load(&m.tensors, &m.config, &recording_backend, &dev, &w, &err);
        ox_mem_fail_at(0);
        if (!rc) weights_deinit(&w);
        assert_int_equal(dev.n_weights + dev.n_blocks, 0);
    }
    assert_int_equal(rc, 0);
    close_model(&m);
}

/* The key follows the bytes and the rope choice, nothing else. */
static void test_weights__key(void **state) {
    struct model m, again;
    uint64_t a[2], b[2], c[2];
    ox_err err = {0};
    must(open_model(GOLDEN "tiny-f16", &m, &err), "open", &err);
    must(open_model(GOLDEN "tiny-f16", &again, &err), "open", &err);
    must(weights_key(&m.tensors, &m.config, a, &err), "key", &err);
    must(weights_key(&again.tensors, &again.config, b, &err), "key", &err);
    assert_memory_equal(a, b, sizeof a);
    again.config.rope_theta = 500000;
    must(weights_key(&again.tensors, &again.config, c, &err), "key", &err);
    assert_memory_not_equal(a, c, sizeof a);
    close_model(&again);
    must(open_model(GOLDEN "tiny-7b-shape-w4a16", &again, &err), "open", &err);
    must(weights_key(&again.tensors, &again.config, c, &err), "key", &err);
    assert_memory_not_equal(a, c, sizeof a);
    close_model(&again);
    close_model(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights__golden_folders),
        cmocka_unit_test(test_weights__odd_shape),
        cmocka_unit_test(test_weights__zero_points),
        cmocka_unit_test(test_weights__small_tensors),
        cmocka_unit_test(test_weights__default_model),
        cmocka_unit_test(test_weights__failures_release_all),
        cmocka_unit_test(test_weights__key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
