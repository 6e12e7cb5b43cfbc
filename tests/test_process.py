"""The heart, with a stand-in engine: what leaves, in which order, and what is repaired."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_flashes import worst_share

from streamstyle.errors import SinkError
from streamstyle.pipeline.event_log import EventLog
from streamstyle.pipeline.process import Process
from streamstyle.pipeline.repair_stage import RepairStage
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import NullDetector, ResidualDetector
from streamstyle.temporal.flash_limiter import FLASH_AREA, WcagFlashLimiter
from streamstyle.types import (
    EVENT_SCHEMA,
    EngineSpec,
    Frame,
    InferenceFuture,
    Kind,
    Picture,
    Repaint,
    StyleCondition,
)

SIZE = (180, 320)
CONDITION = StyleCondition(np.zeros((2, 4), np.float32))


def panning_scene(count: int) -> Iterator[Frame]:
    """A blurred noise picture that moves by 2 pixels a frame."""
    rng = np.random.default_rng(3)
    world = cv2.GaussianBlur(
        rng.integers(0, 256, (SIZE[0], SIZE[1] + 2 * count, 3)).astype(np.uint8), (0, 0), 3
    )
    world = cv2.normalize(world, None, 20, 235, cv2.NORM_MINMAX)
    for i in range(count):
        pixels = np.ascontiguousarray(world[:, 2 * i : 2 * i + SIZE[1]])
        yield Frame(pixels, i, i, Fraction(1, 30), 1, 0.0)


class ToneEngine:
    """A stylizer that any test can reckon: a tone curve, brightened by `gain` at chosen frames."""

    spec = EngineSpec("tone", "fp32", "cpu", in_flight=3)
    busy_seconds = 0.0

    def __init__(self, gains: dict[int, float] | None = None) -> None:
        self._gains = gains or {}
        self.started = 0
        self.conditions: list[StyleCondition] = []

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        self.conditions.append(condition)
        gain = self._gains.get(self.started, 1.0) * (1 + float(condition.codes[0, 0]))
        self.started += 1
        toned = 40 + 0.7 * pixels.astype(np.float32)
        return InferenceFuture(lambda: (toned * gain).round().clip(0, 255).astype(np.uint8))

    def close(self) -> None:
        pass


def run(
    engine: ToneEngine,
    count: int,
    log: Path | None = None,
    *,
    repair: bool = True,
    condition: Callable[[Frame], StyleCondition] = lambda _: CONDITION,
    flash_limiter: WcagFlashLimiter | None = None,
) -> tuple[list[Frame], EventLog]:
    silent = None if flash_limiter is None else NullDetector()
    detector = ResidualDetector() if repair else silent
    with EventLog(log) as events:
        stage = None
        if detector is not None:
            stage = RepairStage(detector, RepairCorrector(), flash_limiter, events)
        process = Process(engine, condition, stage)
        return list(process(panning_scene(count))), events


def test_every_frame_leaves_once_in_order_with_its_timing() -> None:
    styled, _ = run(ToneEngine(), 20)
    assert [f.index for f in styled] == list(range(20))
    assert [f.pts for f in styled] == list(range(20))


class SlotEngine(ToneEngine):
    """Counts the frames that are in it."""

    def __init__(self, in_flight: int) -> None:
        super().__init__()
        self.spec = replace(self.spec, in_flight=in_flight)
        self.inside = self.most = 0

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        painted = super().start(pixels, condition)
        self.inside += 1
        self.most = max(self.most, self.inside)

        def wait() -> Picture:
            self.inside -= 1
            return painted.result()

        return InferenceFuture(wait)


@pytest.mark.parametrize(("in_flight", "spare"), [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)])
def test_the_engine_holds_what_it_asks_for_and_the_spare_ones(in_flight: int, spare: int) -> None:
    engine = SlotEngine(in_flight)
    process = Process(engine, lambda _: CONDITION, spare=spare)
    styled = list(process(panning_scene(10)))
    assert [f.index for f in styled] == list(range(10))
    assert engine.most == max(in_flight + spare, 1)


def test_without_a_spare_frame_the_engine_is_never_idle_while_one_is_repaired() -> None:
    engine = SlotEngine(in_flight=2)
    process = Process(engine, lambda _: CONDITION, spare=0)
    running = [engine.inside for _ in process(panning_scene(10))]
    assert running == [2] * 8 + [1, 0]


def test_one_frame_leaves_for_each_time_that_none_waits() -> None:
    engine, left = SlotEngine(in_flight=4), list[int]()

    def source() -> Iterator[Frame | None]:
        scene = panning_scene(8)
        yield from (next(scene) for _ in range(3))
        for asked in range(1, 4):
            yield None
            assert left == list(range(asked))
        yield None
        yield from scene

    process = Process(engine, lambda _: CONDITION, spare=0)
    for frame in process(source()):
        left.append(frame.index)
    assert left == list(range(8))


def test_what_the_guard_holds_back_is_no_past_to_find_the_next_frame_at_fault_against() -> None:
    class Recording(NullDetector):
        def __init__(self) -> None:
            self.past: list[Picture] = []

        def commit(self, styled: Picture, *, touched: bool) -> Mapping[Kind, float]:
            self.past.append(styled.copy())
            return super().commit(styled, touched=touched)

    pulsing = {i: 1.6 for i in range(90) if i % 6 < 3}
    painted, _ = run(ToneEngine(pulsing), 90, repair=False)
    detector, engine = Recording(), ToneEngine(pulsing)
    stage = RepairStage(detector, RepairCorrector(), WcagFlashLimiter())
    process = Process(engine, lambda _: CONDITION, stage)
    left = list(process(panning_scene(90)))
    assert worst_share([f.pixels for f in painted]) > FLASH_AREA > worst_share([f.pixels for f in left])
    assert all(np.array_equal(past, frame.pixels) for past, frame in zip(detector.past, painted, strict=True))


def test_a_clean_clip_leaves_bit_identical_and_unflagged() -> None:
    styled, events = run(ToneEngine(), 90)
    plain, _ = run(ToneEngine(), 90, repair=False)
    assert events.flagged_frames == 0
    for a, b in zip(styled, plain, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


@pytest.mark.parametrize("repair", [True, False])
def test_flashes_that_painting_adds_are_held_back_and_logged(tmp_path: Path, repair: bool) -> None:
    pulsing = {i: 0.5 for i in range(90) if i % 6 < 3}
    log = tmp_path / "events.jsonl"
    held, events = run(ToneEngine(pulsing), 90, log, repair=repair, flash_limiter=WcagFlashLimiter())
    flashing, _ = run(ToneEngine(pulsing), 90, repair=False)
    assert worst_share([frame.pixels for frame in flashing]) >= FLASH_AREA
    assert worst_share([frame.pixels for frame in held]) < FLASH_AREA
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    if not repair:  # with repair the gains are levelled before they can be flashes
        assert events.by_kind["flash"] == len(lines) > 0
        assert all(line["action"] == "flash hold" for line in lines)
        assert all(line["scores"]["flash"] >= line["thresholds"]["flash"] for line in lines)


def test_planted_flicker_is_flagged_logged_and_reduced(tmp_path: Path) -> None:
    planted = {50: 1.06, 52: 0.94, 54: 1.06, 70: 0.94}
    log = tmp_path / "events.jsonl"
    repaired, events = run(ToneEngine(planted), 90, log)
    injected, _ = run(ToneEngine(planted), 90, repair=False)
    clean, _ = run(ToneEngine(), 90, repair=False)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["index"] for line in lines} >= set(planted)
    assert events.flagged_frames == len(lines)

    def error(frames: list[Frame]) -> float:
        return sum(
            float(np.mean((frames[i].pixels.astype(np.float64) - clean[i].pixels) ** 2)) for i in planted
        )

    assert 1 - error(repaired) / error(injected) > 0.7
    event = next(line for line in lines if line["index"] == 50)
    assert event["schema"] == EVENT_SCHEMA
    assert event["time"] == pytest.approx(50 / 30, abs=1e-4)
    assert event["kinds"][0] in {"flicker", "pop"}
    assert event["tiles"]
    assert event["scores"][event["kinds"][0]] > event["thresholds"][event["kinds"][0]]
    assert event["scores_after"][event["kinds"][0]] < event["scores"][event["kinds"][0]]
    assert event["action"] != "none"


def test_each_frame_is_painted_with_the_look_that_was_asked_for_it() -> None:
    given = [StyleCondition(np.full((2, 4), i, np.float32)) for i in range(12)]
    engine = ToneEngine()
    styled, _ = run(engine, 12, condition=lambda frame: given[frame.index], repair=False)
    assert [frame.index for frame in styled] == list(range(12))
    assert all(a is b for a, b in zip(engine.conditions, given, strict=True))


def test_a_change_of_style_is_no_anomaly() -> None:
    before, after = (StyleCondition(np.full((2, 4), value, np.float32)) for value in (0.0, 0.15))
    switched, events = run(ToneEngine(), 90, condition=lambda frame: before if frame.index < 60 else after)
    plain, _ = run(
        ToneEngine(), 90, condition=lambda frame: before if frame.index < 60 else after, repair=False
    )
    assert events.flagged_frames == 0
    for a, b in zip(switched, plain, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)
    _, same_jump = run(ToneEngine(dict.fromkeys(range(60, 90), 1.15)), 90)
    assert same_jump.flagged_frames > 0


def test_a_crossfade_is_no_anomaly_and_a_lost_picture_in_it_is() -> None:
    def fading(frame: Frame) -> StyleCondition:
        share = min(max((frame.index - 60) / 12, 0), 1)
        return StyleCondition(np.full((2, 4), 0.25 * share, np.float32), fading=0 < share < 1)

    faded, events = run(ToneEngine(), 100, condition=fading)
    plain, _ = run(ToneEngine(), 100, condition=fading, repair=False)
    assert events.flagged_frames == 0
    for a, b in zip(faded, plain, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)
    gains = {60 + i: 1 + 0.25 * min(i, 12) / 12 for i in range(40)}
    _, unannounced = run(ToneEngine(gains), 100)
    assert unannounced.flagged_frames > 0
    _, unrecoverable = run(ToneEngine({66: 0.0}), 100, condition=fading)
    assert unrecoverable.by_kind["distortion"] >= 1


def test_edges_that_come_and_go_with_a_picture_of_no_contrast_are_no_loss() -> None:
    def fading(frame: Frame) -> StyleCondition:
        low_contrast = 60 <= frame.index < 72
        return StyleCondition(
            np.full((2, 4), 0.0, np.float32), fading=low_contrast, low_contrast=low_contrast
        )

    _, events = run(ToneEngine({66: 0.0}), 100, condition=fading)
    assert events.flagged_frames == 0


def test_an_event_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="No such file"):
        EventLog(tmp_path / "missing" / "events.jsonl")


def test_a_full_disk_under_the_event_log_is_told() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(SinkError, match="No space left"):
        run(ToneEngine({50: 1.1}), 60, full)


class CleanRepainter:
    """Paints as the tone engine does without its gains, times `gain`."""

    def __init__(self, gain: float = 1.0) -> None:
        self._gain = gain
        self.painted = 0

    def remember(self) -> Repaint:
        def again(pixels: Picture, condition: StyleCondition) -> Picture:
            self.painted += 1
            return ToneEngine({0: self._gain}).start(pixels, condition).result()

        return again


@pytest.mark.parametrize(("gain", "kept"), [(1.0, True), (1.06, False)])
def test_a_flagged_frame_is_painted_again_and_kept_only_where_that_helps(
    tmp_path: Path, gain: float, kept: bool
) -> None:
    planted, log, repainter = {50: 1.06}, tmp_path / "events.jsonl", CleanRepainter(gain)
    with EventLog(log) as events:
        process = Process(
            ToneEngine(planted),
            lambda _: CONDITION,
            RepairStage(ResidualDetector(), RepairCorrector(), events=events),
            repainter=repainter,
        )
        left = list(process(panning_scene(70)))
    clean, _ = run(ToneEngine(), 70, repair=False)
    assert repainter.painted == 1
    first = json.loads(log.read_text().splitlines()[0])
    assert first["index"] == 50
    assert first["action"] == ("painted again" if kept else "tile gain")
    assert np.array_equal(left[50].pixels, clean[50].pixels) == kept
    assert np.abs(left[50].pixels.astype(int) - clean[50].pixels).mean() < 1.5
