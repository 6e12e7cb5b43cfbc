"""The promises of FileSink: times, sizes, colours, and files that never pose as more than they are."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import PATCHES, TICK, card, frames_at, info_of, make_video, patch_colours

from streamstyle.errors import ConfigError, SinkError
from streamstyle.media.av_sink import FileSink
from streamstyle.media.av_source import FileSource
from streamstyle.media.container import sink_error
from streamstyle.media.encoding import Encoding
from streamstyle.types import Frame

MUXERS = (".mp4", ".mov", ".mkv", ".webm")
VARIABLE = [0, 512, 700, 2600, 2601, 9000, 16384, 16900]


def decoded(path: Path) -> tuple[list[Frame], FileSource]:
    with FileSource(str(path)) as source:
        return list(source), source


def seconds(frames: list[Frame]) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("start", [0, 1, 127_995])
@pytest.mark.parametrize("times", [[512 * i for i in range(20)], VARIABLE])
def test_every_time_stamp_is_exactly_the_source_s(
    tmp_path: Path, suffix: str, start: int, times: list[int]
) -> None:
    path = tmp_path / f"out{suffix}"
    frames = frames_at([start + pts for pts in times], last=777)
    sink = FileSink(str(path), info_of())
    for frame in frames:
        sink.write(frame)
    sink.close(complete=True)
    got, _ = decoded(path)
    assert seconds(got) == seconds(frames)
    assert [f.duration * f.time_base for f in got] == [f.duration * f.time_base for f in frames]


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
@pytest.mark.parametrize("start", [0, 127_995])
def test_matroska_keeps_time_stamps_to_its_millisecond(tmp_path: Path, suffix: str, start: int) -> None:
    path = tmp_path / f"out{suffix}"
    frames = frames_at([start + 600 * i + i * i for i in range(12)])
    sink = FileSink(str(path), info_of())
    for frame in frames:
        sink.write(frame)
    sink.close(complete=True)
    got, _ = decoded(path)
    assert len(got) == 12
    for mine, theirs in zip(seconds(got), seconds(frames), strict=True):
        assert abs(mine - theirs) <= Fraction(1, 2000)


@pytest.mark.parametrize(
    "time_base", [Fraction(1, 30), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 90000)]
)
def test_any_time_base_is_kept_exactly(tmp_path: Path, time_base: Fraction) -> None:
    path = tmp_path / "out.mp4"
    frames = frames_at([5, 6, 8, 9, 12], time_base=time_base, last=2)
    sink = FileSink(str(path), info_of(time_base=time_base))
    for frame in frames:
        sink.write(frame)
    sink.close(complete=True)
    assert seconds(decoded(path)[0]) == seconds(frames)


def test_a_start_before_zero_is_shifted_to_zero_and_said(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    sink = FileSink(str(path), info_of())
    for frame in frames_at([-1024, -512, 0, 512]):
        sink.write(frame)
    sink.close(complete=True)
    assert seconds(decoded(path)[0]) == [Fraction(i, 30) for i in range(4)]
    assert "shifted" in sink.report().notes[0]


@pytest.mark.parametrize("suffix", MUXERS)
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
def test_colours_and_their_tags_survive(tmp_path: Path, suffix: str, matrix: str) -> None:
    path = tmp_path / f"out{suffix}"
    sink = FileSink(str(path), info_of(matrix=matrix), Encoding(quality=4))
    for i in range(3):
        sink.write(Frame(card(), i, 512 * i, TICK, 512, 0.0))
    sink.close(complete=True)
    got, source = decoded(path)
    assert source.info.matrix == matrix
    assert np.abs(patch_colours(got[-1].pixels) - np.array(PATCHES)).max() <= 4
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.color_range == 1


@pytest.mark.parametrize("suffix", MUXERS)
@pytest.mark.parametrize("size", [(97, 63), (96, 63), (97, 64)])
def test_odd_sizes_come_back_exactly(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path = tmp_path / f"out{suffix}"
    sink = FileSink(str(path), info_of(*size), Encoding(quality=4))
    for frame in frames_at([0, 512, 1024], size=size):
        sink.write(frame)
    sink.close(complete=True)
    got, source = decoded(path)
    assert (source.info.width, source.info.height) == size
    assert np.abs(patch_colours(got[0].pixels) - np.array(PATCHES)).max() <= 4


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_pixel_aspect_is_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    sink = FileSink(str(path), info_of(aspect=Fraction(4, 3)))
    for frame in frames_at([0, 512]):
        sink.write(frame)
    sink.close(complete=True)
    assert decoded(path)[1].info.sample_aspect_ratio == Fraction(4, 3)


def test_webm_says_that_it_loses_the_pixel_aspect(tmp_path: Path) -> None:
    sink = FileSink(str(tmp_path / "out.webm"), info_of(aspect=Fraction(4, 3)))
    sink.write(frames_at([0])[0])
    sink.close(complete=True)
    assert "pixel aspect 4:3 is lost" in sink.report().notes[0]


def test_a_frame_is_neither_altered_nor_kept(tmp_path: Path) -> None:
    pixels = card()
    before = pixels.copy()
    sink = FileSink(str(tmp_path / "out.mp4"), info_of())
    sink.write(Frame(pixels, 0, 0, TICK, 512, 0.0))
    assert np.array_equal(pixels, before)
    pixels[:] = 0
    sink.close(complete=True)
    got, _ = decoded(tmp_path / "out.mp4")
    assert np.abs(patch_colours(got[0].pixels) - np.array(PATCHES)).max() <= 12


def test_there_is_a_key_frame_each_second(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    sink = FileSink(str(path), info_of(rate=Fraction(60)))
    for i in range(150):
        sink.write(Frame(card(), i, 256 * i, TICK, 256, 0.0))
    sink.close(complete=True)
    with av.open(str(path)) as container:
        keys = [p.pts * p.time_base for p in container.demux(video=0) if p.size and p.is_keyframe]
    assert keys == [0, 1, 2]


def test_a_failed_run_leaves_a_playable_file_that_says_partial(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    sink = FileSink(str(path), info_of())
    for frame in frames_at([512 * i for i in range(10)]):
        sink.write(frame)
    sink.close(complete=False)
    sink.close(complete=False)
    assert not path.exists()
    assert len(decoded(tmp_path / "film.partial.mp4")[0]) == 10
    assert "film.partial.mp4" in sink.report().notes[0]


def test_without_a_frame_there_is_no_file_and_an_old_one_is_left_alone(tmp_path: Path) -> None:
    old = tmp_path / "old.mp4"
    old.write_bytes(b"precious")
    for path in (old, tmp_path / "new.mp4"):
        sink = FileSink(str(path), info_of())
        sink.close(complete=True)
        assert "No frame came" in sink.report().notes[0]
    assert old.read_bytes() == b"precious"
    assert not (tmp_path / "new.mp4").exists()


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    before = source.read_bytes()
    other_name = tmp_path / "link.mp4"
    other_name.symlink_to(source)
    for output in (source, other_name):
        with pytest.raises(ConfigError, match="is also the input"):
            FileSink(str(output), info_of(url=str(source)))
    assert source.read_bytes() == before


def test_an_output_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.mp4, \.mov, \.mkv, \.webm.*did you mean '\.mp4'"):
        FileSink(str(tmp_path / "out.mp5"), info_of())
    with pytest.raises(SinkError, match=r"folder of .* does not exist"):
        FileSink(str(tmp_path / "no" / "out.mp4"), info_of())
    (tmp_path / "dir.mp4").mkdir()
    with pytest.raises(ConfigError, match="is a directory"):
        FileSink(str(tmp_path / "dir.mp4"), info_of())
    assert "cannot be written" in str(sink_error("x", PermissionError(13, "Permission denied")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SinkError, match="cannot be written"):
        FileSink(str(tmp_path / "out.mp4"), info_of())


def test_frames_of_another_size_or_order_are_refused(tmp_path: Path) -> None:
    sink = FileSink(str(tmp_path / "out.mp4"), info_of())
    first, second = frames_at([0, 512])
    sink.write(second)
    with pytest.raises(SinkError, match="in order"):
        sink.write(first)
    with pytest.raises(SinkError, match="64x48 does not fit"):
        sink.write(Frame(card(64, 48), 2, 1024, TICK, 512, 0.0))
    sink.close(complete=True)
    with pytest.raises(SinkError, match="is closed"):
        sink.write(second)


def in_a_child(script: str, *arguments: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh interpreter that finds this folder; limit: bytes that a file may grow to."""

    def restrict() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=restrict,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )


KILLED = """
    import os, signal, sys
    from media_files import frames_at, info_of
    from streamstyle.media.av_sink import FileSink
    sink = FileSink(sys.argv[1], info_of(url=sys.argv[2]))
    for frame in frames_at([127_995 + 512 * i for i in range(150)]):
        sink.write(frame)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("suffix", "url"),
    [
        (".mp4", "none"),
        (".mp4", "test:?seconds=20"),
        (".mov", "none"),
        (".mkv", "test:?seconds=9"),
        (".webm", "none"),
    ],
)
def test_a_killed_process_leaves_a_file_that_plays(tmp_path: Path, suffix: str, url: str) -> None:
    """The film has sound, has none, or has sound that ends long before the video."""
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"what an earlier run made")
    assert in_a_child(KILLED, str(path), url).returncode == -9
    assert path.read_bytes() == b"what an earlier run made"
    frames, _ = decoded(tmp_path / f"out.partial{suffix}")
    assert 150 - len(frames) <= 60  # the encoder's queue and one key-frame interval
    start = Fraction(127_995, 15360)
    for i, time in enumerate(seconds(frames)):
        assert abs(time - start - Fraction(i, 30)) <= Fraction(1, 1000)


FULL = """
    import sys
    import numpy as np
    from media_files import TICK, info_of
    from streamstyle.errors import SinkError
    from streamstyle.media.av_sink import FileSink
    from streamstyle.media.encoding import Encoding
    from streamstyle.types import Frame
    sink = FileSink(sys.argv[1], info_of(320, 240), Encoding(quality=1))
    random = np.random.default_rng(0)
    try:
        for i in range(200):
            pixels = random.integers(0, 256, (240, 320, 3), dtype=np.uint8)
            sink.write(Frame(pixels, i, 512 * i, TICK, 512, 0.0))
        sink.close(complete=True)
    except SinkError as error:
        print(error)
        sink.close(complete=False)
        print(*sink.report().notes)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk_is_one_clear_error_and_the_rest_is_set_apart(tmp_path: Path, suffix: str) -> None:
    """A limit on file size stands in for the full disk: the write fails in the same place."""
    path = tmp_path / f"out{suffix}"
    run = in_a_child(FULL, str(path), limit=2_000_000)
    assert run.returncode == 0, run.stderr
    assert "The disk is full" in run.stdout
    assert "out.partial" in run.stdout
    assert not path.exists()
    assert len(decoded(tmp_path / f"out.partial{suffix}")[0]) >= 1
