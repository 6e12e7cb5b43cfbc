"""A process that measures one thing, round by round: with its own memory, threads and libraries.

`python -m streamstyle.bench.speed_child TASK` with a `Task` as JSON. Each line on stdin requests a round; the
answers on stdout are JSON lines: `Ready` or `Failure` first, then a `Round` each time.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from streamstyle.bench.baseline_engines import open_baseline_engine
from streamstyle.bench.speed import Failure, Ready, Round, Task
from streamstyle.config import RunConfig
from streamstyle.engines.machine import peak_memory, resident_memory
from streamstyle.engines.open_engine import paint_all
from streamstyle.engines.request import SizeOpener
from streamstyle.errors import StreamStyleError
from streamstyle.flow import StopRequest
from streamstyle.media.open import open_sink, open_source
from streamstyle.media.pair import PaintedEngine
from streamstyle.pipeline.chain import chain_opener
from streamstyle.pipeline.conditions import region_of
from streamstyle.pipeline.job import Job, Progress
from streamstyle.pipeline.model import Model, load_model
from streamstyle.pipeline.opencv_threads import single_threaded_opencv
from streamstyle.pipeline.run_hooks import RunHooks
from streamstyle.pipeline.run_job import run_job
from streamstyle.styles.bundle import load_bundle, network_folder
from streamstyle.types import Engine, Frame, InferenceFuture, Picture, StyleCondition

_PICTURES = 8  # in memory: as many as channels hold, more than any engine has in flight
_PEER = "peer:"
_MIB = 2**20

Measure = Callable[[], Round]


class _Watch:
    """Times of frames and the processor time used, once warm."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()
        self._last = self._began[0]
        self.frame_ms: list[float] = []

    def tick(self) -> None:
        """One frame more."""
        now = time.perf_counter()
        self.frame_ms.append(round(1e3 * (now - self._last), 3))
        self._last = now

    def round(self, **more: Any) -> Round:
        """The measurement until now."""
        seconds, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        return Round(len(self.frame_ms), seconds, cpu, self.frame_ms, peak_memory() / _MIB, **more)


def main(arguments: list[str], requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the input ends."""

    def send(value: msgspec.Struct) -> None:
        answers.write(msgspec.json.encode({type(value).__name__: value}) + b"\n")
        answers.flush()

    task = msgspec.json.decode(arguments[0], type=Task)
    with single_threaded_opencv(), ExitStack() as stack:
        try:
            ready, measure = _PREPARED[task.what](task, stack)
        except StreamStyleError as error:
            send(Failure(str(error)))
            return
        send(ready)
        for _ in requests:
            send(measure())


def _config(task: Task) -> RunConfig:
    engine = "auto" if task.engine.startswith(_PEER) else task.engine
    correct: Literal["off", "repair"] = "off" if task.correct == "off" else "repair"
    return RunConfig(
        style=task.style, network=task.network, engine=engine, correct=correct, size=task.size or None
    )


def _model(task: Task) -> Model:
    """The network with its codes, in the engine or the peer that the task names."""
    model = load_model(_config(task))
    if not task.engine.startswith(_PEER):
        return model
    bundle = load_bundle(network_folder(task.network))
    architecture, weights = bundle.manifest.architecture, bundle.weights
    name = task.engine.removeprefix(_PEER)
    codes = model.codes[:, :0] if name == "classic" else model.codes
    return Model(SizeOpener(partial(open_baseline_engine, name, architecture, weights)), codes)


def _frames(task: Task, stack: ExitStack, count: int) -> tuple[list[Frame], Any]:
    source = stack.enter_context(open_source(task.clip))
    return list(islice(source, count)), source.info


def _engine(task: Task, stack: ExitStack) -> tuple[Ready, Measure]:
    """The engine alone, with its number of frames in flight: nothing is read or written."""
    frames, info = _frames(task, stack, _PICTURES)
    model = _model(task)
    started = time.perf_counter()
    engine = model.open_engine(info.height, info.width)
    opened = time.perf_counter() - started
    stack.callback(engine.close)
    condition = StyleCondition(model.codes)
    deque(paint_all(engine, (f.pixels for f in frames), condition), maxlen=0)

    def measure() -> Round:
        watch = _Watch()
        waiting: deque[tuple[float, InferenceFuture]] = deque()
        latency: list[float] = []

        def finish() -> None:
            begun, future = waiting.popleft()
            future.result()
            latency.append(round(1e3 * (time.perf_counter() - begun), 3))

        for frame in islice(cycle(frames), task.frames):
            waiting.append((time.perf_counter(), engine.start(frame.pixels, condition)))
            if len(waiting) > engine.spec.in_flight:
                finish()
        while waiting:
            finish()
        watch.frame_ms = latency
        return watch.round()

    return Ready(engine.spec.to_json(), round(opened, 3)), measure


def _decode(task: Task, _stack: ExitStack) -> tuple[Ready, Measure]:
    """Decoding and the way to RGB alone."""

    def measure() -> Round:
        with open_source(task.clip) as source:
            frames: Iterator[Frame] = iter(source)
            deque(islice(frames, task.warm), maxlen=0)
            watch = _Watch()
            for _ in islice(frames, task.frames):
                watch.tick()
            return watch.round()

    return Ready({}, 0.0), measure


def _painted(task: Task, stack: ExitStack) -> tuple[list[Frame], list[Picture], Any]:
    """The frames that a run passes, and how they are painted: the cost of a stage depends on the pictures,
    and an encoder is fast on repeated ones."""
    frames, info = _frames(task, stack, task.warm + task.frames)
    model = _model(task)
    engine = model.open_engine(info.height, info.width)
    painted = list(paint_all(engine, (f.pixels for f in frames), StyleCondition(model.codes)))
    engine.close()
    return frames, painted, info


def _judge(task: Task, stack: ExitStack) -> tuple[Ready, Measure]:
    """Detector, corrector and guard alone, on frames that are painted already."""
    frames, pictures, info = _painted(task, stack)
    queue: deque[Picture] = deque()
    model = Model(SizeOpener(lambda _height, _width: PaintedEngine(queue)), load_model(_config(task)).codes)
    job = Job(task.clip, ("null:",))

    def fed() -> Iterator[Frame]:
        for frame, picture in zip(frames, pictures, strict=True):
            queue.append(picture)
            yield frame

    def measure() -> Round:
        with ExitStack() as opened:
            config = _config(task)
            region = region_of(config, info)
            process = chain_opener(job, config, model, RunHooks())(opened, info, region).process
            styled = process(fed())
            deque(islice(styled, task.warm), maxlen=0)
            watch = _Watch()
            for _ in styled:
                watch.tick()
            return watch.round()

    return Ready({}, 0.0), measure


def _write(task: Task, stack: ExitStack) -> tuple[Ready, Measure]:
    """The way to YUV, encoding, sound and writing alone."""
    frames, pictures, info = _painted(task, stack)

    def measure() -> Round:
        sink = open_sink(task.sink, info)
        watch = _Watch()
        for index, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
            if index == task.warm:
                watch = _Watch()
            sink.write(replace(frame, pixels=picture))
            watch.tick()
        sink.close(complete=True)
        return watch.round()

    return Ready({}, 0.0), measure


def _run(task: Task, stack: ExitStack) -> tuple[Ready, Measure]:
    """Jobs as `streamstyle run` does them, with one engine for all rounds."""
    model = _model(task)
    engines: dict[tuple[int, int], Engine] = {}

    def open_engine(height: int, width: int) -> Engine:
        if (height, width) not in engines:
            engines[height, width] = engine = model.open_engine(height, width)
            stack.callback(engine.close)
        return _Open(engines[height, width])

    def run(job: Job, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
        kept = replace(model, opener=SizeOpener(open_engine))
        hooks = RunHooks(on_progress=on_progress)
        return run_job(job, _config(task), stop=StopRequest(), hooks=hooks, model=kept).to_json()

    def measure() -> Round:
        watch = _Watch()
        memory: list[tuple[int, float]] = []

        def on_progress(progress: Progress) -> None:
            nonlocal watch
            if progress.frames == task.warm:
                watch = _Watch()
            elif progress.frames > task.warm:
                watch.tick()
            if task.watch and progress.frames % task.watch == 0:
                memory.append((progress.frames, round(resident_memory() / _MIB, 2)))

        job = Job(task.clip, (task.sink,), frames=task.warm + task.frames)
        told = run(job, on_progress)
        Path(task.sink).unlink(missing_ok=True)
        return watch.round(memory=memory, summary={name: told[name] for name in _SUMMARY_KEYS})

    started = time.perf_counter()
    first = run(Job(task.clip, ("null:",), frames=1), lambda _: None)
    return Ready(first["engine"], round(time.perf_counter() - started, 3)), measure


_SUMMARY_KEYS = ("stages", "queues", "flagged_frames", "frames_in", "frames_out")


class _Open:
    """An engine that outlives the jobs that it paints for."""

    def __init__(self, engine: Engine) -> None:
        self.spec = engine.spec
        self.start = engine.start
        self._engine = engine
        self._before = engine.busy_seconds

    @property
    def busy_seconds(self) -> float:
        """Seconds that this job's engine was busy."""
        return self._engine.busy_seconds - self._before

    def close(self) -> None:
        """Left open for the next job."""


_PREPARED: dict[str, Callable[[Task, ExitStack], tuple[Ready, Measure]]] = {
    "engine": _engine,
    "decode": _decode,
    "judge": _judge,
    "write": _write,
    "run": _run,
}

if __name__ == "__main__":
    # Output of libraries must not come between the answers.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    main(sys.argv[1:], sys.stdin.buffer, channel)
