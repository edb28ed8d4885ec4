/* test_kn_cost.c - the cost formulas against the table of docs/KERNELS.md 1.2 (the 7B shape). */
#include "kernels/kn_cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void check(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * want))
        fail_msg("%s: got %.6g, want %.6g", what, got, want);
}

static void test_kn_cost__weights_of_the_7b(void **state) {
    (void)state;
    struct kn_part gate_up[2] = {{.rows = 11008, .cols = 3840, .dtype = KN_BF16},
                                 {.rows = 11008, .cols = 3840, .dtype = KN_BF16}};
    struct kn_cost c = kn_cost_linear(gate_up, 2, 3);
    check("gate|up bf16, 32 layers, MB", 32.0 * c.bytes / 1e6, 5411.0, 1e-3);
    check("operations", c.ops, 2.0 * 3.0 * 2.0 * 11008.0 * 3840.0, 1e-12);
    for (int i = 0; i < 2; i++) {
        gate_up[i].dtype = KN_I4;
        gate_up[i].group = 64;
        gate_up[i].scale_dtype = KN_BF16;
    }
    check("int4, 4.25 bits", 32.0 * kn_cost_linear(gate_up, 2, 1).bytes / 1e6, 1437.0, 1e-3);
    gate_up[0].group = gate_up[1].group = 0; /* a scale a row: 2 bytes for 3840 columns */
    check("int4 by rows", kn_cost_linear(gate_up, 1, 1).bytes, 11008.0 * (1920.0 + 2.0), 1e-12);
}

static void test_kn_cost__recurrent_state_of_the_7b(void **state) {
    (void)state;
    struct kn_gdn g = {.q = {.rows = 1, .cols = 2880},
                       .v = {.rows = 1, .cols = 5760},
                       .taps = {.rows = 11520, .cols = 4},
                       .conv = {.rows = 3, .cols = 11520, .dtype = KN_BF16},
                       .state = {.rows = 5760, .cols = 96}};
    struct kn_cost c = kn_cost_gdn(&g);
    check("state and conv tails, 24 layers, MB", 24.0 * c.bytes / 1e6, 106.0 + 3.3, 5e-3);
    check("delta rule, GFLOP", 24.0 * (c.ops - 8.0 * 11520.0) / 1e9, 0.09, 0.05);
}

static void test_kn_cost__keys_and_values_of_the_7b(void **state) {
    (void)state;
    struct kn_attn a = {
        .q = {.rows = 1, .cols = 3840}, .n_heads = 30, .n_kv_heads = 30, .kv = KN_BF16};
    double N = 65536.0;
    struct kn_cost c = kn_cost_attn(&a, 65536);
    check("bf16, bytes a token of context", 8.0 * c.bytes / (N + 2.0), 122880.0, 1e-9);
    check("attention at 64K, GFLOP", 8.0 * c.ops / 1e9, 8.05, 1e-2);
    a.kv = KN_I8;
    check("int8", 8.0 * kn_cost_attn(&a, 65536).bytes / (N + 2.0), 63360.0, 1e-9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kn_cost__weights_of_the_7b),
        cmocka_unit_test(test_kn_cost__recurrent_state_of_the_7b),
        cmocka_unit_test(test_kn_cost__keys_and_values_of_the_7b),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
