/* replay.c - see replay.h. */
#include "app/cli/replay.h"

#include "app/talk.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct recipe { /* how the answer was made */
    struct config *conf;
    char engine[32], model[64];
    uint64_t seed;
    size_t n_in, n_out;
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
    snprintf(p->model, sizeof p->model, "%s", r->model);
    p->seed = r->cost.seed;
    p->n_in = r->cost.n_in;
    p->n_out = r->cost.n_out;
    p->is_known = true;
    return 0;
}

static const struct chat_node *last_answer(const struct talk *t, int64_t leaf) {
    const struct chat_node *n = chat_find(&t->chat, leaf ? leaf : t->chat.leaf);
    while (n && n->role != OX_ROLE_ASSISTANT)
        n = n->parent ? chat_find(&t->chat, n->parent) : NULL;
    return n && (n->n_tok || n->n_bytes) ? n : NULL;
}

static int ignore(void *user, const char *s, size_t n, ox_err *err) {
    (void)user, (void)s, (void)n, (void)err;
    return 0;
}

struct written { /* the answer as it was; owned */
    int32_t *tok;
    size_t n_tok; /* 0: an import, which has words and no ids */
    char *text;
    size_t n_bytes;
};

static int compare_text(const struct chat_node *now, const struct written *old) {
    size_t i = 0, n_old = old->n_bytes, n_now = now ? now->n_bytes : 0;
    while (i < n_old && i < n_now && now->text[i] == old->text[i])
        i++;
    if (i == n_old) {
        printf("%zu of %zu bytes equal\n", i, n_old);
        return 0;
    }
    printf("byte %zu of %zu is the first that differs\n", i + 1, n_old);
    return OX_EFAIL;
}

static int compare_ids(const struct chat_node *now, const struct written *w) {
    const int32_t *old = w->tok;
    size_t i = 0, n_old = w->n_tok;
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
    return OX_EFAIL;
}

static int answer_again(struct talk *t, const struct chat_node *node, const struct recipe *how,
                        ox_err *err) {
    const struct talk_watch watch = {.text = ignore};
    struct written old = {.n_tok = node->n_tok, .n_bytes = node->n_bytes};
    int rc = OX_ENOMEM;
    old.tok = ox_alloc(node->n_tok + 1, sizeof *old.tok, "tokens", err);
    old.text = old.tok ? ox_memdup(node->text, node->n_bytes, "the answer", err) : NULL;
    if (!old.text) goto out;
    if (old.n_tok) memcpy(old.tok, node->tok, old.n_tok * sizeof *old.tok);
    t->conf->seed = (int64_t)how->seed;
    t->conf->max_new = (int64_t)(old.n_tok ? old.n_tok : how->n_out);
    t->chat.leaf = node->parent;
    rc = talk_plan(t, NULL, 0, err);
    if (!rc && how->n_in && how->n_in != t->n_prompt) {
        ox_err_set(err, OX_EFAIL, "this answer was made from another prompt than its branch");
        rc = ox_err_fix(err, "/compact and /summarize in parts make such answers; others replay");
    }
    if (!rc) rc = talk_answer(t, &watch, err);
    if (!rc && t->end == CHAT_STOPPED) rc = OX_ECANCELLED;
    if (rc) goto out;
    const struct chat_node *now = chat_find(&t->chat, t->chat.leaf);
    rc = old.n_tok ? compare_ids(now, &old) : compare_text(now, &old);
    if (rc && err) *err = (ox_err){.code = rc}; /* said already */
out:
    ox_free(old.tok);
    ox_free(old.text);
    return rc;
}

int replay_run(struct cli *c, int64_t chat, int64_t leaf, ox_err *err) {
    struct talk t = {0};
    struct recipe how = {.conf = &c->conf};
    int rc = talk_start(&t, &c->conf, err);
    if (!rc) rc = talk_resume(&t, chat, leaf, err);
    if (!rc) rc = talk_ready(&t, err); /* ids are known with the model */
    if (!rc) rc = talk_needs_engine(&t, "show --replay", err);
    const struct chat_node *node = rc ? NULL : last_answer(&t, leaf);
    if (node) rc = store_run_get(t.st, node->id, each_ledger, &how, err);
    if (!rc && chat_ran_parse(how.engine) != CHAT_RAN_HERE) {
        ox_err_set(err, OX_EUSAGE, "this answer came from a server (%s): nothing to replay",
                   how.model);
        rc = ox_err_fix(err, "answers of a model that runs here replay token for token");
    }
    /* Ids are missing in an import, and where another model wrote: its words cannot come again. */
    bool is_ours = how.is_known && (node->n_tok || strcmp(how.model, t.info->name) == 0);
    if (!rc && !is_ours) {
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
