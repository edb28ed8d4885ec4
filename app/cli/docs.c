/* docs.c - documents of the database: add, list, show with line numbers, remove. */
#include "app/cli/stored.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/kept.h"
#include "app/signals.h"
#include "app/store/check.h"
#include "app/talk.h"

#include <stdio.h>
#include <string.h>

/* --- list
 * ------------------------------------------------------------------------------------------ */

struct list {
    struct buf b;
    bool json;
    ox_err *err;
};

/* Without the closing brace: `docs add` tells more. No tokens: a part was counted, not the whole.
 */
static int add_json(struct buf *b, const struct store_doc *d, ox_err *err) {
    int rc = buf_printf(b, err, "{\"id\":\"%s\",\"name\":", d->uid);
    if (!rc) rc = text_json(b, d->name, strlen(d->name), err);
    if (!rc && d->source_path) rc = buf_puts(b, ",\"path\":", err);
    if (!rc && d->source_path) rc = text_json(b, d->source_path, strlen(d->source_path), err);
    if (!rc)
        rc = buf_printf(b, err,
                        ",\"kind\":\"%s\",\"encoding\":\"%s\",\"bytes\":%zu,\"lines\":%zu,"
                        "\"pages\":%zu,\"tokens\":",
                        d->kind, d->encoding, d->n_bytes, d->n_lines, d->n_pages);
    if (rc) return rc;
    return d->n_tokens ? buf_printf(b, err, "%zu", d->n_tokens) : buf_puts(b, "null", err);
}

/* "d7c1  act.txt  81,177 tokens  3,118 lines  utf-8" */
static int add_line(struct buf *b, const struct store_doc *d, ox_err *err) {
    char tokens[SAY_BYTES], lines[SAY_BYTES];
    int rc = buf_printf(b, err, "%.4s  ", d->uid);
    if (!rc) rc = text_show(b, d->name, strlen(d->name), TEXT_LINE, err);
    if (!rc)
        rc = buf_printf(b, err, "  %s tokens", d->n_tokens ? say_count(tokens, d->n_tokens) : "-");
    if (!rc)
        rc = buf_printf(b, err, "  %s line%s", say_count(lines, d->n_lines),
                        d->n_lines == 1 ? "" : "s");
    if (!rc && d->n_pages)
        rc = buf_printf(b, err, "  %zu page%s", d->n_pages, d->n_pages == 1 ? "" : "s");
    if (!rc) rc = buf_printf(b, err, "  %s", d->encoding);
    if (!rc && strcmp(d->kind, "text") != 0) rc = buf_printf(b, err, "  %s", d->kind);
    return rc;
}

static int each_doc(void *user, const struct store_doc *d) {
    struct list *l = user;
    int rc = l->json ? add_json(&l->b, d, l->err) : 0;
    if (l->json) return rc ? rc : buf_puts(&l->b, "}\n", l->err);
    rc = add_line(&l->b, d, l->err);
    if (!rc) rc = buf_puts(&l->b, "  ", l->err);
    if (!rc) rc = stored_when(&l->b, d->added_us, l->err);
    return rc ? rc : buf_putc(&l->b, '\n', l->err);
}

static int do_list(struct cli *c, ox_err *err) {
    struct list l = {.json = flags_has(&c->flags, "--json"), .err = err};
    store *st = NULL;
    ox_err missing = {0};
    int rc = stored_open(c, true, &st, &missing);
    if (rc && rc != OX_ENOTFOUND && err) *err = missing;
    if (rc == OX_ENOTFOUND) rc = 0; /* nothing was ever kept here */
    if (!rc && st) rc = store_doc_list(st, each_doc, &l, err);
    if (!rc && !l.b.n && !l.json)
        fputs("-- no documents yet; oxbow docs add FILE keeps one, so does ask -f FILE\n", stderr);
    if (!rc) rc = stored_flush(&l.b, err);
    store_close(st);
    buf_deinit(&l.b);
    return rc;
}

/* --- show
 * ------------------------------------------------------------------------------------------ */

static int add_numbered(const struct ingest *in, struct buf *b, ox_err *err) {
    const char *s = buf_str(&in->text) + in->from, *end = buf_str(&in->text) + in->to;
    size_t page = 0;
    int rc = 0;
    for (size_t line = in->first_line; !rc && s < end; line++) {
        size_t at = (size_t)(s - in->text.p), len = strcspn(s, "\n");
        if (s + len > end) len = (size_t)(end - s);
        while (page < in->n_pages && in->pages[page] <= at)
            page++;
        if (page && in->pages[page - 1] == at) rc = buf_printf(b, err, "-- page %zu\n", page);
        if (!rc) rc = buf_printf(b, err, "%6zu  ", line);
        if (!rc) rc = text_show(b, s, len, TEXT_LINES, err);
        if (!rc) rc = buf_putc(b, '\n', err);
        s += len + 1;
    }
    return rc;
}

static int add_part_json(const struct ingest *in, struct buf *b, ox_err *err) {
    const char *s = buf_str(&in->text) + in->from;
    size_t n = in->to - in->from, lines = 0;
    for (size_t i = 0; i + 1 < n; i++)
        lines += s[i] == '\n';
    int rc = buf_puts(b, "{\"name\":", err);
    if (!rc) rc = text_json(b, buf_str(&in->name), in->n_base, err);
    if (!rc)
        rc = buf_printf(b, err,
                        ",\"byte_start\":%zu,\"byte_end\":%zu,\"line_start\":%zu,"
                        "\"line_end\":%zu,\"text\":",
                        in->from, in->to, in->first_line, in->first_line + lines);
    if (!rc) rc = text_json(b, s, n, err);
    return rc ? rc : buf_puts(b, "}\n", err);
}

static int do_show(struct cli *c, ox_err *err) {
    bool json = flags_has(&c->flags, "--json");
    struct ingest in = {0};
    struct buf b = {0};
    store *st = NULL;
    int rc = stored_open(c, true, &st, err);
    for (size_t i = 1; !rc && i < c->flags.n_word; i++) {
        rc = kept_open(st, c->flags.word[i], &in, err);
        if (!rc) rc = json ? add_part_json(&in, &b, err) : add_numbered(&in, &b, err);
        ingest_deinit(&in);
    }
    if (!rc) rc = stored_flush(&b, err);
    store_close(st);
    buf_deinit(&b);
    return rc;
}

/* --- add
 * ------------------------------------------------------------------------------------------- */

struct earlier { /* the stored text that a file had before it grew */
    store *st;
    const struct talk_doc *now;
    const char *path;
    int64_t id;
    size_t n_bytes;
    size_t n_of_path; /* documents of this path, whatever their text */
    char uid[17];
};

/* The longest one of this path that the new text begins with. */
static int each_earlier(void *user, const struct store_doc *d) {
    struct earlier *e = user;
    char *text = NULL;
    size_t n = 0;
    if (d->id == e->now->id || !d->source_path || strcmp(d->source_path, e->path) != 0) return 0;
    e->n_of_path++;
    if (d->n_bytes >= e->now->text.n || d->n_bytes <= e->n_bytes) return 0;
    if (store_doc_text(e->st, d->id, 0, 0, &text, &n, NULL) == 0 &&
        memcmp(text, e->now->text.p, n) == 0) {
        e->id = d->id;
        e->n_bytes = n;
        memcpy(e->uid, d->uid, sizeof e->uid);
    }
    ox_free(text);
    return 0;
}

/* States are found by the ids of a prefix, so what was read of the shorter text serves the longer
 * one; here it is only said, and the shorter one goes unless a session uses it. */
static int follow(struct talk *t, const struct talk_doc *d, bool json, struct buf *b, ox_err *err) {
    struct earlier e = {.st = t->st, .now = d, .path = buf_str(&d->path)};
    struct ox_tokens old = {0};
    char n[SAY_BYTES];
    size_t same = 0;
    int rc = store_doc_list(t->st, each_earlier, &e, err);
    if (!rc && !e.id && e.n_of_path && !json)
        rc = buf_puts(b, "      begins otherwise than before: kept beside the earlier text\n", err);
    if (rc || !e.id) return rc;
    if (store_doc_tokens_get(t->st, e.id, 0, e.n_bytes, &old, NULL) == 0)
        while (same < old.n && same < d->tok.n && old.v[same] == d->tok.v[same])
            same++;
    bool is_gone = store_doc_delete(t->st, e.id, false, NULL) == 0;
    if (json)
        rc = buf_printf(b, err, ",\"goes_on_from\":\"%s\",\"new_tokens\":%zu", e.uid,
                        d->tok.n - same);
    else
        rc = buf_printf(b, err, "      goes on from %.4s: %s tokens are new", e.uid,
                        say_count(n, d->tok.n - same));
    if (!rc && !json) rc = buf_puts(b, is_gone ? "\n" : "; a session keeps that one\n", err);
    ox_free(old.v);
    return rc;
}

struct added {
    struct buf *b;
    bool json;
    const struct talk_doc *d;
    ox_err *err;
};

static int each_added(void *user, const struct store_doc *row) {
    struct added *a = user;
    struct store_doc d = *row;
    if (!d.n_tokens && a->d->tok.v) d.n_tokens = a->d->tok.n; /* not a server's estimate */
    if (a->json) return add_json(a->b, &d, a->err);
    int rc = add_line(a->b, &d, a->err);
    return rc ? rc : buf_putc(a->b, '\n', a->err);
}

/* What is not in the text as it stood in the file. */
static int say_losses(struct buf *b, bool json, size_t n_bad, size_t n_dropped, ox_err *err) {
    if (json) return buf_printf(b, err, ",\"ill_formed\":%zu,\"left_out\":%zu", n_bad, n_dropped);
    int rc = n_bad ? buf_printf(b, err, "      %zu ill-formed places are now U+FFFD\n", n_bad) : 0;
    if (!rc && n_dropped)
        rc = buf_printf(b, err, "      %zu control characters were left out\n", n_dropped);
    return rc;
}

static int add_one(struct cli *c, struct talk *t, const char *path, struct buf *b, ox_err *err) {
    const struct ingest_opts how = {.encoding = flags_get(&c->flags, "--encoding"),
                                    .kind = flags_get(&c->flags, "--kind"),
                                    .stop_fd = signals_fd()};
    struct ingest in = {0};
    size_t n_dropped = 0, n_bad = 0;
    int rc = ingest_open(path, &how, &in, err);
    if (!rc) {
        n_dropped = in.stats.n_dropped;
        n_bad = in.stats.n_bad;
        rc = ingest_part(&in, "", err); /* all of it is kept, also if a part was named */
    }
    if (!rc) rc = talk_add(t, &in, err);
    ingest_deinit(&in);
    if (rc) return rc;
    const struct talk_doc *d = &t->doc[t->n_docs - 1];
    if (!t->st || d->id <= 0) return ox_err_set(err, OX_EDB, "%s", buf_str(&t->save_note));
    size_t n_before = b->n;
    struct added a = {b, flags_has(&c->flags, "--json"), d, err};
    rc = store_doc_get(t->st, d->id, each_added, &a, err);
    if (!rc) rc = say_losses(b, a.json, n_bad, n_dropped, err);
    if (!rc && flags_has(&c->flags, "--follow")) rc = follow(t, d, a.json, b, err);
    if (!rc && a.json) rc = buf_puts(b, "}\n", err);
    if (rc && a.json) buf_cut(b, n_before); /* no half line */
    return rc;
}

static int check_kind(const struct cli *c, ox_err *err) {
    static const char *const kinds[] = {"text", "markdown", "html", "source"};
    const char *kind = flags_get(&c->flags, "--kind");
    for (size_t i = 0; kind && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kind, kinds[i]) == 0) return 0;
    if (!kind) return 0;
    ox_err_set(err, OX_EUSAGE, "--kind %.40s: text, markdown, html or source was expected", kind);
    return ox_err_fix(err, "PDF is told by its content");
}

static int do_add(struct cli *c, ox_err *err) {
    struct talk t = {0};
    struct buf b = {0};
    int rc = check_kind(c, err);
    if (!rc) rc = talk_start(&t, &c->conf, err);
    if (!rc) rc = talk_ready(&t, err);
    for (size_t i = 1; !rc && i < c->flags.n_word; i++)
        rc = add_one(c, &t, c->flags.word[i], &b, err);
    if (b.n) { /* what was added before one failed is there */
        int shown = stored_flush(&b, rc ? NULL : err);
        if (!rc) rc = shown;
    }
    talk_deinit(&t);
    buf_deinit(&b);
    return rc;
}

/* --- rm
 * -------------------------------------------------------------------------------------------- */

static int each_removed(void *user, const struct store_doc *d) {
    struct list *l = user;
    int rc = buf_printf(&l->b, l->err, "deleted %.4s \"", d->uid);
    if (!rc) rc = text_show(&l->b, d->name, strlen(d->name), TEXT_LINE, l->err);
    return rc ? rc : buf_puts(&l->b, "\"\n", l->err);
}

static int do_rm(struct cli *c, ox_err *err) {
    struct list l = {.err = err};
    store *st = NULL;
    int rc = stored_open(c, false, &st, err);
    for (size_t i = 1; !rc && i < c->flags.n_word; i++) {
        int64_t id = 0;
        size_t n = l.b.n;
        rc = store_doc_find(st, c->flags.word[i], &id, err);
        if (!rc) rc = store_doc_get(st, id, each_removed, &l, err);
        if (!rc) rc = store_doc_delete(st, id, flags_has(&c->flags, "--force"), err);
        if (rc) buf_cut(&l.b, n);
    }
    if (l.b.n) {
        int scrubbed = store_scrub(st, false, rc ? NULL : err);
        if (!rc) rc = scrubbed;
        int shown = stored_flush(&l.b, rc ? NULL : err);
        if (!rc) rc = shown;
    }
    store_close(st);
    buf_deinit(&l.b);
    return rc;
}

static const struct {
    const char *name;
    int (*run)(struct cli *c, ox_err *err);
    size_t min_words, max_words; /* the first is the name */
} table[] = {
    {"add", do_add, 2, 1000},
    {"list", do_list, 1, 1},
    {"show", do_show, 2, 1000},
    {"rm", do_rm, 2, 1000},
};

static int run(struct cli *c, ox_err *err) {
    size_t i = 0;
    const char *name = c->flags.word[0];
    while (i < sizeof table / sizeof table[0] && strcmp(table[i].name, name) != 0)
        i++;
    if (i == sizeof table / sizeof table[0]) {
        ox_err_set(err, OX_EUSAGE, "docs does not know \"%.40s\"", name);
        return ox_err_fix(err, "docs add FILE.. | list | show ID | rm ID..");
    }
    if (c->flags.n_word < table[i].min_words || c->flags.n_word > table[i].max_words) {
        ox_err_set(err, OX_EUSAGE, "docs %s: too %s words", name,
                   c->flags.n_word < table[i].min_words ? "few" : "many");
        return ox_err_fix(err, "docs add FILE.. | list | show ID | rm ID..");
    }
    const struct signals_opts sig = {.twice_kills = true};
    int rc = signals_open(&sig, err);
    return rc ? rc : table[i].run(c, err);
}

const struct verb verb_docs = {
    .name = "docs",
    .args = "add|list|show|rm",
    .words = "add list show rm",
    .brief = "documents that are kept",
    .flags = "--kind --encoding --follow --force --json -m --ctx --backend --threads "
             "--db " FLAGS_ALWAYS,
    .examples =
        "oxbow docs add act.txt report.pdf\tkeeps them, counts their tokens\n"
        "oxbow docs add --follow boot.log\ta file that has grown: only the new part is read\n"
        "oxbow docs show d7c1:397-420\tsome lines, with their numbers\n"
        "oxbow ask -f d7c1:397-420 \"Which lamp?\"\ta part that a search found",
    .min_words = 1,
    .max_words = -1,
    .run = run,
};
