// What was found, as it happens: newest first, each with a picture and a sentence.
import { $, element } from "./dom.js";

const MOST = 60;

export class Events {
  #list = $("events");
  #rows = new Map();
  #count = 0;

  show(events) {
    for (const event of events) {
      const known = this.#rows.get(event.number);
      if (known) {
        known.times.textContent = times(event);
        continue;
      }
      const span = element("span", { className: "times", textContent: times(event) });
      const row = element("li", {},
        element("img", { alt: "", src: `data:image/jpeg;base64,${event.thumbnail}` }),
        element("div", {},
          element("p", { className: "kinds-line" }, ...event.kinds.map(kind => element("span", { className: "chip", textContent: kind })), span),
          element("p", { className: "sentence", textContent: event.sentence })));
      this.#rows.set(event.number, { row, times: span });
      this.#list.prepend(row);
      this.#count = Math.max(this.#count, event.number);
    }
    while (this.#list.children.length > MOST) this.#list.lastElementChild.remove();
    $("no-events").hidden = this.#count > 0;
    $("event-count").textContent = this.#count ? `${this.#count} in all` : "";
  }
}

// What was found in a frame, and what was done.
export function found({ kinds, action }) {
  return `${kinds.join(", ")}: ${action === "none" ? "left as it is" : action}`;
}

function times({ first, frames }) {
  const minutes = Math.floor(first / 60), seconds = (first % 60).toFixed(1).padStart(4, "0");
  return `${minutes}:${seconds}${frames > 1 ? ` · ${frames} frames` : ""}`;
}
