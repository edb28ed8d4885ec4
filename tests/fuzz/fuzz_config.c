/* fuzz_config.c - any bytes as config.json, and behind a zero byte as generation_config.json. What
 * is accepted has sizes that the rest of the program may multiply. */
#include "engine/config.h"
#include "engine/quant.h"
#include "engine/weights.h"
#include "kernels/base/ox_mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const struct ox_config *c) {
    if (c->d < 1 || c->f < 1 || c->n_vocab < 1 || c->n_layers < 2) abort();
    if (c->n_gdn < 1 || c->n_attn < 1 || c->n_gdn + c->n_attn != c->n_layers) abort();
    if (c->n_heads % c->n_kv_heads || c->n_v_heads % c->n_k_heads) abort();
    if (c->head_size * (int64_t)c->n_heads != c->d || c->k_size < 1 || c->v_size < 1) abort();
    for (int i = 0; i < c->n_stop; i++)
        if (c->stop[i] < 0 || c->stop[i] >= c->n_vocab) abort();
    if (memchr(c->note, '\0', sizeof c->note) == NULL) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const uint8_t *cut = n ? memchr(data, 0, n) : NULL;
    size_t n_config = cut ? (size_t)(cut - data) : n;
    struct ox_config c = {0};
    ox_err err = {0};
    int rc = config_parse(data, n_config, cut ? cut + 1 : NULL, cut ? n - n_config - 1 : 0, n % 2,
                          &c, &err);
    if (rc) {
        if (rc != OX_EMODEL || !err.what[0] || !err.fix[0]) abort();
        return 0;
    }
    check(&c);
    struct ox_expected *list = NULL;
    size_t n_list = 0;
    if (weights_expect(&c, &list, &n_list, &err)) abort();
    struct quant_rules *rules = NULL;
    const struct ox_quant_group *g = NULL;
    rc = quant_rules_open(&c.quant, &rules, &err);
    for (size_t i = 0; !rc && i < n_list && i < 64; i++)
        rc = quant_find(rules, list[i].name, &g, &err);
    if (rc && rc != OX_EMODEL) abort();
    quant_rules_close(rules);
    ox_free(list);
    config_deinit(&c);
    return 0;
}
