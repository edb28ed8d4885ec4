/* ambiguous.h - which characters are one cell wide in some terminals and two in others. Pure. */
#ifndef CORE_AMBIGUOUS_H
#define CORE_AMBIGUOUS_H

#include <stdbool.h>
#include <stdint.h>

bool ambiguous_is(int32_t cp);

#endif
