/* version.c - see version.h. */
#include "app/store/version.h"

#include <sqlite3.h>

const char *store_sqlite_version(void) {
    return sqlite3_libversion();
}
