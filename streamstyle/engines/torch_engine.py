"""The reference engine: torch eager, fp32."""

from __future__ import annotations

import time

import torch

from streamstyle.engines.conditioning import Conditioning
from streamstyle.engines.padding import Padding
from streamstyle.errors import EngineError
from streamstyle.nets.generator import FrameGenerator
from streamstyle.nets.noise import SIZE_MULTIPLE
from streamstyle.types import EngineSpec, Look, Pending, Picture


class TorchEngine:
    """Runs each frame to its end in `start`: one in flight."""

    def __init__(self, network: FrameGenerator, height: int, width: int) -> None:
        self._network = network
        self._padding = Padding.to_multiple(height, width, SIZE_MULTIPLE)
        self._conditioning = Conditioning(self._padding, network.generator.layout.size)
        self._canvas = torch.from_numpy(self._conditioning.canvas)
        self._busy_seconds = 0.0

    @property
    def spec(self) -> EngineSpec:
        """Always fp32 on the CPU."""
        return EngineSpec("torch", "fp32", "cpu", in_flight=1)

    @property
    def busy_seconds(self) -> float:
        """See `streamstyle.types.Engine`."""
        return self._busy_seconds

    def start(self, pixels: Picture, look: Look) -> Pending:
        """See `streamstyle.types.Engine`."""
        started = time.perf_counter()
        # from_numpy refuses read-only arrays with a warning; the copy is small beside the network.
        frames = torch.from_numpy(self._padding.pad(pixels).copy())[None]
        codes, mask = map(torch.from_numpy, self._conditioning.of(look))
        try:
            with torch.inference_mode():
                styled = self._network(frames, codes, mask, self._canvas)[0].numpy()
        except RuntimeError as error:
            raise EngineError(f"the torch engine failed on a frame: {error}") from error
        result = self._padding.crop(styled)
        self._busy_seconds += time.perf_counter() - started
        return lambda: result

    def close(self) -> None:
        """Nothing to free before the garbage collector does."""
