/* clock.h - the two clocks of the application. Any thread. The store has its own (app/store/db.h),
 * because it may not look above itself. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

double clock_s(void);       /* monotonic seconds: how long something takes */
int64_t clock_utc_us(void); /* microseconds since 1970, UTC: when something was */

#endif
