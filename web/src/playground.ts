// A prompt, an answer, and what the guard says of each of the answer's tokens.

import type { Api, Token, Verdict } from "./api";
import { Chart } from "./chart";
import { find, make, setText } from "./dom";
import { ShadedEditor } from "./editor";
import { kExamples } from "./examples";
import { type Judged, LiveJudge } from "./judge";
import { type Dial, type Judgement, judgePrompt, judgeResponse } from "./policy";
import { DecisionLine, percent, type Scores, ScoreTable } from "./verdict_view";

// Every change of the prompt begins a new stream: not at each key.
const kPromptPause = 250;

const kNotJudged = "Not judged: treat it as not safe.";
const kNoScores: Scores = { probabilities: null, categories: null };

export class Playground {
  private readonly view = find("playground", HTMLElement);
  private readonly prompt = find("prompt", HTMLTextAreaElement);
  private readonly editor = new ShadedEditor(find("answer", HTMLTextAreaElement));
  private readonly replayButton = find("replay", HTMLButtonElement);
  private readonly finishButton = find("finish", HTMLButtonElement);
  private readonly speed = find("speed", HTMLSelectElement);
  private readonly problem = find("problem", HTMLElement);
  private readonly readout = find("readout", HTMLElement);
  private readonly dials = [...document.querySelectorAll<HTMLInputElement>("input[name=dial]")];
  private readonly promptLine = new DecisionLine(find("prompt-verdict", HTMLElement));
  private readonly answerLine = new DecisionLine(find("answer-verdict", HTMLElement));
  private readonly scores = new ScoreTable(
    find("risk-scores", HTMLTableSectionElement),
    find("category-scores", HTMLTableSectionElement),
  );
  private readonly judge: LiveJudge;
  private readonly trace: Chart;
  private finish = false;
  private dialChosen = false;
  private promptTimer = 0;
  private replayTimer = 0;
  private unwritten: () => string = () => "";

  constructor(api: Api) {
    this.judge = new LiveJudge(api, (judged) => this.show(judged));
    this.trace = new Chart(find("trace", HTMLElement), {
      lines: [
        { label: "Unsafe", colour: "--unsafe", fill: true },
        { label: "Controversial", colour: "--controversial", dash: [5, 3] },
      ],
      height: 110,
      range: [0, 1],
      format: (value) => `${Math.round(value * 100)} %`,
      hovered: (index) => this.lookAt(index ?? this.editor.tokenAtCaret()),
    });
    this.offerExamples();
    this.listen();
    this.show(this.judge.judged);
  }

  /** Asks again for what has no verdict, as after another key was given. */
  retry(): void {
    this.judge.want(this.written());
  }

  private get answer(): HTMLTextAreaElement {
    return this.editor.field;
  }

  private get dial(): Dial {
    return (this.dials.find((input) => input.checked)?.value ?? "strict") as Dial;
  }

  private written(): { prompt: string; text: string; finish: boolean } {
    return { prompt: this.prompt.value, text: this.answer.value, finish: this.finish };
  }

  private offerExamples(): void {
    const list = find("examples", HTMLElement);
    for (const example of kExamples) {
      const button = make("button", { text: example.name, title: example.prompt });
      button.type = "button";
      button.addEventListener("click", () => this.play(example.prompt, example.answer));
      list.append(button);
    }
  }

  private listen(): void {
    this.prompt.addEventListener("input", () => {
      this.stopReplay();
      this.show(this.judge.judged);
      clearTimeout(this.promptTimer);
      this.promptTimer = window.setTimeout(() => this.retry(), kPromptPause);
    });
    this.answer.addEventListener("input", () => {
      this.haltReplay();
      this.finish = false;
      this.show(this.judge.judged);
      this.retry();
    });
    this.answer.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.end();
    });
    document.addEventListener("selectionchange", () => {
      if (document.activeElement === this.answer) this.lookAt(this.editor.tokenAtCaret());
    });
    this.answer.addEventListener("blur", () => this.lookAt(null));
    this.replayButton.addEventListener("click", () => {
      if (this.replayTimer !== 0) this.stopReplay();
      else this.play(this.prompt.value, this.answer.value);
    });
    this.finishButton.addEventListener("click", () => this.end());
    find("clear", HTMLButtonElement).addEventListener("click", () => this.clear());
    find("again", HTMLButtonElement).addEventListener("click", () => this.retry());
    for (const input of this.dials) {
      input.addEventListener("change", () => {
        this.dialChosen = true;
        this.show(this.judge.judged);
      });
    }
    addEventListener("pagehide", () => this.judge.close());
  }

  private clear(): void {
    this.haltReplay();
    this.prompt.value = this.answer.value = "";
    this.finish = false;
    this.show(this.judge.judged);
    this.retry();
    this.prompt.focus();
  }

  private end(): void {
    this.stopReplay();
    this.finish = true;
    this.retry();
  }

  // Writes the answer as a model would, word by word.
  private play(prompt: string, answer: string): void {
    this.haltReplay();
    this.prompt.value = prompt;
    const words = wordsOf(answer);
    this.answer.value = "";
    this.finish = false;
    setText(this.replayButton, "Stop");
    const write = (): void => {
      this.answer.value += words.shift() ?? "";
      if (words.length === 0) return this.end();
      this.show(this.judge.judged);
      this.retry();
      this.replayTimer = window.setTimeout(write, Number(this.speed.value));
    };
    this.unwritten = () => words.join("");
    write();
  }

  private haltReplay(): void {
    clearTimeout(this.replayTimer);
    this.replayTimer = 0;
    this.unwritten = () => "";
    setText(this.replayButton, "Replay");
  }

  // What had not been written yet is not lost.
  private stopReplay(): void {
    const rest = this.unwritten();
    this.haltReplay();
    if (rest === "") return;
    this.answer.value += rest;
    this.retry();
  }

  private show(judged: Judged): void {
    this.problem.hidden = judged.error === null;
    setText(find("problem-text", HTMLElement), judged.error ?? "");
    setText(find("model", HTMLElement), judged.model);
    this.offerServerPolicy(judged.prompt);

    const old = judged.error === null && this.prompt.value !== judged.promptText;
    this.view.classList.toggle("old", old && judged.prompt !== null);

    const dial = this.dial;
    document.documentElement.dataset["dial"] = dial;
    // A text that has just been changed keeps only the verdicts on its unchanged beginning.
    const tokens = judged.tokens.slice(0, this.editor.render(judged.tokens));
    const judgement = judged.response && tokens.length > 0 ? judgeResponse(tokens, judged.response, dial) : null;
    this.editor.flag(judgement?.flagged ?? null);
    this.showPrompt(judged, dial);
    this.showAnswer(judged, tokens, judgement);
    this.scores.show(judged.prompt ?? kNoScores, judgement ?? kNoScores);
    this.trace.set(
      [
        tokens.map((_, i) => i),
        tokens.map((token) => token.probabilities.unsafe),
        tokens.map((token) => token.probabilities.controversial),
      ],
      judgement?.flagged ?? null,
    );
    this.finishButton.disabled = judged.finished || this.prompt.value === "";
    this.lookAt(this.editor.tokenAtCaret());
  }

  // A policy from a file is known by its verdicts only.
  private offerServerPolicy(prompt: Verdict | null): void {
    if (prompt === null) return;
    const own = prompt.policy === "strict" || prompt.policy === "loose" ? prompt.policy : "server";
    const label = find("dial-server", HTMLElement);
    label.hidden = own !== "server";
    setText(find("dial-server-name", HTMLElement), prompt.policy);
    if (this.dialChosen) return;
    for (const input of this.dials) input.checked = input.value === own;
    this.dialChosen = true;
  }

  private showPrompt({ error, prompt }: Judged, dial: Dial): void {
    if (error !== null) return this.promptLine.show("error", kNotJudged);
    if (prompt === null) return this.promptLine.show("none", "");
    this.promptLine.show(judgePrompt(prompt, dial), name(prompt));
  }

  private showAnswer({ error, finished }: Judged, tokens: readonly Token[], judgement: Judgement | null): void {
    if (error !== null) return this.answerLine.show("error", kNotJudged);
    if (judgement === null) {
      const lacking = this.answer.value !== "" && this.prompt.value.trim() === "";
      return this.answerLine.show("none", lacking ? "Write a prompt: the answer is judged as a reply to it." : "");
    }
    const { decision, flagged } = judgement;
    const where = flagged !== null ? `, at token ${flagged} ${quote(tokens[flagged])}` : finished ? "" : ", so far";
    this.answerLine.show(decision, name(judgement) + where);
  }

  private lookAt(index: number | null): void {
    this.editor.mark(index);
    const token = index === null ? undefined : this.judge.judged.tokens[index];
    if (!token) {
      setText(this.readout, "Put the caret into the answer to read a token’s verdict.");
      return;
    }
    const { safe, controversial, unsafe } = token.probabilities;
    const parts = [
      `token ${token.token} ${quote(token)}`,
      name(token),
      `safe\u00a0${percent(safe)}`,
      `controversial\u00a0${percent(controversial)}`,
      `unsafe\u00a0${percent(unsafe)}\u00a0%`,
      `bytes\u00a0${token.byte}–${token.byte_end}`,
    ];
    setText(this.readout, parts.join("  "));
  }
}

/** With the space before them; also in languages that write none. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "word" }).segment(text)) {
    if (words.at(-1)?.trim() === "") words.push(words.pop() + segment);
    else words.push(segment);
  }
  return words;
}

function name({ risk, category }: { risk: string; category: string | null }): string {
  return category === null ? risk : `${risk} · ${category}`;
}

function quote(token: Token | undefined): string {
  if (!token || token.text === null) return "";
  return token.text === "" ? "(end)" : `"${token.text.replaceAll("\n", "↵")}"`;
}

