"""Writes tiny random checkpoints in Hugging Face format, each with the numbers a correct forward pass gives.

For every entry of MODELS it fills <out>/<name>/ with

    config.json                     keys of the official checkpoints
    model.safetensors               or model-0000k-of-0000n.safetensors + model.safetensors.index.json
    golden.safetensors              inputs and reference outputs, see `golden`

The body is computed by `transformers` (Qwen3ForCausalLM or Qwen3Model, eager attention, fp32 arithmetic on
the very values stored on disk), read back from the files just written.

The Stream guard is not in any public package. Its heads (`stream_heads`) are written here from their
published description, under the tensor names of the official checkpoints.

    python export_model_goldens.py --out ../tests/golden/models
"""

import argparse
import json
import pathlib

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model

LENGTHS = (1, 7, 33, 70)
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

RISK = ["Safe", "Unsafe", "Controversial"]
LONG_NAMES = ["Violent", "Sexual Content or Sexual Acts", "Suicide & Self-Harm", "Politically Sensitive Topics",
              "PII", "Copyright Violation", "Non-violent Illegal Acts", "Unethical Acts", "Jailbreak"]
SHORT_NAMES = ["Violent", "Sexual Content", "Self-Harm", "Political", "PII", "Copyright", "Illegal Acts",
               "Unethical", "Jailbreak"]
QUOTED_NAMES = ['"Violent"'] + LONG_NAMES[1:]  # a published map carries these literal quotes

# Every width that a matrix product sums over is a multiple of 32, as in the official checkpoints.
MODELS = {
    # head_dim is not hidden / heads; grouped queries; embedding and LM head are one tensor
    "gen-tied-f32": dict(seed=11, dtype="F32", vocab=320, hidden=32, layers=2, heads=4, kv_heads=2, head_dim=16,
                         intermediate=64, rope_theta=1e6, tied=True),
    # separate LM head, the theta of the 2507 models, config keys as transformers 5 writes them
    "gen-untied-bf16": dict(seed=12, dtype="BF16", vocab=301, hidden=32, layers=2, heads=6, kv_heads=3, head_dim=16,
                            intermediate=96, rope_theta=5e6, tied=False, rope_parameters=True),
    # Stream guard, three query heads to a KV head, guard_inner_size above hidden, literal quotes in a map
    "stream-bf16": dict(seed=13, dtype="BF16", vocab=320, hidden=32, layers=3, heads=6, kv_heads=2, head_dim=16,
                        intermediate=96, rope_theta=1e6, tied=True, guard_inner=64, names=QUOTED_NAMES),
    # Stream guard in three shards, one query head to a KV head, guard_inner_size below hidden
    "stream-sharded-f16": dict(seed=14, dtype="F16", vocab=352, hidden=64, layers=2, heads=2, kv_heads=2, head_dim=16,
                               intermediate=64, rope_theta=1e6, tied=False, guard_inner=32, names=SHORT_NAMES, shards=3),
}


# ------------------------------------------------------------------------------------------- checkpoint

def config_of(m):
    """config.json of the model description `m`."""
    stream = "guard_inner" in m
    config = {
        "architectures": ["Qwen3ForGuardModel" if stream else "Qwen3ForCausalLM"],
        "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": m["vocab"] - 2, "eos_token_id": m["vocab"] - 1,
        "head_dim": m["head_dim"], "hidden_act": "silu", "hidden_size": m["hidden"], "initializer_range": 0.02,
        "intermediate_size": m["intermediate"], "max_position_embeddings": 8192 if stream else 40960,
        "max_window_layers": m["layers"], "model_type": "qwen3", "num_attention_heads": m["heads"],
        "num_hidden_layers": m["layers"], "num_key_value_heads": m["kv_heads"], "rms_norm_eps": 1e-06,
        "sliding_window": None, "tie_word_embeddings": m["tied"], "use_cache": True, "use_sliding_window": False,
        "vocab_size": m["vocab"],
    }
    dtype_name = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[m["dtype"]]
    if m.get("rope_parameters"):
        config |= {"dtype": dtype_name, "rope_parameters": {"rope_theta": m["rope_theta"], "rope_type": "default"}}
    else:
        config |= {"torch_dtype": dtype_name, "rope_theta": int(m["rope_theta"]), "rope_scaling": None}
    if stream:
        indexed = lambda names: {str(i): name for i, name in enumerate(names)}
        config |= {
            "auto_map": {"AutoModel": "modeling_qwen3_guard.Qwen3ForGuardModel"},
            "guard_inner_size": m["guard_inner"],
            "num_risk_level": 3, "num_category": 8, "num_query_risk_level": 3, "num_query_category": 9,
            "response_risk_level_map": indexed(RISK), "response_category_map": indexed(m["names"][:8]),
            "query_risk_level_map": indexed(RISK), "query_category_map": indexed(m["names"]),
        }
    return dict(sorted(config.items()))


def weights_of(m):
    """{tensor name: random tensor in the model's dtype}; norm weights are uniform in [0.5, 1.5]."""
    random = torch.Generator().manual_seed(m["seed"])
    tensors = {}

    def matrix(name, rows, columns, std=None):
        tensors[name] = torch.randn(rows, columns, generator=random) * (std or columns ** -0.5)

    def norm(name, size):
        tensors[name] = 0.5 + torch.rand(size, generator=random)

    hidden, queries, keys = m["hidden"], m["heads"] * m["head_dim"], m["kv_heads"] * m["head_dim"]
    matrix("model.embed_tokens.weight", m["vocab"], hidden, std=0.7)
    for i in range(m["layers"]):
        layer = f"model.layers.{i}."
        norm(layer + "input_layernorm.weight", hidden)
        matrix(layer + "self_attn.q_proj.weight", queries, hidden)
        matrix(layer + "self_attn.k_proj.weight", keys, hidden)
        matrix(layer + "self_attn.v_proj.weight", keys, hidden)
        matrix(layer + "self_attn.o_proj.weight", hidden, queries)
        norm(layer + "self_attn.q_norm.weight", m["head_dim"])
        norm(layer + "self_attn.k_norm.weight", m["head_dim"])
        norm(layer + "post_attention_layernorm.weight", hidden)
        matrix(layer + "mlp.gate_proj.weight", m["intermediate"], hidden)
        matrix(layer + "mlp.up_proj.weight", m["intermediate"], hidden)
        matrix(layer + "mlp.down_proj.weight", hidden, m["intermediate"])
    norm("model.norm.weight", hidden)
    if "guard_inner" in m:
        for prefix, categories in (("", 8), ("query_", 9)):
            matrix(prefix + "risk_level_category_pre.weight", m["guard_inner"], hidden)
            norm(prefix + "risk_level_category_layernorm.weight", m["guard_inner"])
            matrix(prefix + "risk_level_head.weight", 3, m["guard_inner"])
            matrix(prefix + "category_head.weight", categories, m["guard_inner"])
    elif not m["tied"]:
        matrix("lm_head.weight", m["vocab"], hidden)
    return {name: tensor.to(DTYPES[m["dtype"]]) for name, tensor in tensors.items()}


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_checkpoint(folder, m):
    """config.json and the weights, in one file or in `m["shards"]` of about equal size."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config_of(m))
    tensors, shards = weights_of(m), m.get("shards", 1)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    total, done, parts = sum(t.nbytes for t in tensors.values()), 0, [{} for _ in range(shards)]
    for name, tensor in tensors.items():
        parts[min(shards - 1, done * shards // total)][name] = tensor
        done += tensor.nbytes
    weight_map = {}
    for k, part in enumerate(parts, start=1):
        file = f"model-{k:05}-of-{shards:05}.safetensors"
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})


# ---------------------------------------------------------------------------------------------- golden

def rms_norm(x, weight, eps=1e-6):
    """x [T, g] scaled to unit root mean square per row, times weight [g]."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def stream_heads(x, w):
    """The four heads of the Stream guard on final-normed hidden states x [T, hidden] -> logits [T, classes].

    y = W_head * RMS(W_pre * x); response and query each share one W_pre between risk and category.
    """
    response = rms_norm(x @ w["risk_level_category_pre.weight"].T, w["risk_level_category_layernorm.weight"])
    query = rms_norm(x @ w["query_risk_level_category_pre.weight"].T, w["query_risk_level_category_layernorm.weight"])
    return {
        "risk": response @ w["risk_level_head.weight"].T,
        "category": response @ w["category_head.weight"].T,
        "query_risk": query @ w["query_risk_level_head.weight"].T,
        "query_category": query @ w["query_category_head.weight"].T,
    }


def load(folder, m, dtype):
    """(model, all tensors) from the written files, both in `dtype`."""
    tensors = {}
    for file in sorted(folder.glob("model*.safetensors")):
        tensors |= {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
    cls = Qwen3Model if "guard_inner" in m else Qwen3ForCausalLM
    config = Qwen3Config.from_pretrained(folder)
    assert config.rope_parameters["rope_theta"] == m["rope_theta"] and config.rope_parameters["rope_type"] == "default"
    model, info = cls.from_pretrained(folder, config=config, dtype=dtype, attn_implementation="eager",
                                      output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"], info
    return model.eval(), tensors


@torch.no_grad()
def forward(model, tensors, ids):
    """{name: [T, width]} for ids [T]: embed, layerNN (after each block), final, then logits or the four heads.

    `output_hidden_states` would give the last block's output only after the final norm, hence the hooks.
    """
    body = model if isinstance(model, Qwen3Model) else model.model
    out, hooks = {}, []

    def keep(name):
        def hook(_module, _inputs, result):
            out[name] = (result[0] if isinstance(result, tuple) else result)[0].clone()
        return hook

    hooks.append(body.embed_tokens.register_forward_hook(keep("embed")))
    for i, layer in enumerate(body.layers):
        hooks.append(layer.register_forward_hook(keep(f"layer{i:02}")))
    hooks.append(body.norm.register_forward_hook(keep("final")))
    result = model(input_ids=ids[None], use_cache=False)
    for hook in hooks:
        hook.remove()
    return out | (stream_heads(out["final"], tensors) if model is body else {"logits": result.logits[0]})


def golden(folder, m):
    """golden.safetensors: caseK.ids I32 [T] and F32 [T, width] for every name of `forward`."""
    random = torch.Generator().manual_seed(1000 + m["seed"])
    single, double = load(folder, m, torch.float32), load(folder, m, torch.float64)
    tensors, worst = {}, 0.0
    for k, length in enumerate(LENGTHS):
        ids = torch.randint(m["vocab"], (length,), generator=random)
        tensors[f"case{k}.ids"] = ids.to(torch.int32)
        exact = forward(*double, ids)
        for name, value in forward(*single, ids).items():
            tensors[f"case{k}.{name}"] = value.contiguous()
            worst = max(worst, ((value - exact[name]).abs().max() / exact[name].abs().max()).item())
    save_file(tensors, folder / "golden.safetensors")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()  # the heads are reported as unexpected: rightly
    transformers.logging.disable_progress_bar()
    for name, m in MODELS.items():
        folder = args.out / name
        write_checkpoint(folder, m)
        worst = golden(folder, m)
        sizes = ", ".join(f"{file.name} {file.stat().st_size}" for file in sorted(folder.glob("*.safetensors")))
        print(f"{name}: {sizes}; largest error over largest value "
              f"against products in fp64: {worst:.1e}")


if __name__ == "__main__":
    main()
