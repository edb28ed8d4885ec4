/* draft.h - a model folder in memory that a test may change before it is written to a temporary
 * folder: config, generation config, safetensors header and data of a golden folder with one file.
 * Failures of the system end the test program: a test that cannot set its scene has no result. */
#ifndef DRAFT_H
#define DRAFT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct draft {
    json_t *config, *generation, *header;
    unsigned char *data;
    size_t n_data;
    char dir[96]; /* made by draft_write */
    /* What is written in place of the parts above, for faults that JSON cannot express. */
    const char *raw_config;
    const char *raw_header;
    uint64_t header_length; /* 0: the true one */
    int64_t n_more;         /* bytes added behind the data; negative: cut off */
    bool no_weights;        /* leave model.safetensors out */
};

void draft_read(struct draft *d, const char *golden_name); /* "tiny-f16" */
/* Merges a JSON object into one of the parts, members of members too; NULL: nothing. */
void draft_patch(json_t *part, const char *patch);
void draft_rename(struct draft *d, const char *from, const char *to); /* a tensor */
/* Appends a tensor with the given bytes. */
void draft_add(struct draft *d, const char *name, const char *dtype, const char *shape,
               const void *bytes, size_t n);
void draft_write(struct draft *d);
void draft_put_file(const struct draft *d, const char *name, const void *bytes, size_t n);
void draft_remove(struct draft *d); /* the folder and the memory */

#endif
