/* states.c - the cache of saved states at the shell: what it holds, what to keep, what to throw
 * away. */
#include "app/cli/stored.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/states_words.h"
#include "app/store/states.h"

#include <stdlib.h>
#include <string.h>

enum { NAMED_PINS = 6 };

struct pins { /* the newest of them, in words */
    struct buf names;
    size_t n;
};

static int each_pin(void *user, const struct states_row *r) {
    struct pins *p = user;
    if (!r->pinned || ++p->n > NAMED_PINS) return 0;
    return buf_printf(&p->names, NULL, "%s#%lld%s%.4s", p->n > 1 ? ", " : "", (long long)r->id,
                      r->chat_uid[0] ? " of " : "", r->chat_uid);
}

/* An error that names the pins if they keep the cache above `limit`. */
static int check_pins(states *s, const struct states_usage *u, uint64_t limit, ox_err *err) {
    char used[SAY_BYTES], goal[SAY_BYTES];
    struct pins p = {0};
    if (u->bytes <= limit) return 0;
    int rc = states_list(s, each_pin, &p, err);
    if (!rc && p.n) {
        ox_err_set(err, OX_EFAIL, "pinned records keep the cache at %s, above %s: %s%s",
                   say_bytes(used, u->bytes), say_bytes(goal, limit), buf_str(&p.names),
                   p.n > NAMED_PINS ? ", .." : "");
        rc = ox_err_fix(err, "oxbow states unpin ID, or unpin '#N'; or a larger states.quota");
    }
    buf_deinit(&p.names);
    return rc;
}

static int add_usage(states *s, struct buf *b, ox_err *err) {
    struct states_usage u = {0};
    int rc = states_usage(s, &u, err);
    if (!rc) rc = states_words(&u, b, err);
    if (!rc) rc = buf_putc(b, '\n', err);
    return rc ? rc : check_pins(s, &u, u.quota_bytes, err);
}

static int each_record(void *user, const struct states_row *r) {
    struct buf *b = user, when = {0};
    char n[SAY_BYTES], size[SAY_BYTES];
    int rc = stored_when(&when, r->used_us, NULL);
    if (!rc)
        rc = buf_printf(b, NULL, "#%-5lld %.4s  %-12s %8s tokens  %10s  %-8s %s%s\n",
                        (long long)r->id, r->chat_uid[0] ? r->chat_uid : "-   ", buf_str(&when),
                        say_count(n, r->n_tokens), say_bytes(size, r->own_bytes), r->why, r->space,
                        r->pinned ? "  pinned" : "");
    buf_deinit(&when);
    return rc;
}

static int do_list(struct cli *c, states *s, struct buf *b, ox_err *err) {
    (void)c;
    return states_list(s, each_record, b, err);
}

static int do_prune(struct cli *c, states *s, struct buf *b, ox_err *err) {
    const char *to = flags_get(&c->flags, "--to");
    struct states_usage u = {0};
    char n[SAY_BYTES];
    uint64_t freed = 0;
    int rc = states_usage(s, &u, err);
    uint64_t goal = u.quota_bytes;
    if (!rc && to) {
        struct config sizes = {0}; /* the same words as states.quota in the config file */
        rc = conf_set(&sizes, "states.quota", to, "--to", err);
        if (rc == OX_EUSAGE) ox_err_fix(err, "oxbow states prune --to 5G");
        goal = (uint64_t)sizes.states_quota_bytes;
        conf_deinit(&sizes);
    }
    if (!rc) rc = states_prune(s, goal, &freed, err);
    if (!rc) rc = buf_printf(b, err, "freed %s\n", say_bytes(n, freed));
    if (!rc) rc = states_usage(s, &u, err);
    return rc ? rc : check_pins(s, &u, goal, err);
}

/* A session by any of its names, or a record as "#12". A pinned session stays in the history (`rm
 * --older-than`) and in the cache, also one that has no saved state now. */
static int pin(struct cli *c, states *s, bool pinned, struct buf *b, ox_err *err) {
    store *st = NULL;
    int64_t chat = 0;
    struct store_chat row = {0};
    const char *what = c->flags.n_word > 1 ? c->flags.word[1] : "";
    if (!*what) {
        ox_err_set(err, OX_EUSAGE, "states %s needs an ID", pinned ? "pin" : "unpin");
        return ox_err_fix(err, "oxbow sessions lists them; #N is a record of oxbow states list");
    }
    if (what[0] == '#') {
        int rc = states_pin(s, what, pinned, err);
        return rc ? rc : buf_printf(b, err, "%s %.20s\n", pinned ? "pinned" : "unpinned", what);
    }
    int rc = stored_open(c, false, &st, err);
    if (!rc) rc = stored_find(c, st, 1, &chat, err);
    if (!rc) rc = store_chat_get(st, chat, &row, err);
    if (!rc) rc = store_chat_pin(st, chat, pinned, err);
    const struct states_want want = {st ? store_uid(st) : "", row.uid, row.leaf, row.n_tokens};
    ox_err why = {0};
    if (!rc) rc = states_join(s, &want, err);
    if (!rc) rc = states_pin(s, row.uid, pinned, &why);
    store_close(st);
    if (rc && !(rc == OX_ENOTFOUND && why.code)) {
        if (err && why.code) *err = why;
        return rc;
    }
    return buf_printf(b, err, "%s %.4s%s\n", pinned ? "pinned" : "unpinned", row.uid,
                      rc ? ", which has no saved state" : "");
}

static int do_pin(struct cli *c, states *s, struct buf *b, ox_err *err) {
    return pin(c, s, true, b, err);
}

static int do_unpin(struct cli *c, states *s, struct buf *b, ox_err *err) {
    return pin(c, s, false, b, err);
}

static int do_check(struct cli *c, states *s, struct buf *b, ox_err *err) {
    size_t ok = 0, bad = 0, stray = 0;
    (void)c;
    int rc = states_check(s, &ok, &bad, &stray, err);
    return rc ? rc
              : buf_printf(b, err, "%zu good, %zu damaged and removed, %zu stray files removed\n",
                           ok, bad, stray);
}

static const struct {
    const char *name;
    int (*run)(struct cli *c, states *s, struct buf *b, ox_err *err);
} orders[] = {{"list", do_list},
              {"prune", do_prune},
              {"pin", do_pin},
              {"unpin", do_unpin},
              {"check", do_check}};

static int run(struct cli *c, ox_err *err) {
    const char *name = c->flags.n_word ? c->flags.word[0] : NULL;
    size_t i = 0, n = sizeof orders / sizeof orders[0];
    while (name && i < n && strcmp(orders[i].name, name) != 0)
        i++;
    if (i == n) {
        ox_err_set(err, OX_EUSAGE, "unknown: states \"%.40s\"", name);
        return ox_err_fix(err,
                          "oxbow states [list | prune [--to SIZE] | pin ID | unpin ID | check]");
    }
    states *s = NULL;
    struct buf b = {0};
    const struct states_opts opts = {
        .folder = c->conf.cache_dir,
        .read_only = !name || i == 0,
        .quota_bytes = c->conf.states_quota_bytes > 0 ? (uint64_t)c->conf.states_quota_bytes : 0};
    int rc = states_open(&opts, &s, err);
    if (!rc) rc = name ? orders[i].run(c, s, &b, err) : add_usage(s, &b, err);
    int said = stored_flush(&b, rc ? NULL : err);
    states_close(s);
    buf_deinit(&b);
    return rc ? rc : said;
}

const struct verb verb_states = {
    .name = "states",
    .args = "[list | prune | pin ID | unpin ID | check]",
    .words = "list prune pin unpin check",
    .brief = "cache of saved states",
    .flags = "--to --db " FLAGS_ALWAYS,
    .examples = "oxbow states\tsize, records, what they saved\noxbow states prune --to 5G\n"
                "oxbow states pin 3f2a\tstays, whatever quota and age say",
    .max_words = 2,
    .run = run,
};
