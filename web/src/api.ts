// What the server answers (docs/server.md), and how its errors read.

export type Risk = "Safe" | "Controversial" | "Unsafe";
export type Decision = "allow" | "flag" | "block";

export interface Probabilities {
  safe: number;
  controversial: number;
  unsafe: number;
}

export type Categories = Record<string, number>;

export interface Verdict {
  risk: Risk;
  category: string | null;
  probabilities: Probabilities;
  categories: Categories;
  flagged: { token: number } | null;
  decision: Decision;
  policy: string;
}

export interface Token {
  token: number;
  text: string | null;
  byte: number;
  byte_end: number;
  risk: Risk;
  category: string | null;
  categories: Categories | null;
  probabilities: Probabilities;
}

export interface OpenedStream {
  id: string;
  model: string;
  prompt: Verdict;
}

export interface Appended {
  tokens: Token[];
  response: Verdict;
}

/** A request without a usable answer. The message is for the user: what happened, what to do. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

const kAdvice: Record<number, string> = {
  401: "Enter a key of this server in the field “API key”.",
  404: "Reload the page; if that does not help, the server may be of another version.",
  413: "Shorten the text.",
  503: "Wait a moment, then press “Try again”.",
};

function failure(status: number, body: unknown): ApiError {
  const said = (body as { error?: { message?: unknown } } | null)?.error?.message;
  const reason = typeof said === "string" ? said : `the answer has status ${status} and no explanation`;
  return new ApiError(`The server refused: ${reason}. ${kAdvice[status] ?? ""}`.trim(), status);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export class Api {
  constructor(private readonly key: () => string) {}

  async openStream(prompt: string): Promise<OpenedStream> {
    const messages = [{ role: "user", content: prompt }];
    const answer = await this.json<OpenedStream>("POST", "v1/streams", { messages });
    return expect(answer, typeof answer.id === "string" && isVerdict(answer.prompt));
  }

  async append(id: string, text: string, finish: boolean): Promise<Appended> {
    const answer = await this.json<Appended>("POST", `v1/streams/${id}/append`, { text, finish });
    return expect(answer, Array.isArray(answer.tokens) && isVerdict(answer.response));
  }

  /** Nobody waits for it: what is not closed expires by itself. */
  closeStream(id: string): void {
    this.send("DELETE", `v1/streams/${id}`).catch(() => {});
  }

  async metrics(): Promise<string> {
    const response = await this.send("GET", "metrics");
    const text = await response.text();
    if (!response.ok) throw failure(response.status, parse(text));
    return text;
  }

  private async json<T extends object>(method: string, path: string, body: unknown): Promise<T> {
    const response = await this.send(method, path, JSON.stringify(body));
    const answer = parse(await response.text());
    if (!response.ok) throw failure(response.status, answer);
    return expect(answer as T, typeof answer === "object" && answer !== null);
  }

  private async send(method: string, path: string, body?: string): Promise<Response> {
    const headers: Record<string, string> = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.key() !== "") headers["x-api-key"] = this.key();
    try {
      return await fetch(path, { method, headers, body: body ?? null, keepalive: method === "DELETE" });
    } catch {
      throw new ApiError("The server does not answer. Check that it runs, then press “Try again”.", 0);
    }
  }
}

function isVerdict(verdict: Verdict | undefined): boolean {
  return typeof verdict?.risk === "string" && typeof verdict.decision === "string";
}

function expect<T>(answer: T, fine: boolean): T {
  if (!fine) {
    throw new ApiError("The answer is not one of qwen3guard. Check what stands between it and this page.", 0);
  }
  return answer;
}
