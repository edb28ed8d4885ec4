/* store_script.h - a conversation as the program leads it, over and over, on a real store and
 * cache: turns with parts, edits, forks, drafts, documents, states, deletions. What the store has
 * acknowledged is noted in memory that survives the process, so that a test can hold the files
 * against it. */
#ifndef STORE_SCRIPT_H
#define STORE_SCRIPT_H

#include "tests/unit/states_fixture.h"

#include "app/store/check.h"
#include "app/store/docs.h"

enum { N_PARTS = 4, SCRIPT_TURNS = 4000 };

struct noted { /* shared between the process that works and the one that looks */
    volatile int64_t chat;
    volatile int64_t answer[SCRIPT_TURNS]; /* message of an answer that T1 acknowledged */
    volatile int n_asked;
    volatile char parts[SCRIPT_TURNS];    /* that T2 acknowledged */
    volatile char finished[SCRIPT_TURNS]; /* T3 acknowledged */
};

struct script {
    store *st;
    struct cache cache;
    struct noted *noted;
    int64_t leaf;
    int32_t tok[6000];
    size_t n_tok;
    long pause_us; /* between parts, as a model takes */
    bool may_fail; /* a call may return an error: the turn is tried again */
};

static inline void part_text(char *out, size_t cap, int turn, int part) {
    snprintf(out, cap, "answer %d part %d \xe2\x80\x94 ", turn, part);
}

static inline void whole_text(char *out, size_t cap, int turn, int n_parts) {
    out[0] = 0;
    for (int p = 0; p < n_parts; p++) {
        char one[64];
        part_text(one, sizeof one, turn, p);
        snprintf(out + strlen(out), cap - strlen(out), "%s", one);
    }
}

/* T1. 0: acknowledged. */
static inline int script_ask(struct script *s, int turn_no) {
    char text[64];
    int32_t tok[2] = {turn_no, turn_no + 1};
    int64_t answer = 0;
    snprintf(text, sizeof text, "question %d", turn_no);
    struct chat_node q = {.parent = s->leaf,
                          .role = OX_ROLE_USER,
                          .end = CHAT_DONE,
                          .text = text,
                          .n_bytes = strlen(text),
                          .tok = tok,
                          .n_tok = 2};
    struct chat_node a = {.role = OX_ROLE_ASSISTANT, .end = CHAT_OPEN};
    struct store_run run = {.engine = "cpu-ref", .seed = 1};
    int rc = store_begin(s->st, NULL);
    if (rc) return rc;
    int64_t chat = s->noted->chat;
    if (!chat) rc = store_chat_new(s->st, text, &chat, NULL);
    if (!rc) rc = store_msg_add(s->st, chat, &q, &a.parent, NULL);
    if (!rc) rc = store_msg_add(s->st, chat, &a, &answer, NULL);
    if (!rc) rc = store_run_start(s->st, answer, &run, NULL);
    if (!rc) rc = store_draft_put(s->st, "new", "", 0, 0, NULL);
    rc = store_end(s->st, rc, NULL);
    if (rc) return rc;
    s->noted->chat = chat;
    s->noted->answer[turn_no] = answer;
    s->noted->n_asked = turn_no + 1;
    return 0;
}

/* A turn from T1 to T3. With may_fail, refused calls are repeated as the program does. */
static inline int script_turn(struct script *s, int turn_no) {
    struct chat_ledger cost = {.n_in = 100, .n_out = N_PARTS, .seed = 1};
    int rc = script_ask(s, turn_no);
    for (int tries = 0; rc && s->may_fail && tries < 3; tries++)
        rc = script_ask(s, turn_no);
    if (rc) return rc;
    int64_t answer = s->noted->answer[turn_no];
    for (int p = 0; p < N_PARTS; p++) {
        char text[64];
        int32_t tok = 1000 * turn_no + p;
        part_text(text, sizeof text, turn_no, p);
        if (s->pause_us) usleep((useconds_t)s->pause_us);
        struct chat_node more = {.text = text, .n_bytes = strlen(text), .tok = &tok, .n_tok = 1};
        rc = store_msg_extend(s->st, answer, &more, NULL); /* an error keeps the part in memory */
        if (rc && !s->may_fail) return rc;
        if (!rc) s->noted->parts[turn_no] = (char)(p + 1);
    }
    for (int tries = 0; tries < 4; tries++) {
        rc = store_msg_finish(s->st, answer, CHAT_DONE, &cost, "eos", NULL);
        if (!rc || !s->may_fail) break;
    }
    if (rc) return rc;
    s->noted->finished[turn_no] = 1;
    s->leaf = answer;
    return 0;
}

/* The states of a turn; the cache may refuse, the turn does not mind. */
static inline void script_states(struct script *s, int turn_no) {
    char uid[17];
    if (!s->cache.s) return; /* could not be opened: answers go on without */
    snprintf(uid, sizeof uid, "%016x", turn_no / 7);
    for (int i = 0; i < 37; i++)
        s->tok[s->n_tok++] = turn_no * 100 + i;
    cache_tip(&s->cache, uid, 0, 0, turn_no + 1);
    save_from(&s->cache, s->tok, 0, s->n_tok, OX_WHY_TURN, 0);
    states_flush(s->cache.s, NULL);
    if (s->n_tok > 1500) s->n_tok = 0;
    if (turn_no % 11 == 10) states_thin(s->cache.s, uid, NULL);
    if (turn_no % 13 == 12) states_drop_chat(s->cache.s, uid, NULL, NULL);
}

/* What happens beside the conversation: a document, a fork, an undo, drafts. */
static inline void script_aside(struct script *s, int turn_no) {
    char text[9000];
    int64_t id = 0, fork = 0;
    bool ready = false;
    if (turn_no % 3 == 0) store_draft_put(s->st, "new", "half a question", 15, 4, NULL);
    if (turn_no % 5 == 1) {
        size_t n = 0;
        for (int i = 0; i < 120; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "line %d of %d\n", i, turn_no);
        struct store_doc d = {.name = "a.txt", .text = text, .n_bytes = n};
        if (store_doc_add(s->st, &d, &id, NULL)) return;
        for (int i = 0; i < 50 && !ready; i++)
            if (store_doc_step(s->st, id, &ready, NULL, NULL) && !s->may_fail) break;
        if (turn_no % 2) store_doc_delete(s->st, id, true, NULL);
    }
    if (turn_no % 7 == 3 &&
        store_chat_fork(s->st, s->noted->chat, s->leaf, "fork", &fork, NULL) == 0)
        store_chat_delete(s->st, fork, NULL, NULL);
}

static inline int script_open(struct script *s, const struct place *p, uint64_t quota) {
    int rc = store_open(p->db, false, &s->st, NULL);
    if (rc) return rc;
    struct store_model m = {.source = "folder",
                            .name = "tiny",
                            .weights = {1, 2},
                            .template_id = {3, 4},
                            .vocab = {5, 6}};
    for (int tries = 0; tries < 4; tries++) {
        rc = store_model_use(s->st, &m, NULL);
        if (!rc) break;
    }
    struct states_opts how = {.folder = p->dir, .quota_bytes = quota};
    snprintf(s->cache.folder, sizeof s->cache.folder, "%s", p->dir);
    struct states_space sp = {.compat = {1, 77}, .name = "tiny"};
    if (states_open(&how, &s->cache.s, NULL) == 0) states_use(s->cache.s, &sp, NULL);
    return rc;
}

static inline void script_close(struct script *s) {
    if (s->cache.s) states_close(s->cache.s);
    store_close(s->st);
    s->cache.s = NULL;
    s->st = NULL;
}

struct verified {
    const struct noted *noted;
    int from, n_seen;
};

static inline int verify_node(void *user, const struct chat_node *row) {
    struct verified *v = user;
    char want[600];
    int t = v->from;
    while (t < v->noted->n_asked && v->noted->answer[t] != row->id)
        t++;
    if (t == v->noted->n_asked)
        return 0; /* a question, or an answer whose T1 was not acknowledged */
    v->n_seen++;
    bool done = v->noted->finished[t];
    whole_text(want, sizeof want, t, done ? N_PARTS : v->noted->parts[t]);
    bool ok = done ? strcmp(row->text, want) == 0 && row->end == CHAT_DONE
                   : strncmp(row->text, want, strlen(want)) == 0;
    if (!ok) fail_msg("answer %d: state %d, \"%s\", expected \"%s\"", t, row->end, row->text, want);
    return 0;
}

/* Every acknowledged answer stands there word by word; one that was cut has at least what T2
 * acknowledged. */
static inline void script_verify(store *st, const struct noted *noted, int from) {
    struct verified v = {.noted = noted, .from = from};
    if (noted->n_asked == from) return;
    OK(store_msg_path(st, noted->answer[noted->n_asked - 1], verify_node, &v, err));
    if (v.n_seen != noted->n_asked - from)
        fail_msg("%d answers of %d are there", v.n_seen, noted->n_asked - from);
}

static inline int no_bad(void *user, const struct store_finding *f) {
    if (f->verdict == STORE_BAD) fail_msg("%s: %s", f->name, f->text);
    if (f->verdict == STORE_WARN && strcmp(f->name, "reach") != 0)
        fail_msg("%s: %s", f->name, f->text);
    return 0;
}

/* A hit of the cache must give the right bytes; a miss is always allowed. */
static inline void cache_verify(const struct place *p, uint64_t quota) {
    static int32_t tok[6000];
    struct cache c = {0};
    size_t ok, bad, stray;
    cache_open(&c, p->dir, quota);
    cache_use(&c, 1);
    /* A death between the end of a file and that of its row leaves a row without bytes: a miss,
     * which goes when it is met. There can be one such eviction at a time; nothing else may be
     * wrong. */
    OK(states_check(c.s, &ok, &bad, &stray, err));
    OK(states_check(c.s, &ok, &bad, &stray, err));
    if (bad) fail_msg("%zu bad state files", bad);
    for (int start = 0; start < 100; start++) {
        for (size_t i = 0; i < 1600; i++)
            tok[i] = (start + (int)(i / 37)) * 100 + (int)(i % 37);
        struct ox_found f = find(&c, tok, 1600);
        if (f.n) assert_int_equal(load(&c, tok, f, 0), 0);
    }
    assert_true(usage(&c).bytes <= quota);
    cache_close(&c);
}

#endif
