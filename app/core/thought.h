/* thought.h - the answers of a Think model begin inside <think>; this splits thought from answer
 * while both stream in. Pure. {0} passes everything on as answer. */
#ifndef THOUGHT_H
#define THOUGHT_H

#include "app/core/buf.h"

struct thought {
    bool inside;   /* set it before the first piece if the model thinks */
    bool trims;    /* line feeds right behind the end mark are layout, not answer */
    size_t n_held; /* bytes of "</think>" that may be its beginning */
};
/* Appends what became certain to either buffer. */
int thought_feed(struct thought *t, const char *s, size_t n, struct buf *thoughts,
                 struct buf *answer, ox_err *err);
/* No more will come: held bytes were thought. */
int thought_end(struct thought *t, struct buf *thoughts, ox_err *err);

#endif
