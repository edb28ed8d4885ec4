/* server.c - see server.h. */
#include "app/remote/server.h"

#include <string.h>

const char *remote_host(const char *url, size_t *n) {
    const char *at = strstr(url, "://");
    const char *host = at ? at + 3 : url;
    *n = strcspn(host, "/?#");
    return host;
}

void remote_wipe(char *s, size_t n) {
    for (volatile char *p = s; n > 0; p++, n--)
        *p = '\0';
}

void remote_server_deinit(struct remote_server *s) {
    remote_wipe(s->key, s->key ? strlen(s->key) : 0);
    ox_free(s->name);
    ox_free(s->url);
    ox_free(s->model);
    ox_free(s->key);
    ox_free(s->note);
    *s = (struct remote_server){0};
}
