"""Painted every Nth frame, propagated along the motion between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import clip_named, needs_clips
from test_cli import frames_of
from test_engine_contract import Network, psnr, still
from test_process import panning_scene

from streamstyle.cli.main import main
from streamstyle.engines.keyframe_engine import KeyframeEngine
from streamstyle.engines.norm_stats import repainter_of
from streamstyle.engines.open_engine import open_engine, paint_all
from streamstyle.engines.request import EngineRequest, NetworkWeights
from streamstyle.engines.upsampling_engine import upsampled
from streamstyle.media.open import open_source
from streamstyle.pipeline.event_log import EventLog
from streamstyle.pipeline.process import Process
from streamstyle.pipeline.repair_stage import RepairStage
from streamstyle.styles.bundle import BUNDLED, load_bundle
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import ResidualDetector
from streamstyle.temporal.fine_motion import FineMotion
from streamstyle.types import Engine, EngineSpec, Frame, InferenceFuture, Kind, Picture, StyleCondition

pytestmark = pytest.mark.usefixtures("one_thread")

CONDITION = StyleCondition(np.zeros((2, 4), np.float32))


class Negative:
    """Paints negatives, from the frame that it is given to the call that waits; counts them."""

    spec = EngineSpec("negative", "uint8", "cpu", in_flight=2)
    busy_seconds = 0.0

    def __init__(self, gains: dict[int, float] | None = None) -> None:
        self.painted: list[Picture] = []
        self._gains = gains or {}

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        gain = self._gains.get(len(self.painted), 1.0)
        self.painted.append(pixels)
        return InferenceFuture(lambda: ((255.0 - pixels) * gain).clip(0, 255).astype(np.uint8))

    def close(self) -> None:
        pass


def panning(count: int) -> list[Picture]:
    return [frame.pixels for frame in panning_scene(count)]


def propagate(
    inner: Engine, every: int, pictures: Sequence[Picture], condition: StyleCondition = CONDITION
) -> list[Picture]:
    return list(paint_all(KeyframeEngine(inner, every, FineMotion()), pictures, condition))


@pytest.mark.parametrize("every", [2, 3, 4])
def test_every_nth_frame_is_painted_and_the_others_follow_the_motion(every: int) -> None:
    frames, inner = panning(9), Negative()
    styled = propagate(inner, every, frames)
    assert [any(f is p for p in inner.painted) for f in frames] == [i % every == 0 for i in range(9)]
    for before, pixels, picture in zip([frames[0], *frames], frames, styled, strict=False):
        assert picture.shape == pixels.shape
        assert psnr(picture, 255 - pixels) > 28
        if before is not pixels:
            assert psnr(picture, 255 - before) < psnr(picture, 255 - pixels) - 3, "it moves with the input"


def test_each_picture_is_its_callers_own() -> None:
    frames = panning(4)
    plain = propagate(Negative(), 4, frames)
    spoilt = []
    for picture in paint_all(KeyframeEngine(Negative(), 4, FineMotion()), frames, CONDITION):
        spoilt.append(picture.copy())
        picture[:] = 0
    for a, b in zip(plain, spoilt, strict=True):
        np.testing.assert_array_equal(a, b)


def test_cut_light_and_another_style_are_painted_at_once() -> None:
    frames = panning(9)
    frames[2] = cv2.flip(frames[2], -1)  # a cut
    frames[3:] = [cv2.flip(frame, -1) for frame in frames[3:]]
    frames[5:] = [(frame // 2).astype(np.uint8) for frame in frames[5:]]  # a light goes out
    inner = Negative()
    engine = KeyframeEngine(inner, 4, FineMotion())
    other = replace(CONDITION, codes=np.ones((2, 4), np.float32))
    for i, frame in enumerate(frames):
        engine.start(frame, other if i >= 7 else CONDITION).result()
    assert [any(f is p for p in inner.painted) for f in frames] == [i in (0, 2, 5, 7) for i in range(9)]


def test_every_may_change_between_two_frames_and_says_how_many_to_keep_in_flight() -> None:
    frames, inner = panning(7), Negative()
    engine = KeyframeEngine(inner, 1, FineMotion())
    assert engine.spec == replace(inner.spec, every=1)
    for i, frame in enumerate(frames):
        engine.every = 1 if i < 3 else 4
        engine.start(frame, CONDITION).result()
    assert [any(f is p for p in inner.painted) for f in frames] == [i <= 3 for i in range(7)]
    assert (engine.spec.every, engine.spec.in_flight) == (4, 5)


@pytest.mark.parametrize("size", [(64, 64), (65, 131), (97, 640), (4, 90)])
def test_any_size_is_propagated(size: tuple[int, int]) -> None:
    pictures = [cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA) for frame in panning(4)]
    styled = propagate(Negative(), 2, pictures)
    assert [picture.shape for picture in styled] == [(*size, 3)] * 4


def flagged(inner: Engine, every: int, frames: list[Frame]) -> dict[int, tuple[Kind, ...]]:
    """Kinds that the detector flags, by frame."""
    with EventLog(None) as events:
        engine = KeyframeEngine(inner, every, FineMotion())
        process = Process(
            engine, lambda _: CONDITION, RepairStage(ResidualDetector(), RepairCorrector(), events=events)
        )
        styled = list(process(frames))
    assert [frame.index for frame in styled] == [frame.index for frame in frames]
    return {f.index: f.quality.kinds for f in styled if f.quality is not None and f.quality.kinds}


def test_propagated_frames_are_no_duplicates_and_real_pops_are_still_seen() -> None:
    frames = list(panning_scene(40))
    assert not flagged(Negative(), 2, frames)
    seen = flagged(Negative({10: 0.7}), 2, frames)
    assert 20 in seen, "the eleventh painting is frame 20"


def test_frames_are_painted_again_whole_while_others_are_propagated() -> None:
    network = Network.fresh()
    condition, frames = still(network.codes[0]), panning(4)

    def opened() -> Engine:
        keyframes = KeyframeEngine(network.open_stateful("torch", 90, 160), 4, FineMotion())
        return upsampled(keyframes, 180, 320, (90, 160))

    engine = opened()
    plain = [engine.start(frame, condition).result() for frame in frames]
    engine = opened()
    repainter = repainter_of(engine)
    assert repainter is not None
    for frame, undisturbed in zip(frames, plain, strict=True):
        again = repainter.remember()
        np.testing.assert_array_equal(engine.start(frame, condition).result(), undisturbed)
        painted = again(frame, condition)
        assert painted.shape == frame.shape
        assert np.array_equal(painted, undisturbed) == (frame is frames[0])


@needs_clips
@pytest.mark.parametrize("clip", ["handheld_crystal.mp4", "sam2_05_default_juggle.mp4"])
def test_propagated_painting_is_nearer_to_what_would_be_painted_than_the_last_one(clip: str) -> None:
    with open_source(str(clip_named(clip))) as source:
        frames = [f.pixels for i, f in zip(range(44), source, strict=False) if i >= 40]
    frames = [cv2.resize(frame, (480, 272), interpolation=cv2.INTER_AREA) for frame in frames]
    bundle = load_bundle(BUNDLED)
    code = bundle.styles[bundle.names.index("udnie")].code
    condition = StyleCondition(np.stack([code, code]))
    engine = open_engine(
        EngineRequest(272, 480, NetworkWeights(bundle.manifest.architecture, bundle.weights), "torch")
    )
    painted = [engine.start(frame, condition).result() for frame in frames]
    propagated = propagate(engine, 4, frames, condition)
    np.testing.assert_array_equal(propagated[0], painted[0])
    for i in (1, 2, 3):
        assert psnr(propagated[i], painted[i]) > psnr(painted[0], painted[i]) + 2


def test_run_paints_one_of_three_smaller_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, scene = tmp_path / "out.mp4", "test:?seconds=1&size=256x144&rate=12"
    given = ["--engine", "torch", "--every", "3", "--size", "128x72"]
    assert main(["run", scene, str(out), *given, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["engine"]["every"], summary["engine"]["size"]) == (3, [128, 72])
    assert summary["flagged_frames"] == 0
    assert len(frames_of(str(out))) == summary["frames_in"] == 12
    assert main(["run", scene, "null:", *given, "--frames", "4", "--consistency", "0.5"]) == 0
    assert "painting one frame of 3 at 128x72" in capsys.readouterr().out
