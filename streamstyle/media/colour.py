"""FFmpeg's colour tags, our matrix names, and conversion from and to RGB.

Every conversion names matrix and range: swscale's own guess for untagged video is BT.601, which is visibly
wrong for HD.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2  # first: the other order makes OpenCV's windows hang on Linux

# isort: split
import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from numpy.typing import NDArray

from streamstyle.media.alpha import BLACK, flattened, has_alpha, rgb_of
from streamstyle.media.hdr import Grading, planes_of, transfer_of
from streamstyle.types import Picture

HD_LINES = 720


@dataclass(frozen=True)
class Matrix:
    """One YUV <-> RGB matrix: swscale's name, its tags (H.273), and the shares of red and blue in luma."""

    scaler: Colorspace
    tag: int
    primaries: ColorPrimaries
    transfer: ColorTrc
    red: float
    blue: float

    @cached_property
    def to_yuv(self) -> NDArray[np.float64]:
        """RGB in 0..255 and 1 to limited-range Y, Cb, Cr, (3, 4); H.273, equations 38 to 40, at 8 bits."""
        luma = np.array([self.red, 1 - self.red - self.blue, self.blue])
        chroma = [(np.eye(3)[i] - luma) / (2 * (1 - luma[i])) for i in (2, 0)]
        return np.column_stack([np.stack([219 * luma, *(224 * c for c in chroma)]) / 255, [16, 128, 128]])


MATRICES = {
    "bt709": Matrix(Colorspace.ITU709, 1, ColorPrimaries.BT709, ColorTrc.BT709, 0.2126, 0.0722),
    "bt601": Matrix(Colorspace.ITU601, 6, ColorPrimaries.SMPTE170M, ColorTrc.SMPTE170M, 0.299, 0.114),
    "bt2020": Matrix(Colorspace.BT2020, 9, ColorPrimaries.BT2020, ColorTrc.BT2020_10, 0.2627, 0.0593),
}
_HALVED_CHROMA = ("yuv420p", "nv12")

# SMPTE 240M (7) is so near to BT.709 that it needs no separate name.
_NAME_OF_TAG = {1: "bt709", 7: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}


_YCGCO = 8
_UNREAD = {
    11: "SMPTE ST 2085",
    12: "chroma-derived",
    13: "chroma-derived constant luminance",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
"""Matrices of H.273 that are not supported, by their tags."""


_WIDE = {9: "BT.2020", 11: "DCI-P3", 12: "P3"}
"""Primaries of H.273 that hold colours which BT.709 does not, by their tags."""


def matrix_name(tag: int, lines: int) -> str:
    """Matrix of a frame with this `colorspace` tag; untagged frames are BT.709 from 720 lines up, else
    BT.601."""
    return _NAME_OF_TAG.get(tag, "bt709" if lines >= HD_LINES else "bt601")


def matrix_of(frame: av.VideoFrame) -> str:
    """Matrix of the pictures that `ToRgb` makes of such frames: HDR becomes BT.709."""
    return "bt709" if transfer_of(frame) else matrix_name(frame.colorspace, frame.height)


def is_full_range(frame: av.VideoFrame) -> bool:
    """True if samples use all of 0..255. RGB and the old `yuvj` formats always do."""
    name = frame.format.name
    return (
        frame.color_range == ColorRange.JPEG or name.startswith(("yuvj", "pal8")) or bool(frame.format.is_rgb)
    )


# Of samples that are interleaved, as cameras and NVDEC give them, swscale makes another RGB, and ten times
# slower. 15 and 16 bits in the order of old QuickTime films it takes for the other order (FFmpeg 8.1).
_BETWEEN = {
    **{f"{order}{depth}be": f"{order}{depth}le" for order in ("rgb", "bgr") for depth in (555, 565)},
    **dict.fromkeys(("nv12", "nv21"), "yuv420p"),
    **dict.fromkeys(("nv16", "yuyv422", "uyvy422", "yvyu422"), "yuv422p"),
    "nv24": "yuv444p",
}


class ToRgb:
    """Converts the frames of one stream to pictures. HDR is tone-mapped, all of it by the first frame's data;
    transparent pictures are laid over the background, RRGGBB."""

    def __init__(self, background: str = BLACK) -> None:
        self._background = background
        self._transparent = False
        self._between, self._rgb = VideoReformatter(), VideoReformatter()  # each keeps its own state
        self._grading: Grading | None = None
        self._unread = self._gamut = ""

    def notes(self, name: str) -> list[str]:
        """Notes on the source of this name."""
        notes = []
        if self._grading is not None:
            notes.append(
                f"{name} is HDR ({self._grading.transfer}, up to {self._grading.peak:.0f} cd/m2) and was "
                f"tone-mapped to SDR in BT.709: 203 cd/m2 are its white, highlights are compressed."
            )
        if self._unread:
            notes.append(
                f"{name} is coded by a matrix that cannot be read ({self._unread}): its colours are wrong."
            )
        if self._gamut:
            notes.append(
                f"{name} has the primaries of {self._gamut}, which are read as BT.709's: colours become "
                f"a little paler."
            )
        if self._transparent:
            colour = "black" if self._background == BLACK else f"#{self._background}"
            notes.append(f"{name} is transparent in places, and was laid over {colour}.")
        return notes

    def __call__(self, frame: av.VideoFrame, matrix: str, width: int, height: int) -> Picture:
        """The frame as a new picture (height, width, 3), scaled if it has another size. matrix: of frames
        that are not HDR."""
        self._unread = _UNREAD.get(int(frame.colorspace), self._unread)
        if transfer_of(frame):
            return self._tone_mapped(frame, width, height)
        if matrix != "bt2020":  # which outputs are tagged with
            self._gamut = _WIDE.get(int(frame.color_primaries), self._gamut)
        if int(frame.colorspace) == _YCGCO and not frame.format.is_rgb:
            frame = _from_ycgco(self._between, frame)
        if between := _BETWEEN.get(frame.format.name):
            frame = self._between.reformat(frame, format=between, threads=1)  # its tags of colour remain
        scaler = MATRICES[matrix].scaler
        alpha = has_alpha(frame.format.name)
        converted = self._rgb.reformat(
            frame,
            width=width,
            height=height,
            format="rgba" if alpha else "rgb24",
            src_colorspace=scaler,
            dst_colorspace=scaler,
            src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        pixels = np.ascontiguousarray(converted.to_ndarray(), dtype=np.uint8)
        if alpha:
            pixels, transparent = flattened(pixels, rgb_of(self._background))
            self._transparent |= transparent
        return pixels

    def _tone_mapped(self, frame: av.VideoFrame, width: int, height: int) -> Picture:
        grading = Grading.of(frame)
        if self._grading is not None and (
            (grading.transfer, grading.primaries) == (self._grading.transfer, self._grading.primaries)
        ):
            grading = self._grading  # another peak within the film would be a flash
        self._grading = grading
        # Untagged HDR is BT.2020, at any size.
        scaler = MATRICES[_NAME_OF_TAG.get(int(frame.colorspace), "bt2020")].scaler
        deep = self._rgb.reformat(
            frame,
            width=width,
            height=height,
            format="gbrp16le",
            src_colorspace=scaler,
            dst_colorspace=scaler,
            src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        return grading.shown(planes_of(deep))


def _from_ycgco(reformatter: VideoReformatter, frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in RGB by H.273, equations 54 to 57; swscale takes this matrix for BT.601."""
    named = {"src_colorspace": Colorspace.ITU601, "dst_colorspace": Colorspace.ITU601}  # swscale wants one
    reach = ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG
    ranges = {"src_color_range": reach, "dst_color_range": reach}
    whole = reformatter.reformat(frame, format="yuv444p", threads=1, **named, **ranges)
    planes = cv2.merge([_samples(plane, 1) for plane in whole.planes])
    luma, chroma, black = (1.0, 1.0, 0) if reach == ColorRange.JPEG else (255 / 219, 255 / 224, 16)
    signs = np.array([[1, -1, 1], [1, 1, 0], [1, -1, -1]])  # Y, Cg and Co in R, G and B
    to_rgb = signs * np.array([luma, chroma, chroma])
    offset = -to_rgb @ np.array([black, 128, 128])
    rgb: Any = cv2.transform(planes, np.column_stack([to_rgb, offset]))
    return av.VideoFrame.from_ndarray(rgb, format="rgb24")


def from_rgb(
    reformatter: VideoReformatter, picture: Picture, matrix: str, pixel_format: str
) -> av.VideoFrame:
    """Convert a picture (H, W, 3) to a limited-range YUV frame. Reads the picture in place and copies none of
    it."""
    known = MATRICES[matrix]
    height, width = picture.shape[:2]
    # Of planes one sample wide OpenCV fills a copy.
    if pixel_format in _HALVED_CHROMA and not (height % 2 or width % 2) and width > 2:
        frame = _subsampled(picture, known, pixel_format)
    else:
        frame = reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(picture, format="rgb24"),
            format=pixel_format,
            src_colorspace=known.scaler,
            dst_colorspace=known.scaler,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
    # Asking the scaler for these would make it convert gamut and gamma; here they only label.
    frame.color_primaries = known.primaries
    frame.color_trc = known.transfer
    return frame


def _subsampled(picture: Picture, matrix: Matrix, pixel_format: str) -> av.VideoFrame:
    """Conversion by OpenCV, in half the time of swscale: Y, Cb and Cr of every pixel, then the mean of each
    2x2 block of the chroma, located at its centre."""
    height, width = picture.shape[:2]
    yuv = cv2.transform(picture, matrix.to_yuv)
    half = cv2.resize(yuv, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    frame = av.VideoFrame(width, height, pixel_format)
    together = 2 if pixel_format == "nv12" else 1
    luma, *chroma = (_samples(plane, together if i else 1) for i, plane in enumerate(frame.planes))
    cv2.mixChannels([yuv], [luma], [0, 0])
    cv2.mixChannels([half], chroma, [1, 0, 2, 1])
    frame.colorspace, frame.color_range = matrix.tag, ColorRange.MPEG
    return frame


def _samples(plane: VideoPlane, depth: int) -> NDArray[np.uint8]:
    """Memory of a plane, (height, width, depth); depth: samples per place."""
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[: plane.height, : depth * plane.width].reshape(plane.height, plane.width, depth)
