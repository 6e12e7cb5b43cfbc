// The camera of this browser: sent to the server, and the painting back on the same connection.
import { ask } from "./connection.js";

const WANTED = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 30 } };

export class Camera {
  onchanged = () => {};
  #peer = null;
  #media = null;

  get plays() {
    return this.#peer !== null;
  }

  // Returns once the server has answered; the painting plays in `video`.
  async play(video) {
    this.close();
    if (!navigator.mediaDevices) throw new Error("The browser gives its camera to pages of this machine or with TLS alone.");
    const media = this.#media = await navigator.mediaDevices.getUserMedia({ video: WANTED, audio: false });
    const peer = this.#peer = new RTCPeerConnection();
    for (const track of media.getTracks()) peer.addTrack(track, media);
    peer.ontrack = event => {
      video.srcObject = new MediaStream([event.track]);
    };
    peer.onconnectionstatechange = () => {
      if (["failed", "closed", "disconnected"].includes(peer.connectionState)) this.close();
    };
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const { sdp } = await ask("webrtc", { sdp: peer.localDescription.sdp });
    await peer.setRemoteDescription({ type: "answer", sdp });
    this.onchanged();
  }

  close() {
    if (!this.#peer) return;
    this.#peer.onconnectionstatechange = null;
    this.#peer.close();
    for (const track of this.#media.getTracks()) track.stop();
    this.#peer = this.#media = null;
    this.onchanged();
  }
}

function gathered(peer) {
  return new Promise(resolve => {
    const look = () => { if (peer.iceGatheringState === "complete") resolve(); };
    peer.addEventListener("icegatheringstatechange", look);
    setTimeout(resolve, 2000);
    look();
  });
}
