/* test_unicode.c - the torture file: every cluster kind, at every width, in answer, question, input
 * and document. No row breaks, no half character, the cursor stands behind what was typed. */
#include "tests/screens/stage.c"

#include "app/core/text.h"

static const char *const torture[] = {
    "CJK "
    "\u6f22\u5b57\u3068\u304b\u306a\u4ea4\u3058\u308a\u6587\u3067\u3001\u53e5\u8aad\u70b9\u3082"
    "\u3042\u308b\u3002",
    "combining e\u0301 a\u0308\u0323 o\u0302\u0301 "
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f"
    "\u031e\u0320\u034d",
    "emoji \U0001F600 \U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466 "
    "\U0001F44D\U0001F3FD \u2764\uFE0F 1\uFE0F\u20E3 \U0001F3F3\uFE0F\u200D\U0001F308",
    "flags \U0001F1E9\U0001F1EA\U0001F1EB\U0001F1F7\U0001F1EF\U0001F1F5\U0001F1E9",
    "rtl \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u202Eevil\u202C \u2067x\u2069",
    "broken \xFF\xFE \xC3 \xE2\x82 \xED\xA0\x80 \xF4\x90\x80\x80 end",
    "zero a\u200Bb\u200Cc\u200Dd\u2060e\uFEFFf",
    "indic \u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 "
    "\u1100\u1161\u11a8\ud55c\uae00",
    "full \uff21\uff22\uff23 half \uff71\uff72 box \u2500\u2502 ambiguous \u00b1\u00d7\u2026",
    "tabs\tand\ttabs",
    "",
};
enum { N = sizeof torture / sizeof torture[0] };

/* Every cell holds whole clusters; the second half of a wide one is there and belongs to it. */
static void check_frame(const struct frame *f) {
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            const struct cell *c = frame_cell(f, x, y);
            if (c->width == 2) {
                assert_true(x + 1 < f->w);
                assert_int_equal(frame_cell(f, x + 1, y)->width, 0);
            }
            if (c->width == 0) assert_true(x > 0 && frame_cell(f, x - 1, y)->width == 2);
            if (c->n == 0) continue;
            assert_int_equal(text_valid(c->bytes, c->n), c->n);
            for (size_t i = 0; i < c->n;) {
                int32_t cp;
                i += text_next(c->bytes + i, c->n - i, &cp);
                assert_false(text_is_control(cp));
            }
        }
}

static void test_unicode__every_width(void **state) {
    struct buf all = {0}, big = {0};
    for (size_t i = 0; i < N; i++)
        buf_printf(&all, NULL, "%s\n", torture[i]);
    for (int i = 0; i < 10000; i++)
        buf_add(&big, "\u540d", 3, NULL);
    for (int w = 1; w <= 100; w += w < 30 ? 1 : 7) {
        struct stage st;
        stage_open(&st, w, 25);
        stage_keys(&st, "'q' Enter");
        stage_answer(&st, all.p);
        stage_answer(&st, "\n\n```\n");
        stage_answer(&st, all.p);
        stage_answer(&st,
                     "```\n\n| a | b |\n|---|---|\n| \u6f22\u5b57 | \U0001F1E9\U0001F1EA |\n\n");
        stage_answer(&st, big.p);
        for (int page = 0; page < 30; page++) {
            stage_draw(&st);
            check_frame(&st.f);
            stage_keys(&st, "PgUp");
        }
        stage_event(&st, (struct event){.kind = EV_DONE, .end = CHAT_DONE});
        for (size_t i = 0; i < N; i++) {
            stage_event(&st, (struct event){
                                 .kind = EV_EDITED, .text = torture[i], .n = strlen(torture[i])});
            stage_draw(&st);
            check_frame(&st.f);
            assert_true(st.f.cursor_x >= 0 && st.f.cursor_x < w);
        }
        stage_close(&st);
    }
    buf_deinit(&all);
    buf_deinit(&big);
}

/* Left and right go over whole clusters, and the cursor's column is the width of what stands
 * before. */
static void test_unicode__cursor(void **state) {
    for (size_t i = 0; i < N; i++) {
        struct stage st;
        stage_open(&st, 200, 20);
        stage_event(&st,
                    (struct event){.kind = EV_EDITED, .text = torture[i], .n = strlen(torture[i])});
        for (;;) {
            const struct edit *e = &st.s.input;
            stage_draw(&st);
            size_t want = e->cursor ? text_cells(e->text.p, e->cursor) : 0;
            assert_int_equal(st.f.cursor_x, 2 + (int)want);
            if (e->cursor == 0) break;
            size_t before = e->cursor;
            stage_keys(&st, "Left");
            assert_true(e->cursor < before);
            stage_keys(&st, "Right");
            assert_int_equal(e->cursor, before);
            stage_keys(&st, "Left");
        }
        stage_close(&st);
    }
}

/* A character split over tokens is never shown in halves: the engine holds it back; here the whole
 * text is fed by bytes, as a broken server might. */
static void test_unicode__bytes_one_by_one(void **state) {
    struct stage st;
    stage_open(&st, 60, 30);
    stage_keys(&st, "'q' Enter");
    for (size_t i = 0; i < N; i++)
        for (const char *p = torture[i]; *p; p++) {
            char one[2] = {*p, 0};
            stage_answer(&st, one);
            stage_draw(&st);
            check_frame(&st.f);
        }
    stage_close(&st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unicode__every_width),
        cmocka_unit_test(test_unicode__cursor),
        cmocka_unit_test(test_unicode__bytes_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
