/* keymap.c - see keymap.h. The order of rows is the order of the help screen. */
#include "app/core/keymap.h"

#include "app/core/text.h"

#include <string.h>

/* clang-format off */
static const struct key_row rows[] = {
    {PLACE_INPUT, "Enter",         REQ_SEND,            "input.send",       "send; during an answer: queue"},
    {PLACE_INPUT, "Ctrl-J",        REQ_NEWLINE,         "input.newline",    "newline (also \\ Enter)"},
    {PLACE_INPUT, "Alt-Enter",     REQ_NEWLINE,         "input.newline",    "newline"},
    {PLACE_INPUT, "Shift-Enter",   REQ_NEWLINE,         "input.newline",    "newline, where the terminal reports it"},
    {PLACE_INPUT, "Up",            REQ_UP,              "input.up",         "row up; at the first row earlier lines"},
    {PLACE_INPUT, "Down",          REQ_DOWN,            "input.down",       "row down; at the last row later lines"},
    {PLACE_INPUT, "Ctrl-R",        REQ_HISTORY_SEARCH,  "input.search",     "search earlier lines"},
    {PLACE_INPUT, "Tab",           REQ_COMPLETE,        "input.complete",   "complete command, path; else next pane"},
    {PLACE_INPUT, "Left",          REQ_LEFT,            "input.left",       "character left"},
    {PLACE_INPUT, "Ctrl-B",        REQ_LEFT,            "input.left",       "character left"},
    {PLACE_INPUT, "Right",         REQ_RIGHT,           "input.right",      "character right"},
    {PLACE_INPUT, "Ctrl-F",        REQ_RIGHT,           "input.right",      "character right"},
    {PLACE_INPUT, "Alt-B",         REQ_WORD_LEFT,       "input.word_left",  "word left"},
    {PLACE_INPUT, "Ctrl-Left",     REQ_WORD_LEFT,       "input.word_left",  "word left"},
    {PLACE_INPUT, "Alt-F",         REQ_WORD_RIGHT,      "input.word_right", "word right"},
    {PLACE_INPUT, "Ctrl-Right",    REQ_WORD_RIGHT,      "input.word_right", "word right"},
    {PLACE_INPUT, "Ctrl-A",        REQ_LINE_START,      "input.home",       "start of the line"},
    {PLACE_INPUT, "Home",          REQ_LINE_START,      "input.home",       "start of the line"},
    {PLACE_INPUT, "Ctrl-E",        REQ_LINE_END,        "input.end",        "end of the line"},
    {PLACE_INPUT, "End",           REQ_LINE_END,        "input.end",        "end of the line"},
    {PLACE_INPUT, "Ctrl-Home",     REQ_TEXT_START,      "input.start",      "start of the text"},
    {PLACE_INPUT, "Ctrl-End",      REQ_TEXT_END,        "input.finish",     "end of the text"},
    {PLACE_INPUT, "Backspace",     REQ_BACKSPACE,       "input.backspace",  "delete before the cursor"},
    {PLACE_INPUT, "Ctrl-H",        REQ_BACKSPACE,       "input.backspace",  "delete before the cursor"},
    {PLACE_INPUT, "Delete",        REQ_DELETE,          "input.delete",     "delete at the cursor"},
    {PLACE_INPUT, "Ctrl-D",        REQ_QUIT_IF_EMPTY,   "input.eof",        "quit when empty, else delete"},
    {PLACE_INPUT, "Ctrl-K",        REQ_KILL_END,        "input.kill_end",   "cut to the end of the line"},
    {PLACE_INPUT, "Ctrl-U",        REQ_KILL_START,      "input.kill_start", "cut to the start of the line"},
    {PLACE_INPUT, "Ctrl-W",        REQ_KILL_WORD,       "input.kill_word",  "cut the word before the cursor"},
    {PLACE_INPUT, "Alt-Backspace", REQ_KILL_WORD,       "input.kill_word",  "cut the word before the cursor"},
    {PLACE_INPUT, "Alt-D",         REQ_KILL_NEXT_WORD,  "input.kill_next",  "cut the word behind the cursor"},
    {PLACE_INPUT, "Ctrl-Y",        REQ_YANK,            "input.yank",       "put back what was cut"},
    {PLACE_INPUT, "Ctrl-_",        REQ_UNDO,            "input.undo",       "undo"},
    {PLACE_INPUT, "Ctrl-X Ctrl-E", REQ_EDITOR,          "input.editor",     "edit in $VISUAL or $EDITOR"},
    {PLACE_INPUT, "Ctrl-G",        REQ_EDITOR,          "input.editor",     "edit in $VISUAL or $EDITOR"},
    {PLACE_INPUT, "PgUp",          REQ_PAGE_UP,         "input.page_up",    "transcript: page up"},
    {PLACE_INPUT, "PgDn",          REQ_PAGE_DOWN,       "input.page_down",  "transcript: page down"},

    {PLACE_LIST,  "Enter",         REQ_OPEN,            "list.open",        "open"},
    {PLACE_LIST,  "Up",            REQ_UP,              "list.up",          "up"},
    {PLACE_LIST,  "Down",          REQ_DOWN,            "list.down",        "down"},
    {PLACE_LIST,  "PgUp",          REQ_PAGE_UP,         "list.page_up",     "page up"},
    {PLACE_LIST,  "PgDn",          REQ_PAGE_DOWN,       "list.page_down",   "page down"},
    {PLACE_LIST,  "Home",          REQ_TOP,             "list.top",         "first"},
    {PLACE_LIST,  "End",           REQ_BOTTOM,          "list.bottom",      "last"},
    {PLACE_LIST,  "Backspace",     REQ_BACKSPACE,       "list.backspace",   "shorten the filter"},
    {PLACE_LIST,  "Ctrl-H",        REQ_BACKSPACE,       "list.backspace",   "shorten the filter"},
    {PLACE_LIST,  "Ctrl-U",        REQ_KILL_START,      "list.clear",       "clear the filter"},
    {PLACE_LIST,  "Ctrl-F",        REQ_LIST_SEARCH,     "list.search",      "search all texts, as / typed first"},
    {PLACE_LIST,  "Alt-F",         REQ_LIST_FORK,       "list.fork",        "fork the session"},
    {PLACE_LIST,  "Alt-E",         REQ_LIST_RENAME,     "list.rename",      "rename it"},
    {PLACE_LIST,  "Alt-X",         REQ_LIST_EXPORT,     "list.export",      "export it as Markdown"},
    {PLACE_LIST,  "Alt-D",         REQ_LIST_DELETE,     "list.delete",      "delete it (asks)"},
    {PLACE_LIST,  "Delete",        REQ_LIST_DELETE,     "list.delete",      "delete it (asks)"},
    {PLACE_LIST,  "Alt-P",         REQ_LIST_PIN,        "list.pin",         "pin or unpin it"},

    {PLACE_DOC,   "Enter",         REQ_OPEN,            "doc.open",         "go to the chosen citation"},
    {PLACE_CHAT,  "Enter",         REQ_OPEN,            "chat.open",        "open the citation; else type"},
    {PLACE_TREE,  "Enter",         REQ_OPEN,            "tree.open",        "show this branch"},
    {PLACE_TREE,  "c",             REQ_SIDES,           "tree.compare",     "beside the answer on screen"},
    {PLACE_SIDES, "1",             REQ_TAKE_FIRST,      "sides.first",      "go on with the first answer"},
    {PLACE_SIDES, "2",             REQ_TAKE_SECOND,     "sides.second",     "go on with the second answer"},
    {PLACE_SIDES, "n",             REQ_FIND_NEXT,       "sides.next",       "next difference"},
    {PLACE_SIDES, "N",             REQ_FIND_PREV,       "sides.prev",       "difference before"},
    {PLACE_SIDES, "[",             REQ_SIBLING_PREV,    "sides.sibling_prev","second: the answer before"},
    {PLACE_SIDES, "]",             REQ_SIBLING_NEXT,    "sides.sibling_next","second: the answer behind"},
    {PLACE_SIDES, "Tab",           REQ_NEXT_PANE,       "sides.swap",       "first and second change places"},
    {PLACE_READ,  "k",             REQ_UP,              "read.up",          "up"},
    {PLACE_READ,  "Up",            REQ_UP,              "read.up",          "up"},
    {PLACE_READ,  "j",             REQ_DOWN,            "read.down",        "down"},
    {PLACE_READ,  "Down",          REQ_DOWN,            "read.down",        "down"},
    {PLACE_READ,  "PgUp",          REQ_PAGE_UP,         "read.page_up",     "page up"},
    {PLACE_READ,  "PgDn",          REQ_PAGE_DOWN,       "read.page_down",   "page down"},
    {PLACE_READ,  "Space",         REQ_PAGE_DOWN,       "read.page_down",   "page down"},
    {PLACE_READ,  "Ctrl-U",        REQ_HALF_UP,         "read.half_up",     "half page up"},
    {PLACE_READ,  "Ctrl-D",        REQ_HALF_DOWN,       "read.half_down",   "half page down"},
    {PLACE_READ,  "g",             REQ_TOP,             "read.top",         "start"},
    {PLACE_READ,  "Home",          REQ_TOP,             "read.top",         "start"},
    {PLACE_READ,  "G",             REQ_BOTTOM,          "read.bottom",      "end; follow the answer again"},
    {PLACE_READ,  "End",           REQ_BOTTOM,          "read.bottom",      "end"},
    {PLACE_CHAT,  "{",             REQ_PREV_MESSAGE,    "chat.prev",        "message before"},
    {PLACE_CHAT,  "}",             REQ_NEXT_MESSAGE,    "chat.next",        "message behind"},
    {PLACE_CHAT | PLACE_DOC,"/",             REQ_FIND,            "read.find",        "search in what is shown"},
    {PLACE_CHAT | PLACE_DOC,"n",             REQ_FIND_NEXT,       "read.find_next",   "next hit, or citation"},
    {PLACE_CHAT | PLACE_DOC,"N",             REQ_FIND_PREV,       "read.find_prev",   "hit before, or citation"},
    {PLACE_CHAT | PLACE_DOC,"y",             REQ_COPY,            "read.copy",        "copy the message or quotation"},
    {PLACE_CHAT,  "Y",             REQ_COPY_CODE,       "chat.copy_code",   "copy the code block"},
    {PLACE_CHAT,  "e",             REQ_EDIT,            "chat.edit",        "edit this question; old branch stays"},
    {PLACE_CHAT,  "f",             REQ_FORK,            "chat.fork",        "go on from here in a new session"},
    {PLACE_CHAT,  "r",             REQ_REGEN,           "chat.regen",       "another answer to this question"},
    {PLACE_CHAT,  "[",             REQ_SIBLING_PREV,    "chat.sibling_prev","sibling before"},
    {PLACE_CHAT,  "]",             REQ_SIBLING_NEXT,    "chat.sibling_next","sibling behind"},
    {PLACE_CHAT,  "c",             REQ_SIDES,           "chat.compare",     "two answers side by side"},
    {PLACE_CHAT,  "s",             REQ_SEEDS,           "chat.seeds",       "three more answers, three seeds"},
    {PLACE_CHAT,  "t",             REQ_TREE,            "chat.tree",        "tree of branches"},
    {PLACE_CHAT,  "v",             REQ_RAW,             "chat.raw",         "raw text instead of Markdown"},
    {PLACE_CHAT,  "m",             REQ_PIN,             "chat.pin",         "pin the session"},
    {PLACE_READ,  "q",             REQ_LEAVE,           "read.back",        "back"},
    {PLACE_READ,  "?",             REQ_HELP,            "read.help",        "this help"},
    {PLACE_READ,  "Tab",           REQ_NEXT_PANE,       "read.pane",        "next pane"},

    {PLACE_ANY,   "Esc",           REQ_BACK,            "any.back",         "stop; back; twice: edit last question"},
    {PLACE_ANY,   "Ctrl-C",        REQ_STOP,            "any.stop",         "stop; text aside; twice: quit"},
    {PLACE_ANY,   "Ctrl-N",        REQ_NEW,             "any.new",          "new session"},
    {PLACE_ANY,   "Ctrl-S",        REQ_SESSIONS,        "any.sessions",     "sessions"},
    {PLACE_ANY,   "Ctrl-P",        REQ_PALETTE,         "any.palette",      "all commands"},
    {PLACE_ANY,   "Ctrl-O",        REQ_DOC_PANE,        "any.doc",          "document pane"},
    {PLACE_ANY,   "Ctrl-T",        REQ_CONTEXT_MAP,     "any.context",      "context map"},
    {PLACE_ANY,   "Ctrl-L",        REQ_REDRAW,          "any.redraw",       "draw everything again"},
    {PLACE_ANY,   "Ctrl-Z",        REQ_SUSPEND,         "any.suspend",      "suspend"},
    {PLACE_ANY,   "F1",            REQ_HELP,            "any.help",         "this help"},
};

static const struct { const char *name; uint32_t key; } names[] = {
    {"Enter", KEY_ENTER}, {"Tab", KEY_TAB}, {"Esc", KEY_ESC}, {"Backspace", KEY_BACKSPACE},
    {"Delete", KEY_DELETE}, {"Insert", KEY_INSERT}, {"Up", KEY_UP}, {"Down", KEY_DOWN},
    {"Left", KEY_LEFT}, {"Right", KEY_RIGHT}, {"Home", KEY_HOME}, {"End", KEY_END},
    {"PgUp", KEY_PGUP}, {"PgDn", KEY_PGDN}, {"Space", ' '}, {"F1", KEY_F1}, {"F2", KEY_F2},
    {"F3", KEY_F3}, {"F4", KEY_F4}, {"F5", KEY_F5}, {"F6", KEY_F6}, {"F7", KEY_F7}, {"F8", KEY_F8},
    {"F9", KEY_F9}, {"F10", KEY_F10}, {"F11", KEY_F11}, {"F12", KEY_F12},
};
static const struct { const char *name; uint32_t bit; } mods[] = {
    {"Ctrl-", KEY_CTRL}, {"Alt-", KEY_ALT}, {"Shift-", KEY_SHIFT},
};
/* clang-format on */

enum { N_ROWS = sizeof rows / sizeof rows[0], N_NAMES = sizeof names / sizeof names[0] };

const struct key_row *keymap_rows(size_t *n) {
    *n = N_ROWS;
    return rows;
}

/* ---- names --------------------------------------------------------------------------------------
 */

static bool same_word(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char x = a[i], y = b[i];
        if (x >= 'A' && x <= 'Z') x = (char)(x + 32);
        if (y >= 'A' && y <= 'Z') y = (char)(y + 32);
        if (x != y) return false;
    }
    return true;
}

uint32_t keymap_parse(const char *s, size_t n) {
    uint32_t bits = 0;
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < sizeof mods / sizeof mods[0]; i++) {
            size_t len = strlen(mods[i].name);
            if (n <= len || !same_word(s, mods[i].name, len)) continue;
            bits |= mods[i].bit;
            s += len, n -= len;
            again = true;
        }
    }
    for (size_t i = 0; i < N_NAMES; i++)
        if (strlen(names[i].name) == n && same_word(s, names[i].name, n))
            return bits | names[i].key;
    int32_t cp;
    if (n == 0 || text_next(s, n, &cp) != n || cp < 0 || text_is_control(cp)) return 0;
    if (bits && cp >= 'A' && cp <= 'Z') cp += 32; /* Ctrl-C and Ctrl-c are one key */
    return bits | (uint32_t)cp;
}

int keymap_name(uint32_t key, struct buf *out, ox_err *err) {
    uint32_t code = key & (KEY_CTRL - 1);
    int rc = 0;
    for (size_t i = 0; i < sizeof mods / sizeof mods[0] && !rc; i++)
        if (key & mods[i].bit) rc = buf_puts(out, mods[i].name, err);
    for (size_t i = 0; i < N_NAMES && !rc; i++)
        if (names[i].key == code) return buf_puts(out, names[i].name, err);
    if (key != code && code >= 'a' && code <= 'z') code -= 32;
    return rc ? rc : text_put(out, (int32_t)code, err);
}

/* One or two keys; false if a word is not a key. */
static bool parse_keys(const char *s, uint32_t key[2]) {
    const char *gap = strchr(s, ' ');
    size_t n = gap ? (size_t)(gap - s) : strlen(s);
    key[0] = keymap_parse(s, n);
    key[1] = gap ? keymap_parse(gap + 1, strlen(gap + 1)) : 0;
    return key[0] != 0 && (!gap || key[1] != 0);
}

/* ---- finding ------------------------------------------------------------------------------------
 */

static const struct key_bound *find_bound(const struct keymap *map, const char *name) {
    for (size_t i = 0; map && i < map->n; i++)
        if (strcmp(map->bound[i].name, name) == 0) return &map->bound[i];
    return NULL;
}

static bool row_keys(const struct keymap *map, const struct key_row *row, uint32_t key[2]) {
    const struct key_bound *bound = find_bound(map, row->name);
    if (!bound) return parse_keys(row->keys, key);
    key[0] = bound->key[0];
    key[1] = bound->key[1];
    return !bound->off;
}

enum request keymap_find(const struct keymap *map, unsigned places, uint32_t first, uint32_t key) {
    for (size_t i = 0; i < N_ROWS; i++) {
        uint32_t want[2];
        if (!(rows[i].places & (places | PLACE_ANY)) || !row_keys(map, &rows[i], want)) continue;
        if (first ? want[0] == first && want[1] == key : want[0] == key && want[1] == 0)
            return rows[i].request;
        if (!first && want[0] == key && want[1] != 0) return REQ_PREFIX;
    }
    return REQ_NONE;
}

int keymap_bind(struct keymap *map, const char *name, const char *keys, ox_err *err) {
    const struct key_row *row = NULL, *near = NULL;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0) row = &rows[i];
        if (text_is_near(rows[i].name, name)) near = &rows[i];
    }
    if (!row) {
        ox_err_set(err, OX_EUSAGE, "no key is called \"%s\"", name);
        return near ? ox_err_fix(err, "did you mean key.%s?", near->name)
                    : ox_err_fix(err, "F1 lists keys; docs/GUIDE.md their names");
    }
    struct key_bound bound = {.name = row->name, .off = strcmp(keys, "none") == 0};
    if (!bound.off && !parse_keys(keys, bound.key)) {
        ox_err_set(err, OX_EUSAGE, "key.%s: \"%s\" is not a key", name, keys);
        return ox_err_fix(err, "write it like f, F5, Ctrl-X, Alt-Enter or Ctrl-X Ctrl-E");
    }
    struct key_bound *old = (struct key_bound *)find_bound(map, name);
    if (old) {
        *old = bound;
        return 0;
    }
    int rc = ox_grow(&map->bound, &map->cap, map->n + 1, sizeof *map->bound, err);
    if (!rc) map->bound[map->n++] = bound;
    return rc;
}

int keymap_label(const struct keymap *map, const struct key_row *row, struct buf *out,
                 ox_err *err) {
    uint32_t key[2];
    if (!row_keys(map, row, key)) return 0;
    int rc = keymap_name(key[0], out, err);
    if (!rc && key[1]) rc = buf_putc(out, ' ', err);
    return rc || !key[1] ? rc : keymap_name(key[1], out, err);
}

void keymap_deinit(struct keymap *map) {
    ox_free(map->bound);
    *map = (struct keymap){0};
}
