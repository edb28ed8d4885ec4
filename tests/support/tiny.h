/* tiny.h - a golden folder opened for a test: engine, session, ids, and a digest of everything that
 * a timeline consists of, so that two runs can be compared bit for bit. */
#ifndef TINY_H
#define TINY_H

#include "engine/session.h"

struct tiny {
    ox_engine *e;
    ox_session *s;
};
/* A folder of tests/golden. kn NULL: opts->backend (default cpu, f32 activations). Fails the test.
 */
void tiny_open(struct tiny *t, const char *folder, const struct ox_engine_opts *opts,
               const struct kn_backend *kn);
void tiny_close(struct tiny *t);
/* Is there a GPU to test on? If not, says SKIP; with OXBOW_TEST_REQUIRE=cuda that fails the test. */
bool tiny_has_cuda(void);
void tiny_new_session(struct tiny *t); /* as after a new start of the program */

/* n ids below 488 (no specials) from a seed, into tok. */
void tiny_ids(int32_t *tok, size_t n, uint32_t seed);
/* Extends the timeline to exactly tok[0,n) without store and borders; fails the test on an error.
 */
void tiny_sync(struct tiny *t, const int32_t *tok, size_t n);
/* Draws n tokens at temperature 1 with a seed; stop ids are drawn over and never appended. Returns
 * how many were appended. */
size_t tiny_draw(struct tiny *t, size_t n, uint64_t seed);

/* Ids, states, logits and the KV rows of every position: one number for all of it. */
struct ox_key tiny_digest(struct tiny *t);
void tiny_same(const struct ox_key *a, const struct ox_key *b, const char *what, size_t n);

#endif
