// All streams: a small picture of each, how it stands, and what happened.
import { address, read } from "./connection.js";
import { $, element } from "./dom.js";

const NEWS = 1000; // milliseconds between two questions how they stand
const APART = 250; // milliseconds between two pictures of a stream, at least
const STATES = {
  idle: "stopped", starting: "starting", running: "live", ended: "stopped", failed: "failed",
  dead: "starts again", mute: "no answer",
};

class Card {
  state = "starting";
  #picture = element("img", { alt: "", hidden: true });
  #pill = element("p", { className: "pill" });
  #name = element("h2");
  #detail = element("p", { className: "detail" });
  #figures = element("p", { className: "figure" });
  #why = element("p", { className: "why", hidden: true });
  #none = element("span", { textContent: "no picture" });

  constructor(name) {
    this.name = name;
    this.#name.textContent = name;
    const frame = element("div", { className: "frame" }, this.#none, this.#picture);
    const facts = element("div", { className: "facts" }, this.#name, this.#pill, this.#detail, this.#figures, this.#why);
    const link = element("a", { className: "stream", href: address(`streams/${name}/`) }, frame, facts);
    this.node = element("li", { id: `stream-${name}` }, link);
    this.#look();
  }

  show(told) {
    this.state = told.state;
    this.#pill.dataset.state = told.state;
    this.#pill.textContent = STATES[told.state];
    this.#detail.textContent = [told.style, told.source].join(" · ");
    this.#detail.title = told.source;
    const times = told.restarts === 1 ? "1 restart" : `${told.restarts} restarts`;
    this.#figures.textContent = told.fps === null ? times : `${told.fps.toFixed(1)} fps · ${times}`;
    const again = told.state === "dead" ? `, and is started again in ${Math.ceil(told.again_in)} s` : "";
    this.#why.textContent = `${told.why ?? ""}${again}`;
    this.#why.hidden = !told.why;
    if (told.state !== "running") this.#has(false);
  }

  #has(picture) {
    this.#picture.hidden = !picture;
    this.#none.hidden = picture;
  }

  // One picture after the other, as fast as they come.
  async #look() {
    if (this.state === "running" && !document.hidden) await this.#next();
    setTimeout(() => this.#look(), APART);
  }

  async #next() {
    try {
      const answer = await fetch(address(`streams/${this.name}/small.jpg`));
      if (!answer.ok) return;
      const before = this.#picture.src;
      this.#picture.src = URL.createObjectURL(await answer.blob());
      await this.#picture.decode();
      this.#has(true);
      URL.revokeObjectURL(before);
    } catch {
      this.#has(false); // the server, or the picture, is gone; the news say which
    }
  }
}

const cards = new Map();
let shown = "";

function show({ streams, events }) {
  for (const told of streams) {
    if (!cards.has(told.name)) {
      cards.set(told.name, new Card(told.name));
      $("streams").append(cards.get(told.name).node);
    }
    cards.get(told.name).show(told);
  }
  const running = streams.filter(told => told.state === "running").length;
  $("state").dataset.state = running === streams.length ? "running" : "failed";
  $("state").textContent = `${running} of ${streams.length} run`;
  const key = JSON.stringify(events.at(-1) ?? null);
  if (key === shown) return;
  shown = key;
  $("no-events").hidden = events.length > 0;
  $("events").replaceChildren(...events.toReversed().map(({ at, stream, sentence }) => element("li", {},
    element("time", { textContent: new Date(at * 1000).toLocaleTimeString() }),
    element("strong", { textContent: stream }),
    element("span", { textContent: sentence }))));
}

async function news() {
  try {
    show(await read("streams.json"));
  } catch {
    $("state").dataset.state = "failed";
    $("state").textContent = "no connection";
  }
  setTimeout(news, NEWS);
}
news();
