"""Damaged files either decode or raise SourceError, whatever the damage."""

from __future__ import annotations

import contextlib
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_files import make_video

from streamstyle.errors import SourceError
from streamstyle.media.av_source import FileSource

SUFFIXES = (".mp4", ".mkv")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A tiny good file per container."""
    folder = tmp_path_factory.mktemp("whole")
    return {
        suffix: make_video(
            folder / f"a{suffix}", frames=4, size=(32, 32), codec="mpeg4", audio=["libopus"]
        ).read_bytes()
        for suffix in SUFFIXES
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    damage=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12
    ),
    keep=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_damage_is_decoded_or_refused(
    tmp_path: Path, whole: dict[str, bytes], suffix: str, damage: list[tuple[float, int]], keep: float
) -> None:
    data = bytearray(whole[suffix])
    for place, value in damage:
        data[int(place * len(data))] = value
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(data[: round(keep * len(data))])
    source = FileSource(str(path))
    with contextlib.suppress(SourceError), source:
        assert len({frame.pixels.shape for frame in islice(source, 50)}) == 1
    assert source.report().counters["corrupt_packets"] >= 0
