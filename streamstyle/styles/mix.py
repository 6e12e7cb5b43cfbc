"""Values of `--style` and `--region-style`: codes from names, shares and a strength."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamstyle.errors import ConfigError, ModelError, nearest
from streamstyle.styles.bundle import ORIGINAL, Manifest, StyleBundle
from streamstyle.styles.code_file import load_code
from streamstyle.styles.library import SUFFIX, model_names, own_style_names, own_style_path


def parse_mix(text: str) -> dict[str, float]:
    """`NAME` or `NAME:0.7,OTHER:0.3` to {name: share}, shares scaled to a sum of 1.

    Raises ConfigError on anything else.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = part.strip().rpartition(":")
        if not colon or number.endswith(SUFFIX):  # the colon of a drive: C:\\styles\\mine.safetensors
            name, colon = part.strip(), ""
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


def has_style(manifest: Manifest, style: str) -> bool:
    """True if a network has everything that a style or a mix names. Reads no weights.

    Raises ConfigError for an unreadable text, ModelError for a damaged style file.
    """
    bundled = {ORIGINAL, *(record.name for record in manifest.styles)}
    own = [own_style_path(name) for name in parse_mix(style) if name not in bundled]
    return all(path is not None and load_code(path).fits(manifest) for path in own)


StyleAdjustment: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def style_code(
    bundle: StyleBundle, style: str, strength: float = 1.0, adjust: StyleAdjustment | None = None
) -> NDArray[np.float32]:
    """The code (size,) of a style or a mix; `strength` in 0..1 mixes it with the code of `original`.

    adjust: changes the code of every style except `original`. A name is looked up in the bundle, then among
    the own styles; it may be a path to a style file. Raises ConfigError for an unknown name, with the nearest
    one, and ModelError for an own style that was trained for other weights.
    """
    if not 0 <= strength <= 1:
        raise ConfigError(f"strength must lie in 0..1, not {strength:g}")
    codes = {entry.name: entry.code for entry in bundle.styles} | {ORIGINAL: bundle.original}
    code = np.zeros_like(bundle.original)
    for name, share in parse_mix(style).items():
        if name not in codes:
            codes[name] = _own_code(bundle, name, codes)
        part = codes[name] if adjust is None or name == ORIGINAL else adjust(codes[name])
        code += np.float32(share) * part
    return (strength * code + (1 - strength) * bundle.original).astype(np.float32)


def _own_code(bundle: StyleBundle, name: str, known: Iterable[str]) -> NDArray[np.float32]:
    if name in model_names():
        raise ConfigError(
            f"'{name}' is an imported model and has no style code; only `run --style` accepts it, alone"
        )
    path = own_style_path(name)
    if path is None:
        candidates = [*known, *own_style_names(), *model_names()]
        raise ConfigError(
            f"unknown style '{name}'{nearest(name, candidates)}; `streamstyle styles list` shows them all"
        )
    code = load_code(path).entry(bundle.manifest).code
    if code.shape != bundle.original.shape:
        raise ModelError(
            f"{path} is damaged: its code has {code.size} numbers, not {bundle.original.size}; train it again"
        )
    return code


def condition_codes(
    bundle: StyleBundle,
    outside: str,
    inside: str | None,
    strength: float = 1.0,
    adjust: StyleAdjustment | None = None,
) -> NDArray[np.float32]:
    """The two codes (2, size) of a `StyleCondition`: style `outside` where the mask is 0, `inside` where it
    is 255 (None: `outside` everywhere). Raises ConfigError as `style_code` does.
    """
    first = style_code(bundle, outside, strength, adjust)
    second = first if inside is None else style_code(bundle, inside, strength, adjust)
    return np.stack([first, second])
