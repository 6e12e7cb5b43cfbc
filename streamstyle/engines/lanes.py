"""Queues of work on a device, CUDA streams, and points in them. On a CPU every piece of work runs at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch


class Mark:
    """A point in the work of a lane."""

    def __init__(self, stream: torch.cuda.Stream | None) -> None:
        self._at = time.perf_counter()
        self.event: torch.cuda.Event | None = None
        if stream is not None:
            # blocking: the waiting thread leaves the processor to decoding and encoding.
            self.event = torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]
            self.event.record(stream)

    @property
    def passed(self) -> bool:
        """True if the device has done all work that came before."""
        return self.event is None or bool(self.event.query())  # type: ignore[no-untyped-call]

    def wait(self) -> None:
        """Wait until the device has done all work that came before."""
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
        """Queue the work of the `with` block here, behind the marks of other lanes."""
        if self.stream is None:
            yield
            return
        for mark in marks:
            if mark.event is not None:
                self.stream.wait_event(mark.event)
        with torch.cuda.stream(self.stream):
            yield

    def mark(self) -> Mark:
        """A mark behind all that was queued so far."""
        return Mark(self.stream)


@dataclass(frozen=True)
class Lanes:
    """The three lanes of an engine, which work side by side."""

    send: Lane
    """Frames to the device."""
    compute: Lane
    fetch: Lane
    """Paintings back to the host."""

    @classmethod
    def on(cls, device: torch.device) -> Self:
        """New lanes on a device."""
        return cls(Lane(device), Lane(device), Lane(device))
