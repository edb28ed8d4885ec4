/* template.h - chat messages to tokens, in the renderings known by their digest. docs/MODEL.md 7.
 * Literals of the template may be added tokens; message text never is. */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include "engine/folder.h"
#include "engine/tokenizer.h"

struct chat_template {
    const struct template_form *form; /* static table entry, never NULL after open */
    const tokenizer *tok;             /* borrowed */
    struct ox_key id;                 /* digest of the jinja text */
    bool thinks;
    int32_t close[4]; int n_close;    /* ids that close a turn: <|im_end|> and newline */
    int32_t stop[8]; int n_stop;      /* <|im_end|>, <|endoftext|> where the vocabulary has them */
    char note[160];                   /* "unknown template: .. is used"; "" if known */
};
int template_open(struct folder *f, const tokenizer *tok, struct chat_template *out, ox_err *err);
/* As ox_render. */
int template_render(const struct chat_template *t, const struct ox_msg *msg, size_t n,
                    enum ox_reply reply, struct ox_tokens *out, size_t *ends, ox_err *err);

#endif
