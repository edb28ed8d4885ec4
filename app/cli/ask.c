/* ask.c - one question, one answer on stdout. */
#include "app/cli/verb.h"
static int run(struct cli *c, ox_err *err) {
    (void)c;
    (void)err;
    return 0;
}
const struct verb verb_ask = {"ask", "PROMPT", "one answer on stdout", "-f", "", 0, -1, run};
const struct verb verb_chat = {"chat", "PROMPT", "one answer on stdout", "-f", "", 0, -1, run};
const struct verb verb_model = {"model", "PROMPT", "one answer on stdout", "-f", "", 0, -1, run};
const struct verb verb_completion = {"completion", "PROMPT", "one answer on stdout", "-f", "", 0,
                                     -1,           run};
