/* migrate.h - schema versions of oxbow.db: an append-only array of steps. Inside app/store only. */
#ifndef MIGRATE_H
#define MIGRATE_H

#include "app/store/db.h"

struct migrate_step { /* leads from version - 1 to version */
    int version;
    const char *const *sql;                 /* statements, NULL at the end; or NULL */
    int (*run)(struct db *db, ox_err *err); /* after the statements; or NULL */
};

extern const char *const schema_v1[];
extern const struct migrate_step migrate_steps[]; /* of this program */
enum { MIGRATE_VERSION = 1 };                     /* the last one */

/* Brings the database to the version of the last step. A newer one is refused (OX_EDB), untouched.
 * An older one is first copied to PATH.vN.bak. A crash or error leaves the old version. Two
 * processes may do it at once: one waits and finds it done. A read-only database of an older
 * version is refused. */
int migrate(struct db *db, const struct migrate_step *steps, int n_steps, ox_err *err);

const char *migrate_build(void); /* "0.1.0 (abcdef)": of this program, for the ledger */

#endif
