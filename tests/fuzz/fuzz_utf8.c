/* fuzz_utf8 - any bytes: repaired at once, and fed in pieces whose sizes the bytes decide. Both
 * must give the same well-formed text, and text that was well-formed must stay as it is. */
#include "engine/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *in = (const char *)data;
    char *once = NULL, *fed = NULL;
    size_t n_once = 0, n_fed = 0, cap_once = 0, cap_fed = 0, n_bad = 0;
    if (ox_text_repair(in, n, &once, &n_once, &cap_once, &n_bad, NULL)) abort();
    struct ox_decoder d = {0};
    for (size_t at = 0, step; at < n; at += step) {
        step = 1 + data[at] % 5;
        if (step > n - at) step = n - at;
        if (ox_text_feed(&d, in + at, step, &fed, &n_fed, &cap_fed, NULL)) abort();
        if (d.n_held < 0 || d.n_held > 3) abort();
    }
    if (ox_text_flush(&d, &fed, &n_fed, &cap_fed, NULL)) abort();
    if (n_once != n_fed || (n_once && memcmp(once, fed, n_once) != 0)) abort();
    if (ox_text_whole(once, n_once) != n_once) abort();
    bool was_whole = ox_text_whole(in, n) == n;
    if (was_whole != (n_bad == 0)) abort();
    if (was_whole && (n_once != n || (n && memcmp(once, in, n) != 0))) abort();
    ox_free(once);
    ox_free(fed);
    return 0;
}
