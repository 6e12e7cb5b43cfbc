"""Sources on a web server: films are read like files, streams are live, and both end well."""

from __future__ import annotations

import functools
import http.server
import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest
from media_files import audio_packets, make_video

from streamstyle.errors import SourceError
from streamstyle.media.open import open_sink, open_source
from streamstyle.media.sounds import sound_of
from streamstyle.types import Frame, MediaReport


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, with ranges; `/stream/NAME` without a length, as streams come; of
    `/half/NAME` never the second half."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        stream = self.path.startswith("/stream/")
        half = self.path.startswith("/half/")
        path = Path(self.directory) / self.path.removeprefix("/stream").removeprefix("/half").lstrip("/")
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked and not stream else 0
        if half and first >= len(data) // 2:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if first or (asked and not stream) else HTTPStatus.OK)
        if not stream:
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data) - first))
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[first : len(data) // 2 if half else None])


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # who has read enough hangs up
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def film(folder: Path, name: str) -> Path:
    """30 frames in order of decoding other than that of showing, with sound."""
    options = {"hls_time": "0.4", "hls_playlist_type": "vod"} if name.endswith("m3u8") else {}
    return make_video(folder / name, frames=30, audio=["aac"], gop=12, b_frames=2, container_options=options)


def painted(url: str, target: Path) -> tuple[list[Frame], MediaReport, MediaReport]:
    with open_source(url) as source:
        sink = open_sink(str(target), source.info)
        frames = []
        for frame in source:
            sink.write(frame)
            frames.append(frame)
        sink.close(complete=True)
    return frames, source.report(), sink.report()


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts", "film.m3u8"])
def test_a_film_on_a_web_server_is_read_like_a_file(tmp_path: Path, name: str) -> None:
    path = film(tmp_path, name)
    with web_server(tmp_path) as server:
        with open_source(f"{server}/{name}") as source:
            assert not source.info.live
            assert source.info.sound is None
            sound = sound_of(source.info)
            assert sound is not None
            reader = sound.reader()
            reader.until(0.2)
            assert np.abs(reader.until(0.7)).max() > 0.1
        frames, told, written = painted(f"{server}/{name}", tmp_path / "web.mp4")
    assert [frame.index for frame in frames] == list(range(30))
    assert told.counters["truncated"] == 0
    assert told.notes == written.notes == ()
    assert written.counters["audio_packets_copied"] > 40
    assert written.counters["audio_packets_encoded"] == 0
    if name.endswith("m3u8"):
        assert frames[-1].time - frames[0].time == pytest.approx(29 / 30, abs=0.001)
        return
    alone, _, _ = painted(str(path), tmp_path / "file.mp4")
    assert [(f.pts, f.time_base, f.duration) for f in frames] == [
        (f.pts, f.time_base, f.duration) for f in alone
    ]
    assert audio_packets(tmp_path / "web.mp4") == audio_packets(tmp_path / "file.mp4")


@pytest.mark.parametrize("name", ["film.mp4", "film.ts", "film.m3u8"])
def test_a_film_asked_for_live_plays_at_its_pace_and_ends(tmp_path: Path, name: str) -> None:
    film(tmp_path, name)
    with web_server(tmp_path) as server, open_source(f"{server}/{name}", live=True) as source:
        frames = list(source)
        assert source.info.live
        assert source.info.sound is not None
        reader = source.info.sound.reader()
        reader.until(0.2)
        loud = np.abs(reader.until(0.7)).max()
    assert [frame.index for frame in frames] == list(range(30))
    for one, two in itertools.pairwise(frames):
        assert one.pts < two.pts
        assert one.captured_at <= two.captured_at
    assert frames[-1].time == pytest.approx(29 / 30, abs=0.01)
    # Never sooner than by its time stamps: what is written down is when each was handed over.
    assert frames[-1].captured_at - frames[0].captured_at > 0.9
    assert loud > 0.1
    assert source.report().counters["reconnects"] == 0


def test_a_stream_that_is_over_before_it_was_measured_is_shown_and_ends(tmp_path: Path) -> None:
    make_video(tmp_path / "film.ts", frames=4, times=[6_144 * i for i in range(4)], b_frames=2)
    with web_server(tmp_path) as server, open_source(f"{server}/stream/film.ts") as source:
        assert source.info.live
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(4))
    assert frames[-1].time == pytest.approx(1.2, abs=0.11)  # no stamp is ahead of its time by more than 0.1 s
    assert source.report().counters["reconnects"] == 0


def test_a_film_whose_server_goes_away_is_cut_off(tmp_path: Path) -> None:
    film(tmp_path, "film.ts")
    with web_server(tmp_path) as server, open_source(f"{server}/half/film.ts") as source:
        frames = list(source)
    assert 5 < len(frames) < 25
    report = source.report()
    assert report.counters["truncated"] == 1
    assert any("is cut off" in note for note in report.notes)


def test_what_is_not_there_is_told_without_secrets(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        url = f"{server.replace('//', '//me:secret@')}/none.mp4"
        with pytest.raises(SourceError, match="does not exist on that server") as raised, open_source(url):
            pass
    assert "secret" not in str(raised.value)
