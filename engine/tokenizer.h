/* tokenizer.h - byte-level BPE from tokenizer.json: text to ids, ids to bytes. docs/MODEL.md 6.
 * Immutable after opening except for scratch of calls, kept under a lock: [any] thread. O(n log n)
 * in the text at worst, linear in what people write. */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include "engine/ox.h"

typedef struct tokenizer tokenizer;

/* json is borrowed for the call. OX_EMODEL: what the subset of docs/MODEL.md 6.1 does not hold. */
int tokenizer_open(const unsigned char *json, size_t n, tokenizer **out, ox_err *err);
void tokenizer_close(tokenizer *t);                          /* NULL is fine */
uint32_t tokenizer_size(const tokenizer *t);                 /* highest id + 1 */
struct ox_key tokenizer_key(const tokenizer *t);             /* XXH3-128 of the file: vocab hash */
const char *tokenizer_note(const tokenizer *t);              /* warnings of opening, "" if none */
int32_t tokenizer_id(const tokenizer *t, const char *added); /* id of an added token, -1 if none */

/* Data mode: no added token is recognised. Appends; on an error `out` is as it was. Ill-formed
 * UTF-8 is read as U+FFFD, one a maximal subpart. */
int tokenizer_encode(const tokenizer *t, const char *text, size_t n, struct ox_tokens *out,
                     ox_err *err);
/* Added tokens anywhere in the text are recognised: what other tools do. */
int tokenizer_encode_special(const tokenizer *t, const char *text, size_t n, struct ox_tokens *out,
                             ox_err *err);
/* Raw bytes of one id, borrowed; NULL for an id that is not there. Added token: its content. */
const char *tokenizer_bytes(const tokenizer *t, int32_t id, size_t *n);
bool tokenizer_is_added(const tokenizer *t, int32_t id);

/* Where each token of a text ends: ends[i] bytes of text are behind tok[0..i]. tok are the ids that
 * encoding this very text gave. The sum of the tokens' lengths is the same for most texts; not
 * where ill-formed parts were replaced or bytes dropped that the vocabulary lacks (they belong to
 * the token behind them, at the end of the text to the last one). A token that ends inside a
 * replaced part ends before it. OX_EUSAGE: ids of another text. */
int tokenizer_ends(const tokenizer *t, const char *text, size_t n, struct ox_prefix ids,
                   size_t *ends, ox_err *err);

/* ox_token_text and ox_decode of ox.h. An id that is not there gives -1, or OX_EUSAGE. */
int tokenizer_token_text(const tokenizer *t, int32_t id, char *out, size_t cap);
int tokenizer_stream(const tokenizer *t, struct ox_decoder *d, int32_t id, char **text, size_t *n,
                     size_t *cap, ox_err *err);

#endif
