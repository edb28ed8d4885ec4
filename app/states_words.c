/* states_words.c - see states_words.h. */
#include "app/states_words.h"

#include "app/core/say.h"

int states_words(const struct states_usage *use, struct buf *out, ox_err *err) {
    char quota[SAY_BYTES], used[SAY_BYTES], saved[SAY_BYTES];
    return buf_printf(out, err, "%s quota, %s used, %llu record%s, %llu reuse%s saved %s",
                      say_bytes(quota, use->quota_bytes), say_bytes(used, use->bytes),
                      (unsigned long long)use->n_records, use->n_records == 1 ? "" : "s",
                      (unsigned long long)use->n_uses, use->n_uses == 1 ? "" : "s",
                      say_time(saved, (double)use->saved_us / 1e6));
}

int states_words_of(const struct config *conf, const struct ox_info *info, struct buf *out,
                    ox_err *err) {
    const int64_t quota = conf->states_quota_bytes; /* below 0: chosen by the cache */
    const struct states_opts how = {.folder = conf->cache_dir,
                                    .quota_bytes = quota > 0 ? (uint64_t)quota : 0};
    struct states_usage use = {0};
    states *s = NULL;
    if (quota == 0 || !conf->save) return buf_puts(out, "saved states are off", err);
    int rc = info && info->is_remote
                 ? buf_puts(out, "remote, no saved states; of models that run here: ", err)
                 : 0;
    if (!rc) rc = states_open(&how, &s, err);
    if (!rc) rc = states_usage(s, &use, err);
    if (!rc) rc = states_words(&use, out, err);
    states_close(s);
    return rc;
}
