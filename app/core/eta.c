/* eta.c - see eta.h. */
#include "app/core/eta.h"

enum { ENOUGH = 8 }; /* samples before two numbers are fitted: the slope of a few is noise */

void eta_start(struct eta *e, size_t at, double now) {
    *e = (struct eta){.at = at, .seconds = now};
}

void eta_add(struct eta *e, size_t at, double now) {
    if (at <= e->at || now <= e->seconds) return;
    double x = (double)(at - e->at), t = now - e->seconds;
    double y = x * ((double)at + (double)e->at) / 2; /* sum of the positions */
    const double fade = 0.98;                        /* other programs come and go */
    e->xx = fade * e->xx + x * x;
    e->xy = fade * e->xy + x * y;
    e->yy = fade * e->yy + y * y;
    e->xt = fade * e->xt + x * t;
    e->yt = fade * e->yt + y * t;
    e->n_tokens += x;
    e->spent += t;
    e->n_samples++;
    e->at = at;
    e->seconds = now;
}

double eta_left(const struct eta *e, size_t to) {
    if (e->n_tokens <= 0) return -1;
    if (to <= e->at) return 0;
    double x = (double)(to - e->at), y = x * ((double)to + (double)e->at) / 2;
    double det = e->xx * e->yy - e->xy * e->xy;
    double a = e->xt / e->xx, b = 0; /* all cost on the tokens, none on the depth */
    if (e->n_samples >= ENOUGH && det > 1e-9 * e->xx * e->yy) {
        b = (e->xx * e->yt - e->xy * e->xt) / det;
        a = (e->yy * e->xt - e->xy * e->yt) / det;
    }
    if (b < 0) { /* noise: deeper is never cheaper */
        b = 0;
        a = e->xt / e->xx;
    }
    if (a < 0) {
        a = 0;
        b = e->yt / e->yy;
    }
    return a * x + b * y;
}

double eta_rate(const struct eta *e) {
    return e->spent > 0 ? e->n_tokens / e->spent : 0;
}
