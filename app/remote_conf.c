/* remote_conf.c - see remote_conf.h. */
#include "app/remote_conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_KEY_BYTES = 4096, MAX_NAME_BYTES = 32, MIN_CTX = 256, MAX_CTX = 10000000 };

/* What a server can be told to be, in the order of struct words. */
static const char *const parts[] = {"url", "model", "key_env", "key_file", "ctx"};
enum { PART_URL, PART_MODEL, PART_KEY_ENV, PART_KEY_FILE, PART_CTX, N_PARTS };

struct words { /* borrowed from the config; NULL: not said */
    const char *part[N_PARTS];
    const char *env_key; /* value of the variable that key_env names */
};

const char *remote_conf_name(const char *model) {
    static const char mark[] = "remote:";
    return model && strncmp(model, mark, sizeof mark - 1) == 0 ? model + sizeof mark - 1 : NULL;
}

static bool is_name(const char *s) {
    size_t n = strlen(s);
    return n > 0 && n <= MAX_NAME_BYTES &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static int read_words(const struct config *c, const char *name, struct words *out, ox_err *err) {
    size_t n = strlen(name);
    for (size_t i = 0; i < c->n_more; i++) {
        const char *key = c->more[i].key + strlen("remote.");
        if (strncmp(c->more[i].key, "remote.", strlen("remote.")) != 0) continue;
        if (strncmp(key, name, n) != 0 || key[n] != '.') continue;
        size_t k = 0;
        while (k < N_PARTS && strcmp(key + n + 1, parts[k]) != 0)
            k++;
        if (k == N_PARTS && strcmp(key + n + 1, "key") == 0) {
            ox_err_set(err, OX_EUSAGE, "%.200s: a key does not stand in the config", c->file);
            return ox_err_fix(err,
                              "remote.%s.key_file = a file of mode 0600, or key_env = a "
                              "variable's name",
                              name);
        }
        if (k == N_PARTS) {
            ox_err_set(err, OX_EUSAGE, "%.200s: unknown key \"%.60s\"", c->file, c->more[i].key);
            return ox_err_fix(err, "a server has url, model, key_env, key_file, ctx");
        }
        out->part[k] = c->more[i].value;
        if (k == PART_KEY_ENV) out->env_key = c->more[i].env;
    }
    return 0;
}

/* --- url --- */

static bool is_here(const char *host, size_t n) {
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(names[i]);
        if (n >= len && strncmp(host, names[i], len) == 0 && (n == len || host[len] == ':'))
            return true;
    }
    return false;
}

static int check_url(const char *url, const char *name, ox_err *err) {
    size_t n_host;
    const char *host = remote_host(url, &n_host);
    bool is_plain = strncmp(url, "http://", 7) == 0;
    bool is_web = is_plain || strncmp(url, "https://", 8) == 0;
    const char *why = !is_web || !n_host             ? "does not begin with https:// or http://"
                      : memchr(host, '@', n_host)    ? "holds a name or a password"
                      : strpbrk(host, " ?#\"<>\\\t") ? "holds characters that an address has not"
                      : strlen(url) > 400            ? "is longer than 400 bytes"
                                                     : NULL;
    if (!why) return 0;
    ox_err_set(err, OX_EUSAGE, "remote.%s.url %s", name, why); /* a password is not repeated */
    return ox_err_fix(err, "remote.%s.url = https://HOST/v1", name);
}

/* --- key --- */

static int check_key(const char *key, const char *where, ox_err *err) {
    for (const char *p = key; *p; p++)
        if (!isgraph((unsigned char)*p)) {
            ox_err_set(err, OX_EUSAGE, "%.200s holds no key: a blank or a control character in it",
                       where);
            return ox_err_fix(err, "it holds the key alone");
        }
    if (*key) return 0;
    ox_err_set(err, OX_EUSAGE, "%.200s holds no key: it is empty", where);
    return ox_err_fix(err, "put the key there, or leave key_env and key_file out");
}

static int read_file(const char *path, char key[MAX_KEY_BYTES], ox_err *err) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        ox_err_set(err, OX_EUSAGE, "cannot read the key file %.200s: %s", path,
                   fd < 0 ? strerror(errno) : "not a file");
        if (fd >= 0) close(fd);
        return ox_err_fix(err, "correct key_file in the config");
    }
    ssize_t n = -1;
    if (!(st.st_mode & 077)) n = read(fd, key, MAX_KEY_BYTES - 1);
    close(fd);
    if (st.st_mode & 077) {
        ox_err_set(err, OX_EUSAGE, "others can read the key file %.200s (mode %04o)", path,
                   (unsigned)st.st_mode & 07777u);
        return ox_err_fix(err, "chmod 600 %.180s", path);
    }
    if (n < 0) return ox_err_set(err, OX_EIO, "cannot read the key file %.200s", path);
    while (n > 0 && isspace((unsigned char)key[n - 1]))
        n--;
    key[n] = '\0';
    return check_key(key, path, err);
}

static int read_key_file(const struct config *c, const char *value, struct remote_server *out,
                         ox_err *err) {
    struct buf path = {0};
    char key[MAX_KEY_BYTES] = "";
    bool is_home = value[0] == '~' && value[1] == '/';
    int rc =
        is_home ? buf_printf(&path, err, "%s%s", c->home, value + 1) : buf_puts(&path, value, err);
    if (!rc) rc = read_file(path.p, key, err);
    if (!rc) out->key = ox_strdup(key, "a key", err);
    remote_wipe(key, sizeof key);
    buf_deinit(&path);
    return rc ? rc : out->key ? 0 : OX_ENOMEM;
}

static int find_key(const struct config *c, const struct words *w, struct remote_server *out,
                    ox_err *err) {
    const char *name = w->part[PART_KEY_ENV], *key = w->env_key;
    if (w->part[PART_KEY_FILE]) return read_key_file(c, w->part[PART_KEY_FILE], out, err);
    if (!name && !w->part[PART_URL]) {
        name = "OPENAI_API_KEY";
        key = c->api_key;
        if (!key) return 0;
    }
    if (!name) return 0;
    int rc = check_key(key ? key : "", name, err);
    if (!rc) out->key = ox_strdup(key, "a key", err);
    return rc ? rc : out->key ? 0 : OX_ENOMEM;
}

/* --- all of it --- */

static int find_ctx(const struct config *c, const struct words *w, const char *name, uint32_t *out,
                    ox_err *err) {
    const char *value = w->part[PART_CTX];
    char *end = NULL;
    unsigned long n = value ? strtoul(value, &end, 10) : 65536;
    if (value && (*end || end == value || *value == '-' || n < MIN_CTX || n > MAX_CTX)) {
        ox_err_set(err, OX_EUSAGE, "remote.%s.ctx: \"%.40s\" is not a number from %d to %d", name,
                   value, MIN_CTX, MAX_CTX);
        return ox_err_fix(err, "tokens that this server's model takes at once, as 32768");
    }
    if (c->ctx > 0 && (unsigned long)c->ctx < n) n = (unsigned long)c->ctx;
    *out = (uint32_t)n;
    return 0;
}

static int write_note(const struct config *c, const struct remote_server *s, char **out,
                      ox_err *err) {
    struct buf b = {0};
    size_t n;
    const char *host = remote_host(s->url, &n);
    bool is_open = strncmp(s->url, "http://", 7) == 0 && !is_here(host, n);
    bool is_left = c->top_k >= 0 || c->min_p >= 0 || c->repeat_penalty >= 0; /* NAN: not said */
    int rc = 0;
    if (is_open) rc = buf_puts(&b, "not encrypted: who is on the way can read it all", err);
    if (!rc && is_left)
        rc = buf_printf(&b, err,
                        "%stop_k, min_p and repeat_penalty are not sent: the protocol has "
                        "no place for them",
                        b.n ? "\n" : "");
    *out = b.n ? buf_take(&b, NULL) : NULL;
    buf_deinit(&b);
    return rc;
}

static int say_missing(const struct config *c, const char *name, const char *part, ox_err *err) {
    if (part)
        ox_err_set(err, OX_EMODEL, "remote:%s has no %s", name, part);
    else
        ox_err_set(err, OX_EMODEL, "no server is called \"%s\"", name);
    return ox_err_fix(err, "in %.100s: remote.%s.url = https://HOST/v1 and remote.%s.model = NAME",
                      c->file, name, name);
}

int remote_conf(const struct config *c, const char *name, struct remote_server *out, ox_err *err) {
    struct words w = {{NULL}, NULL};
    *out = (struct remote_server){0};
    if (!is_name(name)) {
        ox_err_set(err, OX_EUSAGE, "-m remote:%.40s is no name of a server", name);
        return ox_err_fix(err, "letters, digits, - and _, at most %d", MAX_NAME_BYTES);
    }
    int rc = read_words(c, name, &w, err);
    const char *url = w.part[PART_URL] ? w.part[PART_URL] : c->api_url;
    bool is_there = w.part[PART_URL] || w.part[PART_MODEL];
    if (!rc && !is_there) return say_missing(c, name, NULL, err);
    if (!rc && !url) return say_missing(c, name, "url", err);
    if (!rc && !w.part[PART_MODEL]) return say_missing(c, name, "model", err);
    if (!rc) rc = check_url(url, name, err);
    if (!rc) rc = find_ctx(c, &w, name, &out->max_tokens, err);
    if (!rc) rc = find_key(c, &w, out, err);
    if (rc) return rc;
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    out->name = ox_strdup(name, "a server", err);
    out->url = ox_memdup(url, n, "a server", err);
    out->model = ox_strdup(w.part[PART_MODEL], "a server", err);
    if (!out->name || !out->url || !out->model) return OX_ENOMEM;
    return write_note(c, out, &out->note, err);
}
