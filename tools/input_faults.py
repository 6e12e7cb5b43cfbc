"""Kill, freeze and cut off real RTSP and RTMP servers that a live run reads; print the measurements as JSON.

python3 tools/input_faults.py [CYCLES]    for each server, 18 by default: every fault for 1, 5 and 30 s, twice

GStreamer's RTSP server and nginx's RTMP module are the source of a run into a ZeroMQ socket and a file. In
each cycle the server is killed and started again, frozen (SIGSTOP), or cut off: a TCP relay between the two
forwards nothing. A subscriber in another process measures the gaps, steps back of time stamps, and the time
until the first picture that was captured after the server's return. tools/live_peers.py installs the servers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice, pairwise, product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environment
from left_over import held
from subscriber import Subscriber, longest_gap, missed, went_back

SECONDS = (1, 5, 30)
FAULTS = ("kill", "freeze", "cut")
RATE = 25
SIZE = "320x192"
RETURN_TIMEOUT = 60.0
AFTER_RETURN_SECONDS = 2.0
"""Seconds after a return that still count to its cycle."""


@dataclass(frozen=True)
class RelayedServer:
    """A server behind a relay. url: through the relay. back: after a start, returns once it serves again.
    tend: call it often; it restarts clients that the server's fault has ended."""

    server: Any
    relay: Any
    url: str
    back: Callable[[], None] = lambda: None
    tend: Callable[[], None] = lambda: None

    def take_away(self, fault: str) -> None:
        """Begin a fault."""
        {"kill": self.server.kill, "freeze": self.server.freeze, "cut": self.relay.freeze}[fault]()

    def bring_back(self, fault: str) -> None:
        """End it; returns when the server serves."""
        {"kill": self.server.start, "freeze": self.server.thaw, "cut": self.relay.thaw}[fault]()
        if fault == "kill":
            self.back()


@contextmanager
def rtsp(folder: Path) -> Iterator[RelayedServer]:
    """GStreamer's server; it makes the picture itself."""
    from peers import rtsp_server, tcp_relay

    with rtsp_server(folder, SIZE, RATE) as server, tcp_relay(_port(server.url), folder) as relay:
        yield RelayedServer(server, relay, f"rtsp://{relay.url}/play")


@contextmanager
def rtmp(folder: Path) -> Iterator[RelayedServer]:
    """nginx, and `ffmpeg` that publishes to it."""
    from peers import ffmpeg, nginx_rtmp, tcp_relay, wait_for

    inputs = ["-re", "-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate={RATE}"]
    inputs += ["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]
    codecs += ["-g", str(RATE // 2), "-c:a", "aac"]
    with nginx_rtmp(folder) as server:
        target = ["-f", "flv", f"{server.url}/film"]
        with ffmpeg([*inputs, *codecs, *target], folder) as publisher:

            def published() -> int:
                return server.log().count("publish: name='film'")

            def tend() -> None:
                if publisher.process is None or publisher.process.poll() is not None:
                    publisher.kill()
                    publisher.start()

            def back() -> None:
                before = published()
                publisher.kill()
                tend()
                wait_for(lambda: published() > before, "the publisher")

            wait_for(lambda: published() > 0, "the publisher")
            with tcp_relay(_port(server.url), folder) as relay:
                yield RelayedServer(server, relay, f"rtmp://{relay.url}/live/film", back, tend)


def _port(url: str) -> int:
    return urlsplit(url).port or 0


SERVERS = {"rtsp": rtsp, "rtmp": rtmp}


def main() -> int:
    """Run the cycles."""
    environment.enter(extra="dev")
    sys.path.insert(0, str(environment.ROOT / "tests"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    every_fault_twice = 2 * len(SECONDS) * len(FAULTS)
    parser.add_argument("cycles", nargs="?", type=int, default=every_fault_twice, metavar="CYCLES")
    cycles: int = parser.parse_args().cycles
    results = {}
    with tempfile.TemporaryDirectory() as name:
        for kind, serving in SERVERS.items():
            folder = Path(name) / kind
            folder.mkdir()
            with serving(folder) as served:
                read(served, folder / "first", 0)  # what libraries keep for good is no leak
                before = held()
                results[kind] = read(served, folder / "then", cycles)
                results[kind]["leaked"] = held().since(before)
    print(json.dumps({"rate": RATE, "size": SIZE, "goals": {"gap_frame_times": 3, "back_s": 5}, **results}))
    return 0


def read(served: RelayedServer, folder: Path, cycles: int) -> dict[str, Any]:
    """A run that reads the server, through all its faults."""
    from peers import wait_for

    from streamstyle.live import Session

    folder.mkdir()
    address = f"zmq+ipc://{folder}/frames"
    with Session(served.url, [address, str(folder / "out.mkv")], notify=_notify) as session:
        with Subscriber(address, folder / "came") as subscriber:
            wait_for(lambda: len(subscriber.look()) > RATE and bool(subscriber.came[-1].style), "frames", 300)
            began = len(subscriber.came)
            faults = islice(cycle(product(SECONDS, FAULTS)), cycles)
            rows = [_cycle(served, subscriber, fault, seconds) for seconds, fault in faults]
        summary = session.stop()
    came = subscriber.came[began - 1 :]
    backs = [row["back_s"] for row in rows if row["back_s"] is not None]
    return {
        "cycles": len(rows),
        "longest_gap_frame_times": round(longest_gap(came) * RATE, 2),
        "stamps_went_back": went_back(came),
        "stamps_ahead_s": round(came[-1].time - came[0].time - came[-1].at + came[0].at, 2),
        "back_s": {"median": round(statistics.median(backs), 2), "most": max(backs)} if backs else None,
        "never_back": len(rows) - len(backs),
        "missed_by_subscriber": missed(came),
        "file": _film(folder / "out.mkv"),
        "reconnects": summary.source_report.counters.get("reconnects"),
        "drops": dict(zip(("capture", "zmq", "file"), summary.drops.values(), strict=True)),
        "stand_ins": None if summary.live is None else summary.live["stand_ins"],
        "by_cycle": rows,
    }


def _cycle(served: RelayedServer, subscriber: Subscriber, fault: str, seconds: int) -> dict[str, Any]:
    begun = len(subscriber.look())
    served.take_away(fault)
    time.sleep(seconds)
    served.bring_back(fault)
    returned = time.monotonic()
    back = None
    while back is None and time.monotonic() < returned + RETURN_TIMEOUT:
        served.tend()
        time.sleep(0.05)
        back = next((c.at for c in subscriber.look()[begun:] if c.captured > returned), None)
    until = time.monotonic() + AFTER_RETURN_SECONDS
    while time.monotonic() < until:
        served.tend()
        time.sleep(0.05)
    seen = subscriber.look()[begun - 1 :]
    gap, at = max((b.at - a.at, a.at) for a, b in pairwise(seen))
    row = {
        "fault": fault,
        "seconds": seconds,
        "gap_frame_times": round(gap * RATE, 2),
        "gap_after_return_s": round(at - returned, 2),
        "back_s": None if back is None else round(back - returned, 2),
    }
    _notify(json.dumps(row))
    return row


def _film(path: Path) -> dict[str, Any]:
    """Frames of the file, how often its stamps fell back, and the longest step between them."""
    import av

    with av.open(str(path)) as film:
        # One without a stamp stands out at 0.
        times = [frame.time or 0.0 for frame in film.decode(video=0)]
    steps = [b - a for a, b in pairwise(times)]
    return {
        "frames": len(times),
        "stamps_went_back": sum(step <= 0 for step in steps),
        "longest_step_frame_times": round(max(steps, default=0.0) * RATE, 2),
    }


def _notify(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
