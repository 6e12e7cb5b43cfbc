"""What goes wrong with a styled video, done to a clean one on purpose.

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
BURSTS = (1, 2, 6, 12)
GAP = 14  # frames between bursts: longer than what tells flicker from a pop has to be remembered


@dataclass(frozen=True)
class Injected:
    """frames: the film with what was done to it. hit: bool (n,), frames that differ from the clean film.
    onset: bool (n,), frames on which an alarm is due. masks: bool (H, W) of each frame."""

    frames: Film
    hit: NDArray[np.bool_]
    onset: NDArray[np.bool_]
    masks: list[Mask]


@dataclass(frozen=True)
class Injection:
    """name: for the tables. family: "step", "texture", "drift" or "damage", what should notice it.
    apply: film, first frame that may be hit and a generator to the injected film."""

    name: str
    family: str
    apply: Callable[[Film, int, np.random.Generator], Injected]


def bursts(frames: int, first: int) -> list[range]:
    """Bursts of 1, 2, 6 and 12 frames from `first` on, as many as fit."""
    found, at = [], first
    for length in BURSTS * frames:
        if at + length > frames:
            break
        found.append(range(at, at + length))
        at += length + GAP
    return found


def gained(picture: Picture, gain: float | NDArray[np.float32]) -> Picture:
    """A picture times a gain, rounded and clipped."""
    return np.rint(np.clip(picture * np.asarray(gain, np.float32), 0, 255)).astype(np.uint8)


def alternating_gain(amplitude: float) -> Injection:
    """The whole frame brighter and darker in turn."""

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        signs = _signs(len(film), first)
        return _changed(film, signs != 0, lambda i, x: gained(x, 1 + amplitude * signs[i]))

    return Injection(f"gain {amplitude:.0%}", "step", apply)


def sine_gain(amplitude: float, cycle: int = 5) -> Injection:
    """A pulse of the whole frame with a period of `cycle` frames."""

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        wave = amplitude * np.sin(2 * np.pi * np.arange(len(film)) / cycle)
        wave[:first] = 0
        return _changed(film, np.abs(wave) > amplitude / 4, lambda i, x: gained(x, 1 + wave[i]))

    return Injection(f"pulse {amplitude:.0%}", "step", apply)


def gamma(amplitude: float) -> Injection:
    """Another tone curve in turn: values to the power 1 +- amplitude."""

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        signs = _signs(len(film), first)

        def curve(index: int, x: Picture) -> Picture:
            table = 255 * (np.arange(256) / 255) ** (1 + amplitude * signs[index])
            return np.asarray(cv2.LUT(x, np.rint(table).astype(np.uint8)), np.uint8)

        return _changed(film, signs != 0, curve)

    return Injection(f"gamma {amplitude:.0%}", "step", apply)


def window_gain(amplitude: float) -> Injection:
    """Brighter for the length of a burst; alarms are due where it comes."""

    def apply(film: Film, first: int, _rng: np.random.Generator) -> Injected:
        hit, onset = np.zeros((2, len(film)), np.bool_)
        for burst in bursts(len(film), first):
            hit[list(burst)] = True
            onset[burst.start] = True
        return _changed(film, hit, lambda _i, x: gained(x, 1 + amplitude), onset=onset)

    return Injection(f"window {amplitude:.0%}", "step", apply)


def patch_gain(area: float, amplitude: float, *, moving: bool = False) -> Injection:
    """A rectangle of this share of the area brighter and darker in turn, its edge softened over 8 pixels."""

    def apply(film: Film, first: int, rng: np.random.Generator) -> Injected:
        signs = _signs(len(film), first)
        height, width = film[0].shape[:2]
        h, w = round(height * area**0.5), round(width * area**0.5)
        top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        masks = []
        for index in range(len(film)):
            x = (left + 4 * index * moving) % (width - w + 1)
            mask = np.zeros((height, width), np.bool_)
            mask[top : top + h, x : x + w] = True
            masks.append(mask)

        def brighten(index: int, x: Picture) -> Picture:
            soft = cv2.GaussianBlur(masks[index].astype(np.float32), (0, 0), 4)[..., None]
            return gained(x, 1 + np.float32(amplitude * signs[index]) * soft)

        return _changed(film, signs != 0, brighten, masks=masks)

    return Injection(f"{'moving ' * moving}patch {area:.1%} of {amplitude:.0%}", "step", apply)


def texture(rms: float) -> Injection:
    """Strokes drawn anew in every frame: noise of 2 to 8 pixels, of this RMS."""

    def apply(film: Film, first: int, rng: np.random.Generator) -> Injected:
        hit = np.zeros(len(film), np.bool_)
        for burst in bursts(len(film), first):
            hit[list(burst)] = True

        def swim(_index: int, x: Picture) -> Picture:
            noise = rng.standard_normal(x.shape[:2]).astype(np.float32)
            grain = cv2.GaussianBlur(noise, (0, 0), 1.2) - cv2.GaussianBlur(noise, (0, 0), 4)
            grain *= np.float32(255 * rms) / grain.std()
            return np.asarray(np.rint(np.clip(x + grain[..., None], 0, 255)), np.uint8)

        return _changed(film, hit, swim)

    return Injection(f"texture {rms:g}", "texture", apply)


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

    return Injection(f"drift {rate:g} dE", "drift", apply)


def damage(name: str) -> Injection:
    """A frame that is a `duplicate` of the one before, `black`, `blocks` of another place, `blur`red or
    bent (`elastic`); one every GAP frames."""

    def apply(film: Film, first: int, rng: np.random.Generator) -> Injected:
        hit = np.zeros(len(film), np.bool_)
        hit[first :: GAP + 1] = True

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


def _signs(frames: int, first: int) -> NDArray[np.float64]:
    """+1 and -1 in turn inside bursts, 0 outside."""
    signs = np.zeros(frames)
    for burst in bursts(frames, first):
        for step, index in enumerate(burst):
            signs[index] = 1 if step % 2 == 0 else -1
    return signs


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
