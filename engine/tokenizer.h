/* tokenizer.h - byte-level BPE from tokenizer.json: text to ids, ids to bytes. docs/MODEL.md 6.
 * Immutable after opening except for per-call scratch: [any] thread. Linear time in the text. */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include "engine/ox.h"

typedef struct tokenizer tokenizer;

int tokenizer_open(const unsigned char *json, size_t n, tokenizer **out, ox_err *err);
void tokenizer_close(tokenizer *t); /* NULL is fine */
uint32_t tokenizer_size(const tokenizer *t);           /* highest id + 1 */
struct ox_key tokenizer_key(const tokenizer *t);       /* XXH3-128 of the file: vocab hash */
const char *tokenizer_note(const tokenizer *t);        /* warnings of opening, "" if none */
int32_t tokenizer_id(const tokenizer *t, const char *added); /* id of an added token, -1 if none */

/* Data mode: no added token is recognised. Appends. Ill-formed UTF-8 is read as U+FFFD. */
int tokenizer_encode(const tokenizer *t, const char *text, size_t n, struct ox_tokens *out,
                     ox_err *err);
/* Added tokens anywhere in the text are recognised: what other tools do, and the fixtures' `ids`. */
int tokenizer_encode_special(const tokenizer *t, const char *text, size_t n, struct ox_tokens *out,
                             ox_err *err);
/* Raw bytes of one id, borrowed; NULL for an id that is not there. Added token: its content. */
const char *tokenizer_bytes(const tokenizer *t, int32_t id, size_t *n);
bool tokenizer_is_added(const tokenizer *t, int32_t id);

#endif
