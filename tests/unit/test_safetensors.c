/* test_safetensors.c - the reader on files built here, byte by byte: types, empty tensors, order,
 * unaligned data, shards, and time on very many tensors. Refusals: test_bad_models.c. */
#include "engine/safetensors.h"
#include "kernels/base/ox_mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

/* header as text, then data; returns an owned file. */
static unsigned char *build(const char *header, const void *data, size_t n_data, size_t *n) {
    uint64_t n_header = strlen(header);
    *n = 8 + n_header + n_data;
    unsigned char *file = ox_alloc(*n, 1, "a test file", NULL);
    memcpy(file, &n_header, 8);
    memcpy(file + 8, header, n_header);
    if (n_data) memcpy(file + 8 + n_header, data, n_data);
    return file;
}

/* Members out of order, trailing spaces, a scalar, an empty tensor, a type nobody knows. */
static void test_safetensors__reads(void **state) {
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"z\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[5,9]},"
        "\"b\":{\"dtype\":\"X5\",\"shape\":[7],\"data_offsets\":[0,5]},"
        "\"a\":{\"dtype\":\"BF16\",\"shape\":[3,0],\"data_offsets\":[9,9]},"
        "\"m\":{\"dtype\":\"F16\",\"shape\":[1,2],\"data_offsets\":[9,13]}}   ";
    unsigned char data[13] = {0};
    float one = 1.5F;
    memcpy(data + 5, &one, 4);
    memcpy(data + 9, "\x00\x3c\x00\xc0", 4); /* 1, -2 */
    size_t n;
    unsigned char *file = build(header, data, sizeof data, &n);
    struct st_set s = {0};
    ox_err err = {0};
    assert_int_equal(st_read(file, n, "f", &s, &err), 0);
    assert_int_equal(s.n, 4);
    for (size_t i = 1; i < s.n; i++)
        assert_true(strcmp(s.v[i - 1].name, s.v[i].name) < 0);
    const struct st_tensor *z = st_find(&s, "z"), *m = st_find(&s, "m"), *a = st_find(&s, "a");
    assert_int_equal(z->n_dims, 0);
    assert_float_equal(st_f32(z, 0), 1.5F, 0);
    assert_int_equal(m->n_dims, 2);
    assert_int_equal(m->dim[1], 2);
    assert_float_equal(st_f32(m, 0), 1, 0);
    assert_float_equal(st_f32(m, 1), -2, 0);
    assert_int_equal(a->n_bytes, 0);
    assert_int_equal(st_find(&s, "b")->type, ST_OTHER);
    assert_null(st_find(&s, "c"));
    assert_string_equal(m->file, "f");
    st_close(&s);
    assert_null(st_find(&s, "m"));
    ox_free(file);
}

/* Values from IEEE 754: normal, subnormal, both zeros, infinity, not a number. */
static void test_safetensors__half_and_bfloat(void **state) {
    static const struct {
        uint16_t bits;
        float half;
    } cases[] = {
        {0x0000, 0.0F},     {0x3c00, 1.0F},      {0x0001, 0x1p-24F}, {0x83ff, -0x3ffp-24F},
        {0x7bff, 65504.0F}, {0xfbff, -65504.0F}, {0x3f80, 1.875F},   {0x7f80, NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct st_tensor t = {.type = ST_F16, .data = (const unsigned char *)&cases[i].bits};
        float half = st_f32(&t, 0);
        t.type = ST_BF16;
        float bfloat = st_f32(&t, 0);
        uint32_t want = (uint32_t)cases[i].bits << 16, got; /* bfloat16 is the upper half of f32 */
        memcpy(&got, &bfloat, 4);
        assert_int_equal(got, want);
        if (isnan(cases[i].half))
            assert_true(isnan(half));
        else if (half != cases[i].half)
            fail_msg("0x%04x: %a", cases[i].bits, (double)half);
    }
    struct st_tensor minus = {.type = ST_F16, .data = (const unsigned char *)"\x00\x80"};
    assert_true(signbit(st_f32(&minus, 0)));
    struct st_tensor inf = {.type = ST_F16, .data = (const unsigned char *)"\x00\xfc"};
    assert_true(st_f32(&inf, 0) == -INFINITY);
}

/* A header may have any length, so tensor data starts at any address. */
static void test_safetensors__unaligned(void **state) {
    for (int pad = 0; pad < 8; pad++) {
        char header[128];
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}%*s", pad, "");
        float data[2] = {3, 4};
        size_t n;
        unsigned char *file = build(header, data, sizeof data, &n);
        struct st_set s = {0};
        assert_int_equal(st_read(file, n, "f", &s, NULL), 0);
        assert_float_equal(st_f32(&s.v[0], 1), 4, 0);
        st_close(&s);
        ox_free(file);
    }
}

static void test_safetensors__shards(void **state) {
    struct folder *f = NULL;
    struct st_set s = {0};
    ox_err err = {0};
    assert_int_equal(folder_open(OXBOW_TEST_DIR "/golden/tiny-gqa-tied", &f, &err), 0);
    assert_int_equal(st_open(f, &s, &err), 0);
    assert_int_equal(s.n, 5 * 18 + 11 + 2);
    int n_first = 0;
    for (size_t i = 0; i < s.n; i++)
        n_first += strcmp(s.v[i].file, "model-00001-of-00002.safetensors") == 0;
    assert_in_range(n_first, 1, s.n - 1);
    st_close(&s);
    folder_close(f);
}

/* 100,000 tensors are read in well under the seconds that a quadratic reader would need. */
static void test_safetensors__many_tensors(void **state) {
    enum { N = 100000, ENTRY = 80 };
    char *header = ox_alloc(N, ENTRY, "a long header", NULL);
    unsigned char *data = ox_alloc(N, 1, "data", NULL);
    size_t at = 0;
    for (int i = 0; i < N; i++)
        at +=
            (size_t)snprintf(header + at, ENTRY,
                             "%c\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                             i ? ',' : '{', i, N - 1 - i, N - i);
    header[at] = '}';
    size_t n;
    unsigned char *file = build(header, data, N, &n);
    struct st_set s = {0};
    ox_err err = {0};
    clock_t start = clock();
    assert_int_equal(st_read(file, n, "f", &s, &err), 0);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("100,000 tensors in %.3f s\n", seconds);
    assert_int_equal(s.n, N);
    assert_true(seconds < 10);
    assert_ptr_equal(st_find(&s, "t99999")->data, file + n - N);
    st_close(&s);
    ox_free(file);
    ox_free(data);
    ox_free(header);
}

static void test_safetensors__out_of_memory(void **state) {
    struct folder *f = NULL;
    assert_int_equal(folder_open(OXBOW_TEST_DIR "/golden/tiny-gqa-tied", &f, NULL), 0);
    int rc = OX_ENOMEM, n_failed = -1;
    for (uint64_t at = 1; rc == OX_ENOMEM; at++, n_failed++) {
        struct st_set s = {0};
        ox_mem_fail_at(at);
        rc = st_open(f, &s, NULL);
        ox_mem_fail_at(0);
        st_close(&s);
    }
    assert_int_equal(rc, 0);
    assert_true(n_failed >= 5);
    folder_close(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors__reads),
        cmocka_unit_test(test_safetensors__half_and_bfloat),
        cmocka_unit_test(test_safetensors__unaligned),
        cmocka_unit_test(test_safetensors__shards),
        cmocka_unit_test(test_safetensors__many_tensors),
        cmocka_unit_test(test_safetensors__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
