/* plain_sides.c - /seeds, /compare and /answer of the plain mode: several answers to one question,
 * and two of them as one text with marks as wdiff writes them. */
#include "app/plain/plain.h"

#include "app/core/command.h"
#include "app/core/diff.h"
#include "app/core/say.h"
#include "app/signals.h"

#include <stdlib.h>
#include <string.h>

/* ---- the answers --------------------------------------------------------------------------------
 */

/* A resumed conversation has only its own path in memory. */
static int keep_new(void *user, const struct chat_node *row) {
    struct chat *c = user;
    struct chat_node copy, view = *row;
    view.n_tok = view.n_thought = 0; /* its branch is read again when it is taken */
    view.tok = NULL;
    view.thought = NULL;
    if (chat_find(c, row->id)) return 0;
    int rc = chat_node_dup(&view, &copy, NULL);
    return rc ? rc : chat_add(c, &copy, NULL);
}

struct answers { /* to the last question, oldest first */
    const struct chat_node **v;
    size_t n, cap, shown; /* shown: number of the one on the path, from 1; 0: none */
    int64_t question;
    struct chat *tree; /* of the database; owned. NULL: what is in memory is all there is */
};

static int by_time(const void *a, const void *b) {
    const struct chat_node *x = *(const struct chat_node *const *)a,
                           *y = *(const struct chat_node *const *)b;
    return (x->created_us > y->created_us) - (x->created_us < y->created_us);
}

struct leaves {
    int64_t *v;
    size_t n, cap;
};

static int keep_leaf(void *user, int64_t leaf) {
    struct leaves *l = user;
    int rc = ox_grow(&l->v, &l->cap, l->n + 1, sizeof *l->v, NULL);
    if (!rc) l->v[l->n++] = leaf;
    return rc;
}

static int read_branches(struct talk *t, struct chat *tree, ox_err *err) {
    struct leaves l = {0};
    int rc = store_branch_list(t->st, t->id, keep_leaf, &l, err);
    for (size_t i = 0; i < l.n && !rc; i++)
        rc = store_msg_path(t->st, l.v[i], keep_new, tree, err);
    ox_free(l.v);
    return rc;
}

static void answers_deinit(struct answers *a) {
    ox_free(a->v);
    if (a->tree) chat_deinit(a->tree);
    ox_free(a->tree);
    *a = (struct answers){0};
}

/* OX_EUSAGE: nothing was answered yet. answers_deinit in every case. */
static int find_answers(struct talk *t, struct answers *out, ox_err *err) {
    struct chat_node **path = NULL;
    size_t n = 0;
    int64_t shown = 0;
    *out = (struct answers){0};
    int rc = chat_path(&t->chat, t->chat.leaf, &path, &n, err);
    for (size_t i = 0; i < n && !rc; i++) {
        if (path[i]->role == OX_ROLE_USER) out->question = path[i]->id, shown = 0;
        if (path[i]->role == OX_ROLE_ASSISTANT) shown = path[i]->id;
    }
    ox_free(path);
    const struct chat *c = &t->chat;
    if (!rc && t->st && t->id && out->question > 0) {
        out->tree = ox_alloc(1, sizeof *out->tree, "branches", err);
        rc = out->tree ? read_branches(t, out->tree, err) : OX_ENOMEM;
        c = out->tree;
    }
    for (size_t i = 0; !rc && i < c->n; i++) {
        if (c->node[i].parent != out->question || c->node[i].role != OX_ROLE_ASSISTANT) continue;
        rc = ox_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v, err);
        if (!rc) out->v[out->n++] = &c->node[i];
    }
    if (rc) return rc;
    if (out->n == 0) return ox_err_set(err, OX_EUSAGE, "there is no answer yet");
    qsort(out->v, out->n, sizeof *out->v, by_time);
    for (size_t i = 0; i < out->n; i++)
        if (out->v[i]->id == shown) out->shown = i + 1;
    return 0;
}

/* ---- /compare, /answer --------------------------------------------------------------------------
 */

static void say_which(struct plain *p, const struct answers *a, size_t n, const char *marks) {
    const struct chat_node *node = a->v[n - 1];
    plain_note(p, "%s  answer %zu of %zu, seed %llu%s%s", marks, n, a->n,
               (unsigned long long)node->ledger.seed, node->end == CHAT_DONE ? "" : ", ",
               node->end == CHAT_DONE ? "" : chat_end_name(node->end));
}

static int print_two(struct plain *p, const struct answers *a, size_t n, size_t m, ox_err *err) {
    const struct chat_node *x = a->v[n - 1], *y = a->v[m - 1];
    struct diff d;
    struct buf text = {0};
    say_which(p, a, n, "[-only here-]");
    say_which(p, a, m, "{+only here+}");
    int rc = diff_words(x->text, x->n_bytes, y->text, y->n_bytes, &d, err);
    if (!rc && d.is_cut) plain_note(p, "too different to compare word by word");
    if (!rc) rc = diff_put(&d, x->text, y->text, &text, err);
    diff_deinit(&d);
    if (!rc) rc = output_text(&p->out, buf_str(&text), text.n, err);
    if (!rc) rc = output_end_line(&p->out, err);
    buf_deinit(&text);
    return rc;
}

/* "N M", "N": the one on the path and N, "": that one and the next. */
int plain_compare(struct plain *p, const char *arg, ox_err *err) {
    struct answers a;
    int rc = find_answers(&p->talk, &a, err);
    char *end;
    size_t n = strtoul(arg, &end, 10), m = strtoul(end, &end, 10);
    if (!rc && *arg && *end) rc = ox_err_set(err, OX_EUSAGE, "/compare wants one or two numbers");
    if (!rc && !*arg) m = a.shown < a.n ? a.shown + 1 : 1;
    if (!rc && *arg && m == 0) m = n, n = a.shown;
    if (!rc && !*arg) n = a.shown;
    bool is_fine = !rc && n >= 1 && m >= 1 && n <= a.n && m <= a.n && n != m;
    if (!rc && !is_fine) {
        ox_err_set(err, OX_EUSAGE, "the last question has %zu answer%s", a.n, a.n == 1 ? "" : "s");
        rc = ox_err_fix(err, "/seeds makes more; /compare 1 2 shows two");
    }
    if (!rc) rc = print_two(p, &a, n, m, err);
    answers_deinit(&a);
    return rc;
}

int plain_take(struct plain *p, const char *arg, ox_err *err) {
    struct talk *t = &p->talk;
    struct answers a;
    size_t n = 0;
    int rc = command_count(arg, 1, &n, err);
    if (rc) return rc;
    rc = find_answers(t, &a, err);
    if (!rc && n > a.n)
        rc = ox_err_set(err, OX_EUSAGE, "the last question has %zu answer%s", a.n,
                        a.n == 1 ? "" : "s");
    int64_t leaf = rc ? 0 : a.v[n - 1]->id;
    if (!rc && chat_find(&t->chat, leaf)) {
        t->chat.leaf = leaf;
        plain_show_branch(p);
    } else if (!rc) {
        rc = talk_resume(t, t->id, leaf, err);
        if (!rc) plain_show_branch(p);
    }
    if (!rc) plain_note(p, "goes on with answer %zu of %zu", n, a.n);
    answers_deinit(&a);
    return rc;
}

/* ---- /seeds -------------------------------------------------------------------------------------
 */

int plain_seeds_price(struct plain *p, ox_err *err) {
    const struct talk *t = &p->talk;
    const struct ox_plan *plan = &t->plan;
    bool keeps = p->conf->save && !t->info->is_remote; /* the state of its question: one reads */
    const size_t n = p->seeds.n, n_reads = keeps ? 1 : n;
    char price[SAY_PRICE_BYTES];
    if (p->seeds.done) {
        plain_note(p, "answer %zu of %zu", p->seeds.done + 1, n);
        return 0;
    }
    double writing = chat_writing_s(&t->chat, t->chat.leaf);
    double seconds = (double)n_reads * plan->time_s + (double)n * writing;
    say_answers(price, n, n_reads * (plan->fresh + plan->replay), writing > 0 ? seconds : 0);
    plain_note(p, "%s", price);
    if (conf_sampling(p->conf, &t->info->defaults).temperature <= 0)
        plain_note(p, "the temperature is 0: all will be the same");
    if (!plain_agrees(p)) return ox_err_set(err, OX_ECANCELLED, "left as it is");
    plain_note(p, "answer 1 of %zu", n);
    return 0;
}

/* One more answer with a seed of its own. */
static int make_one(struct plain *p, int64_t question, ox_err *err) {
    struct talk *t = &p->talk;
    int64_t seed = p->conf->seed, old = t->chat.leaf;
    size_t n_answers = 0;
    chat_sibling(&t->chat, old, 0, NULL, &n_answers);
    if (seed >= 0) p->conf->seed = seed + (int64_t)n_answers; /* one was set for all */
    t->chat.leaf = question;
    int rc = plain_ask(p, NULL, 0, err);
    if (rc) t->chat.leaf = old;
    p->conf->seed = seed;
    return rc;
}

int plain_seeds(struct plain *p, const char *arg, ox_err *err) {
    struct talk *t = &p->talk;
    size_t n = 0;
    int rc = command_count(arg, COMMAND_SEEDS, &n, err);
    const struct chat_node *leaf = t->chat.leaf ? chat_find(&t->chat, t->chat.leaf) : NULL;
    if (!rc && (n < 2 || n > COMMAND_SEEDS_MOST))
        rc = ox_err_set(err, OX_EUSAGE, "/seeds makes 2 to %d answers", COMMAND_SEEDS_MOST);
    if (!rc && (!leaf || leaf->role != OX_ROLE_ASSISTANT))
        rc = ox_err_set(err, OX_EUSAGE, "there is no answer yet");
    if (rc) return rc;
    int64_t question = leaf->parent;
    p->seeds.n = n;
    p->seeds.done = 0;
    bool goes_on = true;
    while (!rc && goes_on && p->seeds.done < n) {
        rc = make_one(p, question, err);
        goes_on = !rc && t->end != CHAT_STOPPED && !p->is_done;
        p->seeds.done += goes_on;
    }
    size_t made = p->seeds.done;
    p->seeds.n = p->seeds.done = 0;
    if (rc || made < 2 || p->is_done) return rc;
    struct answers a;
    rc = find_answers(t, &a, err);
    size_t first = !rc ? a.n - made + 1 - !goes_on : 1; /* a stopped one is the last of all */
    if (!rc) rc = print_two(p, &a, first, first + 1, err);
    if (!rc) plain_note(p, "/compare N M shows two others, /answer N goes on with one");
    answers_deinit(&a);
    return rc;
}
