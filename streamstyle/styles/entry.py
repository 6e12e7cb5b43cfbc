"""Description of a style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StyleEntry:
    """One style of a bundle, as `styles list` shows it."""

    name: str
    title: str
    artist: str
    year: str
    licence: str
    code: NDArray[np.float32]
    """Code, float32 (size,)."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
