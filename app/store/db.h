/* db.h - the one way in which app/store talks to SQLite: connections with fixed pragmas, statements
 * that are prepared once and bound by name, transactions, and SQLite's codes as OX_E*.
 *
 * Inside app/store only. A connection belongs to one thread. SQL texts are string literals: the
 * statement cache knows them by address. */
#ifndef DB_H
#define DB_H

#include "app/core/buf.h"
#include "app/core/chat.h"

#include <sqlite3.h>

enum { DB_STATEMENTS = 128, DB_SOFT_WAIT_MS = 15, DB_WAIT_MS = 5000 };

struct db_opts {
    const char *path; /* ":memory:": nothing on disk */
    const char *what; /* "history", "state cache": for messages */
    int application_id;
    int cache_kib;
    int busy_ms;
    int synchronous;      /* 0 OFF, 1 NORMAL, 2 FULL */
    int checkpoint_pages; /* 0: only when asked */
    bool read_only;
    const char *vfs; /* NULL: the default one */
    bool as_network; /* tests: as if the place were a network folder */
};

struct db {
    sqlite3 *sq;
    const char *what;
    char *path; /* owned */
    int busy_ms;
    bool read_only, network, in_memory;
    bool in_tx, soft; /* a transaction is open; it waits DB_SOFT_WAIT_MS only */
    bool disk_full;   /* the last failure was lack of space */
    int synchronous;  /* as set now */
    struct {
        const char *sql;
        sqlite3_stmt *s;
        bool busy;
    } cached[DB_STATEMENTS];
    int n_cached;
};

int db_open(const struct db_opts *how, struct db **out, ox_err *err);
void db_close(struct db *db); /* NULL is fine */
/* A plain connection that only reads, for files that may be damaged or lie in a read-only place.
 * SQLite's code; *out is closed by the caller also on failure. */
int db_open_reading(const char *path, sqlite3 **out);
/* SQLite's code as OX_E*, with a text for people. */
int db_error(struct db *db, int sqlite_rc, const char *doing, ox_err *err);

/* ---- statements --------------------------------------------------------- */

/* A use of a statement. The first failure sticks: bind and step freely, ask at the end. */
struct query {
    struct db *db;
    sqlite3_stmt *s;
    int slot, rc;
    bool done;
};

struct query db_query(struct db *db, const char *sql);
void query_i64(struct query *q, const char *name, int64_t v);
void query_text(struct query *q, const char *name, const char *v, size_t n); /* NULL: SQL NULL */
void query_str(struct query *q, const char *name, const char *v);            /* NULL: SQL NULL */
void query_blob(struct query *q, const char *name, const void *v, size_t n);
void query_key(struct query *q, const char *name, struct ox_key key); /* 16 bytes, big-endian */
bool query_row(struct query *q); /* false at the end and after a failure */
int64_t query_col_i64(const struct query *q, int col);
const char *query_col_text(const struct query *q, int col, size_t *n); /* borrowed; never NULL */
const void *query_col_blob(const struct query *q, int col, size_t *n);
struct ox_key query_col_key(const struct query *q, int col);
/* Gives the statement back. 0, or the first failure. */
int query_end(struct query *q, ox_err *err);
/* Steps to the end, then query_end: for statements without rows. */
int query_run(struct query *q, ox_err *err);
/* One row of one integer; *v stays if there is none, and the result is OX_ENOTFOUND. */
int query_one(struct query *q, int64_t *v, ox_err *err);
int db_exec(struct db *db, const char *sql, ox_err *err); /* several statements, no values */

/* ---- transactions ------------------------------------------------------- */

/* BEGIN IMMEDIATE. soft: gives up after DB_SOFT_WAIT_MS and syncs at checkpoints only. */
int db_begin(struct db *db, bool soft, ox_err *err);
int db_end(struct db *db, int rc, ox_err *err); /* commits if rc is 0, else undoes */

/* ---- ids as bytes ------------------------------------------------------- */

/* Appends n ids as little-endian u32; and back, appending to out. */
int ids_pack(struct buf *out, const int32_t *tok, size_t n, ox_err *err);
int ids_unpack(const void *bytes, size_t n_bytes, struct ox_tokens *out, ox_err *err);

/* ---- files and time ----------------------------------------------------- */

int64_t db_now_us(void);   /* wall clock, UTC */
int64_t db_clock_us(void); /* monotonic, for slices and measurements */
int db_make_folder(const char *path_of_file, ox_err *err); /* 0700, parents too */
bool db_is_network(const char *path);
void db_new_uid(char uid[17]); /* 16 random hex digits */
/* Opens with O_CREAT and 0600 and closes again, so that SQLite's own umask never counts. */
int db_touch_private(const char *path, ox_err *err);

#endif
