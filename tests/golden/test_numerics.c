/* test_numerics.c - the numerics version names the bits of results: saved states are only read by
 * the version that wrote them, so a result that changes without it would mix two arithmetics in one
 * conversation (docs/STORE.md section 7). tests/golden/numerics.txt has, for each backend and
 * format, the version and a digest of states, logits, keys and values of a short timeline.
 *
 * After a wanted change: raise NUMERICS_REVISION (kernels/cpu/cpu_dev.c, or its like in
 * kernels/cuda), then OXBOW_DIGESTS=write build/dev/tests/test_numerics writes the file anew. */
#include "tests/support/tiny.h"

#include "engine/engine.h"
#include "kernels/base/ox_mem.h"
#include "kernels/cpu/cpu_level.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#define LIBC gnu_get_libc_version()
#else
#define LIBC "other"
#endif

enum { N_READ = 300, N_DRAWN = 12, N_LINES = 512 };

static const char *const folders[] = {"tiny-7b-shape", "tiny-heads", "tiny-mixed-quant",
                                      "tiny-zero-points"};

struct line {
    char key[96]; /* "cpu-avx2 f32 bf16 tiny-heads" */
    uint64_t numerics, hi, lo;
};

static struct line recorded[N_LINES], got[N_LINES];
static int n_recorded, n_got;
static char libc_of_file[32];

static void read_file(void) {
    char path[512], text[256];
    snprintf(path, sizeof path, "%s/golden/numerics.txt", OXBOW_TEST_DIR);
    FILE *f = fopen(path, "r");
    n_recorded = 0;
    while (f && fgets(text, sizeof text, f)) {
        struct line *l = &recorded[n_recorded];
        char b[32], a[8], kv[8], folder[40];
        if (sscanf(text, "# glibc %31s", libc_of_file) == 1 || text[0] == '#') continue;
        if (sscanf(text, "%31s %7s %7s %39s %" SCNx64 " %16" SCNx64 "%16" SCNx64, b, a, kv, folder,
                   &l->numerics, &l->hi, &l->lo) != 7)
            continue;
        snprintf(l->key, sizeof l->key, "%s %s %s %s", b, a, kv, folder);
        assert_true(++n_recorded < N_LINES);
    }
    if (f) fclose(f);
}

static void write_line(FILE *f, const struct line *l) {
    fprintf(f, "%-52s %016" PRIx64 " %016" PRIx64 "%016" PRIx64 "\n", l->key, l->numerics, l->hi,
            l->lo);
}

static bool is_made(const char *key) {
    for (int i = 0; i < n_got; i++)
        if (strcmp(got[i].key, key) == 0) return true;
    return false;
}

/* What this machine cannot run stays as it was. */
static void write_file(void) {
    char path[512];
    snprintf(path, sizeof path, "%s/golden/numerics.txt", OXBOW_TEST_DIR);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "# made by OXBOW_DIGESTS=write test_numerics; see there\n# glibc %s\n"
            "# backend, activations, KV, model: numerics version, digest\n",
            LIBC);
    for (int i = 0; i < n_got; i++)
        write_line(f, &got[i]);
    for (int i = 0; i < n_recorded; i++)
        if (!is_made(recorded[i].key)) write_line(f, &recorded[i]);
    fclose(f);
}

static void digest(const struct ox_engine_opts *opts, const char *folder) {
    static int32_t ids[N_READ];
    struct line *l = &got[n_got++];
    struct tiny t;
    assert_true(n_got < N_LINES);
    tiny_open(&t, folder, opts, NULL);
    tiny_ids(ids, N_READ, 9);
    tiny_sync(&t, ids, N_READ);
    tiny_draw(&t, N_DRAWN, 77);
    struct ox_key d = tiny_digest(&t);
    snprintf(l->key, sizeof l->key, "%s %s %s %s", opts->backend,
             opts->f32_activations ? "f32" : "fast", opts->kv ? opts->kv : "bf16", folder);
    l->numerics = ox_engine_info(t.e)->numerics;
    l->hi = d.hi;
    l->lo = d.lo;
    tiny_close(&t);
}

static void digest_all(struct ox_engine_opts opts) {
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        digest(&opts, folders[i]);
    opts.kv = "int8";
    digest(&opts, folders[0]);
}

static void make_digests(void) {
    int n_levels;
    const struct cpu_level *level = cpu_levels(&n_levels);
    for (int l = 0; l < 2 * n_levels; l++) {
        char backend[64];
        if (!level[l / 2].is_supported()) continue;
        snprintf(backend, sizeof backend, "cpu-%s", level[l / 2].name);
        digest_all(
            (struct ox_engine_opts){.backend = backend, .n_threads = 1, .f32_activations = l % 2});
    }
    if (tiny_has_cuda()) digest_all((struct ox_engine_opts){.backend = "cuda"});
}

/* A line of the same key: of the same version if there is one (GPUs of several kinds have theirs).
 */
static const struct line *find_line(const struct line *want) {
    const struct line *other = NULL;
    for (int i = 0; i < n_recorded; i++) {
        if (strcmp(recorded[i].key, want->key) != 0) continue;
        if (recorded[i].numerics == want->numerics) return &recorded[i];
        other = &recorded[i];
    }
    return other;
}

static void test_numerics__change_with_the_results(void **state) {
    (void)state;
    const char *mode = getenv("OXBOW_DIGESTS");
    int n_missing = 0;
    read_file();
    make_digests();
    if (mode && strcmp(mode, "write") == 0) {
        write_file();
        return;
    }
    /* The C library's expf and its kin are part of the arithmetic. */
    if (strcmp(libc_of_file, LIBC) != 0) {
        print_message("SKIP digests were made with glibc %s, this is %s\n", libc_of_file, LIBC);
        skip();
    }
    for (int i = 0; i < n_got; i++) {
        const struct line *l = find_line(&got[i]);
        if (!l || (l->numerics != got[i].numerics && strncmp(l->key, "cuda", 4) == 0)) {
            n_missing++;
            continue;
        }
        bool is_same = l->hi == got[i].hi && l->lo == got[i].lo;
        if (l->numerics == got[i].numerics && !is_same)
            fail_msg("%s: results changed, the numerics version %" PRIx64
                     " did not: saved states would be mixed. Raise it, then OXBOW_DIGESTS=write",
                     l->key, l->numerics);
        if (l->numerics != got[i].numerics)
            fail_msg("%s: numerics version %" PRIx64 ", recorded %" PRIx64
                     ": OXBOW_DIGESTS=write records it%s",
                     l->key, got[i].numerics, l->numerics,
                     is_same ? " (the results are the same)" : "");
    }
    if (n_missing) print_message("SKIP %d of %d have no recorded digest\n", n_missing, n_got);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numerics__change_with_the_results)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
