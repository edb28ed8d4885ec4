/* check.h - what `doctor` asks of oxbow.db, backup, and saving what can be read of a damaged file.
 * Slow: for the command line, not for the UI thread. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "app/store/store.h"

enum store_verdict { STORE_OK, STORE_WARN, STORE_BAD };

struct store_finding {
    enum store_verdict verdict;
    const char *name; /* "pages", "references", "search index", .. */
    const char *text; /* no titles and no text of conversations: safe to publish */
    const char *fix;  /* "" if ok */
};

/* Every check of docs/STORE.md section 8, one finding each at least; nothing is written. 0 if no
 * finding is STORE_BAD, else OX_EDB. */
int store_check(store *st, int (*each)(void *user, const struct store_finding *f), void *user,
                ox_err *err);
/* A consistent copy while others write: temporary name, checked, synced, renamed. The file must not
 * exist (OX_EUSAGE) unless force. */
int store_backup(store *st, const char *file, bool force, ox_err *err);

struct store_salvaged {
    size_t n_rows, n_lost; /* lost: rows that could not be read or refer to lost ones */
};
/* Copies every readable row of the database at `path` to a new file; path is opened read-only. */
int store_salvage(const char *path, const char *file, struct store_salvaged *out, ox_err *err);

/* Overwrites what deleted text left in the index and in the log; purge: in free pages too. */
int store_scrub(store *st, bool purge, ox_err *err);

#endif
