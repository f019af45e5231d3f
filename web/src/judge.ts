// Keeps a stream on the server in step with a text that may change in any way.

import { type Api, ApiError, type Token, type Verdict } from "./api";

export interface Judged {
  readonly tokens: readonly Token[];
  readonly prompt: Verdict | null;
  readonly promptText: string; // that the verdicts belong to
  readonly response: Verdict | null; // as the server's policy has it
  readonly model: string;
  readonly finished: boolean;
  readonly error: string | null; // then there is no verdict
}

interface Wanted {
  prompt: string;
  text: string;
  finish: boolean;
}

interface Stream {
  id: string;
  prompt: string;
  sent: string;
  finished: boolean;
}

const kNothing: Judged = {
  tokens: [],
  prompt: null,
  promptText: "",
  response: null,
  model: "",
  finished: false,
  error: null,
};

export class LiveJudge {
  private state = kNothing;
  private wanted: Wanted = { prompt: "", text: "", finish: false };
  private stream: Stream | null = null;
  private running = false;

  constructor(
    private readonly api: Api,
    private readonly changed: (judged: Judged) => void,
  ) {}

  get judged(): Judged {
    return this.state;
  }

  /** Text that only grows is appended; any other change begins a new stream. */
  want(wanted: Wanted): void {
    this.wanted = { ...wanted, prompt: wanted.prompt.toWellFormed(), text: wanted.text.toWellFormed() };
    void this.run();
  }

  close(): void {
    if (this.stream !== null && !this.stream.finished) this.api.closeStream(this.stream.id);
    this.stream = null;
  }

  // One request at a time; what was typed meanwhile goes with the next one.
  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      while (await this.step()) this.changed(this.state);
      this.update({ error: null });
    } catch (error) {
      this.close();
      const message = error instanceof Error ? error.message : String(error);
      this.update({ ...kNothing, model: this.state.model, error: message });
    } finally {
      this.running = false;
    }
  }

  private update(change: Partial<Judged>): void {
    this.state = { ...this.state, ...change };
    this.changed(this.state);
  }

  /** Whether there was something to do. */
  private async step(): Promise<boolean> {
    const { prompt, text, finish } = this.wanted;
    const stream = this.stream;
    if (prompt.trim() === "") {
      this.close();
      this.state = { ...kNothing, model: this.state.model };
      return false;
    }
    const grown = stream?.prompt === prompt && text.startsWith(stream.sent);
    if (!stream || !grown || (stream.finished && text !== stream.sent)) {
      await this.open(prompt);
      return true;
    }
    if (stream.finished || (text === stream.sent && !finish)) return false;
    await this.append(stream, text, finish);
    return true;
  }

  private async open(prompt: string): Promise<void> {
    this.close();
    const opened = await this.api.openStream(prompt);
    this.stream = { id: opened.id, prompt, sent: "", finished: false };
    const fresh = { ...kNothing, prompt: opened.prompt, promptText: prompt, model: opened.model };
    // Verdicts on a beginning that stays the same would only flicker: the first append replaces them.
    const keep = this.state.promptText === prompt && this.wanted.text !== "";
    this.state = keep ? { ...fresh, tokens: this.state.tokens, response: this.state.response } : fresh;
  }

  private async append(stream: Stream, text: string, finish: boolean): Promise<void> {
    const first = stream.sent === "";
    try {
      const answer = await this.api.append(stream.id, text.slice(stream.sent.length), finish);
      stream.sent = text;
      stream.finished = finish;
      const tokens = first ? answer.tokens : [...this.state.tokens, ...answer.tokens];
      this.state = { ...this.state, tokens, response: answer.response, finished: finish };
    } catch (error) {
      // A stream that nobody used for minutes has expired: the next step opens another one.
      if (first || !(error instanceof ApiError) || error.status !== 404) throw error;
      this.stream = null;
    }
  }
}
