// The wall: every style painted from the current picture; click to crossfade, drag one onto another to mix.
import { ask, read } from "./connection.js";
import { $, element, press, pressed, tried } from "./dom.js";

export class Styles {
  #wall = $("wall");
  #tiles = new Map();
  #order = [];
  #style = "";
  #asked = null; // what is on its way
  #mixing = null;

  constructor() {
    $("mix-mode").addEventListener("click", () => press($("mix-mode"), !pressed($("mix-mode"))));
    $("mix").addEventListener("change", () => this.#setMix(0.2));
  }

  async load() {
    const styles = await read("api/styles");
    this.#order = styles.map(style => style.name);
    this.#tiles.clear();
    this.#wall.replaceChildren(...styles.map(style => this.#tile(style)));
    $("region-style").replaceChildren(
      ...styles.map(({ name, title }) => element("option", { value: name, textContent: name === "original" ? "as it is" : title })),
    );
    $("region-style").value = "original";
    this.#mark();
  }

  // What the server says is set.
  set style(text) {
    if (text === this.#style) return;
    this.#style = text;
    const parts = mixed(text);
    this.#mixing = parts.length === 2 ? parts : null;
    $("mixer").hidden = this.#mixing === null;
    if (this.#mixing) {
      $("mix-from").textContent = this.#title(parts[0].name);
      $("mix-to").textContent = this.#title(parts[1].name);
      const total = parts[0].share + parts[1].share;
      $("mix").value = Math.round(100 * parts[1].share / total);
      $("mix").style.setProperty("--fill", `${$("mix").value}%`);
    }
    this.#mark();
  }

  thumbnail(name, data) {
    const tile = this.#tiles.get(name);
    if (tile) tile.picture.src = `data:image/jpeg;base64,${data}`;
  }

  step(by) {
    const now = this.#order.indexOf(this.#first);
    this.choose(this.#order[(now + by + this.#order.length) % this.#order.length]);
  }

  nth(number) {
    if (number < this.#order.length) this.choose(this.#order[number]);
  }

  choose(name) {
    const first = this.#first;
    if (pressed($("mix-mode")) && first && first !== name) {
      press($("mix-mode"), false);
      return this.mix(first, name);
    }
    return this.#ask(name);
  }

  mix(first, second) {
    if (first === second) return this.#ask(first);
    return this.#ask(`${first}:0.5,${second}:0.5`);
  }

  #setMix(fade) {
    if (!this.#mixing) return;
    const share = $("mix").value / 100, [a, b] = this.#mixing;
    if (share === 0) this.#ask(a.name, fade);
    else if (share === 1) this.#ask(b.name, fade);
    else this.#ask(`${a.name}:${(1 - share).toFixed(2)},${b.name}:${share.toFixed(2)}`, fade);
  }

  async #ask(style, fade = Number($("fade").value)) {
    this.#asked = style;
    const answer = await tried(() => ask("set", { style, fade }));
    if (this.#asked === style) this.#asked = null;
    if (answer) this.style = answer.settings.style;
  }

  get #first() {
    return mixed(this.#asked ?? this.#style)[0]?.name;
  }

  #title(name) {
    return this.#tiles.get(name)?.title ?? name;
  }

  #mark() {
    const parts = mixed(this.#style), names = parts.map(part => part.name);
    for (const [name, tile] of this.#tiles) press(tile.button, names.includes(name));
    $("style-now").textContent = parts.map(part => this.#title(part.name)).join(" + ");
  }

  #tile({ name, title, artist, own }) {
    const picture = element("img", { alt: "", draggable: false });
    const button = element("button", {
      type: "button", className: "tile", draggable: true, "aria-pressed": "false",
      "data-style": name, "aria-label": artist ? `${title}, ${artist}` : title,
      title: artist ? `${title} — ${artist}` : title,
    }, picture, element("span", { className: "name", textContent: title }), ...(own ? [element("span", { className: "own", textContent: "yours" })] : []));
    button.addEventListener("click", () => this.choose(name));
    button.addEventListener("dragstart", event => event.dataTransfer.setData("text/streamstyle", name));
    button.addEventListener("dragover", event => {
      if (event.dataTransfer.types.includes("text/streamstyle")) {
        event.preventDefault();
        button.classList.add("over");
      }
    });
    button.addEventListener("dragleave", () => button.classList.remove("over"));
    button.addEventListener("drop", event => {
      button.classList.remove("over");
      const other = event.dataTransfer.getData("text/streamstyle");
      if (other) {
        event.preventDefault();
        this.mix(name, other);
      }
    });
    this.#tiles.set(name, { button, picture, title });
    return button;
  }
}

// "a:0.7,b:0.3" as [{name, share}].
export function mixed(text) {
  return text.split(",").filter(Boolean).map(part => {
    const [name, share] = part.trim().split(":");
    return { name, share: share === undefined ? 1 : Number(share) };
  });
}
