"""A failed run never harms what was there, and what cannot be written is told before anything is compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from media_files import frames_at, info_of, make_video

from streamstyle.cli.main import main
from streamstyle.config import RunConfig
from streamstyle.errors import SinkError
from streamstyle.files import check_writable
from streamstyle.media.av_sink import FileSink
from streamstyle.media.av_source import FileSource
from streamstyle.media.open import check_sink, open_sink
from streamstyle.pipeline import slow_film
from streamstyle.pipeline.outputs import refuse_overlap
from streamstyle.pipeline.slow_film import slow_film_warning

OLD = b"what an earlier run made"


def written(path: Path, *, complete: bool) -> FileSink:
    sink = FileSink(str(path), info_of())
    for frame in frames_at([512 * i for i in range(8)]):
        sink.write(frame)
    sink.close(complete=complete)
    return sink


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_film_takes_its_name_only_when_it_is_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_bytes(OLD)
    path.chmod(0o640)
    sink = FileSink(str(path), info_of())
    for frame in frames_at([512 * i for i in range(8)]):
        sink.write(frame)
        assert path.read_bytes() == OLD
    sink.close(complete=True)
    with FileSource(str(path)) as film:
        assert len(list(film)) == 8
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_failed_runs_left_is_kept_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(OLD)
    for name in ("out.partial.mp4", "out.partial-2.mp4", "out.partial-3.mp4"):
        assert name in written(path, complete=False).report().notes[-1]
    assert path.read_bytes() == OLD
    assert len(list(tmp_path.iterdir())) == 4


def test_a_link_stays_a_link_to_the_new_film(tmp_path: Path) -> None:
    there, link = tmp_path / "there", tmp_path / "link.mkv"
    there.mkdir()
    (there / "film.mkv").write_bytes(OLD)
    link.symlink_to(there / "film.mkv")
    written(link, complete=True)
    assert link.is_symlink()
    assert (there / "film.mkv").read_bytes() != OLD
    assert list(there.iterdir()) == [there / "film.mkv"]


@pytest.fixture
def as_somebody() -> Iterator[Path]:
    """A folder that somebody who is not root may read, and the rights of that one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "theirs.mp4").write_bytes(OLD)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65_534)
        yield folder
        os.seteuid(user)
        folder.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="Windows has other rights")
def test_a_folder_that_may_not_be_written_is_named_with_the_remedy(as_somebody: Path) -> None:
    for name in ("new.mp4", "theirs.mp4"):
        with pytest.raises(SinkError, match=r"cannot be written.*permissions"):
            FileSink(str(as_somebody / name), info_of())
    with pytest.raises(SinkError, match="cannot be written"):
        FileSink("/proc/1/root/film.mp4", info_of())


@pytest.mark.skipif(sys.platform == "win32", reason="folders in use cannot be deleted")
def test_a_working_folder_that_was_deleted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    scene = "test:?seconds=1&size=64x64"
    for out in ("out.mp4", "out.png", "pictures/"):
        assert main(["repair", scene, scene, out]) == 1
        assert f"The folder of {out} does not exist: create it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.png"])
def test_a_link_that_leads_in_a_circle_becomes_the_output(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.symlink_to(path)
    refuse_overlap([str(path)], "in.mp4", str(path))
    check_writable(path)
    sink = open_sink(str(path), info_of())
    sink.write(frames_at([0])[0])
    sink.close(complete=True)
    assert path.is_file()
    assert not path.is_symlink()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 250 + ".mp4", "too long"),
        ("x" * 300 + ".mp4", "too long"),
        ("no/out.mp4", "does not exist: create it"),
        ("file/out.mp4", "is a file, or inside one"),
    ],
)
def test_names_that_cannot_be_are_told(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=said):
        FileSink(str(tmp_path / name), info_of())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["out.avi"], "not as '.avi'"),
        (["no/out.mp4"], "folder of"),
        (["null:", "--report", "no/page.html"], "no/page.html"),
        (["null:", "--events", "no/events.jsonl"], "no/events.jsonl"),
        (["a.mkv", "b.mp4", "--codec", "ffv1"], "cannot contain ffv1"),
        (["a.mkv", "nul:"], "did you mean 'null'"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_compiled(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "streamstyle.pipeline.run_job.choose", lambda *_: pytest.fail("something was compiled")
    )
    assert main(["run", "test:?seconds=1&size=96x64", *options]) in {1, 2}
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_size_that_no_encoder_takes_is_told_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = make_video(tmp_path / "in.mkv", frames=1, size=(20_000, 200), codec="ffv1")
    monkeypatch.setattr(
        "streamstyle.pipeline.run_job.choose", lambda *_: pytest.fail("something was compiled")
    )
    assert main(["run", str(wide), str(tmp_path / "out.mp4")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "20000x200: its sides are 1 to 16384 pixels. Scale the film first, or name an .mkv" in line


def test_a_disk_without_room_is_told_before_anything_is_compiled(tmp_path: Path) -> None:
    """A limit on file size stands in for the full disk."""
    script = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
    script += "import streamstyle.pipeline.run_job as run; run.choose = lambda *_: sys.exit('compiled'); "
    script += "from streamstyle.cli.main import main; sys.exit(main(sys.argv[1:]))"
    out = tmp_path / "out.mp4"
    out.write_bytes(OLD)
    command = [sys.executable, "-c", script, "run", "test:?seconds=60&size=320x180", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "The disk is full" in line
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [OLD]


def test_a_size_that_takes_hours_is_told_with_what_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_film, "find_gpu", lambda: "there is none")
    monkeypatch.setattr(slow_film, "_multiply_adds_a_second", lambda: 5e10)
    huge, config = info_of(7680, 4320), RunConfig(network="lite")
    told = slow_film_warning(config, huge)
    assert told.startswith("painting 7680x4320 will take about ")
    assert "--size 1280x720" in told
    assert slow_film_warning(config, info_of(1920, 1080)) == ""
    assert slow_film_warning(RunConfig(network="lite", size="1280x720"), huge) == ""
    monkeypatch.setattr(slow_film, "_multiply_adds_a_second", lambda: 1e13)
    assert slow_film_warning(config, huge) == ""


def test_the_processors_do_some_multiply_adds_a_second() -> None:
    assert 1e8 < slow_film._multiply_adds_a_second() < 1e15
    assert np.isfinite(slow_film._multiply_adds_a_second())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("/proc/o.mkv", "the system keeps no files in /proc. Name an output in another folder"),
        ("/proc/o/", "the system keeps no files in /proc"),
        ("file.txt/o.mkv", "file.txt is a file, or inside one"),
        ("file.txt/deeper/o.gif", "file.txt/deeper is a file, or inside one"),
        ("file.txt/o%d.png", "file.txt is a file, or inside one"),
        ("none/o.mkv", "The folder of .*o.mkv does not exist: create it first"),
    ],
)
def test_an_output_that_cannot_be_made_is_told_with_the_true_cause(
    tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "file.txt").write_text("no folder")
    if not (tmp_path / name).parent.exists() and name.startswith("/proc"):
        pytest.skip("this system has no /proc")
    with pytest.raises(SinkError, match=told):
        check_sink(name if name.startswith("/") else f"{tmp_path}/{name}", info_of())
