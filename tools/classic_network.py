"""The peer: the classic feed-forward style network, one per style, in torch eager fp32.

Weights are random: only its cost is measured.
"""

from __future__ import annotations

import time

import torch

from streamstyle.nets.transformer import TransformerNet
from streamstyle.types import EngineSpec, Look, Pending, Picture


class ClassicEngine:
    """The classic network behind our engine protocol, so that the same pipeline runs it."""

    spec = EngineSpec("classic network, torch eager", "fp32", "cpu", in_flight=1)

    def __init__(self) -> None:
        torch.manual_seed(0)
        self._network = TransformerNet().eval()
        self.busy_seconds = 0.0

    def start(self, pixels: Picture, look: Look) -> Pending:  # noqa: ARG002 - protocol
        """Run to the end."""
        started = time.perf_counter()
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            y = self._network(x)[0].clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
        height, width = pixels.shape[:2]
        self.busy_seconds += time.perf_counter() - started
        styled = y[:height, :width].copy()
        return lambda: styled

    def close(self) -> None:
        """Nothing to free."""
