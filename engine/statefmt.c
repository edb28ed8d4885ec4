/* statefmt.c - see statefmt.h. */
#include "engine/statefmt.h"

#include "kernels/kn_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

size_t statefmt_record_bytes(const struct cache_shape *s) {
    return STATEFMT_HEADER + s->record_bytes;
}

/* Rows of a block lie first, its int8 scales behind them: both shrink with the number of rows. */
size_t statefmt_tail_bytes(const struct cache_shape *s, size_t n_rows) {
    return s->page_bytes / KN_PAGE_TOKENS * n_rows;
}

/* Written out as text, so that the key depends on no struct layout and can be made again by hand.
 */
struct ox_key statefmt_space(const struct ox_info *info, const struct cache_shape *s) {
    char text[512];
    int n = snprintf(text, sizeof text,
                     "weights=%016" PRIx64 "%016" PRIx64 " vocab=%016" PRIx64 "%016" PRIx64
                     " backend=%s numerics=%016" PRIx64 " layout=%d kv=%s state=f32 conv=%s"
                     " linear=%d attn=%d page=%d",
                     info->weights.hi, info->weights.lo, info->vocab.hi, info->vocab.lo,
                     info->backend, info->numerics, STATEFMT_LAYOUT, kn_dtype_name(s->kv),
                     kn_dtype_name(s->conv), s->n_gdn, s->n_attn, KN_PAGE_TOKENS);
    XXH128_hash_t h = XXH3_128bits(text, (size_t)n);
    return (struct ox_key){h.high64, h.low64};
}
