"""The detector and corrector in a loop: anomalies planted after the stylizer are found and repaired, and
whatever the input itself does is left alone.

The stylizer is a fixed, per-frame function, so a clean run has nothing to find. No false flag is tolerated on
the clips here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from clips import clip_named, needs_clips

from streamstyle.bench.injections import damage
from streamstyle.bench.protocol import chosen
from streamstyle.metrics.repaired_share import repaired_share
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import DetectorConfig, ResidualDetector
from streamstyle.temporal.residual import UNKNOWN
from streamstyle.types import Action, AnomalyMap, Kind, Picture

HEIGHT, WIDTH = 180, 320
MIX = np.array([[0.8, 0.3, -0.15], [0.1, 0.75, 0.2], [0.25, -0.1, 0.9]], np.float32)
REAL = ["handheld_rabbit.mp4", "nature_flower.mp4", "sam2_04_coffee.mp4", "street_car_detection.mp4"]
STEPS = {Kind.FLICKER, Kind.POP}


pytestmark = pytest.mark.usefixtures("one_thread")


def stylize(frame: Picture) -> Picture:
    """Flat regions, swapped colours and an S-shaped tone curve; no statistics of the frame."""
    flat = cv2.bilateralFilter(frame, 5, 40, 3).astype(np.float32) / 255
    mixed = np.clip(flat @ MIX.T, 0, 1)
    return np.rint(np.clip(mixed + 0.08 * np.sin(2 * np.pi * mixed), 0, 1) * 255).astype(np.uint8)


def gained(frame: Picture, gain: float) -> Picture:
    return np.rint(np.clip(frame * np.float32(gain), 0, 255)).astype(np.uint8)


@cache
def texture(seed: int) -> Picture:
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.uniform(0, 1, (n, 2 * n, 3)).astype(np.float32), (800, 400)) for n in (6, 24, 90)
    ]
    return np.asarray(np.clip((0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2]) * 230, 0, 255), np.uint8)


def pan(frames: int, seed: int = 1, speed: int = 2) -> list[Picture]:
    """A window that moves over a texture by whole pixels: exact correspondence."""
    whole = texture(seed)
    return [np.ascontiguousarray(whole[t : t + HEIGHT, speed * t : speed * t + WIDTH]) for t in range(frames)]


@cache
def clip(name: str, frames: int) -> tuple[Picture, ...]:
    import av  # noqa: PLC0415  (after cv2)

    with av.open(str(clip_named(name))) as container:
        decoded = (f for f, _ in zip(container.decode(video=0), range(frames), strict=False))
        return tuple(f.reformat(width=640, height=360, format="rgb24").to_ndarray() for f in decoded)


@dataclass
class Seen:
    anomaly: AnomalyMap
    action: Action
    left: Picture
    after: dict[Kind, float]

    @property
    def step(self) -> bool:
        return bool(STEPS & set(self.anomaly.kinds))


POINTWISE = DetectorConfig(step_test=UNKNOWN)
"""Configuration for `stylize`, which does not normalise over the frame."""


def run(
    sources: Iterable[Picture], styled: Iterable[Picture], config: DetectorConfig = POINTWISE
) -> list[Seen]:
    detector, corrector, seen = ResidualDetector(config), RepairCorrector(), []
    for source, raw in zip(sources, styled, strict=True):
        anomaly = detector.detect(source, raw)
        left = raw.copy()
        action = corrector.correct_(left, anomaly)
        seen.append(Seen(anomaly, action, left, dict(detector.commit(left, touched=action.touched))))
    return seen


def flags(seen: Sequence[Seen]) -> list[tuple[int, tuple[Kind, ...]]]:
    return [(t, s.anomaly.kinds) for t, s in enumerate(seen) if s.anomaly.flagged]


@pytest.mark.parametrize("strength", [0.03, 0.05])
def test_a_global_gain_is_flagged_on_its_frame_and_taken_off(strength: float) -> None:
    source = pan(30)
    clean = [stylize(f) for f in source]
    gains = {12: 1 + strength, 14: 1 - strength, 15: 1 + strength, 22: 1 - strength}
    hit = [gained(f, gains.get(t, 1.0)) for t, f in enumerate(clean)]
    seen = run(source, hit)
    assert [t for t, _ in flags(seen)] == list(gains)
    assert seen[12].anomaly.kinds == (Kind.POP,)
    assert seen[14].anomaly.kinds == seen[15].anomaly.kinds == (Kind.FLICKER,)
    for t in gains:
        assert repaired_share(seen[t].left, hit[t], clean[t]) >= 0.8
        assert seen[t].after[seen[t].anomaly.kinds[0]] < 0.5 * max(seen[t].anomaly.scores.values())


@needs_clips
@pytest.mark.parametrize("name", REAL[:2])
def test_flicker_on_a_real_clip_is_reduced(name: str) -> None:
    source = clip(name, 24)
    clean = [stylize(f) for f in source]
    hit = [gained(f, 1.05 if t in (12, 18) else 0.95 if t == 13 else 1.0) for t, f in enumerate(clean)]
    seen = run(source, hit)
    assert [t for t, _ in flags(seen)] == [12, 13, 18]
    shares = [repaired_share(seen[t].left, hit[t], clean[t]) for t in (12, 13, 18)]
    assert min(shares) >= 0.8


def test_a_patch_is_found_in_its_tiles_and_the_rest_keeps_its_bytes() -> None:
    source = pan(20)
    clean = [stylize(f) for f in source]
    hit = [f.copy() for f in clean]
    rows, columns = slice(3 * 20, 6 * 20), slice(80, 240)  # 3 x 6 tiles: 17 % of the picture
    hit[12][rows, columns] = gained(hit[12][rows, columns], 1.1)
    truth = np.zeros((9, 12), bool)
    truth[3:6, 3:9] = True
    seen = run(source, hit)
    assert [t for t, _ in flags(seen)] == [12]
    tiles = seen[12].anomaly.tiles
    assert (tiles & truth).sum() / (tiles | truth).sum() >= 0.7
    assert repaired_share(seen[12].left, hit[12], clean[12]) > 0.5
    near = cv2.dilate(tiles.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    far = ~near[(np.arange(HEIGHT) * 9 // HEIGHT)[:, None], np.arange(WIDTH) * 12 // WIDTH]
    assert np.array_equal(seen[12].left[far], hit[12][far])


@needs_clips
@pytest.mark.parametrize("name", REAL)
def test_clean_real_clips_are_left_alone(name: str) -> None:
    source = clip(name, 60)
    styled = [stylize(f) for f in source]
    seen = run(source, styled)
    assert flags(seen) == []
    assert all(np.array_equal(s.left, raw) for s, raw in zip(seen, styled, strict=True))


EVENTS: dict[str, Callable[[int], float]] = {
    "both sides": lambda t: 1.05 if t % 2 else 0.95,
    "exposure ramp": lambda t: 0.8 + 0.008 * t,
    "exposure steps": lambda t: (1.0, 1.12, 0.9)[t // 9 % 3],
    "6 Hz strobe": lambda t: 1.3 if t % 5 < 2 else 0.8,
}


@pytest.mark.parametrize("name", EVENTS)
def test_what_the_input_does_raises_no_alarm(name: str) -> None:
    source = [gained(f, EVENTS[name](t)) for t, f in enumerate(pan(40))]
    assert flags(run(source, [stylize(f) for f in source])) == []


def test_what_a_black_input_is_painted_as_raises_no_alarm() -> None:
    """A network that normalises over the frame paints the noise of black in full contrast."""
    rng = np.random.default_rng(0)
    black = [rng.integers(0, 4, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(30)]
    painted = [cv2.resize(texture(i), (WIDTH, HEIGHT)) for i in range(30)]
    detector = ResidualDetector()
    for source, styled in zip(black, painted, strict=True):
        assert not detector.detect(source, styled).flagged
        detector.commit(styled, touched=False)


def test_a_fast_pan_raises_no_alarm() -> None:
    source = pan(40, speed=9)
    assert flags(run(source, [stylize(f) for f in source])) == []


def test_a_cut_is_seen_and_raises_no_alarm() -> None:
    source = pan(12, seed=1) + pan(12, seed=2)
    seen = run(source, [stylize(f) for f in source])
    assert [t for t, s in enumerate(seen) if s.anomaly.cut] == [12]
    assert flags(seen) == []


@needs_clips
def test_a_cut_between_real_clips_is_seen() -> None:
    source = [*clip(REAL[0], 24)[:8], *clip(REAL[2], 60)[:8], *clip(REAL[3], 60)[:8]]
    seen = run(source, [stylize(f) for f in source])
    assert [t for t, s in enumerate(seen) if s.anomaly.cut] == [8, 16]
    assert flags(seen) == []


def test_a_flash_is_no_cut_and_the_past_survives_it() -> None:
    source = pan(24)
    source[12] = np.full_like(source[12], 250)
    clean = [stylize(f) for f in source]
    hit = [gained(f, 1.05) if t == 13 else f for t, f in enumerate(clean)]
    seen = run(source, hit)
    assert [t for t, _ in flags(seen)] == [13]  # only a comparison with frame 11 can tell
    assert repaired_share(seen[13].left, hit[13], clean[13]) >= 0.8


def test_a_lasting_change_is_let_through_within_two_seconds() -> None:
    source = pan(80)
    raw = [gained(stylize(f), 1.0 if t < 12 else 1.08) for t, f in enumerate(source)]
    seen = run(source, raw)
    assert seen[12].step
    assert flags(seen[60:]) == []
    assert np.array_equal(seen[60].left, raw[60])


def drifted(frame: Picture, shift: float) -> Picture:
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    moved = lab + np.float32((0, 0.8 * shift, -0.6 * shift))
    return np.rint(np.clip(cv2.cvtColor(moved, cv2.COLOR_Lab2RGB), 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_drift_is_found_before_4_de_and_partly_repaired(rate: float) -> None:
    still = pan(1)[0] // 2 + 60
    onset = 30
    frames = onset + int(10 / rate)
    shift = [max(0.0, min(6.0, rate * (t - onset))) for t in range(frames)]
    clean = stylize(still)
    raw = [drifted(clean, s) for s in shift]
    seen = run([still] * frames, raw)
    first = next(t for t, s in enumerate(seen) if Kind.DRIFT in s.anomaly.kinds)
    assert onset < first
    assert shift[first] <= 4
    assert repaired_share(seen[-1].left, raw[-1], clean) > 0.5
    assert not any(s.step for s in seen)


@needs_clips
@pytest.mark.parametrize("name", ["sam2_bedroom.mp4", "handheld_rabbit.mp4", "sam2_04_coffee.mp4"])
def test_texture_that_swims_is_found_and_calmed(name: str) -> None:
    film = clip(name, 60)
    clean = [stylize(frame) for frame in film]
    (injection,) = chosen(["texture 0.05"])
    injected = injection.apply(clean, 26, np.random.default_rng(0))
    seen = run(film, injected.frames)
    hit = np.flatnonzero(injected.hit)
    assert all(Kind.TEXTURE in seen[i].anomaly.kinds for i in hit)
    assert repaired(seen, injected.frames, clean, hit) > 0.28


def repaired(seen: list[Seen], hurt: list[Picture], clean: list[Picture], hit: np.ndarray) -> float:
    left, injected, truth = (
        np.stack([frames[i] for i in hit]) for frames in ([s.left for s in seen], hurt, clean)
    )
    return repaired_share(left, injected, truth)


@needs_clips
@pytest.mark.parametrize("harm", ["black", "blocks", "blur", "elastic", "duplicate"])
def test_a_frame_that_lost_its_content_is_found_and_replaced(harm: str) -> None:
    film = clip("handheld_rabbit.mp4", 60)
    clean = [stylize(frame) for frame in film]
    injected = damage(harm).apply(clean, 26, np.random.default_rng(0))
    seen = run(film, injected.frames)
    hit = np.flatnonzero(injected.hit)
    kind = Kind.DUPLICATE if harm == "duplicate" else Kind.DISTORTION
    assert [i for i, s in enumerate(seen) if kind in s.anomaly.kinds] == hit.tolist()
    assert repaired(seen, injected.frames, clean, hit) > 0.5


def test_the_past_stands_in_for_two_frames_at_most() -> None:
    film = pan(40)
    styled = [stylize(frame) for frame in film]
    for i in range(20, 26):
        styled[i] = np.zeros_like(styled[i])
    seen = run(film, styled)
    assert [seen[i].action.name for i in (20, 21)] == ["fallback"] * 2
    assert all("fallback" not in seen[i].action.name for i in range(22, 26))


@pytest.mark.parametrize("frozen", [False, True])
def test_where_the_painting_is_gone_for_longer_the_input_goes_on_in_its_colours(frozen: bool) -> None:
    film = pan(100)
    clean = [stylize(frame) for frame in film]
    styled = [
        *clean[:30],
        *(clean[29].copy() if frozen else np.zeros_like(x) for x in clean[30:50]),
        *clean[50:],
    ]
    seen = run(film, styled)
    unrecoverable = range(33, 50)
    assert all(seen[i].action.name == "input in the painting's colours" for i in unrecoverable)
    for i in unrecoverable:
        assert np.abs(seen[i].left.mean(axis=(0, 1)) - clean[i].mean(axis=(0, 1))).max() < 6
        assert np.abs(seen[i].left.astype(int) - seen[i - 1].left).mean() > 2
    assert np.array_equal(seen[-1].left, clean[-1])


def test_no_frame_waits_until_opencv_has_filled_its_lab_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    film, convert = pan(100), cv2.cvtColor

    def without_lab(picture: Picture, code: int, *rest: Any, **named: Any) -> Any:
        assert code not in {cv2.COLOR_RGB2Lab, cv2.COLOR_Lab2RGB, cv2.COLOR_LRGB2Lab, cv2.COLOR_Lab2LRGB}
        return convert(picture, code, *rest, **named)

    clean = [stylize(frame) for frame in film]
    drifting = [x.copy() for x in clean[:60]]
    for i, frame in enumerate(drifting[26:]):
        frame[..., 0] = np.minimum(frame[..., 0], 255 - i // 2) + np.uint8(i // 2)
    styled = [*drifting, *(np.zeros_like(x) for x in clean[60:70]), *clean[70:]]
    monkeypatch.setattr(cv2, "cvtColor", without_lab)
    seen = run(film, styled)
    assert any(Kind.DRIFT in each.anomaly.kinds for each in seen)
    assert any(each.action.name == "input in the painting's colours" for each in seen)


def test_the_past_is_not_shown_across_a_cut() -> None:
    film = [*pan(20), *pan(20, seed=9)]
    styled = [stylize(frame) for frame in film]
    styled[20] = np.zeros_like(styled[20])
    seen = run(film, styled)
    assert seen[20].anomaly.cut
    assert np.array_equal(seen[20].left, styled[20])


def test_another_size_resets() -> None:
    detector = ResidualDetector()
    for size in [(180, 320), (96, 64), (360, 640), (41, 97)]:
        for gain in (1.0, 1.0):
            frame = gained(np.ascontiguousarray(cv2.resize(texture(3), size[::-1])), gain)
            assert not detector.detect(frame, stylize(frame)).flagged
            detector.commit(stylize(frame), touched=False)


def test_detect_has_no_effect_and_commit_needs_it() -> None:
    source = pan(14)
    detector = ResidualDetector()
    with pytest.raises(RuntimeError, match="detect"):
        detector.commit(source[0], touched=False)
    for frame in source[:13]:
        detector.detect(frame, stylize(frame))
        detector.commit(stylize(frame), touched=False)
    hit = gained(stylize(source[13]), 1.05)
    first, second = detector.detect(source[13], hit), detector.detect(source[13], hit)
    assert first.scores == second.scores
    assert np.array_equal(first.luma_gain, second.luma_gain)


def test_two_runs_give_the_same_frames() -> None:
    source = pan(16)
    raw = [gained(stylize(f), 1.05 if t % 3 == 0 else 1.0) for t, f in enumerate(source)]
    one, two = run(source, raw), run(source, raw)
    assert all(np.array_equal(a.left, b.left) for a, b in zip(one, two, strict=True))
    assert [a.anomaly.scores for a in one] == [b.anomaly.scores for b in two]
