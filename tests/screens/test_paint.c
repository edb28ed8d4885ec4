/* test_paint.c - the bytes of ui/paint.c through a terminal emulator: what it shows is the frame.
 * Random frames of hostile text, one painted over the other, at several sizes. */
#include "app/ui/paint.h"

#include "app/core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <vterm.h>

static const char *const torture[] = {
    "plain words ",
    "\u540d\u524d\u304c ",
    "e\u0301a\u0308\u0323 ",
    "\U0001F468\u200D\U0001F469\u200D\U0001F467 ",
    "\U0001F1E9\U0001F1EA\U0001F1EB\U0001F1F7 ",
    "\u2764\uFE0F ",
    "1\uFE0F\u20E3 ",
    "\u05D0\u05D1\u05D2 ",
    "\u0e01\u0e34\u0e19 ",
    "\xFF\xC3 ",
    "a\u200Bb\u2060c ",
    "\033[31m\033]0;x\007 ",
    "\302\233m ",
    "\u202Eabc ",
    "\U0001F600\U0001F44D\U0001F3FD ",
    "\uFF21\uFF22 ",
    "\u0600\u0601 ",
    "\u1100\u1161\u11A8 ",
};

static uint32_t seed = 1;
static uint32_t draw(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void random_frame(struct frame *f) {
    frame_clear(f);
    for (uint32_t i = 0, n = draw(30); i < n; i++) {
        int x = (int)draw((uint32_t)f->w), y = (int)draw((uint32_t)f->h);
        for (uint32_t k = 0; k < 1 + draw(8); k++) {
            const char *s = torture[draw(sizeof torture / sizeof torture[0])];
            x = frame_puts(f, x, y, f->w, s, (enum style)draw(STYLE_COUNT));
        }
    }
    if (draw(4)) f->cursor_x = (int)draw((uint32_t)f->w), f->cursor_y = (int)draw((uint32_t)f->h);
}

/* Clusters an emulator splits or merges differently are compared by their first code point. */
static void compare(VTerm *vt, const struct frame *f, int round) {
    VTermScreen *screen = vterm_obtain_screen(vt);
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            const struct cell *c = frame_cell(f, x, y);
            if (c->width == 0) continue;
            VTermScreenCell got;
            vterm_screen_get_cell(screen, (VTermPos){y, x}, &got);
            int32_t want = ' ';
            if (c->n) text_next(c->bytes, c->n, &want);
            uint32_t has = got.chars[0] ? got.chars[0] : ' ';
            if (want >= 0x600 && want <= 0x605 && has == ' ') continue; /* 0 cells in libvterm */
            if (has != (uint32_t)want)
                fail_msg("round %d, %dx%d: U+%04X at %d,%d, wanted U+%04X", round, f->w, f->h, has,
                         x, y, want);
        }
    if (f->cursor_x >= 0) {
        VTermPos pos;
        vterm_state_get_cursorpos(vterm_obtain_state(vt), &pos);
        assert_int_equal(pos.row, f->cursor_y);
        assert_int_equal(pos.col, f->cursor_x);
    }
}

static void test_paint__terminal_shows_the_frame(void **state) {
    static const int sizes[][2] = {{20, 6},   {40, 12}, {80, 24}, {120, 40},
                                   {250, 70}, {1, 1},   {2, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct frame f = {0};
        struct paint p = {
            .n_colours = s % 2 ? 256 : 16, .is_utf8 = true, .theme = (enum theme_name)(s % 5)};
        assert_int_equal(frame_init(&f, sizes[s][0], sizes[s][1], NULL), 0);
        VTerm *vt = vterm_new(sizes[s][1], sizes[s][0]);
        vterm_set_utf8(vt, 1);
        vterm_screen_reset(vterm_obtain_screen(vt), 1);
        for (int round = 0; round < 60; round++) {
            struct buf out = {0};
            random_frame(&f);
            assert_int_equal(paint_frame(&p, &f, &out, NULL), 0);
            vterm_input_write(vt, buf_str(&out), out.n);
            compare(vt, &f, round);
            buf_cut(&out, 0);
            assert_int_equal(paint_frame(&p, &f, &out, NULL), 0);
            assert_int_equal(out.n, 0); /* nothing changed: nothing is written */
            buf_deinit(&out);
        }
        vterm_free(vt);
        paint_deinit(&p);
        frame_deinit(&f);
    }
}

/* No byte of a control function may come out that paint did not make: ESC only as CSI of known
 * finals. */
static void test_paint__no_foreign_escape(void **state) {
    struct frame f = {0};
    struct paint p = {.n_colours = 256, .is_utf8 = true};
    struct buf out = {0};
    assert_int_equal(frame_init(&f, 60, 20, NULL), 0);
    for (int round = 0; round < 50; round++) {
        random_frame(&f);
        assert_int_equal(paint_frame(&p, &f, &out, NULL), 0);
    }
    for (size_t i = 0; i < out.n;) {
        int32_t cp;
        size_t n = text_next(out.p + i, out.n - i, &cp);
        if (cp == 0x1B) {
            assert_int_equal(out.p[i + 1], '[');
            size_t end = i + 2 + strspn(out.p + i + 2, "0123456789;?");
            assert_non_null(strchr("HJKmhl", out.p[end]));
            i = end + 1;
            continue;
        }
        assert_true(cp >= 0 && !text_is_control(cp));
        i += n;
    }
    buf_deinit(&out);
    paint_deinit(&p);
    frame_deinit(&f);
}

static void test_paint__small_change_is_few_bytes(void **state) {
    struct frame f = {0};
    struct paint p = {.n_colours = 256, .is_utf8 = true};
    struct buf out = {0};
    assert_int_equal(frame_init(&f, 250, 70, NULL), 0);
    for (int y = 0; y < 70; y++)
        frame_puts(&f, 0, y, 250, "a row of words that stays", STYLE_TEXT);
    f.cursor_x = 3, f.cursor_y = 69;
    assert_int_equal(paint_frame(&p, &f, &out, NULL), 0);
    buf_cut(&out, 0);
    frame_puts(&f, 3, 69, 250, "x", STYLE_TEXT);
    f.cursor_x = 4;
    assert_int_equal(paint_frame(&p, &f, &out, NULL), 0);
    assert_true(out.n > 0 && out.n < 64);
    buf_deinit(&out);
    paint_deinit(&p);
    frame_deinit(&f);
}

static void test_frame__refuses_control_bytes(void **state) {
    struct frame f = {0};
    struct buf text = {0};
    assert_int_equal(frame_init(&f, 20, 1, NULL), 0);
    frame_puts(&f, 0, 0, 20, "a\033b\nc\302\233d\u202Ee\x7F", STYLE_TEXT);
    assert_int_equal(frame_dump(&f, &text, NULL), 0);
    assert_string_equal(buf_str(&text), "a?b?c?d?e?\n");
    buf_deinit(&text);
    frame_deinit(&f);
}

static void test_frame__no_half_characters(void **state) {
    struct frame f = {0};
    struct buf text = {0};
    assert_int_equal(frame_init(&f, 5, 1, NULL), 0);
    frame_puts(&f, 0, 0, 5, "\u540d\u540d\u540d", STYLE_TEXT);
    frame_puts(&f, 1, 0, 5, "x", STYLE_TEXT);
    assert_int_equal(frame_dump(&f, &text, NULL), 0);
    assert_string_equal(buf_str(&text), " x\u540d\n");
    buf_deinit(&text);
    frame_deinit(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame__refuses_control_bytes),
        cmocka_unit_test(test_frame__no_half_characters),
        cmocka_unit_test(test_paint__terminal_shows_the_frame),
        cmocka_unit_test(test_paint__no_foreign_escape),
        cmocka_unit_test(test_paint__small_change_is_few_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
