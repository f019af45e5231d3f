"""Writes a tiny GGUF file with every kind of metadata and every tensor type that we know, and the numbers it holds.

For every tensor `<type>` of <out>/golden.gguf that we decode, <out>/golden.safetensors has `<type>`, the numbers that
the package `gguf` reads from its blocks; for the types that we quantise also `<type>.input`, the numbers that the
package made those blocks from. The blocks of the K types are random bytes with scales that are ordinary numbers.

    python export_gguf_golden.py --out ../tests/golden/gguf
"""

import argparse
import pathlib

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, quants
from safetensors.numpy import save_file

ROWS = {"F32": (3, 8), "F16": (3, 8), "BF16": (2, 2, 8), "Q8_0": (3, 96), "Q4_0": (3, 96), "Q4_K": (2, 256),
        "Q6_K": (2, 256)}
NOT_DECODED = {"Q4_1": (1, 32), "Q5_0": (1, 32), "Q5_1": (1, 32), "Q2_K": (1, 256), "Q3_K": (1, 256), "Q5_K": (1, 256)}
MADE_FROM_NUMBERS = ("F32", "F16", "BF16", "Q8_0", "Q4_0")
SCALES = {"Q4_K": (0, 2), "Q6_K": (208,)}  # where a block has its fp16 scales

METADATA = [
    ("test.u8", 200, GGUFValueType.UINT8), ("test.i8", -7, GGUFValueType.INT8),
    ("test.u16", 60_000, GGUFValueType.UINT16), ("test.i16", -300, GGUFValueType.INT16),
    ("test.u32", 4_000_000_000, GGUFValueType.UINT32), ("test.i32", -70_000, GGUFValueType.INT32),
    ("test.f32", 0.1, GGUFValueType.FLOAT32), ("test.bool", True, GGUFValueType.BOOL),
    ("test.string", "h\u00e9llo \u4f60\u597d", GGUFValueType.STRING),
    ("test.u64", 2**64 - 1, GGUFValueType.UINT64), ("test.i64", -2**63, GGUFValueType.INT64),
    ("test.f64", 1e-6, GGUFValueType.FLOAT64),
    ("test.strings", ["a", "", "\u0120b"], GGUFValueType.ARRAY), ("test.bools", [True, False], GGUFValueType.ARRAY),
    ("test.ints", [-1, 2, 3], GGUFValueType.ARRAY), ("test.floats", [0.5, -1.25], GGUFValueType.ARRAY),
]


def numbers(random, shape):
    """Mostly bell-shaped, with blocks of zeros, of ties and of very different sizes among them."""
    values = random.standard_normal(shape).astype(np.float32)
    if shape[-1] >= 96:
        values[0, :32] = 0
        values[0, 32:64] = np.arange(-16, 16) / 2  # halves: how ties round
        values[1, :32] *= 1e-6
        values[1, 32:64] *= 1e4
    return values


def blocks(random, shape, name):
    """Random blocks as bytes, [..., bytes of a row]."""
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    packed = random.integers(0, 256, (*shape[:-1], shape[-1] // elements, size), dtype=np.uint8)
    for at in SCALES.get(name, ()):
        scale = random.uniform(0.001, 0.1, packed.shape[:-1] + (1,)).astype(np.float16)
        packed[..., at:at + 2] = scale.view(np.uint8)
    return packed.reshape(*shape[:-1], -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    random = np.random.default_rng(17)
    writer = GGUFWriter(out / "golden.gguf", "test")
    for key, value, kind in METADATA:
        writer.add_key_value(key, value, kind)
    expected = {}
    for name, shape in (ROWS | NOT_DECODED).items():
        kind = GGMLQuantizationType[name]
        if name in MADE_FROM_NUMBERS:
            values = numbers(random, shape)
            packed = quants.quantize(values, kind)
            if name in ("Q8_0", "Q4_0"):
                expected[name + ".input"] = values
        else:
            packed = blocks(random, shape, name)
        writer.add_tensor(name, packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    for tensor in GGUFReader(out / "golden.gguf").tensors:  # read back from the file just written
        if tensor.name in NOT_DECODED:
            continue
        values = quants.dequantize(tensor.data, tensor.tensor_type)
        expected[tensor.name] = np.ascontiguousarray(values, np.float32).reshape(ROWS[tensor.name])
    save_file(expected, out / "golden.safetensors")
    (out / "golden.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
