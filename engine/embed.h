/* embed.h - the default model's files, linked into the program by embed.S. Ends with name NULL. */
#ifndef EMBED_H
#define EMBED_H

#include <stddef.h>

struct embed_file {
    const char *name;
    const unsigned char *data; /* 64-byte aligned, followed by a zero byte */
    size_t n_bytes;
};
extern const struct embed_file embed_table[];

#endif
