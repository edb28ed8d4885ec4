/* test_prompt.c - words around documents, borders, and what fits. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "app/core/budget.h"
#include "app/core/eta.h"
#include "app/core/prompt.h"
#include "app/core/say.h"

static void test_prompt__document_in_three_parts(void **state) {
    static const struct {
        const char *text;
        enum ox_role role;
        bool joined;
        enum ox_why why;
    } want[] = {
        {"be brief", OX_ROLE_SYSTEM, false, OX_WHY_SYSTEM},
        {"Here is a document.\n\n", OX_ROLE_USER, false, OX_WHY_NONE},
        {"text one", OX_ROLE_USER, true, OX_WHY_DOCUMENT},
        {"\n\nHere is a document.\n\n", OX_ROLE_USER, true, OX_WHY_NONE},
        {"text two", OX_ROLE_USER, true, OX_WHY_DOCUMENT},
        {"\n\nWho signed?", OX_ROLE_USER, true, OX_WHY_NONE},
        {"Nobody.", OX_ROLE_ASSISTANT, false, OX_WHY_TURN},
        {"Sure?", OX_ROLE_USER, false, OX_WHY_NONE},
    };
    struct prompt p = {0};
    const int32_t ids[] = {1, 2, 3};
    assert_int_equal(prompt_system(&p, "be brief", 8, NULL), 0);
    assert_int_equal(prompt_document(&p, "text one", 8, NULL, 0, NULL), 0);
    assert_int_equal(prompt_document(&p, "text two", 8, ids, 3, NULL), 0);
    assert_int_equal(prompt_user(&p, "Who signed?", 11, NULL), 0);
    assert_int_equal(prompt_assistant(&p, "Nobody.", 7, ids, 3, NULL), 0);
    assert_int_equal(prompt_user(&p, "Sure?", 5, NULL), 0);
    assert_int_equal(p.n, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < p.n; i++) {
        assert_int_equal(p.msg[i].role, want[i].role);
        assert_int_equal(p.msg[i].joined, want[i].joined);
        assert_int_equal(p.why[i], want[i].why);
        assert_int_equal(p.msg[i].n_bytes, strlen(want[i].text));
        assert_memory_equal(p.msg[i].text, want[i].text, p.msg[i].n_bytes);
    }
    assert_int_equal(p.msg[4].n_tok, 3);
    prompt_deinit(&p);
}

static void test_prompt__fill(void **state) {
    const struct prompt_value v[] = {{"file", "a.txt"}, {"lang", "German"}};
    struct buf b = {0};
    ox_err err = {0};
    assert_int_equal(prompt_fill(&b, "Put {{file}} into {{lang}} {x} {{", v, 2, &err), 0);
    assert_string_equal(buf_str(&b), "Put a.txt into German {x} {{");
    assert_int_equal(prompt_fill(&b, "{{who}}", v, 2, &err), OX_EUSAGE);
    assert_non_null(strstr(err.what, "{{who}}"));
    assert_int_equal(b.n, strlen("Put a.txt into German {x} {{"));
    buf_deinit(&b);
}

static void test_budget__fits(void **state) {
    static const struct {
        size_t limit, max_new, wanted;
        int rc;
        const char *text;
    } cases[] = {
        {65536, 0, 81204, OX_EFIT,
         "does not fit: 81,204 tokens wanted, 63,488 free (65,536 less 2,048 for the answer)"},
        {65536, 0, 63488, 0, ""},
        {65536, 0, 63489, OX_EFIT,
         "does not fit: 63,489 tokens wanted, 63,488 free (65,536 less 2,048 for the answer)"},
        {65536, 100, 65436, 0, ""},
        {1024, 0, 513, OX_EFIT,
         "does not fit: 513 tokens wanted, 512 free (1,024 less 512 for the answer)"},
        {1024, 4000, 1, OX_EFIT,
         "does not fit: 1 tokens wanted, 0 free (1,024 less 1,024 for the answer)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ox_err err = {0};
        struct budget b = budget_for(cases[i].limit, cases[i].max_new, cases[i].wanted);
        assert_int_equal(budget_check(&b, &err), cases[i].rc);
        assert_string_equal(err.what, cases[i].text);
    }
    assert_int_equal(budget_mark(100, 800, 1000), 75);
    assert_int_equal(budget_mark(100, 950, 1000), 90);
    assert_int_equal(budget_mark(760, 800, 1000), 0);
}

static void test_say__numbers(void **state) {
    char b[SAY_BYTES];
    assert_string_equal(say_count(b, 0), "0");
    assert_string_equal(say_count(b, 1234567), "1,234,567");
    assert_string_equal(say_short(b, 99), "99");
    assert_string_equal(say_short(b, 41233), "41.2k");
    assert_string_equal(say_bytes(b, 1023), "1023 B");
    assert_string_equal(say_bytes(b, 3333333), "3.2 MiB");
    assert_string_equal(say_time(b, 0.41), "0.4 s");
    assert_string_equal(say_time(b, 130), "2 min 10 s");
    assert_string_equal(say_time(b, 4320), "1 h 12 min");
}

/* Cost grows with depth: the estimate must follow it, which a mean rate would miss by half. */
static const struct {
    const char *name;
    double a, slope;  /* seconds a token: a + slope p */
    size_t from;      /* tokens that were there before */
    double deepening; /* as the engine expects it */
    double noise;     /* of a chunk's time, relative */
    double load;      /* seconds that the first chunk takes longer */
    double first;     /* error allowed before 3 s and after one chunk */
} eta_cases[] = {
    {"flat", 1e-3, 0, 0, 0, 0, 0, 0.01},
    {"as expected", 1e-3, 4e-8, 0, 4e-5, 0.1, 0, 0.5},
    {"a load before it", 1.1e-3, 8e-8, 0, 6.5e-5, 0.02, 0.3, 1},
    {"less expected", 1e-3, 5.5e-8, 0, 4e-5, 0.02, 0, 0.25},
    {"more expected", 1e-3, 4e-8, 0, 5e-5, 0.02, 0, 0.25},
    {"the second half", 1e-3, 4e-8, 30000, 4e-5, 0.1, 0.2, 0.3},
    {"the second half, not as expected", 1e-3, 8e-8, 30000, 4e-5, 0.02, 0, 0.2},
    {"slow, a state is loaded", 1e-2, 9e-7, 8192, 6e-5, 0.1, 4, 2},
};

static void test_eta__within_a_fifth(void **state) {
    const size_t total = 60000;
    (void)state;
    for (size_t i = 0; i < sizeof eta_cases / sizeof eta_cases[0]; i++) {
        double t[60000 / 256 + 2] = {0}; /* clock when the k-th chunk is done */
        size_t n = 0;
        for (size_t at = eta_cases[i].from; at < total; at += 256, n++) {
            double x = at + 256 < total ? 256 : (double)(total - at);
            double true_s = x * (eta_cases[i].a + eta_cases[i].slope * ((double)at + x / 2));
            if (n == 0) true_s += eta_cases[i].load;
            t[n + 1] = t[n] + true_s * (1 + eta_cases[i].noise * sin((double)(at + 1) * 12.9898));
        }
        struct eta e;
        eta_start(&e, eta_cases[i].from, 0, eta_cases[i].deepening);
        assert_true(eta_left(&e, total) < 0);
        for (size_t k = 1; k < n; k++) {
            eta_add(&e, eta_cases[i].from + k * 256, t[k]);
            double left = t[n] - t[k], off = fabs(eta_left(&e, total) - left) / left;
            double allowed = k == 1 || t[k] < 3 ? eta_cases[i].first : 0.2;
            if (left > 2 && off > allowed)
                fail_msg("%s, after %.1f s: %.1f s, true %.1f s", eta_cases[i].name, t[k],
                         eta_left(&e, total), left);
        }
        assert_int_equal(eta_left(&e, e.at), 0);
        assert_true(eta_rate(&e) > 10 && eta_rate(&e) < 1010);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompt__document_in_three_parts),
        cmocka_unit_test(test_prompt__fill),
        cmocka_unit_test(test_budget__fits),
        cmocka_unit_test(test_say__numbers),
        cmocka_unit_test(test_eta__within_a_fifth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
