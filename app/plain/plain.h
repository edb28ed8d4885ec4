/* plain.h - a conversation in append-only lines: `you> `, `oxbow> `, notices as `-- text`. For slow
 * lines, logs, screen readers, and whoever likes it. docs/PRODUCT.md sections 3 and 6. */
#ifndef PLAIN_H
#define PLAIN_H

#include "app/core/cite_mark.h"
#include "app/output.h"
#include "app/plain/line.h"
#include "app/progress.h"
#include "app/talk.h"

struct plain {
    struct config *conf;
    struct talk talk;
    line *line;
    struct output out;
    struct progress bar;
    bool is_quiet, cites, edits; /* cites: check quotations; edits: libedit is in use */
    bool is_done;
    struct cite_marker marker; /* of the answer that streams */
    struct cite_doc *marks_in; /* documents it may quote; owned */
    size_t used_before;        /* tokens of the context after the answer before */
    struct {
        size_t n, done; /* answers that /seeds makes, 0: none; and has made */
    } seeds;
};

/* Reads and answers until the end of input or /quit. The talk is started and its first documents
 * are added; draft (or NULL) is typed already. */
int plain_run(struct plain *p, const char *draft, ox_err *err);

/* The conversation so far, before a weight is read. */
void plain_transcript(struct plain *p);

/* --- for plain_command.c --- */
void plain_note(const struct plain *p, const char *fmt, ...)
    OX_PRINTF(2, 3);                                       /* through the filter */
void plain_lines(const struct plain *p, const char *text); /* a note for each */
const char *plain_about(const struct plain *p); /* before counts: "about " if they are estimates */
void plain_error(const struct plain *p, const ox_err *e);
int plain_ask(struct plain *p, const char *question, size_t n,
              ox_err *err);                                        /* NULL: answer the leaf */
int plain_answer(struct plain *p, ox_err *err);                    /* what the talk has planned */
int plain_continue(struct plain *p, const char *arg, ox_err *err); /* the last answer goes on */
bool plain_agrees(struct plain *p); /* "go on? [y/N]"; true where nobody can be asked */
void plain_added(const struct plain *p, size_t i); /* says what a new document costs */
/* One slash command; its errors are printed, and only what ends the program is returned. */
int plain_command(struct plain *p, const char *typed, ox_err *err);

void plain_show_branch(struct plain *p); /* the database shows the leaf from now on */

/* --- of plain_summarize.c, for the same table --- */
int plain_summarize(struct plain *p, const char *arg, ox_err *err);
int plain_compact(struct plain *p, const char *arg, ox_err *err);

/* --- of plain_sides.c, for the same table --- */
int plain_seeds(struct plain *p, const char *arg, ox_err *err);
int plain_compare(struct plain *p, const char *arg, ox_err *err);
int plain_take(struct plain *p, const char *arg, ox_err *err);
int plain_seeds_price(struct plain *p, ox_err *err); /* told before the first; OX_ECANCELLED: no */

/* --- of plain_store.c, for the table in plain_command.c --- */
int plain_sessions(struct plain *p, const char *arg, ox_err *err);
int plain_resume(struct plain *p, const char *arg, ox_err *err);
int plain_title(struct plain *p, const char *arg, ox_err *err);
int plain_fork(struct plain *p, const char *arg, ox_err *err);
int plain_export(struct plain *p, const char *arg, ox_err *err);
int plain_search(struct plain *p, const char *arg, ox_err *err);

#endif
