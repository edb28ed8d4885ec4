/* http_none.c - stands in for http.c where libcurl's headers were missing at build time: this
 * program has no network code. */
#include "app/remote/http.h"

int http_open(struct http **out, ox_err *err) {
    (void)out;
    ox_err_set(err, OX_EMODEL, "this oxbow was built without libcurl and cannot reach a server");
    return ox_err_fix(err, "install libcurl4-openssl-dev and build again; or leave -m remote: out");
}

void http_close(struct http *h) {
    (void)h;
}

int http_do(struct http *h, const struct http_post *p, struct http_reply *out, ox_err *err) {
    (void)h, (void)p;
    *out = (struct http_reply){0};
    return http_open(NULL, err);
}

void http_reply_deinit(struct http_reply *r) {
    buf_deinit(&r->refusal);
}
