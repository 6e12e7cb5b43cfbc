"""A film and another program's painting of it, read side by side as source and engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Self

import cv2
import numpy as np

from streamstyle.errors import ConfigError, EngineError
from streamstyle.types import (
    EngineSpec,
    Frame,
    InferenceFuture,
    MediaReport,
    Picture,
    Source,
    StreamInfo,
    StyleCondition,
)
from streamstyle.urls import masked


class PaintedPair:
    """Implements `Source`: the original's pictures in the size and at the times of the painted film.

    The painted pictures wait in `painted` until the engine asks for them. The sound is the painted film's, or
    else the original's. Raises ConfigError while reading if one film ends before the other.
    """

    def __init__(self, original: Source, styled: Source) -> None:
        self._original, self._styled = original, styled
        self.painted: deque[Picture] = deque()

    @property
    def info(self) -> StreamInfo:
        """Stream of the painted film; `url` is the source of the sound."""
        info, original = self._styled.info, self._original.info
        if info.audio_streams == 0 and original.audio_streams:
            return replace(info, url=original.url, audio_streams=original.audio_streams)
        return info

    def __enter__(self) -> Self:
        self._original.__enter__()
        try:
            self._styled.__enter__()
        except BaseException as error:
            self._original.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._styled.__exit__(*error)
        finally:
            self._original.__exit__(*error)

    def __iter__(self) -> Iterator[Frame]:
        for index, (before, after) in enumerate(zip_longest(self._original, self._styled)):
            if before is None or after is None:
                raise self._uneven(index, original_ended=before is None)
            height, width = after.pixels.shape[:2]
            pixels = before.pixels
            if pixels.shape != after.pixels.shape:
                resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
                pixels = np.asarray(resized, np.uint8)
            self.painted.append(after.pixels)
            yield replace(after, pixels=pixels)

    def _uneven(self, frames: int, *, original_ended: bool) -> ConfigError:
        names = masked(self._original.info.url), masked(self._styled.info.url)
        short, long = names if original_ended else names[::-1]
        return ConfigError(
            f"{short} ends after {frames} frames and {long} goes on: give a film and its painted film with "
            f"the same frames, or repair the first ones with --frames {frames}."
        )

    def report(self) -> MediaReport:
        """Counters and notes of both films."""
        original, styled = self._original.report(), self._styled.report()
        return MediaReport(dict(styled.counters), (*original.notes, *styled.notes))


class PaintedEngine:
    """Implements `Engine`: returns the other program's pictures, in order."""

    spec = EngineSpec("painted film", "uint8", "file", in_flight=0)
    busy_seconds = 0.0

    def __init__(self, painted: deque[Picture]) -> None:
        self._painted = painted

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:  # noqa: ARG002 - it is painted already
        """The painting of the next frame, a picture that the caller owns."""
        if not self._painted:
            raise EngineError("a frame was asked for that the painted film has not shown yet")
        painted = self._painted.popleft().copy()
        return InferenceFuture(lambda: painted)

    def close(self) -> None:
        """Do nothing: there is nothing to free."""
