/* wrap.h - styled text cut into rows for a width.
 *
 * A text is bytes plus spans: ranges with a style. Lines of it (paragraph lines, code lines) are
 * cut into rows of whole grapheme clusters; a row never holds half a character and never exceeds
 * the width, except a cluster of two cells where only one is left in the whole row. The text must
 * have passed text_show: no control byte besides LF is expected, tabs are expanded by whoever
 * builds the text. Pure, one caller at a time. */
#ifndef CORE_WRAP_H
#define CORE_WRAP_H

#include "app/core/buf.h"

#include <stdbool.h>

/* What a piece of text is, not how it looks; ui/theme.c maps the names to attributes. */
enum style {
    STYLE_TEXT,  /* answers, questions, document text */
    STYLE_FAINT, /* times, counts, hints */
    STYLE_TITLE, /* first row, names of panes */
    STYLE_USER,  /* the label of a question */
    STYLE_OXBOW, /* the label of an answer */
    STYLE_HEAD,  /* Markdown headings */
    STYLE_STRONG,
    STYLE_EMPH,
    STYLE_CODE,
    STYLE_LINK,
    STYLE_CITE,   /* citation marks */
    STYLE_WARN,   /* errors, NOT SAVED, missing quotations */
    STYLE_SELECT, /* the chosen row, search hits */
    STYLE_RULE,   /* lines between panes, quote bars */
    STYLE_COUNT
};

struct span {
    size_t from, to;
    enum style style;
}; /* ascending, no overlap; gaps are STYLE_TEXT */

enum wrap_how {
    WRAP_WORDS, /* between words, wide characters and after hyphens; a longer word is cut */
    WRAP_HARD   /* at the edge: code, raw text, tables */
};

struct row {
    size_t line;     /* the caller's line number */
    size_t from, to; /* bytes; a space at the break belongs to no row */
    bool first;      /* first row of its line: takes the line's lead, not its hanging indent */
};
struct row_list {
    struct row *v;
    size_t n, cap;
};

struct wrap_line {
    size_t id, from, to, lead_cells, rest_cells;
    enum wrap_how how;
};

/* Appends the rows of one line (no LF inside) for `width` cells, the lead or the hanging indent of
 * the line included. An empty line gives one empty row. Width 0 counts as 1. */
int wrap_rows(const char *text, const struct wrap_line *line, size_t width, struct row_list *out,
              ox_err *err);
/* Narrows columns of a table to `room` cells in all: what is below its equal share keeps its width,
 * the others share the rest. */
void wrap_columns(size_t *width, size_t n, size_t room);
void row_list_deinit(struct row_list *rows);

#endif
