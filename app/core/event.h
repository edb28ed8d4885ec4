/* event.h - what can happen to the interface, and what it can ask for.
 *
 * update() takes one event, changes struct app_state and appends effects; it never does anything
 * itself. app/loop.c makes events from keys, time and the engine; app/effects.c carries effects out
 * and answers with events. Strings of an event are borrowed for the call unless said otherwise;
 * strings of an effect are owned by it. */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "app/core/chat.h"
#include "app/core/cite.h"
#include "app/core/context.h"

#include <stdbool.h>

enum event_kind {
    EV_NONE,
    EV_KEY,    /* key */
    EV_PASTE,  /* text, n: raw bytes of a bracketed paste */
    EV_MOUSE,  /* mouse (ui/keys.h numbers: 1 press, 2 drag, 3 release, 4 wheel up, 5 down), x, y */
    EV_RESIZE, /* x, y: new width and height */
    EV_TICK,   /* time has passed: expire messages, move the clock */
    EV_EDITED, /* text from $EDITOR */
    EV_SESSIONS, /* rows, n: borrowed; the list from its start, or (flag) more of it */
    EV_HITS,     /* hits, n: borrowed; text: the words they were looked for with */
    EV_PREVIEW,  /* id, text: last answer of a session */
    EV_TREE,  /* chat.tree: all of the conversation whose newest part is shown; handed over. id: the
               * leaf that is shown from now on; 0: the same */
    EV_GOTO,  /* id: message, number: byte in its text; or id2: document, number: byte. Shown */
    EV_CHAT,  /* chat: another conversation is shown (flag: behind the list); tree is handed over */
    EV_DRAFT, /* text, n, id: cursor; the saved draft of what is shown */
    EV_HISTORY,  /* text: one earlier line, oldest first */
    EV_SAVED,    /* id, id2: message `id` has the number id2 from now on; chat_id and uid if new */
    EV_DOC,      /* doc: a document, or another part of it, was read; text and index handed over. No
                    text: document `id`, which is here, goes with the next question again */
    EV_FILE,     /* text: name of the file that is being read from now on; "": none is. flag: the
                    one before did not come: a question that waits for it is not sent */
    EV_COUNTED,  /* id: document, number: its tokens */
    EV_CONTEXT,  /* context: what fills the prompt that goes out; handed over */
    EV_LOADING,  /* text: name of the model; "": it could not be loaded */
    EV_LOADED,   /* model; flag: its ids are others than before */
    EV_PROGRESS, /* plan, number: tokens done, number2: tokens of the prompt; of a work in parts:
                    id: which step, id2: of how many, number3: cost of those behind it in tokens */
    EV_TEXT,     /* text, n: of the answer being written; number: tokens in it. flag: an answer goes
                  * on, this is all it had before */
    EV_DONE,     /* end, ledger: the answer is complete */
    EV_FAILED,   /* err: the answer failed, or (flag) an effect. number2: nothing was begun;
                    number: tokens that are too many */
    EV_ASK,      /* text: what an answer costs; y is effect id, any other key FX_STOP. id FX_MODEL:
                  * text names a model that is there */
    EV_NOTICE,   /* text: for the status line; flag: stays */
    EV_USAGE     /* number: memory of the program, number2/number3: bytes of states, quota */
};

struct session_row { /* of the list */
    int64_t id, when_us;
    char uid[17];
    char title[256];
    size_t n_turns, n_tokens, n_branches, n_docs;
    bool is_pinned;
    char state[8];  /* "saved", "part", "none"; "remote": there can be none; "" not known */
    size_t n_saved; /* tokens that come back; what they and the rest take: */
    double load_s, us_per_token; /* 0: not known */
};

struct search_hit {             /* of all conversations and documents */
    int64_t chat, message, doc; /* doc 0: in a message; chat 0: no conversation uses the document */
    char uid[17], title[128], snippet[256]; /* found words between [ and ] */
    size_t turn, line, from;                /* from: byte of message or document */
};

struct doc_text { /* a document of the session, in reading order; owned by the state */
    int64_t id;
    char *name, *text;
    size_t n_bytes, n_tokens; /* 0 tokens: not counted yet; of the part */
    size_t from, to;          /* bytes of the part that goes with a question; to 0: all of it */
    cite_index *index;        /* borrows text */
    size_t *pages, n_pages;   /* where pages begin; none: 0 */
};

struct model_facts {
    char name[64], backend[32];
    uint32_t limit, trained;
    bool thinks, is_small; /* is_small: reads long texts better in parts (core/summary.h) */
    bool is_remote;        /* on a server: no saved states, counts are estimates, */
    char place[128];       /* and everything goes to this address */
};

struct event {
    enum event_kind kind;
    double now; /* seconds, any clock that only grows */
    uint32_t key;
    int mouse, x, y;
    const char *text;
    size_t n;
    int64_t id, id2;
    uint64_t number, number2, number3;
    bool flag;
    const struct session_row *rows;
    const struct search_hit *hits;
    struct {
        int64_t id;
        char uid[17];
        char title[256];
        bool is_pinned;
        struct chat tree;
    } chat;
    struct doc_text doc;
    struct model_facts model;
    struct context_map context;
    struct ox_plan plan;
    enum chat_end end;
    struct chat_ledger ledger;
    struct ox_tokens tok; /* DONE, FAILED: ids of the answer, handed over */
    ox_err err;
};

enum effect_kind {
    FX_NONE,
    FX_QUIT,
    FX_REDRAW,
    FX_SUSPEND,
    FX_BELL,
    FX_COPY,      /* text */
    FX_EDITOR,    /* text */
    FX_ASK,       /* id: question (new or known), id2: answer to be made; text: seed or NULL */
    FX_COMPACT,   /* id: end of the branch that is summarised, id2: answer to be made */
    FX_SUMMARIZE, /* id: document, id2: answer to be made; in parts */
    FX_CONTINUE,  /* id2: the answer that goes on */
    FX_AGREE,     /* the answer whose price was told (EV_ASK) */
    FX_PRICE, /* text: is told with what is read again before question id is asked anew; id 0: to
               * go on behind message id2 */
    FX_STOP,
    FX_DRAFT,   /* text, id: cursor */
    FX_HISTORY, /* text: a line that was sent */
    FX_LIST,    /* wants EV_SESSIONS */
    FX_PREVIEW, /* id: wants EV_PREVIEW */
    FX_SEARCH,  /* text: words; wants EV_HITS */
    FX_JUMP,    /* id: conversation or 0, id2: byte, text: "m12" or "d12": message or document */
    FX_OPEN,    /* id, or text: uid or title; wants EV_CHAT */
    FX_NEW,     /* a fresh session; id 1: the documents come along */
    FX_RENAME,  /* id, text */
    FX_DELETE,
    FX_PIN,       /* id; PIN: id2 1 on, 0 off */
    FX_EXPORT,    /* id, text: file or NULL */
    FX_FORK,      /* id: session, id2: message where it ends (0: its end) */
    FX_BRANCH,    /* id: session, id2: leaf that is shown from now on */
    FX_FILE,      /* text: path; wants EV_FILE, EV_DOC */
    FX_STOP_FILE, /* all that are being read, or wait for it */
    FX_PATH,      /* text: beginning of a path; wants EV_EDITED with \"/file \" and more of it */
    FX_PASTE_DOC, /* text: a paste that becomes a document */
    FX_SET,       /* text: "KEY VALUE" */
    FX_THINK,     /* id: 1 on, 0 off */
    FX_COUNT,     /* text: its tokens are told */
    FX_STATES,    /* says what is kept */
    FX_MODEL,     /* text; id 1: only looked for, wants EV_ASK with its name */
    FX_PROMPT     /* text: name; wants EV_EDITED */
};

struct effect {
    enum effect_kind kind;
    int64_t id, id2;
    char *text; /* owned */
    size_t n;
};
struct effect_list {
    struct effect *v;
    size_t n, cap;
};

/* Appends; text (n bytes, or NULL) is copied. */
int effect_add(struct effect_list *list, enum effect_kind kind, int64_t id, int64_t id2,
               const char *text, size_t n, ox_err *err);
void effect_list_clear(struct effect_list *list); /* frees texts, keeps the array */
void effect_list_deinit(struct effect_list *list);

#endif
