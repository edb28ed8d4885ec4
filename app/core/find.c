/* find.c - see find.h. */
#include "app/core/find.h"

#include <string.h>

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

size_t find_words(const char *s, size_t n, size_t from, const char *words) {
    size_t m = strlen(words);
    for (size_t i = from; m > 0 && i + m <= n; i++) {
        size_t k = 0;
        while (k < m && lower(s[i + k]) == lower(words[k]))
            k++;
        if (k == m) return i;
    }
    return SIZE_MAX;
}
