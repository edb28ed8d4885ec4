/* rates.h - what this machine can do at most, measured in the process that prints the percentages:
 * read bandwidth, peak rates of the three product instructions, cost of one parallel section. */
#ifndef RATES_H
#define RATES_H

#include "kernels/kn.h"

#include <immintrin.h>
#include <string.h>
#include <time.h>

struct rates {
    double read_bytes[2];   /* bytes a second: one thread, all threads */
    double vnni, bf16, fma; /* operations a second of one thread; 0: not supported */
    double section_s;       /* one empty parallel section */
};

static double rates_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct read_job {
    const char *p;
    size_t n;
    int n_tasks;
    uint64_t sink[64];
};

/* A sum over whole lines, left to the processor's prefetcher: what a product that streams its
 * weights can get. */
__attribute__((target("avx2"))) static void read_share(void *arg, int i) {
    struct read_job *j = arg;
    size_t n = j->n / (size_t)j->n_tasks;
    const char *p = j->p + n * (size_t)i;
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t at = 0; at + 128 <= n; at += 128) {
        a = _mm256_xor_si256(a, _mm256_loadu_si256((const __m256i *)(p + at)));
        b = _mm256_xor_si256(b, _mm256_loadu_si256((const __m256i *)(p + at + 32)));
        c = _mm256_xor_si256(c, _mm256_loadu_si256((const __m256i *)(p + at + 64)));
        d = _mm256_xor_si256(d, _mm256_loadu_si256((const __m256i *)(p + at + 96)));
    }
    a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    j->sink[i] = (uint64_t)_mm256_extract_epi64(a, 0);
}

/* Twelve independent chains of one instruction hide its latency; inline assembly keeps the compiler
 * from folding them. */
#define RATE_LOOP(insn)                                                                            \
    __asm__ volatile(insn " %%zmm30, %%zmm31, %%zmm0\n" insn " %%zmm30, %%zmm31, %%zmm1\n" insn    \
                          " %%zmm30, %%zmm31, %%zmm2\n" insn " %%zmm30, %%zmm31, %%zmm3\n" insn    \
                          " %%zmm30, %%zmm31, %%zmm4\n" insn " %%zmm30, %%zmm31, %%zmm5\n" insn    \
                          " %%zmm30, %%zmm31, %%zmm6\n" insn " %%zmm30, %%zmm31, %%zmm7\n" insn    \
                          " %%zmm30, %%zmm31, %%zmm8\n" insn " %%zmm30, %%zmm31, %%zmm9\n" insn    \
                          " %%zmm30, %%zmm31, %%zmm10\n" insn " %%zmm30, %%zmm31, %%zmm11\n" ::    \
                              : "memory")

static double rate_of(int which, double ops) {
    enum { LOOPS = 200000 };
    double best = 1e9;
    __asm__ volatile("vpxorq %%zmm30, %%zmm30, %%zmm30\nvpxorq %%zmm31, %%zmm31, %%zmm31\n" ::
                         : "memory");
    for (int run = 0; run < 20; run++) {
        double t = rates_now();
        for (int i = 0; i < LOOPS; i++) {
            if (which == 0) RATE_LOOP("vpdpbusd");
            if (which == 1) RATE_LOOP("vdpbf16ps");
            if (which == 2) RATE_LOOP("vfmadd231ps");
        }
        t = rates_now() - t;
        if (t < best) best = t;
    }
    return 12.0 * LOOPS * ops / best;
}

static void rates_nothing(void *arg, int i) {
    (void)arg;
    (void)i;
}

static void rates_measure(struct rates *r, const struct kn_host *host, void *block, size_t n) {
    memset(block, 1, n);
    for (int all = 0; all < 2; all++) {
        struct read_job j = {.p = block, .n = n, .n_tasks = all ? host->n_threads : 1};
        double best = 1e9;
        for (int run = 0; run < 8; run++) {
            double t = rates_now();
            host->parallel(host->user, j.n_tasks, read_share, &j);
            t = rates_now() - t;
            if (t < best) best = t;
        }
        r->read_bytes[all] = (double)n / best;
    }
    bool has512 = __builtin_cpu_supports("avx512f");
    r->vnni = has512 && __builtin_cpu_supports("avx512vnni") ? rate_of(0, 128.0) : 0.0;
    r->bf16 = has512 && __builtin_cpu_supports("avx512bf16") ? rate_of(1, 64.0) : 0.0;
    r->fma = has512 ? rate_of(2, 32.0) : 0.0;
    double best = 1e9;
    for (int run = 0; run < 50; run++) {
        double t = rates_now();
        for (int i = 0; i < 200; i++)
            host->parallel(host->user, host->n_threads, rates_nothing, NULL);
        t = (rates_now() - t) / 200.0;
        if (t < best) best = t;
    }
    r->section_s = best;
}

#endif
