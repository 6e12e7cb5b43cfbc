"""The summary of a run that has ended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamstyle.explain.run_report import AnomalyReport
from streamstyle.files.page import write_page
from streamstyle.flow import FlowStatus
from streamstyle.flow.timing import StageTimer
from streamstyle.pipeline.job import RunSummary
from streamstyle.pipeline.ladder import Ladder
from streamstyle.pipeline.open_run import OpenRun
from streamstyle.urls import masked


def summarise(run: OpenRun, status: FlowStatus, *, seconds: float, interrupted: bool) -> RunSummary:
    """The summary of a run that has ended; writes the job's report. Raises SinkError."""
    config, chain = run.chosen.config, run.chain
    summary = RunSummary(
        job=run.job,
        info=run.info,
        style=config.style,
        strength=config.strength,
        colour=config.colour,
        consistency=config.consistency,
        region=config.region,
        region_style=config.region_style,
        engine=chain.engine.spec,
        frames_in=status.captured,
        frames_out=status.left,
        drops=dict(status.drops),
        live=_live_summary(status, run.ladder) if run.info.live else None,
        stuck=status.stuck,
        seconds=seconds,
        stages=_stages(run, status.left),
        queues=run.flow.queues(),
        flagged_frames=chain.events.flagged_frames,
        anomalies=dict(chain.events.by_kind),
        source_report=run.source.report(),
        sink_reports=tuple(sink.report() for sink in run.sinks),
        interrupted=interrupted,
        network=run.chosen.network,
    )
    if chain.report is not None:
        _write_report(chain.report, summary)
    return summary


def _live_summary(status: FlowStatus, ladder: Ladder | None) -> dict[str, Any]:
    return {
        "age": {name: ages.summary() for name, ages in status.ages.items()},
        "stand_ins": status.fillers,
        "slates": status.slates,
        "clock_resets": status.clock_resets,
        "latency": None if ladder is None else _ladder_summary(ladder),
    }


def _ladder_summary(ladder: Ladder) -> dict[str, Any]:
    return {
        "deadline_ms": round(1e3 * ladder.deadline, 3),
        "reliefs": [step.name for step in ladder.steps],
        "active": list(ladder.active),
        "steps": ladder.changed,
        "changes": [{"frame": index, "what": said} for index, said in ladder.changes],
    }


def _stages(run: OpenRun, frames: int) -> dict[str, dict[str, float]]:
    chain = run.chain
    capture, sinks = run.flow.stage_timers()
    timers: Iterable[tuple[str, StageTimer]] = [
        ("decode", capture),
        *([("region", chain.timers.condition)] if chain.regional else []),
        ("detect", chain.timers.detect),
        ("correct", chain.timers.correct),
        ("overlay", chain.timers.overlay),
        *((f"write {masked(url)}", timer) for url, timer in zip(run.job.sinks, sinks, strict=False)),
    ]
    stages = {name: timer.summary() for name, timer in timers}
    busy = chain.engine.busy_seconds
    stages["stylize"] = {"fps": round(frames / busy, 1)} if busy else {}
    return {name: summary for name, summary in stages.items() if summary}


def _write_report(report: AnomalyReport, summary: RunSummary) -> None:
    job, info = summary.job, summary.info
    assert job.report is not None
    first = f"{summary.frames_out} frames at {info.width}x{info.height} in {summary.style}."
    write_page(job.report, report.page(f"Events in {Path(masked(job.source)).name}", [first, *summary.notes]))
