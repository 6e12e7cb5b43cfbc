"""Thumbnails of the bundled styles, painted from noise by `tools/thumbnails.py`."""

from __future__ import annotations

from pathlib import Path

THUMBNAILS = Path(__file__).parent / "thumbnails"


def thumbnail(name: str) -> Path | None:
    """The JPEG of a known style; None if there is none, as for own styles."""
    path = THUMBNAILS / f"{name}.jpg"
    return path if path.exists() else None
