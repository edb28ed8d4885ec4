/* test_find.c - words in a text: letters of either case, places in bytes. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "app/core/find.h"

static void test_find__either_case(void **state) {
    static const struct {
        const char *text, *words;
        size_t from, at;
    } cases[] = {
        {"the Harbour log", "hARB", 0, 4},
        {"Über Züge", "über", 0, 0},
        {"Über Züge", "ZÜGE", 0, 6},
        {"Лампа и ЛАМПА", "лампа", 1, 14},
        {"Ελλάδα", "ελλάδα", 0, 0},
        {"aaa", "aa", 1, 1},
        {"aaa", "aa", 2, SIZE_MAX},
        {"é", "e", 0, SIZE_MAX},
        {"STRASSE", "straße", 0, SIZE_MAX},
        {"STRAẞE", "straße", 0, SIZE_MAX}, /* three bytes and two */
        {"a\xFF"
         "b",
         "\xFF"
         "B",
         0, 1},
        {"\xC3", "\xA9", 0, SIZE_MAX},
        {"lamp", "lamps", 0, SIZE_MAX},
        {"lamp", "", 0, SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t at = find_words(cases[i].text, strlen(cases[i].text), cases[i].from, cases[i].words);
        if (at != cases[i].at) fail_msg("%s in %s: %zu", cases[i].words, cases[i].text, at);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find__either_case)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
