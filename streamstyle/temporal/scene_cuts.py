"""The frames that begin a shot, as all that keeps a past decides: there a film can be split."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from streamstyle.temporal.cuts import CutConfig, is_return, small_luma
from streamstyle.temporal.detector import ResidualDetector
from streamstyle.temporal.motion import Analysis, analysis_picture, analysis_size
from streamstyle.temporal.scene_smoothing import SceneSmoothing
from streamstyle.types import Frame


def scene_cuts(frames: Iterable[Frame]) -> Iterator[int]:
    """Time stamps of the first frames of shots, without the first frame of all.

    A cut is a frame where `SceneSmoothing` finds one (there the engine forgets its statistics) and
    `ResidualDetector` as well. If the frame after it shows the shot before, it is no cut but a flash.
    """
    smoothing, last = SceneSmoothing(1.0), deque[tuple[Frame, bool]](maxlen=3)
    flash: Frame | None = None
    for frame in frames:
        last.append((frame, smoothing.of(frame) == 0))
        if len(last) < 3 or not last[1][1]:
            continue
        before, now, after = (each for each, _ in last)
        if before is flash:
            continue  # the shot that was there before it
        if _returns(before, now, after):
            flash = now
        elif _is_cut(before, now):
            yield now.pts


def _is_cut(before: Frame, now: Frame) -> bool:
    detector = ResidualDetector()
    detector.detect(before.pixels, before.pixels)
    detector.commit(before.pixels, touched=False)
    return detector.detect(now.pixels, now.pixels).cut


def _returns(before: Frame, now: Frame, after: Frame) -> bool:
    size = analysis_size(*now.pixels.shape[:2])
    shot, flash, then = (
        small_luma(Analysis(analysis_picture(frame.pixels, size)).luma) for frame in (before, now, after)
    )
    return is_return(then, flash, shot, CutConfig())
