/* test_config.c - precedence of settings, and what is said about wrong ones. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/config.h"

static char dir[] = "/tmp/oxbow-config-XXXXXX", file[64], env_file[96], env_home[64];

static int make_dir(void **state) {
    if (!mkdtemp(dir)) return -1;
    snprintf(file, sizeof file, "%s/config", dir);
    snprintf(env_file, sizeof env_file, "OXBOW_CONFIG=%s", file);
    snprintf(env_home, sizeof env_home, "HOME=%s", dir);
    return 0;
}

static int remove_dir(void **state) {
    unlink(file);
    return rmdir(dir);
}

static void write_file(const char *text) {
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* A service without HOME must not keep its conversations in a folder that everybody shares. */
static void test_config__no_home(void **state) {
    char *env[] = {env_file, NULL};
    struct config c;
    ox_err err = {0};
    write_file("");
    assert_int_equal(conf_load(env, &c, &err), 0);
    assert_int_not_equal(strncmp(c.db, "/tmp/", 5), 0);
    assert_non_null(strstr(c.db, "/.local/share/oxbow/oxbow.db"));
    conf_deinit(&c);
}

static void test_config__order(void **state) {
    char *env[] = {env_home, env_file, "OXBOW_MODEL=/from/env", "TERM=dumb", NULL};
    struct config c;
    ox_err err = {0};
    write_file("# comment\n\nmodel = ~/from-file # why\ntemperature = 0.5\nstates.quota = 20G\n"
               "key.chat.fork = f\nkey.chat.fork = F\ncolor=never\nmouse = off\n");
    assert_int_equal(conf_load(env, &c, &err), 0);
    assert_string_equal(c.model, "/from/env");
    assert_true(c.temperature == 0.5);
    assert_int_equal(c.states_quota_bytes, 20LL << 30);
    assert_string_equal(conf_more(&c, "key.chat.fork"), "F");
    assert_null(conf_more(&c, "key.chat.edit"));
    assert_int_equal(c.color, WHEN_NEVER);
    assert_false(c.mouse);
    assert_string_equal(c.term, "dumb");
    assert_int_equal(conf_set(&c, "temperature", "0.7", "--temp", &err), 0);
    assert_int_equal(conf_set(&c, "ctx", "64k", "--ctx", &err), 0);
    assert_int_equal(c.ctx, 65536);
    struct ox_sampling model = {.temperature = 0.2f, .top_p = 0.9f, .repeat = 1.1f, .top_k = 7};
    struct ox_sampling s = conf_sampling(&c, &model);
    assert_true(s.temperature == 0.7f && s.top_p == 0.9f && s.repeat == 1.1f && s.top_k == 7);
    assert_int_not_equal(s.seed, conf_sampling(&c, &model).seed);
    assert_int_equal(conf_set(&c, "seed", "42", "--seed", &err), 0);
    assert_int_equal(conf_sampling(&c, &model).seed, 42);
    conf_deinit(&c);
}

static void test_config__home_in_a_path(void **state) {
    char *env[] = {env_home, env_file, NULL};
    struct config c;
    write_file("model = ~/models/x\n");
    assert_int_equal(conf_load(env, &c, NULL), 0);
    char want[96];
    snprintf(want, sizeof want, "%s/models/x", dir);
    assert_string_equal(c.model, want);
    snprintf(want, sizeof want, "%s/.local/share/oxbow/oxbow.db", dir);
    assert_string_equal(c.db, want);
    conf_deinit(&c);
}

static void test_config__wrong_lines(void **state) {
    static const struct {
        const char *text, *part; /* what the error must contain */
    } cases[] = {
        {"nonsense\n", "line 1: expected key = value"},
        {"model = x\nmodle = x\n", "line 2: unknown key \"modle\""},
        {"temperature = hot\n", "\"hot\" is not a number from 0 to 100"},
        {"temperature = -1\n", "\"-1\" is not"},
        {"temperature = nan\n", "\"nan\" is not"},
        {"temperature = 0x1\n", "\"0x1\" is not"},
        {"top_p = 1.5\n", "from 0 to 1"},
        {"top_k = 1.5\n", "whole number"},
        {"top_k = 99999999999999999999\n", "whole number"},
        {"ctx = 65537\n", "from 0 to 65536"},
        {"ctx = 65k\n", "\"65k\" is not"},
        {"ctx = 1.5k\n", "whole number"},
        {"top_k = 4k\n", "whole number"},
        {"theme = pink\n", "one of inherit light dark mono"},
        {"states.quota = 5X\n", "a size such as"},
        {"states.quota = 20Gx\n", "a size such as"},
        {"mouse = maybe\n", "on or off"},
        {"color = sometimes\n", "one of auto always never"},
        {"model =\n", "empty"},
        {"width.ambiguous = 3\n", "from 1 to 2"},
        {"key. = f\n", "unknown key"},
    };
    char *env[] = {env_home, env_file, NULL};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config c;
        ox_err err = {0};
        write_file(cases[i].text);
        int rc = conf_load(env, &c, &err);
        if (rc != OX_EUSAGE || !strstr(err.what, cases[i].part) || !err.fix[0])
            fail_msg("%s: %d \"%s\" fix \"%s\"", cases[i].text, rc, err.what, err.fix);
    }
}

static void test_config__files_that_cannot_be_read(void **state) {
    char missing[96], folder[96];
    snprintf(missing, sizeof missing, "OXBOW_CONFIG=%s/none", dir);
    snprintf(folder, sizeof folder, "OXBOW_CONFIG=%s", dir);
    char *bad[][3] = {{env_home, missing, NULL}, {env_home, folder, NULL}};
    for (size_t i = 0; i < 2; i++) {
        struct config c;
        ox_err err = {0};
        assert_int_equal(conf_load(bad[i], &c, &err), OX_EUSAGE);
        assert_non_null(strstr(err.what, "cannot read config file"));
    }
    char *fine[] = {env_home, NULL};
    struct config c;
    assert_int_equal(conf_load(fine, &c, NULL), 0);
    assert_true(isnan(c.temperature));
    conf_deinit(&c);
}

static void test_config__memory_short(void **state) {
    char *env[] = {env_home, env_file, "OXBOW_MODEL=m", "EDITOR=ed", NULL};
    write_file("model = a\nkey.chat.fork = f\nremote.x.url = y\n");
    for (uint64_t n = 1;; n++) {
        struct config c;
        ox_mem_fail_at(n);
        int rc = conf_load(env, &c, NULL);
        ox_mem_fail_at(0);
        if (rc == 0) {
            conf_deinit(&c);
            assert_true(n > 5);
            return;
        }
        assert_int_equal(rc, OX_ENOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__order),
        cmocka_unit_test(test_config__no_home),
        cmocka_unit_test(test_config__home_in_a_path),
        cmocka_unit_test(test_config__wrong_lines),
        cmocka_unit_test(test_config__files_that_cannot_be_read),
        cmocka_unit_test(test_config__memory_short),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
