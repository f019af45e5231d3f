// The policy dial: what the built-in policies make of verdicts that have already arrived.
// docs/formats/policy.md has the rules, docs/decisions/0002 what an unflagged response's risk is.

import type { Categories, Decision, Probabilities, Risk, Token, Verdict } from "./api";

/** "server": as the server's own policy decided. */
export type Dial = "strict" | "loose" | "server";

export interface Judgement {
  risk: Risk;
  category: string | null;
  decision: Decision;
  flagged: number | null; // the token
  shown: number | null; // the token whose probabilities stand for the response
  probabilities: Probabilities | null;
  categories: Categories | null;
}

function fires(risk: Risk, dial: "strict" | "loose"): boolean {
  return risk === "Unsafe" || (risk === "Controversial" && dial === "strict");
}

/** The first token that, like the one before it, meets the condition. */
function secondInRow(tokens: readonly Token[], meets: (token: Token) => boolean): number | null {
  const at = tokens.findIndex((token, i) => i > 0 && meets(token) && meets(tokens[i - 1]!));
  return at < 0 ? null : at;
}

/** Where two tokens in a row come closest to a flag. */
function peak(tokens: readonly Token[]): number | null {
  let best: number | null = null;
  let most = -1;
  tokens.forEach((token, i) => {
    const here = 1 - token.probabilities.safe;
    const score = i === 0 ? here : Math.min(here, 1 - tokens[i - 1]!.probabilities.safe);
    if (score > most || i === 1) [best, most] = [i, score];
  });
  return best;
}

export function judgePrompt(verdict: Verdict, dial: Dial): Decision {
  if (dial === "server") return verdict.decision;
  return fires(verdict.risk, dial) ? "block" : "allow";
}

export function judgeResponse(tokens: readonly Token[], served: Verdict, dial: Dial): Judgement {
  if (dial === "server") {
    const flagged = served.flagged?.token ?? null;
    return { ...served, flagged, shown: flagged ?? peak(tokens) };
  }
  const flagged = secondInRow(tokens, (token) => fires(token.risk, dial));
  const doubtful = flagged ?? secondInRow(tokens, (token) => token.risk !== "Safe");
  const shown = flagged ?? peak(tokens);
  return {
    risk: flagged !== null ? tokens[flagged]!.risk : doubtful !== null ? "Controversial" : "Safe",
    category: doubtful !== null ? tokens[doubtful]!.category : null,
    decision: flagged !== null ? "block" : "allow",
    flagged,
    shown,
    probabilities: shown !== null ? tokens[shown]!.probabilities : null,
    // A Safe token comes without categories, but the server's own choice of token has them.
    categories: (shown !== null ? tokens[shown]!.categories : null) ?? (served.flagged ? null : served.categories),
  };
}
