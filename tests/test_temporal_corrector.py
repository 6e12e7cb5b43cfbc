"""The corrector: exact where nothing is flagged, right where something is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamstyle.metrics.repaired_share import repaired_share
from streamstyle.temporal.corrector import RepairCorrector
from streamstyle.temporal.detector import neutral
from streamstyle.temporal.reference_frame import ReferenceFrame, mix_
from streamstyle.types import AnomalyMap, Kind, Picture


def picture(height: int = 180, width: int = 320, seed: int = 0) -> Picture:
    rng = np.random.default_rng(seed)
    small = rng.integers(20, 220, (9, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def flagged(
    kind: Kind, tiles: np.ndarray, gain: float = 1.0, chroma: tuple[float, float] = (0, 0)
) -> AnomalyMap:
    calm = neutral()
    return AnomalyMap(
        scores={**calm.scores, kind: 2.0},
        thresholds=calm.thresholds,
        kinds=(kind,),
        tiles=tiles,
        unrecoverable=calm.unrecoverable,
        tile_score=calm.tile_score,
        luma_gain=np.where(tiles, gain, 1).astype(np.float32),
        chroma_offset=np.where(tiles[..., None], np.float32(chroma), 0).astype(np.float32),
        drift=calm.drift,
    )


@settings(max_examples=40)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
def test_a_neutral_map_is_the_identity(anything: Picture) -> None:
    repaired = anything.copy()
    assert RepairCorrector().correct_(repaired, neutral()).name == "none"
    assert np.array_equal(repaired, anything)


@settings(max_examples=25)
@given(hnp.arrays(np.bool_, (9, 12)), st.floats(0.7, 1.4), st.integers(36, 200), st.integers(64, 300))
def test_pixels_beyond_one_tile_of_the_flagged_ones_keep_their_bytes(
    tiles: np.ndarray, gain: float, height: int, width: int
) -> None:
    before = picture(height, width)
    after = before.copy()
    RepairCorrector().correct_(after, flagged(Kind.POP, tiles, gain, (5, -3)))
    near = cv2.dilate(tiles.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    rows, columns = np.arange(height) * 9 // height, np.arange(width) * 12 // width
    far = ~near[rows[:, None], columns]
    assert np.array_equal(after[far], before[far])


def test_a_known_gain_on_the_whole_frame_is_undone_to_the_rounding() -> None:
    clean = picture()
    hit = np.rint(np.clip(clean * 1.05, 0, 255)).astype(np.uint8)
    safe = hit < 255
    fixed = hit.copy()
    action = RepairCorrector().correct_(fixed, flagged(Kind.FLICKER, np.ones((9, 12), bool), 1 / 1.05))
    assert action.name == "tile gain"
    assert np.abs(fixed.astype(int) - clean)[safe].max() <= 1
    assert repaired_share(fixed, hit, clean) > 0.95


def test_results_round_to_nearest() -> None:
    frame = np.full((36, 64, 3), 101, np.uint8)
    RepairCorrector().correct_(frame, flagged(Kind.POP, np.ones((9, 12), bool), 0.996))
    assert np.all(frame == 101)  # 100.596


def test_a_chroma_offset_moves_chroma_and_leaves_luma() -> None:
    frame = np.full((90, 160, 3), 120, np.uint8)
    RepairCorrector().correct_(frame, flagged(Kind.POP, np.ones((9, 12), bool), 1.0, (10, -6)))
    luma, red, blue = cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)[45, 80]
    assert (abs(int(luma) - 120) <= 1, abs(int(red) - 138) <= 1, abs(int(blue) - 122) <= 1) == (True,) * 3


def test_drift_is_taken_off_in_lab() -> None:
    frame = picture()
    drift = np.array([5, -4], np.float32)
    anomaly = flagged(Kind.DRIFT, np.zeros((9, 12), bool))
    anomaly = AnomalyMap(**{**anomaly.__dict__, "drift": drift})
    fixed = frame.copy()
    assert RepairCorrector().correct_(fixed, anomaly).name == "colour re-match"
    lab = [cv2.cvtColor(f.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[..., 1:] for f in (frame, fixed)]
    moved = np.median((lab[1] - lab[0]).reshape(-1, 2), axis=0)
    assert np.hypot(*(moved + drift)) < 0.35 * np.hypot(*drift)


def test_texture_without_a_past_is_left_alone() -> None:
    frame = picture()
    after = frame.copy()
    assert (
        RepairCorrector().correct_(after, flagged(Kind.TEXTURE, np.ones((9, 12), bool), 0.9)).name == "none"
    )
    assert np.array_equal(frame, after)


def test_texture_that_is_mixed_brings_no_pixel_of_what_was_in_front() -> None:
    """The detector's small pictures miss a thin pole that moves on; the input at full size tells."""
    corrector, background = RepairCorrector(), np.full((180, 320, 3), 90, np.uint8)
    past, present = background.copy(), background.copy()
    past[:, 100:103], present[:, 110:113] = 220, 220
    whole = np.ones((9, 12), bool)
    seen = {"flow": np.zeros((90, 160, 2), np.float32), "trust": np.full((90, 160), 255, np.uint8)}
    drawn_anew = [replace(flagged(Kind.TEXTURE, whole), **seen, source=source) for source in (past, present)]
    before, after = (np.where(x == 220, x, np.uint8(60)) for x in (past, present))
    corrector.correct_(before.copy(), drawn_anew[0])
    strokes = np.random.default_rng(0).integers(0, 60, after.shape, np.uint8)
    painted = np.where(after == 220, after, after + strokes)
    mixed = painted.copy()
    assert corrector.correct_(mixed, drawn_anew[1]).name == "flow blend"
    pole = np.s_[:, 99:104]
    assert np.array_equal(mixed[pole], painted[pole])
    assert (
        np.abs(mixed.astype(int) - 60)[:, 200:].mean()
        < 0.6 * np.abs(painted.astype(int) - 60)[:, 200:].mean()
    )


def test_texture_that_is_barely_too_much_is_barely_touched() -> None:
    past, painted = picture(seed=1), picture(seed=2)
    seen = {"flow": np.zeros((90, 160, 2), np.float32), "trust": np.full((90, 160), 255, np.uint8)}
    whole = np.ones((9, 12), bool)
    changed = []
    for score in (1.01, 1.3, 2.0, 4.0):
        corrector, frame = RepairCorrector(), painted.copy()
        corrector.correct_(past.copy(), neutral())
        found = replace(flagged(Kind.TEXTURE, whole), **seen, source=past)
        corrector.correct_(frame, replace(found, scores={**found.scores, Kind.TEXTURE: score}))
        changed.append(float(np.abs(frame.astype(int) - painted).mean()))
    assert 0 < changed[0] < 0.1 * changed[1] < 0.1 * changed[2]
    assert changed[2] == changed[3]


def test_texture_that_is_barely_too_much_is_steadied_no_less_than_any_other_frame() -> None:
    past, painted = picture(seed=1), picture(seed=2)
    seen = {"flow": np.zeros((90, 160, 2), np.float32), "trust": np.full((90, 160), 255, np.uint8)}
    shares = []
    for kinds in ((), (Kind.TEXTURE,)):
        corrector = RepairCorrector()
        corrector.correct_(past.copy(), replace(neutral(), source=past))
        found = replace(flagged(Kind.TEXTURE, np.ones((9, 12), bool)), **seen, source=past, smoothing=1.0)
        barely = {**found.scores, Kind.TEXTURE: 1.01}
        action = corrector.correct_(painted.copy(), replace(found, kinds=kinds, scores=barely))
        shares.append(action.figures["past"])
    assert shares[0] > 0.5
    assert shares[1] >= shares[0]


def test_mixing_nothing_keeps_every_value_and_mixing_all_takes_every_value() -> None:
    values = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    for share, wanted in ((0, values), (255, 255 - values)):
        picture = values.copy()
        mix_(picture, 255 - values, np.full((16, 16), share, np.uint8))
        np.testing.assert_array_equal(picture, wanted)


def test_the_past_is_brought_whole_at_any_size_even_after_another() -> None:
    rng, past = np.random.default_rng(0), ReferenceFrame()
    for size in ((90, 160), (48, 64), (360, 640), (37, 91), (90, 160)):
        frame, source = (rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(2))
        past.keep(frame, source)
        for flow_size, closely in itertools.product(((36, 64), size), (True, False)):
            flow, trust = np.zeros((*flow_size, 2), np.float32), np.full(flow_size, 255, np.uint8)
            still = replace(neutral(), flow=flow, trust=trust, source=source)
            warped = past.warped(still, closely=closely)
            assert warped is not None
            np.testing.assert_array_equal(warped[0], frame)
            assert (warped[1] == 255).all()
