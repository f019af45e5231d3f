"""Writes tests/golden/tokenizer/: a trimmed Qwen3 tokenizer and a sample of texts with their reference ids.

    tokenizer.json      the full tokenizer cut down by trim_tokenizer.py, so that tests need no big file
    sample.jsonl.gz     one object a line:
        source          "edge" (edge_texts.py), "random", or <set>/<language> of the labelled data
        text
        ids             by tokenizer.json above, added-token strings recognised
        full_ids        by the full tokenizer, the same way
        plain_ids       } only where the text contains an added-token string: the ids when such strings
        full_plain_ids  } are ordinary text
        offsets         for some lines, one [begin, end) in bytes of `text` per entry of `ids`
        nfc_changes     true where NFC changes the text; absent otherwise

Offsets are the library's Encoding.offsets, which count characters of the original text, converted to bytes.
A token that holds only some bytes of a character spans the whole character. Where NFC changes the text the
library's alignment is loose: a composed character spans only the first of the characters it came from, and
marks that were reordered take each other's place.

    python export_tokenizer_goldens.py --tokenizer tokenizer.json --data labelled-data --out ../tests/golden/tokenizer
"""

import argparse
import gzip
import json
import pathlib
import random

from tokenizers import Tokenizer

import edge_texts
import trim_tokenizer

# Sets of the labelled data that hold everyday requests; only rows labelled Safe are taken.
SETS = ["benign_arena_en", "benign_chat_zh", "cyberseceval_frr", "k_overrefusal_prompts", "prompt_injection", "ja_toxic",
        "benign_multilingual_qa", "benign_dolly_en"]
MAX_CHARACTERS = 160


def labelled_texts(folder, per_language, rng):
    """[(source, text)], at most `per_language` for a language, spread over the sets that have it."""
    licence = {entry["name"]: entry["licence_class"] for entry in json.loads((folder / "index.json").read_text())}
    found = {}  # language -> set -> texts
    for name in SETS:
        assert licence[name] in ("permissive", "share-alike"), name
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                text = row["messages"][-1]["content"]
                if row["label"] == "Safe" and len(text) <= MAX_CHARACTERS:
                    found.setdefault(row["lang"], {}).setdefault(name, []).append(text)
    chosen = []
    for language in sorted(found):
        sets = {name: rng.sample(sorted(set(texts)), len(set(texts))) for name, texts in found[language].items()}
        taken = []
        while len(taken) < per_language and any(sets.values()):
            taken += [(f"{name}/{language}", texts.pop()) for name, texts in sets.items() if texts]
        chosen += taken[:per_language]
    return chosen


def random_texts(count, rng):
    """Strings of code points from everywhere: unassigned, combining, control, private use; no surrogates."""
    pools = [
        lambda: rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)]),  # anything
        lambda: rng.randrange(0xD800), lambda: rng.randrange(0x20), lambda: rng.randrange(0x20, 0x7F),
        lambda: rng.randrange(0x80, 0x250), lambda: rng.randrange(0x300, 0x370), lambda: rng.randrange(0x590, 0x700),
        lambda: rng.randrange(0x900, 0xE00), lambda: rng.randrange(0x1100, 0x1200), lambda: rng.randrange(0x2000, 0x2070),
        lambda: rng.randrange(0x3040, 0x3100), lambda: rng.randrange(0xAC00, 0xD7B0), lambda: rng.randrange(0xE000, 0xF900),
        lambda: rng.randrange(0x1F300, 0x1FB00), lambda: rng.choice([0x20, 0x0A, 0x0D, 0x09, 0xA0, 0x3000, 0x27, 0x2019]),
        lambda: rng.randrange(0x10000, 0x20000), lambda: rng.randrange(0x1D000, 0x1D250), lambda: rng.randrange(0xE0000, 0xE0200),
    ]
    texts = []
    for _ in range(count):
        favourites = rng.sample(pools, rng.randint(1, 3))
        texts.append("".join(chr(rng.choice(favourites)()) for _ in range(rng.randint(1, 16))))
    return texts


def without_added(spec):
    """The same tokenizer blind to its added tokens."""
    return trim_tokenizer.tokenizer_of(spec | {"added_tokens": []})


def byte_offsets(encoding, text):
    """Encoding.offsets in bytes of `text`."""
    at = [0]
    for ch in text:
        at.append(at[-1] + len(ch.encode("utf-8")))
    return [[at[begin], at[end]] for begin, end in encoding.offsets]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True, help="the full tokenizer.json of Qwen3")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with index.json and <set>.jsonl.gz")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--size", type=int, default=5000, help="tokens of the trimmed tokenizer")
    parser.add_argument("--per-language", type=int, default=118)
    parser.add_argument("--random", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)

    edge = [("edge", text) for text in edge_texts.ALL]
    strange = [("random", text) for text in random_texts(args.random, rng)]
    natural = labelled_texts(args.data, args.per_language, rng)
    sample = edge + strange + natural

    full_spec = trim_tokenizer.load_spec(args.tokenizer)
    spec = trim_tokenizer.trim(full_spec, [text for _, text in edge + natural], args.size)
    args.out.mkdir(parents=True, exist_ok=True)
    trim_tokenizer.save(spec, args.out / "tokenizer.json")

    small, full = Tokenizer.from_file(str(args.out / "tokenizer.json")), Tokenizer.from_file(str(args.tokenizer))
    small_plain, full_plain = without_added(spec), without_added(full_spec)
    added = [token["content"] for token in spec["added_tokens"]]
    lines, counts = [], {"offsets": 0, "nfc_changes": 0, "plain_ids": 0}
    for n, (source, text) in enumerate(sample):
        encoding = small.encode(text)
        row = {"source": source, "text": text, "ids": encoding.ids, "full_ids": full.encode(text).ids}
        if any(content in text for content in added):
            row |= {"plain_ids": small_plain.encode(text).ids, "full_plain_ids": full_plain.encode(text).ids}
        if source == "edge" or n % 8 == 0:
            row["offsets"] = byte_offsets(encoding, text)
        if small.normalizer.normalize_str(text) != text:
            row["nfc_changes"] = True
        for key in counts:
            counts[key] += key in row
        lines.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    with open(args.out / "sample.jsonl.gz", "wb") as file:
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            packed.write("".join(lines).encode("utf-8"))

    print(f"tokenizer.json: {small.get_vocab_size()} tokens, {len(spec['model']['merges'])} merges, "
          f"{(args.out / 'tokenizer.json').stat().st_size} bytes")
    print(f"sample.jsonl.gz: {len(edge)} edge, {len(strange)} random, {len(natural)} natural, {counts}, "
          f"{(args.out / 'sample.jsonl.gz').stat().st_size} bytes ({sum(map(len, lines))} characters unpacked)")


if __name__ == "__main__":
    main()
