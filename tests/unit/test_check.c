/* test_check.c - doctor's checks find what is broken (by plain SQL, past our rules), backup and
 * salvage. */
#include "store_fixture.h"

#include "app/store/check.h"
#include "app/store/docs.h"
#include "app/store/search.h"

#include <fcntl.h>
#include <sqlite3.h>

enum { FIRST_PAGES = 60 * 4096 };

static struct place P;
static int64_t chat, answer;

static void fill_store(void) {
    store *st = store_at(P.db);
    bool ready = false;
    int64_t doc = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "Harbour", &chat, err));
    answer = turn(st, chat, turn(st, chat, 0, "first question", "first answer"), "second", "lamp");
    static char text[20000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 50 == 49 ? '\n' : (char)('a' + i % 26);
    struct store_doc d = {.name = "a.txt", .text = text, .n_bytes = sizeof text};
    OK(store_doc_add(st, &d, &doc, err));
    while (!ready)
        OK(store_doc_step(st, doc, &ready, NULL, err));
    struct store_cite c = {
        .quote = "lamp", .msg_to = 4, .verdict = CITE_EXACT, .doc = doc, .from = 3, .to = 9};
    OK(store_cite_put(st, answer, &c, 1, err));
    store_close(st);
}

static int setup(void **state) {
    place_make(&P);
    fill_store();
    return 0;
}

static int teardown(void **state) {
    place_remove(&P);
    return 0;
}

static void sql(const char *path, const char *text) {
    sqlite3 *db = NULL;
    char *msg = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &msg)) fail_msg("%s: %s", text, msg);
    sqlite3_close(db);
}

struct findings {
    char bad[512], warned[512];
    int n;
};

static int note(void *user, const struct store_finding *f) {
    struct findings *all = user;
    all->n++;
    char *to = f->verdict == STORE_BAD ? all->bad : f->verdict == STORE_WARN ? all->warned : NULL;
    if (to) snprintf(to + strlen(to), 512 - strlen(to), "%s;", f->name);
    if (f->verdict != STORE_OK) assert_true(f->fix[0] != 0);
    return 0;
}

static int check(struct findings *all) {
    *all = (struct findings){0};
    store *st = store_at(P.db);
    int rc = store_check(st, note, all, NULL);
    store_close(st);
    return rc;
}

static void test_check__whole_history_is_ok(void **state) {
    struct findings all;
    assert_int_equal(check(&all), 0);
    assert_string_equal(all.bad, "");
    assert_string_equal(all.warned, "");
    assert_true(all.n >= 12);
}

static void test_check__each_fault_has_its_name(void **state) {
    static const struct {
        const char *sql, *bad, *warned;
    } cases[] = {
        {"UPDATE message SET depth = 7 WHERE id = 2", "trees;", ""},
        {"PRAGMA foreign_keys=OFF; DELETE FROM message WHERE id = 2", "references;trees;", ""},
        {"UPDATE citation SET byte_end = 20001", "citations;", ""},
        {"UPDATE citation SET msg_end = 5", "citations;", ""},
        {"DROP TRIGGER doc_chunk_fixed; UPDATE doc_chunk SET text = text || 'x' WHERE seq = 1",
         "chunks;documents;", ""},
        {"DROP TRIGGER doc_chunk_fixed; UPDATE doc_chunk SET text = upper(text) WHERE seq = 1",
         "documents;", ""},
        {"DELETE FROM doc_chunk WHERE seq = 2", "chunks;documents;", ""},
        {"UPDATE session SET settings = '{'", "settings;", ""},
        {"DELETE FROM branch; UPDATE session SET branch_id = NULL", "", "reach;"},
        {"INSERT INTO message_fts (message_fts) VALUES ('delete-all')", "", "search index;"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct findings all;
        sql(P.db, cases[i].sql);
        int rc = check(&all);
        /* A missing chunk leaves the index with a row too many; that is said too. */
        if (strstr(all.bad, cases[i].bad) != all.bad ||
            strstr(all.warned, cases[i].warned) == NULL || rc != (cases[i].bad[0] ? OX_EDB : 0))
            fail_msg("%s: %d, bad %s, warned %s", cases[i].sql, rc, all.bad, all.warned);
        teardown(NULL);
        setup(NULL);
    }
}

static int one_hit(void *user, const struct store_hit *hit) {
    ++*(int *)user;
    return 0;
}

static void test_check__search_index_is_filled_again(void **state) {
    struct findings all;
    int n = 0;
    sql(P.db, "INSERT INTO message_fts (message_fts) VALUES ('delete-all')");
    assert_int_equal(check(&all), 0);
    assert_int_equal(check(&all), 0);
    assert_string_equal(all.warned, "");
    store *st = store_at(P.db);
    OK(store_search(st, &(struct store_search){.words = "lamp"}, one_hit, &n, err));
    assert_int_equal(n, 1);
    store_close(st);
}

static void test_check__modes_are_warned_about(void **state) {
    struct findings all;
    assert_int_equal(chmod(P.db, 0644), 0);
    check(&all);
    assert_non_null(strstr(all.warned, "private"));
}

static void test_check__backup_opens_as_the_original(void **state) {
    char file[128];
    ox_err why = {0};
    struct stat sb;
    snprintf(file, sizeof file, "%s/copy.db", P.dir);
    store *st = store_at(P.db);
    use_model(st, 1);
    OK(store_backup(st, file, false, err));
    assert_int_equal(store_backup(st, file, false, &why), OX_EUSAGE);
    turn(st, chat, answer, "after the backup", "x");
    store_close(st);
    assert_int_equal(stat(file, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    st = store_at(file);
    assert_string_equal(path_text(st, answer), "u:first question|a:first answer|u:second|a:lamp");
    struct findings all = {0};
    OK(store_check(st, note, &all, err));
    store_close(st);
}

/* Over the file itself the rename would take it away under whoever has it open. */
static void test_check__backup_never_replaces_the_history(void **state) {
    char other[128];
    ox_err why = {0};
    struct stat before, after;
    snprintf(other, sizeof other, "%s/./data/oxbow.db", P.dir);
    assert_int_equal(stat(P.db, &before), 0);
    store *st = store_at(P.db);
    assert_int_equal(store_backup(st, P.db, true, &why), OX_EUSAGE);
    assert_int_equal(store_backup(st, other, true, &why), OX_EUSAGE);
    store_close(st);
    assert_int_equal(stat(P.db, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
}

/* The alarm ends the test: walking up or down in a circle never would. */
static void test_check__a_loop_in_the_tree_hangs_nothing(void **state) {
    struct findings all;
    int n = 0;
    sql(P.db, "DROP TRIGGER message_closed; UPDATE message SET state = 'open', closed_us = NULL "
              "WHERE id = (SELECT max(id) FROM message); UPDATE message SET parent_id = (SELECT "
              "max(id) FROM message) WHERE parent_id IS NULL; DELETE FROM branch; UPDATE session "
              "SET branch_id = NULL");
    alarm(30);
    store *st = store_at(P.db); /* closes the open answer and looks for its quotations */
    OK(store_search(st, &(struct store_search){.words = "first"}, one_hit, &n, err));
    assert_int_equal(n, 0); /* no session has it */
    store_close(st);
    assert_int_equal(check(&all), OX_EDB);
    assert_non_null(strstr(all.bad, "trees;"));
    char file[128];
    struct store_salvaged out = {0};
    snprintf(file, sizeof file, "%s/saved.db", P.dir);
    OK(store_salvage(P.db, file, &out, err));
    st = store_at(file);
    memset(&all, 0, sizeof all);
    if (store_check(st, note, &all, NULL)) fail_msg("%s", all.bad);
    OK(store_search(st, &(struct store_search){.words = "first"}, one_hit, &n, err));
    assert_int_not_equal(n, 0);
    store_close(st);
    alarm(0);
}

/* Random bytes over pages of rows (those of the schema are the first): what can be read comes back,
 * and the new file is whole.
 */
static void test_check__salvage_saves_what_can_be_read(void **state) {
    char file[128];
    unsigned char junk[512];
    store *st = store_at(P.db);
    use_model(st, 1);
    for (int i = 0; i < 300; i++) {
        char q[64];
        snprintf(q, sizeof q, "question number %d with some words to fill a page", i);
        answer = turn(st, chat, answer, q,
                      "an answer that is long enough to need room, and then some more of it");
    }
    store_close(st);
    sql(P.db, "PRAGMA wal_checkpoint(TRUNCATE)");
    struct stat sb;
    assert_int_equal(stat(P.db, &sb), 0);
    srand(3);
    for (int round = 0; round < 12; round++) {
        struct store_salvaged out = {0};
        char bad[128], cmd[400];
        snprintf(file, sizeof file, "%s/saved%d.db", P.dir, round);
        snprintf(bad, sizeof bad, "%s/bad%d.db", P.dir, round);
        snprintf(cmd, sizeof cmd, "cp '%s' '%s'", P.db, bad);
        assert_int_equal(system(cmd), 0);
        int fd = open(bad, O_WRONLY);
        for (size_t i = 0; i < sizeof junk; i++)
            junk[i] = (unsigned char)rand();
        off_t at = FIRST_PAGES + (off_t)rand() % (sb.st_size - FIRST_PAGES - 512);
        assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
        close(fd);
        ox_err why = {0};
        int rc = store_salvage(bad, file, &out, &why);
        if (rc) fail_msg("round %d: %d %s", round, rc, why.what);
        if (out.n_rows < 300) fail_msg("round %d: %zu rows", round, out.n_rows);
        st = store_at(file);
        struct findings all = {0};
        rc = store_check(st, note, &all, &why);
        if (rc && strcmp(all.bad, "chunks;documents;") != 0 && strcmp(all.bad, "documents;") != 0)
            fail_msg("round %d at %ld: %s: %s", round, (long)at, all.bad, why.what);
        store_close(st);
    }
    snprintf(file, sizeof file, "%s/none.db", P.dir);
    assert_int_equal(store_salvage(file, file, &(struct store_salvaged){0}, NULL), OX_ENOTFOUND);
}

static void count_bytes(const char *path, const char *word, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return;
    static char bytes[1 << 22];
    size_t got = fread(bytes, 1, sizeof bytes, f);
    for (size_t i = 0; i + strlen(word) <= got; i++)
        *n += memcmp(bytes + i, word, strlen(word)) == 0;
    fclose(f);
}

static void test_check__deleted_words_are_overwritten(void **state) {
    static const char *const suffixes[] = {"", "-wal"};
    char path[128];
    int64_t secret = 0;
    store *st = store_at(P.db);
    use_model(st, 1);
    OK(store_chat_new(st, "xylophone", &secret, err));
    turn(st, secret, 0, "the xylophone question", "the xylophone answer");
    OK(store_draft_put(st, "new", "xylophone", 9, 0, err));
    OK(store_draft_put(st, "new", "", 0, 0, err));
    OK(store_input_add(st, 0, " the xylophone question\n", err));
    OK(store_input_add(st, secret, "/search xylophone", err));
    OK(store_chat_delete(st, secret, NULL, err));
    OK(store_scrub(st, true, err));
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        snprintf(path, sizeof path, "%s%s", P.db, suffixes[i]);
        count_bytes(path, "xylophone", &n);
        if (n) fail_msg("%zu times in %s", n, path);
    }
    store_close(st);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_check__whole_history_is_ok),
        CASE(test_check__each_fault_has_its_name),
        CASE(test_check__search_index_is_filled_again),
        CASE(test_check__modes_are_warned_about),
        CASE(test_check__backup_opens_as_the_original),
        CASE(test_check__backup_never_replaces_the_history),
        CASE(test_check__a_loop_in_the_tree_hangs_nothing),
        CASE(test_check__salvage_saves_what_can_be_read),
        CASE(test_check__deleted_words_are_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
