"""Faults of a styled video, added to a clean one on purpose.

Amplitudes are relative (gain), RMS in 0..1 (texture), dE of CIE Lab per frame (drift) or shares of the area.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.types import Picture

Film = list[Picture]
Mask = NDArray[np.bool_]
Paint = Callable[[Film], Film]
PaintModulated = Callable[[Film, Sequence[float]], Film]
BURSTS = (1, 2, 6, 12)
LONG_BURST = 60  # frames of a burst that outlasts what a repair may hold
BURST_GAP = 14  # frames between bursts: more than the detector's memory for flicker


@dataclass(frozen=True)
class Injected:
    """A film with an injected anomaly."""

    frames: Film
    """The film after the injection."""
    hit: NDArray[np.bool_]
    """bool (n,), frames that differ from the clean film."""
    onset: NDArray[np.bool_]
    """bool (n,), frames on which an alarm is due."""
    masks: list[Mask]
    """bool (H, W) for each frame."""


@dataclass(frozen=True)
class Injection:
    """An anomaly that is injected into painted films."""

    name: str
    """Name for the tables."""
    family: str
    """The family that should notice it, one of `runs.FAMILIES`."""
    apply: Callable[[Film, int, np.random.Generator], Injected]
    """Makes the injected film of a film, the first frame that may be hit and a generator."""
    amplitude: float = 0.0
    """Amplitude in the unit of its kind."""
    series: str = ""
    """Name shared by injections that differ in their amplitude alone; empty where no other does."""


def bursts(frames: int, first: int, lengths: Sequence[int] = BURSTS) -> list[range]:
    """Bursts of these lengths in turn from `first` on, as many as fit; of one length, one."""
    if len(lengths) == 1:
        return [range(first, min(first + lengths[0], frames))]
    found, at = [], first
    for length in tuple(lengths) * frames:
        if at + length > frames:
            break
        found.append(range(at, at + length))
        at += length + BURST_GAP
    return found


def gained(picture: Picture, gain: float | NDArray[np.float32]) -> Picture:
    """A picture times a gain, rounded and clipped."""
    return np.rint(np.clip(picture * np.asarray(gain, np.float32), 0, 255)).astype(np.uint8)


def alternating_gain(amplitude: float, *, long: bool = False) -> Injection:
    """The whole frame brighter and darker in turn. long: in one burst of LONG_BURST frames."""

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        signs = _signs(len(film), first, (LONG_BURST,) if long else BURSTS)
        return _changed(film, signs != 0, lambda i, x: gained(x, 1 + amplitude * signs[i]))

    if long:
        return Injection(f"gain {amplitude:.0%} for {LONG_BURST} frames", "frame", apply)
    return Injection(f"gain {amplitude:.0%}", "frame", apply, amplitude, "gain")


def sine_gain(amplitude: float, cycle: float = 5) -> Injection:
    """A pulse of the whole frame with a period of `cycle` frames, 2 or more."""

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        wave = amplitude * np.sin(2 * np.pi * (np.arange(len(film)) + 0.5) / cycle)
        wave[:first] = 0
        return _changed(film, np.abs(wave) > amplitude / 4, lambda i, x: gained(x, 1 + wave[i]))

    often = "" if cycle == 5 else f" every {cycle:g} frames"
    return Injection(f"pulse {amplitude:.0%}{often}", "frame", apply)


def gamma(amplitude: float) -> Injection:
    """Another tone curve in turn: values to the power 1 +- amplitude."""

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        signs = _signs(len(film), first, BURSTS)

        def curve(index: int, x: Picture) -> Picture:
            table = 255 * (np.arange(256) / 255) ** (1 + amplitude * signs[index])
            return np.asarray(cv2.LUT(x, np.rint(table).astype(np.uint8)), np.uint8)

        return _changed(film, signs != 0, curve)

    return Injection(f"gamma {amplitude:.0%}", "frame", apply)


def window_gain(amplitude: float, *, long: bool = False) -> Injection:
    """Brighter for the length of a burst; alarms are due where it comes. long: one of LONG_BURST frames."""

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        hit, onset = _windows(len(film), first, (LONG_BURST,) if long else BURSTS)
        return _changed(film, hit, lambda _i, x: gained(x, 1 + amplitude), onset=onset)

    name = f"window {amplitude:.0%}"
    return Injection(f"{name} for {LONG_BURST} frames" if long else name, "frame", apply)


def window_offset(amplitude: float) -> Injection:
    """Lighter by this share of white, the darkest places too, for 2, 6 and 12 frames."""

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        hit, onset = _windows(len(film), first, BURSTS[1:])
        level = np.full_like(film[0], round(255 * amplitude))
        return _changed(film, hit, lambda _i, x: np.asarray(cv2.add(x, level), np.uint8), onset=onset)

    return Injection(f"offset {amplitude:.0%}", "frame", apply)


def modulated_statistics(amplitude: float, source: Film, paint: PaintModulated) -> Injection:
    """Instance normalisation inside the network believes in other statistics: mean and deviation of every
    layer times 1 +- amplitude in turn. source: the input of the film. paint: with a factor for each frame.
    """

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        signs = _signs(len(film), first, BURSTS)
        hit = [int(i) for i in np.flatnonzero(signs)]
        painted = paint([source[i] for i in hit], [1 + amplitude * float(signs[i]) for i in hit])
        changed = dict(zip(hit, painted, strict=True))
        return _changed(film, signs != 0, lambda i, _x: changed[i])

    return Injection(f"statistics {amplitude:.0%}", "frame", apply, amplitude, "statistics")


def restyled_patch(area: float, source: Film, paint: Paint) -> Injection:
    """A rectangle of this share of the area in another style, for the length of a burst.

    source: the input of the film. paint: in the other style.
    """

    def apply(film: Film, first: int, rng: np.random.Generator) -> Injected:
        hit, onset = _windows(len(film), first, BURSTS)
        mask = _rectangle(film[0].shape[:2], area, rng)
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 4)
        where = [int(i) for i in np.flatnonzero(hit)]
        other = dict(zip(where, paint([source[i] for i in where]), strict=True))

        def mix(index: int, x: Picture) -> Picture:
            return np.asarray(cv2.blendLinear(other[index], x, soft, 1 - soft), np.uint8)

        return _changed(film, hit, mix, onset=onset, masks=[mask] * len(film))

    return Injection(f"other style in {area:.1%}", "style", apply)


def patch_gain(area: float, amplitude: float, *, moving: bool = False) -> Injection:
    """A rectangle of this share of the area brighter and darker in turn, its edge softened over 8 pixels."""

    def apply(film: Film, first: int, rng: np.random.Generator) -> Injected:
        signs = _signs(len(film), first, BURSTS)
        still = _rectangle(film[0].shape[:2], area, rng)
        masks = [still] * len(film)
        if moving:
            columns = np.flatnonzero(still.any(axis=0))
            free = still.shape[1] - len(columns) + 1
            ways = ((columns[0] + 4 * index) % free - columns[0] for index in range(len(film)))
            masks = [np.roll(still, way, axis=1) for way in ways]

        def brighten(index: int, x: Picture) -> Picture:
            soft = cv2.GaussianBlur(masks[index].astype(np.float32), (0, 0), 4)[..., None]
            return gained(x, 1 + np.float32(amplitude * signs[index]) * soft)

        return _changed(film, signs != 0, brighten, masks=masks)

    kind = f"{'moving ' * moving}patch"
    return Injection(f"{kind} {area:.1%} of {amplitude:.0%}", "step", apply, area, kind)


def texture(rms: float) -> Injection:
    """Strokes drawn again in every frame: noise of 2 to 8 pixels, of this RMS."""

    def apply(film: Film, first: int, rng: np.random.Generator) -> Injected:
        hit, _ = _windows(len(film), first, BURSTS)

        def swim(_index: int, x: Picture) -> Picture:
            noise = rng.standard_normal(x.shape[:2]).astype(np.float32)
            grain = cv2.GaussianBlur(noise, (0, 0), 1.2) - cv2.GaussianBlur(noise, (0, 0), 4)
            grain *= np.float32(255 * rms) / grain.std()
            return np.asarray(np.rint(np.clip(x + grain[..., None], 0, 255)), np.uint8)

        return _changed(film, hit, swim)

    return Injection(f"texture {rms:g}", "texture", apply, rms, "texture")


def chroma_ramp(rate: float) -> Injection:
    """All colours move by `rate` dE a frame in (a, b) from the first frame on."""

    def apply(film: Film, first: int, rng: np.random.Generator) -> Injected:
        angle = rng.uniform(0, 2 * np.pi)
        way = np.array([0, np.cos(angle), np.sin(angle)], np.float32)
        hit = np.arange(len(film)) >= first

        def shift(index: int, x: Picture) -> Picture:
            lab = cv2.cvtColor(x.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
            rgb = cv2.cvtColor(lab + way * np.float32(rate * (index - first + 1)), cv2.COLOR_Lab2RGB)
            return np.rint(np.clip(rgb * 255, 0, 255)).astype(np.uint8)

        return _changed(film, hit, shift)

    return Injection(f"drift {rate:g} dE", "drift", apply, rate, "drift")


def damage(name: str) -> Injection:
    """A frame that is a `duplicate` of the one before, `black`, `blocks` of another place, `blur`red or
    bent (`elastic`); one every BURST_GAP frames."""

    def apply(film: Film, first: int, rng: np.random.Generator) -> Injected:
        hit = np.zeros(len(film), np.bool_)
        hit[first :: BURST_GAP + 1] = True

        def harm(index: int, x: Picture) -> Picture:
            return _DAMAGE[name](film, index, x, rng)

        return _changed(film, hit, harm)

    return Injection(name, "damage", apply)


def _blocks(x: Picture, rng: np.random.Generator) -> Picture:
    broken = x.copy()
    height, width = x.shape[:2]
    for _ in range(24):
        top, left = rng.integers(0, height - 32), rng.integers(0, width - 64)
        y, z = rng.integers(0, height - 32), rng.integers(0, width - 64)
        broken[top : top + 32, left : left + 64] = x[y : y + 32, z : z + 64]
    return broken


def _elastic(x: Picture, rng: np.random.Generator) -> Picture:
    height, width = x.shape[:2]
    field = rng.standard_normal((2, height, width)).astype(np.float32)
    bend = [cv2.GaussianBlur(f, (0, 0), 20) for f in field]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    at = [g + 6 * b / b.std() for g, b in zip((columns, rows), bend, strict=True)]
    return np.asarray(cv2.remap(x, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8)


_DAMAGE: dict[str, Callable[[Film, int, Picture, np.random.Generator], Picture]] = {
    "duplicate": lambda film, index, _x, _rng: film[index - 1].copy(),
    "black": lambda _film, _index, x, _rng: np.zeros_like(x),
    "blocks": lambda _film, _index, x, rng: _blocks(x, rng),
    "blur": lambda _film, _index, x, _rng: np.asarray(cv2.GaussianBlur(x, (0, 0), 4), np.uint8),
    "elastic": lambda _film, _index, x, rng: _elastic(x, rng),
}


def _signs(frames: int, first: int, lengths: Sequence[int]) -> NDArray[np.float64]:
    """+1 and -1 in turn inside bursts, 0 outside."""
    signs = np.zeros(frames)
    for burst in bursts(frames, first, lengths):
        for step, index in enumerate(burst):
            signs[index] = 1 if step % 2 == 0 else -1
    return signs


def _windows(frames: int, first: int, lengths: Sequence[int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Frames inside bursts, and the first frame of each: bool (n,) both."""
    hit, onset = np.zeros((2, frames), np.bool_)
    for burst in bursts(frames, first, lengths):
        hit[list(burst)] = True
        onset[burst.start] = True
    return hit, onset


def _rectangle(size: tuple[int, ...], area: float, rng: np.random.Generator) -> Mask:
    """A rectangle of this share of (H, W) somewhere, in the proportions of the picture."""
    height, width = size
    h, w = round(height * area**0.5), round(width * area**0.5)
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + h, left : left + w] = True
    return mask


def _changed(
    film: Film,
    hit: NDArray[np.bool_],
    change: Callable[[int, Picture], Picture],
    *,
    onset: NDArray[np.bool_] | None = None,
    masks: Sequence[Mask] | None = None,
) -> Injected:
    frames = [change(i, x) if hit[i] else x for i, x in enumerate(film)]
    whole = np.ones(film[0].shape[:2], np.bool_)
    none = np.zeros(film[0].shape[:2], np.bool_)
    everywhere = [whole if h else none for h in hit]
    where = everywhere if masks is None else [m if h else none for m, h in zip(masks, hit, strict=True)]
    return Injected(frames, hit, hit if onset is None else onset, where)
