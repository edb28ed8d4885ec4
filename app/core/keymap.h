/* keymap.h - keys are named requests, in one table: what a key does, its help line, its name in the
 * config file (`key.chat.fork = f`) all come from it.
 *
 * A key is a code point or a KEY_ code with modifier bits. A request may have several keys; a key
 * may mean different requests in different places, the first matching row of the present places
 * wins. Pure, one caller at a time. */
#ifndef CORE_KEYMAP_H
#define CORE_KEYMAP_H

#include "app/core/buf.h"

#include <stdbool.h>

enum {
    KEY_NONE = 0,
    KEY_ENTER = 0x110000,
    KEY_TAB,
    KEY_ESC,
    KEY_BACKSPACE,
    KEY_DELETE,
    KEY_INSERT,
    KEY_UP,
    KEY_DOWN,
    KEY_LEFT,
    KEY_RIGHT,
    KEY_HOME,
    KEY_END,
    KEY_PGUP,
    KEY_PGDN,
    KEY_F1,
    KEY_F2,
    KEY_F3,
    KEY_F4,
    KEY_F5,
    KEY_F6,
    KEY_F7,
    KEY_F8,
    KEY_F9,
    KEY_F10,
    KEY_F11,
    KEY_F12,
    KEY_LAST,
    KEY_CTRL = 1 << 24,
    KEY_ALT = 1 << 25,
    KEY_SHIFT = 1 << 26 /* shift only for KEY_ codes */
};

/* Where a key is pressed; a set of them is asked for, most particular first in the table. */
enum place {
    PLACE_NONE = 0,
    PLACE_INPUT = 1, /* the line being typed */
    PLACE_CHAT = 2,  /* transcript */
    PLACE_DOC = 4,   /* document pane */
    PLACE_LIST = 8,  /* sessions, palette: typing filters */
    PLACE_TREE = 16, /* branch tree */
    PLACE_READ = 32, /* anything that is read and scrolled: transcript, document, help, tree */
    PLACE_ANY = 64,
    PLACE_SIDES = 128 /* two answers side by side */
};

enum request {
    REQ_NONE,
    REQ_PREFIX, /* the first key of two */
    /* input */
    REQ_SEND,
    REQ_NEWLINE,
    REQ_LEFT,
    REQ_RIGHT,
    REQ_WORD_LEFT,
    REQ_WORD_RIGHT,
    REQ_LINE_START,
    REQ_LINE_END,
    REQ_TEXT_START,
    REQ_TEXT_END,
    REQ_BACKSPACE,
    REQ_DELETE,
    REQ_KILL_END,
    REQ_KILL_START,
    REQ_KILL_WORD,
    REQ_KILL_NEXT_WORD,
    REQ_YANK,
    REQ_UNDO,
    REQ_HISTORY_SEARCH,
    REQ_EDITOR,
    REQ_COMPLETE,
    REQ_FOLD_DOC,
    REQ_QUIT_IF_EMPTY,
    /* moving */
    REQ_UP,
    REQ_DOWN,
    REQ_PAGE_UP,
    REQ_PAGE_DOWN,
    REQ_HALF_UP,
    REQ_HALF_DOWN,
    REQ_TOP,
    REQ_BOTTOM,
    REQ_PREV_MESSAGE,
    REQ_NEXT_MESSAGE,
    /* reading */
    REQ_OPEN,
    REQ_NEXT_PANE,
    REQ_FIND,
    REQ_FIND_NEXT,
    REQ_FIND_PREV,
    REQ_COPY,
    REQ_COPY_CODE,
    REQ_EDIT,
    REQ_FORK,
    REQ_REGEN,
    REQ_SIBLING_PREV,
    REQ_SIBLING_NEXT,
    REQ_TREE,
    REQ_SIDES,
    REQ_SEEDS,
    REQ_TAKE_FIRST, /* of two answers side by side */
    REQ_TAKE_SECOND,
    REQ_RAW,
    REQ_PIN,
    REQ_LEAVE, /* back, without stopping an answer */
    /* lists */
    REQ_LIST_FORK,
    REQ_LIST_RENAME,
    REQ_LIST_EXPORT,
    REQ_LIST_DELETE,
    REQ_LIST_PIN,
    REQ_LIST_SEARCH,
    /* everywhere */
    REQ_BACK,
    REQ_STOP,
    REQ_NEW,
    REQ_SESSIONS,
    REQ_PALETTE,
    REQ_DOC_PANE,
    REQ_CONTEXT_MAP,
    REQ_REDRAW,
    REQ_SUSPEND,
    REQ_HELP,
    REQ_COUNT
};

struct key_row {
    unsigned places;
    const char *keys; /* "Ctrl-X Ctrl-E", "Alt-Enter"; alternatives are rows of their own */
    enum request request;
    const char *name; /* "chat.fork"; rows with one name are rebound together */
    const char *help;
};

struct key_bound {
    const char *name;
    uint32_t key[2];
    bool off;
}; /* of the user's config */
struct keymap {
    struct key_bound *bound;
    size_t n, cap;
}; /* {0}: the table as it is */

/* The request for a key in `places`; first is the key before it if that returned REQ_PREFIX, else
 * 0. */
enum request keymap_find(const struct keymap *map, unsigned places, uint32_t first, uint32_t key);
/* Binds a name to keys as the config spells them; "none" unbinds. OX_EUSAGE says what is wrong. */
int keymap_bind(struct keymap *map, const char *name, const char *keys, ox_err *err);
/* Keys of a row as they are now, "Ctrl-X Ctrl-E"; "" if unbound. */
int keymap_label(const struct keymap *map, const struct key_row *row, struct buf *out, ox_err *err);
/* The table, for help, manual and tests. */
const struct key_row *keymap_rows(size_t *n);
/* "Ctrl-X" <-> key. 0 if it is not a key. */
uint32_t keymap_parse(const char *s, size_t n);
int keymap_name(uint32_t key, struct buf *out, ox_err *err);
void keymap_deinit(struct keymap *map);

#endif
