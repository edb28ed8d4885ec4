/* test_statefmt.c - the bytes of a state record at their offsets, the hashes by their definition,
 * and every foreign or damaged field refused by name. */
#include "engine/statefmt.h"

#include "kernels/base/ox_mem.h"
#include "kernels/kn_check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <xxhash.h>

static const struct ox_config config = {.n_layers = 4,
                                        .n_gdn = 3,
                                        .n_attn = 1,
                                        .n_vocab = 10,
                                        .n_heads = 2,
                                        .n_kv_heads = 2,
                                        .head_size = 66,
                                        .n_k_heads = 1,
                                        .n_v_heads = 2,
                                        .k_size = 4,
                                        .v_size = 6,
                                        .n_taps = 4};
static const struct ox_info info = {.backend = "cpu-ref",
                                    .weights = {1, 2},
                                    .vocab = {3, 4},
                                    .space = {0x0102030405060708, 0x090a0b0c0d0e0f10},
                                    .numerics = 0x1122334455667788};

struct record {
    struct cache_shape shape;
    unsigned char *p;
    size_t n;
    int32_t tok[600];
    struct ox_prefix at;
    struct statefmt_kv kv;
};

static void make_record(struct record *r, enum kn_dtype kv) {
    *r = (struct record){.kv = {{5, 6}, 7}};
    cache_shape_make(&config, KN_BF16, kv, &r->shape);
    r->n = statefmt_record_bytes(&r->shape);
    r->p = ox_alloc(r->n, 1, "record", NULL);
    assert_non_null(r->p);
    for (size_t i = 0; i < 600; i++)
        r->tok[i] = (int32_t)(i * 7 % 500);
    r->at = (struct ox_prefix){r->tok, 300};
    for (size_t i = 0; i < r->shape.state_bytes; i++)
        r->p[STATEFMT_HEADER + i] = (unsigned char)(i % 13);
    statefmt_seal(&info, &r->shape, r->at, &r->kv, r->p);
}

static uint64_t le(const unsigned char *p, int n) {
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* docs/STORE.md section 5, read off the table. */
static void test_statefmt__header_bytes(void **state) {
    struct record r;
    make_record(&r, KN_BF16);
    static const unsigned char head[16] = {'O', 'X', 'S', 'T', 'A', 'T', 'E', 0,
                                           1,   0,   0,   0,   0,   16,  0,   0};
    assert_memory_equal(r.p, head, 16);
    static const unsigned char space[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    assert_memory_equal(r.p + 48, space, 16);
    assert_int_equal(r.p[23], 1); /* weights {1, 2}: big-endian, high half first */
    assert_int_equal(r.p[31], 2);
    assert_int_equal(le(r.p + 64, 8), info.numerics);
    static const struct {
        int at, n;
        uint64_t value;
    } fields[] = {
        {72, 4, 3},    {76, 4, 1},      {80, 4, 2},   {84, 4, 66},    {88, 4, 2},    {92, 4, 4},
        {96, 4, 6},    {100, 4, 3},     {104, 4, 1},  {108, 4, 2},    {112, 4, 1},   {116, 4, 10},
        {120, 8, 300}, {160, 4, 44},    {164, 4, 93}, {168, 8, 4096}, {176, 8, 576}, {192, 8, 8192},
        {200, 8, 360}, {216, 8, 12288}, {224, 8, 40}, {240, 8, 7},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (le(r.p + fields[i].at, fields[i].n) != fields[i].value)
            fail_msg("offset %d: %llu", fields[i].at,
                     (unsigned long long)le(r.p + fields[i].at, fields[i].n));
    assert_int_equal(le(r.p + 184, 8), XXH3_64bits(r.p + 4096, 576));
    assert_int_equal(le(r.p + 248, 8), XXH3_64bits(r.p, 248));
    for (size_t i = 256; i < 4096; i++)
        assert_int_equal(r.p[i], 0);
    ox_free(r.p);
}

static void test_statefmt__types(void **state) {
    static const struct {
        enum kn_dtype kv;
        uint64_t number;
    } kinds[] = {{KN_BF16, 1}, {KN_I8, 2}, {KN_F32, 3}};
    for (int i = 0; i < 3; i++) {
        struct record r;
        make_record(&r, kinds[i].kv);
        assert_int_equal(le(r.p + 112, 4), kinds[i].number);
        ox_free(r.p);
    }
}

static void test_statefmt__whole_record_passes(void **state) {
    struct record r;
    struct statefmt_kv kv;
    make_record(&r, KN_BF16);
    assert_int_equal(statefmt_check(&info, &r.shape, r.at, r.p, r.n, &kv, NULL), 0);
    assert_int_equal(kv.chain.hi, 5);
    assert_int_equal(kv.chain.lo, 6);
    assert_int_equal(kv.tail_sum, 7);
    ox_free(r.p);
}

static void expect_refusal(const struct record *r, const char *what, size_t at) {
    struct statefmt_kv kv;
    ox_err err = {0};
    int rc = statefmt_check(&info, &r->shape, r->at, r->p, r->n, &kv, &err);
    if (rc != OX_EFORMAT || !err.what[0]) fail_msg("%s %zu: %d", what, at, rc);
}

static void test_statefmt__every_flipped_byte_is_refused(void **state) {
    struct record r;
    make_record(&r, KN_BF16);
    for (size_t at = 0; at < 264; at++)
        for (int bit = 0; bit < 8; bit++) {
            r.p[at] ^= (unsigned char)(1 << bit);
            expect_refusal(&r, "header byte", at);
            r.p[at] ^= (unsigned char)(1 << bit);
        }
    const size_t begin[] = {4096, 8192, 12288}, n[] = {576, 360, 40};
    for (int i = 0; i < 3; i++)
        for (size_t at = begin[i]; at < begin[i] + n[i]; at++) {
            r.p[at] ^= 1;
            expect_refusal(&r, "section byte", at);
            r.p[at] ^= 1;
        }
    ox_free(r.p);
}

/* A record that is whole but of something else. */
static void test_statefmt__foreign_records_are_refused(void **state) {
    struct record r;
    struct ox_info other[] = {info, info, info, info};
    make_record(&r, KN_BF16);
    other[0].weights.lo++;
    other[1].vocab.hi++;
    other[2].space.lo++;
    other[3].numerics++;
    for (int i = 0; i < 4; i++) {
        statefmt_seal(&other[i], &r.shape, r.at, &r.kv, r.p);
        expect_refusal(&r, "another engine", (size_t)i);
    }
    statefmt_seal(&info, &r.shape, (struct ox_prefix){r.tok, 299}, &r.kv, r.p);
    expect_refusal(&r, "another position", 299);
    r.tok[250]++;
    statefmt_seal(&info, &r.shape, r.at, &r.kv, r.p);
    r.tok[250]--;
    expect_refusal(&r, "other ids", 250);
    statefmt_seal(&info, &r.shape, r.at, &r.kv, r.p);
    r.n -= 4096;
    expect_refusal(&r, "short by", 4096);
    r.n += 4096;
    float nan = NAN;
    memcpy(r.p + STATEFMT_HEADER + r.shape.logits_at + 12, &nan, sizeof nan);
    statefmt_seal(&info, &r.shape, r.at, &r.kv, r.p);
    expect_refusal(&r, "logit", 3);
    ox_free(r.p);
}

/* h(0) = space, h(1) = XXH3(h(0), ids 0..255), H = XXH3(h(1), ids 256..299, n): written out here.
 */
static void test_statefmt__prefix_hash(void **state) {
    struct record r;
    unsigned char text[16 + 1024 + 8];
    make_record(&r, KN_BF16);
    for (int i = 0; i < 16; i++)
        text[i] = (unsigned char)(i + 1);
    memcpy(text + 16, r.tok, 1024);
    XXH128_canonical_t h;
    XXH128_canonicalFromHash(&h, XXH3_128bits(text, 16 + 1024));
    memcpy(text, h.digest, 16);
    memcpy(text + 16, r.tok + 256, 44 * 4);
    uint64_t n = 300;
    memcpy(text + 16 + 44 * 4, &n, 8);
    XXH128_hash_t want = XXH3_128bits(text, 16 + 44 * 4 + 8);
    struct ox_key got = statefmt_prefix(info.space, r.at);
    assert_true(got.hi == want.high64 && got.lo == want.low64);
    /* An exact page: no ids are left, and it differs from the page hash itself. */
    struct ox_key a = statefmt_prefix(info.space, (struct ox_prefix){r.tok, 256});
    assert_false(a.hi == XXH3_128bits(text, 16 + 1024).high64);
    ox_free(r.p);
}

static void test_statefmt__space_depends_on_everything(void **state) {
    struct ox_info other = info;
    struct cache_shape s, t;
    cache_shape_make(&config, KN_BF16, KN_BF16, &s);
    struct ox_key base = statefmt_space(&info, &s);
    other.backend = "cpu-avx2";
    struct ox_key key = statefmt_space(&other, &s);
    assert_true(key.lo != base.lo);
    other = info;
    other.numerics++;
    key = statefmt_space(&other, &s);
    assert_true(key.lo != base.lo);
    cache_shape_make(&config, KN_BF16, KN_I8, &t);
    key = statefmt_space(&info, &t);
    assert_true(key.lo != base.lo);
    cache_shape_make(&config, KN_F32, KN_BF16, &t);
    key = statefmt_space(&info, &t);
    assert_true(key.lo != base.lo);
}

/* r rows of every block, in the order of the page; unpacking gives the rows back. */
static void test_statefmt__tail(void **state) {
    static const enum kn_dtype kinds[] = {KN_F32, KN_BF16, KN_I8};
    static const size_t rows[] = {1, 44, 255};
    for (int k = 0; k < 9; k++) {
        struct cache_shape s;
        size_t n_rows = rows[k % 3];
        cache_shape_make(&config, KN_BF16, kinds[k / 3], &s);
        unsigned char *page = ox_alloc(2 * s.page_bytes, 1, "pages", NULL), *back;
        assert_non_null(page);
        back = page + s.page_bytes;
        for (size_t i = 0; i < s.page_bytes; i++)
            page[i] = (unsigned char)(i * 31 >> 3);
        unsigned char *whole = (unsigned char *)ox_memdup(page, s.page_bytes, "copy", NULL);
        statefmt_pack_tail(&s, n_rows, page);
        size_t row = kn_bytes(s.kv, s.head_size), block = kn_kv_block_bytes(s.kv, s.head_size);
        assert_memory_equal(page, whole, n_rows * row); /* first block, first rows */
        size_t second = n_rows * (block / 256);         /* second block, behind scales if any */
        assert_memory_equal(page + second, whole + block, n_rows * row);
        statefmt_unpack_tail(&s, n_rows, page, back);
        for (size_t b = 0; b < s.page_bytes; b += block) {
            assert_memory_equal(back + b, whole + b, n_rows * row);
            size_t scales = block - 256 * row;
            if (scales)
                assert_memory_equal(back + b + 256 * row, whole + b + 256 * row,
                                    scales / 256 * n_rows);
        }
        ox_free(page);
        ox_free(whole);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statefmt__header_bytes),
        cmocka_unit_test(test_statefmt__types),
        cmocka_unit_test(test_statefmt__whole_record_passes),
        cmocka_unit_test(test_statefmt__every_flipped_byte_is_refused),
        cmocka_unit_test(test_statefmt__foreign_records_are_refused),
        cmocka_unit_test(test_statefmt__prefix_hash),
        cmocka_unit_test(test_statefmt__space_depends_on_everything),
        cmocka_unit_test(test_statefmt__tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
