"""`--colour`: the painting's light, the film's colours."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamstyle.cli.main import main
from streamstyle.control.style_scheduler import StyleScheduler, StyleTarget
from streamstyle.engines.film_colour import FilmColourEngine, FilmColourRepainter, mix_in_colour_
from streamstyle.pipeline.repair_stage import restyled
from streamstyle.types import EngineSpec, Frame, InferenceFuture, Picture, StyleCondition

CODES = np.zeros((2, 4), np.float32)


def ycc(picture: Picture) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb).astype(int)


def muted(seed: int) -> Picture:
    """A smooth picture whose mixes with another stay inside the RGB cube."""
    noise = np.random.default_rng(seed).integers(90, 166, (48, 64, 3)).astype(np.uint8)
    return np.ascontiguousarray(cv2.GaussianBlur(noise, (0, 0), 2))


class Painter:
    """Paints every frame as one picture; tells of `paints`."""

    def __init__(self, painting: Picture, *, paints: bool = True) -> None:
        self.painting = painting
        self.spec = EngineSpec("torch", "fp32", "cpu", 1, paints=paints)
        self.busy_seconds = 0.0
        self.closed = False

    def start(self, pixels: Picture, condition: StyleCondition) -> InferenceFuture:
        return InferenceFuture(self.painting.copy)

    def close(self) -> None:
        self.closed = True


@given(share=st.floats(0, 1), seeds=st.tuples(st.integers(0, 99), st.integers(100, 199)))
def test_luma_is_the_paintings_and_chroma_lies_between(share: float, seeds: tuple[int, int]) -> None:
    painting, film = (muted(seed) for seed in seeds)
    mixed = painting.copy()
    mix_in_colour_(mixed, film, share)
    ours, theirs, found = ycc(painting), ycc(film), ycc(mixed)
    assert np.abs(found[..., 0] - ours[..., 0]).max() <= 2
    expected = ours + share * (theirs - ours)
    assert np.abs(found[..., 1:] - expected[..., 1:]).max() <= 3


def test_a_grey_film_makes_a_grey_painting() -> None:
    painting, grey = muted(1), np.full((48, 64, 3), 120, np.uint8)
    mix_in_colour_(painting, grey, 1.0)
    assert np.ptp(painting.astype(int), axis=2).max() <= 2


def test_nothing_is_touched_without_the_setting_or_a_painting() -> None:
    film = muted(2)
    for painter, colour in ((Painter(muted(1)), 0.0), (Painter(muted(1), paints=False), 1.0)):
        engine = FilmColourEngine(painter)
        assert np.array_equal(engine.start(film, StyleCondition(CODES, colour=colour)).result(), muted(1))
    engine.close()
    assert painter.closed


def test_frames_painted_again_get_the_same_colours() -> None:
    film, painting = muted(2), muted(1)
    condition = StyleCondition(CODES, colour=0.7)
    first = FilmColourEngine(Painter(painting)).start(film, condition).result()

    class Again:
        def remember(self) -> Callable[[Picture, StyleCondition], Picture]:
            return lambda _pixels, _condition: painting.copy()

    again = FilmColourRepainter(Again()).remember()
    assert again is not None
    assert np.array_equal(again(film, condition), first)


def frame(seconds: float) -> Frame:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    return Frame(noise, 0, round(1000 * seconds), Fraction(1, 1000), 0, 0.0)


def test_a_change_of_colour_is_faded_and_no_flicker() -> None:
    condition = StyleScheduler(StyleTarget(CODES, None, None, "udnie"))
    before = condition(frame(0.0))
    condition.ask(StyleTarget(CODES, None, None, "udnie", colour=1.0), fade=1.0)
    on_the_way = [condition(frame(t)) for t in (0.25, 0.5)]
    assert [at.colour for at in on_the_way] == pytest.approx([0.25, 0.5])
    assert all(at.fading for at in on_the_way)
    condition.ask(StyleTarget(CODES, None, None, "udnie", colour=0.0))
    at_once = condition(frame(0.75))
    assert at_once.colour == 0
    assert restyled(at_once, on_the_way[-1])
    assert not restyled(before, at_once)


def test_a_run_keeps_the_colours_of_its_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--frames", "2", "--engine", "torch", "--json"]
    for colour in ("keep", "0.25"):
        assert main(["run", "test:?size=96x64", str(tmp_path / "a.mp4"), "--colour", colour, *options]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["colour"] == {"keep": 1.0, "0.25": 0.25}[colour]
    with pytest.raises(SystemExit):
        main(["run", "test:", "null:", "--color", "1.5"])
    assert "style, keep or a number" in capsys.readouterr().err
