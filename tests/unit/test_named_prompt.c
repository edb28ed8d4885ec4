/* test_named_prompt.c - prompts with a name: found beside the config file before those that ship,
 * filled with words, refused by name. */
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

#include "app/named_prompt.h"

static char folder[64], file[128];

static int make_folder(void **state) {
    (void)state;
    char path[128];
    snprintf(folder, sizeof folder, "/tmp/oxbow-prompts-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/config", folder);
    snprintf(path, sizeof path, "%s/prompts", folder);
    return mkdir(path, 0700);
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void write_own(const char *name, const char *text, size_t n) {
    char path[256];
    snprintf(path, sizeof path, "%s/prompts/%s.md", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void test_named_prompt__fills(void **state) {
    (void)state;
    static const struct {
        const char *form, *file, *text;
        const char *word[3];
        const char *want; /* NULL: refused, naming `says` */
        const char *says;
    } cases[] = {
        {"Sum up {{file}}.", "a.txt", NULL, {NULL}, "Sum up a.txt.", NULL},
        {"Sum up {{file}}.", NULL, NULL, {NULL}, NULL, "document"},
        {"Into {{language|English}}: {{text}}",
         NULL,
         NULL,
         {"guten", "Tag"},
         "Into English: guten Tag",
         NULL},
        {"Into {{language|English}}: {{text}}",
         NULL,
         "piped",
         {"language=Old Norse", "too"},
         "Into Old Norse: piped\n\ntoo",
         NULL},
        {"Into {{language|English}}: {{text}}", NULL, NULL, {"language=Latin"}, NULL, "{{text}}"},
        {"Explain. {{text|See the document above.}}", NULL, NULL, {NULL}, NULL, "there is none"},
        {"Explain. {{text|See the document above.}}",
         "a.txt",
         NULL,
         {NULL},
         "Explain. See the document above.",
         NULL},
        {"Explain. {{text|See the document above.}}", NULL, NULL, {"rain"}, "Explain. rain", NULL},
        {"Say {{text|hello}}.", NULL, NULL, {NULL}, "Say hello.", NULL},
        {"No place.", NULL, NULL, {"a=b", "stays"}, "No place.\n\na=b stays", NULL},
        {"{{a}}{{a}}", NULL, NULL, {"a={{b}}"}, "{{b}}{{b}}", NULL},
        {"{{a|}}.", NULL, NULL, {NULL}, ".", NULL},
        {"{{a}}.", NULL, NULL, {"ab=1"}, NULL, "{{a}}"},
        {"open {{ only", NULL, NULL, {NULL}, "open {{ only", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = {0};
        ox_err err = {0};
        size_t n = 0;
        while (n < 3 && cases[i].word[n])
            n++;
        const struct named_prompt_given given = {cases[i].file, cases[i].word, n, cases[i].text};
        int rc = named_prompt_fill(&out, cases[i].form, &given, &err);
        if (cases[i].want ? rc || strcmp(buf_str(&out), cases[i].want) != 0
                          : rc != OX_EUSAGE || out.n || !strstr(err.what, cases[i].says))
            fail_msg("case %zu: %d \"%s\" (%s)", i, rc, buf_str(&out), err.what);
        buf_deinit(&out);
    }
}

static void test_named_prompt__own_before_built_in(void **state) {
    (void)state;
    const struct config conf = {.file = file};
    char *text = NULL;
    assert_int_equal(named_prompt_load(&conf, "explain", &text, NULL), 0);
    assert_non_null(strstr(text, "{{text|"));
    assert_int_not_equal(text[0], '#');
    ox_free(text);
    write_own("explain", "# Mine\nIn one line: {{text}}\n\n", 30);
    assert_int_equal(named_prompt_load(&conf, "explain", &text, NULL), 0);
    assert_string_equal(text, "In one line: {{text}}");
    ox_free(text);
}

/* Words NAME=VALUE in front fill names that the prompt has; all behind them is its text. */
static void test_named_prompt__a_line_of_a_conversation(void **state) {
    static const struct {
        const char *line, *file, *want; /* want NULL: OX_EUSAGE */
    } cases[] = {
        {"into", NULL, NULL},
        {"into Good  day", NULL, "Into English: Good  day"},
        {"into language=Dutch Good day", NULL, "Into Dutch: Good day"},
        {"into a=b c", NULL, "Into English: a=b c"},
        {"into x language=Dutch", NULL, "Into English: x language=Dutch"},
        {"into", "a.txt", "Into English: the document above"},
        {"into language=Old", "a.txt", "Into Old: the document above"},
    };
    static const char form[] = "# One\nInto {{language|English}}: {{text|the document above}}\n";
    const struct config conf = {.file = file};
    (void)state;
    write_own("into", form, sizeof form - 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = {0};
        ox_err err = {0};
        int rc = named_prompt_line(&conf, cases[i].line, cases[i].file, &out, &err);
        if (cases[i].want ? rc || strcmp(buf_str(&out), cases[i].want) != 0
                          : rc != OX_EUSAGE || !strstr(err.fix, "/prompt into TEXT"))
            fail_msg("\"%s\": %d \"%s\" (%s)", cases[i].line, rc, buf_str(&out), err.fix);
        buf_deinit(&out);
    }
}

static void test_named_prompt__refused(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int rc;
        const char *says;
    } cases[] = {
        {"explian", OX_ENOTFOUND, "no prompt is called \"explian\""},
        {"../config", OX_ENOTFOUND, "no prompt"},
        {"", OX_ENOTFOUND, "no prompt"},
        {"document", OX_ENOTFOUND, "no prompt"}, /* a form of the program, no one's prompt */
        {"latin", OX_EUSAGE, "not UTF-8"},
        {"zero", OX_EUSAGE, "not UTF-8"},
        {"long", OX_EUSAGE, "longer than 64 KiB"},
    };
    const struct config conf = {.file = file};
    char *big = ox_alloc(NAMED_PROMPT_BYTES + 2, 1, "a long prompt", NULL);
    memset(big, 'a', NAMED_PROMPT_BYTES + 1);
    write_own("long", big, NAMED_PROMPT_BYTES + 1);
    write_own("latin", "caf\xe9", 4);
    write_own("zero", "a\0b", 3);
    ox_free(big);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = NULL;
        ox_err err = {0};
        int rc = named_prompt_load(&conf, cases[i].name, &text, &err);
        if (rc != cases[i].rc || text || !strstr(err.what, cases[i].says))
            fail_msg("\"%s\": %d %s", cases[i].name, rc, err.what);
        if (rc == OX_ENOTFOUND && !strstr(err.fix, "translate"))
            fail_msg("\"%s\": fix %s", cases[i].name, err.fix);
    }
}

static int add_row(void *user, const char *name, const char *brief) {
    return buf_printf(user, NULL, "%s|%s\n", name, brief);
}

/* The five that ship; a person's own once, first, and a name is not listed twice. */
static void test_named_prompt__list(void **state) {
    (void)state;
    const struct config none = {.file = "/nowhere/config"}, conf = {.file = file};
    struct buf rows = {0};
    assert_int_equal(named_prompt_list(&none, add_row, &rows, NULL), 0);
    static const char *const ship[] = {"commit|", "explain|", "facts|", "proofread|", "translate|"};
    size_t n = 0;
    for (const char *p = buf_str(&rows); (p = strchr(p, '\n')); p++)
        n++;
    assert_int_equal(n, 5);
    for (size_t i = 0; i < 5; i++)
        if (!strstr(buf_str(&rows), ship[i])) fail_msg("%s is missing", ship[i]);
    buf_cut(&rows, 0);
    write_own("explain", "# Mine\nx", 8);
    write_own("aa", "no first line", 13);
    assert_int_equal(named_prompt_list(&conf, add_row, &rows, NULL), 0);
    assert_memory_equal(buf_str(&rows), "aa|\nexplain|Mine\n", 17);
    assert_null(strstr(buf_str(&rows) + 17, "explain|"));
    buf_deinit(&rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named_prompt__fills),
        cmocka_unit_test_setup_teardown(test_named_prompt__own_before_built_in, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_named_prompt__a_line_of_a_conversation, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_named_prompt__refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_named_prompt__list, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
