// Names with a bar and a number each: probabilities, counts.

import { find, make, setText } from "./dom";

interface Row {
  element: HTMLElement;
  name: HTMLElement;
  fill: HTMLElement;
  number: HTMLElement;
}

export class Bars {
  private readonly rows: Row[] = [];

  constructor(
    private readonly list: HTMLElement,
    private readonly format: (value: number) => string,
  ) {}

  /** `kind` of an entry becomes data-kind, which style.css colours. */
  set(entries: readonly { name: string; value: number | null; share: number; kind?: string }[]): void {
    while (this.rows.length > entries.length) this.rows.pop()!.element.remove();
    while (this.rows.length < entries.length) this.rows.push(this.add());
    entries.forEach((entry, i) => {
      const row = this.rows[i]!;
      setText(row.name, entry.name);
      setText(row.number, entry.value === null ? "–" : this.format(entry.value));
      row.fill.style.inlineSize = `${Math.min(100, entry.share * 100)}%`;
      row.element.dataset["kind"] = entry.kind ?? "";
    });
  }

  private add(): Row {
    const name = make("span", { class: "name" });
    const fill = make("span", { class: "fill" });
    const number = make("span", { class: "number" });
    const track = make("span", { class: "track", "aria-hidden": "true" }, fill);
    const element = make("li", {}, name, track, number);
    this.list.append(element);
    return { element, name, fill, number };
  }
}

/** Counts by name, the largest first, as shares of `total`; `empty` is the element that says that there are none. */
export function setCounts(bars: Bars, empty: string, counts: [string, number][], total: number): void {
  counts.sort((a, b) => b[1] - a[1]);
  bars.set(counts.map(([name, value]) => ({ name, value, share: value / total, kind: "category" })));
  find(empty, HTMLElement).hidden = counts.length > 0;
}
