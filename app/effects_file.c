/* effects_file.c - documents: a file is read beside the interface (app/reader.h), and what came of
 * it goes into the database and the state here. See effects.h.
 *
 * One file is read at a time, in the order they were asked for; a question that is sent meanwhile
 * waits in the state until the last of them is there (EV_FILE). */
#include "app/effects.h"

#include "app/core/text.h"
#include "app/kept.h"
#include "app/reader.h"
#include "app/store/docs.h"

#include <string.h>

/* A document that was read goes into the database in slices (effects_idle), into the state at once:
 * all of it, also where a part was asked for, so that lines have the numbers of the file. */
int effects_take_document(struct effects *fx, struct ingest *in, cite_index *index, ox_err *err) {
    struct event ev = {.kind = EV_DOC, .flag = true};
    int64_t id = -(int64_t)(fx->s->n_docs + 1); /* not saved */
    const char *text = buf_str(&in->text);
    size_t n = in->text.n;
    struct buf name = {0}, base = {0};
    int rc = text_show(&name, buf_str(&in->name), in->name.n, TEXT_LINE, err);
    if (!rc) rc = text_show(&base, buf_str(&in->name), in->n_base, TEXT_LINE, err);
    if (!rc && fx->writes) {
        const struct store_doc d = kept_row(in, buf_str(&base));
        rc = store_doc_add(fx->st, &d, &id, err);
    }
    if (!rc && !index) rc = cite_index_new(text, n, &index, err);
    ev.doc.id = id;
    ev.doc.index = index;
    ev.doc.text = buf_take(&in->text, NULL); /* not a copy: the index borrows it */
    ev.doc.n_bytes = n;
    if (in->from > 0 || in->to < n) ev.doc.from = in->from, ev.doc.to = in->to;
    ev.doc.name = buf_take(&name, NULL);
    ev.doc.pages = in->pages;
    ev.doc.n_pages = in->n_pages;
    in->pages = NULL;
    in->n_pages = 0;
    const struct open_doc *here = rc ? NULL : effects_find_doc(fx, id);
    if (here && here->d.from == ev.doc.from && here->d.to == ev.doc.to) {
        struct event again = {.kind = EV_DOC, .id = id};
        effects_event(fx, &again);
    } else if (!rc && ev.doc.text && ev.doc.name) {
        effects_event(fx, &ev);
        rc = effects_count_doc(fx, id, err);
        if (fx->writes && fx->n_docs > 0 && !here) fx->doc[fx->n_docs - 1].is_reading_in = true;
    }
    cite_index_free(ev.doc.index); /* left empty if it was taken over */
    ox_free(ev.doc.text);
    ox_free(ev.doc.pages);
    ox_free(ev.doc.name);
    buf_deinit(&name);
    buf_deinit(&base);
    return rc;
}

void effects_document(struct effects *fx, struct ingest *in) {
    ox_err failed = {0};
    if (effects_take_document(fx, in, NULL, &failed)) effects_fail(fx, &failed);
    ingest_deinit(in);
}

int effects_kept_document(struct effects *fx, const char *uid, ox_err *err) {
    struct ingest in = {0};
    int rc = kept_open(fx->st, uid, &in, err);
    if (!rc) rc = effects_take_document(fx, &in, NULL, err);
    ingest_deinit(&in);
    return rc;
}

/* ---- a file that is being read ------------------------------------------------------------------
 */

/* spec: what is being read from now on; NULL: nothing. failed: what was is not here. */
static void tell_file(struct effects *fx, const char *spec, bool failed) {
    struct buf name = {0};
    const char *slash = spec ? strrchr(spec, '/') : NULL;
    const char *base = slash && slash[1] ? slash + 1 : spec;
    if (base) text_show(&name, base, strlen(base), TEXT_LINE, NULL);
    struct event ev = {.kind = EV_FILE, .text = buf_str(&name), .flag = failed};
    effects_event(fx, &ev);
    buf_deinit(&name);
}

static void forget_first(struct fx_file *f) {
    ox_free(f->spec[0]);
    memmove(f->spec, f->spec + 1, --f->n * sizeof *f->spec);
}

/* The first file that waits and can be begun; failed: of the one before. */
static void read_next(struct effects *fx, bool failed) {
    struct fx_file *f = &fx->file;
    f->is_unwanted = false;
    f->began = effects_clock();
    while (f->n > 0) {
        ox_err e = {0};
        if (reader_start(f->spec[0], &f->reader, &e) == 0) break;
        effects_fail(fx, &e);
        forget_first(f);
        failed = true;
    }
    tell_file(fx, f->n > 0 ? f->spec[0] : NULL, failed);
}

int effects_file(struct effects *fx, const char *spec, ox_err *err) {
    struct fx_file *f = &fx->file;
    int rc = ox_grow(&f->spec, &f->cap, f->n + 1, sizeof *f->spec, err);
    if (rc) return rc;
    f->spec[f->n] = ox_strdup(spec, "the name of a file", err);
    if (!f->spec[f->n]) return OX_ENOMEM;
    f->n++;
    if (!f->reader)
        read_next(fx, false);
    else if (f->is_unwanted && f->n == 1)
        tell_file(fx, spec, false); /* begins as soon as what nobody wants has ended */
    else
        effects_notice(fx, false, "it is read behind the one before");
    return 0;
}

void effects_file_stop(struct effects *fx) {
    struct fx_file *f = &fx->file;
    while (f->n > (f->is_unwanted ? 0 : 1)) /* those that were not begun */
        ox_free(f->spec[--f->n]);
    if (f->reader && !f->is_unwanted) reader_stop(f->reader);
    if (f->is_unwanted) tell_file(fx, NULL, true);
}

void effects_file_drop(struct effects *fx) {
    struct fx_file *f = &fx->file;
    bool was_told = f->n > 0;
    if (f->reader) reader_stop(f->reader);
    if (f->reader) f->is_unwanted = true;
    while (f->n > 0)
        ox_free(f->spec[--f->n]);
    if (was_told) tell_file(fx, NULL, true);
}

int effects_file_fd(const struct effects *fx) {
    return fx->file.reader ? reader_fd(fx->file.reader) : -1;
}

/* The thread has looked for a file only: the database is this thread's. */
void effects_file_news(struct effects *fx) {
    enum { LONG_S = 1 }; /* then something may be typed, and the next key takes the error away */
    struct fx_file *f = &fx->file;
    struct ingest in = {0};
    cite_index *index = NULL;
    ox_err e = {0};
    int rc = reader_finish(f->reader, &in, &index, &e);
    f->reader = NULL;
    if (f->is_unwanted) {
        cite_index_free(index);
        ingest_deinit(&in);
        if (f->n > 0) read_next(fx, false);
        return;
    }
    if (rc) rc = kept_instead(fx->st, f->spec[0], rc, &in, &e);
    if (!rc) rc = effects_take_document(fx, &in, index, &e);
    ingest_deinit(&in);
    if (rc) effects_fail(fx, &e);
    if (rc && rc != OX_ECANCELLED && effects_clock() - f->began > LONG_S)
        effects_notice(fx, false, "%s", e.what);
    forget_first(f);
    read_next(fx, rc != 0);
}

void effects_file_close(struct effects *fx) {
    struct fx_file *f = &fx->file;
    if (f->reader) {
        reader_stop(f->reader);
        reader_finish(f->reader, NULL, NULL, NULL);
    }
    while (f->n > 0)
        ox_free(f->spec[--f->n]);
    ox_free(f->spec);
    *f = (struct fx_file){0};
}
