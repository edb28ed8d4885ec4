/* cited.c - see cited.h. */
#include "app/cited.h"

#include "app/core/text.h"
#include "app/store/docs.h"

#include <string.h>

static size_t line_of(const struct talk_doc *d, size_t byte) {
    size_t line = d->first_line;
    for (size_t i = 0; i < byte; i++)
        line += d->text.p[i] == '\n';
    return line;
}

static void place(const struct talk *t, const struct cite *c, struct cited *out) {
    *out = (struct cited){.cite = *c};
    if (c->verdict == CITE_MISSING) return;
    const struct talk_doc *d = &t->doc[c->doc];
    out->doc = d;
    out->n_doc = c->doc + 1;
    out->from = d->from + c->from;
    out->to = d->from + c->to;
    out->line_from = line_of(d, c->from);
    out->line_to = line_of(d, c->to > c->from ? c->to - 1 : c->to);
}

int cited_find(const struct talk *t, const char *text, size_t n, struct cited_list *out,
               ox_err *err) {
    struct cite_list found = {0};
    cite_index **index = ox_alloc(t->n_docs, sizeof *index, "citation indexes", err);
    int rc = index ? 0 : OX_ENOMEM;
    for (size_t i = 0; !rc && i < t->n_docs; i++)
        rc = cite_index_new(buf_str(&t->doc[i].text), t->doc[i].text.n, &index[i], err);
    if (!rc && t->n_docs)
        rc = cite_find(text, n, 0, (const cite_index *const *)index, t->n_docs, &found, err);
    struct cited *v = rc ? NULL : ox_alloc(found.n, sizeof *v, "citations", err);
    if (!rc && !v) rc = OX_ENOMEM;
    for (size_t i = 0; !rc && i < found.n; i++)
        place(t, &found.v[i], &v[i]);
    if (!rc) *out = (struct cited_list){v, found.n, text};
    for (size_t i = 0; index && i < t->n_docs; i++)
        cite_index_free(index[i]);
    ox_free(index);
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
    int rc = text_show(out, buf_str(&c->doc->name), c->doc->name.n, TEXT_LINE, err);
    if (!rc) rc = buf_printf(out, err, ":%zu", c->line_from);
    if (!rc && c->line_to > c->line_from) rc = buf_printf(out, err, "-%zu", c->line_to);
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
        if (!rc && c->doc) rc = text_json(out, buf_str(&c->doc->name), c->doc->name.n, err);
        if (!rc && c->doc)
            rc = buf_printf(
                out, err,
                ",\"byte_start\":%zu,\"byte_end\":%zu,\"line_start\":%zu,\"line_end\":%zu", c->from,
                c->to, c->line_from, c->line_to);
        if (!rc) rc = buf_putc(out, '}', err);
    }
    return rc ? rc : buf_putc(out, ']', err);
}

void cited_save(const struct talk *t, int64_t message, const struct cited_list *l) {
    struct buf quotes = {0};
    struct store_cite *row = ox_alloc(l->n, sizeof *row, "citations", NULL);
    int rc = row ? 0 : OX_ENOMEM;
    if (!t->st || message <= 0 || !l->n) rc = OX_ENOTFOUND;
    for (size_t i = 0; !rc && i < l->n; i++) { /* one buffer: it may move until the last is in */
        const struct cite *c = &l->v[i].cite;
        rc = buf_add(&quotes, l->text + c->quote_from, c->quote_to - c->quote_from, NULL);
        if (!rc) rc = buf_putc(&quotes, '\0', NULL);
    }
    const char *quote = buf_str(&quotes);
    for (size_t i = 0; !rc && i < l->n; i++) {
        const struct cited *c = &l->v[i];
        row[i] = (struct store_cite){.msg_from = c->cite.quote_from,
                                     .msg_to = c->cite.quote_to,
                                     .quote = quote,
                                     .verdict = c->cite.verdict,
                                     .doc = c->doc && c->doc->id > 0 ? c->doc->id : 0,
                                     .from = c->from,
                                     .to = c->to,
                                     .line_from = c->line_from,
                                     .line_to = c->line_to};
        quote += strlen(quote) + 1;
    }
    if (!rc) store_cite_put(t->st, message, row, l->n, NULL);
    ox_free(row);
    buf_deinit(&quotes);
}
