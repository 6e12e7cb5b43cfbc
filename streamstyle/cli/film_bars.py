"""Progress of films in segments: a bar for each film on its way, and one for all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamstyle.batch.schedule import FilmState
    from streamstyle.batch.tasks import Task


class FilmBars:
    """Shows films, and the time that is left, if standard error is a terminal. The bar for all counts bytes
    of the films, which are known before any of them is opened."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._sizes = {source: _size(source) for source in sources}
        self._painting: dict[tuple[str, int], int] = {}
        self._bars: dict[str, Any] = {}
        self._total: Any = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bars inside the `with` block."""
        if not sys.stderr.isatty():
            yield
            return
        self._total = _bar("all", "B", sum(self._sizes.values()))
        try:
            yield
        finally:
            for bar in (*self._bars.values(), self._total):
                bar.close()

    def on_frames(self, task: Task, frames: int) -> None:
        """See `WorkerCallbacks`."""
        self._painting[task.film.output, getattr(task, "number", 0)] = frames

    def on_tick(self, states: Sequence[FilmState]) -> None:
        """Bring the bars up to date."""
        if self._total is None:
            return
        done = 0.0
        for state in states:
            share = 1.0 if state.over else self._film(state)
            done += share * self._sizes[state.film.source]
            if state.over and (bar := self._bars.pop(state.film.output, None)) is not None:
                bar.close()
        self._total.update(round(done) - self._total.n)

    def _film(self, state: FilmState) -> float:
        """The share of a film that is painted; brings its bar up to date."""
        if state.planned is None or not state.planned.frames:
            return 0.0
        frames, output = state.planned.frames, state.film.output
        kept = 0 if state.planned.whole else frames - sum(state.planned.missing.values())
        under_way = sum(self._painting.get((output, number), 0) for number in state.running)
        if output not in self._bars:
            # Segments that were there already say nothing of the pace.
            self._bars[output] = _bar(Path(state.film.source).name, " frames", frames, kept)
        bar = self._bars[output]
        bar.update(kept + state.painted + under_way - bar.n)
        return float(min(bar.n / frames, 1.0))


def _bar(name: str, unit: str, total: int, initial: int = 0) -> Any:
    """A bar that shows every tick: they are rare."""
    from tqdm import tqdm

    return tqdm(
        desc=name,
        unit=unit,
        unit_scale=unit == "B",
        total=total,
        initial=initial,
        dynamic_ncols=True,
        leave=unit == "B",
        mininterval=0,
        miniters=0,
    )


def _size(path: str) -> int:
    """Bytes of a file; 0 if it is gone, which its own task reports."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
