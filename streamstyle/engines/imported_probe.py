"""Find the input and output format of an unknown model. `main` runs in the child of `imported_examine`.

Layout: the axis of 3 channels, as declared by the file; if the file does not fix it, NCHW and then NHWC are
tried.
Multiple: the smallest of 1, 2, 4, 8, 16, 32 at which the output has the size of the input, tried with odd
multiples of it.
Range: a photo-like test picture goes in as [0, 1], [-1, 1] and [0, 255].

- The output range of each is that of the last operation (tanh, sigmoid, clamp) or, without one, is estimated
  from the 1st and 99th percentile of the values: beyond +-4 it is [0, 255], below -0.2 it is [-1, 1],
  otherwise [0, 1].
- Each output is scaled to [0, 1] by its range and rated: |correlation| of its blurred luma with that of
  the input, times the share of values that are not clipped. A network that gets values it was not trained
  on answers with a flat or a clipped picture.
- Of the inputs within 10 % of the best, one whose range is also the output's wins: networks that begin with
  a normalisation accept every range, and most are trained with the same range at both ends. If that is equal
  too (a network that only scales with its input) the wider range wins: it is clipped less.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamstyle.engines.imported_engine import (
    OPENVINO_ERRORS,
    RANGES,
    TRANSFORMER_CONTRACT,
    Contract,
    Kind,
    Layout,
    Range,
    Size,
    read_network,
    reason,
    tensor_shape,
)
from streamstyle.engines.imported_weights import convert_state_dict, is_torch_file
from streamstyle.engines.openvino_engine import import_openvino
from streamstyle.errors import ModelError, StreamStyleError

MAX_MEMORY = 6 << 30
_MULTIPLES = (1, 2, 4, 8, 16, 32)
_MIN_SIDE = 16
_MIN_CORRELATION = 0.05
_LAYOUT_OPERATORS = {"Convert", "Transpose", "Reshape", "Squeeze", "Unsqueeze"}


@dataclass(frozen=True)
class Declared:
    """The user's statements on a model; None is to be found out."""

    layout: Layout | None = None
    range_in: Range | None = None
    range_out: Range | None = None


@dataclass(frozen=True)
class Examined:
    """A model that can be used."""

    kind: Kind
    data: bytes
    """The file to store, ONNX or safetensors."""
    contract: Contract


def examine(data: bytes, declared: Declared) -> Examined:
    """Read a file of either format. Raises ModelError with the reason if it cannot be used."""
    if is_torch_file(data):
        if declared.layout == "nhwc":
            raise ModelError("PyTorch weights of the classic network are NCHW; leave --layout out")
        contract = replace(
            TRANSFORMER_CONTRACT,
            range_in=declared.range_in or TRANSFORMER_CONTRACT.range_in,
            range_out=declared.range_out or TRANSFORMER_CONTRACT.range_out,
        )
        return Examined("transformer", convert_state_dict(data), contract)
    return Examined("onnx", data, examine_onnx(data, declared))


def examine_onnx(data: bytes, declared: Declared) -> Contract:
    """The contract of an ONNX image-to-image generator, by the rules above. Raises ModelError."""
    ov = import_openvino()
    try:
        model = ov.Core().read_model(model=data)
    except OPENVINO_ERRORS as error:
        if "No conversion rule" in str(error):
            raise ModelError(f"OpenVINO cannot use the model: {reason(error)}") from error
        raise ModelError(
            "the file is neither ONNX nor PyTorch weights, or it is damaged; download or export it again"
        ) from error
    entry = _checked_input(model)
    layouts = _layouts(entry, declared.layout)
    form, compiled = _running(ov, data, entry, layouts)
    test = photo_like(*_size_of(form))
    last = _last_operation(model)
    inputs: Iterable[Range] = [declared.range_in] if declared.range_in else RANGES
    trials = [
        _judged(_ask(compiled, test, form, range_in), test, form, range_in, declared.range_out or last)
        for range_in in inputs
    ]
    best = max(score for score, _ in trials)
    if declared.range_in is None and best < _MIN_CORRELATION:
        raise ModelError(
            "the range of values cannot be detected, because the model paints its input in none of them; "
            "give --range unit, signed or bytes if you know it"
        )
    close = [
        (contract.range_in == contract.range_out, round(score, 2), i)
        for i, (score, contract) in enumerate(trials)
        if score >= 0.9 * best
    ]
    return trials[max(close)[2]][1]


def photo_like(height: int, width: int) -> NDArray[np.float32]:
    """A test picture (H, W, 3) in [0, 1]: noise with the 1/f spectrum of photos, every channel from 0 to 1.

    Field 1987, "Relations between the statistics of natural images".
    """
    rng = np.random.default_rng(0)
    fy, fx = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    falloff = 1 / np.maximum(np.hypot(fy, fx), 1 / max(height, width))
    grey, *colour = (
        np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) * falloff, (height, width))
        for _ in range(4)
    )
    picture = np.stack([grey + 0.4 * part for part in colour], axis=-1)
    low, high = picture.min((0, 1)), picture.max((0, 1))
    scaled: NDArray[np.float32] = ((picture - low) / np.maximum(high - low, 1e-6)).astype(np.float32)
    return scaled


def _checked_input(model: Any) -> Any:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "only models from one picture to one picture can be imported"
        )
    entry = model.input(0)
    shape, kind = entry.get_partial_shape(), entry.get_element_type().get_type_name()
    if shape.rank.is_dynamic or len(shape) != 4:
        raise ModelError(
            f"the model's input has the shape {shape}; it must have 4 axes: batch, channels, height, width"
        )
    if kind not in ("f32", "f16"):
        raise ModelError(f"the model takes {kind} values; only models of float pictures can be imported")
    if shape[0].is_static and shape[0].get_length() != 1:
        raise ModelError(f"the model takes batches of {shape[0].get_length()}; export it for a batch of 1")
    return entry


def _layouts(entry: Any, declared: Layout | None) -> list[Layout]:
    """The layouts that the declared shape allows; one alone where it says where the 3 channels are."""
    lengths = [axis.get_length() if axis.is_static else None for axis in entry.get_partial_shape()]
    sides: dict[Layout, tuple[int | None, ...]] = {
        "nchw": (lengths[1], lengths[2], lengths[3]),
        "nhwc": (lengths[3], lengths[1], lengths[2]),
    }
    possible = [
        layout
        for layout, (channels, height, width) in sides.items()
        if channels in (3, None) and all(side is None or side >= _MIN_SIDE for side in (height, width))
    ]
    certain = [layout for layout in possible if sides[layout][0] == 3]
    fitting = [layout for layout in certain or possible if declared in (None, layout)]
    if not fitting:
        asked = f" as {declared.upper()}" if declared else ""
        raise ModelError(
            f"the model's input of shape {entry.get_partial_shape()} is no RGB picture{asked}; "
            "only models that take 3 channels can be imported"
        )
    return fitting


def _running(ov: ModuleType, data: bytes, entry: Any, layouts: list[Layout]) -> tuple[Contract, Any]:
    """The first layout and size at which the model gives a picture of the size of its input.

    Returns a contract whose ranges are still to be found, and the model compiled at `_size_of` it.
    """
    failure = ModelError("the model gives no picture")
    for layout in layouts:
        axes = (2, 3) if layout == "nchw" else (1, 2)
        sides = [entry.get_partial_shape()[axis] for axis in axes]
        if sides[0].is_static != sides[1].is_static:
            raise ModelError(
                "the model fixes only one of height and width; export it with both free or fixed"
            )
        fixed = (sides[0].get_length(), sides[1].get_length()) if sides[0].is_static else None
        for multiple in (1,) if fixed else _MULTIPLES:
            form = Contract(layout, layout, "unit", "unit", fixed, multiple)
            size = _size_of(form)
            try:
                model = read_network(ov, "onnx", data, layout, size)
                compiled = _compile(ov, model, size)
                return replace(form, layout_out=_layout_of(compiled, size)), compiled
            except ModelError as error:
                failure = error
    raise failure


def _size_of(form: Contract) -> Size:
    """The fixed size, or odd multiples of the wanted one, different from each other."""
    if form.size:
        return form.size
    height, width = (math.ceil(side / form.multiple) | 1 for side in (64, 90))
    return height * form.multiple, (width + 2 * (width == height)) * form.multiple


def _compile(ov: ModuleType, model: Any, size: Size) -> Any:
    try:
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        compiled = ov.Core().compile_model(model, "CPU", options)
        shape = compiled.output(0).get_partial_shape()
        if shape.is_dynamic:  # known only once it has run
            compiled(np.zeros(compiled.input(0).get_shape(), np.float32))
    except OPENVINO_ERRORS as error:
        raise ModelError(f"OpenVINO cannot run the model at {size[1]}x{size[0]}: {reason(error)}") from error
    return compiled


def _layout_of(compiled: Any, size: Size) -> Layout:
    shape = compiled.output(0).get_partial_shape()
    found = list(shape.to_shape()) if shape.is_static else []
    layouts: tuple[Layout, Layout] = ("nchw", "nhwc")
    for layout in layouts:
        if found == tensor_shape(layout, size):
            return layout
    raise ModelError(
        f"the model turns a picture of {size[1]}x{size[0]} into the shape {shape}; "
        "only models that give a picture of 3 channels and of the same size can be imported"
    )


def _ask(compiled: Any, test: NDArray[np.float32], form: Contract, range_in: Range) -> NDArray[np.float32]:
    """The model's answer (H, W, 3) to the test picture in a range of values."""
    low, high = RANGES[range_in]
    x = (test * (high - low) + low)[None]
    kind = compiled.input(0).get_element_type().to_dtype()
    x = x.transpose(0, 3, 1, 2) if form.layout_in == "nchw" else x
    try:
        y = compiled(np.ascontiguousarray(x, kind))[0][0].astype(np.float32)
    except OPENVINO_ERRORS as error:
        raise ModelError(f"OpenVINO cannot run the model: {reason(error)}") from error
    picture: NDArray[np.float32] = y.transpose(1, 2, 0) if form.layout_out == "nchw" else y
    return picture


def _judged(
    answer: NDArray[np.float32],
    test: NDArray[np.float32],
    form: Contract,
    range_in: Range,
    range_out: Range | None,
) -> tuple[float, Contract]:
    """Score in 0..1 and the contract with both ranges."""
    if not np.isfinite(answer).all():
        return 0.0, replace(form, range_in=range_in, range_out=range_out or "unit")
    range_out = range_out or _range_of(answer)
    low, high = RANGES[range_out]
    picture = (answer - low) / (high - low)
    kept = float(((picture > 0.004) & (picture < 0.996)).mean())
    blurred = [cv2.blur(p.mean(axis=-1), (5, 5)).ravel() for p in (picture.clip(0, 1), test)]
    alive = min(float(p.std()) for p in blurred) > 1e-3
    alike = abs(float(np.corrcoef(blurred[0], blurred[1])[0, 1])) if alive else 0.0
    return alike * kept, replace(form, range_in=range_in, range_out=range_out)


def _range_of(answer: NDArray[np.float32]) -> Range:
    low, high = np.percentile(answer, (1, 99))
    if max(-low, high) > 4:
        return "bytes"
    return "signed" if low < -0.2 else "unit"


def _last_operation(model: Any) -> Range | None:
    """The range of the last operation; None if it has no fixed one."""
    node = model.get_results()[0].input_value(0).get_node()
    while node.get_type_name() in _LAYOUT_OPERATORS:
        node = node.input_value(0).get_node()
    promised = {"Tanh": (-1, 1), "Sigmoid": (0, 1)}.get(node.get_type_name())
    if node.get_type_name() == "Clamp":
        attributes = node.get_attributes()
        promised = (attributes["min"], attributes["max"])
    return next((name for name, limits in RANGES.items() if limits == promised), None)


def limit_resources(seconds: int) -> None:
    """Bound the memory and processor time of this process, where the platform can.

    macOS refuses a limit of the address space; the limit of time holds there.
    """
    try:
        import resource
    except ImportError:  # not on Windows; the parent's time limit holds there too
        return
    if sys.platform != "darwin":
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str]) -> int:
    """SECONDS DECLARED-JSON WEIGHTS-FILE; the file to examine on stdin, one JSON object on stdout."""
    limit_resources(int(arguments[0]))
    try:
        examined = examine(sys.stdin.buffer.read(), Declared(**json.loads(arguments[1])))
        Path(arguments[2]).write_bytes(examined.data)
        answer: dict[str, Any] = {"kind": examined.kind, "contract": examined.contract.to_json()}
    except StreamStyleError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": f"the file needs more than {MAX_MEMORY >> 30} GB of memory"}
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
