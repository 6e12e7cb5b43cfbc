"""The child process of a network output: `python -m streamstyle.media.net.relay`.

Reads an order and packets from stdin, sends the packets on, and reports on stdout (JSON lines) that it is
open or what failed. FFmpeg holds the GIL while it opens, writes to and closes an output, and its time-outs do
nothing for outputs, so nothing in Python could end a call that a silent peer blocks: the kernel does, by
SIGALRM.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import av
import msgspec
from av.container import OutputContainer
from av.packet import Packet

from streamstyle.children import killed_with_parent
from streamstyle.media.container import UNWRITABLE, reason
from streamstyle.media.net.parcel import TS_PACKETS, Parcel, RelayOrder, read_parcels, read_start
from streamstyle.urls import without_secrets

OPEN, FAILED = "open", "failed"
_KERNEL_QUEUE = 128 * 1024


def main() -> int:
    """Relay until stdin ends."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the pipe
    order, sample = read_start(sys.stdin.buffer)
    if not order.timeout:
        _watch_parent()
    try:
        relay(order, sample, read_parcels(sys.stdin.buffer))
    except (*UNWRITABLE, subprocess.SubprocessError) as error:
        _send_message(FAILED, without_secrets(reason(error), order.url))
        return 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def relay(order: RelayOrder, sample: bytes, parcels: Iterator[Parcel]) -> None:
    """Send what arrives. PyAV's errors pass through unchanged."""

    def alarm(seconds: float) -> None:
        """Let the kernel end this process unless the next call comes within `seconds`; 0 cancels it."""
        if order.timeout:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    alarm(order.timeout)
    with ExitStack() as stack:
        options = {"analyzeduration": "0"}
        templates = stack.enter_context(av.open(io.BytesIO(sample), format="nut", options=options))
        with _output(order) as output:
            streams, bases = {}, {}
            for number in order.streams:
                template = templates.streams[number]
                streams[number] = output.add_stream_from_template(template)
                bases[number] = template.time_base
            output.start_encoding()
            _shorten_queues()
            _send_message(OPEN, "")
            alarm(0)
            for parcel in parcels:
                if parcel.stream in streams:
                    alarm(order.timeout)
                    output.mux(_packet(parcel, streams[parcel.stream], bases[parcel.stream]))
                    alarm(0)
            alarm(order.timeout)  # for closing
    alarm(0)


def _shorten_queues() -> None:
    """Shorten the kernel's queues: data that a hanging peer has not taken is old when it returns.

    FFmpeg's option for that is not passed on by PyAV, so its sockets are searched for.
    """
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):  # most are not sockets
            found = socket.socket(fileno=descriptor)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_QUEUE)
            found.detach()


def _watch_parent() -> None:
    """Check every second whether the parent lives, for orders without a timeout, where nothing else ends a
    wait for the peer.

    Linux could report it, but does so when the *thread* that started this process ends.
    """
    parent = os.getppid()

    def look(_number: int, _frame: object) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)


@contextmanager
def _output(order: RelayOrder) -> Iterator[OutputContainer]:
    if not order.program:
        with av.open(order.url, "w", format=order.muxer, options=dict(order.options)) as output:
            yield output
        return
    with _program(order) as process:
        assert process.stdin is not None
        try:
            with av.open(process.stdin, "w", format=order.muxer, options=dict(order.options)) as output:
                yield output
            process.stdin.close()
        except UNWRITABLE as error:
            raise OSError(_last_error_line(process) or reason(error)) from error
        if process.wait():
            raise OSError(_last_error_line(process))


def _last_error_line(process: subprocess.Popen[bytes]) -> str:
    """Last line of a program's error output."""
    assert process.stderr is not None
    told = process.stderr.read().decode(errors="replace").strip().splitlines()
    return told[-1] if told else f"the program for it ended with {process.wait()}"


@contextmanager
def _program(order: RelayOrder) -> Iterator[subprocess.Popen[bytes]]:
    """`ffmpeg` as a transport of bytes, without probing or buffering. Secrets are passed in a preset file."""
    url, secrets = split_secrets(order.url)
    reading, writing = os.pipe()
    os.write(writing, secrets.encode())
    os.close(writing)
    quiet = ["-hide_banner", "-loglevel", "error", "-nostats"]
    carry = ["-f", "data", "-raw_packet_size", str(TS_PACKETS), "-i", "pipe:0", "-map", "0", "-c", "copy"]
    process = subprocess.Popen(
        killed_with_parent([order.program, *quiet, *carry, "-f", "data", "-fpre", f"/dev/fd/{reading}", url]),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=[reading],
    )
    os.close(reading)
    with process:
        try:
            yield process
        finally:
            process.kill()


def split_secrets(url: str) -> tuple[str, str]:
    """An SRT address without passphrase and stream id, and lines of an FFmpeg preset that hold them."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query)
    lines = [f"{name}={unquote(value)}\n" for name, value in pairs if name in {"passphrase", "streamid"}]
    rest = [(name, value) for name, value in pairs if name not in {"passphrase", "streamid"}]
    return parts._replace(query=urlencode(rest)).geturl(), "".join(lines)


def _packet(parcel: Parcel, stream: Any, time_base: Fraction | None) -> Packet[Any]:
    packet: Packet[Any] = Packet(parcel.data)
    packet.pts = packet.dts = parcel.pts
    packet.duration = parcel.duration
    if time_base is not None:
        packet.time_base = time_base
    packet.is_keyframe = parcel.key
    packet.stream = stream
    return packet


def _send_message(what: str, text: str) -> None:
    sys.stdout.buffer.write(msgspec.json.encode({what: text}) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
