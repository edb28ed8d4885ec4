/* test_corpus.c - real texts through the whole way of a document: read, decoded, cut, stored,
 * quoted.
 *
 * The texts are what a Debian system has lying about (licences, manuals, headers, scripts, word
 * lists, HTML) plus candle.txt, and made ones: other encodings, broken bytes, CJK, one long line.
 * For each, words are taken from the stored text, quoted in an answer in forms that models use, and
 * every range that comes back must give those words when the stored text is sliced by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/core/chunk.h"
#include "app/core/cite_mark.h"
#include "app/core/text.h"
#include "app/ingest.h"
#include "app/store/docs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 220, PER_FOLDER = 14, WANTED = 60, QUOTES = 12, MAX_BYTES = 1 << 20 };

static char paths[MAX_FILES][512];
static size_t n_paths;
static char folder[] = "/tmp/oxbow-corpus-XXXXXX";

static struct { size_t n_files, n_bytes, n_quotes, n_exact, n_folded, n_near, n_refused; } sum;

/* --- the texts
 * ------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

/* Regular files of a folder in the order of their names, at most PER_FOLDER. */
static void add_folder(const char *dir, const char *tail) {
    char found[512][512];
    size_t n = 0, m = strlen(tail);
    DIR *d = opendir(dir);
    for (struct dirent *e; d && n < 512 && (e = readdir(d));) {
        struct stat st;
        size_t len = strlen(e->d_name);
        if (len < m || strcmp(e->d_name + len - m, tail) != 0 || e->d_name[0] == '.') continue;
        snprintf(found[n], sizeof found[n], "%.300s/%.200s", dir, e->d_name);
        if (stat(found[n], &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 400 &&
            st.st_size < MAX_BYTES)
            n++;
    }
    if (d) closedir(d);
    qsort(found, n, sizeof found[0], by_name);
    for (size_t i = 0; i < n && i < PER_FOLDER && n_paths < MAX_FILES; i++)
        memcpy(paths[n_paths++], found[i], sizeof found[0]);
}

static void add_file(const char *name, const char *bytes, size_t n) {
    char *path = paths[n_paths++];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* The same prose in other clothes. */
static void add_made(void) {
    struct buf le = {0}, latin = {0}, html = {0}, broken = {0}, cjk = {0}, line = {0}, crlf = {0};
    static const char prose[] =
        "The keeper of the North Mole wrote that the lamp was out at a quarter to nine.\n"
        "Caf\xC3\xA9 owners along the quay saw the glass broken, and \xE2\x80\x9Cnobody went "
        "up\xE2\x80\x9D before dawn.\n\nWater stood over the lower step, the highest yet seen.\n";
    for (int k = 0; k < 40; k++) {
        buf_printf(&html, NULL, "%s<h2>Day %d</h2><p>", k ? "" : "<!doctype html><html><body>", k);
        buf_puts(&html, prose, NULL);
        buf_puts(&html, "</p>\n", NULL);
        buf_printf(&broken, NULL, "%d \xFF\xC3 ", k);
        buf_puts(&broken, prose, NULL);
        buf_printf(&line, NULL, "%d ", k);
        for (const char *p = prose; *p; p++) {
            int32_t cp;
            size_t len = text_next(p, strlen(p), &cp);
            uint16_t unit = (uint16_t)cp;
            char two[2] = {(char)(unit & 255), (char)(unit >> 8)};
            buf_add(&le, two, 2, NULL);
            /* windows-1252 has all of these; the curly marks are 0x93 and 0x94 */
            buf_putc(&latin, (char)(cp == 0x201C ? 0x93 : cp == 0x201D ? 0x94 : cp), NULL);
            buf_puts(&crlf, cp == '\n' ? "\r\n" : "", NULL);
            if (cp != '\n') buf_add(&crlf, p, len, NULL);
            buf_add(&line, cp == '\n' ? " " : p, cp == '\n' ? 1 : len, NULL);
            p += len - 1;
        }
        buf_printf(&cjk, NULL,
                   "\xE7\x81\xAF\xE5\x8F\xB0\xE7\x9A\x84\xE7\x81\xAF\xE5\x9C\xA8\xE5\xA4\x9C\xE9"
                   "\x87\x8C\xE7\x86\x84\xE7\x81\xAD\xE4\xBA\x86%d\xE3\x80\x82\n",
                   k);
    }
    buf_puts(&html, "</body></html>\n", NULL);
    add_file("le.txt", le.p, le.n);
    add_file("latin.txt", latin.p, latin.n);
    add_file("page.html", html.p, html.n);
    add_file("broken.txt", broken.p, broken.n);
    add_file("cjk.txt", cjk.p, cjk.n);
    add_file("line.txt", line.p, line.n);
    add_file("crlf.txt", crlf.p, crlf.n);
    struct buf *const all[] = {&le, &latin, &html, &broken, &cjk, &line, &crlf};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_deinit(all[i]);
}

static int set_up(void **state) {
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(paths[n_paths++], sizeof paths[0], "%s/data/candle.txt", OXBOW_TEST_DIR);
    add_made();
    snprintf(paths[n_paths++], sizeof paths[0], "%s/LICENSE", OXBOW_SOURCE_DIR);
    static const struct {
        const char *dir, *tail;
    } dirs[] = {
        {OXBOW_SOURCE_DIR "/docs", ".md"},    {OXBOW_SOURCE_DIR "/engine", ".c"},
        {OXBOW_SOURCE_DIR "/app/core", ".c"}, {OXBOW_SOURCE_DIR "/kernels/cpu", ".c"},
        {OXBOW_TEST_DIR "/unit", ".c"},       {OXBOW_TEST_DIR "/screens", ".txt"},
        {"/usr/share/common-licenses", ""},   {"/usr/include", ".h"},
        {"/usr/share/perl/5.36.0", ".pm"},    {"/usr/share/perl/5.36.0", ".pod"},
        {"/usr/share/doc/libc6", ""},         {"/etc", "s"},
        {"/usr/lib/python3.11", ".py"},       {"/usr/share/doc/bash", ""},
    };
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        add_folder(dirs[i].dir, dirs[i].tail);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char path[600];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    rmdir(folder);
    return 0;
}

/* --- chunks
 * ---------------------------------------------------------------------------------------- */

static void check_chunks(const struct ingest *in, const char *path) {
    struct chunk_walk walk = {0};
    struct chunk c;
    size_t at = 0, line = 1, counted = 0;
    while (chunk_next(&walk, buf_str(&in->text), in->text.n, in->pages, in->n_pages, &c)) {
        for (; counted < c.from; counted++)
            line += in->text.p[counted] == '\n';
        if (c.from != at || c.to <= c.from || c.to - c.from > CHUNK_MAX_BYTES || c.line != line)
            fail_msg("%s: chunk %zu-%zu at %zu, line %zu of %zu", path, c.from, c.to, at, c.line,
                     line);
        at = c.to;
    }
    if (at != in->text.n) fail_msg("%s: chunks end at %zu of %zu", path, at, in->text.n);
}

/* --- quotations
 * ------------------------------------------------------------------------------------ */

/* Words from byte `at` on: from the next word start, about n bytes, ending at a word end; false if
 * the place is no good for a quotation (marks, blank lines, code fences inside). */
static bool pick_words(const struct buf *t, size_t at, size_t n, size_t *from, size_t *to) {
    while (at < t->n && t->p[at] != ' ')
        at++;
    while (at < t->n && strchr(" \n\t", t->p[at]))
        at++;
    size_t end = at + n < t->n ? at + n : t->n, words = 0;
    while (end > at && t->p[end - 1] != ' ')
        end--;
    while (end > at && strchr(" \n\t", t->p[end - 1]))
        end--;
    for (size_t i = at; i < end; i++) {
        if (strchr("\"'`*_<>\x01\x02", t->p[i]) || (unsigned char)t->p[i] >= 0x80) return false;
        if (t->p[i] == '\n' && i + 1 < end && t->p[i + 1] == '\n') return false;
        words += (i == at || strchr(" \n\t", t->p[i - 1])) && (t->p[i] | 32) >= 'a' &&
                 (t->p[i] | 32) <= 'z';
    }
    *from = at;
    *to = end;
    bool letters = end > at && t->p[at] >= 'A' && ((t->p[end - 1] | 32) >= 'a');
    return words >= 6 && letters;
}

/* Equal but for runs of white space (and case, if folded). */
static bool same_words(const char *a, size_t n, const char *b, size_t m, bool fold) {
    size_t i = 0, k = 0;
    while (i < n && k < m) {
        bool blank_a = strchr(" \n\t\f", a[i]) != NULL, blank_b = strchr(" \n\t\f", b[k]) != NULL;
        if (blank_a != blank_b) return false;
        if (blank_a) {
            while (i < n && strchr(" \n\t\f", a[i]))
                i++;
            while (k < m && strchr(" \n\t\f", b[k]))
                k++;
            continue;
        }
        char x = a[i++], y = b[k++];
        if (fold && x >= 'A' && x <= 'Z') x = (char)(x | 32);
        if (fold && y >= 'A' && y <= 'Z') y = (char)(y | 32);
        if (x != y) return false;
    }
    return i == n && k == m;
}

static void check_quote(const struct cite_doc *doc, const struct buf *text, const char *path,
                        size_t from, size_t to, bool fold) {
    struct buf answer = {0}, quote = {0};
    struct cite_list found = {0};
    for (size_t i = from; i < to; i++) { /* white space as a model writes it; case if folded */
        char c = text->p[i] == '\n' || text->p[i] == '\t' ? ' ' : text->p[i];
        if (fold && c >= 'a' && c <= 'z') c = (char)(c & ~32);
        buf_putc(&quote, c, NULL);
    }
    buf_printf(&answer, NULL, "It says: \"%s\", I think.", buf_str(&quote));
    assert_int_equal(cite_find(buf_str(&answer), answer.n, 0, &doc->index, 1, &found, NULL), 0);
    if (found.n != 1) fail_msg("%s: %zu citations in %s", path, found.n, buf_str(&answer));
    const struct cite *c = &found.v[0];
    enum cite_verdict worst = fold ? CITE_FOLDED : CITE_EXACT;
    if (c->verdict == CITE_NONE || c->verdict > worst || c->to > text->n)
        fail_msg("%s: %s for %s", path, cite_verdict_name(c->verdict), buf_str(&answer));
    /* Slicing by the range gives the words. */
    if (!same_words(text->p + c->from, c->to - c->from, quote.p, quote.n, fold))
        fail_msg("%s: bytes %zu-%zu are \"%.*s\", not \"%s\"", path, c->from, c->to,
                 (int)(c->to - c->from), text->p + c->from, buf_str(&quote));
    size_t line = 1;
    for (size_t i = 0; i < c->from; i++)
        line += text->p[i] == '\n';
    assert_int_equal(cite_line(doc, c->from), line);
    sum.n_quotes++;
    sum.n_exact += c->verdict == CITE_EXACT;
    sum.n_folded += c->verdict == CITE_FOLDED;
    ox_free(found.v);
    buf_deinit(&answer);
    buf_deinit(&quote);
}

/* One word in the middle replaced by one that stands nowhere: never exact, never folded. */
static void check_false(const struct cite_doc *doc, const struct buf *text, const char *path,
                        size_t from, size_t to) {
    struct buf answer = {0};
    struct cite_list found = {0};
    buf_puts(&answer, "\"", NULL);
    size_t mid = from + (to - from) / 2;
    while (mid > from && !strchr(" \n\t", text->p[mid]))
        mid--;
    for (size_t i = from; i < to; i++) {
        if (i == mid) buf_puts(&answer, " zyxwvutqq", NULL);
        buf_putc(&answer, text->p[i] == '\n' ? ' ' : text->p[i], NULL);
    }
    buf_puts(&answer, "\"", NULL);
    assert_int_equal(cite_find(buf_str(&answer), answer.n, 0, &doc->index, 1, &found, NULL), 0);
    assert_int_equal(found.n, 1);
    if (found.v[0].verdict == CITE_EXACT || found.v[0].verdict == CITE_FOLDED)
        fail_msg("%s: %s for %s", path, cite_verdict_name(found.v[0].verdict), buf_str(&answer));
    sum.n_near += found.v[0].verdict == CITE_NEAR;
    sum.n_refused++;
    ox_free(found.v);
    buf_deinit(&answer);
}

static void check_quotes(const struct ingest *in, const char *path) {
    cite_index *index = NULL;
    assert_int_equal(cite_index_new(buf_str(&in->text), in->text.n, &index, NULL), 0);
    const struct cite_doc doc = {index, buf_str(&in->text), 1};
    for (size_t k = 0; k < QUOTES; k++) {
        size_t from, to;
        if (!pick_words(&in->text, k * in->text.n / QUOTES, 40 + k * 13, &from, &to)) continue;
        check_quote(&doc, &in->text, path, from, to, false);
        check_quote(&doc, &in->text, path, from, to, true);
        if (k % 3 == 0) check_false(&doc, &in->text, path, from, to);
    }
    cite_index_free(index);
}

/* --- the store
 * ------------------------------------------------------------------------------------- */

static int64_t check_stored(store *st, const struct ingest *in, const char *path) {
    const struct store_doc d = {.name = buf_str(&in->name),
                                .text = in->text.p,
                                .n_bytes = in->text.n,
                                .pages = in->pages,
                                .n_pages = in->n_pages,
                                .kind = in->kind,
                                .encoding = charset_name(in->charset),
                                .source = in->raw.p,
                                .n_source = in->raw.n};
    int64_t id = 0, again = 0;
    bool ready = false;
    char *text = NULL;
    size_t n = 0, line = 0, page = 0;
    assert_int_equal(store_doc_add(st, &d, &id, NULL), 0);
    while (!ready)
        assert_int_equal(store_doc_step(st, id, &ready, NULL, NULL), 0);
    assert_int_equal(store_doc_add(st, &d, &again, NULL), 0);
    if (again != id) fail_msg("%s: the same text twice is two documents", path);
    assert_int_equal(store_doc_text(st, id, 0, 0, &text, &n, NULL), 0);
    if (n != in->text.n || memcmp(text, in->text.p, n) != 0)
        fail_msg("%s: the stored text differs", path);
    ox_free(text);
    /* a slice out of the middle, and its line, without the rest */
    size_t from = text_floor(in->text.p, n, n / 3), to = text_floor(in->text.p, n, n / 2);
    assert_int_equal(store_doc_text(st, id, from, to, &text, &n, NULL), 0);
    if (n != to - from || memcmp(text, in->text.p + from, n) != 0)
        fail_msg("%s: bytes %zu-%zu of the stored text differ", path, from, to);
    ox_free(text);
    assert_int_equal(store_doc_byte_at(st, id, from, &line, &page, NULL), 0);
    const struct cite_doc doc = {NULL, in->text.p, 1};
    assert_int_equal(line, cite_line(&doc, from));
    return id;
}

static void check_file(store *st, const char *path) {
    struct ingest in = {0};
    const struct ingest_opts opts = {.stop_fd = -1};
    ox_err err = {0};
    int rc = ingest_open(path, &opts, &in, &err);
    if (rc == OX_EFORMAT || rc == OX_EIO) return; /* binary, or not ours to read */
    if (rc) fail_msg("%s: %s", path, err.what);
    if (text_valid(in.text.p, in.text.n) != in.text.n || memchr(in.text.p, 0, in.text.n) ||
        memchr(in.text.p, '\r', in.text.n))
        fail_msg("%s: the text is not clean", path);
    check_chunks(&in, path);
    check_quotes(&in, path);
    check_stored(st, &in, path);
    sum.n_files++;
    sum.n_bytes += in.text.n;
    ingest_deinit(&in);
}

static void test_corpus__every_range_gives_the_quoted_words(void **state) {
    store *st = NULL;
    (void)state;
    assert_int_equal(store_open(":memory:", false, &st, NULL), 0);
    for (size_t i = 0; i < n_paths; i++)
        check_file(st, paths[i]);
    store_close(st);
    print_message("%zu texts, %zu bytes: %zu quotations, %zu exact, %zu folded; %zu false ones, "
                  "%zu near, none exact\n",
                  sum.n_files, sum.n_bytes, sum.n_quotes, sum.n_exact, sum.n_folded, sum.n_refused,
                  sum.n_near);
    assert_true(sum.n_files >= WANTED);
    assert_true(sum.n_quotes >= 6 * WANTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus__every_range_gives_the_quoted_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
