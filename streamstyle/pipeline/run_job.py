"""Jobs: open all that a run needs, drive it to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import islice

import cv2
import numpy as np

from streamstyle.config import RunConfig
from streamstyle.control.freeze_frame import FreezeFrame
from streamstyle.control.run_controller import RunController
from streamstyle.engines.request import SizeOpener
from streamstyle.flow import Flow, Inlet, StopRequest, SwitchedSource, interruption
from streamstyle.media.letterbox import Fitted
from streamstyle.media.open import grouped, open_source
from streamstyle.media.pair import PaintedEngine, PaintedPair
from streamstyle.pipeline.chain import chain_opener
from streamstyle.pipeline.job import Job, Progress, RunSummary
from streamstyle.pipeline.latency import deadline_of, ladder_of
from streamstyle.pipeline.live_run import figures_of, leaving, live_of, live_state, outlets, served_metrics
from streamstyle.pipeline.model import Model
from streamstyle.pipeline.network import Chosen, choose, first_choice
from streamstyle.pipeline.outlook import slow_film
from streamstyle.pipeline.outputs import check_outputs, open_sinks, outputs_of, refuse_overlap
from streamstyle.pipeline.summary import summarise
from streamstyle.pipeline.watch import Watch, source_opener, watched
from streamstyle.types import Frame, Source, StreamInfo


def run_job(
    job: Job,
    config: RunConfig,
    *,
    stop: StopRequest,
    on_progress: Callable[[Progress], None],
    clock: Callable[[], float],
    model: Model | None = None,
    notify: Callable[[str], None] = lambda _: None,
    ready: Callable[[RunController], None] | None = None,
    watch: Watch | None = None,
) -> RunSummary:
    """Run one job to its end. Raises the first StreamStyleError of any stage.

    clock: seconds, monotonic. model: another network than the bundled one. notify: hears what the user should
    know at once: an engine is compiled, an output is cut off. ready: gets the controller where changes can
    be asked for, before the first frame. watch: who looks on.
    """
    refuse_overlap(outputs_of(job), job.source)
    job = replace(job, sinks=grouped(job.sinks))
    source = source_opener(watch)(job.source, config)
    first = Chosen(config, model) if model else first_choice(config, notify)
    return _run(
        *(job, first, source),
        stop=stop,
        on_progress=on_progress,
        clock=clock,
        notify=notify,
        ready=ready,
        watch=watch,
    )


def repair_job(
    original: str,
    job: Job,
    config: RunConfig,
    *,
    stop: StopRequest,
    on_progress: Callable[[Progress], None],
    clock: Callable[[], float],
) -> RunSummary:
    """Repair what another program painted: `job.source` is its film, `original` what it was painted from.

    Raises the first StreamStyleError of any stage.
    """
    refuse_overlap(outputs_of(job), job.source, original)
    opened = (
        open_source(url, deinterlace=config.deinterlace, background=config.background)
        for url in (original, job.source)
    )
    pair = PaintedPair(*opened)
    model = Model(
        SizeOpener(lambda _height, _width: PaintedEngine(pair.painted)), np.zeros((2, 0), np.float32)
    )
    return _run(job, Chosen(config, model), pair, stop=stop, on_progress=on_progress, clock=clock)


def _run(
    job: Job,
    first: Chosen,
    opening: Source,
    *,
    stop: StopRequest,
    on_progress: Callable[[Progress], None],
    clock: Callable[[], float],
    notify: Callable[[str], None] = lambda _: None,
    ready: Callable[[RunController], None] | None = None,
    watch: Watch | None = None,
) -> RunSummary:
    # OpenCV's own threads would wait for the cores that the engine keeps busy: 40 ms stalls in a 4 ms call.
    cv2.setNumThreads(1)
    changing = ready is not None or job.control is not None
    open_chain = chain_opener(job, first.config, first.model, notify, changing=changing, watch=watch)
    with ExitStack() as stack:
        opened = stack.enter_context(ExitStack())
        source: Source = opened.enter_context(SwitchedSource(opening) if changing else opening)
        info = leaving(source.info)
        deadline = deadline_of(first.config, info)
        check_outputs(job, info, first.config)
        if first.network is not None and (slow := slow_film(first.config, info)):
            notify(slow)
        chosen = choose(first, info, notify)
        config, model = chosen.config, chosen.model
        if model is not first.model:
            open_chain = chain_opener(job, config, model, notify, changing=changing, watch=watch)
        chain = open_chain(stack, info)
        process = FreezeFrame(Fitted(watched(chain.process, watch), info.width, info.height))
        control = None
        if isinstance(source, SwitchedSource):
            from streamstyle.pipeline.controlled import controlled

            control = controlled(job, config, model, source, info, chain, process, notify, watch)
        sinks = open_sinks(job, info, config, notify)
        total = _expected_frames(job, info)
        flow = Flow(
            # The thread that reads the source closes it, so that nothing is closed under a blocked read.
            Inlet(_limited(source, job), opened.pop_all().close, interruption(source)),
            [*outlets(job, sinks, config, live=info.live), *(control.outlets if control else [])],
            stop=stop,
            live=live_of(info, config, job.duration, notify),
            capacity=config.queue,
        )
        ladder = ladder_of(deadline, flow, chain, notify)
        figures = partial(figures_of, flow, chain.events, ladder)
        stack.enter_context(served_metrics(config, figures, notify))
        state = partial(live_state, flow, ladder) if info.live else None

        def on_frame(frame: Frame) -> None:
            if ladder is not None:
                ladder.left(frame.index, time.monotonic() - frame.captured_at)
            on_progress(Progress(flow.left, total, chain.events.flagged_frames, state))

        if control is not None:
            control.open(stack, flow, figures, ready or _unheard)
        started = clock()
        status = flow.run(process, on_frame)
        return summarise(
            *(job, chosen, source, info, chain, flow, status, ladder, sinks),
            seconds=clock() - started,
            interrupted=stop.requested,
        )


def _unheard(_controller: RunController) -> None:
    """The endpoint alone asks for changes."""


def _limited(source: Source, job: Job) -> Iterator[Frame]:
    first: float | None = None
    for frame in islice(source, job.frames):
        first = frame.time if first is None else first
        if job.duration is not None and frame.time - first >= job.duration:
            return
        yield frame


def _expected_frames(job: Job, info: StreamInfo) -> int:
    limits: Sequence[int] = [
        *([info.frames] if info.frames else []),
        *([job.frames] if job.frames is not None else []),
        *([round(job.duration * info.rate)] if job.duration is not None and info.rate else []),
    ]
    return min(limits, default=0)
