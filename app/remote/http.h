/* http.h - one POST whose answer streams, over libcurl: the only code that opens a socket.
 *
 * TLS is verified, redirects are reported and not followed, only http and https are spoken. A stop
 * is seen within 50 ms, also while a name is looked up or nobody answers. Belongs to one thread.
 * http_none.c stands in its place where libcurl's headers were missing at build time. */
#ifndef REMOTE_HTTP_H
#define REMOTE_HTTP_H

#include "app/core/buf.h"

struct http; /* keeps connections from one POST to the next */

struct http_post {         /* borrowed for the call */
    const char *url, *key; /* key NULL: no Authorization header */
    const char *body;
    size_t n_body;
    void *user;
    bool (*stopped)(void *user);
    /* Of an answer with status 200, in order. HTTP_ENOUGH: the rest is not wanted; an error ends
     * it.
     */
    int (*bytes)(void *user, const char *p, size_t n, ox_err *err);
};
enum { HTTP_ENOUGH = 1 };

struct http_reply {
    long status;            /* 0: none came */
    long retry_s;           /* Retry-After in seconds; 0: not said */
    char type[64], to[256]; /* Content-Type; where a redirect leads */
    struct buf refusal;     /* the first bytes of an answer with another status than 200 */
};

/* Opens libcurl. OX_EMODEL: it is not there, or was not at build time; with the package's name. */
int http_open(struct http **out, ox_err *err);
void http_close(struct http *h); /* NULL is fine */
/* 0: there is a status in *out. OX_ECANCELLED: stopped. OX_EIO: refused, no such host, TLS, cut
 * off, silent for ten minutes; the message says which, out->status whether the answer had begun.
 * What `bytes` returned otherwise. http_reply_deinit in every case. */
int http_do(struct http *h, const struct http_post *p, struct http_reply *out, ox_err *err);
void http_reply_deinit(struct http_reply *r);

#endif
