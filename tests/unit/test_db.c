/* test_db.c - opening oxbow.db: private files, pragmas, places that cannot be written, files of
 * others, newer versions, the cache of statements, transactions. */
#include "store_fixture.h"

#include "app/store/db.h"

#include <fcntl.h>
#include <sys/wait.h>

static struct place P;

static int setup(void **state) {
    place_make(&P);
    return 0;
}

static int teardown(void **state) {
    place_remove(&P);
    return 0;
}

static const struct db_opts HOW = {
    .what = "test", .application_id = 77, .cache_kib = 1000, .busy_ms = 200, .synchronous = 2};

static struct db *open_db(const char *path, bool as_network) {
    struct db_opts how = HOW;
    struct db *db = NULL;
    how.path = path;
    how.as_network = as_network;
    OK(db_open(&how, &db, err));
    return db;
}

static int64_t pragma(struct db *db, const char *sql) {
    int64_t v = -1;
    struct query q = db_query(db, sql);
    OK(query_one(&q, &v, err));
    return v;
}

static void test_db__files_are_private_whatever_the_umask(void **state) {
    static const char *const names[] = {"",
                                        "/data",
                                        "/data/oxbow.db",
                                        "/data/oxbow.db-wal",
                                        "/data/oxbow.db-shm",
                                        "/data/oxbow.lock",
                                        "/data/oxbow.reserve"};
    mode_t old = umask(0);
    store *st = store_at(P.db);
    int64_t chat = 0;
    OK(store_chat_new(st, "t", &chat, err));
    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++) {
        char path[160];
        struct stat sb;
        snprintf(path, sizeof path, "%s%s", P.dir, names[i]);
        if (stat(path, &sb)) fail_msg("%s is not there", path);
        if (sb.st_mode & 077) fail_msg("%s has mode %o", path, sb.st_mode & 0777);
    }
    store_close(st);
    umask(old);
}

static void test_db__pragmas_are_those_of_the_document(void **state) {
    static const struct {
        const char *sql;
        int64_t want;
    } cases[] = {{"PRAGMA page_size", 4096},
                 {"PRAGMA foreign_keys", 1},
                 {"PRAGMA trusted_schema", 0},
                 {"PRAGMA secure_delete", 1},
                 {"PRAGMA mmap_size", 0},
                 {"PRAGMA temp_store", 2},
                 {"PRAGMA synchronous", 2},
                 {"PRAGMA cell_size_check", 1},
                 {"PRAGMA recursive_triggers", 0},
                 {"PRAGMA wal_autocheckpoint", 0},
                 {"PRAGMA application_id", 77},
                 {"PRAGMA cache_size", -1000},
                 {"PRAGMA journal_size_limit", 16777216}};
    struct db *db = open_db(P.db, false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (pragma(db, cases[i].sql) != cases[i].want)
            fail_msg("%s: %lld", cases[i].sql, (long long)pragma(db, cases[i].sql));
    struct query q = db_query(db, "PRAGMA journal_mode");
    assert_true(query_row(&q));
    assert_string_equal(query_col_text(&q, 0, NULL), "wal");
    OK(query_end(&q, err));
    db_close(db);
}

static void test_db__network_folder_means_one_process(void **state) {
    struct db *db = open_db(P.db, true), *second = NULL;
    OK(db_exec(db, "CREATE TABLE t (a); INSERT INTO t VALUES (1)", err));
    struct query q = db_query(db, "PRAGMA journal_mode");
    assert_true(query_row(&q));
    assert_string_equal(query_col_text(&q, 0, NULL), "delete");
    OK(query_end(&q, err));
    struct db_opts how = HOW;
    ox_err why = {0};
    how.path = P.db;
    how.as_network = true;
    assert_int_equal(db_open(&how, &second, &why), OX_EBUSY);
    assert_null(strstr(why.what, "database is locked"));
    db_close(db);
}

static void copy_bytes(const char *path, void *out, size_t n) {
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, out, n), n);
    close(fd);
}

static void test_db__files_of_others_are_left_alone(void **state) {
    static const char junk[] =
        "This is a letter, not a database. It is a little longer than a header of "
        "one hundred bytes, so that nobody can say it was short.";
    static const struct {
        const char *name;
        int id;
    } cases[] = {{"another program", 78}, {"no database", 0}};
    for (size_t i = 0; i < 2; i++) {
        char before[100], after[100];
        store *st = NULL;
        ox_err why = {0};
        if (cases[i].id) {
            struct db_opts how = HOW;
            struct db *db = NULL;
            how.path = P.db;
            how.application_id = cases[i].id;
            OK(db_open(&how, &db, err));
            OK(db_exec(db, "CREATE TABLE t (a)", err));
            db_close(db);
        } else {
            FILE *f = fopen(P.db, "wb");
            fputs(junk, f);
            fclose(f);
        }
        copy_bytes(P.db, before, 100);
        assert_int_equal(store_open(P.db, false, &st, &why), OX_EDB);
        assert_null(st);
        copy_bytes(P.db, after, 100);
        assert_memory_equal(before, after, 100);
    }
}

static void test_db__read_only_reads_and_refuses_to_write(void **state) {
    store *st = store_at(P.db);
    int64_t chat = 0, leaf = 0, last = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    int64_t a = turn(st, chat, 0, "q", "a");
    store_close(st);
    OK(store_open(P.db, true, &st, err));
    assert_true(store_is_read_only(st));
    assert_true(store_note(st)[0] != 0);
    use_model(st, 1);
    OK(store_chat_last(st, &last, &leaf, err));
    assert_int_equal(leaf, a);
    assert_string_equal(path_text(st, leaf), "u:q|a:a");
    assert_int_equal(store_chat_new(st, "t", &chat, NULL), OX_EIO);
    assert_int_equal(store_draft_put(st, "new", "x", 1, 0, NULL), OX_EIO);
    store_close(st);
    st = NULL;
    char none[128];
    snprintf(none, sizeof none, "%s/none.db", P.dir);
    assert_int_equal(store_open(none, true, &st, NULL), OX_ENOTFOUND);
    assert_int_not_equal(access(none, F_OK), 0);
}

static void test_db__no_save_leaves_no_byte(void **state) {
    char before[256], cmd[256];
    store *st = store_at(":memory:");
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    turn(st, chat, 0, "q", "a");
    store_close(st);
    snprintf(cmd, sizeof cmd, "find '%s' -type f | wc -l", P.dir);
    FILE *f = popen(cmd, "r");
    assert_non_null(fgets(before, sizeof before, f));
    pclose(f);
    assert_int_equal(atoll(before), 0);
    assert_int_not_equal(access(":memory:", F_OK), 0);
}

/* The same SQL while it is still stepping: each use has a statement of its own. */
static void test_db__statements_nest(void **state) {
    struct db *db = open_db(P.db, false);
    OK(db_exec(db, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3)", err));
    static const char sql[] = "SELECT a FROM t ORDER BY a";
    int64_t sum = 0;
    struct query outer = db_query(db, sql);
    while (query_row(&outer)) {
        struct query inner = db_query(db, sql);
        while (query_row(&inner))
            sum += query_col_i64(&outer, 0) * query_col_i64(&inner, 0);
        OK(query_end(&inner, err));
    }
    OK(query_end(&outer, err));
    assert_int_equal(sum, 36);
    assert_int_equal(db->n_cached, 4); /* two pragmas and selects of opening, two of these */
    db_close(db);
}

static void test_db__misspelt_parameter_is_an_error(void **state) {
    struct db *db = open_db(P.db, false);
    struct query q = db_query(db, "SELECT :value");
    query_i64(&q, ":valeu", 1);
    assert_int_not_equal(query_run(&q, NULL), 0);
    db_close(db);
}

/* While another process holds the write lock: a person's action waits, a stream part does not and
 * is not lost. */
static void test_db__stream_never_waits_and_loses_nothing(void **state) {
    int to[2], from[2];
    char byte;
    store *st = store_at(P.db);
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    int64_t a = ask(st, chat, 0, "q");
    assert_int_equal(pipe(to) | pipe(from), 0);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *sq;
        sqlite3_open(P.db, &sq);
        if (sqlite3_exec(sq, "BEGIN IMMEDIATE", NULL, NULL, NULL)) _exit(1);
        if (write(from[1], "x", 1) != 1 || read(to[0], &byte, 1) != 1) _exit(2);
        sqlite3_exec(sq, "COMMIT", NULL, NULL, NULL);
        _exit(0);
    }
    assert_int_equal(read(from[0], &byte, 1), 1);
    int64_t t0 = db_clock_us();
    part(st, a, "one ", 4, 1);
    part(st, a, "two ", 4, 2);
    int64_t took = db_clock_us() - t0;
    if (took > 400000) fail_msg("two parts took %lld us", (long long)took);
    assert_string_equal(path_text(st, a), "u:q|a:"); /* in memory for now */
    assert_int_equal(write(to[1], "x", 1), 1);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    part(st, a, "three", 5, 3);
    assert_string_equal(path_text(st, a), "u:q|a:one two three");
    OK(store_msg_finish(st, a, CHAT_DONE, NULL, NULL, err));
    assert_string_equal(path_text(st, a), "u:q|a:one two three");
    store_close(st);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_db__files_are_private_whatever_the_umask),
        CASE(test_db__pragmas_are_those_of_the_document),
        CASE(test_db__network_folder_means_one_process),
        CASE(test_db__files_of_others_are_left_alone),
        CASE(test_db__read_only_reads_and_refuses_to_write),
        CASE(test_db__no_save_leaves_no_byte),
        CASE(test_db__statements_nest),
        CASE(test_db__misspelt_parameter_is_an_error),
        CASE(test_db__stream_never_waits_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
