/* offline.h - tasks of ox_offline: work on a model's files without a conversation. Each result is
 * one JSON object handed to `line`; its member "event" says which of those below it is. One thread.
 *
 *   task      args                            events
 *   INSPECT   tensors: bool                   tensor: name type shape bytes file (with tensors)
 *                                             model: see offline.c; one, last
 *   VERIFY    -                               progress: done of (bytes); about a hundred
 *                                             verified: tensors of bytes hash key
 *   QUANTIZE  out: folder, bits: 8 or 4,      progress: done of (bytes of the source)
 *             lm_head: bool (8 bits, off)     error: kind bits group matrices rms worst
 *                                             quantized: out bytes_before bytes_after
 *   BENCH     ctx: [tokens], reply: tokens    machine: device backend load_s weight_bytes
 * read_bytes_s (8192 and 64 if absent)         bench: case ctx min_s median_s p95_s tok_s, and for
 *                                             case "decode": bytes limit_s share
 *   read_bytes_s: what all threads read from memory in a second, measured beside; null where the
 *   device is no CPU, then limit_s and share are null as well. limit_s: bytes / read_bytes_s. */
#ifndef OFFLINE_H
#define OFFLINE_H

#include "engine/config.h"
#include "engine/ox.h"
#include "engine/safetensors.h"
#include "engine/weights.h"

#include <jansson.h>

struct offline {
    struct folder *folder;
    struct ox_config config;
    struct st_set tensors;
    const json_t *args; /* an object or NULL */
    int (*line)(void *user, const char *json);
    void *user;
};

/* Hands one object to the caller; adopts it. OX_ECANCELLED when `line` wants no more. */
int offline_say(const struct offline *o, json_t *object, ox_err *err);
/* Says "progress" when another hundredth is done. *shown begins at 0. */
int offline_progress(const struct offline *o, uint64_t done, uint64_t of, int *shown, ox_err *err);
/* An argument of the task: true if it is there and of that kind. */
bool offline_flag(const struct offline *o, const char *key);
const char *offline_text(const struct offline *o, const char *key); /* or NULL */

int offline_quantize(struct offline *o, ox_err *err); /* offline_quantize.c */
int offline_bench(struct offline *o, const struct ox_engine_opts *opts,
                  ox_err *err); /* offline_bench.c */

#endif
