/* test_flags.c - the command line taken apart: spellings, joined letters, values, words behind
 * "--". */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "app/cli/flags.h"

enum { MAX_ARGS = 8 };

static int parse(const char *const *words, struct flags *out, ox_err *err) {
    char *argv[MAX_ARGS + 2] = {"oxbow"};
    int n = 1;
    for (; words[n - 1]; n++)
        argv[n] = (char *)(uintptr_t)words[n - 1];
    return flags_parse(n, argv, out, err);
}

static void test_flags__spellings(void **state) {
    static const struct {
        const char *words[MAX_ARGS], *flag, *value, *rest; /* rest: the last word that is no flag */
    } cases[] = {
        {{"ask", "--temp", "0.5", "hi"}, "--temp", "0.5", "hi"},
        {{"ask", "--temp=0.5", "hi"}, "--temp", "0.5", "hi"},
        {{"-n", "5", "ask"}, "-n", "5", "ask"},
        {{"-n5", "ask"}, "-n", "5", "ask"},
        {{"-qn5", "ask"}, "-n", "5", "ask"},
        {{"-qcn", "5", "ask"}, "-n", "5", "ask"},
        {{"--max-new=7"}, "-n", "7", NULL},
        {{"-n", "5", "-n", "6"}, "-n", "6", NULL},
        {{"-r", "3f2a"}, "-r", "3f2a", NULL},
        {{"-r", "-q"}, "-r", NULL, NULL},
        {{"-r"}, "-r", NULL, NULL},
        {{"-f", "-", "x"}, "-f", "-", "x"},
        {{"-s", "--", "x"}, "-s", "--", "x"},
        {{"--system=", "x"}, "-s", "", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flags f;
        ox_err err = {0};
        if (parse(cases[i].words, &f, &err)) fail_msg("case %zu: %s", i, err.what);
        const char *v = flags_get(&f, cases[i].flag), *w = f.n_word ? f.word[f.n_word - 1] : NULL;
        assert_true(flags_has(&f, cases[i].flag));
        if (!v != !cases[i].value || (v && strcmp(v, cases[i].value) != 0))
            fail_msg("case %zu: value %s", i, v);
        if (!w != !cases[i].rest || (w && strcmp(w, cases[i].rest) != 0))
            fail_msg("case %zu: word %s", i, w);
        flags_deinit(&f);
    }
}

static void test_flags__refusals(void **state) {
    static const struct {
        const char *words[MAX_ARGS], *part;
    } cases[] = {
        {{"--tmp", "1"}, "did you mean --temp?"},
        {{"--bogusbogus"}, "unknown flag \"--bogusbogus\""},
        {{"-Z"}, "unknown flag \"-Z\""},
        {{"-qZ"}, "unknown flag \"-Z\""},
        {{"--temp"}, "--temp needs a value"},
        {{"-qn"}, "-n needs a value"},
        {{"--json=1"}, "--json takes no value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flags f;
        ox_err err = {0};
        assert_int_equal(parse(cases[i].words, &f, &err), OX_EUSAGE);
        if (!strstr(err.what, cases[i].part) || !err.fix[0])
            fail_msg("case %zu: %s / %s", i, err.what, err.fix);
    }
}

static void test_flags__dashes_end_them(void **state) {
    const char *const words[MAX_ARGS] = {"ask", "--", "--temp", "-", NULL};
    struct flags f;
    assert_int_equal(parse(words, &f, NULL), 0);
    assert_int_equal(f.n_word, 3);
    assert_int_equal(f.n_bare, 1);
    assert_string_equal(f.word[1], "--temp");
    assert_false(flags_has(&f, "--temp"));
    flags_deinit(&f);
}

static void test_flags__repeated_and_allowed(void **state) {
    const char *const words[MAX_ARGS] = {"-f", "a", "--file=b", "-fc", NULL};
    struct flags f;
    ox_err err = {0};
    assert_int_equal(parse(words, &f, NULL), 0);
    assert_string_equal(flags_nth(&f, "-f", 0), "a");
    assert_string_equal(flags_nth(&f, "-f", 1), "b");
    assert_string_equal(flags_nth(&f, "-f", 2), "c");
    assert_null(flags_nth(&f, "-f", 3));
    assert_int_equal(flags_check(&f, "-s -f -n", "ask", &err), 0);
    assert_int_equal(flags_check(&f, "-s --force -n", "ask", &err), OX_EUSAGE);
    assert_non_null(strstr(err.what, "ask does not take -f"));
    flags_deinit(&f);
}

/* Each flag that sets a key names one, and each one-letter name is there once. */
static void test_flags__table_is_sound(void **state) {
    struct config c = {0};
    for (const struct flag *a = flag_table; a->name; a++) {
        for (const struct flag *b = flag_table; b->name; b++)
            if (a != b && strcmp(a->name, b->name) == 0) fail_msg("%s is there twice", a->name);
        const struct config_key *k = config_keys;
        while (a->key && k->name && strcmp(k->name, a->key) != 0)
            k++;
        if (a->key && !k->name) fail_msg("%s sets %s, which is no key", a->name, a->key);
        if (a->value && conf_set(&c, a->key, a->value, a->name, NULL))
            fail_msg("%s: %s", a->name, a->value);
        if ((a->takes == FLAG_NONE) != !a->arg) fail_msg("%s: argument", a->name);
    }
    conf_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags__spellings),
        cmocka_unit_test(test_flags__refusals),
        cmocka_unit_test(test_flags__dashes_end_them),
        cmocka_unit_test(test_flags__repeated_and_allowed),
        cmocka_unit_test(test_flags__table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
