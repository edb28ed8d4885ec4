"""Write the model folders for what the first five lack: value heads beyond key heads, odd layer patterns,
rotary embedding, aliased names, quantised embeddings, several groups, zero points, padded words.
Each golden is also compared with the float64 forward of check_numpy.py.
Usage: python make_more.py OUT_DIR"""
import json
import re
import sys
from pathlib import Path
import numpy as np
import torch
from compressed_tensors import __version__ as ct_version
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import save_file
import check_numpy
import make_tokenizers
import reference as R
from tiny_specs import ATT, EOS, IM_END, LIN, NORMAL_IDS, PAD, _config, random_weights, resolve

LENGTHS = [1, 2, 3, 5, 64, 65, 200]      # fewer than in the first folders: each stays below 1 MB
ALL_LENGTHS = [5, 65]
GATES = "re:.*linear_attn\\.[ab]_proj$"


def group(targets, bits, group_size=None, symmetric=True):
    return dict(targets=targets, bits=bits, group_size=group_size, symmetric=symmetric)


SPECS = {
    # Two value heads a key head, dk and dv no powers of two, attention first and twice in a row, a linear
    # layer last, A_log and dt_bias in f32 beside bf16.
    "tiny-heads": dict(
        seed=4001, damp=0.3, dtype=torch.bfloat16, tokenizer="cl100k", f32=("A_log", "dt_bias"),
        config=_config(
            hidden_size=72, intermediate_size=56, num_hidden_layers=6, num_attention_heads=6,
            num_key_value_heads=3, layer_types=[ATT, LIN, ATT, ATT, LIN, LIN], linear_num_key_heads=3,
            linear_num_value_heads=6, linear_key_head_dim=10, linear_value_head_dim=14,
            rope_parameters=None)),
    # Rotary embedding as in the stage 1 and 2 checkpoints.
    "tiny-rope": dict(
        seed=4002, damp=0.3, dtype=torch.bfloat16, tokenizer="cl100k", theta=500000.0,
        config=_config(
            hidden_size=80, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, layer_types=[LIN, ATT, LIN, ATT], linear_num_key_heads=4,
            linear_num_value_heads=4, linear_key_head_dim=12, linear_value_head_dim=24,
            rope_parameters={"rope_theta": 500000.0, "rope_type": "default"})),
    # The form of engine/default: int4 body, int8 embedding that is also the output, fused convolution.
    "tiny-mixed-quant": dict(
        seed=4003, damp=0.3, dtype=torch.bfloat16, tokenizer="digits", fused=True,
        groups=[group(["Linear"], 4, 64), group(["model.embed_tokens"], 8)], ignore=["lm_head", GATES],
        config=_config(
            hidden_size=128, intermediate_size=192, num_hidden_layers=5, num_attention_heads=4,
            num_key_value_heads=2, layer_types=[LIN, LIN, LIN, ATT, LIN], linear_num_key_heads=4,
            linear_num_value_heads=4, linear_key_head_dim=16, linear_value_head_dim=32,
            tie_word_embeddings=True, eos_token_id=IM_END, rope_parameters={"rope_theta": None})),
    # Zero points; rows of 70 and 66 inputs and columns of 3 and 70 outputs leave words partly empty; every
    # matrix but the embedding is quantised, gates and lm_head too; scales in three types.
    "tiny-zero-points": dict(
        seed=4004, damp=0.3, dtype=torch.bfloat16, tokenizer="cl100k",
        groups=[group(["Linear"], 4, 32, symmetric=False),
                group(["re:.*mlp\\.down_proj$"], 4, symmetric=False),
                group(["re:.*linear_attn\\.o_proj$"], 8)], ignore=[],
        stored={"mlp.down_proj.weight_scale": torch.float32, "mlp.down_proj.weight_shape": torch.int32,
                "linear_attn.o_proj.weight_scale": torch.float16},
        config=_config(
            hidden_size=96, intermediate_size=70, num_hidden_layers=4, num_attention_heads=6,
            num_key_value_heads=3, layer_types=[LIN, LIN, LIN, ATT], linear_num_key_heads=3,
            linear_num_value_heads=3, linear_key_head_dim=20, linear_value_head_dim=22,
            rope_parameters={"rope_theta": None})),
    # Names of OLMo-core in f32, a fused convolution, and a left-over buffer that readers must skip.
    "tiny-aliases": dict(
        seed=4005, damp=0.3, dtype=torch.float32, tokenizer="cl100k", fused=True, inv_freq=True,
        aliases={"input_layernorm": "attention_layer_norm", "post_attention_layernorm": "feedforward_layer_norm",
                 "linear_attn.o_norm": "linear_attn.norm", "linear_attn.o_proj": "linear_attn.out_proj"},
        config=_config(
            dtype="float32", hidden_size=48, intermediate_size=64, num_hidden_layers=4, num_attention_heads=3,
            num_key_value_heads=1, layer_types=[LIN, LIN, ATT, LIN], linear_num_key_heads=3,
            linear_num_value_heads=3, linear_key_head_dim=8, linear_value_head_dim=16,
            rope_parameters={"rope_theta": None, "rope_type": "default"})),
}


def covering(module, groups, ignore):
    """The group of a module: ignored, else a name or pattern, else the class."""
    hit = lambda p: re.match(p[3:], module) if p.startswith("re:") else p == module
    if any(hit(p) for p in ignore):
        return None
    by_class = None
    for g in groups:
        if any(hit(p) for p in g["targets"]):
            return g
        if by_class is None and "Linear" in g["targets"] and module != "model.embed_tokens":
            by_class = g
    return by_class


def unpack(words, bits, n):
    """[rows, words] of i32 -> [rows, n] signed numbers; written apart from the package's own."""
    u = words.numpy().astype(np.uint32)
    fields = [(u[:, (i * bits) // 32] >> np.uint32((i * bits) % 32)) & np.uint32((1 << bits) - 1) for i in range(n)]
    return np.stack(fields, 1).astype(np.int64) - (1 << (bits - 1))


def quantize(weight, g):
    args = QuantizationArgs(num_bits=g["bits"], type="int", symmetric=g["symmetric"], dynamic=False, observer="minmax",
                            strategy="group" if g["group_size"] else "channel", group_size=g["group_size"])
    scheme = QuantizationScheme(targets=g["targets"], weights=args, format="pack-quantized")
    w = weight.float()
    rows = w.reshape(w.shape[0], -1, g["group_size"] or w.shape[1])
    scale, zero = calculate_qparams(rows.amin(-1), rows.amax(-1), args)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale).to(torch.bfloat16)    # all-zero padding rows
    parts = {"weight": weight, "weight_scale": scale}
    if not g["symmetric"]:
        parts["weight_zero_point"] = torch.nan_to_num(zero).round().to(torch.int8)
    compressor = BaseCompressor.get_value_from_registry("pack-quantized")
    out = compressor.compress(parts, scheme)
    q = unpack(out["weight_packed"], g["bits"], w.shape[1])
    if not g["symmetric"]:
        z = unpack(out["weight_zero_point"].T, g["bits"], w.shape[0]).T
        q = q - np.repeat(z, w.shape[1] // z.shape[1], 1)
    dense = torch.from_numpy(q).float() * scale.float().repeat_interleave(w.shape[1] // scale.shape[1], 1)
    # compressed-tensors 0.20.0 itself stops at a single word of zero points (view of a transposed row)
    if g["symmetric"] or out["weight_zero_point"].shape[0] > 1:
        theirs = compressor.decompress(out, scheme)["weight"].float()
        assert (dense - theirs).abs().max() <= dense.abs().max() * 2 ** -8
    return out, dense, scheme


def quantize_all(spec, weights, cfg):
    """Stored tensors and the dense weights that they stand for."""
    stored, dense, schemes = {}, {}, {}
    for key, t in weights.items():
        module = key.removesuffix(".weight")
        is_matrix = module.endswith("_proj") or module in ("lm_head", "model.embed_tokens")
        g = covering(module, spec["groups"], spec["ignore"]) if is_matrix else None
        if g is None:
            stored[key] = dense[key] = t
            continue
        parts, dense[key], scheme = quantize(t, g)
        schemes[f"group_{spec['groups'].index(g)}"] = scheme
        for name, v in parts.items():
            full = f"{module}.{name}"
            as_type = next((d for k, d in spec.get("stored", {}).items() if full.endswith(k)), v.dtype)
            assert torch.equal(v.to(as_type).to(v.dtype), v)
            stored[full] = v.to(as_type).contiguous()
    q = QuantizationConfig(config_groups=schemes, ignore=spec["ignore"], format="pack-quantized",
                           quantization_status="compressed").model_dump(mode="json", exclude_none=False)
    q.update(quant_method="compressed-tensors", version=ct_version)
    cfg["quantization_config"] = q
    return stored, dense


def rename(spec, stored):
    """Other spellings of the same tensors, in linear layers only."""
    kinds = spec["config"]["layer_types"]
    out = {}
    for key, t in stored.items():
        layer = re.match(r"model\.layers\.(\d+)\.(.*)\.weight", key)
        if layer and kinds[int(layer[1])] == LIN and layer[2] in spec.get("aliases", {}):
            key = f"model.layers.{layer[1]}.{spec['aliases'][layer[2]]}.weight"
        if spec.get("fused") and "_conv1d.weight" in key:
            if ".q_conv1d" in key:
                out[key.replace("q_conv1d", "conv1d")] = torch.cat(
                    [stored[key.replace("q_conv1d", x + "_conv1d")] for x in "qkv"])
            continue
        out[key] = t
    if spec.get("inv_freq"):
        out[f"model.layers.{kinds.index(ATT)}.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    return out


def check(spec, dense, g):
    """Largest differences to the float64 forward."""
    w = {k: t.double().numpy() for k, t in dense.items()}
    logits, S, conv = check_numpy.forward(spec["config"], w, g["ids.65"].tolist(), spec.get("theta"))
    row = {"logits": np.abs(logits - g["logits_all.65"].numpy()).max(),
           "recurrent": max(np.abs(S[i] - g[f"state.{i}.recurrent"].numpy()).max() for i in S),
           "conv": max(np.abs(conv[i] - g[f"state.{i}.conv"].numpy()).max() for i in conv)}
    assert max(row.values()) < 1e-3, row
    return {k: float(v) for k, v in row.items()}


def main(out):
    torch.set_num_threads(1)
    here = Path(__file__).parent
    templates = {"cl100k": (here / "olmo_instruct.jinja").read_text(), "digits": (here / "smollm2.jinja").read_text()}
    report = {}
    for name, spec in SPECS.items():
        folder = out / name
        folder.mkdir(exist_ok=True)
        cfg = dict(spec["config"])
        weights = random_weights(cfg, spec["seed"], spec["dtype"], spec["damp"])
        for key in weights:
            if key.endswith(spec.get("f32", ())):
                weights[key] = weights[key].float()
        stored, dense = quantize_all(spec, weights, cfg) if "groups" in spec else (weights, weights)
        save_file(rename(spec, stored), folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(cfg, indent=1, sort_keys=True) + "\n")
        (folder / "generation_config.json").write_text(json.dumps({
            "do_sample": True, "eos_token_id": [IM_END, EOS], "pad_token_id": PAD, "temperature": 0.6, "top_p": 0.95},
            indent=1) + "\n")
        make_tokenizers.write(folder, spec["tokenizer"], templates[spec["tokenizer"]])

        model = R.load(folder, torch.float32, dense, spec.get("theta"))
        g = R.golden(model, NORMAL_IDS, lengths=LENGTHS, all_lengths=ALL_LENGTHS)
        save_file(g, folder / "golden.safetensors")
        seqs, _ = R.sequences(NORMAL_IDS)
        full = {n: R.logits_of(model, seqs[n]) for n in LENGTHS}
        low = R.load(folder, torch.bfloat16, dense, spec.get("theta"))
        report[name] = {
            "check_numpy": check(spec, dense, g),
            "bf16": {str(n): R.compare(full[n], R.logits_of(low, seqs[n])) for n in LENGTHS},
            "logit_std": full[200].std().item(),
            "margin_min": min(g[f"greedy.{i}.margin"].min().item() for i in range(5)),
            "params": sum(t.numel() for t in dense.values()),
            "bytes": sum(f.stat().st_size for f in folder.iterdir())}
        if spec.get("theta"):       # what the golden catches: the same folder read without rotation
            flat = R.load(folder, torch.float32, dense, None)
            report[name]["without rope"] = R.compare(full[65], R.logits_of(flat, seqs[65]))
    (out / "make" / "report_more.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
