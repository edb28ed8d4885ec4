/* text.c - see text.h. Apart from the tokenizer, because a token may end in the middle of a
 * character and only the next one tells whether the bytes make sense. */
#include "engine/text.h"

#include <stdbool.h>
#include <string.h>

enum { REPLACEMENT_BYTES = 3 };
static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* What may follow a lead byte: the range of the second byte carries all special cases of table 3-7
 * (overlong forms, surrogates, the end of the code space); later bytes are 80..BF. */
struct lead {
    unsigned char length, low, high; /* length 0: can never start a character */
};

static struct lead lead_of(unsigned char b) {
    if (b < 0x80) return (struct lead){1, 0, 0};
    if (b < 0xc2) return (struct lead){0, 0, 0};
    if (b < 0xe0) return (struct lead){2, 0x80, 0xbf};
    if (b < 0xf0) return (struct lead){3, b == 0xe0 ? 0xa0 : 0x80, b == 0xed ? 0x9f : 0xbf};
    if (b < 0xf5) return (struct lead){4, b == 0xf0 ? 0x90 : 0x80, b == 0xf4 ? 0x8f : 0xbf};
    return (struct lead){0, 0, 0};
}

/* Looks at the character that starts at s[0], n >= 1. Returns its length; 0 if all n bytes are a
 * well-formed beginning that wants more; -k if the first k bytes are a maximal ill-formed subpart.
 */
static int look(const unsigned char *s, size_t n) {
    struct lead lead = lead_of(s[0]);
    if (!lead.length) return -1;
    for (int i = 1; i < lead.length; i++) {
        if ((size_t)i == n) return 0;
        unsigned char low = i == 1 ? lead.low : 0x80, high = i == 1 ? lead.high : 0xbf;
        if (s[i] < low || s[i] > high) return -i;
    }
    return lead.length;
}

int ox_text_look(const char *bytes, size_t n) {
    return look((const unsigned char *)bytes, n);
}

size_t ox_text_whole(const char *bytes, size_t n) {
    const unsigned char *s = (const unsigned char *)bytes;
    size_t at = 0;
    while (at < n) {
        uint64_t eight;
        if (n - at >= sizeof eight) { /* ASCII is most of what is read: eight bytes a step */
            memcpy(&eight, s + at, sizeof eight);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                at += sizeof eight;
                continue;
            }
        }
        int length = look(s + at, n - at);
        if (length <= 0) return at;
        at += (size_t)length;
    }
    return at;
}

static void put(char *out, size_t *n_out, const void *bytes, size_t n) {
    if (n) memcpy(out + *n_out, bytes, n);
    *n_out += n;
}

/* Takes finished characters and ill-formed parts off the front of d->held. Writes to out, which has
 * room for 3 bytes a held byte. */
static void settle_held(struct ox_decoder *d, char *out, size_t *n_out) {
    while (d->n_held) {
        int length = look(d->held, (size_t)d->n_held);
        if (!length) return;
        int used = length > 0 ? length : -length;
        if (length > 0)
            put(out, n_out, d->held, (size_t)length);
        else
            put(out, n_out, replacement, REPLACEMENT_BYTES);
        d->n_held -= used;
        memmove(d->held, d->held + used, (size_t)d->n_held);
    }
}

int ox_text_feed(struct ox_decoder *d, const char *bytes, size_t n, char **out, size_t *n_out,
                 size_t *cap, ox_err *err) {
    if (n > SIZE_MAX / 8 || *n_out > SIZE_MAX / 8)
        return ox_err_set(err, OX_ENOMEM, "no memory for %zu bytes of text", n);
    /* At worst every byte is an ill-formed part of its own. Room first: no failure half-way. */
    size_t most = *n_out + (n + sizeof d->held) * REPLACEMENT_BYTES;
    int rc = ox_grow(out, cap, most, 1, err);
    if (rc) return rc;
    size_t at = 0;
    while (at < n) {
        if (!d->n_held) {
            size_t good = ox_text_whole(bytes + at, n - at);
            put(*out, n_out, bytes + at, good);
            at += good;
            if (at == n) break;
        }
        d->held[d->n_held++] = (unsigned char)bytes[at++];
        settle_held(d, *out, n_out);
    }
    return 0;
}

int ox_text_flush(struct ox_decoder *d, char **out, size_t *n_out, size_t *cap, ox_err *err) {
    if (!d->n_held) return 0;
    int rc = ox_grow(out, cap, *n_out + REPLACEMENT_BYTES, 1, err);
    if (rc) return rc;
    put(*out, n_out, replacement, REPLACEMENT_BYTES);
    d->n_held = 0;
    return 0;
}

int ox_text_repair(const char *bytes, size_t n, char **out, size_t *n_out, size_t *cap,
                   size_t *n_bad, ox_err *err) {
    size_t n_before = *n_out, bad = 0, at = 0;
    while (at < n) {
        size_t good = ox_text_whole(bytes + at, n - at);
        int rc = ox_grow(out, cap, *n_out + good + REPLACEMENT_BYTES, 1, err);
        if (rc) {
            *n_out = n_before;
            return rc;
        }
        put(*out, n_out, bytes + at, good);
        at += good;
        if (at == n) break;
        int length = look((const unsigned char *)bytes + at, n - at);
        put(*out, n_out, replacement, REPLACEMENT_BYTES);
        at = length ? at + (size_t)-length : n; /* 0: the text ends inside a character */
        bad++;
    }
    if (n_bad) *n_bad = bad;
    return 0;
}
