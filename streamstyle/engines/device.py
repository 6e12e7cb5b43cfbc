"""Runs a compiled network on a device: frames on their way in, being painted and on their way out at once.

Three lanes, CUDA streams, work side by side, and each frame in flight has its buffers in a slot: page-locked
ones on the host, so that copies run beside the host's own work, and their twins on the device. Only the call
that wants the picture waits for the device. On a CPU every step runs at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamstyle.engines.conditioning import Conditioning
from streamstyle.engines.lanes import Lanes
from streamstyle.engines.memory import engine_error
from streamstyle.engines.padding import Padding
from streamstyle.engines.request import EngineRequest
from streamstyle.engines.slots import GraphRecorder, Network, SlotPool
from streamstyle.errors import EngineError
from streamstyle.nets.layout import CodeLayout, GeneratorConfig
from streamstyle.nets.noise import CANVAS_CHANNELS, SIZE_MULTIPLE
from streamstyle.types import AnalysisPair, EngineSpec, InferenceFuture, Picture, StyleCondition


class DeviceEngine:
    """Frames through `network` on `device`; implements `Engine`.

    network: see `Network`; its shapes do not vary. request: size, halvings (left out for frames that are
    padded) and `notify` are read. spec: one slot more than its `in_flight` is made. capture: record each
    slot's work as a CUDA graph.
    """

    def __init__(
        self,
        network: Network,
        config: GeneratorConfig,
        request: EngineRequest,
        *,
        device: torch.device,
        spec: EngineSpec,
        capture: bool = False,
    ) -> None:
        self._spec = spec
        self._padding = Padding.to_multiple(request.height, request.width, SIZE_MULTIPLE)
        self._conditioning = Conditioning(self._padding, config.layout.size, stateful=spec.stateful)
        self._lanes = Lanes.on(device)
        padded = self._padding.bottom or self._padding.right
        self._halvings = 0 if padded else request.halvings
        self._norms = config.norms
        self._state = torch.zeros((1, self._norms.size), dtype=torch.float32, device=device)
        self._has_past = False
        self._busy_seconds = 0.0
        like, shared = self._inputs(config, device)

        def notify(reason: str) -> None:
            request.notify(f"{spec.name} runs without CUDA graphs: {reason}")

        with self._failing("cannot be prepared"), torch.no_grad():
            self._slots = SlotPool(
                *(network, like, shared),
                halvings=self._halvings,
                recorder=GraphRecorder(self._lanes.compute, device, notify) if capture else None,
                count=spec.in_flight + 1,
            )

    def _inputs(
        self, config: GeneratorConfig, device: torch.device
    ) -> tuple[list[Tensor], dict[int, Tensor]]:
        height, width = self._padding.padded_size
        like = [
            torch.empty((1, height, width, 3), dtype=torch.uint8, device=device),
            torch.empty((1, 2, config.layout.size), device=device),
            torch.empty((1, 1, height // 2, width // 2), dtype=torch.uint8, device=device),
            torch.empty((1, CANVAS_CHANNELS, height // SIZE_MULTIPLE, width // SIZE_MULTIPLE), device=device),
        ]
        if not self._spec.stateful:
            return like, {}
        return [*like, self._state, torch.empty((1, 1), device=device)], {4: self._state}

    @property
    def spec(self) -> EngineSpec:
        """See `streamstyle.types.Engine`."""
        return self._spec

    @property
    def busy_seconds(self) -> float:
        """Time that the network was at work on the device, copies apart."""
        return self._busy_seconds

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        codes, mask = self._conditioning.of(condition)
        canvas = self._conditioning.canvas_of(condition)
        with self._failing(), torch.no_grad():
            slot = self._slots.take()
            ema_decay = condition.ema_decay if self._has_past else 0.0
            self._padding.pad_into(pixels, slot.host[0].numpy()[0])
            with self._lanes.send.after():
                for i in slot.load(codes, mask, canvas, ema_decay):
                    slot.inputs[i].copy_(slot.host[i], non_blocking=True)
            sent = self._lanes.send.mark()
            with self._lanes.compute.after(sent):
                began = self._lanes.compute.mark()
                styled, used = slot.paint()
                if used is not None:
                    self._state.copy_(used)
                    self._has_past = True
            painted = self._lanes.compute.mark()
            with self._lanes.fetch.after(painted):
                slot.styled.copy_(styled, non_blocking=True)
                if slot.small is not None:
                    pair = [halved_frames(whole, self._halvings) for whole in (slot.inputs[0], styled)]
                    slot.small.copy_(torch.cat(pair), non_blocking=True)
            done = self._lanes.fetch.mark()
        small: list[AnalysisPair] = []

        def wait() -> Picture:
            # `styled` is kept until here: its memory must not be given to another lane before it is copied.
            with self._failing():
                done.wait()
                self._busy_seconds += painted.seconds_since(began)
            picture = self._padding.crop(slot.styled.numpy()[0])
            if slot.small is not None:
                before, after = slot.small.numpy().copy()
                small.append((before, after))
            nonlocal styled
            del styled
            self._slots.give_back(slot)
            return picture

        return InferenceFuture(wait, lambda: done.passed, analysis=lambda: small[0] if small else None)

    def close(self) -> None:
        """Drop the buffers."""
        self._slots.clear()

    @contextmanager
    def _failing(self, how: str = "failed on a frame") -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise engine_error(f"the {self._spec.name} engine {how}", error) from error


class StatefulDeviceEngine(DeviceEngine):
    """The same with statistics as state, which stays on the device; implements `StatefulEngine`.

    The lane keeps the frames in the order of `start`. Reading the statistics waits for the device.
    """

    @property
    def norms(self) -> CodeLayout:
        """See `StatefulEngine`."""
        return self._norms

    @property
    def norm_stats(self) -> NDArray[np.float32] | None:
        """See `StatefulEngine`; waits for the frames that are under way."""
        if not self._has_past:
            return None
        with self._failing(), torch.no_grad():
            with self._lanes.compute.after():
                kept = self._state.to("cpu", copy=True)
            return kept[0].numpy()

    @norm_stats.setter
    def norm_stats(self, value: NDArray[np.float32] | None) -> None:
        if value is not None and value.shape != (self._norms.size,):
            raise EngineError(f"the network keeps {self._norms.size} statistics, not {value.shape}")
        self._has_past = value is not None
        if value is not None:
            given = torch.from_numpy(np.array(value, np.float32))[None]
            with self._failing(), torch.no_grad(), self._lanes.compute.after():
                self._state.copy_(given)


def halved_frames(frames: Tensor, times: int) -> Tensor:
    """Frames (N, H, W, 3) uint8 with sides halved_frames so often: means over 2x2 pixels, a half rounded up,
    each time, as OpenCV's INTER_AREA does it."""
    for _ in range(times):
        n, height, width, colours = frames.shape
        quads = frames.reshape(n, height // 2, 2, width // 2, 2, colours).to(torch.int16)
        frames = ((quads.sum(dim=(2, 4), dtype=torch.int16) + 2) >> 2).to(torch.uint8)
    return frames
