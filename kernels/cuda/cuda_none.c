/* cuda_none.c - stands in for the CUDA backend where no CUDA compiler was found. */
#include "kernels/kn.h"

const struct kn_backend *kn_cuda(void) {
    return NULL;
}
