"""Progress of films in segments, as a terminal shows it."""

from __future__ import annotations

import io
import sys
from collections import deque
from pathlib import Path

import pytest

from streamstyle.batch.manifest import FilmRecord
from streamstyle.batch.schedule import FilmState
from streamstyle.batch.tasks import FilmRequest, PaintTask, PlanResult, WholeTask
from streamstyle.cli.film_bars import FilmBars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def last(self, name: str) -> str:
        """The last line that shows this bar."""
        return next(line for line in reversed(self.getvalue().split("\r")) if f"{name}:" in line)


def request(path: Path, size: int) -> FilmRequest:
    path.write_bytes(b"-" * size)
    return FilmRequest(str(path), f"{path}.out", f"{path}.parts", None, {}, 60.0, True)


def test_each_film_and_all_of_them_advance_by_what_is_painted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    long, short = request(tmp_path / "long.mp4", 3000), request(tmp_path / "short.mp4", 1000)
    states = [FilmState(long), FilmState(short)]
    bars = FilmBars([long.source, short.source])
    with bars.shown():
        bars.on_tick(states)
        assert " 0%" in terminal.last("all")
        # A third was painted before; of the rest one segment is done, and one half.
        states[0].planned = PlanResult(300, {1: 100, 2: 100}, 1, "")
        states[0].waiting, states[0].unfinished = deque(), 1
        states[0].painted, states[0].running = 100, {2}
        bars.on_frames(PaintTask(long, 2), 50)
        bars.on_tick(states)
        assert "250/300" in terminal.last("long.mp4")
        assert " 62%" in terminal.last("all")
        states[0].record = FilmRecord("", "", {}, "", 1, 300, 3, 0, {}, ())
        states[1].planned, states[1].running = PlanResult(10, {}, 0, "it is short"), {0}
        bars.on_frames(WholeTask(short), 5)
        bars.on_tick(states)
        assert "5/10" in terminal.last("short.mp4")
        assert " 88%" in terminal.last("all")


def test_a_film_that_only_waits_to_be_joined_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    film = request(tmp_path / "film.mp4", 1000)
    state = FilmState(film, PlanResult(300, {}, 3, ""))
    bars = FilmBars([film.source])
    with bars.shown():
        bars.on_tick([state])
        assert "300/300" in terminal.last("film.mp4")


def test_without_a_terminal_nothing_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = request(tmp_path / "film.mp4", 1000)
    bars = FilmBars([film.source])
    with bars.shown():
        bars.on_tick([FilmState(film, PlanResult(300, {}, 3, ""))])
    assert capsys.readouterr().err == ""
