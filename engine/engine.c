/* engine.c - opens a model on a backend, plans its memory, and forwards text to tokenizer and
 * template. What a session does with it is in session.c. */
#include "engine/engine.h"

#include "engine/statefmt.h"
#include "kernels/base/ox_mem.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_CONTEXT = 65536, BASE_REPLY_TOKENS = 512 };

/* ---- what stands in the folder -------------------------------------------------------------- */

static int open_folder(ox_engine *e, const struct ox_engine_opts *opts, ox_err *err) {
    const unsigned char *json;
    size_t n;
    int rc = folder_open(opts->model_dir, &e->folder, err);
    if (!rc) rc = config_read(e->folder, opts->no_rope, &e->config, err);
    if (!rc) rc = st_open(e->folder, &e->tensors, err);
    if (!rc) rc = weights_check(&e->tensors, &e->config, err);
    if (!rc) rc = folder_get(e->folder, "tokenizer.json", &json, &n, err);
    if (rc == OX_ENOTFOUND) rc = ox_err_set(err, OX_EMODEL, "tokenizer.json is missing");
    if (!rc) rc = tokenizer_open(json, n, &e->tok, err);
    if (!rc) rc = template_open(e->folder, e->tok, &e->chat, err);
    return rc;
}

static void add_stop(ox_engine *e, int32_t id) {
    for (int i = 0; i < e->n_stop; i++)
        if (e->stop[i] == id) return;
    if (id >= 0 && e->n_stop < ENGINE_STOPS) e->stop[e->n_stop++] = id;
}

static void collect_stops(ox_engine *e) {
    for (int i = 0; i < e->config.n_stop; i++)
        add_stop(e, e->config.stop[i]);
    for (int i = 0; i < e->chat.n_stop; i++)
        add_stop(e, e->chat.stop[i]);
}

/* ---- the device ----------------------------------------------------------------------------- */

static int choose_kv(const char *name, const struct kn_facts *facts, enum kn_dtype *out,
                     ox_err *err) {
    static const struct {
        const char *name;
        enum kn_dtype type;
    } kinds[] = {{"bf16", KN_BF16}, {"int8", KN_I8}, {"f32", KN_F32}};
    /* The reference exists to be exact. */
    if (!name) name = strcmp(facts->space, "cpu-ref") == 0 ? "f32" : "bf16";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *out = kinds[i].type;
            return 0;
        }
    ox_err_set(err, OX_EUSAGE, "no KV format %s", name);
    return ox_err_fix(err, "choose bf16, int8 or f32");
}

static uint64_t file_bytes(const struct st_set *s) {
    uint64_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->v[i].n_bytes;
    return n;
}

static void close_device(ox_engine *e) {
    if (e->dev) e->kn->close(e->dev);
    e->dev = NULL;
}

/* Opens the device and judges whether the model fits, before anything of size is allocated. */
static int open_device(ox_engine *e, const struct ox_engine_opts *opts, const struct kn_backend *kn,
                       const char *which, ox_err *err) {
    struct kn_open how = {
        .host = pool_host(e->pool), .which = which, .f32_act = opts->f32_activations};
    uint32_t max_tokens = opts->max_tokens ? opts->max_tokens : DEFAULT_CONTEXT;
    e->kn = kn;
    int rc = kn->open(&how, &e->dev, err);
    if (rc) return rc;
    rc = kn->facts(e->dev, &e->facts, err);
    if (!rc) rc = choose_kv(opts->kv, &e->facts, &e->kv, err);
    if (!rc) {
        uint64_t limit = e->facts.free_bytes ? e->facts.free_bytes : memory_host_available();
        cache_shape_make(&e->config, e->facts.act, e->kv, &e->shape);
        memory_plan_make(&e->config, &e->shape, &e->facts, file_bytes(&e->tensors), max_tokens,
                         limit, &e->plan);
        rc = memory_check(&e->plan, limit, err);
    }
    if (rc) close_device(e);
    return rc;
}

/* "cpu", "cpu-avx2", "cuda", "cuda:1": the backend's name, then what its open understands. */
static int open_named(ox_engine *e, const struct ox_engine_opts *opts, ox_err *err) {
    static const struct {
        const char *name;
        char mark;
    } kinds[] = {{"cpu", '-'}, {"cuda", ':'}};
    const char *asked = opts->backend;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t n = strlen(kinds[i].name);
        if (strncmp(asked, kinds[i].name, n) != 0) continue;
        bool is_plain = asked[n] == '\0';
        if (!is_plain && (asked[n] != kinds[i].mark || !asked[n + 1])) continue;
        const struct kn_backend *kn = i ? kn_cuda() : kn_cpu();
        if (!kn) {
            ox_err_set(err, OX_EDEVICE, "this oxbow was built without CUDA");
            return ox_err_fix(err, "use --backend cpu, or build with OXBOW_CUDA=ON");
        }
        int rc = open_device(e, opts, kn, is_plain ? NULL : asked + n + 1, err);
        if (rc == OX_ENOTFOUND && err) err->code = OX_EDEVICE; /* it was asked for */
        return rc == OX_ENOTFOUND ? OX_EDEVICE : rc;
    }
    ox_err_set(err, OX_EUSAGE, "no backend %s", asked);
    return ox_err_fix(
        err, "use auto, cpu, cpu-ref, cpu-avx2, cpu-avx512, cpu-avx512bf16, cuda or cuda:1");
}

static void add_note(ox_engine *e, const char *text) {
    size_t n = strlen(e->note);
    if (!text || !*text || n >= sizeof e->note) return;
    snprintf(e->note + n, sizeof e->note - n, "%s%s", n ? "\n" : "", text);
}

/* cuda if it was built in and takes the model, else cpu. */
static int open_auto(ox_engine *e, const struct ox_engine_opts *opts, ox_err *err) {
    if (kn_cuda()) {
        ox_err why = {0};
        char line[400];
        int rc = open_device(e, opts, kn_cuda(), NULL, &why);
        if (rc == 0) return 0;
        snprintf(line, sizeof line, "not on the GPU: %s", why.what);
        if (rc != OX_ENOTFOUND) add_note(e, line); /* no card at all is nothing to tell */
    }
    return open_device(e, opts, kn_cpu(), NULL, err);
}

/* ---- what is told about it ------------------------------------------------------------------ */

static float or_else(float said, float otherwise) {
    return said >= 0.0f ? said : otherwise;
}

/* generation_config.json, else the table of docs/MODEL.md 7.3. */
static void fill_defaults(ox_engine *e) {
    const struct ox_config *c = &e->config;
    const unsigned char *text;
    size_t n;
    bool chats =
        e->chat.thinks || folder_get(e->folder, "chat_template.jinja", &text, &n, NULL) == 0;
    e->info.defaults = (struct ox_sampling){
        .temperature = or_else(c->temperature, chats ? 0.6f : 0.8f),
        .top_p = or_else(c->top_p, 0.95f),
        .min_p = or_else(c->min_p, 0.0f),
        .repeat = or_else(c->repeat, 1.0f),
        .top_k = c->top_k >= 0 ? c->top_k : 0,
    };
    e->info.default_reply_tokens = c->max_new_tokens > 0 ? (uint32_t)c->max_new_tokens
                                   : chats               ? 0
                                                         : BASE_REPLY_TOKENS;
}

static void fill_info(ox_engine *e, const uint64_t key[2]) {
    add_note(e, e->config.note);
    add_note(e, tokenizer_note(e->tok));
    add_note(e, e->chat.note);
    e->info = (struct ox_info){
        .name = folder_name(e->folder),
        .backend = e->facts.space,
        .device = e->facts.device,
        .weights = {key[0], key[1]},
        .vocab = tokenizer_key(e->tok),
        .template_id = e->chat.id,
        .numerics = e->facts.numerics,
        .weight_bytes = e->weights.n_bytes,
        .token_bytes = e->shape.page_bytes / KN_PAGE_TOKENS,
        .state_bytes = statefmt_record_bytes(&e->shape),
        .n_params = e->weights.n_params,
        .n_vocab = tokenizer_size(e->tok),
        .trained_tokens = e->config.trained_tokens,
        .max_tokens = e->plan.max_tokens,
        .n_gdn_layers = (uint32_t)e->config.n_gdn,
        .n_attn_layers = (uint32_t)e->config.n_attn,
        .thinks = e->chat.thinks,
        .rope_on = e->config.rope_theta > 0,
        .note = e->note,
    };
    if (e->info.n_vocab > e->config.n_vocab) e->info.n_vocab = (uint32_t)e->config.n_vocab;
    e->info.space = statefmt_space(&e->info, &e->shape);
    fill_defaults(e);
}

/* ---- open, close ---------------------------------------------------------------------------- */

static int load(ox_engine *e, ox_err *err) {
    uint64_t key[2];
    /* The digest first: it touches a third of the file, and packing then lets go of all of it. */
    int rc = weights_key(&e->tensors, &e->config, key, err);
    if (!rc) rc = weights_load(&e->tensors, &e->config, e->kn, e->dev, &e->weights, err);
    if (!rc) rc = act_open(&e->config, e->kn, e->dev, &e->facts, &e->act, err);
    if (rc) return rc;
    fill_info(e, key);
    collect_stops(e);
    return 0;
}

static int open_engine(const struct ox_engine_opts *opts, const struct kn_backend *kn,
                       const char *which, ox_engine **out, ox_err *err) {
    ox_engine *e = ox_alloc(1, sizeof *e, "the engine", err);
    if (!e) return OX_ENOMEM;
    int rc = open_folder(e, opts, err);
    if (!rc) rc = pool_open(opts->n_threads, &e->pool, err);
    if (!rc) {
        if (kn)
            rc = open_device(e, opts, kn, which, err);
        else if (!opts->backend || strcmp(opts->backend, "auto") == 0)
            rc = open_auto(e, opts, err);
        else
            rc = open_named(e, opts, err);
    }
    if (!rc) rc = load(e, err);
    if (rc) {
        ox_engine_close(e);
        return ox_err_wrap(err, rc, "open model");
    }
    *out = e;
    return 0;
}

int ox_engine_open(const struct ox_engine_opts *opts, ox_engine **out, ox_err *err) {
    return open_engine(opts, NULL, NULL, out, err);
}

int engine_open_on(const struct ox_engine_opts *opts, const struct kn_backend *kn,
                   const char *which, ox_engine **out, ox_err *err) {
    return open_engine(opts, kn, which, out, err);
}

void ox_engine_close(ox_engine *e) {
    if (!e) return;
    act_close(&e->act);
    weights_deinit(&e->weights);
    close_device(e);
    pool_close(e->pool);
    tokenizer_close(e->tok);
    st_close(&e->tensors);
    config_deinit(&e->config);
    folder_close(e->folder);
    ox_free(e);
}

const char *ox_backends(void) {
    return kn_cuda() ? "cpu, cuda" : "cpu";
}

const struct ox_info *ox_engine_info(const ox_engine *e) {
    return &e->info;
}

/* ---- text ----------------------------------------------------------------------------------- */

int ox_encode(const ox_engine *e, const char *text, size_t n, struct ox_tokens *out, ox_err *err) {
    return tokenizer_encode(e->tok, text, n, out, err);
}

int ox_token_text(const ox_engine *e, int32_t tok, char *out, size_t cap) {
    return tokenizer_token_text(e->tok, tok, out, cap);
}

int ox_render(const ox_engine *e, const struct ox_msg *msg, size_t n, enum ox_reply reply,
              struct ox_tokens *out, size_t *ends, ox_err *err) {
    return template_render(&e->chat, msg, n, reply, out, ends, err);
}

int ox_decode(const ox_engine *e, struct ox_decoder *d, int32_t tok, char **text, size_t *n,
              size_t *cap, ox_err *err) {
    return tokenizer_stream(e->tok, d, tok, text, n, cap, err);
}

bool ox_is_stop(const ox_engine *e, int32_t tok) {
    for (int i = 0; i < e->n_stop; i++)
        if (e->stop[i] == tok) return true;
    return false;
}
