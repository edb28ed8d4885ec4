/* eta.c - see eta.h. */
#include "app/core/eta.h"

#include <stdbool.h>

/* Tokens: what was seen over a stretch of 3.5 times as many counts as much as what is expected. The
 * expected ratio is right to a third; a program that begins to compute beside this one looks like a
 * slope for longer than one would think. Tried on two recorded runs of 60,000 tokens, one of them
 * beside a test suite: PERF.md. */
static const double TRUST = 8000;

void eta_start(struct eta *e, size_t at, double now, double deepening) {
    *e = (struct eta){.at = at, .seconds = now, .deepening = deepening};
}

void eta_add(struct eta *e, size_t at, double now) {
    if (at <= e->at || now <= e->seconds) return;
    double x = (double)(at - e->at), t = now - e->seconds;
    double y = x * ((double)at + (double)e->at) / 2; /* sum of the positions */
    bool is_first = e->n_tokens <= 0;
    e->n_tokens += x;
    e->spent += t;
    e->at = at;
    e->seconds = now;
    if (is_first) return;
    const double fade = 0.98; /* other programs come and go */
    e->xx = fade * e->xx + x * x;
    e->xy = fade * e->xy + x * y;
    e->yy = fade * e->yy + y * y;
    e->xt = fade * e->xt + x * t;
    e->yt = fade * e->yt + y * t;
}

/* The first chunk alone: its time at the ratio expected. */
static void guess(const struct eta *e, double *a, double *b) {
    double middle = (double)e->at - e->n_tokens / 2;
    *a = e->spent / (e->n_tokens * (1 + e->deepening * middle));
    *b = *a * e->deepening;
}

/* Least squares of t = a x + b y and of 0 = weight (b - g a). */
static void fit(const struct eta *e, double *a, double *b) {
    double g = e->deepening, weight = TRUST * TRUST * e->xx;
    double xx = e->xx + weight * g * g, xy = e->xy - weight * g, yy = e->yy + weight;
    double det = xx * yy - xy * xy;
    *a = (yy * e->xt - xy * e->yt) / det;
    *b = (xx * e->yt - xy * e->xt) / det;
    if (*b < 0) { /* noise: deeper is never cheaper */
        *b = 0;
        *a = e->xt / e->xx;
    }
    if (*a < 0) {
        *a = 0;
        *b = e->yt / e->yy;
    }
}

double eta_left(const struct eta *e, size_t to) {
    double a, b;
    if (e->n_tokens <= 0) return -1;
    if (to <= e->at) return 0;
    if (e->xx <= 0)
        guess(e, &a, &b);
    else
        fit(e, &a, &b);
    double x = (double)(to - e->at), y = x * ((double)to + (double)e->at) / 2;
    return a * x + b * y;
}

double eta_rate(const struct eta *e) {
    return e->spent > 0 ? e->n_tokens / e->spent : 0;
}
