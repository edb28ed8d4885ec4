/* chat.c - the conversation verb; also what runs without a verb on a terminal. */
#include "app/cli/tui.h"
#include "app/cli/verb.h"

static int run(struct cli *c, ox_err *err) {
    if (tui_wanted(c)) return tui_run(c, err);
    ox_err_set(err, OX_EUSAGE, "no terminal on stdout");
    return ox_err_fix(err, "oxbow ask \"..\" answers once, in pipes too");
}

const struct verb verb_chat = {
    .name = "chat",
    .args = "",
    .brief = "converse",
    .flags = "-c -r -f -s -n --plain --think --no-think --no-mouse " FLAGS_MODEL FLAGS_SAMPLING FLAGS_STORE
        FLAGS_ALWAYS,
    .examples = "oxbow chat --plain",
    .max_words = -1,
    .run = run,
};
