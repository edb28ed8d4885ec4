/* golden_check.c - judges any Olmo Hybrid folder that has a golden.safetensors, or a tokenizer
 * against vectors. One line a key: largest and RMS error, pass or fail. Exit status 0 only if all
 * pass. */
#include "tests/golden/golden_model.h"
#include "tests/golden/golden_tokens.h"

#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: golden_check [--backend B] [--kv F] [--fast] [--threads N] FOLDER\n"
    "       golden_check --tokens TOKENIZER_FOLDER VECTORS.jsonl\n"
    "Default: the best CPU level with f32 activations and f32 keys and values; --fast keeps the\n"
    "backend's own activations. FOLDER has config.json, weights, tokenizer.json, "
    "golden.safetensors.\n";

static int tell(const ox_err *err) {
    fprintf(stderr, "golden_check: %s: %s\n", err->where, err->what);
    if (err->fix[0]) fprintf(stderr, "  %s\n", err->fix);
    return 3;
}

static int check_tokens(const char *folder, const char *vectors) {
    struct golden_tokens got;
    ox_err err = {0};
    if (golden_tokens(folder, vectors, stdout, &got, &err)) return tell(&err);
    return got.n_wrong || got.n_wrong_streams ? 1 : 0;
}

static int check_model(const struct golden_opts *o) {
    struct golden_report got;
    ox_err err = {0};
    if (golden_run(o, &got, &err)) return tell(&err);
    printf("%zu keys, %zu failed (%s)\n", got.n_keys, got.n_failed, got.backend);
    return got.n_failed ? 1 : 0;
}

int main(int argc, char **argv) {
    struct ox_engine_opts engine = {.backend = "cpu", .kv = "f32", .f32_activations = true};
    struct golden_opts o = {.engine = &engine, .to = stdout};
    if (argc == 4 && strcmp(argv[1], "--tokens") == 0) return check_tokens(argv[2], argv[3]);
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--backend") == 0 && has_value) {
            engine.backend = argv[++i];
        } else if (strcmp(argv[i], "--kv") == 0 && has_value) {
            engine.kv = argv[++i];
        } else if (strcmp(argv[i], "--threads") == 0 && has_value) {
            engine.n_threads = (int)strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--fast") == 0) {
            engine.f32_activations = false;
        } else if (argv[i][0] != '-' && !o.folder) {
            o.folder = argv[i];
        } else {
            o.folder = NULL;
            break;
        }
    }
    if (!o.folder) {
        fputs(usage, stderr);
        return 2;
    }
    return check_model(&o);
}
