/* show_tokens.c - see show_tokens.h. */
#include "app/cli/show_tokens.h"

#include "app/cli/stored.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/talk.h"

#include <string.h>

enum { IDS_A_ROW = 12 };

static int add_ids(struct buf *b, const int32_t *tok, size_t n, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = buf_printf(b, err, "%s%d", i % IDS_A_ROW ? " " : i ? "\n  " : "  ", tok[i]);
    return rc || !n ? rc : buf_putc(b, '\n', err);
}

static int add_documents(const struct talk *t, const struct chat_node *m, struct buf *b,
                         ox_err *err) {
    char n[SAY_BYTES];
    int rc = 0;
    for (size_t i = 0; !rc && i < m->n_docs; i++) {
        const struct chat_doc *part = &m->docs[i];
        const char *name = part->name ? part->name : "a deleted document";
        size_t n_tok = 0;
        for (size_t k = 0; k < t->n_docs; k++)
            if (t->doc[k].id == part->doc && t->doc[k].from == part->from) n_tok = t->doc[k].tok.n;
        rc = text_show(b, name, strlen(name), TEXT_LINE, err);
        if (!rc) rc = buf_printf(b, err, ": %s tokens\n", say_count(n, n_tok));
    }
    return rc;
}

static int add_message(struct talk *t, const struct chat_node *m, size_t turn, struct buf *b,
                       ox_err *err) {
    static const char *const names[] = {"", "system", "you", "oxbow"};
    struct ox_tokens tok = {0};
    bool is_kept = m->n_tok > 0;
    char n[SAY_BYTES];
    int rc = is_kept ? 0 : turn_encode(t->w, m->text, m->n_bytes, &tok, err);
    size_t n_tok = is_kept ? m->n_tok : tok.n;
    if (!rc) rc = add_documents(t, m, b, err);
    if (!rc)
        rc = buf_printf(b, err, "turn %zu %s: %s token%s%s\n", turn, names[m->role],
                        say_count(n, n_tok), n_tok == 1 ? "" : "s", is_kept ? ", as sampled" : "");
    if (!rc) rc = add_ids(b, is_kept ? m->tok : tok.v, n_tok, err);
    ox_free(tok.v);
    return rc;
}

int show_tokens(struct cli *c, int64_t chat, int64_t leaf, ox_err *err) {
    struct talk t = {0};
    struct chat_node **path = NULL;
    struct buf b = {0};
    size_t n = 0, turn = 0;
    int rc = talk_start(&t, &c->conf, err);
    if (!rc) rc = talk_resume(&t, chat, leaf, err);
    if (!rc) rc = talk_ready(&t, err); /* ids are known with the model */
    if (!rc) rc = talk_needs_engine(&t, "show --tokens", err);
    if (!rc) rc = chat_path(&t.chat, leaf ? leaf : t.chat.leaf, &path, &n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        turn += path[i]->role == OX_ROLE_USER;
        rc = add_message(&t, path[i], turn, &b, err);
    }
    if (!rc) rc = stored_flush(&b, err);
    ox_free(path);
    buf_deinit(&b);
    talk_deinit(&t);
    return rc;
}
