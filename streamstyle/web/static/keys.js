// Everything by keyboard.
import { $, element } from "./dom.js";

const SHOWN = [
  ["← →", "style before, style after"], ["1 … 9", "a style by its place"], ["M", "mix the next style in"],
  ["[ ]", "less, more strength"], ["B", "before and after"], ["H", "heat map"], ["G", "draw a region"],
  ["space", "hold the picture"], ["S", "snapshot"], ["R", "record"], ["F", "full screen"], ["?", "this list"],
];

export function listen({ styles, controls }) {
  $("key-list").append(...SHOWN.map(([key, told]) =>
    element("div", {}, element("dt", {}, ...key.split(" ").map(word => element("kbd", { textContent: word }))), element("dd", { textContent: told }))));
  $("help").addEventListener("click", () => $("keys").showModal());
  const clicks = { m: "mix-mode", b: "compare", h: "heat", g: "draw", s: "snapshot", r: "record", f: "full", "?": "help" };
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const at = event.target, typing = at.matches("input:not([type=checkbox]), select, textarea");
    if (typing) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in clicks) $(clicks[key]).click();
    else if (key === " " && !at.matches("button, a, input, label")) $("pause").click();
    else if (key === "ArrowRight") styles.step(1);
    else if (key === "ArrowLeft") styles.step(-1);
    else if (key === "[" || key === "]") controls.nudge("strength", key === "[" ? -5 : 5);
    else if (/^[1-9]$/.test(key)) styles.nth(Number(key) - 1);
    else return;
    event.preventDefault();
  });
}
