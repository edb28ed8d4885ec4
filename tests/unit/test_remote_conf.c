/* test_remote_conf.c - servers of the configuration: what is missing or wrong is said, and a key
 * goes only to the server it was named for. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/remote_conf.h"

static char dir[] = "/tmp/oxbow-remote-XXXXXX", file[64], key_file[64], env_file[96], env_home[64];

static int make_dir(void **state) {
    if (!mkdtemp(dir)) return -1;
    snprintf(file, sizeof file, "%s/config", dir);
    snprintf(key_file, sizeof key_file, "%s/key", dir);
    snprintf(env_file, sizeof env_file, "OXBOW_CONFIG=%s", file);
    snprintf(env_home, sizeof env_home, "HOME=%s", dir);
    return 0;
}

static int remove_dir(void **state) {
    unlink(file);
    unlink(key_file);
    return rmdir(dir);
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int read_server(const char *text, struct remote_server *s, ox_err *err) {
    char *env[] = {env_home,
                   env_file,
                   "OPENAI_BASE_URL=https://env.example/v1",
                   "OPENAI_API_KEY=sk-env",
                   "OFFICE_KEY=sk-office",
                   NULL};
    struct config c;
    write_file(file, text);
    assert_int_equal(conf_load(env, &c, err), 0);
    int rc = remote_conf(&c, "office", s, err);
    conf_deinit(&c);
    return rc;
}

#define URL "remote.office.url = https://h.example/v1\n"
#define MODEL "remote.office.model = big\n"

static void test_remote_conf__reads_a_server(void **state) {
    /* clang-format off */
    static const struct {
        const char *name, *text, *url, *key, *note;
        uint32_t ctx;
    } rows[] = {
        {"no key named, none sent", URL MODEL, "https://h.example/v1", NULL, NULL, 65536},
        {"a variable", URL MODEL "remote.office.key_env = OFFICE_KEY\n", "https://h.example/v1", "sk-office", NULL, 65536},
        {"slashes at the end", "remote.office.url = http://localhost:8080/v1//\n" MODEL, "http://localhost:8080/v1", NULL, NULL, 65536},
        {"the pair of the environment", MODEL, "https://env.example/v1", "sk-env", NULL, 65536},
        {"context", URL MODEL "remote.office.ctx = 131072\n", "https://h.example/v1", NULL, NULL, 131072},
        {"the smaller context", URL MODEL "remote.office.ctx = 131072\nctx = 4096\n", "https://h.example/v1", NULL, NULL, 4096},
        {"another server beside it", URL MODEL "remote.office2.url = http://x\n", "https://h.example/v1", NULL, NULL, 65536},
        {"in the open", "remote.office.url = http://localhost.example/v1\n" MODEL, "http://localhost.example/v1", NULL, "not encrypted", 65536},
        {"sampling without a place", URL MODEL "top_k = 40\n", "https://h.example/v1", NULL, "not sent", 65536},
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct remote_server s;
        ox_err err = {0};
        if (read_server(rows[i].text, &s, &err)) fail_msg("%s: %s", rows[i].name, err.what);
        if (strcmp(s.url, rows[i].url) != 0 || s.max_tokens != rows[i].ctx ||
            (s.key == NULL) != (rows[i].key == NULL) || (s.key && strcmp(s.key, rows[i].key) != 0))
            fail_msg("%s: %s, %u, %s", rows[i].name, s.url, s.max_tokens, s.key ? s.key : "no key");
        if ((s.note == NULL) != (rows[i].note == NULL) || (s.note && !strstr(s.note, rows[i].note)))
            fail_msg("%s: note %s", rows[i].name, s.note ? s.note : "none");
        assert_string_equal(s.model, "big");
        remote_server_deinit(&s);
    }
}

static void test_remote_conf__says_what_is_wrong(void **state) {
    /* clang-format off */
    static const struct {
        const char *text, *what;
        int rc;
    } rows[] = {
        {"", "no server is called \"office\"", OX_EMODEL},
        {"remote.office2.url = https://h\n", "no server is called", OX_EMODEL},
        {URL, "has no model", OX_EMODEL},
        {URL MODEL "remote.office.modle = x\n", "unknown key \"remote.office.modle\"", OX_EUSAGE},
        {URL MODEL "remote.office.key = sk-secret\n", "a key does not stand in the config", OX_EUSAGE},
        {"remote.office.url = ftp://h/v1\n" MODEL, "does not begin with https://", OX_EUSAGE},
        {"remote.office.url = https:///v1\n" MODEL, "does not begin with https://", OX_EUSAGE},
        {"remote.office.url = https://me:sk-secret@h/v1\n" MODEL, "holds a name or a password", OX_EUSAGE},
        {"remote.office.url = https://h/v1?k=sk-secret\n" MODEL, "that an address has not", OX_EUSAGE},
        {URL MODEL "remote.office.ctx = 12x\n", "is not a number", OX_EUSAGE},
        {URL MODEL "remote.office.ctx = -1\n", "is not a number", OX_EUSAGE},
        {URL MODEL "remote.office.key_env = NO_SUCH\n", "NO_SUCH holds no key", OX_EUSAGE},
        {URL MODEL "remote.office.key_file = ~/none\n", "cannot read the key file", OX_EUSAGE},
        {URL MODEL "remote.office.key_file = /tmp\n", "not a file", OX_EUSAGE},
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct remote_server s;
        ox_err err = {0};
        int rc = read_server(rows[i].text, &s, &err);
        if (rc != rows[i].rc || !strstr(err.what, rows[i].what) || !err.fix[0])
            fail_msg("%s: %d, %s, %s", rows[i].text, rc, err.what, err.fix);
        if (strstr(err.what, "sk-") || strstr(err.fix, "sk-")) fail_msg("a secret: %s", err.what);
        remote_server_deinit(&s);
    }
}

static void test_remote_conf__a_key_file_is_private(void **state) {
    static const char text[] = URL MODEL "remote.office.key_file = ~/key\n";
    struct remote_server s;
    ox_err err = {0};
    (void)state;
    write_file(key_file, "sk-from-file\n");
    chmod(key_file, 0644);
    assert_int_equal(read_server(text, &s, &err), OX_EUSAGE);
    assert_non_null(strstr(err.what, "others can read"));
    assert_non_null(strstr(err.fix, "chmod 600"));
    remote_server_deinit(&s);
    chmod(key_file, 0600);
    assert_int_equal(read_server(text, &s, &err), 0);
    assert_string_equal(s.key, "sk-from-file");
    remote_server_deinit(&s);
    write_file(key_file, "two words\n"); /* nor a header of somebody else's making */
    assert_int_equal(read_server(text, &s, &err), OX_EUSAGE);
    assert_null(strstr(err.what, "two"));
    remote_server_deinit(&s);
}

static void test_remote_conf__names(void **state) {
    static const char *const wrong[] = {"", "a b", "../x", "a.b",
                                        "a234567890123456789012345678901234567890"};
    struct config c = {0};
    (void)state;
    assert_string_equal(remote_conf_name("remote:office"), "office");
    assert_null(remote_conf_name("remote"));
    assert_null(remote_conf_name("/models/remote:x"));
    assert_null(remote_conf_name(NULL));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct remote_server s;
        assert_int_equal(remote_conf(&c, wrong[i], &s, NULL), OX_EUSAGE);
        remote_server_deinit(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remote_conf__reads_a_server),
        cmocka_unit_test(test_remote_conf__says_what_is_wrong),
        cmocka_unit_test(test_remote_conf__a_key_file_is_private),
        cmocka_unit_test(test_remote_conf__names),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
