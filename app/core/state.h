/* state.h - everything that can be shown, in one struct: views only read it, update() only writes
 * it.
 *
 * No I/O, no clock: time comes with events. {0} plus state_init is an empty chat. UI thread. */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "app/core/edit.h"
#include "app/core/eta.h"
#include "app/core/event.h"
#include "app/core/keymap.h"
#include "app/core/rect.h"
#include "app/core/select.h"
#include "app/core/sheet.h"
#include "app/core/sides.h"

enum screen { SCREEN_CHAT, SCREEN_SESSIONS };
enum overlay {
    OVERLAY_NONE,
    OVERLAY_HELP,
    OVERLAY_PALETTE,
    OVERLAY_TREE,
    OVERLAY_SIDES,
    OVERLAY_CHOICE,
    OVERLAY_ASK
};
enum focus { FOCUS_INPUT, FOCUS_CHAT, FOCUS_DOC };
enum busy { BUSY_NONE, BUSY_WAITING, BUSY_READING, BUSY_WRITING };

enum { NOTICE_SECONDS = 10, QUIT_SECONDS = 2, CHOICE_MAX = 4 };

/* Where things are; ui/layout.c fills it before update and drawing see it. */
struct panes {
    struct rect title, chat, doc, doc_text, rule, input, hint, status, bar, list, preview, error;
    int split; /* column of the line between transcript and document; -1: none */
};

struct job { /* the answer that is being made */
    enum busy busy;
    int64_t answer;
    bool goes_on; /* /continue: the answer was there, with n_before tokens, and had ended so: */
    enum chat_end end_before;
    struct chat_ledger before;
    size_t n_before;
    double started, first_token, last_token;
    size_t n_out, cap_text; /* cap_text: of the answer's text */
    struct ox_plan plan;
    size_t n_done, n_prompt, n_doc; /* n_doc: document that is being read, from 1; 0: none */
    struct eta eta;
    size_t part, n_parts, n_behind; /* of a work in parts: step, from 1; tokens of later steps */
    bool is_aside;                  /* the prompt is not the path: /compact, /summarize in parts */
    int64_t old_leaf;               /* shown again if it comes to nothing */
};

struct picker {
    struct session_row *row; /* owned, all of them */
    size_t n, cap;
    size_t *shown; /* indexes of rows that match the filter */
    size_t n_shown, cap_shown;
    size_t chosen, top; /* in shown */
    struct buf filter;
    int64_t preview_id;
    struct buf preview;     /* last answer of preview_id */
    int64_t keep_id;        /* row to stand on again when it comes; 0: none */
    bool renaming;          /* the filter line holds a new title */
    struct search_hit *hit; /* a filter that begins with / searches all texts: what it found, */
    size_t n_hits, cap_hits;
    bool is_searching; /* .. or will find */
};

struct doc_drag {
    bool is_held, is_on;  /* the button is down; text is chosen */
    size_t doc, from, to; /* bytes of document doc: where the button went down, where it is now */
};

struct doc_pane {
    bool is_open, was_closed; /* was_closed: by the person, so that it does not open by itself */
    bool by_itself; /* opened so: it never covers the transcript when the window shrinks */
    bool show_map;  /* Ctrl-T: context map below the citations */
    size_t doc;     /* which of docs */
    size_t top;     /* first line shown, from 0 */
    struct doc_drag drag;
    size_t cite; /* chosen citation of the list, counted over all answers; SIZE_MAX: none */
};

struct open_doc {
    struct doc_text d;
    size_t *line; /* where lines begin */
    size_t n_lines, cap_lines;
    bool is_pending;   /* goes with the next question, */
    size_t part_lines; /* the first lines of it, or of its part, only; 0: all */
};

struct tree_row {
    int64_t id, parent;
    size_t node, depth;
}; /* node: index in chat; depth: branch points above */

struct find {
    bool is_typing, is_on;
    struct buf words;
};

enum { NOTICE_BYTES = 256 };
struct notice {
    char text[NOTICE_BYTES], standing[NOTICE_BYTES]; /* standing: shown while text is empty */
    double until;
};

struct app_state {
    int w, h;
    double now;
    int64_t utc_offset_s; /* of local time */
    bool is_utf8;         /* lines may be drawn with box characters */
    struct panes pane;
    struct keymap keymap;
    uint32_t prefix; /* first key of two */

    enum screen screen;
    enum overlay overlay;
    enum focus focus;
    char theme[16];

    /* the conversation on screen */
    int64_t chat_id; /* 0: not saved yet */
    char uid[17], title[256];
    bool is_pinned, keeps; /* keeps false: --no-save */
    struct chat chat;
    struct sheet sheet;
    size_t n_branches, branch; /* leaves of the tree; which one is shown, from 1 */
    struct sheet_place top;
    struct {
        struct sheet_place place;
        size_t at;
    } anchor;    /* byte of the top row before sizes changed */
    bool follow; /* the end is in view and stays so */
    struct selection select;
    size_t chosen;   /* message the keys e f r y mean; SIZE_MAX: the last */
    int64_t editing; /* question that the input replaces; 0: none */
    struct open_doc *doc;
    size_t n_docs, cap_docs;
    struct sheet_doc *sheet_doc;
    size_t cap_sheet_docs;
    bool cites_off;

    struct buf system; /* prompt of the sessions that begin here; "": none */
    struct edit input;
    struct buf queued; /* question that waits for the end of the answer, or for the file: */
    struct {
        char name[64]; /* is being read; "": none is */
        double since;
    } file;
    struct job job;
    struct {
        size_t n, done; /* answers that were wanted; 0: none are; and are there */
    } seeds;            /* /seeds: several answers to one question, one behind the other */
    struct picker picker;
    struct doc_pane docs;
    struct find find;
    size_t list_chosen, list_top; /* palette, help, tree */
    struct buf list_filter;
    struct tree_row *tree; /* OVERLAY_TREE */
    size_t n_tree, cap_tree;
    struct sides sides; /* OVERLAY_SIDES */
    size_t sides_top;
    bool sides_in_tree; /* the tree is what Esc goes back to */
    struct {
        int64_t id;
        char words[160];
        enum effect_kind then;
        char text[512]; /* of the effect */
        bool stops;     /* any other key is FX_STOP */
    } ask;              /* OVERLAY_ASK: y does it */
    struct {
        size_t n, over; /* over: tokens that are too many */
        enum choice {
            CHOICE_NONE,
            CHOICE_SHORTEN,
            CHOICE_COMPACT,
            CHOICE_AFRESH,
            CHOICE_DRAFT
        } what[CHOICE_MAX];
        char line[CHOICE_MAX][120];
        size_t doc, lines; /* SHORTEN */
    } choice;

    struct notice notice;
    ox_err error;      /* shown until the next key; code 0: none */
    double quit_until; /* Ctrl-C again before this quits */
    double esc_until;  /* Esc again before this edits the last question */
    bool quits;
    bool dirty; /* something to draw has changed */

    struct model_facts model;
    bool is_loaded;
    char loading[64];
    struct context_map context; /* of the last prompt; empty: none yet */
    size_t n_used;              /* tokens of the path, as last counted */
    bool is_used_about;         /* which is an estimate */
    uint64_t memory_bytes, states_bytes, states_quota;
};

int state_init(struct app_state *s, ox_err *err);
void state_deinit(struct app_state *s);

/* The message that e, f, r, y mean; NULL if there is none. */
struct chat_node *state_chosen(const struct app_state *s);
/* The words of a search in all texts, in the filter line of the list; NULL: it filters titles. */
const char *state_search_words(const struct app_state *s);
/* A line for the status row, for NOTICE_SECONDS or until replaced. One that stays (NOT SAVED) comes
 * back behind those that do not; an empty one ends it. */
void state_notice(struct app_state *s, bool stays, const char *fmt, ...) OX_PRINTF(3, 4);
unsigned state_places(const struct app_state *s); /* for keymap_find */
bool state_is_busy(const struct app_state *s);    /* with an answer */
bool state_is_reading(const struct app_state *s); /* a file, from which a document will come */
/* Tokens a second of the last answer of the path that read some; 0: not known. */
double state_read_rate(const struct app_state *s);
bool state_is_covered(const struct app_state *s); /* the transcript, by the document pane */
/* Takes a document over (also on failure) and prepares lines. */
int state_add_doc(struct app_state *s, struct doc_text *d, bool is_pending, ox_err *err);
/* Another part of document i goes with the next question; takes d over. */
void state_set_part(struct app_state *s, size_t i, struct doc_text *d, bool is_pending);
void state_drop_docs(struct app_state *s);
bool state_has_read(const struct app_state *s, int64_t doc); /* it stands on the path */
/* Lays the messages out in drawing order (a child behind its parent) into s->tree. */
int state_build_tree(struct app_state *s, ox_err *err);
/* Citations of the last answers on the path, in order: the i-th, with its message. False: fewer. */
bool state_cite(struct app_state *s, size_t i, struct cite *out, size_t *message);

#endif
