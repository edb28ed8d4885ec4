/* reserve.h - the ballast beside oxbow.db: 8 MiB that are given up the moment the disk is full, so
 * that the words of a person and the answer being written still get in. docs/STORE.md section 8.
 *
 * It works inside SQLite's own writing (a VFS that is the default one but for two calls): a write
 * that fails for lack of space deletes the ballast and is repeated once. So every transaction has
 * it, also one of several steps that nobody could run again. Inside app/store only; belongs to the
 * thread of its connection. The file is shared by all processes that use the database. */
#ifndef RESERVE_H
#define RESERVE_H

#include "engine/ox.h"

enum { RESERVE_BYTES = 8 << 20, RESERVE_SPARE_BYTES = 4 << 20 };

struct reserve;

/* path of the ballast, copied. The connection that opens with reserve_vfs must be closed before
 * reserve_free. */
int reserve_new(const char *path, struct reserve **out, ox_err *err);
void reserve_free(struct reserve *r);             /* NULL is fine; the file stays */
const char *reserve_vfs(const struct reserve *r); /* borrowed; for sqlite3_open_v2 */

/* Makes the file if there is none and the disk has its size and RESERVE_SPARE_BYTES more: so that
 * it does not take the last room itself. True if it is there. */
bool reserve_lay_in(struct reserve *r);
bool reserve_is_spent(const struct reserve *r); /* given up here, and not laid in since */
/* Held: writes that are no one's words (a document read in, an import, a checkpoint) do not get it.
 */
void reserve_hold(struct reserve *r, bool held);

#endif
