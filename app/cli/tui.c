/* tui.c - see tui.h. */
#include "app/cli/tui.h"

#include "app/cli/input.h"
#include "app/loop.h"

#include <string.h>
#include <unistd.h>

bool tui_wanted(const struct cli *c) {
    const struct config *conf = &c->conf;
    bool bare =
        conf->plain || conf->accessible || strcmp(conf->term, "dumb") == 0 || conf->term[0] == 0;
    return !bare && !c->is_named && isatty(STDOUT_FILENO);
}

int tui_run(struct cli *c, ox_err *err) {
    struct input in = {0};
    int rc = input_read(c, isatty(STDIN_FILENO) ? INPUT_LEAVE : INPUT_DOCUMENT, &in, err);
    const char *id = flags_get(&c->flags, "-r");
    const struct loop_opts opts = {
        .conf = &c->conf,
        .draft = buf_str(&in.prompt),
        .system = in.system.n ? buf_str(&in.system) : NULL,
        .resume = flags_has(&c->flags, "-r") ? (id ? id : "") : NULL,
        .is_continue = flags_has(&c->flags, "-c"),
        .doc = in.doc,
        .n_docs = in.n_docs,
    };
    int signo = 0;
    if (!rc) rc = loop_run(&opts, &signo, err);
    if (signo) c->status = 128 + signo;
    input_deinit(&in);
    return rc;
}
