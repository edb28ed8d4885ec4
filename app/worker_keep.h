/* worker_keep.h - saved states on the engine thread: opened with the model, told whose state is
 * wanted, given the end of each turn. Without a cache every call does nothing. */
#ifndef WORKER_KEEP_H
#define WORKER_KEEP_H

#include "app/worker.h"

struct keep;

/* Copies the options; opens nothing. */
int keep_open(const struct worker_opts *opts, struct keep **out, ox_err *err);
void keep_close(struct keep *k); /* waits for what is on its way to disk; NULL is fine */
/* After each load. A cache that cannot be opened is noted in the log and is as if there was none.
 */
void keep_model(struct keep *k, const struct ox_info *info);
/* What a token at position 0 took when it was last measured, in seconds; 0: not known. */
double keep_known_speed(const struct keep *k);
/* What the engine gets for this job: NULL if nothing is kept. */
const struct ox_state_io *keep_io(struct keep *k, const struct work *job);
/* Prefill as measured, for what a record is worth and for the estimates of the next process. */
void keep_speed(struct keep *k, const struct chat_ledger *l, double deepening);
/* After each chunk and each token, and while idle as long as it says true: what was saved since can
 * be found, also after a kill. */
bool keep_settle(struct keep *k);
/* Saves the end of a turn: closed as the template wants it, or where it was stopped. */
void keep_turn(struct keep *k, const ox_engine *e, ox_session *s, const struct work *job,
               enum chat_end end, size_t n_prompt);
/* WORK_AHEAD. Nothing is read before the model is loaded, nothing is told if it fails. */
void keep_ahead(struct keep *k, const struct work *job);
/* WORK_STATES: "pin UID", "unpin UID" (with chat_uid and its path), "drop UID", "thin UID". */
int keep_order(struct keep *k, const struct work *job, ox_err *err);

#endif
