/* test_columns.c - which pages of a PDF are set in columns, and what is taken of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "app/core/columns.h"

#define COLUMNS                                                                                    \
    "Chapter 1                        Chapter 2\n\n"                                               \
    "The officer on the efficient     The harbour master wrote\n"                                  \
    "fishing boat found the flag      that the lamp was out at\n"                                  \
    "float beside the lighthouse      a quarter to nine and\n"                                     \
    "and sufficiently dry to be       asked for a gas lamp be-\n"                                  \
    "hoisted again by the watch       fore spring. It is a well\n"                                 \
    "delay.\n"
#define TABLE                                                                                      \
    "Lamp                 Hour      Witness of it\n"                                               \
    "North Mole           20:45     the harbour master\n"                                          \
    "Skerry               19:00     a telegraph clerk\n"                                           \
    "South Mole           21:10     nobody at all\n"                                               \
    "Old Wall             21:30     two men in a boat\n"                                           \
    "Sum of them          4         as it was said\n"
#define PROSE                                                                                      \
    "The  lamp  on  the  North  Mole went  out.\n"                                                 \
    "The   harbour   master   walked   along\n"                                                    \
    "the wall with two men and a spare wick,\n"                                                    \
    "and found the glass broken. The clerk\n"                                                      \
    "tried four times between seven and nine\n"                                                    \
    "and then closed the office for the night.\n"

static const struct {
    const char *name, *text;
    bool columns;
} cases[] = {
    {"nothing", "", false},
    {"columns", COLUMNS, true},
    {"a table", TABLE, false},
    {"prose, some of it justified", PROSE, false},
    {"the second page", PROSE "\f" COLUMNS "\f", true},
    {"two lines of two", "one two three    four five six\none two three    four five six\n", false},
};

static void test_columns__tells_them_from_tables(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (columns_any(cases[i].text, strlen(cases[i].text)) != cases[i].columns)
            fail_msg("%s", cases[i].name);
}

static void check_join(const char *looks, const char *order, const char *want) {
    struct buf a = {0}, b = {0}, out = {0};
    buf_puts(&a, looks, NULL);
    buf_puts(&b, order, NULL);
    assert_int_equal(columns_join(&a, &b, &out, NULL), 0);
    assert_string_equal(buf_str(&out), want);
    buf_deinit(&a);
    buf_deinit(&b);
    buf_deinit(&out);
}

static void test_columns__joins_page_by_page(void **state) {
    (void)state;
    check_join(TABLE "\f" COLUMNS "\f" PROSE "\f", "t\fin order\fp\f",
               TABLE "\fin order\f" PROSE "\f");
    check_join(COLUMNS "\f", "one\ftwo\f", COLUMNS "\f"); /* pages that do not match */
    check_join(COLUMNS, "in order", "in order");
    check_join("", "", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns__tells_them_from_tables),
        cmocka_unit_test(test_columns__joins_page_by_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
