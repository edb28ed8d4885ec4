/* chat_json.h - what goes to a chat server and what comes back, as JSON: the request of POST
 * /chat/completions, one event of its stream, the error of a refusal. Pure.
 *
 * Source: the OpenAI API reference, "Create chat completion" and "streaming", and what llama.cpp's
 * server, vLLM and Ollama answer to it. */
#ifndef REMOTE_CHAT_JSON_H
#define REMOTE_CHAT_JSON_H

#include "app/core/prompt.h"

/* Token counts without a tokenizer: four letters of ASCII a token, a token for each character of
 * three bytes and more, half a one for those between. On the high side for prose. */
size_t chat_estimate(const char *text, size_t n);
/* The same of a whole prompt, with the marks of its turns. ends (or NULL) gets p->n counts: up to
 * and with each message. *n_bytes: of its texts. */
size_t chat_estimate_prompt(const struct prompt *p, size_t *ends, size_t *n_bytes);

/* Messages of one turn that were kept apart (documents) are joined. Sampling that is below 0 was
 * not said and is left to the server; top_k, min_p and the repetition penalty have no place in the
 * protocol. max_new 0: up to the server. Not the whole of how->seed: servers want 31 bits. */
int chat_request(const struct prompt *p, const char *model, const struct ox_sampling *how,
                 size_t max_new, struct buf *out, ox_err *err);

enum chat_finish { CHAT_FINISH_NONE, CHAT_FINISH_STOP, CHAT_FINISH_LENGTH };
struct chat_event {
    bool is_last; /* [DONE] */
    char *text;   /* owned, valid UTF-8; NULL: none in this event */
    size_t n_text;
    enum chat_finish finish;
    bool has_usage;
    size_t n_in, n_out; /* tokens, the server's numbers */
};
/* OX_EFORMAT: no JSON, or JSON that is no event of a chat. OX_EIO: the server told an error in the
 * stream; its words are in err. */
int chat_event_parse(const char *data, size_t n, struct chat_event *out, ox_err *err);
void chat_event_deinit(struct chat_event *e);

/* The server's own words in the body of a refusal: error.message, error, message or detail, else
 * its first bytes. */
int chat_error_words(const char *body, size_t n, struct buf *out, ox_err *err);

#endif
