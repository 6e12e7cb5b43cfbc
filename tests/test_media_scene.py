"""The demo scene: deterministic, with one cut, and rich enough to look at."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from streamstyle.errors import ConfigError
from streamstyle.media.open import open_source
from streamstyle.media.scene.film import SceneSource
from streamstyle.media.scene.sound import SOUND_RATE, Tune
from streamstyle.types import Picture


def pictures(url: str) -> list[Picture]:
    with open_source(url) as source:
        return [frame.pixels for frame in source]


def test_the_same_url_gives_the_same_pixels() -> None:
    first, second = (pictures("test:?seconds=1&size=160x90&rate=8") for _ in range(2))
    assert len(first) == 8
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_it_moves_smoothly_and_cuts_once_halfway() -> None:
    shown = [picture.astype(np.int16) for picture in pictures("test:?seconds=2&size=160x90&rate=20")]
    change = [np.abs(b - a).mean() for a, b in itertools.pairwise(shown)]
    assert int(np.argmax(change)) == 19
    calm = [value for i, value in enumerate(change) if i != 19]
    assert min(calm) > 0.2
    assert max(calm) < 0.25 * change[19]


def test_both_views_are_rich_in_colour_and_edges() -> None:
    for picture in pictures("test:?seconds=1&size=320x180&rate=2"):
        assert len(np.unique(picture.reshape(-1, 3) // 32, axis=0)) > 60
        assert (np.abs(np.diff(picture.astype(np.int16), axis=1)).max(axis=2) > 40).mean() > 0.03


@pytest.mark.parametrize("size", [(64, 64), (97, 131), (400, 100)])
def test_any_size_can_be_painted(size: tuple[int, int]) -> None:
    with SceneSource(0.4, size, 5) as source:
        assert {frame.pixels.shape for frame in source} == {(size[1], size[0], 3)}


def test_clouds_pass_the_end_of_their_layer_without_a_jump() -> None:
    with SceneSource(40, (160, 90), 10) as source:
        shown = [frame.pixels[:30].astype(np.int16) for frame, _ in zip(source, range(200), strict=False)]
    change = [np.abs(b - a).mean() for a, b in itertools.pairwise(shown)]
    assert max(change) < 6 * float(np.median(change)) + 2


def test_an_hour_long_film_cuts_every_twenty_seconds() -> None:
    with SceneSource(3600, (160, 90), 1) as source:
        shown = [frame.pixels.astype(np.int16) for frame, _ in zip(source, range(60), strict=False)]
    change = [np.abs(b - a).mean() for a, b in itertools.pairwise(shown)]
    assert set(np.argsort(change)[-2:].tolist()) == {19, 39}


def test_the_url_is_read_and_told_again() -> None:
    with open_source("test:?seconds=2&size=128x72&rate=24") as source:
        info = source.info
    assert (info.width, info.height, info.rate, info.frames) == (128, 72, 24, 48)
    assert info.url == "test:?seconds=2&size=128x72&rate=24"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("test:?second=2", "did you mean 'seconds'"),
        ("test:?size=big", "write options as"),
        ("test:?rate=0", "choose 1 to 240"),
        ("test:?rate=1/0", "write options as"),
        ("test:?size=20x20", "choose sides"),
        ("test:?seconds=-1", "choose up to"),
        ("test:?seconds=nan", "choose up to"),
        ("test:pattern", "write options as"),
    ],
)
def test_a_wrong_option_says_what_is_right(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_source(url)


def test_the_tune_is_stereo_neither_silent_nor_clipped() -> None:
    sound = Tune(4.0)[:]
    assert sound.shape == (4 * SOUND_RATE, 2)
    assert sound.dtype == np.float32
    assert 0.2 < np.abs(sound).max() < 0.95
    assert np.abs(sound[0]).max() < 1e-3
    assert np.abs(sound[-1]).max() < 1e-3
    assert not np.allclose(sound[:, 0], sound[:, 1])
    assert np.array_equal(sound, Tune(4.0)[:])


def test_a_long_tune_repeats_without_a_click_and_an_hour_costs_no_more() -> None:
    short, hour = Tune(60), Tune(3600)
    assert hour.samples == 3600 * SOUND_RATE
    np.testing.assert_array_equal(hour[SOUND_RATE : 50 * SOUND_RATE], short[SOUND_RATE : 50 * SOUND_RATE])
    seam = 20 * round(9.6 * SOUND_RATE)
    at_seam = np.abs(np.diff(hour[seam - 2000 : seam + 2000], axis=0)).max()
    elsewhere = np.abs(np.diff(hour[seam + 2000 : seam + 40_000], axis=0)).max()
    assert at_seam < 1.2 * elsewhere
