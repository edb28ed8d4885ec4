/* layout.h - a safetensors file that is about to be written: which tensors of which type, at which
 * place, and the quantization_config that goes with them. Pure; nothing is written here. */
#ifndef LAYOUT_H
#define LAYOUT_H

#include "engine/weights.h"

#include <jansson.h>

/* The matrices that may be quantised, by the tail of their names; lm_head is the last. */
enum { LAYOUT_HEAD = 12, LAYOUT_KINDS };
extern const char *const layout_kinds[LAYOUT_KINDS];
/* Kind of "model.layers.3.mlp.up_proj.weight", or -1: embedding, a_proj, b_proj, small tensors. */
int layout_kind(const char *name);

struct layout_scheme {
    int bits, group; /* bits 0: left alone; group 0: one scale a row */
};

enum layout_role { LAYOUT_PLAIN, LAYOUT_TAPS, LAYOUT_PACKED, LAYOUT_SCALE, LAYOUT_SHAPE };
struct layout_entry {
    char name[128];
    enum layout_role role;
    size_t located; /* index of the tensor that it is made from; of q for the taps */
    const char *type;
    int n_dims;
    int64_t dim[4];
    uint64_t size, offset, n_bytes; /* bytes of an element; place in the data */
};
struct layout { /* {0} is empty */
    struct layout_scheme scheme[LAYOUT_KINDS];
    struct layout_entry *v; /* wide elements first: all aligned when the header is */
    size_t n, cap;
    uint64_t n_data;
};

/* bits 16: everything as it is; 8: one scale a row; 4: group 64, or 32 where 64 does not divide
 * every width, and 8 bits a row where 32 does not. has_head: lm_head in 8 bits. The convolutions of
 * a layer become one tensor. list[i].t gives the types of what is not quantised; NULL: bf16. */
int layout_make(const struct ox_located *list, size_t n, int bits, bool has_head,
                struct layout *out, ox_err *err);
void layout_deinit(struct layout *l);

/* The entry of one role made from list[located], or NULL. */
const struct layout_entry *layout_find(const struct layout *l, size_t located,
                                       enum layout_role role);

/* All bytes in front of the data: length, JSON, spaces up to a multiple of 8. Owned (ox_free). */
char *layout_header(const struct layout *l, size_t *n, ox_err *err);
/* The object for config.json; NULL if nothing is quantised. Owned. */
json_t *layout_config(const struct layout *l);

#endif
