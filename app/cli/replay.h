/* replay.h - `show --replay`: the last answer of a session once more, from its ledger, token for
 * token. */
#ifndef REPLAY_H
#define REPLAY_H

#include "app/cli/verb.h"

/* Reads everything afresh, saves nothing. leaf 0: the path on screen. An import has no ids: there
 * the words are compared. OX_EFAIL after saying which token or byte is the first that differs;
 * OX_ENOTFOUND: no answer with a ledger. */
int replay_run(struct cli *c, int64_t chat, int64_t leaf, ox_err *err);

#endif
