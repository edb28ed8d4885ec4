/* schema_v1.c - oxbow.db as of schema version 1, one statement an entry: docs/STORE.md section 1,
 * which has the reasons beside each column. Released text: it never changes again, a later version
 * is another step in migrate.c. */
#include "app/store/migrate.h"

// clang-format off
const char *const schema_v1[] = {
    "CREATE TABLE vocab (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 16), "
    "name TEXT NOT NULL) STRICT",
    "CREATE TABLE model ( id INTEGER PRIMARY KEY, source TEXT NOT NULL CHECK (source IN "
    "('embedded','folder','remote')), name TEXT NOT NULL, location TEXT, weights_hash BLOB NOT NULL "
    "CHECK (length(weights_hash) = 16), template_hash BLOB NOT NULL CHECK (length(template_hash) = "
    "16), vocab_id INTEGER REFERENCES vocab(id), config TEXT NOT NULL, UNIQUE (weights_hash, "
    "template_hash)) STRICT",
    "CREATE TABLE session ( id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE CHECK (length(uid) = 16 "
    "AND uid NOT GLOB '*[^0-9a-f]*'), title TEXT NOT NULL DEFAULT '', title_by TEXT NOT NULL DEFAULT "
    "'line' CHECK (title_by IN ('line','model','user')), model_id INTEGER REFERENCES model(id), "
    "settings TEXT NOT NULL DEFAULT '{}', branch_id INTEGER REFERENCES branch(id) DEFERRABLE "
    "INITIALLY DEFERRED, forked_from TEXT, pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0,1)), "
    "created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL) STRICT",
    "CREATE INDEX session_recent ON session(pinned DESC, updated_us DESC)",
    "CREATE TABLE message ( id INTEGER PRIMARY KEY, root_id INTEGER NOT NULL, parent_id INTEGER "
    "REFERENCES message(id), depth INTEGER NOT NULL CHECK (depth >= 0), role TEXT NOT NULL CHECK "
    "(role IN ('system','user','assistant')), state TEXT NOT NULL CHECK (state IN "
    "('open','done','stopped','length','crashed','failed')), text TEXT NOT NULL, thought TEXT NOT "
    "NULL DEFAULT '', created_us INTEGER NOT NULL, closed_us INTEGER, CHECK ((state = 'open') = "
    "(closed_us IS NULL))) STRICT",
    "CREATE INDEX message_parent ON message(parent_id)",
    "CREATE INDEX message_root ON message(root_id)",
    "CREATE INDEX message_open ON message(id) WHERE state = 'open'",
    "CREATE TABLE branch ( id INTEGER PRIMARY KEY, session_id INTEGER NOT NULL REFERENCES session(id) "
    "ON DELETE CASCADE, leaf_id INTEGER NOT NULL REFERENCES message(id), label TEXT NOT NULL DEFAULT "
    "'', used_us INTEGER NOT NULL) STRICT",
    "CREATE INDEX branch_session ON branch(session_id, used_us DESC)",
    "CREATE INDEX branch_leaf ON branch(leaf_id)",
    "CREATE TABLE message_tokens ( message_id INTEGER NOT NULL REFERENCES message(id) ON DELETE "
    "CASCADE, vocab_id INTEGER NOT NULL REFERENCES vocab(id), ids BLOB NOT NULL CHECK (length(ids) % "
    "4 = 0), PRIMARY KEY (message_id, vocab_id)) STRICT",
    "CREATE TABLE stream_part ( message_id INTEGER NOT NULL REFERENCES message(id) ON DELETE CASCADE, "
    "seq INTEGER NOT NULL, text BLOB NOT NULL, thought BLOB NOT NULL, ids BLOB NOT NULL CHECK "
    "(length(ids) % 4 = 0), at_us INTEGER NOT NULL, PRIMARY KEY (message_id, seq)) STRICT, WITHOUT "
    "ROWID",
    "CREATE TABLE run ( message_id INTEGER PRIMARY KEY REFERENCES message(id) ON DELETE CASCADE, "
    "model_id INTEGER NOT NULL REFERENCES model(id), engine TEXT NOT NULL, build TEXT NOT NULL, "
    "numerics INTEGER NOT NULL, seed INTEGER NOT NULL, sampling TEXT NOT NULL, stop TEXT NOT NULL, "
    "n_prompt INTEGER NOT NULL, n_reused INTEGER NOT NULL, n_replayed INTEGER NOT NULL, n_out INTEGER "
    "NOT NULL, load_us INTEGER NOT NULL, prefill_us INTEGER NOT NULL, decode_us INTEGER NOT NULL, "
    "exact INTEGER NOT NULL CHECK (exact IN (0,1))) STRICT",
    "CREATE TABLE document ( id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, "
    "source_path BLOB, content_hash BLOB NOT NULL CHECK (length(content_hash) = 16), source_hash BLOB "
    "NOT NULL CHECK (length(source_hash) = 16), kind TEXT NOT NULL CHECK (kind IN "
    "('text','markdown','html','pdf','source','stdin')), encoding TEXT NOT NULL, converter TEXT NOT "
    "NULL DEFAULT '', n_bytes INTEGER NOT NULL, n_lines INTEGER NOT NULL, n_pages INTEGER NOT NULL "
    "DEFAULT 0, ready INTEGER NOT NULL DEFAULT 0 CHECK (ready IN (0,1)), added_us INTEGER NOT NULL) "
    "STRICT",
    "CREATE INDEX document_hash ON document(content_hash)",
    "CREATE TABLE doc_chunk ( id INTEGER PRIMARY KEY, doc_id INTEGER NOT NULL REFERENCES document(id) "
    "ON DELETE CASCADE, seq INTEGER NOT NULL, byte_start INTEGER NOT NULL, byte_end INTEGER NOT NULL, "
    "line_start INTEGER NOT NULL, page INTEGER NOT NULL DEFAULT 0, heading TEXT NOT NULL DEFAULT '', "
    "text TEXT NOT NULL, UNIQUE (doc_id, seq), CHECK (byte_end > byte_start)) STRICT",
    "CREATE TABLE doc_tokens ( doc_id INTEGER NOT NULL REFERENCES document(id) ON DELETE CASCADE, "
    "vocab_id INTEGER NOT NULL REFERENCES vocab(id), byte_start INTEGER NOT NULL, byte_end INTEGER "
    "NOT NULL, ids BLOB NOT NULL CHECK (length(ids) % 4 = 0), PRIMARY KEY (doc_id, vocab_id, "
    "byte_start, byte_end)) STRICT",
    "CREATE TABLE attachment ( message_id INTEGER NOT NULL REFERENCES message(id) ON DELETE CASCADE, "
    "ordinal INTEGER NOT NULL, doc_id INTEGER REFERENCES document(id) ON DELETE SET NULL, name TEXT "
    "NOT NULL, byte_start INTEGER NOT NULL, byte_end INTEGER NOT NULL, PRIMARY KEY (message_id, "
    "ordinal)) STRICT",
    "CREATE INDEX attachment_doc ON attachment(doc_id)",
    "CREATE TABLE citation ( message_id INTEGER NOT NULL REFERENCES message(id) ON DELETE CASCADE, "
    "ordinal INTEGER NOT NULL, msg_start INTEGER NOT NULL, msg_end INTEGER NOT NULL, quote TEXT NOT "
    "NULL, verdict TEXT NOT NULL CHECK (verdict IN ('exact','folded','near','missing')), doc_id "
    "INTEGER REFERENCES document(id) ON DELETE SET NULL, byte_start INTEGER, byte_end INTEGER, "
    "line_start INTEGER, line_end INTEGER, page INTEGER, PRIMARY KEY (message_id, ordinal), CHECK "
    "(verdict = 'missing' OR (byte_start IS NOT NULL AND byte_end > byte_start))) STRICT",
    "CREATE INDEX citation_doc ON citation(doc_id)",
    "CREATE TABLE job ( id INTEGER PRIMARY KEY, doc_id INTEGER NOT NULL REFERENCES document(id) ON "
    "DELETE CASCADE, model_id INTEGER NOT NULL REFERENCES model(id), options TEXT NOT NULL, state "
    "TEXT NOT NULL CHECK (state IN ('running','stopped','done','failed')), created_us INTEGER NOT "
    "NULL, result_id INTEGER REFERENCES message(id) ON DELETE SET NULL, UNIQUE (doc_id, model_id, "
    "options)) STRICT",
    "CREATE TABLE job_part ( job_id INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE, level "
    "INTEGER NOT NULL, idx INTEGER NOT NULL, byte_start INTEGER NOT NULL, byte_end INTEGER NOT NULL, "
    "text TEXT NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY (job_id, level, idx)) STRICT",
    "CREATE TABLE draft (place TEXT PRIMARY KEY, text TEXT NOT NULL, cursor INTEGER NOT NULL, at_us "
    "INTEGER NOT NULL) STRICT",
    "CREATE TABLE input_history (id INTEGER PRIMARY KEY, session_id INTEGER REFERENCES session(id) ON "
    "DELETE CASCADE, text TEXT NOT NULL, at_us INTEGER NOT NULL) STRICT",
    "CREATE INDEX input_history_session ON input_history(session_id)",
    "CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE migration (version INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, build TEXT NOT "
    "NULL) STRICT",
    "CREATE VIRTUAL TABLE message_fts USING fts5(text, content='', tokenize='unicode61 "
    "remove_diacritics 2')",
    "CREATE VIRTUAL TABLE doc_fts USING fts5(heading, text, content='', tokenize='unicode61 "
    "remove_diacritics 2')",
    "CREATE TRIGGER message_closed BEFORE UPDATE OF text, thought, role, parent_id ON message WHEN "
    "old.state <> 'open' BEGIN SELECT RAISE(ABORT, 'a closed message cannot change'); END",
    "CREATE TRIGGER doc_chunk_fixed BEFORE UPDATE ON doc_chunk BEGIN SELECT RAISE(ABORT, 'document "
    "text cannot change'); END",
    NULL,
};
// clang-format on
