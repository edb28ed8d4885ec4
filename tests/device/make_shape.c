/* make_shape.c - make_shape SHAPE BITS FOLDER: a made-up model for the tests of a device, with the
 * default model's tokenizer. */
#include "engine/folder.h"
#include "engine/offline.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    struct folder *from = NULL;
    ox_err err = {0};
    if (argc != 4) {
        fputs("usage: make_shape tiny|mini|7b 4|8|16 FOLDER\n", stderr);
        return 2;
    }
    int rc = folder_open(NULL, &from, &err);
    if (!rc) rc = offline_shape(from, argv[1], (int)strtol(argv[2], NULL, 10), argv[3], &err);
    folder_close(from);
    if (rc) fprintf(stderr, "make_shape: %s (%s)\n", err.what, err.fix);
    return rc ? 1 : 0;
}
