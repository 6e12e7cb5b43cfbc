"""Patterns that the canvas holds: cells, dots, lines and brush strokes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from streamstyle.nets import noise, patterns
from streamstyle.nets.generator import Generator, paint
from streamstyle.nets.layout import GeneratorConfig

AS_TRAINED = {
    (104, 168): (
        *(-0.4649, 0.1195, -0.7926, -0.4765, 0.5774, -1.2253, -1.8026, -1.4402),
        *(1.1396, 0.9676, 0.9058, -0.3674, 0.3694, 0.6103, 1.6974, 0.2886),
    ),
    (360, 640): (
        *(-0.2625, 1.1360, -0.9973, 1.3947, -0.5357, -0.6306, 0.1833, -2.3698),
        *(1.1426, 0.4347, 0.4075, -0.3797, 0.1080, -0.2538, -0.7469, -1.2579),
    ),
}
"""Woven channels, then patterns, of canvases of seeds 3 and 0 as the networks were trained on them."""

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


def test_strokes_are_smooth_along_their_direction() -> None:
    white = np.random.default_rng(0).standard_normal((80, 90), np.float32)
    level = patterns.strokes(white, np.zeros((80, 90), np.float32), 11, 0)
    along, across = (np.abs(np.diff(level, axis=axis)).mean() for axis in (1, 0))
    assert along < 0.4 * across


def test_strokes_are_drawn_in_bands_as_they_are_at_once() -> None:
    rng, around = np.random.default_rng(0), 10
    white = rng.standard_normal((90, 120), np.float32)
    angle = cv2.GaussianBlur(rng.standard_normal((90, 120), np.float32), (0, 0), 6) * np.float32(9)
    rows, columns = np.mgrid[:90, :120].astype(np.float32)
    expected = white.copy()
    for sign in (1, -1):
        x, y = columns, rows
        for _ in range(5):
            along = cv2.remap(angle, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            x, y = x + sign * np.cos(along), y + sign * np.sin(along)
            expected += cv2.remap(white, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = slice(around, -around)
    found = patterns.strokes(white, angle, 5, around)
    np.testing.assert_allclose(found, expected[inside, inside] / np.sqrt(11), atol=1e-4)


@pytest.mark.parametrize(("size", "seed"), [((104, 168), 3), ((360, 640), 0)])
def test_the_canvas_stays_what_the_weights_were_trained_on(size: tuple[int, int], seed: int) -> None:
    """Each field weighted by noise and added up, so that a change of any part shows."""
    field = noise.canvas(*size, seed)
    parts = [*field[: noise.WOVEN_CHANNELS], *np.split(field[noise.WOVEN_CHANNELS :], noise.PATTERNS)]
    rng = np.random.default_rng(0)
    found = [np.mean(part * rng.standard_normal(part.shape)) * np.sqrt(part.size) for part in parts]
    np.testing.assert_allclose(found, AS_TRAINED[size], atol=1e-3)


def test_patterns_lie_in_the_canvas_as_the_network_unfolds_them() -> None:
    field = torch.from_numpy(noise.canvas(64, 96))[None]
    unfolded = F.pixel_shuffle(field[:, noise.WOVEN_CHANNELS :], noise.PATTERN_SCALE)[0]
    assert unfolded.shape == (noise.PATTERNS, 32, 48)
    np.testing.assert_allclose(unfolded[0], patterns.dots(32, 48), atol=1e-5)


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
