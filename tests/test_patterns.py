"""Patterns that the canvas holds: cells, dots, lines and brush strokes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from streamstyle.nets import noise, patterns
from streamstyle.nets.generator import Generator, paint
from streamstyle.nets.layout import GeneratorConfig

SMALL = GeneratorConfig(widths=(4, 8, 16), blocks=1, patterns=noise.PATTERNS)


def drawn(generator: Generator, code: torch.Tensor) -> np.ndarray:
    """A frame of noise in a style: uint8 (32, 40, 3)."""
    frame = np.random.default_rng(0).integers(0, 256, (1, 32, 40, 3), np.uint8)
    return paint(generator, frame, code)[0]


@pytest.mark.parametrize("side", [18, 40])
def test_a_cell_has_numbers_of_its_own_that_change_at_its_joints_alone(side: int) -> None:
    edge, *own = patterns.cells(200, 240, side, 3)
    inside = edge > 1
    assert 0.4 < inside.mean() < 1
    for values in own:
        assert not (np.diff(values, axis=1) != 0)[inside[:, 1:] & inside[:, :-1]].any()
    assert edge[1:][np.diff(own[0], axis=0) != 0].max() == 0


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
    level = patterns.strokes(white, np.zeros((80, 90), np.float32), 11)
    along, across = (np.abs(np.diff(level, axis=axis)).mean() for axis in (1, 0))
    assert along < 0.4 * across


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
