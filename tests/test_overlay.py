"""`--overlay`: what a viewer sees of the detector, and what the detector must not see of that."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import clip_named, needs_clips
from hypothesis import given, settings
from hypothesis import strategies as st
from test_flashes import worst_share
from test_process import CONDITION, SIZE, ToneEngine, panning_scene

from streamstyle.cli.main import main
from streamstyle.explain.overlay import Layout, Overlay, layout, short_words
from streamstyle.explain.run_report import AnomalyReport
from streamstyle.explain.tint import outline_, tint_
from streamstyle.media.encoding import Encoding
from streamstyle.media.open import open_sink, open_source
from streamstyle.pipeline.event_log import EventLog
from streamstyle.pipeline.process import Process
from streamstyle.pipeline.repair_stage import RepairStage
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import ResidualDetector, neutral
from streamstyle.temporal.flash_limiter import FLASH_AREA, FLASH_CHANGE, WcagFlashLimiter, relative_luminance
from streamstyle.types import Action, AnomalyMap, Frame, InferenceFuture, Kind, Picture, StyleCondition

HIT = 50
PATCH = (slice(40, 80), slice(160, 240))  # tiles 2..3 down and 6..8 across, at SIZE
GAIN = Action("tile gain", {"gain": 0.94, "tiles": 0.1, "offset": 0.0})


class PatchEngine(ToneEngine):
    """Brightens a patch of one frame."""

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        index = self.started
        toned = super().start(pixels, condition).result()
        if index == HIT:
            toned[PATCH] = (toned[PATCH] * 1.15).clip(0, 255).astype(np.uint8)
        return InferenceFuture(lambda: toned)


def painted(
    engine: ToneEngine, log: Path | None, *, overlay: bool, count: int = 70
) -> tuple[list[Picture], EventLog]:
    """Frames that leave and the log of events, with every other observer there is."""
    stages = ResidualDetector(), RepairCorrector()
    draw = Overlay().draw_ if overlay else None
    with EventLog(log) as events:
        process = Process(
            engine,
            lambda _: CONDITION,
            RepairStage(*stages, WcagFlashLimiter(), events, AnomalyReport()),
            overlay=draw,
        )
        return [frame.pixels for frame in process(panning_scene(count))], events


def found(kinds: tuple[Kind, ...], tiles: tuple[slice, slice] | None, excess: float = 0.0) -> AnomalyMap:
    blank = neutral()
    flagged = np.zeros_like(blank.tiles)
    if tiles is not None:
        flagged[tiles] = True
    score = np.where(flagged, np.float32(excess), np.float32(0)).astype(np.float32)
    scores = {kind: 2 * blank.thresholds[kind] if kind in kinds else 0.0 for kind in Kind}
    return replace(blank, kinds=kinds, tiles=flagged, tile_score=score, scores=scores)


def drawn(picture: Picture, anomaly: AnomalyMap, action: Action = GAIN) -> Picture:
    frame = Frame(picture, 0, 0, Fraction(1, 30), 1, 0.0)
    copy = picture.copy()
    Overlay().draw_(frame, copy, anomaly, action)
    return copy


def scene(height: int, width: int) -> Picture:
    return cv2.resize(next(panning_scene(1)).pixels, (width, height), interpolation=cv2.INTER_CUBIC)


def test_a_patch_is_drawn_where_it_is_and_nowhere_else(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    plain, events = painted(PatchEngine(), log, overlay=False)
    shown, _ = painted(PatchEngine(), None, overlay=True)
    flagged = {json.loads(line)["index"] for line in log.read_text().splitlines()}
    assert HIT in flagged
    assert events.flagged_frames < 10
    top = layout(*SIZE).top
    for index, (before, after) in enumerate(zip(plain, shown, strict=True)):
        assert not np.array_equal(before[top:], after[top:])
        if index not in flagged:
            np.testing.assert_array_equal(before[:top], after[:top])
    changed = np.any(plain[HIT] != shown[HIT], axis=-1)[:top]
    assert changed[PATCH].mean() > 0.9
    around = np.zeros_like(changed)
    # A flagged tile may reach over the patch's edge by less than itself, its outline by two pixels more.
    around[PATCH[0].start - 22 : PATCH[0].stop + 22, PATCH[1].start - 29 : PATCH[1].stop + 29] = True
    assert not changed[~around].any()


def test_the_detector_finds_the_same_under_an_overlay(tmp_path: Path) -> None:
    pulses = {50: 1.06, 52: 0.94, 54: 1.06, 60: 0.0, 61: 0.0}
    logs = tmp_path / "without.jsonl", tmp_path / "with.jsonl"
    for log, overlay in zip(logs, (False, True), strict=True):
        painted(ToneEngine(pulses), log, overlay=overlay)
    assert logs[0].read_text() == logs[1].read_text() != ""


def test_the_overlay_of_a_flickering_film_is_no_flash() -> None:
    pulsing = {i: (1.04, 0.96)[i % 2] for i in range(90)}
    shown, events = painted(ToneEngine(pulsing), None, overlay=True, count=90)
    assert events.flagged_frames > 20
    assert worst_share(shown) < FLASH_AREA


@pytest.mark.parametrize(
    ("kind", "excess"),
    [(Kind.POP, 0.06), (Kind.POP, -0.06), (Kind.DISTORTION, 0.06)],
    ids=["warm", "cool", "other"],
)
def test_a_tint_changes_the_colour_and_keeps_the_luminance(kind: Kind, excess: float) -> None:
    picture = scene(360, 640)
    tinted = picture.copy()
    tint_(tinted, found((kind,), (slice(None), slice(None)), excess))
    step = np.abs(relative_luminance(tinted) - relative_luminance(picture))
    assert (step >= FLASH_CHANGE).mean() < 0.01
    assert np.quantile(step, 0.95) < FLASH_CHANGE / 2
    red, _, blue = (tinted.astype(float) - picture).mean(axis=(0, 1))
    assert abs(red - blue) > 20
    assert (red > blue) == (excess > 0)


@pytest.mark.parametrize("kind", [Kind.TEXTURE, Kind.DRIFT, Kind.DUPLICATE, Kind.FLASH])
def test_what_concerns_the_whole_frame_is_framed_as_a_whole(kind: Kind) -> None:
    picture = scene(360, 640)
    shown = drawn(picture, found((kind,), None))
    top = layout(360, 640).top
    changed = np.any(shown != picture, axis=-1)
    assert changed[2, 10:-10].all()
    assert changed[10 : top - 10, 2].all()
    assert changed[10 : top - 10, -3].all()
    assert not changed[10 : top - 10, 10:-10].any()


@pytest.mark.parametrize(
    "size", [(5, 7), (64, 64), (96, 640), (180, 320), (640, 360), (360, 2560), (2160, 3840)]
)
def test_every_size_gets_a_strip_and_keeps_its_picture(size: tuple[int, int]) -> None:
    picture = scene(*size)
    anomaly = found((Kind.FLICKER, Kind.DRIFT), (slice(2, 5), slice(4, 8)), 0.05)
    for shown in (drawn(picture, neutral(), Action("none")), drawn(picture, anomaly)):
        assert shown.shape == picture.shape
        top = layout(*size).top
        assert not np.array_equal(shown[top:], picture[top:])
    calm = drawn(picture, neutral(), Action("none"))
    np.testing.assert_array_equal(calm[:top], picture[:top])


@given(st.integers(16, 2400), st.integers(16, 4200))
@settings(max_examples=100)
def test_the_strip_keeps_below_half_of_the_frame_and_its_parts_apart(height: int, width: int) -> None:
    place = layout(height, width)
    assert place.top >= height // 2
    assert place.bars[0] + len(Kind) * place.cell[0] <= width
    assert place.bars[1] + place.cell[1] <= height
    if place.words is not None:
        beside = place.words[1] == place.bars[1]
        assert not beside or place.words[0] >= place.bars[0] + len(Kind) * place.cell[0]
        assert place.words[0] < place.lamps < width


def ink(strip: Picture, place: Layout) -> float:
    """Contrast ratio (WCAG 2.2) of the brightest text with the median of what is behind it."""
    grey = np.array([0.2126, 0.7152, 0.0722]) @ np.moveaxis((strip / 255.0) ** 2.2, -1, 0).reshape(3, -1)
    assert place.words is not None
    return float((np.quantile(grey, 0.99) + 0.05) / (np.median(grey) + 0.05))


@pytest.mark.parametrize("size", [(360, 640), (2160, 3840)], ids=["640x360", "4K"])
@pytest.mark.parametrize("behind", [0, 128, 255, None], ids=["black", "grey", "white", "scene"])
def test_the_words_can_be_read_over_any_picture(size: tuple[int, int], behind: int | None) -> None:
    picture = scene(*size) if behind is None else np.full((*size, 3), behind, np.uint8)
    shown = drawn(picture, found((Kind.POP,), (slice(2, 4), slice(2, 4)), 0.05))
    place = layout(*size)
    assert place.words is not None
    left, top = place.words
    words = shown[top : top + place.cell[1] // 2, left : place.lamps - 4]
    assert ink(words, place) > 7
    letters = np.flatnonzero(words.min(axis=(1, 2)) < words.max(axis=(1, 2)).astype(int) - 80)
    assert letters.size >= 0.018 * size[0]


def test_what_was_done_is_told_in_words() -> None:
    assert short_words(GAIN) == ["tile gain x 0.94"]
    both = Action("tile gain + colour re-match", {"gain": 1.06, "offset": 3.21})
    assert short_words(both) == ["tile gain x 1.06", "colour re-match 3.2"]
    assert short_words(Action("flash hold", {"flash_share": 0.5})) == ["flash hold"]
    assert short_words(Action("none")) == ["nothing done"]


@pytest.mark.parametrize("lamp", [{"cut": True}, {"event": True}], ids=["cut", "event"])
def test_cuts_and_events_light_a_lamp_and_nothing_else(lamp: dict[str, bool]) -> None:
    picture = scene(360, 640)
    dark, lit = (drawn(picture, replace(neutral(), **on), Action("none")) for on in ({}, lamp))
    place = layout(360, 640)
    changed = np.argwhere(np.any(dark != lit, axis=-1))
    assert len(changed) > 20
    assert changed[:, 0].min() >= place.top
    assert changed[:, 1].min() >= place.lamps


def test_a_single_frame_can_still_be_read_half_a_second_later_and_no_longer_than_a_second() -> None:
    overlay, picture = Overlay(), scene(360, 640)
    blank = drawn(picture, neutral(), Action("none"))
    differs = []
    for index in range(40):
        anomaly = found((Kind.POP,), (slice(2, 4), slice(2, 4)), 0.05) if index == 0 else neutral()
        shown = picture.copy()
        action = GAIN if index == 0 else Action("none")
        overlay.draw_(Frame(picture, index, index, Fraction(1, 30), 1, 0.0), shown, anomaly, action)
        differs.append(not np.array_equal(shown, blank))
    assert all(differs[:16])
    assert not any(differs[31:])


def test_an_outline_goes_around_neighbours_not_between_them() -> None:
    picture = np.full((180, 240, 3), 128, np.uint8)
    outline_(picture, found((Kind.POP,), (slice(2, 5), slice(3, 6)), 0.05))
    lines = np.any(picture != 128, axis=-1)
    assert lines[40, 60:120].all()
    assert lines[40:100, 60].all()
    assert not lines[44:96, 64:116].any()
    assert not lines[:36].any()


@pytest.mark.parametrize("flag", [["--overlay"], ["--set", "overlay=true"]])
def test_an_overlay_without_a_detector_is_refused_with_the_remedy(
    flag: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "test:?seconds=1", "null:", "--correct", "off", *flag]) == 2
    said = capsys.readouterr().err
    assert "--overlay" in said
    assert "--correct off" in said


@needs_clips
def test_repair_draws_over_a_real_film_and_logs_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original, styled = clip_named("sam2_bedroom.mp4"), tmp_path / "styled.mkv"
    with open_source(str(original)) as source:
        height, width = source.info.height, source.info.width
        patch = (slice(height * 2 // 9, height * 4 // 9), slice(width * 4 // 12, width * 7 // 12))
        sink = open_sink(str(styled), source.info, Encoding(quality=8))
        for index, frame in zip(range(45), source, strict=False):
            toned = 60 + 0.6 * frame.pixels.astype(np.float32)
            if index == 36:
                toned[patch] *= 1.2
            sink.write(replace(frame, pixels=toned.round().clip(0, 255).astype(np.uint8)))
        sink.close(complete=True)
    outs, logs = ([tmp_path / f"{name}.{end}" for name in ("plain", "shown")] for end in ("mkv", "jsonl"))
    for out, log, flag in zip(outs, logs, ([], ["--overlay"]), strict=True):
        arguments = [str(original), str(styled), str(out), "--frames", "45", "--events", str(log), "--json"]
        assert main(["repair", *arguments, *flag]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["stages"]["overlay"]["fps"] > 0
    assert logs[0].read_text() == logs[1].read_text()
    assert 36 in {json.loads(line)["index"] for line in logs[0].read_text().splitlines()}
    plain, shown = (frames_at(out, 36) for out in outs)
    difference = np.abs(plain.astype(int) - shown).max(axis=-1)
    top = layout(height, width).top
    assert difference[patch].mean() > 20
    assert difference[: height // 9].mean() < 3
    assert difference[height * 6 // 9 : top].mean() < 3
    assert difference[top:].mean() > 20


def frames_at(film: Path, index: int) -> Picture:
    with open_source(str(film)) as source:
        return next(frame.pixels for frame in source if frame.index == index)


@needs_clips
def test_run_draws_over_a_real_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, outs = clip_named("sam2_02_cups.mp4"), (tmp_path / "plain.mkv", tmp_path / "shown.mkv")
    for out, flag in zip(outs, ([], ["--overlay"]), strict=True):
        assert main(["run", str(clip), str(out), "--frames", "6", "--json", *flag]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert "overlay" not in first["stages"]
    assert second["stages"]["overlay"]["p50_ms"] > 0
    assert first["anomalies"] == second["anomalies"]
    plain, shown = (frames_at(out, 5) for out in outs)
    top = layout(*plain.shape[:2]).top
    difference = np.abs(plain.astype(int) - shown)
    assert difference[top:].mean() > 10 * difference[:top].mean()
