/* template.h - chat messages to tokens, in the renderings known by their digest. docs/MODEL.md 7.
 *
 * No jinja is run: a folder's template is compared with a table, and a built-in form renders.
 * Literals of a form may be added tokens, the text of messages never is; what lies between two
 * added tokens is encoded as one string, so that ids equal those of other tools. Pure after
 * opening, [any] thread. */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include "engine/folder.h"
#include "engine/tokenizer.h"

struct chat_template {
    const struct template_form *form; /* static table entry, never NULL after open */
    const tokenizer *tok;             /* borrowed */
    struct ox_key id;                 /* digest of the jinja text; of nothing if there is none */
    bool thinks;
    int32_t close[16];
    int n_close; /* ids that close a turn: <|im_end|> and newline */
    int32_t stop[8];
    int n_stop;     /* <|im_end|>, <|endoftext|> where the vocabulary has them */
    char note[160]; /* "unknown template: .. is used"; "" if known */
};
/* OX_EMODEL: tokenizer_config.json had to be read and is damaged. */
int template_open(struct folder *f, const tokenizer *tok, struct chat_template *out, ox_err *err);
const char *template_name(const struct chat_template *t); /* of the form; never NULL */

/* As ox_render. Every turn is closed by `close`, also the last one, where the Olmo template prints
 * <|endoftext|>: so the ids of a conversation begin with those of its beginning. msg[i].tok stands
 * for the content of a message; header and closing marks are added. In a Think model, tok of an
 * assistant are the sampled ids: `<think>` of the generation prompt is put before them if they
 * close a thought or are to be continued (CONTINUE), else the empty thought of OX_REPLY_NO_THINK.
 * OX_EUSAGE: a role that is none, CONTINUE without an answer at the end. On an error `out` is as it
 * was. */
int template_render(const struct chat_template *t, const struct ox_msg *msg, size_t n,
                    enum ox_reply reply, struct ox_tokens *out, size_t *ends, ox_err *err);

/* The same with all that the published templates know: what template_render is made of. */
struct template_msg { /* pointers borrowed for the call; optional ones may be NULL */
    const char *role; /* "system", "user", "assistant", "environment", "tool", .. */
    const char *text;
    size_t n_bytes;
    const int32_t *tok; /* optional; then text is not used */
    size_t n_tok;
    const char *functions;      /* optional, system: what stands between the tags */
    const char *function_calls; /* optional, assistant: the same */
    bool joined;
};
struct template_turns {
    const struct template_msg *msg;
    size_t n;
    const char *tools; /* optional: a JSON list on one line, ", " and ": " between its parts */
    enum ox_reply reply;
    bool ends_as_published; /* a last assistant turn ends as the published template writes it */
};
int template_render_turns(const struct chat_template *t, const struct template_turns *turns,
                          struct ox_tokens *out, size_t *ends, ox_err *err);
/* The text of the same; appends to *text, grown by ox_grow. No message may have tok. */
int template_write(const struct chat_template *t, const struct template_turns *turns, char **text,
                   size_t *n, size_t *cap, ox_err *err);

#endif
