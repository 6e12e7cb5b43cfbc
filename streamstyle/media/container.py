"""Opening of media files, and FFmpeg's errors in plain words."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from streamstyle.errors import SinkError, SourceError
from streamstyle.media.formats import READABLE
from streamstyle.media.pipe_in import PipeReader, is_pipe, pipe_reader
from streamstyle.media.playlist import Playlist, playlist_of

# On damaged files PyAV raises, beside FFmpeg's errors, also these from its own property code.
HOSTILE = (
    av.FFmpegError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)

# Encoders and muxers are asked for what we chose, so they fail in fewer ways.
UNWRITABLE = (av.FFmpegError, MemoryError, OSError, ValueError)

READ_FAILURES = 32
"""Consecutive failures after which the rest of a file counts as lost."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


def open_input(path: str, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a local media file. hwaccel: the device to decode on, which must exist. Raises SourceError with
    the fault and its remedy."""
    file = Path(path)
    try:
        if file.is_dir():
            raise SourceError(f"{path} is a directory: name one video file in it.")
        if is_pipe(path):
            return _opened(pipe_reader(path), None, hwaccel)
        if file.is_file() and file.stat().st_size == 0:
            raise SourceError(f"{path} is empty: it holds no media at all.")
        return _opened(f"file:{path}", playlist_of(path), hwaccel)
    except HOSTILE as error:
        raise SourceError(_why_not_opened(path, error)) from error


def _opened(file: str | PipeReader, listed: Playlist | None, hwaccel: HWAccel | None) -> InputContainer:
    options = {"format_whitelist": READABLE, "protocol_whitelist": "file"}
    return av.open(
        file,
        "r",
        format=None if listed is None else listed.format,
        container_options=options if listed is None else listed.options,
        metadata_errors="replace",
        hwaccel=hwaccel,
    )


def _why_not_opened(path: str, error: BaseException) -> str:
    code = getattr(error, "errno", None)
    if code == errno.ENOENT:
        return f"{path} does not exist: check the spelling and the folder."
    if code in _NOT_ALLOWED and not os.access(path, os.R_OK):
        return f"{path} may not be read: check its permissions."
    return (
        f"{path} is not a media file that can be read: it is of another kind, or damaged or cut off "
        f"before its index ({reason(error)})."
    )


def packets_of(
    container: InputContainer, failed: Callable[[], object] = lambda: None
) -> Iterator[Packet[Any]]:
    """All packets of all streams that hold something, in the file's order.

    Parts that cannot be read are passed over, with a call of `failed` each. Raises the last error, one of
    `HOSTILE`, if the rest is lost.
    """
    on_the_web = not container.name.startswith("file:")  # whose server was tried again by FFmpeg
    failures = 0
    packets: Iterator[Packet[Any]] = container.demux()
    while True:
        try:
            packet = next(packets, None)
        except HOSTILE as error:
            failures += 1
            failed()
            gone = on_the_web and not isinstance(error, av.InvalidDataError)
            if failures >= READ_FAILURES or gone:
                raise
            packets = container.demux()
            continue
        if packet is None:
            return
        failures = 0
        if packet.size:
            yield packet


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """Streams of moving pictures, without cover art of songs and thumbnails of films."""
    still = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & still]


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The stream of moving pictures that players show: the default one, else the first, preferring one that
    can be decoded. None if there is none."""

    def rank(stream: VideoStream) -> tuple[bool, bool]:
        default = bool(stream.disposition & av.stream.Disposition.default)
        return stream.codec_context is not None, default

    return max(moving_streams(container), key=rank, default=None)


def sink_error(path: str, error: BaseException) -> SinkError:
    """The failure to open, write or finish `path`."""
    code = getattr(error, "errno", None)
    if code == errno.EPERM and isinstance(error, av.FFmpegError):
        # Its muxers say so of packets that they do not take; what may not be opened was found out before.
        return SinkError(
            f"{path} could not be written: its kind of file does not hold this sound or picture."
        )
    if code == errno.EPIPE:
        return SinkError(f"Nobody reads {path} any more: the program that did has ended.")
    if code in _NO_ROOM:
        return SinkError(f"There is no room left to write {path}: free some space or name another folder.")
    if code in _NOT_ALLOWED:
        return SinkError(f"{path} may not be written: check the permissions of the file and its folder.")
    if code == errno.ENOENT:
        return SinkError(f"The folder of {path} does not exist: create it first.")
    return SinkError(f"{path} could not be written: {reason(error)}.")


def reason(error: BaseException) -> str:
    """FFmpeg's own words, without the name of the failed call."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).rstrip(".")
