/* server.c - see server.h. */
#include "app/remote/server.h"

#include <string.h>

const char *remote_host(const char *url, size_t *n) {
    const char *at = strstr(url, "://");
    const char *host = at ? at + 3 : url;
    *n = strcspn(host, "/?#");
    return host;
}

/* Through volatile, or a compiler may leave out writes to what is freed next. */
static void wipe(char *s) {
    for (volatile char *p = s; p && *p; p++)
        *p = '\0';
}

void remote_server_deinit(struct remote_server *s) {
    wipe(s->key);
    ox_free(s->name);
    ox_free(s->url);
    ox_free(s->model);
    ox_free(s->key);
    ox_free(s->note);
    *s = (struct remote_server){0};
}
