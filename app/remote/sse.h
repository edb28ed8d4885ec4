/* sse.h - server-sent events from bytes as they come: the `data` of each event, whole.
 *
 * Source: the WHATWG HTML standard, section 9.2 "Server-sent events": lines end with LF, CR or
 * CRLF, a blank line ends an event, lines of `data` are joined by LF, a line that begins with a
 * colon is a comment, a byte-order mark at the start is skipped, an event that the stream cuts off
 * is dropped. Other fields (event, id, retry) carry nothing for us. How the bytes are cut into
 * calls makes no difference. Pure; one caller at a time; {0} is a fresh parser. */
#ifndef REMOTE_SSE_H
#define REMOTE_SSE_H

#include "app/core/buf.h"

/* A delta of a chat has some hundred bytes; a server that sends more in one event is broken or
 * hostile, and must not fill the memory. */
enum { SSE_MAX_BYTES = 1 << 20 };

struct sse {
    struct buf line, data;    /* the line and the event at hand */
    bool has_data;            /* data: "" is an event too */
    bool after_cr, not_first; /* an LF that follows belongs to the CR; a line was begun */
    size_t n_events;
};

/* Hands the data of each event that ends in these bytes to `event` (zero byte behind); non-zero
 * from it stops and is the result. OX_EFORMAT: an event of more than SSE_MAX_BYTES. */
typedef int sse_event(void *user, const char *data, size_t n, ox_err *err);
int sse_feed(struct sse *s, const char *p, size_t n, sse_event *event, void *user, ox_err *err);
void sse_deinit(struct sse *s);

#endif
