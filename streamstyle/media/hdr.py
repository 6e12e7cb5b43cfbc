"""HDR pictures, PQ or HLG, converted for SDR screens.

Transfer functions of BT.2100, HLG's system gamma for a screen of 1000 cd/m2, 203 cd/m2 as the white of SDR
(BT.2408), and BT.1886's gamma of 2.4. Primaries are converted in linear light; colours outside BT.709 are
clipped, as in BT.2407's simple method. Light above 85 % of white is compressed by Reinhard's curve for a
known peak, starting at that knee: everything below stays as it was graded, and white itself is 247 of 255 for
a peak of 1000. (BT.2390's spline for that peak begins at 92 cd/m2, and shows white at 231.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2  # first: the other order makes OpenCV's windows hang on Linux

# isort: split
import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

from streamstyle.media.side_data import side_data
from streamstyle.types import Picture

WHITE = 203.0
"""cd/m2 that becomes SDR white, BT.2408."""
PEAK = 1000.0
"""cd/m2 of the brightest light in a PQ film that does not declare it, and in any HLG film."""
KNEE = 0.85
"""Share of white above which highlights are compressed."""

Linear = NDArray[np.float32]
Samples = NDArray[np.uint16]
_Rows = NDArray[np.float64]

_BAND = 64  # lines at a time, which the processor's cache holds
_CODES = np.linspace(0, 1, 2**16)
_TRANSFERS = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}

# x and y of red, green and blue (H.273, table 2). The white of all of these is D65.
_D65 = (0.3127, 0.3290)
_BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_PRIMARIES = {
    int(ColorPrimaries.BT709): _BT709,
    int(ColorPrimaries.BT470BG): ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    int(ColorPrimaries.SMPTE170M): ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    int(ColorPrimaries.SMPTE432): ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


def transfer_of(frame: av.VideoFrame) -> str:
    """PQ or HLG; empty for all others, which SDR screens show directly."""
    return _TRANSFERS.get(int(frame.color_trc), "")


@dataclass(frozen=True)
class Grading:
    """Light for which a film was graded."""

    transfer: str
    """Transfer function, PQ or HLG."""
    primaries: int
    """Tag of the colour primaries by H.273."""
    peak: float
    """Peak luminance in cd/m2."""

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Grading:
        """The tags and light levels of an HDR frame."""
        transfer = transfer_of(frame)
        told = _declared_peak(frame) if transfer == "PQ" else 0.0
        return cls(transfer, int(frame.color_primaries), min(told or PEAK, 1e4))

    @cached_property
    def _light(self) -> Linear:
        """Light in units of white, by 16-bit code; of HLG the light of the scene, which is 1 at most."""
        light = pq_light(_CODES) / WHITE if self.transfer == "PQ" else hlg_scene(_CODES)
        return light.astype(np.float32)

    @cached_property
    def _to_bt709(self) -> _Rows:
        return np.linalg.inv(_to_xyz(_BT709)) @ _to_xyz(self._chromaticities)

    @property
    def _chromaticities(self) -> tuple[tuple[float, float], ...]:
        return _PRIMARIES.get(self.primaries, _BT2020)

    def shown(self, planes: tuple[Samples, Samples, Samples]) -> Picture:
        """Red, green and blue in full-range 16 bits, (H, W) each, as an SDR picture (H, W, 3)."""
        height, width = planes[0].shape
        picture = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, _BAND):
            band = cv2.merge([plane[top : top + _BAND] for plane in planes])
            picture[top : top + _BAND] = self._band(band)
        return picture

    def _band(self, samples: Any) -> Any:
        linear = looked_up(samples, self._light)
        red, green, blue = (cv2.transform(linear, row[None]) for row in self._to_bt709)
        factor: Any = None
        if self.transfer == "HLG":
            luminance = cv2.transform(linear, _to_xyz(self._chromaticities)[1:2])
            factor = cv2.pow(luminance, 0.2) * np.float32(PEAK / WHITE)
        brightest = cv2.max(cv2.max(red, green), blue)
        if factor is not None:
            brightest = cv2.multiply(brightest, factor)
        if float(brightest.max()) > KNEE:
            # One factor for all three: compressed one by one, they would change their hue.
            less = shoulder(brightest, self.peak / WHITE) / np.maximum(brightest, np.float32(1e-6))
            factor = less if factor is None else factor * less
        channels = (red, green, blue) if factor is None else (c * factor for c in (red, green, blue))
        # The root spreads 16 bits as evenly over dark and bright as the eye does.
        _, positive = cv2.threshold(cv2.merge(list(channels)), 0, 0, cv2.THRESH_TOZERO)
        roots = cv2.sqrt(positive)
        codes = cv2.addWeighted(roots, 65535.0, roots, 0.0, 0.0, dtype=cv2.CV_16U)
        return looked_up(codes, _OF_ROOT)


def pq_light(signal: _Rows) -> _Rows:
    """cd/m2 of PQ's signal in 0..1 (BT.2100, table 4)."""
    m1, m2, c1, c2, c3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    light: _Rows = 1e4 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light


def hlg_scene(signal: _Rows) -> _Rows:
    """Scene light in 0..1 of HLG's signal in 0..1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def shoulder(light: Linear, peak: float) -> Linear:
    """Displayed light in units of white, 0..1, for a brightest light of `peak` in the same units.

    Equals the light up to the knee; from there equation 4 of Reinhard et al., Photographic Tone Reproduction
    for Digital Images (2002): slope 1 at the knee, white at the peak. No compression if the peak is white.
    """
    room = np.float32(1 - KNEE)
    most = max((peak - KNEE) / (1 - KNEE), 1)
    above = np.maximum(light - np.float32(KNEE), 0) / room
    curve = above * (1 + above * np.float32(1 / most**2)) / (1 + above)
    shown: Linear = np.minimum(np.minimum(light, np.float32(KNEE)) + room * curve, 1)
    return shown


def looked_up(codes: Any, table: NDArray[Any]) -> Any:
    """The table's value for each 16-bit code."""
    if _WIDE_TABLES:
        return cv2.LUT(codes, table[None])
    return np.take(table, codes)


def _has_wide_tables() -> bool:
    """True if OpenCV looks up 16 bits; before 4.12 it looks up 8 bits only."""
    try:
        cv2.LUT(np.zeros((1, 1), np.uint16), np.zeros((1, 2**16), np.float32))
    except cv2.error:
        return False
    return True


_WIDE_TABLES = _has_wide_tables()
_OF_ROOT = (255 * _CODES ** (2 / 2.4) + 0.5).astype(np.uint8)


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> _Rows:
    """Linear RGB to CIE XYZ, (3, 3)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    x, y = _D65
    matrix: _Rows = columns * np.linalg.solve(columns, np.array([x / y, 1, (1 - x - y) / y]))
    return matrix


def _declared_peak(frame: av.VideoFrame) -> float:
    """Declared cd/m2 of the brightest pixel, or else of the mastering screen; 0 if neither is declared."""
    levels = side_data(frame, "CONTENT_LIGHT_LEVEL")
    if len(levels) >= 8 and (brightest := struct.unpack_from("=I", levels)[0]):
        return float(brightest)
    screen = side_data(frame, "MASTERING_DISPLAY_METADATA")
    if len(screen) < 22 * 4:
        return 0.0
    # FFmpeg's AVMasteringDisplayMetadata: eight chromaticities, least and most light, what of it is there.
    *_, most, unit, _has_chromaticities, has_light = struct.unpack_from("=22i", screen)
    return most / unit if has_light and unit > 0 else 0.0


def planes_of(frame: av.VideoFrame) -> tuple[Samples, Samples, Samples]:
    """Red, green and blue of a frame in gbrp16le, (H, W) each, in its memory."""
    green, blue, red = map(_samples, frame.planes)
    return red, green, blue


def _samples(plane: VideoPlane) -> Samples:
    lines = np.frombuffer(memoryview(plane), np.uint16).reshape(-1, plane.line_size // 2)
    return lines[: plane.height, : plane.width]
