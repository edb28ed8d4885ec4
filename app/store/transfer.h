/* transfer.h - conversations out of oxbow.db and into it: Markdown and text for reading, JSONL to
 * take them along. Same rules and thread as store.h; docs/STORE.md section 9 has the form of the
 * lines. */
#ifndef STORE_TRANSFER_H
#define STORE_TRANSFER_H

#include "app/core/buf.h"
#include "app/store/store.h"

enum store_form { STORE_JSONL, STORE_MARKDOWN, STORE_TEXT };

struct store_export {
    enum store_form form;
    bool with_docs; /* JSONL: the text of documents too */
    int64_t leaf;   /* Markdown, text: the path that ends here; 0: the one on screen */
};
/* Appends one conversation to out. JSONL holds the whole tree. Never: states, tokens, keys. */
int store_export(store *st, int64_t chat, const struct store_export *how, struct buf *out,
                 ox_err *err);

struct store_imported {
    size_t n_chats, n_messages, n_docs, n_skipped;
    size_t n_known;    /* sessions that are here already: left out */
    size_t skipped[8]; /* numbers of the first lines that were not understood */
    int64_t last;      /* the newest chat */
};
/* Reads JSONL: every line is checked (UTF-8, JSON, parents before children, names, ranges) and all
 * of it goes in by one transaction, or nothing: OX_EFORMAT names the line. Unknown kinds are
 * counted and skipped; unknown keys of a session are kept in its settings under "extra". A session
 * keeps its uid and that of the one it was forked from. One that is here already is left out: the
 * same uid, last used at the same time, or the same "source" (another program, and its id there);
 * where only the uid is taken, it comes as a copy with a uid of its own. Settings that could name
 * programs or places are not taken over. is_dry: checks and counts only. */
int store_import(store *st, const char *bytes, size_t n, bool is_dry, struct store_imported *out,
                 ox_err *err);

#endif
