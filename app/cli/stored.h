/* stored.h - what the verbs about saved sessions share: opening the database, names for people. */
#ifndef STORED_H
#define STORED_H

#include "app/cli/verb.h"
#include "app/core/buf.h"
#include "app/store/store.h"

/* read_only: a database that is not there is OX_ENOTFOUND, and nothing is made. */
int stored_open(const struct cli *c, bool read_only, store **out, ox_err *err);
/* The session that word i names: unique start of an id, title, or number in the list. */
int stored_find(const struct cli *c, store *st, size_t i, int64_t *chat, ox_err *err);
/* "today 09:14", "yesterday", "12 Nov", "12 Nov 2024", in local time. */
int stored_when(struct buf *out, int64_t at_us, ox_err *err);
/* "30d", "12h", "2w" as microseconds. */
int stored_span(const char *text, const char *flag, int64_t *us, ox_err *err);
int stored_flush(const struct buf *b,
                 ox_err *err); /* to stdout; a closed pipe is OX_ECANCELLED without words */

#endif
