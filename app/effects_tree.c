/* effects_tree.c - a conversation comes from the database newest messages first. See effects.h.
 *
 * Of 10,000 turns the screen needs twenty: they are shown after a few milliseconds, and the rest is
 * read in slices that no key waits for. When it is complete, EV_TREE puts it below what is shown.
 */
#include "app/effects.h"

#include <stdlib.h>

enum { SHOWN_ROWS = 192, AT_ONCE_ROWS = 200, SLICE_ROWS = 400 };

static int keep_row(void *user, const struct chat_node *row) {
    struct fx_tree *t = user;
    struct chat_node view = *row;
    view.n_tok = 0; /* fetched when a prompt is made: effects_ask.c */
    int rc = ox_grow(&t->row, &t->cap, t->n + 1, sizeof *t->row, NULL);
    if (!rc) rc = chat_node_dup(&view, &t->row[t->n], NULL);
    if (!rc) t->n++;
    return rc;
}

static int keep_leaf(void *user, int64_t leaf) {
    struct fx_tree *t = user;
    int rc = ox_grow(&t->leaf, &t->cap_leaves, t->n_leaves + 1, sizeof *t->leaf, NULL);
    if (!rc) t->leaf[t->n_leaves++] = leaf;
    return rc;
}

/* The path that was read hangs in the tree now. */
static int hang(struct fx_tree *t, ox_err *err) {
    int rc = 0;
    while (t->n > 0 && !rc) {
        struct chat_node *row = &t->row[--t->n];
        if (chat_find(&t->made, row->id))
            chat_node_deinit(row);
        else
            rc = chat_add(&t->made, row, err);
    }
    return rc;
}

/* Reads about `rows` messages. A path ends at its root or where it meets one that is complete; then
 * the next branch is read. */
static int read_slice(struct effects *fx, size_t rows, ox_err *err) {
    struct fx_tree *t = &fx->tree;
    int rc = 0;
    while (!rc && t->is_going && rows > 0) {
        if (t->next && !chat_find(&t->made, t->next)) {
            size_t before = t->n, want = t->made.n ? 1 : rows; /* one by one up to a known one */
            rc = store_msg_up(fx->st, t->next, want, keep_row, t, err);
            size_t got = t->n - before;
            t->next = got > 0 ? t->row[t->n - 1].parent : 0;
            rows -= got;
            continue;
        }
        rc = hang(t, err);
        t->is_going = t->n_leaves > 0;
        t->next = t->is_going ? t->leaf[--t->n_leaves] : 0;
    }
    return rc;
}

static int by_id(const void *a, const void *b) {
    int64_t x = ((const struct chat_node *)a)->id, y = ((const struct chat_node *)b)->id;
    return (x > y) - (x < y);
}

/* Branches were read one behind the other; what is younger stands later (chat.h). */
static int take_made(struct fx_tree *t, struct chat *out, ox_err *err) {
    struct chat sorted = {0};
    int rc = 0;
    if (t->made.n > 1) qsort(t->made.node, t->made.n, sizeof *t->made.node, by_id);
    for (size_t i = 0; i < t->made.n && !rc; i++)
        rc = chat_add(&sorted, &t->made.node[i], err); /* handed over, also on failure */
    chat_deinit(&t->made);
    *out = sorted;
    return rc;
}

/* The newest part of the path, as a conversation whose first message stands at a root. */
static int copy_newest(const struct fx_tree *t, struct chat *out, ox_err *err) {
    int rc = 0;
    for (size_t i = t->n < SHOWN_ROWS ? t->n : SHOWN_ROWS; i > 0 && !rc; i--) {
        struct chat_node copy;
        rc = chat_node_dup(&t->row[i - 1], &copy, err);
        if (rc) return rc;
        if (out->n == 0) copy.parent = 0;
        rc = chat_add(out, &copy, err);
    }
    return rc;
}

int effects_tree(struct effects *fx, int64_t chat, int64_t leaf, struct chat *out, ox_err *err) {
    struct fx_tree *t = &fx->tree;
    effects_tree_drop(fx);
    t->next = leaf;
    t->is_going = true;
    int rc = store_branch_list(fx->st, chat, keep_leaf, t, err);
    if (!rc) rc = read_slice(fx, AT_ONCE_ROWS, err);
    bool is_long = t->is_going && t->made.n == 0; /* not even its path has come to an end */
    while (!is_long && t->is_going && !rc)
        rc = read_slice(fx, SLICE_ROWS, err); /* other branches share most of it */
    if (!rc) rc = is_long ? copy_newest(t, out, err) : take_made(t, out, err);
    if (rc) chat_deinit(out);
    if (rc || !is_long) effects_tree_drop(fx);
    return rc;
}

static void tell_tree(struct effects *fx) {
    struct event ev = {.kind = EV_TREE, .id = fx->tree.leaf_shown};
    ox_err e = {0};
    int rc = take_made(&fx->tree, &ev.chat.tree, &e);
    effects_tree_drop(fx);
    if (rc) {
        chat_deinit(&ev.chat.tree);
        effects_fail(fx, &e);
        return;
    }
    effects_event(fx, &ev);
    effects_documents(fx);
}

bool effects_tree_idle(struct effects *fx) {
    ox_err e = {0};
    if (!fx->tree.is_going) return false;
    if (!fx->st || read_slice(fx, SLICE_ROWS, &e)) {
        effects_tree_drop(fx);
        if (e.code) effects_fail(fx, &e);
    } else if (!fx->tree.is_going) {
        tell_tree(fx);
    }
    return true;
}

/* ---- a session that another process writes ---- */

static const double FOLLOW_S = 0.25, NAME_S = 1;

int effects_claim(struct effects *fx, ox_err *err) {
    ox_err held = {0};
    if (!fx->writes || !fx->s->chat_id || fx->is_locked) return 0;
    int rc = store_chat_lock(fx->st, fx->s->chat_id, &held);
    fx->is_locked = rc == 0;
    if (rc != OX_EBUSY) return 0; /* locks do not work there: T1 will say what else does not */
    if (err) *err = held;
    ox_err_fix(err, "/fork goes on in a copy; or leave it there");
    return rc;
}

/* What was asked here and could not be saved is in no database. */
static bool has_own(const struct effects *fx) {
    const struct chat *c = &fx->s->chat;
    return c->n > 0 && c->node[c->n - 1].id < 0;
}

static bool follows(const struct effects *fx) {
    return fx->st && fx->s->chat_id && !fx->is_locked && fx->s->screen == SCREEN_CHAT &&
           !fx->tree.is_going && !has_own(fx);
}

/* `oxbow rename` and `states pin` ask nobody, so a session of ours is looked at too. */
static bool is_named_elsewhere(const struct effects *fx) {
    return fx->st && fx->s->chat_id && fx->is_locked && fx->s->screen == SCREEN_CHAT;
}

double effects_follow_at(const struct effects *fx) {
    return follows(fx)              ? fx->followed_at + FOLLOW_S
           : is_named_elsewhere(fx) ? fx->followed_at + NAME_S
                                    : 0;
}

/* What it saved since, at its own branch: parts of an answer come twice a second. */
void effects_follow_tend(struct effects *fx) {
    double now = effects_clock();
    struct store_chat row = {0};
    struct event ev = {.kind = EV_TREE};
    double at = effects_follow_at(fx);
    if (at == 0 || now < at) return;
    fx->followed_at = now;
    if (!follows(fx)) {
        if (store_has_changed(fx->st)) effects_changed(fx, fx->s->chat_id, NULL);
        return;
    }
    if (effects_claim(fx, NULL) == 0 && fx->is_locked) {
        effects_notice(fx, true, "%s", "");
        effects_notice(fx, false, "the other oxbow has left; questions go on here");
    }
    if ((!store_has_changed(fx->st) && !fx->is_locked) ||
        store_chat_get(fx->st, fx->s->chat_id, &row, NULL))
        return;
    effects_changed(fx, row.id, NULL);
    if (effects_tree(fx, row.id, row.leaf, &ev.chat.tree, NULL)) return;
    if (fx->tree.is_going) { /* a long one: told when all of it is there */
        chat_deinit(&ev.chat.tree);
        fx->tree.leaf_shown = row.leaf;
        return;
    }
    ev.id = row.leaf;
    effects_event(fx, &ev);
    effects_documents(fx);
}

void effects_tree_finish(struct effects *fx) {
    while (effects_tree_idle(fx)) {
    }
}

void effects_tree_drop(struct effects *fx) {
    struct fx_tree *t = &fx->tree;
    while (t->n > 0)
        chat_node_deinit(&t->row[--t->n]);
    ox_free(t->row);
    ox_free(t->leaf);
    chat_deinit(&t->made);
    *t = (struct fx_tree){0};
}
