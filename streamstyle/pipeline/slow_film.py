"""The warning of a film that this machine would paint for hours, before anything is compiled for it."""

from __future__ import annotations

import time

import numpy as np

from streamstyle.config import RunConfig
from streamstyle.engines.gpu import find_gpu
from streamstyle.nets.cost import multiply_adds
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.pipeline.sizing import asked_size
from streamstyle.styles.bundle import load_manifest, network_folder
from streamstyle.types import StreamInfo

SLOW_SECONDS = 1.0
"""Seconds per frame above which the user is warned."""

_LARGE = 2560 * 1440
"""Pixels that no machine of these years takes a second for."""

_SIDE = 768
_ON_CPU = ("auto", "openvino", "torch")


def slow_film_warning(config: RunConfig, info: StreamInfo) -> str:
    """A sentence with the expected time and faster options; empty below `SLOW_SECONDS` a frame, and if the
    time is not known beforehand.

    config: names one of our networks.
    """
    if info.live or config.size == "auto" or config.engine not in _ON_CPU:
        return ""
    height, width = asked_size(config, info.height, info.width)
    if height * width <= _LARGE or (config.engine == "auto" and not isinstance(find_gpu(), str)):
        return ""
    architecture = GeneratorConfig.from_json(load_manifest(network_folder(config.network)).architecture)
    seconds = multiply_adds(architecture, height, width) / _multiply_adds_a_second() / config.every
    if seconds < SLOW_SECONDS:
        return ""
    whole = f", {_duration(seconds * info.frames)} for all of it" if info.frames > 1 else ""
    return (
        f"painting {width}x{height} will take about {seconds:.0f} s a frame here{whole}, and compiling "
        f"for it some minutes: --size 1280x720 paints smaller and keeps the frame's edges"
    )


def _multiply_adds_a_second() -> float:
    """Multiply-adds a second of the processors in float32, by a product of two matrices; the fastest of
    three."""
    a = np.ones((_SIDE, _SIDE), np.float32)
    fastest = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        a @ a
        fastest = min(fastest, time.perf_counter() - started)
    return float(_SIDE**3 / fastest)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{max(seconds / 60, 1):.0f} min"
