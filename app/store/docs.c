/* docs.c - documents of oxbow.db. */
#include "app/store/inner.h"

void store_imports_drop(store *st) {
    st->imports = NULL;
}
