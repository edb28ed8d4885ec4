/* sides.h - two answers laid out beside each other: rows in pairs, changed words marked.
 *
 * Both are laid out as in the transcript, Markdown included; what is compared is what is shown.
 * Where a paragraph of both begins with a word they share, the two begin in one row. Pure, one
 * caller at a time. */
#ifndef CORE_SIDES_H
#define CORE_SIDES_H

#include "app/core/chat.h"
#include "app/core/md.h"
#include "app/core/rect.h"

struct side {
    int64_t id; /* of the answer */
    struct md md;
    struct row_list rows;
    struct span *changed; /* what the other one has not: bytes of md.text, ascending */
    size_t n_changed, cap_changed;
    size_t *twin; /* [md.n_line]: line of the other one that begins as this one; SIZE_MAX: none */
};

struct sides_row {
    size_t at[2]; /* rows of the sides; SIZE_MAX: nothing stands here */
    char mark;    /* as of sdiff: '|' changed, '<' and '>' only on one side, ' ' the same */
};

struct sides { /* {0} is empty */
    struct side side[2];
    struct sides_row *row;
    size_t n, cap;
    size_t width;         /* the rows are for this one; 0: none yet */
    bool is_same, is_cut; /* no word differs; too different to be compared (diff.h) */
};

/* Takes copies of two answers. On a failure out is empty. */
int sides_take(struct sides *s, const struct chat_node *a, const struct chat_node *b, ox_err *err);
/* Rows for `width` cells a side; nothing to do if they are. */
int sides_lay_out(struct sides *s, size_t width, ox_err *err);
/* The next row behind (step 1) or before (-1) `from` where a run of differing rows begins; SIZE_MAX
 * if there is none. */
size_t sides_next(const struct sides *s, size_t from, int step);
void sides_deinit(struct sides *s);

/* Where they stand in a rectangle: beside each other from SIDES_BESIDE columns on, else one above
 * the other; in less than 4 rows only the first. Each has a heading. */
enum { SIDES_BESIDE = 80 };
struct sides_place {
    struct rect text[2]; /* without the heading, which is the row above */
    int mark_x;          /* column of the marks */
    bool is_beside;
};
struct sides_place sides_place(struct rect r);

#endif
