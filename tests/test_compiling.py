"""Engines of live runs are compiled by a child process: frames go on, nobody is left, errors are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from imported_files import Painter, save_onnx
from stand_in_run import LONG, StandInSource, stand_in_sources

from streamstyle.config import RunConfig
from streamstyle.engines.imported_probe import Declared, examine
from streamstyle.errors import ConfigError, EngineError, EngineMemoryError
from streamstyle.flow import Cancelled, Future
from streamstyle.live import Session
from streamstyle.media.null_sink import NullSink
from streamstyle.pipeline.compiling import Compiler
from streamstyle.pipeline.model import load_model
from streamstyle.styles.imported import save_model
from streamstyle.types import Engine, Frame

ROOT = Path(__file__).parents[1]
HELD = """
import os, pathlib, sys, time
if "streamstyle.pipeline.compile_child" in sys.orig_argv:
    from streamstyle.pipeline import model
    here = pathlib.Path(__file__).parent

    def held(read):
        def reads(*arguments):
            (here / "part").write_text(str(os.getpid()))
            (here / "part").replace(here / "pid")
            while not (here / "go").exists():
                time.sleep(0.01)
            exec((here / "go").read_text())
            return read(*arguments)
        return reads

    model.bundled_network = held(model.bundled_network)
    model.imported_opener = held(model.imported_opener)
"""


class Held:
    """Children that compile wait, as soon as they have read their order, until they are let `go`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "sitecustomize.py").write_text(HELD)

    @property
    def pid(self) -> int:
        """Process of the child; 0 while there is none."""
        path = self._folder / "pid"
        return int(path.read_text()) if path.exists() else 0

    @property
    def gone(self) -> bool:
        """True if the child has ended, even as a zombie."""
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(self.pid)], capture_output=True, check=False)
        return not state.stdout.strip() or state.stdout.strip().startswith(b"Z")

    def go(self, code: str = "") -> None:
        """The children run this first."""
        (self._folder / "part").write_text(code)
        (self._folder / "part").replace(self._folder / "go")


@pytest.fixture
def held(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Held:
    folder = tmp_path_factory.mktemp("held")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return Held(folder)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def opened(told: list[str], **settings: object) -> Engine:
    """An engine for frames of 96x64, as live runs open it."""
    model = load_model(RunConfig(**settings), told.append)  # type: ignore[arg-type]
    return model.open_engine(64, 96, compiler=Compiler(told.append))


def test_frames_go_on_while_a_child_compiles_and_are_painted_then(
    held: Held, engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Frame] = []
    told: list[str] = []
    monkeypatch.setitem(sys.modules, "torch", None)  # nothing can be compiled in this process
    monkeypatch.setattr(NullSink, "write", lambda _self, frame: seen.append(frame))
    stand_in_sources(monkeypatch, camera=StandInSource())
    with Session("camera:", ["null:"], correct="off", notify=told.append) as run:
        until(lambda: held.pid)
        begun = len(seen)
        until(lambda: len(seen) > begun + 50)
        assert run.status()["opening"]
        assert not any(frame.style for frame in seen)
        held.go()
        until(lambda: seen[-1].style)
        until(lambda: not seen[-1].filler)
        assert run.status()["engine"]["name"] == "openvino"
    summary = run.wait()
    assert [sentence.split()[0] for sentence in told] == ["compiling", "compiled"]
    assert len(list(engines.glob("*.engine"))) == 1
    assert held.gone
    times = [frame.time for frame in seen]
    assert times == sorted(set(times))
    numbers = [frame.index for frame in seen if not frame.filler]
    assert numbers == sorted(set(numbers))
    assert summary.live is not None
    # A starved machine may drop some at the sink, which is counted.
    assert summary.frames_out + summary.live["stand_ins"] == len(seen) + summary.drops["null:"]
    painted = [bool(frame.style) for frame in seen if not frame.filler]
    assert painted == sorted(painted)


def test_the_child_compiles_what_was_asked_for(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.go()
    told: list[str] = []
    data = save_onnx(Painter("tanh").eval(), tmp_path / "a.onnx").read_bytes()
    examined = examine(data, Declared())
    save_model("mine", examined.kind, examined.data, examined.contract.to_json(), "a.onnx")
    opened(told, style="mine").close()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "torch", None)
        engine = opened(told, engine="openvino", consistency=0.5)
    assert engine.spec.stateful
    engine.close()
    assert [sentence.split()[0] for sentence in told] == ["compiling", "compiled"] * 2


def test_nobody_compiles_for_a_run_that_is_over(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_sources(monkeypatch, camera=StandInSource())
    with Session("camera:", ["null:"], correct="off"):
        until(lambda: held.pid)
        assert not held.gone
    until(lambda: held.gone)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child outlives a parent that is killed")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nobody_compiles_for_a_process_that_is_gone(held: Held, number: int) -> None:
    paths = os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT)])
    command = [sys.executable, "-m", "streamstyle", "run", "test:?live=1&size=96x64", "null:"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE)
    until(lambda: held.pid or process.poll() is not None)
    process.send_signal(number)
    assert b"Traceback" not in process.communicate(timeout=LONG)[1]
    assert process.returncode in {130, -number}
    until(lambda: held.gone)


def test_an_opening_that_nobody_wants_any_more_begins_no_child(held: Held) -> None:
    compiler = Compiler(lambda _: None)

    def open_twice() -> Engine:
        model = load_model(RunConfig(engine="openvino"))
        with pytest.raises(Cancelled):
            model.open_engine(64, 96, compiler=compiler)
        (held._folder / "pid").unlink()
        return model.open_engine(72, 96, compiler=compiler)

    later = Future(open_twice, cancel=compiler.cancel)
    until(lambda: held.pid)
    later.abandon(lambda engine: engine.close())
    with pytest.raises(Cancelled):
        later.result(LONG)
    assert not held.pid


@pytest.mark.parametrize(
    ("code", "kind", "why"),
    [
        ("sys.modules['openvino'] = None", EngineError, "^the openvino engine needs the package openvino"),
        (
            "import streamstyle.engines.memory as m; m.available_bytes = lambda: 1",
            EngineMemoryError,
            "^painting 96x64 takes about",
        ),
        ("os.kill(os.getpid(), 9)", EngineMemoryError, "lite for 96x64 has failed: it was killed"),
        ("os.write(2, b'what(): bad_alloc\\n'); os.abort()", EngineMemoryError, "lite for 96x64 .*bad_alloc"),
        ("sys.exit('no such thing')", EngineError, "the process that compiles lite .* no such thing"),
        ("os.abort()", EngineError, "the process that compiles lite for 96x64 has failed: it ended with -6"),
    ],
)
def test_what_fails_in_the_child_is_the_same_sentence(
    held: Held, code: str, kind: type[EngineError], why: str
) -> None:
    held.go(code)
    with pytest.raises(EngineError, match=why) as raised:
        opened([], engine="openvino")
    assert type(raised.value) is kind


def test_an_engine_that_is_not_compiled_is_opened_here_and_that_is_told(held: Held) -> None:
    told: list[str] = []
    opened(told, engine="torch").close()
    assert told == ["the torch engine is made in this process, so frames may stall"]
    assert not held.pid
    with pytest.raises(ConfigError, match="unknown engine"):
        opened([], engine="tensor")
