"""Writes src/tokens/unicode_tables.inc by probing the pinned `tokenizers` library.

The library is the only oracle: no Unicode data file is read. Every code point except the surrogates is
asked two things:

* the regex engine, through `pre_tokenizers.Split`: is it \\p{L}, \\p{N}, \\s, and what does it match
  inside the case-insensitive contractions of the Qwen3 pre-tokenizer;
* the normalizers NFD and NFC: how it decomposes, what it composes with, and in which order it is
  sorted among combining marks.

The engine and the normalizers follow different versions of Unicode, so nothing is inferred from one for
the other. Before it writes, the script checks that a plain NFC over the tables equals the library's NFC
on random strings; if it does not, nothing is written.

    python export_unicode_tables.py --out ../src/tokens/unicode_tables.inc
"""

import argparse
import random
import sys
import time

import tokenizers
from tokenizers import Regex
from tokenizers.normalizers import NFC, NFD
from tokenizers.pre_tokenizers import Split

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"]

HANGUL_L, HANGUL_V, HANGUL_T, HANGUL_S = 0x1100, 0x1161, 0x11A7, 0xAC00
HANGUL_V_COUNT, HANGUL_T_COUNT, HANGUL_S_COUNT = 21, 28, 11172

nfc = NFC().normalize_str
nfd = NFD().normalize_str


def is_hangul_syllable(c):
    return HANGUL_S <= c < HANGUL_S + HANGUL_S_COUNT


# ---------------------------------------------------------------------------------------------- classes

def matching(regex, separator="\0"):
    """Code points that `regex`, which matches one character, matches. REQUIRES: it does not match `separator`."""
    text = separator + "".join(chr(c) + separator for c in CODE_POINTS if chr(c) != separator)
    pieces = Split(Regex(regex), behavior="isolated").pre_tokenize_str(text)
    return {ord(piece) for piece, _ in pieces if len(piece) == 1 and piece != separator}


def classes():
    """Letters, numbers and white space; checks that negation and class unions agree with them."""
    letter, number, space = matching(r"\p{L}"), matching(r"\p{N}"), matching(r"\s")
    everything = set(CODE_POINTS)
    assert matching(r"\S", separator=" ") == everything - space
    assert matching(r"[^\s\p{L}\p{N}]", separator=" ") == everything - space - letter - number
    assert matching(r"[^\r\n\p{L}\p{N}]", separator="\n") == everything - letter - number - {0x0A, 0x0D}
    assert matching(r"[\r\n]") == {0x0A, 0x0D}
    assert not (letter & number or letter & space or number & space)
    return letter, number, space


def contraction_folds():
    """{code point: ASCII letter} for non-ASCII characters that stand for a letter of a contraction.

    Every code point is tried in every position of every contraction, and as a stand-in for the whole of it
    or for two of its characters. Only one-for-one matches may exist: the table has no other shape.
    """
    others = [c for c in CODE_POINTS if c != 0x0A]
    folds = {}
    for word in CONTRACTIONS:
        split = Split(Regex(f"(?i:{word})"), behavior="isolated")
        for first in range(len(word)):
            for last in range(first + 1, len(word) + 1):
                candidates = {word[:first] + chr(c) + word[last:]: c for c in others}
                text = "\n" + "".join(candidate + "\n" for candidate in candidates)
                pieces = {piece for piece, _ in split.pre_tokenize_str(text)}  # a mismatch keeps its newline
                for candidate in pieces & candidates.keys():
                    c = candidates[candidate]
                    if c < 0x80:
                        assert candidate.lower() == word
                        continue
                    assert last - first == 1, f"U+{c:04X} stands for {word[first:last]!r}"
                    assert folds.setdefault(c, word[first]) == word[first]
    return folds


# -------------------------------------------------------------------------------------- normalization

def decompositions():
    """{code point: (first, second)} one-step canonical decompositions, second 0 for a singleton; no Hangul.

    NFD gives the full decomposition d1 ... dn. One step is (x, dn) with x the character whose own full
    decomposition is d1 ... dn-1, so that applying the table again and again gives the full one.
    """
    full = {}
    for c in CODE_POINTS:
        parts = nfd(chr(c))
        if parts != chr(c) and not is_hangul_syllable(c):
            full[c] = parts
    owner = {}
    for c, parts in full.items():
        if len(parts) > 1 and (parts not in owner or nfc(chr(c)) == chr(c)):
            owner[parts] = c
    table = {}
    for c, parts in full.items():
        if len(parts) == 1:
            table[c] = (ord(parts), 0)
            continue
        if owner[parts] != c:  # a singleton of another composite, such as U+212B of U+00C5
            table[c] = (owner[parts], 0)
            continue
        first = ord(parts[0]) if len(parts) == 2 else owner[parts[:-1]]
        table[c] = (first, ord(parts[-1]))
    return table


def compositions(table):
    """{(first, second): composed}: the decompositions that the library's NFC puts together again."""
    pairs = {}
    for c, (first, second) in table.items():
        if second and nfc(chr(c)) == chr(c):
            assert nfc(chr(first) + chr(second)) == chr(c), hex(c)
            pairs[first, second] = c
    return pairs


def combining_classes():
    """{code point: canonical combining class} found by sorting experiments alone.

    A mark of class k jumps over a mark of a higher class before it. One mark for each class that exists is
    enough: a character that jumps over neither side of the mark of class k, and is not a starter, is of
    class k. The classes of the marks below are the scale; only their order matters to normalization.
    """
    scale = {
        1: 0x0334, 6: 0x16FF0, 7: 0x093C, 8: 0x3099, 9: 0x094D, 10: 0x05B0, 11: 0x05B1, 12: 0x05B2,
        13: 0x05B3, 14: 0x05B4, 15: 0x05B5, 16: 0x05B6, 17: 0x05B7, 18: 0x05B8, 19: 0x05B9, 20: 0x05BB,
        21: 0x05BC, 22: 0x05BD, 23: 0x05BF, 24: 0x05C1, 25: 0x05C2, 26: 0xFB1E, 27: 0x064B, 28: 0x064C,
        29: 0x064D, 30: 0x064E, 31: 0x064F, 32: 0x0650, 33: 0x0651, 34: 0x0652, 35: 0x0670, 36: 0x0711,
        84: 0x0C55, 91: 0x0C56, 103: 0x0E38, 107: 0x0E48, 118: 0x0EB8, 122: 0x0EC8, 129: 0x0F71,
        130: 0x0F72, 132: 0x0F74, 202: 0x0321, 214: 0x1DCE, 216: 0x031B, 218: 0x302A, 220: 0x0316,
        222: 0x059A, 224: 0x302E, 226: 0x1D16D, 228: 0x05AE, 230: 0x0300, 232: 0x0315, 233: 0x035C,
        234: 0x035D, 240: 0x0345,
    }

    def below(a, b):
        """Is a mark whose class is lower than that of b? (never true of starters)"""
        return nfd(chr(b) + chr(a)) == chr(a) + chr(b) and a != b

    # A class whose mark the library does not know yet drops out of the scale.
    scale = {k: m for k, m in scale.items() if below(m, scale[240]) or k == 240}
    ladder = sorted(scale)
    for low, high in zip(ladder, ladder[1:]):
        assert below(scale[low], scale[high]), (low, high)

    decomposed = {c for c in CODE_POINTS if nfd(chr(c)) != chr(c)}
    result = {}
    for c in CODE_POINTS:
        if c in decomposed:
            continue  # classes matter after decomposition only
        if not (below(c, scale[240]) or below(scale[1], c)):
            if nfd(chr(scale[ladder[1]]) + chr(c)) != chr(c) + chr(scale[ladder[1]]):
                continue
        same = [k for k, m in scale.items() if not below(c, m) and not below(m, c)]
        assert len(same) == 1, (hex(c), same)
        result[c] = same[0]
    return result


# ------------------------------------------------------------------------------------- self-verification

class Tables:
    """NFC as the C++ side does it: decompose, sort by class, compose."""

    def __init__(self, decomposition, composition, combining_class):
        self.decomposition, self.composition, self.ccc = decomposition, composition, combining_class

    def decompose(self, c):
        if is_hangul_syllable(c):
            s = c - HANGUL_S
            parts = [HANGUL_L + s // (HANGUL_V_COUNT * HANGUL_T_COUNT),
                     HANGUL_V + s % (HANGUL_V_COUNT * HANGUL_T_COUNT) // HANGUL_T_COUNT]
            return parts + [HANGUL_T + s % HANGUL_T_COUNT] * (s % HANGUL_T_COUNT != 0)
        if c not in self.decomposition:
            return [c]
        first, second = self.decomposition[c]
        return self.decompose(first) + ([second] if second else [])

    def compose(self, first, second):
        l, v = first - HANGUL_L, second - HANGUL_V
        if 0 <= l < 19 and 0 <= v < HANGUL_V_COUNT:
            return HANGUL_S + (l * HANGUL_V_COUNT + v) * HANGUL_T_COUNT
        if is_hangul_syllable(first) and (first - HANGUL_S) % HANGUL_T_COUNT == 0 and 0 < second - HANGUL_T < HANGUL_T_COUNT:
            return first + second - HANGUL_T
        return self.composition.get((first, second))

    def nfd(self, text):
        ccc, out, start = self.ccc, [], 0
        for ch in text:
            for c in self.decompose(ord(ch)):
                if ccc.get(c, 0) == 0:
                    out[start:] = sorted(out[start:], key=lambda x: ccc.get(x, 0))
                    out.append(c)
                    start = len(out)
                else:
                    out.append(c)
        out[start:] = sorted(out[start:], key=lambda x: ccc.get(x, 0))
        return out

    def nfc(self, text):
        out, starter, last_class = [], -1, 0
        for c in self.nfd(text):
            k = self.ccc.get(c, 0)
            adjacent = starter >= 0 and starter == len(out) - 1
            if starter >= 0 and (adjacent or last_class < k):
                composed = self.compose(out[starter], c)
                if composed is not None:
                    out[starter] = composed
                    continue
            if k == 0:
                starter = len(out)
            last_class = k
            out.append(c)
        return "".join(map(chr, out))


def verify(tables, count, seed):
    """Compares with the library on every code point, every composing pair, and `count` random strings."""
    for c in CODE_POINTS:
        assert "".join(map(chr, tables.nfd(chr(c)))) == nfd(chr(c)), f"NFD of U+{c:04X}"
        assert tables.nfc(chr(c)) == nfc(chr(c)), f"NFC of U+{c:04X}"
    firsts = sorted({f for f, _ in tables.composition})
    seconds = sorted({s for _, s in tables.composition})
    for f in firsts:
        for s in seconds:
            text = chr(f) + chr(s)
            assert tables.nfc(text) == nfc(text), [hex(f), hex(s)]

    rng = random.Random(seed)
    marks, decomposed = sorted(tables.ccc), sorted(tables.decomposition)
    pools = [
        lambda: rng.choice(marks),
        lambda: rng.choice(decomposed),
        lambda: rng.choice(firsts),
        lambda: rng.choice(seconds),
        lambda: rng.choice(CODE_POINTS),
        lambda: rng.randrange(0x1100, 0x1200),
        lambda: rng.randrange(HANGUL_S, HANGUL_S + HANGUL_S_COUNT),
        lambda: HANGUL_S + HANGUL_T_COUNT * rng.randrange(399),
        lambda: rng.randrange(0x20, 0x7F),
    ]
    for n in range(count):
        favourites = rng.sample(pools, rng.randint(1, 4))
        text = "".join(chr(rng.choice(favourites)()) for _ in range(rng.randint(1, 12)))
        if tables.nfc(text) != nfc(text):
            sys.exit(f"NFC differs on {[hex(ord(c)) for c in text]}")
        if "".join(map(chr, tables.nfd(text))) != nfd(text):
            sys.exit(f"NFD differs on {[hex(ord(c)) for c in text]}")


# ------------------------------------------------------------------------------------------------ output

def ranges(code_points):
    """Sorted [first, last] runs. The surrogates are never inside a run."""
    runs = []
    for c in sorted(code_points):
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return runs


def array(kind, name, comment, rows, width=110):
    """One constexpr array, as many rows to a line as fit."""
    lines, line = [], " "
    for row in rows:
        cell = " {" + ", ".join(row) + "},"
        if len(line) + len(cell) > width:
            lines.append(line)
            line = " "
        line += cell
    lines.append(line)
    return f"// {comment}\ninline constexpr {kind} {name}[] = {{\n" + "\n".join(lines) + "\n};\n"


def h(c):
    return f"0x{c:X}"


HEADER = """\
// Generated by reference/export_unicode_tables.py from tokenizers {version}; do not edit.
//
// Every table was probed out of that library, code point by code point (surrogates excluded), because the
// ids of a text depend on what its regex engine and its normalizer believe, not on a version of Unicode.
// The two even follow different versions: a code point may be a letter here and yet unknown to NFC.
// The generator has checked that NFC over these tables equals the library's on {count} random strings,
// and that \\S, [^\\s\\p{{L}}\\p{{N}}] and [^\\r\\n\\p{{L}}\\p{{N}}] are the exact complements of the classes below.
//
// Hangul is algorithmic and in no table (S 0xAC00, L 0x1100 x 19, V 0x1161 x 21, T 0x11A7 x 28).
// A code point that is missing is: no letter, number or space; of combining class 0; its own decomposition.
// Contractions, (?i:{contractions}): besides ASCII case {folds}.
//
// Include this file once, at global scope. All tables are sorted.

namespace qwen3guard::tokens::unicode_tables {{

struct Range {{ char32_t first, last; }};  // inclusive
struct CccRange {{ char32_t first, last; unsigned char ccc; }};  // inclusive
struct Decomposition {{ char32_t code; char32_t first, second; }};  // second 0: singleton
struct Composition {{ char32_t first, second, composed; }};
struct Fold {{ char32_t code; char ascii; }};

"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--strings", type=int, default=400_000, help="random strings of the self-verification")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    began = time.time()
    letter, number, space = classes()
    folds = contraction_folds()
    decomposition = decompositions()
    composition = compositions(decomposition)
    ccc = combining_classes()
    verify(Tables(decomposition, composition, ccc), args.strings, args.seed)

    runs = []
    for c in sorted(ccc):
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == ccc[c]:
            runs[-1][1] = c
        else:
            runs.append([c, c, ccc[c]])

    described = ", ".join(f"U+{c:04X} matches '{a}'" for c, a in sorted(folds.items()))
    text = HEADER.format(version=tokenizers.__version__, count=args.strings, contractions="|".join(CONTRACTIONS),
                         folds=described + " (kFold)" if folds else "nothing else matches")
    for name, comment, members in (("kLetter", r"\p{L}", letter), ("kNumber", r"\p{N}", number),
                                   ("kWhitespace", r"\s", space)):
        rows = [(h(a), h(b)) for a, b in ranges(members)]
        text += array("Range", name, f"{comment}: {len(members)} code points in {len(rows)} ranges.", rows) + "\n"
    text += array("CccRange", "kCombiningClass", f"Non-zero canonical combining classes of {len(ccc)} code points.",
                  [(h(a), h(b), str(k)) for a, b, k in runs]) + "\n"
    text += array("Decomposition", "kDecomposition",
                  f"One canonical step for {len(decomposition)} code points; apply again to `first` until nothing changes.",
                  [(h(c), h(a), h(b)) for c, (a, b) in sorted(decomposition.items())]) + "\n"
    text += array("Composition", "kComposition", f"{len(composition)} primary composites; exclusions are already removed.",
                  [(h(a), h(b), h(c)) for (a, b), c in sorted(composition.items())]) + "\n"
    if folds:
        text += array("Fold", "kFold", "Non-ASCII characters that match a letter of a contraction.",
                      [(h(c), f"'{a}'") for c, a in sorted(folds.items())]) + "\n"
    text += "}  // namespace qwen3guard::tokens::unicode_tables\n"
    with open(args.out, "w", encoding="utf-8", newline="\n") as out:
        out.write(text)
    print(f"letters {len(letter)}, numbers {len(number)}, spaces {sorted(map(hex, space))}, folds {folds}, "
          f"decompositions {len(decomposition)}, compositions {len(composition)}, marks {len(ccc)}; "
          f"{len(text)} bytes, {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
