/* text.h - bytes of tokens to whole characters: the streaming half of UTF-8. docs/MODEL.md 6.1.
 * Well-formed means table 3-7 of the Unicode standard: no surrogates, nothing overlong, nothing
 * above U+10FFFF. Each maximal ill-formed subpart is read as one U+FFFD. Pure, any thread. The
 * names carry ox_, because app/core has a text of its own and both are linked into one program. */
#ifndef TEXT_H
#define TEXT_H

#include "engine/ox.h"

/* Length of the longest well-formed prefix: n if all is well. An incomplete tail is not part of it.
 */
size_t ox_text_whole(const char *bytes, size_t n);

/* Looks at what begins at bytes[0], n >= 1: the length of a whole character; -k: the first k bytes
 * are a maximal ill-formed subpart; 0: all n bytes are the beginning of a character that wants
 * more. */
int ox_text_look(const char *bytes, size_t n);

/* Feeds n bytes; appends whole characters to *out (ox_grow). Ill-formed maximal subparts become one
 * U+FFFD each as soon as they are known to be ill-formed; an incomplete, so far well-formed tail is
 * held back in d. OX_ENOMEM leaves d and the output as they were. */
int ox_text_feed(struct ox_decoder *d, const char *bytes, size_t n, char **out, size_t *n_out,
                 size_t *cap, ox_err *err);
/* A held tail becomes one U+FFFD. */
int ox_text_flush(struct ox_decoder *d, char **out, size_t *n_out, size_t *cap, ox_err *err);
/* Replaces ill-formed parts; *n_bad counts them (may be NULL). Output appended as above. */
int ox_text_repair(const char *bytes, size_t n, char **out, size_t *n_out, size_t *cap,
                   size_t *n_bad, ox_err *err);

#endif
