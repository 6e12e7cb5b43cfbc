"""Films that are damaged in different ways, each with what must be said of it."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

from media_files import make_video

FRAMES = 6


def whole_film(path: Path) -> Path:
    """A film of six pictures with sound, in MP4 with its index at the end."""
    return make_video(path, frames=FRAMES, audio=["aac"])


def _noise_in_all_packets(film: bytes) -> bytes:
    begin, end = film.index(b"mdat") + 4, film.index(b"moov") - 4
    return film[:begin] + random.Random(1).randbytes(end - begin) + film[end:]


def _pictures_without_a_size(film: bytes) -> bytes:
    """0x0 in the sample entry, and no header of the codec that tells another."""
    at = film.index(b"avc1", film.index(b"stsd")) + 28
    return film[:at] + struct.pack(">HH", 0, 0) + film[at + 4 :].replace(b"avcC", b"free")


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "is empty: it holds no media"),
    "zeros": (lambda film: bytes(len(film)), "is not a media file"),
    "noise": (lambda film: random.Random(2).randbytes(len(film)), "is not a media file"),
    "text": (lambda _: b"This is the wedding, please paint it.\n" * 40, "is not a media file"),
    "cut-off": (lambda film: film[: len(film) // 2], "damaged or cut off before its index"),
    "packets": (_noise_in_all_packets, "No frame of .* can be decoded: the file is damaged"),
    "size": (_pictures_without_a_size, "No frame of .* can be decoded: the file is damaged"),
    "codec": (lambda film: film.replace(b"avc1", b"zzz9"), "a video codec that this FFmpeg cannot decode"),
    "tracks": (lambda film: film.replace(b"trak", b"kart"), "contains no video"),
}
"""Damaged films by name: the function that damages a whole film, and a pattern of the expected message."""


def make_damaged(path: Path, film: bytes, damage: str) -> None:
    """Write the damaged film. damage: of DAMAGES."""
    path.write_bytes(DAMAGES[damage][0](film))
