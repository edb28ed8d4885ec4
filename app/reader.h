/* reader.h - reads one document on a thread of its own, so that the screen goes on meanwhile: a
 * converter may take minutes, a pipe for ever. Not the engine's thread: neither waits for the
 * other.
 *
 * The thread touches the file and what it makes of it, never the database or the state: what comes
 * of it is taken by the owner, on whose thread all of these are called. */
#ifndef READER_H
#define READER_H

#include "app/core/cite.h"
#include "app/ingest.h"

typedef struct reader reader;

/* Begins to read spec, as ingest_open does; stdin and terminals, which have another reader, are
 * refused in the end. OX_ENOMEM, OX_EIO, OX_EFAIL: it did not begin. */
int reader_start(const char *spec, reader **out, ox_err *err);
int reader_fd(const reader *r); /* readable once reader_finish need not wait */
void reader_stop(reader *r);    /* ends the converter or the wait; OX_ECANCELLED in the end */
/* Waits for the end and frees r. Hands over the document and an index that borrows in->text.p;
 * both are as they were unless it returns 0. Else errors of ingest_open. in NULL: nobody wants it.
 */
int reader_finish(reader *r, struct ingest *in, cite_index **index, ox_err *err);

#endif
