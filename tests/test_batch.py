"""Films in segments, by real workers: the same film as in one run, whoever is killed on the way."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import peers
import pytest
from damaged_films import DAMAGES, make_damaged, whole_film
from media_files import make_video
from peers import children, killed_on_failure
from segmented import SHOT, SHOTS, WAIT_TIMEOUT, make_shots, pictures, sounds, wait_for, workers_of
from test_contained import state

from streamstyle.batch.messages import TaskDone, TaskFailed, TaskLost
from streamstyle.batch.performer import Performer
from streamstyle.batch.tasks import (
    DamagedSegments,
    FilmRequest,
    JoinTask,
    PaintTask,
    PlanResult,
    PlanTask,
    WholeTask,
)
from streamstyle.batch.workers import LocalWorkers, WorkerCallbacks, WorkerProcess
from streamstyle.cli import batch
from streamstyle.cli.main import main
from streamstyle.cli.segments import settings_of
from streamstyle.config import RunConfig
from streamstyle.engines.machine import processors
from streamstyle.errors import ConfigError, SinkError, SourceError

PROGRAM = [sys.executable, "-m", "streamstyle"]
SETTINGS = ("--codec", "ffv1", "--network", "lite", "--set", "queue=2")
linux = pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")


@pytest.fixture(scope="module")
def kept_engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(autouse=True)
def one_cache(kept_engines: Path, engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes of these tests share compiled engines."""
    monkeypatch.setenv("STREAMSTYLE_CACHE", str(kept_engines))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shots(tmp_path_factory.mktemp("films") / "film.mp4")


def in_segments(film: Path, out: Path, *more: str) -> list[str]:
    return ["run", str(film), str(out), "--resume", "--segment", "1.6", "--json", *SETTINGS, *more]


@pytest.fixture(scope="module")
def undisturbed(film: Path, kept_engines: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film as one run in segments makes it."""
    out = tmp_path_factory.mktemp("undisturbed") / "out.mkv"
    environment = os.environ | {"STREAMSTYLE_CACHE": str(kept_engines)}
    subprocess.run([*PROGRAM, *in_segments(film, out)], check=True, env=environment, stdout=subprocess.PIPE)
    return out


def test_a_film_in_segments_is_that_of_one_run(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut at every shot, each segment begins as the whole film goes on there: bit for bit."""
    whole, out = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    assert main(["run", str(film), str(whole), *SETTINGS, "--correct", "off", "--canvas", "still"]) == 0
    capsys.readouterr()
    assert main(in_segments(film, out, "--correct", "off")) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["frames"], summary["segments"], summary["segments_kept"]) == (SHOT * SHOTS, SHOTS, 0)
    assert pictures(out) == pictures(whole)
    assert sounds(out) == sounds(whole)
    assert [data for _, data in sounds(out)] == [data for _, data in sounds(film)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv", "whole.mkv"]


def test_repairs_and_joins_within_a_shot_stay_within_50_db(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steadied by the past at every frame; the shots are too long for the window, so joins lie within."""
    steadied = ("--consistency", "0.7")
    still = tmp_path / "shot.mp4"
    make_video(still, frames=150, gop=15, audio=["aac"])
    whole, out = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    assert main(["run", str(still), str(whole), *SETTINGS, *steadied, "--canvas", "still"]) == 0
    capsys.readouterr()
    assert main(in_segments(still, out, *steadied)) == 0
    assert json.loads(capsys.readouterr().out)["segments"] > 1
    for (pts, one), (pts_whole, other) in zip(_rgb(out), _rgb(whole), strict=True):
        assert pts == pts_whole
        error = float(np.mean((one.astype(np.float64) - other) ** 2))
        assert error == 0 or 10 * np.log10(255**2 / error) >= 50


def _rgb(path: Path) -> Iterator[tuple[int | None, np.ndarray]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.pts, frame.reformat(format="rgb24").to_ndarray()


@linux
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_any_moment_and_resumed_the_film_is_the_same(
    film: Path, undisturbed: Path, tmp_path: Path, seed: int
) -> None:
    """The first kill is a worker's, and the run goes on; then the command's, with all that it started."""
    dice, out = random.Random(seed), tmp_path / "out.mkv"
    folder = tmp_path / "out.mkv.parts"
    command = [*PROGRAM, *in_segments(film, out, "--workers", str(1 + seed % 2))]
    with killed_on_failure(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        assert wait_for(process, folder, dice.randrange(2))
        os.kill(dice.choice(workers_of(process.pid)), signal.SIGKILL)
        assert wait_for(process, folder, dice.randrange(1, 3))
        recorded = {path.name for path in folder.glob("0*.json")}
        left = [process.pid, *children(process.pid)]
        process.kill()
        process.wait()
    deadline = time.monotonic() + WAIT_TIMEOUT
    while any(Path(f"/proc/{pid}").exists() for pid in left):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not out.exists()
    done = subprocess.run(command, capture_output=True, check=True)
    summary = json.loads(done.stdout)
    assert summary["segments_kept"] >= len(recorded)
    assert summary["frames_painted"] <= SHOT * (SHOTS - len(recorded))
    assert pictures(out) == pictures(undisturbed)
    assert sounds(out) == sounds(undisturbed)
    assert not folder.exists()


@linux
def test_a_worker_that_is_lost_when_the_film_is_whole_costs_nothing(
    film: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """The command is killed as soon as the film exists, while the folder of its segments takes long to
    remove."""
    out = tmp_path / "out.mkv"
    folder = tmp_path / "out.mkv.parts"
    with killed_on_failure(
        subprocess.Popen([*PROGRAM, *in_segments(film, out)], stdout=subprocess.PIPE)
    ) as process:
        assert wait_for(process, folder, 0)
        for number in range(20_000):
            (folder / f"slow-{number}").touch()
        while not out.exists():
            assert process.poll() is None
            time.sleep(0.001)
        for worker in workers_of(process.pid):
            os.kill(worker, signal.SIGKILL)
        summary = json.loads(process.communicate(timeout=WAIT_TIMEOUT)[0])
    assert (process.returncode, summary["state"]) == (0, "done")
    assert pictures(out) == pictures(undisturbed)
    assert not folder.exists()


@pytest.mark.parametrize("seconds", [1.6, 60.0])
def test_a_film_that_is_done_is_not_made_again(film: Path, tmp_path: Path, seconds: float) -> None:
    """Joined, or painted in one piece: a task is begun anew whose worker was lost before it could say so."""
    out, settings = tmp_path / "out.mkv", settings_of(RunConfig(network="lite", codec="ffv1"))
    request = FilmRequest(str(film), str(out), str(tmp_path / "parts"), None, settings, seconds, True)
    performer = Performer(lambda: None, lambda _: None)
    planned = performer.perform(PlanTask(request))
    assert isinstance(planned, PlanResult)
    for number in planned.missing:
        performer.perform(PaintTask(request, number))
    last = WholeTask(request) if planned.whole else JoinTask(request)
    done, made = performer.perform(last), out.stat().st_mtime_ns
    assert performer.perform(last) == done
    assert performer.perform(PlanTask(request)) == PlanResult(SHOT * SHOTS, {}, 0, "", done)
    assert out.stat().st_mtime_ns == made
    out.unlink()
    assert performer.perform(last) == done
    assert len(pictures(out)) == SHOT * SHOTS


def test_segments_are_counted_by_size_and_compared_when_they_are_joined(film: Path, tmp_path: Path) -> None:
    """So that to go on with hours of film takes no longer than with minutes."""
    folder, settings = tmp_path / "parts", settings_of(RunConfig(network="lite", codec="ffv1"))
    request = FilmRequest(str(film), str(tmp_path / "out.mkv"), str(folder), None, settings, 1.6, True)
    performer = Performer(lambda: None, lambda _: None)
    planned = performer.perform(PlanTask(request))
    assert isinstance(planned, PlanResult)
    for number in planned.missing:
        performer.perform(PaintTask(request, number))
    changed, cut = folder / "0001.segment", folder / "0003.segment"
    data = changed.read_bytes()
    changed.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    cut.write_bytes(cut.read_bytes()[:-1])
    again = performer.perform(PlanTask(request))
    assert again == PlanResult(SHOT * SHOTS, {3: SHOT}, SHOTS - 1, "")
    performer.perform(PaintTask(request, 3))
    (folder / "0004.segment").unlink()
    assert performer.perform(JoinTask(request)) == DamagedSegments({1: SHOT, 4: SHOT})
    assert performer.perform(PlanTask(request)) == PlanResult(SHOT * SHOTS, {1: SHOT, 4: SHOT}, 3, "")


def test_the_command_that_hands_out_the_work_imports_no_decoder() -> None:
    """It begins sooner so, and opens no film."""
    code = "import sys, streamstyle.cli.resume, streamstyle.batch.schedule, streamstyle.batch.workers"
    code += "; print(sorted({'av', 'torch', 'openvino', 'streamstyle.pipeline.chain'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"[]\n"


@linux
def test_a_damaged_segment_is_painted_again_and_other_options_are_refused(
    film: Path, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mkv"
    folder = tmp_path / "out.mkv.parts"
    with killed_on_failure(
        subprocess.Popen([*PROGRAM, *in_segments(film, out)], stdout=subprocess.PIPE)
    ) as process:
        assert wait_for(process, folder, 2)
        process.send_signal(signal.SIGINT)
        stopped = json.loads(process.communicate(timeout=WAIT_TIMEOUT)[0])
    assert (process.returncode, stopped["state"], stopped["interrupted"]) == (130, "unfinished", True)
    assert main(in_segments(film, out, "--style", "udnie")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "style was starry-night and is udnie" in line
    assert "remove" in line
    kept = len(list(folder.glob("0*.json")))
    segment = folder / "0001.segment"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    (folder / "0002.123.part").write_bytes(b"half")
    assert main(in_segments(film, out)) == 0
    assert json.loads(capsys.readouterr().out)["segments_kept"] == kept - 1
    assert pictures(out) == pictures(undisturbed)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--frames", "5"), "--frames cannot be combined with --resume"),
        (("--size", "auto"), "name a size for segments"),
        (("--workers", "999"), "more than the"),
        (("null:",), "--resume writes one film"),
    ],
)
def test_what_segments_cannot_have_is_refused(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    assert main(in_segments(film, tmp_path / "out.mkv", *more)) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_batch_leaves_out_what_is_done_and_goes_on_after_damaged_films(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    for number in range(8):
        make_video(films / f"{number}.mp4", frames=6)
    for number in (2, 5):
        (films / f"{number}.mp4").write_bytes(random.Random(number).randbytes(5_000))
    command = ["batch", str(films), "-o", str(out), "--network", "lite", "--workers", "2", "--json"]
    assert main(command) == 1
    told = json.loads(capsys.readouterr().out)["films"]
    assert [film["state"] for film in told] == [
        "failed" if number in {2, 5} else "done" for number in range(8)
    ]
    assert all("not a media file" in film["reason"] for film in told if film["state"] == "failed")
    made = {path.name: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    assert sorted(made) == [f"{number}.mp4" for number in (0, 1, 3, 4, 6, 7)]
    assert all(len(pictures(out / name)) == 6 for name in made)
    (out / "3.mp4").unlink()
    assert main(command) == 1
    told = json.loads(capsys.readouterr().out)["films"]
    assert [f["state"] for f in told] == [
        *("before", "before", "failed", "done", "before", "failed", "before", "before")
    ]
    again = {path.name: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    assert {name for name in made if again[name] != made[name]} == {"3.mp4"}
    assert main([*command, "--style", "udnie"]) == 2
    assert "style was starry-night and is udnie" in capsys.readouterr().err


def test_notes_of_films_are_told_once_each_when_done_and_from_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """WebM holds neither AAC nor FLAC; one film has no sound, and no note."""
    films = tmp_path / "films"
    films.mkdir()
    for name, sounds_ in {"a": ["aac"], "b": [], "c": ["flac"], "d": ["aac"]}.items():
        make_video(films / f"{name}.mkv", frames=6, audio=sounds_)
    command = ["batch", str(films), "-o", str(tmp_path / "out"), "--network", "lite", "--suffix", ".webm"]
    told = [
        "notes on films that are done:",
        f"  {films / 'a.mkv'} and 1 more: The sound was re-encoded from aac: webm files cannot hold aac.",
        f"  {films / 'c.mkv'}: The sound was re-encoded from flac: webm files cannot hold flac.",
    ]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[1:] == told
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[1:] == told
    monkeypatch.setattr(batch, "_NOTES", 1)
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [*told[:2], "  1 more: --json has all"]


def test_of_sixty_films_ten_are_damaged_and_each_is_listed_with_its_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    film = whole_film(tmp_path / "film.mp4").read_bytes()
    places = random.Random(3).sample(range(60), len(DAMAGES) + 1)
    causes = dict(zip(places, [*DAMAGES, "link"], strict=True))
    for number in range(60):
        path, damage = films / f"{number:02}.mp4", causes.get(number)
        if damage == "link":
            path.symlink_to("nowhere.mp4")
        elif damage is not None:
            make_damaged(path, film, damage)
        else:
            path.write_bytes(film)
    command = ["batch", str(films), "-o", str(out), "--network", "lite", "--workers", "2"]
    assert main([*command, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["films"]
    assert {n for n, one in enumerate(told) if one["state"] == "failed"} == set(causes)
    assert {one["state"] for n, one in enumerate(told) if n not in causes} == {"done"}
    said = {damage: pattern for damage, (_, pattern) in DAMAGES.items()} | {"link": "does not exist"}
    for number, damage in causes.items():
        assert re.search(said[damage], told[number]["reason"]), (damage, told[number]["reason"])
        assert f"{number:02}.mp4" in told[number]["reason"]
    assert len(list(out.glob("*.mp4"))) == 60 - len(causes)
    assert not list(out.rglob("*.part*"))
    assert main(command) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{60 - len(causes)} of 60 films are done, {60 - len(causes)} of them from")
    assert lines[1] == f"{len(causes)} films failed:"
    assert [line.partition(": ")[0].strip() for line in lines[2:]] == [
        str(films / f"{number:02}.mp4") for number in sorted(causes)
    ]


def test_workers_are_replaced_and_errors_and_results_come_back(film: Path, tmp_path: Path) -> None:
    """The contract of `Workers`."""
    heard: list[int] = []
    workers = LocalWorkers(1, WorkerCallbacks(lambda _, frames: heard.append(frames), lambda _: None))
    config = RunConfig(network="lite", codec="ffv1")
    request = FilmRequest(
        str(film), str(tmp_path / "out.mkv"), str(tmp_path / "parts"), None, settings_of(config), 1.6, True
    )

    def ending(task: PlanTask | PaintTask) -> object:
        assert workers.free == 1
        workers.submit(task)
        assert workers.free == 0
        while not (ended := workers.wait(1.0)):
            pass
        assert ended[0][0] is task
        return ended[0][1]

    try:
        planned = ending(PlanTask(request))
        assert isinstance(planned, TaskDone)
        assert planned.planned is not None
        assert sum(planned.planned.missing.values()) == SHOT * SHOTS
        if sys.platform == "linux":
            (child,) = workers_of(os.getpid())
            os.kill(child, signal.SIGSTOP)  # so that it is not done before it is killed
            workers.submit(PaintTask(request, 0))
            os.kill(child, signal.SIGKILL)
            while not (ended := workers.wait(1.0)):
                pass
            assert isinstance(ended[0][1], TaskLost)
            assert "SIGKILL" in ended[0][1].why
        painted = ending(PaintTask(request, 0))
        assert isinstance(painted, TaskDone)
        assert painted.segment is not None
        assert painted.segment.frames == SHOT
        assert heard
    finally:
        workers.close()


@linux
@pytest.mark.skipif(len(processors()) < 2, reason="needs two processors")
def test_all_workers_start_before_there_is_a_plan() -> None:
    workers = LocalWorkers(2, WorkerCallbacks(lambda *_: None, lambda _: None))
    try:
        peers.wait_for(lambda: len(workers_of(os.getpid())) == 2, "both workers")
    finally:
        workers.close()
    assert not workers_of(os.getpid())


@linux
@pytest.mark.skipif(len(processors()) < 2, reason="needs two processors")
def test_where_one_worker_cannot_be_started_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = WorkerProcess.start, list[WorkerProcess]()

    def refused(worker: WorkerProcess) -> None:
        if started:
            peers.wait_for(lambda: bool(workers_of(os.getpid())), "the first worker", every=0.01)
            raise ConfigError("no worker can be started: out of memory")
        started.append(worker)
        start(worker)

    monkeypatch.setattr(WorkerProcess, "start", refused)
    with pytest.raises(ConfigError, match="no worker can be started"):
        LocalWorkers(2, WorkerCallbacks(lambda *_: None, lambda _: None))
    assert started
    assert not workers_of(os.getpid())


@linux
def test_ctrl_c_while_a_worker_starts_is_left_to_its_parent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A terminal tells the worker too, which then has not imported anything."""
    workers = LocalWorkers(1, WorkerCallbacks(lambda *_: None, lambda _: None))
    try:
        peers.wait_for(lambda: bool(workers_of(os.getpid())), "the worker", every=0.01)
        (child,) = workers_of(os.getpid())
        os.kill(child, signal.SIGINT)
        request = FilmRequest(
            "no.mp4", str(tmp_path / "out.mkv"), str(tmp_path / "parts"), None, {}, 1.0, True
        )
        workers.submit(PlanTask(request))
        while not (ended := workers.wait(1.0)):
            os.kill(child, signal.SIGINT)
    finally:
        workers.close()
    assert isinstance(ended[0][1], TaskFailed)
    assert capfd.readouterr().err == ""


@linux
def test_a_batch_that_is_stopped_stands_still_until_it_is_continued(
    film: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    script = "from streamstyle.cli.main import program; program()"
    command = [
        "batch",
        str(film),
        "-o",
        str(out),
        "--suffix",
        ".mkv",
        "--segment",
        "1.6",
        "--json",
        *SETTINGS,
    ]
    with killed_on_failure(
        subprocess.Popen([sys.executable, "-c", script, *command], stdout=subprocess.PIPE, process_group=0)
    ) as process:
        parts = out / ".streamstyle" / "film.mkv.parts"
        assert wait_for(process, parts, 1)
        os.killpg(process.pid, signal.SIGTSTP)
        (worker,) = workers_of(process.pid)
        peers.wait_for(lambda: {state(one) for one in (process.pid, worker)} == {"T"}, "both to stop")
        os.killpg(process.pid, signal.SIGCONT)
        (told,) = json.loads(process.communicate(timeout=WAIT_TIMEOUT)[0])["films"]
    assert (process.returncode, told["state"]) == (0, "done")
    assert pictures(out / "film.mkv") == pictures(undisturbed)


@linux
def test_a_film_with_a_name_of_any_bytes_or_length_is_painted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    names = [os.fsdecode(b"\xff\xfe a\n.mp4"), "\N{CLAPPER BOARD}" * 60 + ".mp4"]
    for name in names:
        make_video(films / name, frames=6)
    command = ["batch", str(films), "-o", str(out), "--network", "lite", "--json"]
    for ended in ("done", "before"):
        assert main(command) == 0
        told = json.loads(capsys.readouterr().out)["films"]
        assert {film["output"]: film["state"] for film in told} == {str(out / name): ended for name in names}
    assert all(len(pictures(out / name)) == 6 for name in names)


def test_a_film_that_changes_while_it_is_painted_fails_alone(film: Path, tmp_path: Path) -> None:
    """It is removed, replaced or still being written: frames of two films must not mix."""
    mine, performer = tmp_path / "in.mp4", Performer(lambda: None, lambda _: None)
    mine.write_bytes(film.read_bytes())
    settings = settings_of(RunConfig(network="lite", codec="ffv1"))
    request = FilmRequest(
        str(mine), str(tmp_path / "out.mkv"), str(tmp_path / "parts"), None, settings, 1.6, True
    )
    performer.perform(PlanTask(request))
    mine.write_bytes(film.read_bytes() + b"more")
    for task in (PaintTask(request, 0), JoinTask(request), WholeTask(request)):
        with pytest.raises(SourceError, match=r"in\.mp4 was changed while it was painted"):
            performer.perform(task)
    with pytest.raises(SourceError, match=r"painted from the film before it changed.*remove"):
        performer.perform(PlanTask(request))
    mine.unlink()
    with pytest.raises(SourceError, match=r"in\.mp4 cannot be read: No such file"):
        performer.perform(PaintTask(request, 0))


@linux
def test_a_full_disk_keeps_nothing_of_a_film_for_the_next_one_to_fail(film: Path, tmp_path: Path) -> None:
    performer, settings = Performer(lambda: None, lambda _: None), RunConfig(network="lite", codec="ffv1")
    out, parts = tmp_path / "out.mkv", tmp_path / "parts"
    request = FilmRequest(str(film), str(out), str(parts), None, settings_of(settings), 60.0, False)
    performer.perform(PlanTask(request))
    performer.perform(WholeTask(request))  # has compiled all that is to be compiled
    limit = out.stat().st_size * 3 // 4
    out.unlink()
    performer.perform(PlanTask(request))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(SinkError, match="The disk is full"):
            performer.perform(WholeTask(request))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in parts.iterdir()] == ["manifest.json"]


def test_no_more_workers_than_processors() -> None:
    with pytest.raises(ConfigError, match="processors"):
        LocalWorkers(10_000, WorkerCallbacks(lambda *_: None, lambda _: None))
