/* cited.c - see cited.h. */
#include "app/cited.h"

#include "app/core/chunk.h"
#include "app/core/text.h"
#include "app/store/cites.h"

#include <string.h>

int cited_docs(struct talk *t, struct cite_doc **out, ox_err *err) {
    struct cite_doc *d = ox_alloc(t->n_docs, sizeof *d, "documents", err);
    int rc = d ? 0 : OX_ENOMEM;
    for (size_t i = 0; !rc && i < t->n_docs; i++) {
        struct talk_doc *doc = &t->doc[i];
        const char *text = buf_str(&doc->text);
        if (!doc->index) rc = cite_index_new(text, doc->text.n, &doc->index, err);
        if (!rc) rc = cite_index_pages(doc->index, doc->pages, doc->n_pages, doc->from, err);
        d[i] = (struct cite_doc){doc->index, text, doc->first_line};
    }
    if (rc)
        ox_free(d);
    else
        *out = d;
    return rc;
}

static void place(const struct talk *t, const struct cite_doc *docs, const struct cite *c,
                  struct cited *out) {
    *out = (struct cited){.cite = *c};
    if (c->verdict == CITE_MISSING) return;
    const struct talk_doc *d = &t->doc[c->doc];
    out->doc = d;
    out->from = d->from + c->from;
    out->to = d->from + c->to;
    out->page_from = chunk_page(d->pages, d->n_pages, out->from);
    out->page_to = chunk_page(d->pages, d->n_pages, out->to > out->from ? out->to - 1 : out->to);
    out->line_from = cite_line(&docs[c->doc], c->from);
    out->line_to = cite_line(&docs[c->doc], c->to > c->from ? c->to - 1 : c->to);
}

int cited_find(struct talk *t, const char *text, size_t n, struct cited_list *out, ox_err *err) {
    struct cite_list found = {0};
    struct cite_doc *docs = NULL;
    struct cited *v = NULL;
    const cite_index **index = ox_alloc(t->n_docs, sizeof *index, "citation indexes", err);
    int rc = index ? cited_docs(t, &docs, err) : OX_ENOMEM;
    for (size_t i = 0; !rc && i < t->n_docs; i++)
        index[i] = docs[i].index;
    if (!rc && t->n_docs) rc = cite_find(text, n, 0, index, t->n_docs, &found, err);
    if (!rc) {
        v = ox_alloc(found.n, sizeof *v, "citations", err);
        rc = v ? 0 : OX_ENOMEM;
    }
    for (size_t i = 0; !rc && i < found.n; i++)
        place(t, docs, &found.v[i], &v[i]);
    if (!rc) *out = (struct cited_list){v, found.n, text};
    ox_free(index);
    ox_free(docs);
    ox_free(found.v);
    return rc;
}

void cited_deinit(struct cited_list *l) {
    ox_free(l->v);
    *l = (struct cited_list){0};
}

static int add_quote(const struct cited_list *l, const struct cited *c, struct buf *out,
                     ox_err *err) {
    int rc = buf_putc(out, '"', err);
    if (!rc)
        rc = text_brief(out, l->text + c->cite.quote_from, c->cite.quote_to - c->cite.quote_from,
                        48, err);
    return rc ? rc : buf_putc(out, '"', err);
}

static int add_place(const struct cited *c, struct buf *out, ox_err *err) {
    int rc = text_show(out, buf_str(&c->doc->name), c->doc->n_base, TEXT_LINE, err);
    if (!rc) rc = buf_printf(out, err, ":%zu", c->line_from);
    if (!rc && c->line_to > c->line_from) rc = buf_printf(out, err, "-%zu", c->line_to);
    if (!rc && c->page_from) rc = buf_printf(out, err, " p. %zu", c->page_from);
    if (!rc && c->page_to > c->page_from) rc = buf_printf(out, err, "-%zu", c->page_to);
    if (!rc)
        rc = buf_printf(out, err, " bytes %zu-%zu %s", c->from, c->to,
                        cite_verdict_name(c->cite.verdict));
    return rc || c->cite.n_places < 2 ? rc : buf_printf(out, err, " +%zu", c->cite.n_places - 1);
}

int cited_text(const struct cited_list *l, bool quotes, struct buf *out, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < l->n; i++) {
        const struct cited *c = &l->v[i];
        rc = buf_printf(out, err, "[%zu] ", i + 1);
        if (!rc) rc = c->doc ? add_place(c, out, err) : buf_puts(out, "missing", err);
        if (!rc && (quotes || !c->doc)) rc = buf_putc(out, ' ', err);
        if (!rc && (quotes || !c->doc)) rc = add_quote(l, c, out, err);
        if (!rc) rc = buf_putc(out, '\n', err);
    }
    return rc;
}

int cited_json(const struct cited_list *l, struct buf *out, ox_err *err) {
    int rc = buf_putc(out, '[', err);
    for (size_t i = 0; !rc && i < l->n; i++) {
        const struct cited *c = &l->v[i];
        rc = buf_puts(out, i ? ",{\"quote\":" : "{\"quote\":", err);
        if (!rc)
            rc = text_json(out, l->text + c->cite.quote_from, c->cite.quote_to - c->cite.quote_from,
                           err);
        if (!rc)
            rc = buf_printf(out, err, ",\"verdict\":\"%s\"", cite_verdict_name(c->cite.verdict));
        if (!rc && c->doc) rc = buf_puts(out, ",\"document\":", err);
        if (!rc && c->doc) rc = text_json(out, buf_str(&c->doc->name), c->doc->n_base, err);
        if (!rc && c->doc)
            rc = buf_printf(
                out, err,
                ",\"byte_start\":%zu,\"byte_end\":%zu,\"line_start\":%zu,\"line_end\":%zu", c->from,
                c->to, c->line_from, c->line_to);
        if (!rc && c->doc && c->page_from)
            rc = buf_printf(out, err, ",\"page_start\":%zu,\"page_end\":%zu", c->page_from,
                            c->page_to);
        if (!rc) rc = buf_putc(out, '}', err);
    }
    return rc ? rc : buf_putc(out, ']', err);
}

void cited_save(struct talk *t) {
    struct cited_list l = {0};
    if (!t->st || t->chat.leaf <= 0 || !t->n_docs) return;
    if (cited_find(t, buf_str(&t->answer), t->answer.n, &l, NULL)) return;
    struct cite *v = ox_alloc(l.n, sizeof *v, "citations", NULL);
    struct cited_source *src = ox_alloc(t->n_docs, sizeof *src, "documents", NULL);
    for (size_t i = 0; v && i < l.n; i++)
        v[i] = l.v[i].cite;
    for (size_t i = 0; src && i < t->n_docs; i++) {
        const struct talk_doc *d = &t->doc[i];
        src[i] =
            (struct cited_source){{d->index, buf_str(&d->text), d->first_line}, d->id, d->from};
    }
    if (v && src && l.n)
        store_cites_found(t->st, t->chat.leaf, buf_str(&t->answer), v, l.n, src, NULL);
    ox_free(v);
    ox_free(src);
    cited_deinit(&l);
}
