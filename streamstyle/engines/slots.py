"""Buffers of the frames in flight, and each slot's work as a CUDA graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamstyle.engines.lanes import Lane

Network: TypeAlias = Callable[..., tuple[Tensor, Tensor | None]]
"""Takes the arguments of the network's `forward`, on the device; returns the frames (1, H, W, 3) uint8 and,
with statistics, those that it used (1, norms.size)."""

_WARM_UP = 3  # runs before a capture: libraries choose their kernels and take their memory in these


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
        """Fill the host's inputs except the frame; returns which ones have to be sent."""
        changed = [0]
        if codes is not self.codes:
            self.host[1].numpy()[...] = codes
            self.host[2].numpy()[...] = mask
            self.codes = codes
            changed += [1, 2]
        if canvas is not self.canvas:
            self.host[3].numpy()[...] = canvas
            self.canvas = canvas
            changed.append(3)
        if 5 in self.host:
            self.host[5].fill_(ema_decay)
            changed.append(5)
        return changed


class GraphRecorder:
    """Records a slot's work as one CUDA graph, which one call then starts.

    lane: the stream for recording. notify: called once with the reason if that fails; slots then start
    kernels one by one.
    """

    def __init__(self, lane: Lane, device: torch.device, notify: Callable[[str], None]) -> None:
        self._lane, self._device, self._notify = lane, device, notify
        self._able = device.type == "cuda"
        self._pool: Any = None

    def record(self, slot: Slot) -> None:
        """Record it, where that can be done. Raises OutOfMemoryError of torch."""
        if not self._able:
            return
        stream = self._lane.stream
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
            self._able = False
            self._notify(first_line(error))
            return
        self._pool = graph.pool()

        def replay() -> tuple[Tensor, Tensor | None]:
            graph.replay()
            return outputs

        slot.paint = replay


class SlotPool:
    """Slots that no frame is in.

    like, shared, halvings: see `Slot`. count: slots to make at once; more are made when they are needed.
    """

    def __init__(
        self,
        network: Network,
        like: list[Tensor],
        shared: dict[int, Tensor],
        *,
        halvings: int,
        recorder: GraphRecorder | None,
        count: int,
    ) -> None:
        self._network, self._like, self._shared = network, like, shared
        self._halvings = halvings
        self._recorder = recorder
        self._idle = deque(self._made() for _ in range(count))

    def take(self) -> Slot:
        """A slot for one frame."""
        return self._idle.popleft() if self._idle else self._made()

    def give_back(self, slot: Slot) -> None:
        """Return a slot whose frame is done."""
        self._idle.append(slot)

    def clear(self) -> None:
        """Drop the buffers."""
        self._idle.clear()

    def _made(self) -> Slot:
        slot = Slot(self._network, self._like, self._shared, self._halvings)
        device = self._like[0].device
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # the lanes do not wait for the stream that has made it
        if self._recorder is not None:
            self._recorder.record(slot)
        return slot


def first_line(error: BaseException) -> str:
    """The first line of a library's message, without its traces."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
