"""What `--style` means: one code from names, shares and a strength."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import ConfigError, nearest
from streamstyle.styles.bundle import ORIGINAL, StyleBundle


def parse_mix(text: str) -> dict[str, float]:
    """`NAME` or `NAME:0.7,OTHER:0.3` to {name: share}, shares brought to a sum of 1.

    Raises ConfigError on anything else.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        try:
            share = float(number) if colon else 1.0
        except ValueError:
            share = math.nan
        if not name or not math.isfinite(share) or share < 0:
            raise ConfigError(f"cannot read the style '{text}': write NAME or NAME:0.7,OTHER:0.3")
        shares[name] = shares.get(name, 0.0) + share
    total = sum(shares.values())
    if total <= 0 or not math.isfinite(total):
        raise ConfigError(f"the shares of the style '{text}' must have a sum above 0")
    return {name: share / total for name, share in shares.items()}


def style_code(bundle: StyleBundle, style: str, strength: float = 1.0) -> NDArray[np.float32]:
    """The code (size,) of a style or a mix; `strength` in 0..1 mixes it with the code of `original`.

    Raises ConfigError for a name that the bundle lacks, with the nearest one.
    """
    if not 0 <= strength <= 1:
        raise ConfigError(f"strength must lie in 0..1, not {strength:g}")
    codes = {entry.name: entry.code for entry in bundle.styles} | {ORIGINAL: bundle.original}
    code = np.zeros_like(bundle.original)
    for name, share in parse_mix(style).items():
        if name not in codes:
            raise ConfigError(
                f"unknown style '{name}'{nearest(name, codes)}; `streamstyle styles list` shows them all"
            )
        code += np.float32(share) * codes[name]
    return (strength * code + (1 - strength) * bundle.original).astype(np.float32)
