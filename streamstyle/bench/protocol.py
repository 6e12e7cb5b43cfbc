"""The protocol: which anomalies and scenes, and which of them the other methods are compared on."""

from __future__ import annotations

from collections.abc import Sequence

from streamstyle.bench.injections import (
    Film,
    Injection,
    alternating_gain,
    chroma_ramp,
    damage,
    gamma,
    modulated_statistics,
    patch_gain,
    restyled_patch,
    sine_gain,
    texture,
    window_gain,
    window_offset,
)
from streamstyle.bench.scenes import SCENES, Scene
from streamstyle.bench.subjects import StylePainter

FIRST_HIT_FRAME = 26
"""First frame that may be hit: the colour map of a shot is fitted to the 24 before."""

MAX_LATENCY_FRAMES = 6
"""Frames after an onset within which an alarm still counts as its own."""

ALARMS_A_MINUTE = 0.2
"""False alarms a minute that an operating point may cost."""

VALIDATION = (
    "sam2_bedroom.mp4",
    "webcam_asl_book.mkv",
    "street_car_detection.mp4",
    "handheld_crystal.mp4",
    "film_friday_1940.mp4",
    "nature_flower.mp4",
    "nature_flower.webm",
)
"""Clips on which the thresholds of the detector were chosen, by file name; no figure of theirs counts as
measured on unseen film."""

INJECTIONS: tuple[Injection, ...] = (
    *(alternating_gain(a) for a in (0.01, 0.03, 0.05, 0.1)),
    alternating_gain(0.05, long=True),
    *(sine_gain(a) for a in (0.03, 0.05)),
    *(sine_gain(0.05, cycle) for cycle in (7.5, 3, 2)),
    gamma(0.1),
    window_gain(0.05),
    window_gain(0.05, long=True),
    window_offset(0.04),
    *(patch_gain(area, 0.1) for area in (0.005, 0.025, 0.08, 0.25)),
    *(patch_gain(area, 0.1, moving=True) for area in (0.025, 0.08, 0.25)),
    *(texture(rms) for rms in (0.03, 0.05)),
    *(chroma_ramp(rate) for rate in (0.02, 0.05, 0.1, 0.3, 0.5)),
    *(damage(name) for name in ("duplicate", "black", "blocks", "blur", "elastic")),
)
"""All that need nothing but the painted film; `injections_for` adds those that need the painter."""

EXPECTED = (
    *("gain 3%", "gain 5%", "gain 10%", "gamma 10%", "window 5%", "offset 4%"),
    *("patch 8.0% of 10%", "patch 25.0% of 10%", "moving patch 8.0% of 10%", "moving patch 25.0% of 10%"),
    *("texture 0.03", "texture 0.05", "duplicate", "black", "blocks", "blur", "elastic"),
)
"""Amplitudes so large that a miss is a fault to be looked at."""

QUICK = ("gain 3%", "patch 8.0% of 10%", "texture 0.05", "drift 0.3 dE")
QUICK_SCENES = ("clean", "exposure steps", "strobe", "shake", "cuts")
COMPARED = ("gain 3%", "patch 8.0% of 10%", "texture 0.05")
COMPARED_SCENES = QUICK_SCENES
"""Scenes that other repairs and the ablations run on as well, in one style of each clip."""

CONSISTENCIES = (0.5, 1.0)
QUICK_CONSISTENCIES = (1.0,)
"""Values of --consistency with which every clean film is painted again (stabilise mode)."""


def injections_for(film: Film, painter: StylePainter) -> tuple[Injection, ...]:
    """All injections for a film (the input) that this painter paints."""
    made = [*INJECTIONS, restyled_patch(0.08, film, painter.restyle)]
    if painter.modulate is not None:
        made += [modulated_statistics(a, film, painter.modulate) for a in (0.05, 0.1)]
    return tuple(made)


def chosen(names: Sequence[str] | None, known: Sequence[Injection] = INJECTIONS) -> tuple[Injection, ...]:
    """The injections of these names, all where None. Raises KeyError."""
    if names is None:
        return tuple(known)
    by_name = {injection.name: injection for injection in known}
    return tuple(by_name[name] for name in names)


def chosen_scenes(names: Sequence[str] | None) -> tuple[Scene, ...]:
    """The scenes of these names, all where None."""
    return tuple(scene for scene in SCENES if names is None or scene.name in names)
