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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command__parse),
        cmocka_unit_test(test_command__says_the_closest),
        cmocka_unit_test(test_command__completion_and_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
