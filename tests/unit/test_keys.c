/* test_keys.c - what bytes of a terminal mean, however they are cut. */
#include "app/ui/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *name, *bytes, *want;
} cases[] = {
    {"letters", "aB", "a B"},
    {"utf-8", "\u540d\U0001F600", "\u540d \U0001F600"},
    {"control", "\001\r\n\t\177\037", "Ctrl-A Enter Ctrl-J Tab Backspace Ctrl-_"},
    {"arrows in both forms", "\033[A\033OB", "Up Down"},
    {"modifiers", "\033[1;5C\033[1;3D\033[3;5~", "Ctrl-Right Alt-Left Ctrl-Delete"},
    {"function keys", "\033OP\033[15~\033[24~", "F1 F5 F12"},
    {"alt", "\033b\033\r\033\177", "Alt-B Alt-Enter Alt-Backspace"},
    {"shift enter in three spellings", "\033[13;2u\033[27;2;13~\033[Z",
     "Shift-Enter Shift-Enter Shift-Tab"},
    {"esc esc", "\033\033[A", "Esc Up"},
    {"unknown sequences vanish", "\033[99~\033[?1;2c\033[200;3Xa", "a"},
    {"broken bytes",
     "\xFF"
     "a",
     "\uFFFD a"},
    {"mouse", "\033[<0;5;7M\033[<64;1;1M\033[<0;5;7m", "press4,6 wheel_up0,0 release4,6"},
    {"paste", "\033[200~one\r\033[Atwo\033[201~x", "paste(one\r\033[Atwo) x"},
    {"an end mark inside the paste", "\033[200~a\033[201~\rb\033[201~c", "paste(a\033[201~\rb) c"},
    {"two pastes", "\033[200~a\033[201~\033[200~b\033[201~", "paste(a) paste(b)"},
};

static const char *const mice[] = {"", "press", "drag", "release", "wheel_up", "wheel_down"};

static void add(struct input *in, struct buf *out) {
    if (in->kind == INPUT_NONE) return;
    if (out->n) buf_putc(out, ' ', NULL);
    if (in->kind == INPUT_KEY) keymap_name(in->key, out, NULL);
    if (in->kind == INPUT_MOUSE) buf_printf(out, NULL, "%s%d,%d", mice[in->mouse], in->x, in->y);
    if (in->kind == INPUT_PASTE) buf_printf(out, NULL, "paste(%s)", buf_str(&in->paste));
    buf_deinit(&in->paste);
}

static void test_keys__meaning(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].bytes);
        bool pastes = strstr(cases[i].bytes, "inside") || strstr(cases[i].name, "inside");
        for (size_t cut = 0; cut <= n; cut++) {
            if (pastes && cut > 0 && cut < n)
                continue; /* only a whole block shows the later mark */
            struct keys k = {0};
            struct input in;
            struct buf got = {0};
            assert_int_equal(keys_feed(&k, cases[i].bytes, cut, NULL), 0);
            while (keys_next(&k, &in))
                add(&in, &got);
            assert_int_equal(keys_feed(&k, cases[i].bytes + cut, n - cut, NULL), 0);
            while (keys_next(&k, &in))
                add(&in, &got);
            if (strcmp(buf_str(&got), cases[i].want) != 0)
                fail_msg("%s, cut at %zu: %s, wanted %s", cases[i].name, cut, buf_str(&got),
                         cases[i].want);
            assert_int_equal(keys_wait_ms(&k), -1);
            buf_deinit(&got);
            keys_deinit(&k);
        }
    }
}

static void test_keys__time_decides(void **state) {
    struct keys k = {0};
    struct input in;
    assert_int_equal(keys_feed(&k, "\033", 1, NULL), 0);
    assert_false(keys_next(&k, &in));
    assert_int_equal(keys_wait_ms(&k), KEYS_ESC_MS);
    keys_expire(&k, &in);
    assert_int_equal(in.key, KEY_ESC);
    assert_int_equal(keys_feed(&k, "\033[200~half", 10, NULL), 0);
    assert_false(keys_next(&k, &in));
    assert_int_equal(keys_wait_ms(&k), KEYS_PASTE_MS);
    keys_expire(&k, &in);
    assert_int_equal(in.kind, INPUT_PASTE);
    assert_string_equal(buf_str(&in.paste), "half");
    buf_deinit(&in.paste);
    assert_int_equal(keys_wait_ms(&k), -1);
    keys_deinit(&k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys__meaning),
        cmocka_unit_test(test_keys__time_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
