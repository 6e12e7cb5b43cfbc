"""Share of a cluster that one worker takes; actors that come late, are refused or are lost; and the same film
from a real cluster that loses a node."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from peers import children, free_port, killed_on_failure
from segmented import SHOT, SHOTS, WAIT_TIMEOUT, make_shots, pictures, sounds, wait_for, workers_of

from streamstyle.batch.messages import FramesPainted, Notice, TaskFailed, TaskLost
from streamstyle.batch.ray_workers import Actor, RayWorkers, Share, claim, share_of
from streamstyle.batch.tasks import FilmRequest, PaintTask, PlanTask
from streamstyle.batch.workers import WorkerCallbacks
from streamstyle.cli.main import main
from streamstyle.engines.machine import processors
from streamstyle.errors import ConfigError

ROOT = Path(__file__).parents[1]
PROGRAM = [sys.executable, "-m", "streamstyle"]
HERE = version("streamstyle")
FILM = FilmRequest("in.mp4", "out.mkv", "parts", None, {}, 60.0, True)


@pytest.mark.parametrize(
    ("machines", "count", "gpu", "share"),
    [
        ([{"CPU": 8.0}], 1, True, Share(8, 0)),
        ([{"CPU": 8.0}], 3, True, Share(2, 0)),
        ([{"CPU": 8.0}, {"CPU": 2.0}, {}], 2, True, Share(4, 0)),
        ([{"CPU": 1.0}, {"CPU": 1.0}], 2, False, Share(1, 0)),
        ([{"CPU": 32.0, "GPU": 4.0}, {"CPU": 4.0}], 4, True, Share(8, 1)),
        ([{"CPU": 32.0, "GPU": 4.0}], 1, False, Share(32, 0)),
    ],
)
def test_each_worker_takes_its_share_of_the_cluster(
    machines: list[dict[str, float]], count: int, gpu: bool, share: Share
) -> None:
    assert share_of(machines, count, gpu=gpu) == share


@pytest.mark.parametrize(
    ("machines", "said"),
    [([{"CPU": 2.0}], "the 2 processors"), ([{"CPU": 9.0, "GPU": 2.0}], "the 2 GPUs"), ([], "0 processors")],
)
def test_no_more_workers_than_a_cluster_has_places(machines: list[dict[str, float]], said: str) -> None:
    with pytest.raises(ConfigError, match=f"--workers 3 is more than .*{said}"):
        share_of(machines, 3, gpu=True)


def test_no_two_actors_of_a_machine_take_the_same_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    claims = [claim(1) for _ in processors()]
    assert sorted(place for _, places in claims for place in places) == processors()
    assert claim(1) == (None, [])
    lock, places = claims.pop()
    assert lock is not None
    lock.release()
    assert claim(1)[1] == places


def test_an_actor_performs_tasks_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Messages and the ending come back as JSON."""
    actor = Actor(1)
    film = msgspec.structs.replace(FILM, source=str(tmp_path / "no.mp4"), folder=str(tmp_path / "parts"))
    task = msgspec.json.encode(PlanTask(film))
    assert actor.version() == HERE
    try:
        said = msgspec.json.decode(actor.perform(task), type=list[Notice | TaskFailed])
        assert isinstance(said[-1], TaskFailed)
        assert "no.mp4" in said[-1].sentence
        assert actor.messages() == b"[]"
    finally:
        actor.__ray_shutdown__()


class LostError(Exception):
    """Stands for Ray's errors."""


class Cluster:
    """Stands for Ray: every call is answered when `play` gives an answer, by number of the actor, the name of
    the call and its arguments; None where it is still to come, an error where it is lost."""

    exceptions = SimpleNamespace(RayError=LostError)

    def __init__(self, play: Callable[..., Any], machines: int = 2) -> None:
        self._play, self._machines = play, machines
        self.made = 0
        self.killed: list[int] = []

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 1.0}}] * self._machines + [{"Alive": False}]

    def remote(self, kind: type) -> Any:
        assert kind is Actor
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._actor))

    def _actor(self, cpus: int) -> Any:
        number, self.made = self.made, self.made + 1

        def call(name: str) -> Any:
            return SimpleNamespace(remote=lambda *arguments: (number, name, *arguments, object()))

        calls = {name: call(name) for name in ("version", "perform", "messages")}
        return SimpleNamespace(number=number, **calls)

    def wait(self, calls: Sequence[Any], num_returns: int, timeout: float) -> Any:
        assert calls
        over = [call for call in calls if self._play(*call[:-1]) is not None][:num_returns]
        return over, [call for call in calls if call not in over]

    def get(self, call: Any) -> Any:
        answer = self._play(*call[:-1])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, actor: Any) -> None:
        self.killed.append(actor.number)


def answers(*messages: Any) -> bytes:
    return msgspec.json.encode(messages)


def test_what_is_lost_comes_back_and_a_worker_without_a_machine_gets_no_task() -> None:
    """One of two machines dies; its actor's successor waits for a third one and takes no task meanwhile."""
    heard: list[Any] = []
    done = answers(FramesPainted(9), Notice("mind"), TaskFailed("SourceError", "no"))
    third = False

    def play(number: int, name: str, *_: Any) -> Any:
        if number == 2 and not third:
            return None
        if name == "perform" and number == 1:
            return LostError("The actor died.\nIts node was lost.")
        return {"version": HERE, "messages": answers(FramesPainted(5)), "perform": done}[name]

    cluster = Cluster(play)
    callbacks = WorkerCallbacks(lambda task, frames: heard.append((task, frames)), heard.append)
    workers = RayWorkers(cluster, 2, callbacks, gpu=True)  # type: ignore[arg-type]
    assert workers.free == 0
    while workers.free < 2:
        assert workers.wait(0.0) == []
    first, second = PaintTask(FILM, 0), PaintTask(FILM, 1)
    workers.submit(first)
    workers.submit(second)
    ended = workers.wait(0.0) + workers.wait(0.0)
    assert ended == [
        (first, TaskLost("its worker was lost (LostError: Its node was lost.)")),
        (second, TaskFailed("SourceError", "no")),
    ]
    assert (second, 9) in heard
    assert "mind" in heard
    assert (cluster.made, workers.free) == (3, 1)
    assert workers.wait(0.0) == []
    assert workers.free == 1
    third = True
    assert workers.wait(0.0) == []
    assert workers.free == 2
    workers.close()
    assert sorted(cluster.killed) == [0, 1, 2]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (LostError("x\nModuleNotFoundError: No module named 'streamstyle'"), "No module named 'streamstyle'"),
        ("0.0.1", "has streamstyle 0.0.1 and this one"),
    ],
)
def test_machines_without_this_version_are_refused(answer: Any, said: str) -> None:
    callbacks = WorkerCallbacks(lambda *_: None, lambda _: None)
    workers = RayWorkers(Cluster(lambda *_: answer), 1, callbacks, gpu=False)  # type: ignore[arg-type]

    def wait() -> None:
        for _ in range(9):
            workers.wait(0.0)

    with pytest.raises(ConfigError, match=said):
        wait()


@pytest.mark.parametrize(
    ("cluster", "said"), [("ray:8265", "--cluster is local or ray://HOST:PORT"), ("ray://127.0.0.1:1", "Ray")]
)
def test_clusters_that_are_not_there_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cluster: str, said: str
) -> None:
    film = tmp_path / "in.mp4"
    film.write_bytes(b"never opened")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ray", None)
        assert main(["run", str(film), str(tmp_path / "out.mkv"), "--resume", "--cluster", cluster]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@contextmanager
def ray_process(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`ray start`, from when it says that it runs to the end of all its processes.

    Ray gives up when its own processes take long to start, as on a busy machine; it gets three attempts.
    """
    for _ in range(3):
        process = started_ray(log, *arguments)
        try:
            if process.poll() is None:
                yield process
                return
        finally:
            kill_all(process)
    raise AssertionError(log.read_text())


def started_ray(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """`ray start` when it says that it runs, or has ended."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "RAY_worker_register_timeout_seconds": str(round(WAIT_TIMEOUT)),
    }
    quiet = ("--include-log-monitor", "false", "--disable-usage-stats")
    small = ("--object-store-memory", "80000000", "--node-ip-address", "127.0.0.1")
    command = [Path(sys.executable).with_name("ray"), "start", "--block", *arguments, *quiet, *small]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + WAIT_TIMEOUT
    while b"Ray runtime started" not in log.read_bytes() and process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
        time.sleep(0.1)
    return process


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, as when a machine loses its power."""
    for pid in [process.pid, *children(process.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def first_with_worker(
    nodes: Sequence[subprocess.Popen[bytes]], run: subprocess.Popen[bytes]
) -> subprocess.Popen[bytes]:
    """A node on which a worker of the run is, once there is one: those of an earlier run are gone."""
    deadline = time.monotonic() + WAIT_TIMEOUT
    while True:
        for node in nodes:
            if workers_of(node.pid):
                return node
        assert run.poll() is None, "the run needed no worker"
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_a_cluster_that_loses_a_node_paints_the_same_film(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head without processors and two nodes of one each. Ctrl-C ends the first run and what it began; in
    the second one a node is killed, and the other one paints what is left."""
    monkeypatch.setenv("STREAMSTYLE_CACHE", str(tmp_path / "engines"))
    film, out, alone = make_shots(tmp_path / "film.mp4"), tmp_path / "out.mkv", tmp_path / "alone.mkv"
    settings = ("--resume", "--segment", "1.6", "--json", "--codec", "ffv1", "--network", "lite")
    assert main(["run", str(film), str(alone), *settings, "--set", "queue=2"]) == 0
    capsys.readouterr()
    parts, port, client = tmp_path / "out.mkv.parts", free_port(), free_port()
    with ExitStack() as stack:
        folder = tempfile.mkdtemp(prefix="ray")  # sockets lie in it: their paths must be short
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        head = (
            "--head",
            "--include-dashboard",
            "false",
            "--port",
            str(port),
            "--ray-client-server-port",
            str(client),
            "--temp-dir",
            folder,
        )
        stack.enter_context(ray_process(tmp_path / "head.log", *head, "--num-cpus", "0", "--no-monitor"))
        node = ("--address", f"127.0.0.1:{port}", "--num-cpus", "1")
        nodes = [stack.enter_context(ray_process(tmp_path / f"{n}.log", *node)) for n in range(2)]
        command = [*PROGRAM, "run", str(film), str(out), *settings, "--set", "queue=2"]
        command += ["--workers", "2", "--cluster", f"ray://127.0.0.1:{client}"]

        with killed_on_failure(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
            assert wait_for(process, parts, 1)
            process.send_signal(signal.SIGINT)
            stopped = json.loads(process.communicate(timeout=WAIT_TIMEOUT)[0])
        assert (process.returncode, stopped["state"], stopped["interrupted"]) == (130, "unfinished", True)
        deadline = time.monotonic() + WAIT_TIMEOUT
        while any(workers_of(one.pid) for one in nodes):
            assert time.monotonic() < deadline
            time.sleep(0.05)

        with killed_on_failure(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
            assert wait_for(process, parts, 2)
            kill_all(first_with_worker(nodes, process))
            summary = json.loads(process.communicate(timeout=WAIT_TIMEOUT)[0])
        assert (process.returncode, summary["frames"], summary["state"]) == (0, SHOT * SHOTS, "done")
        assert summary["segments_kept"] >= 1
        assert pictures(out) == pictures(alone)
        assert sounds(out) == sounds(alone)
