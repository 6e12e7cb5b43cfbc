"""`--overlay`: findings and repairs drawn into each frame for viewers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from streamstyle.explain.tint import WARM, outline_, tint_
from streamstyle.types import Action, AnomalyMap, Frame, Kind, Picture

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MIN_UNIT = 0.8  # unit below which text cannot be read
_LINE_UNITS = 28  # units that a line of text with its bar is high
_NAME_UNITS = 51  # units that "distortion" is wide: the fonts of OpenCV 4 and 5 differ
_WIDEST_TEXT = "colour re-match 8.8"
_HOLD_SECONDS = 1.0  # seconds that lamps, peaks and words stay after their frame, to be read
_BAR_END = 2.0  # score over threshold at the end of a bar
_STRIP_LIGHT = 0.2  # share that is left of the picture under the strip

_DIM, _LIT = np.array([155, 160, 168]), np.array([255, 255, 255])
_TRACK, _BAR, _MARK = (70, 74, 80), (104, 176, 190), (225, 225, 225)

_FIGURES: Mapping[str, Callable[[Mapping[str, float]], str]] = {
    "tile gain": lambda f: f"x {f['gain']:.2f}",
    "colour re-match": lambda f: f"{f['offset']:.1f}",
    "flow blend": lambda f: f"{f['past']:.0%}",
    "fallback": lambda f: f"{f['past']:.0%}",
}


def short_words(action: Action) -> list[str]:
    """The repairs in short form, one entry each: "tile gain x 0.94"."""
    if not action.touched:
        return ["nothing done"]
    done = []
    for name in action.name.split(" + "):
        figure = _FIGURES.get(name)
        done.append(name if figure is None else f"{name} {figure(action.figures)}")
    return done


@dataclass(frozen=True)
class Layout:
    """Positions of the strip's parts in a frame of one size, in pixels."""

    size: tuple[int, int]
    """(height, width) of the frame."""
    unit: float
    """Size of one pixel of a frame that is 640 wide."""
    scale: float
    """Scale of the font, as `cv2.putText` takes it."""
    top: int
    """First row of the strip."""
    bars: tuple[int, int]
    """Upper left corner of the first bar's cell."""
    cell: tuple[int, int]
    """(width, height) of each bar's cell."""
    words: tuple[int, int] | None
    """Upper left corner of the words; None if there is no room for text."""
    lamps: int
    """Left edge of "cut" and "event", beside the words."""


def layout(height: int, width: int) -> Layout:
    """Layout of the strip: one line if that fits, otherwise words above bars; only bars in tiny frames."""
    size = height, width
    unit = max(_MIN_UNIT, min(width / 640, height / 200))
    scale = unit * _NAME_UNITS / cv2.getTextSize("distortion", _FONT, 1.0, 1)[0][0]

    def widest(*texts: str) -> int:
        return max(cv2.getTextSize(text, _FONT, scale, _thickness(unit))[0][0] for text in texts)

    gap, line = round(4 * unit), round(_LINE_UNITS * unit)
    cell, words = widest(*Kind) + 2 * gap, widest(_WIDEST_TEXT)
    lamps, beside = width - gap - widest("cut", "event"), gap + cell * len(Kind)
    if beside > width or height < 4 * line:
        line = max(4, height // 8)
        cell, top = (width - 2) // len(Kind), height - line
        return Layout(size, line / _LINE_UNITS, scale, top, (1, top), (cell, line), None, lamps)
    if beside + words + gap <= lamps:
        top = height - line
        return Layout(size, unit, scale, top, (gap, top), (cell, line), (beside, top), lamps)
    top = height - 2 * line
    return Layout(size, unit, scale, top, (gap, top + line), (cell, line), (gap, top), lamps)


class Overlay:
    """Draws over frames of one film, in order.

    In the picture, tiles of a flagged frame are tinted (orange: brighter than the input explains, blue:
    darker, yellow: changed otherwise), and the flagged ones outlined. The strip shows each kind's score over
    its threshold, with a mark at 1 and its peak of the last second; "cut" and "event"; and the repair. Above
    the strip, a frame without findings stays unchanged, bit for bit.
    """

    def __init__(self) -> None:
        self._layout = layout(1, 1)
        self._peaks = dict.fromkeys(Kind, 0.0)
        self._time = 0.0
        self._lit: dict[str, float] = {}
        self._words: list[str] = []

    def draw_(self, frame: Frame, styled: Picture, anomaly: AnomalyMap, action: Action) -> None:
        """Draw over `styled`, RGB uint8 (H, W, 3), in place. anomaly, action: of this very frame."""
        if self._layout.size != styled.shape[:2]:
            self._layout = layout(*styled.shape[:2])
        ratios = {kind: anomaly.scores[kind] / anomaly.thresholds[kind] for kind in Kind}
        self._remember(frame.time, ratios, anomaly, action)
        tint_(styled, anomaly)
        outline_(styled, anomaly, self._layout.top)
        strip = styled[self._layout.top :]
        cv2.convertScaleAbs(strip, strip, _STRIP_LIGHT)
        for index, (kind, ratio) in enumerate(ratios.items()):
            self._bar_(styled, index, kind, ratio)
        self._words_(styled)

    def _remember(
        self, time: float, ratios: Mapping[Kind, float], anomaly: AnomalyMap, action: Action
    ) -> None:
        fall = max(0.0, time - self._time) * _BAR_END / _HOLD_SECONDS
        self._peaks = {kind: max(ratio, self._peaks[kind] - fall) for kind, ratio in ratios.items()}
        self._time = time
        lamps = {"cut": anomaly.cut, "event": anomaly.event}
        on = [*map(str, anomaly.kinds), *(name for name, now in lamps.items() if now)]
        self._lit.update(dict.fromkeys(on, time))
        if anomaly.flagged:
            self._words, self._lit["words"] = short_words(action), time

    def _glow(self, name: str) -> float:
        """1 in the frame that lit the lamp, 0 from a second later on."""
        return min(1.0, max(0.0, 1 - (self._time - self._lit.get(name, -np.inf)) / _HOLD_SECONDS))

    def _bar_(self, picture: Picture, index: int, kind: Kind, ratio: float) -> None:
        place = self._layout
        (left, top), (cell, line) = place.bars, place.cell
        left += index * cell
        length = max(1, cell - max(1, round(8 * place.unit)))
        thick = max(2, round(6 * place.unit))
        upper = top + line - thick - max(1, round(5 * place.unit))

        def at(value: float) -> int:
            return left + round(min(value, _BAR_END) / _BAR_END * (length - 1))

        def box(first: int, last: int, colour: tuple[int, int, int], over: int = 0) -> None:
            cv2.rectangle(
                picture, (first, upper - over), (last, upper + thick - 1 + over), colour, cv2.FILLED
            )

        tick = max(0, round(place.unit) - 1)
        box(left, left + length - 1, _TRACK)
        if ratio > 0:
            box(left, at(ratio), WARM if ratio > 1 else _BAR)
        peak = self._peaks[kind]
        if peak > ratio:
            box(at(peak) - tick, at(peak), WARM if peak > 1 else _BAR)
        box(at(1) - tick, at(1), _MARK, over=max(1, round(2 * place.unit)))
        if place.words is not None:
            self._text_(picture, str(kind), (left, top), 0, self._glow(kind), np.array(WARM))

    def _words_(self, picture: Picture) -> None:
        place = self._layout
        if place.words is None:
            return
        for line, name in enumerate(("cut", "event")):
            self._text_(picture, name, (place.lamps, place.words[1]), line, self._glow(name))
        glow = self._glow("words")
        for line, text in enumerate(self._words[:2] if glow else ["nothing found"]):
            self._text_(picture, text, place.words, line, glow)

    def _text_(
        self,
        picture: Picture,
        text: str,
        corner: tuple[int, int],
        line: int,
        glow: float,
        lit: np.ndarray = _LIT,
    ) -> None:
        """Write on the first or second line of the strip's part at `corner`."""
        place = self._layout
        at = corner[0], corner[1] + round((11 + 12 * line) * place.unit)
        colour = tuple(map(int, _DIM + glow * (lit - _DIM)))
        cv2.putText(picture, text, at, _FONT, place.scale, colour, _thickness(place.unit), cv2.LINE_AA)


def _thickness(unit: float) -> int:
    return max(1, round(unit))
