/* model.c - what a model folder is and whether it is whole: the engine's offline tasks, in words.
 */
#include "app/cli/verb.h"
#include "app/core/buf.h"
#include "app/core/say.h"
#include "app/core/text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct show {
    bool json;
    bool brief; /* list: one line a model */
    int rc;
    ox_err *err;
};

static int add_value(struct buf *b, const char *key, const json_t *v, ox_err *err) {
    char num[SAY_BYTES];
    if (json_is_string(v))
        return text_show(b, json_string_value(v), json_string_length(v), TEXT_LINE, err);
    if (json_is_boolean(v)) return buf_puts(b, json_is_true(v) ? "yes" : "no", err);
    if (json_is_real(v)) return buf_printf(b, err, "%g", json_real_value(v));
    if (json_is_integer(v) && json_integer_value(v) >= 0) {
        uint64_t n = (uint64_t)json_integer_value(v);
        bool bytes = strstr(key, "bytes") != NULL;
        return buf_puts(b, bytes ? say_bytes(num, n) : say_count(num, n), err);
    }
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    int rc = text ? text_show(b, text, strlen(text), TEXT_LINE, err) : OX_ENOMEM;
    free(text);
    return rc;
}

/* "key   value" lines; in a list the values in one line. */
static int add_object(const struct show *s, const json_t *o, struct buf *b, ox_err *err) {
    const char *key;
    json_t *v;
    int rc = 0;
    json_object_foreach((json_t *)(uintptr_t)o, key, v) {
        if (rc || json_is_null(v)) continue;
        struct buf name = {0};
        for (const char *p = key; !rc && *p; p++)
            rc = buf_putc(&name, *p == '_' ? ' ' : *p, err);
        if (!rc && s->brief)
            rc = buf_puts(b, b->n ? "  " : "", err);
        else if (!rc)
            rc = buf_printf(b, err, "%-22s ", buf_str(&name));
        if (!rc) rc = add_value(b, key, v, err);
        if (!rc && !s->brief) rc = buf_putc(b, '\n', err);
        buf_deinit(&name);
    }
    return rc || !s->brief ? rc : buf_putc(b, '\n', err);
}

static int show_line(void *user, const char *json) {
    struct show *s = user;
    struct buf b = {0};
    if (s->json) {
        printf("%s\n", json);
        return 0;
    }
    json_t *o = json_loads(json, 0, NULL);
    s->rc = json_is_object(o) ? add_object(s, o, &b, s->err)
                              : ox_err_set(s->err, OX_EFAIL, "the engine gave no JSON object");
    fputs(buf_str(&b), stdout);
    json_decref(o);
    buf_deinit(&b);
    return s->rc;
}

static int run_task(struct cli *c, enum ox_task task, const char *folder, const char *args,
                    bool brief, ox_err *err) {
    struct show s = {.json = flags_has(&c->flags, "--json"), .brief = brief, .err = err};
    const struct ox_engine_opts opts = {.model_dir = folder,
                                        .backend = c->conf.backend,
                                        .kv = c->conf.kv,
                                        .n_threads = (int)c->conf.threads,
                                        .max_tokens = (uint32_t)c->conf.ctx};
    int rc = ox_offline(task, &opts, args, show_line, &s, err);
    if (!rc) rc = s.rc;
    if (fflush(stdout) && !rc) rc = ox_err_set(err, OX_EIO, "cannot write to stdout");
    return rc;
}

static int model_list(struct cli *c, ox_err *err) {
    int rc = run_task(c, OX_TASK_INSPECT, NULL, NULL, true, err);
    return rc || !c->conf.model ? rc : run_task(c, OX_TASK_INSPECT, c->conf.model, NULL, true, err);
}

static int model_info(struct cli *c, ox_err *err) {
    const char *folder = c->flags.n_word > 1 ? c->flags.word[1] : c->conf.model;
    return run_task(c, OX_TASK_INSPECT, folder,
                    flags_has(&c->flags, "--tensors") ? "{\"tensors\":true}" : NULL, false, err);
}

static int model_verify(struct cli *c, ox_err *err) {
    return run_task(c, OX_TASK_VERIFY, c->flags.n_word > 1 ? c->flags.word[1] : c->conf.model, NULL,
                    true, err);
}

static const struct {
    const char *name;
    int (*run)(struct cli *c, ox_err *err);
    size_t max_words;
} tasks[] = {{"list", model_list, 1}, {"info", model_info, 2}, {"verify", model_verify, 2}};

static int run(struct cli *c, ox_err *err) {
    const char *name = c->flags.word[0], *near = NULL;
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        if (text_is_near(name, tasks[i].name)) near = tasks[i].name;
        if (strcmp(tasks[i].name, name) != 0) continue;
        if (c->flags.n_word <= tasks[i].max_words) return tasks[i].run(c, err);
        ox_err_set(err, OX_EUSAGE, "model %s: too many words", name);
        return ox_err_fix(err, "oxbow model -h shows how");
    }
    ox_err_set(err, OX_EUSAGE,
               near ? "unknown: model \"%.40s\"; did you mean %s?" : "unknown: model \"%.40s\"",
               name, near);
    return ox_err_fix(err, "oxbow model list, info or verify");
}

const struct verb verb_model = {
    .name = "model",
    .args = "list | info | verify [FOLDER]",
    .brief = "what a model is, and checks",
    .flags = "--json --tensors " FLAGS_MODEL FLAGS_ALWAYS,
    .examples = "oxbow model list\tthe built-in model, and the one of -m\n"
                "oxbow model info ~/models/Olmo-Hybrid-7B\tlayers, context, bytes, licence\n"
                "oxbow model verify ~/models/Olmo-Hybrid-7B\treads and sums every tensor",
    .min_words = 1,
    .max_words = 2,
    .run = run,
};
