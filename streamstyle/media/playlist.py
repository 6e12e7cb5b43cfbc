"""Local lists of films: HLS playlists, and lists for FFmpeg's concat demuxer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from streamstyle.errors import SourceError
from streamstyle.media.formats import READABLE
from streamstyle.media.paths import resolved

_HEAD = 4096
_MAX_BYTES = 2**24
_MAX_DEPTH = 3
_NAMED = re.compile(r'URI="([^"]*)"')
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_FILE = re.compile(r"file\s+(?:'((?:[^']|'\\'')*)'|(\S+))\s*")


@dataclass(frozen=True)
class Playlist:
    """FFmpeg's way to read a playlist."""

    format: str
    """FFmpeg's demuxer."""
    options: dict[str, str]
    """Options of the demuxer."""


def playlist_of(path: str) -> Playlist | None:
    """Options to read a local list with; None if the file is no list. Only names inside its own folder are
    followed, because a list may come from an attacker.

    Raises SourceError for lists that cannot be read, with what to do, and OSError.
    """
    with Path(path).open("rb") as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"#EXTM3U"):
        _check_hls(Path(path), resolved(path).parent, 0)
        whitelist = {"format_whitelist": f"{READABLE},hls", "protocol_whitelist": "file,crypto,data"}
        return Playlist("hls", whitelist | {"allowed_extensions": "ALL", "extension_picky": "0"})
    lines = [line for line in head.splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    if lines and (lines[0].startswith(b"ffconcat") or re.match(rb"\s*file\s+\S", lines[0])):
        _check_concat(Path(path))
        whitelist = {"format_whitelist": f"{READABLE},concat", "protocol_whitelist": "file"}
        return Playlist("concat", whitelist | {"safe": "0"})
    if head.startswith(b"[playlist]") or b"<playlist" in head[:500].lower() or b"<asx" in head[:500].lower():
        raise SourceError(f"{path} is a playlist for music players: name a film of it instead.")
    return None


def _check_hls(path: Path, folder: Path, depth: int) -> None:
    text = _text(path)
    if "#EXT-X-STREAM-INF" not in text and "#EXT-X-TARGETDURATION" not in text:
        names = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        first = f", such as {names[0]}" if names else ""
        raise SourceError(
            f"{path} is a playlist of whole films: name one of them{first}, or join them by a list whose "
            f"lines are file 'NAME'."
        )
    if "#EXT-X-STREAM-INF" not in text and "#EXT-X-ENDLIST" not in text:
        raise SourceError(
            f"{path} has no end: it is still being written, or its writer was killed. Read it over http, or "
            f"add a line #EXT-X-ENDLIST."
        )
    for line in map(str.strip, text.splitlines()):
        names = _NAMED.findall(line) if line.startswith("#") else [line] if line else []
        for name in names:
            inner = _inside(path, folder, name)
            if inner.suffix.lower() in {".m3u8", ".m3u"} and depth < _MAX_DEPTH and inner.is_file():
                _check_hls(inner, folder, depth + 1)


def _check_concat(path: Path) -> None:
    for line in _text(path).splitlines():
        if match := _FILE.fullmatch(line.strip()):
            name = match[2] if match[1] is None else match[1].replace(r"'\''", "'")
            if not _inside(path, resolved(path).parent, name).exists():
                raise SourceError(f"{path} names {name}, which does not exist: check the list.")


def _text(path: Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise SourceError(f"{path} is too long for a playlist.")
    return path.read_text(encoding="utf-8-sig", errors="replace")


def _inside(path: Path, folder: Path, name: str) -> Path:
    inner = resolved(path.parent / name)
    if _SCHEME.match(name) or not inner.is_relative_to(folder):
        raise SourceError(
            f"{path} names {name}, which is outside its own folder: copy that file into the folder, or "
            f"name that file itself."
        )
    return inner
