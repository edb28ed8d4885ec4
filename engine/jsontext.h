/* jsontext.h - the JSON texts of a model folder, parsed by jansson within limits. A hostile text
 * must cost time and memory in proportion to a real one: nesting and the number of values are
 * counted before anything is built. Duplicate keys, bad UTF-8, U+0000 and numbers out of range are
 * refused. Pure, any thread. */
#ifndef JSONTEXT_H
#define JSONTEXT_H

#include "kernels/base/ox_err.h"

#include <jansson.h>

/* Limits: 64 levels of nesting, 8 million values; the header of 100,000 tensors has 1 million. */
enum { JSONTEXT_DEPTH = 64, JSONTEXT_VALUES = 8 << 20 };

/* The object in text; owned, json_decref. OX_EMODEL names file and line. */
int jsontext_parse(const unsigned char *text, size_t n, const char *file, json_t **out,
                   ox_err *err);

/* Member `key` of an object; NULL if it is absent or null, which count as the same. Borrowed. */
const json_t *jsontext_get(const json_t *object, const char *key);

/* What v holds, for messages: `12`, `"gelu"`, `a list`; absent if NULL. Returns out. */
enum { JSONTEXT_SHOWN = 64 };
const char *jsontext_show(const json_t *v, char out[JSONTEXT_SHOWN]);
/* A text of a file, for messages: in quotes, cut between characters at 40 bytes. Returns out. */
const char *jsontext_quote(const char *text, size_t n, char out[JSONTEXT_SHOWN]);

#endif
