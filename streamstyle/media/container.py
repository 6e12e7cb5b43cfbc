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

from streamstyle.errors import SinkError, SourceError
from streamstyle.media.formats import READABLE
from streamstyle.media.paths import exists
from streamstyle.media.pipe_in import PipeReader, is_pipe, pipe_reader
from streamstyle.media.playlist import Playlist, playlist_of
from streamstyle.media.programs import program_of

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

# Encoders and muxers get only our own choices, so they fail in fewer ways.
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
        if exists(path) and not file.is_file():
            raise SourceError(f"{path} is a socket or a device, not a film: name a file or a pipe.")
        if file.is_file() and file.stat().st_size == 0:
            raise SourceError(f"{path} is empty: it holds no media at all.")
        return _opened(f"file:{path}", playlist_of(path), hwaccel)
    except HOSTILE as error:
        raise SourceError(_why_not_opened(path, error)) from error


def _opened(file: str | PipeReader, listed: Playlist | None, hwaccel: HWAccel | None) -> InputContainer:
    # FFmpeg must not read a picture's name as a pattern either.
    options = {"format_whitelist": READABLE, "protocol_whitelist": "file", "pattern_type": "none"}
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
    """All packets of all streams that hold something, in the file's order; of several programs those of one.

    Parts that cannot be read are passed over, with a call of `failed` each. Raises the last error, one of
    `HOSTILE`, if the rest is lost.
    """
    on_the_web = not container.name.startswith("file:")  # whose server was tried again by FFmpeg
    program = program_of(container)
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
        if packet.size and (program is None or packet.stream_index in program.indices):
            yield packet


def sink_error(path: str, error: BaseException) -> SinkError:
    """The failure to open, write or finish `path`."""
    code = getattr(error, "errno", None)
    if code == errno.EPERM and isinstance(error, av.FFmpegError):
        # Its muxers say so of packets that they do not take; what may not be opened was found out before.
        return SinkError(f"{path} could not be written: this kind of file cannot hold this sound or picture.")
    if code == errno.EPIPE:
        return SinkError(f"{path} has no reader any more: the program that read it has ended.")
    if code in _NO_ROOM:
        return SinkError(
            f"The disk is full, so {path} cannot be written: free some space or name another folder."
        )
    if code in _NOT_ALLOWED:
        return SinkError(f"{path} cannot be written: check the permissions of the file and its folder.")
    if code == errno.ENOENT:
        return SinkError(f"The folder of {path} does not exist: create it first.")
    return SinkError(f"{path} could not be written: {reason(error)}.")


def reason(error: BaseException) -> str:
    """FFmpeg's own words, without the name of the failed call."""
    text = str(getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
    return f"the system gives no more memory ({text})" if isinstance(error, MemoryError) else text
