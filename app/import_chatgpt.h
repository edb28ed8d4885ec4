/* import_chatgpt.h - conversations.json of a ChatGPT export, as lines for store_import. UI thread.
 */
#ifndef IMPORT_CHATGPT_H
#define IMPORT_CHATGPT_H

#include "app/core/foreign.h"

/* A file, "-" for stdin, or the folder of the unpacked archive, where conversations*.json are read.
 * The form has no written definition; what is not known is counted, not refused. OX_EFORMAT: it is
 * not JSON (with line and column), or holds no conversations. */
int import_chatgpt(const char *path, struct foreign *out, ox_err *err);

#endif
