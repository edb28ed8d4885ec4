/* cpu_level.c - which instruction sets the processor and the system allow, asked once by cpuid, and
 * the table of forms for each. Apart from cpu_dev.c, so that this is the only file that looks at
 * hardware. */
#include "kernels/cpu/cpu_level.h"

#include "kernels/cpu/cpu_fast.h"

#include <stdio.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static bool is_always(void) {
    return true;
}

void cpu_brand(char *out, size_t cap) {
    snprintf(out, cap, "CPU");
#if defined(__x86_64__)
    unsigned int w[12] = {0}, max = __get_cpuid_max(0x80000000u, NULL);
    if (max < 0x80000004u) return;
    for (unsigned int i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &w[4 * i], &w[4 * i + 1], &w[4 * i + 2], &w[4 * i + 3]);
    char brand[49];
    memcpy(brand, w, 48);
    brand[48] = '\0';
    const char *from = brand;
    while (*from == ' ')
        from++;
    size_t n = strlen(from);
    while (n && from[n - 1] == ' ')
        n--;
    if (n) snprintf(out, cap, "%.*s", (int)n, from);
#endif
}

#if defined(__x86_64__)
/* Leaf 1, ecx bit 29; __builtin_cpu_supports of gcc 12 does not know the name. */
static bool has_f16c(void) {
    unsigned int a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1u);
}

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

static bool has_avx512bf16(void) {
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
#endif

const struct cpu_level *cpu_levels(int *n) {
    static const struct cpu_level levels[] = {
        {.name = "ref", .is_supported = is_always},
#if defined(__x86_64__)
        {"avx2", has_avx2, cpu_pack_words, cpu_embed_words, avx2_linear, avx2_gdn, avx2_attn},
        {"avx512", has_avx512, cpu_pack_words, cpu_embed_words, avx512_linear, avx512_gdn,
         avx512_attn},
        {"avx512bf16", has_avx512bf16, cpu_pack_words, cpu_embed_words, avx512_linear, avx512_gdn,
         avx512bf16_attn},
#endif
    };
    *n = (int)(sizeof levels / sizeof levels[0]);
    return levels;
}
