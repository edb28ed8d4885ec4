/* libcurl.h - the functions of libcurl that http.c calls, looked up when a server is first named.
 *
 * Linked, libcurl brings 28 libraries of its own, which the loader maps at every start although few
 * starts name a server (PERF.md, start). Its headers are needed to build; its package to reach a
 * server; nothing else asks for either. */
#ifndef REMOTE_LIBCURL_H
#define REMOTE_LIBCURL_H

#include <curl/curl.h>

#include "engine/ox.h"

struct libcurl { /* curl_NAME, of the type that curl.h gives it */
    CURLcode (*global_init)(long flags);
    void (*global_cleanup)(void);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *c, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *c, CURLINFO info, ...);
    void (*easy_cleanup)(CURL *c);
    const char *(*easy_strerror)(CURLcode code);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_add_handle)(CURLM *m, CURL *c);
    CURLMcode (*multi_remove_handle)(CURLM *m, CURL *c);
    CURLMcode (*multi_perform)(CURLM *m, int *n_running);
    CURLMcode (*multi_poll)(CURLM *m, struct curl_waitfd extra[], unsigned n_extra, int wait_ms,
                            int *n_ready);
    CURLMsg *(*multi_info_read)(CURLM *m, int *n_left);
    CURLMcode (*multi_cleanup)(CURLM *m);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
};

/* [any] Fills *out; the library then stays until the process ends. OX_EMODEL: not there, does not
 * load, or lacks a function; the message names the package. */
int libcurl_open(struct libcurl *out, ox_err *err);

#endif
