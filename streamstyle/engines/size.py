"""The working size, at which frames are painted: a given one, or one that is as fast as the source."""

from __future__ import annotations

import re
import time
from fractions import Fraction

import numpy as np

from streamstyle.engines.machine import usable_cpus
from streamstyle.engines.open_engine import paint_all
from streamstyle.engines.request import EngineOpener, EngineRequest
from streamstyle.engines.upsampling import GuidedUpsampling, reduced
from streamstyle.errors import ConfigError
from streamstyle.nets.noise import coloured_noise
from streamstyle.types import Engine, Picture, StyleCondition

AUTO = "auto"
MIN_SIDE = 64
"""Pixels of a side."""
SHARES = tuple(Fraction(n) for n in ("1", "3/4", "2/3", "1/2", "2/5", "1/3", "1/4"))
"""Shares of the frame's sides that `auto` chooses from."""
USABLE_CPU_SHARE = 0.85
"""Share of the processors that `auto` plans with: frames differ, and other programs run."""
REST_COST = 6.0
"""Cost of a frame beside its painting (decoding, detector, corrector, x264 veryfast), as a multiple of
bringing it up once on the same machine (docs/sizes.md)."""

_SIZE_PATTERN = re.compile(r"(\d+)x(\d+)")
_CALIBRATION_SECONDS = 0.6  # seconds
_MIN_FRAMES = 4  # frames


def parse_size(text: str) -> tuple[int, int] | None:
    """(height, width) of `WxH`; None for `auto`. Raises ConfigError."""
    return None if text == AUTO else _parsed(text, "--size", ", or auto")


def parse_tile(text: str) -> tuple[int, int]:
    """(height, width) of `WxH`. Raises ConfigError."""
    return _parsed(text, "--tile")


def _parsed(text: str, option: str, otherwise: str = "") -> tuple[int, int]:
    match = _SIZE_PATTERN.fullmatch(text)
    if match is None:
        raise ConfigError(f"{option} must be WIDTHxHEIGHT, as 640x360{otherwise}, not '{text}'")
    width, height = int(match[1]), int(match[2])
    if min(width, height) < MIN_SIDE:
        raise ConfigError(f"{option} {text} is too small: {MIN_SIDE} pixels a side is the minimum")
    return height, width


def fitted(height: int, width: int, box: tuple[int, int]) -> tuple[int, int]:
    """The largest size of a frame's shape inside a box (height, width), never above the frame's own.

    The box is turned as the frame is: 640x360 serves upright films as 360x640.
    """
    long, short = max(box), min(box)
    scale = min(1.0, long / max(height, width), short / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def half_size(height: int, width: int) -> tuple[int, int]:
    """The working size (height, width) of half the sides, that calibrations try; no smaller than `MIN_SIDE`,
    but never above the frame's own."""
    return fitted(height, width, (max(MIN_SIDE, round(height / 2)), max(MIN_SIDE, round(width / 2))))


def affordable(
    height: int, width: int, rate: Fraction | None, engine: float, upsampling: float, processors: int
) -> tuple[int, int]:
    """The largest working size (height, width) that keeps `rate` frames a second (30 where None).

    engine: processor seconds for a pixel of the working size. upsampling: seconds to bring a frame up. Where
    nothing keeps the rate, the smallest size: the nearest to it.
    """
    budget = USABLE_CPU_SHARE * processors / float(rate or 30)
    sizes = [(round(height * share), round(width * share)) for share in SHARES]
    kept = [
        (h, w)
        for h, w in sizes
        if min(h, w) >= MIN_SIDE
        and engine * h * w + upsampling * (REST_COST + ((h, w) != (height, width))) <= budget
    ]
    least = [size for size in sizes if min(size) >= MIN_SIDE] or [(height, width)]
    return kept[0] if kept else least[-1]


def affordable_engine(
    opener: EngineOpener, request: EngineRequest, condition: StyleCondition
) -> tuple[Engine, tuple[int, int]]:
    """The largest working size (height, width) that keeps `request.rate`, by a calibration of about a second,
    and an engine for it. condition: its codes fit the network. Raises the errors of `opener`.
    """
    height, width = request.height, request.width
    probe = half_size(height, width)
    picture = coloured_noise(height, width, np.random.default_rng(0))
    small = reduced(picture, *probe)
    inner = opener.open(request.at(*probe))
    cpus = usable_cpus() if inner.spec.device == "cpu" else 1
    seconds = engine_seconds(inner, small, condition)
    upsampling = bring_up_seconds(picture, probe)
    working = affordable(height, width, request.rate, seconds * cpus / small[..., 0].size, upsampling, cpus)
    if working != probe:
        inner.close()
        inner = opener.open(request.at(*working))
    return inner, working


def engine_seconds(engine: Engine, picture: Picture, condition: StyleCondition) -> float:
    """Seconds of one frame like `picture`, with the engine's number of frames in flight. The fastest of a few
    batches counts, since other programs can only slow it down."""
    at_once = engine.spec.in_flight
    count = max(_MIN_FRAMES, 2 * at_once)

    def paint(frames: int) -> None:
        for _ in paint_all(engine, [picture] * frames, condition):
            pass

    paint(at_once)
    fastest, began = float("inf"), time.perf_counter()
    while fastest == float("inf") or time.perf_counter() - began < _CALIBRATION_SECONDS:
        started = time.perf_counter()
        paint(count)
        fastest = min(fastest, (time.perf_counter() - started) / count)
    return fastest


def bring_up_seconds(
    picture: Picture, working: tuple[int, int], during: float = _CALIBRATION_SECONDS
) -> float:
    """Processor time of bringing a painting of `working` (height, width) up to the size of `picture` once, on
    average. during: seconds to measure."""
    height, width = picture.shape[:2]
    small, bring_up = reduced(picture, *working), GuidedUpsampling(height, width, working)
    bring_up(small, small, picture)
    began, used, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < during:
        bring_up(small, small, picture)
        count += 1
    return (time.process_time() - used) / count
