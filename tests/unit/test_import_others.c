/* test_import_others.c - logs of llm and exports of ChatGPT become sessions: schemas of several
 * years, branches, thoughts; what has no place is counted; nothing comes twice. The files are made
 * here, by the forms' descriptions. */
#include "store_fixture.h"

#include "app/core/foreign.h"
#include "app/import_chatgpt.h"
#include "app/store/import_llm.h"
#include "app/store/transfer.h"

#include <sqlite3.h>

static struct place place;

static int make_place(void **state) {
    (void)state;
    place_make(&place);
    return 0;
}

static int drop_place(void **state) {
    (void)state;
    place_remove(&place);
    return 0;
}

static const char *file_at(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", place.dir, name);
    return path;
}

static const char *make_db(const char *sql) {
    sqlite3 *sq = NULL;
    char *why = NULL;
    const char *path = file_at("logs.db");
    unlink(path);
    assert_int_equal(sqlite3_open(path, &sq), SQLITE_OK);
    if (sqlite3_exec(sq, sql, NULL, NULL, &why)) fail_msg("%s", why);
    sqlite3_close(sq);
    return path;
}

static const char *make_file(const char *name, const char *text) {
    const char *path = file_at(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

struct found {
    store *st;
    struct buf *out;
};

static int each_chat(void *user, const struct store_chat *row) {
    struct found *f = user;
    return buf_printf(f->out, NULL, "%s [%zu]: %s\n", row->title, row->n_branches,
                      path_text(f->st, row->leaf));
}

/* All sessions, newest first: title, branches, path on screen. */
static void sessions_are(store *st, const char *want) {
    struct buf got = {0};
    struct found f = {st, &got};
    OK(store_chat_list(st, &(struct store_filter){0}, each_chat, &f, err));
    assert_string_equal(buf_str(&got), want);
    buf_deinit(&got);
}

static void left_is(const struct foreign *f, const char *want) {
    struct buf got = {0};
    OK(foreign_say_left(f, &got, err));
    assert_string_equal(buf_str(&got), want);
    buf_deinit(&got);
}

static const char log_05[] =
    "CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);"
    "CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, "
    "prompt_json "
    "TEXT, options_json TEXT, response TEXT, response_json TEXT, conversation_id TEXT, duration_ms "
    "INTEGER, datetime_utc TEXT);"
    "INSERT INTO conversations VALUES ('01a', 'Which lamp?', 'gpt-4'), ('01b', 'Later', 'gpt-4');"
    "INSERT INTO responses (id, prompt, system, response, conversation_id, datetime_utc) VALUES "
    "('r2', 'And then?', 'be brief', 'The Skerry.', '01a', '2024-05-06T07:09:09.100000'),"
    "('r1', 'Which lamp?', 'be brief', 'The Mole.', '01a', '2024-05-06T07:08:09.100000'),"
    "('r3', 'Alone', NULL, NULL, NULL, '2024-05-07T07:08:09'),"
    "('r4', 'Later', NULL, 'Yes', '01b', '2024-05-08T00:00:00+00:00');";

static void test_import_others__llm_responses(void **state) {
    (void)state;
    struct foreign f = {0};
    struct store_imported n;
    store *st = store_at(":memory:");
    OK(import_llm(make_db(log_05), &f, err));
    left_is(&f, "");
    OK(store_import(st, buf_str(&f.lines), f.lines.n, true, &n, err));
    assert_int_equal(n.n_chats, 3);
    sessions_are(st, ""); /* a trial */
    OK(store_import(st, buf_str(&f.lines), f.lines.n, false, &n, err));
    assert_int_equal(n.n_chats, 3);
    assert_int_equal(n.n_messages, 8);
    const char *all = "Later [1]: u:Later|a:Yes\n"
                      "Alone [1]: u:Alone\n"
                      "Which lamp? [1]: s:be brief|u:Which lamp?|a:The Mole.|u:And then?|a:The "
                      "Skerry.\n";
    sessions_are(st, all);
    OK(store_import(st, buf_str(&f.lines), f.lines.n, false, &n, err)); /* again: nothing new */
    assert_int_equal(n.n_known, 3);
    assert_int_equal(n.n_chats + n.n_messages, 0);
    sessions_are(st, all);
    foreign_deinit(&f);
    store_close(st);
}

/* A later schema: fragments before the prompt, reasoning, tools and attachments beside it. */
static void test_import_others__llm_later_columns(void **state) {
    (void)state;
    struct foreign f = {0};
    struct store_imported n;
    struct chat c = {0};
    store *st = store_at(":memory:");
    const char *path = make_db(
        "CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT);"
        "CREATE TABLE responses (id TEXT, prompt TEXT, response TEXT, conversation_id TEXT, "
        "datetime_utc TEXT, resolved_model TEXT, reasoning TEXT);"
        "CREATE TABLE fragments (id INTEGER PRIMARY KEY, content TEXT);"
        "CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER, \"order\" INTEGER);"
        "CREATE TABLE tool_calls (id INTEGER PRIMARY KEY); CREATE TABLE tool_results (id INTEGER "
        "PRIMARY KEY); CREATE TABLE prompt_attachments (response_id TEXT);"
        "INSERT INTO conversations VALUES ('c', 'With \"all\"');"
        "INSERT INTO responses VALUES ('r', 'Sum up.', 'Done.', 'c', '2025-01-01T00:00:00', 'm', "
        "'I think');"
        "INSERT INTO fragments VALUES (1, 'second'), (2, 'first');"
        "INSERT INTO prompt_fragments VALUES ('r', 1, 2), ('r', 2, 1);"
        "INSERT INTO tool_calls VALUES (1), (2); INSERT INTO tool_results VALUES (1);"
        "INSERT INTO prompt_attachments VALUES ('r');");
    OK(import_llm(path, &f, err));
    left_is(&f, "3 tool messages, 1 attachment");
    OK(store_import(st, buf_str(&f.lines), f.lines.n, false, &n, err));
    sessions_are(st, "With \"all\" [1]: u:first\nsecond\nSum up.|a:Done.\n");
    struct store_chat row;
    OK(store_chat_get(st, n.last, &row, err));
    assert_int_equal(row.created_us, 1735689600000000);
    OK(store_msg_path(st, row.leaf, collect_node, &c, err));
    assert_string_equal(c.node[1].thought, "I think");
    chat_deinit(&c);
    foreign_deinit(&f);
    store_close(st);
}

static void test_import_others__llm_first_log(void **state) {
    (void)state;
    struct foreign f = {0};
    struct store_imported n;
    store *st = store_at(":memory:");
    OK(import_llm(
        make_db("CREATE TABLE log (id INTEGER PRIMARY KEY, model TEXT, timestamp TEXT, "
                "prompt TEXT, system TEXT, response TEXT, chat_id INTEGER);"
                "INSERT INTO log VALUES (1, 'm', '2023-05-01 10:00:00', 'one', NULL, 'a', NULL),"
                "(2, 'm', '2023-05-02 10:00:00', 'alone', NULL, 'b', NULL),"
                "(3, 'm', '2023-05-01 10:01:00', 'two', NULL, 'c', 1);"),
        &f, err));
    OK(store_import(st, buf_str(&f.lines), f.lines.n, false, &n, err));
    sessions_are(st, "alone [1]: u:alone|a:b\none [1]: u:one|a:a|u:two|a:c\n");
    foreign_deinit(&f);
    store_close(st);
}

/* The tree of 0.32: two turns that part at the first answer; the newest one is shown. A
 * conversation that is in the old table too comes once. */
static void test_import_others__llm_tree(void **state) {
    (void)state;
    struct foreign f = {0};
    struct store_imported n;
    store *st = store_at(":memory:");
    const char *path = make_db(
        "CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);"
        "CREATE TABLE responses (id TEXT, prompt TEXT, response TEXT, conversation_id TEXT, "
        "datetime_utc TEXT);"
        "CREATE TABLE messages (id TEXT PRIMARY KEY, role TEXT, parts TEXT, first_seen_utc TEXT);"
        "CREATE TABLE message_nodes (id TEXT PRIMARY KEY, parent_id TEXT, message_id TEXT, depth "
        "INTEGER, first_seen_utc TEXT);"
        "CREATE TABLE turns (id TEXT PRIMARY KEY, conversation_id TEXT, model TEXT, input_node_id "
        "TEXT, output_node_id TEXT, datetime_utc TEXT);"
        "INSERT INTO conversations VALUES ('c', 'Tree', 'm');"
        "INSERT INTO responses VALUES ('t1', 'q1', 'a1', 'c', '2026-01-01T00:00:00');"
        "INSERT INTO messages (id, role, parts) VALUES "
        "('mq1', 'user', '[{\"type\":\"text\",\"text\":\"q1\"}]'),"
        "('ma1', 'assistant', "
        "'[{\"type\":\"reasoning\",\"text\":\"hm\"},{\"type\":\"text\",\"text\":\"a1\"}]'),"
        "('mt', 'tool', '[{\"type\":\"tool_result\",\"output\":\"x\"}]'),"
        "('mq2', 'user', '[{\"type\":\"text\",\"text\":\"q2\"},{\"type\":\"attachment\"}]'),"
        "('ma2', 'assistant', '[{\"type\":\"text\",\"text\":\"a2\"}]'),"
        "('bad', 'user', 'no json');"
        "INSERT INTO message_nodes VALUES ('n1', NULL, 'mq1', 1, '2026-01-01T00:00:00+00:00'),"
        "('n2', 'n1', 'ma1', 2, '2026-01-01T00:00:01+00:00'), ('n3', 'n2', 'mt', 3, NULL),"
        "('n4', 'n3', 'mq2', 4, NULL), ('n5', 'n4', 'ma2', 5, NULL), ('n6', 'n2', 'mq1', 3, NULL),"
        "('n7', 'n6', 'bad', 4, NULL);"
        "INSERT INTO turns VALUES ('t1', 'c', 'm', 'n1', 'n2', '2026-01-01T00:00:00'),"
        "('t2', 'c', 'm', 'n4', 'n5', '2026-01-03T00:00:00'), ('t3', 'c', 'm', 'n6', 'n7', "
        "'2026-01-02T00:00:00');");
    OK(import_llm(path, &f, err));
    left_is(&f, "1 tool message, 1 attachment, 1 thing not understood");
    OK(store_import(st, buf_str(&f.lines), f.lines.n, false, &n, err));
    assert_int_equal(n.n_known, 1); /* the old table's copy */
    sessions_are(st, "Tree [2]: u:q1|a:a1|u:q2|a:a2\n");
    foreign_deinit(&f);
    store_close(st);
}

static void test_import_others__llm_refused(void **state) {
    (void)state;
    struct foreign f = {0};
    ox_err why = {0};
    assert_int_equal(import_llm(make_db("CREATE TABLE other (x)"), &f, &why), OX_EFORMAT);
    assert_non_null(strstr(why.fix, "llm logs path"));
    assert_int_equal(import_llm(make_file("text", "this is no database, whatever it says here; and "
                                                  "it is longer than a header of SQLite"),
                                &f, &why),
                     OX_EFORMAT);
    foreign_deinit(&f);
}

#define NODE(id, parent, children, message)                                                        \
    "\"" id "\":{\"id\":\"" id "\",\"parent\":" parent ",\"children\":[" children                  \
    "],\"message\":" message "}"
#define SAY(role, more) "{\"author\":{\"role\":\"" role "\"},\"create_time\":1700000000.5," more "}"
#define TEXT(words) "\"content\":{\"content_type\":\"text\",\"parts\":[\"" words "\"]}"

/* root - system(empty) - q1 - thoughts - a1 - q2 - call - tool - a2 (current)
 *                              \- a1 again   \- hidden */
/* clang-format off */
static const char export_one[] =
    "{\"title\":\"Mole\",\"conversation_id\":\"c-1\",\"create_time\":1700000000,"
    "\"update_time\":1700000900.25,\"current_node\":\"a2\",\"mapping\":{"
    NODE("a2", "\"tool\"", "", SAY("assistant", TEXT("Twice.")
         ",\"recipient\":\"all\",\"weight\":1.0,\"status\":\"finished_successfully\"")) ","
    NODE("root", "null", "\"sys\"", "null") ","
    NODE("sys", "\"root\"", "\"q1\"", SAY("system", TEXT("") ",\"weight\":0.0")) ","
    NODE("q1", "\"sys\"", "\"th\",\"a1b\"", SAY("user", TEXT("Which \\\"lamp\\\"?"))) ","
    NODE("th", "\"q1\"", "\"a1\"", SAY("assistant", "\"content\":{\"content_type\":\"thoughts\","
         "\"thoughts\":[{\"summary\":\"s\",\"content\":\"Look it up.\"}]}")) ","
    NODE("a1", "\"th\"", "\"q2\",\"hid\"", SAY("assistant", TEXT("The Mole.")
         ",\"metadata\":{\"finish_details\":{\"type\":\"max_tokens\"}}")) ","
    NODE("a1b", "\"q1\"", "", SAY("assistant", TEXT("The other."))) ","
    NODE("hid", "\"a1\"", "", SAY("user", TEXT("secret")
         ",\"metadata\":{\"is_visually_hidden_from_conversation\":true}")) ","
    NODE("q2", "\"a1\"", "\"call\"", SAY("user", "\"content\":{\"content_type\":\"multimodal_text\","
         "\"parts\":[{\"content_type\":\"image_asset_pointer\"},\"How often?\"]}")) ","
    NODE("call", "\"q2\"", "\"tool\"", SAY("assistant", "\"recipient\":\"python\","
         "\"content\":{\"content_type\":\"code\",\"text\":\"1+1\"}")) ","
    NODE("tool", "\"call\"", "\"a2\"", SAY("tool", "\"content\":{\"content_type\":"
         "\"execution_output\",\"text\":\"2\"}")) ","
    NODE("lost", "\"q1\"", "", SAY("user", TEXT("unknown to its parent"))) "}}";
/* clang-format on */

static void test_import_others__chatgpt_tree(void **state) {
    (void)state;
    struct foreign f = {0};
    struct store_imported n;
    struct chat c = {0};
    char all[8192];
    store *st = store_at(":memory:");
    snprintf(all, sizeof all, "[%s,{\"title\":\"no mapping\"}]", export_one);
    OK(import_chatgpt(make_file("conversations.json", all), &f, err));
    left_is(&f, "2 tool messages, 1 attachment, 1 hidden message, 2 things not understood");
    OK(store_import(st, buf_str(&f.lines), f.lines.n, false, &n, err));
    assert_int_equal(n.n_chats, 1);
    assert_int_equal(n.n_messages, 5);
    sessions_are(st, "Mole [2]: u:Which \"lamp\"?|a:The Mole.|u:How often?|a:Twice.\n");
    struct store_chat row;
    OK(store_chat_get(st, n.last, &row, err));
    assert_int_equal(row.updated_us, 1700000900250000);
    OK(store_msg_tree(st, n.last, collect_node, &c, err));
    assert_int_equal(c.n, 5);
    assert_string_equal(c.node[1].text, "The Mole.");
    assert_string_equal(c.node[1].thought, "Look it up.");
    assert_int_equal(c.node[1].end, CHAT_LENGTH);
    assert_int_equal(c.node[1].created_us, 1700000000500000);
    chat_deinit(&c);
    /* The folder has the same file: nothing comes twice. */
    foreign_deinit(&f);
    OK(import_chatgpt(place.dir, &f, err));
    OK(store_import(st, buf_str(&f.lines), f.lines.n, false, &n, err));
    assert_int_equal(n.n_known, 1);
    assert_int_equal(n.n_chats, 0);
    foreign_deinit(&f);
    store_close(st);
}

static void test_import_others__chatgpt_refused(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
        int rc;
        const char *says;
    } cases[] = {
        {"cut.json", "[{\"mapping\":{", OX_EFORMAT, "line 1"},
        {"export.zip", "PK\003\004 and so on", OX_EFORMAT, "archive itself"},
        {"empty.json", "[]", OX_EFORMAT, "holds no conversation"},
        {"odd.json", "[1,null,{\"mapping\":[]},{\"mapping\":{\"a\":3}}]", OX_EFORMAT, "holds no"},
        {NULL, NULL, OX_ENOTFOUND, "cannot read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct foreign f = {0};
        ox_err why = {0};
        const char *path =
            cases[i].name ? make_file(cases[i].name, cases[i].text) : "/nowhere.json";
        int rc = import_chatgpt(path, &f, &why);
        if (rc != cases[i].rc || !strstr(why.what, cases[i].says))
            fail_msg("case %zu: %d %s", i, rc, why.what);
        foreign_deinit(&f);
    }
}

static void test_import_others__times(void **state) {
    (void)state;
    static const struct {
        const char *iso;
        int64_t us;
    } cases[] = {
        {"1970-01-01T00:00:00", 0},
        {"1970-01-01 00:00:01", 1000000},
        {"2024-02-29T12:00:00.25+00:00", 1709208000250000},
        {"2024-03-01T01:30:00.000001+02:00", 1709249400000001},
        {"2100-03-01T00:00:00Z", 4107542400000000},
        {"2024-13-01T00:00:00", 0},
        {"yesterday", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (foreign_time(cases[i].iso) != cases[i].us)
            fail_msg("%s: %lld", cases[i].iso, (long long)foreign_time(cases[i].iso));
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_PLACE(test_import_others__llm_responses),
        WITH_PLACE(test_import_others__llm_later_columns),
        WITH_PLACE(test_import_others__llm_first_log),
        WITH_PLACE(test_import_others__llm_tree),
        WITH_PLACE(test_import_others__llm_refused),
        WITH_PLACE(test_import_others__chatgpt_tree),
        WITH_PLACE(test_import_others__chatgpt_refused),
        cmocka_unit_test(test_import_others__times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
