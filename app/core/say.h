/* say.h - numbers for people: 81,204 and 41.2k, 3.1 GiB, "2 min 10 s". Pure, any thread.
 * Each function writes at most SAY_BYTES to `out` and returns it, so that a call can stand in a
 * printf. */
#ifndef SAY_H
#define SAY_H

#include "app/core/chat.h"

#include <stddef.h>
#include <stdint.h>

enum { SAY_BYTES = 32, SAY_PRICE_BYTES = 96, SAY_COST_BYTES = 128 };

char *say_count(char out[SAY_BYTES], uint64_t n); /* 81,204 */
char *say_short(char out[SAY_BYTES], uint64_t n); /* 0.2k 41.2k 1.3M; below 100 as it is */
char *say_limit(char out[SAY_BYTES], uint64_t n); /* of a context: 64k for 65,536, else as it is */
char *say_bytes(char out[SAY_BYTES], uint64_t n); /* 812 B, 3.1 KiB, 812 MiB */
char *say_time(char out[SAY_BYTES], double seconds); /* 0.4 s, 19 s, 2 min 10 s, 1 h 12 min */

/* What an answer took in: "41,233 reused, 312 read, exact"; of a server "41,545 read, remote, no
 * saved states", with "about" where it told no counts. */
char *say_cost(char out[SAY_COST_BYTES], const struct chat_ledger *l);
/* "restart 312 tokens back, about 0.2 s", or that nothing is read again. Below 0 seconds: nothing
 * is kept where the model runs, so all of it is sent again. */
char *say_restart(char out[SAY_PRICE_BYTES], uint64_t n_tokens, double seconds);
/* "3 answers, nothing read again, about 10 s": n answers that read n_read tokens together and take
 * `seconds`; 0: not known. */
char *say_answers(char out[SAY_PRICE_BYTES], size_t n, uint64_t n_read, double seconds);
/* "41,233 tokens must be read again, about 21 s"; without seconds if they are not known (0). */
char *say_price(char out[SAY_PRICE_BYTES], uint64_t n_tokens, double seconds);

#endif
