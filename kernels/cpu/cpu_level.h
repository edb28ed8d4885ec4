/* cpu_level.h - the vector levels that this build knows, best last. */
#ifndef CPU_LEVEL_H
#define CPU_LEVEL_H

#include "kernels/cpu/cpu.h"

/* [n] in rising order of speed; the first is "ref" and always supported. */
const struct cpu_level *cpu_levels(int *n);
/* Brand string of the processor, or "CPU". */
void cpu_brand(char *out, size_t cap);

#endif
