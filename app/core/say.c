/* say.c - see say.h. */
#include "app/core/say.h"

#include <math.h>
#include <stdio.h>

char *say_count(char out[SAY_BYTES], uint64_t n) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), k = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) out[k++] = ',';
        out[k++] = digits[i];
    }
    out[k] = '\0';
    return out;
}

char *say_short(char out[SAY_BYTES], uint64_t n) {
    if (n < 100)
        snprintf(out, SAY_BYTES, "%u", (unsigned)n);
    else if (n < 999950)
        snprintf(out, SAY_BYTES, "%.1fk", (double)n / 1e3);
    else
        snprintf(out, SAY_BYTES, "%.1fM", (double)n / 1e6);
    return out;
}

char *say_limit(char out[SAY_BYTES], uint64_t n) {
    if (n % 1024 || !n) return say_count(out, n);
    snprintf(out, SAY_BYTES, "%lluk", (unsigned long long)n / 1024);
    return out;
}

char *say_bytes(char out[SAY_BYTES], uint64_t n) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)n;
    int u = 0;
    while (v >= 1023.5 && u < 4) {
        v /= 1024;
        u++;
    }
    snprintf(out, SAY_BYTES, u && v < 9.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return out;
}

char *say_time(char out[SAY_BYTES], double seconds) {
    if (!(seconds > 0)) seconds = 0;
    if (seconds < 9.95)
        snprintf(out, SAY_BYTES, "%.1f s", seconds);
    else if (seconds < 99.5)
        snprintf(out, SAY_BYTES, "%.0f s", seconds);
    else if (seconds < 3599.5) {
        int s = (int)lround(seconds);
        snprintf(out, SAY_BYTES, "%d min %d s", s / 60, s % 60);
    } else {
        long min = lround(seconds / 60);
        snprintf(out, SAY_BYTES, "%ld h %ld min", min / 60, min % 60);
    }
    return out;
}

char *say_price(char out[SAY_PRICE_BYTES], uint64_t n_tokens, double seconds) {
    char n[SAY_BYTES], time[SAY_BYTES];
    int len = snprintf(out, SAY_PRICE_BYTES, "%s token%s must be read again",
                       say_count(n, n_tokens), n_tokens == 1 ? "" : "s");
    if (seconds > 0)
        snprintf(out + len, SAY_PRICE_BYTES - (size_t)len, ", about %s", say_time(time, seconds));
    return out;
}

char *say_cost(char out[SAY_COST_BYTES], const struct chat_ledger *l) {
    char reused[SAY_BYTES], read[SAY_BYTES];
    say_count(read, l->n_in > l->n_reused ? l->n_in - l->n_reused : 0);
    if (l->ran == CHAT_RAN_HERE)
        snprintf(out, SAY_COST_BYTES, "%s reused, %s read%s", say_count(reused, l->n_reused), read,
                 l->exact ? ", exact" : "");
    else
        snprintf(out, SAY_COST_BYTES, "%s%s read, remote, no saved states",
                 l->ran == CHAT_RAN_REMOTE_ABOUT ? "about " : "", read);
    return out;
}

char *say_restart(char out[SAY_PRICE_BYTES], uint64_t n_tokens, double seconds) {
    char n[SAY_BYTES], time[SAY_BYTES];
    if (seconds < 0)
        snprintf(out, SAY_PRICE_BYTES, "remote, no saved states: about %s token%s sent again",
                 say_count(n, n_tokens), n_tokens == 1 ? " is" : "s are");
    else if (n_tokens == 0)
        snprintf(out, SAY_PRICE_BYTES, "nothing is read again");
    else
        snprintf(out, SAY_PRICE_BYTES, "restart %s token%s back, about %s", say_count(n, n_tokens),
                 n_tokens == 1 ? "" : "s", say_time(time, seconds));
    return out;
}

char *say_answers(char out[SAY_PRICE_BYTES], size_t n, uint64_t n_read, double seconds) {
    char read[SAY_BYTES] = "nothing", time[SAY_BYTES];
    if (n_read > 0) say_count(read, n_read);
    snprintf(out, SAY_PRICE_BYTES, "%zu answers, %s%s read again%s%s", n, read,
             n_read == 1  ? " token"
             : n_read > 0 ? " tokens"
                          : "",
             seconds > 0 ? ", about " : "", seconds > 0 ? say_time(time, seconds) : "");
    return out;
}
