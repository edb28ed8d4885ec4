/* template.c - see template.h. The forms are data; one walk over the messages feeds a sink, which
 * makes ids or text of it. */
#include "engine/template.h"

#include "engine/jsontext.h"

#include <string.h>
#include <xxhash.h>

static const char open_mark[] = "<|im_start|>", close_marks[] = "<|im_end|>\n";
static const char end_of_text[] = "<|endoftext|>";
static const char think[] = "<think>", no_thought[] = "<think>\n\n</think>\n\n";

struct template_form {
    const char *name;
    const char *system;      /* content of a system turn that it writes itself; NULL: writes none */
    bool is_system_anywhere; /* it writes none if any message is of the system, else if the first is
                              */
    bool has_functions;      /* tools, calls, environment; roles it does not know are left out */
    bool ends_in_endoftext;  /* its last assistant turn */
    const char *without_tools, *with_tools; /* behind `system`, with has_functions */
};

enum { FORM_OLMO, FORM_SMOLLM2, FORM_CHATML };
static const struct template_form forms[] = {
    [FORM_OLMO] =
        {
            .name = "Olmo Instruct",
            .system = "You are Olmo, a helpful AI assistant built by Ai2. Your date cutoff is "
                      "December 2024, and your model weights are available at "
                      "https://huggingface.co/allenai. ",
            .is_system_anywhere = true,
            .has_functions = true,
            .ends_in_endoftext = true,
            .without_tools = "You do not currently have access to any functions. "
                             "<functions></functions>",
            .with_tools =
                "You are provided with function signatures within <functions></functions> XML "
                "tags. "
                "You may call one or more functions to assist with the user query. Output any "
                "function calls within <function_calls></function_calls> XML tags. Do not make "
                "assumptions about what values to plug into functions.",
        },
    [FORM_SMOLLM2] =
        {
            .name = "SmolLM2",
            .system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
        },
    [FORM_CHATML] = {.name = "oxbow-mini"},
};

/* XXH3-128 of chat_template.jinja. A trailing newline gets lost where a template was once a string
 * in tokenizer_config.json, so the Olmo form is listed without it too. */
static const struct {
    struct ox_key id;
    int form;
} known[] = {
    {{0xdd682b77db54b56d, 0xbbf4cc69daf82449}, FORM_OLMO},
    {{0x873bc46317ebc14a, 0x8aff45619d4ace40}, FORM_OLMO},
    {{0x98f63cc3d421d28f, 0x99ab995e9629dacd}, FORM_SMOLLM2},
    {{0x577a7fce73f72e1e, 0xe2be9fd6966bb5eb}, FORM_CHATML},
};

/* ---- opening --------------------------------------------------------------------------------- */

struct source { /* the jinja text, wherever it is */
    const char *text;
    size_t n;
    json_t *config; /* owns the text if it comes from there */
};

/* tokenizer_config.json: a string, or a list of named ones of which "default" counts. */
static int read_config(struct folder *f, struct source *s, ox_err *err) {
    const unsigned char *json;
    size_t n;
    int rc = folder_get(f, "tokenizer_config.json", &json, &n, err);
    if (rc) return rc;
    rc = jsontext_parse(json, n, "tokenizer_config.json", &s->config, err);
    if (rc) return rc;
    const json_t *found = jsontext_get(s->config, "chat_template");
    for (size_t i = 0; json_is_array(found) && i < json_array_size(found); i++) {
        const json_t *entry = json_array_get(found, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name && strcmp(name, "default") == 0) found = json_object_get(entry, "template");
    }
    if (!json_is_string(found)) return OX_ENOTFOUND;
    s->text = json_string_value(found);
    s->n = json_string_length(found);
    return 0;
}

static int read_source(struct folder *f, struct source *s, ox_err *err) {
    const unsigned char *data;
    int rc = folder_get(f, "chat_template.jinja", &data, &s->n, err);
    if (!rc) s->text = (const char *)data;
    if (rc == OX_ENOTFOUND) rc = read_config(f, s, err);
    return rc == OX_ENOTFOUND ? 0 : rc; /* a base model has none */
}

static bool contains(const struct source *s, const char *what) {
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= s->n; i++)
        if (memcmp(s->text + i, what, n) == 0) return true;
    return false;
}

/* Which form, and what to say if the digest is not in the table. The files of the Olmo Hybrid
 * releases are not in it yet (docs/MODEL.md 7.1); their words tell the family. */
static void choose_form(struct chat_template *t, const struct source *s) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].id.hi == t->id.hi && known[i].id.lo == t->id.lo) {
            t->form = &forms[known[i].form];
            return;
        }
    int like = FORM_CHATML;
    if (contains(s, "You are Olmo") || tokenizer_id(t->tok, "<functions>") >= 0 ||
        tokenizer_id(t->tok, "|||IP_ADDRESS|||") >= 0)
        like = FORM_OLMO; /* the vocabulary of the 7B */
    else if (contains(s, "named SmolLM"))
        like = FORM_SMOLLM2;
    t->form = &forms[like];
    snprintf(t->note, sizeof t->note, "%s: the %s form is used",
             s->text ? "unknown chat template" : "no chat template in the folder", t->form->name);
}

static bool opens_a_thought(const struct source *s) {
    return contains(s, "assistant\\n<think>") || contains(s, "assistant\n<think>");
}

static void add_stop(struct chat_template *t, const char *name) {
    int32_t id = tokenizer_id(t->tok, name);
    if (id >= 0) t->stop[t->n_stop++] = id;
}

/* The ids of `<|im_end|>\n`; without the mark in the vocabulary, those of its text. */
static int find_close(struct chat_template *t, ox_err *err) {
    struct ox_tokens ids = {0};
    int rc = tokenizer_encode_special(t->tok, close_marks, strlen(close_marks), &ids, err);
    if (!rc && ids.n > sizeof t->close / sizeof t->close[0])
        rc = ox_err_set(err, OX_EMODEL, "the end of a turn takes %zu tokens", ids.n);
    for (size_t i = 0; !rc && i < ids.n; i++)
        t->close[t->n_close++] = ids.v[i];
    ox_free(ids.v);
    return rc;
}

int template_open(struct folder *f, const tokenizer *tok, struct chat_template *out, ox_err *err) {
    struct chat_template t = {.tok = tok};
    struct source s = {0};
    int rc = read_source(f, &s, err);
    if (!rc) {
        XXH128_hash_t hash = XXH3_128bits(s.text ? s.text : "", s.text ? s.n : 0);
        t.id = (struct ox_key){hash.high64, hash.low64};
        choose_form(&t, &s);
        t.thinks = opens_a_thought(&s);
        add_stop(&t, "<|im_end|>");
        add_stop(&t, end_of_text);
        rc = find_close(&t, err);
    }
    json_decref(s.config);
    if (rc) return ox_err_wrap(err, rc, "chat template");
    if (tokenizer_id(tok, open_mark) < 0 && !t.note[0])
        snprintf(t.note, sizeof t.note, "the vocabulary has no %s: chats are rendered as text",
                 open_mark);
    *out = t;
    return 0;
}

const char *template_name(const struct chat_template *t) {
    return t->form->name;
}

/* ---- the sink -------------------------------------------------------------------------------- */

struct sink { /* rc sticks: after a failure nothing more is done */
    const struct chat_template *t;
    struct ox_tokens *out; /* NULL: the text is wanted, it stays in held */
    char **held;           /* since the last added token or cut */
    size_t *n_held, *cap_held;
    ox_err *err;
    int rc;
};

static void hold(struct sink *s, const char *text, size_t n) {
    if (!s->rc) s->rc = ox_grow(s->held, s->cap_held, *s->n_held + n, 1, s->err);
    if (s->rc || !n) return;
    memcpy(*s->held + *s->n_held, text, n);
    *s->n_held += n;
}

/* Ends the string: what comes next is encoded apart. */
static void cut(struct sink *s) {
    if (!s->out || s->rc || !*s->n_held) return;
    s->rc = tokenizer_encode(s->t->tok, *s->held, *s->n_held, s->out, s->err);
    *s->n_held = 0;
}

static void put_ids(struct sink *s, const int32_t *tok, size_t n) {
    cut(s);
    if (!s->rc && !s->out) s->rc = ox_err_set(s->err, OX_EUSAGE, "no text for tokens");
    if (!s->rc) s->rc = ox_grow(&s->out->v, &s->out->cap, s->out->n + n, sizeof *s->out->v, s->err);
    if (s->rc || !n) return;
    memcpy(s->out->v + s->out->n, tok, n * sizeof *tok);
    s->out->n += n;
}

/* Template text: added tokens are recognised. Few and short literals, so each `<` is looked up. */
static void put_literal(struct sink *s, const char *text) {
    while (*text && !s->rc) {
        const char *end = *text == '<' ? strchr(text, '>') : NULL;
        char name[32];
        size_t n = end ? (size_t)(end - text) + 1 : 0;
        int32_t id = -1;
        if (s->out && n && n < sizeof name) {
            memcpy(name, text, n);
            name[n] = '\0';
            id = tokenizer_id(s->t->tok, name);
        }
        if (id >= 0) {
            put_ids(s, &id, 1);
            text += n;
        } else {
            hold(s, text++, 1);
        }
    }
}

static void put_data(struct sink *s, const char *text, size_t n) {
    hold(s, text, n);
}

/* ---- the walk -------------------------------------------------------------------------------- */

static bool is_role(const struct template_msg *m, const char *role) {
    return strcmp(m->role, role) == 0;
}

/* The name in the header, or NULL: a message that the form leaves out. */
static const char *role_name(const struct template_form *form, const struct template_msg *m) {
    static const char *const roles[] = {"system", "user", "assistant", "environment"};
    if (!form->has_functions) return m->role;
    if (is_role(m, "tool")) return "environment";
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (is_role(m, roles[i])) return roles[i];
    return NULL;
}

static void put_header(struct sink *s, const char *role) {
    put_literal(s, open_mark);
    put_data(s, role, strlen(role));
    put_literal(s, "\n");
}

static void put_tagged(struct sink *s, const char *open, const char *text, const char *close) {
    put_literal(s, open);
    put_data(s, text, strlen(text));
    put_literal(s, close);
}

static bool needs_system(const struct template_form *form, const struct template_turns *turns) {
    if (!form->system) return false;
    if (!form->is_system_anywhere) return turns->n && !is_role(&turns->msg[0], "system");
    for (size_t i = 0; i < turns->n; i++)
        if (is_role(&turns->msg[i], "system")) return false;
    return true;
}

static void put_system(struct sink *s, const char *tools) {
    const struct template_form *form = s->t->form;
    bool has_tools = tools && strcmp(tools, "[]") != 0;
    put_header(s, "system");
    put_literal(s, form->system);
    if (form->has_functions) put_literal(s, has_tools ? form->with_tools : form->without_tools);
    if (form->has_functions && has_tools) put_tagged(s, "<functions>", tools, "</functions>");
    put_literal(s, close_marks);
}

/* What a form with functions puts behind the content. */
static void put_functions(struct sink *s, const struct template_msg *m, const char *tools) {
    if (is_role(m, "system") && tools)
        put_tagged(s, "<functions>", tools, "</functions>");
    else if (is_role(m, "system") && m->functions)
        put_tagged(s, " <functions>", m->functions, "</functions>");
    else if (is_role(m, "assistant") && m->function_calls)
        put_tagged(s, "<function_calls>", m->function_calls, "</function_calls>");
}

/* Do the sampled ids close a thought? "</think>" is several ids and may share them with others. */
static bool closes_thought(struct sink *s, const struct template_msg *m) {
    static const char mark[] = "</think>";
    size_t n_matched = 0;
    for (size_t i = 0; i < m->n_tok; i++) {
        size_t n = 0;
        const char *bytes = tokenizer_bytes(s->t->tok, m->tok[i], &n);
        for (size_t k = 0; bytes && k < n;
             k++) { /* '<' occurs once in the mark: no other restart */
            if (bytes[k] != mark[n_matched]) n_matched = 0;
            if (bytes[k] == mark[n_matched]) n_matched++;
            if (!mark[n_matched]) return true;
        }
    }
    return false;
}

static bool goes_on(enum ox_reply reply) {
    return reply == OX_REPLY_CONTINUE || reply == OX_REPLY_CONTINUE_NO_THINK;
}

static void put_content(struct sink *s, const struct template_turns *turns, size_t i,
                        bool is_continued) {
    const struct template_msg *m = &turns->msg[i];
    bool is_answer = is_role(m, "assistant") && !(m->joined && i > 0);
    if (!m->tok) {
        put_data(s, m->text, m->n_bytes);
        return;
    }
    if (s->t->thinks && is_answer)
        put_literal(s, (is_continued && turns->reply == OX_REPLY_CONTINUE) || closes_thought(s, m)
                           ? think
                           : no_thought);
    put_ids(s, m->tok, m->n_tok);
}

static void put_end(struct sink *s, const struct template_turns *turns, size_t i) {
    const struct template_form *form = s->t->form;
    const struct template_msg *m = &turns->msg[i];
    bool is_last = i + 1 == turns->n;
    if (form->has_functions) put_functions(s, m, turns->tools);
    bool is_published =
        turns->ends_as_published && form->ends_in_endoftext && is_last && is_role(m, "assistant");
    put_literal(s, is_published ? end_of_text : close_marks);
}

static void put_prompt(struct sink *s, enum ox_reply reply) {
    if (reply != OX_REPLY_OPEN && reply != OX_REPLY_NO_THINK) return;
    put_header(s, "assistant");
    if (s->t->thinks) put_literal(s, reply == OX_REPLY_OPEN ? think : no_thought);
}

/* ends (or NULL) gets positions that count from n_before. */
static void walk(struct sink *s, const struct template_turns *turns, size_t *ends,
                 size_t n_before) {
    const struct template_form *form = s->t->form;
    if (needs_system(form, turns)) put_system(s, turns->tools);
    for (size_t i = 0; i < turns->n && !s->rc; i++) {
        const struct template_msg *m = &turns->msg[i];
        const char *role = role_name(form, m);
        bool is_last = i + 1 == turns->n;
        bool is_continued = is_last && goes_on(turns->reply);
        if (role) {
            if (!m->joined || i == 0) put_header(s, role);
            put_content(s, turns, i, is_continued);
            bool stays_open = is_continued || (!is_last && turns->msg[i + 1].joined);
            if (!stays_open) put_end(s, turns, i);
        }
        cut(s); /* the next one begins with an added token, or is to be encoded apart */
        if (ends && s->out) ends[i] = s->out->n - n_before;
    }
    put_prompt(s, turns->reply);
    cut(s);
}

static int check_turns(const struct template_turns *turns, ox_err *err) {
    if (!goes_on(turns->reply)) return 0;
    if (turns->n && is_role(&turns->msg[turns->n - 1], "assistant")) return 0;
    return ox_err_set(err, OX_EUSAGE, "there is no answer to continue");
}

int template_render_turns(const struct chat_template *t, const struct template_turns *turns,
                          struct ox_tokens *out, size_t *ends, ox_err *err) {
    char *held = NULL;
    size_t n_held = 0, cap_held = 0, n_before = out->n;
    struct sink s = {t, out, &held, &n_held, &cap_held, err, 0};
    s.rc = check_turns(turns, err);
    if (!s.rc) walk(&s, turns, ends, n_before);
    ox_free(held);
    if (!s.rc) return 0;
    out->n = n_before;
    return ox_err_wrap(err, s.rc, "render chat");
}

int template_write(const struct chat_template *t, const struct template_turns *turns, char **text,
                   size_t *n, size_t *cap, ox_err *err) {
    size_t n_before = *n;
    struct sink s = {t, NULL, text, n, cap, err, 0};
    s.rc = check_turns(turns, err);
    if (!s.rc) walk(&s, turns, NULL, 0);
    if (!s.rc) return 0;
    *n = n_before;
    return ox_err_wrap(err, s.rc, "render chat");
}

int template_render(const struct chat_template *t, const struct ox_msg *msg, size_t n,
                    enum ox_reply reply, struct ox_tokens *out, size_t *ends, ox_err *err) {
    static const char *const names[] = {
        [OX_ROLE_SYSTEM] = "system", [OX_ROLE_USER] = "user", [OX_ROLE_ASSISTANT] = "assistant"};
    struct template_msg *m = ox_alloc(n, sizeof *m, "chat messages", err);
    int rc = m ? 0 : OX_ENOMEM;
    for (size_t i = 0; !rc && i < n; i++) {
        if (msg[i].role < OX_ROLE_SYSTEM || msg[i].role > OX_ROLE_ASSISTANT)
            rc = ox_err_set(err, OX_EUSAGE, "message %zu has no role", i + 1);
        else
            m[i] = (struct template_msg){.role = names[msg[i].role],
                                         .text = msg[i].text,
                                         .n_bytes = msg[i].n_bytes,
                                         .tok = msg[i].tok,
                                         .n_tok = msg[i].n_tok,
                                         .joined = msg[i].joined};
    }
    struct template_turns turns = {.msg = m, .n = n, .reply = reply};
    if (!rc) rc = template_render_turns(t, &turns, out, ends, err);
    ox_free(m);
    return rc;
}
