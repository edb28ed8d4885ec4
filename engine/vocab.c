/* vocab.c - see vocab.h. Apart from tokenizer.c, because reading a file that anybody may have
 * written and cutting text are two stories. */
#include "engine/vocab.h"

#include "engine/jsontext.h"
#include "engine/skim.h"

#include <stdlib.h>
#include <string.h>

/* ---- added tokens ---------------------------------------------------------------------------- */

const char *vocab_bytes(const struct vocab *v, uint32_t id, size_t *n) {
    if (id >= v->bpe.n_ids || !v->bpe.piece[id].is_there) return NULL;
    *n = v->bpe.piece[id].n_bytes;
    return v->bpe.bytes + v->bpe.piece[id].from;
}

int32_t vocab_added_at(const struct vocab *v, const char *text, size_t n) {
    unsigned char b = n ? (unsigned char)text[0] : 0;
    for (uint32_t i = v->added_from[b]; n && i < v->added_from[b + 1]; i++) {
        const struct bpe_piece *p = &v->bpe.piece[v->added[i]];
        if (p->n_bytes <= n && memcmp(v->bpe.bytes + p->from, text, p->n_bytes) == 0)
            return (int32_t)v->added[i]; /* the longest comes first */
    }
    return -1;
}

struct sorted_added { /* qsort has no place for the vocabulary */
    const char *bytes;
    uint32_t n_bytes, id;
};

static int compare_added(const void *a, const void *b) {
    const struct sorted_added *x = a, *y = b;
    unsigned char p = (unsigned char)x->bytes[0], q = (unsigned char)y->bytes[0];
    if (p != q) return p < q ? -1 : 1;
    if (x->n_bytes != y->n_bytes) return x->n_bytes > y->n_bytes ? -1 : 1;
    return memcmp(x->bytes, y->bytes, x->n_bytes);
}

/* By halving: a hostile file may hold a million pieces and as many added tokens. */
int32_t vocab_added_id(const struct vocab *v, const char *content, size_t n) {
    unsigned char b = n ? (unsigned char)content[0] : 0;
    if (!n || n > UINT32_MAX) return -1;
    const struct sorted_added wanted = {content, (uint32_t)n, 0};
    for (uint32_t low = v->added_from[b], high = v->added_from[b + 1]; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        const struct bpe_piece *p = &v->bpe.piece[v->added[middle]];
        const struct sorted_added there = {v->bpe.bytes + p->from, p->n_bytes, 0};
        int order = compare_added(&wanted, &there);
        if (order == 0) return (int32_t)v->added[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

/* Sorts the ids for matching and refuses a content that is there twice. */
static int index_added(struct vocab *v, ox_err *err) {
    struct sorted_added *s = ox_alloc(v->n_added, sizeof *s, "added tokens", err);
    if (!s) return OX_ENOMEM;
    for (size_t i = 0; i < v->n_added; i++) {
        const struct bpe_piece *p = &v->bpe.piece[v->added[i]];
        s[i] = (struct sorted_added){v->bpe.bytes + p->from, p->n_bytes, v->added[i]};
    }
    if (v->n_added) qsort(s, v->n_added, sizeof *s, compare_added);
    int rc = 0;
    for (size_t i = 0; i < v->n_added && !rc; i++) {
        v->added[i] = s[i].id;
        v->added_from[(unsigned char)s[i].bytes[0] + 1] = (uint32_t)i + 1;
        if (i && compare_added(&s[i - 1], &s[i]) == 0)
            rc = ox_err_set(err, OX_EMODEL, "added_tokens: ids %u and %u have the same content",
                            (unsigned)s[i - 1].id, (unsigned)s[i].id);
    }
    for (int b = 0; b < 256; b++)
        if (v->added_from[b + 1] < v->added_from[b]) v->added_from[b + 1] = v->added_from[b];
    ox_free(s);
    return rc;
}

/* A member that is absent, null or false. */
static bool is_off(const json_t *object, const char *name) {
    const json_t *j = json_object_get(object, name);
    return !j || json_is_null(j) || json_is_false(j);
}

static int read_added(struct vocab *v, const json_t *list, ox_err *err) {
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized"};
    if (list && !json_is_null(list) && !json_is_array(list))
        return ox_err_set(err, OX_EMODEL, "added_tokens: not a list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *token = json_array_get(list, i);
        const json_t *id = json_object_get(token, "id"), *text = json_object_get(token, "content");
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > BPE_MAX_ID || !json_is_string(text))
            return ox_err_set(err, OX_EMODEL,
                              "added_tokens[%zu]: needs an id from 0 to %d and a content", i,
                              BPE_MAX_ID);
        for (size_t k = 0; k < sizeof flags / sizeof flags[0]; k++)
            if (!is_off(token, flags[k]))
                return ox_err_set(err, OX_EMODEL, "added_tokens[%zu]: %s is not supported", i,
                                  flags[k]);
        int rc = bpe_add(&v->bpe, (uint32_t)json_integer_value(id), json_string_value(text),
                         json_string_length(text), false, err);
        if (!rc) rc = ox_grow(&v->added, &v->cap_added, v->n_added + 1, sizeof *v->added, err);
        if (rc) return ox_err_wrap(err, rc, "added_tokens");
        v->added[v->n_added++] = (uint32_t)json_integer_value(id);
    }
    return index_added(v, err);
}

/* ---- pieces and merges ----------------------------------------------------------------------- */

/* GPT-2's byte map: the code point that stands for each byte (docs/MODEL.md 6.1), turned round. */
struct byte_map {
    int16_t byte_of[0x144]; /* -1: stands for nothing */
};

static void fill_byte_map(struct byte_map *m) {
    memset(m->byte_of, 0xff, sizeof m->byte_of);
    int n_others = 0;
    for (int b = 0; b < 256; b++) {
        bool is_itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        m->byte_of[is_itself ? b : 0x100 + n_others++] = (int16_t)b;
    }
}

/* Well-formed text to the bytes it stands for; out has room for n. false: it stands for none. */
static bool unmap(const struct byte_map *m, const char *text, size_t n, char *out, size_t *n_out) {
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned c = (unsigned char)text[i];
        if (c >= 0xc0) { /* all code points of the map take one or two bytes */
            if (c >= 0xe0) return false;
            c = (c & 0x1f) << 6 | ((unsigned char)text[++i] & 0x3f);
        }
        if (c >= 0x144 || m->byte_of[c] < 0) return false;
        out[to++] = (char)m->byte_of[c];
    }
    *n_out = to;
    return true;
}

struct reader { /* of the two large parts */
    struct skim skim;
    struct byte_map map;
    char *piece; /* with the byte map undone */
    size_t cap_piece;
};

static int refuse_piece(const char *text, size_t n, const char *why, ox_err *err) {
    char shown[JSONTEXT_SHOWN];
    return ox_err_set(err, OX_EMODEL, "vocab: piece %s %s", jsontext_quote(text, n, shown), why);
}

static int read_piece(struct vocab *v, struct reader *r, ox_err *err) {
    const char *text;
    size_t n, n_piece = 0;
    uint32_t id;
    int rc = skim_string(&r->skim, &text, &n, err);
    if (!rc) rc = ox_grow(&r->piece, &r->cap_piece, n, 1, err);
    if (!rc) rc = skim_expect(&r->skim, ':', err);
    if (!rc) rc = skim_number(&r->skim, &id, err);
    if (rc) return rc;
    int32_t added = vocab_added_id(v, text, n);
    if (added >= 0) /* a vocabulary may list the added tokens too */
        return (uint32_t)added == id ? 0
                                     : refuse_piece(text, n, "has another id as added token", err);
    if (!unmap(&r->map, text, n, r->piece, &n_piece))
        return refuse_piece(text, n, "is not made of byte-level characters", err);
    return bpe_add(&v->bpe, id, r->piece, n_piece, true, err);
}

static int read_pieces(struct vocab *v, struct reader *r, ox_err *err) {
    int rc = skim_expect(&r->skim, '{', err);
    if (rc || skim_take(&r->skim, '}')) return rc;
    do {
        rc = read_piece(v, r, err);
    } while (!rc && skim_take(&r->skim, ','));
    return rc ? rc : skim_expect(&r->skim, '}', err);
}

/* The id of one side of a rule, spelt in mapped characters. */
static int find_side(const struct vocab *v, struct reader *r, const char *text, size_t n,
                     uint32_t *id, ox_err *err) {
    size_t n_piece = 0;
    int rc = ox_grow(&r->piece, &r->cap_piece, n, 1, err);
    if (rc) return rc;
    int32_t found = -1;
    if (unmap(&r->map, text, n, r->piece, &n_piece)) found = bpe_find(&v->bpe, r->piece, n_piece);
    char shown[JSONTEXT_SHOWN];
    if (found < 0)
        return ox_err_set(err, OX_EMODEL, "merges[%zu]: %s is not in the vocabulary",
                          v->bpe.n_merges, jsontext_quote(text, n, shown));
    *id = (uint32_t)found;
    return 0;
}

/* "a b" or ["a","b"]; a mapped piece never holds a space. */
static int read_merge(struct vocab *v, struct reader *r, ox_err *err) {
    const char *text;
    size_t n;
    uint32_t left = 0, right = 0;
    bool is_pair = skim_take(&r->skim, '[');
    int rc = skim_string(&r->skim, &text, &n, err);
    if (rc) return rc;
    if (is_pair) {
        rc = find_side(v, r, text, n, &left, err);
        if (!rc) rc = skim_expect(&r->skim, ',', err);
        if (!rc) rc = skim_string(&r->skim, &text, &n, err);
        if (!rc) rc = find_side(v, r, text, n, &right, err);
        if (!rc) rc = skim_expect(&r->skim, ']', err);
    } else {
        const char *space = memchr(text, ' ', n);
        if (!space)
            return ox_err_set(err, OX_EMODEL, "merges[%zu]: no space in it", v->bpe.n_merges);
        rc = find_side(v, r, text, (size_t)(space - text), &left, err);
        if (!rc) rc = find_side(v, r, space + 1, n - (size_t)(space - text) - 1, &right, err);
    }
    return rc ? rc : bpe_add_merge(&v->bpe, left, right, err);
}

static int read_merges(struct vocab *v, struct reader *r, ox_err *err) {
    int rc = skim_expect(&r->skim, '[', err);
    if (rc || skim_take(&r->skim, ']')) return rc;
    do {
        rc = read_merge(v, r, err);
    } while (!rc && skim_take(&r->skim, ','));
    return rc ? rc : skim_expect(&r->skim, ']', err);
}

/* Pieces, then rules. Where a part begins in the file is lost: offsets count from its start. */
static int read_parts(struct vocab *v, struct skim_part vocab, struct skim_part merges,
                      ox_err *err) {
    struct reader *r = ox_alloc(1, sizeof *r, "a vocabulary", err);
    if (!r) return OX_ENOMEM;
    fill_byte_map(&r->map);
    r->skim = (struct skim){.at = vocab.from, .start = vocab.from, .end = vocab.from + vocab.n};
    int rc = read_pieces(v, r, err);
    if (rc) ox_err_wrap(err, rc, "model.vocab");
    if (!rc) {
        r->skim.at = r->skim.start = merges.from;
        r->skim.end = merges.from + merges.n;
        rc = read_merges(v, r, err);
        if (rc) ox_err_wrap(err, rc, "model.merges");
    }
    skim_deinit(&r->skim);
    ox_free(r->piece);
    ox_free(r);
    return rc ? rc : bpe_finish(&v->bpe, err);
}

/* ---- the rest of the file -------------------------------------------------------------------- */

static bool is_type(const json_t *object, const char *type) {
    const char *found = json_string_value(json_object_get(object, "type"));
    return found && strcmp(found, type) == 0;
}

static int refuse(const char *member, const json_t *object, ox_err *err) {
    char shown[JSONTEXT_SHOWN];
    jsontext_show(json_object_get(object, "type"), shown);
    return ox_err_set(err, OX_EMODEL, "%s: type %s is not supported", member, shown);
}

/* A template that adds nothing: the text alone, no special token around it. */
static bool adds_nothing(const json_t *post) {
    if (!post || json_is_null(post) || is_type(post, "ByteLevel")) return true;
    if (!is_type(post, "TemplateProcessing")) return false;
    const json_t *single = json_object_get(post, "single");
    for (size_t i = 0; i < json_array_size(single); i++)
        if (!json_object_get(json_array_get(single, i), "Sequence")) return false;
    return json_array_size(single) > 0;
}

static int check_model(struct vocab *v, const json_t *model, ox_err *err) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix",
                                          "unk_token"};
    if (!json_is_object(model)) return ox_err_set(err, OX_EMODEL, "model: not an object");
    if (!is_type(model, "BPE")) return refuse("model", model, err);
    if (!is_off(model, "dropout") || !is_off(model, "byte_fallback"))
        return ox_err_set(err, OX_EMODEL, "model: dropout and byte_fallback are not supported");
    for (size_t i = 0; i < sizeof affixes / sizeof affixes[0]; i++) {
        const json_t *text = json_object_get(model, affixes[i]);
        if (!is_off(model, affixes[i]) &&
            (i == 2 || json_string_length(text) > 0 || !json_is_string(text)))
            return ox_err_set(err, OX_EMODEL, "model: %s is not supported", affixes[i]);
    }
    if (!is_off(model, "ignore_merges") && !json_is_true(json_object_get(model, "ignore_merges")))
        return ox_err_set(err, OX_EMODEL, "model: ignore_merges is neither true nor false");
    v->bpe.ignore_merges = !is_off(model, "ignore_merges");
    return 0;
}

static int check_rest(struct vocab *v, const json_t *root, ox_err *err) {
    if (!json_is_object(root)) return ox_err_set(err, OX_EMODEL, "not an object");
    const json_t *normalizer = json_object_get(root, "normalizer");
    if (normalizer && !json_is_null(normalizer)) return refuse("normalizer", normalizer, err);
    const json_t *post = json_object_get(root, "post_processor");
    if (!adds_nothing(post)) return refuse("post_processor", post, err);
    const json_t *decoder = json_object_get(root, "decoder");
    if (!is_type(decoder, "ByteLevel")) return refuse("decoder", decoder, err);
    return check_model(v, json_object_get(root, "model"), err);
}

struct stages {
    bool is_mapped; /* the byte map was reached, nothing may follow */
    bool has_cl100k;
};

static int add_split(struct vocab *v, const json_t *stage, struct stages *seen, ox_err *err) {
    const json_t *regex = json_object_get(json_object_get(stage, "pattern"), "Regex");
    const char *behavior = json_string_value(json_object_get(stage, "behavior"));
    bool is_inverted = json_is_true(json_object_get(stage, "invert"));
    bool is_isolated = behavior && strcmp(behavior, "Isolated") == 0;
    if (!json_is_string(regex))
        return ox_err_set(err, OX_EMODEL, "pre_tokenizer: Split needs a pattern.Regex");
    if (!(is_isolated && !is_inverted) &&
        !(behavior && strcmp(behavior, "Removed") == 0 && is_inverted))
        return ox_err_set(err, OX_EMODEL,
                          "pre_tokenizer: Split must be Isolated, or Removed and inverted");
    if (strcmp(json_string_value(regex), pretok_cl100k) == 0) seen->has_cl100k = true;
    return pretok_add(&v->pretok, json_string_value(regex), json_string_length(regex), is_isolated,
                      err);
}

/* One stage of pre_tokenizer. */
static int add_stage(struct vocab *v, const json_t *stage, struct stages *seen, ox_err *err) {
    if (seen->is_mapped)
        return ox_err_set(err, OX_EMODEL, "pre_tokenizer: a stage behind ByteLevel");
    if (is_type(stage, "ByteLevel")) {
        const json_t *regex = json_object_get(stage, "use_regex"); /* absent: true */
        if (!json_is_false(json_object_get(stage, "add_prefix_space")))
            return ox_err_set(err, OX_EMODEL, "pre_tokenizer: add_prefix_space must be false");
        if (regex && !json_is_boolean(regex))
            return ox_err_set(err, OX_EMODEL, "pre_tokenizer: use_regex: neither true nor false");
        seen->is_mapped = true;
        if (json_is_false(regex)) return 0;
        return pretok_add(&v->pretok, pretok_gpt2, strlen(pretok_gpt2), true, err);
    }
    if (is_type(stage, "Digits")) {
        if (!json_is_true(json_object_get(stage, "individual_digits")))
            return ox_err_set(err, OX_EMODEL, "pre_tokenizer: individual_digits must be true");
        return pretok_add(&v->pretok, pretok_digits, strlen(pretok_digits), true, err);
    }
    if (is_type(stage, "Split")) return add_split(v, stage, seen, err);
    return refuse("pre_tokenizer", stage, err);
}

static int read_stages(struct vocab *v, const json_t *pre, struct stages *seen, ox_err *err) {
    int rc = 0;
    if (!is_type(pre, "Sequence")) {
        rc = add_stage(v, pre, seen, err);
    } else {
        const json_t *list = json_object_get(pre, "pretokenizers");
        for (size_t i = 0; !rc && i < json_array_size(list); i++)
            rc = add_stage(v, json_array_get(list, i), seen, err);
    }
    if (rc || seen->is_mapped) return rc;
    return ox_err_set(err, OX_EMODEL, "pre_tokenizer: no ByteLevel; only byte-level BPE is read");
}

/* The base folder of Olmo Hybrid was converted with the split of GPT-2 by accident; the model was
 * trained with that of cl100k (docs/MODEL.md 6.2). The vocabulary is known by its size and a few
 * ids. */
static int force_cl100k(struct vocab *v, const struct stages *seen, ox_err *err) {
    static const struct {
        const char *piece;
        int32_t id;
    } probe[] = {{" the", 279}, {" capital", 6864}, {"\n\n", 271}, {" Paris", 12366}};
    if (v->bpe.n_merges != 100000) return 0;
    for (size_t i = 0; i < sizeof probe / sizeof probe[0]; i++)
        if (bpe_find(&v->bpe, probe[i].piece, strlen(probe[i].piece)) != probe[i].id) return 0;
    if (seen->has_cl100k && v->pretok.n_stages == 1) return 0;
    snprintf(v->note, sizeof v->note,
             "tokenizer.json splits text in another way than this vocabulary (dolma2) was trained "
             "with: the cl100k split is used");
    pretok_deinit(&v->pretok);
    return pretok_add(&v->pretok, pretok_cl100k, strlen(pretok_cl100k), true, err);
}

int vocab_read(const unsigned char *json, size_t n, struct vocab *out, ox_err *err) {
    struct vocab v = {0};
    struct skim_part vocab, merges;
    struct stages seen = {0};
    char *rest = NULL;
    size_t n_rest = 0;
    json_t *root = NULL;
    int rc = skim_split((const char *)json, n, &vocab, &merges, &rest, &n_rest, err);
    if (!rc) rc = bpe_init(&v.bpe, vocab.n / 16, err); /* 16 bytes of file an entry, about */
    if (!rc) rc = jsontext_parse((unsigned char *)rest, n_rest, "tokenizer.json", &root, err);
    if (!rc) rc = check_rest(&v, root, err);
    if (!rc && (!vocab.from || !merges.from))
        rc = ox_err_set(err, OX_EMODEL, "model: no %s", vocab.from ? "merges" : "vocab");
    if (!rc) rc = read_added(&v, json_object_get(root, "added_tokens"), err);
    if (!rc) rc = read_parts(&v, vocab, merges, err);
    if (!rc) rc = read_stages(&v, json_object_get(root, "pre_tokenizer"), &seen, err);
    if (!rc) rc = force_cl100k(&v, &seen, err);
    json_decref(root);
    ox_free(rest);
    if (rc) {
        vocab_deinit(&v);
        return rc;
    }
    *out = v; /* handed over */
    return 0;
}

void vocab_deinit(struct vocab *v) {
    bpe_deinit(&v->bpe);
    pretok_deinit(&v->pretok);
    ox_free(v->added);
    *v = (struct vocab){0};
}
