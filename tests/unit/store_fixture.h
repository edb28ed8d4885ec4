/* store_fixture.h - a folder of its own for each test and a few words that store tests share. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[64], db[96]; /* in memory if there is such a place: the tests sync a lot */
};

static inline void place_make(struct place *p) {
    snprintf(p->dir, sizeof p->dir, "%s/oxbow-store-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->db, sizeof p->db, "%s/data/oxbow.db", p->dir);
}

static inline void place_remove(struct place *p) {
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", p->dir);
    assert_int_equal(system(cmd), 0);
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        ox_err e_ = {0};                                                                           \
        ox_err *err = &e_;                                                                         \
        int rc_ = (call);                                                                          \
        if (rc_) fail_msg("%s: %d %s [%s]", #call, rc_, e_.what, e_.where);                        \
    } while (0)

static inline store *store_at(const char *path) {
    store *st = NULL;
    OK(store_open(path, false, &st, err));
    return st;
}

static inline void use_model(store *st, uint64_t vocab) {
    struct store_model m = {.source = "folder",
                            .name = "tiny",
                            .weights = {1, vocab},
                            .template_id = {3, 4},
                            .vocab = {5, vocab}};
    OK(store_model_use(st, &m, err));
}

/* A question and its open answer below `parent`, in one transaction: T1. */
static inline int64_t ask(store *st, int64_t chat, int64_t parent, const char *text) {
    static int32_t q_tok[] = {7, 8, 9}, a_tok[] = {100};
    struct chat_node q = {.parent = parent,
                          .role = OX_ROLE_USER,
                          .end = CHAT_DONE,
                          .text = (char *)text,
                          .n_bytes = strlen(text),
                          .tok = q_tok,
                          .n_tok = 3};
    struct chat_node a = {.role = OX_ROLE_ASSISTANT, .end = CHAT_OPEN, .tok = a_tok, .n_tok = 1};
    struct store_run run = {
        .engine = "cpu-ref", .sampling = "{}", .numerics = 1, .seed = UINT64_MAX, .n_prompt = 10};
    int64_t id = 0;
    OK(store_begin(st, err));
    OK(store_msg_add(st, chat, &q, &a.parent, err));
    OK(store_msg_add(st, chat, &a, &id, err));
    OK(store_run_start(st, id, &run, err));
    OK(store_end(st, 0, err));
    return id;
}

static inline void part(store *st, int64_t id, const char *bytes, size_t n, int32_t tok) {
    struct chat_node more = {.text = (char *)bytes, .n_bytes = n, .tok = &tok, .n_tok = 1};
    OK(store_msg_extend(st, id, &more, err));
}

static inline int64_t turn(store *st, int64_t chat, int64_t parent, const char *q, const char *a) {
    struct chat_ledger cost = {.n_in = 10, .n_out = 4, .seed = 7};
    int64_t id = ask(st, chat, parent, q);
    part(st, id, a, strlen(a), 1);
    OK(store_msg_finish(st, id, CHAT_DONE, &cost, "eos", err));
    return id;
}

static inline int collect_node(void *user, const struct chat_node *row) {
    struct chat *c = user;
    struct chat_node copy;
    OK(chat_node_dup(row, &copy, err));
    return chat_add(c, &copy, NULL);
}

/* The path as "role:text|role:text"; valid until the next call. */
static inline const char *path_text(store *st, int64_t leaf) {
    static char out[8192];
    struct chat c = {0};
    size_t n = 0;
    OK(store_msg_path(st, leaf, collect_node, &c, err));
    out[0] = 0;
    for (size_t i = 0; i < c.n; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%c:%s", i ? "|" : "",
                              chat_role_name(c.node[i].role)[0], c.node[i].text);
    chat_deinit(&c);
    return out;
}

#endif
