/* folder.h - the files of one model: a folder on disk (mapped) or the built-in one (linked in).
 *
 * Gives bytes by plain file name; everything above reads memory and never knows which it was.
 * One owner; reading from any thread. Mapped bytes stay valid until folder_close. */
#ifndef FOLDER_H
#define FOLDER_H

#include "kernels/base/ox_err.h"

#include <stddef.h>

struct folder;

/* dir NULL: the model linked into the program (or, in builds with OXBOW_EMBED=OFF, the source tree's
 * engine/default, or the folder in the build option OXBOW_DEFAULT_DIR). OX_EMODEL: not a folder. */
int folder_open(const char *dir, struct folder **out, ox_err *err);
void folder_close(struct folder *f); /* NULL is fine */
const char *folder_name(const struct folder *f); /* last part of the path; "oxbow-mini" built in */
const char *folder_path(const struct folder *f); /* for messages; "built-in" */

/* Bytes of a file, borrowed until close. OX_ENOTFOUND: no such file. OX_EMODEL: a name with '/' or a
 * leading dot, not a regular file. An empty file gives n = 0 and a valid pointer. */
int folder_get(struct folder *f, const char *name, const unsigned char **data, size_t *n,
               ox_err *err);

/* What was read is not needed soon: the process gives its pages of all files back. The bytes stay
 * valid and come from the file again when they are used. NULL is fine. */
void folder_forget(const struct folder *f);

#endif
