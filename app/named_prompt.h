/* named_prompt.h - prompts that have a name: prompts/NAME.md beside the config file, else one that
 * ships with the program. For -t NAME, and /prompt in a conversation. UI thread.
 *
 * A prompt is text with {{names}}. Its first line, "# ..", says in a list what it does and is not
 * sent. {{file}} is the name of the document it stands behind (the text itself is read before it,
 * as always); {{text}} what was typed or piped; any other name comes from a word NAME=VALUE.
 * {{name|words}} has words for when nothing was given. */
#ifndef NAMED_PROMPT_H
#define NAMED_PROMPT_H

#include "app/config.h"

enum { NAMED_PROMPT_BYTES = 65536 };

/* The prompt without its first line; owned. OX_ENOTFOUND lists the names there are; OX_EUSAGE: no
 * name, or a file that is no text. */
int named_prompt_load(const struct config *conf, const char *name, char **text, ox_err *err);
/* All of them, a person's own first; brief is "" if it does not say. Non-zero stops. */
int named_prompt_list(const struct config *conf,
                      int (*each)(void *user, const char *name, const char *brief), void *user,
                      ox_err *err);

struct named_prompt_given {
    const char *file;        /* names of the documents; NULL: there is none */
    const char *const *word; /* NAME=VALUE for names the prompt has; the others are {{text}} */
    size_t n_word;
    const char *text; /* goes before the words; NULL */
};
/* Appends the prompt as it is sent. What was typed and has no place in it follows at its end.
 * OX_EUSAGE says what it asks for: also if a missing {{text|..}} stands for a document and there is
 * none. */
int named_prompt_fill(struct buf *out, const char *form, const struct named_prompt_given *given,
                      ox_err *err);

/* What is typed in a conversation: "NAME name=value .. words", with the name of the document that
 * is meant (NULL: none). */
int named_prompt_line(const struct config *conf, const char *line, const char *file,
                      struct buf *out, ox_err *err);

#endif
