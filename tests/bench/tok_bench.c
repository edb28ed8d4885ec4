/* tok_bench [FOLDER [TEXT_FILE]] - opening, memory and speed of a tokenizer; docs/PERF.md.
 * Default: the default model's tokenizer and tests/data/candle.txt. Each text is 5 MB: the file
 * repeated, and what is hard for a splitter or a merger: one word, spaces, digits. Numbers only. */
#include "engine/folder.h"
#include "engine/tokenizer.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_BYTES = 5 * 1000 * 1000, ROUNDS = 5 };

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t heap_bytes(void) {
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void bench_open(const unsigned char *json, size_t n, tokenizer **t) {
    double best = 1e9, first = 0;
    size_t before = 0;
    for (int i = 0; i < ROUNDS; i++) {
        tokenizer_close(*t);
        *t = NULL;
        before = heap_bytes();
        ox_err err = {0};
        double from = now_s();
        if (tokenizer_open(json, n, t, &err)) {
            fprintf(stderr, "%s: %s\n", err.where, err.what);
            exit(1);
        }
        double took = now_s() - from;
        if (i == 0) first = took;
        if (took < best) best = took;
    }
    printf("open              %8.1f ms, %.1f at first; %.1f MB kept; %u ids; %s\n", best * 1e3,
           first * 1e3, (double)(heap_bytes() - before) * 1e-6, (unsigned)tokenizer_size(*t),
           tokenizer_note(*t)[0] ? tokenizer_note(*t) : "no note");
}

static void bench_encode(const tokenizer *t, const char *name, const char *text, size_t n) {
    double best = 1e9;
    struct ox_tokens got = {0};
    for (int i = 0; i < ROUNDS; i++) {
        got.n = 0;
        ox_err err = {0};
        double from = now_s();
        if (tokenizer_encode(t, text, n, &got, &err)) {
            printf("%-17s %s\n", name, err.what);
            return;
        }
        double took = now_s() - from;
        if (took < best) best = took;
        if (took > 1) break;
    }
    printf("%-17s %8.1f MB/s, %7.2f ms, %zu ids\n", name, (double)n / best * 1e-6, best * 1e3,
           got.n);
    ox_free(got.v);
}

/* Fills text with the pattern again and again, whole copies of it. Returns the bytes filled. */
static size_t repeat(char *text, const char *pattern, size_t n) {
    size_t at = 0;
    for (; n && at + n <= TEXT_BYTES; at += n)
        memcpy(text + at, pattern, n);
    return at;
}

static size_t random_letters(char *text, unsigned n_letters) {
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < TEXT_BYTES; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        text[i] = (char)('a' + (x >> 33) % n_letters);
    }
    return TEXT_BYTES;
}

int main(int argc, char **argv) {
    const char *file = argc > 2 ? argv[2] : OXBOW_TEST_DIR "/data/candle.txt";
    struct folder *folder = NULL;
    const unsigned char *json;
    size_t n_json;
    ox_err err = {0};
    tokenizer *t = NULL;
    if (folder_open(argc > 1 ? argv[1] : NULL, &folder, &err) ||
        folder_get(folder, "tokenizer.json", &json, &n_json, &err)) {
        fprintf(stderr, "%s\n", err.what);
        return 1;
    }
    char *text = ox_alloc(TEXT_BYTES, 1, "text", NULL),
         *book = ox_alloc(TEXT_BYTES, 1, "book", NULL);
    FILE *f = fopen(file, "rb");
    if (!text || !book || !f) return 1;
    size_t n_book = fread(book, 1, TEXT_BYTES, f);
    fclose(f);
    bench_open(json, n_json, &t);
    bench_encode(t, "text", text, repeat(text, book, n_book));
    bench_encode(t, "text, once", book, n_book);
    bench_encode(t, "short question", "What is the capital of France?", 30);
    bench_encode(t, "one word, aaa", text, repeat(text, "a", 1));
    bench_encode(t, "one word, 4", text, random_letters(text, 4));
    bench_encode(t, "one word, 26", text, random_letters(text, 26));
    bench_encode(t, "spaces", text, repeat(text, " ", 1));
    text[TEXT_BYTES - 1] = 'x';
    bench_encode(t, "spaces, then x", text, TEXT_BYTES);
    bench_encode(t, "newlines", text, repeat(text, "\n", 1));
    bench_encode(t, "digits", text, repeat(text, "7", 1));
    bench_encode(t, "dashes", text, repeat(text, "-", 1));
    bench_encode(t, "a b a b", text, repeat(text, "a ", 2));
    bench_encode(t, "Chinese", text, repeat(text, "\xe6\xb2\xb3\xe5\xbc\xaf\xe5\xa4\x84", 9));
    bench_encode(t, "ill-formed", text, repeat(text, "\xff", 1));
    ox_free(text);
    ox_free(book);
    tokenizer_close(t);
    folder_close(folder);
    return 0;
}
