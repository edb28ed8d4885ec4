/* chat_json.c - see chat_json.h. */
#include "app/remote/chat_json.h"

#include "app/core/text.h"

#include <jansson.h>
#include <string.h>

enum { MARK_TOKENS = 4, /* of a turn: role and borders */ SHOWN_BYTES = 160 };

/* --- counting --- */

size_t chat_estimate(const char *text, size_t n) {
    size_t quarters = 0; /* of a token */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        quarters += c < 0x80 ? 1 : c >= 0xE0 ? 4 : c >= 0xC0 ? 2 : 0;
    }
    return (quarters + 3) / 4;
}

size_t chat_estimate_prompt(const struct prompt *p, size_t *ends, size_t *n_bytes) {
    size_t n = 0;
    *n_bytes = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct ox_msg *m = &p->msg[i];
        n += chat_estimate(m->text, m->n_bytes) + (m->joined ? 0 : MARK_TOKENS);
        *n_bytes += m->n_bytes;
        if (ends) ends[i] = n;
    }
    return n;
}

/* --- the request --- */

static int add_text(struct buf *out, const struct prompt *p, size_t *i, ox_err *err) {
    struct buf all = {0};
    const struct ox_msg *m = &p->msg[*i];
    int rc = buf_add(&all, m->text, m->n_bytes, err);
    while (!rc && *i + 1 < p->n && p->msg[*i + 1].joined) {
        m = &p->msg[++*i];
        rc = buf_add(&all, m->text, m->n_bytes, err);
    }
    if (!rc) rc = text_json(out, buf_str(&all), all.n, err);
    buf_deinit(&all);
    return rc;
}

static int add_messages(struct buf *out, const struct prompt *p, ox_err *err) {
    static const char *const roles[] = {"user", "system", "user", "assistant"};
    int rc = buf_puts(out, ",\"messages\":[", err);
    for (size_t i = 0; !rc && i < p->n; i++) {
        rc = buf_printf(out, err, "%s{\"role\":\"%s\",\"content\":", i ? "," : "",
                        roles[p->msg[i].role]);
        if (!rc) rc = add_text(out, p, &i, err);
        if (!rc) rc = buf_putc(out, '}', err);
    }
    return rc ? rc : buf_putc(out, ']', err);
}

int chat_request(const struct prompt *p, const char *model, const struct ox_sampling *how,
                 size_t max_new, struct buf *out, ox_err *err) {
    int rc = buf_puts(out, "{\"model\":", err);
    if (!rc) rc = text_json(out, model, strlen(model), err);
    if (!rc) rc = add_messages(out, p, err);
    if (!rc && how->temperature >= 0)
        rc = buf_printf(out, err, ",\"temperature\":%g", (double)how->temperature);
    if (!rc && how->top_p >= 0) rc = buf_printf(out, err, ",\"top_p\":%g", (double)how->top_p);
    if (!rc && max_new) rc = buf_printf(out, err, ",\"max_tokens\":%zu", max_new);
    if (!rc) rc = buf_printf(out, err, ",\"seed\":%u", (unsigned)(how->seed & 0x7fffffffu));
    if (!rc)
        rc = buf_puts(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", err);
    return rc;
}

/* --- what comes back --- */

static const char *string_of(const json_t *o, const char *name) {
    return json_string_value(json_object_get(o, name));
}

static const char *words_of(const json_t *o) {
    const json_t *e = json_object_get(o, "error");
    const char *w = string_of(e, "message");
    if (!w) w = json_string_value(e);
    if (!w) w = string_of(o, "message");
    return w ? w : string_of(o, "detail");
}

int chat_error_words(const char *body, size_t n, struct buf *out, ox_err *err) {
    json_t *o = json_loadb(body, n, 0, NULL);
    const char *w = words_of(o);
    size_t len = w ? strlen(w) : n;
    if (!w) w = body;
    if (len > SHOWN_BYTES) len = text_floor(w, len, SHOWN_BYTES);
    while (len > 0 && strchr(" \r\n\t", w[len - 1]))
        len--;
    int rc = len ? text_show(out, w, len, TEXT_LINE, err) : 0;
    json_decref(o);
    return rc;
}

static size_t count_of(const json_t *o, const char *name) {
    json_int_t v = json_integer_value(json_object_get(o, name));
    return v > 0 && v < INT32_MAX ? (size_t)v : 0;
}

static enum chat_finish finish_of(const char *word) {
    if (!word) return CHAT_FINISH_NONE;
    return strcmp(word, "length") == 0 ? CHAT_FINISH_LENGTH : CHAT_FINISH_STOP;
}

static int take_choice(const json_t *choice, struct chat_event *out, ox_err *err) {
    const json_t *text = json_object_get(json_object_get(choice, "delta"), "content");
    size_t n = json_string_length(text);
    out->finish = finish_of(string_of(choice, "finish_reason"));
    if (!n) return 0; /* null, or a role, or thoughts of which we show none */
    out->text = ox_memdup(json_string_value(text), n, "text of a server", err);
    out->n_text = n;
    return out->text ? 0 : OX_ENOMEM;
}

static int refuse(const char *data, size_t n, const char *why, ox_err *err) {
    struct buf shown = {0};
    if (n > SHOWN_BYTES) n = text_floor(data, n, SHOWN_BYTES);
    text_show(&shown, data, n, TEXT_LINE, NULL);
    ox_err_set(err, OX_EFORMAT, "the server sent an event that is no %s: %s", why, buf_str(&shown));
    buf_deinit(&shown);
    return ox_err_fix(err, "ask again; if it stays so, this server speaks another protocol");
}

int chat_event_parse(const char *data, size_t n, struct chat_event *out, ox_err *err) {
    *out = (struct chat_event){0};
    if (n == 6 && memcmp(data, "[DONE]", 6) == 0) {
        out->is_last = true;
        return 0;
    }
    json_t *o = json_loadb(data, n, 0, NULL);
    const json_t *choices = json_object_get(o, "choices"), *usage = json_object_get(o, "usage");
    const char *words = json_is_array(choices) ? NULL : words_of(o);
    int rc = 0;
    if (words)
        rc = ox_err_set(err, OX_EIO, "the server stopped with an error: %.200s", words);
    else if (!json_is_object(o))
        rc = refuse(data, n, "JSON", err);
    else if (!json_is_array(choices) && !json_is_object(usage))
        rc = refuse(data, n, "part of a chat", err);
    if (!rc) rc = take_choice(json_array_get(choices, 0), out, err);
    if (!rc && json_is_object(usage)) {
        out->has_usage = true;
        out->n_in = count_of(usage, "prompt_tokens");
        out->n_out = count_of(usage, "completion_tokens");
    }
    json_decref(o);
    if (words) ox_err_fix(err, "ask again; the server's log knows more");
    return rc;
}

void chat_event_deinit(struct chat_event *e) {
    ox_free(e->text);
    *e = (struct chat_event){0};
}
