/* offline.h - tasks of ox_offline: work on a model's files without a conversation. Each result is
 * one JSON object handed to `line`; its member "event" says which of those below it is. One thread.
 *
 *   INSPECT   args    tensors: bool
 *             events  tensor    name, type, shape, bytes, file: each, with tensors
 *                     model     what build_model in offline.c lists
 *   VERIFY    events  progress  done, of: bytes; about a hundred
 *                     verified  tensors, of, bytes, hash (of every byte), key (ox_info.weights)
 *   QUANTIZE  args    out: folder; bits: 8 or 4; lm_head: bool, in 8 bits
 *             events  progress  done, of: bytes of the source
 *                     error     kind, bits, group, matrices, rms, worst: relative
 *                     quantized out, bytes_before, bytes_after
 *   BENCH     args    ctx: [tokens], 8192 if absent; reply: tokens, 64; shape: "7b", "mini",
 * "tiny", a made-up model with weights: "int4", "int8", "bf16", in the folder dir: "/tmp" events
 * machine   device, backend, load_s, weight_bytes, read_bytes_s: what all threads read from memory
 * in a second, measured beside; null on a GPU bench     case: "prefill", "decode"; ctx, min_s,
 * median_s, p95_s, tok_s; for decode: bytes, limit_s = bytes / read_bytes_s, share of it, or null
 */
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

/* A path as JSON text; "?" for one that is not UTF-8. Owned. */
json_t *offline_name(const char *path);

int offline_quantize(struct offline *o, ox_err *err);
/* offline_bench.c */
int offline_bench(struct offline *o, const struct ox_engine_opts *opts, ox_err *err);

/* offline_shape.c: a made-up model ("7b", "mini", "tiny") of 16, 8 or 4 bits in an empty or new
 * folder, with the tokenizer of `from`. Its answers mean nothing. */
int offline_shape(struct folder *from, const char *shape, int bits, const char *dir, ox_err *err);
void offline_shape_remove(const char *dir);

#endif
