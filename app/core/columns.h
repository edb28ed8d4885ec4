/* columns.h - pages of a PDF that are set in columns. Pure.
 *
 * pdftotext writes a page as it looks (tables stay tables, but two columns become one line of both)
 * or in the order of reading (the other way round). Both are asked for where it matters, and each
 * page is taken as it reads better: DECISIONS.md. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include "app/core/buf.h"

/* Is some page of this text, as it looks, in columns? Pages are divided by form feeds. */
bool columns_any(const char *text, size_t n);
/* Appends page by page: as it looks, or, in columns, in the order of reading. Texts that do not
 * have the same pages: the first. */
int columns_join(const struct buf *looks, const struct buf *order, struct buf *out, ox_err *err);

#endif
