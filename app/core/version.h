/* version.h - which libraries the core runs with, for -V and doctor. Pure. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

#include "app/core/buf.h"

int version_core(struct buf *out, ox_err *err); /* appends "pcre2 10.42, utf8proc 2.8.0" */

#endif
