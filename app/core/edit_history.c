/* edit_history.c - earlier lines of edit.h: walking through them and searching them (Ctrl-R). */
#include "app/core/edit.h"

#include <string.h>

enum { MAX_HISTORY = 1000 };

int edit_history_add(struct edit *e, const char *s, ox_err *err) {
    if (s[0] == 0) return 0;
    if (e->n_history > 0 && strcmp(e->history[e->n_history - 1], s) == 0) {
        e->at_history = e->n_history;
        return 0;
    }
    int rc = ox_grow(&e->history, &e->cap_history, e->n_history + 1, sizeof *e->history, err);
    if (rc) return rc;
    char *copy = ox_strdup(s, "history", err);
    if (!copy) return OX_ENOMEM;
    if (e->n_history == MAX_HISTORY) {
        ox_free(e->history[0]);
        memmove(e->history, e->history + 1, (MAX_HISTORY - 1) * sizeof *e->history);
        e->n_history--;
    }
    e->history[e->n_history++] = copy;
    e->at_history = e->n_history;
    return 0;
}

bool edit_history_move(struct edit *e, int direction) {
    size_t at = e->at_history > e->n_history ? e->n_history : e->at_history;
    if (direction < 0 ? at == 0 : at >= e->n_history) return false;
    if (at == e->n_history) { /* leaving the draft: keep it. Folds stay valid, they are not freed */
        char *draft = ox_memdup(e->text.p ? e->text.p : "", e->text.n, "draft", NULL);
        if (!draft) return false;
        ox_free(e->draft);
        e->draft = draft;
    }
    at = direction < 0 ? at - 1 : at + 1;
    bool is_draft = at == e->n_history;
    const char *text = is_draft ? (e->draft ? e->draft : "") : e->history[at];
    int rc;
    if (is_draft) { /* set as it was: edit_set would take its fold tokens for foreign characters */
        rc = buf_splice(&e->text, 0, e->text.n, text, strlen(text), NULL);
        e->cursor = e->text.n;
        while (e->n_undo > 0)
            ox_free(e->undo[--e->n_undo].old); /* they spoke of the other text */
    } else {
        rc = edit_set(e, text, strlen(text), NULL);
    }
    e->at_history = at;
    return rc == 0;
}

static size_t find_older(const struct edit *e, size_t below) {
    const char *query = buf_str(&e->query);
    while (query[0] != 0 && below-- > 0)
        if (strstr(e->history[below], query)) return below;
    return e->n_history;
}

int edit_search(struct edit *e, ox_err *err) {
    (void)err;
    if (!e->searching) {
        e->searching = true;
        buf_cut(&e->query, 0);
        e->found = e->n_history;
        return 0;
    }
    size_t older = find_older(e, e->found);
    if (older < e->n_history) e->found = older;
    return 0;
}

int edit_search_type(struct edit *e, const char *s, size_t n, ox_err *err) {
    int rc = buf_add(&e->query, s, n, err);
    if (!rc) e->found = find_older(e, e->n_history);
    return rc;
}

int edit_search_back(struct edit *e, ox_err *err) {
    (void)err;
    while (e->query.n > 0) {
        unsigned char c = (unsigned char)e->query.p[e->query.n - 1];
        buf_cut(&e->query, e->query.n - 1);
        if ((c & 0xC0) != 0x80) break;
    }
    e->found = find_older(e, e->n_history);
    return 0;
}

void edit_search_end(struct edit *e, bool keep) {
    if (keep && e->found < e->n_history) {
        const char *text = e->history[e->found];
        edit_set(e, text, strlen(text), NULL);
    }
    e->searching = false;
    buf_cut(&e->query, 0);
}
