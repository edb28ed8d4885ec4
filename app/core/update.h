/* update.h - the only place where the state changes: one event in, effects out. Pure.
 *
 * update.c dispatches; update_chat.c has the transcript and the line being typed, update_ask.c a
 * question on its way, update_sides.c two answers side by side, update_list.c the lists (sessions,
 * palette, help, tree), update_doc.c documents. */
#ifndef CORE_UPDATE_H
#define CORE_UPDATE_H

#include "app/core/state.h"

/* Handles ev; what it hands over (chat.tree, doc) is left empty. An error (no memory) leaves a
 * state that can still be shown and is put into it. Sets s->dirty if the screen may look different.
 */
int update(struct app_state *s, struct event *ev, struct effect_list *fx, ox_err *err);

/* ---- between the files of update ---- */
struct update {
    struct app_state *s;
    struct event *ev;
    struct effect_list *fx;
    ox_err *err;
};
int update_chat_key(struct update *u, enum request r, uint32_t key);
int update_chat_event(struct update *u); /* chat, saved, text, done, ... */
int update_chat_mouse(struct update *u);
int update_list_key(struct update *u, enum request r, uint32_t key);
int update_list_event(struct update *u); /* sessions, preview */
int update_list_mouse(struct update *u);
int update_doc_key(struct update *u, enum request r, uint32_t key);
int update_doc_event(struct update *u);
void update_show_doc_at(struct update *u, int64_t doc, size_t byte);
void update_doc_wheel(struct update *u, int rows);
void update_doc_press(struct update *u); /* the mouse, over the pane */
int update_doc_drag(struct update *u);   /* or released: copies */
int update_command(struct update *u, const char *line,
                   bool *is_text); /* a slash command, or text */
int update_send(struct update *u, const char *text, size_t n);
int update_palette(struct update *u); /* opens it */
int update_stop(struct update *u);
int update_send_input(struct update *u);      /* Enter */
int update_answer_event(struct update *u);    /* text, progress, done, failed */
int update_take_back_queue(struct update *u); /* the queued question, before what is typed */
int update_send_queue(struct update *u);      /* unless something is still to be waited for */
int update_choose(struct update *u, uint32_t key);
void update_scroll(struct update *u, long rows);
void update_show_end(struct update *u);
int update_path(struct update *u); /* after a change of the tree */
int update_show_leaf(struct update *u, int64_t leaf);
int update_compact(struct update *u);
int update_summarize(struct update *u, size_t n); /* document n from 1; 0: the last */
int update_continue(struct update *u);
int update_regen(struct update *u, int64_t question, const char *seed);
/* Two answers side by side, and several to one question: update_sides.c. */
int update_compare(struct update *u, int64_t message); /* it and another one in its place */
int update_compare_numbers(struct update *u, const char *numbers); /* "", "N" or "N M" */
int update_take_answer(struct update *u, size_t n); /* n-th answer to the last question */
/* The first of n rows that are read on a page of `rows`, after a key that scrolls. */
size_t update_read_top(enum request r, size_t from, size_t n, size_t rows);
int update_sides_key(struct update *u, enum request r);
void update_leave_overlay(struct app_state *s);
int update_seeds(struct update *u, int64_t question, const char *n);
/* One of them has ended. True: the next one is being made. */
bool update_seeds_go_on(struct update *u, int64_t question, enum chat_end end, int *rc);
int update_copy_message(struct update *u, size_t i);
/* Lines of what goes with a question of document i: *first is the number of the first. */
size_t update_part_lines(const struct app_state *s, size_t i, size_t *first);
void update_count_used(struct app_state *s); /* of the path on screen, for the meter */
void update_uncover(struct app_state *s);    /* the transcript is to be seen again */
void update_next_cite(struct update *u, int step);
int update_fx(struct update *u, enum effect_kind kind, int64_t id, int64_t id2, const char *text);
void update_error(struct update *u, const ox_err *e);

#endif
