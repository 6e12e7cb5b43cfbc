"""Things that a film carries beside its pictures: kept where the output can hold it, told where it cannot."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from media_files import PATCHES, card, make_video, passed_through, patch_colours

from streamstyle.media.av_source import FileSource
from streamstyle.media.formats import FORMATS
from streamstyle.media.open import open_source

FONT = b"\0\1\0\0 the letters of a font"
FRAMES = 12
SUFFIXES = [".mkv", ".mp4", ".mov", ".webm"]


def jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", card(32, 32))[1].tobytes())


def film(
    path: Path,
    *,
    sound: str = "aac",
    languages: tuple[str, ...] = ("fra", "jpn"),
    dispositions: tuple[Disposition, ...] = (Disposition.forced, Disposition.default),
    tags: dict[str, str] | None = None,
    attachments: bool = False,
    timecode: str = "",
    frames: int = FRAMES,
) -> Path:
    """A film with a sound track for each language."""
    plain = make_video(path.with_name("plain.mkv"), frames=frames, audio=[sound] * len(languages))
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        target.metadata.update(tags or {})
        streams: list[Any] = [target.add_stream_from_template(stream) for stream in source.streams]
        streams[0].disposition = Disposition.default
        if timecode:
            streams[0].metadata["timecode"] = timecode
        for stream, language, disposition in zip(streams[1:], languages, dispositions, strict=True):
            stream.metadata.update({"language": language, "title": f"In {language}"})
            stream.disposition = disposition
        if attachments:
            target.add_attachment("letters.ttf", "application/x-truetype-font", FONT)
            target.add_attachment("cover.jpg", "image/jpeg", jpeg())
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("sound", ["aac", "libopus"])
def test_languages_and_dispositions_are_kept_copied_or_encoded(
    tmp_path: Path, suffix: str, sound: str
) -> None:
    report = passed_through(str(film(tmp_path / "in.mkv", sound=sound)), tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        tracks = container.streams.audio
        assert [track.language for track in tracks] == ["fra", "jpn"]
        assert tracks[1].disposition == Disposition.default
        forced = bool(tracks[0].disposition & Disposition.forced)
        assert not tracks[0].disposition & Disposition.default
        titles = [track.metadata.get("title", track.metadata.get("name")) for track in tracks]
        assert titles == ["In fra", "In jpn"]
    assert forced == ("forced" in FORMATS[suffix].dispositions)
    assert any("dispositions of tracks forced" in note for note in report.notes) == (not forced)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("made", [".mp4", ".mov", ".mkv"])
def test_titles_of_tracks_survive_a_second_time(tmp_path: Path, made: str, suffix: str) -> None:
    """FFmpeg reads them under another name than it writes them in MP4."""
    passed_through(str(film(tmp_path / "in.mkv")), tmp_path / f"first{made}")
    passed_through(str(tmp_path / f"first{made}"), tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        titles = [
            track.metadata.get("title", track.metadata.get("name")) for track in container.streams.audio
        ]
    assert titles == ["In fra", "In jpn"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_languages_of_other_lengths_are_kept_or_named(tmp_path: Path, suffix: str) -> None:
    report = passed_through(
        str(film(tmp_path / "in.mkv", languages=("fra", "x-klingon"))), tmp_path / f"out{suffix}"
    )
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        kept = [track.language for track in container.streams.audio] == ["fra", "x-klingon"]
    assert kept == (suffix in {".mkv", ".webm"})
    assert any("languages x-klingon were left out" in note for note in report.notes) == (not kept)


CAPTIONS = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x80\x80\xff"
"""Closed captions as ATSC A/53 has them: one pair of empty characters."""


def test_closed_captions_inside_the_pictures_are_named(tmp_path: Path) -> None:
    plain = make_video(tmp_path / "plain.h264", frames=8).read_bytes()
    message = b"\0\0\1\x06\x04" + bytes([len(CAPTIONS)]) + CAPTIONS + b"\x80"
    (tmp_path / "in.h264").write_bytes(plain.replace(b"\0\0\1\x65", message + b"\0\0\1\x65"))
    report = passed_through(str(tmp_path / "in.h264"), tmp_path / "out.mkv")
    assert report.counters["frames"] == 8
    with FileSource(str(tmp_path / "in.h264")) as source:
        list(source)
    assert [note for note in source.report().notes if "closed captions" in note]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_table_of_dispositions_is_what_comes_back(tmp_path: Path, suffix: str) -> None:
    said = [one for one in Disposition if one.name in FORMATS[".mkv"].dispositions | {"captions", "lyrics"}]
    source = film(
        tmp_path / "in.mkv", sound="libopus", languages=("fra",) * len(said), dispositions=tuple(said)
    )
    passed_through(str(source), tmp_path / f"out{suffix}")
    with av.open(str(source)) as before, av.open(str(tmp_path / f"out{suffix}")) as after:
        for theirs, mine in zip(before.streams.audio, after.streams.audio, strict=True):
            for one in theirs.disposition:
                assert bool(mine.disposition & one) == (one.name in FORMATS[suffix].dispositions), one


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tags_are_kept_or_named(tmp_path: Path, suffix: str) -> None:
    tags = {
        "title": "Rain",
        "artist": "Ann",
        "comment": "Wet",
        "show": "Weather",
        "director": "Bo",
        "make": "Cam",
    }
    report = passed_through(str(film(tmp_path / "in.mkv", tags=tags)), tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    told = [note for note in report.notes if note.startswith("The tags")]
    for key, value in tags.items():
        if key in found:
            assert found[key] == value
        assert (key in found) != any(key.upper() in note.upper() for note in told)
    assert found["title"] == "Rain"


def test_fonts_and_cover_stay_in_matroska(tmp_path: Path) -> None:
    report = passed_through(str(film(tmp_path / "in.mkv", attachments=True)), tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        (font,) = container.streams.attachments
        assert (font.name, font.mimetype, font.data) == ("letters.ttf", "application/x-truetype-font", FONT)
        cover = container.streams.video[1]
        assert cover.disposition & Disposition.attached_pic
        assert bytes(next(packet for packet in container.demux(cover) if packet.size)) == jpeg()
    assert report.notes == ()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_fonts_and_cover_are_named_where_they_are_left_out(tmp_path: Path, suffix: str) -> None:
    source = film(tmp_path / "in.mkv", sound="libopus", attachments=True)
    report = passed_through(str(source), tmp_path / f"out{suffix}")
    expected = (
        f"Attachments letters.ttf, the cover picture were left out, because {FORMATS[suffix].muxer} files "
        f"cannot hold them: .mkv files can."
    )
    assert expected in report.notes


@pytest.mark.parametrize("made", [".mkv", ".mov", ".mp4"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_timecode_is_kept(tmp_path: Path, made: str, suffix: str) -> None:
    passed_through(str(film(tmp_path / "first.mkv", timecode="10:11:12:13")), tmp_path / f"in{made}")
    report = passed_through(str(tmp_path / f"in{made}"), tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        tags = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
    assert tags["timecode"] == "10:11:12:13"
    assert not any("data stream" in note or "timecode" in note for note in report.notes)


@pytest.mark.parametrize("code", ["noon", "10:11:12", "10:11:12:99", "00:00:00;02"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_timecode_that_counts_no_such_frames_loses_no_film(tmp_path: Path, suffix: str, code: str) -> None:
    """Drop-frame timecode is possible at 30 frames a second, and FFmpeg accepts it."""
    source = film(tmp_path / "in.mkv", timecode=code)
    report = passed_through(str(source), tmp_path / f"out{suffix}")
    with FileSource(str(tmp_path / f"out{suffix}")) as film_:
        assert len(list(film_)) == FRAMES
    told = any(code in note for note in report.notes)
    assert told == (suffix in {".mp4", ".mov"} and code != "00:00:00;02")


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_neither_does_one_of_a_film_that_seems_to_have_a_thousand(tmp_path: Path, suffix: str) -> None:
    """Four frames whose rate was not told seem to: the tick of Matroska's clock is taken for it."""
    source = film(tmp_path / "in.mkv", timecode="10:11:12:13", frames=4)
    report = passed_through(str(source), tmp_path / f"out{suffix}")
    with FileSource(str(tmp_path / f"out{suffix}")) as film_:
        assert len(list(film_)) == 4
    assert any("10:11:12:13" in note for note in report.notes)


def two_pictures(path: Path, dispositions: tuple[int, int]) -> Path:
    with av.open(str(path), "w") as target:
        streams = [target.add_stream("libx264", rate=30, options={"crf": "4"}) for _ in range(2)]
        for stream, disposition in zip(streams, dispositions, strict=True):
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            stream.disposition = disposition
        for i in range(4):
            for shift, stream in enumerate(streams):
                frame = av.VideoFrame.from_ndarray(card(shift=shift)).reformat(format="yuv420p")
                frame.pts, frame.time_base = i, Fraction(1, 30)
                target.mux(stream.encode(frame))
        for stream in streams:
            target.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("dispositions", "taken"), [((0, 1), 1), ((1, 0), 0), ((0, 0), 0), ((1, 1), 0)])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_of_two_video_streams_the_default_one_is_taken_and_said(
    tmp_path: Path, suffix: str, dispositions: tuple[int, int], taken: int
) -> None:
    path = two_pictures(tmp_path / f"in{suffix}", dispositions)
    if suffix == ".mp4" and dispositions == (0, 0):
        pytest.skip("mp4 enables one of them by itself")
    with open_source(str(path)) as source:
        found = patch_colours(next(iter(source)).pixels)
    assert np.abs(found - np.array(PATCHES[taken:] + PATCHES[:taken])).max() <= 6
    assert f"holds 2 video streams: number {taken + 1} was taken" in source.report().notes[0]


def test_a_film_with_one_video_stream_and_a_cover_says_nothing(tmp_path: Path) -> None:
    with FileSource(str(film(tmp_path / "in.mkv", attachments=True))) as source:
        assert source.report().notes == ()
