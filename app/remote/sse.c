/* sse.c - see sse.h. */
#include "app/remote/sse.h"

#include <string.h>

static const char BOM[] = "\xEF\xBB\xBF";

static int refuse(ox_err *err) {
    ox_err_set(err, OX_EFORMAT, "the server sent an event of more than %d KiB",
               SSE_MAX_BYTES >> 10);
    return ox_err_fix(err, "is this the address of a chat server? its url in the config ends "
                           "with /v1, as a rule");
}

/* "data: x" or "data:x" or "data". */
static int take_line(struct sse *s, ox_err *err) {
    const char *p = buf_str(&s->line), *end = p + s->line.n;
    if (!s->not_first && s->line.n >= 3 && memcmp(p, BOM, 3) == 0) p += 3;
    s->not_first = true;
    size_t n = (size_t)(end - p);
    const char *colon = memchr(p, ':', n);
    size_t n_name = colon ? (size_t)(colon - p) : n;
    if (n_name != 4 || memcmp(p, "data", 4) != 0) return 0;
    const char *value = colon ? colon + 1 : end;
    if (value < end && *value == ' ') value++;
    int rc = s->has_data ? buf_putc(&s->data, '\n', err) : 0;
    s->has_data = true;
    if (!rc && s->data.n + (size_t)(end - value) > SSE_MAX_BYTES) return refuse(err);
    return rc ? rc : buf_add(&s->data, value, (size_t)(end - value), err);
}

static int end_line(struct sse *s, sse_event *event, void *user, ox_err *err) {
    int rc = 0;
    if (s->line.n > 0) {
        rc = take_line(s, err);
        buf_cut(&s->line, 0);
        return rc;
    }
    s->not_first = true;
    if (s->has_data) {
        s->n_events++;
        rc = event(user, buf_str(&s->data), s->data.n, err);
    }
    s->has_data = false;
    buf_cut(&s->data, 0);
    return rc;
}

int sse_feed(struct sse *s, const char *p, size_t n, sse_event *event, void *user, ox_err *err) {
    const char *end = p + n;
    int rc = 0;
    while (!rc && p < end) {
        if (s->after_cr && *p == '\n') p++;
        s->after_cr = false;
        const char *q = p;
        while (q < end && *q != '\n' && *q != '\r')
            q++;
        if (s->line.n + (size_t)(q - p) > SSE_MAX_BYTES) return refuse(err);
        rc = buf_add(&s->line, p, (size_t)(q - p), err);
        if (rc || q == end) break;
        s->after_cr = *q == '\r';
        rc = end_line(s, event, user, err);
        p = q + 1;
    }
    return rc;
}

void sse_deinit(struct sse *s) {
    buf_deinit(&s->line);
    buf_deinit(&s->data);
    *s = (struct sse){0};
}
