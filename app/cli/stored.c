/* stored.c - see stored.h. */
#include "app/cli/stored.h"

#include "app/clock.h"
#include "app/output.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int64_t SECOND_US = 1000000;

int stored_open(const struct cli *c, bool read_only, store **out, ox_err *err) {
    if (read_only && access(c->conf.db, F_OK) != 0) {
        ox_err_set(err, OX_ENOTFOUND, "no database at %s", c->conf.db);
        return ox_err_fix(err, "the first `oxbow` or `oxbow ask` makes it; --db names another");
    }
    int rc = store_open(c->conf.db, read_only, out, err);
    if (!rc && read_only && store_has_open(*out)) {
        /* Somebody writes just now, or died writing: opening for writing closes what the dead left,
         * so that it is shown as at any other start. */
        store *st = NULL;
        if (store_open(c->conf.db, false, &st, NULL) == 0) {
            store_close(*out);
            *out = st;
        }
    }
    return rc ? ox_err_wrap(err, rc, "open the database") : 0;
}

int stored_find(const struct cli *c, store *st, size_t i, int64_t *chat, ox_err *err) {
    return store_chat_find(st, c->flags.word[i], chat, err);
}

int stored_when(struct buf *out, int64_t at_us, ox_err *err) {
    time_t at = (time_t)(at_us / SECOND_US), now = time(NULL);
    struct tm then, today;
    char text[32];
    if (!localtime_r(&at, &then) || !localtime_r(&now, &today)) return buf_puts(out, "?", err);
    bool same_year = then.tm_year == today.tm_year;
    int days = same_year ? today.tm_yday - then.tm_yday : 999;
    if (days == 0)
        strftime(text, sizeof text, "today %H:%M", &then);
    else if (days == 1)
        return buf_puts(out, "yesterday", err);
    else if (same_year)
        strftime(text, sizeof text, "%e %b", &then);
    else
        strftime(text, sizeof text, "%e %b %Y", &then);
    return buf_puts(out, text + (text[0] == ' '), err);
}

int stored_span(const char *text, const char *flag, int64_t *us, ox_err *err) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'h', 3600}, {'d', 86400}, {'w', 604800}, {'y', 31536000}};
    char *end;
    long n = strtol(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (*text >= '0' && *text <= '9' && n < 100000 && end[0] == units[i].unit && !end[1]) {
            *us = n * units[i].seconds * SECOND_US;
            return 0;
        }
    ox_err_set(err, OX_EUSAGE, "%s: \"%.40s\" is not a time span", flag, text);
    return ox_err_fix(err, "a number and h, d, w or y: 90d");
}

int stored_flush(const struct buf *b, ox_err *err) {
    struct output o = {.fd = STDOUT_FILENO};
    return output_bytes(&o, buf_str(b), b->n, err);
}
