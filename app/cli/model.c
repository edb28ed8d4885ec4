/* model.c - what a model folder is, whether it is whole, how fast it runs here, and a smaller one
 * made from it: the engine's offline tasks. */
#include "app/cli/model_show.h"
#include "app/cli/verb.h"
#include "app/core/buf.h"
#include "app/core/text.h"
#include "app/remote_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- one task ---- */

static int run_task(struct cli *c, enum ox_task task, const char *folder, const char *args,
                    bool brief, ox_err *err) {
    const struct config *conf = &c->conf;
    if (remote_conf_name(folder)) {
        ox_err_set(err, OX_EUSAGE, "%.60s is on a server: there is no folder to look at", folder);
        return ox_err_fix(err, "name a model folder, or leave -m out for the built-in model");
    }
    struct model_show s = {
        .is_json = flags_has(&c->flags, "--json"),
        .is_brief = brief,
        .has_bar = isatty(STDERR_FILENO) && !flags_has(&c->flags, "-q") &&
                   strcmp(conf->term, "dumb") != 0 && !conf->accessible,
        .ctx = conf->ctx > 0 ? (uint64_t)conf->ctx : 0,
        .err = err,
    };
    const struct ox_engine_opts opts = {.model_dir = folder,
                                        .backend = conf->backend,
                                        .kv = conf->kv,
                                        .n_threads = (int)conf->threads,
                                        .max_tokens = (uint32_t)conf->ctx};
    int rc = ox_offline(task, &opts, args, model_show_line, &s, err);
    model_show_end(&s);
    if (s.rc) rc = s.rc;
    if (fflush(stdout) && !rc) rc = ox_err_set(err, OX_EIO, "cannot write to stdout");
    return rc;
}

static const char *folder_of(const struct cli *c) {
    return c->flags.n_word > 1 ? c->flags.word[1] : c->conf.model;
}

static int model_list(struct cli *c, ox_err *err) {
    int rc = run_task(c, OX_TASK_INSPECT, NULL, NULL, true, err);
    bool is_folder = c->conf.model && !remote_conf_name(c->conf.model);
    return rc || !is_folder ? rc : run_task(c, OX_TASK_INSPECT, c->conf.model, NULL, true, err);
}

static int model_info(struct cli *c, ox_err *err) {
    const char *args = flags_has(&c->flags, "--tensors") ? "{\"tensors\":true}" : NULL;
    return run_task(c, OX_TASK_INSPECT, folder_of(c), args, false, err);
}

static int model_verify(struct cli *c, ox_err *err) {
    return run_task(c, OX_TASK_VERIFY, folder_of(c), NULL, false, err);
}

static int model_quantize(struct cli *c, ox_err *err) {
    const char *bits = flags_get(&c->flags, "--bits");
    if (bits && strcmp(bits, "8") != 0 && strcmp(bits, "4") != 0) {
        ox_err_set(err, OX_EUSAGE, "--bits: \"%.40s\" is not 8 or 4", bits);
        return ox_err_fix(err, "8 is nearly exact; 4 is half the size");
    }
    const char *out = c->flags.word[2];
    struct buf args = {0};
    int rc = buf_printf(&args, err, "{\"bits\":%s,\"out\":", bits ? bits : "8");
    if (!rc) rc = text_json(&args, out, strlen(out), err);
    if (!rc) rc = buf_putc(&args, '}', err);
    if (!rc) rc = run_task(c, OX_TASK_QUANTIZE, c->flags.word[1], buf_str(&args), false, err);
    buf_deinit(&args);
    return rc;
}

/* "8192" or "8k" tokens; 0: neither. */
static long read_length(const char *s) {
    char *end = NULL;
    long n = strtol(s, &end, 10);
    if (end == s || n < 1 || n > 1 << 20) return 0;
    if ((*end == 'k' || *end == 'K') && !end[1]) return n <= 1 << 10 ? n * 1024 : 0;
    return *end ? 0 : n;
}

/* Lengths are the words behind "bench", or --ctx, or the engine's own choice. */
static int model_bench(struct cli *c, ox_err *err) {
    static const struct {
        const char *bits, *weights;
    } kinds[] = {{"4", "int4"}, {"8", "int8"}, {"16", "bf16"}};
    const char *shape = flags_get(&c->flags, "--shape"), *bits = flags_get(&c->flags, "--bits");
    const char *weights = bits ? NULL : "int4";
    for (size_t i = 0; bits && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].bits, bits) == 0) weights = kinds[i].weights;
    if (!weights || (bits && !shape)) {
        ox_err_set(err, OX_EUSAGE, "model bench: --bits is 4, 8 or 16, of the weights of --shape");
        return ox_err_fix(err, "oxbow model bench --shape 7b --bits 8");
    }
    struct buf args = {0};
    int rc = buf_putc(&args, '{', err);
    for (size_t i = 1; !rc && i < c->flags.n_word; i++) {
        long n = read_length(c->flags.word[i]);
        if (n) {
            rc = buf_printf(&args, err, "%s%ld", i > 1 ? "," : "\"ctx\":[", n);
            continue;
        }
        rc = ox_err_set(err, OX_EUSAGE, "model bench: \"%.40s\" is no number of tokens",
                        c->flags.word[i]);
        ox_err_fix(err, "oxbow model bench 1k 8k");
    }
    if (!rc && c->flags.n_word > 1)
        rc = buf_putc(&args, ']', err);
    else if (!rc && c->conf.ctx > 0)
        rc = buf_printf(&args, err, "\"ctx\":[%lld]", (long long)c->conf.ctx);
    if (!rc && shape) {
        rc = buf_puts(&args, args.n > 1 ? ",\"shape\":" : "\"shape\":", err);
        if (!rc) rc = text_json(&args, shape, strlen(shape), err);
        if (!rc) rc = buf_printf(&args, err, ",\"weights\":\"%s\"", weights);
    }
    if (!rc) rc = buf_putc(&args, '}', err);
    if (!rc) rc = run_task(c, OX_TASK_BENCH, c->conf.model, buf_str(&args), false, err);
    buf_deinit(&args);
    return rc;
}

/* ---- the verb ---- */

static const struct {
    const char *name;
    int (*run)(struct cli *c, ox_err *err);
    size_t min_words, max_words; /* its own name counted */
    const char *how;
} tasks[] = {
    {"list", model_list, 1, 1, "oxbow model list"},
    {"info", model_info, 1, 2, "oxbow model info FOLDER"},
    {"verify", model_verify, 1, 2, "oxbow model verify FOLDER"},
    {"quantize", model_quantize, 3, 3, "oxbow model quantize FOLDER NEW_FOLDER"},
    {"bench", model_bench, 1, 32, "oxbow model bench 1k 8k"},
};

static int run(struct cli *c, ox_err *err) {
    const char *name = c->flags.word[0], *near = NULL;
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        if (text_is_near(name, tasks[i].name)) near = tasks[i].name;
        if (strcmp(tasks[i].name, name) != 0) continue;
        size_t n = c->flags.n_word;
        if (n >= tasks[i].min_words && n <= tasks[i].max_words) return tasks[i].run(c, err);
        ox_err_set(err, OX_EUSAGE, "model %s: too %s words", name,
                   n < tasks[i].min_words ? "few" : "many");
        return ox_err_fix(err, "%s", tasks[i].how);
    }
    ox_err_set(err, OX_EUSAGE,
               near ? "unknown: model \"%.40s\"; did you mean %s?" : "unknown: model \"%.40s\"",
               name, near);
    return ox_err_fix(err, "oxbow model list, info, verify, quantize or bench");
}

const struct verb verb_model = {
    .name = "model",
    .args = "list | info | verify [FOLDER] | quantize FOLDER NEW | bench [TOKENS..]",
    .words = "list info verify quantize bench",
    .brief = "inspect, verify, quantize",
    .flags = "--json --tensors --bits --shape " FLAGS_MODEL FLAGS_ALWAYS,
    .examples = "oxbow model list\tthe built-in model, and the one of -m\n"
                "oxbow model info ~/models/Olmo-Hybrid-7B\tlayers, context, bytes, licence\n"
                "oxbow model verify ~/models/Olmo-Hybrid-7B\treads and sums every tensor\n"
                "oxbow model quantize ~/models/Olmo-Hybrid-7B ~/models/7B-int4 --bits 4\n"
                "oxbow model bench --shape 7b 1k 8k\tspeed of a 7B here, before downloading one",
    .min_words = 1,
    .max_words = -1,
    .run = run,
};
