"""`streamstyle repair`: films that another program painted."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from clips import clip_named, needs_clips

from streamstyle.cli.main import main
from streamstyle.media.encoding import Encoding
from streamstyle.media.open import open_sink, open_source
from streamstyle.types import Picture

FRAMES = 60
PULSE = {30: 1.07, 33: 0.93, 36: 1.07, 45: 0.93}


def toned(pixels: Picture, gain: float) -> Picture:
    """A calm stylizer's painting of it, except for `gain`."""
    return ((60 + 0.6 * pixels[..., ::-1].astype(np.float32)) * gain).round().clip(0, 255).astype(np.uint8)


def write_film(path: Path, original: Path, gains: dict[int, float], frames: int = FRAMES) -> None:
    with open_source(str(original)) as source:
        sink = open_sink(str(path), source.info, Encoding(quality=12))
        for index, frame in zip(range(frames), source, strict=False):
            pixels = np.ascontiguousarray(toned(frame.pixels, gains.get(index, 1.0)))
            sink.write(type(frame)(**{**vars(frame), "pixels": pixels}))
        sink.close(complete=True)


def lumas(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.array([frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)])


@needs_clips
def test_flicker_of_another_programs_film_is_found_and_repaired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = clip_named("sam2_bedroom.mp4")
    write_film(tmp_path / "styled.mp4", original, PULSE)
    write_film(tmp_path / "calm.mp4", original, {})
    arguments = [str(original), str(tmp_path / "styled.mp4"), str(tmp_path / "out.mp4")]
    log = tmp_path / "events.jsonl"
    assert main(["repair", *arguments, "--frames", str(FRAMES), "--events", str(log), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["frames_out"] == FRAMES
    flagged = {json.loads(line)["index"] for line in log.read_text().splitlines()}
    assert flagged >= set(PULSE)
    calm, styled, repaired = (lumas(tmp_path / f"{name}.mp4") for name in ("calm", "styled", "out"))
    hit = list(PULSE)
    assert np.abs(repaired - calm)[hit].mean() < 0.25 * np.abs(styled - calm)[hit].mean()


@pytest.mark.parametrize("out", ["{original}", "{styled}"])
def test_an_input_is_never_overwritten(tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = {name: str(tmp_path / f"{name}.mp4") for name in ("original", "styled")}
    for path in names.values():
        Path(path).write_bytes(b"precious")
    assert main(["repair", names["original"], names["styled"], out.format(**names)]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert all(Path(path).read_bytes() == b"precious" for path in names.values())


def test_an_output_named_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.mp4"
    assert main(["run", "test:?seconds=1", str(out), str(tmp_path / "." / "out.mp4")]) == 2
    assert "named twice" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("option", ["--events", "--report"])
def test_a_log_or_page_never_takes_the_place_of_a_film(
    tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film, out = tmp_path / "film.mp4", tmp_path / "out.mp4"
    film.write_bytes(b"precious")
    assert main(["run", str(film), str(out), option, str(film)]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert main(["run", str(film), str(out), option, str(out)]) == 2
    assert "named twice" in capsys.readouterr().err
    assert film.read_bytes() == b"precious"


@needs_clips
def test_films_that_do_not_belong_together_are_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = clip_named("sam2_bedroom.mp4")
    write_film(tmp_path / "short.mp4", original, {}, frames=8)
    assert main(["repair", str(original), str(tmp_path / "short.mp4"), str(tmp_path / "out.mp4")]) == 2
    said = capsys.readouterr().err
    assert "ends after 8 frames" in said
    assert "--frames 8" in said
    assert not (tmp_path / "out.mp4").exists()
