/* manual.h - the manual page. */
#ifndef MANUAL_H
#define MANUAL_H

#include "app/cli/verb.h"

void manual_print(const struct cli *c); /* oxbow(1) in roff, on stdout */

#endif
