/* talk_save.h - what talk.c keeps in oxbow.db. A failure is noted in talk.save_note and ends the
 * saving, not the answer; a full disk ends it only until there is room. */
#ifndef TALK_SAVE_H
#define TALK_SAVE_H

#include "app/talk.h"

/* The part of a streamed answer that is not in the database yet. */
struct save_stream {
    size_t n_tok, n_text, n_thought; /* saved so far */
    double at_s;                     /* clock of the last part */
};

int save_open(struct talk *t, ox_err *err); /* OX_EDB: damaged or newer */
void save_close(struct talk *t);
void save_model(struct talk *t); /* once the model is known */
/* Ids of earlier answers, which only this model's vocabulary gives. */
int save_tokens(struct talk *t, ox_err *err);
void save_leave(struct talk *t); /* another session follows */
/* Stores the whole document of `in`; d gets its id (a negative one if nothing is saved). */
void save_document(struct talk *t, const struct ingest *in, struct talk_doc *d);
/* Its ids: stored ones, else encoded and stored. The model is loaded. */
int save_count(struct talk *t, struct talk_doc *d, ox_err *err);
/* T1: session if new, messages not saved yet, open answer. *answer gets its saved id, or stays if
 * the disk is full: then all of it is saved at the end, or later. */
void save_turn(struct talk *t, int64_t *answer);
void save_start(struct save_stream *s);
void save_part(struct talk *t, struct save_stream *s, const struct chat_node *node,
               bool flush); /* T2 */
/* T1': the row is open again, with what the talk has of it. */
int save_reopen(struct talk *t, struct save_stream *s, const struct chat_node *node, ox_err *err);
void save_finish(struct talk *t, int64_t answer); /* T3 */
/* What a full disk kept out, once more. OX_EIO: still full. */
int save_again(struct talk *t, ox_err *err);

#endif
