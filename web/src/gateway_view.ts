// The part of the live board that only a gateway has: streams, what is held, how requests ended.

import { Bars, setCounts } from "./bars";
import { count, find, setText } from "./dom";
import type { Snapshot } from "./metrics";

// Outcomes, as docs/gateway.md lists them.
const kTiles: Record<string, readonly string[]> = {
  flagged: ["flagged"],
  prompts: ["prompt_blocked"],
  unjudged: ["refused", "overloaded", "guard_failed", "failed_open"],
  upstream: ["upstream_failed", "upstream_timeout", "upstream_error"],
};

export class GatewayView {
  private readonly parts = ["tiles", "streams", "outcomes", "flags"].map((part) => find(`gateway-${part}`, HTMLElement));
  private readonly outcomes = new Bars(find("outcomes", HTMLElement), count);
  private readonly flags = new Bars(find("flags", HTMLElement), count);

  /** Whether it is shown for the first time. */
  show(now: Snapshot): boolean {
    const first = this.parts.some((part) => part.hidden);
    for (const part of this.parts) part.hidden = false;
    const outcomes = now.by("gateway_outcomes_total", "outcome");
    const all = now.sum("gateway_outcomes_total");
    const tiles: Record<string, number> = {
      guarded: now.sum("gateway_streams"),
      answers: all,
      leaked: now.sum("gateway_leaked_characters_total"),
    };
    for (const [tile, names] of Object.entries(kTiles)) {
      tiles[tile] = names.reduce((sum, name) => sum + (outcomes.get(name) ?? 0), 0);
    }
    for (const [tile, value] of Object.entries(tiles)) setText(find(`tile-${tile}`, HTMLElement), count(value));
    setText(find("tile-held", HTMLElement), `${count(now.sum("gateway_held_bytes"))} B`);
    setCounts(this.outcomes, "no-outcomes", [...outcomes].map(([name, value]) => [name.replaceAll("_", " "), value]), all);

    const stopped = now.by("verdicts_total", "category", (labels) => labels["decision"] !== "allow");
    const total = now.sum("verdicts_total", (labels) => labels["decision"] !== "allow");
    setCounts(this.flags, "no-flags", [...stopped], total);
    return first;
  }
}
