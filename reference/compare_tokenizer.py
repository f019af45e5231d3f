"""Compares our tokenizer with the `tokenizers` library: ids and offsets on many texts, and throughput.

    python compare_tokenizer.py --tokenizer DIR_OR_TOKENIZER_JSON --data DATA_FOLDER --program tokenizer_bench

Texts are the messages of DATA_FOLDER/*.jsonl(.gz) (objects with "messages": [{"content"}]), drawn evenly
from every language of every file, and strings of random code points. The program is bench/tokenizer_bench.cpp.
Exit status 1 if anything differs.
"""

import argparse
import collections
import glob
import gzip
import json
import os
import random
import struct
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer  # noqa: E402  (must see the settings above)


def data_texts(folder, count, seed):
    """At most `count` distinct messages, taken in turn from every (file, language)."""
    pools = collections.defaultdict(list)
    for path in sorted(glob.glob(os.path.join(folder, "*.jsonl")) + glob.glob(os.path.join(folder, "*.jsonl.gz"))):
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                for message in row["messages"]:
                    pools[os.path.basename(path), row.get("lang")].append(message["content"])
    rng = random.Random(seed)
    for key in pools:
        pools[key] = list(dict.fromkeys(pools[key]))
        rng.shuffle(pools[key])
    texts, languages = {}, collections.Counter()
    while len(texts) < count and pools:
        for key in list(pools):
            if not pools[key]:
                del pools[key]
                continue
            text = pools[key].pop()
            if text not in texts and len(texts) < count:
                texts[text] = None
                languages[key[1]] += 1
    return list(texts), languages


def random_texts(code_points, seed):
    """Strings over all of Unicode and over the pools where tokenizers go wrong; no surrogates."""
    rng = random.Random(seed)
    everything = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    pools = [
        (lambda: rng.choice(everything), 3),
        (lambda: rng.randrange(0x20, 0x7F), 3),
        (lambda: rng.randrange(0, 0x20), 1),
        (lambda: rng.choice(" \t\r\n\u00a0\u3000\u2028\u0085"), 3),
        (lambda: rng.choice("'sStTrReEvVmMlLdD\u017f"), 2),
        (lambda: rng.randrange(0x300, 0x370), 2),
        (lambda: rng.randrange(0xC0, 0x250), 2),
        (lambda: rng.randrange(0x900, 0xE00), 2),
        (lambda: rng.randrange(0x1100, 0x1200), 1),
        (lambda: rng.randrange(0xAC00, 0xD7A4), 1),
        (lambda: rng.randrange(0x4E00, 0xA000), 2),
        (lambda: rng.randrange(0x1D100, 0x1D250), 1),
        (lambda: rng.randrange(0x1F000, 0x1FB00), 1),
        (lambda: rng.choice("0123456789\u0660\u00b2\u2167"), 1),
    ]
    makers, weights = zip(*pools)
    texts, made = [], 0
    while made < code_points:
        some = rng.sample(range(len(makers)), rng.randint(1, 5))
        size = rng.choice((3, 10, 40, 200))
        chosen = rng.choices([makers[i] for i in some], [weights[i] for i in some], k=size)
        parts = [c if isinstance(c, str) else chr(c) for c in (make() for make in chosen)]
        texts.append("".join(parts))
        made += size
    return texts


def run_program(program, directory, texts, flags=()):
    """([(ids, [(begin, end)])], statistics) of our program, offsets in bytes."""
    raw = [text.encode("utf-8") for text in texts]
    stdin = b"".join(struct.pack("<I", len(r)) + r for r in raw)
    done = subprocess.run([program, directory, *flags], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"{program}: {done.stderr.decode()}")
    out, at, results = done.stdout, 0, []
    for _ in raw:
        (n,) = struct.unpack_from("<I", out, at)
        ids = struct.unpack_from(f"<{n}i", out, at + 4)
        spans = struct.unpack_from(f"<{2 * n}I", out, at + 4 + 4 * n)
        results.append((list(ids), list(zip(spans[::2], spans[1::2]))))
        at += 4 + 12 * n
    assert at == len(out)
    return results, json.loads(done.stderr)


def byte_offsets(text, spans):
    """The library's offsets, in characters, as bytes."""
    if text.isascii():
        return spans
    at = [0]
    for ch in text:
        at.append(at[-1] + len(ch.encode("utf-8")))
    return [(at[a], at[b]) for a, b in spans]


def compare(name, reference, program, directory, texts, normalizer, flags=(), batch=20_000):
    """Number of texts whose ids differ. Offsets are compared where NFC changes nothing."""
    tokens = differing = offsets_compared = offsets_differing = 0
    for start in range(0, len(texts), batch):
        part = texts[start:start + batch]
        ours, _ = run_program(program, directory, part, flags)
        for text, (ids, spans) in zip(part, ours):
            theirs = reference.encode(text, add_special_tokens=False)
            tokens += len(theirs.ids)
            if ids != theirs.ids:
                differing += 1
                if differing <= 5:
                    print(f"  ids differ on {text!r}\n    ours   {ids}\n    theirs {theirs.ids}")
            elif normalizer.normalize_str(text) == text:
                offsets_compared += 1
                if spans != byte_offsets(text, theirs.offsets):
                    offsets_differing += 1
                    if offsets_differing <= 5:
                        print(f"  offsets differ on {text!r}\n    ours   {spans}\n"
                              f"    theirs {byte_offsets(text, theirs.offsets)}")
    print(f"{name}: {len(texts)} texts, {sum(map(len, texts))} characters, {tokens} tokens: "
          f"{differing} texts differ in ids; offsets compared on {offsets_compared}, {offsets_differing} differ",
          flush=True)
    return differing + offsets_differing


def throughput(program, directory, texts, rounds):
    """MB/s of processor time of both on one thread, encoding only; the best of `rounds` alternating rounds.
    Offsets on for both; the library also once without. The library remembers pieces that it has seen, so each
    measurement begins with a fresh one: no text is met twice."""
    size = sum(len(text.encode("utf-8")) for text in texts)
    best = {"ours": 1e9, "tokenizers": 1e9, "tokenizers, batch": 1e9, "tokenizers, batch, no offsets": 1e9}
    for _ in range(rounds):
        _, statistics = run_program(program, directory, texts)
        best["ours"] = min(best["ours"], statistics["seconds"])
        for name, call in (("tokenizers", lambda r: [r.encode(t, add_special_tokens=False) for t in texts]),
                           ("tokenizers, batch", lambda r: r.encode_batch(texts, add_special_tokens=False)),
                           ("tokenizers, batch, no offsets",
                            lambda r: r.encode_batch_fast(texts, add_special_tokens=False))):
            reference = Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
            began = time.process_time()
            call(reference)
            best[name] = min(best[name], time.process_time() - began)
    rates = {name: size / seconds / 1e6 for name, seconds in best.items()}
    fastest = max(rate for name, rate in rates.items() if name != "ours")
    return rates, rates["ours"] / rates["tokenizers"], rates["ours"] / fastest


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokenizer", required=True, help="folder with tokenizer.json")
    parser.add_argument("--data", help="folder of *.jsonl(.gz)")
    parser.add_argument("--program", required=True, help="bench/tokenizer_bench, built")
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--code-points", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="of the throughput measurement; 0: none")
    args = parser.parse_args()

    reference = Tokenizer.from_file(os.path.join(args.tokenizer, "tokenizer.json"))
    normalizer = reference.normalizer
    bad = 0
    texts = []
    if args.data:
        texts, languages = data_texts(args.data, args.texts, args.seed)
        print("languages:", dict(languages.most_common()))
        bad += compare("data", reference, args.program, args.tokenizer, texts, normalizer, ["--added-tokens"])
    randoms = random_texts(args.code_points, args.seed)
    bad += compare("random", reference, args.program, args.tokenizer, randoms, normalizer, ["--added-tokens"])
    every = ["".join(f"a{chr(c)}b {chr(c)}\n" for c in range(block, block + 64) if not 0xD800 <= c <= 0xDFFF)
             for block in range(0, 0x110000, 64)]
    bad += compare("every code point", reference, args.program, args.tokenizer, every, normalizer, ["--added-tokens"])

    if args.rounds and texts:
        samples = {"all languages": texts[:20_000],
                   "mostly ASCII": [t for t in texts if t.isascii()][:20_000],
                   "Chinese": [t for t in texts if sum("\u4e00" <= c <= "\u9fff" for c in t) > len(t) / 2][:20_000]}
        for name, sample in samples.items():
            rates, ratio, worst = throughput(args.program, args.tokenizer, sample, args.rounds)
            print(f"throughput, {name} ({sum(len(t.encode()) for t in sample)} bytes), MB/s: " +
                  ", ".join(f"{k} {v:.2f}" for k, v in rates.items()) +
                  f"; ours / encode {ratio:.1f}, ours / their fastest {worst:.1f}", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
