"""Multiply-adds of a network, computed from its architecture without torch."""

from __future__ import annotations

from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.noise import SIZE_MULTIPLE, WOVEN_CHANNELS


def multiply_adds(config: GeneratorConfig, height: int, width: int) -> int:
    """Multiply-adds of all convolutions for one frame of height x width, padded as engines pad it."""
    c0, c1, c2 = config.widths
    inside = config.expansion * c2
    block = config.kernel**2 * c2 + 2 * c2 * inside
    blocks = 4 * config.head  # channels of blocks of 2x2 pixels inside the head
    head = 9 * (c0 * blocks + 12 * blocks + blocks * 12) if blocks else 9 * c0 * 12
    mixed = (2 * config.patterns + bool(config.patterns)) * c0  # patterns and their gate
    half = 9 * 12 * c0 + mixed + head  # the first and the last on blocks of 2x2 RGB pixels
    fine = config.fine_blocks * 2 * 9 * c1 * c1
    quarter = 9 * c0 * c1 + 9 * c1 * c1 + fine + 9 * c1 * 4 * c0  # down1, merge, fine blocks, up1
    eighth = 9 * c1 * c2 + WOVEN_CHANNELS * c2 + config.blocks * block + c2 * c1  # down2 to the neck
    positions = -(-height // SIZE_MULTIPLE) * -(-width // SIZE_MULTIPLE)
    return positions * (16 * half + 4 * quarter + eighth)
