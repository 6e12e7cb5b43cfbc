"""`test:?live=1`: the rendered scene as a camera would give it."""

from __future__ import annotations

import itertools
import threading
import time
from fractions import Fraction

import numpy as np

from streamstyle.media.scene.film import SceneRequest, SceneSource
from streamstyle.media.scene.live_scene import LiveSceneSource
from streamstyle.media.scene.sound import Tune

REQUEST = SceneRequest(seconds=0.5, size=(64, 64), rate=Fraction(20), live=True)


def test_the_film_plays_over_and_over_when_its_frames_are_due() -> None:
    with SceneSource.of(REQUEST) as film:
        drawn = [film.draw(i) for i in range(10)]
    with LiveSceneSource(REQUEST) as source:
        started = time.monotonic()
        frames = list(itertools.islice(source, 14))
        info, counters = source.info, source.report().counters
    assert info.live
    assert info.frames == 0
    for frame in frames:
        assert frame.captured_at >= started + frame.time
        assert frame.index == frame.pts
        assert np.array_equal(frame.pixels, drawn[frame.index % 10])
    assert frames[-1].index == 13 + sum(b.index - a.index - 1 for a, b in itertools.pairwise(frames))
    assert counters["frames"] == 14


def test_its_sound_is_the_tune_of_the_frames_shown() -> None:
    with LiveSceneSource(REQUEST) as source:
        assert source.info.sound is not None
        reader = source.info.sound.reader()
        frames = list(itertools.islice(source, 6))
        reader.until(frames[0].time)
        heard = reader.until(frames[-1].time)
    shown = [frame.index for frame in frames[:-1]]
    tune = Tune(0.5)
    for index in shown:
        at = (index - frames[0].index) * 2400
        begin = index % 10 * 2400  # the tune is as long as the film, and comes round
        assert np.array_equal(heard[at : at + 2400], tune[begin : begin + 2400])


def test_frames_that_could_not_be_drawn_in_time_are_left_out() -> None:
    with LiveSceneSource(REQUEST) as source:
        stream = iter(source)
        first = next(stream)
        time.sleep(0.3)
        frames = [first, next(stream), next(stream)]
    skipped = source.report().counters["skipped_frames"]
    assert skipped >= 4
    assert frames[-1].index >= 2 + 4


def test_interrupted_it_ends() -> None:
    slow = SceneRequest(seconds=8, size=(64, 64), rate=Fraction(1), live=True)
    with LiveSceneSource(slow) as source:
        stream = iter(source)
        next(stream)
        threading.Timer(0.1, source.interrupt).start()
        rest = list(itertools.islice(stream, 60))
    assert len(rest) < 60
