// Lines over time or over tokens: uPlot in the page's colours, with a legend that shows values.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { make, setText } from "./dom";

export interface Line {
  label: string;
  colour: string; // a custom property of style.css
  dash?: number[]; // lines differ in more than colour
  fill?: boolean;
}

export interface ChartOptions {
  lines: readonly Line[];
  height: number;
  seconds?: number; // x is time, and this much of it is shown
  format: (value: number) => string;
  range?: [number, number];
  hovered?: (index: number | null) => void;
}

const kDark = matchMedia("(prefers-color-scheme: dark)");

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class Chart {
  private plot: uPlot | null = null;
  private data: uPlot.AlignedData = [[]];
  private marked: number | null = null;
  private readonly values: HTMLElement[] = [];

  constructor(
    private readonly parent: HTMLElement,
    private readonly options: ChartOptions,
  ) {
    const legend = make("div", { class: "legend" });
    for (const line of options.lines) {
      const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.setProperty("--colour", `var(${line.colour})`);
      swatch.style.borderTopStyle = line.dash ? (line.dash[0]! > 3 ? "dashed" : "dotted") : "solid";
      const value = make("span", { class: "value" });
      this.values.push(value);
      legend.append(make("span", {}, swatch, make("span", { text: line.label }), value));
    }
    this.data = [[], ...options.lines.map(() => [])];
    parent.before(legend);
    this.draw();
    // Canvas takes its colours once.
    kDark.addEventListener("change", () => this.draw());
    new ResizeObserver(() => {
      this.plot?.setSize({ width: Math.max(parent.clientWidth, 50), height: options.height });
    }).observe(parent);
  }

  set(data: uPlot.AlignedData, marked: number | null = null): void {
    this.data = data;
    this.marked = marked;
    this.plot?.setData(data);
    this.show(null);
  }

  private show(index: number | null): void {
    this.values.forEach((element, i) => {
      const value = this.data[i + 1]?.at(index ?? -1) ?? null;
      setText(element, value === null ? "–" : this.options.format(value));
    });
  }

  private draw(): void {
    this.plot?.destroy();
    const { options } = this;
    const axis = {
      stroke: colour("--muted"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    this.plot = new uPlot(
      {
        width: Math.max(this.parent.clientWidth, 50),
        height: options.height,
        padding: [6, options.seconds ? 24 : 4, 0, 0], // the last time is as wide as that
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: {
          x: options.seconds ? { range: (_, least, most) => stretch(least, most, options.seconds!) } : { time: false },
          y: { range: (_, __, most) => options.range ?? [0, Math.max(most, 1e-9) * 1.1] },
        },
        axes: [
          { ...axis, size: 22, grid: { show: false }, space: 70, values: options.seconds ? clock : counts },
          { ...axis, size: 46, space: 26, values: (_, ticks) => ticks.map(options.format) },
        ],
        series: [
          {},
          ...options.lines.map((line) => ({
            stroke: colour(line.colour),
            width: 1.5,
            points: { show: false },
            ...(line.dash ? { dash: line.dash } : {}),
            ...(line.fill ? { fill: colour(line.colour) + "22" } : {}),
          })),
        ],
        hooks: {
          draw: [(plot) => this.drawMark(plot)],
          setCursor: [
            (plot) => {
              const index = plot.cursor.idx ?? null;
              this.show(index);
              options.hovered?.(index);
            },
          ],
        },
      },
      this.data,
      this.parent,
    );
  }

  private drawMark(plot: uPlot): void {
    const at = this.marked === null ? undefined : this.data[0][this.marked];
    if (at === undefined) return;
    const x = Math.round(plot.valToPos(at, "x", true));
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour("--ink");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}

// What is new comes in at the right, from the first point on.
function stretch(least: number, most: number, seconds: number): [number, number] {
  return [Math.min(most - 60, Math.max(least, most - seconds)), most];
}

function clock(_: uPlot, ticks: number[]): string[] {
  const digits = (ticks[1] ?? 0) - (ticks[0] ?? 0) < 60 ? 8 : 5;
  return ticks.map((tick) => new Date(tick * 1000).toTimeString().slice(0, digits));
}

function counts(_: uPlot, ticks: number[]): string[] {
  return ticks.map((tick) => (Number.isInteger(tick) ? String(tick) : ""));
}
