/* model_show.c - see model_show.h. Apart, because words for people change more often than the
 * tasks. */
#include "app/cli/model_show.h"

#include "app/core/buf.h"
#include "app/core/say.h"
#include "app/core/text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- values of a line; a missing one counts as nothing ---- */

static uint64_t count(const json_t *o, const char *key) {
    json_int_t v = json_integer_value(json_object_get(o, key));
    return v > 0 ? (uint64_t)v : 0;
}

static double real(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

/* Names and paths come from files: nothing of them reaches the terminal unfiltered. */
static int add_text(struct buf *b, const json_t *o, const char *key, ox_err *err) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v)) return 0;
    return text_show(b, json_string_value(v), json_string_length(v), TEXT_LINE, err);
}

/* ---- one function an event ---- */

typedef int show_fn(struct model_show *s, const json_t *o, struct buf *b, ox_err *err);

static int show_brief(const json_t *o, struct buf *b, ox_err *err) {
    char params[SAY_BYTES], bytes[SAY_BYTES], trained[SAY_BYTES];
    int rc = add_text(b, o, "name", err);
    if (!rc)
        rc = buf_printf(b, err, "  %s parameters  %d layers  %s  ",
                        say_short(params, count(o, "params")), (int)count(o, "layers"),
                        say_bytes(bytes, count(o, "bytes")));
    if (!rc) rc = add_text(b, o, "format", err);
    if (!rc)
        rc = buf_printf(b, err, "  %s tokens  ", say_limit(trained, count(o, "trained_tokens")));
    if (!rc) rc = add_text(b, o, "licence", err);
    return rc ? rc : buf_putc(b, '\n', err);
}

static int add_named(struct buf *b, const char *label, const json_t *o, const char *key,
                     ox_err *err) {
    if (json_string_length(json_object_get(o, key)) == 0) return 0;
    int rc = buf_printf(b, err, "%-12s", label);
    if (!rc) rc = add_text(b, o, key, err);
    return rc ? rc : buf_putc(b, '\n', err);
}

static int add_shape(const json_t *o, struct buf *b, ox_err *err) {
    char a[SAY_BYTES], c[SAY_BYTES], d[SAY_BYTES];
    int rc = buf_printf(b, err, "%-12s%s in %s tensors, %s\n", "parameters",
                        say_count(a, count(o, "params")), say_count(c, count(o, "tensors")),
                        say_bytes(d, count(o, "bytes")));
    if (!rc)
        rc = buf_printf(b, err, "%-12s%d: %d linear, %d attention\n", "layers",
                        (int)count(o, "layers"), (int)count(o, "linear_layers"),
                        (int)count(o, "attention_layers"));
    if (!rc)
        rc = buf_printf(b, err, "%-12s%s, feed-forward %s, vocabulary %s%s\n", "width",
                        say_count(a, count(o, "hidden")), say_count(c, count(o, "intermediate")),
                        say_count(d, count(o, "vocab")),
                        json_is_true(json_object_get(o, "tied")) ? ", tied" : "");
    if (!rc)
        rc = buf_printf(
            b, err, "%-12s%d of %d, %d for keys and values; linear %d of %d, values %d of %d\n",
            "heads", (int)count(o, "heads"), (int)count(o, "head_size"), (int)count(o, "kv_heads"),
            (int)count(o, "key_heads"), (int)count(o, "key_size"), (int)count(o, "value_heads"),
            (int)count(o, "value_size"));
    return rc;
}

/* The KV cache of the context and one state are what a conversation costs beside the weights. */
static int add_memory(const struct model_show *s, const json_t *o, struct buf *b, ox_err *err) {
    char a[SAY_BYTES], c[SAY_BYTES], d[SAY_BYTES], e[SAY_BYTES];
    uint64_t trained = count(o, "trained_tokens"), ctx = s->ctx ? s->ctx : trained;
    uint64_t token = count(o, "token_bytes"), state = count(o, "state_bytes");
    double theta = real(o, "rope_theta");
    int rc = theta > 0 ? buf_printf(b, err, "%-12sRoPE, theta %g\n", "positions", theta)
                       : buf_printf(b, err, "%-12sno rotary embedding\n", "positions");
    if (!rc)
        rc = buf_printf(b, err, "%-12strained on %s tokens\n", "context", say_count(a, trained));
    if (!rc)
        rc = buf_printf(b, err, "%-12s%s a token, %s a saved state; %s at %s tokens\n", "memory",
                        say_bytes(a, token), say_bytes(c, state), say_bytes(d, token * ctx + state),
                        say_count(e, ctx));
    return rc;
}

static int show_model(struct model_show *s, const json_t *o, struct buf *b, ox_err *err) {
    if (s->is_brief) return show_brief(o, b, err);
    int rc = add_named(b, "name", o, "name", err);
    if (!rc) rc = add_named(b, "path", o, "path", err);
    if (!rc) rc = add_named(b, "format", o, "format", err);
    if (!rc) rc = add_shape(o, b, err);
    if (!rc) rc = add_memory(s, o, b, err);
    if (!rc) rc = add_named(b, "licence", o, "licence", err);
    if (!rc) rc = add_named(b, "weights", o, "weights", err);
    return rc ? rc : add_named(b, "note", o, "note", err);
}

/* "model.norm.weight  [576] BF16  1.1 KiB" */
static int show_tensor(struct model_show *s, const json_t *o, struct buf *b, ox_err *err) {
    char bytes[SAY_BYTES];
    const json_t *shape = json_object_get(o, "shape");
    (void)s;
    int rc = add_text(b, o, "name", err);
    if (!rc) rc = buf_puts(b, "  [", err);
    for (size_t i = 0; !rc && i < json_array_size(shape); i++)
        rc = buf_printf(b, err, "%s%lld", i ? "," : "",
                        (long long)json_integer_value(json_array_get(shape, i)));
    if (!rc) rc = buf_puts(b, "] ", err);
    if (!rc) rc = add_text(b, o, "type", err);
    return rc ? rc : buf_printf(b, err, "  %s\n", say_bytes(bytes, count(o, "bytes")));
}

static int show_progress(struct model_show *s, const json_t *o, struct buf *b, ox_err *err) {
    char done[SAY_BYTES], all[SAY_BYTES];
    uint64_t of = count(o, "of"), n = count(o, "done");
    (void)b, (void)err;
    if (!s->has_bar || !of) return 0;
    fprintf(stderr, "\r %3.0f %%  %s of %s\x1B[K", 100.0 * (double)n / (double)of,
            say_bytes(done, n), say_bytes(all, of));
    fflush(stderr);
    s->drawn = true;
    return 0;
}

static int show_verified(struct model_show *s, const json_t *o, struct buf *b, ox_err *err) {
    char n[SAY_BYTES], of[SAY_BYTES], bytes[SAY_BYTES];
    (void)s;
    int rc = buf_printf(b, err, "%s of %s tensors, %s, hash ", say_count(n, count(o, "tensors")),
                        say_count(of, count(o, "of")), say_bytes(bytes, count(o, "bytes")));
    if (!rc) rc = add_text(b, o, "hash", err);
    return rc ? rc : buf_putc(b, '\n', err);
}

static int show_error(struct model_show *s, const json_t *o, struct buf *b, ox_err *err) {
    char format[32];
    (void)s;
    int group = (int)count(o, "group");
    snprintf(format, sizeof format, group ? "int%d group %d" : "int%d per row",
             (int)count(o, "bits"), group);
    return buf_printf(b, err, "%-20s %-14s %4d matrices  error %5.2f %% rms, %5.2f %% at most\n",
                      json_string_value(json_object_get(o, "kind")), format,
                      (int)count(o, "matrices"), 100 * real(o, "rms"), 100 * real(o, "worst"));
}

static int show_quantized(struct model_show *s, const json_t *o, struct buf *b, ox_err *err) {
    char before[SAY_BYTES], after[SAY_BYTES];
    (void)s;
    int rc = buf_printf(b, err, "%s -> %s  ", say_bytes(before, count(o, "bytes_before")),
                        say_bytes(after, count(o, "bytes_after")));
    if (!rc) rc = add_text(b, o, "out", err);
    return rc ? rc : buf_putc(b, '\n', err);
}

static int show_machine(struct model_show *s, const json_t *o, struct buf *b, ox_err *err) {
    char bytes[SAY_BYTES], load[SAY_BYTES];
    double read = real(o, "read_bytes_s");
    (void)s;
    int rc = add_text(b, o, "backend", err);
    if (!rc) rc = buf_puts(b, ", ", err);
    if (!rc) rc = add_text(b, o, "device", err);
    if (!rc)
        rc = buf_printf(b, err, ": loaded in %s, %s of weights", say_time(load, real(o, "load_s")),
                        say_bytes(bytes, count(o, "weight_bytes")));
    if (!rc && read > 0) rc = buf_printf(b, err, ", memory reads %.1f GB/s", read / 1e9);
    return rc ? rc : buf_putc(b, '\n', err);
}

static int show_bench(struct model_show *s, const json_t *o, struct buf *b, ox_err *err) {
    char ctx[SAY_BYTES], took[SAY_BYTES];
    double share = real(o, "share"), rate = real(o, "tok_s"), median = real(o, "median_s");
    const char *name = json_string_value(json_object_get(o, "case"));
    const char *skipped = json_string_value(json_object_get(o, "skipped"));
    (void)s;
    if (skipped)
        return buf_printf(b, err, "%-8s %8s tokens  skipped: %s\n", name ? name : "",
                          say_count(ctx, count(o, "ctx")), skipped);
    if (median < 1)
        snprintf(took, sizeof took, "%.1f ms", 1e3 * median);
    else
        say_time(took, median);
    int rc = buf_printf(b, err, "%-8s %8s tokens  %8.*f tok/s  %10s", name ? name : "",
                        say_count(ctx, count(o, "ctx")), rate < 100 ? 1 : 0, rate, took);
    if (!rc && share > 0) rc = buf_printf(b, err, "  %.0f %% of what memory allows", 100 * share);
    if (!rc && real(o, "bytes_s") > 0)
        rc = buf_printf(b, err, "  %s of state at %.1f GB/s", say_bytes(ctx, count(o, "bytes")),
                        real(o, "bytes_s") / 1e9);
    return rc ? rc : buf_putc(b, '\n', err);
}

static const struct {
    const char *event;
    show_fn *show;
} events[] = {
    {"model", show_model},       {"tensor", show_tensor}, {"progress", show_progress},
    {"verified", show_verified}, {"error", show_error},   {"quantized", show_quantized},
    {"machine", show_machine},   {"bench", show_bench},
};

void model_show_end(struct model_show *s) {
    if (s->drawn) fputs("\r\x1B[K", stderr);
    s->drawn = false;
}

int model_show_line(void *user, const char *json) {
    struct model_show *s = user;
    if (s->is_json) {
        printf("%s\n", json);
        return 0;
    }
    json_t *o = json_loads(json, 0, NULL);
    const char *event = json_string_value(json_object_get(o, "event"));
    struct buf b = {0};
    for (size_t i = 0; event && !s->rc && i < sizeof events / sizeof events[0]; i++)
        if (strcmp(events[i].event, event) == 0) s->rc = events[i].show(s, o, &b, s->err);
    if (b.n) {
        model_show_end(s);
        fputs(buf_str(&b), stdout);
        fflush(stdout);
    }
    buf_deinit(&b);
    json_decref(o);
    return s->rc;
}
