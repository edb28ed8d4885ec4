/* fuzz_state.c - any bytes as a state record, and as changes (4 bytes of place, 1 of value) to one
 * that is whole. Nothing that differs where it counts is accepted; nothing reads past the end. */
#include "engine/statefmt.h"
#include "kernels/base/ox_mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct ox_config config = {.n_layers = 4,
                                        .n_gdn = 3,
                                        .n_attn = 1,
                                        .n_vocab = 10,
                                        .n_heads = 2,
                                        .n_kv_heads = 2,
                                        .head_size = 8,
                                        .n_k_heads = 1,
                                        .n_v_heads = 2,
                                        .k_size = 4,
                                        .v_size = 6,
                                        .n_taps = 4};
static const struct ox_info info = {
    .backend = "cpu-ref", .weights = {1, 2}, .vocab = {3, 4}, .space = {5, 6}, .numerics = 7};
static const int32_t ids[3] = {1, 2, 3};

static int check(const struct cache_shape *s, const unsigned char *record, size_t n) {
    struct statefmt_kv kv;
    ox_err err = {0};
    int rc = statefmt_check(&info, s, (struct ox_prefix){ids, 3}, record, n, &kv, &err);
    if (rc && (rc != OX_EFORMAT || !err.what[0])) abort();
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct cache_shape s;
    cache_shape_make(&config, KN_BF16, KN_BF16, &s);
    size_t n_record = statefmt_record_bytes(&s);
    unsigned char *whole = ox_alloc(2 * n_record, 1, "records", NULL), *changed = whole + n_record;
    if (!whole) return 0;
    statefmt_seal(&info, &s, (struct ox_prefix){ids, 3}, &(struct statefmt_kv){{0, 0}, 9}, whole);
    if (check(&s, whole, n_record)) abort();
    if (check(&s, data, n) == 0 && n != n_record) abort();
    memcpy(changed, whole, n_record);
    for (size_t i = 0; i + 5 <= n; i += 5) {
        uint32_t at;
        memcpy(&at, data + i, sizeof at);
        changed[at % n_record] = data[i + 4];
    }
    /* A sum of 64 bits stands in front of every byte that is used. */
    if (check(&s, changed, n_record) == 0 &&
        (memcmp(changed, whole, 256) != 0 ||
         memcmp(changed + STATEFMT_HEADER, whole + STATEFMT_HEADER, s.state_bytes) != 0))
        abort();
    ox_free(whole);
    return 0;
}
