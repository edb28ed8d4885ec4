/* pool.h - worker threads lent to the CPU backend: parked when idle, static split of the work, so
 * that no result depends on how many there are. The caller's thread works too. */
#ifndef POOL_H
#define POOL_H

#include "kernels/kn.h"

typedef struct pool pool;

int pool_open(int n_threads, pool **out, ox_err *err); /* 0: cores_usable() */
void pool_close(pool *p);                              /* NULL is fine */
const struct kn_host *pool_host(const pool *p);        /* borrowed until close */

#endif
