/* prompt.h - what the model is given: texts of prompts/, and messages in order with their borders.
 *
 * Pure. A document stands right behind the system message, in the first user turn that follows, and
 * is encoded apart from the words around it (opening | text | closing and question), so that its
 * ids depend neither on its name nor on the question: docs/STORE.md section 1. */
#ifndef PROMPT_H
#define PROMPT_H

#include "app/core/buf.h"

/* The text of prompts/NAME.md, embedded at build; NULL if there is none. */
const char *prompt_builtin(const char *name);
const char *prompt_builtin_name(size_t i); /* for lists; NULL behind the last */

/* The question that stands for "compact" on the path, and how long its answer may be. */
extern const char prompt_compact_words[];
enum { PROMPT_COMPACT_TOKENS = 600 };

/* Replaces {{name}} by values, {{name|words}} by the words if there is no value. Another name that is
 * not among the n pairs is OX_EUSAGE and is said. Values are put in as they are. */
struct prompt_value {
    const char *name, *value;
};
int prompt_fill(struct buf *out, const char *form, const struct prompt_value *values, size_t n,
                ox_err *err);

struct prompt { /* {0} is empty; everything is copied into mem */
    struct ox_arena mem;
    struct ox_msg *msg;
    enum ox_why *why; /* [n] border worth keeping at the end of each message */
    size_t n, cap_msg, cap_why;
    bool open_user; /* documents were added and wait for their question */
};
int prompt_system(struct prompt *p, const char *text, size_t n, ox_err *err);
/* tok, if known, are the ids of exactly this text. Several documents follow each other. */
int prompt_document(struct prompt *p, const char *text, size_t n, const int32_t *tok, size_t n_tok,
                    ox_err *err);
int prompt_user(struct prompt *p, const char *text, size_t n, ox_err *err);
int prompt_assistant(struct prompt *p, const char *text, size_t n, const int32_t *tok, size_t n_tok,
                     ox_err *err);
void prompt_deinit(struct prompt *p);

#endif
