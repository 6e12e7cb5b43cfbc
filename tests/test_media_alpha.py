"""Transparent films are laid over black, or over the colour that is asked for, and it is said."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import PATCHES, card, make_video, patch_colours

from streamstyle.cli.main import main
from streamstyle.media.av_source import FileSource

SHARES = np.array([255, 0, 128, 64, 192, 255])
"""Alpha of the six patches."""


def transparent(path: Path, codec: str, pixel_format: str, shares: np.ndarray = SHARES) -> Path:
    picture = np.dstack([card(), np.zeros((64, 96), np.uint8)])
    for i, share in enumerate(shares):
        row, column = divmod(i, 3)
        picture[32 * row : 32 * row + 32, 32 * column : 32 * column + 32, 3] = share
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
        for pts in range(2):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgba")
            frame = frame.reformat(format=pixel_format, dst_colorspace=5, dst_color_range=1)
            frame.pts, frame.time_base = pts, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def over(background: tuple[int, int, int], shares: np.ndarray = SHARES) -> np.ndarray:
    share = shares[:, None] / 255
    return np.array(PATCHES) * share + np.array(background) * (1 - share)


KINDS = [
    ("ffv1", "yuva420p", ".mkv"),
    ("ffv1", "yuva444p10le", ".mkv"),
    ("ffv1", "bgra", ".mkv"),
    ("ffv1", "gbrap10le", ".mkv"),
    ("png", "rgba", ".mov"),
    ("qtrle", "argb", ".mov"),
    ("prores_ks", "yuva444p10le", ".mov"),
]


@pytest.mark.parametrize(("codec", "pixel_format", "suffix"), KINDS)
@pytest.mark.parametrize("background", ["000000", "2040C0"])
def test_every_kind_is_laid_over_the_background(
    tmp_path: Path, codec: str, pixel_format: str, suffix: str, background: str
) -> None:
    path = transparent(tmp_path / f"in{suffix}", codec, pixel_format)
    with FileSource(str(path), background=background) as source:
        found = patch_colours(next(iter(source)).pixels)
    red, green, blue = bytes.fromhex(background)
    assert np.abs(found - over((red, green, blue))).max() <= 4
    named = "black" if background == "000000" else f"#{background}"
    assert any(f"laid over {named}" in note for note in source.report().notes)


def test_opaque_films_of_such_a_kind_say_nothing(tmp_path: Path) -> None:
    path = transparent(tmp_path / "in.mkv", "ffv1", "bgra", np.full(6, 255))
    with FileSource(str(path), background="ffffff") as source:
        assert np.array_equal(next(iter(source)).pixels, card())
    assert source.report().notes == ()


def test_webm_whose_alpha_is_not_decoded_says_so(tmp_path: Path) -> None:
    with (
        av.open(str(make_video(tmp_path / "plain.mkv"))) as plain,
        av.open(str(tmp_path / "in.mkv"), "w") as target,
    ):
        stream = target.add_stream_from_template(plain.streams.video[0])
        stream.metadata["alpha_mode"] = "1"
        for packet in plain.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    with FileSource(str(tmp_path / "in.mkv")) as source:
        assert "read as opaque" in source.report().notes[0]


def test_a_run_takes_the_background(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = transparent(tmp_path / "in.mov", "png", "rgba")
    out = tmp_path / "out.mp4"
    options = ["--strength", "0", "--correct", "off", "--engine", "torch", "--style", "original"]
    assert main(["run", str(path), str(out), *options, "--background", "ffffff", "--json"]) == 0
    assert "laid over #ffffff" in " ".join(json.loads(capsys.readouterr().out)["notes"])
    assert main(["run", str(path), "null:", "--background", "white"]) == 2
    assert "background" in capsys.readouterr().err
