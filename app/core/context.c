/* context.c - see context.h. */
#include "app/core/context.h"

/* The words that open a document belong to it; a turn begins with the first message of its
 * question.
 */
static enum context_kind kind_of(const struct prompt *p, size_t i) {
    bool opens = i + 1 < p->n && p->msg[i].role == OX_ROLE_USER && p->why[i] == OX_WHY_NONE &&
                 p->why[i + 1] == OX_WHY_DOCUMENT;
    if (p->msg[i].role == OX_ROLE_SYSTEM) return CONTEXT_SYSTEM;
    return opens || p->why[i] == OX_WHY_DOCUMENT ? CONTEXT_DOCUMENT : CONTEXT_TURN;
}

int context_make(const struct prompt *p, const size_t *ends, struct context_map *out, ox_err *err) {
    struct context_map m = {.tokens = p->n ? ends[p->n - 1] : 0};
    size_t n_docs = 0, n_turns = 0, from = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < p->n; i++) {
        enum context_kind kind = kind_of(p, i);
        if (p->msg[i].role == OX_ROLE_USER && !p->msg[i].joined) n_turns++;
        bool is_new_doc = kind == CONTEXT_DOCUMENT && p->why[i] != OX_WHY_DOCUMENT;
        if (is_new_doc) n_docs++;
        size_t n = kind == CONTEXT_DOCUMENT ? n_docs : kind == CONTEXT_TURN ? n_turns : 1;
        struct context_piece *last = m.n ? &m.v[m.n - 1] : NULL;
        if (!last || last->kind != kind || last->n != n) {
            rc = ox_grow(&m.v, &m.cap, m.n + 1, sizeof *m.v, err);
            if (rc) break;
            last = &m.v[m.n++];
            *last = (struct context_piece){.kind = kind, .n = n};
        }
        last->tokens += ends[i] - from;
        last->again = m.tokens - ends[i];
        from = ends[i];
    }
    if (rc)
        context_deinit(&m);
    else
        *out = m;
    return rc;
}

void context_deinit(struct context_map *m) {
    ox_free(m->v);
    *m = (struct context_map){0};
}

int context_bar(const struct context_map *m, size_t limit, size_t cells, struct buf *out,
                ox_err *err) {
    static const char letter[] = {' ', 's', 'd', 't', '.'};
    size_t tokens[5] = {0}, used = 0;
    int rc = 0;
    for (size_t i = 0; i < m->n; i++)
        tokens[m->v[i].kind] += m->v[i].tokens;
    tokens[4] = limit > m->tokens ? limit - m->tokens : 0;
    for (size_t k = 1; !rc && k < 5; k++) {
        size_t n = limit ? tokens[k] * cells / limit : 0;
        if (k == 4) n = cells > used ? cells - used : 0; /* what rounding left is free */
        if (tokens[k] && !n) n = 1;
        if (!tokens[k]) continue;
        used += n;
        rc = buf_putc(out, '[', err);
        for (size_t i = 0; !rc && i < n; i++)
            rc = buf_putc(out, letter[k], err);
        if (!rc) rc = buf_putc(out, ']', err);
    }
    return rc;
}
