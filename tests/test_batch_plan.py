"""Plans: exact ranges, cuts where there are any, manifests that refuse to mix; and the schedule."""

from __future__ import annotations

import os
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_files import info_of, make_video

from streamstyle.batch.inputs import films_of
from streamstyle.batch.lock import exclusive_lock
from streamstyle.batch.manifest import (
    FilmRecord,
    OptionsMismatchError,
    SegmentRecord,
    check_options,
    read,
    write,
)
from streamstyle.batch.messages import TaskDone, TaskFailed, TaskLost, TaskOutcome, failed
from streamstyle.batch.planning import Split, plan_film
from streamstyle.batch.schedule import MAX_ATTEMPTS, Schedule, run_films
from streamstyle.batch.tasks import (
    DamagedSegments,
    FilmRequest,
    JoinTask,
    PaintTask,
    PlanResult,
    PlanTask,
    Task,
    WholeTask,
)
from streamstyle.config import RunConfig
from streamstyle.errors import ConfigError, SinkError, SourceError
from streamstyle.flow import StopRequest

TICKS = 512
SECOND = 30 * TICKS


def planned(path: Path, seconds: float, config: RunConfig | None = None, **how: Any) -> Any:
    info = info_of(url=str(path), time_base=Fraction(1, 15360))
    return plan_film(str(path), info, path.with_name("out.mp4"), config or RunConfig(), Split(seconds, **how))


def test_segments_follow_each_other_to_the_last_frame(tmp_path: Path) -> None:
    """The test card moves every frame by a patch, so that nothing but gaps says where to split."""
    plan = planned(make_video(tmp_path / "in.mp4", frames=300, gop=15, b_frames=2), 2.0, warm_up=10)
    assert (plan.frames, plan.end, plan.whole) == (300, 300 * TICKS, "")
    segments = plan.segments
    assert len(segments) in {4, 5}
    assert segments[0].first == 0
    assert [s.end for s in segments] == [*(s.first for s in segments[1:]), plan.end]
    assert sum(s.frames for s in segments) == 300
    assert [s.index for s in segments] == [s.first // TICKS for s in segments]
    assert [(s.first - s.begin) // TICKS for s in segments] == [s.warm_up for s in segments]
    assert [s.warm_up for s in segments] == [0, *[10] * (len(segments) - 1)]
    assert all(abs(s.frames - 60) <= 31 for s in segments[:-1])


def test_without_a_cut_the_longest_gap_is_taken(tmp_path: Path) -> None:
    times = [TICKS * n + (300 if n >= 65 else 0) for n in range(150)]
    still = make_video(tmp_path / "in.mp4", frames=150, times=times, gop=10)
    plan = planned(_still(still, times), 2.0)
    assert (plan.segments[1].index, plan.segments[1].cut) == (65, False)


def _still(like: Path, times: list[int]) -> Path:
    """The same times, and one picture."""
    path = like.with_name("still.mp4")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "10", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 15360)
        noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
        for pts in times:
            frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 15360)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (RunConfig(deinterlace="field"), "fields become pictures"),
        (RunConfig(every=3), "frames are propagated"),
        (RunConfig(region="file:mask.mp4"), "the region is a film"),
        (RunConfig(region="file:mask.png"), ""),
    ],
)
def test_what_needs_the_whole_past_is_painted_in_one_piece(
    tmp_path: Path, config: RunConfig, why: str
) -> None:
    path = make_video(tmp_path / "in.mp4", frames=120, gop=10)
    plan = planned(path, 1.0, config)
    assert (plan.whole, bool(plan.segments)) == (why, not why)


def test_a_short_film_is_one_piece(tmp_path: Path) -> None:
    assert planned(make_video(tmp_path / "in.mp4", frames=40), 1.0).whole == "it is short"


def record(number: int) -> SegmentRecord:
    return SegmentRecord(number, 100, "0" * 64, 10, 1, {"pop": 1}, "torch fp32", 1.0, ("a note",))


def test_files_come_back_as_they_were_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "0003.json"
    assert read(str(path), SegmentRecord) is None
    write(str(path), record(3))
    assert read(str(path), SegmentRecord) == record(3)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SinkError, match="start again"):
        read(str(path), SegmentRecord)
    path.write_text('{"version": 99}')
    with pytest.raises(OptionsMismatchError, match="another version"):
        read(str(path), SegmentRecord)


def test_what_differs_is_named() -> None:
    before = {"style": "udnie", "size": None, "weights": "lite " + "a" * 64}
    check_options(before, dict(before), "x", "remedy")
    now = before | {"style": "wave", "weights": "lite " + "b" * 64}
    with pytest.raises(
        OptionsMismatchError, match=r"style was udnie and is wave; weights was lite a+\.\.\. and is"
    ):
        check_options(before, now, "x", "remedy")


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path / "lock"),
        pytest.raises(ConfigError, match="another run"),
        exclusive_lock(tmp_path / "lock"),
    ):
        pass
    with exclusive_lock(tmp_path / "lock"):
        pass


def test_inputs_are_files_folders_patterns_and_lists(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.avi", "deep/er/c.webm", "deep/notes.txt", ".hidden/d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"-")
    out, listed = tmp_path / "out", tmp_path / "list.txt"
    listed.write_text(f"# films\n\n{tmp_path}/a.mp4\n{tmp_path}/deep\n")

    def names(*inputs: str, lists: tuple[Path, ...] = (), suffix: str | None = None) -> dict[str, str]:
        found = films_of([str(tmp_path / one) for one in inputs], lists, str(out), suffix)
        return {str(k.relative_to(tmp_path)): v.removeprefix(f"{out}/") for k, v in found.items()}

    assert names(".") == {"a.mp4": "a.mp4", "b.avi": "b.mkv", "deep/er/c.webm": "deep/er/c.webm"}
    assert names("*.mp4", suffix=".mov") == {"a.mp4": "a.mov"}
    assert names(lists=(listed,)) == {"a.mp4": "a.mp4", "deep/er/c.webm": "er/c.webm"}
    assert names("a.mp4", "a.mp4", "deep/../a.mp4") == {"a.mp4": "a.mp4"}
    with pytest.raises(ConfigError, match="matches nothing"):
        names("*.mpeg")
    (tmp_path / "deep" / "a.mp4").write_bytes(b"-")
    with pytest.raises(ConfigError, match="both become"):
        names("a.mp4", "deep/a.mp4")
    with pytest.raises(ConfigError, match="replaced by its own painting"):
        films_of([str(tmp_path / "a.mp4")], [], str(tmp_path / "deep" / ".."), None)
    bucket = films_of([str(tmp_path / "deep")], [], "s3://films/painted", None)
    assert bucket[tmp_path / "deep" / "er" / "c.webm"] == "s3://films/painted/er/c.webm"
    with pytest.raises(ConfigError, match=r"not as '\.txt'"):
        names("a.mp4", suffix=".txt")


def test_a_batch_never_takes_its_own_outputs(tmp_path: Path) -> None:
    """However the folder of the outputs is reached: from above, by a pattern, by the shell, by a link."""
    films, out = tmp_path / "films", tmp_path / "films" / "out"
    for name in ("a.mp4", "b.avi", "out/a.mp4", "out/b.mkv", "out/deep/c.mp4"):
        (films / name).parent.mkdir(parents=True, exist_ok=True)
        (films / name).write_bytes(b"-")
    (tmp_path / "link").symlink_to(out)
    expected = {films / "a.mp4": "a.mp4", films / "b.avi": "b.mkv"}
    for folder in (str(out), str(tmp_path / "link"), f"{films}/../films/out"):
        for inputs in ([films], [f"{films}/*"], [f"{films}/**/*.[am][vp]*"], sorted(films.iterdir())):
            found = films_of([str(one) for one in inputs], [], folder, None)
            assert found == {film: f"{folder}/{name}" for film, name in expected.items()}, inputs
    for inputs in ([out], [out / "deep"], [f"{films}/o*"]):
        with pytest.raises(ConfigError, match=r"no film outside .*out, where the outputs are: name"):
            films_of([str(one) for one in inputs], [], str(out), None)
    (films / "empty").mkdir()
    with pytest.raises(ConfigError, match="contain no film: name"):
        films_of([str(films / "empty")], [], str(out), None)
    beside = films_of([f"{films}/*.avi"], [], str(films), None)
    assert beside == {films / "b.avi": f"{films}/b.mkv"}


def test_no_output_replaces_a_film(tmp_path: Path) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    for folder in (films / "deep", out / "deep"):
        folder.mkdir(parents=True)
    for path in (films / "a.mp4", films / "a.mkv", out / "deep" / "b.mkv", films / "deep" / "b.avi"):
        path.write_bytes(b"-")
    (tmp_path / "link").symlink_to(films)
    for place in (films, tmp_path / "link"):
        with pytest.raises(ConfigError, match=r"films/a\.mp4 would be replaced by its own painting"):
            films_of([str(films / "a.mp4")], [], str(place), None)
    with pytest.raises(ConfigError, match=r"out/deep/b\.mkv would be replaced by the painting of .*b\.avi"):
        films_of([str(films), str(out / "deep" / "b.mkv")], [], str(out), None)
    (out / "a.mp4").symlink_to(films / "a.mp4")
    with pytest.raises(ConfigError, match=r"films/a\.mp4 would be replaced by its own painting"):
        films_of([str(films / "a.mp4")], [], str(out), None)
    with pytest.raises(ConfigError, match=r"a\.mp4 and .*a\.mkv would both become"):
        films_of([str(films / "a.mkv"), str(films / "a.mp4")], [], str(out / "new"), ".mkv")


def test_links_pipes_and_names_of_any_bytes(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    names = [b"-a.mp4", b"a b.mp4", b"[c]*.mp4", b"new\nline.mp4", b"quo'\"te.mp4", b"\xff\xfe.mp4"]
    if sys.platform != "linux":
        names.pop()  # a file system that wants UTF-8
    for name in names:
        Path(os.fsdecode(os.fsencode(films) + b"/" + name)).write_bytes(b"-")
    (films / "loop").symlink_to(films)
    (films / "around.mp4").symlink_to(films / "around.mp4")
    (films / "other.mp4").symlink_to(films / "a b.mp4")
    out = f"{tmp_path}/out"
    every = {*map(os.fsdecode, names), "around.mp4", "other.mp4"}
    assert films_of([str(films)], [], out, None) == {films / name: f"{out}/{name}" for name in every}
    found = films_of([f"{films}/**/a b.mp4"], [], out, None)
    assert list(found) == [films / "a b.mp4"], "again and again through the loop"
    listed = tmp_path / "list.txt"
    lines = [os.fsencode(films) + b"/" + name for name in names if b"\n" not in name]
    listed.write_bytes("\ufeff".encode() + b"\r\n".join(lines))
    assert len(films_of([], [listed], out, None)) == len(lines)
    listed.write_bytes(str(films).encode("utf-16"))
    with pytest.raises(ConfigError, match="not a text in UTF-8"):
        films_of([], [listed], out, None)
    if sys.platform != "win32":
        os.mkfifo(films / "pipe.mp4")
        assert films / "pipe.mp4" not in films_of([str(films)], [], out, None)
        with pytest.raises(ConfigError, match=r"pipe\.mp4 is a pipe or a device"):
            films_of([str(films / "pipe.mp4")], [], out, None)


class StandInWorkers:
    """Implements `Workers` without any: `play` says how each task ends."""

    def __init__(self, count: int, play: Any) -> None:
        self._count, self._play = count, play
        self._busy: list[Task] = []
        self.begun: list[Task] = []
        self.most = 0
        self.closed = False

    @property
    def free(self) -> int:
        return self._count - len(self._busy)

    def submit(self, task: Task) -> None:
        assert self.free
        self._busy.append(task)
        self.begun.append(task)
        self.most = max(self.most, len(self._busy))

    def wait(self, seconds: float) -> list[tuple[Task, TaskOutcome]]:
        if not self._busy:
            return []
        task = self._busy.pop(0)
        return [(task, self._play(task))]

    def close(self) -> None:
        self.closed = True


def film(name: str) -> FilmRequest:
    return FilmRequest(name, f"out/{name}", f"out/{name}.parts", None, {}, 60.0, True)


def done_film(name: str, segments: int = 3) -> TaskDone:
    return TaskDone(film=FilmRecord(name, name, {}, "lite", 1, 30, segments, 0, {}, ()))


def usual(task: Task) -> TaskOutcome:
    match task:
        case PlanTask():
            return TaskDone(planned=PlanResult(30, {0: 10, 1: 10, 2: 10}, 0, ""))
        case PaintTask():
            return TaskDone(segment=record(task.number))
        case _:
            return done_film(task.film.source)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_segment_is_painted_once_and_joined_at_the_end(workers: int) -> None:
    staff = StandInWorkers(workers, usual)
    schedule = Schedule([film("a"), film("b")])
    run_films(schedule, staff, StopRequest())
    assert all(state.record is not None for state in schedule.states)
    assert Counter((type(t).__name__, t.film.source) for t in staff.begun) == Counter(
        {(kind, name): n for name in "ab" for kind, n in (("PlanTask", 1), ("PaintTask", 3), ("JoinTask", 1))}
    )
    of_a = [t for t in staff.begun if t.film.source == "a"]
    assert isinstance(of_a[0], PlanTask)
    assert isinstance(of_a[-1], JoinTask)
    assert staff.closed


def test_a_lost_worker_costs_the_segment_that_it_painted() -> None:
    lost = iter([TaskLost("it was killed")] * (MAX_ATTEMPTS - 1))

    def play(task: Task) -> TaskOutcome:
        killed = isinstance(task, PaintTask) and task.number == 1
        return next(lost, None) or usual(task) if killed else usual(task)

    staff = StandInWorkers(2, play)
    schedule = Schedule([film("a")])
    run_films(schedule, staff, StopRequest())
    assert schedule.states[0].record is not None
    painted = Counter(t.number for t in staff.begun if isinstance(t, PaintTask))
    assert painted == {0: 1, 1: MAX_ATTEMPTS, 2: 1}


@pytest.mark.parametrize("times", [1, MAX_ATTEMPTS])
def test_a_segment_that_has_changed_is_painted_again_unless_that_never_helps(times: int) -> None:
    """One of an earlier run, and one of this one."""
    changed = iter([TaskDone(damaged=DamagedSegments({0: 10, 2: 10}))] * times)

    def play(task: Task) -> TaskOutcome:
        if isinstance(task, PlanTask):
            return TaskDone(planned=PlanResult(30, {1: 10, 2: 10}, 1, ""))
        return next(changed, None) or usual(task) if isinstance(task, JoinTask) else usual(task)

    staff = StandInWorkers(2, play)
    schedule = Schedule([film("a")])
    run_films(schedule, staff, StopRequest())
    (state,) = schedule.states
    painted = Counter(t.number for t in staff.begun if isinstance(t, PaintTask))
    assert state.planned is not None
    assert state.planned.kept == 0
    if times == 1:
        assert state.record is not None
        assert painted == {0: 1, 1: 1, 2: 2}
    else:
        assert state.failure is not None
        assert "does not keep what is written" in state.failure.sentence
        assert painted == {0: MAX_ATTEMPTS - 1, 1: 1, 2: MAX_ATTEMPTS}


def test_a_film_that_always_takes_its_worker_along_is_given_up_and_the_rest_is_painted() -> None:
    def play(task: Task) -> TaskOutcome:
        return TaskLost("it crashed") if task.film.source == "a" else usual(task)

    staff = StandInWorkers(2, play)
    schedule = Schedule([film("a"), film("b")])
    run_films(schedule, staff, StopRequest())
    bad, good = schedule.states
    assert bad.failure is not None
    assert "it crashed" in bad.failure.sentence
    assert good.record is not None
    assert sum(t.film.source == "a" for t in staff.begun) == MAX_ATTEMPTS


def test_a_damaged_film_fails_and_the_rest_is_painted() -> None:
    def play(task: Task) -> TaskOutcome:
        return failed(SourceError("a is damaged.")) if task.film.source == "a" else usual(task)

    schedule = Schedule([film("a"), film("b")])
    run_films(schedule, StandInWorkers(1, play), StopRequest())
    assert schedule.states[0].failure == TaskFailed("SourceError", "a is damaged.")
    assert isinstance(schedule.states[0].failure.error(), SourceError)
    assert schedule.states[1].record is not None


def test_what_is_there_is_neither_painted_nor_planned_again() -> None:
    plans = {
        "kept": PlanResult(30, {2: 10}, 2, ""),
        "painted": PlanResult(30, {}, 3, ""),
        "whole": PlanResult(30, {}, 0, "it is short"),
        "before": PlanResult(30, {}, 0, "", FilmRecord("", "", {}, "", 1, 30, 0, 0, {}, ())),
    }

    def play(task: Task) -> TaskOutcome:
        return TaskDone(planned=plans[task.film.source]) if isinstance(task, PlanTask) else usual(task)

    staff = StandInWorkers(1, play)
    schedule = Schedule([film(name) for name in plans])
    run_films(schedule, staff, StopRequest())
    rest = [(type(t), t.film.source) for t in staff.begun if not isinstance(t, PlanTask)]
    assert rest == [(PaintTask, "kept"), (JoinTask, "kept"), (JoinTask, "painted"), (WholeTask, "whole")]
    assert [state.before for state in schedule.states] == [False, False, False, True]


def test_other_options_end_all() -> None:
    def play(task: Task) -> TaskOutcome:
        return failed(OptionsMismatchError("style was udnie"))

    staff = StandInWorkers(2, play)
    with pytest.raises(OptionsMismatchError, match="udnie"):
        run_films(Schedule([film("a"), film("b"), film("c")]), staff, StopRequest())
    assert staff.closed
    assert len(staff.begun) == 2


def test_a_stop_ends_the_workers_and_leaves_films_unfinished() -> None:
    stop = StopRequest()

    def play(task: Task) -> TaskOutcome:
        stop.request()
        return usual(task)

    staff = StandInWorkers(1, play)
    schedule = Schedule([film("a")])
    run_films(schedule, staff, stop)
    assert staff.closed
    assert not schedule.over
