/* skim.h - takes the two large flat values out of tokenizer.json before a JSON library reads the
 * rest.
 *
 * A vocabulary and its merges are 99 % of the file; as a tree of jansson they cost 25 MB and 90 ms
 * (docs/PERF.md), more than the rest of starting the program. Here they are read in place, by the
 * grammar of JSON, as what they must be: an object of numbers, a list of strings or of pairs. */
#ifndef SKIM_H
#define SKIM_H

#include "kernels/base/ox_err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct skim_part {
    const char *from;
    size_t n;
}; /* borrowed from the text; {0}: not there */

/* Finds model.vocab and model.merges where they are an object or a list. *rest, owned by the
 * caller, is the text with `null` in their place; a second member of the name stays in it, so that
 * a reader that refuses repeated names sees both. Nothing is checked yet. OX_EMODEL: brackets or
 * quotes that do not close. */
int skim_split(const char *json, size_t n, struct skim_part *vocab, struct skim_part *merges,
               char **rest, size_t *n_rest, ox_err *err);

/* Reads one part from its start. {0} but for at, end and start. */
struct skim {
    const char *at, *end, *start; /* start: for offsets in errors */
    char *buf;                    /* of strings with escapes; skim_deinit */
    size_t cap_buf;
};
bool skim_take(struct skim *s, char c); /* the next byte that is not space is c: consumes it */
/* The reads return OX_EMODEL with the offset if something else is there. *text is borrowed until
 * the next call; it is well-formed UTF-8 and may hold zero bytes. */
int skim_string(struct skim *s, const char **text, size_t *n, ox_err *err);
int skim_number(struct skim *s, uint32_t *number, ox_err *err); /* digits only */
int skim_expect(struct skim *s, char c, ox_err *err);
void skim_deinit(struct skim *s);

#endif
