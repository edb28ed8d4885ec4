/* fake_engine.h - the script of the scripted engine: what it answers, how slowly, and where it
 * fails.
 *
 * Tokens are bytes (ids 0..255); 256 opens a turn and 257 closes it. An answer is the text of the
 * first rule whose `when` occurs in the last user turn, else `answer`, else the words of the user
 * back. "%seed" in an answer becomes the seed. Unit tests set fake_script before ox_engine_open;
 * programs name a script file with -m: lines of "key value", see fake_engine.c. */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include "engine/ox.h"

enum { FAKE_RULES = 16, FAKE_OPEN = 256, FAKE_CLOSE = 257 };

struct fake_script {
    char answer[4096]; /* "" : echo */
    struct {
        char when[128], answer[2048];
    } rule[FAKE_RULES];
    size_t n_rules;
    unsigned token_us, prefill_us; /* sleep a token */
    unsigned open_us;              /* sleep of ox_engine_open */
    int open_code, sync_code;      /* OX_E* to fail with; 0: fine */
    int next_code;
    size_t next_after;     /* fails in place of answer token next_after */
    uint32_t max_tokens;   /* 0: 65,536 */
    uint64_t weight_bytes; /* 0: 1,000 */
    bool thinks;
    size_t n_forward; /* counted: tokens that were "computed" */
};
extern struct fake_script fake_script;

#endif
