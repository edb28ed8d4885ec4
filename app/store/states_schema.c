/* states_schema.c - the index of the state cache, schema version 2: docs/STORE.md section 2. It is
 * never migrated; another version is made anew. */
#include "app/store/states_inner.h"

// clang-format off
const char *const states_schema[] = {
    "CREATE TABLE space ( id INTEGER PRIMARY KEY, compat BLOB NOT NULL UNIQUE CHECK (length(compat) = "
    "16), name TEXT NOT NULL, weights_hash BLOB NOT NULL, vocab_hash BLOB NOT NULL, backend TEXT NOT "
    "NULL, numerics INTEGER NOT NULL, layout INTEGER NOT NULL, kv_type TEXT NOT NULL, state_type TEXT "
    "NOT NULL, n_linear INTEGER NOT NULL, n_attn INTEGER NOT NULL, page_tokens INTEGER NOT NULL CHECK "
    "(page_tokens = 256), us_per_token INTEGER NOT NULL DEFAULT 500) STRICT",
    "CREATE TABLE blob ( id INTEGER PRIMARY KEY, kind INTEGER NOT NULL CHECK (kind IN (1,2,3)), "
    "content_hash BLOB NOT NULL UNIQUE CHECK (length(content_hash) = 16), bytes INTEGER NOT NULL "
    "CHECK (bytes BETWEEN 1 AND 536870912), sums BLOB NOT NULL) STRICT",
    "CREATE TABLE page ( id INTEGER PRIMARY KEY, space_id INTEGER NOT NULL REFERENCES space(id) ON "
    "DELETE CASCADE, parent_id INTEGER REFERENCES page(id), page_no INTEGER NOT NULL, ids BLOB NOT "
    "NULL CHECK (length(ids) = 1024), token_hash BLOB NOT NULL, chain_hash BLOB NOT NULL, blob_id "
    "INTEGER NOT NULL REFERENCES blob(id), UNIQUE (space_id, chain_hash)) STRICT",
    "CREATE INDEX page_parent ON page(parent_id)",
    "CREATE INDEX page_blob ON page(blob_id)",
    "CREATE TABLE snapshot ( id INTEGER PRIMARY KEY, space_id INTEGER NOT NULL REFERENCES space(id) "
    "ON DELETE CASCADE, n_tokens INTEGER NOT NULL CHECK (n_tokens > 0), base_hash BLOB NOT NULL, "
    "prefix_hash BLOB NOT NULL, page_id INTEGER REFERENCES page(id), tail_ids BLOB NOT NULL CHECK "
    "(length(tail_ids) % 4 = 0 AND length(tail_ids) < 1024), tail_blob_id INTEGER REFERENCES "
    "blob(id), state_blob_id INTEGER NOT NULL REFERENCES blob(id), reason TEXT NOT NULL CHECK (reason "
    "IN ('grid','system','document','ask','turn','stop')), made TEXT NOT NULL CHECK (made IN "
    "('prefill','decode','mixed')), below_id INTEGER REFERENCES snapshot(id) ON DELETE SET NULL, "
    "replay_us INTEGER NOT NULL, load_us INTEGER NOT NULL, pinned INTEGER NOT NULL DEFAULT 0 CHECK "
    "(pinned IN (0,1)), uses INTEGER NOT NULL DEFAULT 0, created_us INTEGER NOT NULL, used_us INTEGER "
    "NOT NULL, UNIQUE (space_id, prefix_hash, state_blob_id)) STRICT",
    "CREATE INDEX snapshot_find ON snapshot(space_id, base_hash, n_tokens DESC)",
    "CREATE INDEX snapshot_page ON snapshot(page_id)",
    "CREATE INDEX snapshot_below ON snapshot(below_id)",
    "CREATE INDEX snapshot_blob ON snapshot(tail_blob_id)",
    "CREATE INDEX snapshot_state ON snapshot(state_blob_id)",
    "CREATE TABLE tip ( db_uid TEXT NOT NULL, message_id INTEGER NOT NULL, moment INTEGER NOT NULL "
    "CHECK (moment IN (0,1)), session_uid TEXT NOT NULL, snapshot_id INTEGER NOT NULL REFERENCES "
    "snapshot(id) ON DELETE CASCADE, PRIMARY KEY (db_uid, message_id, moment, snapshot_id)) STRICT, "
    "WITHOUT ROWID",
    "CREATE INDEX tip_session ON tip(session_uid)",
    "CREATE INDEX tip_snapshot ON tip(snapshot_id)",
    "CREATE TABLE member ( snapshot_id INTEGER NOT NULL REFERENCES snapshot(id) ON DELETE CASCADE, "
    "session_uid TEXT NOT NULL, PRIMARY KEY (snapshot_id, session_uid)) STRICT, WITHOUT ROWID",
    "CREATE INDEX member_session ON member(session_uid)",
    "CREATE TABLE usage (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL, quota "
    "INTEGER NOT NULL, uses INTEGER NOT NULL, saved_us INTEGER NOT NULL, written_bytes INTEGER NOT "
    "NULL, written_tokens INTEGER NOT NULL) STRICT",
    "INSERT INTO usage VALUES (1, 0, 0, 0, 0, 0, 0)",
    "CREATE TRIGGER blob_in AFTER INSERT ON blob BEGIN UPDATE usage SET bytes = bytes + new.bytes; "
    "END",
    "CREATE TRIGGER blob_out AFTER DELETE ON blob BEGIN UPDATE usage SET bytes = bytes - old.bytes; "
    "END",
    NULL,
};
// clang-format on
