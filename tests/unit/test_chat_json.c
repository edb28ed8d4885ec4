/* test_chat_json.c - what goes to a chat server and what comes back. The events are such as OpenAI,
 * llama.cpp's server, vLLM and Ollama send. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "app/remote/chat_json.h"

static const struct ox_sampling unsaid = {-1, -1, -1, -1, -1, 0, 0};

static json_t *request(struct prompt *p, const struct ox_sampling *how, size_t max_new) {
    struct buf b = {0};
    assert_int_equal(chat_request(p, "big \"model\"", how, max_new, &b, NULL), 0);
    json_t *o = json_loadb(b.p, b.n, 0, NULL);
    assert_non_null(o);
    buf_deinit(&b);
    return o;
}

static void test_chat_json__joins_the_pieces_of_a_turn(void **state) {
    struct prompt p = {0};
    (void)state;
    assert_int_equal(prompt_system(&p, "Be \x01 brief", 10, NULL), 0);
    assert_int_equal(prompt_document(&p, "LINE\xff ONE\n", 10, NULL, 77, NULL), 0);
    assert_int_equal(prompt_user(&p, "Who?", 4, NULL), 0);
    assert_int_equal(prompt_assistant(&p, "I.", 2, NULL, 0, NULL), 0);
    assert_int_equal(prompt_user(&p, "And?", 4, NULL), 0);
    json_t *o = request(&p, &unsaid, 0), *m = json_object_get(o, "messages");
    static const char *const roles[] = {"system", "user", "assistant", "user"};
    assert_int_equal(json_array_size(m), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(m, i), "role")),
                            roles[i]);
    const char *q = json_string_value(json_object_get(json_array_get(m, 1), "content"));
    assert_non_null(strstr(q, "LINE\xEF\xBF\xBD ONE\n"));
    assert_non_null(strstr(q, "Who?"));
    assert_string_equal(json_string_value(json_object_get(o, "model")), "big \"model\"");
    assert_true(json_is_true(json_object_get(o, "stream")));
    json_decref(o);
    prompt_deinit(&p);
}

static void test_chat_json__sends_only_what_was_said(void **state) {
    static const char *const left_out[] = {"temperature", "top_p", "max_tokens", "top_k", "min_p"};
    const struct ox_sampling said = {0.5f, 0.25f, 0.1f, 1.1f, 40, 0x1234567890u, 0};
    struct prompt p = {0};
    (void)state;
    assert_int_equal(prompt_user(&p, "q", 1, NULL), 0);
    json_t *o = request(&p, &unsaid, 0);
    for (size_t i = 0; i < 5; i++)
        assert_null(json_object_get(o, left_out[i]));
    json_decref(o);
    o = request(&p, &said, 33);
    assert_true(json_number_value(json_object_get(o, "temperature")) == 0.5);
    assert_true(json_number_value(json_object_get(o, "top_p")) == 0.25);
    assert_int_equal(json_integer_value(json_object_get(o, "max_tokens")), 33);
    assert_int_equal(json_integer_value(json_object_get(o, "seed")), 0x34567890);
    assert_null(json_object_get(o, "top_k"));
    json_decref(o);
    prompt_deinit(&p);
}

/* clang-format off */
static const struct {
    const char *name, *data, *text;
    int rc;
    bool is_last;
    enum chat_finish finish;
    size_t n_in, n_out;
} events[] = {
    {"text", "{\"choices\":[{\"delta\":{\"content\":\"h\\u00e9\"}}]}", "h\xC3\xA9", 0, false, 0, 0, 0},
    {"role only", "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}", NULL, 0, false, 0, 0, 0},
    {"thoughts", "{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}", NULL, 0, false, 0, 0, 0},
    {"end", "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}", NULL, 0, false, CHAT_FINISH_STOP, 0, 0},
    {"length", "{\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}", NULL, 0, false, CHAT_FINISH_LENGTH, 0, 0},
    {"usage alone", "{\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3}}", NULL, 0, false, 0, 12, 3},
    {"usage of nonsense", "{\"choices\":[],\"usage\":{\"prompt_tokens\":-4,\"completion_tokens\":\"x\"}}", NULL, 0, false, 0, 0, 0},
    {"done", "[DONE]", NULL, 0, true, 0, 0, 0},
    {"null error", "{\"error\":null,\"choices\":[{\"delta\":{\"content\":\"a\"}}]}", "a", 0, false, 0, 0, 0},
    {"an error", "{\"error\":{\"message\":\"no memory\"}}", NULL, OX_EIO, false, 0, 0, 0},
    {"an error as text", "{\"error\":\"no memory\"}", NULL, OX_EIO, false, 0, 0, 0},
    {"no JSON", "{\"choices\": [}", NULL, OX_EFORMAT, false, 0, 0, 0},
    {"another JSON", "{\"weather\":1}", NULL, OX_EFORMAT, false, 0, 0, 0},
    {"a list", "[1]", NULL, OX_EFORMAT, false, 0, 0, 0},
    {"half a surrogate", "{\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}", NULL, OX_EFORMAT, false, 0, 0, 0},
    {"nothing", "", NULL, OX_EFORMAT, false, 0, 0, 0},
};
/* clang-format on */

static void test_chat_json__reads_events(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        struct chat_event e;
        ox_err err = {0};
        int rc = chat_event_parse(events[i].data, strlen(events[i].data), &e, &err);
        if (rc != events[i].rc) fail_msg("%s: %d, %s", events[i].name, rc, err.what);
        if (rc && !err.fix[0]) fail_msg("%s: no fix", events[i].name);
        if (!rc && (e.is_last != events[i].is_last || e.finish != events[i].finish ||
                    e.n_in != events[i].n_in || e.n_out != events[i].n_out ||
                    (e.text == NULL) != (events[i].text == NULL) ||
                    (e.text && strcmp(e.text, events[i].text) != 0)))
            fail_msg("%s: read as something else", events[i].name);
        chat_event_deinit(&e);
    }
}

static void test_chat_json__finds_the_words_of_a_refusal(void **state) {
    static const struct {
        const char *body, *want;
    } rows[] = {
        {"{\"error\":{\"message\":\"bad key\"}}", "bad key"},
        {"{\"error\":\"bad key\"}", "bad key"},
        {"{\"object\":\"error\",\"message\":\"too long\"}", "too long"},
        {"{\"detail\":\"Not Found\"}", "Not Found"},
        {"<html>\x1b[31m</html>\n", "<html><1B>[31m</html>"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = {0};
        assert_int_equal(chat_error_words(rows[i].body, strlen(rows[i].body), &b, NULL), 0);
        assert_string_equal(buf_str(&b), rows[i].want);
        buf_deinit(&b);
    }
}

static void test_chat_json__estimates_by_script(void **state) {
    static const struct {
        const char *text;
        size_t want;
    } rows[] = {{"", 0},
                {"a", 1},
                {"four", 1},
                {"fours", 2},
                {"\xE4\xB8\xAD\xE6\x96\x87", 2},
                {"\xD0\xB4\xD0\xB0", 1},
                {"\xF0\x9F\x98\x80", 1}};
    struct prompt p = {0};
    size_t ends[4], n_bytes;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(chat_estimate(rows[i].text, strlen(rows[i].text)), rows[i].want);
    assert_int_equal(prompt_document(&p, "0123456789abcdef", 16, NULL, 0, NULL), 0);
    assert_int_equal(prompt_user(&p, "q", 1, NULL), 0);
    assert_int_equal(p.n, 3);
    size_t n = chat_estimate_prompt(&p, ends, &n_bytes);
    assert_int_equal(ends[1] - ends[0], 4);
    assert_int_equal(ends[2], n);
    assert_int_equal(n_bytes, p.msg[0].n_bytes + p.msg[1].n_bytes + p.msg[2].n_bytes);
    prompt_deinit(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_json__joins_the_pieces_of_a_turn),
        cmocka_unit_test(test_chat_json__sends_only_what_was_said),
        cmocka_unit_test(test_chat_json__reads_events),
        cmocka_unit_test(test_chat_json__finds_the_words_of_a_refusal),
        cmocka_unit_test(test_chat_json__estimates_by_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
