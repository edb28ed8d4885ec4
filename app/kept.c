/* kept.c - see kept.h. */
#include "app/kept.h"

#include <string.h>

static const char HEX[] = "0123456789abcdef";

bool kept_is_id(const char *spec) {
    size_t n = strspn(spec, HEX);
    return n >= 4 && n <= 16 && (!spec[n] || spec[n] == ':');
}

int kept_find(store *st, const char *spec, int64_t *id, const char **range, ox_err *err) {
    const char *colon = strrchr(spec, ':');
    struct buf name = {0};
    *range = "";
    int rc = store_doc_find(st, spec, id, err);
    if (rc != OX_ENOTFOUND || !colon) return rc;
    rc = buf_add(&name, spec, (size_t)(colon - spec), err);
    if (!rc) rc = store_doc_find(st, buf_str(&name), id, err);
    if (!rc) *range = colon + 1;
    buf_deinit(&name);
    return rc;
}

struct row {
    struct ingest *in;
    ox_err *err;
};

/* Constant words for those of the row, which are borrowed. */
static const char *word(const char *s, const char *const *all, const char *otherwise) {
    for (; *all; all++)
        if (strcmp(s, *all) == 0) return *all;
    return otherwise;
}

static int take_row(void *user, const struct store_doc *d) {
    static const char *const kinds[] = {"markdown", "html", "pdf", "source", "stdin", NULL};
    static const char *const converters[] = {"pdftotext", "libxml2", NULL};
    struct row *r = user;
    r->in->kind = word(d->kind, kinds, "text");
    r->in->converter = word(d->converter, converters, "");
    r->in->charset = charset_find(d->encoding);
    r->in->stats.n_lines = d->n_lines;
    int rc = buf_puts(&r->in->name, d->name, r->err);
    return rc ? rc : buf_puts(&r->in->path, d->source_path ? d->source_path : d->name, r->err);
}

int kept_open(store *st, const char *spec, struct ingest *out, ox_err *err) {
    struct ingest in = {0};
    struct row row = {&in, err};
    const char *range = "";
    int64_t id = 0;
    char *text = NULL;
    size_t n = 0;
    int rc = kept_find(st, spec, &id, &range, err);
    if (!rc) rc = store_doc_get(st, id, take_row, &row, err);
    if (!rc) rc = store_doc_text(st, id, 0, 0, &text, &n, err);
    if (!rc) rc = buf_add(&in.text, text, n, err);
    if (!rc) rc = store_doc_pages(st, id, &in.pages, &in.n_pages, err);
    if (!rc) rc = ingest_part(&in, range, err);
    in.n_base = in.name.n;
    if (!rc && range[0]) rc = buf_printf(&in.name, err, ":%s", range);
    ox_free(text);
    if (rc) {
        ingest_deinit(&in);
        return ox_err_wrap(err, rc, "read a document of the database");
    }
    *out = in;
    return 0;
}

int kept_instead(store *st, const char *spec, int rc, struct ingest *out, ox_err *err) {
    ox_err why = {0};
    if (rc != OX_ENOTFOUND || !st || !kept_is_id(spec)) return rc;
    rc = kept_open(st, spec, out, &why);
    if (rc == OX_ENOTFOUND)
        ox_err_fix(err, "check the name; no kept document begins so either");
    else if (rc && err)
        *err = why; /* it is there, the range is not */
    return rc;
}

int kept_or_file(store *st, const char *spec, const struct ingest_opts *opts, struct ingest *out,
                 ox_err *err) {
    ox_err failed = {0};
    int rc = ingest_open(spec, opts, out, &failed);
    if (rc) rc = kept_instead(st, spec, rc, out, &failed);
    if (rc && err) *err = failed;
    return rc;
}

struct store_doc kept_row(const struct ingest *in, const char *name) {
    return (struct store_doc){.name = name,
                              .text = buf_str(&in->text),
                              .n_bytes = in->text.n,
                              .pages = in->pages,
                              .n_pages = in->n_pages,
                              .kind = in->kind,
                              .encoding = charset_name(in->charset),
                              .converter = in->converter,
                              .source_path = buf_str(&in->path),
                              .source = in->raw.p,
                              .n_source = in->raw.n};
}
