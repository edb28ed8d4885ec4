/* eta.h - how long the rest of a prefill takes, from what was measured so far. Pure.
 *
 * A token at position p costs a + b p: the weights and the delta rule cost the same everywhere,
 * attention costs more the more lies before it. Both numbers are fitted (least squares over the
 * chunks seen, older ones fading), so the estimate holds at the depth it is asked for. Chunks close
 * together do not tell b from noise: until they are far apart, the ratio b / a that the engine
 * expects has its say too (ridge regression towards it). The first chunk, in which
 * a state is loaded and memory is touched, counts only until there is a second one. */
#ifndef ETA_H
#define ETA_H

#include <stddef.h>

struct eta {
    double deepening;          /* b / a as expected */
    size_t at;                 /* tokens done at the last sample */
    double seconds;            /* clock at the last sample */
    double xx, xy, yy, xt, yt; /* normal equations of t = a x + b y */
    double n_tokens, spent;    /* measured so far: for the plain rate */
};
/* deepening: ox_plan.deepening, a positive number decides the first seconds; 0: not expected. */
void eta_start(struct eta *e, size_t at, double now, double deepening);
void eta_add(struct eta *e, size_t at, double now); /* `at` tokens are done at this time */
/* Seconds from `at` to `to`; < 0 while nothing was measured. */
double eta_left(const struct eta *e, size_t to);
double eta_rate(const struct eta *e); /* tokens a second so far; 0 while nothing was measured */

#endif
