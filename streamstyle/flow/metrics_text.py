"""A run's figures for Prometheus.

The text format is that of https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from streamstyle.flow.flow import FlowStatus

PREFIX = "streamstyle_"
AGE_BUCKETS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
"""Upper limits of the buckets of ages, in seconds."""

_Series = Iterable[tuple[Mapping[str, str], float]]


def metrics_text(status: FlowStatus, *, degradations: int = 0, flagged: int = 0) -> str:
    """All figures of a run. degradations: how many steps are taken to keep the latency. flagged: frames."""
    plain: list[tuple[str, str, str, float]] = [
        ("frames_captured_total", "counter", "Frames read from the source.", status.captured),
        ("frames_painted_total", "counter", "Frames that were painted.", status.left),
        ("frames_flagged_total", "counter", "Frames in which an anomaly was found.", flagged),
        ("stand_ins_total", "counter", "Fillers that left while no frame came.", status.fillers),
        ("slates_total", "counter", "Fillers that were a slate.", status.slates),
        ("frames_per_second", "gauge", "Painted frames per second, recently.", status.fps),
        ("silent", "gauge", "1 while fillers replace the source.", status.stalled),
        ("reliefs", "gauge", "Degradation steps in force.", degradations),
    ]
    lines = [line for name, kind, told, value in plain for line in _series(name, kind, told, [({}, value)])]
    lines += _series("frames_dropped_total", "counter", "Dropped frames, by place.", _placed(status.drops))
    lines += _series("queue_depth", "gauge", "Waiting frames, by place.", _placed(status.depths))
    ages = [
        ({"sink": sink, "quantile": f"{share:g}"}, each.recent(share))
        for sink, each in status.ages.items()
        for share in (0.5, 0.95, 0.99)
    ]
    lines += _series("frame_age_recent_seconds", "gauge", "Age of recent frames at a sink.", ages)
    lines += _histograms(status)
    return "\n".join(lines) + "\n"


def _placed(values: Mapping[str, int]) -> _Series:
    return [({"at": place}, value) for place, value in values.items()]


def _histograms(status: FlowStatus) -> Iterator[str]:
    name = f"{PREFIX}frame_age_seconds"
    yield f"# HELP {name} Age of frames when a sink had taken them."
    yield f"# TYPE {name} histogram"
    for sink, ages in status.ages.items():
        count, total = ages.all.count, ages.all.total
        for limit in AGE_BUCKETS:
            yield _line(
                f"{name}_bucket", {"sink": sink, "le": f"{limit:g}"}, min(ages.all.below(limit), count)
            )
        yield _line(f"{name}_bucket", {"sink": sink, "le": "+Inf"}, count)
        yield _line(f"{name}_sum", {"sink": sink}, total)
        yield _line(f"{name}_count", {"sink": sink}, count)


def _series(name: str, kind: str, told: str, values: _Series) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {told}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for labels, value in values:
        yield _line(f"{PREFIX}{name}", labels, value)


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {float(value)!r}" if inner else f"{name} {float(value)!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
