/* cites.c - see cites.h. */
#include "app/store/cites.h"

#include "app/store/inner.h"

#include <string.h>

/* ---- rows ------------------------------------------------------------------ */

static struct store_cite make_row(const struct cite *c, const struct cited_source *src,
                                  const char *quote) {
    struct store_cite row = {
        .msg_from = c->quote_from, .msg_to = c->quote_to, .quote = quote, .verdict = c->verdict};
    if (c->verdict == CITE_MISSING) return row;
    const struct cited_source *d = &src[c->doc];
    row.doc = d->id > 0 ? d->id : 0;
    row.from = (size_t)d->from + c->from;
    row.to = (size_t)d->from + c->to;
    row.line_from = cite_line(&d->doc, c->from);
    row.line_to = cite_line(&d->doc, c->to > c->from ? c->to - 1 : c->to);
    return row;
}

int store_cites_found(store *st, int64_t message, const char *text, const struct cite *v, size_t n,
                      const struct cited_source *src, ox_err *err) {
    struct buf quotes = {0};
    struct store_cite *row = ox_alloc(n, sizeof *row, "citations", err);
    int rc = row ? 0 : OX_ENOMEM;
    for (size_t i = 0; !rc && i < n; i++) { /* the buffer may move until the last is in */
        rc = buf_add(&quotes, text + v[i].quote_from, v[i].quote_to - v[i].quote_from, err);
        if (!rc) rc = buf_putc(&quotes, '\0', err);
    }
    const char *quote = buf_str(&quotes);
    for (size_t i = 0; !rc && i < n; i++) {
        size_t line;
        row[i] = make_row(&v[i], src, quote);
        if (row[i].doc) /* one that is still being read in has no page yet */
            store_doc_byte_at(st, row[i].doc, row[i].from, &line, &row[i].page, NULL);
        quote += strlen(quote) + 1;
    }
    if (!rc) rc = store_cite_put(st, message, row, n, err);
    ox_free(row);
    buf_deinit(&quotes);
    return rc;
}

/* ---- an answer that nobody checked ------------------------------------------ */

struct sources { /* documents of a path, each part once */
    struct cited_source *v;
    char **text;
    uint64_t *to;
    size_t n, cap, cap_text, cap_to;
};

static void sources_deinit(struct sources *s) {
    for (size_t i = 0; i < s->n; i++) {
        cite_index_free((cite_index *)s->v[i].doc.index); /* made here */
        ox_free(s->text[i]);
    }
    ox_free(s->v);
    ox_free(s->text);
    ox_free(s->to);
}

static int add_source(store *st, struct sources *s, int64_t doc, uint64_t from, uint64_t to,
                      ox_err *err) {
    size_t n = 0, page, *pages = NULL, n_pages = 0;
    cite_index *index = NULL;
    struct cited_source *d;
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].id == doc && s->v[i].from == from && s->to[i] == to) return 0;
    int rc = ox_grow(&s->v, &s->cap, s->n + 1, sizeof *s->v, err);
    if (!rc) rc = ox_grow(&s->text, &s->cap_text, s->n + 1, sizeof *s->text, err);
    if (!rc) rc = ox_grow(&s->to, &s->cap_to, s->n + 1, sizeof *s->to, err);
    if (rc) return rc;
    d = &s->v[s->n];
    *d = (struct cited_source){.id = doc, .from = from};
    s->text[s->n] = NULL;
    s->to[s->n] = to;
    rc = store_doc_text(st, doc, from, to, &s->text[s->n], &n, err);
    if (!rc) rc = store_doc_byte_at(st, doc, from, &d->doc.first_line, &page, err);
    if (!rc) rc = cite_index_new(s->text[s->n], n, &index, err);
    if (!rc) rc = store_doc_pages(st, doc, &pages, &n_pages, err);
    if (!rc) rc = cite_index_pages(index, pages, n_pages, from, err);
    ox_free(pages);
    d->doc.text = s->text[s->n];
    d->doc.index = index;
    s->n++; /* freed with the others, also half made */
    return rc;
}

static int find_sources(store *st, int64_t message, struct sources *out, ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        st->db,
        "WITH RECURSIVE up(id, parent, depth) AS (SELECT id, parent_id, depth FROM message WHERE "
        "id = :id UNION ALL SELECT m.id, m.parent_id, m.depth FROM up JOIN message m ON m.id = "
        "up.parent AND m.depth < up.depth) SELECT a.doc_id, a.byte_start, a.byte_end FROM up JOIN "
        "attachment a ON a.message_id = up.id JOIN document d ON d.id = a.doc_id WHERE d.ready = 1 "
        "ORDER BY a.message_id, a.ordinal");
    query_i64(&q, ":id", message);
    while (!rc && query_row(&q))
        rc = add_source(st, out, query_col_i64(&q, 0), (uint64_t)query_col_i64(&q, 1),
                        (uint64_t)query_col_i64(&q, 2), err);
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

static int read_answer(store *st, int64_t message, struct buf *out, ox_err *err) {
    int rc = 0;
    size_t n;
    struct query q = db_query(st->db, "SELECT text FROM message WHERE id = :id");
    query_i64(&q, ":id", message);
    if (query_row(&q)) {
        const char *text = query_col_text(&q, 0, &n);
        rc = buf_add(out, text, n, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

int store_cites_check(store *st, int64_t message, ox_err *err) {
    struct buf text = {0};
    struct sources src = {0};
    struct cite_list found = {0};
    const cite_index **index = NULL;
    int rc = read_answer(st, message, &text, err);
    if (!rc) rc = find_sources(st, message, &src, err);
    if (rc || !src.n) goto out;
    index = ox_alloc(src.n, sizeof *index, "citation indexes", err);
    if (!index) {
        rc = OX_ENOMEM;
        goto out;
    }
    for (size_t i = 0; i < src.n; i++)
        index[i] = src.v[i].doc.index;
    rc = cite_find(buf_str(&text), text.n, 0, index, src.n, &found, err);
    if (!rc) rc = store_cites_found(st, message, buf_str(&text), found.v, found.n, src.v, err);
out:
    ox_free(index);
    ox_free(found.v);
    sources_deinit(&src);
    buf_deinit(&text);
    return rc ? ox_err_wrap(err, rc, "check the citations") : 0;
}
