/* doctor_term.h - asks the terminal how many cells it draws a cluster in, by where its cursor
 * stands then (CSI 6 n). Only `doctor --term` does: an answer may take a second, or never come. UI
 * thread.
 */
#ifndef DOCTOR_TERM_H
#define DOCTOR_TERM_H

#include <stdbool.h>

struct drawn_cluster {
    const char *name, *bytes;
    int drawn; /* cells; -1: no answer */
    bool is_ambiguous;
};
enum { DRAWN_CLUSTERS = 5 };

/* The five clusters as the terminal of this process draws them now; its line is empty again
 * afterwards. False: there is no terminal, or it never said where its cursor is. */
bool doctor_ask_terminal(struct drawn_cluster out[DRAWN_CLUSTERS]);

#endif
