/* effects_export.c - the branch on screen as a file, also one that is saved nowhere else. See
 * effects.h. */
#include "app/effects.h"

#include "app/core/export.h"
#include "app/output.h"
#include "app/store/transfer.h"

#include <stdio.h>

/* The branch that is shown, as `oxbow export -F md` writes it; *name where no other was given. */
static int export_page(struct effects *fx, int64_t chat, struct buf *page, char name[64],
                       ox_err *err) {
    const struct store_export how = {.form = STORE_MARKDOWN};
    const struct app_state *s = fx->s;
    struct store_chat row = {0};
    snprintf(name, 64, "oxbow.md");
    if ((!fx->st || !chat) && s->sheet.n == 0)
        return ox_err_set(err, OX_ENOTFOUND, "there is nothing to export yet");
    if (!fx->st || !chat)
        return export_branch(page, &s->chat, s->chat.leaf, s->title, s->model.name, err);
    int rc = store_chat_get(fx->st, chat, &row, err);
    snprintf(name, 64, "oxbow-%.4s.md", row.uid);
    return rc ? rc : store_export(fx->st, chat, &how, page, err);
}

int effects_export(struct effects *fx, const struct effect *e, ox_err *err) {
    struct output_opts where = {.path = e->text};
    struct output out = {.fd = -1};
    struct buf page = {0};
    char name[64];
    int rc = export_page(fx, e->id, &page, name, err);
    if (!where.path) where.path = name;
    if (!rc) rc = output_open(&where, &out, err);
    if (!rc) rc = output_bytes(&out, buf_str(&page), page.n, err);
    if (out.fd >= 0) {
        int closed = output_close(&out, !rc, rc ? NULL : err);
        if (!rc) rc = closed;
    }
    if (rc == OX_EUSAGE) ox_err_fix(err, "/export FILE writes to another one");
    if (!rc) effects_notice(fx, false, "written to %s", where.path);
    buf_deinit(&page);
    return rc;
}
