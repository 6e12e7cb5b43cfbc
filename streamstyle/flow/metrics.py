"""A run's figures for Prometheus, at http://127.0.0.1:PORT/metrics.

The text format is that of https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

from streamstyle.errors import ConfigError
from streamstyle.flow.run import FlowStatus

PREFIX = "streamstyle_"
LIMITS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
"""Upper limits of the buckets of ages, in seconds."""

_Series = Iterable[tuple[Mapping[str, str], float]]


def metrics_text(status: FlowStatus, *, degradations: int = 0, flagged: int = 0) -> str:
    """All figures of a run. degradations: how many steps are taken to keep the latency. flagged: frames."""
    plain: list[tuple[str, str, str, float]] = [
        ("frames_captured_total", "counter", "Frames that the source gave.", status.captured),
        ("frames_painted_total", "counter", "Frames that were painted.", status.left),
        ("frames_flagged_total", "counter", "Frames in which an anomaly was found.", flagged),
        ("stand_ins_total", "counter", "Frames that left because none came.", status.fillers),
        ("slates_total", "counter", "Stand-ins that were a slate.", status.slates),
        ("frames_per_second", "gauge", "Painted frames, of late.", status.fps),
        ("silent", "gauge", "1 while stand-ins replace the source.", status.stalled),
        ("reliefs", "gauge", "How many things give way to keep the latency.", degradations),
    ]
    lines = [line for name, kind, told, value in plain for line in _series(name, kind, told, [({}, value)])]
    lines += _series("frames_dropped_total", "counter", "Frames dropped, by place.", _placed(status.drops))
    lines += _series("queue_depth", "gauge", "Frames that wait, by place.", _placed(status.depths))
    ages = [
        ({"sink": sink, "quantile": f"{share:g}"}, each.recent(share))
        for sink, each in status.ages.items()
        for share in (0.5, 0.95, 0.99)
    ]
    lines += _series("frame_age_recent_seconds", "gauge", "Age of frames at a sink, of late.", ages)
    lines += _histograms(status)
    return "\n".join(lines) + "\n"


def _placed(values: Mapping[str, int]) -> _Series:
    return [({"at": place}, value) for place, value in values.items()]


def _histograms(status: FlowStatus) -> Iterator[str]:
    name = f"{PREFIX}frame_age_seconds"
    yield f"# HELP {name} Age of frames when a sink had taken them."
    yield f"# TYPE {name} histogram"
    for sink, ages in status.ages.items():
        count, total = ages.all.count, ages.all.total
        for limit in LIMITS:
            yield _line(
                f"{name}_bucket", {"sink": sink, "le": f"{limit:g}"}, min(ages.all.below(limit), count)
            )
        yield _line(f"{name}_bucket", {"sink": sink, "le": "+Inf"}, count)
        yield _line(f"{name}_sum", {"sink": sink}, total)
        yield _line(f"{name}_count", {"sink": sink}, count)


def _series(name: str, kind: str, told: str, values: _Series) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {told}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for labels, value in values:
        yield _line(f"{PREFIX}{name}", labels, value)


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {float(value)!r}" if inner else f"{name} {float(value)!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of `127.0.0.1:9100`, `[::1]:9100` or `localhost:9100`; port 0 takes a free one.

    Raises ConfigError for what cannot be read and for what other machines could reach.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or int(port) > 65535 or not host:
        raise ConfigError(f"the address '{text}' cannot be read: write 127.0.0.1:9100")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(f"metrics at {host} could be read by anyone: choose 127.0.0.1:{port}")
    return "127.0.0.1" if host == "localhost" else host, int(port)


class MetricsServer:
    """Serves what `text` gives, inside its `with` block. Raises ConfigError where the address is taken."""

    def __init__(self, address: tuple[str, int], text: Callable[[], str]) -> None:
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        class Answer(BaseHTTPRequestHandler):
            timeout = 5.0  # a mute client must not keep its thread

            def do_GET(self) -> None:
                known = self.path.partition("?")[0] == "/metrics"
                body = (text() if known else "the figures are at /metrics\n").encode()
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            block_on_close = False

        try:
            self._server = Server(address, Answer)
        except OSError as error:
            where = f"{address[0]}:{address[1]}"
            raise ConfigError(f"metrics cannot be served at {where}: {error.strerror}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
