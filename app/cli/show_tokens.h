/* show_tokens.h - `show --tokens`: the ids that a conversation consists of, in the vocabulary of
 * the model in use. */
#ifndef SHOW_TOKENS_H
#define SHOW_TOKENS_H

#include "app/cli/verb.h"

/* Each message of a path with its ids: an answer's as they were sampled, where this vocabulary has
 * them, else, and of questions, those of its text. Documents by their number of tokens. The marks
 * of the template stand between messages and are left out. leaf 0: the path on screen. */
int show_tokens(struct cli *c, int64_t chat, int64_t leaf, ox_err *err);

#endif
