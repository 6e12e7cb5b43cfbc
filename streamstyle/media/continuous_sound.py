"""Decoded sound as one continuous run of samples."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from streamstyle.media.layouts import Channels, in_order

Samples = NDArray[np.float32]


class ContinuousSound:
    """Converts decoded frames to samples of one rate and layout, each with its place.

    Containers round times, some to a millisecond. Samples follow each other unless they are more than 20 ms
    off and the next frame confirms it: some containers time their sound by its bytes, and are wrong with
    every frame. A film may change the rate or layout of its sound.
    """

    def __init__(self, rate: int, layout: str = "stereo", channels: Channels | None = None) -> None:
        """rate: samples per second. layout: FFmpeg's name. channels: of the frames that come."""
        self._rate, self._layout, self._channels = rate, layout, channels
        self._rounding = rate // 50
        self._resampler = self._new()
        self._at: int | None = None
        self._doubted: tuple[int, av.AudioFrame] | None = None

    def placed(self, frame: av.AudioFrame | None) -> Iterator[tuple[int, Samples]]:
        """Place of the first sample since time zero, and samples (n, channels) in -1..1. None at the end
        returns the rest. Raises PyAV's error for a damaged frame."""
        told = None if frame is None or frame.time is None else round(frame.time * self._rate)
        if self._at is None:
            self._at = told
        if self._at is None:
            return
        if self._doubted is not None:
            (doubted_at, doubted), self._doubted = self._doubted, None
            length = round(doubted.samples * self._rate / doubted.sample_rate)
            if told is not None and abs(told - doubted_at - length) <= min(self._rounding, length // 2):
                self._at = doubted_at
            yield from self._resampled(doubted)
        if frame is not None and self._channels is not None:
            frame = in_order(frame, self._channels)
        if frame is not None and told is not None and abs(told - self._at) > self._rounding:
            self._doubted = told, frame
            return
        yield from self._resampled(frame)

    def _resampled(self, frame: av.AudioFrame | None) -> Iterator[tuple[int, Samples]]:
        assert self._at is not None
        try:
            parts = self._resampler.resample(frame)
        except ValueError:  # of another rate or layout than those before
            parts = self._resampler.resample(None)
            self._resampler = self._new()
            parts += self._resampler.resample(frame)
        for part in parts:
            count = len(part.layout.channels)
            samples = part.to_ndarray().reshape(-1, count).astype(np.float32, copy=False)
            yield self._at, samples
            self._at += len(samples)

    def _new(self) -> AudioResampler:
        return AudioResampler(format="flt", layout=self._layout, rate=self._rate)
