/* replay.c - runs a fuzz target over every file of the folders named, so that what was found once
 * is tested in each build, without libFuzzer. Prints the count; a crash is a failed test. Also
 * feeds every prefix of small files: most parser faults are faults at the end of the input. */
#include "kernels/base/ox_mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { PREFIX_BYTES = 2048 };

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A copy of its own for each length, so that the address sanitizer sees a read past the end. */
static void feed(const unsigned char *bytes, size_t n) {
    unsigned char *copy = ox_alloc(n, 1, "a fuzz input", NULL);
    if (!copy) abort();
    if (n) memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    ox_free(copy);
}

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || stat(path, &st) || !S_ISREG(st.st_mode)) {
        if (f) fclose(f);
        return 0;
    }
    size_t n = (size_t)st.st_size;
    unsigned char *bytes = ox_alloc(n, 1, "a fuzz input", NULL);
    if (!bytes || fread(bytes, 1, n, f) != n) abort();
    fclose(f);
    feed(bytes, n);
    for (size_t i = 0; n <= PREFIX_BYTES && i < n; i++)
        feed(bytes, i);
    ox_free(bytes);
    return 1;
}

static int replay_folder(const char *dir) {
    DIR *d = opendir(dir);
    char *name[4096];
    size_t n = 0;
    for (struct dirent *e; d && n < sizeof name / sizeof name[0] && (e = readdir(d));)
        if (e->d_name[0] != '.') name[n++] = ox_strdup(e->d_name, "a file name", NULL);
    if (d) closedir(d);
    qsort(name, n, sizeof name[0], compare_names); /* the same order everywhere */
    int n_fed = 0;
    for (size_t i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", dir, name[i]);
        n_fed += replay_file(path);
        ox_free(name[i]);
    }
    return n_fed;
}

int main(int argc, char **argv) {
    int n_fed = 0;
    for (int i = 1; i < argc; i++)
        n_fed += replay_folder(argv[i]);
    printf("%d inputs\n", n_fed);
    if (n_fed == 0) fprintf(stderr, "no inputs found: name the corpus folder\n");
    return n_fed == 0;
}
