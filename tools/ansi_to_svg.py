#!/usr/bin/env python3
"""Draws coloured terminal output as an SVG picture, for the README.

    build/release/qwen3guard stream --demo --color always | tools/ansi_to_svg.py './run' > docs/images/run.svg

Understands newlines and the colour sequences that qwen3guard writes (SGR: reset, bold, dim, the 16 base colours);
anything else in the input is an error. Long lines wrap like on a terminal, at a space where there is one.
"""

import re
import sys
import unicodedata
from xml.sax.saxutils import escape

COLUMNS = 108
CELL = 7.826  # pixels a column: 13 px of DejaVu Sans Mono, and nearly of its like
LINE = 19.0
MARGIN = 16
BAR = 34  # title bar

BACKGROUND, BAR_COLOUR, FOREGROUND, DIM = "#15191f", "#262c36", "#d7dce2", "#8b949e"
BASE = ["#15191f", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#d7dce2"]
BRIGHT = ["#6e7681", "#ffa198", "#7ee787", "#f2cc60", "#a5d6ff", "#e2c5ff", "#b3f0ff", "#ffffff"]
FILL = {41: "#c4342b", 42: "#2ea043", 43: "#d29922"}


class Style:
    def __init__(self):
        self.reset()

    def reset(self):
        self.colour, self.fill, self.bold = FOREGROUND, None, False

    def apply(self, codes):
        for code in codes:
            if code == 0:
                self.reset()
            elif code == 1:
                self.bold = True
            elif code == 2:
                self.colour = DIM
            elif 30 <= code <= 37:
                self.colour = BASE[code - 30]
            elif 90 <= code <= 97:
                self.colour = BRIGHT[code - 90]
            elif code in FILL:
                self.fill = FILL[code]
            else:
                sys.exit(f"error: colour code {code} is not known")

    def key(self):
        return self.colour, self.fill, self.bold


def width(character):
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def read_lines(text):
    """Lines of (character, style key)."""
    style, lines = Style(), [[]]
    for part in re.split(r"(\x1b\[[0-9;]*m|\n)", text):
        if part == "\n":
            lines.append([])
        elif part.startswith("\x1b["):
            style.apply([int(code or 0) for code in part[2:-1].split(";")])
        elif "\x1b" in part:
            sys.exit("error: an escape sequence other than a colour")
        else:
            lines[-1].extend((character, style.key()) for character in part)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def wrap(line):
    rows, row, column = [], [], 0
    for cell in line:
        if column + width(cell[0]) > COLUMNS:
            space = max((i for i, (c, key) in enumerate(row) if c == " " and key[1] is None), default=-1)
            tail = row[space + 1 :] if space > COLUMNS // 2 else []
            rows.append(row[: len(row) - len(tail)])
            row, column = tail, sum(width(c) for c, _ in tail)
        row.append(cell)
        column += width(cell[0])
    return rows + [row]


def runs(row):
    """(column, columns, text, style key) of stretches in one style."""
    result, column = [], 0
    for character, key in row:
        wide = width(character) == 2
        # Wide characters get runs of their own: fonts disagree on their width.
        if result and result[-1][3] == key and result[-1][4] == wide:
            result[-1][2] += character
            result[-1][1] += width(character)
        else:
            result.append([column, width(character), character, key, wide])
        column += width(character)
    return result


def main():
    title = sys.argv[1] if len(sys.argv) > 1 else ""
    rows = [row for line in read_lines(sys.stdin.read()) for row in wrap(line)]
    w, h = COLUMNS * CELL + 2 * MARGIN, len(rows) * LINE + BAR + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:g} {h:g}" width="{w:g}" height="{h:g}" '
        'font-family="ui-monospace, \'DejaVu Sans Mono\', Menlo, Consolas, monospace" font-size="13">',
        f'<rect width="{w:g}" height="{h:g}" rx="8" fill="{BACKGROUND}"/>',
        f'<path d="M0 {BAR}V8a8 8 0 0 1 8-8h{w - 16:g}a8 8 0 0 1 8 8v{BAR - 8}z" fill="{BAR_COLOUR}"/>',
    ]
    for i, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        out.append(f'<circle cx="{18 + 20 * i}" cy="{BAR / 2:g}" r="6" fill="{colour}"/>')
    out.append(f'<text x="{w / 2:g}" y="{BAR / 2 + 5:g}" fill="{DIM}" text-anchor="middle">{escape(title)}</text>')
    for number, row in enumerate(rows):
        y = BAR + MARGIN + number * LINE
        for column, columns, text, (colour, fill, bold), _ in runs(row):
            x = MARGIN + column * CELL
            if fill:
                out.append(f'<rect x="{x:g}" y="{y:g}" width="{columns * CELL:g}" height="{LINE - 1:g}" fill="{fill}"/>')
            if not text.strip():
                continue
            weight = ' font-weight="bold"' if bold else ""
            out.append(
                f'<text x="{x:g}" y="{y + 13.5:g}" fill="{colour}"{weight} xml:space="preserve" '
                f'textLength="{columns * CELL:g}" lengthAdjust="spacing">{escape(text)}</text>'
            )
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main()
