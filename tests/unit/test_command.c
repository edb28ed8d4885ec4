/* test_command.c - typed lines as text, commands and mistakes. */
#include "app/core/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *line;
    int rc;
    enum command_id id;
    const char *rest;
} cases[] = {
    {"hello", 0, CMD_NONE, "hello"},
    {"//etc", 0, CMD_NONE, "/etc"},
    {"/quit", 0, CMD_QUIT, ""},
    {"/bye", 0, CMD_QUIT, ""},
    {"/title  A new name ", 0, CMD_TITLE, "A new name "},
    {"/retry 7", 0, CMD_REGEN, "7"},
    {"/title", OX_EUSAGE, CMD_NONE, "/title needs TEXT"},
    {"/regne", OX_EUSAGE, CMD_NONE, "unknown command /regne"},
    {"/", OX_EUSAGE, CMD_NONE, "unknown command /"},
    {"/home/me/file.txt is a path", OX_EUSAGE, CMD_NONE, "unknown command /home/me/file.txt"},
};

static void test_command__parse(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct command_line got = {0};
        ox_err err = {0};
        assert_int_equal(command_parse(cases[i].line, &got, &err), cases[i].rc);
        assert_string_equal(cases[i].rc ? err.what : got.rest, cases[i].rest);
        assert_int_equal(got.command ? got.command->id : CMD_NONE, cases[i].id);
    }
}

static void test_command__says_the_closest(void **state) {
    struct command_line got;
    ox_err err;
    assert_int_equal(command_parse("/sesions", &got, &err), OX_EUSAGE);
    assert_string_equal(err.fix, "did you mean /sessions?");
}

static void test_command__completion_and_table(void **state) {
    size_t n;
    const struct command *table = command_table(&n);
    assert_int_equal(n, CMD_COUNT - 1);
    for (size_t i = 0; i < n; i++)
        assert_ptr_equal(command_find(table[i].name, strlen(table[i].name)), &table[i]);
    assert_string_equal(command_complete("st", 2, 0)->name, "stats");
    assert_string_equal(command_complete("st", 2, 1)->name, "states");
    assert_null(command_complete("st", 2, 2));
}

static void test_command__arguments(void **state) {
    static const struct {
        const char *arg;
        size_t want; /* 0: refused */
    } counts[] = {{"", 7}, {"1", 1}, {"12", 12}, {"0", 0}, {"-1", 0}, {"3x", 0}, {"x", 0}};
    static const struct {
        const char *arg, *key, *value; /* key NULL: refused */
    } settings[] = {
        {"temperature 0.4", "temperature", "0.4"},
        {"top-p=0.9", "top_p", "0.9"},
        {"max_new  64", "max_new", "64"},
        {"seed", "seed", ""},
        {"db /tmp/x", NULL, NULL},
        {"backend cuda", NULL, NULL},
        {"", NULL, NULL},
    };
    const char *key, *value;
    bool on = false;
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        size_t n;
        int rc = command_count(counts[i].arg, 7, &n, NULL);
        if (rc != (counts[i].want ? 0 : OX_EUSAGE) || (!rc && n != counts[i].want))
            fail_msg("count \"%s\": %d, %zu", counts[i].arg, rc, n);
    }
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        int rc = command_setting(settings[i].arg, &key, &value, NULL);
        if (rc != (settings[i].key ? 0 : OX_EUSAGE)) fail_msg("setting %zu: %d", i, rc);
        if (rc) continue;
        assert_string_equal(key, settings[i].key);
        assert_string_equal(value, settings[i].value);
    }
    assert_int_equal(command_switch("on", &on, NULL), 0);
    assert_true(on);
    assert_int_equal(command_switch("off", &on, NULL), 0);
    assert_false(on);
    assert_int_equal(command_switch("maybe", &on, NULL), OX_EUSAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command__parse),
        cmocka_unit_test(test_command__says_the_closest),
        cmocka_unit_test(test_command__completion_and_table),
        cmocka_unit_test(test_command__arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
