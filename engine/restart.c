/* restart.c - see restart.h. */
#include "engine/restart.h"

#include <string.h>

static size_t common_prefix(const int32_t *a, size_t n_a, struct ox_prefix b) {
    size_t n = n_a < b.n ? n_a : b.n, i = 0;
    while (i < n && a[i] == b.tok[i])
        i++;
    return i;
}

int restart_choose(const ox_session *s, struct ox_prefix want, const struct ox_state_io *io,
                   struct restart *out, ox_err *err) {
    (void)io;
    (void)err;
    size_t shared = common_prefix(s->tok, s->n_fed, want);
    struct restart r = {0};
    if (shared == s->n_fed) {
        r.is_live = s->n_fed > 0;
        r.at = s->n_fed;
    } else {
        r.snap = cache_find(&s->cache, shared);
        r.at = r.snap ? r.snap->at : 0;
    }
    r.plan.live = r.at;
    r.plan.replay = shared - r.at;
    r.plan.fresh = want.n - shared;
    r.plan.exact = r.at > 0 && r.plan.replay == 0;
    double speed = s->engine->prefill_tokens_s;
    if (speed > 0) r.plan.time_s = (double)(r.plan.replay + r.plan.fresh) / speed;
    *out = r;
    return 0;
}

int restart_apply(ox_session *s, struct ox_prefix want, const struct restart *r, ox_err *err) {
    (void)want;
    int rc = 0;
    if (!r->is_live) {
        if (r->snap)
            rc = cache_restore(&s->cache, r->snap, err);
        else
            rc = cache_reset(&s->cache, err);
        if (rc) {
            session_lose(s);
            return rc;
        }
    }
    cache_forget(&s->cache, r->at);
    s->n = s->n_fed = r->at;
    s->is_lost = false;
    return 0;
}
