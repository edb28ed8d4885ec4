/* replay.c - see replay.h. */
#include "app/cli/replay.h"

#include "app/talk.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct recipe { /* how the answer was made */
    struct config *conf;
    char engine[32], build[64];
    uint64_t seed;
    size_t n_in;
    bool is_known;
};

static void take_number(const json_t *o, const char *name, double *out) {
    const json_t *v = json_object_get(o, name);
    if (json_is_number(v)) *out = json_number_value(v);
}

static int each_ledger(void *user, const struct store_ledger *r) {
    struct recipe *p = user;
    struct config *c = p->conf;
    json_t *o = json_loads(r->sampling ? r->sampling : "{}", 0, NULL);
    double top_k = -1;
    take_number(o, "temperature", &c->temperature);
    take_number(o, "top_p", &c->top_p);
    take_number(o, "min_p", &c->min_p);
    take_number(o, "repeat_penalty", &c->repeat_penalty);
    take_number(o, "top_k", &top_k);
    c->top_k = (int64_t)top_k;
    json_decref(o);
    snprintf(p->engine, sizeof p->engine, "%s", r->engine);
    snprintf(p->build, sizeof p->build, "%s", r->build);
    p->seed = r->cost.seed;
    p->n_in = r->cost.n_in;
    p->is_known = true;
    return 0;
}

static const struct chat_node *last_answer(const struct talk *t, int64_t leaf) {
    const struct chat_node *n = chat_find(&t->chat, leaf ? leaf : t->chat.leaf);
    while (n && n->role != OX_ROLE_ASSISTANT)
        n = n->parent ? chat_find(&t->chat, n->parent) : NULL;
    return n && n->n_tok ? n : NULL;
}

static int ignore(void *user, const char *s, size_t n, ox_err *err) {
    (void)user, (void)s, (void)n, (void)err;
    return 0;
}

static int compare(const struct talk *t, const int32_t *old, size_t n_old, ox_err *err) {
    const struct chat_node *now = chat_find(&t->chat, t->chat.leaf);
    size_t i = 0;
    while (now && i < n_old && i < now->n_tok && now->tok[i] == old[i])
        i++;
    if (i == n_old) {
        printf("%zu of %zu tokens equal\n", i, n_old);
        return 0;
    }
    if (now && i < now->n_tok)
        printf("token %zu of %zu is the first that differs: id %d was %d\n", i + 1, n_old,
               now->tok[i], old[i]);
    else
        printf("the answer ended after %zu of %zu tokens\n", i, n_old);
    if (err) *err = (ox_err){.code = OX_EFAIL}; /* said already */
    return OX_EFAIL;
}

static int answer_again(struct talk *t, const struct chat_node *node, const struct recipe *how,
                        ox_err *err) {
    const struct talk_watch watch = {.text = ignore};
    size_t n = node->n_tok;
    int32_t *old = ox_alloc(n, sizeof *old, "tokens", err);
    if (!old) return OX_ENOMEM;
    memcpy(old, node->tok, n * sizeof *old);
    t->conf->seed = (int64_t)how->seed;
    t->conf->max_new = (int64_t)n;
    t->chat.leaf = node->parent;
    int rc = talk_plan(t, NULL, 0, err);
    if (!rc && how->n_in && how->n_in != t->n_prompt) {
        ox_err_set(err, OX_EFAIL, "this answer was made from another prompt than its branch");
        rc = ox_err_fix(err, "/compact and /summarize in parts make such answers; others replay");
    }
    if (!rc) rc = talk_answer(t, &watch, err);
    if (!rc && t->end == CHAT_STOPPED) rc = OX_ECANCELLED;
    if (!rc) rc = compare(t, old, n, err);
    ox_free(old);
    return rc;
}

int replay_run(struct cli *c, int64_t chat, int64_t leaf, ox_err *err) {
    struct talk t = {0};
    struct recipe how = {.conf = &c->conf};
    int rc = talk_start(&t, &c->conf, err);
    if (!rc) rc = talk_resume(&t, chat, leaf, err);
    if (!rc) rc = talk_ready(&t, err); /* ids are known with the model */
    const struct chat_node *node = rc ? NULL : last_answer(&t, leaf);
    if (node) rc = store_run_get(t.st, node->id, each_ledger, &how, err);
    if (!rc && !how.is_known) {
        ox_err_set(err, OX_ENOTFOUND, "there is no answer to replay");
        rc = ox_err_fix(err, "its model must be the one in use: -m");
    }
    store_close(t.st); /* from here on nothing is written, and no saved state helps */
    t.st = NULL;
    c->conf.save = false;
    if (!rc && strcmp(how.engine, t.info->backend) != 0)
        fprintf(stderr, "-- made on %s, replayed on %s: equal tokens are likely, not promised\n",
                how.engine, t.info->backend);
    if (!rc) rc = answer_again(&t, node, &how, err);
    talk_deinit(&t);
    return rc;
}
