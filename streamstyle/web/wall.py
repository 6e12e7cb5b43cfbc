"""The wall of styles: each painted from the picture that comes in just now, small and in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from streamstyle.errors import StreamStyleError
from streamstyle.flow import Event, Future
from streamstyle.types import Picture
from streamstyle.web.pictures import jpeg

WIDTH, HEIGHT = 176, 112
"""Size of a thumbnail in pixels."""

PAUSE = 0.15
"""Seconds between two thumbnails: the wall takes a few percent of one processor."""

_POLL_SECONDS = 0.05  # between two checks for a picture, while there are viewers and none comes

Painter = Callable[[Picture, str], Picture]
"""Paints a picture of (HEIGHT, WIDTH, 3) in a style of this name. Raises StreamStyleError."""


class StyleWall:
    """Thumbnails of all styles on a thread of their own, while there are viewers and pictures.

    thumbnails: JPEG by style, those painted so far. version: counts them.
    """

    def __init__(
        self,
        names: Callable[[], Sequence[str]],
        open_painter: Callable[[], Painter],
        source: Callable[[], Picture | None],
        first: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """names: returns the styles, called each round. open_painter: called on the wall's own thread, at the
        first picture. source: returns the newest picture, or None. first: JPEG files to show until a style is
        painted."""
        self._names, self._open_painter, self._source = names, open_painter, source
        self.thumbnails = {name: (1, data) for name, data in first.items()}
        self.version = 1
        self.why = ""
        self._viewers = 0
        self._watched, self._closed = Event(), Event()
        self._work = Future(self._run, "wall")

    def after(self, version: int) -> Iterator[tuple[str, bytes]]:
        """Thumbnails that are newer than this version."""
        for name, (painted, data) in list(self.thumbnails.items()):
            if painted > version:
                yield name, data

    def watch(self, *, on: bool) -> None:
        """Count a viewer that comes or goes."""
        self._viewers += 1 if on else -1
        if self._viewers:
            self._watched.set()
        else:
            self._watched.clear()

    def close(self) -> None:
        """Paint no more."""
        self._closed.set()
        self._watched.set()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"version": self.version, "why": self.why}

    def _run(self) -> None:
        paint: Painter | None = None
        painted_so_far = 0
        while not self._closed.is_set():
            names = self._names()
            for name in names:
                picture = self._next_picture()
                if picture is None:
                    return
                try:
                    paint = paint or self._open_painter()
                    painted = paint(cropped(picture), name)
                except StreamStyleError as error:
                    self.why = str(error)
                    return
                self.version += 1
                self.thumbnails[name] = self.version, jpeg(painted, None)
                painted_so_far += 1
                self._closed.wait(PAUSE if painted_so_far > len(names) else 0.0)

    def _next_picture(self) -> Picture | None:
        """The picture to paint next; None at the end."""
        while not self._closed.is_set():
            self._watched.wait()
            picture = self._source()
            if picture is not None and not self._closed.is_set():
                return picture
            self._closed.wait(_POLL_SECONDS)
        return None


def cropped(picture: Picture) -> Picture:
    """The middle of a picture, (HEIGHT, WIDTH, 3)."""
    height, width = picture.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    w, h = min(width, round(WIDTH / scale)), min(height, round(HEIGHT / scale))
    top, left = (height - h) // 2, (width - w) // 2
    middle = picture[top : top + h, left : left + w]
    return cv2.resize(middle, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
