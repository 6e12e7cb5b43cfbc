"""Patterns that the canvas holds: cells, dots, lines and brush strokes."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from streamstyle.nets import noise, patterns
from streamstyle.nets.generator import Generator, paint
from streamstyle.nets.layout import GeneratorConfig

EXPECTED = {
    (104, 168): (
        *(-2.5414, -0.1668, -1.3960, -1.9674, 0.1032, 1.0426, -0.4767, 0.1957),
        *(1.4365, -2.9716, 0.4682, 0.0007, -0.2855, -0.2187, -0.5813, -0.3384),
    ),
    (360, 640): (
        *(1.0165, -1.0108, -0.3040, -0.3687, -0.0644, -1.0073, 1.5386, 0.1711),
        *(0.2403, 1.2550, -0.3970, 0.3620, 1.1886, 0.1867, -1.0414, -1.3109),
    ),
}
"""Woven channels, then patterns, of canvases of seeds 3 and 0: a film painted again looks as before."""

SMALL = GeneratorConfig(widths=(4, 8, 16), blocks=1, patterns=noise.PATTERNS)


def drawn(generator: Generator, code: torch.Tensor) -> np.ndarray:
    """A frame of noise in a style: uint8 (32, 40, 3)."""
    frame = np.random.default_rng(0).integers(0, 256, (1, 32, 40, 3), np.uint8)
    return paint(generator, frame, code)[0]


@pytest.mark.parametrize("side", [18, 40])
def test_a_cell_has_numbers_of_its_own_that_change_at_its_joints_alone(side: int) -> None:
    edge, *own, _ = patterns.cells(200, 240, side, 3)
    inside = edge > 1
    assert 0.4 < inside.mean() < 1
    for values in own:
        assert not (np.diff(values, axis=1) != 0)[inside[:, 1:] & inside[:, :-1]].any()
    assert edge[1:][np.diff(own[0], axis=0) != 0].max() == 0


@pytest.mark.parametrize("side", [18, 40])
def test_a_facet_is_its_cell_shaded_along_a_straight_line(side: int) -> None:
    edge, tone, _, shaded = patterns.cells(800, 900, side, 3)
    inside = edge > 2
    middle = inside[1:-1, 1:-1] & inside[1:-1, 2:] & inside[2:, 1:-1]
    bent = np.diff(shaded, 2, axis=1)[1:-1]
    assert np.abs(bent[middle]).max() < 1e-4
    assert abs(shaded.std() - 1) < 0.06
    assert 0.6 < np.corrcoef(tone.ravel(), shaded.ravel())[0, 1] < 0.9


def test_planes_overlap_in_pieces_of_many_sizes() -> None:
    one, other = (patterns.cells(600, 600, 56, seed) for seed in (1, 2))
    planes = patterns.overlaid(one, other)
    assert np.array_equal(planes[0] == 0, (one[0] == 0) | (other[0] == 0))
    assert len(np.unique(planes[1])) > 2 * len(np.unique(one[1]))
    assert abs(planes[1:].std() - 1) < 0.1


def test_cells_are_about_as_large_as_asked() -> None:
    own = patterns.cells(400, 400, 20, 1)[1]
    assert len(np.unique(own)) == pytest.approx(21**2, rel=0.15)


def test_dots_and_lines_repeat_at_their_pitch() -> None:
    dots = patterns.dots(256, 256)
    lines = patterns.lines(np.zeros((256, 256), np.float32))
    for wave, pitch in ((dots, patterns.DOT_PITCH), (lines, patterns.LINE_PITCH)):
        spectrum = np.abs(np.fft.rfft2(wave))
        row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
        frequency = np.hypot(np.fft.fftfreq(256)[row], np.fft.rfftfreq(256)[column])
        assert 2 / frequency == pytest.approx(pitch, rel=0.03), "two pixels a position"


@pytest.mark.parametrize("angle", [0.0, math.pi / 2])
def test_strokes_run_along_their_direction(angle: float) -> None:
    level = patterns.strokes(np.full((80, 90), angle, np.float32), 4, 24, 0)
    assert level.shape == (80, 90)
    across, along = (np.abs(np.diff(level, axis=axis)).mean() for axis in (0, 1))
    assert (along < 0.5 * across) if angle == 0 else (across < 0.5 * along)


def test_strokes_bend_with_their_field() -> None:
    rows, columns = np.mgrid[:160, :160].astype(np.float32) - 79.5
    turning = np.arctan2(rows, columns) + np.float32(math.pi / 2)
    level = patterns.strokes(turning, 3, 24, 0)
    polar = cv2.warpPolar(level, (56, 360), (79.5, 79.5), 56, cv2.INTER_LINEAR)[:, 20:]
    around, outwards = (np.abs(np.diff(polar, axis=axis)).mean() for axis in (0, 1))
    assert around < 0.4 * outwards


def test_strokes_have_tones_of_their_own_around_a_mean_of_0() -> None:
    level = np.stack([patterns.strokes(np.zeros((400, 400), np.float32), *b, 1) for b in ((2, 12), (6, 26))])
    assert np.abs(level.mean(axis=(1, 2))).max() < 0.25
    assert np.abs(level.std(axis=(1, 2)) - 1).max() < 0.1
    same = (np.diff(level[1], axis=1) == 0).mean()
    assert same > 0.6, "a stroke is of one tone, and its ridge of another"


@pytest.mark.parametrize(("size", "seed"), [((104, 168), 3), ((360, 640), 0)])
def test_the_canvas_of_a_seed_stays_what_it_is(size: tuple[int, int], seed: int) -> None:
    """Each field weighted by noise and added up, so that a change of any part shows."""
    field = noise.canvas(*size, seed)
    parts = [*field[: noise.WOVEN_CHANNELS], *np.split(field[noise.WOVEN_CHANNELS :], noise.PATTERNS)]
    rng = np.random.default_rng(0)
    found = [np.mean(part * rng.standard_normal(part.shape)) * np.sqrt(part.size) for part in parts]
    # A stroke may lie a sixteenth of a position elsewhere on another processor.
    np.testing.assert_allclose(found, EXPECTED[size], atol=0.02)


@pytest.mark.parametrize("size", [(512, 512), (520, 904)])
def test_no_field_has_a_seam(size: tuple[int, int]) -> None:
    """Steps over the edges, from the right one to the left one for example, are like any others."""
    drawn = noise.fields(*size, 2)
    for x in (*drawn.woven, *drawn.patterns):
        for axis in (0, 1):
            steps = np.abs(np.diff(x, axis=axis, append=x.take([0], axis))).mean(axis=1 - axis)
            assert steps[-1] < np.quantile(steps, 0.995) * 1.05


def test_a_window_goes_around_the_edges_and_between_positions() -> None:
    drawn = noise.fields(512, 512, 1)
    for top, left in ((0, 0), (5, 60), (-3, 200), (63.5, -70)):
        found = drawn.window(top, left, 10, 12)
        whole = [np.roll(x, (-int(n * top), -int(n * left)), axis=(1, 2)) for n, x in ((4, drawn.patterns),)]
        np.testing.assert_array_equal(found.patterns, whole[0][:, :40, :48])
    halfway = drawn.window(0, 0.125, 10, 12).patterns
    before, here, next_, last = (np.roll(drawn.patterns, -i, axis=2)[:, :40, :48] for i in (-1, 0, 1, 2))
    np.testing.assert_allclose(halfway, (9 * (here + next_) - before - last) / 16, atol=1e-5)


def test_patterns_lie_in_the_canvas_as_the_network_unfolds_them() -> None:
    field = torch.from_numpy(noise.canvas(64, 96))[None]
    unfolded = F.pixel_shuffle(field[:, noise.WOVEN_CHANNELS :], noise.PATTERN_SCALE)[0]
    assert unfolded.shape == (noise.PATTERNS, 32, 48)
    np.testing.assert_allclose(unfolded[0], patterns.dots(256, 256)[:32, :48], atol=1e-5)


def test_a_style_gets_the_patterns_that_it_asks_for_and_no_other() -> None:
    torch.manual_seed(0)
    generator = Generator(SMALL).eval()
    code = generator.layout.neutral()
    always, gated = generator.layout.split(code[None])["pattern"]
    always.zero_()
    gated.zero_()
    without = drawn(generator, code)
    plain = Generator(replace(SMALL, patterns=0)).eval()
    plain.load_state_dict(generator.state_dict(), strict=False)
    parts = {k: v for k, v in generator.layout.split(code[None]).items() if k != "pattern"}
    np.testing.assert_array_equal(without, drawn(plain, plain.layout.join(parts)[0]))
    for part in (always, gated):
        part[:, 0] = 1
        assert np.abs(drawn(generator, code).astype(int) - without).max() > 5
        part.zero_()
