/* step.cu - begin and end of a step, its recording as a graph, and the draws that were fetched.
 *
 * op       begin, end, drawn of kn.h
 * args     struct kn_step in; struct step_state on the device out
 * work     one small kernel carries lengths, tokens and changed pages by value: nothing on the
 *          host has to outlive the call
 * smem     none
 * cost     one launch a step; a recorded step costs one graph launch
 * limit    latency, about 2 us
 * numerics none
 * refuses  more tokens or pages than step_state holds
 * measured docs/PERF.md
 * A key runs plainly the first time, so that modules are loaded and attributes set, is recorded
 * the second time and replayed from then on. */
#include "kernels/cuda/cuda_dev.cuh"

enum { PATCH_PAGES = 400, PATCH_TOKENS = 800 };

struct patch {
    int64_t n_cached;
    int32_t use_drawn, clear_done, has_lengths;
    int32_t first, n, is_tokens;
    union {
        char *page[PATCH_PAGES];
        int32_t tok[PATCH_TOKENS];
    } u;
};

static __global__ void step_patch_k(const __grid_constant__ patch p, struct step_state *step) {
    for (int i = threadIdx.x; i < p.n; i += blockDim.x) {
        if (p.is_tokens)
            step->tok[p.first + i] = p.u.tok[i];
        else
            step->page[p.first + i] = p.u.page[i];
    }
    if (threadIdx.x || !p.has_lengths) return;
    step->n_cached = p.n_cached;
    step->use_drawn = p.use_drawn;
    if (p.clear_done) step->done = 0;
}

static int send_patch(kn_dev *dev, const patch *p, ox_err *err) {
    struct cu_grid g = {dim3(1), 128, 0, false};
    return cu_launch(dev, "step_patch_k", step_patch_k, g, err, *p, dev->step);
}

/* Pages that differ from what the device has. */
static int send_pages(kn_dev *dev, const struct kn_step *s, int64_t n_pages, ox_err *err) {
    int64_t i = 0;
    int rc = 0;
    while (!rc && i < n_pages) {
        if (dev->page_shadow[i] == (char *)s->pages[i]) {
            i++;
            continue;
        }
        patch p = {};
        p.first = (int32_t)i;
        for (; i < n_pages && p.n < PATCH_PAGES && dev->page_shadow[i] != (char *)s->pages[i]; i++)
            p.u.page[p.n++] = dev->page_shadow[i] = (char *)s->pages[i];
        rc = send_patch(dev, &p, err);
    }
    return rc;
}

static int send_step(kn_dev *dev, const struct kn_step *s, ox_err *err) {
    int64_t n_pages = (s->n_cached + s->n_tok + KN_PAGE_TOKENS - 1) / KN_PAGE_TOKENS;
    if (n_pages > MAX_PAGES)
        return ox_err_set(err, OX_EFIT, "begin: %lld tokens, at most %d on this device",
                          (long long)(s->n_cached + s->n_tok), MAX_PAGES * KN_PAGE_TOKENS);
    int rc = s->pages ? send_pages(dev, s, n_pages, err) : 0;
    int32_t at = 0;
    do {
        patch p = {};
        p.has_lengths = 1;
        p.n_cached = s->n_cached;
        p.use_drawn = s->tok == NULL;
        p.clear_done = s->tok != NULL;
        p.is_tokens = 1;
        p.first = at;
        for (; s->tok && at < s->n_tok && p.n < PATCH_TOKENS; at++)
            p.u.tok[p.n++] = s->tok[at];
        if (!rc) rc = send_patch(dev, &p, err);
    } while (!rc && s->tok && at < s->n_tok);
    return rc;
}

/* ---- recordings ----------------------------------------------------------------------------- */

static struct graph *find_graph(kn_dev *dev, uint64_t key, int32_t n_tok) {
    for (int i = 0; i < dev->n_graphs; i++)
        if (dev->graph[i].key == key && dev->graph[i].n_tok == n_tok) return &dev->graph[i];
    return NULL;
}

static void add_graph(kn_dev *dev, uint64_t key, int32_t n_tok) {
    if (dev->n_graphs == MAX_GRAPHS) { /* the oldest makes room */
        if (dev->graph[0].exec) cudaGraphExecDestroy(dev->graph[0].exec);
        for (int i = 1; i < MAX_GRAPHS; i++)
            dev->graph[i - 1] = dev->graph[i];
        dev->n_graphs--;
    }
    dev->graph[dev->n_graphs++] = (struct graph){key, n_tok, NULL};
}

void step_drop_capture(kn_dev *dev) {
    if (!dev->is_capturing) return;
    cudaGraph_t g = NULL;
    cudaStreamEndCapture(dev->stream, &g);
    if (g) cudaGraphDestroy(g);
    cudaGetLastError();
    dev->is_capturing = false;
}

void step_drop_graphs(kn_dev *dev) {
    for (int i = 0; i < dev->n_graphs; i++)
        if (dev->graph[i].exec) cudaGraphExecDestroy(dev->graph[i].exec);
    dev->n_graphs = 0;
}

int step_begin(kn_dev *dev, const struct kn_step *s, bool *replayed, ox_err *err) {
    *replayed = false;
    if (dev->in_step) { /* a step that failed in the middle has no end */
        step_drop_capture(dev);
        dev->in_step = false;
    }
    if (s->n_tok < 1 || s->n_tok > MAX_STEP_TOKENS || s->n_cached < 0 || (!s->tok && s->n_tok != 1))
        return ox_err_set(err, OX_EUSAGE, "begin: %d tokens after %lld", s->n_tok,
                          (long long)s->n_cached);
    int rc = send_step(dev, s, err);
    if (rc) return rc;
    dev->now = *s;
    bool may_record = s->key && s->n_tok <= SK_MAX_T;
    struct graph *g = may_record ? find_graph(dev, s->key, s->n_tok) : NULL;
    if (g && g->exec) {
        if (cu_launch_fails()) return cu_check(dev, cudaErrorLaunchFailure, "recorded step", err);
        rc = cu_check(dev, cudaGraphLaunch(g->exec, dev->stream), "recorded step", err);
        *replayed = !rc;
        return rc;
    }
    if (g) {
        rc = cu_check(dev, cudaStreamBeginCapture(dev->stream, cudaStreamCaptureModeThreadLocal),
                      "record a step", err);
        if (rc) return rc;
        dev->is_capturing = true;
        dev->capture_key = s->key;
    } else if (may_record) {
        add_graph(dev, s->key, s->n_tok);
    }
    dev->in_step = true;
    return 0;
}

int step_end(kn_dev *dev, ox_err *err) {
    if (!dev->in_step) return ox_err_set(err, OX_EUSAGE, "end: there was no begin");
    dev->in_step = false;
    if (!dev->is_capturing) return dev->lost.code ? cu_check(dev, cudaSuccess, "end", err) : 0;
    dev->is_capturing = false;
    cudaGraph_t g = NULL;
    int rc = cu_check(dev, cudaStreamEndCapture(dev->stream, &g), "record a step", err);
    struct graph *slot = find_graph(dev, dev->capture_key, dev->now.n_tok);
    if (!rc && slot)
        rc = cu_check(dev, cudaGraphInstantiate(&slot->exec, g, 0), "record a step", err);
    if (g) cudaGraphDestroy(g);
    if (!rc && slot)
        rc = cu_check(dev, cudaGraphLaunch(slot->exec, dev->stream), "recorded step", err);
    return rc;
}

/* ---- draws ---------------------------------------------------------------------------------- */

int step_drawn(kn_dev *dev, int32_t *tok, ox_err *err) {
    if (dev->n_fetched == dev->n_drawn)
        return ox_err_set(err, OX_EUSAGE, "drawn: nothing was drawn");
    uint64_t want = dev->n_fetched + 1, got;
    volatile uint64_t *slot = &dev->result[dev->n_fetched % MAX_DRAWS];
    for (int i = 1; (got = *slot) >> 33 != want; i++) {
        if (i % 4096) continue;
        cudaError_t rc = cudaStreamQuery(dev->stream);
        if (rc == cudaErrorNotReady) continue;
        int bad = cu_check(dev, rc, "draw", err);
        if (bad) return bad;
        if ((got = *slot) >> 33 != want) /* the stream is empty and nothing came: a void draw */
            return ox_err_set(err, OX_EUSAGE, "drawn: the step of this draw was void");
        break;
    }
    *tok = (int32_t)(uint32_t)got;
    dev->n_fetched++;
    if (!(got >> 32 & 1)) return 0;
    dev->n_fetched = dev->n_drawn; /* later draws are void; what is queued changes nothing */
    patch p = {};
    p.has_lengths = 1;
    p.n_cached = dev->now.n_cached;
    p.use_drawn = 1;
    p.clear_done = 1;
    return send_patch(dev, &p, err);
}
