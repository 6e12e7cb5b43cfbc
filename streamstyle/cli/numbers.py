"""Types of numbers on the command line."""

from __future__ import annotations

import argparse
import math
import sys


def positive_int(text: str) -> int:
    """A whole number above 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 0 < value <= sys.maxsize:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not '{text}'")
    return value


def positive_float(text: str) -> float:
    """A finite number above 0."""
    value = _number(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not '{text}'")
    return value


COLOURS = {"style": 0.0, "keep": 1.0}
"""Words for the share of the film's own colours."""


def colour_share(text: str) -> float:
    """A word of `COLOURS`, or a number in 0..1."""
    value = COLOURS[text] if text in COLOURS else _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be style, keep or a number in 0..1, not '{text}'")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
