/* doc_rows.h - the document pane as rows: what stands below a cell, what a drag over it chose.
 * Pure, UI thread. Text rows begin behind DOC_NUMBER_CELLS of line number. */
#ifndef CORE_DOC_ROWS_H
#define CORE_DOC_ROWS_H

#include "app/core/state.h"
#include "app/core/wrap.h"

enum { DOC_NUMBER_CELLS = 8 };

/* Line i (from 0) in as many rows as a pane of `width` cells needs; appended to out. */
int doc_rows(const struct open_doc *d, size_t i, int width, struct row_list *out, ox_err *err);
/* The byte below a cell of the text: `row` rows below the first row of line `top`. */
size_t doc_byte_below(const struct open_doc *d, size_t top, int width, int row, int cell);
/* Bytes that were dragged over, whole words; false: none, or of another document than i. */
bool doc_selected(const struct app_state *s, size_t i, size_t *from, size_t *to);

#endif
