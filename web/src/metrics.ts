// Prometheus' text format, and what can be read off two snapshots of it.

interface Sample {
  name: string; // without the prefix
  labels: Record<string, string>;
  value: number;
}

type Filter = (labels: Record<string, string>) => boolean;
const kAll: Filter = () => true;

// Asking for these is nobody's verdict; this page's own polling is among them.
const kNotJudging = new Set(["/", "/assets/{id}", "/metrics", "/health", "/ready", "/v1/models", "upstream", "none"]);
export const judging: Filter = (labels) => !kNotJudging.has(labels["route"] ?? "");

/** The metrics at one moment. Names that nobody asks for do no harm. */
export class Snapshot {
  private readonly samples: Sample[] = [];

  constructor(
    text: string,
    readonly at: number, // seconds
  ) {
    // Whoever runs the server chooses how names begin; this one always exists.
    const prefix = /^# TYPE (\w*)judged_tokens_total /m.exec(text)?.[1];
    if (prefix === undefined) throw new Error("The answer has no metrics of qwen3guard.");
    for (const line of text.split("\n")) {
      const parts = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (!parts?.[1]?.startsWith(prefix)) continue;
      const labels: Record<string, string> = {};
      for (const [, label, value] of (parts[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
        labels[label!] = value!;
      }
      this.samples.push({ name: parts[1].slice(prefix.length), labels, value: Number(parts[3]) });
    }
  }

  has(name: string): boolean {
    return this.samples.some((sample) => sample.name === name);
  }

  sum(name: string, filter = kAll): number {
    return this.select(name, filter).reduce((total, sample) => total + sample.value, 0);
  }

  /** Sums by a label's values. */
  by(name: string, label: string, filter = kAll): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { labels, value } of this.select(name, filter)) {
      const key = labels[label] ?? "";
      sums.set(key, (sums.get(key) ?? 0) + value);
    }
    return sums;
  }

  private select(name: string, filter: Filter): Sample[] {
    return this.samples.filter((sample) => sample.name === name && filter(sample.labels));
  }
}

/** From one snapshot to a later one of the same server. */
export class Interval {
  constructor(
    private readonly before: Snapshot,
    private readonly now: Snapshot,
  ) {}

  rate(name: string, filter = kAll): number {
    const growth = this.now.sum(name, filter) - this.before.sum(name, filter);
    return growth / Math.max(this.now.at - this.before.at, 0.001);
  }

  latency(share: number, filter: Filter): number | null {
    return latency(share, filter, this.now, this.before);
  }
}

/**
 * Seconds that this share of the requests needed at most, since the server's start or since
 * `before`; null where there were none.
 */
export function latency(share: number, filter: Filter, now: Snapshot, before?: Snapshot): number | null {
  const past = before?.by("request_seconds_bucket", "le", filter);
  const buckets = [...now.by("request_seconds_bucket", "le", filter)]
    .map(([le, count]) => ({ bound: le === "+Inf" ? Infinity : Number(le), count: count - (past?.get(le) ?? 0) }))
    .sort((a, b) => a.bound - b.bound);
  const wanted = share * (buckets.at(-1)?.count ?? 0);
  if (wanted === 0) return null;
  const at = buckets.findIndex(({ count }) => count >= wanted);
  const below = buckets[at - 1] ?? { bound: 0, count: 0 };
  const bucket = buckets[at]!;
  if (bucket.bound === Infinity) return below.bound; // all that is known: longer than this
  return below.bound + ((bucket.bound - below.bound) * (wanted - below.count)) / (bucket.count - below.count);
}

/** Whether counters went back: the server was started anew. */
export function restarted(before: Snapshot, now: Snapshot): boolean {
  return now.sum("requests_total") < before.sum("requests_total");
}
