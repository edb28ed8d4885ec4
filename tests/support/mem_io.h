/* mem_io.h - an ox_state_io in memory, with damage on demand: what app/store/states.c promises,
 * small enough to be read at once. Blobs are summed when they are put and checked when they are
 * read; a record is known by its ids and refers to the pages put for it; equal bytes are kept once.
 */
#ifndef MEM_IO_H
#define MEM_IO_H

#include "engine/ox.h"

struct mem_blob {
    unsigned char *p;
    size_t n;
    uint64_t sum[2];
};
struct mem_record {
    int32_t *tok;
    size_t n;
    enum ox_why why;
    size_t state, tail; /* blobs; tail 0: none */
    size_t *page;       /* [n / 256] blobs */
    bool is_gone;
};
struct mem_io {
    struct ox_state_io io; /* hand out &m.io after mem_io_init */
    struct mem_blob *blob; /* blob 0 stands for "none" */
    size_t n_blobs, cap_blobs;
    struct mem_record *record;
    size_t n_records, cap_records;
    /* The timeline whose pages were put last. */
    int32_t *tok;
    size_t *page, n_pages, cap_tok, cap_page, tail, tail_at;

    bool is_own;  /* what is found counts as the own state */
    bool is_busy; /* put skips everything */
    size_t n_puts, n_gets, n_found, n_logged;
    uint64_t n_written; /* bytes of new blobs */
};

void mem_io_init(struct mem_io *m);
void mem_io_deinit(struct mem_io *m);
/* Forgets which pages the engine has put, as a new process would. */
void mem_io_restart(struct mem_io *m);

/* The record at n tokens, or NULL. */
struct mem_record *mem_io_at(struct mem_io *m, size_t n);
/* Flips bits of a blob; resum: and makes the sums right again, as if it had been written so. */
void mem_io_flip(struct mem_io *m, size_t blob, size_t at, unsigned char mask, bool resum);
void mem_io_truncate(struct mem_io *m, size_t blob, size_t n);

#endif
