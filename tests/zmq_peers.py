"""Subscribers and publishers in processes of their own: real imagezmq and vidgear, and our client.

    python zmq_peers.py ROLE ARGUMENT...

A subscriber writes one JSON line per picture; a publisher sends one picture again and again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np


def picture(index: int, height: int = 36, width: int = 64) -> np.ndarray:
    """Red on the left, blue on the right (RGB); the first pixel tells the index."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 200
    pixels[:, width // 2 :, 2] = 200
    pixels[0, 0] = index % 256
    return pixels


@contextmanager
def peer(role: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A child with this role, ended at the end."""
    child = subprocess.Popen(
        [sys.executable, __file__, role, *arguments], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def told(child: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line that a subscriber writes."""
    stream: IO[str] | None = child.stdout
    assert stream is not None
    line = stream.readline()
    assert line, "the peer ended"
    answer: dict[str, Any] = json.loads(line)
    return answer


def _tell(name: object, image: np.ndarray) -> None:
    left, right = image[20, 4], image[20, -4]
    line = {
        "name": name,
        "shape": image.shape,
        "left": np.ravel(left).tolist(),
        "right": np.ravel(right).tolist(),
    }
    print(json.dumps(line), flush=True)


def imagezmq_hub(address: str) -> None:
    import imagezmq

    hub = imagezmq.ImageHub(open_port=address, REQ_REP=False)
    while True:
        _tell(*hub.recv_image())


def imagezmq_jpeg_hub(address: str) -> None:
    import cv2
    import imagezmq

    hub = imagezmq.ImageHub(open_port=address, REQ_REP=False)
    while True:
        name, data = hub.recv_jpg()
        _tell(name, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def netgear_client(port: str) -> None:
    from vidgear.gears.netgear import NetGear

    client = NetGear(address="127.0.0.1", port=port, protocol="tcp", pattern=2, receive_mode=True)
    while (image := client.recv()) is not None:
        _tell("", image)
    print(json.dumps({"name": "end"}), flush=True)


def imagezmq_sender(address: str, form: str) -> None:
    import cv2
    import imagezmq

    sender = imagezmq.ImageSender(connect_to=address, REQ_REP=False)
    image = np.ascontiguousarray(picture(7)[..., ::-1])
    while True:
        if form == "jpeg":
            sender.send_jpg("cam", cv2.imencode(".jpg", image)[1].tobytes())
        else:
            sender.send_image("cam", image[..., 0].copy() if form == "gray" else image)
        time.sleep(0.02)


def netgear_server(port: str, compress: str) -> None:
    from vidgear.gears.netgear import NetGear

    server = NetGear(
        address="127.0.0.1", port=port, protocol="tcp", pattern=2, jpeg_compression=compress == "jpeg"
    )
    image = np.ascontiguousarray(picture(7)[..., ::-1])
    while True:
        server.send(image)
        time.sleep(0.02)


def client(url: str) -> None:
    from streamstyle.client import Received, subscribe

    for frame in subscribe(url):
        assert isinstance(frame, Received)
        _tell(frame.header.seq, frame.bgr)
    print(json.dumps({"name": "end"}), flush=True)


def flood(url: str) -> None:
    """Publishes pictures of one colour each, without a pause: 0, 1, 2 ... 255, 0 ..."""
    from fractions import Fraction

    from streamstyle.media.zmq_sink import ZmqSink
    from streamstyle.types import Frame

    sink, index = ZmqSink(url), 0
    print(json.dumps({"name": "open"}), flush=True)
    while True:
        pixels = np.full((360, 640, 3), index % 256, np.uint8)
        sink.write(Frame(pixels, index, index, Fraction(1, 30), 1, time.monotonic()))
        index += 1


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
