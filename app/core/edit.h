/* edit.h - the line somebody types: text, cursor, undo, history, search in it, folded pastes.
 *
 * The text is valid UTF-8 without control bytes but LF. A long paste is one character of the text
 * (plane 15, which typed or pasted text cannot contain) that is shown as "[pasted 120 lines, 4.1
 * KB]"; edit_take puts the bytes back. The cursor stands between grapheme clusters. {0} is valid
 * and empty. Pure, one caller at a time. */
#ifndef CORE_EDIT_H
#define CORE_EDIT_H

#include "app/core/wrap.h"

enum {
    EDIT_FOLD_BYTES = 1024, /* a longer paste is folded, */
    EDIT_FOLD_LINES = 20,   /* or one of more lines */
    EDIT_PASTE_MAX = 64 << 20,
    EDIT_UNFOLD_MAX = 256 << 10 /* more would make each key slow; it can become a document */
};

enum edit_op {
    EDIT_NONE,
    EDIT_LEFT,
    EDIT_RIGHT,
    EDIT_WORD_LEFT,
    EDIT_WORD_RIGHT,
    EDIT_HOME,
    EDIT_END,
    EDIT_START,
    EDIT_FINISH,
    EDIT_BACKSPACE,
    EDIT_DELETE,
    EDIT_KILL_END,
    EDIT_KILL_START,
    EDIT_KILL_WORD,
    EDIT_KILL_NEXT_WORD,
    EDIT_YANK,
    EDIT_NEWLINE,
    EDIT_UNDO
};

struct edit_fold {
    char *bytes;
    size_t n, n_lines;
}; /* owned */
struct edit_step {
    size_t at, n_new, n_old;
    char *old;
}; /* undo: n_new bytes become old again */

struct edit {
    struct buf text;
    size_t cursor;
    struct edit_step *undo;
    size_t n_undo, cap_undo;
    bool typing; /* the last step may grow */
    struct buf kill;
    struct edit_fold *fold;
    size_t n_fold, cap_fold;
    struct buf sent; /* what was taken last, as it stood here, and its folds */
    struct edit_fold *sent_fold;
    size_t n_sent_fold, cap_sent_fold;
    char **history; /* owned strings, oldest first */
    size_t n_history, cap_history;
    size_t at_history; /* n_history: the draft itself */
    char *draft;       /* what was typed before Up; owned */
    bool searching;    /* Ctrl-R */
    struct buf query;
    size_t found;     /* history entry shown; n_history: none */
    size_t n_removed; /* control bytes left out of the last paste */
};

int edit_insert(struct edit *e, const char *s, size_t n, ox_err *err); /* filtered, at the cursor */
/* A paste: line ends become LF, control bytes are removed and counted; long ones are folded. */
int edit_paste(struct edit *e, const char *s, size_t n, ox_err *err);
int edit_do(struct edit *e, enum edit_op op, ox_err *err);
/* One row up or down as shown at `width`; false at the first or last row (then history is next). */
bool edit_move_row(struct edit *e, size_t width, int direction);
/* Replaces everything; undo brings it back. */
int edit_set(struct edit *e, const char *s, size_t n, ox_err *err);
/* The text with folds put back, handed over in out; the line becomes empty, folds and undo go. */
int edit_take(struct edit *e, struct buf *out, ox_err *err);
/* What was taken could not be sent: as it stood here, folds and all, if s is the text taken last;
 * else like edit_set. */
int edit_give_back(struct edit *e, const char *s, size_t n, ox_err *err);
int edit_copy(const struct edit *e, struct buf *out, ox_err *err); /* the same, nothing changes */
bool edit_is_empty(const struct edit *e);

/* The fold the cursor stands on, or NULL; and what can be done with it. */
struct edit_fold *edit_fold_here(struct edit *e);
int edit_unfold(struct edit *e, ox_err *err);
int edit_drop_fold(struct edit *e, ox_err *err); /* takes its token out of the text */

int edit_history_add(struct edit *e, const char *s, ox_err *err); /* not twice in a row */
bool edit_history_move(struct edit *e, int direction);            /* -1 older, +1 newer */
/* Ctrl-R: start, or the next older match; type narrows it; end keeps the match or the draft. */
int edit_search(struct edit *e, ox_err *err);
int edit_search_type(struct edit *e, const char *s, size_t n, ox_err *err);
int edit_search_back(struct edit *e, ox_err *err);
void edit_search_end(struct edit *e, bool keep);

/* What is to be drawn: at most max_rows rows around the cursor. */
struct edit_view {
    struct buf text;
    struct row_list rows;
    size_t top, n_shown;           /* rows[top .. top + n_shown) are visible */
    size_t cursor_row, cursor_col; /* row counted from top */
    size_t source;                 /* byte of the edit's text where view text begins */
    struct span *span;             /* folds, STYLE_FAINT */
    size_t n_span, cap_span;
};
int edit_layout(const struct edit *e, size_t width, size_t max_rows, struct edit_view *v,
                ox_err *err);
void edit_view_deinit(struct edit_view *v);
void edit_deinit(struct edit *e);

#endif
