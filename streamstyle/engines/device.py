"""Runs a compiled network on a device: frames on their way in, being painted and on their way out at once.

Three lanes, CUDA streams, work side by side, and each frame in flight has its buffers in a slot: page-locked
ones on the host, which copies can run beside the host's own work from, and their twins on the device. Nothing
waits for the device but the call that wants the picture. On a CPU everything is done as it is asked for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamstyle.engines.conditioning import Conditioning
from streamstyle.engines.memory import engine_error
from streamstyle.engines.padding import Padding
from streamstyle.errors import EngineError
from streamstyle.nets.layout import CodeLayout, GeneratorConfig
from streamstyle.nets.noise import SIZE_MULTIPLE
from streamstyle.types import AnalysisPair, EngineSpec, InferenceFuture, Picture, StyleCondition

Network: TypeAlias = Callable[..., tuple[Tensor, Tensor | None]]
"""Takes what the network's `forward` takes, on the device; gives the frames (1, H, W, 3) uint8 and, where it
keeps statistics, those that it painted with (1, norms.size)."""

_WARM_UP = 3  # runs before a capture: libraries choose their kernels and take their memory in these


class Mark:
    """A point in the work of a lane."""

    def __init__(self, stream: torch.cuda.Stream | None) -> None:
        self._at = time.perf_counter()
        self.event: torch.cuda.Event | None = None
        if stream is not None:
            # blocking: who waits leaves the processor to those who decode and encode.
            self.event = torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]
            self.event.record(stream)

    @property
    def passed(self) -> bool:
        """Has the device come here?"""
        return self.event is None or bool(self.event.query())  # type: ignore[no-untyped-call]

    def wait(self) -> None:
        """Until the device has come here."""
        if self.event is not None:
            self.event.synchronize()

    def seconds_since(self, before: Mark) -> float:
        """Both passed already."""
        if self.event is None or before.event is None:
            return self._at - before._at
        return float(before.event.elapsed_time(self.event)) / 1e3


class Lane:
    """A queue of work on a device."""

    def __init__(self, device: torch.device) -> None:
        self.stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def after(self, *marks: Mark) -> Iterator[None]:
        """What the block asks for is queued here, behind the marks of other lanes."""
        if self.stream is None:
            yield
            return
        for mark in marks:
            if mark.event is not None:
                self.stream.wait_event(mark.event)
        with torch.cuda.stream(self.stream):
            yield

    def mark(self) -> Mark:
        """Behind all that was queued so far."""
        return Mark(self.stream)


class Slot:
    """The buffers of one frame in flight. inputs: on the device, in the network's order."""

    def __init__(
        self, network: Network, like: list[Tensor], shared: dict[int, Tensor], halvings: int
    ) -> None:
        """like: a tensor of the shape of every input. shared: those of them that all slots use, by place."""
        device = like[0].device
        self._own = [i for i in range(len(like)) if i not in shared]
        self.inputs = [shared.get(i, torch.zeros_like(tensor)) for i, tensor in enumerate(like)]
        pinned = device.type == "cuda"
        self.host = {i: torch.zeros(like[i].shape, dtype=like[i].dtype, pin_memory=pinned) for i in self._own}
        self.styled = torch.zeros(like[0].shape, dtype=torch.uint8, pin_memory=pinned)
        side = 2**halvings
        small = (2, like[0].shape[1] // side, like[0].shape[2] // side, 3)
        self.small = torch.zeros(small, dtype=torch.uint8, pin_memory=pinned) if halvings else None
        self.paint: Callable[[], tuple[Tensor, Tensor | None]] = lambda: network(*self.inputs)
        self.codes: NDArray[np.float32] | None = None
        self.canvas: NDArray[np.float32] | None = None

    def load(
        self,
        codes: NDArray[np.float32],
        mask: NDArray[np.uint8],
        canvas: NDArray[np.float32],
        ema_decay: float,
    ) -> list[int]:
        """Fill the host's side but for the frame; returns which inputs have to be sent."""
        changed = [0]
        if codes is not self.codes:
            self.host[1].numpy()[...] = codes
            self.host[2].numpy()[...] = mask
            self.codes = codes
            changed += [1, 2]
        if 3 in self.host and canvas is not self.canvas:
            self.host[3].numpy()[...] = canvas
            self.canvas = canvas
            changed.append(3)
        if 5 in self.host:
            self.host[5].fill_(ema_decay)
            changed.append(5)
        return changed


class DeviceEngine:
    """Frames through `network` on `device`; implements `Engine`.

    network: see `Network`; one whose shapes do not vary. spec: one slot more than its `in_flight` is made.
    halvings: how often picture and painting are halved for those who judge them, 0 not at all; left out for
    frames that are padded.
    capture: record each slot's work as a CUDA graph, which is then started by one call. notify: told why that
    could not be done.
    """

    def __init__(
        self,
        network: Network,
        config: GeneratorConfig,
        height: int,
        width: int,
        *,
        device: torch.device,
        spec: EngineSpec,
        halvings: int = 0,
        capture: bool = False,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._network, self._device, self._spec, self._notify = network, device, spec, notify
        self._padding = Padding.to_multiple(height, width, SIZE_MULTIPLE)
        self._conditioning = Conditioning(self._padding, config.layout.size, stateful=spec.stateful)
        self._in, self._compute, self._out = (Lane(device) for _ in range(3))
        padded = self._padding.bottom or self._padding.right
        self._halvings = 0 if padded else halvings
        self._norms = config.norms
        self._state = torch.zeros((1, self._norms.size), dtype=torch.float32, device=device)
        self._has_past = False
        self._capture = capture and device.type == "cuda"
        self._pool: Any = None
        self._busy_seconds = 0.0
        self._like, self._shared = self._inputs(config)
        with self._failing("cannot be prepared"), torch.no_grad():
            self._idle = deque(self._slot() for _ in range(spec.in_flight + 1))

    def _inputs(self, config: GeneratorConfig) -> tuple[list[Tensor], dict[int, Tensor]]:
        height, width = self._padding.padded_size
        canvas = torch.from_numpy(self._conditioning.canvas).to(self._device)
        like = [
            torch.empty((1, height, width, 3), dtype=torch.uint8, device=self._device),
            torch.empty((1, 2, config.layout.size), device=self._device),
            torch.empty((1, 1, height // 2, width // 2), dtype=torch.uint8, device=self._device),
            canvas,
        ]
        if not self._spec.stateful:
            return like, {3: canvas}
        # Frames may be tiles of a larger one then, each with another part of the canvas under it.
        return [*like, self._state, torch.empty((1, 1), device=self._device)], {4: self._state}

    @property
    def spec(self) -> EngineSpec:
        """What runs, and where."""
        return self._spec

    @property
    def busy_seconds(self) -> float:
        """Time that the network was at work on the device, copies apart."""
        return self._busy_seconds

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        (codes, mask), canvas = self._conditioning.of(condition), self._conditioning.canvas_of(condition)
        with self._failing(), torch.no_grad():
            slot = self._idle.popleft() if self._idle else self._slot()
            ema_decay = condition.ema_decay if self._has_past else 0.0
            self._padding.pad_into(pixels, slot.host[0].numpy()[0])
            with self._in.after():
                for i in slot.load(codes, mask, canvas, ema_decay):
                    slot.inputs[i].copy_(slot.host[i], non_blocking=True)
            sent = self._in.mark()
            with self._compute.after(sent):
                began = self._compute.mark()
                styled, used = slot.paint()
                if used is not None:
                    self._state.copy_(used)
                    self._has_past = True
            painted = self._compute.mark()
            with self._out.after(painted):
                slot.styled.copy_(styled, non_blocking=True)
                if slot.small is not None:
                    pair = [halved(whole, self._halvings) for whole in (slot.inputs[0], styled)]
                    slot.small.copy_(torch.cat(pair), non_blocking=True)
            done = self._out.mark()
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
            self._idle.append(slot)
            return picture

        return InferenceFuture(wait, lambda: done.passed, analysis=lambda: small[0] if small else None)

    def close(self) -> None:
        """Drop the buffers."""
        self._idle.clear()

    def _slot(self) -> Slot:
        slot = Slot(self._network, self._like, self._shared, self._halvings)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # the lanes do not wait for the stream that has made it
        if self._capture:
            self._record(slot)
        return slot

    def _record(self, slot: Slot) -> None:
        """Make the slot's work one CUDA graph; where that fails it is asked for call by call, and told."""
        stream = self._compute.stream
        try:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    slot.paint()
            torch.cuda.synchronize(self._device)
            graph = torch.cuda.CUDAGraph()
            # thread_local: other threads may decode on the same GPU meanwhile.
            recording = torch.cuda.graph(
                graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"
            )
            with recording:
                outputs = slot.paint()
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._capture = False
            self._notify(f"{self._spec.name} runs without CUDA graphs: {first_line(error)}")
            return
        self._pool = graph.pool()

        def replay() -> tuple[Tensor, Tensor | None]:
            graph.replay()
            return outputs

        slot.paint = replay

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
            with self._compute.after():
                kept = self._state.to("cpu", copy=True)
            return kept[0].numpy()

    @norm_stats.setter
    def norm_stats(self, value: NDArray[np.float32] | None) -> None:
        if value is not None and value.shape != (self._norms.size,):
            raise EngineError(f"the network keeps {self._norms.size} statistics, not {value.shape}")
        self._has_past = value is not None
        if value is not None:
            given = torch.from_numpy(np.array(value, np.float32))[None]
            with self._failing(), torch.no_grad(), self._compute.after():
                self._state.copy_(given)


def halved(frames: Tensor, times: int) -> Tensor:
    """Frames (N, H, W, 3) uint8 with sides halved so often: means over 2x2 pixels, a half rounded up, each
    time, as OpenCV's INTER_AREA does it."""
    for _ in range(times):
        n, height, width, colours = frames.shape
        quads = frames.reshape(n, height // 2, 2, width // 2, 2, colours).to(torch.int16)
        frames = ((quads.sum(dim=(2, 4), dtype=torch.int16) + 2) >> 2).to(torch.uint8)
    return frames


def first_line(error: BaseException) -> str:
    """What a library says, without its traces."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
