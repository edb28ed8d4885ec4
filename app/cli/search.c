/* search.c - words in all conversations and documents. */
#include "app/cli/stored.h"
#include "app/core/text.h"
#include "app/store/search.h"

#include <stdlib.h>
#include <string.h>

struct hits {
    struct buf b;
    size_t n, limit; /* 0: the store's own, for each kind */
    bool json;
};

/* The store marks matching words with \x01 and \x02; people get brackets. */
static int add_snippet(struct buf *b, const char *s, ox_err *err) {
    struct buf plain = {0};
    int rc = 0;
    for (; !rc && *s; s++)
        rc = buf_putc(&plain, *s == 1 ? '[' : *s == 2 ? ']' : *s, err);
    if (!rc) rc = text_show(b, buf_str(&plain), plain.n, TEXT_LINE, err);
    buf_deinit(&plain);
    return rc;
}

static int add_json(struct buf *b, const struct store_hit *h, ox_err *err) {
    struct buf plain = {0};
    int rc = add_snippet(&plain, h->snippet, err);
    if (!rc && h->chat)
        rc = buf_printf(b, err, "{\"id\":\"%s\",\"turn\":%zu", h->uid, h->turn);
    else if (!rc)
        rc = buf_printf(b, err, "{\"document\":\"%s\",\"line\":%zu", h->uid, h->line);
    if (!rc) rc = buf_puts(b, ",\"title\":", err);
    if (!rc) rc = text_json(b, h->title, strlen(h->title), err);
    if (!rc) rc = buf_puts(b, ",\"text\":", err);
    if (!rc) rc = text_json(b, buf_str(&plain), plain.n, err);
    buf_deinit(&plain);
    return rc ? rc : buf_puts(b, "}\n", err);
}

static int each_hit(void *user, const struct store_hit *h) {
    struct hits *all = user;
    if (all->limit && all->n == all->limit) return 0;
    all->n++;
    if (all->json) return add_json(&all->b, h, NULL);
    int rc = h->chat ? buf_printf(&all->b, NULL, "%.4s  turn %zu  ", h->uid, h->turn)
                     : buf_printf(&all->b, NULL, "%.4s:%zu  ", h->uid, h->line);
    if (!rc) rc = add_snippet(&all->b, h->snippet, NULL);
    return rc ? rc : buf_putc(&all->b, '\n', NULL);
}

static int join_words(const struct cli *c, struct buf *out, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < c->flags.n_word; i++)
        rc = buf_printf(out, err, "%s%s", i ? " " : "", c->flags.word[i]);
    return rc;
}

static int run(struct cli *c, ox_err *err) {
    store *st = NULL;
    struct buf words = {0};
    struct hits hits = {.json = flags_has(&c->flags, "--json")};
    bool docs = flags_has(&c->flags, "--docs"), chats = flags_has(&c->flags, "--chats");
    struct store_search how = {.in = docs == chats ? STORE_IN_ALL
                                     : docs        ? STORE_IN_DOCS
                                                   : STORE_IN_CHATS,
                               .is_fts = flags_has(&c->flags, "--fts"),
                               .limit = c->conf.max_new > 0 ? (size_t)c->conf.max_new : 0};
    hits.limit = how.limit;
    int rc = join_words(c, &words, err);
    if (!rc) rc = stored_open(c, true, &st, err);
    how.words = buf_str(&words);
    if (!rc) rc = store_search(st, &how, each_hit, &hits, err);
    if (!rc) rc = stored_flush(&hits.b, err);
    if (!rc && !hits.n) { /* as grep: a status, no words */
        rc = OX_ENOTFOUND;
        if (err) *err = (ox_err){.code = rc};
    }
    store_close(st);
    buf_deinit(&words);
    buf_deinit(&hits.b);
    return rc;
}

const struct verb verb_search = {
    .name = "search",
    .args = "WORDS",
    .brief = "find words in everything",
    .flags = "--docs --chats --fts -n --json --db " FLAGS_ALWAYS,
    .examples = "oxbow search lamp\noxbow search --docs '\"the lamp\" harbour'\twords in quotes "
                "stand in order\n"
                "oxbow search --fts 'NEAR(lamp harbour, 5)'\tFTS5's own syntax",
    .min_words = 1,
    .max_words = -1,
    .run = run,
};
