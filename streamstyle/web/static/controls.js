// Sliders, switches and the region: each says what is set, and sets it.
import { ask } from "./connection.js";
import { $, press, tried } from "./dom.js";

const SLIDERS = ["strength", "colour", "consistency"];
const PEOPLE = ["person", "background"];
const WAIT = 120; // milliseconds between two requests of a slider that is being moved

export class Controls {
  #stage;
  #busy = new Set();
  #region = null;

  constructor(stage) {
    this.#stage = stage;
    for (const name of SLIDERS) this.#slider(name);
    $("repair").addEventListener("change", () => this.#set({ correct: $("repair").checked ? "repair" : "off" }));
    $("flash-guard").addEventListener("change", () => this.#set({ flash_guard: $("flash-guard").checked }));
    $("region-set").addEventListener("click", () => this.region(this.#typed()));
    $("region-clear").addEventListener("click", () => this.#set({ region: "none" }));
    $("region-style").addEventListener("change", () => {
      if (PEOPLE.includes(this.#region)) this.#people(this.#region);
      else if (this.#region !== null) this.region(this.#typed());
    });
    for (const name of PEOPLE) {
      $(`region-${name}`).addEventListener("click", () =>
        this.#region === name ? this.#set({ region: "none" }) : this.#people(name));
    }
    stage.onregion = box => this.region(box);
  }

  region({ x, y, width, height }) {
    return this.#set({
      region: `rect:${x}%,${y}%,${width}%,${height}%`, region_style: $("region-style").value,
    });
  }

  #people(region) {
    return this.#set({ region, region_style: $("region-style").value });
  }

  // What the server says is set; what is just being moved stays.
  show(settings) {
    for (const name of SLIDERS) {
      if (this.#busy.has(name)) continue;
      $(name).value = Math.round(100 * settings[name]);
      this.#value(name);
    }
    if (!this.#busy.has("switches")) {
      $("repair").checked = settings.correct === "repair";
      $("flash-guard").checked = settings.flash_guard;
    }
    this.#showRegion(settings);
  }

  nudge(name, by) {
    const slider = $(name);
    slider.value = Number(slider.value) + by;
    slider.dispatchEvent(new Event("input"));
  }

  #showRegion({ region, region_style: style }) {
    const match = /^rect:([\d.]+)%,([\d.]+)%,([\d.]+)%,([\d.]+)%$/.exec(region ?? "");
    this.#region = region;
    $("region-clear").disabled = region === null;
    for (const name of PEOPLE) press($(`region-${name}`), region === name);
    const box = match && { x: +match[1], y: +match[2], width: +match[3], height: +match[4] };
    const key = JSON.stringify([region, style]);
    if (key === this.key) return;
    this.key = key;
    this.#stage.region(box);
    if (region !== null) $("region-style").value = style;
    if (!box) return;
    $("region-x").value = box.x;
    $("region-y").value = box.y;
    $("region-w").value = box.width;
    $("region-h").value = box.height;
  }

  #typed() {
    const [x, y, width, height] = ["x", "y", "w", "h"].map(side => Math.round(Number($(`region-${side}`).value)));
    return { x, y, width, height };
  }

  #slider(name) {
    const slider = $(name);
    let timer = 0;
    slider.addEventListener("input", () => {
      this.#value(name);
      this.#busy.add(name);
      clearTimeout(timer);
      timer = setTimeout(async () => {
        await this.#set({ [name]: slider.value / 100 });
        this.#busy.delete(name);
      }, WAIT);
    });
    this.#value(name);
  }

  #value(name) {
    $(`${name}-value`).textContent = `${$(name).value} %`;
    $(name).style.setProperty("--fill", `${$(name).value}%`);
  }

  async #set(values) {
    this.#busy.add("switches");
    const answer = await tried(() => ask("set", values));
    this.#busy.delete("switches");
    this.key = "";
    if (answer) this.show(answer.settings);
  }
}
