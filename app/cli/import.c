/* import.c - sessions into the database, from lines that oxbow export wrote or from another
 * program's file: all of it or nothing. */
#include "app/cli/stored.h"
#include "app/import_chatgpt.h"
#include "app/ingest.h"
#include "app/store/import_llm.h"
#include "app/store/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int read_file(const char *path, struct buf *out, ox_err *err) {
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        int code = errno == ENOENT ? OX_ENOTFOUND : OX_EIO;
        ox_err_set(err, code, "cannot open %s: %s", path, strerror(errno));
        return ox_err_fix(err, "check the name; - is stdin");
    }
    int rc = ingest_read(fd, -1, path, out, err);
    if (rc == OX_EIO) ox_err_fix(err, "give a file of oxbow export; --from names other kinds");
    if (!is_stdin) close(fd);
    return rc;
}

static int report(const struct store_imported *n, const struct foreign *f, bool dry, ox_err *err) {
    struct buf b = {0};
    int rc = buf_printf(&b, err, "%s%zu session%s, %zu message%s, %zu document%s",
                        dry ? "would import " : "", n->n_chats, n->n_chats == 1 ? "" : "s",
                        n->n_messages, n->n_messages == 1 ? "" : "s", n->n_docs,
                        n->n_docs == 1 ? "" : "s");
    struct buf left = {0};
    if (!rc && n->n_known) rc = buf_printf(&b, err, "; %zu here already", n->n_known);
    if (!rc) rc = foreign_say_left(f, &left, err);
    if (!rc && left.n) rc = buf_printf(&b, err, "; left out: %s", buf_str(&left));
    buf_deinit(&left);
    size_t shown = sizeof n->skipped / sizeof n->skipped[0];
    if (!rc && n->n_skipped)
        rc = buf_printf(&b, err, "; %zu lines not understood (lines ", n->n_skipped);
    for (size_t i = 0; !rc && i < n->n_skipped && i < shown; i++)
        rc = buf_printf(&b, err, "%s%zu", i ? ", " : "", n->skipped[i]);
    if (!rc && n->n_skipped) rc = buf_puts(&b, n->n_skipped > shown ? ", ..)" : ")", err);
    if (!rc) rc = buf_putc(&b, '\n', err);
    if (!rc) rc = stored_flush(&b, err);
    buf_deinit(&b);
    return rc;
}

/* What is to be imported, as lines of oxbow export. */
static int read_lines(const char *from, const char *path, struct foreign *f, ox_err *err) {
    if (!from || strcmp(from, "oxbow") == 0) return read_file(path, &f->lines, err);
    if (strcmp(from, "chatgpt") == 0) return import_chatgpt(path, f, err);
    if (strcmp(from, "llm") == 0 && access(path, R_OK) == 0) return import_llm(path, f, err);
    if (strcmp(from, "llm") == 0) {
        ox_err_set(err, errno == ENOENT ? OX_ENOTFOUND : OX_EIO, "cannot open %s: %s", path,
                   strerror(errno));
        return ox_err_fix(err, "`llm logs path` says where the log is");
    }
    ox_err_set(err, OX_EUSAGE, "--from: \"%.20s\" is no program that can be read", from);
    return ox_err_fix(err, "oxbow, llm or chatgpt");
}

static int run(struct cli *c, ox_err *err) {
    bool dry = flags_has(&c->flags, "--dry-run");
    struct store_imported n = {0};
    struct foreign f = {0};
    store *st = NULL;
    int rc = read_lines(flags_get(&c->flags, "--from"), c->flags.word[0], &f, err);
    if (!rc) rc = stored_open(c, false, &st, err);
    if (!rc) rc = store_import(st, buf_str(&f.lines), f.lines.n, dry, &n, err);
    if (rc == OX_EFORMAT && err && !err->fix[0])
        ox_err_fix(err, "nothing was imported; give a file of oxbow export");
    if (!rc) rc = report(&n, &f, dry, err);
    foreign_deinit(&f);
    store_close(st);
    return rc;
}

const struct verb verb_import = {
    .name = "import",
    .args = "FILE",
    .brief = "sessions from a file",
    .flags = "--from --dry-run --db " FLAGS_ALWAYS,
    .examples =
        "oxbow import harbour.jsonl\noxbow import --dry-run harbour.jsonl\tchecks and counts only\n"
        "oxbow import --from llm ~/.config/io.datasette.llm/logs.db\n"
        "oxbow import --from chatgpt export-folder\tthe unpacked archive",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
