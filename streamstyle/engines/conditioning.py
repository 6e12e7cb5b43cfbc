"""Inputs of the network besides the frame: two style codes, the mask between them, the canvas."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.padding import Padding
from streamstyle.errors import EngineError
from streamstyle.nets.noise import SIZE_MULTIPLE, Fields, fields
from streamstyle.types import FramePart, StyleCondition


class Conditioning:
    """Turns conditions into inputs for frames of one size; an unchanged condition costs nothing per frame.

    stateful: conditions may set `ema_decay`.
    """

    def __init__(self, padding: Padding, code_size: int, *, stateful: bool = False) -> None:
        self._padding = padding
        self._code_size = code_size
        self._stateful = stateful
        height, width = padding.padded_size
        self._frame = FramePart((height, width), (0, 0))
        self._drawn = self._frame.size, fields(height, width)
        self._shift = (0.0, 0.0)
        self._fields: dict[FramePart, Fields] = {}
        self._canvases: dict[FramePart, NDArray[np.float32]] = {}
        self._no_mask = np.zeros((1, 1, height // 2, width // 2), np.uint8)
        self._condition: StyleCondition | None = None
        self._inputs: tuple[NDArray[np.float32], NDArray[np.uint8]] | None = None

    def of(self, condition: StyleCondition) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """codes float32 (1, 2, size) and mask uint8 (1, 1, H/2, W/2) of the padded size.

        The arrays are never changed, because frames in flight still use them. Raises EngineError if the
        condition does not fit the network or the frame.
        """
        if self._inputs is None or condition is not self._condition:
            self._check(condition.ema_decay)
            self._inputs = self._codes(condition.codes), self._halved(condition.mask)
            self._condition = condition
        return self._inputs

    def fields_of(self, condition: StyleCondition) -> Fields:
        """The fields under a picture, of the padded size; the same object while part and shift stay."""
        part = condition.part or self._frame
        if condition.canvas_shift != self._shift:
            self._shift = condition.canvas_shift
            self._fields, self._canvases = {}, {}
        if part not in self._fields:
            if part.size != self._drawn[0]:
                self._drawn = part.size, fields(*part.size)
            top, left = (
                (at - moved) / SIZE_MULTIPLE for at, moved in zip(part.origin, self._shift, strict=True)
            )
            rows, columns = (side // SIZE_MULTIPLE for side in self._padding.padded_size)
            self._fields[part] = self._drawn[1].window(top, left, rows, columns)
        return self._fields[part]

    def canvas_of(self, condition: StyleCondition) -> NDArray[np.float32]:
        """The same packed: float32 (1, CANVAS_CHANNELS, H/8, W/8)."""
        drawn, part = self.fields_of(condition), condition.part or self._frame
        if part not in self._canvases:
            self._canvases[part] = drawn.packed()[None]
        return self._canvases[part]

    def _check(self, ema_decay: float) -> None:
        if not 0 <= ema_decay <= 1:
            raise EngineError(f"ema_decay must lie in 0..1, not {ema_decay:g}")
        if ema_decay and not self._stateful:
            raise EngineError("this engine keeps no statistics; open it with stateful=True")

    def _codes(self, codes: NDArray[np.float32]) -> NDArray[np.float32]:
        if codes.shape != (2, self._code_size):
            raise EngineError(f"the network reads two codes of {self._code_size} numbers, not {codes.shape}")
        return np.array(codes[None], np.float32, order="C")

    def _halved(self, mask: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        """Padded as the frame is, then averaged over 2x2 pixels."""
        if mask is None:
            return self._no_mask
        if mask.shape != (self._padding.height, self._padding.width):
            raise EngineError(
                f"a mask of {mask.shape} does not fit frames of {(self._padding.height, self._padding.width)}"
            )
        padded = self._padding.pad(mask)
        height, width = padded.shape
        half = cv2.resize(padded, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        return half.astype(np.uint8, copy=False)[None, None]
