/* docs_bench.c - speed of what happens to documents: reading in and decoding, cutting, looking
 * quotations up, searching. Prints Markdown tables for docs/PERF.md.
 *
 *   docs_bench FOLDER      an empty folder; needs 200 MB there
 *
 * Times are of this thread on the processor: the machine may be busy with others. */
#include "app/core/chunk.h"
#include "app/core/cite.h"
#include "app/ingest.h"
#include "app/store/docs.h"
#include "app/store/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_BYTES = 5 << 20, ROUNDS = 3, QUOTES = 50, SESSIONS = 1000, TURNS = 4, DOCS = 200 };

static struct buf book; /* candle.txt */

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(int rc, const ox_err *err) {
    if (!rc) return;
    fprintf(stderr, "docs_bench: %s (%s)\n", err->what, err->where);
    exit(1);
}

/* --- reading in
 * ------------------------------------------------------------------------------------ */

static void write_file(const char *path, const struct buf *b) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(b->p, 1, b->n, f) != b->n || fclose(f)) exit(1);
}

static void add_as(struct buf *out, const char *form) {
    for (size_t i = 0; i < book.n; i++) {
        char c = book.p[i];
        if (strcmp(form, "windows-1252") == 0)
            buf_putc(out, c == 'q' ? (char)0xE9 : c, NULL);
        else if (strcmp(form, "utf-16le") == 0)
            buf_add(out, (const char[]){c, 0}, 2, NULL);
        else
            buf_putc(out, c, NULL);
        if (strcmp(form, "html") == 0 && c == '\n') buf_puts(out, "<p>", NULL);
    }
}

static void bench_ingest(const char *dir) {
    static const char *const forms[] = {"utf-8", "windows-1252", "utf-16le", "html"};
    char path[600];
    printf("| 5 MB of text as | MB/s of the file |\n| --- | --- |\n");
    for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++) {
        struct buf text = {0};
        double best = 1e9;
        size_t n = 0;
        if (k == 3) buf_puts(&text, "<!doctype html><html><body><p>", NULL);
        while (text.n < TEXT_BYTES)
            add_as(&text, forms[k]);
        snprintf(path, sizeof path, "%s/%s.txt", dir, forms[k]);
        write_file(path, &text);
        for (int r = 0; r < ROUNDS; r++) {
            struct ingest in = {0};
            ox_err err = {0};
            double from = now_s();
            must(ingest_open(path, &(struct ingest_opts){.stop_fd = -1}, &in, &err), &err);
            double took = now_s() - from;
            if (took < best) best = took;
            n = in.raw.n;
            ingest_deinit(&in);
        }
        printf("| %s | %.0f |\n", forms[k], (double)n / best / 1e6);
        buf_deinit(&text);
    }
}

static void bench_chunks(void) {
    struct chunk_walk walk = {0};
    struct chunk c;
    size_t n = 0;
    double from = now_s();
    while (chunk_next(&walk, book.p, book.n, NULL, 0, &c))
        n++;
    printf("| cutting candle.txt into %zu chunks | %.0f |\n", n,
           (double)book.n / (now_s() - from) / 1e6);
}

/* --- quotations
 * ------------------------------------------------------------------------------------ */

enum change { AS_IS, CAPITALS, ONE_LETTER, INVENTED };

/* Some 80 bytes from word to word, changed. */
static void make_quote(size_t at, enum change how, struct buf *out) {
    static const char invented[] = "the keeper never saw what nobody had ever thought of at all ";
    buf_cut(out, 0);
    while (book.p[at] != ' ')
        at++;
    for (size_t i = at + 1; out->n < 80 || book.p[i] != ' '; i++) {
        char c = book.p[i] == '\n' ? ' ' : book.p[i];
        if (how == CAPITALS && c >= 'a' && c <= 'z') c = (char)(c & ~32);
        if (how == ONE_LETTER && out->n == 40) c = 'q';
        if (how == INVENTED) c = invented[(at + out->n) % (sizeof invented - 1)];
        buf_putc(out, c, NULL);
    }
}

static void bench_quotes(void) {
    static const char *const names[] = {"word for word", "in capitals", "one letter differs",
                                        "invented"};
    cite_index *x = NULL;
    struct buf q = {0};
    ox_err err = {0};
    double from = now_s();
    must(cite_index_new(book.p, book.n, &x, &err), &err);
    double built = now_s() - from;
    printf("\n| quotation of 80 bytes in candle.txt (50,736 tokens) | ms each | verdicts |\n"
           "| --- | --- | --- |\n| index, once | %.1f | |\n",
           built * 1e3);
    for (int how = AS_IS; how <= INVENTED; how++) {
        size_t n[CITE_MISSING + 1] = {0};
        double took = 0;
        for (size_t i = 0; i < QUOTES; i++) {
            struct cite_match m;
            make_quote(book.n / (QUOTES + 1) * (i + 1) - 400, (enum change)how, &q);
            from = now_s();
            must(cite_match(x, q.p, q.n, 0, &m, &err), &err);
            took += now_s() - from;
            n[m.verdict]++;
        }
        printf("| %s | %.2f | %zu exact, %zu folded, %zu near, %zu missing |\n", names[how],
               took / QUOTES * 1e3, n[CITE_EXACT], n[CITE_FOLDED], n[CITE_NEAR], n[CITE_MISSING]);
    }
    cite_index_free(x);
    buf_deinit(&q);
}

/* --- search
 * ---------------------------------------------------------------------------------------- */

/* Passages of the book with a number in them, so that no two are alike. */
static void make_passage(struct buf *out, size_t seed, size_t bytes) {
    size_t at = seed * 7919 % (book.n - bytes - 1);
    while (at && ((unsigned char)book.p[at] & 0xC0) == 0x80)
        at--;
    size_t end = at + bytes;
    while (((unsigned char)book.p[end] & 0xC0) == 0x80)
        end--;
    buf_cut(out, 0);
    buf_printf(out, NULL, "passage%zu ", seed);
    buf_add(out, book.p + at, end - at, NULL);
}

static void fill(store *st) {
    struct buf text = {0};
    ox_err err = {0};
    for (size_t s = 0; s < SESSIONS; s++) {
        int64_t chat = 0, leaf = 0;
        must(store_chat_new(st, "a session", &chat, &err), &err);
        must(store_chat_lock(st, chat, &err), &err);
        must(store_begin(st, &err), &err);
        for (size_t k = 0; k < 2 * TURNS; k++) {
            make_passage(&text, s * 2 * TURNS + k, 1600);
            const struct chat_node row = {.parent = leaf,
                                          .role = k % 2 ? OX_ROLE_ASSISTANT : OX_ROLE_USER,
                                          .end = CHAT_DONE,
                                          .text = text.p,
                                          .n_bytes = text.n};
            must(store_msg_add(st, chat, &row, &leaf, &err), &err);
        }
        must(store_end(st, 0, &err), &err);
        store_chat_unlock(st, chat);
    }
    for (size_t i = 0; i < DOCS; i++) {
        bool ready = false;
        int64_t id = 0;
        make_passage(&text, 100000 + i, 120000);
        const struct store_doc d = {.name = "part.txt", .text = text.p, .n_bytes = text.n};
        must(store_doc_add(st, &d, &id, &err), &err);
        while (!ready)
            must(store_doc_step(st, id, &ready, NULL, &err), &err);
    }
    buf_deinit(&text);
}

static int count(void *user, const struct store_hit *hit) {
    (void)hit;
    ++*(size_t *)user;
    return 0;
}

static void bench_search(const char *dir) {
    static const char *const words[] = {"passage100077",     "capillary", "candle flame",
                                        "\"carbonic acid\"", "the",       "absentword"};
    char path[600];
    ox_err err = {0};
    store *st = NULL;
    snprintf(path, sizeof path, "%s/oxbow.db", dir);
    must(store_open(path, false, &st, &err), &err);
    double from = now_s();
    fill(st);
    printf("\n%d sessions of %d messages and %d documents of 120 KB, filled in %.0f s.\n\n"
           "| search | hits shown | ms |\n| --- | --- | --- |\n",
           SESSIONS, 2 * TURNS, DOCS, now_s() - from);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const struct store_search how = {.words = words[i], .in = STORE_IN_ALL};
        double best = 1e9;
        size_t n = 0;
        for (int r = 0; r < ROUNDS; r++) {
            n = 0;
            from = now_s();
            must(store_search(st, &how, count, &n, &err), &err);
            if (now_s() - from < best) best = now_s() - from;
        }
        printf("| %s | %zu | %.1f |\n", words[i], n, best * 1e3);
    }
    store_close(st);
}

int main(int argc, char **argv) {
    struct ingest in = {0};
    ox_err err = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: docs_bench FOLDER\n");
        return 2;
    }
    must(ingest_open(OXBOW_TEST_DIR "/data/candle.txt", &(struct ingest_opts){.stop_fd = -1}, &in,
                     &err),
         &err);
    book = in.text;
    bench_ingest(argv[1]);
    bench_chunks();
    bench_quotes();
    bench_search(argv[1]);
    ingest_deinit(&in);
    return 0;
}
