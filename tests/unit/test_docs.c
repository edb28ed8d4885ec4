/* test_docs.c - documents in oxbow.db: stored once, slices, lines, tokens, citations, summaries. */
#include "store_fixture.h"

#include "app/store/docs.h"

#include <time.h>

static char *make_text(size_t n_lines, size_t *n) {
    char *text = malloc(n_lines * 64 + 1);
    *n = 0;
    for (size_t i = 1; i <= n_lines; i++)
        *n += (size_t)snprintf(
            text + *n, 64, i % 40 == 1 ? "\n# Part %zu\n" : "Line %zu of the harbour log.\n", i);
    return text;
}

static int64_t add(store *st, const char *name, const char *text, size_t n) {
    struct store_doc d = {.name = name, .text = text, .n_bytes = n, .kind = "text"};
    int64_t id = 0;
    bool ready = false;
    OK(store_doc_add(st, &d, &id, err));
    while (!ready)
        OK(store_doc_step(st, id, &ready, NULL, err));
    return id;
}

static void test_docs__joined_chunks_are_the_text(void **state) {
    store *st = store_at(":memory:");
    size_t n, n_back;
    char *text = make_text(3000, &n), *back = NULL;
    int64_t id = add(st, "log.txt", text, n);
    OK(store_doc_text(st, id, 0, 0, &back, &n_back, err));
    assert_int_equal(n_back, n);
    assert_memory_equal(back, text, n);
    ox_free(back);
    static const struct {
        size_t from, to;
    } cuts[] = {{0, 1}, {1, 2}, {4095, 4097}, {5000, 20000}, {17, 17}};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        OK(store_doc_text(st, id, cuts[i].from, cuts[i].to, &back, &n_back, err));
        assert_int_equal(n_back, cuts[i].to - cuts[i].from);
        assert_memory_equal(back, text + cuts[i].from, n_back);
        ox_free(back);
    }
    free(text);
    store_close(st);
}

static void test_docs__same_text_is_stored_once(void **state) {
    store *st = store_at(":memory:");
    int64_t a = add(st, "a.txt", "one text\n", 9);
    assert_int_equal(add(st, "b.txt", "one text\n", 9), a);
    assert_int_not_equal(add(st, "c.txt", "other txt", 9), a);
    store_close(st);
}

static void test_docs__bad_text_is_refused(void **state) {
    store *st = store_at(":memory:");
    int64_t id = 0;
    static const struct {
        const char *text;
        size_t n;
    } bad[] = {{"", 0}, {"a\0b", 3}, {"\xff", 1}, {"\xed\xa0\x80", 3}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct store_doc d = {.name = "x", .text = bad[i].text, .n_bytes = bad[i].n};
        assert_int_equal(store_doc_add(st, &d, &id, NULL), OX_EFORMAT);
    }
    store_close(st);
}

static void test_docs__lines_and_bytes_agree(void **state) {
    store *st = store_at(":memory:");
    size_t n, line = 1, got, page;
    char *text = make_text(900, &n);
    int64_t id = add(st, "log.txt", text, n);
    for (size_t at = 0; at < n; at++) {
        if (at && text[at - 1] == '\n') line++;
        if (at % 7 == 0) {
            OK(store_doc_byte_at(st, id, at, &got, &page, err));
            if (got != line) fail_msg("byte %zu: line %zu, expected %zu", at, got, line);
        }
        if (at == 0 || text[at - 1] == '\n') {
            OK(store_doc_line_at(st, id, line, &got, err));
            if (got != at) fail_msg("line %zu: byte %zu, expected %zu", line, got, at);
        }
    }
    free(text);
    store_close(st);
}

static void test_docs__long_lines_cut_by_chunks_keep_their_start(void **state) {
    store *st = store_at(":memory:");
    static char text[40001];
    size_t got;
    for (size_t i = 0; i < 40000; i++)
        text[i] = i == 20000 ? '\n' : (i % 6 ? 'a' : ' ');
    int64_t id = add(st, "wide.txt", text, 40000);
    OK(store_doc_line_at(st, id, 1, &got, err));
    assert_int_equal(got, 0);
    OK(store_doc_line_at(st, id, 2, &got, err));
    assert_int_equal(got, 20001);
    store_close(st);
}

static void test_docs__slices_stay_short(void **state) {
    store *st = store_at(":memory:");
    size_t n, done = 0;
    int64_t id = 0, worst = 0;
    char *text = make_text(180000, &n); /* 5 MB */
    struct store_doc d = {.name = "big.txt", .text = text, .n_bytes = n};
    bool ready = false;
    OK(store_doc_add(st, &d, &id, err));
    while (!ready) {
        struct timespec a, b;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
        OK(store_doc_step(st, id, &ready, &done, err));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
        int64_t us = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
        if (us > worst) worst = us;
    }
    print_message("import of %zu bytes: longest slice %lld us\n", n, (long long)worst);
    assert_int_equal(done, n);
    if (worst > 200000) fail_msg("a slice took %lld us", (long long)worst);
    free(text);
    store_close(st);
}

static void test_docs__half_read_import_of_a_dead_process_goes(void **state) {
    struct place p;
    size_t n;
    int64_t id = 0;
    bool ready = true;
    place_make(&p);
    char *text = make_text(60000, &n);
    struct store_doc d = {.name = "big.txt", .text = text, .n_bytes = n};
    store *st = store_at(p.db);
    OK(store_doc_add(st, &d, &id, err));
    OK(store_doc_step(st, id, &ready, NULL, err));
    assert_false(ready);
    store_close(st);
    st = store_at(p.db);
    assert_int_equal(store_doc_step(st, id, &ready, NULL, NULL), OX_ENOTFOUND);
    add(st, "again.txt", text, n);
    free(text);
    store_close(st);
    place_remove(&p);
}

static void test_docs__tokens_are_kept_by_vocabulary(void **state) {
    store *st = store_at(":memory:");
    struct ox_tokens got = {0};
    const int32_t ids[] = {0, 1, 100277, INT32_MAX};
    int64_t id = add(st, "a.txt", "one text\n", 9);
    use_model(st, 1);
    OK(store_doc_tokens_put(st, id, 0, 9, ids, 4, err));
    OK(store_doc_tokens_get(st, id, 0, 9, &got, err));
    assert_int_equal(got.n, 4);
    assert_memory_equal(got.v, ids, sizeof ids);
    assert_int_equal(store_doc_tokens_get(st, id, 0, 5, &got, NULL), OX_ENOTFOUND);
    use_model(st, 2);
    assert_int_equal(store_doc_tokens_get(st, id, 0, 9, &got, NULL), OX_ENOTFOUND);
    ox_free(got.v);
    store_close(st);
}

static int keep_cite(void *user, const struct store_cite *row) {
    struct store_cite *out = user;
    *out = *row;
    out->quote = NULL;
    return 0;
}

static void test_docs__document_in_use_goes_by_force_only(void **state) {
    store *st = store_at(":memory:");
    ox_err why = {0};
    int64_t chat = 0, q = 0;
    struct store_cite got = {0};
    struct chat c = {0};
    int64_t doc = add(st, "a.txt", "one text\n", 9);
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    struct chat_doc at = {.doc = doc, .from = 0, .to = 9};
    struct chat_node row = {.role = OX_ROLE_USER,
                            .end = CHAT_DONE,
                            .text = "q",
                            .n_bytes = 1,
                            .docs = &at,
                            .n_docs = 1};
    OK(store_msg_add(st, chat, &row, &q, err));
    struct store_cite cite = {.quote = "one text",
                              .verdict = CITE_EXACT,
                              .doc = doc,
                              .to = 8,
                              .line_from = 1,
                              .line_to = 1};
    OK(store_cite_put(st, q, &cite, 1, err));
    assert_int_equal(store_doc_delete(st, doc, false, &why), OX_EFAIL);
    assert_non_null(strstr(why.what, "used by"));
    OK(store_doc_delete(st, doc, true, err));
    OK(store_cite_list(st, q, keep_cite, &got, err));
    assert_int_equal(got.doc, 0);
    assert_int_equal(got.verdict, CITE_EXACT);
    assert_int_equal(got.to, 8);
    OK(store_msg_path(st, q, collect_node, &c, err));
    assert_int_equal(c.node[0].n_docs, 1);
    assert_int_equal(c.node[0].docs[0].doc, 0);
    assert_string_equal(c.node[0].docs[0].name, "a.txt");
    chat_deinit(&c);
    store_close(st);
}

static int count_part(void *user, const struct store_part *row) {
    int *n = user;
    assert_int_equal(row->idx, *n);
    ++*n;
    return 0;
}

static void test_docs__summary_parts_survive(void **state) {
    struct place p;
    enum store_job_state was = STORE_JOB_FAILED;
    int64_t job = 0, again = 0;
    int n = 0;
    place_make(&p);
    store *st = store_at(p.db);
    int64_t doc = add(st, "a.txt", "one text\n", 9);
    use_model(st, 1);
    OK(store_job_open(st, doc, "{\"words\":200}", &job, &was, err));
    for (int i = 0; i < 3; i++)
        OK(store_job_part(st, job, &(struct store_part){.idx = i, .to = 9, .text = "part"}, err));
    store_close(st);
    st = store_at(p.db);
    use_model(st, 1);
    OK(store_job_open(st, doc, "{\"words\":200}", &again, &was, err));
    assert_int_equal(again, job);
    assert_int_equal(was, STORE_JOB_STOPPED);
    OK(store_job_parts(st, job, count_part, &n, err));
    assert_int_equal(n, 3);
    store_close(st);
    place_remove(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_docs__joined_chunks_are_the_text),
        cmocka_unit_test(test_docs__same_text_is_stored_once),
        cmocka_unit_test(test_docs__bad_text_is_refused),
        cmocka_unit_test(test_docs__lines_and_bytes_agree),
        cmocka_unit_test(test_docs__long_lines_cut_by_chunks_keep_their_start),
        cmocka_unit_test(test_docs__slices_stay_short),
        cmocka_unit_test(test_docs__half_read_import_of_a_dead_process_goes),
        cmocka_unit_test(test_docs__tokens_are_kept_by_vocabulary),
        cmocka_unit_test(test_docs__document_in_use_goes_by_force_only),
        cmocka_unit_test(test_docs__summary_parts_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
