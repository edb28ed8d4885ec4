/* outfolder.h - a model folder being written: claimed empty, filled file by file, config.json last,
 * so that a folder left half done is not taken for a model; removed again if it does not get
 * finished. One thread. Failures are OX_EIO and name the file. */
#ifndef OUTFOLDER_H
#define OUTFOLDER_H

#include "engine/folder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outfolder {
    const char *dir;  /* borrowed */
    const char *name; /* of the file that is open */
    int fd;           /* -1: none */
    bool made;        /* the folder itself is ours */
};

/* Makes dir, or takes it if it is empty; OX_EUSAGE when it is not, with the number of files. */
int outfolder_claim(const char *dir, struct outfolder *out, ox_err *err);
/* n_bytes must fit the disk, with something left for the small files: OX_EIO with both numbers. */
int outfolder_check_space(const struct outfolder *f, uint64_t n_bytes, ox_err *err);

int outfolder_open(struct outfolder *f, const char *name, ox_err *err); /* name: static text */
int outfolder_write(struct outfolder *f, const void *bytes, size_t n, uint64_t at, ox_err *err);
/* Brings the file to the disk when rc is 0; returns rc or the failure to do so. */
int outfolder_close(struct outfolder *f, int rc, ox_err *err);

int outfolder_put(struct outfolder *f, const char *name, const void *bytes, size_t n, ox_err *err);
/* Tokenizer, template, generation config and licence, as far as they are there. */
int outfolder_copy(struct outfolder *f, struct folder *from, ox_err *err);

/* Removes what was written, and the folder if it was made here. */
void outfolder_remove(struct outfolder *f);

#endif
