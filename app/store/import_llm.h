/* import_llm.h - the log of simonw/llm, an SQLite file, as lines for store_import. UI thread. */
#ifndef STORE_IMPORT_LLM_H
#define STORE_IMPORT_LLM_H

#include "app/core/foreign.h"

/* Opened read-only and left as it is. Its tables have changed over the years: `log` and `logs` up
 * to 0.4, `conversations` and `responses` from 0.5, `turns` with a tree of messages from 0.32 on.
 * What of them is there is read, whatever columns they have. OX_EFORMAT: none of them. */
int import_llm(const char *path, struct foreign *out, ox_err *err);

#endif
