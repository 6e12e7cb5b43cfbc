// The source and the outputs: what they do, start and stop of each.
import { ask, read } from "./connection.js";
import { $, element, toast, tried } from "./dom.js";

const STATES = {
  idle: "nothing plays", starting: "opening", running: "live", failed: "failed", ended: "stopped",
};

export class Outputs {
  onbrowser = null; // plays the camera of this browser
  #names = new Map(); // of offered sources, by address
  #shown = "";
  #any = false;

  constructor() {
    $("choose").addEventListener("click", () => this.choose());
    $("source-go").addEventListener("click", () => this.start($("source-url").value));
    $("source-url").addEventListener("keydown", event => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.start($("source-url").value);
    });
    $("add-output").addEventListener("submit", async event => {
      event.preventDefault();
      const sink = $("output-url").value.trim();
      if (sink && await tried(() => ask("add-sink", { sink }))) $("output-url").value = "";
    });
  }

  async choose() {
    const sources = await tried(() => read("api/sources"));
    if (!sources) return;
    $("source-list").replaceChildren(...this.#choices(sources));
    $("sources").showModal();
  }

  async offer() {
    const sources = await tried(() => read("api/sources"));
    if (sources) $("quick").replaceChildren(...this.#choices(sources).slice(0, 6));
  }

  async start(source) {
    $("sources").close();
    if ($("empty").hidden) toast("Opening the source …");
    await tried(async () => {
      try {
        await ask("start", source === null ? {} : { source });
      } catch (error) {
        if ((await read("status.json")).why !== error.message) throw error; // else the picture's place says it
      }
    });
  }

  show(status, allows) {
    this.#any = allows.any;
    $("any-source").hidden = $("add-output").hidden = !allows.any;
    $("only-listed").hidden = allows.any;
    const state = $("state");
    state.dataset.state = status.run?.silent ? "silent" : status.state;
    state.textContent = status.run?.silent ? "source is silent" : STATES[status.state];
    $("source-name").textContent = status.source ? this.#name(status.source) : "choose one";
    const key = JSON.stringify([status.source, status.state, status.why, status.outputs]);
    if (key === this.#shown) return;
    this.#shown = key;
    const rows = status.outputs.map(output => this.#output(output));
    $("outputs").replaceChildren(this.#source(status), ...rows);
  }

  #name(url) {
    return this.#names.get(url) ?? short(url);
  }

  #source({ source, state, why }) {
    const runs = state === "running" || state === "starting";
    const button = element("button", { type: "button", textContent: runs ? "Stop" : "Start", disabled: source === null });
    button.setAttribute("aria-label", `${runs ? "Stop" : "Start"} the source`);
    button.addEventListener("click", () => runs ? tried(() => ask("stop")) : this.start(null));
    const told = source === null ? "choose one first" : STATES[state];
    const line = row("of-source", source === null ? "No source" : this.#name(source), told, state, button);
    if (why) line.title = why; // in full in the picture's place
    return line;
  }

  #output({ name, state, why, dropped }) {
    const on = state === "running" || state === "waiting";
    const button = element("button", { type: "button", textContent: on ? "Stop" : "Start" });
    button.setAttribute("aria-label", `${on ? "Stop" : "Start"} ${name}`);
    button.addEventListener("click", () => tried(() => ask(on ? "remove-sink" : "add-sink", { sink: name })));
    const lost = dropped ? `, ${dropped} dropped` : "";
    return row("output", short(name), why ?? `${state}${lost}`, state, button);
  }

  #choices(sources) {
    for (const { url, name, detail } of sources) if (detail) this.#names.set(url, name);
    const made = sources.map(({ url, name, detail, problem }) => {
      const button = element("button", { type: "button", className: "choice", disabled: Boolean(problem), "data-url": url },
        element("strong", { textContent: name }), element("span", { textContent: problem || detail || short(url) }));
      button.addEventListener("click", () => this.start(url));
      return button;
    });
    if (!this.onbrowser) return made;
    const own = element("button", { type: "button", className: "choice primary", id: "own-camera" },
      element("strong", { textContent: "Use this camera" }), element("span", { textContent: "through this browser" }));
    own.addEventListener("click", () => {
      $("sources").close();
      tried(() => this.onbrowser());
    });
    return [own, ...made];
  }
}

function row(kind, name, told, state, button) {
  return element("li", { className: kind, "data-state": state },
    element("span", { className: "light", "aria-hidden": "true" }),
    element("span", { className: "what" }, element("strong", { textContent: name, title: name }), element("span", { textContent: told })),
    button);
}

// A film by its name; of an address both ends.
function short(url) {
  if (/^([a-z]:)?[\\/]/i.test(url)) return url.split(/[\\/]/).at(-1);
  return url.length > 44 ? `${url.slice(0, 20)}…${url.slice(-22)}` : url;
}
