// The picture alone. At /obs, and at #bare, without the line of figures: nothing while nothing plays, and back by
// itself after a restart.
import { Connection } from "./connection.js";
import { found } from "./events.js";

const SILENT = 3000; // milliseconds without a picture after which there is none
const canvas = document.querySelector("canvas"), line = document.querySelector("p");
const context = canvas.getContext("2d");
let last = -Infinity;

document.body.classList.toggle("bare", location.pathname.endsWith("/obs") || location.hash === "#bare");

const say = (text, flagged = false) => {
  line.textContent = text;
  line.className = flagged ? "flagged" : "";
};

const connection = new Connection();
connection.onpicture = async (facts, parts, done) => {
  const picture = await createImageBitmap(parts.painted);
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  context.drawImage(picture, 0, 0);
  picture.close();
  last = performance.now();
  canvas.className = "";
  const told = [`${facts.fps.toFixed(1)} fps`, `${Math.round(facts.age_ms)} ms old`, `${canvas.width}x${canvas.height}`];
  if (facts.style) told.push(facts.style);
  if (facts.stand_in) told.push("the source is silent");
  if (facts.kinds.length) told.push(found(facts));
  say(told.join(" · "), facts.kinds.length > 0);
  done();
};
connection.onstate = on => { if (!on) say("no connection"); };
setInterval(() => {
  if (performance.now() - last <= SILENT || canvas.className === "gone") return;
  canvas.className = "gone";
  say("no frame comes");
}, 250);
connection.open();
