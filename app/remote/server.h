/* server.h - an OpenAI-compatible server, as the configuration names it: where what is asked goes.
 *
 * Owned strings; {0} is none. The key is secret: it stands in this struct and in the header of a
 * request, nowhere else (no database, log, export or message), and its bytes are wiped. */
#ifndef REMOTE_SERVER_H
#define REMOTE_SERVER_H

#include "engine/ox.h"

struct remote_server {
    char *name;  /* "office" of -m remote:office; NULL: the model runs here */
    char *url;   /* "https://host/v1", without a slash at the end */
    char *model; /* as the server calls it */
    char *key;   /* NULL: none is sent */
    uint32_t max_tokens;
    char *note; /* what to know before the first question; lines, or NULL */
};

/* Where it is, for people: "host:port" inside url, n bytes. Borrowed from url. */
const char *remote_host(const char *url, size_t *n);
void remote_server_deinit(struct remote_server *s);
/* Zeros over a key that is freed next; a plain memset may be left out by a compiler. */
void remote_wipe(char *s, size_t n);

#endif
