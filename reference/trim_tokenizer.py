"""Cuts the Qwen3 tokenizer down to a few thousand tokens that still merge as the full one does.

The result is an ordinary tokenizer.json: same normalizer, pre-tokenizer, decoder and added tokens, ids
renumbered without gaps (byte-pair tokens in their old order, then the added tokens in theirs). The kept set
is closed under merges: with a token come the two parts of the last merge that makes it, and so on down to
the 256 bytes. Every merge whose parts and result are all kept is kept, in the old order.

Used as a library by the exporters.
"""

import collections
import copy
import json

from tokenizers import Tokenizer


def load_spec(path):
    """The parsed tokenizer.json at `path`."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def tokenizer_of(spec):
    return Tokenizer.from_str(json.dumps(spec, ensure_ascii=False))


def derivations(model):
    """{token: (left, right)} of the merge that makes each token first; tokens that no merge makes are absent."""
    parts = {}
    for left, right in map(tuple, model["merges"]):
        parts.setdefault(left + right, (left, right))
    return parts


def trim(spec, texts, size):
    """A copy of `spec` with at most `size` tokens: the bytes, the added tokens, those most used in `texts`,
    and, if room is left, those that the full tokenizer learned first.
    """
    full = tokenizer_of(spec)
    model, added = spec["model"], spec["added_tokens"]
    counts = collections.Counter(token for text in texts for token in full.encode(text).tokens)
    wanted = sorted(counts.keys() & model["vocab"].keys(), key=lambda token: (-counts[token], token))
    wanted += sorted(model["vocab"], key=model["vocab"].get)
    parts = derivations(model)
    kept = {token for token in model["vocab"] if token not in parts}
    assert len(kept) == 256, "the tokens that no merge makes are the bytes"
    room = size - len(added)
    for token in wanted:
        family, open_ = set(), [token]
        while open_:
            part = open_.pop()
            if part not in kept and part not in family:
                family.add(part)
                open_ += parts[part]
        if len(kept) + len(family) <= room:
            kept |= family

    result = copy.deepcopy(spec)
    ordered = sorted(kept, key=model["vocab"].get)
    result["model"]["vocab"] = {token: i for i, token in enumerate(ordered)}
    result["model"]["merges"] = [[a, b] for a, b in model["merges"] if a in kept and b in kept and a + b in kept]
    for i, token in enumerate(sorted(result["added_tokens"], key=lambda t: t["id"])):
        token["id"] = len(ordered) + i
    return result


def save(spec, path):
    """Writes compact JSON (UTF-8, one line)."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        json.dump(spec, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
