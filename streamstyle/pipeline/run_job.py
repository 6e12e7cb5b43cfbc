"""Jobs: open all that a run needs, drive it to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import islice

import numpy as np

from streamstyle.config import RunConfig
from streamstyle.control.freeze_frame import FreezeFrame
from streamstyle.control.run_controller import RunController
from streamstyle.engines.request import SizeOpener
from streamstyle.flow import Flow, Inlet, StopRequest, SwitchedSource, interruption
from streamstyle.media.letterbox import LetterboxedProcess
from streamstyle.media.open import join_network_sinks, open_source
from streamstyle.media.pair import PaintedEngine, PaintedPair
from streamstyle.pipeline.chain import chain_opener
from streamstyle.pipeline.conditions import region_opener
from streamstyle.pipeline.job import Job, Progress, RunSummary
from streamstyle.pipeline.latency import deadline_of, ladder_of
from streamstyle.pipeline.live_run import figures_of, live_of, live_state, outlets, served_metrics, sink_info
from streamstyle.pipeline.model import Model
from streamstyle.pipeline.network import ModelChoice, choose, first_choice
from streamstyle.pipeline.open_run import OpenRun
from streamstyle.pipeline.opencv_threads import single_threaded_opencv
from streamstyle.pipeline.outputs import check_outputs, open_sinks, outputs_of, refuse_overlap
from streamstyle.pipeline.run_hooks import RunHooks
from streamstyle.pipeline.run_tap import source_opener, tapped
from streamstyle.pipeline.slow_film import slow_film_warning
from streamstyle.pipeline.summary import summarise
from streamstyle.types import Frame, Source, StreamInfo


def run_job(
    job: Job,
    config: RunConfig,
    *,
    stop: StopRequest,
    hooks: RunHooks = RunHooks(),  # noqa: B008 - frozen
    model: Model | None = None,
) -> RunSummary:
    """Run one job to its end. Raises the first StreamStyleError of any stage.

    model: another network than the bundled one.
    """
    refuse_overlap(outputs_of(job), job.source)
    job = replace(job, sinks=join_network_sinks(job.sinks))
    source = source_opener(hooks.tap)(job.source, config)
    first = ModelChoice(config, model) if model else first_choice(config, hooks.notify)
    return _run(job, first, source, stop, hooks)


def repair_job(
    original: str,
    job: Job,
    config: RunConfig,
    *,
    stop: StopRequest,
    hooks: RunHooks = RunHooks(),  # noqa: B008 - frozen
) -> RunSummary:
    """Repair another program's painting: `job.source` is that film, `original` the film that it was painted
    from.

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
    return _run(job, ModelChoice(config, model), pair, stop, hooks)


def _run(job: Job, first: ModelChoice, opening: Source, stop: StopRequest, hooks: RunHooks) -> RunSummary:
    with single_threaded_opencv(), ExitStack() as stack:
        run = _open(stack, job, first, opening, stop, hooks)
        total = _expected_frames(job, run.info)
        state = partial(live_state, run.flow, run.ladder) if run.info.live else None

        def on_frame(frame: Frame) -> None:
            if run.ladder is not None:
                run.ladder.left(frame.index, time.monotonic() - frame.captured_at)
            hooks.on_progress(Progress(run.flow.left, total, run.chain.events.flagged_frames, state))

        started = hooks.clock()
        status = run.flow.run(run.process, on_frame)
        return summarise(run, status, seconds=hooks.clock() - started, interrupted=stop.requested)


def _open(
    stack: ExitStack, job: Job, first: ModelChoice, opening: Source, stop: StopRequest, hooks: RunHooks
) -> OpenRun:
    """Open all that the job needs; it is closed with the stack."""
    changing = hooks.ready is not None or job.control is not None
    open_region = region_opener(first.config)
    open_chain = chain_opener(job, first.config, first.model, hooks, changing=changing)
    opened = stack.enter_context(ExitStack())
    source: Source = opened.enter_context(SwitchedSource(opening) if changing else opening)
    info = replace(sink_info(source.info), until=_until(job, source.info))
    deadline = deadline_of(first.config, info)
    check_outputs(job, info, first.config)
    regions = stack.enter_context(ExitStack())
    region = None if open_region is None else open_region(info.height, info.width)
    if region is not None:
        regions.callback(region.close)
    if first.network is not None and (slow := slow_film_warning(first.config, info)):
        hooks.notify(slow)
    chosen = choose(first, info, hooks.notify)
    config = chosen.config
    if chosen.model is not first.model:
        open_chain = chain_opener(job, config, chosen.model, hooks, changing=changing)
    chain = open_chain(stack, info, region)
    regions.pop_all()  # the chain closes it, or what takes its place
    process = FreezeFrame(LetterboxedProcess(tapped(chain.process, hooks.tap), info.width, info.height))
    control = None
    if isinstance(source, SwitchedSource):
        from streamstyle.pipeline.changeable_run import changeable_run

        control = changeable_run(job, chosen, source, info, chain, process, hooks)
    sinks = open_sinks(job, info, config, hooks.notify)
    flow = Flow(
        # The thread that reads the source closes it, so that nothing is closed under a blocked read.
        Inlet(_limited(source, job), opened.pop_all().close, interruption(source)),
        [*outlets(job, sinks, config, live=info.live), *(control.outlets if control else [])],
        stop=stop,
        live=live_of(info, config, job.duration, hooks.notify),
        capacity=config.queue,
        wakeup=chain.wakeup,
    )
    ladder = ladder_of(deadline, flow, chain, hooks.notify)
    figures = partial(figures_of, flow, chain.events, ladder)
    stack.enter_context(served_metrics(config, figures, hooks.notify))
    if control is not None:
        control.open(stack, flow, figures, hooks.ready or _no_controls)
    return OpenRun(job, chosen, source, info, chain, process, flow, ladder, tuple(sinks))


def _no_controls(_controller: RunController) -> None:
    """Only the endpoint changes this run."""


def _limited(source: Source, job: Job) -> Iterator[Frame]:
    first: float | None = None
    for frame in islice(source, job.frames):
        first = frame.time if first is None else first
        if job.duration is not None and frame.time - first >= job.duration:
            return
        yield frame


def _until(job: Job, info: StreamInfo) -> Fraction | None:
    """See `StreamInfo.until`."""
    limits = [
        *([Fraction(job.duration)] if job.duration is not None else []),
        *([job.frames / info.rate] if job.frames is not None and info.rate else []),
    ]
    return min(limits, default=None)


def _expected_frames(job: Job, info: StreamInfo) -> int:
    limits: Sequence[int] = [
        *([info.frames] if info.frames else []),
        *([job.frames] if job.frames is not None else []),
        *([round(job.duration * info.rate)] if job.duration is not None and info.rate else []),
    ]
    return min(limits, default=0)
