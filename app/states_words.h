/* states_words.h - the cache of saved states in one line, for the shell and for both modes of a
 * conversation. UI thread. */
#ifndef STATES_WORDS_H
#define STATES_WORDS_H

#include "app/config.h"
#include "app/core/buf.h"
#include "app/store/states.h"

/* "20 GiB quota, 3.1 GiB used, 48 records, 214 reuses saved 1 h 12 min" */
int states_words(const struct states_usage *use, struct buf *out, ox_err *err);
/* The same of the cache that the configuration names, opened for the moment; info (or NULL): the
 * model in use, which may have none. */
int states_words_of(const struct config *conf, const struct ox_info *info, struct buf *out,
                    ox_err *err);

#endif
