"""Colour arithmetic: against OpenCV's, and back again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamstyle.temporal.lab import chroma_of_shift, shift_of_chroma, small_lab


def test_small_lab_is_that_of_opencv_to_within_its_tables() -> None:
    ycc = np.random.default_rng(7).integers(0, 256, (18, 32, 3), dtype=np.uint8)
    rgb = np.asarray(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), np.float32) / 255
    np.testing.assert_allclose(small_lab(ycc), cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab).reshape(-1, 3), atol=0.5)


@pytest.mark.parametrize(
    "mean", [(120.0, 90.0, 60.0), (30.0, 180.0, 90.0), (4.0, 4.0, 4.0), (250.0, 240.0, 230.0)]
)
def test_a_small_shift_of_lab_is_the_inverse_of_its_chroma(mean: tuple[float, float, float]) -> None:
    colour, shift = np.array(mean), np.array([0.6, -0.4], np.float32)
    np.testing.assert_allclose(shift_of_chroma(colour, chroma_of_shift(colour, shift)), shift, atol=0.05)
