/* remote.h - jobs on an OpenAI-compatible server: the other half of worker.h, beside
 * worker_local.h. Everything here runs on the engine thread.
 *
 * What a server cannot give is said, never made up: there are no ids and no saved states (news have
 * no tokens; of ENCODE only tok.n counts, an estimate, and tok.v is NULL), a plan has counts that
 * are estimates and time_s -1, an answer cannot be written on (OX_EUSAGE). The ledger of an answer
 * has the server's own counts if it tells them. Sampling below 0 is left to the server. */
#ifndef REMOTE_H
#define REMOTE_H

#include "app/worker.h"

struct remote;

int remote_open(struct remote **out, ox_err *err); /* no socket, no library is started */
void remote_close(struct remote *r);               /* NULL is fine */
/* Runs one job to its last news. A LOAD takes the server of the job over; it opens no socket. */
void remote_run(struct remote *r, struct work *job, const struct worker_post *post);
void remote_unload(struct remote *r);
const struct ox_info *remote_info(const struct remote *r); /* NULL: no server is in use */

#endif
