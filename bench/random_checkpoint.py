#!/usr/bin/env python3
"""Writes one random model of the Qwen3-0.6B shape in every format that the benchmarks compare.

    python bench/random_checkpoint.py FOLDER [--formats q8_0 q4_0 f16] [--seed 1]

FOLDER/hf/            config.json and model.safetensors (BF16): what the other formats are made from
FOLDER/q8_0.gguf      every matrix Q8_0
FOLDER/q4_0.gguf      backbone Q4_0, tied embedding Q6_K: what llama-quantize makes of Q4_0
FOLDER/f16.gguf       every matrix F16, when asked for

Speed and memory depend on shapes and formats, not on what the model has learnt; so both sides of a
comparison can read the same weights without a download. Needs numpy only. Weights are drawn, rounded and
written chunk by chunk: memory stays small, and numpy works inside the processor's cache.
"""

import argparse
import json
import shutil
import struct
from pathlib import Path

import numpy as np

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, FEED_FORWARD, VOCABULARY = 1024, 28, 16, 8, 128, 3072, 151936
MAX_POSITIONS, ROPE_THETA, RMS_EPSILON = 32768, 1e6, 1e-6
CHUNK = 1 << 18  # values; a multiple of every block size

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "head_dim": HEAD_SIZE,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "initializer_range": 0.02,
    "intermediate_size": FEED_FORWARD,
    "max_position_embeddings": MAX_POSITIONS,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": KV_HEADS,
    "rms_norm_eps": RMS_EPSILON,
    "rope_scaling": None,
    "rope_theta": ROPE_THETA,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": VOCABULARY,
}

GGUF_KEYS = {  # in the order of the file; ints are written as uint32, floats as float32
    "general.architecture": "qwen3",
    "general.name": "random weights, shape of Qwen3-0.6B",
    "general.quantization_version": 2,
    "qwen3.block_count": LAYERS,
    "qwen3.context_length": MAX_POSITIONS,
    "qwen3.embedding_length": HIDDEN,
    "qwen3.feed_forward_length": FEED_FORWARD,
    "qwen3.attention.head_count": HEADS,
    "qwen3.attention.head_count_kv": KV_HEADS,
    "qwen3.attention.key_length": HEAD_SIZE,
    "qwen3.attention.value_length": HEAD_SIZE,
    "qwen3.attention.layer_norm_rms_epsilon": RMS_EPSILON,
    "qwen3.rope.freq_base": ROPE_THETA,
    "qwen3.vocab_size": VOCABULARY,
    "tokenizer.ggml.model": "no_vocab",  # the benchmarks feed ids
}


def tensors():
    """(Hugging Face name, GGUF name, shape) in the order of all files."""
    yield "model.embed_tokens.weight", "token_embd.weight", (VOCABULARY, HIDDEN)
    parts = [
        ("input_layernorm", "attn_norm", (HIDDEN,)),
        ("self_attn.q_proj", "attn_q", (HEADS * HEAD_SIZE, HIDDEN)),
        ("self_attn.k_proj", "attn_k", (KV_HEADS * HEAD_SIZE, HIDDEN)),
        ("self_attn.v_proj", "attn_v", (KV_HEADS * HEAD_SIZE, HIDDEN)),
        ("self_attn.q_norm", "attn_q_norm", (HEAD_SIZE,)),
        ("self_attn.k_norm", "attn_k_norm", (HEAD_SIZE,)),
        ("self_attn.o_proj", "attn_output", (HIDDEN, HEADS * HEAD_SIZE)),
        ("post_attention_layernorm", "ffn_norm", (HIDDEN,)),
        ("mlp.gate_proj", "ffn_gate", (FEED_FORWARD, HIDDEN)),
        ("mlp.up_proj", "ffn_up", (FEED_FORWARD, HIDDEN)),
        ("mlp.down_proj", "ffn_down", (HIDDEN, FEED_FORWARD)),
    ]
    for layer in range(LAYERS):
        for theirs, ours, shape in parts:
            yield f"model.layers.{layer}.{theirs}.weight", f"blk.{layer}.{ours}.weight", shape
    yield "model.norm.weight", "output_norm.weight", (HIDDEN,)


def to_bf16(values):
    """Rounds to nearest even; normals of this size cannot overflow."""
    bits = values.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def f32(values):
    return values


def f16(values):
    return values.astype(np.float16)


def peaks(blocks):
    """The value with the greatest magnitude in each row, with its sign, as a column."""
    return np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)


def inverse(scale):
    return np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)


def q8_0(values):
    """32 values: fp16 scale, 32 int8; halves round away from zero, as ggml does."""
    blocks = values.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    scaled = blocks * inverse(scale)
    quants = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)).astype(np.int8)
    return np.hstack([scale.astype(np.float16).view(np.uint8), quants.view(np.uint8)])


def q4_0(values):
    """32 values: fp16 scale, 16 bytes; the low halves hold values 0..15, the high ones 16..31."""
    blocks = values.reshape(-1, 32)
    scale = peaks(blocks) / np.float32(-8)
    quants = np.minimum(15, (blocks * inverse(scale) + np.float32(8.5)).astype(np.uint8))
    packed = quants[:, :16] | quants[:, 16:] << 4
    return np.hstack([scale.astype(np.float16).view(np.uint8), packed])


def fitted_scales(blocks):
    """One scale for each row of 16 to 6-bit integers: the best in weighted squared error of 19 tries.

    The search of llama-quantize, so that its accuracy is theirs too. Columns are rows here: sums then run
    over long contiguous vectors.
    """
    peak = peaks(blocks)[:, 0]
    values = np.ascontiguousarray(blocks.T)
    weighted = values * values * values
    weights = values * values
    best_scale, best_gain = np.zeros_like(peak), np.zeros_like(peak)
    for step in [0, *range(-9, 0), *range(1, 10)]:
        factor = -np.float32(32 + 0.1 * step) * inverse(peak)
        quants = np.clip(np.rint(values * factor), -32, 31)
        dot = (weighted * quants).sum(axis=0)
        norm = inverse((weights * quants * quants).sum(axis=0))
        better = dot * dot * norm > best_gain
        best_gain = np.where(better, dot * dot * norm, best_gain)
        best_scale = np.where(better, dot * norm, best_scale)
    return best_scale


def q6_k(values):
    """256 values: 128 bytes of low nibbles, 64 of high pairs, 16 int8 scales of 16 values, fp16 scale."""
    scales = fitted_scales(values.reshape(-1, 16)).reshape(-1, 16)
    factor = np.float32(-128) * inverse(peaks(scales))
    scale = inverse(factor).astype(np.float16)
    steps = np.minimum(127, np.rint(factor * scales)).astype(np.int8)
    fine = inverse(scale.astype(np.float32) * steps)[:, :, None]
    quants = np.clip(np.rint(values.reshape(-1, 16, 16) * fine), -32, 31).astype(np.int8)
    quants = (quants + np.int8(32)).view(np.uint8).reshape(-1, 2, 4, 32)
    low = quants & 15
    low = low[:, :, :2] | low[:, :, 2:] << 4
    high = quants >> 4
    high = high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6
    parts = [low.reshape(-1, 128), high.reshape(-1, 64), steps.view(np.uint8), scale.view(np.uint8)]
    return np.hstack(parts)


# ggml's type number, bytes of a block, values of a block.
ENCODINGS = {f32: (0, 4, 1), f16: (1, 2, 1), q4_0: (2, 18, 32), q8_0: (8, 34, 32), q6_k: (14, 210, 256)}

# general.file_type, matrices of the backbone, embedding.
FORMATS = {"f16": (1, f16, f16), "q4_0": (2, q4_0, q6_k), "q8_0": (7, q8_0, q8_0)}


class Safetensors:
    """A BF16 checkpoint whose tensors arrive in order, in pieces."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        for name, _, shape in tensors():
            end = offset + 2 * int(np.prod(shape))
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
            offset = end
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        self.file = open(folder / "model.safetensors", "wb")
        self.file.write(struct.pack("<Q", len(text)) + text)

    def add(self, name, bits, values):
        self.file.write(bits)


class Gguf:
    """A GGUF file (version 3) whose tensors arrive in order, in pieces."""

    ALIGNMENT = 32

    def __init__(self, path, file_type, matrix, embedding):
        self.encoders = {}
        infos, offset = b"", 0
        for _, name, shape in tensors():
            encoder = f32 if len(shape) == 1 else embedding if name == "token_embd.weight" else matrix
            number, block_bytes, block = ENCODINGS[encoder]
            infos += self.string(name) + struct.pack("<I", len(shape))
            infos += struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", number, offset)
            self.encoders[name] = encoder
            offset += int(np.prod(shape)) // block * block_bytes
            assert offset % self.ALIGNMENT == 0  # so tensors follow one another without padding
        keys = GGUF_KEYS | {"general.file_type": file_type}
        head = struct.pack("<4sIQQ", b"GGUF", 3, len(self.encoders), len(keys))
        head += b"".join(self.string(key) + self.value(value) for key, value in keys.items()) + infos
        self.file = open(path, "wb")
        self.file.write(head + b"\0" * (-len(head) % self.ALIGNMENT))

    @staticmethod
    def string(text):
        return struct.pack("<Q", len(text.encode())) + text.encode()

    @staticmethod
    def value(value):
        if isinstance(value, str):
            return struct.pack("<I", 8) + Gguf.string(value)
        return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)

    def add(self, name, bits, values):
        self.file.write(self.encoders[name](values))


# The guard's heads (Qwen3ForGuardModel), 512 wide as in the official 0.6B.
INNER = 512
GUARD_HEADS = {"risk_level": 3, "category": 8}
GUARD_QUERY_HEADS = {"risk_level": 3, "category": 9}


def write_guard(folder, backbone, tokenizer, random):
    """The same backbone as a Stream guard: heads in a shard of their own, and a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    heads = {}
    for side, sizes in (("", GUARD_HEADS), ("query_", GUARD_QUERY_HEADS)):
        pre = f"{side}risk_level_category_pre.weight"
        heads[pre] = random.standard_normal((INNER, CONFIG["hidden_size"]), dtype=np.float32) * np.float32(0.02)
        heads[f"{side}risk_level_category_layernorm.weight"] = np.ones(INNER, np.float32)
        for name, size in sizes.items():
            heads[f"{side}{name}_head.weight"] = random.standard_normal((size, INNER), dtype=np.float32) * np.float32(0.02)
    header, data = {}, b""
    for name, values in heads.items():
        bits = to_bf16(values).tobytes()
        header[name] = {"dtype": "BF16", "shape": values.shape, "data_offsets": [len(data), len(data) + len(bits)]}
        data += bits
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    (folder / shards[0]).unlink(missing_ok=True)
    (folder / shards[0]).hardlink_to(backbone / "model.safetensors")
    (folder / shards[1]).write_bytes(struct.pack("<Q", len(text)) + text + data)
    weights = {name: shards[0] for name, _, _ in tensors()} | {name: shards[1] for name in heads}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weights}))
    risks = {"0": "Safe", "1": "Unsafe", "2": "Controversial"}
    categories = {str(i): name for i, name in enumerate(
        ["Violent", "Sexual Content or Sexual Acts", "Suicide & Self-Harm", "Politically Sensitive Topics", "PII",
         "Copyright Violation", "Non-violent Illegal Acts", "Unethical Acts", "Jailbreak"])}
    config = CONFIG | {
        "architectures": ["Qwen3ForGuardModel"], "guard_inner_size": INNER, "max_position_embeddings": 8192,
        "num_risk_level": 3, "num_category": 8, "num_query_risk_level": 3, "num_query_category": 9,
        "response_risk_level_map": risks, "query_risk_level_map": risks, "query_category_map": categories,
        "response_category_map": {k: v for k, v in categories.items() if k != "8"}}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copy(tokenizer, folder / "tokenizer.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=["q8_0", "q4_0"])
    parser.add_argument("--guard", type=Path, metavar="TOKENIZER", help="also as a Stream guard, with this tokenizer.json")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    checkpoint = Safetensors(options.folder / "hf")
    files = [Gguf(options.folder / f"{name}.gguf", *FORMATS[name]) for name in options.formats]
    random = np.random.default_rng(options.seed)
    for theirs, name, shape in tensors():
        mean = 1.0 if len(shape) == 1 else 0.0  # norms near one
        size = int(np.prod(shape))
        for start in range(0, size, CHUNK):
            drawn = random.standard_normal(min(CHUNK, size - start), dtype=np.float32)
            bits = to_bf16(drawn * np.float32(0.02) + np.float32(mean))
            values = (bits.astype(np.uint32) << 16).view(np.float32)
            checkpoint.add(theirs, bits, values)
            for file in files:
                file.add(name, bits, values)
    for file in [checkpoint, *files]:
        file.file.close()
    if options.guard:
        write_guard(options.folder / "guard", options.folder / "hf", options.guard, random)


if __name__ == "__main__":
    main()
