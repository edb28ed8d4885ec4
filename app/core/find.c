/* find.c - see find.h. */
#include "app/core/find.h"

#include "app/core/text.h"

#include <string.h>
#include <utf8proc.h>

static int32_t lower(int32_t c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return utf8proc_tolower(c);
}

/* Bytes of the character that s and words begin with alike; 0: they do not. */
static size_t alike(const char *s, size_t n, const char *words, size_t m) {
    int32_t a = (unsigned char)s[0], b = (unsigned char)words[0];
    if (a < 0x80 || b < 0x80) return lower(a) == lower(b) && a < 0x80 && b < 0x80;
    size_t len = text_next(s, n, &a);
    if (text_next(words, m, &b) != len) return 0;
    bool is_same = memcmp(s, words, len) == 0 || (a >= 0 && b >= 0 && lower(a) == lower(b));
    return is_same ? len : 0;
}

size_t find_words(const char *s, size_t n, size_t from, const char *words) {
    size_t m = strlen(words);
    for (size_t i = from; m > 0 && i + m <= n; i++) {
        size_t k = 0, len;
        while (k < m && (len = alike(s + i + k, n - i - k, words + k, m - k)) > 0)
            k += len;
        if (k == m) return i;
    }
    return SIZE_MAX;
}
