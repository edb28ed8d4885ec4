/* fuzz_safetensors.c - any bytes as a safetensors file: what is accepted may be read to the last
 * element, is sorted, and is found again by its name. */
#include "engine/safetensors.h"
#include "kernels/base/ox_mem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct st_set s = {0};
    ox_err err = {0};
    int rc = st_read(data, n, "fuzz", &s, &err);
    if (rc) {
        if (rc != OX_EMODEL || !err.what[0] || !err.fix[0]) abort();
        return 0;
    }
    volatile unsigned sum = 0;
    size_t n_seen = 0;
    for (size_t i = 0; i < s.n; i++) {
        const struct st_tensor *t = &s.v[i];
        if (i && strcmp(s.v[i - 1].name, t->name) >= 0) abort();
        if (st_find(&s, t->name) != t || t->n_dims > 8) abort();
        for (size_t k = 0; k < t->n_bytes; k++)
            sum += t->data[k];
        n_seen += t->n_bytes;
        if ((t->type == ST_F16 || t->type == ST_BF16) && t->n_bytes) st_f32(t, t->n_bytes / 2 - 1);
    }
    (void)sum;
    if (n_seen > n) abort(); /* tensors would overlap */
    st_close(&s);
    return 0;
}
