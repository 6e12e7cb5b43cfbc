"""Types of numbers on the command line."""

from __future__ import annotations

import argparse


def positive_int(text: str) -> int:
    """A whole number above 0."""
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def positive_float(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


COLOURS = {"style": 0.0, "keep": 1.0}
"""Words for the share of the film's own colours."""


def colour_share(text: str) -> float:
    """A word of `COLOURS`, or a number in 0..1."""
    value = COLOURS[text] if text in COLOURS else float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be style, keep or a number in 0..1")
    return value
