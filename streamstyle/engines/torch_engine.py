"""The reference engine: torch eager, fp32."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamstyle.engines.conditioning import Conditioning
from streamstyle.engines.memory import engine_error
from streamstyle.engines.norm_stats import NormState
from streamstyle.engines.padding import Padding
from streamstyle.nets.ema_norm import StatefulFrameGenerator
from streamstyle.nets.generator import FrameGenerator
from streamstyle.nets.layout import CodeLayout
from streamstyle.nets.noise import SIZE_MULTIPLE
from streamstyle.types import EngineSpec, InferenceFuture, Picture, StyleCondition


class TorchEngine:
    """Runs each frame to its end in `start`: one in flight."""

    def __init__(
        self, network: FrameGenerator | StatefulFrameGenerator, height: int, width: int, *, why: str = ""
    ) -> None:
        stateful = isinstance(network, StatefulFrameGenerator)
        self._network: nn.Module = network
        self._padding = Padding.to_multiple(height, width, SIZE_MULTIPLE)
        self._conditioning = Conditioning(self._padding, network.generator.layout.size, stateful=stateful)
        self._spec = EngineSpec("torch", "fp32", "cpu", in_flight=1, stateful=stateful, why=why)
        self._busy_seconds = 0.0

    @property
    def spec(self) -> EngineSpec:
        """Always fp32 on the CPU."""
        return self._spec

    @property
    def busy_seconds(self) -> float:
        """See `streamstyle.types.Engine`."""
        return self._busy_seconds

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        return self._cropped(self._run(pixels, condition))

    def _run(self, pixels: Picture, condition: StyleCondition, *state: Tensor) -> Any:
        """Run the network on a frame. state: its further inputs."""
        started = time.perf_counter()
        # from_numpy refuses read-only arrays with a warning; the copy is small beside the network.
        frames = torch.from_numpy(self._padding.pad(pixels).copy())[None]
        canvas = torch.from_numpy(self._conditioning.canvas_of(condition))
        codes, mask = map(torch.from_numpy, self._conditioning.of(condition))
        try:
            with torch.inference_mode():
                result = self._network(frames, codes, mask, canvas, *state)
        except RuntimeError as error:
            raise engine_error("the torch engine failed on a frame", error) from error
        self._busy_seconds += time.perf_counter() - started
        return result

    def _cropped(self, styled: Tensor) -> InferenceFuture:
        result = self._padding.crop(styled[0].numpy())
        return InferenceFuture(lambda: result)

    def close(self) -> None:
        """Do nothing: the garbage collector frees all."""


class StatefulTorchEngine(TorchEngine):
    """The same with statistics as state in, state out; implements `StatefulEngine`."""

    def __init__(self, network: StatefulFrameGenerator, height: int, width: int, *, why: str = "") -> None:
        super().__init__(network, height, width, why=why)
        self._state = NormState(network.generator.norms)

    @property
    def norms(self) -> CodeLayout:
        """See `StatefulEngine`."""
        return self._state.norms

    @property
    def norm_stats(self) -> NDArray[np.float32] | None:
        """See `StatefulEngine`."""
        return self._state.norm_stats

    @norm_stats.setter
    def norm_stats(self, value: NDArray[np.float32] | None) -> None:
        self._state.norm_stats = value

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        """See `streamstyle.types.Engine`."""
        state = map(torch.from_numpy, self._state.inputs(condition.ema_decay))
        styled, used = self._run(pixels, condition, *state)
        self._state.norm_stats = used[0].numpy()
        return self._cropped(styled)
