/* saved_turn.c - see saved_turn.h. */
#include "app/saved_turn.h"

#include "app/store/states.h"

#include <stdio.h>
#include <sys/stat.h>

static const uint64_t EVICTED_BYTES = 64 << 20; /* eight times the reserve */

const char *saved_turn_stop(enum chat_end end) {
    static const char *const stops[] = {"open", "eos", "user", "length", "crashed", "error"};
    return stops[end];
}

struct store_model saved_turn_model(const struct config *conf, const struct ox_info *info) {
    return (struct store_model){.source = info->is_remote ? "remote"
                                          : conf->model   ? "folder"
                                                          : "embedded",
                                .name = info->name,
                                .location = conf->model,
                                .weights = info->weights,
                                .template_id = info->template_id,
                                .vocab = info->vocab};
}

static int start_run(store *st, const struct saved_turn *t, int64_t answer, ox_err *err) {
    char json[256];
    const struct ox_sampling *how = &t->how;
    snprintf(json, sizeof json,
             "{\"temperature\":%g,\"top_p\":%g,\"top_k\":%d,\"min_p\":%g,\"repeat_penalty\":%g}",
             (double)how->temperature, (double)how->top_p, how->top_k, (double)how->min_p,
             (double)how->repeat);
    const struct store_run run = {t->info->backend, json, t->info->numerics, how->seed,
                                  t->n_prompt};
    return store_run_start(st, answer, &run, err);
}

/* Ids of the database for those of the tree: parents come before their children. */
static int add_messages(store *st, struct saved_turn *t, ox_err *err) {
    struct chat_node **path = NULL;
    size_t n = 0;
    int64_t above = 0;
    int rc = chat_path(t->tree, t->answer, &path, &n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        if (path[i]->id > 0) {
            above = path[i]->id;
            continue;
        }
        struct chat_node row = *path[i]; /* borrowed for the call */
        struct saved_id *id = &t->id[t->n];
        if (t->n == SAVED_TURN_IDS) {
            rc = ox_err_set(err, OX_EFAIL, "too many messages are not saved yet");
            break;
        }
        row.parent = above;
        rc = store_msg_add(st, t->chat, &row, &id->to, err);
        id->from = row.id;
        above = id->to;
        t->n += !rc;
    }
    if (!rc) rc = start_run(st, t, above, err);
    const struct chat_node *last = n ? path[n - 1] : NULL;
    if (!rc && last && last->end != CHAT_OPEN)
        rc = store_run_end(st, above, &last->ledger, saved_turn_stop(last->end), err);
    ox_free(path);
    return rc;
}

int saved_turn_write(store *st, struct saved_turn *t, ox_err *err) {
    bool is_new = !t->chat;
    t->n = 0;
    int rc = store_begin(st, err);
    if (rc) return rc;
    if (is_new) rc = store_chat_new(st, t->title, &t->chat, err);
    if (!rc) rc = add_messages(st, t, err);
    if (!rc && t->draft_place) rc = store_draft_put(st, t->draft_place, "", 0, 0, err);
    rc = store_end(st, rc, err);
    if (!rc) return 0;
    if (is_new) {
        if (t->chat) store_chat_unlock(st, t->chat);
        t->chat = 0;
    }
    t->n = 0;
    return rc;
}

/* Evicting from another disk would cost time and help nobody. */
static bool is_same_disk(const struct config *conf) {
    struct stat db, cache;
    return stat(conf->db, &db) == 0 && stat(conf->cache_dir, &cache) == 0 &&
           db.st_dev == cache.st_dev;
}

bool saved_turn_room(store *st, const struct config *conf) {
    const int64_t quota = conf->states_quota_bytes; /* below 0: chosen by the cache */
    const struct states_opts how = {.folder = conf->cache_dir,
                                    .quota_bytes = quota > 0 ? (uint64_t)quota : 0};
    struct states_usage use = {0};
    uint64_t freed = 0;
    states *s = NULL;
    if (store_has_room(st)) return true;
    if (quota == 0 || !is_same_disk(conf)) return false;
    if (states_open(&how, &s, NULL) == 0 && states_usage(s, &use, NULL) == 0 && use.bytes)
        states_prune(s, use.bytes > EVICTED_BYTES ? use.bytes - EVICTED_BYTES : 0, &freed, NULL);
    states_close(s);
    return freed > 0 && store_has_room(st);
}
