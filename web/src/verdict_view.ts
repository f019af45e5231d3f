// How verdicts look: the decision in a word and why, and the numbers behind it.

import type { Categories, Decision, Probabilities } from "./api";
import { make, setText } from "./dom";

const kRisks = ["Safe", "Controversial", "Unsafe"] as const;
const kCategories = [
  "Violent",
  "Sexual Content or Sexual Acts",
  "Suicide & Self-Harm",
  "Politically Sensitive Topics",
  "PII",
  "Copyright Violation",
  "Non-violent Illegal Acts",
  "Unethical Acts",
  "Jailbreak",
];
const kWords = { allow: "Allow", flag: "Flag", block: "Block", none: "–", error: "No verdict" };

export function percent(value: number): string {
  return value > 0 && value < 0.0005 ? "<0.1" : (value * 100).toFixed(1);
}

export class DecisionLine {
  private readonly badge = make("strong", { class: "badge" });
  private readonly why = make("span", { class: "why" });

  constructor(parent: HTMLElement) {
    parent.append(this.badge, this.why);
  }

  show(state: Decision | "none" | "error", why: string): void {
    this.badge.dataset["state"] = state;
    setText(this.badge, kWords[state]);
    setText(this.why, why);
  }
}

export interface Scores {
  probabilities: Probabilities | null;
  categories: Categories | null;
}

class Cell {
  private readonly fill = make("span", { class: "fill" });
  private readonly number = make("span", { class: "number" });
  readonly element = make(
    "td",
    {},
    make("span", { class: "track", "aria-hidden": "true" }, this.fill),
    this.number,
  );

  show(value: number | null): void {
    setText(this.number, value === null ? "–" : percent(value));
    this.fill.style.inlineSize = `${(value ?? 0) * 100}%`;
  }
}

/** A row for each risk and category, a column for the prompt and one for the answer. */
export class ScoreTable {
  private readonly cells = new Map<string, [Cell, Cell]>();

  constructor(risks: HTMLTableSectionElement, categories: HTMLTableSectionElement) {
    for (const name of kRisks) risks.append(this.row(name, name));
    for (const name of kCategories) categories.append(this.row(name, "category"));
  }

  show(prompt: Scores, answer: Scores): void {
    for (const [name, cells] of this.cells) {
      [prompt, answer].forEach((scores, i) => cells[i]!.show(score(scores, name)));
    }
  }

  private row(name: string, kind: string): HTMLTableRowElement {
    const head = make("th", { text: name });
    head.scope = "row";
    const cells: [Cell, Cell] = [new Cell(), new Cell()];
    this.cells.set(name, cells);
    const row = make("tr", {}, head, ...cells.map(({ element }) => element));
    row.dataset["kind"] = kind;
    return row;
  }
}

function score({ probabilities, categories }: Scores, name: string): number | null {
  if (probabilities === null) return null;
  const risk = kRisks.find((own) => own === name);
  if (risk) return probabilities[risk.toLowerCase() as keyof Probabilities];
  // As in OpenAI's shape: what is Safe has no category to speak of.
  const category = categories?.[name];
  return category === undefined ? null : (1 - probabilities.safe) * category;
}
