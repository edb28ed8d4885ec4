/* version.h - which SQLite this program runs with, for -V and doctor. Any thread. */
#ifndef STORE_VERSION_H
#define STORE_VERSION_H

const char *store_sqlite_version(void); /* "3.40.1" */

#endif
