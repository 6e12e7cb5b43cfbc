"""`streamstyle bench zmq`: pictures to subscribers in other processes, against imagezmq in the same run."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from functools import partial
from itertools import cycle, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from streamstyle.cli.numbers import positive_int

if TYPE_CHECKING:
    from streamstyle.media.zmq_sink import ZmqSink
    from streamstyle.types import Frame

SIZE = (1920, 1080)
_WINDOW = 2  # pictures in transit: as many as the publisher keeps, so that none is dropped
_SUBSCRIBER_TIMEOUT = 20.0
_TRANSPORTS = ("tcp", "ipc", "shm")
_RIVALS = ("imagezmq tcp", "imagezmq ipc", "imagezmq tcp, request and reply")
_WORKS = ("everybody converts RGB to BGR", "nobody converts")
_PICTURES = 5

Publish: TypeAlias = "Callable[[], None]"
Subscriber: TypeAlias = "subprocess.Popen[bytes]"


def add_commands(actions: Any) -> None:
    """Declare `bench zmq`."""
    parser = actions.add_parser(
        "zmq",
        help="measure publishing over ZeroMQ, against imagezmq",
        description="Publishes 1080p pictures to one subscriber in another process over tcp, ipc and shared "
        "memory, and with imagezmq, in turn. Once everybody has an RGB frame and delivers BGR, so that all "
        "convert; once nobody converts. Then to a subscriber of one frame a second beside a fast one. The "
        "last line is one JSON document. Needs imagezmq (pip install imagezmq).",
    )
    parser.add_argument(
        "--frames", type=positive_int, default=200, metavar="N", help="frames of a round (default: 200)"
    )
    parser.add_argument(
        "--rounds", type=positive_int, default=5, metavar="N", help="number of rounds (default: 5)"
    )
    parser.add_argument(
        "--seconds",
        type=positive_int,
        default=10,
        metavar="S",
        help="seconds with a slow subscriber (default: 10)",
    )
    parser.set_defaults(command=bench_zmq)


def bench_zmq(arguments: argparse.Namespace) -> int:
    """Measure, print."""
    from streamstyle.engines.machine import facts

    _need_imagezmq()
    fps: dict[str, dict[str, list[float]]] = {work: {} for work in _WORKS}
    with TemporaryDirectory() as folder:
        contenders = {
            **{f"streamstyle {t}": partial(_ours, Path(folder), t) for t in _TRANSPORTS},
            **{name: partial(_rival, Path(folder), name) for name in _RIVALS},
        }
        for turn, (work, values) in product(range(arguments.rounds), fps.items()):
            for name, opened in contenders.items():
                with opened(convert=work == _WORKS[0]) as (publish, child):
                    values.setdefault(name, []).append(_throughput(publish, child, arguments.frames))
                told = f"round {turn + 1}, {work}: {name} {values[name][-1]:.0f} fps"
                print(told, file=sys.stderr, flush=True)
        slow = {t: _in_a_fresh_process(folder, t, arguments.seconds) for t in _TRANSPORTS}
    works = {work: _compared(values) for work, values in fps.items()}
    print(_table(works, slow))
    head = {"benchmark": "zmq", "size": list(SIZE), "frames": arguments.frames, "rounds": arguments.rounds}
    print(json.dumps({**head, "throughput": works, "slow_subscriber": slow, "machine": facts()}))
    return 0


def _compared(fps: dict[str, list[float]]) -> dict[str, Any]:
    """Median fps, those of each round, and the ratio of medians for each transport and rival."""
    medians = {name: round(statistics.median(values), 1) for name, values in fps.items()}
    ratios = {
        transport: {
            rival: round(medians[f"streamstyle {transport}"] / medians[rival], 2) for rival in _RIVALS
        }
        for transport in _TRANSPORTS
    }
    rounds = {name: [round(value, 1) for value in values] for name, values in fps.items()}
    return {"fps": medians, "ratios": ratios, "rounds": rounds}


def _need_imagezmq() -> None:
    from importlib.util import find_spec

    from streamstyle.errors import ConfigError

    if find_spec("imagezmq") is None:
        raise ConfigError("imagezmq is not installed: `pip install imagezmq`, then measure again.")


def _table(works: dict[str, Any], slow: dict[str, Any]) -> str:
    lines = []
    for work, found in works.items():
        lines.append(f"1080p to one subscriber, {work}: pictures a second, median of rounds")
        lines += [f"    {name:32} {value:6.0f}" for name, value in found["fps"].items()]
        for transport, against in found["ratios"].items():
            lines.append(
                f"    {transport}: " + ", ".join(f"{x:.2f}x {rival}" for rival, x in against.items())
            )
    for transport, found in slow.items():
        lines.append(
            f"{transport}, beside a subscriber at 1 fps: the fast one got {100 * found['fast_share']:.1f} %, "
            f"the publisher grew by {found['grown_frames']:.1f} frames to {found['held_frames']:.1f}"
        )
    return "\n".join(lines)


def _frames() -> list[Frame]:
    """Several, as in life: one picture again and again would stay in the processor's cache."""
    import numpy as np

    from streamstyle.types import Frame

    random, shape = np.random.default_rng(0), (SIZE[1], SIZE[0], 3)
    pictures = [random.integers(0, 256, shape, np.uint8) for _ in range(_PICTURES)]
    return [Frame(p, i, i, Fraction(1, 30), 1, time.monotonic()) for i, p in enumerate(pictures)]


@contextmanager
def _subscriber(role: str, address: str) -> Iterator[Subscriber]:
    child = subprocess.Popen(
        [sys.executable, "-m", "streamstyle.bench.zmq_child", role, address], stdout=subprocess.PIPE
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


@contextmanager
def _sink(folder: Path, transport: str, form: str = "bgr24") -> Iterator[tuple[ZmqSink, str]]:
    """A publisher and where it is found."""
    from streamstyle.media.zmq_sink import ZmqSink

    place = "127.0.0.1:0" if transport == "tcp" else str(folder / f"{transport}.sock")
    sink = ZmqSink(f"zmq+{transport}://{place}?format={form}")
    try:
        yield sink, f"zmq+{sink.endpoint}" if transport == "tcp" else f"zmq+{transport}://{place}"
    finally:
        sink.close(complete=False)


@contextmanager
def _ours(folder: Path, transport: str, *, convert: bool) -> Iterator[tuple[Publish, Subscriber]]:
    frames, form = cycle(_frames()), "bgr24" if convert else "rgb24"
    with _sink(folder, transport, form) as (sink, url), _subscriber("ours", url) as child:
        yield lambda: sink.write(next(frames)), child


@contextmanager
def _rival(folder: Path, name: str, *, convert: bool) -> Iterator[tuple[Publish, Subscriber]]:
    import cv2
    import imagezmq

    frames, replies = cycle(_frames()), name.endswith("reply")
    address = f"ipc://{folder / 'rival.sock'}" if " ipc" in name else f"tcp://127.0.0.1:{_free_port()}"

    def publish() -> None:
        pixels = next(frames).pixels
        sender.send_image("frame", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if convert else pixels)

    with _subscriber("imagezmq-reply" if replies else "imagezmq", address) as child:
        sender = imagezmq.ImageSender(connect_to=address, REQ_REP=replies)
        try:
            yield publish, child
        finally:
            sender.zmq_socket.close(0)
            sender.zmq_context.term()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _acknowledged(child: Subscriber, seconds: float) -> int:
    """The number of further pictures that the subscriber got; waits this long for the first."""
    import os
    import select

    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], seconds)
    return len(os.read(child.stdout.fileno(), 65536)) if ready else 0


def _meet(publish: Publish, child: Subscriber) -> None:
    """Publish until the subscriber has its first picture, and then all that are on their way."""
    deadline = time.monotonic() + _SUBSCRIBER_TIMEOUT
    publish()
    while not _acknowledged(child, 0.1):
        _insist(deadline)
        publish()
    while _acknowledged(child, 0.3):
        _insist(deadline)


def _insist(deadline: float) -> None:
    from streamstyle.errors import SinkError

    if time.monotonic() > deadline:
        raise SinkError(
            f"a subscriber got nothing for {_SUBSCRIBER_TIMEOUT:g} s: measure again on an idle machine."
        )


def _throughput(publish: Publish, child: Subscriber, frames: int) -> float:
    """Pictures a second, with at most a window of them in transit; dropped ones do not count."""
    _meet(publish, child)
    started = time.perf_counter()
    sent = received = 0
    while received < frames:
        if sent < frames and sent - received < _WINDOW:
            publish()
            sent += 1
            continue
        got = _acknowledged(child, _SUBSCRIBER_TIMEOUT)
        received += got
        if not got:
            _insist(0.0)
    return frames / (time.perf_counter() - started)


def _in_a_fresh_process(folder: str, transport: str, seconds: int) -> dict[str, float]:
    """`_beside_a_slow_one` in a new process, without memory of earlier measurements."""
    command = [
        sys.executable,
        "-m",
        "streamstyle.cli.bench_zmq",
        folder,
        transport,
        str(seconds),
        *map(str, SIZE),
    ]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def _beside_a_slow_one(folder: Path, transport: str, seconds: int) -> dict[str, float]:
    """Publish 30 pictures a second to a fast subscriber and to one of a picture a second. Return by how many
    pictures the publisher's memory grows with the slow one (held: since there was no subscriber), and the
    share that the fast one gets."""
    from streamstyle.engines.machine import resident_memory

    frame, rate = _frames()[0], 30
    with ExitStack() as stack:
        sink, url = stack.enter_context(_sink(folder, transport))
        nobody = resident_memory()
        fast = stack.enter_context(_subscriber("ours", url))
        _meet(lambda: sink.write(frame), fast)

        def play(count: int) -> tuple[int, float]:
            got, most, due = 0, 0.0, time.monotonic()
            for _ in range(count):
                sink.write(frame)
                due += 1 / rate
                with suppress(ValueError):
                    time.sleep(due - time.monotonic())
                got += _acknowledged(fast, 0)
                most = max(most, resident_memory())
            return got, most

        _, before = play(rate)
        _acknowledged(fast, 1)
        with _subscriber("slow", url) as slow:
            _meet_slowly(sink, frame, slow)
            while _acknowledged(fast, 0.3):
                pass
            published = seconds * rate
            got, most = play(published)
            while more := _acknowledged(fast, 1):
                got += more
    return {
        "published": published,
        "fast_share": round(got / published, 4),
        "grown_frames": round((most - before) / frame.pixels.nbytes, 2),
        "held_frames": round((most - nobody) / frame.pixels.nbytes, 2),
    }


def _meet_slowly(sink: ZmqSink, frame: Frame, slow: Subscriber) -> None:
    deadline = time.monotonic() + _SUBSCRIBER_TIMEOUT
    while not _acknowledged(slow, 0.1):
        _insist(deadline)
        sink.write(frame)


if __name__ == "__main__":
    SIZE = (int(sys.argv[4]), int(sys.argv[5]))
    print(json.dumps(_beside_a_slow_one(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
