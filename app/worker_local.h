/* worker_local.h - jobs on the embedded engine. Everything here runs on the engine thread but
 * local_interrupt. */
#ifndef WORKER_LOCAL_H
#define WORKER_LOCAL_H

#include "app/worker.h"

struct local;

/* Copies the options; loads nothing. */
int local_open(const struct worker_opts *opts, struct local **out, ox_err *err);
void local_close(struct local *l); /* NULL is fine */
void local_unload(struct local *l);
/* Runs one job to its last news. The job stays the caller's. */
void local_run(struct local *l, struct work *job, const struct worker_post *post);
/* Between jobs: what is left to do for saved states. True: again soon. */
bool local_idle(struct local *l);
const struct ox_info *local_info(const struct local *l); /* NULL: nothing is loaded */
void local_interrupt(struct local *l);                   /* [any] async-signal-safe */

#endif
