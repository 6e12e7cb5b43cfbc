"""Runs an imported model with OpenVINO: an ONNX image-to-image generator or a classic TransformerNet.

The conversion between frames (uint8, NHWC) and the model's format becomes part of the compiled graph.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

import cv2
import msgspec
import numpy as np
from safetensors import SafetensorError

from streamstyle.engines.cache import EngineCache, cache_folder, source_hash
from streamstyle.engines.cpu_plan import compiled_for_cpu
from streamstyle.engines.exported import NETS
from streamstyle.engines.openvino_engine import import_openvino, traced
from streamstyle.engines.padding import Padding
from streamstyle.engines.request import CompileOrder, EngineRequest
from streamstyle.errors import EngineError, ModelError
from streamstyle.types import Engine, EngineSpec, InferenceFuture, Picture, StyleCondition

Kind: TypeAlias = Literal["onnx", "transformer"]
Layout: TypeAlias = Literal["nchw", "nhwc"]
Range: TypeAlias = Literal["unit", "signed", "bytes"]
Size: TypeAlias = tuple[int, int]

# ValueError: non-UTF-8 names in a damaged file cannot become the message of a RuntimeError.
OPENVINO_ERRORS = (RuntimeError, ValueError)
RANGES: Mapping[Range, tuple[float, float]] = {"unit": (0, 1), "signed": (-1, 1), "bytes": (0, 255)}


@dataclass(frozen=True)
class Contract:
    """Input and output format of a model.

    layout_*: order of the axes. range_*: values of black and white, see `RANGES`.
    """

    layout_in: Layout
    layout_out: Layout
    range_in: Range
    range_out: Range
    size: Size | None = None
    """(height, width) of a model that runs at one size only, otherwise None."""
    multiple: int = 1
    """Number that both sides must be multiples of."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Contract:
        """Inverse of `to_json`. Raises ModelError for values that are not those of a contract."""
        try:
            contract = msgspec.convert(dict(values), cls)
        except msgspec.ValidationError as error:
            raise ModelError(f"the manifest of the imported model is damaged: {error}") from error
        if contract.multiple < 1 or min(contract.size or (1, 1)) < 1:
            raise ModelError("the manifest of the imported model is damaged: sizes must be above 0")
        return contract


TRANSFORMER_CONTRACT = Contract("nchw", "nchw", "bytes", "bytes", multiple=4)


class ImportedEngine:
    """An imported model at one frame size. It has no style codes and keeps no statistics (`spec.stateful`):
    it ignores the `StyleCondition`.

    strength: 0 (the frame itself) .. 1, a blend of pixels. A model of a fixed size gets the frame resized
    to it, and its picture is resized back. cache, label: see `OpenVinoEngine`.
    """

    def __init__(
        self,
        kind: Kind,
        data: bytes,
        contract: Contract,
        height: int,
        width: int,
        strength: float = 1.0,
        *,
        cache: EngineCache | None = None,
        label: str = "the imported model",
    ) -> None:
        ov = import_openvino()
        self._strength = strength
        self._frame_size = (height, width)
        self._padding = Padding.to_multiple(*(contract.size or self._frame_size), contract.multiple)
        size = self._padding.padded_size

        def on_frames() -> Any:
            return _on_frames(ov, read_network(ov, kind, data, contract.layout_in, size), contract, size)

        key = {
            "kind": kind,
            "weights": hashlib.sha256(data).hexdigest(),
            "contract": contract.to_json(),
            "graph": source_hash(NETS / "transformer.py", Path(__file__)),
            "size": list(size),
        }
        try:
            self._compiled, self._spec = compiled_for_cpu(
                *(ov, on_frames, key),
                cache=cache,
                what=f"{label} for {width}x{height}",
                pixels=size[0] * size[1],
            )
        except OPENVINO_ERRORS as error:
            raise EngineError(f"OpenVINO cannot compile the imported model: {reason(error)}") from error
        self._idle: deque[Any] = deque()
        self._busy_seconds = 0.0

    @property
    def spec(self) -> EngineSpec:
        """`precision` is the one that the CPU really uses."""
        return self._spec

    @property
    def busy_seconds(self) -> float:
        """See `streamstyle.types.Engine`."""
        return self._busy_seconds

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:  # noqa: ARG002 - the protocol's
        """See `streamstyle.types.Engine`."""
        request = self._idle.popleft() if self._idle else self._compiled.create_infer_request()
        model_size = (self._padding.height, self._padding.width)
        frame = self._padding.pad(_resized(pixels, model_size))
        # share_inputs: no copy in; the request keeps the array alive until its next start.
        request.start_async({0: frame[None]}, share_inputs=True)

        def wait() -> Picture:
            try:
                request.wait()
            except OPENVINO_ERRORS as error:
                raise EngineError(f"the imported model failed on a frame: {reason(error)}") from error
            painted = self._padding.crop(request.get_output_tensor(0).data[0])
            self._busy_seconds += request.latency / 1e3 / self._spec.in_flight
            self._idle.append(request)
            styled = _resized(painted, self._frame_size)
            if self._strength == 1:
                return styled
            blended = cv2.addWeighted(styled, self._strength, pixels, 1 - self._strength, 0)
            return blended.astype(np.uint8, copy=False)

        return InferenceFuture(wait)

    def close(self) -> None:
        """Drop the idle requests."""
        self._idle.clear()


@dataclass(frozen=True)
class ImportedOpener:
    """Implements `EngineOpener` for an imported model."""

    name: str
    """Name that `streamstyle styles import` gave it."""
    kind: Kind
    data: bytes
    contract: Contract
    strength: float = 1.0
    """See `ImportedEngine`."""

    def open(self, request: EngineRequest) -> Engine:
        """See `EngineOpener`."""
        size, compiler = (request.height, request.width), request.compiler
        order = CompileOrder(self.name, "openvino", *size, imported=True, strength=self.strength)
        in_child = None if compiler is None else partial(compiler.compile, order)
        return ImportedEngine(
            self.kind,
            self.data,
            self.contract,
            *size,
            self.strength,
            cache=EngineCache(cache_folder(), request.notify, compile_in_child=in_child),
            label=self.name,
        )


def read_network(ov: ModuleType, kind: Kind, data: bytes, layout: Layout, size: Size) -> Any:
    """The OpenVINO model of a file's bytes, float pictures of one size in and out.

    Raises ModelError if the bytes are not such a model or the model does not accept that size.
    """
    try:
        if kind == "transformer":
            return _read_transformer(ov, data, size)
        model = ov.Core().read_model(model=data)
        model.reshape(tensor_shape(layout, size))
    except OPENVINO_ERRORS as error:
        raise ModelError(f"OpenVINO cannot use the model at {size[1]}x{size[0]}: {reason(error)}") from error
    return model


def tensor_shape(layout: Layout, size: Size) -> list[int]:
    """Shape of one picture of (height, width)."""
    height, width = size
    return [1, 3, height, width] if layout == "nchw" else [1, height, width, 3]


def reason(error: Exception) -> str:
    """OpenVINO's message on one line, without the places in its source."""
    text = str(error)
    operations = text.partition("No conversion rule found for operations: ")[2]
    if operations:
        return f"it does not know the operations {operations.splitlines()[0].strip()}"
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return " ".join(said)[:300].rstrip(". ") or "no reason given"


def _read_transformer(ov: ModuleType, data: bytes, size: Size) -> Any:
    # Here and not above: a start from the cache must not wait for torch.
    import torch
    from safetensors.torch import load as load_safetensors

    from streamstyle.nets.transformer import TransformerNet

    network = TransformerNet().eval().requires_grad_(False)
    try:
        network.load_state_dict(load_safetensors(data))
    except (RuntimeError, SafetensorError) as error:
        raise ModelError(f"the imported weights do not fit the classic network: {error}") from error
    return traced(ov, network, [torch.zeros(1, 3, 64, 64)], [tensor_shape("nchw", size)])


def _on_frames(ov: ModuleType, model: Any, contract: Contract, size: Size) -> Any:
    """The same model on uint8 (1, H, W, 3) RGB in and out, rounded and clipped."""
    from openvino import opset13 as ops

    def number(value: float) -> Any:
        return ops.constant(value, ov.Type.f32)

    frames = ops.parameter([1, *size, 3], ov.Type.u8, name="frames")
    low, high = RANGES[contract.range_in]
    x = ops.convert(frames, "f32") * number((high - low) / 255) + number(low)
    if contract.layout_in == "nchw":
        x = ops.transpose(x, np.array([0, 3, 1, 2]))
    entry = model.input(0)
    entry.replace(ops.convert(x, entry.get_element_type().get_type_name()).output(0))
    y = ops.convert(model.get_results()[0].input_value(0), "f32")
    if contract.layout_out == "nchw":
        y = ops.transpose(y, np.array([0, 2, 3, 1]))
    low, high = RANGES[contract.range_out]
    y = (y - number(low)) * number(255 / (high - low))
    styled = ops.convert(ops.clamp(ops.round(y, "half_to_even"), 0.0, 255.0), "u8")
    return ov.Model([ops.result(styled)], [frames], "frames")


def _resized(pixels: Picture, size: Size) -> Picture:
    """The same array where it has that size already."""
    if pixels.shape[:2] == size:
        return pixels
    shrinks = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(pixels, (size[1], size[0]), interpolation=interpolation).astype(np.uint8, copy=False)
