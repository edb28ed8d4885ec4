/* libcurl.c - see libcurl.h. */
#include "app/remote/libcurl.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The comparison is never evaluated, so nothing is linked: the compiler holds our type against
 * that of curl.h. */
#define FUNCTION(name)                                                                             \
    {                                                                                              \
        "curl_" #name, offsetof(struct libcurl, name) +                                            \
                           0 * sizeof(((struct libcurl *)NULL)->name == curl_##name)               \
    }

static const struct {
    const char *name;
    size_t at;
} functions[] = {
    FUNCTION(global_init),     FUNCTION(global_cleanup), FUNCTION(easy_init),
    FUNCTION(easy_setopt),     FUNCTION(easy_getinfo),   FUNCTION(easy_cleanup),
    FUNCTION(easy_strerror),   FUNCTION(multi_init),     FUNCTION(multi_add_handle),
    FUNCTION(multi_perform),   FUNCTION(multi_poll),     FUNCTION(multi_remove_handle),
    FUNCTION(multi_info_read), FUNCTION(multi_cleanup),  FUNCTION(slist_append),
    FUNCTION(slist_free_all),
};
_Static_assert(sizeof functions / sizeof functions[0] == sizeof(struct libcurl) / sizeof(void *),
               "a function that is never looked up");

static int refuse(const char *why, ox_err *err) {
    ox_err_set(err, OX_EMODEL, "a server is reached through libcurl: %.200s", why);
    ox_err_fix(err, "install libcurl4 (Debian's name for libcurl.so.4); or leave -m remote: out");
    return ox_err_wrap(err, OX_EMODEL, "open libcurl");
}

/* Never closed: a name look-up that a stop left behind (CURLOPT_QUICK_EXIT) still runs its code. */
int libcurl_open(struct libcurl *out, ox_err *err) {
    struct libcurl found;
    void *lib = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        const char *why = dlerror();
        return refuse(why ? why : "libcurl.so.4 does not load", err);
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *f = dlsym(lib, functions[i].name);
        if (!f) {
            char why[80];
            snprintf(why, sizeof why, "libcurl.so.4 has no %s, it must be 7.66 or newer",
                     functions[i].name);
            return refuse(why, err);
        }
        memcpy((char *)&found + functions[i].at, &f, sizeof f);
    }
    *out = found;
    return 0;
}
