/* safetensors.h - tensors of one model folder, by name, from one file or from shards with an index.
 * Headers are checked completely before any tensor is given out; see docs/MODEL.md section 2.2 for
 * what is refused. Data stays in the mapped files. Reading from any thread. */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "engine/folder.h"
#include "kernels/kn.h"

#include <stdint.h>

enum st_type { ST_NONE, ST_F32, ST_F16, ST_BF16, ST_I32, ST_I64, ST_I8, ST_U8, ST_OTHER };

struct st_tensor {
    const char *name;
    enum st_type type;
    int n_dims;
    int64_t dim[8];
    const unsigned char *data; /* maybe unaligned */
    size_t n_bytes;
    const char *file;
};
struct st_set {
    struct st_tensor *v; /* sorted by name */
    size_t n;
    void *own;           /* what the names and the list live in */
    const struct folder *home; /* where the data stands; NULL: in the bytes st_read was given */
};

int st_open(struct folder *f, struct st_set *out, ox_err *err);        /* the model's tensors */
int st_read(const unsigned char *file, size_t n_bytes, const char *name, struct st_set *out,
            ox_err *err);                                              /* one file, e.g. goldens */
void st_close(struct st_set *s);
const struct st_tensor *st_find(const struct st_set *s, const char *name); /* or NULL */
const char *st_type_name(enum st_type t);

/* Element i as f32, from F32, F16 or BF16. */
float st_f32(const struct st_tensor *t, size_t i);

#endif
