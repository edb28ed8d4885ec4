/* search_index.c - what goes into the full-text tables. The tables keep no text of their own, so
 * the same words must be given again when a row goes; SQLite 3.40 refuses to do this in triggers
 * (docs/STORE.md, top), and C is where the spacing of scripts without spaces happens anyway. */
#include "app/core/text.h"
#include "app/store/inner.h"

#include <string.h>

/* Han with its extensions and marks, kana, Thai, Lao, Khmer. */
static bool is_unspaced(int32_t cp) {
    static const struct {
        int32_t from, to;
    } ranges[] = {{0x0e00, 0x0eff},  {0x1780, 0x17ff}, {0x2e80, 0x2fdf}, {0x3005, 0x3007},
                  {0x3021, 0x3029},  {0x3038, 0x30ff}, {0x31f0, 0x31ff}, {0x3400, 0x4dbf},
                  {0x4e00, 0x9fff},  {0xf900, 0xfaff}, {0xff66, 0xff9f}, {0x1b000, 0x1b16f},
                  {0x20000, 0x3ffff}};
    if (cp < 0x0e00) return false;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (cp >= ranges[i].from && cp <= ranges[i].to) return true;
    return false;
}

int search_space(struct buf *out, const char *text, size_t n, ox_err *err) {
    size_t from = 0;
    int rc = 0;
    for (size_t at = 0; !rc && at < n;) {
        int32_t cp;
        size_t len = text_next(text + at, n - at, &cp);
        if (is_unspaced(cp)) {
            rc = buf_add(out, text + from, at - from, err);
            if (!rc) rc = buf_putc(out, ' ', err);
            if (!rc) rc = buf_add(out, text + at, len, err);
            if (!rc) rc = buf_putc(out, ' ', err);
            from = at + len;
        }
        at += len;
    }
    return rc ? rc : buf_add(out, text + from, n - from, err);
}

int search_message(struct db *db, int64_t id, const char *text, size_t n, bool add, ox_err *err) {
    struct buf spaced = {0};
    int rc = search_space(&spaced, text, n, err);
    if (rc) goto out;
    struct query q = add ? db_query(db, "INSERT INTO message_fts (rowid, text) VALUES (:id, :text)")
                         : db_query(db, "INSERT INTO message_fts (message_fts, rowid, text) "
                                        "VALUES ('delete', :id, :text)");
    query_i64(&q, ":id", id);
    query_text(&q, ":text", buf_str(&spaced), spaced.n);
    rc = query_run(&q, err);
out:
    buf_deinit(&spaced);
    return rc;
}

int search_chunk(struct db *db, int64_t id, const char *heading, const char *text, size_t n,
                 bool add, ox_err *err) {
    struct buf spaced = {0}, head = {0};
    int rc = search_space(&spaced, text, n, err);
    if (!rc) rc = search_space(&head, heading, strlen(heading), err);
    if (rc) goto out;
    struct query q =
        add ? db_query(db,
                       "INSERT INTO doc_fts (rowid, heading, text) VALUES (:id, :heading, :text)")
            : db_query(db, "INSERT INTO doc_fts (doc_fts, rowid, heading, text) "
                           "VALUES ('delete', :id, :heading, :text)");
    query_i64(&q, ":id", id);
    query_text(&q, ":heading", buf_str(&head), head.n);
    query_text(&q, ":text", buf_str(&spaced), spaced.n);
    rc = query_run(&q, err);
out:
    buf_deinit(&spaced);
    buf_deinit(&head);
    return rc;
}
