"""Where the real clips are, for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("STREAMSTYLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
CLIPS = sorted((DATA / "video" / "clips").glob("*"))
ODD = sorted((DATA / "video" / "odd").glob("*"))

needs_clips = pytest.mark.skipif(
    not CLIPS, reason="the real clips are not beside the checkout; set STREAMSTYLE_DATA to their folder"
)
