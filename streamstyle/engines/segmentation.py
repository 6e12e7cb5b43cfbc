"""A user's ONNX network as a region: its foreground, or one class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.openvino_engine import import_openvino
from streamstyle.errors import EngineError
from streamstyle.types import Frame

Scale: TypeAlias = Literal["unit", "signed", "imagenet"]

# (mean, deviation) of RGB in 0..1. ImageNet's are those of torchvision's models.
_SCALES: dict[Scale, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "signed": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
_FREE_SIDE = 512  # longer side that a network of free size is given
_FREE_MULTIPLE = 32  # networks of free size halve five times at most


class OnnxRegion:
    """The mask that a segmentation network gives, on the CPU.

    The network has one input, RGB of three channels, NCHW or NHWC, of fixed or free size, and as its first
    output one channel (foreground) or one per class, (1, C, h, w), (1, h, w, C), (1, h, w) or (h, w).
    Values outside 0..1 are taken for logits: sigmoid of one channel, softmax of several.
    """

    def __init__(self, path: str, category: int | None, scale: Scale, height: int, width: int) -> None:
        """Open it for frames of `height` x `width`, and run it once to check its output. Raises
        EngineError."""
        self._path = path
        self._size = height, width
        core = import_openvino().Core()
        model = self._read()
        self._channels_last, sides = self._input_layout(model)
        self._side = _working_size(sides, height, width)
        mean, deviation = (np.array(row, np.float32) for row in _SCALES[scale])
        self._gain, self._offset = 1 / (255 * deviation), -mean / deviation
        self._logits = False
        try:
            three = (*self._side, 3) if self._channels_last else (3, *self._side)
            model.reshape([1, *three])
            self._request = core.compile_model(model, "CPU").create_infer_request()
        except RuntimeError as error:
            raise self._unusable(f"it cannot be compiled for pictures of {self._side}") from error
        classes = self._channels(np.zeros((height, width, 3), np.uint8))
        self._category = self._chosen(category, len(classes))

    def mask(self, frame: Frame) -> NDArray[np.uint8]:
        """See `streamstyle.types.Region`."""
        channels = self._channels(frame.pixels)
        # Once seen, logits stay logits: a network does not change its mind from frame to frame.
        self._logits = self._logits or bool(channels.min() < -1e-3 or channels.max() > 1 + 1e-3)
        wanted = channels[self._category]
        if self._logits and len(channels) == 1:
            wanted = 1 / (1 + np.exp(-wanted.clip(-30, 30)))
        elif self._logits:
            wanted = 1 / np.exp((channels - wanted).clip(-30, 30)).sum(axis=0)
        height, width = self._size
        share = cv2.resize(wanted.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        mask: NDArray[np.uint8] = (255 * share).round().clip(0, 255).astype(np.uint8)
        return mask

    def close(self) -> None:
        """Do nothing: the garbage collector frees all."""

    def _unusable(self, why: str) -> EngineError:
        return EngineError(f"the segmentation model {self._path} cannot be used: {why}")

    def _read(self) -> Any:
        file = Path(self._path)
        if not file.is_file():
            raise self._unusable("there is no such file")
        from openvino.frontend import FrontEndManager

        # `Core.read_model` tries all front ends on a file of another kind; some print on stderr.
        onnx = FrontEndManager().load_by_framework("onnx")
        try:
            return onnx.convert(onnx.load(str(file)))
        except Exception as error:  # those of front ends have no other base
            raise self._unusable("it is not an ONNX file that OpenVINO can read") from error

    def _input_layout(self, model: Any) -> tuple[bool, tuple[int | None, int | None]]:
        """True where channels are last, and (height, width) of the input, None where free."""
        if len(model.inputs) != 1:
            raise self._unusable(f"it has {len(model.inputs)} inputs, not one picture")
        if model.inputs[0].get_element_type().to_dtype() not in (np.float32, np.float16):
            raise self._unusable(f"its input is {model.inputs[0].get_element_type()}, not float")
        shape = model.inputs[0].get_partial_shape()
        if shape.rank.is_dynamic or len(shape) != 4:
            raise self._unusable(f"its input has the shape {shape}, not (1, 3, height, width)")
        batch, *rest = (None if side.is_dynamic else side.get_length() for side in shape)
        channels_last = rest[0] != 3 and rest[2] == 3
        if batch not in (None, 1) or not (channels_last or rest[0] in (None, 3)):
            raise self._unusable(f"its input has the shape {shape}, not one picture of three channels")
        height, width = rest[:2] if channels_last else rest[1:]
        return channels_last, (height, width)

    def _chosen(self, category: int | None, count: int) -> int:
        if category is None and count > 2:
            raise self._unusable(f"it has {count} classes: name one, as in onnx:{self._path},15")
        chosen = count - 1 if category is None else category
        if chosen >= count:
            raise self._unusable(f"it has no class {chosen}: its classes are 0 to {count - 1}")
        return chosen

    def _channels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's first output as (C, h, w), from any layout."""
        height, width = self._side
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        picture = small.astype(np.float32) * self._gain + self._offset
        batch = (picture if self._channels_last else np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
        try:
            self._request.infer([batch])
        except RuntimeError as error:
            raise self._unusable("it fails on a picture") from error
        out = np.asarray(self._request.get_output_tensor(0).data, np.float32)
        if out.ndim == 4 and self._channels_last:
            out = out.transpose(0, 3, 1, 2)
        if out.ndim == 4:
            out = out[0]
        elif out.ndim == 2:
            out = out[None]
        if out.ndim != 3 or not out.size or min(out.shape[1:]) < 2:
            raise self._unusable(f"its output has the shape {out.shape}, which is not a mask")
        if not np.isfinite(out).all():
            raise self._unusable("it gives values that are not numbers")
        return out


def _working_size(sides: tuple[int | None, int | None], height: int, width: int) -> tuple[int, int]:
    """(height, width) to give the network: its own, or near the frame's where it leaves that free."""
    shrink = min(1.0, _FREE_SIDE / max(height, width))

    def near(side: int) -> int:
        return max(_FREE_MULTIPLE, round(side * shrink / _FREE_MULTIPLE) * _FREE_MULTIPLE)

    return sides[0] or near(height), sides[1] or near(width)
