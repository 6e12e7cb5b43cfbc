"""Small pictures that engines on a device make beside the painting, for those who judge it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import islice

import cv2
import numpy as np
import pytest
import torch
from clips import clip_named, needs_clips
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine_contract import Network, picture, soft_disc

from streamstyle.engines.cuda_engine import open_cuda
from streamstyle.engines.device import halved_frames
from streamstyle.media.open import open_source
from streamstyle.pipeline.event_log import EventLog
from streamstyle.pipeline.process import Process
from streamstyle.pipeline.repair_stage import RepairStage
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import ResidualDetector
from streamstyle.temporal.flash_limiter import WcagFlashLimiter
from streamstyle.temporal.motion import analysis_size, halved, halvings
from streamstyle.types import (
    AnalysisPair,
    AnomalyMap,
    Engine,
    EngineSpec,
    Frame,
    InferenceFuture,
    Picture,
    StyleCondition,
)

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.fresh()


def opened(network: Network, height: int, width: int, *, halving: bool = True) -> Engine:
    times = halvings(height, width) if halving else 0
    request = network.request("cuda", height, width, precision="fp32", halvings=times)
    return open_cuda(request, None, compiled=False)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(360, 640), (720, 1280), (480, 854), (1080, 1920), (1920, 1080)])
def test_halving_on_a_device_is_what_opencv_does_to_the_bit(size: tuple[int, int], device: str) -> None:
    pixels, times = picture(*size), halvings(*size)
    assert times == {640: 2, 1280: 3, 854: 1, 1920: 3, 1080: 3}[size[1]]
    frames = torch.from_numpy(pixels)[None].to(device)
    analysis = halved_frames(frames, times)[0].cpu().numpy()
    np.testing.assert_array_equal(
        halved(analysis, analysis_size(*size)), halved(pixels, analysis_size(*size))
    )


@given(st.integers(2, 700), st.integers(2, 700))
def test_halvings_are_those_that_come_out_even_and_leave_enough(height: int, width: int) -> None:
    times, least = halvings(height, width), analysis_size(height, width)
    side = 2**times
    assert height % side == width % side == 0
    assert times == 0 or (height // side >= least[0] and width // side >= least[1])


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
@settings(max_examples=30)
def test_halves_are_rounded_up_as_opencv_rounds_them(seed: int, times: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    expected = halved(pixels, (48 >> times, 64 >> times))
    np.testing.assert_array_equal(halved_frames(torch.from_numpy(pixels)[None], times)[0], expected)


def test_small_pictures_are_of_the_frame_they_came_with(network: Network) -> None:
    engine = opened(network, 240, 320)
    condition = StyleCondition(network.codes[:2], soft_disc(240, 320))
    pictures = [picture(240, 320, seed) for seed in range(5)]
    # More than there are slots: they are used again while the first pictures are still wanted.
    waiting = [engine.start(pixels, condition) for pixels in pictures]
    found: list[tuple[Picture, AnalysisPair | None]] = []
    for wait in waiting:
        assert wait.is_ready()
        assert wait.analysis() is None
        found.append((wait.result(), wait.analysis()))
    for pixels, (styled, analysis) in zip(pictures, found, strict=True):
        assert analysis is not None
        for whole, less in zip((pixels, styled), analysis, strict=True):
            np.testing.assert_array_equal(less, halved(whole, (120, 160)))
    engine.close()


@pytest.mark.parametrize("size", [(239, 320), (64, 96)])
def test_frames_that_are_padded_or_small_already_have_none(network: Network, size: tuple[int, int]) -> None:
    engine = opened(network, *size)
    wait = engine.start(picture(*size), StyleCondition(network.codes[:2]))
    wait.result()
    assert wait.analysis() is None
    engine.close()


def film(clip: str) -> list[Frame]:
    """24 frames of 512x288."""
    with open_source(str(clip_named(clip))) as source:
        pictures = [cv2.resize(frame.pixels, (512, 288)) for frame in islice(source, 24)]
    return [Frame(pixels, i, i, Fraction(1, 30), 1, 0.0) for i, pixels in enumerate(pictures)]


class Flickering:
    """An engine whose every fifth frame comes out brighter, in small as well."""

    busy_seconds = 0.0

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self._begun = 0

    @property
    def spec(self) -> EngineSpec:
        return self._inner.spec

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        pending, self._begun = self._inner.start(pixels, condition), self._begun + 1
        if self._begun % 5:
            return pending
        brighter: list[Picture] = []

        def wait() -> Picture:
            brighter.append(np.clip(pending.result() * 1.08, 0, 255).astype(np.uint8))
            return brighter[-1].copy()

        def analysis() -> AnalysisPair | None:
            less = pending.analysis()
            return None if less is None else (less[0], halved(brighter[-1], (144, 256)))

        return replace(pending, result=wait, analysis=analysis)

    def close(self) -> None:
        self._inner.close()


class Listening(ResidualDetector):
    """Keeps what it finds, and whether small pictures came with the frame."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: list[AnomalyMap] = []
        self.given: list[bool] = []

    def detect(self, source: Picture, styled: Picture, analysis: AnalysisPair | None = None) -> AnomalyMap:
        self.given.append(analysis is not None)
        self.maps.append(super().detect(source, styled, analysis))
        return self.maps[-1]


@needs_clips
@pytest.mark.parametrize("clip", ["handheld_crystal.mp4"])
def test_frames_are_judged_and_repaired_alike_with_pictures_halved_by_the_engine(
    network: Network, clip: str
) -> None:
    frames = film(clip)
    left, found, condition = [], [], StyleCondition(network.codes[:2])
    for halving in (False, True):
        engine, detector = Flickering(opened(network, 288, 512, halving=halving)), Listening()
        with EventLog(None) as events:
            process = Process(
                engine,
                lambda _: condition,
                RepairStage(detector, RepairCorrector(), WcagFlashLimiter(), events),
            )
            left.append([frame.pixels for frame in process(frames)])
        assert detector.given == [halving] * len(frames)
        found.append([(m.kinds, m.scores) for m in detector.maps])
        engine.close()
    assert found[0] == found[1]
    assert any(kinds for kinds, _ in found[0])
    for a, b in zip(*left, strict=True):
        np.testing.assert_array_equal(a, b)
