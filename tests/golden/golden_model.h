/* golden_model.h - holds a model folder against its golden.safetensors: logits, hidden values,
 * states, best ids and greedy runs made by another implementation. Keys: tests/golden/README.md and
 * engine/default/README.md. Shared by golden_check and the tests beside it. */
#ifndef GOLDEN_MODEL_H
#define GOLDEN_MODEL_H

#include "engine/session.h"

#include <stdio.h>

/* Limits of a 16-bit path for one sequence: twice the reference's own 16-bit error. */
struct golden_limit {
    const char *n; /* N of ids.N */
    double max_abs, rms;
};
struct golden_opts {
    const char *folder;                  /* NULL: the default model */
    const struct ox_engine_opts *engine; /* model_dir is set by golden_run */
    const struct kn_backend *kn; /* NULL: as engine->backend says; else opened with `which` */
    const char *which;
    size_t max_n; /* longer sequences are left out; 0: none are */
    /* 16-bit paths: limits of logits; of states (absolute); hidden values are not judged. With
     * n_limits 0 the f32 limits hold. */
    const struct golden_limit *limits;
    size_t n_limits;
    double state_limit;
    bool no_greedy; /* leave the greedy runs out: slow on the oracle */
    FILE *to;       /* one line a key; NULL: only failures, on stderr */
};
struct golden_report {
    size_t n_keys, n_failed, n_left_out;
    char backend[48];
};

/* 0 also when keys failed: they are counted. Errors are those of opening, reading and computing. */
int golden_run(const struct golden_opts *o, struct golden_report *out, ox_err *err);

/* The golden tensors of a folder (NULL: the default model); ids by name, borrowed from the set. */
struct golden_set {
    struct folder *folder;
    struct st_set tensors;
};
int golden_open(const char *folder, struct golden_set *out, ox_err *err);
void golden_close(struct golden_set *g);
/* The i32 tensor `name` as a prefix; its data must be aligned, which golden files are. n 0: none.
 */
struct ox_prefix golden_ids(const struct golden_set *g, const char *name);

#endif
