/* effects.h - carries out what update() asked for: database, engine, files, terminal.
 *
 * The other half of core/event.h. Everything that answers later (engine news, a document being read
 * in) comes back as an event. effects.c has sessions, files and the terminal; effects_list.c the
 * list of sessions and the search in all texts; effects_tree.c how a conversation is read in;
 * effects_copy.c the clipboard;
 * effects_file.c documents; effects_ask.c the engine's side; effects_save.c what is kept of an
 * answer while it streams; effects_summarize.c a document summarised in parts; effects_title.c
 * titles. UI thread. */
#ifndef EFFECTS_H
#define EFFECTS_H

#include "app/config.h"
#include "app/core/state.h"
#include "app/core/thought.h"
#include "app/ingest.h"
#include "app/reader.h"
#include "app/store/states.h"
#include "app/store/store.h"
#include "app/ui/term.h"
#include "app/worker.h"

struct fx_doc { /* the engine's side of a document of the state */
    int64_t id;
    struct ox_tokens tok; /* of the part that goes with a question */
    uint64_t job;         /* ENCODE that counts it; 0: done */
    bool is_reading_in;   /* store_doc_step goes on */
};

struct fx_answer {     /* the answer that is being made */
    uint64_t job;      /* 0: not sent yet, or none */
    int64_t id;        /* of the message */
    uint64_t plan_job; /* counts the prompt before anything is saved or sent; 0: none */
    int64_t question;
    bool is_aside;         /* the prompt is not the path to the question */
    int64_t source;        /* but the path to this answer, and a task of ours; 0: something else */
    bool goes_on, reopens; /* an answer that was there; reopens: not opened again yet */
    struct chat_ledger before;
    size_t n_before; /* its tokens */
    size_t n_prompt; /* tokens, as planned; 0: not planned */
    bool asks;       /* the price is on the screen, prompt waits for a yes */
    struct prompt prompt;
    struct ox_sampling how;
    struct thought split;
    struct buf text, thought; /* not in the database yet */
    struct ox_tokens tok;     /* all */
    size_t n_saved_tok;
    double saved_at;
};

struct fx_tree {           /* a long conversation that is being read, newest messages first */
    struct chat_node *row; /* owned, a path upwards that does not hang in `made` yet */
    size_t n, cap;
    struct chat made; /* what is complete */
    int64_t next;     /* message to read now; 0: the path is at its root */
    int64_t *leaf;    /* of the branches that are left */
    size_t n_leaves, cap_leaves;
    int64_t leaf_shown; /* when it is complete; 0: the one that is */
    bool is_going;
};

struct fx_list {   /* the list of sessions, which comes in slices */
    states *cache; /* a reading connection of its own while it does; NULL: none */
    bool is_going;
    size_t n_told;
    struct buf words; /* a search that is wanted */
    bool is_wanted;
    struct work ahead; /* tells the worker of session ahead_next, which may be resumed soon */
    int64_t ahead_next;
    double ahead_at;   /* when that is; 0: it was sent, or none is looked at */
    int64_t ahead_for; /* session whose state is read ahead now; 0: none */
};

struct effects {
    struct config *conf;
    term *term;
    struct app_state *s;
    store *st; /* NULL: nothing is saved */
    worker *w;
    const struct ox_info *info;
    uint64_t next_job;
    struct fx_doc *doc;
    size_t n_docs, cap_docs;
    struct fx_answer answer;
    struct fx_list list;
    struct fx_tree tree;
    struct fx_summary *summary; /* owned; NULL: none is being made */
    struct fx_title {           /* one that the model makes when nobody asks */
        double at;              /* when; 0: none is wanted */
        int64_t chat;
        uint64_t job;
        struct buf text;
    } title;
    struct fx_unsaved { /* what a full disk kept out */
        bool is_full;   /* and it was told */
        int64_t answer; /* in memory until there is room; 0: none, only drafts */
        struct ox_sampling how;
        double retry_at;
    } unsaved;
    struct fx_file {      /* files on their way in */
        reader *reader;   /* of spec[0]; NULL: none is read */
        bool is_unwanted; /* its session was left: of nothing in spec, and it ends soon */
        double began;
        char **spec; /* owned, in the order they were asked for */
        size_t n, cap;
    } file;
    struct {
        uint64_t job;    /* PLAN that finds it; 0: none */
        char words[128]; /* it is told behind these */
    } price;
    struct effect waiting; /* FX_ASK before the model was loaded */
    bool writes;           /* the database takes what is written; else it is only read */
    bool is_locked;        /* the session is ours to write */
    bool has_deleted;      /* a session; what its words left in the index goes at the end */
    double followed_at;    /* else: when it was last looked at */
    uint64_t load_job;
    uint64_t count_job;       /* ENCODE of /tokens TEXT; 0: none */
    const char *model_before; /* while another one is loaded; borrowed */
    bool is_changing;
    struct ox_key vocab; /* of the ids in use */
    ox_err load_err;     /* code 0: loading, or loaded */
};

double effects_clock(void); /* seconds; starts as the time of day, then only grows */
/* Event into update, then whatever it asked for; again until nothing is left. */
void effects_event(struct effects *fx, struct event *ev);
/* One effect from outside of update: what the command line asked for. */
void effects_do(struct effects *fx, enum effect_kind kind, int64_t id, const char *text);
void effects_document(struct effects *fx,
                      struct ingest *in); /* for the next question; in is emptied */
void effects_news(struct effects *fx);    /* all that waits in the worker's queue */
/* A file that is being read: readable when it was, for effects_file_news; -1: none is. */
int effects_file_fd(const struct effects *fx);
void effects_file_news(struct effects *fx);
bool effects_idle(struct effects *fx); /* a slice of work; true: there is more */

/* ---- life, in this order ---- */
int effects_open_store(struct effects *fx,
                       ox_err *err); /* a database that fails is a notice, nothing is saved */
int effects_start_engine(struct effects *fx, ox_err *err); /* loading goes on in its thread */
/* An answer under way ends as after Esc, if it does in 3 s. Before the terminal is closed. */
void effects_finish(struct effects *fx);
void effects_close(struct effects *fx);

/* ---- between the files ---- */
/* Begins to read a file, or has it wait for the one before; EV_FILE tells, EV_DOC brings it. */
int effects_file(struct effects *fx, const char *spec, ox_err *err);
void effects_file_stop(struct effects *fx); /* ends soon; what waited is forgotten */
void effects_file_drop(struct effects *fx); /* the same, and at once nobody waits for it */
void effects_file_close(struct effects *fx);
/* What was read, into database and state; index NULL: it is made here. Taken over, but for in. */
int effects_take_document(struct effects *fx, struct ingest *in, cite_index *index, ox_err *err);
int effects_kept_document(struct effects *fx, const char *uid, ox_err *err); /* of the database */
/* Messages of the path to `leaf`; prompt_deinit in every case. */
int effects_prompt(struct effects *fx, int64_t leaf, struct prompt *p, ox_err *err);
void effects_price(struct effects *fx, const struct effect *e);
void effects_take_price(struct effects *fx, const struct news *n);
/* A planned answer beside another one: tells what is read again, or, if that is long, asks and
 * keeps the prompt until FX_AGREE or FX_STOP. */
bool effects_asks_first(struct effects *fx, struct news *n);
void effects_agree(struct effects *fx);
int effects_model(struct effects *fx, const struct effect *e, ox_err *err); /* /model */
/* How many tokens the text of an effect has: told when the engine has counted. */
int effects_count_text(struct effects *fx, const struct effect *e, ox_err *err);
int effects_say_states(struct effects *fx, ox_err *err);
int effects_load(struct effects *fx, ox_err *err); /* the model of the configuration */
int effects_list(struct effects *fx, ox_err *err); /* from its start; the rest when idle */
int effects_preview(struct effects *fx, int64_t chat, ox_err *err);
int effects_search(struct effects *fx, const char *words, ox_err *err); /* when idle */
bool effects_list_idle(struct effects *fx); /* a slice of either; true: something was done */
void effects_list_close(struct effects *fx);
/* The session in the list or on screen: its state is read ahead if it stays there. */
void effects_ahead(struct effects *fx, const struct store_chat *c);
double effects_ahead_at(const struct effects *fx); /* when effects_ahead_tend is due; 0: never */
void effects_ahead_tend(struct effects *fx);       /* starts or ends reading ahead */
int effects_export(struct effects *fx, const struct effect *e, ox_err *err);
int effects_copy(struct effects *fx, const char *s, size_t n_bytes, ox_err *err); /* and says so */
/* The conversation as far as it can be shown at once, for EV_CHAT; the rest comes when idle, or now
 * by effects_tree_finish. */
int effects_tree(struct effects *fx, int64_t chat, int64_t leaf, struct chat *out, ox_err *err);
bool effects_tree_idle(struct effects *fx); /* a slice; true: something was done */
void effects_tree_finish(struct effects *fx);
void effects_tree_drop(struct effects *fx);
/* OX_EBUSY if another process has the session on screen; it is ours from here on if it is free. */
int effects_claim(struct effects *fx, ox_err *err);
/* A session that another process has is followed while it is shown, and taken once it is free; of
 * one of ours title and pin are, which need no lock. at: when it is due; 0: never */
double effects_follow_at(const struct effects *fx);
void effects_follow_tend(struct effects *fx);
void effects_documents(struct effects *fx); /* of the conversation on screen */
void effects_stop(struct effects *fx);
void effects_ask(struct effects *fx, const struct effect *e);
void effects_begin_answer(struct effects *fx, int64_t id); /* whose prompt is made elsewhere */
/* Saves the turn (T1) and sends the job, which is taken over. */
void effects_send_answer(struct effects *fx, struct work *job);
void effects_answer_failed(struct effects *fx, const ox_err *e);
void effects_summarize(struct effects *fx, const struct effect *e);
bool effects_summary_news(struct effects *fx, const struct news *n); /* true: it was for a part */
void effects_drop_summary(struct effects *fx);
int effects_changed(struct effects *fx, int64_t chat, ox_err *err); /* its title or pin, shown */
void effects_title_want(struct effects *fx, const struct chat_ledger *l); /* after an answer */
void effects_title_stop(struct effects *fx);
double effects_title_at(const struct effects *fx); /* when effects_title_tend is due; 0: never */
void effects_title_tend(struct effects *fx);
bool effects_title_news(struct effects *fx, const struct news *n);
void effects_forget_docs(struct effects *fx);
int effects_count_doc(struct effects *fx, int64_t id,
                      ox_err *err); /* now, or once the model is loaded */
void effects_fail(struct effects *fx,
                  const ox_err *e); /* an effect failed: shown, nothing else happens */
void effects_notice(struct effects *fx, bool stays, const char *fmt, ...) OX_PRINTF(3, 4);
void effects_usage(struct effects *fx);
/* Of fx->answer: the turn (T1) before it is sent, what came since (T2, when it is worth it), the
 * rest and the end (T3). What fails is told here. */
void effects_save_turn(struct effects *fx);
void effects_save_part(struct effects *fx);
void effects_save_end(struct effects *fx, enum chat_end end, const struct chat_ledger *cost);
void effects_save_cites(struct effects *fx, int64_t answer); /* of its documents */
/* A save that failed: a full disk is told once and tried again, another reason ends the saving;
 * what is kept already can still be read. */
void effects_not_saved(struct effects *fx, const ox_err *e);
int effects_save_again(struct effects *fx, ox_err *err); /* OX_EIO: still full */
/* Before the tree on screen or the model goes: OX_EBUSY while an answer is being written. What a
 * full disk kept out of the database is only in that tree, and tried again here. */
int effects_answer_kept(struct effects *fx, ox_err *err);
/* After a full disk: each 5 s. tend_at: when the next time is; 0: nothing to do. */
void effects_tend(struct effects *fx);
double effects_tend_at(const struct effects *fx);
void effects_draft(struct effects *fx, const char *text, size_t n, size_t cursor);
struct open_doc *effects_find_doc(struct effects *fx, int64_t id);
size_t effects_doc_end(const struct open_doc *d); /* of the part that goes with a question */

#endif
