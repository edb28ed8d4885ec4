/* docs.h - documents of oxbow.db: text stored once by content, its chunks and tokens, what answers
 * quote from it, and long summaries that survive interruption. Same rules and thread as store.h. */
#ifndef STORE_DOCS_H
#define STORE_DOCS_H

#include "app/core/chunk.h"
#include "app/core/cite.h"
#include "app/store/store.h"

/* ---- documents ---------------------------------------------------------- */

struct store_doc {
    int64_t id, added_us;
    char uid[17];
    struct ox_key hash; /* of text; filled by store_doc_add */
    const char *name;   /* for people */
    const char *text;   /* valid UTF-8 without NUL; may be NULL in rows of a list */
    size_t n_bytes, n_lines;
    const size_t *pages; /* add: where pages begin, pages[0] = 0; NULL: none */
    size_t n_pages;
    const char *kind;          /* "text", "markdown", "html", "pdf", "source", "stdin" */
    const char *encoding;      /* "utf-8", "windows-1252", .. */
    const char *converter;     /* "pdftotext 22.12"; NULL or "": none */
    const char *source_path;   /* path bytes as given; NULL */
    const void *source;        /* add: the file as it was; NULL: the text itself */
    size_t n_source, n_tokens; /* n_tokens: whole text in the vocabulary in use; 0: not known */
    bool ready;
};

/* Looks the text up by content: *id of the stored one if there is one, ready at once. Otherwise a
 * row that is not ready yet; store_doc_step reads it in. Everything in d is copied. OX_EBUSY:
 * another process is reading in the same text. */
int store_doc_add(store *st, const struct store_doc *d, int64_t *id, ox_err *err);
/* At most 20 ms of reading in; *ready says whether it is done. A busy database only makes no
 * progress. *done_bytes (or NULL): how far. */
int store_doc_step(store *st, int64_t id, bool *ready, size_t *done_bytes, ox_err *err);

/* The row without its text; borrowed for the call. OX_ENOTFOUND. */
int store_doc_get(store *st, int64_t id, int (*each)(void *user, const struct store_doc *row),
                  void *user, ox_err *err);
int store_doc_list(store *st, int (*each)(void *user, const struct store_doc *row), void *user,
                   ox_err *err); /* newest first, ready ones */
int store_doc_find(store *st, const char *name, int64_t *id, ox_err *err); /* as store_chat_find */
/* Bytes [from, to) of the text (to 0: all), owned by the caller, zero-terminated. */
int store_doc_text(store *st, int64_t id, size_t from, size_t to, char **text, size_t *n,
                   ox_err *err);
/* Byte at which a line begins (1-based; behind the last: the end), and back. page 0: has none. */
int store_doc_line_at(store *st, int64_t id, size_t line, size_t *byte, ox_err *err);
int store_doc_byte_at(store *st, int64_t id, size_t byte, size_t *line, size_t *page, ox_err *err);
/* Where each page begins, an empty one where the next does; *pages owned, NULL and 0: it has none.
 */
int store_doc_pages(store *st, int64_t id, size_t **pages, size_t *n, ox_err *err);
/* OX_EFAIL names the sessions that use it, unless force; quotations stay, without their place. */
int store_doc_delete(store *st, int64_t id, bool force, ox_err *err);

/* Ids of a part as it stands in prompts, in the vocabulary in use. get replaces out; OX_ENOTFOUND.
 */
int store_doc_tokens_put(store *st, int64_t id, size_t from, size_t to, const int32_t *tok,
                         size_t n, ox_err *err);
int store_doc_tokens_get(store *st, int64_t id, size_t from, size_t to, struct ox_tokens *out,
                         ox_err *err);

/* ---- citations ---------------------------------------------------------- */

struct store_cite {
    size_t msg_from, msg_to; /* bytes of the message's text */
    const char *quote;
    enum cite_verdict verdict;
    int64_t doc; /* 0: none, or deleted since */
    size_t from, to, line_from, line_to, page;
};
/* Replaces the citations of a message. */
int store_cite_put(store *st, int64_t message, const struct store_cite *v, size_t n, ox_err *err);
/* One more, inside the caller's transaction. */
int store_cite_append(store *st, int64_t message, const struct store_cite *c, ox_err *err);
int store_cite_list(store *st, int64_t message,
                    int (*each)(void *user, const struct store_cite *row), void *user, ox_err *err);

/* ---- long summaries ----------------------------------------------------- */

enum store_job_state { STORE_JOB_RUNNING, STORE_JOB_STOPPED, STORE_JOB_DONE, STORE_JOB_FAILED };
struct store_part {
    int level, idx;  /* level 0 reads the text, level n merges level n - 1 */
    size_t from, to; /* bytes of the document */
    const char *text;
    size_t n_tokens;
};
/* The job of this document, model in use and options (JSON text): a stored one with its parts, or
 * new. */
int store_job_open(store *st, int64_t doc, const char *options, int64_t *job,
                   enum store_job_state *was, ox_err *err);
int store_job_restart(store *st, int64_t job, ox_err *err); /* drops its parts */
int store_job_part(store *st, int64_t job, const struct store_part *part, ox_err *err); /* T6 */
int store_job_parts(store *st, int64_t job, int (*each)(void *user, const struct store_part *row),
                    void *user, ox_err *err); /* by level, then idx */
int store_job_end(store *st, int64_t job, enum store_job_state how, int64_t result_message,
                  ox_err *err);

#endif
