/* gdn_scan.cu - prefill: the delta rule over many tokens of one layer, token by token: for head
 * sizes that gdn_chunk.cu does not take.
 *
 * op       per head and token: S = exp(g) S; e = beta (v - S'k); S += k e'; y = S'q; reference
 *          ref_gdn
 * args     q,k,v,decay,beta f32 from conv.cu, spans of 512 tokens · state [Hv*Dv,Dk] f32 inout
 *          · out [T,Hv*Dv] bf16
 * work     one block a head and 32 rows of Dv, serial over tokens; 8 lanes a row; the state
 *          stays in registers, the next token's q and k are loaded while this one is computed
 * smem     none
 * cost     7 Hv Dk Dv FLOP a token = 3.87 MFLOP (7B)
 * limit    latency: about 1 us a token and layer
 * numerics as gdn_step.cu, the same device function: prefill may be cut anywhere without
 *          changing a bit
 * refuses  Dk over 128
 * measured docs/PERF.md */
#include "kernels/cuda/gdn.cuh"

struct scan_args {
    struct gdn_ready in;
    float *state;
    uint16_t *out; /* first token of the span */
    int32_t n, Hk, Hv, Dk, Dv;
};

template <int NV>
static __global__ void __launch_bounds__(GDN_THREADS)
    gdn_scan_k(const __grid_constant__ scan_args a) {
    const int h = (int)blockIdx.y, hk = h / (a.Hv / a.Hk), dv0 = (int)blockIdx.x * GDN_ROWS;
    const int lane8 = threadIdx.x % GDN_LANES, Kd = a.Hk * a.Dk, Vd = a.Hv * a.Dv;
    const int row = dv0 + threadIdx.x / GDN_LANES, at = row < a.Dv ? row : 0;
    float *S_row = a.state + ((int64_t)h * a.Dv + at) * a.Dk;
    const float *qp = a.in.q + hk * a.Dk, *kp = a.in.k + hk * a.Dk, *vp = a.in.v + h * a.Dv + at;
    gdn_row<NV> S = gdn_load<NV>(S_row, lane8, a.Dk);
    gdn_row<NV> q = gdn_load<NV>(qp, lane8, a.Dk), k = gdn_load<NV>(kp, lane8, a.Dk);
    float v = *vp, decay = a.in.decay[h], beta = a.in.beta[h];
    for (int t = 0; t < a.n; t++) {
        int64_t next = t + 1 < a.n ? t + 1 : t;
        gdn_row<NV> q1 = gdn_load<NV>(qp + next * Kd, lane8, a.Dk);
        gdn_row<NV> k1 = gdn_load<NV>(kp + next * Kd, lane8, a.Dk);
        float v1 = vp[next * Vd], decay1 = a.in.decay[next * a.Hv + h],
              beta1 = a.in.beta[next * a.Hv + h];
        float y = gdn_token(S, q, k, v, decay, beta);
        if (lane8 == 0 && row < a.Dv) a.out[(int64_t)t * Vd + h * a.Dv + row] = to_bf16(y);
        q = q1;
        k = k1;
        v = v1;
        decay = decay1;
        beta = beta1;
    }
    if (row < a.Dv) gdn_store(S_row, S, lane8, a.Dk);
}

static int scan_run(kn_dev *dev, scan_args a, ox_err *err) {
    struct cu_grid grid = {dim3((unsigned)((a.Dv + GDN_ROWS - 1) / GDN_ROWS), (unsigned)a.Hv),
                           GDN_THREADS, 0, false};
    void (*k)(const scan_args) = a.Dk <= 32   ? gdn_scan_k<1>
                                 : a.Dk <= 64 ? gdn_scan_k<2>
                                 : a.Dk <= 96 ? gdn_scan_k<3>
                                              : gdn_scan_k<4>;
    return cu_launch(dev, "gdn_scan_k", k, grid, err, a);
}

int gdn_scan_run(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    int64_t T = g->q.rows, Kd = g->q.cols, Vd = g->v.cols, span = T < GDN_SPAN ? T : GDN_SPAN;
    scan_args a = {};
    a.Hk = g->n_k_heads;
    a.Hv = g->n_v_heads;
    a.Dk = (int32_t)(Kd / a.Hk);
    a.Dv = (int32_t)(Vd / a.Hv);
    a.state = (float *)g->state.data;
    char *work;
    int rc = cu_work(dev, (size_t)(span * (2 * Kd + Vd + 2 * a.Hv)) * 4, &work, err);
    if (rc) return rc;
    a.in.q = (float *)work;
    a.in.k = a.in.q + span * Kd;
    a.in.v = a.in.k + span * Kd;
    a.in.decay = a.in.v + span * Vd;
    a.in.beta = a.in.decay + span * a.Hv;
    for (int64_t t = 0; !rc && t < T; t += span) {
        a.n = (int32_t)(T - t < span ? T - t : span);
        a.out = (uint16_t *)g->out.data + t * Vd;
        rc = conv_run(dev, g, t, a.n, a.in, err);
        if (!rc) rc = scan_run(dev, a, err);
    }
    return rc ? rc : conv_shift(dev, g, err);
}
