// The control room: everything put together.
import { Camera } from "./camera.js";
import { Charts } from "./charts.js";
import { address, ask, Connection, upload } from "./connection.js";
import { Controls } from "./controls.js";
import { $, named, press, pressed, toast, tried } from "./dom.js";
import { Events } from "./events.js";
import { listen } from "./keys.js";
import { Outputs } from "./outputs.js";
import { Stage } from "./stage.js";
import { Styles } from "./styles.js";

const SILENT = 2000; // milliseconds without a picture after which there is none
const EMPTY = {
  idle: ["Nothing plays yet", "Choose what is to be painted."],
  starting: ["Opening the source", "The first picture is on its way."],
  failed: ["The source cannot be played", ""],
  ended: ["The source has stopped", "Start it again under \u201cSource and outputs\u201d, or choose another one."],
  running: ["Waiting for a picture", "The source sends nothing just now."],
};

const camera = new Camera(), returned = $("returned");
const connection = new Connection(), stage = new Stage(), styles = new Styles();
const controls = new Controls(stage), outputs = new Outputs(), charts = new Charts(), events = new Events();
let allows = {}, here = false, state = "", recording = null, trained = "idle";

connection.onpicture = async (facts, parts, done) => {
  await stage.show(facts, parts);
  done();
};
connection.onstate = on => {
  here = on;
  document.body.classList.toggle("away", !on);
  if (on) {
    tried(() => styles.load());
    tried(() => outputs.offer());
  } else {
    $("state").dataset.state = "failed";
    $("state").textContent = "no connection";
  }
};
connection.onnews = news => {
  const { status } = news, { run } = status;
  allows = news.allows;
  state = status.state;
  outputs.show(status, allows);
  controls.show(status.settings);
  styles.style = status.settings.style;
  for (const [name, data] of news.thumbnails) styles.thumbnail(name, data);
  charts.figures(run);
  charts.scores(news.points);
  events.show(news.events);
  showRun(run);
  showEmpty(status);
  showTraining(news.training, allows.training);
};

function showRun(run) {
  $("figure-fps").textContent = run ? run.fps.toFixed(1) : "–";
  $("figure-age").textContent = run ? `${run.late.p50_ms.toFixed(0)} ms` : "–";
  $("figure-size").textContent = run ? run.size.join("×") : "–";
  $("figure-engine").textContent = run ? (run.opening ? "opening …" : run.engine.name) : "–";
  press($("pause"), run?.paused ?? false);
  recording = run?.recording ?? null;
  press($("record"), recording !== null);
  $("record-name").textContent = recording === null ? "Record" : "Stop";
  for (const id of ["pause", "record", "snapshot"]) $(id).disabled = !run;
  $("opening").hidden = !run?.opening;
  $("opening").textContent = stage.paints ? "Getting the new settings ready …" : "Unpainted until the engine is ready …";
}

function showEmpty(status) {
  const gone = performance.now() - stage.shownAt > SILENT;
  const [title, text] = EMPTY[status.state];
  $("empty").hidden = !gone;
  $("empty-title").textContent = title;
  $("empty-text").textContent = status.why ?? text;
  $("quick").hidden = status.state === "running" || status.state === "starting";
}

function showTraining(training, allowed) {
  $("drop").hidden = !allowed;
  if (!training) return;
  const runs = training.state === "running";
  $("training").hidden = !runs;
  if (runs) {
    const share = training.steps ? Math.round(100 * training.step / training.steps) : 0;
    $("training").value = share;
    $("drop-text").textContent = `Training ${training.name}: ${share} %`;
  } else {
    $("drop-text").textContent = "Drop a picture anywhere, or choose one, to train a style of it";
  }
  if (trained === "running" && training.state === "done") {
    toast(`The style ${training.name} is there.`);
    tried(() => styles.load());
  }
  if (trained === "running" && training.state === "failed") toast(training.why, true);
  trained = training.state;
}

function toggles(id, act) {
  $(id).addEventListener("click", () => {
    const on = !pressed($(id));
    press($(id), on);
    act(on);
    showReturned();
  });
}

// The camera's own connection brings the painting back; the wipe and the heat map are drawn on pictures.
function showReturned() {
  returned.hidden = !(camera.plays && !stage.comparing && !stage.heat);
  connection.wish({ wants: stage.wants });
}

camera.onchanged = showReturned;
outputs.onbrowser = async () => {
  if (!allows.webrtc) throw new Error("The camera of a browser needs aiortc where streamstyle runs: pip install 'streamstyle[webrtc]'");
  await camera.play(returned);
};

toggles("compare", on => stage.compare(on));
toggles("heat", on => { stage.heat = on; });
toggles("draw", on => {
  stage.drawing = on;
  $("stage").classList.toggle("drawing", on);
  if (on) toast("Draw a rectangle on the picture, or type it under Region.");
});
$("pause").addEventListener("click", () => tried(() => ask(pressed($("pause")) ? "resume" : "pause")));
$("snapshot").addEventListener("click", async () => {
  const answer = await tried(() => ask("snapshot"));
  if (answer) toast(`Snapshot: ${answer.file}`);
});
$("record").addEventListener("click", async () => {
  const answer = await tried(() => ask(recording === null ? "record" : "stop-recording"));
  if (answer) toast(recording === null ? `Recording to ${answer.file}` : `Recorded: ${answer.file}`);
});
$("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("stage").requestFullscreen();
});
$("preset").addEventListener("click", async () => {
  const name = await named("Save these settings as");
  const answer = name && await tried(() => ask("save-preset", { name }));
  if (answer) toast(`Preset: streamstyle run --config ${answer.file}`);
});

async function train(file) {
  if (!file) return;
  const proposal = file.name.replace(/\.\w+$/, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  const name = await named("Name the style", proposal.slice(0, 40));
  if (name && await tried(() => upload(file, name))) trained = "running";
}
$("upload").addEventListener("change", event => {
  train(event.target.files[0]);
  event.target.value = "";
});
const carries = event => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", event => {
  if (!carries(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", event => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", event => {
  document.body.classList.remove("dropping");
  if (!carries(event)) return;
  event.preventDefault();
  train(event.dataTransfer.files[0]);
});
document.addEventListener("visibilitychange", () => connection.wish({ wall: !document.hidden }));

// One of several streams: its name, and the way back to all of them.
const stream = location.pathname.match(/\/streams\/([^/]+)\/$/);
if (stream) {
  $("brand").textContent = stream[1];
  document.title = `${stream[1]} · streamstyle`;
  $("all-streams").href = address("../../");
  $("all-streams").hidden = false;
}

listen({ styles, controls });
connection.wish({ wall: true, wants: stage.wants });
connection.open();
setInterval(() => { if (here && performance.now() - stage.shownAt > SILENT && state) $("empty").hidden = false; }, 500);
