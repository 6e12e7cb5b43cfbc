// The big picture: painted, with the source beside it, the heat map over it, and a region that is drawn on it.

import { found } from "./events.js";

const WARM = [255, 112, 16];

// Percent of a side; what is near the edge of the picture is meant to reach it.
function snapped(share) {
  return share < 3 ? 0 : share > 97 ? 100 : share;
}

export class Stage {
  onregion = () => {};
  #canvas = document.getElementById("picture");
  #context = this.#canvas.getContext("2d");
  #stage = document.getElementById("stage");
  #wipe = document.getElementById("wipe");
  #line = document.getElementById("wipe-line");
  #rectangle = document.getElementById("rectangle");
  #found = document.getElementById("found");
  #heatmap = document.createElement("canvas");
  #last = null;
  #region = null;
  comparing = false;
  heat = false;
  drawing = false;
  paints = false; // the picture that is shown is a painting
  shownAt = -Infinity;

  constructor() {
    this.#wipe.addEventListener("input", () => this.#place());
    this.#stage.addEventListener("pointerdown", event => this.#press(event));
    new ResizeObserver(() => this.#place()).observe(this.#stage);
  }

  get wants() {
    return ["painted", ...(this.comparing ? ["original"] : []), ...(this.heat ? ["heat"] : [])];
  }

  async show(facts, parts) {
    const [painted, original] = await Promise.all([
      createImageBitmap(parts.painted),
      parts.original ? createImageBitmap(parts.original) : null,
    ]);
    this.#last?.painted.close();
    this.#last?.original?.close();
    this.#last = { facts, painted, original };
    this.shownAt = performance.now();
    this.paints = Boolean(facts.style);
    this.#found.hidden = facts.kinds.length === 0;
    if (facts.kinds.length) this.#found.textContent = found(facts);
    this.#draw();
  }

  compare(on) {
    this.comparing = on;
    for (const id of ["wipe", "wipe-line", "tag-before", "tag-after"]) document.getElementById(id).hidden = !on;
    this.#place();
  }

  // {x, y, width, height} in percent of the picture, or null.
  region(box) {
    this.#region = box;
    this.#place();
  }

  #draw() {
    const { facts, painted, original } = this.#last;
    const canvas = this.#canvas, context = this.#context;
    if (canvas.width !== painted.width || canvas.height !== painted.height) {
      canvas.width = painted.width;
      canvas.height = painted.height;
      this.#stage.style.setProperty("--ratio", `${painted.width} / ${painted.height}`);
      this.#stage.style.setProperty("--ratio-number", String(painted.width / painted.height));
      this.#place();
    }
    context.drawImage(painted, 0, 0);
    if (this.heat && facts.heat) this.#drawHeat(facts.heat);
    if (this.comparing && original) {
      const edge = Math.round(canvas.width * this.#wipe.value / 100);
      const share = original.width / canvas.width;
      if (edge > 0) context.drawImage(original, 0, 0, edge * share, original.height, 0, 0, edge, canvas.height);
    }
  }

  #drawHeat({ rows, columns, levels }) {
    const map = this.#heatmap, bytes = atob(levels);
    map.width = columns;
    map.height = rows;
    const tile = map.getContext("2d"), image = tile.createImageData(columns, rows);
    for (let i = 0; i < rows * columns; i++) {
      image.data.set(WARM, 4 * i);
      image.data[4 * i + 3] = Math.min(230, bytes.charCodeAt(i) * 1.2);
    }
    tile.putImageData(image, 0, 0);
    this.#context.imageSmoothingEnabled = true;
    this.#context.drawImage(map, 0, 0, this.#canvas.width, this.#canvas.height);
  }

  #place() {
    this.#line.style.left = `${this.#wipe.value}%`;
    const box = this.#region, style = this.#rectangle.style;
    this.#rectangle.hidden = box === null;
    if (box) {
      style.left = `${box.x}%`;
      style.top = `${box.y}%`;
      style.width = `${box.width}%`;
      style.height = `${box.height}%`;
    }
    if (this.#last) this.#draw();
  }

  #press(event) {
    if (!this.drawing || event.button !== 0) return;
    event.preventDefault();
    const frame = this.#stage.getBoundingClientRect();
    const at = e => [
      snapped(100 * (e.clientX - frame.left) / frame.width),
      snapped(100 * (e.clientY - frame.top) / frame.height),
    ];
    const [x0, y0] = at(event);
    const box = e => {
      const [x1, y1] = at(e);
      return {
        x: Math.round(Math.min(x0, x1)), y: Math.round(Math.min(y0, y1)),
        width: Math.round(Math.abs(x1 - x0)), height: Math.round(Math.abs(y1 - y0)),
      };
    };
    const move = e => this.region(box(e));
    const up = e => {
      this.#stage.removeEventListener("pointermove", move);
      const drawn = box(e);
      if (drawn.width > 1 && drawn.height > 1) this.onregion(drawn);
    };
    this.#stage.setPointerCapture(event.pointerId);
    this.#stage.addEventListener("pointermove", move);
    this.#stage.addEventListener("pointerup", up, { once: true });
  }
}
