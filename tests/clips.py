"""Paths of the real clips, for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("STREAMSTYLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
CLIPS = sorted((DATA / "video" / "clips").glob("*"))
ODD = sorted((DATA / "video" / "odd").glob("*"))

# tools/check.py looks for this reason among the skipped tests.
needs_clips = pytest.mark.skipif(
    not CLIPS, reason="the real clips are not beside the checkout; set STREAMSTYLE_DATA to their folder"
)


def clip_named(name: str) -> Path:
    """The clip or odd file of this name."""
    return next(path for path in (*CLIPS, *ODD) if path.name == name)
