/* test_states.c - the state cache: finding, exactness, sharing, quota, damage. Several tests are
 * rows of docs/STORE.md section 11, faults that other programs' caches for hybrid models had; they
 * say so. */
#include "states_fixture.h"

#include "app/store/db.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>

static int32_t tok[20000], other[20000];

static struct place P;
static struct cache C;

static int begin(void) {
    memset(&C, 0, sizeof C);
    cache_open(&C, P.dir, 1 << 30);
    cache_use(&C, 1);
    make_ids(tok, 20000, 0);
    make_ids(other, 20000, 1);
    return 0;
}

static int setup(void **state) {
    place_make(&P);
    return begin();
}

/* Where a file cache has files of a disk under it, unlike the fixture's usual place. */
static int setup_on_disk(void **state) {
    snprintf(P.dir, sizeof P.dir, "/var/tmp/oxbow-states-XXXXXX");
    assert_non_null(mkdtemp(P.dir));
    return begin();
}

static int teardown(void **state) {
    cache_close(&C);
    place_remove(&P);
    return 0;
}

static void reopen(uint64_t quota) {
    cache_close(&C);
    cache_open(&C, P.dir, quota);
    cache_use(&C, 1);
}

static void test_states__longest_prefix_is_found(void **state) {
    static const size_t at[] = {1, 255, 256, 257, 300, 512, 4096, 4097};
    static const struct {
        size_t want, n;
    } cases[] = {{1, 1},      {2, 1},       {254, 1},     {255, 255},  {256, 256},
                 {259, 257},  {299, 257},   {300, 300},   {511, 300},  {512, 512},
                 {4095, 512}, {4096, 4096}, {4097, 4097}, {9000, 4097}};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
        save(&C, tok, at[i], OX_WHY_TURN);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct ox_found f = find(&C, tok, cases[i].want);
            if (f.n != cases[i].n)
                fail_msg("want %zu: %zu, expected %zu", cases[i].want, f.n, cases[i].n);
            assert_false(f.exact);
            assert_int_equal(load(&C, tok, f, 0), 0);
        }
        reopen(1 << 30); /* a new process finds the same */
    }
    assert_int_equal(find(&C, other, 9000).n, 1); /* the first id is the same */
    other[0] = 5;
    assert_int_equal(find(&C, other, 9000).n, 0);
}

/* section 11: wanted = stored exactly must not be thrown away. */
static void test_states__equal_prefix_is_a_hit(void **state) {
    save(&C, tok, 700, OX_WHY_TURN);
    assert_int_equal(find(&C, tok, 700).n, 700);
    assert_int_equal(find(&C, tok, 699).n, 0);
}

/* section 11: pages and state of different positions or spaces never mix. */
static void test_states__other_space_is_a_miss(void **state) {
    save(&C, tok, 700, OX_WHY_TURN);
    cache_use(&C, 2);
    assert_int_equal(find(&C, tok, 700).n, 0);
    save(&C, tok, 600, OX_WHY_TURN);
    assert_int_equal(find(&C, tok, 700).n, 600);
    cache_use(&C, 1);
    assert_int_equal(find(&C, tok, 700).n, 700);
}

static void test_states__own_state_comes_first(void **state) {
    cache_tip(&C, "00000000000000aa", 0, 0, 41);
    save(&C, tok, 600, OX_WHY_TURN);
    cache_tip(&C, "00000000000000bb", 0, 0, 99);
    assert_int_equal(save_from(&C, tok, 0, 900, OX_WHY_TURN, 1), 0);
    OK(states_flush(C.s, err));
    cache_tip(&C, "00000000000000aa", 41, 1, 43);
    struct ox_found f = find(&C, tok, 1000);
    assert_int_equal(f.n, 600);
    assert_true(f.exact);
    assert_int_equal(load(&C, tok, f, 0), 0);
    cache_tip(&C, "00000000000000aa", 42, 1, 43); /* no such message */
    f = find(&C, tok, 1000);
    assert_int_equal(f.n, 900);
    assert_false(f.exact);
    assert_int_equal(load(&C, tok, f, 1), 0); /* its own pages, not those of the other run */
    cache_tip(&C, "00000000000000aa", 41, 1, 43);
    tok[5] = 1; /* edited since: the tip's ids are no prefix any more */
    assert_int_equal(find(&C, tok, 1000).n, 0);
}

/* What the list of conversations says: the exact end, something before it, nothing; never more than
 * the path has, and nothing of another model. */
static void test_states__what_a_resume_costs(void **state) {
    cache_tip(&C, "00000000000000aa", 0, 0, 41);
    save(&C, tok, 512, OX_WHY_GRID);
    save(&C, tok, 600, OX_WHY_TURN);
    static const struct {
        const char *chat;
        int64_t leaf;
        size_t n_tokens, n_saved;
        const char *word;
    } cases[] = {
        {"00000000000000aa", 41, 600, 600, "saved"},
        {"00000000000000bb", 41, 600, 600, "saved"}, /* a fork shares the message */
        {"00000000000000aa", 43, 900, 600, "part"},
        {"00000000000000aa", 43, 550, 512, "part"}, /* 600 belongs to another branch */
        {"00000000000000aa", 43, 0, 0, "none"},     /* nothing was answered yet */
        {"00000000000000aa", 41, 0, 0, "none"}, /* nor here: the tip is older than the message */
        {"00000000000000aa", 43, 100, 0, "none"},
        {"00000000000000bb", 43, 900, 0, "none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct states_want want = {"00000000000000db", cases[i].chat, cases[i].leaf,
                                         cases[i].n_tokens};
        struct states_saved got;
        OK(states_saved(C.s, &want, &got, err));
        if (strcmp(got.word, cases[i].word) != 0 || got.n_tokens != cases[i].n_saved)
            fail_msg("case %zu: %s at %llu", i, got.word, (unsigned long long)got.n_tokens);
    }
    cache_use(&C, 2);
    const struct states_want want = {"00000000000000db", "00000000000000aa", 41, 600};
    struct states_saved got;
    OK(states_saved(C.s, &want, &got, err));
    assert_string_equal(got.word, "none");
    OK(states_saved(NULL, &want, &got, err));
    assert_string_equal(got.word, "none");
}

/* A reader that is killed keeps what was written: the rows do not wait for the next record. */
static void test_states__rows_follow_their_files(void **state) {
    struct cache later = {0};
    assert_int_equal(states_settle(C.s), 0);
    assert_int_equal(save_from(&C, tok, 0, 4096, OX_WHY_GRID, 0), 0);
    for (int i = 0; states_settle(C.s) && i < 10000; i++)
        usleep(1000);
    cache_open(&later, P.dir, 1 << 30); /* the first neither put more nor was closed */
    cache_use(&later, 1);
    assert_int_equal(find(&later, tok, 6144).n, 4096);
    assert_int_equal(load(&later, tok, find(&later, tok, 6144), 0), 0);
    cache_close(&later);
}

/* Another process writes to the index: nothing is lost, and not every token waits for it. */
static void test_states__rows_wait_for_another_writer(void **state) {
    sqlite3 *sq = NULL;
    char path[200];
    snprintf(path, sizeof path, "%s/states.db", P.dir);
    assert_int_equal(sqlite3_open(path, &sq), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sq, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(save_from(&C, tok, 0, 300, OX_WHY_TURN, 0), 0);
    usleep(50000); /* the files are there */
    assert_int_equal(states_settle(C.s), 1);
    int64_t start = db_now_us();
    for (int i = 0; i < 100; i++)
        assert_int_equal(states_settle(C.s), 1);
    assert_true(db_now_us() - start < 500000); /* 100 attempts would be 20 s */
    assert_int_equal(sqlite3_exec(sq, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(sq);
    for (int i = 0; states_settle(C.s) && i < 10000; i++)
        usleep(1000);
    assert_int_equal(find(&C, tok, 300).n, 300);
}

/* section 11: the same bytes are never written again. */
static void test_states__second_run_writes_nothing(void **state) {
    save(&C, tok, 5000, OX_WHY_DOCUMENT);
    struct states_usage before = usage(&C);
    size_t files = each_file(&C, NULL, NULL);
    reopen(1 << 30);
    assert_int_equal(save_from(&C, tok, 0, 5000, OX_WHY_DOCUMENT, 0), 0);
    OK(states_flush(C.s, err));
    struct states_usage after = usage(&C);
    assert_int_equal(after.written_bytes, before.written_bytes);
    assert_int_equal(after.bytes, before.bytes);
    assert_int_equal(after.n_records, 1);
    assert_int_equal(each_file(&C, NULL, NULL), files);
}

static void test_states__forks_share_pages(void **state) {
    save(&C, tok, 4096, OX_WHY_DOCUMENT);
    uint64_t one = usage(&C).bytes;
    for (int fork = 0; fork < 5; fork++) {
        reopen(1 << 30);
        assert_int_equal(find(&C, tok, 4096).n, 4096);
        assert_int_equal(load(&C, tok, find(&C, tok, 4096), 0), 0);
        memcpy(other, tok, sizeof other);
        for (int i = 4096; i < 4400; i++)
            other[i] = fork;
        assert_int_equal(save_from(&C, other, 4096, 4400, OX_WHY_TURN, 0), 0);
        OK(states_flush(C.s, err));
        assert_int_equal(find(&C, other, 4400).n, 4400);
        assert_int_equal(load(&C, other, find(&C, other, 4400), 0), 0);
    }
    uint64_t per_fork = PAGE_BYTES + 48 * ROW_BYTES + RECORD_BYTES;
    assert_int_equal(usage(&C).bytes, one + 5 * per_fork);
    assert_int_equal(usage(&C).n_pages, 16 + 5);
}

/* A page of another run differs in its last bits: it is another page, and everything behind it too.
 */
static void test_states__runs_do_not_mix(void **state) {
    save(&C, tok, 1024, OX_WHY_TURN);
    reopen(1 << 30);
    assert_int_equal(save_from(&C, tok, 0, 1030, OX_WHY_TURN, 1), 0);
    OK(states_flush(C.s, err));
    assert_int_equal(load(&C, tok, find(&C, tok, 1024), 0), 0);
    assert_int_equal(load(&C, tok, find(&C, tok, 1030), 1), 0);
    assert_int_equal(usage(&C).n_pages, 8);
}

static void test_states__unknown_pages_are_asked_for(void **state) {
    assert_int_equal(
        put_part(&C, OX_BLOB_PAGE, OX_WHY_TURN, (struct ox_prefix){tok, 512}, PAGE_BYTES, 0),
        OX_ENOTFOUND);
    assert_int_equal(
        put_part(&C, OX_BLOB_STATE, OX_WHY_TURN, (struct ox_prefix){tok, 512}, RECORD_BYTES, 0),
        OX_ENOTFOUND);
    assert_int_equal(
        put_part(&C, OX_BLOB_STATE, OX_WHY_TURN, (struct ox_prefix){tok, 10}, RECORD_BYTES, 0),
        OX_ENOTFOUND); /* no tail */
    save(&C, tok, 520, OX_WHY_TURN);
}

/* ---- damage ------------------------------------------------------------- */

struct flip {
    const char *suffix;
    size_t size, at;
    int done;
};

static void flip_byte(const char *path, void *user) {
    struct flip *f = user;
    struct stat st;
    if (f->done || stat(path, &st) || (size_t)st.st_size != f->size) return;
    int fd = open(path, O_RDWR);
    unsigned char b;
    assert_int_equal(pread(fd, &b, 1, (off_t)f->at), 1);
    b ^= 0x10;
    assert_int_equal(pwrite(fd, &b, 1, (off_t)f->at), 1);
    close(fd);
    f->done = 1;
}

static void damage(size_t size, size_t at) {
    struct flip f = {.size = size, .at = at};
    each_file(&C, flip_byte, &f);
    assert_true(f.done);
}

/* Every byte of a record, of a tail, of a page: never used, gone with one log line, the lower one
 * serves. */
static void test_states__every_flipped_byte_is_noticed(void **state) {
    static const struct {
        size_t bytes, step;
    } parts[] = {{RECORD_BYTES, 1}, {100 * ROW_BYTES, 7}, {PAGE_BYTES, 31}};
    for (size_t k = 0; k < 3; k++) {
        for (size_t at = 0; at < parts[k].bytes; at += parts[k].step) {
            /* The lower record has no part of the damaged size but its own state. */
            save(&C, tok, 612, OX_WHY_TURN);
            struct ox_found f = find(&C, tok, 700);
            assert_int_equal(f.n, 612);
            C.n_logged = 0;
            damage(parts[k].bytes, at);
            int rc = load(&C, tok, f, 0);
            if (rc != OX_EFORMAT) fail_msg("part %zu, byte %zu: %d", k, at, rc);
            assert_int_equal(C.n_logged, 1);
            assert_int_equal(find(&C, tok, 700).n, 0);
        }
    }
}

static void truncate_file(const char *path, void *user) {
    struct flip *f = user;
    struct stat st;
    if (f->done || stat(path, &st) || (size_t)st.st_size != f->size) return;
    f->done = 1;
    if (f->at == SIZE_MAX)
        assert_int_equal(unlink(path), 0);
    else
        assert_int_equal(truncate(path, (off_t)f->at), 0);
}

/* section 11: a row whose file is missing, short or empty is a miss and goes. */
static void test_states__missing_short_and_empty_files_are_misses(void **state) {
    static const size_t cut[] = {0, 1, RECORD_BYTES - 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        save(&C, tok, 300, OX_WHY_TURN);
        save(&C, tok, 512, OX_WHY_TURN);
        struct ox_found f = find(&C, tok, 600);
        struct flip t = {.size = PAGE_BYTES,
                         .at = cut[i] == RECORD_BYTES - 1 ? PAGE_BYTES - 1 : cut[i]};
        assert_int_equal(f.n, 512);
        each_file(&C, truncate_file, &t);
        assert_true(t.done);
        int rc = load(&C, tok, f, 0);
        assert_true(rc == OX_EFORMAT || rc == OX_ENOTFOUND);
        /* It was page 0 or page 1: only in the second case the record at 300 is left. */
        f = find(&C, tok, 600);
        if (f.n) assert_int_equal(load(&C, tok, f, 0), 0);
        assert_int_equal(load(&C, tok, find(&C, tok, 600), 0) == 0, f.n != 0);
        cache_close(&C);
        char cmd[160];
        snprintf(cmd, sizeof cmd, "rm -rf '%s/states' '%s/states.db'*", P.dir, P.dir);
        assert_int_equal(system(cmd), 0);
        cache_open(&C, P.dir, 1 << 30);
        cache_use(&C, 1);
    }
}

static void test_states__damage_of_a_page_spares_what_is_below(void **state) {
    save(&C, tok, 256, OX_WHY_TURN);
    struct states_usage one = usage(&C);
    save(&C, tok, 768, OX_WHY_TURN);
    assert_int_equal(one.n_pages, 1);
    /* Damage pages until the lower record fails too; before that, it must load. */
    struct ox_found f = find(&C, tok, 800);
    assert_int_equal(f.n, 768);
    const struct ox_state_io *io = states_io(C.s);
    unsigned char page[PAGE_BYTES], want[PAGE_BYTES];
    fill(want, PAGE_BYTES, (struct ox_prefix){tok, 768}, OX_BLOB_PAGE, 0);
    /* Find the file of page 2 by its content. */
    char top[200];
    snprintf(top, sizeof top, "%s/want", P.dir);
    FILE *out = fopen(top, "wb");
    fwrite(want, 1, PAGE_BYTES, out);
    fclose(out);
    char cmd[600];
    snprintf(
        cmd, sizeof cmd,
        "for f in '%s'/states/*/*; do cmp -s \"$f\" '%s' && printf x | dd of=\"$f\" conv=notrunc "
        "bs=1 seek=9 2>/dev/null; done; true",
        P.dir, top);
    assert_int_equal(system(cmd), 0);
    assert_int_equal(io->get(io->user, f.id, OX_BLOB_PAGE, 0, page, PAGE_BYTES, NULL), 0);
    assert_int_equal(io->get(io->user, f.id, OX_BLOB_PAGE, 2, page, PAGE_BYTES, NULL), OX_EFORMAT);
    f = find(&C, tok, 800);
    assert_int_equal(f.n, 256);
    assert_int_equal(load(&C, tok, f, 0), 0);
    assert_int_equal(usage(&C).n_pages, 1); /* no record needs page 1 any more */
}

static void test_states__damaged_index_is_set_aside(void **state) {
    static const char *const junk[] = {
        ("not a database at all, but longer than a header of one hundred bytes, "
         "so that nobody can say it was short......"),
        "", "x"};
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        char path[128];
        save(&C, tok, 300, OX_WHY_TURN);
        cache_close(&C);
        snprintf(path, sizeof path, "%s/states.db", P.dir);
        FILE *f = fopen(path, "wb");
        fputs(junk[i], f);
        fclose(f);
        cache_open(&C, P.dir, 1 << 30);
        cache_use(&C, 1);
        assert_int_equal(find(&C, tok, 300).n, 0);
        save(&C, tok, 300, OX_WHY_TURN);
        assert_int_equal(find(&C, tok, 300).n, 300);
    }
}

/* The alarm ends the test: a chain of pages that comes round is walked no longer than its numbers
 * fall, and one that skips a page is no chain. */
static void test_states__pages_in_a_circle_hang_nothing(void **state) {
    static const char *const damage[] = {
        "UPDATE page SET parent_id = (SELECT id FROM page WHERE page_no = 1) WHERE page_no = 0",
        "UPDATE page SET page_no = 7 WHERE page_no = 0",
    };
    alarm(30);
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        char path[128];
        sqlite3 *db = NULL;
        save(&C, tok, 700, OX_WHY_TURN);
        cache_close(&C);
        snprintf(path, sizeof path, "%s/states.db", P.dir);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "PRAGMA foreign_keys=OFF", NULL, NULL, NULL), 0);
        assert_int_equal(sqlite3_exec(db, damage[i], NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_changes(db), 1);
        sqlite3_close(db);
        cache_open(&C, P.dir, 1 << 30);
        cache_use(&C, 1);
        struct ox_found f = find(&C, tok, 700);
        assert_int_equal(f.n, i ? 0 : 700);
        if (f.n) assert_int_equal(load(&C, tok, f, 0), 0);
    }
    alarm(0);
}

static void test_states__index_of_another_program_is_left_alone(void **state) {
    char cmd[400];
    ox_err why = {0};
    states *s = NULL;
    snprintf(cmd, sizeof cmd, "%s/else", P.dir);
    mkdir(cmd, 0700);
    snprintf(cmd, sizeof cmd,
             "cd '%s/else' && printf 'SQLite format 3\\0' > states.db && "
             "head -c 984 /dev/zero | tr '\\0' 'A' >> states.db && cp states.db copy",
             P.dir);
    assert_int_equal(system(cmd), 0);
    snprintf(cmd, sizeof cmd, "%s/else", P.dir);
    assert_int_equal(states_open(&(struct states_opts){.folder = cmd}, &s, &why), OX_EDB);
    snprintf(cmd, sizeof cmd, "cd '%s/else' && cmp states.db copy", P.dir);
    assert_int_equal(system(cmd), 0);
}

/* ---- quota -------------------------------------------------------------- */

static void test_states__quota_is_kept(void **state) {
    uint64_t quota = 60000;
    reopen(quota);
    for (int i = 0; i < 60; i++) {
        make_ids(tok, 2000, i + 10);
        tok[0] = i;
        int rc = save_from(&C, tok, 0, 300 + (size_t)i, OX_WHY_TURN, 0);
        if (rc) fail_msg("save %d: %d", i, rc);
        OK(states_flush(C.s, err));
        if (usage(&C).bytes > quota) fail_msg("%llu bytes", (unsigned long long)usage(&C).bytes);
        assert_int_equal(load(&C, tok, find(&C, tok, 2000), 0), 0);
    }
    struct states_usage u = usage(&C);
    assert_in_range(u.n_records, 4, 10);
    assert_int_equal(each_file(&C, NULL, NULL), u.n_pages + 2 * u.n_records);
}

static void test_states__cheap_records_go_first(void **state) {
    reopen(62000);
    make_ids(tok, 5000, 1);
    states_speed(C.s, 1000);
    save(&C, tok, 4096, OX_WHY_DOCUMENT); /* 16 pages, 53 KB: expensive to read again */
    save(&C, tok, 4100, OX_WHY_TURN);     /* 4 tokens behind it */
    for (int i = 0; i < 10; i++) {
        make_ids(other, 2000, 50 + i);
        other[0] = 1000 + i;
        save(&C, other, 100, OX_WHY_TURN);
    }
    assert_int_equal(find(&C, tok, 5000).n, 4096);
    assert_true(usage(&C).bytes <= 62000);
}

static void test_states__pinned_stays_and_says_so(void **state) {
    reopen(16000);
    cache_tip(&C, "00000000000000aa", 0, 0, 1);
    save(&C, tok, 300, OX_WHY_TURN);
    OK(states_pin(C.s, "00000000000000aa", true, err));
    cache_tip(&C, "00000000000000bb", 0, 0, 2);
    make_ids(other, 2000, 9);
    other[0] = 77;
    int rc = save_from(&C, other, 0, 900, OX_WHY_TURN, 0);
    assert_int_equal(rc, OX_EBUSY);
    assert_true(usage(&C).full_by_pins);
    assert_int_equal(find(&C, tok, 300).n, 300);
    OK(states_pin(C.s, "00000000000000aa", false, err));
    reopen(16000);
    assert_int_equal(save_from(&C, other, 0, 500, OX_WHY_TURN, 0), 0);
    OK(states_flush(C.s, err));
    assert_int_equal(find(&C, other, 900).n, 500);
}

/* A fork that never answered: the list says "saved" by the original's record, so that is what is
 * pinned, and what stays when the original is deleted. */
static void test_states__a_fork_pins_what_it_shares(void **state) {
    const struct states_want fork = {"00000000000000db", "00000000000000bb", 41, 300};
    struct states_saved got;
    uint64_t freed = 0;
    OK(states_join(C.s, &fork, err)); /* nothing is saved yet */
    assert_int_equal(states_pin(C.s, fork.chat_uid, true, NULL), OX_ENOTFOUND);
    cache_tip(&C, "00000000000000aa", 0, 0, 41);
    save(&C, tok, 300, OX_WHY_TURN);
    OK(states_join(C.s, &fork, err));
    OK(states_join(C.s, &fork, err)); /* once is enough, twice is the same */
    OK(states_pin(C.s, fork.chat_uid, true, err));
    OK(states_drop_chat(C.s, "00000000000000aa", &freed, err));
    assert_int_equal(freed, 0);
    OK(states_saved(C.s, &fork, &got, err));
    assert_int_equal(got.n_tokens, 300);
    assert_true(got.pinned);
    OK(states_pin(C.s, fork.chat_uid, false, err));
    OK(states_drop_chat(C.s, fork.chat_uid, &freed, err));
    assert_true(freed > 0);
}

static void test_states__eviction_hands_cost_up(void **state) {
    uint64_t freed = 0;
    states_speed(C.s, 1000);
    save(&C, tok, 1024, OX_WHY_TURN);
    save(&C, tok, 2048, OX_WHY_TURN);
    save(&C, tok, 2100, OX_WHY_TURN);
    uint64_t all = usage(&C).bytes;
    OK(states_prune(C.s, all - 1, &freed,
                    err)); /* the one at 2048 is the newest but one: cheap or not */
    assert_int_equal(usage(&C).n_records, 2);
    OK(states_prune(C.s, 0, &freed, err));
    assert_int_equal(usage(&C).n_records, 1); /* the newest is never taken */
    assert_int_equal(find(&C, tok, 3000).n, 2100);
    assert_int_equal(load(&C, tok, find(&C, tok, 3000), 0), 0);
}

static void test_states__speed_is_remembered(void **state) {
    assert_float_equal(states_known_speed(C.s), 0, 0);
    states_speed(C.s, 3000);
    save(&C, tok, 1000, OX_WHY_TURN);
    reopen(1 << 30);
    assert_float_equal(states_known_speed(C.s), 3000, 0);
    assert_int_equal(load(&C, tok, find(&C, tok, 1000), 0), 0);
    find(&C, tok, 1); /* the load is over: it is noted */
    struct states_usage u = usage(&C);
    assert_int_equal(u.n_uses, 1);
    assert_in_range(u.saved_us, 2000000, 3000000); /* 1,000 tokens less the time to load */
}

/* section 11: eviction of what is being read, by another process. */
static void test_states__eviction_during_a_load_is_a_miss(void **state) {
    save(&C, tok, 600, OX_WHY_TURN);
    struct ox_found f = find(&C, tok, 700);
    const struct ox_state_io *io = states_io(C.s);
    unsigned char bytes[RECORD_BYTES];
    assert_int_equal(io->get(io->user, f.id, OX_BLOB_STATE, 0, bytes, RECORD_BYTES, NULL), 0);
    if (fork() == 0) {
        struct cache mine = {0};
        uint64_t freed;
        cache_open(&mine, P.dir, 1 << 30);
        int rc = states_prune(mine.s, 0, &freed, NULL);
        _exit(rc == 0 && freed > 0 ? 0 : 1);
    }
    int status;
    wait(&status);
    assert_int_equal(status, 0);
    assert_int_equal(io->get(io->user, f.id, OX_BLOB_PAGE, 0, bytes, PAGE_BYTES, NULL),
                     OX_ENOTFOUND);
    assert_int_equal(find(&C, tok, 700).n, 0);
    assert_int_equal(save_from(&C, tok, 0, 600, OX_WHY_TURN, 0), 0);
    OK(states_flush(C.s, err));
    assert_int_equal(load(&C, tok, find(&C, tok, 700), 0), 0);
}

/* ---- conversations ------------------------------------------------------ */

/* section 11: states left after their conversation was deleted. */
static void test_states__deleted_chat_leaves_no_file(void **state) {
    uint64_t freed = 0;
    cache_tip(&C, "00000000000000aa", 0, 0, 1);
    save(&C, tok, 1500, OX_WHY_DOCUMENT);
    save(&C, tok, 1600, OX_WHY_TURN);
    cache_tip(&C, "00000000000000bb", 1, 0, 2);
    struct ox_found f = find(&C, tok, 1550);
    assert_int_equal(f.n, 1500);
    assert_int_equal(load(&C, tok, f, 0), 0); /* used: bb needs it too */
    find(&C, tok, 1);
    OK(states_drop_chat(C.s, "00000000000000aa", &freed, err));
    assert_true(freed > 0);
    assert_int_equal(find(&C, tok, 1600).n, 1500);
    OK(states_drop_chat(C.s, "00000000000000bb", &freed, err));
    assert_int_equal(find(&C, tok, 1600).n, 0);
    assert_int_equal(each_file(&C, NULL, NULL), 0);
    assert_int_equal(usage(&C).bytes, 0);
}

static void check_mode(const char *path, void *user) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    if (st.st_mode & 077) fail_msg("%s: mode %o", path, st.st_mode & 0777);
}

/* section 11: states readable by others. */
static void test_states__files_are_private(void **state) {
    mode_t old = umask(0);
    char path[200];
    static const char *const names[] = {"", "/states", "/states.db", "/states.db-wal",
                                        "/states.db-shm"};
    save(&C, tok, 600, OX_WHY_TURN);
    each_file(&C, check_mode, NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s%s", P.dir, names[i]);
        check_mode(path, NULL);
    }
    umask(old);
}

static void test_states__thinning_keeps_what_counts(void **state) {
    cache_tip(&C, "00000000000000aa", 0, 0, 1);
    save(&C, tok, 500, OX_WHY_SYSTEM);
    save(&C, tok, 4096, OX_WHY_GRID);
    for (size_t n = 4200; n < 9000; n += 400) {
        cache_tip(&C, "00000000000000aa", 0, 0, (int64_t)n);
        save(&C, tok, n - 100, OX_WHY_ASK);
        save(&C, tok, n, OX_WHY_TURN);
    }
    OK(states_thin(C.s, "00000000000000aa", err));
    assert_int_equal(find(&C, tok, 500).n, 500);
    assert_int_equal(find(&C, tok, 4150).n, 4096);
    assert_int_equal(find(&C, tok, 8600).n, 8600);
    assert_int_equal(find(&C, tok, 8599).n, 8500); /* the last ask */
    assert_int_equal(find(&C, tok, 8499).n, 8200);
    assert_int_equal(find(&C, tok, 7399).n, 4096); /* each older turn has a kept neighbour */
}

static void test_states__strays_go_in_time(void **state) {
    char path[200], part[200];
    size_t ok, bad, stray;
    save(&C, tok, 600, OX_WHY_TURN);
    snprintf(path, sizeof path, "%s/states/ab", P.dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/states/ab/0123456789abcdef0123456789abcd", P.dir);
    snprintf(part, sizeof part, "%s/states/ab/.part-1-2", P.dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    close(open(part, O_CREAT | O_WRONLY, 0600));
    OK(states_idle(C.s, err)); /* too young: another process may be about to write its row */
    assert_int_equal(access(path, F_OK), 0);
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    utimensat(AT_FDCWD, path, old, 0);
    utimensat(AT_FDCWD, part, old, 0);
    OK(states_check(C.s, &ok, &bad, &stray, err));
    assert_int_equal(ok, 4);
    assert_int_equal(bad, 0);
    assert_int_equal(stray, 2);
    damage(PAGE_BYTES, 5);
    OK(states_check(C.s, &ok, &bad, &stray, err));
    assert_int_equal(bad, 1);
    assert_int_equal(find(&C, tok, 600).n, 0);
}

/* Blobs of several slices go through the reader threads. */
static void test_states__large_blobs_are_read_in_parallel(void **state) {
    static unsigned char back[1 << 23];
    static unsigned char want[1 << 23];
    size_t n = (9 << 20) / 2 * 1 + 12345;
    assert_int_equal(put_part(&C, OX_BLOB_TAIL, OX_WHY_TURN, (struct ox_prefix){tok, 9}, 100, 0),
                     0);
    assert_int_equal(put_part(&C, OX_BLOB_STATE, OX_WHY_TURN, (struct ox_prefix){tok, 9}, n, 0), 0);
    OK(states_flush(C.s, err));
    const struct ox_state_io *io = states_io(C.s);
    struct ox_found f = find(&C, tok, 9);
    for (int i = 0; i < 20; i++) {
        memset(back, 0, sizeof back);
        assert_int_equal(io->get(io->user, f.id, OX_BLOB_STATE, 0, back, n, NULL), 0);
        fill(want, n, (struct ox_prefix){tok, 9}, OX_BLOB_STATE, 0);
        assert_memory_equal(back, want, n);
    }
    damage(n, n - 1);
    assert_int_equal(io->get(io->user, f.id, OX_BLOB_STATE, 0, back, n, NULL), OX_EFORMAT);
}

/* section 11: what the engine finds wrong behind right sums goes too, and the lower record serves.
 */
static void test_states__refused_record_goes(void **state) {
    save(&C, tok, 300, OX_WHY_TURN);
    save(&C, tok, 700, OX_WHY_TURN);
    struct ox_found f = find(&C, tok, 800);
    const struct ox_state_io *io = states_io(C.s);
    assert_int_equal(load(&C, tok, f, 0), 0);
    io->refuse(io->user, f.id, &(ox_err){.what = "logit 3 is not finite"});
    assert_int_equal(C.n_logged, 1);
    assert_non_null(strstr(C.last_log, "not finite"));
    f = find(&C, tok, 800);
    assert_int_equal(f.n, 300);
    assert_int_equal(load(&C, tok, f, 0), 0);
}

static void test_states__wrong_size_is_refused(void **state) {
    unsigned char bytes[RECORD_BYTES];
    save(&C, tok, 300, OX_WHY_TURN);
    struct ox_found f = find(&C, tok, 300);
    const struct ox_state_io *io = states_io(C.s);
    assert_int_equal(io->get(io->user, f.id, OX_BLOB_STATE, 0, bytes, RECORD_BYTES - 1, NULL),
                     OX_EFORMAT);
    assert_int_equal(find(&C, tok, 300).n, 0);
}

/* Two processes save into one cache at once: nobody fails, nothing is wrong, everything is found.
 */
static void test_states__two_processes(void **state) {
    pid_t child[2];
    cache_close(&C); /* its threads may hold a lock of the allocator just when fork copies it */
    for (int k = 0; k < 2; k++) {
        child[k] = fork();
        if (child[k]) continue;
        struct cache mine = {0};
        cache_open(&mine, P.dir, 1 << 30);
        cache_use(&mine, 1);
        for (int i = 0; i < 60; i++) {
            make_ids(tok, 2000, i / 2 + 10);
            tok[0] = i / 2;
            if (save_from(&mine, tok, 0, 300 + (size_t)(i * 13), OX_WHY_TURN, 0)) _exit(1);
            states_flush(mine.s, NULL);
            struct ox_found f = find(&mine, tok, 2000);
            if (f.n && load(&mine, tok, f, 0)) _exit(2);
        }
        cache_close(&mine);
        _exit(0);
    }
    for (int k = 0; k < 2; k++) {
        int status;
        waitpid(child[k], &status, 0);
        assert_int_equal(status, 0);
    }
    cache_open(&C, P.dir, 1 << 30);
    cache_use(&C, 1);
    for (int i = 0; i < 60; i++) {
        make_ids(tok, 2000, i / 2 + 10);
        tok[0] = i / 2;
        struct ox_found f = find(&C, tok, 300 + (size_t)(i * 13));
        assert_int_equal(f.n, 300 + (size_t)(i * 13));
        assert_int_equal(load(&C, tok, f, 0), 0);
    }
    struct states_usage u = usage(&C);
    assert_int_equal(u.n_records, 60);
}

/* ---- reading ahead: what the system has in its file cache is asked of mincore ---- */

struct files {
    size_t n, n_cached;
    bool forget; /* first have the system give them up */
};

static void look_at_file(const char *path, struct files *f) {
    unsigned char page[4096] = {0}; /* one byte a page: 16 MiB */
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0);
    if (f->forget) {
        fdatasync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    }
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED && mincore(map, (size_t)st.st_size, page) == 0);
    bool all = true;
    for (long i = 0; i < (st.st_size + 4095) / 4096; i++)
        all = all && (page[i] & 1);
    f->n++;
    f->n_cached += all;
    munmap(map, (size_t)st.st_size);
    close(fd);
}

static struct files look_at_files(bool forget) {
    struct files f = {.forget = forget};
    char path[300];
    snprintf(path, sizeof path, "%s/states", P.dir);
    DIR *top = opendir(path);
    for (struct dirent *e; (e = readdir(top)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/states/%.2s", P.dir, e->d_name);
        DIR *dir = opendir(path);
        for (struct dirent *b; dir && (b = readdir(dir)) != NULL;) {
            char file[600];
            snprintf(file, sizeof file, "%s/%s", path, b->d_name);
            if (b->d_name[0] != '.') look_at_file(file, &f);
        }
        if (dir) closedir(dir);
    }
    closedir(top);
    return f;
}

static size_t wait_for_cached(size_t n) {
    for (int i = 0; i < 500 && look_at_files(false).n_cached < n; i++)
        usleep(10000);
    usleep(50000); /* for what should not come any more */
    return look_at_files(false).n_cached;
}

/* Only the record of the conversation that is looked at is read: tail, state and full pages. */
static void test_states__reads_ahead_what_a_resume_needs(void **state) {
    cache_tip(&C, "00000000000000aa", 0, 0, 41);
    save(&C, tok, 600, OX_WHY_TURN);
    cache_tip(&C, "00000000000000bb", 0, 0, 51);
    save(&C, other, 900, OX_WHY_TURN);
    const struct states_want aa = {"00000000000000db", "00000000000000aa", 41, 600},
                             bb = {"00000000000000db", "00000000000000bb", 51, 900},
                             none = {"00000000000000db", "00000000000000cc", 61, 900};
    reopen(1 << 30);
    struct files f = look_at_files(true);
    if (f.n_cached) {
        print_message("SKIP this file system keeps all files in memory\n");
        return;
    }
    assert_int_equal(f.n, 4 + 5);
    OK(states_ahead(C.s, NULL, err));
    OK(states_ahead(C.s, &none, err));
    assert_int_equal(wait_for_cached(0), 0);
    OK(states_ahead(C.s, &aa, err));
    assert_int_equal(wait_for_cached(4), 4);
    OK(states_ahead(C.s, &bb, err));
    assert_int_equal(wait_for_cached(9), 9);
    OK(states_ahead(C.s, NULL, err));
    OK(states_ahead(NULL, &aa, err));
    struct ox_found got = find(&C, tok, 600);
    assert_int_equal(load(&C, tok, got, 0), 0); /* nothing of it is taken for checked */
}

/* A row that is left: what was not read yet is given up. */
static void test_states__reading_ahead_ends_with_the_row(void **state) {
    static unsigned char bytes[8 << 20];
    const struct ox_state_io *io = states_io(C.s);
    cache_tip(&C, "00000000000000aa", 0, 0, 41);
    for (size_t p = 0; p < 12; p++) { /* 96 MiB: no disk has read that before the next line */
        fill(bytes, sizeof bytes, (struct ox_prefix){tok, (p + 1) * 256}, OX_BLOB_PAGE, 0);
        OK(io->put(io->user, OX_BLOB_PAGE, OX_WHY_TURN, (struct ox_prefix){tok, (p + 1) * 256},
                   bytes, sizeof bytes, err));
    }
    assert_int_equal(put_part(&C, OX_BLOB_STATE, OX_WHY_TURN, (struct ox_prefix){tok, 12 * 256},
                              RECORD_BYTES, 0),
                     0);
    OK(states_flush(C.s, err));
    const struct states_want aa = {"00000000000000db", "00000000000000aa", 41, 12 * 256};
    struct files f = look_at_files(true);
    if (f.n_cached) {
        print_message("SKIP this file system keeps all files in memory\n");
        return;
    }
    OK(states_ahead(C.s, &aa, err));
    OK(states_ahead(C.s, NULL, err));
    assert_true(wait_for_cached(0) < 12);
    OK(states_ahead(C.s, &aa, err));
    cache_close(&C); /* nor does closing wait for it */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_states__longest_prefix_is_found),
        CASE(test_states__equal_prefix_is_a_hit),
        CASE(test_states__other_space_is_a_miss),
        CASE(test_states__own_state_comes_first),
        CASE(test_states__what_a_resume_costs),
        CASE(test_states__rows_follow_their_files),
        CASE(test_states__rows_wait_for_another_writer),
        CASE(test_states__second_run_writes_nothing),
        CASE(test_states__forks_share_pages),
        CASE(test_states__runs_do_not_mix),
        CASE(test_states__unknown_pages_are_asked_for),
        CASE(test_states__every_flipped_byte_is_noticed),
        CASE(test_states__missing_short_and_empty_files_are_misses),
        CASE(test_states__damage_of_a_page_spares_what_is_below),
        CASE(test_states__damaged_index_is_set_aside),
        CASE(test_states__pages_in_a_circle_hang_nothing),
        CASE(test_states__index_of_another_program_is_left_alone),
        CASE(test_states__quota_is_kept),
        CASE(test_states__cheap_records_go_first),
        CASE(test_states__pinned_stays_and_says_so),
        CASE(test_states__a_fork_pins_what_it_shares),
        CASE(test_states__eviction_hands_cost_up),
        CASE(test_states__speed_is_remembered),
        CASE(test_states__eviction_during_a_load_is_a_miss),
        CASE(test_states__deleted_chat_leaves_no_file),
        CASE(test_states__files_are_private),
        CASE(test_states__thinning_keeps_what_counts),
        CASE(test_states__strays_go_in_time),
        CASE(test_states__large_blobs_are_read_in_parallel),
        CASE(test_states__refused_record_goes),
        CASE(test_states__wrong_size_is_refused),
        CASE(test_states__two_processes),
        cmocka_unit_test_setup_teardown(test_states__reads_ahead_what_a_resume_needs, setup_on_disk,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_states__reading_ahead_ends_with_the_row, setup_on_disk,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
