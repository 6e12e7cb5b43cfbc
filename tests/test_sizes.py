"""Painted smaller, brought up with the frame's edges."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import clip_named, needs_clips
from test_cli import frames_of, refused
from test_engine_contract import Network, picture, psnr, still

from streamstyle.cli.main import main
from streamstyle.engines.norm_stats import FrozenRepainter, as_stateful
from streamstyle.engines.open_engine import open_engine, paint_all
from streamstyle.engines.request import EngineRequest, NetworkWeights, SizeOpener
from streamstyle.engines.size import MIN_SIDE, SHARES, affordable, affordable_engine, fitted
from streamstyle.engines.upsampling import GuidedUpsampling, reduced
from streamstyle.engines.upsampling_engine import UpsamplingEngine, upsampled
from streamstyle.media.open import open_source
from streamstyle.metrics.similarity import edge_similarity, sharpness_ratio
from streamstyle.styles.bundle import BUNDLED, load_bundle
from streamstyle.types import Engine, EngineSpec, InferenceFuture, Picture, StyleCondition

pytestmark = pytest.mark.usefixtures("one_thread")


class Recolouring:
    """A stylizer that any test can reckon; it keeps the conditions that it was given."""

    spec = EngineSpec("recolouring", "uint8", "cpu", in_flight=2)
    busy_seconds = 0.0

    def __init__(self, height: int, width: int) -> None:
        self._shape = (height, width, 3)
        self.conditions: list[StyleCondition] = []
        self.closed = False

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        assert pixels.shape == self._shape
        self.conditions.append(condition)
        return InferenceFuture((255 - pixels // 2)[..., ::-1].copy)

    def close(self) -> None:
        self.closed = True


CONDITION = StyleCondition(np.zeros((2, 4), np.float32))
Opener = Callable[[int, int], Engine]


def open_upsampled(opener: Opener, height: int, width: int, working: tuple[int, int]) -> Engine:
    return upsampled(opener(*working), height, width, working)


def open_affordable(opener: Opener, height: int, width: int, rate: Fraction) -> Engine:
    inner, working = affordable_engine(SizeOpener(opener), EngineRequest(height, width, rate=rate), CONDITION)
    return upsampled(inner, height, width, working)


def shapes() -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Frames from 64x64 to 4K and boxes, of any aspect and parity."""
    rng = np.random.default_rng(5)
    corners = [(64, 64), (64, 3840), (2160, 3840), (3840, 2160), (2161, 3839), (65, 64), (97, 4095)]
    drawn = [tuple(int(2**x) for x in rng.uniform(6, 12, 2)) for _ in range(300)]
    for height, width in [*corners, *drawn]:
        for box in ((360, 640), (64, 64), (1080, 1920), tuple(int(2**x) for x in rng.uniform(6, 12, 2))):
            yield height, width, (box[0], box[1])


def test_working_size_lies_in_the_box_and_keeps_the_shape_whatever_the_frame() -> None:
    for height, width, box in shapes():
        h, w = fitted(height, width, box)
        assert 1 <= h <= height
        assert 1 <= w <= width
        assert max(h, w) <= max(box)
        assert min(h, w) <= min(box)
        assert abs(h * width - w * height) <= max(height, width), "half a pixel of rounding at most"
        assert (h, w) == fitted(height, width, box[::-1]), "a box serves both orientations"
        assert (w, h) == fitted(width, height, box)


def test_affordable_size_keeps_the_rate_or_is_the_least() -> None:
    for height, width, _ in shapes():
        for cost in (1e-9, 1e-7, 1e-5):
            up = height * width * 5e-9
            h, w = affordable(height, width, Fraction(30), cost, up, 2)
            assert min(h, w) >= min(MIN_SIDE, height, width)
            slower = affordable(height, width, Fraction(60), cost, up, 2)
            assert slower[0] * slower[1] <= h * w
    assert affordable(720, 1280, Fraction(30), 1e-9, 0.001, 2) == (720, 1280)
    assert affordable(720, 1280, Fraction(30), 1.0, 0.001, 2) == (180, 320)
    assert affordable(720, 1280, None, 1e-7, 0.001, 2) == affordable(720, 1280, Fraction(30), 1e-7, 0.001, 2)


def test_fast_engine_is_calibrated_to_the_frames_own_size() -> None:
    opened = []

    def open_recolouring(height: int, width: int) -> Engine:
        opened.append(Recolouring(height, width))
        return opened[-1]

    engine = open_affordable(open_recolouring, 130, 230, Fraction(1, 10))
    assert engine is opened[-1]
    assert engine.start(picture(130, 230), CONDITION).result().shape == (130, 230, 3)
    assert [e.closed for e in opened] == [*[True] * (len(opened) - 1), False]
    slow = open_affordable(open_recolouring, 264, 264, Fraction(10**9))
    assert slow.spec.size == (264 * SHARES[-1], 264 * SHARES[-1])


@pytest.mark.parametrize("size", [(64, 64), (95, 131), (360, 640), (241, 64)])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.67, 0.99])
def test_any_size_is_brought_up_with_its_edges(size: tuple[int, int], share: float) -> None:
    pixels = picture(*size)
    working = max(1, round(size[0] * share)), max(1, round(size[1] * share))
    engine = open_upsampled(Recolouring, *size, working)
    first = engine.start(pixels, CONDITION)
    second = engine.start(255 - pixels, CONDITION)
    styled = first.result()
    kept = styled.copy()
    assert styled.shape == pixels.shape
    assert styled.dtype == np.uint8
    assert psnr(styled, (255 - pixels // 2)[..., ::-1]) > 25
    assert not np.array_equal(second.result(), styled)
    np.testing.assert_array_equal(styled, kept, "a picture is its caller's own")
    np.testing.assert_array_equal(engine.start(pixels, CONDITION).result(), styled)


def test_own_size_is_painted_by_the_network_itself() -> None:
    assert isinstance(open_upsampled(Recolouring, 64, 96, (64, 96)), Recolouring)


def test_region_is_reduced_with_the_frame_and_a_still_look_stays_one() -> None:
    inner = Recolouring(32, 48)
    engine = UpsamplingEngine(inner, 64, 96, (32, 48))
    mask = np.zeros((64, 96), np.uint8)
    mask[:, 48:] = 255
    condition = replace(CONDITION, mask=mask)
    for _ in range(2):
        engine.start(picture(64, 96), condition).result()
    assert inner.conditions[0] is inner.conditions[1]
    assert inner.conditions[0].mask is not None
    np.testing.assert_array_equal(inner.conditions[0].mask, mask[::2, ::2])
    engine.start(picture(64, 96), CONDITION).result()
    assert inner.conditions[2] is CONDITION


def test_statistics_are_held_through_the_smaller_size() -> None:
    network = Network.fresh()
    condition = still(network.codes[1])
    bright, dark = picture(96, 128), picture(96, 128) // 3
    engine = open_upsampled(lambda h, w: network.open_stateful("torch", h, w), 96, 128, (48, 64))
    engine = as_stateful(engine)
    assert engine is not None
    again = FrozenRepainter(engine)
    alone = engine.start(dark, condition).result()
    engine.start(bright, condition).result()
    repaint = again.remember()
    plain = engine.start(dark, condition).result()
    np.testing.assert_array_equal(plain, alone)
    assert not np.array_equal(repaint(dark, condition), plain)


@needs_clips
@pytest.mark.parametrize("clip", ["sam2_02_cups.mp4", "handheld_rabbit.mp4"])
def test_guided_upsampling_keeps_strokes_and_gives_the_inputs_edges(clip: str) -> None:
    with open_source(str(clip_named(clip))) as source:
        pixels = next(iter(source)).pixels
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    bundle = load_bundle(BUNDLED)
    code = bundle.styles[bundle.names.index("great-wave")].code
    small = reduced(pixels, height, width)
    engine = open_engine(
        EngineRequest(height, width, NetworkWeights(bundle.manifest.architecture, bundle.weights), "torch")
    )
    painted = engine.start(small, StyleCondition(np.stack([code, code]))).result()
    guided = GuidedUpsampling(*pixels.shape[:2], (height, width))(painted, small, pixels)
    enlarged = np.asarray(cv2.resize(painted, pixels.shape[1::-1]), np.uint8)
    assert edge_similarity(guided, pixels) > edge_similarity(enlarged, pixels)
    assert sharpness_ratio(guided, enlarged) > 1.1
    assert psnr(reduced(guided, height, width), painted) > 30, "the strokes are those that were painted"


def test_run_paints_smaller_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.mp4"
    scene = "test:?seconds=1&size=256x144&rate=10"
    given = ["--engine", "torch", "--size"]
    assert main(["run", scene, str(out), *given, "128x128", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["engine"]["size"] == [128, 72]
    assert summary["size"] == [256, 144]
    assert summary["flagged_frames"] == 0
    assert [f.shape for _, f in frames_of(str(out))] == [(144, 256, 3)] * 10
    assert main(["run", scene, "null:", *given, "auto", "--frames", "2"]) == 0
    assert "engine    " in capsys.readouterr().out


@pytest.mark.parametrize("size", ["640", "0x0", "63x640", "axb", "640x-360"])
def test_size_that_cannot_be_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = refused(capsys, "run", "test:?seconds=1", "null:", "--size", size)
    assert code == 2
    assert "--size" in error


def test_engines_paint_many_frames_in_order_through_the_smaller_size() -> None:
    frames = [picture(96, 128, seed) for seed in range(5)]
    engine = open_upsampled(Recolouring, 96, 128, (48, 64))
    one_by_one = [engine.start(pixels, CONDITION).result() for pixels in frames]
    for a, b in zip(paint_all(engine, frames, CONDITION), one_by_one, strict=True):
        np.testing.assert_array_equal(a, b)
