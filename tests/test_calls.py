"""Calls as people write them: options anywhere, pipes in and out, streams that are full or closed, names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from media_files import audio_packets, frames_at, info_of, make_video, passed_through
from peers import killed_on_failure

from streamstyle.cli.main import build_parser, main
from streamstyle.errors import ConfigError, SinkError, SourceError
from streamstyle.media.av_sink import FileSink
from streamstyle.media.av_source import FileSource
from streamstyle.media.open import open_source

PROGRAM = [sys.executable, "-m", "streamstyle"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")


@pytest.mark.parametrize(
    ("given", "source", "sinks"),
    [
        (["a.mp4", "b.mp4", "--style", "udnie", "c.mp4"], "a.mp4", ["b.mp4", "c.mp4"]),
        (["--style", "udnie", "a.mp4", "b.mp4"], "a.mp4", ["b.mp4"]),
        (["a.mp4", "--style", "udnie", "b.mp4", "--json", "c.mp4"], "a.mp4", ["b.mp4", "c.mp4"]),
        (["-", "--style=udnie", "-"], "-", ["-"]),
        (["--style", "udnie", "--", "-a.mp4", "-b.mp4"], "./-a.mp4", ["./-b.mp4"]),
        (["a.mp4", "--style", "udnie", "--", "--json"], "a.mp4", ["./--json"]),
        (["--style", "udnie"], None, []),
    ],
)
def test_options_come_before_between_and_after_sinks(
    given: list[str], source: str | None, sinks: list[str]
) -> None:
    arguments: Namespace = build_parser().parse_args(["run", *given])
    assert (arguments.source, list(arguments.sinks), arguments.style) == (source, sinks, "udnie")


def test_an_option_that_is_not_known_is_still_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["run", "a.mp4", "--stile", "udnie", "b.mp4"])
    assert ended.value.code == 2
    assert "--stile" in capsys.readouterr().err.splitlines()[-1]


@contextmanager
def piped(fifo: Path, command: str) -> Iterator[None]:
    """A shell's program at the other end of a named pipe."""
    os.mkfifo(fifo)
    with killed_on_failure(subprocess.Popen(["sh", "-c", command])) as program:
        yield
        program.wait(timeout=60)


def write(output: str, frames: int) -> None:
    sink = FileSink(output, info_of())
    complete = False
    try:
        for frame in frames_at([512 * i for i in range(frames)]):
            sink.write(frame)
        complete = True
    finally:
        sink.close(complete=complete)


def times(film: Path) -> list[float]:
    with FileSource(str(film)) as source:
        return [frame.time for frame in source]


@posix
@pytest.mark.parametrize(
    ("suffix", "audio"),
    [(".mp4", "aac"), (".mov", "aac"), (".mkv", "libopus"), (".ts", "aac"), (".avi", "mp3")],
)
def test_a_film_through_a_pipe_is_the_same_as_the_file(tmp_path: Path, suffix: str, audio: str) -> None:
    """An mp4's index is at its end."""
    film = make_video(tmp_path / f"in{suffix}", frames=40, audio=[audio])
    wanted = passed_through(str(film), tmp_path / "of-file.mkv")
    with piped(tmp_path / "fifo", f"cat '{film}' > '{tmp_path}/fifo'"):
        got = passed_through(str(tmp_path / "fifo"), tmp_path / "of-pipe.mkv")
    assert got.counters == wanted.counters
    assert times(tmp_path / "of-pipe.mkv") == times(tmp_path / "of-file.mkv")
    assert audio_packets(tmp_path / "of-pipe.mkv") == audio_packets(tmp_path / "of-file.mkv")


@posix
def test_a_pipe_with_nothing_or_nonsense_is_refused(tmp_path: Path) -> None:
    for number, (command, said) in enumerate((("true", "is empty"), ("echo no film", "is not a media file"))):
        fifo = tmp_path / f"fifo{number}"
        with piped(fifo, f"{command} > '{fifo}'"), pytest.raises(SourceError, match=said):
            FileSource(str(fifo)).__enter__()


@posix
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/full"])
def test_a_device_is_no_film(device: str) -> None:
    with pytest.raises(SourceError, match="is a device, not a film"):
        FileSource(device).__enter__()


@posix
def test_nothing_at_all_is_empty() -> None:
    with pytest.raises(SourceError, match="is empty"):
        FileSource("/dev/null").__enter__()


@posix
@pytest.mark.parametrize("name", ["out.mkv", "out.webm", "out.nut", "fifo"])
def test_a_film_into_a_pipe_plays_with_its_sound(tmp_path: Path, name: str) -> None:
    film = make_video(tmp_path / "in.mkv", frames=20, audio=["libopus"])
    read = tmp_path / "read"
    with piped(tmp_path / name, f"cat '{tmp_path}/{name}' > '{read}'"):
        passed_through(str(film), tmp_path / name)
    with av.open(str(read)) as container:
        assert len(list(container.decode(video=0))) == 20
    assert audio_packets(read) == audio_packets(film)


@posix
def test_raw_pictures_go_out_and_come_in_by_a_pipe(tmp_path: Path) -> None:
    film = make_video(tmp_path / "in.mkv", frames=20)
    raw = tmp_path / "raw"
    with piped(tmp_path / "out.y4m", f"cat '{tmp_path}/out.y4m' > '{raw}'"):
        passed_through(str(film), tmp_path / "out.y4m")
    assert raw.read_bytes().startswith(b"YUV4MPEG2 W96 H64 F30:1")
    with piped(tmp_path / "in.y4m", f"cat '{raw}' > '{tmp_path}/in.y4m'"):
        passed_through(str(tmp_path / "in.y4m"), tmp_path / "out.mkv")
    assert len(times(tmp_path / "out.mkv")) == 20


@posix
def test_a_reader_that_goes_away_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    fifo = tmp_path / "out.mkv"
    with piped(fifo, f"head -c 100 '{fifo}' > /dev/null"), pytest.raises(SinkError, match="has no reader"):
        write(str(fifo), 3000)


def test_pipes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no format 'mp4'.*matroska"):
        FileSink("pipe:mp4", info_of())
    with pytest.raises(ConfigError, match="did you mean 'nut'"):
        FileSink("pipe:nutt", info_of())
    if sys.platform == "linux":
        with pytest.raises(SinkError, match="disk is full"):
            write("/dev/full", 40)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`repair` needs no engine: what holds of its outputs holds of those of `run`."""
    return make_video(tmp_path_factory.mktemp("films") / "in.mkv", frames=12, audio=["libopus"])


def repaired(film: Path, *arguments: str, redirected: str = "") -> subprocess.CompletedProcess[bytes]:
    command = " ".join([*PROGRAM, "repair", f"'{film}'", *arguments, redirected])
    return subprocess.run(["sh", "-c", command], capture_output=True, timeout=120, check=False)


@posix
def test_the_standard_streams_take_films_and_the_summary_goes_to_stderr(tmp_path: Path, film: Path) -> None:
    done = repaired(film, "-", "-", "--json", redirected=f"< '{film}'")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.splitlines()[-1])["frames_out"] == 12
    read = tmp_path / "read.mkv"
    read.write_bytes(done.stdout)
    assert len(times(read)) == 12
    done = subprocess.run(
        [*PROGRAM, "repair", str(film), "-", str(tmp_path / "out.mkv")],
        input=film.read_bytes(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert audio_packets(tmp_path / "out.mkv") == audio_packets(film)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        ("> /dev/full", 1, b"standard output could not be written"),
        ("2> /dev/full", 0, b""),
        (">&- 2>&- <&-", 0, b""),
    ],
)
def test_streams_that_are_full_or_closed_cost_no_film(
    tmp_path: Path, film: Path, redirected: str, code: int, said: bytes
) -> None:
    out = tmp_path / "out.mkv"
    done = repaired(film, f"'{film}'", f"'{out}'", "--json", redirected=redirected)
    assert done.returncode == code
    assert said in done.stderr
    assert b"Traceback" not in done.stderr
    assert len(times(out)) == 12


def test_names_of_all_kinds_are_files(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-dash.mkv", "a b.mkv", "ü 光 😀.mkv", "100%.mkv", "x%03d.mkv", "'quoted'.mkv"):
        os.link(film, name)
        assert main(["repair", "--", name, name, f"out-{name}"]) == 0
        assert len(times(tmp_path / f"out-{name}")) == 12


def hls(folder: Path, frames: int = 60) -> Path:
    film = make_video(folder / "film.mp4", frames=frames, audio=["aac"], gop=15)
    playlist = folder / "film.m3u8"
    with (
        av.open(str(film)) as source,
        av.open(str(playlist), "w", format="hls", options={"hls_time": "0.5", "hls_list_size": "0"}) as out,
    ):
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    return playlist


def test_a_local_hls_playlist_is_a_film(tmp_path: Path) -> None:
    playlist = hls(tmp_path)
    assert len(list(tmp_path.glob("*.ts"))) > 2
    report = passed_through(str(playlist), tmp_path / "out.mkv")
    assert report.counters["frames"] == 60
    assert report.counters["audio_packets_copied"] > 80


def test_a_list_of_films_is_joined(tmp_path: Path) -> None:
    for name in ("a 1.mkv", "bü.mkv"):
        make_video(tmp_path / name, frames=12, audio=["libopus"], longer=0)
    joined = tmp_path / "list.txt"
    joined.write_text("# two\nfile 'a 1.mkv'\nfile 'bü.mkv'\n", encoding="utf-8")
    passed_through(str(joined), tmp_path / "out.mkv")
    shown = times(tmp_path / "out.mkv")
    assert len(shown) == 24
    assert shown == sorted(shown)
    assert 0.7 < shown[-1] < 0.9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#EXTM3U\n#EXTINF:1,\na.mp4\n", "playlist of whole films: name one of them, such as a.mp4"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n", "has no end"),
        (
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n#EXT-X-ENDLIST\n",
            "outside its own folder",
        ),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n../a.ts\n#EXT-X-ENDLIST\n", "outside its own"),
        ("ffconcat version 1.0\nfile '/etc/passwd'\n", "outside its own folder"),
        ("file 'none.mkv'\n", "none.mkv, which does not exist"),
        ("[playlist]\nFile1=a.mp4\n", "for music players"),
    ],
)
def test_lists_that_are_not_followed_say_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    listed = tmp_path / "list.m3u8"
    listed.write_text(text)
    with pytest.raises(SourceError, match=said), open_source(str(listed)):
        pass
