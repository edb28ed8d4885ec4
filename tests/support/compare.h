/* compare.h - error measures, seeded numbers and devices for the kernel tests. Needs no cmocka: a
 * mismatch prints what, the first worst index and both values, and the caller fails the test. */
#ifndef COMPARE_H
#define COMPARE_H

#include "kernels/kn.h"

/* Normalised mean square error: sum (got - want)^2 / sum want^2; NaN in got gives infinity. */
double compare_nmse(const float *got, const double *want, size_t n);
/* Prints and returns false when the NMSE exceeds limit. */
bool compare_close(const char *what, const float *got, const double *want, size_t n, double limit);
/* The same against a given size instead of sum want^2: for sums that may cancel. */
bool compare_close_to(const char *what, const float *got, const double *want, size_t n, double size,
                      double limit);
bool compare_equal(const char *what, const void *got, const void *want, size_t n_bytes);

/* Seeded numbers, the same on every machine. */
struct compare_rng {
    uint64_t s;
};
uint32_t compare_bits(struct compare_rng *r);
float compare_uniform(struct compare_rng *r, float from, float to);
float compare_gauss(struct compare_rng *r); /* mean 0, variance 1, |x| <= 6 */
void compare_fill(struct compare_rng *r, float *x, size_t n, float scale);
/* Not a number in every place, so that an output that was not written shows. */
void compare_poison(float *x, size_t n);

/* A host that claims n_threads and runs the tasks backwards on the caller's thread: whatever
 * depends on the order of tasks or on their number differs from the straight run. */
struct kn_host compare_backward_host(int n_threads);

/* Opens every level this machine has, one after the other: i = 0 is "ref". False when i is past the
 * last; the caller closes the device. */
bool compare_open_level(int i, bool f32_act, const struct kn_host *host, kn_dev **out, char *name,
                        size_t cap);

/* One random matrix in file form of any type, and what it stands for. Owned; see compare_free_part.
 */
struct compare_matrix {
    struct kn_part part;
    float *value; /* [rows,cols], q * scale in f32 */
    void *data, *scale, *zero;
};
bool compare_matrix_new(struct compare_rng *r, enum kn_dtype type, int64_t rows, int64_t cols,
                        int64_t group, bool has_zero, struct compare_matrix *out);
void compare_matrix_free(struct compare_matrix *m);

#endif
