/* export.c - a session out of the database: to read (show, export -F md, txt) or to take along
 * (jsonl). */
#include "app/cli/replay.h"
#include "app/cli/show_tokens.h"
#include "app/cli/stored.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/output.h"
#include "app/store/transfer.h"

#include <stdlib.h>
#include <string.h>

struct nth_branch {
    size_t left;
    int64_t leaf;
    size_t n;
};

static int each_branch(void *user, int64_t leaf) {
    struct nth_branch *b = user;
    b->n++;
    if (--b->left == 0) b->leaf = leaf;
    return 0;
}

/* --branch N: the leaf of the N-th branch, last used first; 0 without the flag. */
static int pick_branch(const struct cli *c, store *st, int64_t chat, int64_t *leaf, ox_err *err) {
    const char *text = flags_get(&c->flags, "--branch");
    char *end;
    if (!text) return 0;
    struct nth_branch b = {.left = strtoul(text, &end, 10)};
    bool counts = *text >= '1' && *text <= '9' && !*end;
    int rc = counts ? store_branch_list(st, chat, each_branch, &b, err) : 0;
    *leaf = b.leaf;
    if (rc || b.leaf) return rc;
    ox_err_set(err, OX_EUSAGE,
               counts ? "there is no branch %.20s: the session has %zu"
                      : "--branch: \"%.20s\" is not a number from 1 on",
               text, b.n);
    return ox_err_fix(err, "--branch 1 is the one used last, 2 the one before");
}

/* --- show --- */

static int each_ledger(void *user, const struct store_ledger *r) {
    struct buf *b = user;
    char in[SAY_BYTES], out[SAY_BYTES], load[SAY_BYTES], prefill[SAY_BYTES], decode[SAY_BYTES];
    return buf_printf(b, NULL,
                      "%s on %s (%s): %s in, %zu reused, %zu replayed, %s out, stop %s, seed "
                      "%llu%s; load %s, prefill %s, decode %s\n",
                      r->model, r->engine, r->build, say_count(in, r->cost.n_in), r->cost.n_reused,
                      r->cost.n_replayed, say_count(out, r->cost.n_out), r->stop,
                      (unsigned long long)r->cost.seed, r->cost.exact ? ", exact" : "",
                      say_time(load, r->cost.load_s), say_time(prefill, r->cost.prefill_s),
                      say_time(decode, r->cost.decode_s));
}

struct ledgers {
    store *st;
    struct buf *b;
    size_t n;
};

static int each_answer(void *user, const struct chat_node *row) {
    struct ledgers *l = user;
    if (row->role != OX_ROLE_ASSISTANT) return 0;
    int rc = buf_printf(l->b, NULL, "%s answer %zu: ", l->n ? "" : "\n", l->n + 1);
    l->n++;
    if (!rc) rc = store_run_get(l->st, row->id, each_ledger, l->b, NULL);
    return rc == OX_ENOTFOUND ? buf_puts(l->b, "no ledger\n", NULL) : rc;
}

static int run_show(struct cli *c, ox_err *err) {
    store *st = NULL;
    int64_t chat = 0;
    struct store_chat row = {0};
    struct store_export how = {.form = STORE_MARKDOWN};
    struct buf b = {0};
    struct output out = {.fd = -1};
    const struct output_opts where = {NULL, false, false};
    int rc = stored_open(c, true, &st, err);
    if (!rc) rc = stored_find(c, st, 0, &chat, err);
    if (!rc) rc = store_chat_get(st, chat, &row, err);
    if (!rc) rc = pick_branch(c, st, chat, &how.leaf, err);
    bool replays = flags_has(&c->flags, "--replay");
    if (!rc && (replays || flags_has(&c->flags, "--tokens"))) {
        store_close(st);
        return replays ? replay_run(c, chat, how.leaf, err) : show_tokens(c, chat, how.leaf, err);
    }
    if (!rc) rc = store_export(st, chat, &how, &b, err);
    struct ledgers l = {st, &b, 0};
    if (!rc && flags_has(&c->flags, "--ledger"))
        rc = store_msg_path(st, how.leaf ? how.leaf : row.leaf, each_answer, &l, err);
    if (!rc) rc = output_open(&where, &out, err);
    if (!rc) rc = output_text(&out, buf_str(&b), b.n, err);
    if (!rc) rc = output_end_line(&out, err);
    if (out.is_closed) c->status = 141;
    if (out.fd >= 0) output_close(&out, true, NULL);
    buf_deinit(&b);
    store_close(st);
    return rc;
}

const struct verb verb_show = {
    .name = "show",
    .args = "ID",
    .brief = "a session as Markdown",
    .flags = "--branch --tokens --ledger --replay --db " FLAGS_MODEL FLAGS_ALWAYS,
    .examples = "oxbow show 3f2a\noxbow show 1\tthe newest of oxbow sessions\noxbow show 3f2a "
                "--ledger\twhat each answer took\noxbow show 3f2a --tokens\tids, as the model "
                "reads and wrote them",
    .min_words = 1,
    .max_words = 1,
    .run = run_show,
};

/* --- export --- */

static int parse_form(const char *text, enum store_form *out, ox_err *err) {
    static const char *const names[] = {"jsonl", "md", "txt"};
    for (int i = 0; i < 3; i++)
        if (!text || strcmp(names[i], text) == 0) {
            *out = (enum store_form)i;
            return 0;
        }
    ox_err_set(err, OX_EUSAGE, "-F: \"%.20s\" is not jsonl, md or txt", text);
    return ox_err_fix(err, "jsonl can be imported again; md and txt are for reading");
}

static int run_export(struct cli *c, ox_err *err) {
    store *st = NULL;
    int64_t chat = 0;
    struct store_export how = {.with_docs = flags_has(&c->flags, "--docs")};
    struct buf b = {0};
    struct output out = {.fd = -1};
    const char *file = flags_out(&c->flags);
    const struct output_opts where = {file, flags_has(&c->flags, "--force"), false};
    int rc = parse_form(flags_get(&c->flags, "-F"), &how.form, err);
    if (!rc) rc = stored_open(c, true, &st, err);
    if (!rc) rc = stored_find(c, st, 0, &chat, err);
    if (!rc) rc = pick_branch(c, st, chat, &how.leaf, err);
    if (!rc) rc = store_export(st, chat, &how, &b, err);
    if (!rc) rc = output_open(&where, &out, err);
    /* A file gets the very text; what may go to a terminal passes the filter. JSON escapes by
     * itself. */
    bool exact = file || how.form == STORE_JSONL;
    if (!rc)
        rc = exact ? output_bytes(&out, buf_str(&b), b.n, err)
                   : output_text(&out, buf_str(&b), b.n, err);
    if (out.is_closed) c->status = 141;
    if (out.fd >= 0) {
        int closed = output_close(&out, !rc, rc ? NULL : err);
        if (!rc) rc = closed;
    }
    buf_deinit(&b);
    store_close(st);
    return rc;
}

const struct verb verb_export = {
    .name = "export",
    .args = "ID",
    .brief = "a session to a file",
    .flags = "-F -o --force --docs --branch --db " FLAGS_ALWAYS,
    .examples = "oxbow export 3f2a -o harbour.jsonl\twhole, can be imported\n"
                "oxbow export 3f2a -F md -o harbour.md\tfor reading",
    .min_words = 1,
    .max_words = 1,
    .run = run_export,
};
