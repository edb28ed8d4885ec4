/* kept.h - a document of the database in the place of a file: "d7c1", "d7c1:397-420", "d7c1:p3".
 * What a search found becomes a part of a prompt this way. A file of that very name wins. UI
 * thread. */
#ifndef KEPT_H
#define KEPT_H

#include "app/ingest.h"
#include "app/store/docs.h"

/* Could this name a document of the database: 4 to 16 hex digits, perhaps with a range? */
bool kept_is_id(const char *spec);
/* OX_ENOTFOUND; OX_EUSAGE: two documents begin so, or a range outside. */
int kept_open(store *st, const char *spec, struct ingest *out, ox_err *err);
/* The file, else the document of the database (st may be NULL). */
int kept_or_file(store *st, const char *spec, const struct ingest_opts *opts, struct ingest *out,
                 ox_err *err);
/* The second half of it, for a file that another thread looked for: rc and err are those of
 * ingest_open. Returns 0 if the database had the document, else rc with what is to be said. */
int kept_instead(store *st, const char *spec, int rc, struct ingest *out, ox_err *err);
/* What the database is to keep of a document that was read. All but the name, which is shown, is
 * borrowed from `in`. */
struct store_doc kept_row(const struct ingest *in, const char *name);
/* Its id and the range behind the colon ("" if there is none), for a name that may hold colons. */
int kept_find(store *st, const char *spec, int64_t *id, const char **range, ox_err *err);

#endif
