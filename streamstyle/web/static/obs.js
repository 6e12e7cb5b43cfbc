// The bare picture for OBS: nothing while nothing plays, and back by itself after a restart.
import { Connection } from "./connection.js";

const SILENT = 3000; // milliseconds without a picture after which there is none
const canvas = document.querySelector("canvas");
const context = canvas.getContext("2d");
let last = -Infinity;

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
  done();
};
setInterval(() => { if (performance.now() - last > SILENT) canvas.className = "gone"; }, 250);
canvas.className = "gone";
connection.open();
