"""FFmpeg's colour tags, our matrix names, and the two conversions that source and sink make of them.

Both conversions name matrix and range explicitly: swscale's own guess for untagged video is BT.601,
which is visibly wrong for HD.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from streamstyle.types import Picture

HD_LINES = 720


@dataclass(frozen=True)
class Matrix:
    """One YUV <-> RGB matrix: swscale's name for it, and the tags (H.273) that belong to it."""

    scaler: Colorspace
    tag: int
    primaries: ColorPrimaries
    transfer: ColorTrc


MATRICES = {
    "bt709": Matrix(Colorspace.ITU709, 1, ColorPrimaries.BT709, ColorTrc.BT709),
    "bt601": Matrix(Colorspace.ITU601, 6, ColorPrimaries.SMPTE170M, ColorTrc.SMPTE170M),
    "bt2020": Matrix(Colorspace.BT2020, 9, ColorPrimaries.BT2020, ColorTrc.BT2020_10),
}

# SMPTE 240M (7) is so near to BT.709 that it gets no name of its own.
_NAME_OF_TAG = {1: "bt709", 7: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}


def matrix_name(tag: int, lines: int) -> str:
    """The matrix of a frame with this `colorspace` tag; untagged, BT.709 from 720 lines up, else BT.601."""
    return _NAME_OF_TAG.get(tag, "bt709" if lines >= HD_LINES else "bt601")


def is_full_range(frame: av.VideoFrame) -> bool:
    """Do the samples use all of 0..255? RGB and the old `yuvj` formats always do."""
    name = frame.format.name
    return (
        frame.color_range == ColorRange.JPEG or name.startswith(("yuvj", "pal8")) or bool(frame.format.is_rgb)
    )


# Of samples that are interleaved, as cameras and NVDEC give them, swscale makes another RGB, and ten times
# slower.
_PLANAR = {
    **dict.fromkeys(("nv12", "nv21"), "yuv420p"),
    **dict.fromkeys(("nv16", "yuyv422", "uyvy422", "yvyu422"), "yuv422p"),
    "nv24": "yuv444p",
}


class ToRgb:
    """Makes pictures of the frames of one stream."""

    def __init__(self) -> None:
        self._planar, self._rgb = VideoReformatter(), VideoReformatter()  # each keeps what it needs

    def __call__(self, frame: av.VideoFrame, matrix: str, width: int, height: int) -> Picture:
        """The frame as a new picture (height, width, 3), scaled if it has another size."""
        if planar := _PLANAR.get(frame.format.name):
            frame = self._planar.reformat(frame, format=planar, threads=1)  # its tags of colour remain
        scaler = MATRICES[matrix].scaler
        converted = self._rgb.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=scaler,
            dst_colorspace=scaler,
            src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        return np.ascontiguousarray(converted.to_ndarray(), dtype=np.uint8)


def from_rgb(
    reformatter: VideoReformatter, picture: Picture, matrix: str, pixel_format: str
) -> av.VideoFrame:
    """A picture (H, W, 3) as a limited-range YUV frame. Reads the picture in place, copies nothing of it."""
    known = MATRICES[matrix]
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
