/* test_migrate.c - schema steps: in order, once, with a copy before, undone as a whole, refused
 * when the file is newer. The steps here are made up; real ones are held against tests/schemas. */
#include "store_fixture.h"

#include "app/store/migrate.h"

#include <sqlite3.h>

static struct place P;
static int fail_in;

static int setup(void **state) {
    place_make(&P);
    fail_in = 0;
    return 0;
}

static int teardown(void **state) {
    place_remove(&P);
    return 0;
}

static int step_by_code(struct db *db, ox_err *err) {
    int rc = db_exec(db, "UPDATE extra SET v = v + 1", err);
    if (fail_in == 3) return ox_err_set(err, OX_EFAIL, "made to fail");
    if (fail_in == 30) abort();
    return rc;
}

static const char *const two[] = {"CREATE TABLE extra (v INTEGER NOT NULL) STRICT",
                                  "INSERT INTO extra VALUES (1)", NULL};
static const char *const wrong[] = {"CREATE TABLE extra2 (v)", "THIS IS NO SQL", NULL};
static const struct migrate_step steps[] = {
    {1, schema_v1, NULL}, {2, two, NULL}, {3, NULL, step_by_code}, {4, wrong, NULL}};

static struct db *open_raw(void) {
    struct db_opts how = {.path = P.db,
                          .what = "history",
                          .application_id = 0x4f58424f,
                          .cache_kib = 1000,
                          .busy_ms = 1000,
                          .synchronous = 2};
    struct db *db = NULL;
    OK(db_open(&how, &db, err));
    return db;
}

static int64_t one(struct db *db, const char *sql) {
    int64_t v = -1;
    struct query q = db_query(db, sql);
    query_one(&q, &v, NULL);
    return v;
}

static void test_migrate__steps_run_once_and_in_order(void **state) {
    store_close(store_at(P.db));
    for (int again = 0; again < 2; again++) {
        struct db *db = open_raw();
        OK(migrate(db, steps, 3, err));
        assert_int_equal(one(db, "PRAGMA user_version"), 3);
        assert_int_equal(one(db, "SELECT v FROM extra"), 2);
        assert_int_equal(one(db, "SELECT count(*) FROM migration"), 3);
        db_close(db);
    }
    char copy[128];
    struct stat sb;
    snprintf(copy, sizeof copy, "%s.v1.bak", P.db);
    assert_int_equal(stat(copy, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    store *st = store_at(copy); /* the copy is an old database as it was */
    store_close(st);
}

static void test_migrate__failure_leaves_the_old_version(void **state) {
    store_close(store_at(P.db));
    struct db *db = open_raw();
    ox_err why = {0};
    fail_in = 3;
    assert_int_equal(migrate(db, steps, 3, &why), OX_EFAIL);
    assert_int_equal(one(db, "PRAGMA user_version"), 1);
    assert_int_equal(one(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'"), 0);
    fail_in = 0;
    assert_int_not_equal(migrate(db, steps, 4, &why), 0);
    assert_int_equal(one(db, "PRAGMA user_version"), 1);
    OK(migrate(db, steps, 3, err));
    db_close(db);
}

static void test_migrate__newer_is_refused_untouched(void **state) {
    struct db *db = NULL;
    store *st = NULL;
    ox_err why = {0};
    store_close(store_at(P.db));
    db = open_raw();
    OK(migrate(db, steps, 3, err));
    db_close(db);
    static char before[1 << 20], after[1 << 20];
    FILE *f = fopen(P.db, "rb");
    size_t n = fread(before, 1, sizeof before, f);
    fclose(f);
    assert_int_equal(store_open(P.db, false, &st, &why), OX_EDB);
    assert_non_null(strstr(why.what, "newer"));
    assert_non_null(strstr(why.what, P.db));
    f = fopen(P.db, "rb");
    assert_int_equal(fread(after, 1, sizeof after, f), n);
    fclose(f);
    assert_memory_equal(before, after, n);
}

/* Fresh databases and the document agree with what was released: tests/schemas/v1.sql. */
static void test_migrate__schema_is_the_released_one(void **state) {
    static char want[1 << 16], got[1 << 16];
    size_t n = 0;
    FILE *f = fopen(OXBOW_TEST_DIR "/schemas/v1.sql", "rb");
    assert_non_null(f);
    want[fread(want, 1, sizeof want - 1, f)] = 0;
    fclose(f);
    store_close(store_at(P.db));
    struct db *db = open_raw();
    struct query q =
        db_query(db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE "
                     "'%fts_%' ORDER BY name");
    while (query_row(&q))
        n += (size_t)snprintf(got + n, sizeof got - n, "%s;\n", query_col_text(&q, 0, NULL));
    OK(query_end(&q, err));
    if (getenv("OXBOW_WRITE_SCHEMA")) {
        f = fopen(getenv("OXBOW_WRITE_SCHEMA"), "wb");
        fputs(got, f);
        fclose(f);
    }
    assert_string_equal(got, want);
    db_close(db);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_migrate__steps_run_once_and_in_order),
        CASE(test_migrate__failure_leaves_the_old_version),
        CASE(test_migrate__newer_is_refused_untouched),
        CASE(test_migrate__schema_is_the_released_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
