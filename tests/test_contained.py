"""A crash inside a media library ends with a sentence, and what was written stays playable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from media_files import make_video

from streamstyle.media.av_source import FileSource

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")

CRASHING = """
import os, signal, sys
from streamstyle.cli.main import program
from streamstyle.media.packet_decoder import PacketDecoder
whole = PacketDecoder.decode
def crashes(self, packet):
    if self._counts["frames"] >= 100:
        os.kill(os.getpid(), signal.{name})
    return whole(self, packet)
PacketDecoder.decode = crashes
program()
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("films") / "in.mkv", frames=150, audio=["libopus"], gop=30)


@posix
@pytest.mark.parametrize(
    ("name", "said"),
    [("SIGSEGV", "crashed inside a media library"), ("SIGABRT", "crashed"), ("SIGKILL", "out of memory")],
)
def test_what_a_crashed_run_wrote_is_kept_and_named(tmp_path: Path, film: Path, name: str, said: str) -> None:
    """`repair` needs no engine: it is contained as `run` is."""
    out = tmp_path / "out 1.mkv"
    out.write_bytes(b"what an earlier run made")
    command = [sys.executable, "-c", CRASHING.format(name=name), "repair", str(film), str(film), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("streamstyle: the run ")
    assert said in line
    assert "out 1.partial.mkv" in line
    assert out.read_bytes() == b"what an earlier run made"
    with FileSource(str(tmp_path / "out 1.partial.mkv")) as source:
        assert len(list(source)) > 30


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("group", [False, True])
def test_signals_reach_the_run_once(tmp_path: Path, number: int, group: bool) -> None:
    """A terminal and `timeout` tell the whole group, `kill` the command alone."""
    out, part = tmp_path / "out.mkv", tmp_path / "out.partial.mkv"
    scene = "test:?seconds=3000&size=96x64"
    command = [sys.executable, "-m", "streamstyle", "repair", scene, scene, str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not (part.exists() and part.stat().st_size > 5_000):
            assert process.poll() is None
            time.sleep(0.02)
        (os.killpg if group else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
    with FileSource(str(out)) as source:
        assert len(list(source)) > 5


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the run goes on")
def test_a_killed_command_leaves_no_run_behind(tmp_path: Path) -> None:
    part = tmp_path / "out.partial.mkv"
    scene = "test:?seconds=3000&size=96x64"
    command = [sys.executable, "-m", "streamstyle", "repair", scene, scene, str(tmp_path / "out.mkv")]
    with subprocess.Popen(command) as process:
        while not (part.exists() and part.stat().st_size > 5_000):
            assert process.poll() is None
            time.sleep(0.02)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
