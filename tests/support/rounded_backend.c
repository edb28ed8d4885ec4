/* rounded_backend.c - see rounded_backend.h. */
#include "tests/support/rounded_backend.h"

#include "kernels/cpu/cpu_ref.h"

static int64_t logits_cols;

static void round_all(const kn_tensor *t) {
    float *v = t->data;
    if (!v || t->dtype != KN_F32) return;
    for (int64_t i = 0; i < t->rows * t->cols; i++)
        v[i] = cpu_from_bf16(cpu_to_bf16(v[i]));
}

static int rounded_embed(kn_dev *dev, kn_in out, const kn_weight *table, ox_err *err) {
    int rc = kn_cpu()->embed(dev, out, table, err);
    if (!rc) round_all(out);
    return rc;
}

static int rounded_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    int rc = kn_cpu()->linear(dev, l, err);
    if (rc) return rc;
    if (l->add.data) round_all(&l->x);
    for (int i = 0; i < KN_PARTS; i++)
        if (l->out[i].cols != logits_cols) round_all(&l->out[i]);
    return 0;
}

static int rounded_gdn(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    int rc = kn_cpu()->gdn(dev, g, err);
    if (rc) return rc;
    round_all(&g->out);
    round_all(&g->conv);
    return 0;
}

static int rounded_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    int rc = kn_cpu()->attn(dev, a, err);
    if (!rc) round_all(&a->out);
    return rc;
}

const struct kn_backend *rounded_backend(int64_t n_vocab) {
    static struct kn_backend rounded;
    logits_cols = n_vocab;
    rounded = *kn_cpu();
    rounded.embed = rounded_embed;
    rounded.linear = rounded_linear;
    rounded.gdn = rounded_gdn;
    rounded.attn = rounded_attn;
    return &rounded;
}
