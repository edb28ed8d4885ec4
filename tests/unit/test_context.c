/* test_context.c - the context map: whose tokens are whose, and what is read again without a piece.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/core/context.h"

/* System, two documents before the first question, a second turn: each message has 10 tokens. */
static void build(struct prompt *p, size_t *ends) {
    assert_int_equal(prompt_system(p, "S", 1, NULL), 0);
    assert_int_equal(prompt_document(p, "D1", 2, NULL, 0, NULL), 0);
    assert_int_equal(prompt_document(p, "D2", 2, NULL, 0, NULL), 0);
    assert_int_equal(prompt_user(p, "Q1", 2, NULL), 0);
    assert_int_equal(prompt_assistant(p, "A1", 2, NULL, 0, NULL), 0);
    assert_int_equal(prompt_user(p, "Q2", 2, NULL), 0);
    assert_int_equal(prompt_assistant(p, "A2", 2, NULL, 0, NULL), 0);
    for (size_t i = 0; i < p->n; i++)
        ends[i] = (i + 1) * 10;
}

static void test_context__pieces(void **state) {
    static const struct context_piece want[] = {
        {CONTEXT_SYSTEM, 1, 10, 80}, {CONTEXT_DOCUMENT, 1, 20, 60}, {CONTEXT_DOCUMENT, 2, 20, 40},
        {CONTEXT_TURN, 1, 20, 20},   {CONTEXT_TURN, 2, 20, 0},
    };
    struct prompt p = {0};
    struct context_map m;
    size_t ends[16];
    (void)state;
    build(&p, ends);
    assert_int_equal(p.n, 9);
    assert_int_equal(context_make(&p, ends, &m, NULL), 0);
    assert_int_equal(m.tokens, 90);
    assert_int_equal(m.n, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < m.n; i++)
        if (m.v[i].kind != want[i].kind || m.v[i].n != want[i].n ||
            m.v[i].tokens != want[i].tokens || m.v[i].again != want[i].again)
            fail_msg("piece %zu: kind %d, %zu, %zu tokens, %zu again", i, (int)m.v[i].kind,
                     m.v[i].n, m.v[i].tokens, m.v[i].again);
    struct buf bar = {0};
    assert_int_equal(context_bar(&m, 180, 18, &bar, NULL), 0);
    assert_string_equal(buf_str(&bar), "[s][dddd][tttt][.........]");
    buf_cut(&bar, 0);
    assert_int_equal(context_bar(&m, 65536, 20, &bar, NULL), 0);
    assert_string_equal(buf_str(&bar), "[s][d][t][.................]");
    buf_deinit(&bar);
    context_deinit(&m);
    prompt_deinit(&p);
}

static void test_context__empty(void **state) {
    struct prompt p = {0};
    struct context_map m;
    struct buf bar = {0};
    (void)state;
    assert_int_equal(context_make(&p, NULL, &m, NULL), 0);
    assert_int_equal(m.n, 0);
    assert_int_equal(context_bar(&m, 100, 4, &bar, NULL), 0);
    assert_string_equal(buf_str(&bar), "[....]");
    buf_deinit(&bar);
    context_deinit(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context__pieces),
        cmocka_unit_test(test_context__empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
