"""A crash inside a media library ends with a sentence, and what was written stays playable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from media_files import make_video
from peers import children, killed_on_failure, wait_for

from streamstyle.cli import signals
from streamstyle.flow import StopRequest
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
    [("SIGSEGV", "crashed inside a media library"), ("SIGABRT", "crashed"), ("SIGKILL", "memory ran out")],
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


FROM_A_TERMINAL = """
import signal
from streamstyle.cli.main import program
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
program()
"""


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("group", [False, True])
def test_signals_reach_the_run_once(tmp_path: Path, name: str, group: bool) -> None:
    """A terminal and `timeout` tell the whole group, `kill` the command alone."""
    out, part = tmp_path / "out.mkv", tmp_path / "out.partial.mkv"
    scene = "test:?seconds=3000&size=96x64"
    command = [sys.executable, "-c", FROM_A_TERMINAL, "repair", scene, scene, str(out)]
    with killed_on_failure(
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    ) as process:
        while not (part.exists() and part.stat().st_size > 5_000):
            assert process.poll() is None
            time.sleep(0.02)
        (os.killpg if group else os.kill)(process.pid, signal.Signals[name])
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
    with FileSource(str(out)) as source:
        assert len(list(source)) > 5


def state(pid: int) -> str:
    """T of a process that is stopped; see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("group", [False, True])
def test_a_run_that_is_stopped_stands_still_until_it_is_continued(tmp_path: Path, group: bool) -> None:
    """Ctrl-Z tells the whole group, `kill -TSTP` the command alone."""
    out, part = tmp_path / "out.mkv", tmp_path / "out.partial.mkv"
    scene = "test:?seconds=3000&size=96x64"
    command = [sys.executable, "-c", FROM_A_TERMINAL, "repair", scene, scene, str(out)]
    tell = os.killpg if group else os.kill
    # In a session of its own the group would be orphaned, and systems do not stop those.
    with killed_on_failure(
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, process_group=0)
    ) as process:
        wait_for(lambda: part.exists() and part.stat().st_size > 5_000, "frames")
        (run,) = children(process.pid)
        for _ in range(2):
            tell(process.pid, signal.SIGTSTP)
            wait_for(lambda: {state(process.pid), state(run)} == {"T"}, "both to stop")
            before = part.stat().st_size
            tell(process.pid, signal.SIGCONT)
            wait_for(lambda least=before + 20_000: part.stat().st_size > least, "frames that go on")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")


UNDER_NOHUP = """
import signal
from streamstyle.cli.main import program
signal.signal(signal.SIGHUP, signal.SIG_IGN)
program()
"""


@posix
def test_under_nohup_a_closed_terminal_ends_nothing(tmp_path: Path) -> None:
    out, part = tmp_path / "out.mkv", tmp_path / "out.partial.mkv"
    scene = "test:?seconds=3000&size=96x64"
    command = [sys.executable, "-c", UNDER_NOHUP, "repair", scene, scene, str(out)]
    with killed_on_failure(
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    ) as process:

        def written() -> int:
            return part.stat().st_size if part.exists() else 0

        wait_for(lambda: written() > 5_000, "frames")
        os.killpg(process.pid, signal.SIGHUP)
        before = written()
        wait_for(lambda: written() > before + 20_000, "frames that go on")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")


TOLD_LATE = """
import atexit, os, signal, sys
from streamstyle.cli import run
from streamstyle.cli.main import program
class SignalOnDelete:
    def __del__(self, kill=os.kill, pid=os.getpid, number=signal.{name}):
        kill(pid(), number)
whole = run.summary_text
def summary_text(summary):
    SignalOnDelete()
    return whole(summary)
run.summary_text = summary_text
atexit.register(SignalOnDelete)
at_the_very_end = SignalOnDelete()
program()
"""


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_after_the_films_end_changes_nothing(tmp_path: Path, name: str) -> None:
    """The signal comes before the summary, at the interpreter's end, and after the interpreter removed its
    handlers."""
    out, scene = tmp_path / "out.mkv", "test:?seconds=1&size=96x64"
    command = [sys.executable, "-c", TOLD_LATE.format(name=name), "repair", scene, scene, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("done: 30 frames of 30")
    with FileSource(str(out)) as source:
        assert len(list(source)) == 30


INTERRUPTED_EARLY = """
import atexit, os, signal, time
from streamstyle.cli import repair
from streamstyle.cli.main import program
def wait_for_ever(*_):
    os.killpg(0, signal.SIGINT)
    time.sleep(600)
repair.command = wait_for_ever
signal.signal(signal.SIGINT, signal.default_int_handler)  # these tests may run in the background
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
program()
"""


@posix
def test_ctrl_c_before_the_first_frame_is_one_interruption(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED_EARLY, "repair", "a.mkv", "b.mkv", str(tmp_path / "c.mkv")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, start_new_session=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


INTERRUPTED_EARLIER = """
import os, signal, sys
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "streamstyle.cli.run":
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # these tests may run in the background
sys.meta_path.insert(0, Pressed())
from streamstyle.__main__ import start
start()
"""


@posix
def test_ctrl_c_while_modules_are_imported_is_no_traceback() -> None:
    command = [sys.executable, "-c", INTERRUPTED_EARLIER, "styles", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


CRASHED_LATE = """
import atexit, os, signal
from streamstyle.cli.main import program
atexit.register(lambda: os.kill(os.getpid(), signal.SIGSEGV))
program()
"""


@posix
def test_a_crash_after_the_films_end_is_none_of_the_film(tmp_path: Path) -> None:
    out, scene = tmp_path / "out.mkv", "test:?seconds=1&size=96x64"
    command = [sys.executable, "-c", CRASHED_LATE, "repair", scene, scene, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert out.exists()


def test_a_signal_that_is_passed_on_late_is_no_second_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds, signals that the command has passed on so far, and what the signal that comes then does."""
    now = passed = 0.0
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(signals, "passed_on", lambda: passed)
    stop = StopRequest()

    def receive() -> None:
        """Calls the handler instead of sending a signal: with threads of other tests, Python 3.11 may handle
        it late."""
        handler = signal.getsignal(signal.SIGINT)
        assert callable(handler)
        handler(signal.SIGINT, None)

    with signals.stopping_on_signals(stop):
        receive()
        assert stop.requested
        now, passed = 5.0, 1
        receive()  # the first one again
        now = 9.0
        with pytest.raises(KeyboardInterrupt):
            receive()
        passed = 2
        receive()  # the second one again
        passed = 3
        with pytest.raises(KeyboardInterrupt):
            receive()  # for the command alone


def test_whatever_handled_signals_before_handles_them_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with signals.stopping_on_signals(StopRequest()):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the run goes on")
def test_a_killed_command_leaves_no_run_behind(tmp_path: Path) -> None:
    part = tmp_path / "out.partial.mkv"
    scene = "test:?seconds=3000&size=96x64"
    command = [sys.executable, "-m", "streamstyle", "repair", scene, scene, str(tmp_path / "out.mkv")]
    with killed_on_failure(subprocess.Popen(command)) as process:
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
