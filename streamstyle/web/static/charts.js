// Live charts: figures of the run, and each anomaly's score over its threshold.
import { $, element } from "./dom.js";

const KEPT = 240; // points of half a second
const KINDS = {
  flicker: "the brightness of a place jumps to and fro",
  pop: "a place changes at once while the source does not",
  drift: "colours wander away from those that the shot began with",
  texture: "strokes swim where the source stands still",
  distortion: "edges of the source get lost",
  style: "colours that this style does not give",
  duplicate: "the frame before is shown again",
  flash: "flashes that can harm people",
};
const CALM = "#6fb7d6", WARM = "#f2a65a", DIM = "#9aa0aa", LINE = "#2b3038";

class Series {
  constructor() {
    this.points = [];
  }

  add(value) {
    this.points.push(value);
    if (this.points.length > KEPT) this.points.shift();
  }

  get last() {
    return this.points.at(-1);
  }
}

export class Charts {
  #figures = [
    { name: "fps", told: "frames a second", unit: "", digits: 1, lines: [[new Series(), CALM, "painted"]] },
    { name: "delay", told: "from the camera to the output: of half of the frames, and of all but 1 %", unit: " ms", digits: 0, lines: [[new Series(), CALM, "p50"], [new Series(), WARM, "p99"]] },
    { name: "dropped", told: "frames that were left out to keep up", unit: "", digits: 0, lines: [[new Series(), WARM, "in ½ s"]] },
  ];
  #kinds = new Map();
  #dropped = null;

  constructor() {
    $("charts").append(...this.#figures.map(figure => {
      figure.value = element("output", { textContent: "–" });
      figure.canvas = element("canvas", { role: "img", "aria-label": `${figure.name} over the last two minutes` });
      return element("div", { className: "chart", id: `chart-${figure.name}`, title: figure.told },
        element("span", { className: "name", textContent: figure.name }), figure.value, figure.canvas);
    }));
    $("kinds").append(...Object.entries(KINDS).map(([kind, told]) => {
      const value = element("output", { textContent: "–" });
      const canvas = element("canvas", { role: "img", "aria-label": `${kind} over its threshold` });
      const row = element("div", { className: "kind", id: `kind-${kind}`, title: told },
        element("span", { className: "name", textContent: kind }), canvas, value);
      this.#kinds.set(kind, { series: new Series(), row, value, canvas });
      return row;
    }));
  }

  figures(run) {
    if (!run) {
      this.#dropped = null;
      return;
    }
    const [fps, delay, drops] = this.#figures;
    fps.lines[0][0].add(run.fps);
    delay.lines[0][0].add(run.late.p50_ms);
    delay.lines[1][0].add(run.late.p99_ms);
    const dropped = Object.values(run.drops).reduce((sum, n) => sum + n, 0);
    drops.lines[0][0].add(Math.max(0, dropped - (this.#dropped ?? dropped)));
    this.#dropped = dropped;
    for (const figure of this.#figures) {
      figure.value.textContent = figure.lines.map(([series]) => series.last.toFixed(figure.digits)).join(" / ") + figure.unit;
      const most = Math.max(1, ...figure.lines.flatMap(([series]) => series.points)) * 1.15;
      sketch(figure.canvas, figure.lines, most, null);
    }
  }

  scores(points) {
    for (const point of points) {
      for (const [kind, { series }] of this.#kinds) series.add(point[kind] ?? 0);
    }
    if (points.length === 0) return;
    for (const { series, row, value, canvas } of this.#kinds.values()) {
      value.textContent = series.last.toFixed(2);
      row.classList.toggle("over", series.last > 1);
      sketch(canvas, [[series, series.last > 1 ? WARM : CALM]], 2, 1);
    }
  }
}

function sketch(canvas, lines, most, threshold) {
  const scale = devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  const x = (index, count) => width - (count - 1 - index) * width / (KEPT - 1);
  const y = value => height - scale - Math.min(value / most, 1) * (height - 2 * scale);
  if (threshold !== null) {
    context.strokeStyle = DIM;
    context.globalAlpha = 0.6;
    context.setLineDash([3 * scale, 3 * scale]);
    context.lineWidth = scale;
    context.beginPath();
    context.moveTo(0, y(threshold));
    context.lineTo(width, y(threshold));
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  } else {
    context.fillStyle = LINE;
    context.fillRect(0, height - scale, width, scale);
  }
  for (const [series, colour] of lines) {
    const points = series.points;
    if (points.length < 2) continue;
    context.beginPath();
    points.forEach((value, index) => context.lineTo(x(index, points.length), y(value)));
    context.strokeStyle = colour;
    context.lineWidth = 1.5 * scale;
    context.lineJoin = "round";
    context.stroke();
    context.lineTo(width, height);
    context.lineTo(x(0, points.length), height);
    context.globalAlpha = 0.13;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
  }
}
