/* template.c: all golden renders as text and ids, documents encoded apart, saved turns, and the
 * rule that a longer conversation begins with the ids of the shorter one. */
#include "engine/template.h"
#include "tests/support/tok_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static tokenizer *instruct, *smol; /* dolma2 with the names of the Instruct releases; SmolLM2 */
static struct chat_template olmo, smollm2, mini, thinker;

/* ---- folders --------------------------------------------------------------------------------- */

/* Opens a template from a folder with this one file. */
static int open_template(const char *file, const char *text, const tokenizer *tok,
                         struct chat_template *out, ox_err *err) {
    char dir[] = "/tmp/oxbow-template-XXXXXX", path[128];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(text, 1, strlen(text), f);
    fclose(f);
    struct folder *folder = NULL;
    int rc = folder_open(dir, &folder, err);
    if (!rc) rc = template_open(folder, tok, out, err);
    folder_close(folder);
    remove(path);
    rmdir(dir);
    return rc;
}

static char *read_golden(const char *name, size_t *n) {
    char path[512];
    snprintf(path, sizeof path, "%s/golden/%s", OXBOW_TEST_DIR, name);
    char *text = tok_fixture_file(path, n);
    assert_non_null(text);
    return text;
}

/* tests/golden/README.md: ids 100266..100275 have other names in the Instruct releases. */
static tokenizer *open_instruct(void) {
    static const char *const names[] = {"<functions>",       "</functions>",   "<function_calls>",
                                        "</function_calls>", "<|extra_id_1|>", "<|extra_id_2|>",
                                        "<|extra_id_3|>",    "<|extra_id_4|>", "<|extra_id_5|>",
                                        "<|extra_id_6|>"};
    size_t n, to = 0;
    char *json = read_golden("tokenizer-dolma2/tokenizer.json", &n);
    char *renamed = ox_alloc(n + 1000, 1, "a tokenizer", NULL);
    for (size_t at = 0; at < n;) {
        int id = 0, n_read = 0;
        if (json[at] == '<' && sscanf(json + at, "<|extra_id_%d|>%n", &id, &n_read) == 1 &&
            n_read && id >= 1 && id <= 10) {
            memcpy(renamed + to, names[id - 1], strlen(names[id - 1]));
            to += strlen(names[id - 1]);
            at += (size_t)n_read;
        } else {
            renamed[to++] = json[at++];
        }
    }
    tokenizer *t = NULL;
    ox_err err = {0};
    if (tokenizer_open((unsigned char *)renamed, to, &t, &err)) fail_msg("%s", err.what);
    ox_free(json);
    ox_free(renamed);
    return t;
}

static int open_all(void **state) {
    (void)state;
    size_t n;
    instruct = open_instruct();
    smol = tok_fixture_open("tokenizer-smol");
    char *jinja = read_golden("chat/olmo_instruct.jinja", &n);
    assert_int_equal(open_template("chat_template.jinja", jinja, instruct, &olmo, NULL), 0);
    ox_free(jinja);
    jinja = read_golden("chat/smollm2.jinja", &n);
    assert_int_equal(open_template("chat_template.jinja", jinja, smol, &smollm2, NULL), 0);
    ox_free(jinja);
    struct folder *folder = NULL;
    assert_int_equal(folder_open(OXBOW_SOURCE_DIR "/engine/default", &folder, NULL), 0);
    assert_int_equal(template_open(folder, smol, &mini, NULL), 0);
    folder_close(folder);
    return open_template("chat_template.jinja", "You are Olmo .. '<|im_start|>assistant\\n<think>'",
                         instruct, &thinker, NULL);
}

static int close_all(void **state) {
    (void)state;
    tokenizer_close(instruct);
    tokenizer_close(smol);
    return 0;
}

/* ---- golden renders -------------------------------------------------------------------------- */

struct golden { /* one case as turns; everything is borrowed from json or owned by strings */
    struct template_msg msg[16];
    struct template_turns turns;
    char *strings[8];
    size_t n_strings;
};

static char *keep(struct golden *g, char *text) {
    assert_true(g->n_strings < 8);
    return g->strings[g->n_strings++] = text;
}

/* name(arg=json, arg=json), one a line: what the template makes of tool_calls. */
static char *write_calls(const json_t *calls) {
    char *text = ox_alloc(4096, 1, "calls", NULL);
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *function = json_object_get(json_array_get(calls, i), "function");
        json_t *arguments = json_object_get(function, "arguments"), *value;
        const char *key, *before = "";
        at += (size_t)snprintf(text + at, 4096 - at, "%s%s(", i ? "\n" : "",
                               json_string_value(json_object_get(function, "name")));
        json_object_foreach(arguments, key, value) {
            char *json = json_dumps(value, JSON_ENCODE_ANY);
            at += (size_t)snprintf(text + at, 4096 - at, "%s%s=%s", before, key, json);
            before = ", ";
            free(json);
        }
        at += (size_t)snprintf(text + at, 4096 - at, ")");
    }
    return text;
}

static void read_case(struct golden *g, const json_t *c) {
    *g = (struct golden){0};
    const json_t *messages = json_object_get(c, "messages"), *tools = json_object_get(c, "tools");
    g->turns.n = json_array_size(messages);
    assert_true(g->turns.n <= 16);
    for (size_t i = 0; i < g->turns.n; i++) {
        const json_t *m = json_array_get(messages, i), *text = json_object_get(m, "content");
        const json_t *calls = json_object_get(m, "tool_calls");
        g->msg[i] = (struct template_msg){
            .role = json_string_value(json_object_get(m, "role")),
            .text = json_string_value(text),
            .n_bytes = json_string_length(text),
            .functions = json_string_value(json_object_get(m, "functions")),
            .function_calls = json_string_value(json_object_get(m, "function_calls"))};
        if (calls) g->msg[i].function_calls = keep(g, write_calls(calls));
    }
    if (tools) {
        char *json = json_dumps(tools, 0);
        g->turns.tools = keep(g, ox_strdup(json, "tools", NULL));
        free(json);
    }
    g->turns.msg = g->msg;
    g->turns.ends_as_published = true;
    g->turns.reply =
        json_is_true(json_object_get(c, "add_generation_prompt")) ? OX_REPLY_OPEN : OX_REPLY_NONE;
}

static void golden_deinit(struct golden *g) {
    for (size_t i = 0; i < g->n_strings; i++)
        ox_free(g->strings[i]);
}

static void check_text(const struct chat_template *t, const struct golden *g, const char *name,
                       const char *want, size_t n_want) {
    char *text = NULL;
    size_t n = 0, cap = 0;
    ox_err err = {0};
    if (template_write(t, &g->turns, &text, &n, &cap, &err)) fail_msg("%s: %s", name, err.what);
    if (n != n_want || memcmp(text, want, n) != 0) fail_msg("%s: %.*s", name, (int)n, text);
    ox_free(text);
}

static void check_ids(const struct chat_template *t, const struct golden *g, const char *name,
                      const json_t *want) {
    struct ox_tokens got = {0};
    ox_err err = {0};
    if (template_render_turns(t, &g->turns, &got, NULL, &err)) fail_msg("%s: %s", name, err.what);
    size_t at = 0;
    while (at < got.n && json_integer_value(json_array_get(want, at)) == got.v[at])
        at++;
    if (at < got.n || got.n != json_array_size(want))
        fail_msg("%s: %zu ids, wanted %zu, differ at %zu", name, got.n, json_array_size(want), at);
    ox_free(got.v);
}

static size_t check_file(const char *file, const struct chat_template *t) {
    size_t n;
    char *text = read_golden(file, &n);
    json_t *root = json_loadb(text, n, JSON_ALLOW_NUL, NULL);
    const json_t *cases = json_object_get(root, "cases");
    size_t n_cases = json_array_size(cases);
    for (size_t i = 0; i < n_cases; i++) {
        const json_t *c = json_array_get(cases, i), *want = json_object_get(c, "text");
        const char *name = json_string_value(json_object_get(c, "name"));
        struct golden g;
        read_case(&g, c);
        check_text(t, &g, name, json_string_value(want), json_string_length(want));
        check_ids(t, &g, name, json_object_get(c, "ids_safe"));
        golden_deinit(&g);
    }
    json_decref(root);
    ox_free(text);
    return n_cases;
}

static void test_template__golden_renders(void **state) {
    (void)state;
    assert_int_equal(check_file("chat/olmo_instruct.json", &olmo), 31);
    assert_int_equal(check_file("chat/smollm2.json", &smollm2), 23);
}

/* The default model's form is SmolLM2's without the system turn of its own. */
static void test_template__default_model(void **state) {
    (void)state;
    static const char system[] = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, "
                                 "trained by Hugging Face<|im_end|>\n";
    size_t n, n_without = 0;
    char *text = read_golden("chat/smollm2.json", &n);
    json_t *root = json_loadb(text, n, JSON_ALLOW_NUL, NULL);
    const json_t *cases = json_object_get(root, "cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i), *want = json_object_get(c, "text");
        size_t skip = strstr(json_string_value(want), system) == json_string_value(want)
                          ? sizeof system - 1
                          : 0;
        struct golden g;
        read_case(&g, c);
        check_text(&mini, &g, json_string_value(json_object_get(c, "name")),
                   json_string_value(want) + skip, json_string_length(want) - skip);
        n_without += skip > 0;
        golden_deinit(&g);
    }
    assert_true(n_without > 10);
    json_decref(root);
    ox_free(text);
}

/* ---- what ox_render adds --------------------------------------------------------------------- */

static struct ox_msg message(enum ox_role role, const char *text) {
    return (struct ox_msg){.role = role, .text = text, .n_bytes = strlen(text)};
}

static struct ox_tokens render(const struct chat_template *t, const struct ox_msg *msg, size_t n,
                               enum ox_reply reply, size_t *ends) {
    struct ox_tokens got = {0};
    ox_err err = {0};
    if (template_render(t, msg, n, reply, &got, ends, &err)) fail_msg("%s", err.what);
    return got;
}

/* The ids of template text and data, one after another: "+" in front of data. */
static struct ox_tokens join(const struct chat_template *t, const char *const *parts) {
    struct ox_tokens all = {0};
    for (; *parts; parts++) {
        bool is_data = **parts == '+';
        const char *text = *parts + is_data;
        int rc = is_data ? tokenizer_encode(t->tok, text, strlen(text), &all, NULL)
                         : tokenizer_encode_special(t->tok, text, strlen(text), &all, NULL);
        assert_int_equal(rc, 0);
    }
    return all;
}

static void assert_ids(struct ox_tokens got, struct ox_tokens want) {
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.v, want.v, want.n * sizeof *want.v);
    ox_free(got.v);
    ox_free(want.v);
}

/* The prompts of the greedy runs in oxbow-mini's golden.safetensors, made by transformers. */
static const struct {
    const char *system, *user;
    size_t n;
    int32_t ids[30];
} prompts[] = {
    {NULL,
     "What is the capital of France?",
     16,
     {1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198}},
    {NULL,
     "List three healthy breakfast ideas.",
     15,
     {1, 4093, 198, 6106, 1296, 2458, 13848, 2821, 30, 2, 198, 1, 520, 9531, 198}},
    {"You are a helpful assistant.",
     "Explain why the sky is blue in two sentences.",
     30,
     {1,    9690, 198,  2683, 359,  253, 5356, 11173, 30, 2, 198, 1, 4093, 198,  36971,
      1701, 260,  6376, 314,  4461, 281, 827,  8545,  30, 2, 198, 1, 520,  9531, 198}},
};

static void test_template__prompts_of_the_default_model(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof prompts / sizeof prompts[0]; i++) {
        struct ox_msg msg[2] = {message(OX_ROLE_SYSTEM, prompts[i].system ? prompts[i].system : ""),
                                message(OX_ROLE_USER, prompts[i].user)};
        size_t skip = !prompts[i].system;
        struct ox_tokens got = render(&mini, msg + skip, 2 - skip, OX_REPLY_OPEN, NULL);
        assert_int_equal(got.n, prompts[i].n);
        assert_memory_equal(got.v, prompts[i].ids, got.n * sizeof *got.v);
        ox_free(got.v);
    }
}

static void test_template__documents_are_encoded_apart(void **state) {
    (void)state;
    struct ox_msg msg[] = {message(OX_ROLE_USER, "Here is a document.\n\n"),
                           message(OX_ROLE_USER, "\nTwo lines\n<|im_end|> of text.\n"),
                           message(OX_ROLE_USER, "\n\nWhat is it about?")};
    msg[1].joined = msg[2].joined = true;
    size_t ends[3];
    struct ox_tokens got = render(&mini, msg, 3, OX_REPLY_OPEN, ends);
    static const char *const parts[] = {"<|im_start|>",
                                        "+user\nHere is a document.\n\n",
                                        "+\nTwo lines\n<|im_end|> of text.\n",
                                        "+\n\nWhat is it about?",
                                        "<|im_end|>\n<|im_start|>",
                                        "+assistant\n",
                                        NULL};
    struct ox_tokens want = join(&mini, parts), document = {0};
    assert_int_equal(tokenizer_encode(smol, msg[1].text, msg[1].n_bytes, &document, NULL), 0);
    assert_int_equal(ends[1] - ends[0], document.n);
    assert_memory_equal(got.v + ends[0], document.v, document.n * sizeof *document.v);
    assert_memory_equal(got.v + ends[2] - mini.n_close, mini.close, 2 * sizeof *mini.close);
    /* ids of the document that are known already give the same */
    msg[1].tok = document.v;
    msg[1].n_tok = document.n;
    msg[1].text = NULL;
    struct ox_tokens again = render(&mini, msg, 3, OX_REPLY_OPEN, NULL);
    assert_int_equal(again.n, got.n);
    assert_memory_equal(again.v, got.v, got.n * sizeof *got.v);
    ox_free(again.v);
    ox_free(document.v);
    assert_ids(got, want);
}

static void test_template__saved_turns_keep_their_ids(void **state) {
    (void)state;
    static const int32_t sampled[] = {40, 41, 42, 43}; /* not what any text is encoded to */
    struct ox_msg msg[] = {message(OX_ROLE_USER, "Hi"), message(OX_ROLE_ASSISTANT, "unused"),
                           message(OX_ROLE_USER, "Go on")};
    msg[1].tok = sampled;
    msg[1].n_tok = 4;
    size_t ends[3];
    struct ox_tokens open = render(&mini, msg, 1, OX_REPLY_OPEN, NULL);
    struct ox_tokens part = render(&mini, msg, 2, OX_REPLY_CONTINUE, ends);
    assert_int_equal(ends[1], part.n); /* not closed */
    assert_int_equal(part.n, open.n + 4);
    struct ox_tokens got = render(&mini, msg, 3, OX_REPLY_NONE, ends);
    assert_memory_equal(got.v, open.v, open.n * sizeof *open.v);
    assert_memory_equal(got.v, part.v, part.n * sizeof *part.v);
    assert_memory_equal(got.v + open.n, sampled, sizeof sampled);
    assert_memory_equal(got.v + open.n + 4, mini.close, 2 * sizeof *mini.close);
    assert_int_equal(ends[1], open.n + 4 + 2);
    assert_int_equal(ends[2], got.n);
    ox_free(open.v);
    ox_free(part.v);
    ox_free(got.v);
}

/* Rendering what is said later never changes what was rendered before: the live timeline, and every
 * saved state, stay good. Random conversations, documents and saved turns in all forms. */
static void test_template__a_longer_conversation_extends_the_shorter(void **state) {
    (void)state;
    enum { N = 9 };
    uint64_t seed = 21;
    const struct chat_template *all[] = {&olmo, &smollm2, &mini, &thinker};
    for (int round = 0; round < 200; round++) {
        const struct chat_template *t = all[round % 4];
        struct ox_msg msg[N];
        int32_t sampled[N][5];
        char *text[N];
        size_t ends[N + 1], shorter[N + 1];
        for (size_t i = 0; i < N; i++) {
            size_t n;
            text[i] = tok_fixture_text(&seed, tok_fixture_random(&seed) % 20, &n);
            msg[i] = (struct ox_msg){.text = text[i], .n_bytes = n};
            bool has_system = round % 8 < 4;
            msg[i].role = i == 0 && has_system         ? OX_ROLE_SYSTEM
                          : (i + !has_system) % 2 == 1 ? OX_ROLE_USER
                                                       : OX_ROLE_ASSISTANT;
            msg[i].joined =
                msg[i].role == OX_ROLE_USER && i > 0 && tok_fixture_random(&seed) % 8 == 0;
            for (size_t k = 0; k < 5; k++)
                sampled[i][k] = (int32_t)(300 + tok_fixture_random(&seed) % 40000);
            if (msg[i].role != OX_ROLE_ASSISTANT) continue;
            msg[i].tok = sampled[i];
            msg[i].n_tok = tok_fixture_random(&seed) % 5;
        }
        struct ox_tokens whole = render(t, msg, N, OX_REPLY_NONE, ends);
        for (size_t n = 1; n <= N; n++) {
            bool is_turn_end = n == N || !msg[n].joined;
            struct ox_tokens part = render(t, msg, n, OX_REPLY_NONE, shorter);
            if (is_turn_end) {
                assert_int_equal(part.n, ends[n - 1]);
                assert_memory_equal(part.v, whole.v, part.n * sizeof *part.v);
                assert_memory_equal(shorter, ends, n * sizeof *ends);
            }
            ox_free(part.v);
            /* the prompt that was answered is a prefix of the conversation with the answer */
            if (n == N || msg[n].role != OX_ROLE_ASSISTANT) continue;
            part = render(t, msg, n, t->thinks ? OX_REPLY_NO_THINK : OX_REPLY_OPEN, NULL);
            assert_true(part.n <= ends[n]);
            assert_memory_equal(part.v, whole.v, part.n * sizeof *part.v);
            ox_free(part.v);
        }
        ox_free(whole.v);
        for (size_t i = 0; i < N; i++)
            ox_free(text[i]);
    }
}

static void test_template__thoughts(void **state) {
    (void)state;
    assert_true(thinker.thinks && !olmo.thinks && !mini.thinks);
    struct ox_msg msg[] = {message(OX_ROLE_SYSTEM, "S"), message(OX_ROLE_USER, "Hi"),
                           message(OX_ROLE_ASSISTANT, "")};
    static const char *const open_parts[] = {"<|im_start|>",
                                             "+system\nS",
                                             "<|im_end|>\n<|im_start|>",
                                             "+user\nHi",
                                             "<|im_end|>\n<|im_start|>",
                                             "+assistant\n<think>",
                                             NULL};
    struct ox_tokens open = render(&thinker, msg, 2, OX_REPLY_OPEN, NULL);
    assert_ids(render(&thinker, msg, 2, OX_REPLY_OPEN, NULL), join(&thinker, open_parts));
    struct ox_tokens plain = render(&thinker, msg, 2, OX_REPLY_NO_THINK, NULL), ids = {0};
    assert_true(plain.n > open.n);
    static const char *const answers[] = {"\nOkay.\n</think>\n\nYes.", "Yes.", "\nOka"};
    for (size_t i = 0; i < 3; i++) { /* thought; did not think; was stopped while thinking */
        ids.n = 0;
        assert_int_equal(tokenizer_encode(instruct, answers[i], strlen(answers[i]), &ids, NULL), 0);
        msg[2].tok = ids.v;
        msg[2].n_tok = ids.n;
        struct ox_tokens got =
            render(&thinker, msg, 3, i == 2 ? OX_REPLY_CONTINUE : OX_REPLY_NONE, NULL);
        struct ox_tokens before = i == 1 ? plain : open;
        assert_memory_equal(got.v, before.v, before.n * sizeof *before.v);
        assert_memory_equal(got.v + before.n, ids.v, ids.n * sizeof *ids.v);
        ox_free(got.v);
    }
    msg[2].n_tok = 1; /* begun without thinking, and to be continued so */
    struct ox_tokens got = render(&thinker, msg, 3, OX_REPLY_CONTINUE_NO_THINK, NULL);
    assert_int_equal(got.n, plain.n + 1);
    assert_memory_equal(got.v, plain.v, plain.n * sizeof *plain.v);
    ox_free(got.v);
    ox_free(ids.v);
    ox_free(open.v);
    ox_free(plain.v);
}

static void test_template__closes_and_stops(void **state) {
    (void)state;
    assert_int_equal(olmo.n_close, 2);
    assert_int_equal(olmo.close[0], 100265);
    assert_int_equal(olmo.close[1], 198);
    assert_int_equal(olmo.n_stop, 2);
    assert_int_equal(olmo.stop[0], 100265);
    assert_int_equal(olmo.stop[1], 100257);
    assert_int_equal(mini.close[0], 2);
    assert_int_equal(mini.n_close, 2);
    assert_int_equal(mini.stop[1], 0);
}

static const struct {
    const char *name, *file, *text, *form, *note;
} folders[] = {
    {"unknown, words of Olmo", "chat_template.jinja", "You are Olmo, a helper", "Olmo Instruct",
     "unknown chat template"},
    {"unknown, words of SmolLM", "chat_template.jinja", "AI assistant named SmolLM", "SmolLM2",
     "unknown chat template"},
    {"unknown", "chat_template.jinja", "{{ x }}", "oxbow-mini", "unknown chat template"},
    {"none", "config.json", "{}", "oxbow-mini", "no chat template"},
    {"in the config", "tokenizer_config.json", "{\"chat_template\": \"named SmolLM\"}", "SmolLM2",
     "unknown"},
    {"named, in the config", "tokenizer_config.json",
     "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"x\"}, {\"name\": \"default\", "
     "\"template\": \"named SmolLM\"}]}",
     "SmolLM2", "unknown"},
    {"none in the config", "tokenizer_config.json", "{\"chat_template\": 5}", "oxbow-mini",
     "no chat"},
};

static void test_template__unknown_templates_get_a_note(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct chat_template t;
        ox_err err = {0};
        if (open_template(folders[i].file, folders[i].text, smol, &t, &err))
            fail_msg("%s: %s", folders[i].name, err.what);
        if (strcmp(template_name(&t), folders[i].form) != 0 || !strstr(t.note, folders[i].note))
            fail_msg("%s: %s, \"%s\"", folders[i].name, template_name(&t), t.note);
    }
    struct chat_template t;
    ox_err err = {0};
    assert_int_equal(open_template("config.json", "{}", instruct, &t, &err), 0);
    assert_string_equal(template_name(&t), "Olmo Instruct"); /* by its vocabulary */
    assert_int_equal(open_template("tokenizer_config.json", "{", smol, &t, &err), OX_EMODEL);
    assert_string_equal(olmo.note, "");
    assert_string_equal(smollm2.note, "");
    assert_string_equal(mini.note, "");
}

static void test_template__refuses(void **state) {
    (void)state;
    struct ox_msg msg[] = {message(OX_ROLE_USER, "Hi"), message(OX_ROLE_NONE, "?")};
    struct ox_tokens out = {0};
    ox_err err = {0};
    assert_int_equal(template_render(&mini, msg, 2, OX_REPLY_NONE, &out, NULL, &err), OX_EUSAGE);
    assert_int_equal(template_render(&mini, msg, 1, OX_REPLY_CONTINUE, &out, NULL, &err),
                     OX_EUSAGE);
    assert_int_equal(template_render(&mini, msg, 0, OX_REPLY_CONTINUE, &out, NULL, &err),
                     OX_EUSAGE);
    assert_int_equal(out.n, 0);
    assert_int_equal(template_render(&mini, msg, 0, OX_REPLY_NONE, &out, NULL, &err), 0);
    assert_int_equal(out.n, 0);
    ox_free(out.v);
}

static void test_template__no_memory(void **state) {
    (void)state;
    struct ox_msg msg[] = {message(OX_ROLE_USER, "Hi"), message(OX_ROLE_ASSISTANT, "Hello")};
    for (uint64_t i = 1;; i++) {
        struct ox_tokens out = {0};
        assert_int_equal(tokenizer_encode(instruct, "x", 1, &out, NULL), 0);
        ox_mem_fail_at(i);
        int rc = template_render(&olmo, msg, 2, OX_REPLY_OPEN, &out, NULL, NULL);
        bool was_reached = ox_mem_fail_at(0) >= i;
        size_t n = out.n;
        ox_free(out.v);
        if (!was_reached) {
            assert_int_equal(rc, 0);
            assert_true(i > 4);
            return;
        }
        assert_int_equal(rc, OX_ENOMEM);
        assert_int_equal(n, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template__golden_renders),
        cmocka_unit_test(test_template__default_model),
        cmocka_unit_test(test_template__prompts_of_the_default_model),
        cmocka_unit_test(test_template__documents_are_encoded_apart),
        cmocka_unit_test(test_template__saved_turns_keep_their_ids),
        cmocka_unit_test(test_template__a_longer_conversation_extends_the_shorter),
        cmocka_unit_test(test_template__thoughts),
        cmocka_unit_test(test_template__closes_and_stops),
        cmocka_unit_test(test_template__unknown_templates_get_a_note),
        cmocka_unit_test(test_template__refuses),
        cmocka_unit_test(test_template__no_memory),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
