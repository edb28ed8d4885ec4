/* tokenizer.c - see tokenizer.h. Puts the parts together: vocab.c read the file, pretok.c cuts
 * text, bpe.c merges, text.c keeps characters whole. */
#include "engine/tokenizer.h"

#include "engine/text.h"
#include "engine/vocab.h"

#include <pthread.h>
#include <string.h>
#include <xxhash.h>

struct scratch { /* what one call changes */
    struct pretok_run *run;
    struct bpe_scratch bpe;
    struct scratch *next;
};

enum {
    MAX_IDLE = 4,                /* scratches kept for the next call */
    MAX_IDLE_SYMBOLS = 64 * 1024 /* of one that met a longer piece, the memory is given back */
};
struct pool {
    pthread_mutex_t lock; /* guards the two below */
    struct scratch *idle;
    int n_idle;
};

struct tokenizer {
    struct vocab vocab;
    struct ox_key key;
    struct pool *pool; /* apart: a const tokenizer still lends scratch */
};

/* ---- scratch --------------------------------------------------------------------------------- */

static void scratch_free(struct scratch *s) {
    if (!s) return;
    pretok_run_free(s->run);
    bpe_scratch_deinit(&s->bpe);
    ox_free(s);
}

static int take_scratch(struct pool *pool, struct scratch **out, ox_err *err) {
    pthread_mutex_lock(&pool->lock);
    struct scratch *s = pool->idle;
    if (s) {
        pool->idle = s->next;
        pool->n_idle--;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!s) {
        s = ox_alloc(1, sizeof *s, "scratch of the tokenizer", err);
        int rc = s ? pretok_run_new(&s->run, err) : OX_ENOMEM;
        if (rc) {
            scratch_free(s);
            return rc;
        }
    }
    *out = s;
    return 0;
}

static void give_scratch(struct pool *pool, struct scratch *s) {
    if (s->bpe.cap_symbols > MAX_IDLE_SYMBOLS) bpe_scratch_deinit(&s->bpe);
    pthread_mutex_lock(&pool->lock);
    if (pool->n_idle < MAX_IDLE) {
        s->next = pool->idle;
        pool->idle = s;
        pool->n_idle++;
        s = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    scratch_free(s);
}

/* ---- opening --------------------------------------------------------------------------------- */

int tokenizer_open(const unsigned char *json, size_t n, tokenizer **out, ox_err *err) {
    tokenizer *t = ox_alloc(1, sizeof *t, "a tokenizer", err);
    if (!t) return OX_ENOMEM;
    t->pool = ox_alloc(1, sizeof *t->pool, "a tokenizer", err);
    int rc = t->pool ? 0 : OX_ENOMEM;
    if (!rc) pthread_mutex_init(&t->pool->lock, NULL);
    if (!rc) rc = vocab_read(json, n, &t->vocab, err);
    if (rc) {
        tokenizer_close(t);
        if (rc == OX_EMODEL && err && !err->fix[0])
            ox_err_fix(err, "use the tokenizer.json that was released with the model");
        return ox_err_wrap(err, rc, "tokenizer.json");
    }
    XXH128_hash_t hash = XXH3_128bits(json, n);
    t->key = (struct ox_key){hash.high64, hash.low64};
    *out = t;
    return 0;
}

void tokenizer_close(tokenizer *t) {
    if (!t) return;
    if (t->pool) {
        for (struct scratch *s = t->pool->idle, *next; s; s = next) {
            next = s->next;
            scratch_free(s);
        }
        pthread_mutex_destroy(&t->pool->lock);
    }
    ox_free(t->pool);
    vocab_deinit(&t->vocab);
    ox_free(t);
}

uint32_t tokenizer_size(const tokenizer *t) {
    return (uint32_t)t->vocab.bpe.n_ids;
}

struct ox_key tokenizer_key(const tokenizer *t) {
    return t->key;
}

const char *tokenizer_note(const tokenizer *t) {
    return t->vocab.note;
}

int32_t tokenizer_id(const tokenizer *t, const char *added) {
    return vocab_added_id(&t->vocab, added, strlen(added));
}

/* ---- text to ids ----------------------------------------------------------------------------- */

struct call {
    const struct vocab *vocab;
    struct scratch *scratch;
    struct ox_tokens *out;
};

static int encode_piece(void *user, const char *piece, size_t n, ox_err *err) {
    const struct call *c = user;
    return bpe_encode(&c->vocab->bpe, &c->scratch->bpe, piece, n, c->out, err);
}

static int encode_data(struct call *c, const char *text, size_t n, ox_err *err) {
    return pretok_cut(&c->vocab->pretok, c->scratch->run, text, n, encode_piece, c, err);
}

/* Cuts out added tokens, leftmost and longest first; what lies between is data. */
static int encode_with_added(struct call *c, const char *text, size_t n, ox_err *err) {
    size_t from = 0, at = 0;
    int rc = 0;
    while (!rc && at < n) {
        int32_t id = vocab_added_at(c->vocab, text + at, n - at);
        if (id < 0) {
            at++;
            continue;
        }
        size_t n_added = 0;
        vocab_bytes(c->vocab, (uint32_t)id, &n_added);
        if (at > from) rc = encode_data(c, text + from, at - from, err);
        if (!rc) rc = ox_grow(&c->out->v, &c->out->cap, c->out->n + 1, sizeof *c->out->v, err);
        if (!rc) c->out->v[c->out->n++] = id;
        from = at += n_added;
    }
    return rc || from == n ? rc : encode_data(c, text + from, n - from, err);
}

static int encode(const tokenizer *t, const char *text, size_t n, bool with_added,
                  struct ox_tokens *out, ox_err *err) {
    char *repaired = NULL;
    size_t n_before = out->n, n_repaired = 0, cap = 0;
    struct call c = {&t->vocab, NULL, out};
    int rc = take_scratch(t->pool, &c.scratch, err);
    if (rc) return rc;
    if (ox_text_whole(text, n) < n) {
        rc = ox_text_repair(text, n, &repaired, &n_repaired, &cap, NULL, err);
        text = repaired;
        n = n_repaired;
    }
    if (!rc && n)
        rc = with_added ? encode_with_added(&c, text, n, err) : encode_data(&c, text, n, err);
    if (rc) out->n = n_before;
    ox_free(repaired);
    give_scratch(t->pool, c.scratch);
    return rc ? ox_err_wrap(err, rc, "encode text") : 0;
}

int tokenizer_encode(const tokenizer *t, const char *text, size_t n, struct ox_tokens *out,
                     ox_err *err) {
    return encode(t, text, n, false, out, err);
}

int tokenizer_encode_special(const tokenizer *t, const char *text, size_t n, struct ox_tokens *out,
                             ox_err *err) {
    return encode(t, text, n, true, out, err);
}

/* ---- ids to text ----------------------------------------------------------------------------- */

const char *tokenizer_bytes(const tokenizer *t, int32_t id, size_t *n) {
    return id < 0 ? NULL : vocab_bytes(&t->vocab, (uint32_t)id, n);
}

bool tokenizer_is_added(const tokenizer *t, int32_t id) {
    for (size_t i = 0; i < t->vocab.n_added; i++)
        if (id >= 0 && t->vocab.added[i] == (uint32_t)id) return true;
    return false;
}

struct match { /* of bytes as they were encoded against the bytes of ids */
    const tokenizer *t;
    struct ox_prefix ids;
    size_t *ends;
    size_t i, k; /* token, byte in it */
};

/* One byte; `end` is where the text stands behind it. false: no token has it. */
static bool match_byte(struct match *m, char byte, size_t end) {
    size_t n = 0;
    const char *bytes = m->i < m->ids.n ? tokenizer_bytes(m->t, m->ids.tok[m->i], &n) : NULL;
    if (bytes && bytes[m->k] == byte) {
        if (++m->k < n) return true;
        m->ends[m->i++] = end;
        m->k = 0;
        return true;
    }
    return m->t->vocab.bpe.byte_id[(unsigned char)byte] < 0; /* dropped */
}

int tokenizer_ends(const tokenizer *t, const char *text, size_t n, struct ox_prefix ids,
                   size_t *ends, ox_err *err) {
    struct match m = {.t = t, .ids = ids, .ends = ends};
    bool is_match = true;
    for (size_t at = 0, length; is_match && at < n; at += length) {
        int look = ox_text_look(text + at, n - at);
        length = look > 0 ? (size_t)look : look < 0 ? (size_t)-look : n - at;
        for (size_t k = 0; look > 0 && is_match && k < length; k++)
            is_match = match_byte(&m, text[at + k], at + k + 1);
        for (size_t k = 0; look <= 0 && is_match && k < 3; k++) /* U+FFFD */
            is_match = match_byte(&m, "\xef\xbf\xbd"[k], k < 2 ? at : at + length);
    }
    if (!is_match || m.i < ids.n || m.k)
        return ox_err_set(err, OX_EUSAGE, "token %zu is not of this text", m.i);
    if (ids.n) ends[ids.n - 1] = n;
    return 0;
}

int tokenizer_token_text(const tokenizer *t, int32_t id, char *out, size_t cap) {
    size_t n = 0;
    const char *bytes = tokenizer_bytes(t, id, &n);
    if (!bytes || n > INT32_MAX) return -1;
    if (cap) memcpy(out, bytes, n < cap ? n : cap);
    return (int)n;
}

int tokenizer_stream(const tokenizer *t, struct ox_decoder *d, int32_t id, char **text, size_t *n,
                     size_t *cap, ox_err *err) {
    if (id == -1) return ox_text_flush(d, text, n, cap, err);
    size_t n_bytes = 0;
    const char *bytes = tokenizer_bytes(t, id, &n_bytes);
    if (!bytes) return ox_err_set(err, OX_EUSAGE, "no token has the id %d", (int)id);
    return ox_text_feed(d, bytes, n_bytes, text, n, cap, err);
}
