/* fuzz_sse.c - any bytes as the stream of a chat server, whole and in two pieces: the same events
 * in the same order, each read as JSON without a fault, its text well-formed. */
#include "app/core/text.h"
#include "app/remote/chat_json.h"
#include "app/remote/sse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int take(void *user, const char *data, size_t n, ox_err *err) {
    struct buf *all = user;
    struct chat_event e;
    int rc = chat_event_parse(data, n, &e, err);
    if (rc && (!err->what[0] || !err->fix[0])) abort();
    if (e.text && (!e.n_text || text_valid(e.text, e.n_text) != e.n_text)) abort();
    chat_event_deinit(&e);
    rc = buf_add(all, data, n, NULL);
    return rc ? rc : buf_putc(all, '\n', NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *p = (const char *)data;
    size_t cut = n ? data[0] % n : 0;
    struct sse a = {0}, b = {0};
    struct buf whole = {0}, pieces = {0}, words = {0};
    ox_err err = {0};
    int rc = sse_feed(&a, p, n, take, &whole, &err);
    int rc2 = sse_feed(&b, p, cut, take, &pieces, &err);
    if (!rc2) rc2 = sse_feed(&b, p + cut, n - cut, take, &pieces, &err);
    if (rc != rc2 || a.n_events != b.n_events || whole.n != pieces.n) abort();
    if (whole.n && memcmp(whole.p, pieces.p, whole.n) != 0) abort();
    if (chat_error_words(p, n, &words, NULL) || text_valid(buf_str(&words), words.n) != words.n)
        abort();
    buf_deinit(&whole);
    buf_deinit(&pieces);
    buf_deinit(&words);
    sse_deinit(&a);
    sse_deinit(&b);
    return 0;
}
