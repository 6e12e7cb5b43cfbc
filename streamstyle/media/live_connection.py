"""One connection to a live input: it is opened, read within time limits, and says why it ended."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet

from streamstyle.errors import SourceError
from streamstyle.media.live_error import live_error
from streamstyle.media.live_url import QUICK, LiveInput, LiveLimits
from streamstyle.media.piped import ChildPipe, Program, ffmpeg_program, relay_program

_DAMAGED_READS = 32
_BUFFER = 2**18


class LiveConnection:
    """Packets of a live input. A read takes `limits.open` seconds at most until `settle`, then `limits.read`.

    container: the opened input, None to open it. Counts `corrupt_packets`. stopped: nothing more is read.
    """

    def __init__(
        self,
        opening: LiveInput,
        limits: LiveLimits,
        counts: Counter[str],
        container: InputContainer | None = None,
    ) -> None:
        self.opening = opening
        self.limits = limits
        self.stopped = False
        self._counts = counts
        self._container = container
        self._pipe: ChildPipe | None = None
        self._since = 0.0  # when the last packet came
        self._settled = False

    def connect(self) -> InputContainer:
        """Open the input. Raises the errors in `HOSTILE`, and SourceError."""
        opening, self._since = self.opening, time.monotonic()
        if self._container is not None:
            return self._container
        if opening.device and sys.platform != "win32":
            return self._piped(relay_program(opening), "nut")
        try:
            return self._open(opening.file, opening.format, opening.attempts[0])
        except av.ProtocolNotFoundError:
            if not opening.child:
                raise
        return self._piped(ffmpeg_program(opening.file, self.limits.read), "mpegts")

    def settle(self) -> None:
        """The input has shown pictures: from now on a read that takes too long is a stall."""
        self._settled = True
        if self._pipe is not None:
            self._pipe.timeout = self.limits.read

    def packets(self, container: InputContainer, *, ends: bool) -> Iterator[Packet[Any]]:
        """Packets of all streams, until `stopped`. ends: True if the input has an end; otherwise the end
        raises EOFError."""
        packets: Iterator[Packet[Any]] = container.demux()
        damaged = 0
        while not self.stopped:
            asked = time.monotonic()
            try:
                packet = next(packets, None)
            except av.InvalidDataError:
                damaged += 1
                self._counts["corrupt_packets"] += 1
                if damaged > _DAMAGED_READS or time.monotonic() - self._since >= self.limits.read:
                    raise
                packets = container.demux()
                continue
            if packet is None:
                if not ends:
                    raise EOFError
                return
            damaged, self._since = 0, time.monotonic()
            if self._since - asked >= (self.limits.read if self._pipe is None else self._pipe.timeout):
                raise TimeoutError  # half a picture, which FFmpeg returns when it is interrupted
            if packet.size:
                yield packet

    def failure(self, error: BaseException) -> SourceError:
        """The cause and the remedy of an error that `connect` or `packets` raised."""
        limit = self.limits.read if self._settled else self.limits.open
        if isinstance(error, av.InvalidDataError) and time.monotonic() - self._since >= limit:
            error = TimeoutError()  # RTSP's demuxer's error for an interrupted read
        if self._pipe is None:
            return live_error(self.opening, error)
        error = TimeoutError() if self._pipe.timed_out else error
        return live_error(self.opening, error, self._pipe.complaint())

    def free(self) -> None:
        """Close all that is open."""
        if self._container is not None:
            self._container.close()
            self._container = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _piped(self, program: Program, demuxer: str) -> InputContainer:
        self._pipe = ChildPipe(program, self.limits.open, lambda: self.stopped)
        return self._open(self._pipe, demuxer, QUICK)

    def _open(self, file: Any, demuxer: str | None, options: Mapping[str, str]) -> InputContainer:
        container: InputContainer = av.open(
            file,
            "r",
            format=demuxer,
            container_options=dict(options),
            buffer_size=_BUFFER,
            metadata_errors="replace",
            timeout=(self.limits.open, self.limits.read),
        )
        self._container = container
        return container
