/* statefmt.c - see statefmt.h. Apart from those who move the bytes, because these bytes outlive the
 * process that wrote them: every field is written and checked from one table. */
#include "engine/statefmt.h"

#include "kernels/kn_check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { MAGIC_BYTES = 8, SUMS_AT = 168, TAIL_SUM_AT = 240, HEADER_SUM_AT = 248, HEADER_USED = 256 };
static const unsigned char magic[MAGIC_BYTES] = "OXSTATE";

size_t statefmt_record_bytes(const struct cache_shape *s) {
    return STATEFMT_HEADER + s->record_bytes;
}

/* Rows of a block lie first, its int8 scales behind them: both shrink with the number of rows. */
size_t statefmt_tail_bytes(const struct cache_shape *s, size_t n_rows) {
    return s->page_bytes / KN_PAGE_TOKENS * n_rows;
}

/* ---- numbers -------------------------------------------------------------------------------- */

static void put_le(unsigned char *p, size_t n_bytes, uint64_t v) {
    for (size_t i = 0; i < n_bytes; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get_le(const unsigned char *p, size_t n_bytes) {
    uint64_t v = 0;
    for (size_t i = n_bytes; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static void put_key(unsigned char *p, struct ox_key k) {
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, (XXH128_hash_t){.low64 = k.lo, .high64 = k.hi});
    memcpy(p, c.digest, sizeof c.digest);
}

static struct ox_key key_of(XXH128_hash_t h) {
    return (struct ox_key){h.high64, h.low64};
}

/* ---- hashes --------------------------------------------------------------------------------- */

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
    return key_of(XXH3_128bits(text, (size_t)n));
}

/* h(0) = space, h(k) = XXH3(h(k-1), ids of page k-1); H(n) = XXH3(h(n / 256), remaining ids, n). */
struct ox_key statefmt_prefix(struct ox_key space, struct ox_prefix p) {
    unsigned char text[16 + 4 * KN_PAGE_TOKENS + 8];
    struct ox_key h = space;
    for (size_t at = 0;; at += KN_PAGE_TOKENS) {
        bool is_last = p.n - at < KN_PAGE_TOKENS;
        size_t n = is_last ? p.n - at : KN_PAGE_TOKENS, used = 16 + 4 * n;
        put_key(text, h);
        for (size_t i = 0; i < n; i++)
            put_le(text + 16 + 4 * i, 4, (uint32_t)p.tok[at + i]);
        if (is_last) {
            put_le(text + used, 8, p.n);
            return key_of(XXH3_128bits(text, used + 8));
        }
        h = key_of(XXH3_128bits(text, used));
    }
}

struct ox_key statefmt_chain(struct ox_key before, const void *page, size_t n_bytes) {
    unsigned char both[32];
    put_key(both, before);
    put_key(both + 16, key_of(XXH3_128bits(page, n_bytes)));
    return key_of(XXH3_128bits(both, sizeof both));
}

uint64_t statefmt_sum(const void *p, size_t n_bytes) {
    return XXH3_64bits(p, n_bytes);
}

/* ---- header --------------------------------------------------------------------------------- */

static uint32_t type_number(enum kn_dtype type, bool is_kv) {
    switch (type) {
    case KN_F32: return is_kv ? 3 : 1;
    case KN_BF16: return is_kv ? 1 : 2;
    case KN_I8: return 2;
    case KN_NONE:
    case KN_F16:
    case KN_I4:
    case KN_I32: break;
    }
    return 0;
}

struct field {
    const char *name;
    size_t at, n_bytes;
    uint64_t value;
};
enum { N_FIELDS = 25 };

/* All numbers of the header but the sums: the same list writes and checks. */
static void list_fields(const struct ox_info *info, const struct cache_shape *s,
                        struct ox_prefix at, struct field out[N_FIELDS]) {
    const struct field fields[N_FIELDS] = {
        {"layout", 8, 4, STATEFMT_LAYOUT},
        {"header size", 12, 4, STATEFMT_HEADER},
        {"numerics", 64, 8, info->numerics},
        {"linear layers", 72, 4, (uint64_t)s->n_gdn},
        {"attention layers", 76, 4, (uint64_t)s->n_attn},
        {"KV heads", 80, 4, (uint64_t)s->n_kv_heads},
        {"KV head size", 84, 4, (uint64_t)s->head_size},
        {"recurrent heads", 88, 4, (uint64_t)s->n_v_heads},
        {"key size", 92, 4, (uint64_t)s->k_size},
        {"value size", 96, 4, (uint64_t)s->v_size},
        {"conv taps", 100, 4, (uint64_t)s->n_kept},
        {"state type", 104, 4, 1},
        {"conv type", 108, 4, type_number(s->conv, false)},
        {"KV type", 112, 4, type_number(s->kv, true)},
        {"vocabulary", 116, 4, (uint64_t)s->n_vocab},
        {"position", 120, 8, at.n},
        {"tail rows", 160, 4, at.n % KN_PAGE_TOKENS},
        {"last token", 164, 4, (uint32_t)at.tok[at.n - 1]},
        {"state offset", SUMS_AT, 8, STATEFMT_HEADER},
        {"state length", SUMS_AT + 8, 8, s->state_bytes},
        {"conv offset", SUMS_AT + 24, 8, STATEFMT_HEADER + s->conv_at},
        {"conv length", SUMS_AT + 32, 8, s->conv_bytes},
        {"logits offset", SUMS_AT + 48, 8, STATEFMT_HEADER + s->logits_at},
        {"logits length", SUMS_AT + 56, 8, s->logits_bytes},
        {"end of header", HEADER_USED, 8, 0},
    };
    memcpy(out, fields, sizeof fields);
}

struct key_field {
    const char *name;
    size_t at;
    struct ox_key value;
};
enum { N_KEYS = 4, CHAIN_AT = 144, N_SECTIONS = 3 };

static void list_keys(const struct ox_info *info, struct ox_prefix at,
                      struct key_field out[N_KEYS]) {
    out[0] = (struct key_field){"weights", 16, info->weights};
    out[1] = (struct key_field){"vocabulary", 32, info->vocab};
    out[2] = (struct key_field){"space", 48, info->space};
    out[3] = (struct key_field){"prefix", 128, statefmt_prefix(info->space, at)};
}

static uint64_t section_sum(const struct cache_shape *s, const unsigned char *record, int i) {
    const size_t at[] = {0, s->conv_at, s->logits_at};
    const size_t n[] = {s->state_bytes, s->conv_bytes, s->logits_bytes};
    return XXH3_64bits(record + STATEFMT_HEADER + at[i], n[i]);
}

void statefmt_seal(const struct ox_info *info, const struct cache_shape *s, struct ox_prefix at,
                   const struct statefmt_kv *kv, unsigned char *record) {
    struct field fields[N_FIELDS];
    struct key_field keys[N_KEYS];
    list_fields(info, s, at, fields);
    list_keys(info, at, keys);
    memset(record, 0, STATEFMT_HEADER);
    memcpy(record, magic, sizeof magic);
    for (int i = 0; i < N_FIELDS; i++)
        put_le(record + fields[i].at, fields[i].n_bytes, fields[i].value);
    for (int i = 0; i < N_KEYS; i++)
        put_key(record + keys[i].at, keys[i].value);
    put_key(record + CHAIN_AT, kv->chain);
    put_le(record + TAIL_SUM_AT, 8, kv->tail_sum);
    for (int i = 0; i < N_SECTIONS; i++)
        put_le(record + SUMS_AT + 24 * i + 16, 8, section_sum(s, record, i));
    put_le(record + HEADER_SUM_AT, 8, XXH3_64bits(record, HEADER_SUM_AT));
}

static int check_fields(const struct ox_info *info, const struct cache_shape *s,
                        struct ox_prefix at, const unsigned char *record, ox_err *err) {
    struct field fields[N_FIELDS];
    struct key_field keys[N_KEYS];
    list_fields(info, s, at, fields);
    list_keys(info, at, keys);
    for (int i = 0; i < N_FIELDS; i++) {
        uint64_t found = get_le(record + fields[i].at, fields[i].n_bytes);
        if (found != fields[i].value)
            return ox_err_set(err, OX_EFORMAT,
                              "state record, %s: expected %" PRIu64 ", found %" PRIu64,
                              fields[i].name, fields[i].value, found);
    }
    for (int i = 0; i < N_KEYS; i++) {
        unsigned char want[16];
        put_key(want, keys[i].value);
        if (memcmp(record + keys[i].at, want, sizeof want) != 0)
            return ox_err_set(err, OX_EFORMAT, "state record: another %s", keys[i].name);
    }
    return 0;
}

int statefmt_check(const struct ox_info *info, const struct cache_shape *s, struct ox_prefix at,
                   const unsigned char *record, size_t n_bytes, struct statefmt_kv *kv,
                   ox_err *err) {
    static const char *const names[N_SECTIONS] = {"delta states", "convolution states", "logits"};
    if (n_bytes != statefmt_record_bytes(s) || memcmp(record, magic, sizeof magic) != 0)
        return ox_err_set(err, OX_EFORMAT, "not a state record of %zu bytes",
                          statefmt_record_bytes(s));
    uint64_t sum = XXH3_64bits(record, HEADER_SUM_AT);
    if (get_le(record + HEADER_SUM_AT, 8) != sum)
        return ox_err_set(err, OX_EFORMAT, "state record, header: the sum is wrong");
    int rc = check_fields(info, s, at, record, err);
    if (rc) return rc;
    for (int i = 0; i < N_SECTIONS; i++)
        if (get_le(record + SUMS_AT + 24 * i + 16, 8) != section_sum(s, record, i))
            return ox_err_set(err, OX_EFORMAT, "state record, %s: the sum is wrong", names[i]);
    const unsigned char *logits = record + STATEFMT_HEADER + s->logits_at;
    for (int64_t i = 0; i < s->n_vocab; i++) {
        float v;
        memcpy(&v, logits + (size_t)i * sizeof v, sizeof v);
        if (!isfinite(v))
            return ox_err_set(err, OX_EFORMAT, "state record: logit %lld is not finite",
                              (long long)i);
    }
    *kv = (struct statefmt_kv){.tail_sum = get_le(record + TAIL_SUM_AT, 8)};
    for (int i = 0; i < 8; i++) { /* canonical: big-endian, high half first */
        kv->chain.hi = kv->chain.hi << 8 | record[CHAIN_AT + i];
        kv->chain.lo = kv->chain.lo << 8 | record[CHAIN_AT + 8 + i];
    }
    return 0;
}

/* ---- tail ----------------------------------------------------------------------------------- */

/* Runs of bytes of one row that lie together: a block's values, then its int8 scales. Calls copy
 * for each run of n_rows rows: at offset `packed` in the tail and `loose` in the page. */
static void walk_runs(const struct cache_shape *s, size_t n_rows,
                      void (*copy)(void *user, size_t packed, size_t loose, size_t n), void *user) {
    size_t block = kn_kv_block_bytes(s->kv, s->head_size), packed = 0;
    size_t row[2] = {kn_bytes(s->kv, s->head_size), 0};
    row[1] = block / KN_PAGE_TOKENS - row[0]; /* 0 without scales */
    for (size_t loose = 0; loose < s->page_bytes; loose += block)
        for (size_t part = 0, at = loose; part < 2; at += row[part] * KN_PAGE_TOKENS, part++) {
            if (row[part]) copy(user, packed, at, row[part] * n_rows);
            packed += row[part] * n_rows;
        }
}

struct tail_copy {
    const unsigned char *tail;
    unsigned char *page;
};

static void close_up(void *user, size_t packed, size_t loose, size_t n) {
    const struct tail_copy *t = user;
    memmove(t->page + packed, t->page + loose, n); /* never upwards: packed <= loose */
}

static void spread(void *user, size_t packed, size_t loose, size_t n) {
    const struct tail_copy *t = user;
    memcpy(t->page + loose, t->tail + packed, n);
}

void statefmt_pack_tail(const struct cache_shape *s, size_t n_rows, unsigned char *page) {
    walk_runs(s, n_rows, close_up, &(struct tail_copy){NULL, page});
}

void statefmt_unpack_tail(const struct cache_shape *s, size_t n_rows, const unsigned char *tail,
                          unsigned char *page) {
    walk_runs(s, n_rows, spread, &(struct tail_copy){tail, page});
}
