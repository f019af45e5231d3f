// A text field that shades its own text: the shading lies under it, in the same font and lines.

import type { Risk, Token } from "./api";
import { make } from "./dom";

const kSeverity: Record<Risk, number> = { Safe: 0, Controversial: 1, Unsafe: 2 };

interface Piece {
  token: Token;
  begin: number; // in the text
  element: HTMLElement;
}

export class ShadedEditor {
  private readonly shade = make("div", { class: "shade", "aria-hidden": "true" });
  private readonly pending = make("span", { class: "pending" });
  private pieces: Piece[] = [];

  constructor(readonly field: HTMLTextAreaElement) {
    field.before(this.shade);
    this.shade.append(this.pending);
  }

  /** Shades the tokens that the text still begins with and says how many they are. */
  render(tokens: readonly Token[]): number {
    const text = this.field.value;
    let at = 0;
    let count = 0;
    for (const token of tokens) {
      const part = token.text ?? "";
      if (!text.startsWith(part, at)) break;
      if (this.pieces[count]?.token !== token) this.replace(count, token, at);
      at += part.length;
      ++count;
    }
    for (const piece of this.pieces.splice(count)) piece.element.remove();
    // The last line counts in the height of the field only if something stands in it.
    this.pending.textContent = text.slice(at) + "\u200b";
    return count;
  }

  flag(index: number | null): void {
    this.pieces.forEach(({ element }, i) => {
      element.classList.toggle("flagged", i === index);
      element.classList.toggle("after", index !== null && i > index);
    });
  }

  tokenAtCaret(): number | null {
    const caret = this.field.selectionStart;
    const at = this.pieces.findLastIndex(({ begin, token }) => begin < Math.max(caret, 1) && token.text);
    const piece = this.pieces[at];
    return piece && caret <= piece.begin + (piece.token.text ?? "").length ? at : null;
  }

  mark(index: number | null): void {
    this.pieces.forEach(({ element }, i) => element.classList.toggle("looked-at", i === index));
  }

  private replace(index: number, token: Token, begin: number): void {
    const element = make("span", { class: "token", text: token.text ?? "" });
    element.dataset["risk"] = token.risk;
    // Where tokens share a character, the first has it: the shading is that of the worst of them.
    if (!token.text) {
      const owner = this.pieces.slice(0, index).findLast((piece) => piece.token.text)?.element;
      if (owner && kSeverity[token.risk] > kSeverity[owner.dataset["risk"] as Risk]) owner.dataset["risk"] = token.risk;
    }
    element.style.setProperty("--risk", (1 - token.probabilities.safe).toFixed(3));
    this.pieces[index]?.element.remove();
    this.shade.insertBefore(element, this.pieces[index - 1]?.element.nextSibling ?? this.shade.firstChild);
    this.pieces[index] = { token, begin, element };
  }
}
