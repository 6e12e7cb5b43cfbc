// The way to the server: one WebSocket for pictures and news, and the JSON API for requests.

const CREDIT = 2; // pictures that may be on their way
const AGAIN = 1000; // milliseconds until a lost connection is tried again

const token = new URLSearchParams(location.search).get("token") ?? "";

export function address(path) {
  return `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(token)}`;
}

export class Connection {
  onpicture = (_facts, _parts, done) => done();
  onnews = () => {};
  onstate = () => {};
  #socket = null;
  #wish = {};
  #decoder = new TextDecoder();

  open() {
    const url = new URL(address("live"), location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = this.#socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.onstate(true);
      socket.send(JSON.stringify({ credit: CREDIT, ...this.#wish }));
    };
    socket.onmessage = message => this.#hear(socket, message.data);
    socket.onclose = () => {
      this.onstate(false);
      setTimeout(() => this.open(), AGAIN);
    };
  }

  // Say what is wanted from now on, over every connection.
  wish(values) {
    this.#wish = { ...this.#wish, ...values };
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(values));
  }

  #hear(socket, data) {
    if (typeof data === "string") {
      this.onnews(JSON.parse(data));
      return;
    }
    const length = new DataView(data).getUint32(0);
    const facts = JSON.parse(this.#decoder.decode(new Uint8Array(data, 4, length)));
    const parts = {};
    let at = 4 + length;
    for (const [name, size] of facts.parts) {
      parts[name] = new Blob([new Uint8Array(data, at, size)], { type: "image/jpeg" });
      at += size;
    }
    this.onpicture(facts, parts, () => {
      if (socket.readyState === WebSocket.OPEN) socket.send('{"credit":1}');
    });
  }
}

const headers = { Authorization: `Bearer ${token}` };

// Ask for a verb; the answer, or an Error with the server's sentence.
export async function ask(verb, values = {}) {
  const body = JSON.stringify(values);
  const answer = await fetch(`api/${verb}`, {
    method: "POST", body, headers: { ...headers, "Content-Type": "application/json" },
  });
  return understood(answer);
}

export async function read(path) {
  const answer = await fetch(path, { headers });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

export async function upload(file, name) {
  const answer = await fetch(`api/train?name=${encodeURIComponent(name)}`, {
    method: "POST", body: file, headers: { ...headers, "Content-Type": file.type },
  });
  return understood(answer);
}

async function understood(answer) {
  const kind = answer.headers.get("Content-Type") ?? "";
  if (!kind.startsWith("application/json")) throw new Error((await answer.text()).trim() || answer.statusText);
  const values = await answer.json();
  if (!values.ok) throw new Error(values.error);
  return values;
}
