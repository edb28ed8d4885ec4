/* cpu_ref.h - the definition of every operation in plain C, fp32, line by line after docs/MODEL.md
 * section 3. Never optimised: whatever is faster is tested against it. Sums over a row run in
 * double and are rounded once, so that no order of summation is the privileged one. */
#ifndef CPU_REF_H
#define CPU_REF_H

#include "kernels/cpu/cpu.h"

/* Row r of a part as f32 [cols]: unpacked and scaled, nothing rounded but q * scale. */
void ref_weight_row(const struct kn_part *p, int64_t row, float *out);

int ref_embed(kn_dev *dev, kn_in out, const kn_weight *table, const int32_t *tok, ox_err *err);
int ref_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err);
int ref_gdn(kn_dev *dev, const struct kn_gdn *g, ox_err *err);
int ref_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err);

/* y = w * x * rsqrt(mean(x^2) + eps) over n elements; y may be x. */
void ref_rms_norm(const float *x, const float *w, int64_t n, float eps, float *y);
/* Steps 1 to 3 of kn_linear for row t: changes x where `add` asks for it; xhat [D]. */
void ref_prologue(const struct kn_linear *l, int64_t t, float *xhat);
float ref_silu(float z);
float ref_sigmoid(float z);
float ref_softplus(float z);

/* One token of the delta rule for one value head, MODEL.md 3.2 step 6. S is [Dv,Dk], Dk contiguous;
 * q, k normed and scaled; g the log of the decay. */
void ref_gdn_step(float *S, const float *q, const float *k, const float *v, float g, float beta,
                  int64_t Dk, int64_t Dv, float *y);

/* RoPE of one head vector at a position, MODEL.md section 4. */
void ref_rope(float *z, int64_t Dh, int64_t position, float theta);
/* One row of a KV block: stores f32 [Dh] in type kv, and reads it back. */
void ref_kv_store(char *block, enum kn_dtype kv, int64_t Dh, int64_t row, const float *x);
void ref_kv_load(const char *block, enum kn_dtype kv, int64_t Dh, int64_t row, float *x);

/* ---- sampling, MODEL.md 7.3 ---- */
/* Probabilities of all V ids after every filter, in p [V]; ids that were dropped get 0. work: at
 * least V elements. Returns how many ids are kept (>= 1). temperature > 0. */
struct ref_candidate {
    float p;
    int32_t id;
};
int64_t ref_sample_probs(const float *logits, int64_t V, const struct kn_sample *how, double *p,
                         struct ref_candidate *work);
/* A number in [0, 1) that depends on (seed, position) alone: two rounds of the SplitMix64 mix
 * (Steele, Lea, Flood 2014), 53 bits. */
double ref_random(uint64_t seed, int64_t position);
/* Draws one id: argmax at temperature 0 (lowest id of equals), else the first id, counting upwards,
 * at which the running sum of p exceeds u. */
int32_t ref_draw(const float *logits, int64_t V, const struct kn_sample *how, double *p,
                 struct ref_candidate *work);

#endif
