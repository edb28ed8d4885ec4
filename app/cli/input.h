/* input.h - what a person gave on the command line: prompt, system prompt, documents, and stdin as
 * either. docs/PRODUCT.md section 3. */
#ifndef INPUT_H
#define INPUT_H

#include "app/cli/verb.h"
#include "app/ingest.h"

enum { INPUT_DOC_BYTES = 1024 }; /* stdin above this is a document, unless it is all there is */

struct input {
    struct buf prompt, system;
    struct ingest *doc;
    size_t n_docs, cap_docs;
};
/* What an unnamed stdin is, if it is no terminal. */
enum input_stdin { INPUT_LEAVE, INPUT_BY_SIZE, INPUT_DOCUMENT };
/* Reads -s, -p, words, -f and stdin, and fills -t NAME with them. OX_EUSAGE, or as ingest_open and
 * named_prompt_load. */
int input_read(const struct cli *c, enum input_stdin how, struct input *out, ox_err *err);
/* A file, or a document of the database by its id (d7c1:397-420), as ingest_open; --encoding holds.
 */
int input_file(const struct cli *c, const char *spec, struct ingest *out, ox_err *err);
void input_deinit(struct input *in);

#endif
