/* chat.c - the conversation tree. Apart from store/ because the screen, the plain mode and the
 * tests work on trees without a database. Trees are small (tens to thousands of nodes): linear
 * searches keep the structure to one array, and a path is found by walking up. */
#include "app/core/chat.h"

#include <string.h>

static const char *const END_NAMES[] = {"open", "done", "stopped", "length", "crashed", "failed"};
static const char *const ROLE_NAMES[] = {"", "system", "user", "assistant"};

const char *chat_refuses_more(const struct chat *c, const struct chat_node *last) {
    if (!last || last->role != OX_ROLE_ASSISTANT) return "there is no answer to go on with";
    if (last->end == CHAT_OPEN) return "the answer is being written";
    if (last->end == CHAT_DONE) return "the last answer is complete: ask for more in your words";
    if (last->n_tok == 0 && last->n_bytes == 0 && last->n_thought == 0)
        return "nothing of the answer is there yet; /regen writes it";
    for (size_t i = 0; i < c->n; i++)
        if (c->node[i].parent == last->id)
            return "another branch goes on from this answer; /regen writes another one";
    return NULL;
}

enum ox_reply chat_reopens_as(const struct chat_node *answer) {
    bool thinks = answer->n_thought > 0 || (answer->n_bytes == 0 && answer->n_tok > 0);
    return thinks ? OX_REPLY_CONTINUE : OX_REPLY_CONTINUE_NO_THINK;
}

struct chat_ledger chat_ledger_join(const struct chat_ledger *before, size_t n_before,
                                    const struct chat_ledger *more) {
    struct chat_ledger l = *before;
    l.n_out = n_before + more->n_out;
    if (more->n_in == 0) return l; /* it was stopped before it went on */
    l.n_in = more->n_in > n_before ? more->n_in - n_before : 0;
    if (before->n_in == 0) l.n_reused = more->n_reused < l.n_in ? more->n_reused : l.n_in;
    l.seed = more->seed;
    l.exact = more->exact && (before->n_in == 0 || before->exact);
    l.load_s += more->load_s;
    l.prefill_s += more->prefill_s;
    l.decode_s += more->decode_s;
    return l;
}

const char *chat_end_name(enum chat_end end) {
    return END_NAMES[end];
}

const char *chat_role_name(enum ox_role role) {
    return ROLE_NAMES[role];
}

static int find_name(const char *const *names, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (name && strcmp(names[i], name) == 0) return (int)i;
    return -1;
}

const char *chat_ran_name(enum chat_ran ran) {
    static const char *const names[] = {NULL, "remote", "remote, estimated"};
    return names[ran];
}

enum chat_ran chat_ran_parse(const char *engine) {
    for (int i = CHAT_RAN_REMOTE; i <= CHAT_RAN_REMOTE_ABOUT; i++)
        if (strcmp(engine, chat_ran_name((enum chat_ran)i)) == 0) return (enum chat_ran)i;
    return CHAT_RAN_HERE;
}

int chat_end_parse(const char *name) {
    return find_name(END_NAMES, sizeof END_NAMES / sizeof END_NAMES[0], name);
}

int chat_role_parse(const char *name) {
    return find_name(ROLE_NAMES, sizeof ROLE_NAMES / sizeof ROLE_NAMES[0], name);
}

void chat_node_deinit(struct chat_node *row) {
    ox_free(row->text);
    ox_free(row->thought);
    ox_free(row->tok);
    for (size_t i = 0; i < row->n_docs; i++)
        ox_free(row->docs[i].name);
    ox_free(row->docs);
    *row = (struct chat_node){0};
}

static int copy_docs(const struct chat_node *row, struct chat_node *out, ox_err *err) {
    if (!row->n_docs) return 0;
    out->docs = ox_alloc(row->n_docs, sizeof *out->docs, "attachments", err);
    if (!out->docs) return OX_ENOMEM;
    for (size_t i = 0; i < row->n_docs; i++) {
        out->docs[i] = row->docs[i];
        out->docs[i].name =
            ox_strdup(row->docs[i].name ? row->docs[i].name : "", "document name", err);
        if (!out->docs[i].name) return OX_ENOMEM;
        out->n_docs = i + 1;
    }
    return 0;
}

int chat_node_dup(const struct chat_node *row, struct chat_node *out, ox_err *err) {
    struct chat_node copy = *row;
    copy.text = copy.thought = NULL;
    copy.tok = NULL;
    copy.docs = NULL;
    copy.n_docs = 0;
    int rc = OX_ENOMEM;
    copy.text = ox_memdup(row->text ? row->text : "", row->n_bytes, "message text", err);
    if (!copy.text) goto out;
    if (row->thought) {
        copy.thought = ox_memdup(row->thought, row->n_thought, "thought", err);
        if (!copy.thought) goto out;
    }
    if (row->n_tok) {
        copy.tok = ox_alloc(row->n_tok, sizeof *copy.tok, "message tokens", err);
        if (!copy.tok) goto out;
        memcpy(copy.tok, row->tok, row->n_tok * sizeof *copy.tok);
    }
    rc = copy_docs(row, &copy, err);
    if (rc) goto out;
    *out = copy; /* handed over */
    copy = (struct chat_node){0};
out:
    chat_node_deinit(&copy);
    return rc;
}

/* Ids are small and dense: a multiplicative hash spreads them (Knuth, TAOCP 3, 6.4). */
static size_t first_slot(const struct chat *c, int64_t id) {
    return (size_t)(((uint64_t)id * 0x9E3779B97F4A7C15u) >> 32) & (c->n_slots - 1);
}

static void fill_slot(struct chat *c, size_t i) {
    size_t at = first_slot(c, c->node[i].id);
    while (c->slot[at])
        at = (at + 1) & (c->n_slots - 1);
    c->slot[at] = (uint32_t)i + 1;
}

/* A session of 20,000 messages is opened, walked and drawn by id. Without memory: looking at all.
 */
static void build_slots(struct chat *c) {
    size_t n_slots = 16;
    while (n_slots < 4 * c->n)
        n_slots *= 2;
    ox_free(c->slot);
    c->slot = ox_alloc(n_slots, sizeof *c->slot, "index of messages", NULL);
    c->n_slots = c->slot ? n_slots : 0;
    for (size_t i = 0; c->slot && i < c->n; i++)
        fill_slot(c, i);
}

struct chat_node *chat_find(const struct chat *c, int64_t id) {
    if (id == 0) return NULL;
    if (c->n_slots) {
        for (size_t at = first_slot(c, id); c->slot[at]; at = (at + 1) & (c->n_slots - 1))
            if (c->node[c->slot[at] - 1].id == id) return &c->node[c->slot[at] - 1];
        return NULL;
    }
    for (size_t i = c->n; i-- > 0;) /* the newest are asked for most */
        if (c->node[i].id == id) return &c->node[i];
    return NULL;
}

int chat_add(struct chat *c, struct chat_node *row, ox_err *err) {
    int rc = 0;
    if (row->parent && !chat_find(c, row->parent))
        rc = ox_err_set(err, OX_ENOTFOUND, "message %lld has no parent %lld here",
                        (long long)row->id, (long long)row->parent);
    else if (row->id == 0 || chat_find(c, row->id))
        rc = ox_err_set(err, OX_EUSAGE, "message id %lld is taken", (long long)row->id);
    else
        rc = ox_grow(&c->node, &c->cap, c->n + 1, sizeof *c->node, err);
    if (rc) {
        chat_node_deinit(row);
        return rc;
    }
    c->node[c->n++] = *row;
    if (c->n * 2 > c->n_slots)
        build_slots(c);
    else
        fill_slot(c, c->n - 1);
    c->leaf = row->id;
    *row = (struct chat_node){0};
    return 0;
}

void chat_take_back(struct chat *c, int64_t id) {
    const struct chat_node *at = chat_find(c, id);
    if (!at) return;
    size_t first = (size_t)(at - c->node);
    while (c->n > first)
        chat_node_deinit(&c->node[--c->n]);
    build_slots(c);
}

int64_t chat_new_id(const struct chat *c) {
    int64_t lowest = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->node[i].id < lowest) lowest = c->node[i].id;
    return lowest - 1;
}

void chat_renumber(struct chat *c, int64_t from, int64_t to) {
    for (size_t i = 0; i < c->n; i++) {
        if (c->node[i].id == from) c->node[i].id = to;
        if (c->node[i].parent == from) c->node[i].parent = to;
    }
    if (c->leaf == from) c->leaf = to;
    build_slots(c);
}

int chat_edit(struct chat *c, int64_t id, const char *text, size_t n, int64_t *added, ox_err *err) {
    const struct chat_node *old = chat_find(c, id);
    if (!old) return ox_err_set(err, OX_ENOTFOUND, "no message %lld to edit", (long long)id);
    struct chat_node view = *old, row = {0};
    view.text = (char *)text; /* read by the copy only */
    view.n_bytes = n;
    view.thought = NULL;
    view.n_thought = view.n_tok = 0;
    view.end = old->role == OX_ROLE_ASSISTANT ? CHAT_OPEN : CHAT_DONE;
    view.ledger = (struct chat_ledger){0};
    int rc = chat_node_dup(&view, &row, err);
    if (rc) return rc;
    row.id = chat_new_id(c);
    int64_t fresh = row.id;
    rc = chat_add(c, &row, err);
    if (!rc) *added = fresh;
    return rc;
}

bool chat_has_doc(const struct chat *c, int64_t leaf, int64_t doc) {
    for (const struct chat_node *at = chat_find(c, leaf); at; at = chat_find(c, at->parent))
        for (size_t i = 0; i < at->n_docs; i++)
            if (at->docs[i].doc == doc) return true;
    return false;
}

static bool has_doc(const struct chat_node *row, const struct chat_doc *d) {
    for (size_t i = 0; i < row->n_docs; i++)
        if (row->docs[i].doc == d->doc && row->docs[i].from == d->from && row->docs[i].to == d->to)
            return true;
    return false;
}

static int gather_docs(struct chat_node **path, size_t n, struct chat_node *row, ox_err *err) {
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        most += path[i]->n_docs;
    if (!most) return 0;
    row->docs = ox_alloc(most, sizeof *row->docs, "documents of a message", err);
    if (!row->docs) return OX_ENOMEM;
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < path[i]->n_docs; d++) {
            struct chat_doc doc = path[i]->docs[d];
            if (!doc.doc || has_doc(row, &doc)) continue;
            doc.name = ox_strdup(doc.name ? doc.name : "", "name", err);
            if (!doc.name) return OX_ENOMEM;
            row->docs[row->n_docs++] = doc;
        }
    return 0;
}

int chat_restart(struct chat *c, int64_t leaf, const char *text, int64_t now_us, int64_t *added,
                 ox_err *err) {
    struct chat_node **path = NULL;
    struct chat_node row = {.id = chat_new_id(c),
                            .created_us = now_us,
                            .role = OX_ROLE_USER,
                            .end = CHAT_DONE,
                            .n_bytes = strlen(text)};
    size_t n_path = 0;
    int rc = chat_path(c, leaf, &path, &n_path, err);
    if (!rc && n_path && path[0]->role == OX_ROLE_SYSTEM) row.parent = path[0]->id;
    if (!rc) row.text = ox_memdup(text, row.n_bytes, "message text", err);
    if (!rc && !row.text) rc = OX_ENOMEM;
    if (!rc) rc = gather_docs(path, n_path, &row, err);
    ox_free(path);
    int64_t fresh = row.id;
    if (rc)
        chat_node_deinit(&row);
    else
        rc = chat_add(c, &row, err);
    if (!rc) *added = fresh;
    return rc;
}

int chat_path(const struct chat *c, int64_t leaf, struct chat_node ***path, size_t *n,
              ox_err *err) {
    size_t depth = 0;
    for (int64_t id = leaf; id;) {
        const struct chat_node *at = chat_find(c, id);
        if (!at) return ox_err_set(err, OX_ENOTFOUND, "no message %lld", (long long)id);
        id = at->parent;
        if (++depth > c->n)
            return ox_err_set(err, OX_EDB, "message %lld is its own ancestor", (long long)leaf);
    }
    struct chat_node **rows = ox_alloc(depth, sizeof *rows, "path of messages", err);
    if (!rows) return OX_ENOMEM;
    size_t i = depth;
    for (int64_t id = leaf; id;) {
        rows[--i] = chat_find(c, id);
        id = rows[i]->parent;
    }
    *path = rows;
    *n = depth;
    return 0;
}

int chat_fork(const struct chat *c, int64_t at, struct chat *out, ox_err *err) {
    struct chat copy = {0};
    struct chat_node **path = NULL;
    size_t n = 0;
    int rc = chat_path(c, at, &path, &n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        struct chat_node row;
        rc = chat_node_dup(path[i], &row, err);
        if (!rc) rc = chat_add(&copy, &row, err);
    }
    ox_free(path);
    if (rc) {
        chat_deinit(&copy);
        return rc;
    }
    *out = copy;
    return 0;
}

int64_t chat_sibling(const struct chat *c, int64_t id, int step, size_t *place, size_t *n) {
    const struct chat_node *self = chat_find(c, id);
    if (!self) return 0;
    size_t count = 0, mine = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->node[i].parent != self->parent) continue;
        if (c->node[i].id == id) mine = count;
        count++;
    }
    if (n) *n = count;
    int64_t size = (int64_t)count;
    size_t want = (size_t)((((int64_t)mine + step) % size + size) % size);
    if (place) *place = want + 1;
    for (size_t i = 0; i < c->n; i++)
        if (c->node[i].parent == self->parent && want-- == 0) return c->node[i].id;
    return id;
}

int64_t chat_leaf_below(const struct chat *c, int64_t id) {
    const struct chat_node *at = chat_find(c, id);
    if (!at) return 0;
    int64_t leaf = id;
    for (size_t i = (size_t)(at - c->node) + 1; i < c->n; i++) {
        /* Later nodes are younger; the last one whose chain of parents meets id wins. */
        int64_t up = c->node[i].id;
        while (up && up != id) {
            const struct chat_node *row = chat_find(c, up);
            up = row ? row->parent : 0;
        }
        if (up == id) leaf = c->node[i].id;
    }
    return leaf;
}

double chat_writing_s(const struct chat *c, int64_t question) {
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->node[i].parent == question && c->node[i].ledger.n_out > 0)
            sum += c->node[i].ledger.decode_s, n++;
    return n ? sum / (double)n : 0;
}

int64_t chat_turn(const struct chat *c, int64_t leaf, size_t turn) {
    struct chat_node **path = NULL;
    size_t n = 0, seen = 0;
    int64_t id = 0;
    if (chat_path(c, leaf, &path, &n, NULL)) return 0;
    for (size_t i = 0; i < n && !id; i++)
        if (path[i]->role == OX_ROLE_USER && ++seen == turn) id = path[i]->id;
    ox_free(path);
    return id;
}

void chat_deinit(struct chat *c) {
    for (size_t i = 0; i < c->n; i++)
        chat_node_deinit(&c->node[i]);
    ox_free(c->node);
    ox_free(c->slot);
    *c = (struct chat){0};
}
