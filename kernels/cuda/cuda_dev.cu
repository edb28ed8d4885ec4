/* cuda_dev.cu - kn_cuda(): the open device, memory, copies, and the table of operations. What
 * computes is in the other files; which kernel takes an operation is decided here by the number
 * of rows. */
#include "kernels/cuda/cuda_dev.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raise by one whenever a result of any kernel may change in one bit: stored states of the old
 * arithmetic are then computed again instead of mixed with new ones. */
enum { CUDA_REVISION = 3 };
enum { CHUNK_TOKENS = 4096, SMALL_CHUNK_TOKENS = 2048 };
static const size_t SMALL_CARD = (size_t)36 << 30, SMALL_SCRATCH = (size_t)32 << 20;
/* Prefill scratch of a 4096-token chunk of the 7B, upload buffers and cuBLASLt's workspace. */
static const size_t RESERVE = (size_t)900 << 20;

/* ---- errors --------------------------------------------------------------------------------- */

static uint64_t fail_count, fail_at;

extern "C" uint64_t cuda_fail_at(uint64_t n) {
    uint64_t seen = fail_count;
    fail_count = 0;
    fail_at = n;
    return seen;
}

bool cu_launch_fails(void) {
    return ++fail_count == fail_at;
}

int cu_check(kn_dev *dev, cudaError_t rc, const char *what, ox_err *err) {
    if (dev && dev->lost.code) {
        if (err) *err = dev->lost;
        return dev->lost.code;
    }
    if (rc == cudaSuccess) return 0;
    cudaGetLastError(); /* an error that is not sticky must not show up again elsewhere */
    if (rc == cudaErrorMemoryAllocation) {
        ox_err_set(err, OX_ENOMEM, "%s: the device has not enough memory", what);
        ox_err_fix(err,
                   "close other programs on the device, shorten the context, or use --backend cpu");
        return OX_ENOMEM;
    }
    ox_err lost = {};
    ox_err_set(&lost, OX_EDEVICE, "%s: %s (%s)", what, cudaGetErrorString(rc),
               cudaGetErrorName(rc));
    ox_err_fix(&lost,
               "start again; if it stays, use --backend cpu and look at nvidia-smi and dmesg");
    if (dev) dev->lost = lost; /* nothing that was queued can be trusted any more */
    if (err) *err = lost;
    return OX_EDEVICE;
}

/* ---- memory --------------------------------------------------------------------------------- */

int cu_alloc(kn_dev *dev, size_t bytes, const char *purpose, void **out, ox_err *err) {
    size_t free_bytes = 0, total = 0;
    if (cu_launch_fails()) return cu_check(dev, cudaErrorMemoryAllocation, purpose, err);
    int rc = cu_check(dev, cudaMemGetInfo(&free_bytes, &total), purpose, err);
    if (rc) return rc;
    cudaError_t got =
        bytes <= free_bytes ? cudaMalloc(out, bytes ? bytes : 1) : cudaErrorMemoryAllocation;
    if (got != cudaErrorMemoryAllocation) return cu_check(dev, got, purpose, err);
    cudaGetLastError();
    ox_err_set(err, OX_ENOMEM, "%s: needs %.1f MB on the device, %.1f of %.1f MB are free", purpose,
               (double)bytes / 1e6, (double)free_bytes / 1e6, (double)total / 1e6);
    ox_err_fix(err, "shorten the context, take int8 or int4 weights, or use --backend cpu");
    return OX_ENOMEM;
}

int cu_work(kn_dev *dev, size_t bytes, char **out, ox_err *err) {
    if (bytes > dev->work_bytes) {
        if (dev->is_capturing)
            return ox_err_set(err, OX_EUSAGE, "scratch may not grow while a step is recorded");
        int rc = cu_check(dev, cudaStreamSynchronize(dev->stream), "prefill scratch", err);
        if (rc) return rc;
        if (dev->work) cudaFree(dev->work);
        dev->work = NULL;
        dev->work_bytes = 0;
        rc = cu_alloc(dev, bytes, "prefill scratch", (void **)&dev->work, err);
        if (rc) return rc;
        dev->work_bytes = bytes;
    }
    *out = dev->work;
    return 0;
}

static int dev_alloc(kn_dev *dev, enum kn_mem where, size_t bytes, void **out, ox_err *err) {
    if (dev->lost.code) return cu_check(dev, cudaSuccess, "alloc", err);
    int rc;
    if (where == KN_PINNED) {
        rc = cu_check(dev, cudaHostAlloc(out, bytes ? bytes : 1, cudaHostAllocDefault),
                      "pinned memory", err);
        if (!rc) memset(*out, 0, bytes);
        return rc;
    }
    rc = cu_alloc(dev, bytes, "device memory", out, err);
    if (!rc) rc = cu_check(dev, cudaMemsetAsync(*out, 0, bytes, dev->stream), "device memory", err);
    return rc;
}

static void dev_release(kn_dev *dev, void *mem) {
    if (!mem) return;
    if (dev) step_drop_capture(dev); /* a step that failed while it was recorded */
    cudaPointerAttributes at;
    if (cudaPointerGetAttributes(&at, mem) == cudaSuccess && at.type == cudaMemoryTypeHost)
        cudaFreeHost(mem);
    else
        cudaFree(mem);
    cudaGetLastError();
}

static int dev_copy(kn_dev *dev, void *dst, const void *src, size_t bytes, ox_err *err) {
    if (!bytes) return cu_check(dev, cudaSuccess, "copy", err);
    int rc = cu_check(dev, cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDefault, dev->stream), "copy",
                      err);
    return rc ? rc : cu_check(dev, cudaStreamSynchronize(dev->stream), "copy", err);
}

static int dev_drain(kn_dev *dev, void *pinned, const void *src, size_t bytes, uint64_t *ticket,
                     ox_err *err) {
    cudaEvent_t done = dev->ticket_event[dev->n_tickets % MAX_DRAWS];
    int rc = cu_check(dev, cudaEventSynchronize(done), "drain", err); /* eight copies under way */
    if (!rc) rc = cu_check(dev, cudaEventRecord(dev->fork, dev->stream), "drain", err);
    if (!rc) rc = cu_check(dev, cudaStreamWaitEvent(dev->side, dev->fork, 0), "drain", err);
    if (!rc)
        rc = cu_check(dev, cudaMemcpyAsync(pinned, src, bytes, cudaMemcpyDefault, dev->side),
                      "drain", err);
    if (!rc) rc = cu_check(dev, cudaEventRecord(done, dev->side), "drain", err);
    if (!rc) *ticket = ++dev->n_tickets;
    return rc;
}

static int dev_wait(kn_dev *dev, uint64_t ticket, ox_err *err) {
    if (ticket == 0 || ticket + MAX_DRAWS <= dev->n_tickets)
        return cu_check(dev, cudaSuccess, "wait", err);
    return cu_check(dev, cudaEventSynchronize(dev->ticket_event[(ticket - 1) % MAX_DRAWS]), "wait",
                    err);
}

static int dev_sync(kn_dev *dev, ox_err *err) {
    int rc = cu_check(dev, cudaStreamSynchronize(dev->stream), "sync", err);
    return rc ? rc : cu_check(dev, cudaStreamSynchronize(dev->side), "sync", err);
}

/* ---- open, close ---------------------------------------------------------------------------- */

static int choose_device(const char *which, int *id, ox_err *err) {
    int n = 0, driver = 0; /* 0: none; the runtime would only call it too old */
    cudaError_t rc = cudaDriverGetVersion(&driver);
    if (rc == cudaSuccess && driver) rc = cudaGetDeviceCount(&n);
    if (rc != cudaSuccess || n == 0) {
        ox_err_set(err, OX_ENOTFOUND, "no CUDA device: %s",
                   !driver ? "NVIDIA's driver (libcuda.so.1) is not installed"
                   : rc    ? cudaGetErrorString(rc)
                           : "none found");
        ox_err_fix(err,
                   "install NVIDIA's driver (nvidia-smi must list the card), or use --backend cpu");
        cudaGetLastError();
        return OX_ENOTFOUND;
    }
    *id = 0;
    if (which) {
        char *end;
        long v = strtol(which, &end, 10);
        if (*which && !*end && v >= 0 && v < n) {
            *id = (int)v;
            return 0;
        }
        ox_err_set(err, OX_EDEVICE, "no CUDA device \"%s\": there are %d, counted from 0", which,
                   n);
        ox_err_fix(err, "choose cuda:0 to cuda:%d", n - 1);
        return OX_EDEVICE;
    }
    size_t most = 0;
    for (int i = 0; i < n; i++) {
        cudaDeviceProp p;
        if (cudaGetDeviceProperties(&p, i) != cudaSuccess || p.totalGlobalMem <= most) continue;
        most = p.totalGlobalMem;
        *id = i;
    }
    return 0;
}

static int read_props(kn_dev *dev, ox_err *err) {
    cudaDeviceProp p;
    int rc = cu_check(dev, cudaGetDeviceProperties(&p, dev->id), "open device", err);
    if (rc) return rc;
    if (p.major < 8) {
        ox_err_set(err, OX_EDEVICE, "%s has compute capability %d.%d, 8.0 is needed", p.name,
                   p.major, p.minor);
        ox_err_fix(err, "use --backend cpu on this machine");
        return OX_EDEVICE;
    }
    dev->n_sm = p.multiProcessorCount;
    dev->cc_major = p.major;
    dev->cc_minor = p.minor;
    dev->total_bytes = p.totalGlobalMem;
    dev->smem_max = p.sharedMemPerBlockOptin - 1024; /* what kernels declare statically */
    /* The instructions of dependent launch are in the sm_90a code alone; PTX for others lacks them.
     */
    dev->use_pdl = p.major == 9 && p.minor == 0;
    snprintf(dev->name, sizeof dev->name, "%.63s", p.name);
    return 0;
}

static int make_streams(kn_dev *dev, ox_err *err) {
    int rc = cu_check(dev, cudaStreamCreateWithFlags(&dev->stream, cudaStreamNonBlocking), "stream",
                      err);
    if (!rc)
        rc = cu_check(dev, cudaStreamCreateWithFlags(&dev->side, cudaStreamNonBlocking), "stream",
                      err);
    if (!rc)
        rc = cu_check(dev, cudaEventCreateWithFlags(&dev->fork, cudaEventDisableTiming), "event",
                      err);
    for (int i = 0; !rc && i < MAX_DRAWS; i++)
        rc = cu_check(dev, cudaEventCreateWithFlags(&dev->ticket_event[i], cudaEventDisableTiming),
                      "event", err);
    return rc;
}

static int make_scratch(kn_dev *dev, ox_err *err) {
    struct {
        void **p;
        size_t bytes;
    } parts[] = {
        {(void **)&dev->step, sizeof *dev->step},
        {(void **)&dev->tickets, MAX_TICKETS * sizeof *dev->tickets},
        {(void **)&dev->fix, (size_t)(MAX_CTAS + 1) * SK_ROWS * SK_MAX_T * sizeof *dev->fix},
        {(void **)&dev->fix_flag, (MAX_CTAS + 1) * sizeof *dev->fix_flag},
        {(void **)&dev->small, SMALL_SCRATCH},
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof parts / sizeof parts[0]; i++) {
        rc = cu_alloc(dev, parts[i].bytes, "step scratch", parts[i].p, err);
        if (!rc)
            rc = cu_check(dev, cudaMemsetAsync(*parts[i].p, 0, parts[i].bytes, dev->stream),
                          "scratch", err);
    }
    dev->small_bytes = SMALL_SCRATCH;
    if (!rc)
        rc =
            cu_check(dev, cudaHostAlloc((void **)&dev->result, MAX_DRAWS * 8, cudaHostAllocDefault),
                     "draws", err);
    for (int i = 0; !rc && i < MAX_DRAWS; i++)
        dev->result[i] = 0;
    return rc;
}

static void dev_close(kn_dev *dev) {
    if (!dev) return;
    step_drop_capture(dev);
    if (dev->stream) cudaStreamSynchronize(dev->stream);
    if (dev->side) cudaStreamSynchronize(dev->side);
    step_drop_graphs(dev);
    gemm_close(dev);
    pack_stage_free(dev);
    void *device[] = {dev->step,  dev->tickets, dev->fix,     dev->fix_flag,
                      dev->small, dev->work,    dev->seen_dev};
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
        if (device[i]) cudaFree(device[i]);
    if (dev->result) cudaFreeHost((void *)dev->result);
    if (dev->seen) cudaFreeHost(dev->seen);
    for (int i = 0; i < MAX_DRAWS; i++)
        if (dev->ticket_event[i]) cudaEventDestroy(dev->ticket_event[i]);
    if (dev->fork) cudaEventDestroy(dev->fork);
    if (dev->side) cudaStreamDestroy(dev->side);
    if (dev->stream) cudaStreamDestroy(dev->stream);
    cudaGetLastError();
    ox_free(dev);
}

static int dev_open(const struct kn_open *how, kn_dev **out, ox_err *err) {
    if (how->f32_act) {
        ox_err_set(err, OX_EUSAGE, "the CUDA backend computes with bf16 activations only");
        ox_err_fix(err, "use --backend cpu for exact activations");
        return OX_EUSAGE;
    }
    int id;
    int rc = choose_device(how->which, &id, err);
    if (rc) return rc;
    kn_dev *dev = (kn_dev *)ox_alloc(1, sizeof *dev, "CUDA device", err);
    if (!dev) return OX_ENOMEM;
    dev->id = id;
    dev->host = how->host;
    rc = cu_check(dev, cudaSetDevice(id), "open device", err);
    if (!rc) rc = read_props(dev, err);
    if (!rc) rc = make_streams(dev, err);
    if (!rc) rc = make_scratch(dev, err);
    if (!rc) rc = gemm_open(dev, err);
    if (rc) {
        dev_close(dev);
        return rc;
    }
    *out = dev;
    return 0;
}

static uint64_t hash_words(const uint64_t *w, int n) {
    uint64_t h = 0xcbf29ce484222325ull;
    for (int i = 0; i < n * 8; i++)
        h = (h ^ (w[i / 8] >> (8 * (i % 8)) & 255)) * 0x100000001b3ull;
    return h;
}

static int dev_facts(kn_dev *dev, struct kn_facts *out, ox_err *err) {
    size_t free_bytes = 0, total = 0;
    *out = (struct kn_facts){};
    int rc = cu_check(dev, cudaMemGetInfo(&free_bytes, &total), "device memory", err);
    if (rc) return rc;
    snprintf(out->space, sizeof out->space, "cuda-sm%d%d", dev->cc_major, dev->cc_minor);
    snprintf(out->device, sizeof out->device, "%.40s%s%.53s", dev->name,
             dev->lib_note[0] ? "; " : "", dev->lib_note);
    out->act = KN_BF16;
    out->chunk_tokens = dev->total_bytes < SMALL_CARD ? SMALL_CHUNK_TOKENS : CHUNK_TOKENS;
    /* cuBLASLt's algorithms follow from its version and the device. */
    uint64_t words[] = {CUDA_REVISION, (uint64_t)dev->n_sm,
                        (uint64_t)(dev->cc_major * 10 + dev->cc_minor), gemm_numerics(dev)};
    out->numerics = hash_words(words, 4);
    out->total_bytes = total;
    out->free_bytes = free_bytes > RESERVE ? free_bytes - RESERVE : 0;
    out->ahead = true;
    return 0;
}

/* ---- operations ----------------------------------------------------------------------------- */

static int dev_pack(kn_dev *dev, const struct kn_part *part, int n, kn_weight **out, ox_err *err) {
    int rc = kn_check_part(part, n, err);
    return rc ? rc : pack_weight(dev, part, n, out, err);
}

static void dev_drop(kn_dev *dev, kn_weight *w) {
    if (dev) step_drop_capture(dev);
    if (dev && dev->stream) cudaStreamSynchronize(dev->stream);
    pack_drop(w);
}

static size_t dev_weight_bytes(const kn_weight *w) {
    return w->n_bytes;
}

static int need_step(const kn_dev *dev, const char *op, ox_err *err) {
    return dev->in_step ? 0 : ox_err_set(err, OX_EUSAGE, "%s: outside begin and end", op);
}

static int dev_embed(kn_dev *dev, kn_in out, const kn_weight *table, ox_err *err) {
    int rc = need_step(dev, "embed", err);
    if (rc) return rc;
    if (out->dtype != KN_F32 || out->rows != dev->now.n_tok || out->cols != table->cols)
        return ox_err_set(err, OX_EUSAGE, "embed out: expected [%d,%lld] f32, got [%lld,%lld] %s",
                          dev->now.n_tok, (long long)table->cols, (long long)out->rows,
                          (long long)out->cols, kn_dtype_name(out->dtype));
    for (int64_t t = 0; dev->now.tok && t < out->rows; t++)
        if (dev->now.tok[t] < 0 || dev->now.tok[t] >= table->part[0].rows)
            return ox_err_set(err, OX_EUSAGE, "embed: token %d of a table of %lld",
                              (int)dev->now.tok[t], (long long)table->part[0].rows);
    return embed_run(dev, out, table, err);
}

static int dev_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    int rc = need_step(dev, "linear", err);
    if (!rc) rc = kn_check_linear(l, l->w->shape, l->w->n_parts, KN_BF16, err);
    if (rc) return rc;
    return l->x.rows <= SK_MAX_T ? skinny_run(dev, l, err) : gemm_run(dev, l, err);
}

static int dev_gdn(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    int rc = need_step(dev, "gdn", err);
    if (!rc) rc = kn_check_gdn(g, KN_BF16, err);
    if (rc) return rc;
    int64_t Dk = g->q.cols / g->n_k_heads;
    if (Dk > GDN_MAX_DK || g->taps.cols > MAX_TAPS)
        return ox_err_set(err, OX_EDEVICE,
                          "gdn: key heads of %lld channels, at most %d; %lld taps, at most %d",
                          (long long)Dk, (int)GDN_MAX_DK, (long long)g->taps.cols, (int)MAX_TAPS);
    return g->q.rows <= SK_MAX_T ? gdn_step_run(dev, g, err) : gdn_prefill_run(dev, g, err);
}

static int dev_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    int rc = need_step(dev, "attn", err);
    if (!rc) rc = kn_check_attn(a, &dev->now, KN_BF16, err);
    if (rc) return rc;
    return a->q.rows <= SK_MAX_T ? attn_decode_run(dev, a, err) : attn_prefill_run(dev, a, err);
}

static int dev_sample(kn_dev *dev, kn_in logits, const struct kn_sample *how, ox_err *err) {
    if (logits->dtype != KN_F32 || logits->rows != 1 || logits->cols < 1 || how->n_vocab < 1)
        return ox_err_set(err, OX_EUSAGE, "sample: logits are [1,V] f32, got [%lld,%lld] %s",
                          (long long)logits->rows, (long long)logits->cols,
                          kn_dtype_name(logits->dtype));
    if (dev->n_drawn - dev->n_fetched == MAX_DRAWS)
        return ox_err_set(err, OX_EUSAGE, "sample: %d draws wait to be fetched", (int)MAX_DRAWS);
    return sample_run(dev, logits, how, err);
}

extern "C" const struct kn_backend *kn_cuda(void) {
    static const struct kn_backend backend = {
        .name = "cuda",
        .open = dev_open,
        .close = dev_close,
        .facts = dev_facts,
        .alloc = dev_alloc,
        .release = dev_release,
        .pack = dev_pack,
        .drop = dev_drop,
        .weight_bytes = dev_weight_bytes,
        .copy = dev_copy,
        .drain = dev_drain,
        .wait = dev_wait,
        .sync = dev_sync,
        .begin = step_begin,
        .end = step_end,
        .embed = dev_embed,
        .linear = dev_linear,
        .gdn = dev_gdn,
        .attn = dev_attn,
        .sample = dev_sample,
        .drawn = step_drawn,
    };
    return &backend;
}
