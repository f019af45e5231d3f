// The live board: what the server's metrics say, now and over the last minutes.

import { type Api, ApiError } from "./api";
import { Bars, setCounts } from "./bars";
import { Chart, type Line } from "./chart";
import { count, decimal, find, make, setText } from "./dom";
import { GatewayView } from "./gateway_view";
import { Interval, judging, latency, restarted, Snapshot } from "./metrics";

const kPollSeconds = 2;
const kMinutes = 5;
const kKept = (kMinutes * 60) / kPollSeconds;
// Percentiles and rates of few requests jump about: they are taken over this many polls.
const kWindow = 5;

type Values = Record<string, number | null>;

const kRiskLines: readonly Line[] = [
  { label: "Safe", colour: "--safe" },
  { label: "Controversial", colour: "--controversial", dash: [5, 3] },
  { label: "Unsafe", colour: "--unsafe", dash: [2, 2] },
];
const kGuardedLine: Line = { label: "streams", colour: "--accent", fill: true };
const kLatencyLines: readonly Line[] = [
  { label: "p50", colour: "--accent" },
  { label: "p90", colour: "--controversial", dash: [5, 3] },
  { label: "p99", colour: "--unsafe", dash: [2, 2] },
];

export class Board {
  private readonly snapshots: Snapshot[] = [];
  private history: Values[] = [];
  private readonly charts = new Map<Chart, readonly Line[]>();
  private readonly routes = find("routes", HTMLTableSectionElement);
  private readonly categories = new Bars(find("categories", HTMLElement), count);
  private readonly gateway = new GatewayView();
  private timer = 0;

  /** `atGateway` is called once if the metrics are those of a gateway. */
  constructor(
    private readonly api: Api,
    private readonly atGateway: () => void,
  ) {
    this.addChart("chart-requests", [{ label: "requests/s", colour: "--accent", fill: true }], decimal);
    this.addChart("chart-tokens", [{ label: "tokens/s", colour: "--accent", fill: true }], decimal);
    this.addChart("chart-latency", kLatencyLines, milliseconds);
    this.addChart("chart-risks", kRiskLines, decimal);
    this.addChart("chart-guarded", [kGuardedLine], decimal);
    document.addEventListener("visibilitychange", () => this.restart());
    this.restart();
  }

  /** Polls at once and from then on, as long as somebody can see it. */
  restart(): void {
    clearTimeout(this.timer);
    if (!document.hidden) void this.poll();
  }

  private addChart(id: string, lines: readonly Line[], format: (value: number) => string): void {
    const parent = find(id, HTMLElement);
    this.charts.set(new Chart(parent, { lines, height: 150, seconds: kMinutes * 60, format }), lines);
  }

  private async poll(): Promise<void> {
    const at = Date.now() / 1000;
    let problem = "";
    try {
      this.take(new Snapshot(await this.api.metrics(), at));
    } catch (error) {
      problem = error instanceof ApiError ? error.message : String(error);
      this.history.push({ at }); // a gap in the lines
    }
    find("board-problem", HTMLElement).hidden = problem === "";
    setText(find("board-problem-text", HTMLElement), problem === "" ? "" : `${problem} What stands below is old.`);
    this.history = this.history.slice(-kKept);
    this.draw();
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = window.setTimeout(() => void this.poll(), kPollSeconds * 1000);
  }

  private take(now: Snapshot): void {
    const last = this.snapshots.at(-1);
    if (last && restarted(last, now)) this.snapshots.length = 0;
    this.snapshots.push(now);
    if (this.snapshots.length > kKept) this.snapshots.shift();
    const recent = new Interval(this.snapshots.at(-1 - kWindow) ?? this.snapshots[0]!, now);
    const risk = (name: string): number => recent.rate("verdicts_total", (labels) => labels["risk"] === name);
    const known = this.snapshots.length > 1;
    const values: Values = { at: now.at };
    if (known) {
      values["requests/s"] = recent.rate("requests_total", judging);
      values["tokens/s"] = recent.rate("judged_tokens_total");
      for (const { label } of kRiskLines) values[label] = risk(label);
      for (const { label } of kLatencyLines) values[label] = recent.latency(Number(label.slice(1)) / 100, judging);
    }
    if (now.has("gateway_streams")) {
      values[kGuardedLine.label] = now.sum("gateway_streams");
      if (this.gateway.show(now)) this.atGateway();
    }
    this.history.push(values);
    this.showTiles(now, values);
    this.showRoutes(now);
    this.showCategories(now);
  }

  private draw(): void {
    const times = this.history.map((values) => values["at"] ?? 0);
    for (const [chart, lines] of this.charts) {
      chart.set([times, ...lines.map(({ label }) => this.history.map((values) => values[label] ?? null))]);
    }
  }

  private showTiles(now: Snapshot, values: Values): void {
    const total = now.sum("verdicts_total");
    const stopped = now.sum("verdicts_total", (labels) => labels["decision"] !== "allow");
    const tiles: Record<string, string> = {
      requests: optional(values["requests/s"], decimal),
      tokens: optional(values["tokens/s"], decimal),
      latency: optional(values["p99"], milliseconds),
      streams: count(now.sum("streams")),
      connections: count(now.sum("connections")),
      queue: count(now.sum("queued_requests")),
      verdicts: count(total),
      stopped: total === 0 ? "–" : `${((100 * stopped) / total).toFixed(1)} %`,
    };
    for (const [name, text] of Object.entries(tiles)) setText(find(`tile-${name}`, HTMLElement), text);
  }

  private showRoutes(now: Snapshot): void {
    const rows = [...now.by("requests_total", "route", judging)].map(([route, requests]) => {
      const here = (labels: Record<string, string>): boolean => labels["route"] === route;
      const failed = now.sum("requests_total", (labels) => here(labels) && Number(labels["status"]) >= 400);
      const took = (share: number): string => optional(latency(share, here, now), milliseconds);
      const cells = [count(requests), count(failed), took(0.5), took(0.99)];
      const head = make("th", { text: route });
      head.scope = "row";
      return make("tr", {}, head, ...cells.map((text) => make("td", { text })));
    });
    this.routes.replaceChildren(...rows);
    find("no-routes", HTMLElement).hidden = rows.length > 0;
  }

  private showCategories(now: Snapshot): void {
    const counts = [...now.by("verdicts_total", "category")].filter(([name]) => name !== "None");
    const total = now.sum("verdicts_total");
    setCounts(this.categories, "no-categories", counts, total);
  }
}

function milliseconds(seconds: number): string {
  return seconds >= 1 ? `${seconds.toFixed(1)} s` : `${decimal(seconds * 1000)} ms`;
}

function optional(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}
