/* faulty.c - linked into oxbow_faulty, the program itself with the fault hook of the CUDA backend
 * at hand: OXBOW_FAULT_AT=N lets the N-th kernel launch or device allocation of the process fail,
 * OXBOW_FAULT_COUNT=FILE writes how many there were. The program that people run has no such door.
 */
#include "kernels/cuda/cuda_fault.h"

#include <stdio.h>
#include <stdlib.h>

__attribute__((constructor)) static void set_fault(void) {
    const char *at = getenv("OXBOW_FAULT_AT");
    if (at) cuda_fail_at(strtoull(at, NULL, 10));
}

__attribute__((destructor)) static void tell_count(void) {
    const char *path = getenv("OXBOW_FAULT_COUNT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f) return;
    fprintf(f, "%llu\n", (unsigned long long)cuda_fail_at(0));
    fclose(f);
}
