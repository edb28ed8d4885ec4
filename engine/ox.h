/* ox.h - all that the application sees of the engine: a model, timelines of tokens, text in and out.
 *
 * An engine holds one model: weights packed for one backend, tokenizer, chat template. A session is
 * one timeline: token ids from position 0, with the delta states, convolution states, KV pages and
 * logits that belong to them. The caller always passes the whole prefix it wants; the engine extends
 * the live timeline, restores a stored snapshot or computes, and reports how many tokens went which
 * way. Functions marked [any] may be called from any thread; all else from the one that opened.
 * Errors: 0 or OX_E*, text in err (kernels/base/ox_err.h). Cancelling is not an error of the model:
 * OX_ECANCELLED, and what was finished stays. */
#ifndef OX_H
#define OX_H

#include "kernels/base/ox_err.h"
#include "kernels/base/ox_mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ox_engine ox_engine;
typedef struct ox_session ox_session;

enum ox_role { OX_ROLE_NONE, OX_ROLE_SYSTEM, OX_ROLE_USER, OX_ROLE_ASSISTANT };
enum ox_reply {
    OX_REPLY_NONE,     /* no generation prompt: the turns as they stand, all closed */
    OX_REPLY_OPEN,     /* open an assistant turn */
    OX_REPLY_NO_THINK, /* the same, thinking switched off (Think models) */
    OX_REPLY_CONTINUE, /* the last message is an unfinished answer: leave it open */
    OX_REPLY_CONTINUE_NO_THINK /* the same; it was opened with thinking switched off */
};
enum ox_blob { OX_BLOB_NONE, OX_BLOB_STATE, OX_BLOB_PAGE, OX_BLOB_TAIL }; /* STORE.md section 5 */
enum ox_why { /* reasons of a snapshot, STORE.md section 6 */
    OX_WHY_NONE, OX_WHY_GRID, OX_WHY_SYSTEM, OX_WHY_DOCUMENT, OX_WHY_ASK, OX_WHY_TURN, OX_WHY_STOP
};

struct ox_key { uint64_t hi, lo; };                  /* XXH3-128: finds; comparing bytes decides */
struct ox_prefix { const int32_t *tok; size_t n; };  /* borrowed */
struct ox_tokens { int32_t *v; size_t n, cap; };     /* caller owns v (ox_free); {0} is empty */
struct ox_border { size_t at; enum ox_why why; };    /* a position worth a snapshot */

struct ox_sampling {
    float temperature, top_p, min_p, repeat; /* off: 0 = argmax, 1, 0, 1 */
    int top_k;                               /* 0: off */
    uint64_t seed;
    size_t reply_at; /* the repetition penalty counts ids from this position on */
};

struct ox_engine_opts {
    const char *model_dir; /* NULL: the built-in model */
    const char *backend;   /* NULL: auto; "cpu", "cpu-ref", "cpu-avx2", "cuda", "cuda:1" */
    const char *kv;        /* NULL: bf16 (f32 on cpu-ref); "bf16", "int8", "f32" */
    int n_threads;         /* 0: physical cores, or what a container allows */
    uint32_t max_tokens;   /* 0: 65,536; context limit of the sessions */
    bool no_rope, f32_activations;
};

/* Borrowed until the engine is closed. */
struct ox_info {
    const char *name;    /* "oxbow-mini", or the folder's name */
    const char *backend; /* name of the space: "cpu-avx512", "cuda-sm90" */
    const char *device;  /* for people */
    struct ox_key weights, vocab, template_id, space; /* STORE.md sections 1 and 2 */
    uint64_t numerics;
    uint64_t weight_bytes, token_bytes, state_bytes; /* resident; KV of a token; one state record */
    uint64_t n_params;
    struct ox_sampling defaults; /* generation_config.json, else MODEL.md 7.3 */
    uint32_t n_vocab, trained_tokens, max_tokens, default_reply_tokens; /* 0: up to the context */
    uint32_t n_gdn_layers, n_attn_layers;
    bool thinks;              /* a Think model: answers begin inside <think> */
    bool rope_on;             /* a stage 1 or 2 checkpoint, or a re-saved folder */
    bool is_remote;           /* never set by the engine: the app's stand-in for a model on a server,
                               * which has no ids and no states; token counts are estimates */
    const char *note;         /* warnings of opening, one a line; "" if none */
};

struct ox_msg { /* pointers borrowed for the call */
    enum ox_role role;
    bool joined; /* same turn as the one before, encoded apart: documents, STORE.md section 1 */
    const char *text;
    size_t n_bytes;
    const int32_t *tok; /* if set, used instead of text: the content of a saved turn, without header
                         * and closing marks, is not re-encoded */
    size_t n_tok;
};

struct ox_plan { /* tokens of the wanted prefix, by where they come from; the four add up to it */
    size_t live, restored, replay, fresh; /* replay: computed again below an earlier end */
    uint64_t bytes;                       /* to read from the store */
    double time_s;                        /* estimate; afterwards: measured */
    double deepening; /* a token at position p is taken to cost 1 + deepening * p of one at 0 */
    bool exact; /* nothing replayed, and continued from the own saved state or the live timeline */
};

struct ox_found { uint64_t id; size_t n; bool exact; uint64_t bytes; double load_s; };
struct ox_state_io { /* where state bytes live: app/store/states.c, or NULL */
    void *user; /* carries also whose own state is wanted and made (tips, STORE.md section 2) */
    /* The longest stored prefix of want, at most `want.n` long; n = 0 if none. The own state comes
     * before a longer one of others. Called again with a shorter want after a miss. */
    int (*find)(void *user, struct ox_prefix want, struct ox_found *out, ox_err *err);
    /* Bytes of one blob, checksums verified before it returns 0. Any failure is a miss; what was
     * damaged is dropped and logged by the store. STATE and TAIL: page 0. */
    int (*get)(void *user, uint64_t id, enum ox_blob what, size_t page, void *dst, size_t n,
               ox_err *err);
    /* Copies. `at` is the whole prefix that the bytes belong to: for a page up to its last token.
     * Pages first, in order, then the tail, the state record last makes it findable. OX_ENOTFOUND:
     * earlier pages are not known (any more), all are put again. Any other failure: skipped. */
    int (*put)(void *user, enum ox_blob what, enum ox_why why, struct ox_prefix at, const void *p,
               size_t n, ox_err *err);
    /* The sums were right, the record is not: foreign, of another position, not finite. It should be
     * dropped and logged. May be NULL. */
    void (*refuse)(void *user, uint64_t id, const ox_err *why);
};
struct ox_sync_opts {
    const struct ox_border *borders; /* ascending positions inside want */
    size_t n_borders;
    const struct ox_state_io *io; /* NULL: restore and keep nothing. Used by `next` as well, for the
                                   * grid, until the next sync or close */
    void *user;                   /* progress: after each chunk; n_done tokens of want are live */
    void (*progress)(void *user, const struct ox_plan *plan, size_t n_done);
};

int  ox_engine_open(const struct ox_engine_opts *opts, ox_engine **out, ox_err *err);
void ox_engine_close(ox_engine *e); /* NULL is fine; sessions first */
const struct ox_info *ox_engine_info(const ox_engine *e); /* [any] */
/* Tells what a token at position 0 took in an earlier process, for the estimates of plans until this
 * one has measured; 0: not known. Thread of the engine's sessions. */
void ox_engine_speed(ox_engine *e, double s_per_token);
const char *ox_backends(void); /* [any] those built in: "cpu" or "cpu, cuda" */

/* [any] Appends the ids of n bytes of user or document text; no added token is recognised in it.
 * Ill-formed UTF-8 becomes U+FFFD. On an error `out` is as it was. */
int ox_encode(const ox_engine *e, const char *text, size_t n, struct ox_tokens *out, ox_err *err);
/* [any] The raw bytes of one token: at most cap are written, the full length is returned. May be part
 * of a character. -1: no such id. */
int ox_token_text(const ox_engine *e, int32_t tok, char *out, size_t cap);
/* [any] Renders messages with the model's chat template. ends (or NULL) gets n positions: where each
 * message ends in out, its closing marks included; positions count from out->n at entry. */
int ox_render(const ox_engine *e, const struct ox_msg *msg, size_t n, enum ox_reply reply,
              struct ox_tokens *out, size_t *ends, ox_err *err);
bool ox_is_stop(const ox_engine *e, int32_t tok); /* [any] */

/* Streaming decode: ids in, whole characters out (docs/MODEL.md 6.1). [any] {0} is a fresh one. */
struct ox_decoder { unsigned char held[4]; int n_held; };
/* Appends the text that becomes visible after tok to *text (grown with ox_grow, n and cap counted by
 * the caller's fields); tok -1 flushes a held-back tail as U+FFFD. */
int ox_decode(const ox_engine *e, struct ox_decoder *d, int32_t tok, char **text, size_t *n,
              size_t *cap, ox_err *err);

int  ox_session_open(ox_engine *e, ox_session **out, ox_err *err);
void ox_session_close(ox_session *s); /* NULL is fine */
/* What sync would do; changes nothing. */
int ox_session_plan(ox_session *s, struct ox_prefix want, const struct ox_sync_opts *opts,
                    struct ox_plan *out, ox_err *err);
/* Makes `want` the timeline. Afterwards next draws the token behind it. OX_EFIT: longer than
 * max_tokens. Cancelled: finished chunks stay, the timeline is a prefix of want. */
int ox_session_sync(ox_session *s, struct ox_prefix want, const struct ox_sync_opts *opts,
                    struct ox_plan *done, ox_err *err);
/* Draws the next token and appends it to the timeline; a stop id is returned and not appended. */
int ox_session_next(ox_session *s, const struct ox_sampling *how, int32_t *tok, ox_err *err);
/* Keeps the present position: the end of a turn, of a stopped answer. What the store cannot take is
 * skipped without an error. */
int ox_session_snapshot(ox_session *s, enum ox_why why, const struct ox_state_io *io, ox_err *err);
struct ox_prefix ox_session_timeline(const ox_session *s); /* borrowed until the next call */
void ox_session_cancel(ox_session *s); /* [any] async-signal-safe; one that strikes before
                                            * the sync it is meant for is forgotten by it */

/* Work on files without a conversation. Each result is one JSON object handed to `line`; non-zero
 * from it stops. args is a JSON object of options, or NULL. docs/ARCHITECTURE.md section 5. */
enum ox_task { OX_TASK_NONE, OX_TASK_INSPECT, OX_TASK_VERIFY, OX_TASK_QUANTIZE, OX_TASK_BENCH };
int ox_offline(enum ox_task task, const struct ox_engine_opts *opts, const char *args,
               int (*line)(void *user, const char *json), void *user, ox_err *err);

#endif
