/* http.c - see http.h. The multi interface, because its wait can be short: the easy one looks for a
 * stop once a second. */
#include "app/remote/http.h"

#include "app/remote/libcurl.h"
#include "app/remote/server.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    WAIT_MS = 50,          /* a stop is seen after this */
    CONNECT_S = 30,        /* then the host counts as silent */
    SILENT_S = 600,        /* a long prompt may be read for minutes without a byte */
    REFUSAL_BYTES = 16384, /* of the body of a refusal */
};

struct http {
    struct libcurl curl;
    CURLM *multi;
};

struct exchange { /* what curl's callbacks need */
    const struct libcurl *curl;
    CURL *easy;
    const struct http_post *post;
    struct http_reply *reply;
    int rc; /* of post->bytes */
    ox_err *err;
};

int http_open(struct http **out, ox_err *err) {
    struct http *h = ox_alloc(1, sizeof *h, "network", err);
    if (!h) return OX_ENOMEM;
    int rc = libcurl_open(&h->curl, err);
    if (!rc) {
        if (h->curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) h->multi = h->curl.multi_init();
        if (!h->multi) rc = ox_err_set(err, OX_EFAIL, "libcurl cannot be started");
    }
    if (rc)
        ox_free(h);
    else
        *out = h;
    return rc;
}

void http_close(struct http *h) {
    if (!h) return;
    h->curl.multi_cleanup(h->multi);
    h->curl.global_cleanup();
    ox_free(h);
}

void http_reply_deinit(struct http_reply *r) {
    buf_deinit(&r->refusal);
    *r = (struct http_reply){0};
}

/* --- one exchange --- */

static void read_head(struct exchange *x) {
    const char *type = NULL, *to = NULL;
    curl_off_t retry = 0;
    struct http_reply *r = x->reply;
    x->curl->easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &r->status);
    x->curl->easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type);
    x->curl->easy_getinfo(x->easy, CURLINFO_REDIRECT_URL, &to);
    x->curl->easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &retry);
    snprintf(r->type, sizeof r->type, "%s", type ? type : "");
    snprintf(r->to, sizeof r->to, "%s", to ? to : "");
    r->retry_s = retry > 0 && retry < 1000000 ? (long)retry : 0;
}

/* Fewer bytes than given tell curl to end the transfer. */
static size_t take_bytes(char *p, size_t one, size_t n, void *user) {
    struct exchange *x = user;
    (void)one; /* 1, by curl's contract */
    if (!x->reply->status) read_head(x);
    if (x->reply->status == 200) {
        x->rc = x->post->bytes(x->post->user, p, n, x->err);
        return x->rc ? n + 1 : n;
    }
    size_t room = REFUSAL_BYTES - x->reply->refusal.n;
    buf_add(&x->reply->refusal, p, n < room ? n : room, NULL);
    return n;
}

/* The key stands in one of them. */
static void drop_headers(const struct libcurl *curl, struct curl_slist *list) {
    for (struct curl_slist *at = list; at; at = at->next)
        remote_wipe(at->data, strlen(at->data));
    curl->slist_free_all(list);
}

/* Headers with the key in them; freed with drop_headers. */
static int make_headers(const struct exchange *x, struct curl_slist **out) {
    static const char *const fixed[] = {"Content-Type: application/json",
                                        "Accept: text/event-stream", "Expect:"};
    struct buf key = {0};
    struct curl_slist *list = NULL;
    const char *secret = x->post->key;
    int rc = secret ? buf_printf(&key, x->err, "Authorization: Bearer %s", secret) : 0;
    for (size_t i = 0; !rc && i <= sizeof fixed / sizeof fixed[0]; i++) {
        bool is_key = i == sizeof fixed / sizeof fixed[0];
        if (is_key && !secret) break;
        struct curl_slist *longer = x->curl->slist_append(list, is_key ? key.p : fixed[i]);
        if (longer)
            list = longer;
        else
            rc = ox_err_set(x->err, OX_ENOMEM, "out of memory: headers of a request");
    }
    remote_wipe(key.p, key.n);
    buf_deinit(&key);
    if (!rc) *out = list;
    if (rc) drop_headers(x->curl, list);
    return rc;
}

/* Through a pointer curl's own check of option and type is lost: these two stand for it, and the
 * options of other types are set in one place each. */
static CURLcode set_number(const struct exchange *x, CURLoption option, long value) {
    assert(option < CURLOPTTYPE_OBJECTPOINT);
    return x->curl->easy_setopt(x->easy, option, value);
}

static CURLcode set_text(const struct exchange *x, CURLoption option, const char *value) {
    assert(option > CURLOPTTYPE_OBJECTPOINT && option < CURLOPTTYPE_FUNCTIONPOINT);
    return x->curl->easy_setopt(x->easy, option, value);
}

/* Each option that guards something must be taken: a libcurl without it is not used. */
static bool set_guards(const struct exchange *x) {
    CURLcode rc = set_number(x, CURLOPT_NOSIGNAL, 1);
    rc |= set_number(x, CURLOPT_FOLLOWLOCATION, 0);
    rc |= set_number(x, CURLOPT_SSL_VERIFYPEER, 1);
    rc |= set_number(x, CURLOPT_SSL_VERIFYHOST, 2);
#if LIBCURL_VERSION_NUM >= 0x075500
    rc |= set_text(x, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    rc |= set_number(x, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    set_number(x, CURLOPT_QUICK_EXIT, 1); /* a stop does not wait for a name look-up */
#endif
    return rc == CURLE_OK;
}

/* Borrowed by curl until the exchange is over: headers, body, words. */
static void set_post(struct exchange *x, struct curl_slist *headers, char *words) {
    const curl_off_t n_body = (curl_off_t)x->post->n_body;
    const curl_write_callback take = take_bytes;
    x->curl->easy_setopt(x->easy, CURLOPT_HTTPHEADER, headers);
    x->curl->easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, n_body);
    x->curl->easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, take);
    x->curl->easy_setopt(x->easy, CURLOPT_WRITEDATA, (void *)x);
    x->curl->easy_setopt(x->easy, CURLOPT_ERRORBUFFER, words);
    set_text(x, CURLOPT_URL, x->post->url);
    set_text(x, CURLOPT_USERAGENT, "oxbow");
    set_text(x, CURLOPT_POSTFIELDS, x->post->body);
    set_number(x, CURLOPT_POST, 1);
    set_number(x, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    set_number(x, CURLOPT_LOW_SPEED_LIMIT, 1);
    set_number(x, CURLOPT_LOW_SPEED_TIME, SILENT_S);
    set_number(x, CURLOPT_TCP_KEEPALIVE, 1);
}

/* Until the transfer has ended; false: stopped. */
static bool run(struct http *h, const struct exchange *x, CURLcode *how) {
    int running = 1;
    *how = CURLE_FAILED_INIT;
    while (running) {
        if (x->post->stopped(x->post->user)) return false;
        if (h->curl.multi_perform(h->multi, &running) != CURLM_OK) return true;
        if (running && h->curl.multi_poll(h->multi, NULL, 0, WAIT_MS, NULL) != CURLM_OK)
            return true;
    }
    int left;
    const CURLMsg *m = h->curl.multi_info_read(h->multi, &left);
    if (m && m->msg == CURLMSG_DONE) *how = m->data.result;
    return true;
}

/* --- what went wrong, for people --- */

static const char *const FIX_TLS = "the certificate must be valid for this host and signed by an "
                                   "authority that this machine trusts; or is it http://?";

static const struct {
    CURLcode code;
    const char *what, *fix;
} faults[] = {
    {CURLE_COULDNT_CONNECT, "the server refused the connection",
     "is it running, and are host and port of its url right?"},
    {CURLE_COULDNT_RESOLVE_HOST, "no such host",
     "correct its url in the config, or look at the network"},
    {CURLE_OPERATION_TIMEDOUT, "the server is silent", "look at the server and at the network"},
    {CURLE_PEER_FAILED_VERIFICATION, "TLS: the server could not prove who it is", FIX_TLS},
    {CURLE_SSL_CONNECT_ERROR, "TLS: no secure connection", FIX_TLS},
    {CURLE_SSL_CACERT_BADFILE, "TLS: no list of authorities", "install ca-certificates"},
    {CURLE_PARTIAL_FILE, "the server cut the answer off", "what came is kept; ask again"},
    {CURLE_RECV_ERROR, "the connection was cut off", "what came is kept; ask again"},
    {CURLE_GOT_NOTHING, "the server hung up without an answer", "its log knows more"},
    {CURLE_URL_MALFORMAT, "this is no address", "correct its url in the config"},
    {CURLE_UNSUPPORTED_PROTOCOL, "this is no address", "its url begins with https:// or http://"},
};

static int say_fault(const struct libcurl *curl, CURLcode how, const char *words, ox_err *err) {
    const char *detail = words[0] ? words : curl->easy_strerror(how);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (faults[i].code != how) continue;
        ox_err_set(err, OX_EIO, "%s: %.200s", faults[i].what, detail);
        return ox_err_fix(err, "%s", faults[i].fix);
    }
    ox_err_set(err, OX_EIO, "the exchange with the server failed: %.200s", detail);
    return ox_err_fix(err, "look at its url in the config, and at the network");
}

int http_do(struct http *h, const struct http_post *p, struct http_reply *out, ox_err *err) {
    char words[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    struct exchange x = {
        .curl = &h->curl, .easy = h->curl.easy_init(), .post = p, .reply = out, .err = err};
    CURLcode how = CURLE_FAILED_INIT;
    bool ran = true;
    *out = (struct http_reply){0};
    int rc = x.easy && set_guards(&x)
                 ? make_headers(&x, &headers)
                 : ox_err_set(err, OX_EFAIL, "this libcurl lacks what a safe request needs");
    if (!rc) {
        set_post(&x, headers, words);
        h->curl.multi_add_handle(h->multi, x.easy);
        ran = run(h, &x, &how);
        read_head(&x); /* again: where a redirect leads is known at the end */
        h->curl.multi_remove_handle(h->multi, x.easy);
        if (!ran)
            rc = ox_err_set(err, OX_ECANCELLED, "stopped");
        else if (x.rc)
            rc = x.rc == HTTP_ENOUGH ? 0 : x.rc;
        else if (how != CURLE_OK && (out->status == 0 || out->status == 200))
            rc = say_fault(x.curl, how, words, err);
    }
    h->curl.easy_cleanup(x.easy);
    drop_headers(&h->curl, headers);
    return rc;
}
