/* session.h - a timeline as the engine's own files and their tests see it. ox.h says what it does.
 *
 * Invariants between calls: tok[0, n_fed) went through the model, and states, logits and the first
 * n_fed KV rows in the cache are those behind tok[n_fed - 1]; n is n_fed, or n_fed + 1 when the
 * token drawn last has not been fed yet (it may turn out not to be wanted). Chunks end at absolute
 * multiples of facts.chunk_tokens, at the caller's borders and on the grid, whether or not anything
 * is stored: so results do not depend on what is. Same thread as the engine's device. */
#ifndef SESSION_H
#define SESSION_H

#include "engine/engine.h"
#include "engine/forward.h"
#include "engine/saver.h"

enum { SESSION_GRID = 4096 }; /* tokens between grid snapshots, docs/STORE.md section 6 */

struct ox_session {
    ox_engine *engine;
    struct cache cache;
    struct forward forward;
    struct trace trace;
    struct saver saver;
    int32_t *tok; /* [max_tokens] */
    size_t n, n_fed, max;
    atomic_bool cancel;
};

/* Feeds the drawn token that has not been fed; nothing to do is fine. */
int session_settle(ox_session *s, ox_err *err);
/* Nothing of the timeline can be trusted any more; the next sync begins at 0. */
void session_lose(ox_session *s);

/* Tokens that went through the model since the session was opened. */
uint64_t session_n_forward(const ox_session *s);
/* Listens to the residual stream from now on; NULL stops. */
void session_listen(ox_session *s, const struct trace *t);

/* Computes `want` from position 0 in the chunks of a sync and hands over the logits of every row:
 * n rows [n,V] f32 of positions first.., borrowed. Afterwards want is the timeline. For the judge
 * of exactness and for perplexity; slow. Non-zero from rows stops with that code. */
int session_score(ox_session *s, struct ox_prefix want,
                  int (*rows)(void *user, size_t first, const float *logits, size_t n), void *user,
                  ox_err *err);

/* Parts of the live state as f32 in host memory, for tests and golden_check. i counts layers of the
 * kind. Shapes: state [Hv,Dv,Dk]; conv [W-1,channels]; k, v [Hkv,n_fed,Dh]; logits [V]. */
int session_read_state(ox_session *s, int32_t i, float *out, ox_err *err);
int session_read_conv(ox_session *s, int32_t i, float *out, ox_err *err);
int session_read_kv(ox_session *s, int32_t i, float *k, float *v, ox_err *err); /* f32 KV only */
int session_read_logits(ox_session *s, float *out, ox_err *err);

#endif
