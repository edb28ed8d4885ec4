/* cuda_fault.h - test hook of the CUDA backend: the n-th kernel launch or device allocation from
 * now on fails as if the device had gone (1 = the next); 0 turns it off. Returns the launches and
 * allocations since the last call, so that a test can walk every failure path. */
#ifndef CUDA_FAULT_H
#define CUDA_FAULT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
uint64_t cuda_fail_at(uint64_t n);
#ifdef __cplusplus
}
#endif

#endif
