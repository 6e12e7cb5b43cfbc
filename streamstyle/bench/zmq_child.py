"""A subscriber of `bench zmq` in its own process: writes one byte for each picture that it receives.

`python -m streamstyle.bench.zmq_child ours|slow|imagezmq|imagezmq-reply ADDRESS`
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from streamstyle.client import Received, subscribe


def _ours(address: str) -> Iterator[NDArray[np.uint8]]:
    for frame in subscribe(f"{address}?timeout=60", latest=False):
        assert isinstance(frame, Received)
        yield frame.bgr


def _slow(address: str) -> Iterator[NDArray[np.uint8]]:
    for frame in subscribe(f"{address}?timeout=60"):
        assert isinstance(frame, Received)
        yield frame.bgr
        time.sleep(1)


def _imagezmq(address: str) -> Iterator[NDArray[np.uint8]]:
    import imagezmq

    hub = imagezmq.ImageHub(open_port=address, REQ_REP=False)
    while True:
        yield hub.recv_image()[1]


def _imagezmq_reply(address: str) -> Iterator[NDArray[np.uint8]]:
    import imagezmq

    hub = imagezmq.ImageHub(open_port=address)
    while True:
        image = hub.recv_image()[1]
        hub.send_reply()
        yield image


_ROLES: dict[str, Callable[[str], Iterator[NDArray[np.uint8]]]] = {
    "ours": _ours,
    "slow": _slow,
    "imagezmq": _imagezmq,
    "imagezmq-reply": _imagezmq_reply,
}


def main(role: str, address: str) -> None:
    """Receive until killed."""
    for picture in _ROLES[role](address):
        os.write(1, b"." if picture.size else b"")


if __name__ == "__main__":
    main(*sys.argv[1:])
