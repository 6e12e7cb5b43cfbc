"""Names to sources and sinks, and the contract that all of them keep."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from media_files import TICK, card, info_of, make_video

from streamstyle.errors import ConfigError, SinkError, SourceError
from streamstyle.files import write_picture
from streamstyle.media.av_sink import FileSink
from streamstyle.media.av_source import FileSource
from streamstyle.media.image_sink import ImageSink
from streamstyle.media.image_source import ImageSource
from streamstyle.media.net.stream_sink import StreamSink
from streamstyle.media.null_sink import NullSink
from streamstyle.media.open import open_sink, open_source
from streamstyle.media.reconnecting import ReconnectingSource
from streamstyle.media.scene.film import SceneSource
from streamstyle.media.scene.live_scene import LiveSceneSource
from streamstyle.media.web_source import WebSource
from streamstyle.types import Frame, Sink, Source
from streamstyle.web.preview import PreviewSink


def _pictures(folder: Path) -> Path:
    for number in range(12):
        write_picture(folder / f"{number}.png", card(shift=number // 4))
    return folder / "%d.png"


SOURCES: dict[str, Callable[[Path], Source]] = {
    "mp4": lambda folder: FileSource(str(make_video(folder / "in.mp4"))),
    "mkv": lambda folder: FileSource(str(make_video(folder / "in.mkv", audio=["libopus"]))),
    "pictures": lambda folder: ImageSource(str(_pictures(folder))),
    "turned": lambda folder: FileSource(str(make_video(folder / "in.mov", rotation=90))),
    "scene": lambda folder: SceneSource(1.2, (96, 64), 10),
}

SINKS: dict[str, Callable[[Path], Sink]] = {
    **{
        suffix: lambda folder, suffix=suffix: FileSink(str(folder / f"out.{suffix}"), info_of())
        for suffix in ("mp4", "mov", "mkv", "webm", "gif", "webp")
    },
    "pictures": lambda folder: ImageSink(f"{folder}/out%d.png", info_of()),
    "null": lambda folder: NullSink(),
    "preview": lambda folder: PreviewSink("preview:"),
    "hls": lambda folder: StreamSink([f"hls:{folder}"], info_of()),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_keeps_the_contract(tmp_path: Path, name: str) -> None:
    source = SOURCES[name](tmp_path)
    threads = threading.active_count()
    with source as opened:
        assert opened is source
        info = source.info
        frames = list(source)
        assert threading.active_count() == threads
    assert len(frames) == info.frames == 12
    assert [frame.index for frame in frames] == list(range(12))
    for frame in frames:
        assert frame.pixels.shape == (info.height, info.width, 3)
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.flags.c_contiguous
        assert frame.time_base == info.time_base
        assert frame.duration >= 0
    for one, two in itertools.pairwise(frames):
        assert one.pts < two.pts
        assert one.captured_at <= two.captured_at
        assert not np.shares_memory(one.pixels, two.pixels)
    assert info.matrix in {"bt601", "bt709", "bt2020"}
    assert info.rate is not None
    assert info.rate > 0
    assert info.sample_aspect_ratio == 1
    counters = source.report().counters
    assert (counters["frames"], counters["corrupt_packets"], counters["truncated"]) == (12, 0, 0)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_can_be_left_early(tmp_path: Path, name: str) -> None:
    with SOURCES[name](tmp_path) as source:
        for frame in source:
            if frame.index == 3:
                break
    assert list(source) == []


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("name", SINKS)
def test_every_sink_keeps_the_contract(tmp_path: Path, name: str, complete: bool) -> None:
    sink = SINKS[name](tmp_path)
    pixels = card()
    pixels.flags.writeable = False
    for i in range(5):
        sink.write(Frame(pixels, i, 512 * i, TICK, 512, 0.0))
    assert sink.report().counters["frames"] == 5
    sink.close(complete=complete)
    sink.close(complete=complete)
    with pytest.raises(SinkError, match="is closed"):
        sink.write(Frame(pixels, 5, 512 * 5, TICK, 512, 0.0))
    assert sink.report().counters["frames"] == 5


def test_names_find_their_source_and_sink(tmp_path: Path) -> None:
    assert isinstance(open_source("clip.mp4"), FileSource)
    assert isinstance(open_source("test:"), SceneSource)
    assert isinstance(open_source("test:?live=1"), LiveSceneSource)
    for url in ("rtsp://camera/1", "webcam:0", "udp://:5000"):
        assert isinstance(open_source(url), ReconnectingSource)
    assert isinstance(open_source("HTTPS://example.org/a.mp4"), WebSource)
    assert isinstance(open_source("HTTPS://example.org/a.mp4", live=True), ReconnectingSource)
    assert isinstance(open_sink("null:", info_of()), NullSink)
    assert isinstance(open_sink(str(tmp_path / "a.webm"), info_of()), FileSink)


@pytest.mark.parametrize("url", ["clip.mp4", "-", "img%04d.png"])
def test_only_a_film_on_the_web_is_asked_for_live(url: str) -> None:
    with pytest.raises(ConfigError, match=f"--live .* {url} is not one: leave --live out"):
        open_source(url, live=True)


def test_an_unknown_scheme_says_what_this_version_reads() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'rtsp'.*reads video files and `test:`.*`webcam:`"):
        open_source("rstp://camera/1")


def test_an_unknown_output_scheme_says_what_this_version_writes() -> None:
    with pytest.raises(
        ConfigError, match=r"did you mean 'null'.*writes video files and `pipe:`, `null:`, .*`hls:`"
    ):
        open_sink("nul:", info_of())


@pytest.mark.parametrize("url", ["file:///a%20b.mp4", "file:/a%20b.mp4", "FILE://localhost/a%20b.mp4"])
def test_files_that_are_named_as_browsers_do_are_told_by_their_path(url: str) -> None:
    for opened in (lambda: open_source(url), lambda: open_sink(url, info_of())):
        with pytest.raises(ConfigError, match=r"by their path alone: /a b\.mp4, without file:"):
            opened()


def test_an_empty_name_is_told() -> None:
    with pytest.raises(ConfigError, match="empty name"):
        open_source("")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs sockets with names")
def test_a_socket_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        with pytest.raises(SourceError, match="is a socket or a device"):
            open_source(str(path)).__enter__()
        with pytest.raises(ConfigError, match="is a socket or a device"):
            open_sink(str(path), info_of())
        assert path.is_socket()


def test_an_existing_file_with_a_colon_in_its_name_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(tmp_path / "take:1.mkv", frames=2)
    monkeypatch.chdir(tmp_path)
    with open_source("take:1.mkv") as source:
        assert len(list(source)) == 2


def test_info_outside_the_block_is_an_error_that_says_so() -> None:
    with pytest.raises(SourceError, match="`with` block"):
        _ = FileSource("clip.mp4").info
