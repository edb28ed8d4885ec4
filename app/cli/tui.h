/* tui.h - from the command line into the interactive screen, or the reason to stay with plain
 * lines. */
#ifndef TUI_H
#define TUI_H

#include "app/cli/verb.h"

/* Whether this terminal and these settings get the screen: not with --plain, TERM=dumb or
 * ACCESSIBLE, nor without a terminal to draw on. */
bool tui_wanted(const struct cli *c);
/* Runs it. OX_EFAIL and nothing on the terminal: it cannot be drawn on, plain lines can go on. */
int tui_run(struct cli *c, ox_err *err);

#endif
